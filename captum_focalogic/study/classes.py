"""Which of the model's classes the images of a data set belong to, where the data gives classes by name."""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from captum_focalogic.errors import InputError, warn
from captum_focalogic.fingerprint import fingerprint
from captum_focalogic.names import whole_number

_IMAGENET = 1_000
_IMAGENET_IDS = "32a48d5a9a5063bd9dcd1480f765603e1371d0ed"
"""Fingerprint of the sorted WordNet ids of its classes."""
_WORDNET_ID = re.compile(r"n[0-9]{8}", re.IGNORECASE)
_SHOWN = 8
_SPLIT = re.compile(
    r"(images?[\W_]*)?(train|training|val|valid|validation|eval|dev|test|testing|holdout|unlabell?ed)"
    r"[\W_]*(set|data|images?|split)?[\W_]*[0-9]*",
    re.IGNORECASE,
)
_SYSTEM = frozenset(
    ("__macosx", "__pycache__", "system volume information", "lost+found", "lost.dir", "thumbs.db", "recycler")
)
_SYSTEMS_MARKS = (".", "@", "#", "$")
"""What folders begin with that are hidden, or a file server's: @eaDir, #recycle, $RECYCLE.BIN."""

BY_NAME = "the model's classes of these names"
BY_NUMBER = "whole numbers, as they are"
BY_WORDNET_ID = "ImageNet's numbers of these WordNet ids"
IN_ORDER = "alphabetical order, as torchvision's ImageFolder"
AS_GIVEN = "the numbers that the data gives"


@dataclass(frozen=True)
class ClassNumbers:
    """Numbers of classes that are given by name.

    Attributes
    ----------
    numbers : mapping of str to int
        One for each name.
    rule : str
        How they were found.
    """

    numbers: Mapping[str, int]
    rule: str


def class_numbers(classes: Sequence[str], class_names: Sequence[str] | None = None) -> ClassNumbers:
    """The number of each class that is given by name.

    Where the model's names are known, every class must be one of them (capitals, underscores and hyphens forgiven; of
    "tench, Tinca tinca" a part will do), or all must be whole numbers of its classes, or, for a model of ImageNet's
    1,000 classes, WordNet ids. Of classes that the model calls the same the first is meant, with a warning. Where
    the model's names are not known, whole numbers are themselves, and other names are numbered in
    alphabetical order, as torchvision's ``ImageFolder`` does.

    Parameters
    ----------
    classes : sequence of str
        Names of folders or labels, all different.
    class_names : sequence of str, optional
        The model's.

    Raises
    ------
    InputError
        If some are no classes of the model; the message names them and what the model calls something like it.
    """
    numbers = _by_number(classes)
    if not class_names:
        if classes and numbers is not None:
            return ClassNumbers(numbers, BY_NUMBER)
        return ClassNumbers({name: number for number, name in enumerate(sorted(classes))}, IN_ORDER)
    found = _by_name(classes, class_names)
    if len(found) == len(classes):
        return ClassNumbers(found, BY_NAME)
    if numbers is not None:
        check_range(numbers.values(), class_names)
        return ClassNumbers(numbers, BY_NUMBER)
    if len(class_names) == _IMAGENET and all(map(_WORDNET_ID.fullmatch, classes)):
        return ClassNumbers(_imagenet_numbers(classes), BY_WORDNET_ID)
    raise InputError(_strangers([name for name in classes if name not in found], len(classes), class_names))


def check_range(numbers: Iterable[int], class_names: Sequence[str] | None) -> None:
    """Refuse numbers that the model has no class for.

    Raises
    ------
    InputError
        If there is one.
    """
    beyond = sorted({number for number in numbers if class_names and number >= len(class_names)})
    if beyond and class_names:
        raise InputError(
            f"the model has {len(class_names)} classes, 0 to {len(class_names) - 1}, but the data has class "
            f"{', '.join(map(str, beyond[:_SHOWN]))}; number the data's classes as the model does"
        )


def check_splits(folders: Sequence[str], where: object, class_names: Sequence[str] | None) -> None:
    """Refuse folders that are parts of a data set, such as train and val, and not classes.

    Raises
    ------
    InputError
        If all of them are named so, or two, and the model has no such classes.
    """
    named = sum(_SPLIT.fullmatch(name) is not None for name in folders)
    if named and named >= min(2, len(folders)) and len(_by_name(folders, class_names or ())) < len(folders):
        raise InputError(
            f"{where} holds parts of a data set, not classes; name one of them: {where}/PART, PART being "
            f"{', '.join(folders)}"
        )


def is_hidden(name: str) -> bool:
    """Whether a folder or file is hidden or the system's, and so nobody's class and no image."""
    return name.startswith(_SYSTEMS_MARKS) or name.casefold() in _SYSTEM


def _by_number(classes: Sequence[str]) -> dict[str, int] | None:
    """Numbers of names that are all numbers."""
    numbers = {name: number for name in classes if (number := whole_number(name)) is not None and number >= 0}
    return numbers if len(numbers) == len(classes) else None


def _by_name(classes: Sequence[str], class_names: Sequence[str]) -> dict[str, int]:
    """Numbers of those that are a name of the model's."""
    exact: dict[str, list[int]] = {}
    alike: dict[str, set[str]] = {}
    parts: dict[str, set[str]] = {}
    for number, name in enumerate(class_names):
        exact.setdefault(name, []).append(number)
        alike.setdefault(_plain(name), set()).add(name)
        for part in name.split(","):
            parts.setdefault(_plain(part), set()).add(name)
    found = {}
    for each in classes:
        names = {each} if each in exact else alike.get(_plain(each)) or parts.get(_plain(each), set())
        if len(names) == 1:
            found[each], *others = exact[next(iter(names))]
            if others:
                warn(
                    f"the model calls several classes {each!r}: {found[each]}, {', '.join(map(str, others))}; those "
                    f"of the data are taken for {found[each]}; tell them apart by numbers"
                )
    return found


def _plain(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", unicodedata.normalize("NFKC", name).casefold().strip()))


def _strangers(names: Sequence[str], count: int, class_names: Sequence[str]) -> str:
    plain: dict[str, str] = {}
    for name in class_names:
        for part in (name, *name.split(",")):
            plain.setdefault(_plain(part), name)

    def told(name: str) -> str:
        near = dict.fromkeys(plain[key] for key in difflib.get_close_matches(_plain(name), plain, 3))
        return f"{name!r} (nearest: {', '.join(map(repr, near))})" if near else repr(name)

    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (
        f"{len(names)} of {count} classes of the data are none of the model's: "
        f"{', '.join(map(told, names[:_SHOWN]))}{more}; name them as the model does, or by its class numbers"
    )


def _imagenet_numbers(classes: Sequence[str]) -> Mapping[str, int]:
    """ImageNet's numbers of its classes; where some are missing, alphabetical order is not enough."""
    ids = sorted({name.lower() for name in classes})
    if fingerprint(ids) == _IMAGENET_IDS:
        return {name: ids.index(name.lower()) for name in classes}
    try:
        from timm.data.imagenet_info import ImageNetInfo
    except ImportError as error:
        raise InputError(
            f"the classes are {len(classes)} of ImageNet's {_IMAGENET:,}, by their WordNet ids; to tell which, "
            "pip install 'captum-focalogic[timm]', or name the folders by the classes' numbers"
        ) from error
    info: Any = ImageNetInfo()
    numbers = {name: number for number, name in enumerate(info.label_names())}
    unknown = [name for name in classes if name.lower() not in numbers]
    if unknown:
        raise InputError(f"ImageNet's {_IMAGENET:,} classes do not have the WordNet id(s) {', '.join(unknown)}")
    return {name: numbers[name.lower()] for name in classes}
