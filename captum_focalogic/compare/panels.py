"""The figure of a comparison: images by methods, in the layout of the paper's figure 4."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from captum_focalogic.compare.comparison import Comparison, MethodResult
from captum_focalogic.compare.measures import strongest_state
from captum_focalogic.errors import InputError
from captum_focalogic.figures.headline import evidence_image
from captum_focalogic.figures.overlays import COLOUR_BLIND, PAPER, Palette, overlay
from captum_focalogic.figures.plots import image_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def panel(comparison: Comparison, result: MethodResult, palette: Palette = PAPER) -> Image.Image:
    """One method on one image.

    FocaLogic: the set that it is judged on, as the headline shows it: in its own colours, the rest dimmed and grey.
    Others: their top area, as large as the regions that they are judged on, in red; for methods over pixels pixel by
    pixel.
    """
    decision, attribution = comparison.decision, result.attribution
    if attribution.focus is not None:
        shown = strongest_state(attribution.focus)
        return evidence_image(comparison.image, decision.label_map, decision.region_ids, shown)
    if attribution.over_regions:
        return overlay(
            comparison.image,
            decision.label_map,
            decision.region_ids,
            result.chosen[None],
            palette=palette,
            legend=False,
        )
    top = top_pixels(attribution.heat_map, result.measures.area)
    return overlay(
        comparison.image,
        top.astype(np.int64),
        np.array([0, 1]),
        np.array([[False, True]]),
        palette=palette,
        legend=False,
    )


def top_pixels(
    heat_map: np.ndarray[tuple[int, ...], np.dtype[np.float64]], area: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """The highest pixels of a heat map, as many as make up a share of it; ties to the first in reading order."""
    count = max(1, round(area * heat_map.size))
    top = np.zeros(heat_map.size, dtype=np.bool_)
    top[np.argsort(-heat_map.reshape(-1), kind="stable")[:count]] = True
    return top.reshape(heat_map.shape)


def figure(
    comparisons: Comparison | Sequence[Comparison], *, colour_blind: bool = False, width: float = 1.7
) -> "Figure":
    """All images by all methods.

    Parameters
    ----------
    comparisons : Comparison or sequence of Comparison
        One a row.
    colour_blind : bool
        Blue stripes and yellow instead of red and white.
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
    palette = COLOUR_BLIND if colour_blind else PAPER
    return image_grid([_row(comparison, names, palette) for comparison in rows], ["image", *names], width)


def _row(comparison: Comparison, names: Sequence[str], palette: Palette) -> tuple[str, list[Image.Image | None]]:
    found = {result.name: panel(comparison, result, palette) for result in comparison.results}
    return comparison.title, [Image.fromarray(comparison.image), *map(found.get, names)]
