"""Maps of the undecided region sets, solved by SAT: few evaluations, if the model is monotone."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Bools
from captum_focalogic.search import states as st
from captum_focalogic.search.certificate import Completeness, Reading, StopReason
from captum_focalogic.search.record import find_violations
from captum_focalogic.search.run import Outcome, Problem, Search, Stopped, Verdicts, check_whole
from captum_focalogic.search.states import Packed


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

    def __init__(self, problem: Problem, undecided: "RegionMap", found: list[Packed], width: int, seed: int) -> None:
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
        jobs = [shrink(seed[None], num_regions, expected, self._rng.permutation) for seed in seeds]
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


class RegionMap:
    """The region sets that no verdict decides if the model is monotone.

    A valid set decides everything above it, an invalid one everything below it: one clause each (the map of MARCO,
    Liffiton et al. 2016). Close it, or use it as a context manager, to free the solver.
    """

    def __init__(self, num_regions: int) -> None:
        from pysat.solvers import Solver

        self.num_regions = num_regions
        self._solver = Solver(name="minisat22")
        self._units = st.unit_masks(num_regions)
        self._whole = st.full(num_regions)
        self._valid = st.empty(num_regions)
        self._last_variable = num_regions
        # First solutions keep many regions then; the solver forgets it in time, so they are grown all the same.
        self._solver.set_phases(range(1, num_regions + 1))

    def __enter__(self) -> "RegionMap":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._solver.delete()

    def decide_above(self, valid: Packed) -> None:
        """Everything that contains one of these sets is decided."""
        self._valid = np.concatenate([self._valid, valid])
        for columns in st.unpack(valid, self.num_regions):
            self._solver.add_clause((-1 - np.flatnonzero(columns)).tolist())

    def decide_below(self, invalid: Packed) -> None:
        """Everything inside one of these sets is decided."""
        for columns in st.unpack(invalid, self.num_regions):
            self._solver.add_clause((1 + np.flatnonzero(~columns)).tolist())

    def seeds(self, count: int) -> Packed:
        """Distinct undecided sets, ``count`` at most, each with only decided sets above it; none if all is decided.

        A clause that holds for this call alone keeps each from those before it: no subset of an earlier seed. A set
        that is maximal under these clauses is maximal without them, since a superset of it breaks none of them.
        """
        self._last_variable += 1
        switch = self._last_variable
        seeds = st.empty(self.num_regions)
        while len(seeds) < count and self._solver.solve(assumptions=[switch]):
            seed = self._grow(self._solver.get_model())
            seeds = np.concatenate([seeds, seed])
            outside = np.flatnonzero(~st.unpack(seed, self.num_regions)[0])
            self._solver.add_clause([-switch, *(1 + outside).tolist()])
        self._solver.add_clause([-switch])
        return seeds

    def _grow(self, model: list[int]) -> Packed:
        """A maximal undecided set that contains the model's."""
        kept = np.ones((1, self.num_regions), dtype=np.bool_)
        kept[0, [-literal - 1 for literal in model if -self.num_regions <= literal < 0]] = False
        seed = st.pack(kept)
        while True:
            missing = self._valid & ~seed
            completing = missing[np.bitwise_count(missing).sum(axis=1) == 1]
            free = self._whole & ~seed & ~np.bitwise_or.reduce(completing, axis=0)
            if not free.any():
                return seed
            seed |= self._units[np.flatnonzero(st.unpack(free, self.num_regions)[0])[0]]


Shrink = Generator[Packed, Bools, Packed]
"""Yields states (B, W), is sent whether they are valid (B,), returns the final state (1, W)."""

Order = Callable[[NDArray[np.int64]], NDArray[np.int64]]
"""Columns to the same columns in another order."""


def shrink(valid_set: Packed, num_regions: int, expected: float, order: Order) -> Shrink:
    """Find a valid subset of a valid set whose single deletions are all invalid.

    Regions are dropped a chunk at a time, in a given order. A chunk that cannot be dropped is halved until one region
    of it is found that cannot, as in QuickXplain (Junker 2004); chunks double while they can be dropped and halve when
    they cannot. That region is taken to stay necessary, which holds on monotone models only. So at the end every
    single deletion is asked, and where one is valid after all, the search goes on from there. The result is right on
    any model.

    Parameters
    ----------
    valid_set : (1, W) uint64
        A set known to be valid.
    num_regions : int
        M.
    expected : float
        Regions that the result may have, which sets the size of the first chunk.
    order : callable
        Puts columns in the order in which to try dropping them, such as ``rng.permutation``.
    """
    current = valid_set
    while True:
        current = yield from _drop_chunks(current, num_regions, expected, order)
        children, _, _ = st.children(current, num_regions)
        valid = (yield children) if len(children) else np.zeros(0, dtype=np.bool_)
        if not valid.any():
            return current
        current = children[[np.argmax(valid)]]


def _drop_chunks(current: Packed, num_regions: int, expected: float, order: Order) -> Shrink:
    units = st.unit_masks(num_regions)
    todo = order(np.flatnonzero(st.unpack(current, num_regions)[0]))
    size = max(1, int(len(todo) / (1 + expected)))
    successes = 0
    while len(todo):
        chunk, rest = todo[:size], todo[size:]
        smaller = _without(current, chunk, units)
        if (yield smaller)[0]:
            current, todo = smaller, rest
            successes += 1
            # From one region at a time only a second success leads back to chunks: where regions that can be
            # dropped alternate with others, chunks of two cost more than they save.
            if size > 1 or successes > 1:
                size *= 2
            continue
        while len(chunk) > 1:
            half, other = chunk[: len(chunk) // 2], chunk[len(chunk) // 2 :]
            smaller = _without(current, half, units)
            if (yield smaller)[0]:
                current, chunk = smaller, other
            else:
                chunk, rest = half, np.concatenate([other, rest])
        todo = rest
        size, successes = max(1, size // 2), 0
    return current


def _without(current: Packed, columns: NDArray[np.int64], units: Packed) -> Packed:
    smaller: Packed = current & ~np.bitwise_or.reduce(units[columns], axis=0)
    return smaller


def _contains_any(states: Packed, others: Packed) -> Bools:
    """Which states contain one of the others."""
    contains = np.zeros(len(states), dtype=np.bool_)
    for other in others:
        contains |= ((states & other) == other).all(axis=1)
    return contains
