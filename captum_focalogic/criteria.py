"""What the model's numbers are, and what "the prediction is unchanged" means.

A criterion compares the model's answers on masked inputs with its answer on the whole input. The built-in ones see
class scores, and of what kind they are (:class:`OutputKind`); a callable of the user's sees the model's outputs as they
are.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import torch
from torch import Tensor

from captum_focalogic import names
from captum_focalogic.errors import InputError, ModelOutputError, TargetError

Judgement = tuple[Tensor, Tensor | None]
"""(B,) bool validity and (B,) float score (None where the model gives none)."""

OutputCriterion = Callable[[Tensor, Tensor], Tensor | tuple[Tensor, Tensor]]
"""A user's criterion for whole batches: ``(outputs, reference_outputs) -> valid`` or ``(valid, score)``, row by row."""


Outputs = Literal["auto", "logits", "probabilities"]
"""What the user says that the model's numbers are."""


class OutputKind(IntEnum):
    """What the numbers of one example are; told by its reference, the outputs for the whole input."""

    SCORE = 0
    """One number of no known scale: its sign decides, and it is no probability."""
    LOGITS = 1
    """Scores of exclusive classes, of which a softmax makes probabilities; or one logit."""
    PROBABILITIES = 2
    """Probabilities of exclusive classes."""
    SIGMOIDS = 3
    """Independent probabilities: several labels at once, or one yes-or-no question, decided at 0.5."""
    LABELS = 4
    """One whole number, which is the label itself."""


def middle_of(kind: OutputKind) -> float:
    """Where one number of a kind decides between yes and no."""
    return 0.5 if kind == OutputKind.SIGMOIDS else 0.0


def kinds_of(reference: Tensor, outputs: Outputs = "auto") -> Tensor:
    """What the numbers of each example are: the one place that decides it.

    Parameters
    ----------
    reference : (N, C) Tensor
        Class scores for whole inputs.
    outputs : {"auto", "logits", "probabilities"}
        What the user says. With "auto", several numbers that are not negative and sum to 1 (within the rounding of
        their dtype, at least 1e-3) are probabilities; several that lie strictly between 0 and 1 and do not sum to 1
        are sigmoids; one strictly between 0 and 1 is a sigmoid; everything else is logits, or one score.

    Returns
    -------
    (N,) int8 Tensor
        A :class:`OutputKind` each.

    Raises
    ------
    InputError
        If ``outputs`` is not one of the three.
    ModelOutputError
        If the numbers cannot be the probabilities that they are said to be.
    """
    check_outputs(outputs)
    rows, classes = reference.shape
    usual = OutputKind.LOGITS if classes > 1 else OutputKind.SCORE
    kinds = torch.full((rows,), int(usual), dtype=torch.int8, device=reference.device)
    if not reference.is_floating_point():
        return kinds if classes > 1 else torch.full_like(kinds, int(OutputKind.LABELS))
    if outputs == "logits":
        return torch.full_like(kinds, int(OutputKind.LOGITS))
    values = reference.float()
    exclusive = (values >= 0).all(dim=1) & ((values.sum(dim=1) - 1).abs() < _rounding(reference)) & (classes > 1)
    if outputs == "probabilities":
        if not bool(((values >= 0) & (values <= 1)).all()):
            raise ModelOutputError(
                "outputs='probabilities' says that the model gives probabilities, but its numbers for the whole input "
                f"lie in [{float(values.min()):.4g}, {float(values.max()):.4g}]; pass outputs='logits'"
            )
        kinds = torch.full_like(kinds, int(OutputKind.SIGMOIDS))
    else:
        inside = ((values > 0) & (values < 1)).all(dim=1)
        kinds = torch.where(inside, torch.full_like(kinds, int(OutputKind.SIGMOIDS)), kinds)
    return torch.where(exclusive, torch.full_like(kinds, int(OutputKind.PROBABILITIES)), kinds)


def check_outputs(outputs: Outputs) -> None:
    """Refuse what is no value of ``outputs``, with :class:`InputError`."""
    if outputs not in get_args(Outputs):
        raise InputError(f"outputs must be one of {', '.join(get_args(Outputs))}; got {outputs!r}")


def contradictions(scores: Tensor, reference: Tensor, kinds: Tensor) -> Tensor:
    """Rows that cannot be of the kind that their reference told, (B,) bool; rows with NaN contradict nothing.

    Parameters
    ----------
    scores, reference : (B, C) Tensor
        Class scores for masked inputs, and for each row those of its whole input.
    kinds : (B,) int8 Tensor
        What the references told.
    """
    if not scores.is_floating_point():
        return torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
    values = scores.float()
    slack = _rounding(scores)
    outside = ((values < -slack) | (values > 1 + slack)).any(dim=1)
    wrong = (kinds >= OutputKind.PROBABILITIES) & (kinds <= OutputKind.SIGMOIDS) & outside
    if scores.shape[1] == 1:
        # A whole input of exactly 0 or 1 may be a saturated sigmoid: the two rules part on what lies in (0, 0.5].
        own = values[:, 0]
        unclear = (kinds == OutputKind.SCORE) & ((reference[:, 0] == 0) | (reference[:, 0] == 1))
        wrong = wrong | (unclear & (own > 0) & (own <= 0.5))
    return wrong


def target_probability(scores: Tensor, target: Tensor, kinds: Tensor, reference: Tensor) -> Tensor:
    """The target's probability, (B,) float32; NaN where the numbers give none.

    Of one number, the probability of the side that the whole input is on. A logit of plus infinity is certain; several
    share the certainty.
    """
    if scores.shape[1] == 1:
        value, whole = scores[:, 0].float(), reference[:, 0].float()
        logit = kinds == OutputKind.LOGITS
        positive = torch.where(logit, value.sigmoid(), value)
        above = torch.where(logit, whole > 0, whole > 0.5)
        sided = torch.where(above, positive, 1 - positive)
        return sided.masked_fill((kinds == OutputKind.SCORE) | (kinds == OutputKind.LABELS), torch.nan)
    values = scores.float()
    column = target[:, None]
    return torch.where(
        kinds[:, None] == OutputKind.LOGITS, _softmax(values).gather(1, column), values.gather(1, column)
    )[:, 0]


def class_probabilities(scores: Tensor, kind: OutputKind) -> Tensor | None:
    """Probabilities of all classes, (B, C) float32, of scores of one kind; None where they give none."""
    if scores.shape[1] == 1 or kind in (OutputKind.SCORE, OutputKind.LABELS):
        return None
    values = scores.float()
    return _softmax(values) if kind == OutputKind.LOGITS else values


def _softmax(logits: Tensor) -> Tensor:
    # Infinite logits as the largest finite ones: infinity less infinity would be NaN.
    return logits.clamp(max=torch.finfo(logits.dtype).max).softmax(dim=1)


def _rounding(values: Tensor) -> float:
    return max(1e-3, 4 * torch.finfo(values.dtype).eps) if values.is_floating_point() else 1e-3


@runtime_checkable
class Criterion(Protocol):
    """Judges class scores against those of the whole input."""

    def judge(self, scores: Tensor, reference: Tensor, target: Tensor, kinds: Tensor | None = None) -> Judgement:
        """Judge a batch.

        Parameters
        ----------
        scores : (B, C) Tensor
            The model's class scores (logits or probabilities) for masked inputs. C = 1 for a model with one number an
            input; an integer or boolean dtype then means that the number is a label.
        reference : (B, C) Tensor
            For each row, the scores of its whole input.
        target : (B,) int64 Tensor
            For each row, the class that is explained.
        kinds : (B,) int8 Tensor, optional
            For each row, what its numbers are (:class:`OutputKind`); read off the reference by default.
        """
        ...


@dataclass(frozen=True)
class Top1:
    """The highest class is the target (the paper's criterion).

    One number an input is a yes-or-no decision: by its sign, or at 0.5 where it is a probability. A label must stay
    the same.
    """

    def judge(self, scores: Tensor, reference: Tensor, target: Tensor, kinds: Tensor | None = None) -> Judgement:
        """See :meth:`Criterion.judge`."""
        if scores.shape[1] > 1:
            return scores.argmax(dim=1) == target, _probability(scores, reference, target, kinds)
        if not scores.is_floating_point():
            return scores[:, 0] == reference[:, 0], None
        kinds = kinds_of(reference) if kinds is None else kinds
        middle = torch.where(kinds == OutputKind.SIGMOIDS, middle_of(OutputKind.SIGMOIDS), middle_of(OutputKind.SCORE))
        own, was = _wide(scores)[:, 0] - middle, _wide(reference)[:, 0] - middle
        return (own > 0) == (was > 0), torch.where(was > 0, own, -own).float()


@dataclass(frozen=True)
class Top1Ratio:
    """The highest class is the target, and its probability is at least ``ratio`` of the whole input's."""

    ratio: float = 0.5

    def __post_init__(self) -> None:
        _need_ratio(self.ratio)

    def judge(self, scores: Tensor, reference: Tensor, target: Tensor, kinds: Tensor | None = None) -> Judgement:
        """See :meth:`Criterion.judge`."""
        likely, probability = ProbabilityRatio(self.ratio).judge(scores, reference, target, kinds)
        highest, _ = Top1().judge(scores, reference, target, kinds)
        return highest & likely, probability


@dataclass(frozen=True)
class Over:
    """The target stays ahead of one other class, by at least half of its lead on the whole input.

    Attributes
    ----------
    other : int
        The class that it is held against. Where the target does not lead on the whole input, nothing is valid.
    """

    other: int

    def judge(self, scores: Tensor, reference: Tensor, target: Tensor, kinds: Tensor | None = None) -> Judgement:
        """See :meth:`Criterion.judge`."""
        _need_classes(self, scores)
        if not -scores.shape[1] <= self.other < scores.shape[1]:
            raise TargetError(f"class {self.other} is none of the model's {scores.shape[1]} classes")
        if bool((target == self.other % scores.shape[1]).any()):
            raise TargetError(f"class {self.other} is the one that is explained; name another one to hold it against")
        lead, whole = (_own(_wide(each), target) - _wide(each)[:, self.other] for each in (scores, reference))
        return (whole > 0) & (lead >= whole / 2), _probability(scores, reference, target, kinds)


@dataclass(frozen=True)
class TopK:
    """The target is among the ``k`` highest classes."""

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise InputError(f"k must be at least 1; got {self.k}")

    def judge(self, scores: Tensor, reference: Tensor, target: Tensor, kinds: Tensor | None = None) -> Judgement:
        """See :meth:`Criterion.judge`."""
        _need_classes(self, scores)
        own = scores.gather(1, target[:, None])
        return (scores > own).sum(dim=1) < self.k, _probability(scores, reference, target, kinds)


@dataclass(frozen=True)
class ProbabilityRatio:
    """The target's probability is at least ``ratio`` of the whole input's (structured attention graphs use 0.9)."""

    ratio: float = 0.9

    def __post_init__(self) -> None:
        _need_ratio(self.ratio)

    def judge(self, scores: Tensor, reference: Tensor, target: Tensor, kinds: Tensor | None = None) -> Judgement:
        """See :meth:`Criterion.judge`."""
        probability = _probability(scores, reference, target, kinds)
        whole = _probability(reference, reference, target, kinds)
        if bool(whole.isnan().any()):
            _need_classes(self, scores)
            raise ModelOutputError("the outputs for the whole input give the target no probability, so none is a share")
        return probability >= self.ratio * whole, probability


@dataclass(frozen=True)
class Margin:
    """The target's score exceeds every other class's by at least ``margin``."""

    margin: float

    def __post_init__(self) -> None:
        _need_number("margin", self.margin)

    def judge(self, scores: Tensor, reference: Tensor, target: Tensor, kinds: Tensor | None = None) -> Judgement:
        """See :meth:`Criterion.judge`."""
        _need_classes(self, scores)
        wide = _wide(scores)
        own = wide.gather(1, target[:, None])[:, 0]
        others = wide.scatter(1, target[:, None], -torch.inf).amax(dim=1)
        return own - others >= self.margin, _probability(scores, reference, target, kinds)


@dataclass(frozen=True)
class SameLabel:
    """The label is that of the whole input; the highest class, where the model gives scores of several."""

    def judge(self, scores: Tensor, reference: Tensor, target: Tensor, kinds: Tensor | None = None) -> Judgement:
        """See :meth:`Criterion.judge`."""
        if scores.shape[1] > 1:
            score = _probability(scores, reference, target, kinds)
            return scores.argmax(dim=1) == reference.argmax(dim=1), score
        return scores[:, 0] == reference[:, 0], None


@dataclass(frozen=True)
class Threshold:
    """The target's score stays on the side of ``value`` it is on for the whole input (above, or not above)."""

    value: float

    def __post_init__(self) -> None:
        _need_number("value", self.value)

    def judge(
        self,
        scores: Tensor,
        reference: Tensor,
        target: Tensor,
        kinds: Tensor | None = None,  # noqa: ARG002
    ) -> Judgement:
        """See :meth:`Criterion.judge`."""
        own, was = _own(_wide(scores), target), _own(_wide(reference), target)
        above = was > self.value
        return (own > self.value) == above, torch.where(above, own, -own).float()


@dataclass(frozen=True)
class Tolerance:
    """The target's score differs from that of the whole input by at most ``difference``."""

    difference: float

    def __post_init__(self) -> None:
        if not self.difference >= 0:
            raise InputError(f"difference must not be negative; got {self.difference}")

    def judge(
        self,
        scores: Tensor,
        reference: Tensor,
        target: Tensor,
        kinds: Tensor | None = None,  # noqa: ARG002
    ) -> Judgement:
        """See :meth:`Criterion.judge`."""
        distance = (_own(_wide(scores), target) - _own(_wide(reference), target)).abs()
        return distance <= self.difference, -distance.float()


READ_THE_KIND = (Top1, Top1Ratio, ProbabilityRatio)
"""Criteria whose verdicts depend on what the numbers are, so that a doubt about it must be told."""

_NAMED: dict[str, tuple[type[Criterion], type[int] | type[float] | None]] = {
    "top1": (Top1, None),
    "topk": (TopK, int),
    "probability": (ProbabilityRatio, float),
    "margin": (Margin, float),
    "label": (SameLabel, None),
    "threshold": (Threshold, float),
    "tolerance": (Tolerance, float),
}


def as_criterion(criterion: Any, labels: Sequence[str] | None = None) -> "Criterion | OutputCriterion":
    """A criterion by its name (:func:`parse`), or as it is.

    Raises
    ------
    InputError
        If it is neither a name, a criterion nor a function.
    """
    if isinstance(criterion, str):
        return parse(criterion, labels)
    if not callable(criterion) and not isinstance(criterion, Criterion):
        raise InputError(
            f"criterion must be a name such as top1, a Criterion or a function of outputs; got {criterion!r}"
        )
    found: Criterion | OutputCriterion = criterion
    return found


def parse(text: str, labels: Sequence[str] | None = None) -> Criterion:
    """A criterion from its name and number, such as ``"top1"``, ``"topk:5"``, ``"top1+0.5"`` or ``"over:281"``.

    Parameters
    ----------
    text : str
        Name and number; of ``over`` a class, by its number or one of ``labels``.
    labels : sequence of str, optional
        Names of the model's classes, in their order.

    Raises
    ------
    InputError
        If the name is unknown, or the number is missing, superfluous or malformed.
    """
    name, colon, number = text.partition(":")
    first, plus, share = text.partition("+")
    if first == "top1" and plus:
        return Top1Ratio(_number(share, float, text, "top1+SHARE, such as top1+0.5"))
    if name == "over":
        return Over(class_number(number, labels))
    if name not in _NAMED:
        found: Criterion = names.find("criterion", text, also=(*map(_usage, _NAMED), "top1+SHARE", "over:CLASS"))
        return found
    kind, number_type = _NAMED[name]
    if number_type is None:
        if colon:
            raise InputError(f"criterion {name!r} takes no number; got {text!r}")
        return kind()
    if not colon and kind is ProbabilityRatio:
        return kind()
    return kind(_number(number, number_type, text, f"{_usage(name)}, such as {name}:1"))  # type: ignore[call-arg]


def class_number(text: str | int, labels: Sequence[str] | None = None) -> int:
    """The number of a class that is given by its number or its name, capitals or not.

    Raises
    ------
    InputError
        If no class, or more than one, is called so.
    """
    if isinstance(text, int):
        return text
    wanted = text.strip()
    number = names.whole_number(wanted)
    if number is not None:
        return number
    if labels is None:
        raise InputError(f"class {text!r} is given by name, but the names of the classes are not known; pass labels=")
    listed = names.listed_labels(labels) or []
    found = [place for place, label in enumerate(listed) if label.casefold() == wanted.casefold()]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{len(found)} classes are called {text!r}: {', '.join(map(str, found))}; give the number")
    near = get_close_matches(wanted.casefold(), [label.casefold() for label in listed], n=3)
    raise InputError(f"no class is called {text!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""))


def criterion_text(criterion: "Criterion | OutputCriterion") -> str:
    """How a criterion is written, such that :func:`parse` reads the built-in ones back."""
    if isinstance(criterion, Top1Ratio):
        return f"top1+{criterion.ratio!r}"
    if isinstance(criterion, Over):
        return f"over:{criterion.other}"
    for name, (kind, number_type) in _NAMED.items():
        if type(criterion) is kind:
            return name if number_type is None else f"{name}:{next(iter(vars(criterion).values()))!r}"
    return getattr(criterion, "__qualname__", None) or repr(criterion)


def _number(text: str, number_type: "type[int] | type[float]", whole: str, usage: str) -> float:
    try:
        number = names.whole_number(text.strip()) if number_type is int else float(text)
    except ValueError as error:
        raise InputError(f"criterion {whole!r} should read {usage}") from error
    if number is None:
        raise InputError(f"criterion {whole!r} should read {usage}")
    return number


def _usage(name: str) -> str:
    return name if _NAMED[name][1] is None else f"{name}:NUMBER"


def _own(scores: Tensor, target: Tensor) -> Tensor:
    return scores[:, 0] if scores.shape[1] == 1 else scores.gather(1, target[:, None])[:, 0]


def _probability(scores: Tensor, reference: Tensor, target: Tensor, kinds: Tensor | None) -> Tensor:
    return target_probability(scores, target, kinds_of(reference) if kinds is None else kinds, reference)


def _wide(scores: Tensor) -> Tensor:
    """Scores in a type that can be negative and infinite, and that a bound is not rounded to."""
    if scores.dtype == torch.float64:
        return scores
    # MPS has no float64.
    return scores.float() if scores.is_floating_point() or scores.device.type == "mps" else scores.double()


def _need_ratio(ratio: float) -> None:
    if not 0 < ratio <= 1:
        raise InputError(f"ratio must be above 0 and at most 1, which the whole input itself reaches; got {ratio}")


def _need_number(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise InputError(f"{name} must be a finite number; got {value}")


def _need_classes(criterion: Criterion, scores: Tensor) -> None:
    if scores.shape[1] < 2:
        raise TargetError(
            f"{criterion} compares classes, but the model gives one number an input; "
            "use Top1 (its sign), Threshold, Tolerance or SameLabel"
        )
