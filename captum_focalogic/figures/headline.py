"""The answer at a glance: what is enough, in its own colours, beside the alternatives and what cannot go.

Nothing is painted over the evidence. What is not of it is grey and of little contrast, so that evidence of any colour
and brightness stands out: a black dog, a white bird, a red macaw.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from captum_focalogic.arrays import Bools
from captum_focalogic.errors import InputError
from captum_focalogic.figures.canvas import (
    INK,
    PAGE,
    Canvas,
    Colour,
    Ints,
    backdrop,
    depth_of,
    font_of,
    widest,
    wrapped,
)
from captum_focalogic.focus import Focus
from captum_focalogic.images import Shrink, resize_image, resize_labels
from captum_focalogic.levels import coarse_of, part_names
from captum_focalogic.search.certificate import percent
from captum_focalogic.search.growth import GrownSets
from captum_focalogic.summary import (
    MOST_PARTS,
    enough_text,
    grown_set_text,
    grown_text,
    regions_text,
    target_text,
    then_text,
)

ALTERNATIVES = 3
"""Other sets that are shown, at most."""

_SIDE = 640
_LARGEST = 900
_SMALL = 290
_GREY, _LIFT = 0.38, 42.0
_QUIET: Colour = (215, 215, 215)
_FARTHEST = 0.12
_BOLD = 3.5
_MARK: Colour = (255, 214, 10)

Bytes = NDArray[np.uint8]

Panel = tuple[Image.Image, str]
"""A small image, and what is said below it."""


def headline(
    focus: Focus,
    image: ArrayLike | None = None,
    *,
    fill: ArrayLike | None = None,
    against: str | None = None,
    grown: GrownSets | None = None,
    side: int = _SIDE,
) -> Image.Image:
    """The strongest sufficient set, up to three others, and the smallest critical set with what the model then says.

    Parameters
    ----------
    focus : Focus
        With a label map.
    image : (3, H, W) float in [0, 1], or (H, W, 3) uint8, optional
        The image; the focus's own by default.
    fill : (H, W, 3) or (1, 1, 3) uint8, optional
        What dropped regions were filled with. With it the critical set is shown as the model saw it, else dimmed.
    against : str, optional
        The class that the explained one was held against, where the criterion is of that kind.
    grown : GrownSets, optional
        Sets that are called the explained class where the whole image is not; shown in place of final states.
    side : int
        Enlarge until the longer side of the large image has at least this many pixels; larger ones are shrunk to 900.

    Returns
    -------
    PIL.Image.Image
        RGB.

    Raises
    ------
    InputError
        If the focus has no label map, or the image does not fit it.
    """
    pixels, labels = _fitted(focus, image)
    states = focus.final_states[focus.strongest] if grown is None else grown.states
    first = states[0] if len(states) else np.zeros(focus.num_regions, dtype=np.bool_)
    if grown is None and focus.zoomed is not focus:
        return _zoomed(focus, pixels, labels, fill, against, side)
    main = evidence_image(pixels, labels, focus.region_ids, first, numbers=True, side=side)
    others = range(1, min(len(states), 1 + ALTERNATIVES))
    texts = [_other(focus, row) if grown is None else f"And {grown_set_text(focus, grown, row)}" for row in others]
    panels: list[Panel] = [
        (evidence_image(pixels, labels, focus.region_ids, states[row], side=_SMALL), text)
        for row, text in zip(others, texts, strict=True)
    ]
    panels += _without(focus, pixels, labels, fill, against)
    said = _enough(focus, against) if grown is None else _grown(focus, grown)
    return _page(main, _decision(focus), said, panels)


def _zoomed(
    focus: Focus, pixels: Bytes, labels: Ints, fill: ArrayLike | None, against: str | None, side: int
) -> Image.Image:
    """The finest level that holds, beside its alternatives, the whole regions that it lies in, and the critical set."""
    fine = focus.zoomed
    states, parts = fine.final_states[fine.strongest], _fitted(fine, pixels)[1]
    main = parts_image(pixels, parts, fine, states[0], side=side)
    panels: list[Panel] = [
        (evidence_image(pixels, parts, fine.region_ids, states[row], side=_SMALL), _other(fine, row))
        for row in range(1, min(len(states), ALTERNATIVES))
    ]
    # The sufficient set of whole regions that the parts lie in, or the strongest where a larger one was zoomed into.
    lies_in = {coarse_of(region, fine.parents) for region in fine.region_ids[states[0]].tolist()}
    around = [row for row in focus.strongest if lies_in <= set(focus.region_ids[focus.final_states[row]].tolist())]
    whole = focus.final_states[around[0] if around else focus.strongest[0]]
    second = "" if focus.zoom is None or any(focus.zoom.coarse_holds) else f"; falls with {focus.zoom.second}"
    said = f"{regions_text(focus, whole, 'and')} alone, {percent(float(focus.areas[whole].sum()))} of the image{second}"
    panels.append((evidence_image(pixels, labels, focus.region_ids, whole, side=_SMALL), f"Whole regions: {said}"))
    panels += _without(focus, pixels, labels, fill, against)
    also = "" if focus.zoom is None else f"; holds with {focus.zoom.second} too"
    return _page(main, _decision(focus), f"{_enough(fine, against)}{also}", panels)


def parts_image(
    image: ArrayLike, label_map: ArrayLike, focus: Focus, state: Bools, *, side: int = _SIDE
) -> Image.Image:
    """A set of parts in their own colours, with their numbers; of many parts only those of the whole regions.

    Parameters are those of :func:`evidence_image`; the focus tells what regions are parts of.
    """
    region_ids, labels = focus.region_ids, np.asarray(label_map)
    names: Mapping[int, str] = part_names(region_ids, focus.parents)
    if state.sum() > MOST_PARTS:
        whole = np.array([coarse_of(region, focus.parents) for region in region_ids.tolist()], dtype=np.int64)
        # What is not shown of a region that is cut is one region more, without a number.
        rest = np.isin(whole, [coarse_of(part, focus.parents) for part in focus.parents]) & ~state
        shown = np.where(rest, whole - whole.min() + 1 + whole.max(), whole)
        labels = shown[np.searchsorted(region_ids, labels)]
        region_ids, first = np.unique(shown, return_index=True)
        state, names = state[first], dict.fromkeys(shown[rest].tolist(), "")
    return evidence_image(image, labels, region_ids, state, numbers=True, names=names, side=side)


def evidence_image(
    image: ArrayLike,
    label_map: ArrayLike,
    region_ids: Ints,
    state: Bools,
    *,
    numbers: bool = False,
    marked: Bools | None = None,
    names: Mapping[int, str] | None = None,
    side: int = _SIDE,
) -> Image.Image:
    """Some regions as they are, to the bit; the rest without colour and of little contrast.

    Parameters
    ----------
    image : (3, H, W) float in [0, 1], or (H, W, 3) uint8
        The image.
    label_map : (H, W) int
        Region id of every pixel.
    region_ids : (M,) int64
        Region of each column of ``state``.
    state : (M,) bool
        Regions to show.
    numbers : bool
        Whether to outline the other regions and to print all ids, none of them on what is shown.
    marked : (H, W) bool, optional
        Pixels to draw a thin line around, wherever they are.
    names : mapping of int to str, optional
        What to print for parts of regions; those that are not shown get nothing.
    side : int
        Enlarge until the longer side has at least this many pixels.
    """
    canvas = Canvas(image, label_map, side)
    shown = canvas.covers(region_ids[state])
    canvas.mute(~shown, _GREY, _LIFT)
    if numbers:
        canvas.outline_regions(~shown, 0, PAGE, 0.22)
    canvas.frame(shown, 2 if numbers else _BOLD)
    if marked is not None:
        canvas.outline(canvas.enlarged(marked), _MARK, 1)
    finished = canvas.finish()
    if not numbers:
        return finished
    evidence = np.array(finished)
    _print_numbers(finished, canvas, region_ids, state, shown, names or {})
    # Whatever a number's edge touched is put back.
    return Image.fromarray(np.where(shown[..., None], evidence, np.asarray(finished)))


def removal_image(
    image: ArrayLike,
    label_map: ArrayLike,
    region_ids: Ints,
    dropped: Bools,
    fill: ArrayLike | None = None,
    *,
    side: int = _SMALL,
) -> Image.Image:
    """The image with some regions taken away: filled as the model saw it, or dimmed; parameters as above."""
    canvas = Canvas(image, label_map, side)
    gone = canvas.covers(region_ids[dropped])
    if fill is None:
        canvas.mute(gone, _GREY, _LIFT)
    else:
        height, width = canvas.labels.shape
        whole = np.broadcast_to(np.asarray(fill, dtype=np.uint8), (*np.shape(label_map), 3))
        values = resize_image(Image.fromarray(np.ascontiguousarray(whole)), height, width)
        canvas.paste(gone, np.asarray(values))
    canvas.outline_regions(gone, 0, PAGE, 0.22)
    canvas.frame(~gone, _BOLD)
    return canvas.finish()


def _fitted(focus: Focus, image: ArrayLike | None) -> tuple[Bytes, Ints]:
    """Image and label map, shrunk where they are large."""
    if focus.label_map is None:
        raise InputError("a focus without a label map cannot be shown")
    opened = backdrop(focus.image if image is None else image, focus.label_map).convert("RGB")
    shrunk = Shrink(_LARGEST)(opened)
    return np.asarray(shrunk), resize_labels(focus.label_map, shrunk.height, shrunk.width)


def _decision(focus: Focus) -> str:
    """What the model says to the whole image."""
    prediction = focus.prediction
    if prediction is None or focus.target is None:
        return ""
    likely = "" if prediction.probability is None else f" {prediction.probability:.2f}"
    return f"Whole image: {prediction.name or f'class {prediction.index}'}{likely}"


def _enough(focus: Focus, against: str | None) -> str:
    """What the large image shows; and that what is dimmed in it was filled when the model was asked."""
    states = focus.final_states[focus.strongest]
    asked = _filled(focus) if len(states) else ""
    if against is not None or not len(states) or not states[0].any():
        return f"Enough: {enough_text(focus, against).splitlines()[0]}{asked}"
    kept = focus.probabilities[focus.strongest[0]]
    likely = "" if np.isnan(kept) else f": {target_text(focus)} {kept:.2f}"
    unfinished = ", maybe more than needed" if focus.unfinished[focus.strongest[0]] else ""
    share = percent(float(focus.areas[states[0]].sum()))
    return f"Enough: {regions_text(focus, states[0], 'and')} alone, {share} of the image{unfinished}{likely}{asked}"


def _other(focus: Focus, place: int) -> str:
    """A further sufficient set, with the explained class's probability."""
    row = focus.strongest[place]
    kept = focus.probabilities[row]
    likely = "" if np.isnan(kept) else f": {target_text(focus)} {kept:.2f}"
    return f"Or {regions_text(focus, focus.final_states[row], 'and')} alone{likely}"


def _grown(focus: Focus, grown: GrownSets) -> str:
    """What the large image shows where the whole image is not called so."""
    if not len(grown):
        return grown_text(focus, grown)
    text = grown_set_text(focus, grown, 0)
    share = percent(float(focus.areas[grown.states[0]].sum()))
    return f"{text[:1].upper()}{text[1:]}, {share} of the image{_filled(focus)}"


def _filled(focus: Focus) -> str:
    """What the dimmed rest was filled with when the model was asked."""
    asked = focus.provenance
    filled = (asked.baseline or asked.fill) if asked.removal == "fill" else None
    shade = "mean colour" if filled == "mean" else filled
    return "" if filled is None else f" (the dimmed rest was filled with {shade})"


def _without(focus: Focus, pixels: Bytes, labels: Ints, fill: ArrayLike | None, against: str | None) -> list[Panel]:
    """The smallest critical set, and what the model says without it."""
    critical = focus.critical
    if critical is None or not len(critical):
        return []
    dropped = critical.states[0]
    drawn = removal_image(pixels, labels, focus.region_ids, dropped, fill)
    then = then_text(focus, critical, 0, against)
    return [(drawn, f"Without {regions_text(focus, dropped, 'and')}, all else kept, {then}")]


def _page(main: Image.Image, title: str, caption: str, panels: Sequence[Panel]) -> Image.Image:
    """A title above the large image, its caption below, and the small ones beside it, in one column or two."""
    gap = round(max(main.size) / 32)
    small = (round(max(main.size) * 0.43), round(max(main.size) * 0.46))
    large_font, font = font_of(gap * 1.25), font_of(gap * 0.9)
    top = gap + (round(gap * 1.9) if title else 0)
    left = _captioned(main, caption, font)
    cells = [_captioned(_within(image, small), text, font) for image, text in panels]
    columns = 2 if len(cells) > 2 else 1
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    width = gap + left.width + (columns * (small[0] + gap) if cells else 0) + gap
    height = top + max(left.height, sum(max(cell.height for cell in row) + gap for row in rows)) + gap // 2
    page = Image.new("RGB", (width, height), PAGE)
    ImageDraw.Draw(page).text((gap, gap), title, fill=INK, font=large_font)
    page.paste(left, (gap, top))
    y = top
    for row in rows:
        for column, cell in enumerate(row):
            page.paste(cell, (2 * gap + left.width + column * (small[0] + gap), y))
        y += max(cell.height for cell in row) + gap
    return page


def _captioned(image: Image.Image, text: str, font: Any) -> Image.Image:
    """An image above its caption."""
    lines = wrapped(text, font, image.width)
    box = ImageDraw.Draw(image).multiline_textbbox((0, 0), lines, font=font)
    cell = Image.new("RGB", (max(image.width, math.ceil(box[2])), image.height + math.ceil(box[3] + font.size)), PAGE)
    cell.paste(image, (0, 0))
    ImageDraw.Draw(cell).multiline_text((0, image.height + font.size * 0.4), lines, fill=INK, font=font)
    return cell


def _within(image: Image.Image, box: tuple[int, int]) -> Image.Image:
    scale = min(box[0] / image.width, box[1] / image.height)
    return resize_image(
        image, max(1, round(image.height * scale)), max(1, round(image.width * scale)), Image.Resampling.LANCZOS
    )


def _print_numbers(
    image: Image.Image, canvas: Canvas, region_ids: Ints, state: Bools, shown: Bools, names: Mapping[int, str]
) -> None:
    """All ids on what is not shown: in a disc beside its region where that is shown, small in the middle of the others.

    Those for which there is no room are left out.
    """
    draw = ImageDraw.Draw(image)
    size = max(image.size) / 36
    large, small = font_of(size), font_of(size * 0.75)
    free = ~shown
    for region in region_ids[state].tolist():
        text = names.get(region, str(region))
        radius = round(0.55 * max(size, large.getlength(text))) + 3
        place = _place_beside(canvas.covers(np.array([region])), free, shown, radius)
        if place is not None:
            (x, y), end = place
            draw.line([(x, y), end], fill=PAGE, width=max(1, round(size / 10)))
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=PAGE, outline=(0, 0, 0))
            draw.text((x, y), text, fill=(0, 0, 0), font=large, anchor="mm")
            rows, columns = np.ogrid[: free.shape[0], : free.shape[1]]
            free = free & ((rows - y) ** 2 + (columns - x) ** 2 > (radius + 2) ** 2)
    for region in [region for region in region_ids[~state].tolist() if region not in names]:
        x, y, depth = widest(canvas.covers(np.array([region])) & free)
        if depth > 0.45 * max(small.size, small.getlength(str(region))):
            draw.text((x, y), str(region), fill=_QUIET, font=small, anchor="mm")


def _place_beside(
    mask: Bools, free: Bools, shown: Bools, radius: int
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """The centre of a disc in the free area nearest to a region, and where a line from it meets the region."""
    if not mask.any():
        return None
    away, nearest = ndimage.distance_transform_edt(~mask, return_indices=True)
    room = depth_of(free) > radius + 2
    if not room.any():
        return None
    y, x = (int(each) for each in np.unravel_index(int(np.where(room, away, np.inf).argmin()), mask.shape))
    end_y, end_x = int(nearest[0, y, x]), int(nearest[1, y, x])
    steps = max(abs(end_y - y), abs(end_x - x), 1)
    line = np.rint(np.linspace((y, x), (end_y, end_x), steps + 1)).astype(np.int64)
    crossed = shown[line[:, 0], line[:, 1]] & ~mask[line[:, 0], line[:, 1]]
    if away[y, x] > _FARTHEST * max(mask.shape) or crossed.any():
        return None
    met = int(mask[line[:, 0], line[:, 1]].argmax())
    last = line[max(0, met - 1)]
    return (x, y), (int(last[1]), int(last[0]))
