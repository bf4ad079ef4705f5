"""Masks kept on disk: a large segmenter takes longer than the search that follows it."""

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from captum_focalogic.errors import warn

Masks = NDArray[np.bool_]
"""Overlapping masks, (K, H, W)."""


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
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                count, height, width = stored["shape"].tolist()
                flat = np.unpackbits(stored["bits"], count=count * height * width)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            warn(f"the stored masks {path} are damaged ({error}) and are made anew")
            return None
        return flat.reshape(count, height, width).astype(np.bool_)

    def put(self, key: str, masks: Masks) -> None:
        """Store masks under a key."""
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.folder, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez_compressed(file, bits=np.packbits(masks), shape=np.asarray(masks.shape))
            os.replace(name, self._path(key))
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"


def default_folder() -> Path:
    """Where masks are kept: ``$FOCALOGIC_CACHE/masks``, else the user's cache folder."""
    chosen = os.environ.get("FOCALOGIC_CACHE")
    if chosen:
        return Path(chosen).expanduser() / "masks"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "captum_focalogic" / "masks"


def key_of(pixels: NDArray[np.uint8], settings: Mapping[str, Any]) -> str:
    """A file name for an image's masks: a hash of its pixels, its size and the settings.

    Parameters
    ----------
    pixels : (H, W, 3) uint8
        The image.
    settings : mapping
        Everything that the masks depend on, :func:`fingerprint` of the network included. Values without a JSON form
        count by their ``repr``.
    """
    digest = hashlib.blake2b(digest_size=20)
    digest.update(json.dumps([pixels.shape, settings], sort_keys=True, default=repr).encode())
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.hexdigest()


def fingerprint(model: nn.Module) -> str:
    """A hash of a network's kind and of all its weights."""
    digest = hashlib.blake2b(type(model).__name__.encode(), digest_size=20)
    for name, values in sorted(model.state_dict().items()):
        if isinstance(values, Tensor):
            digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
            digest.update(_bytes_of(values))
    return digest.hexdigest()


def _bytes_of(values: Tensor) -> memoryview:
    import torch

    # NumPy has no bfloat16, so the raw bytes are hashed.
    flat = values.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
