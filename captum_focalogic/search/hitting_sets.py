"""Maps of the undecided region sets, solved by SAT: few evaluations, if the model is monotone."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from captum_focalogic.search import states as st
from captum_focalogic.search.certificate import Completeness, Reading, StopReason
from captum_focalogic.search.region_map import RegionMap
from captum_focalogic.search.run import Outcome, Problem, Search, Stopped, Verdicts
from captum_focalogic.search.settings import check_whole
from captum_focalogic.search.shrinking import shrink
from captum_focalogic.search.states import Bools, Packed
from captum_focalogic.search.violations import find_violations


@dataclass(frozen=True)
class HittingSets:
    """Ask only about sets that no earlier verdict decides on a monotone model.

    A SAT solver keeps the map of undecided sets and names maximal ones (seeds), several at a time. An invalid seed
    decides everything inside it; a valid one is shrunk to a state with no region to spare, which decides everything
    above it. The maximal invalid sets found this way are the complements of the minimal hitting sets of the final
    states. If the model is monotone on this image the final states are found exactly, with one evaluation for each
    maximal invalid set and, for each final state, about as many as shrinking takes; never more than
    ``2 * (D + V * M)`` with D maximal invalid sets, V final states and M regions. Asking several seeds and shrinking
    several at once can be wasteful where they lead to the same state; how many go together follows what that bound
    still allows.

    On a model that is not monotone it still ends, and every state it reports is irreducible: all its single deletions
    were asked and are invalid. But states may be missing, and, as whole chunks of regions are dropped at once, a
    reported state need not be reachable from the whole image by valid single deletions. The certificate says
    ``reached=False`` for that, completeness is "if monotone", and "no" once two verdicts were met that contradict
    monotonicity. All such pairs are reported.

    Parameters
    ----------
    width : int
        Seeds asked at once at most, and seeds shrunk at once at most.
    seed : int
        Seed of the orders in which regions are dropped.

    References
    ----------
    Liffiton, Previti, Malik, Marques-Silva, Fast, flexible MUS enumeration, Constraints 2016.
    Junker, QuickXplain: preferred explanations and relaxations for over-constrained problems, AAAI 2004.
    """

    width: int = 64
    seed: int = 0

    reading: ClassVar[Reading] = "irreducible"
    never_repeats: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_whole("width", self.width, 1)
        check_whole("seed", self.seed, 0)

    def search(self, problem: Problem) -> Search:
        """Look for the final states of one image."""
        found = [st.empty(problem.num_regions)]
        complete: Completeness = "no"
        stopped: StopReason | None = None
        try:
            if not (yield st.full(problem.num_regions)).valid[0]:
                return Outcome(found[0], irreducible=True, complete="yes", reached=True)
            with RegionMap(problem.num_regions) as undecided:
                yield from Explorer(problem, undecided, found, self.width, self.seed).explore()
            complete = "if monotone"
        except Stopped:
            pass
        except KeyboardInterrupt:
            stopped = "interrupted"
        violations = find_violations(problem.record.evaluated())
        if violations.total:
            complete = "no"
        return Outcome(
            np.concatenate(found), irreducible=True, complete=complete, violations=violations, stopped=stopped
        )


class Explorer:
    """One exploration of a map; final states go to ``found`` as soon as they are verified."""

    def __init__(self, problem: Problem, undecided: RegionMap, found: list[Packed], width: int, seed: int) -> None:
        self._width = width
        self._rng = np.random.default_rng(seed)
        self._problem = problem
        self._map = undecided
        self._found = found
        self._num_invalid = 0

    def explore(self) -> Generator[Packed, Verdicts, None]:
        """Until nothing is undecided."""
        pool = st.full(self._problem.num_regions)
        while True:
            while len(pool):
                known = len(self._found)
                yield from self._shrink(pool[: self._shrinks_at_once()])
                pool = pool[~_contains_any(pool, np.concatenate(self._found[known:]))]
            seeds = self._map.seeds(self._seeds_at_once())
            if not len(seeds):
                return
            valid = (yield seeds).valid
            self._map.decide_below(seeds[~valid])
            self._num_invalid += int(np.count_nonzero(~valid))
            pool = seeds[valid]

    def _allowance(self) -> int:
        """Evaluations left of 2 (D + V M), counted over the D and V found so far."""
        num_regions = self._problem.num_regions
        num_final = sum(map(len, self._found))
        return 2 * (self._num_invalid + num_final * num_regions) - self._problem.record.total

    def _seeds_at_once(self) -> int:
        return int(np.clip(self._allowance() // 2, 1, self._width))

    def _shrinks_at_once(self) -> int:
        # They may all end in one state; that one adds 2 M to the allowance, which is what one of them takes at most.
        return int(np.clip(1 + self._allowance() // (2 * self._problem.num_regions), 1, self._width))

    def _shrink(self, seeds: Packed) -> Generator[Packed, Verdicts, None]:
        """Shrink valid seeds in lock-step; give up those that come to contain a final state found meanwhile."""
        num_regions = self._problem.num_regions
        sizes = st.cardinality(np.concatenate(self._found))
        expected = float(sizes.mean()) if len(sizes) else num_regions / 6
        jobs = [shrink(seed[None], num_regions, expected, self._rng) for seed in seeds]
        asked = [next(job) for job in jobs]
        active = list(range(len(jobs)))
        while active:
            answers = (yield np.concatenate([asked[i] for i in active])).valid
            answered = np.split(answers, np.cumsum([len(asked[i]) for i in active])[:-1])
            for i, valid in zip(active, answered, strict=True):
                try:
                    asked[i] = jobs[i].send(valid)
                except StopIteration as end:
                    if not any((end.value == state).all() for state in self._found[1:]):
                        self._found.append(end.value)
                        self._map.decide_above(end.value)
            done = _contains_any(seeds, np.concatenate(self._found))
            active = [i for i in active if not done[i]]


def _contains_any(states: Packed, others: Packed) -> Bools:
    """Which states contain one of the others."""
    contains = np.zeros(len(states), dtype=np.bool_)
    for other in others:
        contains |= ((states & other) == other).all(axis=1)
    return contains
