"""What segmenters that ask a network for overlapping masks have in common."""

from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from captum_focalogic.errors import warn
from captum_focalogic.fingerprint import fingerprint
from captum_focalogic.images import open_image
from captum_focalogic.integrations.mask_cache import MaskCache, Masks, default_folder
from captum_focalogic.regions import MIN_AREA, Labels, labels_from_masks

Cache = str | Path | Literal[True] | None
"""A folder for masks, True for the default one, None for none."""


class MaskSegmenter(ABC):
    """A segmenter that paints masks on top of one another, smaller ones above larger ones.

    Parameters
    ----------
    cache : str, Path, True or None
        Where masks are kept, by image, settings and weights; True is the user's cache folder.
    min_area : float
        Share of the image below which a region joins the extra one, which also has all pixels without a mask.
    """

    def __init__(self, cache: Cache, min_area: float) -> None:
        self.cache = None if cache is None else MaskCache(default_folder() if cache is True else cache)
        self.min_area = min_area

    def __call__(self, image: Tensor) -> Labels:
        """Cut an image.

        Parameters
        ----------
        image : (3, H, W) float Tensor
            In [0, 1].

        Returns
        -------
        (H, W) int64
            1 … K for the masks, largest first; 0 for the extra region, if there is one.

        Warns
        -----
        UserWarning
            If no mask is found, or if one region is all that is left.
        """
        masks = self.masks(image)
        labels = labels_from_masks(masks, self.min_area)
        if not masks.any():
            self._warn(f"found no mask, so the whole image is one region; {self.advice}")
        elif labels.min() == labels.max():
            self._warn(f"found masks that leave a single region, the whole image; {self.advice}")
        return labels

    def masks(self, image: Tensor) -> Masks:
        """The masks themselves, (K, H, W) bool, from the cache where they are known."""
        pixels = np.asarray(open_image(image))
        if self.cache is None:
            return self._generate(pixels)
        key = fingerprint(pixels, {**self.settings(), "weights": self._fingerprint})
        known = self.cache.get(key)
        if known is not None and known.shape[1:] == pixels.shape[:2]:
            return known
        masks = self._generate(pixels)
        self.cache.put(key, masks)
        return masks

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """The network, whose weights count for the cache."""

    @property
    @abstractmethod
    def advice(self) -> str:
        """What to change where masks are too few."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Everything but the weights that masks depend on."""

    @abstractmethod
    def _generate(self, pixels: NDArray[np.uint8]) -> Masks:
        """Masks (K, H, W) of an image (H, W, 3)."""

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self.network)

    def _warn(self, what: str) -> None:
        warn(f"{type(self).__name__} {what}")


def stacked(masks: list[Any], size: tuple[int, int]) -> Masks:
    """Masks as one array, (K, H, W); K may be 0."""
    return np.stack([np.asarray(mask, dtype=np.bool_) for mask in masks]) if masks else np.zeros((0, *size), np.bool_)


def best_device(device: str | torch.device | None) -> torch.device:
    """The device asked for; by default an accelerator where there is one."""
    if device is not None:
        return torch.device(device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


__all__ = ["MIN_AREA", "Cache", "MaskSegmenter", "best_device", "stacked"]
