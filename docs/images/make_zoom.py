"""Draws zoom.png: the parts of an embedded scene that are enough. Run from anywhere."""

from pathlib import Path

from captum_focalogic import explain_image
from captum_focalogic.demo import draw_scene


def main() -> None:
    scene = draw_scene(22, label=1)
    answer = explain_image("demo", scene.image, segmenter=scene.labels, zoom=2)
    answer.headline().quantize(64).save(Path(__file__).with_name("zoom.png"), optimize=True)


if __name__ == "__main__":
    main()
