"""The figure of a comparison: images by methods, in the layout of the paper's figure 4."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy import ndimage

from captum_focalogic.compare.comparison import Comparison, MethodResult
from captum_focalogic.errors import InputError
from captum_focalogic.figures.headline import evidence_image
from captum_focalogic.figures.plots import Cell, image_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARKS = {True: "#176b2c", False: "#b3261e"}
"""Colours of what is said below a panel, by whether the regions keep the prediction."""

_SIDE = 320

_GRAIN = 40
"""Sides of an image over the width that finer heat maps are smoothed by."""

HeatMap = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def panel(comparison: Comparison, result: MethodResult) -> Image.Image:
    """The regions that one method is judged on, as the headline shows them: in their own colours, the rest dimmed.

    FocaLogic's are its strongest set; those of a heat map its highest ones. Of a finer heat map, smoothed a little, a
    line goes around the pixels that are highest, as many as the regions have.
    """
    decision, attribution = comparison.decision, result.attribution
    finer = None if attribution.over_regions else top_pixels(smoothed(attribution.heat_map), result.measures.area)
    return evidence_image(
        comparison.image, decision.label_map, decision.region_ids, result.chosen, marked=finer, side=_SIDE
    )


def verdict(result: MethodResult) -> str:
    """What the model says of the regions that a method is judged on, in a few words."""
    focus = result.attribution.focus
    if focus is not None and not len(focus.final_states):
        return "nothing found"
    measured = result.measures
    word = "enough" if measured.minimal else "more than enough" if measured.sufficient else "not enough"
    return word if measured.explanations < 2 else f"{word}, 1 of {measured.explanations} ways"


def smoothed(heat_map: HeatMap) -> HeatMap:
    """A heat map without its grain, of which nothing could be seen but dots."""
    blurred: HeatMap = ndimage.gaussian_filter(heat_map, max(heat_map.shape) / _GRAIN)
    return blurred


def top_pixels(heat_map: HeatMap, area: float) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """The highest pixels of a heat map, as many as make up a share of it; ties to the first in reading order."""
    count = max(1, round(area * heat_map.size))
    top = np.zeros(heat_map.size, dtype=np.bool_)
    top[np.argsort(-heat_map.reshape(-1), kind="stable")[:count]] = True
    return top.reshape(heat_map.shape)


def figure(comparisons: Comparison | Sequence[Comparison], *, width: float = 1.7) -> "Figure":
    """All images by all methods; below each panel, whether what it shows is enough for the model.

    Parameters
    ----------
    comparisons : Comparison or sequence of Comparison
        One a row.
    width : float
        Inches for each image.

    Returns
    -------
    matplotlib.figure.Figure
        Not registered with pyplot.

    Raises
    ------
    InputError
        If there is no comparison.
    """
    rows = [comparisons] if isinstance(comparisons, Comparison) else list(comparisons)
    if not rows:
        raise InputError("a figure needs at least one comparison; got none")
    names = list(dict.fromkeys(result.name for comparison in rows for result in comparison.results))
    return image_grid([_row(comparison, names) for comparison in rows], ["image", *names], width)


def _row(comparison: Comparison, names: Sequence[str]) -> tuple[str, list[Cell | None]]:
    found = {
        result.name: Cell(panel(comparison, result), verdict(result), _MARKS[result.measures.sufficient])
        for result in comparison.results
    }
    return comparison.title, [Cell(Image.fromarray(comparison.image)), *map(found.get, names)]
