"""A focus as a matplotlib figure, in the manner of Captum's ``visualize_image_attr``."""

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from captum_focalogic.errors import InputError
from captum_focalogic.focus import Focus
from captum_focalogic.report.figures import COLOUR_BLIND, PAPER, Palette, overlay, segmentation_picture
from captum_focalogic.report.html_picture import picture_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Method = Literal["overlay", "regions", "heat_map"]


def plot_focus(
    focus: Focus,
    image: ArrayLike | None = None,
    method: Method = "overlay",
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
        raise InputError("this focus has no label map, so there is no picture of it; print(focus.expression) instead")
    if method not in ("overlay", "regions", "heat_map"):
        raise InputError(f"method must be 'overlay', 'regions' or 'heat_map'; got {method!r}")
    given = focus.image if image is None else image
    pixels = np.asarray(picture_for(given, focus.label_map).convert("RGB"))
    figure, axes = plt_fig_axis or _new(fig_size, use_pyplot)
    palette: Palette = COLOUR_BLIND if colour_blind else PAPER
    if method == "heat_map":
        shares = focus.frequencies[np.searchsorted(focus.region_ids, focus.label_map)]
        shown = axes.imshow(shares, cmap=cmap, vmin=0, vmax=1)
        figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.04, label="share of the final states")
    elif method == "regions":
        axes.imshow(np.asarray(segmentation_picture(pixels, focus.label_map, names=focus.names)))
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
