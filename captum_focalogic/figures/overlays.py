"""Final states and partitions over their image, drawn with NumPy and Pillow.

Every function takes an image, (3, H, W) floats in [0, 1] or (H, W, 3) bytes, and a label map (H, W) with the region of
every pixel. Small images are enlarged by a whole number, so that borders and numbers stay legible.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw

from captum_focalogic.arrays import Bools
from captum_focalogic.errors import InputError
from captum_focalogic.figures.canvas import INK, LINE, PAGE, Canvas, Colour, Ints, font_of, print_ids, with_caption
from captum_focalogic.images import open_image, resize_image


@dataclass(frozen=True)
class Palette:
    """Colours of a focus.

    Attributes
    ----------
    shared : tuple of int
        Regions that every final state keeps; RGB, 0 to 255.
    some : tuple of int
        Regions that some final states keep.
    hatched : bool
        Whether shared regions carry stripes too, so that they can be told without colour.
    """

    shared: Colour
    some: Colour
    hatched: bool = False


PAPER = Palette(shared=(225, 30, 30), some=(255, 255, 255))
"""Red and white, as in the paper's figure 4."""

COLOUR_BLIND = Palette(shared=(0, 114, 178), some=(240, 228, 66), hatched=True)
"""Blue with stripes, and yellow, from the palette of Okabe and Ito."""

_FAINT: Colour = (170, 170, 170)
_SIDE = 640


def overlay(
    image: ArrayLike,
    label_map: ArrayLike,
    region_ids: ArrayLike,
    states: ArrayLike,
    *,
    palette: Palette = PAPER,
    show_ids: bool = False,
    legend: bool = True,
    side: int = _SIDE,
) -> Image.Image:
    """All final states in one image, as in the paper's figure 4.

    Regions that every final state keeps are red, those that some keep are white, the more so the more states keep them,
    and the rest is dimmed.

    Parameters
    ----------
    image : (3, H, W) float in [0, 1], or (H, W, 3) uint8
        The image.
    label_map : (H, W) int
        Region id of every pixel.
    region_ids : (M,) int
        Region of each column of ``states``.
    states : (S, M) bool
        Final states; S may be 0.
    palette : Palette, default PAPER
        Colours; :data:`COLOUR_BLIND` is the other one.
    show_ids : bool
        Whether to print each region's id.
    legend : bool
        Whether to say below the image what the colours mean.
    side : int
        Enlarge until the longer side has at least this many pixels.

    Returns
    -------
    PIL.Image.Image
        RGB.

    Raises
    ------
    InputError
        If the arguments do not fit one another.
    """
    canvas = Canvas(image, label_map, side)
    ids, kept = _states(region_ids, states)
    used = kept.any(axis=0)
    shared = used & kept.all(axis=0)
    covered = canvas.covers(ids[used])
    canvas.dim(~covered)
    for column in np.flatnonzero(used & ~shared):
        canvas.tint(canvas.covers(ids[column]), palette.some, 0.15 + 0.6 * float(kept[:, column].mean()))
    canvas.tint(canvas.covers(ids[shared]), palette.shared, 0.5)
    if palette.hatched:
        canvas.hatch(canvas.covers(ids[shared]), (255, 255, 255))
    canvas.outline_regions(~covered, 1, _FAINT, 0.35)
    canvas.outline_regions(covered, 1, LINE, 0.6)
    canvas.outline(covered, palette.some, 2)
    canvas.outline(canvas.covers(ids[shared]), palette.shared, 3)
    finished = canvas.finish()
    if show_ids:
        print_ids(finished, canvas, ids, None)
    return _with_legend(finished, palette, len(kept), bool(shared.any())) if legend else finished


def tile(
    image: ArrayLike,
    label_map: ArrayLike,
    region_ids: ArrayLike,
    states: ArrayLike,
    which: int,
    *,
    palette: Palette = PAPER,
    caption: str | None = None,
    show_ids: bool = False,
    side: int = _SIDE,
) -> Image.Image:
    """One final state: its regions as they are, the rest dimmed; what all final states share is framed in red.

    Parameters
    ----------
    image, label_map, region_ids, states, palette, show_ids, side
        As for :func:`overlay`.
    which : int
        Row of ``states`` to show.
    caption : str, optional
        A line below the image.

    Returns
    -------
    PIL.Image.Image
        RGB.

    Raises
    ------
    InputError
        If the arguments do not fit one another.
    """
    canvas = Canvas(image, label_map, side)
    ids, kept = _states(region_ids, states)
    if not 0 <= which < len(kept):
        raise InputError(f"there is no final state {which}: there are {len(kept)}, counted from 0")
    shared = kept[which] & kept.all(axis=0)
    canvas.dim(~canvas.covers(ids[kept[which]]))
    canvas.outline(canvas.covers(ids[kept[which]]), palette.some, 2)
    canvas.outline(canvas.covers(ids[shared]), palette.shared, 3)
    finished = canvas.finish()
    if show_ids:
        print_ids(finished, canvas, ids[kept[which]], None)
    return with_caption(finished, caption) if caption else finished


def regions_image(
    image: ArrayLike,
    label_map: ArrayLike,
    *,
    names: Mapping[int, str] | None = None,
    side: int = _SIDE,
) -> Image.Image:
    """A partition: every region tinted, framed and numbered.

    Parameters
    ----------
    image : (3, H, W) float in [0, 1], or (H, W, 3) uint8
        The image.
    label_map : (H, W) int
        Region id of every pixel.
    names : mapping of int to str, optional
        Printed below the ids.
    side : int
        Enlarge until the longer side has at least this many pixels.

    Returns
    -------
    PIL.Image.Image
        RGB.

    Raises
    ------
    InputError
        If image and label map do not fit one another.
    """
    canvas = Canvas(image, label_map, side)
    ids, position = np.unique(canvas.labels, return_inverse=True)
    canvas.wash(np.array(_TINTS, dtype=np.float32)[position.reshape(canvas.labels.shape) % len(_TINTS)], 0.22)
    canvas.outline_regions(np.ones_like(canvas.labels, dtype=np.bool_), 2, PAGE, 0.8)
    finished = canvas.finish()
    print_ids(finished, canvas, ids, names)
    return finished


def contact_sheet(
    images: Sequence[Image.Image], *, columns: int | None = None, width: int = 320, gap: int = 10
) -> Image.Image:
    """Images side by side on one white page.

    Parameters
    ----------
    images : sequence of PIL.Image.Image
        At least one.
    columns : int, optional
        Images in a row; by default as many rows as columns, or one row more.
    width : int
        Width in pixels that each image is brought to.
    gap : int
        Pixels between and around them.

    Returns
    -------
    PIL.Image.Image
        RGB.

    Raises
    ------
    InputError
        If there is no image, or a number is out of range.
    """
    if not images:
        raise InputError("a contact sheet needs at least one image")
    columns = math.isqrt(len(images) - 1) + 1 if columns is None else columns
    if columns < 1 or width < 1 or gap < 0:
        raise InputError(f"columns and width must be at least 1, gap at least 0; got {columns}, {width}, {gap}")
    columns = min(columns, len(images))
    fitted = [
        resize_image(
            open_image(image), max(1, round(image.height * width / image.width)), width, Image.Resampling.LANCZOS
        )
        for image in images
    ]
    rows = [fitted[start : start + columns] for start in range(0, len(fitted), columns)]
    heights = [max(image.height for image in row) for row in rows]
    page = Image.new("RGB", (gap + columns * (width + gap), gap + sum(height + gap for height in heights)), PAGE)
    top = gap
    for row, height in zip(rows, heights, strict=True):
        for position, image in enumerate(row):
            page.paste(image, (gap + position * (width + gap), top))
        top += height + gap
    return page


_TINTS: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)


def _states(region_ids: ArrayLike, states: ArrayLike) -> tuple[Ints, Bools]:
    ids, kept = np.asarray(region_ids), np.asarray(states)
    if ids.ndim != 1 or kept.ndim != 2 or kept.shape[1] != len(ids):
        raise InputError(f"region_ids must be (M,) and states (S, M) with the same M; got {ids.shape}, {kept.shape}")
    return ids.astype(np.int64), kept.astype(np.bool_)


def _with_legend(image: Image.Image, palette: Palette, count: int, any_shared: bool) -> Image.Image:
    """The image above coloured squares and what they mean."""
    states = {1: "the final state", 2: "both final states"}.get(count, f"all {count} final states")
    entries = [(palette.shared, f"in {states}")] if any_shared else []
    if count > 1:
        said = "in some" if any_shared else f"in some of {count} final states"
        entries.append((palette.some, f"{said} (fainter: in fewer)" if count > 2 else said))
    entries.append(((70, 70, 70), "in none"))
    margin = round(image.width / 40)
    font = _font_that_fits([text for _, text in entries], image.width, margin)
    square = round(font.getbbox("Ag")[3])
    page = Image.new("RGB", (image.width, image.height + square + 2 * margin), PAGE)
    page.paste(image, (0, 0))
    draw = ImageDraw.Draw(page)
    left, top = margin, image.height + margin
    for colour, text in entries:
        draw.rectangle((left, top, left + square, top + square), fill=colour, outline=INK)
        draw.text((left + 1.4 * square, top + square / 2), text, fill=INK, font=font, anchor="lm")
        left += round(1.4 * square + font.getlength(text)) + 2 * margin
    return page


def _font_that_fits(texts: Sequence[str], width: int, margin: int) -> Any:
    """The largest usual font in which a legend's texts and squares stand in one line."""
    size = width / 30
    while True:
        font = font_of(size)
        needed = sum(1.4 * font.getbbox("Ag")[3] + font.getlength(text) + 2 * margin for text in texts)
        if needed <= width or size < 10:
            return font
        size *= 0.95
