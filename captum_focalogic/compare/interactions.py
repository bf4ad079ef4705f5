"""AND-OR interactions: the model's score as a sum of effects of region sets, exactly, from a table of all 2^M states.

The score v(S) of keeping the regions S splits into AND effects, which need all regions of a set (Harsanyi dividends),
and OR effects, which need any of them: v(S) is the sum of I_and(T) over all T within S and of I_or(T) over all T that
meet S. How v is split between the two is free, and is chosen so that few effects are left, by minimising their absolute
sum (Li and Zhang, "Does a neural network really encode symbolic concepts?", 2023; Zhou et al., 2024).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_focalogic.arrays import Floats
from captum_focalogic.compare.decision import Decision
from captum_focalogic.compare.method import Attribution, Method
from captum_focalogic.errors import InputError, SkippedError

MOST_REGIONS = 12
_LISTED = 20
_STEPS = 400


@dataclass(frozen=True)
class Interactions:
    """Effects of all region sets; row i is the set whose bits are i.

    Attributes
    ----------
    and_effects, or_effects : (2^M,) float64
        Row 0 of the OR effects is 0; row 0 of the AND effects is the score of the empty set.
    """

    and_effects: Floats
    or_effects: Floats

    def scores(self) -> Floats:
        """What the effects add up to in each state, (2^M,): the table they were made from."""
        missed = _subset_sums(torch.from_numpy(self.or_effects)).numpy()[::-1]
        needed: Floats = _subset_sums(torch.from_numpy(self.and_effects)).numpy()
        scores: Floats = needed + self.or_effects.sum() - missed
        return scores


def interactions(table: NDArray[np.floating], steps: int = _STEPS) -> Interactions:
    """Split a table of scores into few AND and OR effects.

    Parameters
    ----------
    table : (2^M,) float
        Score of every state; bit j of the row says whether region column j is kept.
    steps : int
        Steps of the minimisation; 0 halves the score between the two.

    Raises
    ------
    InputError
        If the length is no power of two.
    """
    scores = torch.as_tensor(np.asarray(table, dtype=np.float64))
    if scores.dim() != 1 or len(scores) & (len(scores) - 1) or not len(scores):
        raise InputError(f"a table has one score for each of 2^M states; got shape {tuple(scores.shape)}")
    gain = scores - scores[0]
    shift = torch.zeros_like(gain, requires_grad=True)
    optimiser = torch.optim.Adam([shift], lr=0.05 * max(1e-6, float(gain.std(correction=0))))
    best, least = torch.zeros_like(gain), float("inf")
    for _ in range(steps + 1):
        with torch.enable_grad():
            conjunctive, disjunctive = _effects(gain, shift)
            loss = conjunctive.abs().sum() + disjunctive.abs().sum()
            if loss.item() < least:
                best, least = shift.detach().clone(), loss.item()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    conjunctive, disjunctive = _effects(gain, best)
    conjunctive[0] += scores[0]
    return Interactions(conjunctive.numpy(), disjunctive.numpy())


def _effects(gain: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """AND and OR effects when the AND part is half the gain plus a shift (none of it for the empty set)."""
    moved = shift - shift[0]
    conjunctive = _dividends(gain / 2 + moved)
    # An OR effect of v is an AND effect of what is lost when regions are taken away: -v of the complement.
    disjunctive = -_dividends((gain / 2 - moved).flip(0))
    keep = torch.ones_like(disjunctive)
    keep[0] = 0
    return conjunctive, disjunctive * keep


def _dividends(values: Tensor) -> Tensor:
    """Moebius transform over subsets."""
    size = 1
    while size < len(values):
        pairs = values.reshape(-1, 2, size)
        values = torch.stack([pairs[:, 0], pairs[:, 1] - pairs[:, 0]], dim=1).reshape(-1)
        size *= 2
    return values


def _subset_sums(values: Tensor) -> Tensor:
    """The inverse of :func:`_dividends`."""
    size = 1
    while size < len(values):
        pairs = values.reshape(-1, 2, size)
        values = torch.stack([pairs[:, 0], pairs[:, 1] + pairs[:, 0]], dim=1).reshape(-1)
        size *= 2
    return values


def _run(decision: Decision) -> Attribution:
    count = decision.num_regions
    if count > MOST_REGIONS:
        raise SkippedError(f"{count} regions have 2^{count} states; a full table is made for up to {MOST_REGIONS}")
    if decision.budget is not None and decision.budget < 2**count:
        raise SkippedError(f"a full table takes {2**count:,} evaluations, the budget is {decision.budget:,}")
    states = (np.arange(2**count)[:, None] >> np.arange(count)) & 1 == 1
    probability = np.clip(decision.ask(states)[0], 1e-7, 1 - 1e-7)
    found = interactions(np.log(probability / (1 - probability)))
    both = np.concatenate([found.and_effects, found.or_effects])
    both[0] = 0
    sizes = np.maximum(1, states.sum(axis=1))
    shares = (found.and_effects * (np.arange(len(states)) > 0) + found.or_effects) / sizes
    scores = shares @ states
    strongest = np.argsort(-np.abs(both), kind="stable")[:_LISTED]
    terms = tuple(
        (
            "AND" if row < len(states) else "OR",
            frozenset(decision.region_ids[states[row % len(states)]].tolist()),
            float(both[row]),
        )
        for row in strongest.tolist()
    )
    needed = int(np.searchsorted(np.cumsum(np.sort(np.abs(both))[::-1]), 0.9 * np.abs(both).sum())) + 1
    note = f"{needed:,} of {2 * len(states) - 2:,} effects make up 90 % of their absolute sum"
    return Attribution(scores, decision.spread(scores), over_regions=True, terms=terms, note=note)


INTERACTION_METHODS = (Method("AND-OR", _run),)
