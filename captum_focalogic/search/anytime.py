"""Several cheap routes to a small sufficient set, then the proof: the best set so far at any time."""

from collections.abc import Generator
from dataclasses import dataclass
from math import comb
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Bools
from captum_focalogic.search import states as st
from captum_focalogic.search.ascending import CHUNK, uncovered
from captum_focalogic.search.certificate import Reading, StopReason
from captum_focalogic.search.hitting_sets import shrink
from captum_focalogic.search.record import Record
from captum_focalogic.search.run import Outcome, Problem, Search, Stopped, Verdicts, check_whole
from captum_focalogic.search.states import Packed

Asking = Generator[Packed, Verdicts, None]

Values = NDArray[np.float64]

HALVES = 2
"""Random halves asked for a linear fit, in units of M."""

SHARE = 0.5
"""Share of the evaluations left that growth may take."""

EXCHANGES = 2
"""Exchanges of two regions for one that are asked about one set at most, in units of M."""

LARGEST = 1e30
"""Scores are cut here, so that infinite ones can be added up."""

RIDGE = 1.0
"""Weight of the squared coefficients in linear fits."""


@dataclass(frozen=True)
class Anytime:
    """Look for a small sufficient set by several routes that share one memory, then prove that none is smaller.

    No single route is the best on all images, so they are taken in turn, the cheap ones first:

    - *Rank, bisect, shrink.* Regions are ranked, the shortest valid prefix of the ranking is found by bisection, and
      shrunk a chunk at a time until no region can be spared. Rankings are by what dropping a region does to the
      score, by the score of the region alone, by both together, and by a linear fit to random halves.
    - *Exchange.* Two regions of the best set for one outside it, the most promising by a linear fit first.
    - *Grow.* From the empty set, a region at a time, keeping the ``width`` sets of the highest score.
    - *Prove.* All sets of 0, 1, 2, ... regions, up to the size of the best set found. Once it costs less than
      the next route, it is taken instead of it. Of a size that cannot be finished within the budget, only the most
      promising sets are asked, M at a time, as long as there are valid ones among them.

    Whatever the scores are, none of what it claims rests on them: without scores, or with misleading ones, it finds
    larger sets, or takes longer. Wherever it ends, it has the best set so far: the whole image at first, which is
    *unfinished*, as some of its regions may be spared; then, after about as many evaluations as there are regions, an
    irreducible one. What is known of the smallest size is in the certificate: it lies above ``complete_up_to`` and is
    at most ``least``. If all sizes are done, the final states are all smallest states, on any deterministic model.

    Parameters
    ----------
    width : int
        Sets kept while growing; fewer where the budget does not allow as many.
    seed : int
        Seed of the random halves; the result depends on nothing else but the model.

    References
    ----------
    Junker, QuickXplain: preferred explanations and relaxations for over-constrained problems, AAAI 2004.
    """

    width: int = 10
    seed: int = 0

    reading: ClassVar[Reading] = "smallest"
    never_repeats: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_whole("width", self.width, 1)
        check_whole("seed", self.seed, 0)

    def search(self, problem: Problem) -> Search:
        """Look for the smallest final states of one image."""
        portfolio: _Portfolio | None = None
        stopped: StopReason | None = None
        try:
            if not (yield st.full(problem.num_regions)).valid[0]:
                return Outcome(st.empty(problem.num_regions), irreducible=True, complete="yes")
            portfolio = _Portfolio(problem, self.width, self.seed)
            yield from portfolio.run()
        except Stopped:
            pass
        except KeyboardInterrupt:
            stopped = "interrupted"
        if portfolio is None:
            return Outcome(st.empty(problem.num_regions), irreducible=True, complete="no", stopped=stopped)
        return portfolio.outcome(stopped)


class _Portfolio:
    """One search under way on an image that is valid as a whole.

    Attributes
    ----------
    best : (1, W) uint64
        The smallest valid set so far.
    done : int
        Every set of at most this many regions was asked, or contains a valid one.
    """

    def __init__(self, problem: Problem, width: int, seed: int) -> None:
        self.best = st.full(problem.num_regions)
        self.done = -1
        self._left_off = False
        self._num_regions = problem.num_regions
        self._areas = problem.areas
        self._record = problem.record
        self._max_evaluations = problem.max_evaluations
        self._width = width
        self._rng = np.random.default_rng(seed)
        self._nothing = st.full(problem.num_regions) & np.uint64(0)
        self._units = st.unit_masks(problem.num_regions)

    @property
    def size(self) -> int:
        """Regions of the best set."""
        return int(st.cardinality(self.best)[0])

    def run(self) -> Asking:
        """The routes, then the proof."""
        num_regions, whole = self._num_regions, st.full(self._num_regions)
        without = yield from self._ask(whole & ~self._units)
        dropped = self._ranks(~without.valid, -values_of(without))
        yield from self._descend(dropped)
        yield from self._prove_up_to(1)
        if self.done >= self.size:
            return
        alone = yield from self._ask(self._units)
        kept = self._ranks(alone.valid, values_of(alone))
        for ranking in (kept, dropped + kept):
            if self._outbid(3 * num_regions):
                yield from self._descend(ranking)
        if self._outbid((HALVES + 2) * num_regions):
            halves = st.pack(self._rng.random((HALVES * num_regions, num_regions)) < 0.5)
            answers = yield from self._ask(halves)
            fit = linear_fit(st.unpack(halves, num_regions), values_of(answers))
            yield from self._descend(fit)
        yield from self._exchange()
        if np.ptp(values_of(alone)) > 0:
            yield from self._grow()
            yield from self._exchange()
        yield from self._prove_up_to(num_regions)

    def outcome(self, stopped: StopReason | None) -> Outcome:
        """What is known, read off the record, so that it is right wherever the search was interrupted."""
        irreducible, unfinished = _final_states(self._record, self._num_regions)
        return Outcome(
            np.concatenate([irreducible, unfinished]),
            irreducible=not len(unfinished),
            complete="yes" if self.done >= self.size else "no",
            complete_up_to=self.done,
            stopped=stopped or ("max_evaluations" if self._left_off and self.done < self.size else None),
            unfinished=unfinished,
        )

    def _ask(self, states: Packed) -> Generator[Packed, Verdicts, Verdicts]:
        """Ask, and note the smallest valid set."""
        try:
            verdicts = yield states
        except Stopped as why:
            self._note(states[why.known], why.verdicts.valid[why.known], why.verdicts.score[why.known])
            raise
        self._note(states, verdicts.valid, verdicts.score)
        return verdicts

    def _note(self, states: Packed, valid: Bools, score: NDArray[np.float32]) -> None:
        rows = np.flatnonzero(valid)
        if not len(rows):
            return
        sizes = st.cardinality(states[rows])
        first = np.lexsort((-np.nan_to_num(score[rows], nan=-np.inf), sizes))[0]
        if sizes[first] < self.size:
            self.best = states[[rows[first]]]

    def _outbid(self, cost: int) -> bool:
        """Whether a route of that many evaluations costs less than the proof that nothing smaller is to be found."""
        return sum(comb(self._num_regions, size) for size in range(self.done + 1, self.size)) > cost

    def _ranks(self, valid: Bools, values: Values) -> Values:
        """Ranks of the regions, the higher the more important; among equals the larger region."""
        ranks = np.empty(self._num_regions)
        ranks[np.lexsort((self._areas, values, valid))] = np.arange(self._num_regions)
        return ranks

    def _descend(self, importance: Values) -> Asking:
        """The shortest valid prefix of a ranking, by bisection, shrunk to an irreducible set."""
        order = np.argsort(-importance, kind="stable")
        prefixes = np.concatenate([self._nothing, np.bitwise_or.accumulate(self._units[order], axis=0)])
        low, high = 0, self._num_regions
        while high - low > 1:
            middle = (low + high) // 2
            answer = yield from self._ask(prefixes[[middle]])
            low, high = (low, middle) if answer.valid[0] else (middle, high)
        yield from self._shrink(prefixes[[high]], importance)

    def _shrink(self, valid_set: Packed, importance: Values) -> Asking:
        expected = float(max(1, st.cardinality(valid_set)[0] / 3))
        job = shrink(
            valid_set,
            self._num_regions,
            expected,
            lambda columns: columns[np.argsort(importance[columns], kind="stable")],
        )
        wanted = next(job)
        while True:
            answers = yield from self._ask(wanted)
            try:
                wanted = job.send(answers.valid)
            except StopIteration:
                return

    def _exchange(self) -> Asking:
        """Two regions of the best set for one outside, as long as that finds smaller sets."""
        num_regions = self._num_regions
        while self._outbid(EXCHANGES * num_regions):
            size, promise = self.size, self._promise()
            inside = st.unpack(self.best, num_regions)[0]
            first, second = np.triu_indices(size, 1)
            held = np.flatnonzero(inside)
            fewer = self.best & ~(self._units[held[first]] | self._units[held[second]])
            exchanged = (fewer[:, None] | self._units[~inside]).reshape(-1, fewer.shape[1])
            exchanged = exchanged[np.argsort(-(st.unpack(exchanged, num_regions) @ promise), kind="stable")]
            yield from self._ask(exchanged[: EXCHANGES * num_regions])
            if self.size == size:
                return
            yield from self._shrink(self.best, promise)

    def _grow(self) -> Asking:
        """From the empty set by score, up to one region less than the best set has."""
        level, width = self._nothing, self._affordable_width()
        for size in range(1, self.size):
            if not self._outbid(width * self._num_regions):
                return
            grown = st.unique((level[:, None] | self._units).reshape(-1, level.shape[1]))
            grown = grown[st.cardinality(grown) == size]
            answers = yield from self._ask(grown)
            if answers.valid.any():
                yield from self._shrink(self.best, self._promise())
                return
            level = grown[np.argsort(-values_of(answers), kind="stable")[:width]]

    def _affordable_width(self) -> int:
        if self._max_evaluations is None:
            return self._width
        left = SHARE * (self._max_evaluations - self._record.total)
        return int(np.clip(left // max(1, self._num_regions * (self.size - 2)), 1, self._width))

    def _prove_up_to(self, size: int) -> Asking:
        while self.done < min(size, self.size):
            if self._beyond_reach(self.done + 1):
                yield from self._look_into(self.done + 1)
                self._left_off = True
                return
            yield from self._prove(self.done + 1)

    def _beyond_reach(self, size: int) -> bool:
        """Whether more sets of that many regions are unknown than may be asked."""
        if self._max_evaluations is None:
            return False
        known = int((st.cardinality(self._record.evaluated().packed) == size).sum())
        return comb(self._num_regions, size) - known > self._max_evaluations - self._record.total

    def _prove(self, size: int) -> Asking:
        """Every set of that many regions; those of fewer were all asked and are not valid."""
        promise = self._promise()
        for candidates in uncovered(st.empty(self._num_regions), size, self._num_regions):
            order = np.argsort(-(st.unpack(candidates, self._num_regions) @ promise), kind="stable")
            yield from self._ask(candidates[order])
        self.done = size

    def _look_into(self, size: int) -> Asking:
        """The most promising sets of that many regions, M at a time, as long as there are valid ones among them."""
        ranked = self._ranked(size)
        for start in range(0, len(ranked), self._num_regions):
            answers = yield from self._ask(ranked[start : start + self._num_regions])
            if not answers.valid.any():
                return

    def _ranked(self, size: int) -> Packed:
        """Unknown sets of that many regions, the most promising first; of promising regions only where all are many."""
        num_regions, promise, few = self._num_regions, self._promise(), size
        while few < num_regions and comb(few + 1, size) <= CHUNK:
            few += 1
        columns = np.sort(np.argsort(-promise, kind="stable")[:few])
        chosen = np.concatenate([st.unpack(sets, few) for sets in uncovered(st.empty(few), size, few)])
        states = np.zeros((len(chosen), num_regions), dtype=np.bool_)
        states[:, columns] = chosen
        packed = st.pack(states[np.argsort(-(states @ promise), kind="stable")])
        unknown: Packed = packed[self._record.find(packed) < 0]
        return unknown

    def _promise(self) -> Values:
        """What each region adds to the score of small sets, as far as the answers so far tell."""
        evaluated = self._record.evaluated()
        small = st.cardinality(evaluated.packed) <= max(self.size + 2, self._num_regions // 2)
        answers = Verdicts(evaluated.valid[small], evaluated.score[small])
        return linear_fit(evaluated.states[small], values_of(answers))


def values_of(verdicts: Verdicts) -> Values:
    """Scores, or verdicts where there are none, finite."""
    values: Values = np.where(np.isnan(verdicts.score), verdicts.valid, verdicts.score).astype(np.float64)
    return np.clip(values, -LARGEST, LARGEST)


def linear_fit(states: Bools, values: Values) -> Values:
    """What each region adds to the value, (M,), by ridge regression."""
    if not len(states):
        return np.zeros(states.shape[1])
    centred = states - states.mean(axis=0)
    gram = centred.T @ centred + RIDGE * np.eye(states.shape[1])
    return np.linalg.solve(gram, centred.T @ (values - values.mean()))


def _final_states(record: Record, num_regions: int) -> tuple[Packed, Packed]:
    """The irreducible states of least size, and the best valid one if it is smaller still, which is unfinished.

    Irreducible are those whose single deletions are all recorded and not valid.
    """
    evaluated = record.evaluated()
    valid, score = evaluated.packed[evaluated.valid], evaluated.score[evaluated.valid]
    sizes = st.cardinality(valid)
    unfinished = st.empty(num_regions)
    for size in np.unique(sizes):
        states = valid[sizes == size]
        children, parent, _ = st.children(states, num_regions)
        rows = record.find(children)
        irreducible = np.ones(len(states), dtype=np.bool_)
        irreducible[parent[(rows < 0) | record.valid(rows)]] = False
        if irreducible.any():
            return states[irreducible], unfinished
        if not len(unfinished):
            unfinished = states[[np.argmax(np.nan_to_num(score[sizes == size], nan=-np.inf))]]
    return st.empty(num_regions), unfinished
