"""The attribution methods the contract is held against: what each is called with, and what it should answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from captum.attr import Attribution, FeatureAblation
from torch import Tensor
from weighing import Question, shares

from captum_focalogic import FocaLogic


@dataclass(frozen=True)
class Method:
    """An attribution method under test.

    ``regions`` answers, for one row of a question, the value of each region.
    """

    kind: type[Attribution]
    regions: Callable[[Question, int], dict[int, float]]

    @property
    def name(self) -> str:
        return self.kind.__name__

    def __call__(self, forward: Any) -> Attribution:
        return self.kind(forward)

    def expected(self, question: Question) -> tuple[Tensor, ...]:
        """The attributions of each input, (N, ...) float64."""
        rows = [question.spread(row, self.regions(question, row)) for row in range(len(question.inputs[0]))]
        return tuple(torch.stack(parts) for parts in zip(*rows, strict=True))


def agree(given: Any, expected: tuple[Tensor, ...], tolerance: float = 1e-6) -> None:
    """Attributions are what was worked out, tensor by tensor."""
    given = given if isinstance(given, tuple) else (given,)
    assert [tuple(tensor.shape) for tensor in given] == [tuple(tensor.shape) for tensor in expected]
    for tensor, values in zip(given, expected, strict=True):
        torch.testing.assert_close(tensor.double().cpu(), values, atol=tolerance, rtol=0)


def final_state_shares(question: Question, row: int) -> dict[int, float]:
    """FocaLogic: the share of final states that keep each region."""
    base, added = question.contributions(row)

    def decision(kept: frozenset[int]) -> int:
        return int(base + sum(added[region] for region in kept) > question.threshold)

    target = question.target[row]
    explained = decision(frozenset(added)) if target is None else target
    return shares(added, lambda kept: decision(kept) == explained)


def drops(question: Question, row: int) -> dict[int, float]:
    """FeatureAblation: how much the score of class 1 falls when the region goes (class 0's never does)."""
    _, added = question.contributions(row)
    return added if question.target[row] != 0 else dict.fromkeys(added, 0.0)


FOCALOGIC = Method(FocaLogic, final_state_shares)
FEATURE_ABLATION = Method(FeatureAblation, drops)
