"""The levels of a zoom on the page: a picture of each, and what is known of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from captum_focalogic import summary
from captum_focalogic.figures.headline import parts_image
from captum_focalogic.focus import Focus
from captum_focalogic.report.html import data_uri
from captum_focalogic.search.certificate import Statement, percent

_SIDE = 480


@dataclass(frozen=True)
class Level:
    """One level, the regions themselves being level 0.

    Attributes
    ----------
    number : int
        0 for the coarse regions.
    image : str
        The strongest set in its own colours, as data.
    said : str
        Which set that is, and how much of the image.
    others : list of str
        The other sets of this level.
    stands : bool
        Whether the strongest is enough under both removals.
    statements : list of Statement
        What is proved of it, and relative to what.
    """

    number: int
    image: str
    said: str
    others: list[str]
    stands: bool
    statements: list[Statement]


@dataclass(frozen=True)
class ZoomShown:
    """All levels, what is said of them together, and the level that is the answer."""

    levels: list[Level]
    lines: list[str]
    answer: int


def zoom_shown(focus: Focus, image: Image.Image | None) -> ZoomShown | None:
    """What the page shows of a zoom; None where there is none, or no image."""
    zoom = focus.zoom
    if zoom is None or image is None or not zoom.levels:
        return None
    pixels = np.asarray(image.convert("RGB"))
    levels = [_level(0, focus, pixels, any(zoom.coarse_holds[:1]), zoom.second)]
    levels += [
        _level(number, level.focus, pixels, level.stands, zoom.second)
        for number, level in enumerate(zoom.levels, start=1)
    ]
    answer = max((level.number for level in levels if level.stands), default=0)
    return ZoomShown(levels, summary.zoom_text(focus, zoom).split("\n"), answer)


def _level(number: int, focus: Focus, pixels: NDArray[np.uint8], stands: bool, second: str) -> Level:
    states = focus.final_states[focus.strongest]
    drawn = parts_image(pixels, np.asarray(focus.label_map), focus, states[0], side=_SIDE)
    fares = f"holds with {second} too" if stands else f"falls with {second}"
    area = percent(float(focus.areas[states[0]].sum()))
    said = f"{summary.regions_text(focus, states[0], 'and')} alone: {area} of the image; {fares}"
    others = [summary.regions_text(focus, state, "and") for state in states[1 : summary.ALTERNATIVES]]
    return Level(number, data_uri(drawn, 720), said, others, stands, focus.certificate.plain() if number else [])
