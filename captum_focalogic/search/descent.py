"""From sets that are enough down to sets that can spare nothing: the search of one level of a zoom."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from captum_focalogic.arrays import Floats
from captum_focalogic.search import states as st
from captum_focalogic.search.certificate import Reading, StopReason
from captum_focalogic.search.hitting_sets import shrink
from captum_focalogic.search.run import Outcome, Problem, Search, Stopped, Verdicts
from captum_focalogic.search.states import Packed

Asking = Generator[Packed, Verdicts, Packed]
"""Yields states, is sent their verdicts, returns a valid set, (1, W)."""


@dataclass(frozen=True)
class Descent:
    """From each of some valid sets down to one within it that can spare no region.

    What a set leaves out stays out, so that the cost goes with the size of the sets, not with the number of regions.
    Regions of a set are ranked by what dropping one does to the score; the shortest valid prefix of that is found by
    bisection and shrunk until every single deletion is asked and not valid. (A second ranking, by the score of each
    region alone, ended at the same sets.) What an earlier set left out of what it shares with a later one is first left
    out of that one too, so that alternatives become parts of one another where the model allows it.

    The sets found are irreducible on any deterministic model; smaller ones may exist. Where it is stopped, the smallest
    valid set within each that was not done stands for it, as unfinished.

    Parameters
    ----------
    starts : tuple of tuple of int
        Columns of each set, the most important set first. They are asked again where the search does not know them.
    """

    starts: tuple[tuple[int, ...], ...] = field(repr=False)

    reading: ClassVar[Reading] = "irreducible"
    never_repeats: ClassVar[bool] = False

    def search(self, problem: Problem) -> Search:
        """Go down from every set."""
        starts = np.zeros((len(self.starts), problem.num_regions), dtype=np.bool_)
        for row, columns in enumerate(self.starts):
            starts[row, list(columns)] = True
        ways = _Ways(problem, st.pack(starts))
        stopped: StopReason | None = None
        try:
            yield st.full(problem.num_regions)
            yield from ways.go()
        except Stopped:
            pass
        except KeyboardInterrupt:
            stopped = "interrupted"
        return ways.outcome(stopped)


class _Ways:
    """The ways down, under way.

    Attributes
    ----------
    ends : list of (1, W) uint64
        Where those that are done ended, in the order of the starts.
    """

    def __init__(self, problem: Problem, starts: Packed) -> None:
        self._problem, self._starts = problem, starts
        self._num_regions = problem.num_regions
        self._units = st.unit_masks(problem.num_regions)
        self.ends: list[Packed] = []

    def go(self) -> Generator[Packed, Verdicts, None]:
        """All of them, one after the other."""
        known = yield self._starts
        for row in range(len(self._starts)):
            if not known.valid[row]:
                self.ends.append(st.empty(self._num_regions))
                continue
            start = yield from self._shared(row)
            self.ends.append((yield from self._down(start)))

    def outcome(self, stopped: StopReason | None) -> Outcome:
        """The ends, and for what is not done the smallest valid set asked within it."""
        open_ones = [self._least_within(start) for start in self._starts[len(self.ends) :, None]]
        nothing = st.empty(self._num_regions)
        unfinished = st.unique(np.concatenate([nothing, *open_ones]))
        done = st.unique(np.concatenate([nothing, *self.ends]))
        unfinished = unfinished[~np.isin(st.sort_keys(unfinished), st.sort_keys(done))]
        return Outcome(
            np.concatenate([done, unfinished]),
            irreducible=not len(unfinished),
            complete="no",
            stopped=stopped,
            unfinished=unfinished,
        )

    def _area(self, packed: Packed) -> Floats:
        return np.asarray(np.round(st.unpack(packed, self._num_regions) @ self._problem.areas, 12))

    def _least_within(self, start: Packed) -> Packed:
        asked = self._problem.record.evaluated()
        inside = asked.packed[asked.valid & ~(asked.packed & ~start).any(axis=1)]
        return inside[[np.argmin(self._area(inside))]] if len(inside) else inside

    def _shared(self, row: int) -> Asking:
        """A set without what earlier ones, that it shares regions with, could spare of these; if it is enough."""
        start = self._starts[[row]]
        for earlier, end in zip(self._starts[:row, None], self.ends, strict=True):
            fewer = start & ~(earlier & ~end) if len(end) else start
            if (fewer != start).any() and (yield fewer).valid[0]:
                start = fewer
        return start

    def _down(self, start: Packed) -> Asking:
        """The shortest valid prefix of a ranking by what each loss does, by bisection, shrunk."""
        held = np.flatnonzero(st.unpack(start, self._num_regions)[0])
        if not len(held):
            return start
        without = yield st.children(start, self._num_regions)[0]
        # Among equals the smaller region is the more important: the larger one should go.
        ranks = np.zeros(self._num_regions)
        by_loss = np.lexsort((-self._problem.areas[held], -_values(without), ~without.valid))
        ranks[held[by_loss]] = np.arange(len(held))
        order = held[by_loss[::-1]]
        prefixes = np.bitwise_or.accumulate(self._units[order], axis=0)
        low, high = 0, len(order)
        while high - low > 1:
            middle = (low + high) // 2
            answer = yield prefixes[[middle - 1]]
            low, high = (low, middle) if answer.valid[0] else (middle, high)
        job = shrink(
            prefixes[[high - 1]],
            self._num_regions,
            max(1.0, high / 2),
            lambda columns: columns[np.argsort(ranks[columns], kind="stable")],
        )
        wanted = next(job)
        while True:
            answer = yield wanted
            try:
                wanted = job.send(answer.valid)
            except StopIteration as end:
                least: Packed = end.value
                return least


def _values(verdicts: Verdicts) -> Floats:
    """Scores, or verdicts where there are none."""
    values = np.where(np.isnan(verdicts.score), verdicts.valid, verdicts.score)
    return np.asarray(np.nan_to_num(values.astype(np.float64)))
