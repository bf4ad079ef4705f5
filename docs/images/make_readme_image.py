"""Draws readme.png: the embedded scene 22, what its class needs, and the formula. Run from anywhere."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from captum_focalogic import FocaLogic
from captum_focalogic.demo import draw_scene, load_model
from captum_focalogic.demo.scenes import SceneConfig
from captum_focalogic.figures.graphs import illustrated
from captum_focalogic.figures.overlays import overlay, regions_image
from captum_focalogic.logic import render, to_networkx

HEIGHT, GAP = 400, 36


def main() -> None:
    scene, sharp = draw_scene(22, label=1), draw_scene(22, label=1, config=SceneConfig(size=480))
    regions = torch.from_numpy(scene.labels)[None, None]
    (focus,) = FocaLogic(load_model()).explain(torch.from_numpy(scene.image)[None], feature_mask=regions)
    pixels = np.rint(sharp.image.transpose(1, 2, 0) * 255).astype(np.uint8)
    names = {item.region: f"I{item.region} {item.kind}" for item in sharp.objects}
    drawing = illustrated(to_networkx(focus.expression), pixels, sharp.labels, names=names)
    with tempfile.TemporaryDirectory() as folder:
        formula = Image.open(render(drawing, Path(folder) / "formula.png")).convert("RGB")
    parts = [
        regions_image(pixels, sharp.labels),
        overlay(pixels, sharp.labels, focus.region_ids, focus.final_states),
        formula,
    ]
    parts = [
        part.resize((round(part.width * HEIGHT / part.height), HEIGHT), Image.Resampling.LANCZOS) for part in parts
    ]
    sheet = Image.new("RGB", (sum(part.width for part in parts) + GAP * (len(parts) - 1), HEIGHT), "white")
    left = 0
    for part in parts:
        sheet.paste(part, (left, 0))
        left += part.width + GAP
    sheet.save(Path(__file__).with_name("readme.png"), optimize=True)


if __name__ == "__main__":
    main()
