"""Masks as COCO writes them: run lengths, plain or compressed, and polygons."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.errors import InputError

Bools = NDArray[np.bool_]


def decode_rle(rle: Mapping[str, Any]) -> Bools:
    """A mask from run lengths.

    Parameters
    ----------
    rle : mapping
        ``size``: (height, width); ``counts``: lengths of alternating runs of absent and present pixels, down the
        columns, as a list or as COCO's compressed text.

    Returns
    -------
    (H, W) bool

    Raises
    ------
    InputError
        If the runs do not fill the size.
    """
    try:
        height, width = (int(side) for side in rle["size"])
        counts = rle["counts"]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"run lengths need size (height, width) and counts; got {_short(rle)}") from error
    runs = _uncompress(counts) if isinstance(counts, str | bytes) else [int(count) for count in counts]
    if any(run < 0 for run in runs) or sum(runs) != height * width:
        raise InputError(f"run lengths must be at least 0 and fill {height}x{width} pixels; they sum to {sum(runs)}")
    values = np.arange(len(runs)) % 2 == 1
    return np.ascontiguousarray(np.repeat(values, runs).reshape(width, height).T)


def encode_rle(mask: NDArray[Any]) -> dict[str, Any]:
    """Run lengths of a mask (H, W), as a list of counts."""
    pixels = np.asarray(mask, dtype=np.bool_)
    flat = pixels.T.reshape(-1)
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], ends, [flat.size]])).tolist() if flat.size else []
    if flat.size and flat[0]:
        counts = [0, *counts]
    return {"size": list(pixels.shape), "counts": counts}


def draw_polygons(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> Bools:
    """A mask from polygons.

    Parameters
    ----------
    polygons : sequence of flat sequences x1, y1, x2, y2, …
        In pixels from the left and the top; the mask is their union.
    size : (int, int)
        Height and width.

    Raises
    ------
    InputError
        If a polygon has fewer than three points.
    """
    from skimage.draw import polygon as inside

    mask = np.zeros(size, dtype=np.bool_)
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise InputError(f"a polygon is x1, y1, x2, y2, … of at least three points; got {_short(polygon)}")
        # The centre of the first pixel is at 0.5, where the drawing counts from 0.
        corners = np.asarray(polygon, dtype=np.float64).reshape(-1, 2) - 0.5
        mask[inside(corners[:, 1], corners[:, 0], size)] = True  # type: ignore[no-untyped-call]
    return mask


def draw_box(box: Sequence[float], size: tuple[int, int]) -> Bools:
    """A mask from a box (left, top, right, bottom) in pixels, right and bottom exclusive; what lies outside is cut."""
    height, width = size
    left, top, right, bottom = (round(value) for value in box)
    mask = np.zeros(size, dtype=np.bool_)
    mask[max(0, top) : max(0, min(height, bottom)), max(0, left) : max(0, min(width, right))] = True
    return mask


def _uncompress(text: str | bytes) -> list[int]:
    """COCO's text: six-bit groups from character 48, low first; bit 32 continues, bit 16 of the last is the sign.

    From the fourth run on, a number is the difference to the run two before.
    """
    codes = text if isinstance(text, bytes) else text.encode()
    runs: list[int] = []
    value = shift = 0
    for code in codes:
        group = code - 48
        if not 0 <= group < 64:
            raise InputError(f"run lengths hold the character {chr(code)!r}, which COCO's compression does not write")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise InputError("run lengths end in the middle of a number; the text is cut short")
    return runs


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
