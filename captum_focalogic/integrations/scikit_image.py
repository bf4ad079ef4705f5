"""Felzenszwalb's, quick shift and watershed segmentation, by scikit-image.

They find as many segments as the image has, often hundreds. Neighbours of like colour are joined until a number of
regions is left that can be searched and read.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np
from torch import Tensor

from captum_focalogic.errors import InputError
from captum_focalogic.regions import MIN_AREA, Labels, merge_small
from captum_focalogic.segmenters import Pixels, join_alike, pixels_of, whole


@dataclass(frozen=True)
class _Joined(ABC):
    """What the segmenters have in common.

    Parameters
    ----------
    n_segments : int or None, default 12
        Most regions; None keeps all.
    min_area : float, default 1e-3
        Regions below this share of the image join a neighbour (paper section 3.6).
    """

    n_segments: int | None = 12
    min_area: float = MIN_AREA

    def __post_init__(self) -> None:
        if self.n_segments is not None and self.n_segments < 1:
            raise InputError(f"n_segments must be at least 1, or None for no limit; got {self.n_segments}")
        if not 0 <= self.min_area < 1:
            raise InputError(f"min_area is a share of the image, at least 0 and below 1; got {self.min_area}")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """At most so many regions; the usual number from nothing."""
        return cls(whole(text, text, cls.__name__.lower())) if text else cls()

    def __call__(self, image: Tensor) -> Labels:
        """Cut an image (3, H, W) in [0, 1] into regions 1 … M, (H, W)."""
        pixels = pixels_of(image)
        labels = merge_small(self._segments(pixels), self.min_area)
        count = len(np.unique(labels)) if self.n_segments is None else self.n_segments
        return join_alike(labels, pixels, count)

    @abstractmethod
    def _segments(self, pixels: Pixels) -> Labels:
        """Region ids (H, W) of an image (H, W, 3)."""


@dataclass(frozen=True)
class Felzenszwalb(_Joined):
    """Graph-based segments (Felzenszwalb and Huttenlocher 2004).

    Parameters
    ----------
    n_segments, min_area
        Most regions, and the least area of one.
    scale : float, default 100
        Larger values give larger segments.
    sigma : float, default 0.8
        Width in pixels of the blur before.
    """

    scale: float = 100.0
    sigma: float = 0.8

    def _segments(self, pixels: Pixels) -> Labels:
        from skimage.segmentation import felzenszwalb

        return np.asarray(felzenszwalb(pixels, scale=self.scale, sigma=self.sigma), dtype=np.int64)


@dataclass(frozen=True)
class Quickshift(_Joined):
    """Modes of colour and place (Vedaldi and Soatto 2008), with a fixed seed.

    Parameters
    ----------
    n_segments, min_area
        Most regions, and the least area of one.
    kernel_size : float, default 4
        Width of the kernel in pixels; larger values give larger segments.
    max_dist : float, default 20
        Largest distance within a segment.
    ratio : float, default 0.5
        Weight of colour against place, 0 to 1.
    """

    kernel_size: float = 4.0
    max_dist: float = 20.0
    ratio: float = 0.5

    def _segments(self, pixels: Pixels) -> Labels:
        from skimage.segmentation import quickshift

        segments = quickshift(  # type: ignore[no-untyped-call]
            pixels, kernel_size=self.kernel_size, max_dist=self.max_dist, ratio=self.ratio, rng=0
        )
        return np.asarray(segments, dtype=np.int64)


@dataclass(frozen=True)
class Watershed(_Joined):
    """Basins of the image's gradient (Beucher and Lantuéjoul 1979; compact: Neubert and Protzel 2014).

    Parameters
    ----------
    n_segments, min_area
        Most regions, and the least area of one.
    markers : int, default 100
        Basins, set on a regular grid.
    compactness : float, default 0.001
        Larger values give rounder segments.
    """

    markers: int = 100
    compactness: float = 0.001

    def _segments(self, pixels: Pixels) -> Labels:
        from skimage.color import rgb2gray
        from skimage.filters import sobel
        from skimage.segmentation import watershed

        gradient = sobel(rgb2gray(pixels))  # type: ignore[no-untyped-call]
        segments = watershed(  # type: ignore[no-untyped-call]
            gradient, markers=self.markers, compactness=self.compactness
        )
        return np.asarray(segments, dtype=np.int64)
