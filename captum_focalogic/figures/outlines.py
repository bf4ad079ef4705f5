"""Regions as vector outlines: what the report draws over the image and lets people touch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from captum_focalogic.arrays import Bools
from captum_focalogic.errors import InputError
from captum_focalogic.figures.canvas import widest

Point = tuple[int, int]

_LONGEST = 640
"""Label maps are thinned out to this many pixels a side: finer outlines only cost bytes."""

_STEPS: tuple[Point, ...] = ((1, 0), (0, 1), (-1, 0), (0, -1))


@dataclass(frozen=True)
class Outline:
    """One region as an SVG path.

    Attributes
    ----------
    path : str
        The path, in half pixels of the thinned label map; empty if the region is too small to be drawn.
    centre : tuple of int
        Where the region is widest, (x, y) in the same unit.
    """

    path: str
    centre: Point


@dataclass(frozen=True)
class Outlines:
    """All regions of an image.

    Attributes
    ----------
    width, height : int
        Size of the drawing, in half pixels.
    regions : tuple of Outline
        In the order of the region ids.
    """

    width: int
    height: int
    regions: tuple[Outline, ...]


def outlines(label_map: ArrayLike, region_ids: ArrayLike) -> Outlines:
    """Trace every region of a label map.

    Corners are cut by half a pixel, so that what was a flight of steps becomes a line; neighbours cut the same
    corners, so no gaps open along a border.

    Parameters
    ----------
    label_map : (H, W) int
        Region id of every pixel.
    region_ids : (M,) int
        The regions, ascending.

    Raises
    ------
    InputError
        If the label map is not two-dimensional.
    """
    labels, ids = np.asarray(label_map), np.asarray(region_ids)
    if labels.ndim != 2 or not labels.size:
        raise InputError(f"a label map must be (H, W) integers; got shape {labels.shape}")
    every = -(-max(labels.shape) // _LONGEST)
    labels = labels[::every, ::every]
    columns = np.searchsorted(ids, labels) + 1
    boxes = ndimage.find_objects(columns, max_label=len(ids))
    regions = [
        Outline("", (0, 0)) if box is None else _outline(columns[box] == j, box[1].start, box[0].start)
        for j, box in enumerate(boxes, start=1)
    ]
    return Outlines(2 * labels.shape[1], 2 * labels.shape[0], tuple(regions))


def _outline(mask: Bools, left: int, top: int) -> Outline:
    x, y, _ = widest(mask)
    path = "".join(_path(loop, 2 * left, 2 * top) for loop in _loops(mask))
    return Outline(path, (2 * (x + left) + 1, 2 * (y + top) + 1))


def _loops(mask: Bools) -> list[list[Point]]:
    """Closed borders of a mask: the corners passed, one pixel side after the other, the mask on the right."""
    padded = np.pad(mask, 1)
    inner = padded[1:-1, 1:-1]
    # For each direction, the neighbour that must lie outside, and the corner at which that side of the pixel starts.
    outside = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])
    starts = ((0, 0), (1, 0), (1, 1), (0, 1))
    leaving: dict[Point, list[int]] = {}
    for direction, (beyond, (dx, dy)) in enumerate(zip(outside, starts, strict=True)):
        for y, x in zip(*(axis.tolist() for axis in np.nonzero(inner & ~beyond)), strict=True):
            leaving.setdefault((x + dx, y + dy), []).append(direction)
    loops = []
    while leaving:
        corner = next(iter(leaving))
        direction, loop = leaving[corner][0], []
        while corner in leaving:
            ways = leaving[corner]
            # Where two pixels touch at a corner only, turning right keeps them apart.
            direction = (direction + 1) % 4 if (direction + 1) % 4 in ways else ways[0]
            ways.remove(direction)
            if not ways:
                del leaving[corner]
            loop.append(corner)
            corner = (corner[0] + _STEPS[direction][0], corner[1] + _STEPS[direction][1])
        loops.append(loop)
    return loops


def _path(loop: list[Point], left: int, top: int) -> str:
    """A loop through the middles of its sides, straight runs merged, as relative SVG commands."""
    middles = [(a[0] + b[0] + left, a[1] + b[1] + top) for a, b in zip(loop, loop[1:] + loop[:1], strict=True)]
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(middles, middles[1:] + middles[:1], strict=True)]
    merged: list[Point] = []
    for step, before in zip(steps, steps[-1:] + steps[:-1], strict=True):
        if merged and step == before:
            merged[-1] = (merged[-1][0] + step[0], merged[-1][1] + step[1])
        else:
            merged.append(step)
    drawn = " ".join(f"{dx} {dy}" for dx, dy in merged[:-1])
    return f"M{middles[0][0]} {middles[0][1]}l{drawn}z"
