"""Weightings: what one region is worth in an explanation, as a number."""

from collections.abc import Callable
from math import comb
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Bools, Floats
from captum_focalogic.focus import Focus
from captum_focalogic.logic import banzhaf_values, shapley_values
from captum_focalogic.search import states as st

Weighting = Literal["auto", "graded", "frequency", "shapley", "banzhaf", "responsibility"]

EXACT_REGIONS = 20
"""Regions up to which graded weights are exact, by a table of all region sets."""

ORDERS = 500
"""Orders of arrival that are drawn above that; each is taken backwards too."""

WORK = 1_000_000_000
"""Fewer orders are drawn where these times answers times regions are more."""


def graded(focus: Focus) -> Floats:
    """Shapley values of what is known about the target's probability, from the answers that the search already has.

    Of a region set that the model was asked about, its probability p is known. Any other set would lie, on a monotone
    model, between the highest p among the asked sets within it and the lowest p among the asked sets around it (0 and
    1 where there is none); it is taken to lie halfway. A region's weight is what it adds to that number on average
    over all orders in which regions can arrive (Shapley). So each weight is a share of p(whole) - p(nothing), and once
    all sets were asked, they are the exact Shapley values of the probability. Nothing is fitted, and the model is not
    asked again.

    Where the model gives no probability, p is 1 for sets that keep the prediction, else 0.

    Parameters
    ----------
    focus : Focus
        An explanation with its answers, ``focus.evaluated``.

    Returns
    -------
    (M,) float64
        Negative for regions that speak against the class. All 0 where there is no final state, or nothing but the empty
        one. Exact up to 20 regions; above, the mean over a thousand orders (fewer where the answers are very many), the
        same ones each time.
    """
    # Where the baseline alone is enough, no region is: nothing is explained.
    if not focus.final_states.any() or not len(focus.evaluated):
        return np.zeros(focus.num_regions)
    states, values = focus.evaluated.states, known_values(focus)
    if focus.num_regions <= EXACT_REGIONS:
        return _shapley_of_table(_halfway_table(states, values))
    return _shapley_of_orders(states, values)


def responsibility(focus: Focus) -> Floats:
    """Lower bounds of each region's degree of responsibility for the decision, from the answers there are.

    A region is responsible to the degree 1 / (1 + k) if k is the fewest other regions that have to be dropped before
    the decision hangs on it: it stands without these k, and falls when the region goes too (Chockler, Halpern 2004;
    over parts of images ReX: Chockler, Kroening, Sun 2021). Only pairs of sets that were both asked tell that, and
    fewer regions might do where nobody asked; so the number can be too small, and is never too large. With all sets
    asked it is exact. The model is not asked again.

    Parameters
    ----------
    focus : Focus
        An explanation with its answers, ``focus.evaluated``.

    Returns
    -------
    (M,) float64
        From 0 (no pair was asked that shows it) to 1 (the loss of this region alone changes the answer).
    """
    weights = np.zeros(focus.num_regions)
    asked = focus.evaluated
    valid, lost = asked.packed[asked.valid], st.sort_keys(asked.packed[~asked.valid])
    if not len(valid) or not bool((st.cardinality(valid) == focus.num_regions).any()):
        return weights
    dropped = focus.num_regions - st.cardinality(valid)
    children, parent, column = st.children(valid, focus.num_regions)
    decides = np.isin(st.sort_keys(children), lost)
    np.maximum.at(weights, column[decides], 1 / (1 + dropped[parent[decides]]))
    return weights


def known_values(focus: Focus) -> Floats:
    """The target's probability in each state that was asked, (B,); where there is none, 1 if valid, else 0."""
    valid = focus.evaluated.valid.astype(np.float64)
    if focus.evaluated.probability is None:
        return valid
    probability = focus.evaluated.probability.astype(np.float64)
    return np.where(np.isfinite(probability), probability, valid)


def _halfway_table(states: Bools, values: Floats) -> Floats:
    """What is taken for the value of each of the 2^M region sets, bit j of its number standing for region j."""
    num_regions = states.shape[1]
    asked = states @ (1 << np.arange(num_regions, dtype=np.int64))
    lower, upper = np.zeros(1 << num_regions), np.ones(1 << num_regions)
    lower[asked] = upper[asked] = values
    for column in range(num_regions):
        below, above = (_halves(bound, column) for bound in (lower, upper))
        np.maximum(below[:, 1], below[:, 0], out=below[:, 1])
        np.minimum(above[:, 0], above[:, 1], out=above[:, 0])
    table: Floats = (lower + upper) / 2
    table[asked] = values
    return table


def _halves(table: NDArray[Any], column: int) -> NDArray[Any]:
    """A view of a table of all sets, (..., 2, ...): the sets without a region, and the same sets with it."""
    return table.reshape(-1, 2, 1 << column)


def _shapley_of_table(table: Floats) -> Floats:
    """Shapley values of a game given by the value of each set."""
    num_regions = len(table).bit_length() - 1
    sizes = np.bitwise_count(np.arange(len(table), dtype=np.uint64))
    share = np.array([1 / (num_regions * comb(num_regions - 1, size)) for size in range(num_regions)])
    weights = np.zeros(num_regions)
    for column in range(num_regions):
        halves = _halves(table, column)
        weights[column] = (share[_halves(sizes, column)[:, 0]] * (halves[:, 1] - halves[:, 0])).sum()
    return weights


def _shapley_of_orders(states: Bools, values: Floats) -> Floats:
    """The mean of what each region adds on arrival, over random orders and their reverses."""
    num_regions = states.shape[1]
    rng = np.random.default_rng(0)
    weights = np.zeros(num_regions)
    orders = min(ORDERS, max(10, WORK // states.size))
    for _ in range(orders):
        order = rng.permutation(num_regions)
        for arrivals in (order, order[::-1]):
            weights[arrivals] += np.diff(_halfway_along(arrivals, states, values))
    return weights / (2 * orders)


def _halfway_along(arrivals: NDArray[np.int64], states: Bools, values: Floats) -> Floats:
    """What is taken for the values of the sets of the first 0, 1, ..., M regions that arrive, (M + 1,)."""
    num_regions = len(arrivals)
    place = np.empty(num_regions, dtype=np.int16)
    place[arrivals] = np.arange(num_regions)
    whole_at = np.where(states, place + np.int16(1), np.int16(0)).max(axis=1)
    within_until = np.where(states, np.int16(num_regions), place).min(axis=1)
    exact = whole_at == within_until
    lower, upper = np.full(num_regions + 1, -np.inf), np.full(num_regions + 1, np.inf)
    np.maximum.at(lower, whole_at, values)
    np.minimum.at(upper, within_until, values)
    lower = np.maximum.accumulate(lower)
    upper = np.minimum.accumulate(upper[::-1])[::-1]
    lower[lower == -np.inf] = 0
    upper[upper == np.inf] = 1
    along: Floats = (lower + upper) / 2
    along[whole_at[exact]] = values[exact]
    return along


WEIGHTS: dict[str, Callable[[Focus], Floats]] = {
    "auto": graded,
    "graded": graded,
    "frequency": lambda focus: focus.frequencies,
    "shapley": lambda focus: shapley_values(focus.final_states),
    "banzhaf": lambda focus: banzhaf_values(focus.final_states),
    "responsibility": responsibility,
}
