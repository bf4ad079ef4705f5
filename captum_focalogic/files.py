"""Files read and written whole: whoever looks, finds the old content or the new, never a part of it.

What others wrote is read under :func:`reading` and :func:`within`, so that whatever is wrong with it is one sentence
that names the file and the place in it.
"""

import json
import os
import secrets
import shutil
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captum_focalogic.errors import FileError, InputError, MissingFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MALFORMED = (
    KeyError,
    TypeError,
    ValueError,  # of encodings, base64, numbers and JSON too
    AttributeError,
    IndexError,
    ArithmeticError,
    RecursionError,
    MemoryError,
    NotImplementedError,
    EOFError,
    OSError,
    SyntaxError,  # of XML too
    SystemError,  # of extension modules, such as Arrow's
    tokenize.TokenError,  # of NumPy's headers
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)
"""What data that is not of the form it should be makes its readers raise."""


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn whatever is wrong with a file's content into an error that names the file.

    Raises
    ------
    InputError
        Of what :func:`within` said, or any exception that malformed data causes.
    """
    try:
        yield
    except InputError as error:
        said = str(error)
        if str(path) in said and len(said) <= _LONGEST:
            raise
        raise InputError(_clip(said if str(path) in said else f"{path}: {said}")) from error
    except MALFORMED as error:
        raise InputError(_clip(f"{path} cannot be read: {_fault(error)}")) from error


@contextmanager
def within(place: str) -> Iterator[None]:
    """The same for a place in a file, such as a field; places are nested: ``cat.json: objects[2]: bbox: ...``."""
    try:
        yield
    except FileError:
        raise
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    except MALFORMED as error:
        raise InputError(f"{place} cannot be read: {_fault(error)}") from error


_LONGEST = 1_200
"""Characters of a message that quotes foreign data."""


def _clip(message: str) -> str:
    return message if len(message) <= _LONGEST else f"{message[:_LONGEST]} ..."


def _fault(error: BaseException) -> str:
    match error:
        case RecursionError():
            return "it is nested too deeply"
        case MemoryError():
            return "it is larger than the memory there is"
        case KeyError():
            return f"there is no {error.args[0]!r}" if error.args else "something is missing"
        case OSError():
            return _reason(error)
    return f"{str(error) or 'it is malformed'} ({type(error).__name__})"


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
        line = error.object.count(b"\n", 0, error.start) + 1
        raise FileError(
            f"{name} is no text in UTF-8 (byte {error.start}), in line {line}; save it in that encoding"
        ) from error
    except FileNotFoundError as error:
        raise MissingFileError(f"{name} cannot be read: {_reason(error)}") from error
    except (OSError, ValueError) as error:  # a name that holds a zero byte is a ValueError
        raise FileError(f"{name} cannot be read: {_fault(error)}") from error


def read_lines(path: str | Path, what: str = "") -> list[str]:
    """The lines of a text, as of a list of names, without white space around them; empty ones do not count.

    Raises
    ------
    FileError
        If it cannot be read, or is no text in UTF-8; the message gives the path.
    """
    # str.splitlines would cut names at rare characters too, such as the line separator of Unicode.
    return [line.strip() for line in read_text(path, what).split("\n") if line.strip()]


def read_json(path: str | Path) -> Any:
    """What a JSON file holds.

    Raises
    ------
    FileError
        If it cannot be read, or is no text in UTF-8; the message gives the path.
    InputError
        If it is no JSON; the message gives the path and the place.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = _fault(error) if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{path} cannot be read: it is no JSON: {reason}") from error


def read_bytes(path: str | Path) -> bytes:
    """The content of a file.

    Raises
    ------
    FileError
        If it cannot be read; the message gives the path.
    """
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise FileError(f"{path} cannot be read: {_fault(error)}") from error


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
    except MALFORMED as error:
        raise FileError(f"{path} cannot be read: it is no NumPy array ({_fault(error)})") from error


def write_text(path: str | Path, text: str) -> Path:
    """Write a text in UTF-8, whole or not at all; see :func:`replacing`."""
    return write_bytes(path, encode_text(text))


def encode_text(text: str) -> bytes:
    """A text in UTF-8; bytes of file names that are in another encoding are written out, such as ``\\udcff``."""
    return text.encode("utf-8", "backslashreplace")


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
