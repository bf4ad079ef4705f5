"""Masks kept on disk: a large segmenter takes longer than the search that follows it."""

import os
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.errors import warn
from captum_focalogic.files import make_folder, replacing

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
        make_folder(self.folder)
        with replacing(self._path(key)) as unfinished:
            np.savez_compressed(unfinished, bits=np.packbits(masks), shape=np.asarray(masks.shape))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"


def default_folder() -> Path:
    """Where masks are kept: ``$FOCALOGIC_CACHE/masks``, else the user's cache folder."""
    chosen = os.environ.get("FOCALOGIC_CACHE")
    if chosen:
        return Path(chosen).expanduser() / "masks"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "captum_focalogic" / "masks"
