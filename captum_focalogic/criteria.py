"""What "the prediction is unchanged" means.

A criterion compares the model's answers on masked inputs with its answer on the whole input. The built-in ones see
class scores; a callable of the user's sees the model's outputs as they are.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from captum_focalogic.errors import InputError, TargetError

Judgement = tuple[Tensor, Tensor | None]
"""(B,) bool validity and (B,) float score (None where the model gives none)."""

OutputCriterion = Callable[[Tensor, Tensor], Tensor | tuple[Tensor, Tensor]]
"""A user's criterion for whole batches: ``(outputs, reference_outputs) -> valid`` or ``(valid, score)``, row by row."""


@runtime_checkable
class Criterion(Protocol):
    """Judges class scores against those of the whole input."""

    def judge(self, scores: Tensor, reference: Tensor, target: Tensor) -> Judgement:
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
        """
        ...


@dataclass(frozen=True)
class Top1:
    """The highest class is the target (the paper's criterion).

    One number an input is a binary decision by its sign; a label must stay the same.
    """

    def judge(self, scores: Tensor, reference: Tensor, target: Tensor) -> Judgement:
        """See :meth:`Criterion.judge`."""
        if scores.shape[1] > 1:
            return scores.argmax(dim=1) == target, _target_probability(scores, reference, target)
        if not scores.is_floating_point():
            return scores[:, 0] == reference[:, 0], None
        return Threshold(0.0).judge(scores, reference, target)


@dataclass(frozen=True)
class TopK:
    """The target is among the ``k`` highest classes."""

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise InputError(f"k must be at least 1; got {self.k}")

    def judge(self, scores: Tensor, reference: Tensor, target: Tensor) -> Judgement:
        """See :meth:`Criterion.judge`."""
        _need_classes(self, scores)
        own = scores.gather(1, target[:, None])
        return (scores > own).sum(dim=1) < self.k, _target_probability(scores, reference, target)


@dataclass(frozen=True)
class ProbabilityRatio:
    """The target's probability is at least ``ratio`` of the whole input's (structured attention graphs use 0.9)."""

    ratio: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1:
            raise InputError(
                f"ratio must be above 0 and at most 1, which the whole input itself reaches; got {self.ratio}"
            )

    def judge(self, scores: Tensor, reference: Tensor, target: Tensor) -> Judgement:
        """See :meth:`Criterion.judge`."""
        _need_classes(self, scores)
        probability = _target_probability(scores, reference, target)
        return probability >= self.ratio * _target_probability(reference, reference, target), probability


@dataclass(frozen=True)
class Margin:
    """The target's score exceeds every other class's by at least ``margin``."""

    margin: float

    def __post_init__(self) -> None:
        _need_number("margin", self.margin)

    def judge(self, scores: Tensor, reference: Tensor, target: Tensor) -> Judgement:
        """See :meth:`Criterion.judge`."""
        _need_classes(self, scores)
        wide = _wide(scores)
        own = wide.gather(1, target[:, None])[:, 0]
        others = wide.scatter(1, target[:, None], -torch.inf).amax(dim=1)
        return own - others >= self.margin, _target_probability(scores, reference, target)


@dataclass(frozen=True)
class SameLabel:
    """The label is that of the whole input; the highest class, where the model gives scores of several."""

    def judge(self, scores: Tensor, reference: Tensor, target: Tensor) -> Judgement:
        """See :meth:`Criterion.judge`."""
        if scores.shape[1] > 1:
            score = _target_probability(scores, reference, target)
            return scores.argmax(dim=1) == reference.argmax(dim=1), score
        return scores[:, 0] == reference[:, 0], None


@dataclass(frozen=True)
class Threshold:
    """The target's score stays on the side of ``value`` it is on for the whole input (above, or not above)."""

    value: float

    def __post_init__(self) -> None:
        _need_number("value", self.value)

    def judge(self, scores: Tensor, reference: Tensor, target: Tensor) -> Judgement:
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

    def judge(self, scores: Tensor, reference: Tensor, target: Tensor) -> Judgement:
        """See :meth:`Criterion.judge`."""
        distance = (_own(_wide(scores), target) - _own(_wide(reference), target)).abs()
        return distance <= self.difference, -distance.float()


_NAMED: dict[str, tuple[type[Criterion], type[int] | type[float] | None]] = {
    "top1": (Top1, None),
    "topk": (TopK, int),
    "probability": (ProbabilityRatio, float),
    "margin": (Margin, float),
    "label": (SameLabel, None),
    "threshold": (Threshold, float),
    "tolerance": (Tolerance, float),
}


def parse(text: str) -> Criterion:
    """A criterion from its name and number, such as ``"top1"``, ``"topk:5"`` or ``"probability:0.9"``.

    Raises
    ------
    InputError
        If the name is unknown, or the number is missing, superfluous or malformed.
    """
    name, colon, number = text.partition(":")
    if name not in _NAMED:
        raise InputError(f"unknown criterion {text!r}; choose one of {', '.join(map(_usage, _NAMED))}")
    kind, number_type = _NAMED[name]
    if number_type is None:
        if colon:
            raise InputError(f"criterion {name!r} takes no number; got {text!r}")
        return kind()
    if not colon and kind is ProbabilityRatio:
        return kind()
    try:
        value = number_type(number)
    except ValueError as error:
        raise InputError(f"criterion {text!r} should read {_usage(name)}, such as {name}:1") from error
    return kind(value)  # type: ignore[call-arg]


def _usage(name: str) -> str:
    return name if _NAMED[name][1] is None else f"{name}:NUMBER"


def _own(scores: Tensor, target: Tensor) -> Tensor:
    return scores[:, 0] if scores.shape[1] == 1 else scores.gather(1, target[:, None])[:, 0]


def _target_probability(scores: Tensor, reference: Tensor, target: Tensor) -> Tensor:
    """The target's probability; scores count as probabilities where the whole input's are non-negative and sum to 1."""
    rounding = torch.finfo(reference.dtype).eps if reference.is_floating_point() else 0.0
    scores, reference = scores.float(), reference.float()
    sums_to_one = (reference.sum(dim=1) - 1).abs() < max(1e-3, 4 * rounding)
    are_probabilities = (reference >= 0).all(dim=1) & sums_to_one
    logit = scores.gather(1, target[:, None])[:, 0]
    return torch.where(are_probabilities, logit, (logit - scores.logsumexp(dim=1)).exp())


def _wide(scores: Tensor) -> Tensor:
    """Scores in a type that can be negative and infinite, and that a bound is not rounded to."""
    if scores.dtype == torch.float64:
        return scores
    # MPS has no float64.
    return scores.float() if scores.is_floating_point() or scores.device.type == "mps" else scores.double()


def _need_number(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise InputError(f"{name} must be a finite number; got {value}")


def _need_classes(criterion: Criterion, scores: Tensor) -> None:
    if scores.shape[1] < 2:
        raise TargetError(
            f"{criterion} compares classes, but the model gives one number an input; "
            "use Top1 (its sign), Threshold, Tolerance or SameLabel"
        )
