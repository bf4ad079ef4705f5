"""Models whose final states can be worked out by hand, and what attribution methods should answer about them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from captum.attr import Attribution, FeatureAblation
from oracles import bits, smallest
from torch import Tensor, nn

from captum_focalogic import FocaLogic


class Weighing(nn.Module):
    """Class 1 if the weighted sum of all inputs exceeds a threshold, else class 0.

    Inputs and weights are small whole numbers, so the sums are exact in every floating-point type and do not depend on
    the batch they are computed in.
    """

    def __init__(self, weights: tuple[Tensor, ...], threshold: float) -> None:
        super().__init__()
        for number, weight in enumerate(weights):
            self.register_buffer(f"weight{number}", weight)
        self.threshold = threshold

    def total(self, *inputs: Tensor) -> Tensor:
        """The weighed sum of each row, (N,)."""
        total = torch.zeros(len(inputs[0]), device=inputs[0].device)
        for number, tensor in enumerate(inputs):
            weight = self.get_buffer(f"weight{number}").to(tensor.device)
            total = total + (tensor.float() * weight).reshape(len(tensor), -1).sum(1)
        return total

    def forward(self, *inputs: Tensor) -> Tensor:
        """Scores of class 0 and class 1, (N, 2), in the first input's type."""
        total = self.total(*inputs)
        scores = torch.stack([torch.full_like(total, self.threshold), total], dim=1)
        return scores.to(inputs[0].dtype) if inputs[0].is_floating_point() else scores


def exceeds(threshold: float, score: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A forward function whose class is 1 where ``score`` is above the threshold, with the scores of both classes."""

    def forward(x: Tensor) -> Tensor:
        values = score(x)
        return torch.stack([torch.full_like(values, threshold), values], dim=1)

    return forward


@dataclass(frozen=True)
class Question:
    """One call of ``attribute`` on a weighing model: enough to work out the answer independently.

    Tensors are those of the call; ``masks`` and ``baselines`` hold one full tensor (N, ...) for each input.
    """

    weights: tuple[Tensor, ...]
    threshold: float
    inputs: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]
    baselines: tuple[Tensor, ...] = ()
    target: tuple[int | None, ...] = ()
    model: Weighing = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.inputs[0])
        object.__setattr__(self, "model", Weighing(self.weights, self.threshold))
        if not self.baselines:
            object.__setattr__(self, "baselines", tuple(torch.zeros_like(tensor) for tensor in self.inputs))
        if not self.target:
            object.__setattr__(self, "target", (None,) * count)

    def contributions(self, row: int) -> tuple[float, dict[int, float]]:
        """The sum over the baseline of one row, and what each kept region adds to it."""
        base, added = 0.0, dict[int, float]()
        for tensor, mask, baseline, weight in zip(self.inputs, self.masks, self.baselines, self.weights, strict=True):
            values, replaced = tensor[row].double(), baseline[row].double()
            wide = weight.double().expand(values.shape)
            base += (replaced * wide).sum().item()
            gains = ((values - replaced) * wide).reshape(-1).tolist()
            for region, gain in zip(mask[row].reshape(-1).tolist(), gains, strict=True):
                added[region] = added.get(region, 0.0) + gain
        return base, added

    def spread(self, row: int, values: dict[int, float]) -> tuple[Tensor, ...]:
        """One value a region as tensors shaped like one row of each input."""
        return tuple(
            torch.tensor([values[region] for region in mask[row].reshape(-1).tolist()], dtype=torch.float64).reshape(
                mask[row].shape
            )
            for mask in self.masks
        )


def shares(regions: Iterable[int], is_valid: Callable[[frozenset[int]], bool]) -> dict[int, float]:
    """Share of the smallest states that keep each region, by brute force; zeros if there is no state.

    None counts where the whole is not valid.
    """
    whole = sorted(regions)
    sets = [frozenset(whole[j] for j in bits(entry)) for entry in range(1 << len(whole))]
    valid = np.array([is_valid(kept) for kept in sets], dtype=bool)
    final = [sets[entry] for entry in smallest(valid)] if valid[-1] else []
    return {region: sum(region in state for state in final) / len(final) if final else 0.0 for region in whole}


def scalars(*inputs: Tensor) -> tuple[Tensor, ...]:
    """The default masks: one region per scalar, numbered on from tensor to tensor, for every row."""
    masks, first = [], 0
    for tensor in inputs:
        size = tensor[0].numel()
        masks.append(torch.arange(first, first + size).reshape(tensor[0:1].shape).expand(tensor.shape))
        first += size
    return tuple(masks)


def four_scalars(rows: int = 2, target: tuple[int | None, ...] | None = None) -> Question:
    """Four scalars, weights 5, 3, 2, 1, class 1 above 6.5.

    The rows (1, 1, 1, 1) and (1, 0, 2, 1) have the final states {0, 1}, {0, 2} and {0, 2}; the shares are
    (1, 1/2, 1/2, 0) and (1, 0, 1, 0).
    """
    inputs = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 2.0, 1.0]])[[row % 2 for row in range(rows)]]
    weights = torch.tensor([5.0, 3.0, 2.0, 1.0])
    return Question((weights,), 6.5, (inputs,), scalars(inputs), target=target or (1,) * rows)


@dataclass(frozen=True)
class Method:
    """An attribution method under test.

    ``regions`` answers, for one row of a question, the value of each region.
    """

    kind: type[Attribution]
    regions: Callable[[Question, int], dict[int, float]]
    settings: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        return self.kind.__name__

    def __call__(self, forward: Any) -> Attribution:
        return self.kind(forward, **self.settings)

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


def by_shares(forward: Any, **how: Any) -> FocaLogic:
    """FocaLogic with weights that can be worked out from the final states alone."""
    return FocaLogic(forward, weighting="frequency", **how)


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


FOCALOGIC = Method(FocaLogic, final_state_shares, {"weighting": "frequency"})
FEATURE_ABLATION = Method(FeatureAblation, drops)
