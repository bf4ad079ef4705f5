"""Segmenters: how an image is cut into regions.

A segmenter is any callable that maps an image, a (3, H, W) float tensor in [0, 1], to an (H, W) array or tensor of
integer region ids that covers every pixel. Those here need nothing beyond the core dependencies; Segment Anything and
others are in :mod:`captum_focalogic.integrations`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from captum_focalogic import names
from captum_focalogic.errors import InputError, warn
from captum_focalogic.files import read_array
from captum_focalogic.images import decode_image
from captum_focalogic.regions import MIN_AREA, Labels, merge_small

Segmenter = Callable[[Tensor], NDArray[np.integer] | Tensor]
"""Image (3, H, W) in [0, 1] to region ids (H, W)."""

Pixels = NDArray[np.float32]
"""An image for scikit-image, (H, W, 3) in [0, 1]."""

_SLIC_ATTEMPTS = 6
_SLIC_SMOOTHING = 1 / 80
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Grid:
    """Rectangular cells of equal size, up to one pixel, numbered from 1 row by row.

    Parameters
    ----------
    rows, columns : int
        At least 1, and no more than the image has.

    Raises
    ------
    InputError
        If a number is below 1; when called, if the image is smaller than the grid.
    """

    rows: int = 4
    columns: int = 4

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1:
            raise InputError(f"a grid needs at least 1 row and 1 column; got {self.rows}x{self.columns}")

    @classmethod
    def from_text(cls, text: str) -> "Grid":
        """A grid from ``ROWSxCOLUMNS``, or one number for both; the usual one from nothing."""
        rows, cross, columns = text.partition("x")
        return cls(*(whole(number, text, "grid") for number in (rows, columns if cross else rows))) if text else cls()

    def __call__(self, image: Tensor) -> Labels:
        """Cut an image."""
        height, width = pixels_of(image).shape[:2]
        if self.rows > height or self.columns > width:
            raise InputError(
                f"a grid of {self.rows}x{self.columns} cells does not fit an image of {height}x{width} pixels"
            )
        row = np.arange(height, dtype=np.int64) * self.rows // height
        column = np.arange(width, dtype=np.int64) * self.columns // width
        return _checked(1 + row[:, None] * self.columns + column, self.rows * self.columns, "the grid")


@dataclass(frozen=True)
class Slic:
    """Superpixels: k-means over colour and place (Achanta et al. 2012; scikit-image), numbered from 1.

    SLIC sets its seeds on a regular grid and absorbs fragments, so it misses a small number of segments by a third
    either way. It is given just enough seeds here to find at least as many segments as asked, and neighbours of like
    colour are then joined until the number is right.

    Parameters
    ----------
    n_segments : int, default 12
        Regions wanted.
    compactness : float, default 20
        Weight of place against colour: larger values give rounder regions. Raised where noise leaves fewer than half of
        the regions asked.
    sigma : float, optional
        Width in pixels of the blur before clustering; by default 1/80 of the image's shorter side, which keeps
        textures from fraying the borders at any resolution.
    min_area : float, default 1e-3
        Regions below this share of the image join a neighbour (paper section 3.6).

    Raises
    ------
    InputError
        If a parameter is out of range.

    Warns
    -----
    UserWarning
        If fewer than half as many regions come out as were asked, or a single one.
    """

    n_segments: int = 12
    compactness: float = 20.0
    sigma: float | None = None
    min_area: float = MIN_AREA

    def __post_init__(self) -> None:
        if self.n_segments < 1:
            raise InputError(f"n_segments must be at least 1; got {self.n_segments}")
        if not self.compactness > 0:
            raise InputError(f"compactness must be positive; got {self.compactness}")
        if self.sigma is not None and not self.sigma >= 0:
            raise InputError(f"sigma must not be negative; got {self.sigma}")
        if not 0 <= self.min_area < 1:
            raise InputError(f"min_area is a share of the image, at least 0 and below 1; got {self.min_area}")

    @classmethod
    def from_text(cls, text: str) -> "Slic":
        """So many superpixels; the usual number from nothing."""
        return cls(whole(text, text, "slic")) if text else cls()

    def __call__(self, image: Tensor) -> Labels:
        """Cut an image."""
        pixels = pixels_of(image)
        seeds, compactness = self.n_segments, self.compactness
        labels = self._superpixels(pixels, seeds, compactness)
        for _ in range(_SLIC_ATTEMPTS - 1):
            found = _count(labels)
            if found >= self.n_segments:
                break
            seeds += math.ceil(seeds / 8)
            # Noise breaks clusters into fragments that are all absorbed; place then has to count for more.
            compactness *= 2 if 2 * found < self.n_segments else 1
            labels = self._superpixels(pixels, seeds, compactness)
        return _checked(join_alike(labels, pixels, self.n_segments), self.n_segments, "SLIC")

    def _superpixels(self, pixels: Pixels, seeds: int, compactness: float) -> Labels:
        from skimage.segmentation import slic

        sigma = _SLIC_SMOOTHING * min(pixels.shape[:2]) if self.sigma is None else self.sigma
        labels = slic(pixels, n_segments=seeds, compactness=compactness, sigma=sigma, start_label=1, channel_axis=-1)
        return merge_small(labels, self.min_area)


@dataclass(frozen=True)
class LabelMapFile:
    """Regions drawn by hand or made by another program: a file whose pixel values are region ids.

    Parameters
    ----------
    path : str or Path
        A PNG (or other lossless image) with one integer channel or a palette, or a NumPy ``.npy`` file with an
        integer (H, W) array. Every different value is a region; the smallest regions are not merged.

    Raises
    ------
    InputError
        When called: if the file cannot be read, is no label map, or is not of the image's size.
    """

    path: str | Path

    def __call__(self, image: Tensor) -> Labels:
        """The file's regions, for an image of the same size."""
        labels = read_label_map(self.path)
        height, width = image.shape[-2:]
        if labels.shape != (height, width):
            raise InputError(
                f"the label map {self.path} is {labels.shape[1]}x{labels.shape[0]} pixels (width x height) but the "
                f"image is {width}x{height}; make it the size of the image"
            )
        return _checked(labels, 2, f"the label map {self.path}")


def read_label_map(path: str | Path) -> Labels:
    """Read region ids from an image or a NumPy file; see :class:`LabelMapFile`.

    Returns
    -------
    (H, W) int64

    Raises
    ------
    InputError
        If the file cannot be read or is no label map.
    """
    values = read_array(path) if str(path).lower().endswith(".npy") else _read_ids(path)
    if values.ndim != 2 or not (np.issubdtype(values.dtype, np.integer) or values.dtype == np.bool_):
        raise InputError(
            f"{path} holds no label map: expected one integer a pixel, shape (H, W); got shape {values.shape} of type "
            f"{values.dtype}"
        )
    if not values.size:
        raise InputError(f"{path} holds no label map: it has no pixels")
    return values.astype(np.int64)


def segmenter_from_text(text: str) -> Segmenter:
    """A segmenter from its name, such as ``slic:20``, ``grid:3x3`` or ``sam``; or from the file of a label map.

    Raises
    ------
    InputError
        If the name is unknown, its text is malformed, or what a package registers under it is no segmenter.
    """
    if Path(text).suffix.lower() in _LABEL_MAP_SUFFIXES:
        return LabelMapFile(text)
    found: Segmenter = names.find("segmenter", text, also=[f"a label map's file ({', '.join(_LABEL_MAP_SUFFIXES)})"])
    if not callable(found):
        raise InputError(f"what {names.package_of('segmenter', text)} registers as {text!r} cannot be called")
    return found


_LABEL_MAP_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".npy")


def pixels_of(image: Tensor) -> Pixels:
    """An image as (H, W, 3) float32 on the CPU; a single channel is repeated.

    Raises
    ------
    InputError
        If it is not a (3, H, W) or (1, H, W) tensor of finite values in [0, 1].
    """
    if image.dim() != 3 or image.shape[0] not in (1, 3) or not image.numel():
        raise InputError(f"a segmenter needs one image of shape (3, H, W); got {tuple(image.shape)}")
    pixels = image.detach().float().cpu().numpy()
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
        raise InputError(
            f"a segmenter needs values in [0, 1]; these lie in [{low:.3g}, {high:.3g}]. "
            "If the model's inputs are normalised, pass to_image=, a function that undoes it"
        )
    pixels = np.broadcast_to(pixels, (3, *pixels.shape[1:]))
    return np.ascontiguousarray(pixels.transpose(1, 2, 0).clip(0, 1))


def join_alike(labels: Labels, pixels: Pixels, count: int) -> Labels:
    """Join adjacent regions until ``count`` are left, always the pair that adds least colour variance (Ward 1963).

    Parameters
    ----------
    labels : (H, W) int
        Region id of every pixel.
    pixels : (H, W, 3) float
        The image, in [0, 1].
    count : int
        Regions wanted; where there are no more, nothing is joined.

    Returns
    -------
    (H, W) int64
        1 … M.
    """
    from skimage.color import rgb2lab

    colours = rgb2lab(pixels).reshape(-1, 3)
    regions = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    while (left := _count(regions)) > count:
        sizes = np.bincount(regions.reshape(-1))
        sums = np.stack([np.bincount(regions.reshape(-1), weights=channel) for channel in colours.T], axis=1)
        means = sums / sizes[:, None]
        one, other = _borders(regions, left)
        weight = sizes[one] * sizes[other] / (sizes[one] + sizes[other])
        cheapest = int(np.argmin(weight * ((means[one] - means[other]) ** 2).sum(axis=1)))
        regions[regions == other[cheapest]] = one[cheapest]
        regions = np.unique(regions, return_inverse=True)[1].reshape(labels.shape)
    return regions.astype(np.int64) + 1


def _borders(regions: NDArray[np.intp], count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of adjacent regions, lower number first."""
    touching = np.zeros((count, count), dtype=np.bool_)
    touching[regions[1:], regions[:-1]] = True
    touching[regions[:, 1:], regions[:, :-1]] = True
    one, other = np.nonzero(np.triu(touching | touching.T, k=1))
    return one, other


def _count(labels: NDArray[np.integer]) -> int:
    return len(np.unique(labels))


def _checked(labels: Labels, asked: int, who: str) -> Labels:
    """The labels, after a warning if they are a partition that can explain little."""
    found = _count(labels)
    if found == 1:
        warn(f"{who} gives a single region: the only explanation left is the whole image")
    elif 2 * found < asked:
        warn(f"{who} gives {found} regions where {asked} were asked")
    return labels


def _read_ids(path: str | Path) -> NDArray[Any]:
    image = decode_image(path, "label map")
    if image.mode not in _LABEL_MODES:
        raise InputError(
            f"{path} is a colour image (mode {image.mode}); a label map has one integer channel or a palette, each "
            "pixel value being a region id"
        )
    return np.asarray(image)


_LABEL_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L", "I;16N")


def whole(number: str, text: str, name: str) -> int:
    """A number in the text behind a segmenter's name.

    Raises
    ------
    InputError
        If it is no whole number.
    """
    if not number.isdecimal():
        raise names.miswritten("segmenter", f"{name}:{text}")
    return int(number)
