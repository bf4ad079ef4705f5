"""The picture of a comparison: images by methods, in the layout of the paper's figure 4."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from captum_focalogic.compare.running import Comparison, MethodResult
from captum_focalogic.errors import InputError
from captum_focalogic.report.figures import COLOUR_BLIND, PAPER, Palette, overlay

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_KINDS = (".png", ".svg", ".pdf")


def panel(comparison: Comparison, result: MethodResult, palette: Palette = PAPER) -> Image.Image:
    """One method on one image.

    FocaLogic: regions that all final states share in red, those of some in white. Other methods: their top area, as
    large as the regions that they are judged on, in red; for methods over pixels pixel by pixel.
    """
    case, answer = comparison.case, result.answer
    if answer.focus is not None:
        return overlay(
            comparison.image, case.label_map, case.region_ids, answer.focus.final_states, palette=palette, legend=False
        )
    if answer.over_regions:
        return overlay(
            comparison.image, case.label_map, case.region_ids, result.chosen[None], palette=palette, legend=False
        )
    top = top_pixels(answer.heat_map, result.measures.area)
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
        Inches for each picture.

    Returns
    -------
    matplotlib.figure.Figure
        Not registered with pyplot.

    Raises
    ------
    InputError
        If there is no comparison.
    """
    from matplotlib.figure import Figure

    rows = [comparisons] if isinstance(comparisons, Comparison) else list(comparisons)
    if not rows:
        raise InputError("a picture needs at least one comparison; got none")
    names = list(dict.fromkeys(result.name for comparison in rows for result in comparison.results))
    palette = COLOUR_BLIND if colour_blind else PAPER
    drawn = Figure(figsize=(width * (len(names) + 1) + 0.2, width * len(rows) + 0.3), layout="constrained")
    grid = drawn.subplots(len(rows), len(names) + 1, squeeze=False)
    for row, comparison in enumerate(rows):
        for axes in grid[row]:
            axes.set_axis_off()
        grid[row, 0].imshow(comparison.image)
        grid[row, 0].set_title("image" if row == 0 else "", fontsize=8)
        grid[row, 0].text(
            -0.04,
            0.5,
            comparison.title,
            transform=grid[row, 0].transAxes,
            fontsize=7,
            rotation=90,
            ha="right",
            va="center",
        )
        found = {result.name: result for result in comparison.results}
        for column, name in enumerate(names, start=1):
            if row == 0:
                grid[row, column].set_title(name, fontsize=8)
            if name in found:
                grid[row, column].imshow(np.asarray(panel(comparison, found[name], palette)))
            else:
                grid[row, column].text(0.5, 0.5, "skipped", ha="center", va="center", fontsize=7, color="0.5")
    return drawn


def save_figure(drawn: "Figure", path: str | Path, dpi: int = 200) -> Path:
    """Write a figure as PNG, SVG or PDF, by the file's ending.

    Raises
    ------
    InputError
        If the ending is another.
    """
    target = Path(path)
    if target.suffix.lower() not in _KINDS:
        raise InputError(f"a figure is written as {', '.join(_KINDS)}; got {target.name!r}")
    target.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(target, dpi=dpi)
    return target
