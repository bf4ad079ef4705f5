"""One hash for whatever must be told from another: images, weights, settings. The same in every process."""

import contextlib
import dataclasses
import enum
import functools
import hashlib
import inspect
import json
import os
import re
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
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
    return _Hash().of(parts)


def content_of(*parts: Any) -> str:
    """As :func:`fingerprint`, and refuses nothing: objects of any class are told by that and by what they hold.

    What holds nothing that Python can see, such as a lock or an open file, is told by its class alone.
    """
    return _Hash(objects=True).of(parts)


def is_users(kind: type) -> bool:
    """Whether a class is in a file of the user's own, or in a notebook."""
    return _folder(kind) is not None


def users_classes(module: Any) -> list[type]:
    """The classes of a module of torch and of its parts that are in files of the user's own, by name."""
    kinds = {type(part) for part in module.modules()}
    return sorted((kind for kind in kinds if _folder(kind) is not None), key=lambda kind: kind.__qualname__)


def checksum(value: Any) -> str:
    """A hash of what is to be stored as JSON, the same once it was read back."""
    return fingerprint(json.dumps(value, sort_keys=True, separators=(",", ":")))


class _Hash:
    """Parts fed one after another, each led by its kind and length, so that no two contents give the same bytes."""

    def __init__(
        self, within: tuple[int, ...] = (), known: dict[int, str] | None = None, objects: bool = False
    ) -> None:
        self._objects = objects
        self._digest = hashlib.blake2b(digest_size=_SIZE)
        self._within = within
        self._known: dict[int, str] = {} if known is None else known

    def of(self, parts: Iterable[Any]) -> str:
        """The hash after some more parts."""
        for part in parts:
            self._add(part)
        return self._digest.hexdigest()

    def _add(self, part: Any) -> None:
        if part is None or isinstance(part, bool | np.bool_):
            self._feed("constant", repr(None if part is None else bool(part)).encode())
        elif isinstance(part, enum.Enum):
            self._feed("enum", f"{type(part).__qualname__}.{part.name}".encode())
        elif isinstance(part, str):
            self._feed("text", part.encode("utf-8", "surrogatepass"))
        elif isinstance(part, int | np.integer):
            self._feed("integer", str(int(part)).encode())
        elif isinstance(part, float | np.floating):
            self._feed("float", struct.pack("<d", float(part)))
        elif isinstance(part, bytes | bytearray | memoryview):
            self._feed("bytes", bytes(part))
        elif isinstance(part, Path):
            self._feed("file", bytes.fromhex(_file(part)))
        elif isinstance(part, np.ndarray):
            self._array(part)
        elif hasattr(part, "detach") and hasattr(part, "dtype") and not inspect.ismodule(part):
            self._tensor(part)
        elif id(part) in self._within:
            # A function may close over itself: its place says enough.
            self._feed("within", str(self._within.index(id(part))).encode())
        else:
            self._within += (id(part),)
            self._add_made(part)
            self._within = self._within[:-1]

    def _add_made(self, part: Any) -> None:
        """What is made of parts, or called by a name."""
        if isinstance(identity := getattr(part, "identity", None), str):
            self._feed("identity", identity.encode())
        elif isinstance(part, Mapping):
            self._group("mapping", sorted((self._apart(key), self._apart(value)) for key, value in part.items()))
        elif isinstance(part, Set):
            self._group("set", sorted(self._apart(member) for member in part))
        elif dataclasses.is_dataclass(part) and not isinstance(part, type) and not self._of_users(part):
            fields = [(field.name, getattr(part, field.name)) for field in dataclasses.fields(part)]
            self._group(_kind(part), fields)
        elif isinstance(part, Sequence):
            self._group("sequence", list(part))
        elif hasattr(part, "state_dict") and not isinstance(part, type):
            weights = {name: values for name, values in part.state_dict().items() if hasattr(values, "detach")}
            # Layers without weights, such as activations, are told by the text alone.
            self._group(_kind(part), [re.sub(" at 0x[0-9a-f]+", "", repr(part)), weights])
        elif isinstance(part, functools.partial):
            self._group("partial", [part.func, part.args, part.keywords])
        elif inspect.ismethod(part):
            self._group("method", [part.__self__, part.__func__ if self._objects else part.__func__.__qualname__])
        elif inspect.isfunction(part):
            self._function(part)
        elif isinstance(part, type) and _folder(part) is not None:
            self._class(part)
        elif hasattr(part, "__qualname__") and hasattr(part, "__wrapped__"):
            # Such as what functools.lru_cache makes.
            self._group("wrapped", [part.__qualname__, part.__wrapped__])
        elif hasattr(part, "__qualname__"):
            self._feed("name", f"{part.__module__}.{part.__qualname__}".encode())
        elif self._objects:
            self._object(part)
        elif " at 0x" not in (text := repr(part)):
            self._feed(_kind(part), text.encode())
        else:
            raise InputError(
                f"{_kind(part)} does not say what it is made of, so that it cannot be told from another of its kind; "
                "give it an attribute identity, a text"
            )

    def _of_users(self, part: Any) -> bool:
        """Whether it is an object of a class of the user's, which may hold more than it says."""
        return self._objects and is_users(type(part))

    def _object(self, part: Any) -> None:
        """By its class and whatever its attributes hold; by its text where it has none."""
        slots = [name for kind in type(part).__mro__ for name in _listed(vars(kind).get("__slots__", ()))]
        held = {name: getattr(part, name) for name in slots if name != "__dict__" and hasattr(part, name)}
        held |= getattr(part, "__dict__", {})
        told: Any = held if held or inspect.ismodule(part) else re.sub(" at 0x[0-9a-fA-F]+", "", repr(part))
        self._group(_kind(part), [type(part), part.__name__ if inspect.ismodule(part) else told])

    def _function(self, function: Any) -> None:
        """By name, code, defaults, what it closes over, and what it uses of its own files: names alone tell little."""
        try:
            closed = [(name, cell.cell_contents) for name, cell in _cells(function)]
        except ValueError as error:
            raise InputError(f"{function.__qualname__} closes over what is not there yet") from error
        content = [f"{function.__module__}.{function.__qualname__}", *_code(function.__code__), function.__defaults__]
        self._group("function", [*content, function.__kwdefaults__, closed, self._used(function)])

    def _used(self, function: Any) -> list[tuple[str, str]]:
        """What a function takes from its module, by name: values, and functions and classes of files beside its own."""
        place, used = _folder(function), list[tuple[str, str]]()
        names = _names(function.__code__)
        for name, value in ((name, function.__globals__[name]) for name in names if name in function.__globals__):
            if inspect.ismodule(value):
                if _beside(value, place):
                    # Names of attributes stand alone in the code, so that each could be one of this module.
                    parts = [(f"{name}.{each}", vars(value).get(each)) for each in names]
                    used += [
                        (path, self._apart(part)) for path, part in parts if _own(part, function.__module__, place)
                    ]
            elif _own(value, function.__module__, place):
                used.append((name, self._apart(value)))
            elif not isinstance(value, type) and (isinstance(value, _VALUES) or _has_content(value)):
                with contextlib.suppress(InputError):  # what holds things of no content is told by its name
                    used.append((name, self._apart(value)))
        return used

    def _class(self, kind: type) -> None:
        """By name, bases and whatever its body defines: methods by their code, constants by their values."""
        parts: list[Any] = [f"{kind.__module__}.{kind.__qualname__}", [str(base) for base in kind.__bases__]]
        for name, value in sorted(vars(kind).items()):
            plain = getattr(value, "__func__", value.fget if isinstance(value, property) else value)
            if inspect.isfunction(plain) or isinstance(plain, _VALUES):
                with contextlib.suppress(InputError):
                    parts.append((name, self._apart(plain)))
        self._group("class", parts)

    def _array(self, values: Any) -> None:
        if values.dtype.hasobject and self._objects:
            self._group(f"objects {values.shape}", list(values.flat))
            return
        if values.dtype.hasobject:
            raise InputError("an array of objects has no content that can be told; convert it to numbers or texts")
        little = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
        self._feed(f"array {little.dtype.str} {values.shape}", little.tobytes())

    def _tensor(self, values: Any) -> None:
        import torch

        # NumPy has no bfloat16, so the raw bytes are taken.
        octets = values.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        self._feed(f"tensor {values.dtype} {tuple(values.shape)}", octets)

    def _group(self, kind: str, parts: Sequence[Any]) -> None:
        self._feed(f"{kind} of {len(parts)}", b"")
        for part in parts:
            self._add(part)

    def _feed(self, kind: str, octets: bytes) -> None:
        self._digest.update(f"{kind}:{len(octets)}:".encode())
        self._digest.update(octets)

    def _apart(self, part: Any) -> str:
        """The hash of a part alone, for parts without an order; of functions and classes, which others share, once."""
        if not inspect.isfunction(part) and not isinstance(part, type):
            return _Hash(self._within, self._known, self._objects).of([part])
        if id(part) not in self._known:
            self._known[id(part)] = _Hash(self._within, self._known, self._objects).of([part])
        return self._known[id(part)]


_VALUES = (bool, int, float, complex, str, bytes, tuple, list, dict, set, frozenset, range, np.ndarray, Path)

_LIBRARIES = ("site-packages", "dist-packages")


def _listed(slots: str | Iterable[str]) -> Iterable[str]:
    return (slots,) if isinstance(slots, str) else slots


def _has_content(value: Any) -> bool:
    """Whether it is a tensor, or a module of torch."""
    return hasattr(value, "state_dict") or (hasattr(value, "detach") and hasattr(value, "dtype"))


def _own(value: Any, module: str, place: Path | None) -> bool:
    """Whether it is a function or a class of a module, or of a file in a folder or below."""
    if not inspect.isfunction(value) and not isinstance(value, type):
        return False
    return value.__module__ == module or _beside(sys.modules.get(value.__module__), place)


def _beside(module: Any, place: Path | None) -> bool:
    """Whether a module is the user's, and its file in a folder or below."""
    file = getattr(module, "__file__", None)
    if file is None or place is None or module.__name__.partition(".")[0] == _PACKAGE:
        return False
    path = Path(file).resolve()
    return path.is_relative_to(place) and not any(part in _LIBRARIES for part in path.parts)


def _folder(thing: Any) -> Path | None:
    """The folder of the file that something is defined in; None for what comes with Python or was installed."""
    module = sys.modules.get(thing.__module__)
    file = getattr(module, "__file__", None)
    if file is None and (module is None or thing.__module__ == "__main__"):
        return Path.cwd()  # a notebook's, or run from a text
    if file is None:
        return None
    folder = Path(file).resolve().parent
    return folder if _beside(module, folder) and not folder.is_relative_to(_STANDARD) else None


_STANDARD = Path(os.__file__).resolve().parent

_PACKAGE = __name__.partition(".")[0]


def _names(code: Any) -> list[str]:
    """All names that code uses, that of functions inside of it included."""
    inner = (name for each in code.co_consts if inspect.iscode(each) for name in _names(each))
    return sorted({*code.co_names, *inner})


def _cells(function: Any) -> list[tuple[str, Any]]:
    return list(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))


def _code(code: Any) -> list[Any]:
    constants = [_code(each) if inspect.iscode(each) else each for each in code.co_consts]
    return [code.co_code, list(code.co_names), [repr(each) if each is ... else each for each in constants]]


def _file(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=_SIZE)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def _kind(part: Any) -> str:
    return f"{type(part).__module__}.{type(part).__qualname__}"
