"""Files read and written whole: whoever looks, finds the old content or the new, never a part of it."""

import os
import secrets
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captum_focalogic.errors import FileError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read_text(path: str | Path, what: str = "") -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Parameters
    ----------
    path : str or Path
        The file.
    what : str
        What messages call it, such as "the labels"; by default its path alone.

    Raises
    ------
    FileError
        If it cannot be read or is no such text; the message gives the path.
    """
    name = f"{what} {path}".strip()
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(f"{name} is no text in UTF-8 (byte {error.start}); save it in that encoding") from error
    except OSError as error:
        raise FileError(f"{name} cannot be read: {_reason(error)}") from error


def read_bytes(path: str | Path) -> bytes:
    """The content of a file.

    Raises
    ------
    FileError
        If it cannot be read; the message gives the path.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {_reason(error)}") from error


def read_array(path: str | Path) -> "NDArray[Any]":
    """The array in a NumPy ``.npy`` file; nothing is run, and no more memory taken than the file has bytes.

    Raises
    ------
    FileError
        If it cannot be read or is no such file; the message gives the path.
    """
    import numpy as np

    try:
        # A map of the file cannot be larger than the file, whatever size its header announces.
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(mapped, np.ndarray):
            raise TypeError("it holds several")
        return np.array(mapped)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {_reason(error)}") from error
    except (ValueError, TypeError, EOFError, SyntaxError, OverflowError, zipfile.BadZipFile) as error:
        raise FileError(f"{path} cannot be read: it is no NumPy array ({error})") from error


def write_text(path: str | Path, text: str) -> Path:
    """Write a text in UTF-8, whole or not at all; see :func:`replacing`."""
    return write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path, octets: bytes, *, durable: bool = False) -> Path:
    """Write a file, whole or not at all; see :func:`replacing`."""
    with replacing(path, durable=durable) as unfinished:
        unfinished.write_bytes(octets)
    return Path(path)


@contextmanager
def replacing(path: str | Path, *, durable: bool = False) -> Iterator[Path]:
    """A file to write in place of another: moved there when the block ends well, else removed.

    Parameters
    ----------
    path : str or Path
        What is written. A link is followed; a device or a pipe is written to as it is.
    durable : bool
        Whether it must outlive the machine's sudden end, and not only the process's.

    Yields
    ------
    Path
        A name of the same ending, in the same folder.

    Raises
    ------
    FileError
        If it cannot be written; the message gives the path.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            yield target
            return
        # The same ending, because writers tell the format by it; hidden, because folders are searched for files.
        unfinished = target.with_name(f".{target.stem[:100]}.{secrets.token_hex(4)}.unfinished{target.suffix}")
        try:
            yield unfinished
            if target.exists():
                shutil.copymode(target, unfinished)
            if durable:
                _flush(unfinished)
            unfinished.replace(target)
            if durable and os.name == "posix":
                _flush(target.parent)
        finally:
            unfinished.unlink(missing_ok=True)
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"{path} cannot be written: {_reason(error)}") from error


def make_folder(path: str | Path) -> Path:
    """A folder, made with those above it where there is none.

    Raises
    ------
    FileError
        If it cannot be made; the message gives the path.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"the folder {path} cannot be made: {_reason(error)}") from error
    return Path(path)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
