"""Random deletion orders, with a bound on what they may have missed."""

import itertools
import math
from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Bools
from captum_focalogic.search import states as st
from captum_focalogic.search.certificate import Completeness, Reading, StopReason
from captum_focalogic.search.run import Outcome, Problem, Search, Stopped, Verdicts, check_probability, check_whole
from captum_focalogic.search.states import Packed

CONFIDENCE_LOST = 0.05
"""Probability that some bound is wrong, over all looks together."""

FIRST = 1.2
"""Chains before the first look, in units of 1 / max_unseen."""

GROWTH = 0.25
"""Share of the chains so far that a look may take to be allowed more misses."""


@dataclass(frozen=True)
class Chains:
    """Drop regions in random orders until nothing can be dropped, and say how much may be unseen.

    One chain goes through the regions of the whole image in a random order and drops each if the prediction survives.
    Then every single deletion from what is left is judged. On a monotone model none is valid; on others some may be:
    then a valid child is taken at random, and the chain goes on from it with a new random order. It ends in a state
    without a valid child, so every result is irreducible and was reached by valid deletions. Judging one region at a
    time in a random order, instead of starting over after each deletion, reaches the same states with 7 to 37 % fewer
    evaluations (random DNFs over 16 to 60 regions).

    The bound: the set of states seen is frozen, fresh chains are drawn, and those that end outside it are counted. With
    x of n outside, the Clopper-Pearson upper limit bounds the probability that the next chain ends in an unseen state.
    Look k spends 0.05 * 6 / (pi^2 k^2) of the error, which sums to 0.05 over all looks, so the bound holds with 95 %
    confidence although the search looks repeatedly and stops when it likes what it sees. Its n is fixed before it
    draws. The states found by a look join the seen ones for the next.

    Parameters
    ----------
    max_unseen : float
        End when the bound is at most this.
    seed : int
        Seed of the random orders; the result depends on nothing else but the model.
    width : int
        Chains under way at once, each asking about one state at a time; fewer where the budget allows few.

    Notes
    -----
    If the budget ends earlier, the certificate has the best bound of the looks finished by then, or none.

    References
    ----------
    Clopper and Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial, 1934.
    """

    max_unseen: float = 0.05
    seed: int = 0
    width: int = 128

    reading: ClassVar[Reading] = "irreducible"
    never_repeats: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_probability("max_unseen", self.max_unseen)
        check_whole("seed", self.seed, 0)
        check_whole("width", self.width, 1)

    def search(self, problem: Problem) -> Search:
        """Look for the final states of one image."""
        stopped: StopReason | None = None
        sampler = Sampler(problem, self.max_unseen, self.seed, self.width)
        try:
            if not (yield st.full(problem.num_regions)).valid[0]:
                return Outcome(sampler.ends(), irreducible=True, complete="yes", reached=True)
            yield from sampler.sample()
        except Stopped:
            pass
        except KeyboardInterrupt:
            stopped = "interrupted"
        return Outcome(
            sampler.ends(),
            irreducible=True,
            complete=sampler.complete,
            unseen_bound=sampler.bound,
            reached=True,
            stopped=stopped,
        )


class Sampler:
    """Chains drawn on one image until the bound is low enough.

    Attributes
    ----------
    bound : float or None
        Upper bound of the unseen mass, once a look has ended.
    complete : {"yes", "bound", "no"}
        "yes" where the whole image is the only final state.
    """

    def __init__(self, problem: Problem, max_unseen: float, seed: int, width: int, seen: Packed | None = None) -> None:
        self.bound: float | None = None
        self.complete: Completeness = "no"
        self._num_regions = problem.num_regions
        self._max_unseen = max_unseen
        self._rng = np.random.default_rng(seed)
        if problem.max_evaluations is not None:
            # Chains that the budget cuts off are lost, so few go together where it allows few.
            width = min(width, max(1, problem.max_evaluations // (4 * problem.num_regions)))
        self._width = width
        self._seen = st.empty(problem.num_regions) if seen is None else st.unique(seen)
        self._ended: list[Packed] = []

    def ends(self) -> Packed:
        """States that were given as seen, or that chains ended in."""
        return np.concatenate([self._seen, *self._ended])

    def sample(self) -> Generator[Packed, Verdicts, None]:
        """First some chains that are not counted, then looks."""
        count = drawn = math.ceil(FIRST / self._max_unseen)
        yield from self._draw(count)
        if len(self._seen) == 1 and (self._seen == st.full(self._num_regions)).all():
            # The whole image has no valid child, so every chain ends where it starts.
            self.complete = "yes"
            return
        for look in itertools.count(1):
            error = _error(look)
            count = _look_size(error, self._max_unseen, GROWTH * drawn)
            misses = yield from self._draw(count)
            drawn += count
            self.bound = min(self.bound or 1.0, upper_bound(misses, count, error))
            self.complete = "bound"
            if self.bound <= self._max_unseen:
                return

    def _draw(self, count: int) -> Generator[Packed, Verdicts, int]:
        """Draw fresh chains; how many ended outside what was seen before they began."""
        self._ended = []
        yield from _descend(self._num_regions, count, min(count, self._width), self._rng, self._ended)
        ends = np.concatenate(self._ended)
        misses = int(np.count_nonzero(~_among(ends, self._seen)))
        self._seen, self._ended = st.unique(np.concatenate([self._seen, ends])), []
        return misses


def _descend(
    num_regions: int, count: int, width: int, rng: np.random.Generator, ended: list[Packed]
) -> Generator[Packed, Verdicts, None]:
    """Run chains in lock-step, ``width`` at a time, and append their ends to ``ended``, ``count`` in all.

    A chain is the state it has come to and the regions tried since it last took a new order.
    """
    units = st.unit_masks(num_regions)
    start = st.full(num_regions)
    state = np.repeat(start, width, axis=0)
    tried = np.zeros_like(state)
    waiting = count - width
    while len(state):
        untried = st.unpack(state & ~tried, num_regions)
        going = np.flatnonzero(untried.any(axis=1))
        column = _pick(untried[going], rng)
        proposed = state[going] & ~units[column]
        checking = np.flatnonzero(~untried.any(axis=1))
        children, parent, _ = st.children(state[checking], num_regions)
        valid = (yield np.concatenate([proposed, children])).valid
        dropped, kept = valid[: len(going)], ~valid[: len(going)]
        state[going[dropped]] = proposed[dropped]
        tried[going[kept]] |= units[column[kept]]
        if not len(checking):
            continue
        descends, child = _pick_child(len(checking), parent, valid[len(going) :], rng)
        state[checking[descends]] = children[child]
        tried[checking[descends]] = 0
        over = checking[~descends]
        if not len(over):
            continue
        ended.append(state[over])
        fresh = min(waiting, len(over))
        waiting -= fresh
        state[over[:fresh]], tried[over[:fresh]] = start, 0
        state, tried = np.delete(state, over[fresh:], axis=0), np.delete(tried, over[fresh:], axis=0)


def _pick(choices: Bools, rng: np.random.Generator) -> NDArray[np.int64]:
    """A random column among those set, for each row."""
    column: NDArray[np.int64] = np.argmax(np.where(choices, rng.random(choices.shape), -1.0), axis=1)
    return column


def _pick_child(
    num_parents: int, parent: NDArray[np.int64], valid: Bools, rng: np.random.Generator
) -> tuple[Bools, NDArray[np.int64]]:
    """Which parents have a valid child, and a random one for each of those."""
    links = rng.permutation(np.flatnonzero(valid))
    having, first = np.unique(parent[links], return_index=True)
    descends = np.zeros(num_parents, dtype=np.bool_)
    descends[having] = True
    return descends, links[first]


def _among(states: Packed, others: Packed) -> Bools:
    return np.isin(st.sort_keys(states), st.sort_keys(others))


def _error(look: int) -> float:
    """Error that the k-th look may spend; the sum over all k is CONFIDENCE_LOST."""
    return CONFIDENCE_LOST * 6 / (math.pi * look) ** 2


@lru_cache(maxsize=4096)
def upper_bound(misses: int, count: int, error: float) -> float:
    """Clopper-Pearson: a higher probability gives ``misses`` or fewer in ``count`` draws less often than ``error``."""
    from scipy.special import betaincinv

    return 1.0 if misses >= count else float(betaincinv(misses + 1, count - misses, 1 - error))


@lru_cache(maxsize=4096)
def _smallest_count(misses: int, error: float, max_unseen: float) -> int:
    """Chains that a look needs to pass with that many misses."""
    low, high = misses, misses + 1
    while upper_bound(misses, high, error) > max_unseen:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if upper_bound(misses, middle, error) <= max_unseen else (middle, high)
    return high


def _look_size(error: float, max_unseen: float, affordable: float) -> int:
    """Chains of a look: as many misses forgiven as ``affordable`` chains allow, none if they allow none."""
    misses = 0
    while _smallest_count(misses + 1, error, max_unseen) <= affordable:
        misses += 1
    return _smallest_count(misses, error, max_unseen)
