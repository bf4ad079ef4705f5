"""Explains photographs that come with scikit-image: makes ../gallery.md and gallery/. Needs the extra imagenet.

The pictures and what is printed below them are made; the notes are written by hand: read them again after a run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

from skimage import data

from captum_focalogic import explain_image
from captum_focalogic.answer import Answer

HERE = Path(__file__).parent
WIDTH = 118
INDENT = " " * 13

HEAD = """# A gallery

Photographs that come with scikit-image, explained by EfficientNet-Lite0 with the defaults of `explain_image`: 12 SLIC
regions, the mean colour for what is dropped, the smallest sets that keep the class and half of its probability. The
package's drawings, textures and micrographs, of which ImageNet has no classes, are left out.

In the large picture, what has its colours is enough by itself. The small ones are other ways; the last one shows the
smallest set whose loss, all else kept, changes the answer: it names another class, or the same one at less than half of
its probability. `python docs/images/make_gallery.py` makes the pictures and the texts again.
"""


@dataclass(frozen=True)
class Photo:
    """A photograph, its name, and what there is to say about the answer."""

    title: str
    load: Callable[[], Any]
    note: str


PHOTOS = {
    "coffee": Photo(
        "A cup of coffee",
        data.coffee,
        "The coffee with a part of the cup is enough. It is not needed: some sets with neither the coffee nor "
        "that part keep the answer. The last picture is espresso to the network still, at less than half of its "
        "probability.",
    ),
    "rocket": Photo(
        "A rocket",
        data.rocket,
        "One region is enough: the rocket, with some sky. Without it the lattice towers remain, and the network "
        "says drilling platform.",
    ),
    "astronaut": Photo(
        "An astronaut",
        data.astronaut,
        "The network is wrong, and unsure. Helmet and dark block are in all four of the smallest sets, and no set "
        "that keeps the answer was found without the helmet. The face, which a person looks at first, is in none "
        "of the four.",
    ),
    "camera": Photo(
        "A cameraman",
        data.camera,
        "The legs of the tripod are in all six sets; any of six other regions completes them. The four strongest "
        "sets hold with black, too, and the formula is right on 98 % of the random region sets that it accepts.",
    ),
    "motorcycle": Photo(
        "A motorcycle",
        lambda: data.stereo_motorcycle()[0],
        "An answer to be careful with. Headlamp and rear wheel are enough in the mean colour, and not in black; "
        "and the formula accepts only 41 % (28 to 54) of the sets that keep the answer. The others have three "
        "regions or more.",
    ),
    "chelsea": Photo(
        "A cat",
        data.chelsea,
        "Tiger cat and Egyptian cat are close, so that the loss of any of several regions changes which is first. "
        "The formula is right on a quarter of the random region sets that it accepts: what is enough is often not "
        "enough with more.",
    ),
}


def section(name: str, answer: Answer) -> str:
    """The picture, what is printed, and the note."""
    said = "\n".join(
        fill(line, WIDTH, subsequent_indent=INDENT, break_on_hyphens=False) if len(line) > WIDTH else line
        for line in str(answer).splitlines()
    )
    photo = PHOTOS[name]
    picture = f"![What is enough, other ways, and what the answer does not survive](images/gallery/{name}.jpg)"
    return f"## {photo.title}\n\n{picture}\n\n```\n{said}\n```\n\n{fill(photo.note, 125)}\n"


def write(answers: Mapping[str, Answer]) -> None:
    """Pictures and page."""
    (HERE / "gallery").mkdir(exist_ok=True)
    for name, answer in answers.items():
        answer.headline().convert("RGB").save(HERE / "gallery" / f"{name}.jpg", quality=88, optimize=True)
    sections = [section(name, answer) for name, answer in answers.items()]
    (HERE.parent / "gallery.md").write_text("\n".join([HEAD, *sections]), encoding="utf-8")


def main() -> None:
    """Explain, draw, write."""
    write({name: explain_image("efficientnet-lite0", photo.load()) for name, photo in PHOTOS.items()})


if __name__ == "__main__":
    main()
