"""One hash for whatever must be told from another: images, weights, settings. The same in every process."""

import dataclasses
import enum
import functools
import hashlib
import inspect
import re
import struct
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np

from captum_focalogic.errors import FileError, InputError

_SIZE = 20
_CHUNK = 1 << 20


def fingerprint(*parts: Any) -> str:
    """A hash of content, as 40 hexadecimal digits.

    Parameters
    ----------
    *parts
        Texts, bytes, numbers, enumerations, arrays, tensors, dataclasses, mappings (in any order), sequences, sets and
        nestings of them; a ``Path`` stands for the bytes of its file; an ``nn.Module`` for its layers and weights; a
        function for its name and its code; anything else by an attribute ``identity``, a text, or by a ``repr`` that
        says what it is made of.

    Raises
    ------
    InputError
        If a part has no content that can be told; a file cannot be read.

    Examples
    --------
    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    >>> fingerprint(1) == fingerprint(1.0)
    False
    """
    digest = hashlib.blake2b(digest_size=_SIZE)
    for part in parts:
        _add(digest, part)
    return digest.hexdigest()


def _add(digest: Any, part: Any) -> None:
    """Feed a part, led by its kind and length, so that no two contents give the same bytes."""
    if part is None or isinstance(part, bool | np.bool_):
        _feed(digest, "constant", repr(None if part is None else bool(part)).encode())
    elif isinstance(part, enum.Enum):
        _feed(digest, "enum", f"{type(part).__qualname__}.{part.name}".encode())
    elif isinstance(part, str):
        _feed(digest, "text", part.encode("utf-8", "surrogatepass"))
    elif isinstance(part, int | np.integer):
        _feed(digest, "integer", str(int(part)).encode())
    elif isinstance(part, float | np.floating):
        _feed(digest, "float", struct.pack("<d", float(part)))
    elif isinstance(part, bytes | bytearray | memoryview):
        _feed(digest, "bytes", bytes(part))
    elif isinstance(part, Path):
        _feed(digest, "file", bytes.fromhex(_file(part)))
    elif isinstance(part, np.ndarray):
        _array(digest, part)
    elif hasattr(part, "detach"):
        _tensor(digest, part)
    else:
        _add_made(digest, part)


def _add_made(digest: Any, part: Any) -> None:
    """What is made of parts, or called by a name."""
    if isinstance(getattr(part, "identity", None), str):
        _feed(digest, "identity", part.identity.encode())
    elif isinstance(part, Mapping):
        _group(digest, "mapping", sorted((fingerprint(key), fingerprint(value)) for key, value in part.items()))
    elif isinstance(part, Set):
        _group(digest, "set", sorted(fingerprint(member) for member in part))
    elif dataclasses.is_dataclass(part) and not isinstance(part, type):
        fields = [(field.name, getattr(part, field.name)) for field in dataclasses.fields(part)]
        _group(digest, _kind(part), fields)
    elif isinstance(part, Sequence):
        _group(digest, "sequence", list(part))
    elif hasattr(part, "state_dict"):
        weights = {name: values for name, values in part.state_dict().items() if hasattr(values, "detach")}
        # Layers without weights, such as activations, are told by the text alone.
        _group(digest, _kind(part), [re.sub(" at 0x[0-9a-f]+", "", repr(part)), weights])
    elif isinstance(part, functools.partial):
        _group(digest, "partial", [part.func, part.args, part.keywords])
    elif inspect.ismethod(part):
        _group(digest, "method", [part.__self__, part.__func__.__qualname__])
    elif inspect.isfunction(part):
        _function(digest, part)
    elif hasattr(part, "__qualname__"):
        _feed(digest, "name", f"{part.__module__}.{part.__qualname__}".encode())
    elif " at 0x" not in (text := repr(part)):
        _feed(digest, _kind(part), text.encode())
    else:
        raise InputError(
            f"{_kind(part)} does not say what it is made of, so that it cannot be told from another one of its kind; "
            "give it an attribute identity, a text"
        )


def _function(digest: Any, function: Any) -> None:
    """By name, code, defaults and what it closes over: a function of the same name may be another one."""
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    content = [f"{function.__module__}.{function.__qualname__}", *_code(function.__code__), function.__defaults__]
    _group(digest, "function", [*content, cells])


def _code(code: Any) -> list[Any]:
    constants = [_code(each) if inspect.iscode(each) else each for each in code.co_consts]
    return [code.co_code, list(code.co_names), [repr(each) if each is ... else each for each in constants]]


def _array(digest: Any, values: Any) -> None:
    if values.dtype.hasobject:
        raise InputError("an array of objects has no content that can be told; convert it to numbers or texts")
    little = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
    _feed(digest, f"array {little.dtype.str} {values.shape}", little.tobytes())


def _tensor(digest: Any, values: Any) -> None:
    import torch

    # NumPy has no bfloat16, so the raw bytes are taken.
    octets = values.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    _feed(digest, f"tensor {values.dtype} {tuple(values.shape)}", octets)


def _file(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=_SIZE)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def _group(digest: Any, kind: str, parts: Sequence[Any]) -> None:
    _feed(digest, f"{kind} of {len(parts)}", b"")
    for part in parts:
        _add(digest, part)


def _feed(digest: Any, kind: str, octets: bytes) -> None:
    digest.update(f"{kind}:{len(octets)}:".encode())
    digest.update(octets)


def _kind(part: Any) -> str:
    return f"{type(part).__module__}.{type(part).__qualname__}"
