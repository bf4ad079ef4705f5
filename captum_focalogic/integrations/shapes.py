"""Regions from shapes: COCO's run lengths, and polygons."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from captum_focalogic.errors import InputError
from captum_focalogic.files import read_text
from captum_focalogic.integrations.rle import decode_rle, draw_polygons
from captum_focalogic.regions import MIN_AREA, Labels, labels_from_masks

Shape = Mapping[str, Any] | Sequence[Any]
"""Run lengths (size and counts), or a polygon x1, y1, x2, y2, …, or several polygons that are one region."""


class Shapes:
    """A segmenter whose regions are given shapes.

    Smaller shapes lie on top of larger ones; what no shape covers is one extra region.

    Parameters
    ----------
    shapes : sequence of Shape, str or Path
        The shapes in pixels of the image, or a JSON file with a list of them (or a list of COCO annotations).
    min_area : float, default 1e-3
        Share of the image below which a region joins the extra one.

    Raises
    ------
    InputError
        If the file cannot be read or a shape is none; when called, if run lengths are of another size than the image.

    Examples
    --------
    >>> import torch
    >>> Shapes([[0, 0, 2, 0, 2, 1, 0, 1]])(torch.zeros(3, 1, 3))
    array([[1, 1, 0]])
    """

    def __init__(self, shapes: Sequence[Shape] | str | Path, min_area: float = MIN_AREA) -> None:
        self.shapes = _read(shapes) if isinstance(shapes, str | Path) else list(shapes)
        self.min_area = min_area
        if not self.shapes:
            raise InputError("there are no shapes; give at least one, or leave the segmenter out")

    def __call__(self, image: Tensor) -> Labels:
        """Regions of an image (3, H, W): 1 … M for shapes, 0 for the rest, (H, W)."""
        size = (int(image.shape[-2]), int(image.shape[-1]))
        return labels_from_masks(np.stack([_mask(shape, size) for shape in self.shapes]), self.min_area)


def _mask(shape: Shape, size: tuple[int, int]) -> Any:
    if isinstance(shape, Mapping):
        if "segmentation" in shape:
            return _mask(shape["segmentation"], size)
        mask = decode_rle(shape)
        if mask.shape != size:
            raise InputError(f"run lengths are of {mask.shape} pixels (height, width) but the image is {size}")
        return mask
    several = bool(shape) and not isinstance(shape[0], int | float)
    return draw_polygons(shape if several else [shape], size)


def _read(path: str | Path) -> list[Shape]:
    try:
        content = json.loads(read_text(path))
    except (OSError, ValueError) as error:
        raise InputError(f"the shapes {path} cannot be read: {error}") from error
    listed = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(listed, list) or not all(isinstance(shape, list | dict) for shape in listed):
        raise InputError(f"{path} must hold a JSON list of run lengths or polygons")
    return listed
