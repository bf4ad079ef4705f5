"""The settings of a study: how every image is explained, and so everything that its rows depend on."""

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from captum_focalogic import __version__, names, segmenters
from captum_focalogic.baselines import baseline_from_text
from captum_focalogic.classifier import Classifier, as_classifier, find_classifier
from captum_focalogic.criteria import Criterion, Outputs, check_outputs
from captum_focalogic.criteria import parse as parse_criterion
from captum_focalogic.errors import InputError
from captum_focalogic.fingerprint import content_of, fingerprint, is_users, users_classes
from captum_focalogic.ground_truth import DEFAULT_MATCH, GroundTruthSource, Match
from captum_focalogic.metrics import DEFAULT_THRESHOLDS, Thresholds
from captum_focalogic.oracle.removal import check_removal
from captum_focalogic.provenance import Removal
from captum_focalogic.search import Reading, Strategy
from captum_focalogic.search.strategies import check_reading
from captum_focalogic.segmenters import Segmenter
from captum_focalogic.study.items import Item, ModelFactory, numbering_of

Group = list[tuple[int, Item]]
"""Images that share their batches, each with its place in the study."""


@dataclass(frozen=True, eq=False)
class StudySettings:
    """How every image is explained.

    Attributes
    ----------
    model : ModelFactory
        Who is studied.
    segmenter : callable, optional
        Cuts images; by default each image's own regions, and SLIC with 12 regions for those without.
    truth : callable, optional
        A :data:`~captum_focalogic.ground_truth.GroundTruthSource`; by default each image's own truth. False for none
        at all.
    match : Match
        Which regions count as the object.
    search, reading, criterion, outputs, max_evaluations
        As in :class:`~captum_focalogic.FocaLogic`.
    baseline : str
        What dropped regions are filled with, by its name on the command line.
    removal : {"fill", "tokens"}
        How dropped regions are taken away, as in :class:`~captum_focalogic.FocaLogic`; where they are left out there
        is no baseline.
    batch : int
        Rows of a batch; by default (0) 8 on a CPU, which is slower with more, and 512 elsewhere. It is fixed and not
        measured, because floating-point results may depend on it.
    group : int
        Images that fill batches together; by default (0) 8 on a CPU and 32 elsewhere. They are explained as one piece
        of work, always the same ones, so that a row never depends on which images were left when a run was continued.
    thresholds : Thresholds
        For the type of behaviour.
    device : str
        Where the model runs.
    """

    model: ModelFactory
    segmenter: Segmenter | None = None
    truth: GroundTruthSource | bool = True
    match: Match = DEFAULT_MATCH
    search: str | Strategy = "auto"
    reading: Reading = "irreducible"
    criterion: str | Criterion = "top1"
    outputs: Outputs = "auto"
    baseline: str = "black"
    removal: Removal = "fill"
    max_evaluations: int | None = 5_000
    batch: int = 0
    group: int = 0
    thresholds: Thresholds = DEFAULT_THRESHOLDS
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name, usual in _USUAL[torch.device(self.device).type == "cpu"].items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise InputError(f"{name} must be a whole number, at least 1, or 0 for the usual one; got {value!r}")
            object.__setattr__(self, name, value or usual)
        check_reading(self.search, self.reading)
        baseline_from_text(self.baseline)
        check_removal(self.removal)
        if isinstance(self.criterion, str):
            parse_criterion(self.criterion)
        check_outputs(self.outputs)

    def record(self, items: Sequence[Item]) -> dict[str, Any]:
        """What tells a run with these settings over these images from others, as JSON values."""
        return {
            "package": f"captum-focalogic {__version__}",
            "images": len(items),
            "data": fingerprint([(item.id, item.label) for item in items]),
            "classes": numbering_of(items),
            "model": self.model.identity,
            "segmenter": setting_text(self.segmenter),
            "truth": setting_text(self.truth),
            "match": setting_text(self.match),
            "search": setting_text(self.search),
            "reading": self.reading,
            "criterion": setting_text(self.criterion),
            "outputs": self.outputs,
            "removal": self.removal,
            "baseline": self.baseline if self.removal == "fill" else None,
            "max_evaluations": self.max_evaluations,
            "batch": self.batch,
            "group": self.group,
            "thresholds": setting_text(self.thresholds),
            "device": torch.device(self.device).type,
        }

    def groups(self, items: Sequence[Item], done: set[int]) -> list[Group]:
        """The pieces of work in which some image is not done."""
        cut = range(0, len(items), self.group)
        groups = [list(enumerate(items[start : start + self.group], start)) for start in cut]
        return [group for group in groups if any(index not in done for index, _ in group)]


_USUAL = {True: {"batch": 8, "group": 8}, False: {"batch": 512, "group": 32}}
"""Batch and group on a CPU (True) and elsewhere."""


@dataclass(frozen=True, eq=False)
class Identified:
    """A segmenter, or a source of ground truth, that does not say itself what it was made from.

    Attributes
    ----------
    function : callable
        What it does.
    identity : str
        What tells it from others, such as its name on the command line.
    """

    function: Callable[..., Any]
    identity: str

    def __call__(self, *arguments: Any) -> Any:
        """Do it."""
        return self.function(*arguments)


def segmenter_from_text(text: str) -> Segmenter:
    """A segmenter by its name, which tells it from others where it does not do so itself."""
    found = segmenters.segmenter_from_text(text)
    return found if dataclasses.is_dataclass(found) else Identified(found, f"{text}, {setting_text(found)}")


def truth_from_text(text: str, model: Classifier) -> GroundTruthSource | bool:
    """What says where the object is, by its name: True for each image's own truth ("own"), False for none ("none").

    Raises
    ------
    InputError
        If there is no such source, or it asks for classes by name and the model has no names.
    """
    if text in ("own", "none"):
        return text == "own"
    if text.partition(":")[0] in _BY_LABEL and model.labels is None:
        raise InputError(f"the truth {text} asks for classes by name, but the model {model.name} names none")
    found: GroundTruthSource = names.find("ground truth", text, also=("own", "none"))
    tells_itself = dataclasses.is_dataclass(found)
    return found if tells_itself else Identified(found, f"{text}, {setting_text(found)}")


_BY_LABEL = ("grounded-sam", "sam3")


def model_factory(model: Callable[[Tensor], Any] | Classifier | ModelFactory | str) -> ModelFactory:
    """A factory of a model that is at hand, or has a name."""
    if isinstance(model, ModelFactory):
        return model
    if isinstance(model, str):
        model = find_classifier(model)
    if not callable(model) and not isinstance(model, Classifier):
        raise InputError(f"model must be a module, a function of images, a Classifier or a ModelFactory; got {model!r}")
    made = as_classifier(model)
    if made.forward is model:
        made = dataclasses.replace(made, name=_name(model))
    return ModelFactory(lambda: made, f"{made.name}, {setting_text(made.forward)}, {setting_text(made.preprocess)}")


def setting_text(thing: Any) -> Any:
    """A text that tells a setting from another one, the same in every process.

    Numbers, texts and dataclasses are told by their values, modules by their weights (and by their code, where it is in
    files of the user's), functions and other objects by their code, what they hold and what they use of files beside
    their own, and anything with an attribute ``identity``, a text, by that.
    """
    if isinstance(identity := getattr(thing, "identity", None), str):
        return identity
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if isinstance(thing, np.ndarray | Tensor):
        return f"{type(thing).__qualname__} {fingerprint(thing)}"
    if isinstance(thing, nn.Module):
        code = users_classes(thing)
        return f"{type(thing).__qualname__} {fingerprint(thing)}" + (f" {fingerprint(code)}" if code else "")
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        fields = {item.name: setting_text(getattr(thing, item.name)) for item in dataclasses.fields(thing)}
        told = f"{type(thing).__qualname__}({', '.join(f'{name}={value}' for name, value in fields.items())})"
        return told if type(thing).__module__.startswith(f"{_PACKAGE}.") else f"{told} {_code_of(thing)}".rstrip()
    text = repr(thing)
    tells = _is_plain(thing) or (not is_users(type(thing)) and not isinstance(thing, Collection))
    return (
        text
        if tells and "object at 0x" not in text and "<" not in text
        else f"{_name(thing)} {_code_of(thing)}".rstrip()
    )


def _is_plain(thing: Any) -> bool:
    """Whether it is made of numbers and texts alone, so that its text says all of it."""
    if isinstance(thing, dict):
        return type(thing) is dict and _is_plain([*thing, *thing.values()])
    if type(thing) in (list, tuple):
        return all(map(_is_plain, thing))
    return thing is None or type(thing) in (bool, int, float, str)


_PACKAGE = __name__.partition(".")[0]


def _code_of(thing: Any) -> str:
    """A hash of what a function or an object with a method ``__call__`` does; empty where that cannot be told."""
    plain = inspect.isroutine(thing) or isinstance(thing, type | functools.partial) or not callable(thing)
    try:
        return content_of(thing) if plain else content_of(type(thing).__call__, thing)
    except (InputError, ValueError):  # ValueError: a closure over what is not there yet
        return ""


def _name(thing: Any) -> str:
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{re.sub('<|>', '', named.__qualname__)}"
