"""Names of things that can be chosen by name, and where each is made: the one place where names become things.

A thing is named by ``NAME`` or ``NAME:TEXT``. What it stands for is imported when it is used, so that any module may
take a name without importing what the name stands for.

A package adds names by entry points, in its ``pyproject.toml``::

    [project.entry-points."captum_focalogic.models"]
    mine = "my_package:load"          # focalogic explain IMAGE --model mine:TEXT

    [project.entry-points."captum_focalogic.baselines"]
    mine = "my_package:fill"          # focalogic explain IMAGE --baseline mine:TEXT

    [project.entry-points."captum_focalogic.segmenters"]
    mine = "my_package:cut"           # focalogic explain IMAGE --segmenter mine:TEXT

What an entry names is a function of the text behind the colon ("" where there is none):

============  =================================  ==================================
kind          group                              function
============  =================================  ==================================
model         ``captum_focalogic.models``        ``(text, weights) -> Classifier``
segmenter     ``captum_focalogic.segmenters``    ``(text) -> segmenter``
baseline      ``captum_focalogic.baselines``     ``(text) -> Baseline``
ground truth  ``captum_focalogic.ground_truth``  ``(text) -> GroundTruthSource``
labels        ``captum_focalogic.labels``        ``(text) -> list of class names``
criterion     ``captum_focalogic.criteria``      ``(text) -> Criterion``
search        ``captum_focalogic.searches``      ``(text) -> Strategy``
method        ``captum_focalogic.methods``       ``(text) -> Method`` of a comparison
============  =================================  ==================================

Criteria, searches and methods of this package are told by their own modules, which come here with what they
do not know.
"""

import difflib
import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

import numpy as np

from captum_focalogic.errors import InputError

NamedKind = Literal["model", "segmenter", "ground truth", "labels", "baseline", "criterion", "search", "method"]

TABLE: dict[NamedKind, dict[str, str]] = {
    "model": {
        "demo": "captum_focalogic.integrations.demo:load_classifier",
        "efficientnet-lite0": "captum_focalogic.integrations.efficientnet_lite:load_lite0",
        "efficientnet-lite1": "captum_focalogic.integrations.efficientnet_lite:load_lite1",
        "efficientnet-lite2": "captum_focalogic.integrations.efficientnet_lite:load_lite2",
        "torchvision:NAME[@LABELS]": "captum_focalogic.integrations.torchvision:classifier_from_text",
        "PATH/MODULE.py:NAME": "captum_focalogic.integrations.user_module:load_classifier",
        "cascade:face": "captum_focalogic.integrations.cascade:load_classifier",
        "timm:NAME[@LABELS]": "captum_focalogic.integrations.timm:classifier_from_text",
        "transformers:ID": "captum_focalogic.integrations.transformers:classifier_from_text",
        "open_clip:NAME@LABELS": "captum_focalogic.integrations.open_clip:classifier_from_text",
        "clip:ID@LABELS": "captum_focalogic.integrations.transformers:clip_from_text",
        "chat:ID@LABELS": "captum_focalogic.integrations.transformers:chat_from_text",
        "openai:NAME@LABELS": "captum_focalogic.integrations.openai:classifier_from_text",
        "onnx:FILE[@LABELS]": "captum_focalogic.integrations.onnx:classifier_from_text",
        "tflite:FILE[@LABELS]": "captum_focalogic.integrations.tflite:classifier_from_text",
    },
    "segmenter": {
        "slic[:NUMBER]": "captum_focalogic.segmenters:Slic.from_text",
        "grid[:ROWSxCOLUMNS]": "captum_focalogic.segmenters:Grid.from_text",
        "felzenszwalb[:NUMBER]": "captum_focalogic.segmenters:Felzenszwalb.from_text",
        "quickshift[:NUMBER]": "captum_focalogic.segmenters:Quickshift.from_text",
        "watershed[:NUMBER]": "captum_focalogic.segmenters:Watershed.from_text",
        "features[:NUMBER]": "captum_focalogic.features:Features.from_text",
        "sam[:CHECKPOINT]": "captum_focalogic.integrations.segment_anything:SamSegmenter.from_text",
        "masks[:ID]": "captum_focalogic.integrations.transformers:TransformersSegmenter.from_text",
        "shapes:FILE.json": "captum_focalogic.integrations.annotations:Shapes",
        "PATH/MODULE.py:NAME": "captum_focalogic.integrations.user_module:FromFile.from_text",
    },
    "baseline": {
        "mean": "captum_focalogic.baselines:named_mean",
        "blur[:SIGMA]": "captum_focalogic.baselines:named_blur",
        "white": "captum_focalogic.baselines:named_white",
        "black": "captum_focalogic.baselines:named_black",
        "region-mean": "captum_focalogic.baselines:named_region_mean",
    },
    "ground truth": {
        "masks:FOLDER": "captum_focalogic.ground_truth:MaskFiles.from_text",
        "coco:FILE.json": "captum_focalogic.integrations.annotated:CocoTruth.from_text",
        "voc:FOLDER": "captum_focalogic.integrations.annotated:VocTruth.from_text",
        "grounded-sam[:DETECTOR]": "captum_focalogic.integrations.grounding:GroundedSam.from_text",
        "sam3[:MODEL]": "captum_focalogic.integrations.grounding:Sam3Truth.from_text",
        "PATH/MODULE.py:NAME": "captum_focalogic.integrations.user_module:FromFile.from_text",
    },
    "labels": {"imagenet": "captum_focalogic.integrations.imagenet:imagenet_labels"},
    "criterion": {},
    "search": {},
    "method": {},
}
"""How a name is written (what stands in brackets may be left out), and what makes the thing."""

ADOPTED = {
    "timm": "captum_focalogic.integrations.timm:adopted",
    "transformers": "captum_focalogic.integrations.transformers:adopted",
}
"""Packages whose models bring what belongs to a classifier with them, and what makes one of such an object."""

GROUPS: dict[NamedKind, str] = {
    "model": "captum_focalogic.models",
    "segmenter": "captum_focalogic.segmenters",
    "baseline": "captum_focalogic.baselines",
    "ground truth": "captum_focalogic.ground_truth",
    "labels": "captum_focalogic.labels",
    "criterion": "captum_focalogic.criteria",
    "search": "captum_focalogic.searches",
    "method": "captum_focalogic.methods",
}
"""Entry points of other packages."""

REMOVERS = {"tokens": "captum_focalogic.integrations.vision_transformers:drop_tokens"}
"""Ways of removing that the model takes part in, and what makes of a model one that can."""

IN_FILE = "PATH/MODULE.py:NAME"
"""How an object in a Python file of the user's is named, as a key of :data:`TABLE`."""


def find(kind: NamedKind, text: str, *arguments: Any, also: Sequence[str] = ()) -> Any:
    """The thing that a name stands for.

    Parameters
    ----------
    kind : str
        What is named, one of :data:`TABLE`'s.
    text : str
        ``NAME``, ``NAME:TEXT`` or ``PATH/MODULE.py:NAME``.
    *arguments
        What its maker is given beside the text.
    also : sequence of str
        Further names that the caller knows, for the error.

    Raises
    ------
    InputError
        If there is no such name, it is written otherwise, or what it stands for cannot be imported.
    """
    if is_in_file(text) and IN_FILE in TABLE[kind]:
        return import_object(TABLE[kind][IN_FILE])(text, *arguments)
    name, colon, rest = text.partition(":")
    usage = _own(kind).get(name)
    if usage is not None:
        _check_usage(kind, text, usage)
        return import_object(TABLE[kind][usage])(rest, *arguments)
    entry = _entry(kind, name)
    if entry is None or (colon and not rest):
        raise unknown(kind, text, [*choices(kind), *also])
    return _loaded(entry)(rest, *arguments)


def choices(kind: NamedKind) -> list[str]:
    """How the names of a kind are written, those of other packages after this package's own."""
    own = TABLE[kind]
    others = sorted({entry.name for entry in entry_points(group=GROUPS[kind])} - set(_own(kind)))
    return [*own, *(f"{name}[:TEXT]" for name in others)]


def names_of(kind: NamedKind) -> list[str]:
    """What stands before the colon, of every name of a kind."""
    return [_name_in(usage) for usage in choices(kind) if usage != IN_FILE]


def is_in_file(text: str) -> bool:
    """Whether a name is of an object in a Python file; paths of Windows have a colon of their own."""
    path, colon, name = text.rpartition(":")
    return bool(colon and name) and path.endswith(".py")


def unknown(kind: str, text: str, known: Sequence[str]) -> InputError:
    """The error that tells of a name that nothing has, and names the nearest ones.

    Parameters
    ----------
    kind : str
        What is named.
    text : str
        What was given.
    known : sequence of str
        How the names of that kind are written, as in :data:`TABLE`.
    """
    name = text.partition(":")[0]
    by_lower = {_name_in(usage).casefold(): _name_in(usage) for usage in known}
    near = [by_lower[found] for found in difflib.get_close_matches(name.casefold(), by_lower, n=3)]
    guess = f"; did you mean {' or '.join(near)}?" if near and name not in near else ""
    return InputError(f"unknown {kind} {text!r}; choose {', '.join(map(_spelt, known))}{guess}")


def whole_number(text: str) -> int | None:
    """The whole number that a text is; None if it is none, or is larger than 64 bits hold."""
    digits = text.removeprefix("-")
    return int(text) if digits.isdecimal() and len(digits) <= _DIGITS else None


_DIGITS = 18


def miswritten(kind: NamedKind, text: str) -> InputError:
    """The error that tells of a name that exists, and of a text behind it that does not fit."""
    usage = _own(kind)[text.partition(":")[0]]
    return InputError(f"the {kind} {text!r} cannot be read; choose {_spelt(usage)}")


def package_of(kind: NamedKind, name: str) -> str | None:
    """The other package that registers a name, if one does."""
    entry = None if name in _own(kind) else _entry(kind, name)
    return None if entry is None else _package(entry)


def _own(kind: NamedKind) -> dict[str, str]:
    """This package's names of a kind, and how each is written."""
    return {_name_in(usage): usage for usage in TABLE[kind] if usage != IN_FILE}


def _name_in(usage: str) -> str:
    return re.split(r"[\[:]", usage, maxsplit=1)[0]


def _check_usage(kind: NamedKind, text: str, usage: str) -> None:
    _, colon, rest = text.partition(":")
    fits = bool(rest) if colon else "[:" in usage or ":" not in usage
    if not fits or (colon and ":" not in usage):
        raise miswritten(kind, text)


def _spelt(usage: str) -> str:
    """How a name is written, for people: ``slic[:NUMBER]`` is "slic, slic:NUMBER"."""
    name, bracket, rest = usage.partition("[:")
    return f"{name}, {name}:{rest.removesuffix(']')}" if bracket else usage


def import_object(target: str) -> Any:
    """What ``module:object`` names; the object may be a method, ``Class.method``."""
    module, _, attribute = target.partition(":")
    found: Any = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found


def _entry(kind: NamedKind, name: str) -> EntryPoint | None:
    found = list(entry_points(group=GROUPS[kind], name=name))
    packages = sorted({_package(entry) for entry in found})
    if len(packages) > 1:
        raise InputError(f"several packages register the name {name!r}: {', '.join(packages)}; uninstall all but one")
    return found[0] if found else None


def _loaded(entry: EntryPoint) -> Callable[..., Any]:
    try:
        loaded: Callable[..., Any] = entry.load()
    except Exception as error:
        raise InputError(
            f"{entry.name!r} of {_package(entry)} cannot be imported ({type(error).__name__}: {error}); reinstall it"
        ) from error
    return loaded


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value


def listed_labels(labels: Any) -> list[str] | None:
    """Names of classes that are told apart by their index, so that names may repeat (two of ImageNet's do).

    Parameters
    ----------
    labels : sequence or mapping of str, or None
        A list, or a mapping from 0, 1, … (as numbers or texts) to names; numbers are taken as names.

    Raises
    ------
    InputError
        If they have no order, as a set, or are no names.
    """
    if labels is None:
        return None
    if isinstance(labels, Mapping):
        labels = _by_key(labels)
    if isinstance(labels, np.ndarray):
        labels = labels.tolist()
    if isinstance(labels, str):
        raise InputError(f"labels must be a list of names; got one string, {labels!r}")
    if not isinstance(labels, Sequence) or isinstance(labels, bytes):
        raise InputError(f"labels must be a list of names, one a class, in their order; got a {type(labels).__name__}")
    wrong = [label for label in labels if not isinstance(label, str | int | float | np.number)]
    if wrong:
        raise InputError(f"labels must be a list of names; one of them is a {type(wrong[0]).__name__}, {wrong[0]!r}")
    return [str(label) for label in labels]


def _by_key(labels: Mapping[Any, Any]) -> list[Any]:
    try:
        by_class = {int(key): label for key, label in labels.items()}
    except (TypeError, ValueError) as error:
        raise InputError(
            "labels as a mapping must go from class numbers to names, {0: 'cat', 1: 'dog'}; got the key "
            f"{next(iter(labels))!r}"
        ) from error
    missing = sorted(set(range(len(by_class))) - set(by_class))
    if missing or len(by_class) != len(labels):
        raise InputError(
            f"labels as a mapping must name every class from 0 on once; these have no {missing[0]}"
            if missing
            else "labels as a mapping must name every class once; a key appears twice, as a number and as a text"
        )
    return [by_class[index] for index in range(len(by_class))]
