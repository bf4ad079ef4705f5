"""Segmenters: how an image is cut into regions.

A segmenter is any callable that maps an image, a (3, H, W) float tensor in [0, 1], to an (H, W) array or tensor of
integer region ids that covers every pixel. Those here need nothing beyond the core dependencies; Segment Anything and
others are in :mod:`captum_focalogic.integrations`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from captum_focalogic import names
from captum_focalogic.adjacency import join_alike
from captum_focalogic.arrays import Labels
from captum_focalogic.errors import InputError, warn
from captum_focalogic.files import read_array
from captum_focalogic.images import ROUNDING, Shrink, decode_image, open_image, resize_labels
from captum_focalogic.regions import MIN_AREA, label_map_of, merge_small

Segmenter = Callable[[Tensor], NDArray[np.integer] | Tensor]
"""Image (3, H, W) in [0, 1] to region ids (H, W)."""

Pixels = NDArray[np.float32]
"""An image for scikit-image, (H, W, 3) in [0, 1]."""


WORKING_SIZE = 512
"""Longest side that an image is cut at; the regions of larger ones are found at this size and enlarged."""

MAX_SEGMENTS = 10_000
"""More regions than any search can tell apart."""

_SLIC_ATTEMPTS = 6
_SLIC_SMOOTHING = 1 / 80


@dataclass(frozen=True, eq=False)
class ForwardPass:
    """An image on its way through a model, for segmenters that look inside.

    Attributes
    ----------
    forward_func : callable
        The model.
    inputs : (1, C, H, W) Tensor
        The image as the model takes it.
    run : callable
        Puts it to the model.
    """

    forward_func: Callable[..., Any]
    inputs: Tensor
    run: Callable[[], object]

    @classmethod
    def of(cls, forward_func: Callable[[Tensor], Any], image: Tensor) -> "ForwardPass":
        """That of an image (C, H, W), where the model is."""
        weights = forward_func.parameters() if isinstance(forward_func, nn.Module) else iter(())
        inputs = image[None].to(next(weights, image).device)
        return cls(forward_func, inputs, partial(forward_func, inputs))


class WhiteBox(ABC):
    """A segmenter that looks into the model whose decision is explained."""

    @abstractmethod
    def cut(self, image: Tensor, forward_pass: ForwardPass | None) -> Labels:
        """Cut an image (3, H, W) in [0, 1] into regions, (H, W); without a forward pass where no model is known."""


def cut(segmenter: Segmenter, image: Tensor, forward_pass: ForwardPass | None = None) -> NDArray[np.integer] | Tensor:
    """The regions of an image, by a segmenter of any kind: one that looks into the model is shown the forward pass."""
    return segmenter.cut(image, forward_pass) if isinstance(segmenter, WhiteBox) else segmenter(image)


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
        _check_image(image)
        height, width = image.shape[1:]
        if self.rows > height or self.columns > width:
            raise InputError(
                f"a grid of {self.rows} rows and {self.columns} columns does not fit an image of {width}x{height} "
                "pixels (width x height)"
            )
        row = np.arange(height, dtype=np.int64) * self.rows // height
        column = np.arange(width, dtype=np.int64) * self.columns // width
        return _checked(1 + row[:, None] * self.columns + column, self.rows * self.columns, "the grid")


@dataclass(frozen=True)
class Superpixels(ABC):
    """Segments of like colour: what the segmenters by scikit-image have in common.

    They are found in the image at a working size, so that a photograph of any resolution takes a second or two and
    parameters in pixels mean the same for all; then regions below the least area join a neighbour, neighbours of like
    colour are joined until no more than the number asked are left, and the label map is enlarged to the image's size.
    Regions are numbered 1 … M.

    Parameters
    ----------
    n_segments : int or None, default 12
        Most regions; None keeps all.
    min_area : float, default 1e-3
        Regions below this share of the image join a neighbour (paper section 3.6).
    working_size : int, default 512
        Longest side in pixels that the image is cut at. Smaller images are cut as they are.

    Raises
    ------
    InputError
        If a parameter is out of range; when called, if what is cut is no image in [0, 1].

    Warns
    -----
    FocaLogicWarning
        If a single region comes out.
    """

    n_segments: int | None = 12
    min_area: float = MIN_AREA
    working_size: int = WORKING_SIZE

    def __post_init__(self) -> None:
        if self.n_segments is not None and not 1 <= self.n_segments <= MAX_SEGMENTS:
            bound = "at least 1" if self.n_segments < 1 else f"at most {MAX_SEGMENTS:,}"
            raise InputError(f"n_segments must be {bound}; got {self.n_segments}")
        if not 0 <= self.min_area < 1:
            raise InputError(f"min_area is a share of the image, at least 0 and below 1; got {self.min_area}")
        if self.working_size < 16:
            raise InputError(f"working_size must be at least 16 pixels; got {self.working_size}")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """So many regions, or at most so many; the usual number from nothing."""
        return cls(whole(text, text, cls.__name__.lower())) if text else cls()

    def __call__(self, image: Tensor) -> Labels:
        """Cut an image (3, H, W) in [0, 1] into regions, (H, W)."""
        return self._cut(image, join_alike)

    def _cut(self, image: Tensor, join: Callable[[Labels, Pixels, int], Labels]) -> Labels:
        """Segments of an image, joined as ``join(labels, pixels, count)`` does it."""
        pixels = pixels_of(image, self.working_size)
        labels = merge_small(self._segments(pixels), self.min_area)
        labels = join(labels, pixels, _count(labels) if self.n_segments is None else self.n_segments)
        return resize_labels(_checked(labels, self._asked, type(self).__name__), *image.shape[1:])

    @property
    def _asked(self) -> int:
        """Regions of which at least half should come out."""
        return 0

    @abstractmethod
    def _segments(self, pixels: Pixels) -> Labels:
        """Region ids (H, W) of an image (H, W, 3)."""

    def _check(self, name: str, low: float, high: float) -> None:
        """Refuse a parameter that makes no sense, or that would never end."""
        value = getattr(self, name)
        if not low <= value <= high:
            raise InputError(f"{name} must be at least {low:g} and at most {high:g}; got {value}")


@dataclass(frozen=True)
class Slic(Superpixels):
    """k-means over colour and place (Achanta et al. 2012; scikit-image).

    SLIC sets its seeds on a regular grid and absorbs fragments, so it misses a small number of segments by a third
    either way. It is given just enough seeds here to find at least as many segments as asked, and neighbours of like
    colour are then joined until the number is right.

    Parameters
    ----------
    n_segments : int, default 12
        Regions wanted.
    min_area, working_size
        As :class:`Superpixels`.
    compactness : float, default 20
        Weight of place against colour: larger values give rounder regions. Raised where noise leaves fewer than half of
        the regions asked.
    sigma : float, optional
        Width of the blur before clustering, in pixels of the working size; by default 1/80 of the shorter side, which
        keeps textures from fraying the borders.

    Raises
    ------
    InputError
        If a parameter is out of range.

    Warns
    -----
    FocaLogicWarning
        If fewer than half as many regions come out as were asked, or a single one.
    """

    n_segments: int = 12
    compactness: float = 20.0
    sigma: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.compactness < math.inf:
            raise InputError(f"compactness must be positive; got {self.compactness}")
        if self.sigma is not None:
            self._check("sigma", 0, WORKING_SIZE)

    @property
    def _asked(self) -> int:
        return self.n_segments

    def _segments(self, pixels: Pixels) -> Labels:
        seeds, compactness = self.n_segments, self.compactness
        labels = self._clusters(pixels, seeds, compactness)
        for _ in range(_SLIC_ATTEMPTS - 1):
            found = _count(labels)
            if found >= self.n_segments:
                break
            seeds += math.ceil(seeds / 8)
            # Noise breaks clusters into fragments that are all absorbed; place then has to count for more.
            compactness *= 2 if 2 * found < self.n_segments else 1
            labels = self._clusters(pixels, seeds, compactness)
        return labels

    def _clusters(self, pixels: Pixels, seeds: int, compactness: float) -> Labels:
        from skimage.segmentation import slic

        sigma = _SLIC_SMOOTHING * min(pixels.shape[:2]) if self.sigma is None else self.sigma
        labels = slic(pixels, n_segments=seeds, compactness=compactness, sigma=sigma, start_label=1, channel_axis=-1)
        return merge_small(labels, self.min_area)


@dataclass(frozen=True)
class Felzenszwalb(Superpixels):
    """Graph-based segments (Felzenszwalb and Huttenlocher 2004).

    Parameters
    ----------
    n_segments, min_area, working_size
        As :class:`Superpixels`.
    scale : float, default 100
        Larger values give larger segments.
    sigma : float, default 0.8
        Width of the blur before, in pixels of the working size.
    """

    scale: float = 100.0
    sigma: float = 0.8

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("scale", 0, 1e9)
        self._check("sigma", 0, WORKING_SIZE)

    def _segments(self, pixels: Pixels) -> Labels:
        from skimage.segmentation import felzenszwalb

        return np.asarray(felzenszwalb(pixels, scale=self.scale, sigma=self.sigma), dtype=np.int64)


@dataclass(frozen=True)
class Quickshift(Superpixels):
    """Modes of colour and place (Vedaldi and Soatto 2008), with a fixed seed.

    Parameters
    ----------
    n_segments, min_area, working_size
        As :class:`Superpixels`.
    kernel_size : float, default 4
        Width of the kernel, in pixels of the working size; larger values give larger segments. The time grows with its
        square.
    max_dist : float, default 20
        Largest distance within a segment.
    ratio : float, default 0.5
        Weight of colour against place, 0 to 1.
    """

    kernel_size: float = 4.0
    max_dist: float = 20.0
    ratio: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("kernel_size", 1, 64)
        self._check("max_dist", 0, 1e9)
        self._check("ratio", 0, 1)

    def _segments(self, pixels: Pixels) -> Labels:
        from skimage.segmentation import quickshift

        segments = quickshift(  # type: ignore[no-untyped-call]
            pixels, kernel_size=self.kernel_size, max_dist=self.max_dist, ratio=self.ratio, rng=0
        )
        return np.asarray(segments, dtype=np.int64)


@dataclass(frozen=True)
class Watershed(Superpixels):
    """Basins of the image's gradient (Beucher and Lantuéjoul 1979; compact: Neubert and Protzel 2014).

    Parameters
    ----------
    n_segments, min_area, working_size
        As :class:`Superpixels`.
    markers : int, default 100
        Basins, set on a regular grid.
    compactness : float, default 0.001
        Larger values give rounder segments.
    """

    markers: int = 100
    compactness: float = 0.001

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("markers", 1, MAX_SEGMENTS)
        self._check("compactness", 0, 1e9)

    def _segments(self, pixels: Pixels) -> Labels:
        from skimage.color import rgb2gray
        from skimage.filters import sobel
        from skimage.segmentation import watershed

        gradient = sobel(rgb2gray(pixels))  # type: ignore[no-untyped-call]
        segments = watershed(  # type: ignore[no-untyped-call]
            gradient, markers=self.markers, compactness=self.compactness
        )
        return np.asarray(segments, dtype=np.int64)


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


@dataclass(frozen=True, eq=False)
class Given:
    """Regions that are there already: a label map, or masks as other packages give them.

    Attributes
    ----------
    regions : object
        As for :func:`captum_focalogic.regions.label_map_of`; of the size of the images.
    """

    regions: Any

    def __call__(self, _: Tensor) -> NDArray[np.integer]:
        """The regions, whatever the image."""
        return label_map_of(self.regions)


def as_segmenter(segmenter: Any) -> Segmenter:
    """A segmenter as it is, by its name, or from a label map or masks.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if isinstance(segmenter, str):
        return segmenter_from_text(segmenter)
    if callable(segmenter):
        found: Segmenter = segmenter
        return found
    if segmenter is None or isinstance(segmenter, int | float | Path):
        raise InputError(
            f"a segmenter is a name such as slic:12, a function of an image, a label map or masks; got {segmenter!r}"
        )
    return Given(segmenter)


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


def pixels_of(image: Tensor, longest: int | None = None) -> Pixels:
    """An image as (H, W, 3) float32 on the CPU; a single channel is repeated.

    Parameters
    ----------
    image : (3, H, W) or (1, H, W) Tensor
        In [0, 1].
    longest : int, optional
        Most pixels a side; larger images are shrunk.

    Raises
    ------
    InputError
        If it is not a tensor of such a shape, or of finite values in [0, 1].
    """
    _check_image(image)
    if longest is not None and max(image.shape[1:]) > longest:
        return np.asarray(Shrink(longest)(open_image(image)), dtype=np.float32) / np.float32(255)
    pixels = image.detach().float().cpu().numpy()
    pixels = np.broadcast_to(pixels, (3, *pixels.shape[1:]))
    return np.ascontiguousarray(pixels.transpose(1, 2, 0).clip(0, 1))


def _check_image(image: Tensor) -> None:
    if image.dim() != 3 or image.shape[0] not in (1, 3) or not image.numel():
        raise InputError(f"a segmenter needs one image of shape (3, H, W); got {tuple(image.shape)}")
    low, high = (float(bound) for bound in image.detach().aminmax())
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise InputError(
            f"a segmenter needs values in [0, 1]; these lie in [{low:.3g}, {high:.3g}]. "
            "If the model's inputs are normalised, pass to_image=, a function that undoes it"
        )


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


_DIGITS = 18


def whole(number: str, text: str, name: str) -> int:
    """A number in the text behind a segmenter's name.

    Raises
    ------
    InputError
        If it is no whole number.
    """
    if not number.isdecimal() or len(number) > _DIGITS:
        raise names.miswritten("segmenter", f"{name}:{text}")
    return int(number)
