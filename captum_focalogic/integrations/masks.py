"""Segmenters that ask a network for overlapping masks, and masks kept on disk: they take longer than the search."""

import os
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from captum_focalogic.arrays import Labels
from captum_focalogic.classifier import evaluating
from captum_focalogic.errors import InputError, warn
from captum_focalogic.files import make_folder, reading, replacing
from captum_focalogic.fingerprint import fingerprint
from captum_focalogic.images import open_image
from captum_focalogic.regions import labels_from_masks

Masks = NDArray[np.bool_]
"""Overlapping masks, (K, H, W)."""

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
            return self._asked(pixels)
        key = fingerprint(pixels, self.settings(), self._weights)
        known = self.cache.get(key)
        if known is not None and known.shape[1:] == pixels.shape[:2]:
            return known
        masks = self._asked(pixels)
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

    def _asked(self, pixels: NDArray[np.uint8]) -> Masks:
        with evaluating(self.network):
            return self._generate(pixels)

    @cached_property
    def _weights(self) -> str:
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


class MaskCache:
    """A folder of masks, one compressed file for each image and settings.

    Files are written under another name and then moved into place, so that several processes may share a folder.

    Parameters
    ----------
    folder : str or Path
        Made when the first masks are stored.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser()

    def get(self, key: str) -> Masks | None:
        """The masks stored under a key, or None.

        Warns
        -----
        UserWarning
            If the file is damaged; it counts as absent.
        """
        path = self._path(key)
        try:
            with reading(path):
                return _read_masks(path)
        except InputError as error:
            if path.exists():
                warn(f"stored masks are damaged and are made anew: {error}")
            return None

    def put(self, key: str, masks: Masks) -> None:
        """Store masks under a key."""
        make_folder(self.folder)
        with replacing(self._path(key)) as path, path.open("wb") as file:
            np.savez_compressed(file, bits=np.packbits(masks), shape=np.asarray(masks.shape))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"


def _read_masks(path: Path) -> Masks:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        count, height, width = stored["shape"].tolist()
        bits = stored["bits"]
    pixels = count * height * width
    # Beyond its bits NumPy would make up as many zeros as are announced.
    if min(count, height, width) < 0 or bits.dtype != np.uint8 or bits.shape != ((pixels + 7) // 8,):
        raise InputError(
            f"it announces {count} masks of {width}x{height} pixels, but holds {bits.size:,} bytes of them"
        )
    return np.unpackbits(bits, count=pixels).reshape(count, height, width).astype(np.bool_)


def default_folder() -> Path:
    """Where masks are kept: ``$FOCALOGIC_CACHE/masks``, else the user's cache folder."""
    chosen = os.environ.get("FOCALOGIC_CACHE")
    if chosen:
        return Path(chosen).expanduser() / "masks"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "captum_focalogic" / "masks"
