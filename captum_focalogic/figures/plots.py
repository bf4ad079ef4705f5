"""Figures of matplotlib: a focus in the manner of Captum's ``visualize_image_attr``, grids of images, measures.

Figures are not registered with pyplot unless they are asked to be.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captum_focalogic.errors import InputError
from captum_focalogic.figures.canvas import backdrop
from captum_focalogic.figures.overlays import COLOUR_BLIND, PAPER, Palette, overlay, regions_image
from captum_focalogic.files import make_folder, replacing
from captum_focalogic.focus import Focus
from captum_focalogic.images import open_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL import Image

PlotMethod = Literal["overlay", "regions", "heat_map"]

_FILES = (".png", ".svg", ".pdf")


def plot_focus(
    focus: Focus,
    image: ArrayLike | None = None,
    method: PlotMethod = "overlay",
    plt_fig_axis: "tuple[Figure, Axes] | None" = None,
    *,
    title: str | None = None,
    fig_size: tuple[float, float] = (6, 6),
    use_pyplot: bool = True,
    show_ids: bool = True,
    colour_blind: bool = False,
    cmap: str = "magma",
) -> "tuple[Figure, Axes]":
    """Draw a focus.

    Parameters
    ----------
    focus : Focus
    image : (3, H, W) float in [0, 1], or (H, W, 3) uint8, optional
        The image; the focus's own by default, and a map of the regions where it has none.
    method : {"overlay", "regions", "heat_map"}
        Regions that all final states share in red and those of some in white, as in the paper's figure 4; all regions
        with their ids; the share of the final states that keep each pixel.
    plt_fig_axis : (Figure, Axes), optional
        Where to draw; a new figure by default.
    title : str, optional
        Above the axes; the formula by default.
    fig_size : (float, float)
        Size in inches of a new figure.
    use_pyplot : bool
        Whether a new figure is registered with pyplot, which shows it in a notebook. False is for programs that draw
        many figures or have no display.
    show_ids : bool
        Whether an overlay carries the regions' ids.
    colour_blind : bool
        Blue stripes and yellow instead of red and white.
    cmap : str
        Colours of a heat map.

    Returns
    -------
    (Figure, Axes)

    Raises
    ------
    InputError
        If the focus has no label map, the image does not fit it, or the method is unknown.
    """
    if focus.label_map is None:
        raise InputError("this focus has no label map, so there is no image of it; print(focus.expression) instead")
    if method not in ("overlay", "regions", "heat_map"):
        raise InputError(f"method must be 'overlay', 'regions' or 'heat_map'; got {method!r}")
    given = focus.image if image is None else image
    pixels = np.asarray(backdrop(given, focus.label_map).convert("RGB"))
    figure, axes = plt_fig_axis or _new(fig_size, use_pyplot)
    palette: Palette = COLOUR_BLIND if colour_blind else PAPER
    if method == "heat_map":
        shares = focus.frequencies[np.searchsorted(focus.region_ids, focus.label_map)]
        shown = axes.imshow(shares, cmap=cmap, vmin=0, vmax=1)
        figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.04, label="share of the final states")
    elif method == "regions":
        axes.imshow(np.asarray(regions_image(pixels, focus.label_map, names=focus.names)))
    else:
        drawn = overlay(
            pixels, focus.label_map, focus.region_ids, focus.final_states, palette=palette, show_ids=show_ids
        )
        axes.imshow(np.asarray(drawn))
    axes.set_axis_off()
    axes.set_title(_shortened(focus.formula) if title is None else title)
    if plt_fig_axis is None and not use_pyplot:
        figure.tight_layout()
    return figure, axes


def _new(fig_size: tuple[float, float], use_pyplot: bool) -> "tuple[Figure, Axes]":
    if use_pyplot:
        from matplotlib import pyplot

        return pyplot.subplots(figsize=fig_size)
    from matplotlib.figure import Figure

    figure = Figure(figsize=fig_size)
    return figure, figure.subplots()


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


@dataclass(frozen=True)
class Cell:
    """An image of a grid, and what stands below it."""

    image: "Image.Image"
    text: str = ""
    colour: str = "black"


def image_grid(
    rows: Sequence[tuple[str, Sequence[Cell | None]]], titles: Sequence[str], width: float = 1.7
) -> "Figure":
    """Images in rows and columns, as in the paper's figure 4.

    Parameters
    ----------
    rows : sequence of (str, sequence of Cell or None)
        What stands beside each row, and an image for each column; None where there is none.
    titles : sequence of str
        Of the columns.
    width : float
        Inches for each image.
    """
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(width * len(titles) + 0.2, (width + 0.15) * len(rows) + 0.3), layout="constrained")
    grid = drawn.subplots(len(rows), len(titles), squeeze=False)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=8)
    for line, (name, cells) in zip(grid, rows, strict=True):
        beside = {"fontsize": 7, "rotation": 90, "ha": "right", "va": "center"}
        line[0].text(-0.04, 0.5, name, transform=line[0].transAxes, **beside)
        for axes, cell in zip(line, cells, strict=True):
            axes.set_axis_off()
            if cell is None:
                axes.text(0.5, 0.5, "skipped", ha="center", va="center", fontsize=7, color="0.5")
                continue
            axes.imshow(np.asarray(cell.image))
            if cell.text:
                below = {"ha": "center", "va": "top", "transform": axes.transAxes}
                axes.text(0.5, -0.03, cell.text, fontsize=7, weight="bold", color=cell.colour, **below)
    return drawn


def plot_classes(
    heat_maps: Mapping[str, ArrayLike], image: ArrayLike, *, width: float = 2.6, label: str = "attribution"
) -> "Figure":
    """Attributions of several classes side by side, in one scale: red speaks for the class, blue against it.

    Parameters
    ----------
    heat_maps : mapping of str to (H, W), (C, H, W) or (1, C, H, W) numbers
        By the class's name: attributions of FocaLogic, of another method of Captum's, or of another package.
    image : (3, H, W) float in [0, 1], or (H, W, 3) uint8
        What they are about; shown first.
    width : float
        Inches for each image.
    label : str
        What the numbers are.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    InputError
        If there is none, or they are not of the image's size.

    Examples
    --------
    >>> plot_classes({"tabby": np.eye(8), "lynx": -np.eye(8)}, np.zeros((8, 8, 3), np.uint8)).axes[1].get_title()
    'tabby'
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

    shown = np.asarray(open_image(image).convert("RGB"))
    if not heat_maps:
        raise InputError("there is no class to show; got no heat map")
    drawn = {name: _plane(values, shown.shape[:2], name) for name, values in heat_maps.items()}
    most = max(float(np.abs(plane).max()) for plane in drawn.values()) or 1.0
    size = (width * (len(drawn) + 1), width * shown.shape[0] / shown.shape[1] + 0.9)
    figure = Figure(figsize=size, layout="constrained")
    first, *panels = figure.subplots(1, len(drawn) + 1)
    first.imshow(shown)
    first.set_axis_off()
    grey = shown.mean(axis=2)
    for panel, (name, plane) in zip(panels, drawn.items(), strict=True):
        panel.imshow(grey, cmap="gray", vmin=-255, vmax=255 * 1.2)
        colours = panel.imshow(plane, cmap="RdBu_r", vmin=-most, vmax=most, alpha=0.85 * np.sqrt(np.abs(plane) / most))
        panel.set_title(name, fontsize=9, wrap=True)
        panel.set_axis_off()
    # the panels' own colours let the image through, those of the scale do not
    scale = ScalarMappable(colours.norm, colours.cmap)
    figure.colorbar(scale, ax=[first, *panels], location="bottom", fraction=0.06, aspect=50, label=label)
    return figure


def _plane(values: ArrayLike, size: tuple[int, ...], name: str) -> NDArray[np.float64]:
    """A heat map as one number a pixel, the mean of its channels."""
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=np.float64)
    plane = array[0] if array.ndim == 4 and len(array) == 1 else array
    plane = plane.mean(axis=0) if plane.ndim == 3 else plane
    if plane.shape != size or not np.isfinite(plane).all():
        raise InputError(
            f"the heat map of {name!r} must be finite numbers of the image's size {size}; got {array.shape}"
        )
    return plane


def save_figure(figure: "Figure", path: str | Path, dpi: int = 200) -> Path:
    """Write a figure as PNG, SVG or PDF, by the file's ending.

    Raises
    ------
    InputError
        If the ending is another.
    """
    target = Path(path)
    if target.suffix.lower() not in _FILES:
        raise InputError(f"a figure is written as {', '.join(_FILES)}; got {target.name!r}")
    make_folder(target.parent)
    with replacing(target) as unfinished:
        figure.savefig(unfinished, dpi=dpi)
    return target


def rendered(figure: "Figure", kind: str) -> bytes:
    """A figure as the octets of a file, the same ones for the same figure.

    Parameters
    ----------
    figure : matplotlib Figure
    kind : str
        "svg", or another format that matplotlib writes.
    """
    import matplotlib

    sink = io.BytesIO()
    # with a random salt and the date, two files of the same numbers would differ
    with matplotlib.rc_context({"svg.hashsalt": "captum-focalogic", "svg.fonttype": "none"}):
        figure.savefig(sink, format=kind, dpi=150, metadata={"Date": None, "Creator": None} if kind == "svg" else None)
    return sink.getvalue()
