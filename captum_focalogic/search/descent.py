"""From sets that are enough down to sets that can spare nothing: the search of one level of a zoom."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Floats
from captum_focalogic.search import states as st
from captum_focalogic.search.certificate import Reading, StopReason
from captum_focalogic.search.run import Outcome, Problem, Search, Stopped, Verdicts
from captum_focalogic.search.states import Packed

_NEXT = 4
"""Regions that are tried again after some went, of those next in rank, besides twice as many as went."""

Columns = NDArray[np.int64]

Dropped = tuple[Packed, Columns]
"""A valid set, (1, W), and columns of it that were not dropped."""

Asking = Generator[Packed, Verdicts, Packed]
"""Yields states, is sent their verdicts, returns a valid set, (1, W)."""


@dataclass(frozen=True)
class Descent:
    """From each of some valid sets down to one within it that can spare no region.

    What a set leaves out stays out, so that the cost goes with the size of the sets, not with the number of regions.
    Regions of a set are ranked by what dropping one does to the score, and as many of the least important ones go as
    bisection finds can. What is left is ranked again, as a region counts for more once others are gone: first those
    that could be spared before, and all of them once none of these can. (Ranking once, and shrinking what bisection
    leaves a chunk at a time, ended at half as large a set again.) What an earlier set left out of what it shares
    with a later one is first left out of that one too, so that alternatives become parts of one another where the model
    allows it.

    The sets found are irreducible on any deterministic model; smaller ones may exist. Where it is stopped, the smallest
    valid set within each that was not done stands for it, as unfinished.

    Parameters
    ----------
    starts : tuple of tuple of int
        Columns of each set, the most important set first. They are asked again where the search does not know them.
    losses : tuple of tuple of float, optional
        What is left of the score when a set loses each of its columns, where the caller knows: the first ranking, which
        is then not asked. It proves nothing, so that it may be of another model.
    """

    starts: tuple[tuple[int, ...], ...] = field(repr=False)
    losses: tuple[tuple[float, ...], ...] = field(default=(), repr=False)

    reading: ClassVar[Reading] = "irreducible"
    never_repeats: ClassVar[bool] = False

    def search(self, problem: Problem) -> Search:
        """Go down from every set."""
        starts = np.zeros((len(self.starts), problem.num_regions), dtype=np.bool_)
        for row, columns in enumerate(self.starts):
            starts[row, list(columns)] = True
        left = np.full(starts.shape, np.nan)
        for row, values in enumerate(self.losses):
            left[row, list(self.starts[row])] = values
        ways = _Ways(problem, st.pack(starts), left)
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

    def __init__(self, problem: Problem, starts: Packed, left: Floats) -> None:
        self._problem, self._starts, self._left = problem, starts, left
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
            self.ends.append((yield from self._down(start, self._left[row])))

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

    def _down(self, current: Packed, left: Floats) -> Asking:
        """Drop the least important regions, as many at a time as can go, until every single deletion is not valid."""
        tried = self._columns(current)
        if not np.isnan(left[tried]).any():
            current, tried = yield from self._without_first(current, self._ranked(tried, left[tried]), 0)
        while True:
            held = self._columns(current)
            tried = tried if len(tried) else held
            losses = yield current & ~self._units[tried]
            spare = tried[losses.valid]
            if len(spare):
                ranked = self._ranked(spare, _values(losses)[losses.valid])
                current, tried = yield from self._without_first(current, ranked, 1)
            elif len(tried) == len(held):
                return current
            else:
                tried = held

    def _without_first(self, current: Packed, ranked: Columns, low: int) -> Generator[Packed, Verdicts, Dropped]:
        """A valid set without the first regions of a ranking, as many as bisection finds, and the rest of them.

        So many as ``low`` are known to be spared.
        """
        fewer = np.concatenate([current, current & ~np.bitwise_or.accumulate(self._units[ranked], axis=0)])
        high = len(ranked) + 1
        while high - low > 1:
            middle = (low + high) // 2
            answer = yield fewer[[middle]]
            low, high = (middle, high) if answer.valid[0] else (low, middle)
        return fewer[[low]], ranked[low : 3 * low + _NEXT]

    def _ranked(self, columns: Columns, left: Floats) -> Columns:
        """The least important first: of whom the most is left. Among equals the larger region should go."""
        return columns[np.lexsort((-self._problem.areas[columns], -left))]

    def _columns(self, packed: Packed) -> Columns:
        return np.flatnonzero(st.unpack(packed, self._num_regions)[0])


def _values(verdicts: Verdicts) -> Floats:
    """Scores, or verdicts where there are none."""
    values = np.where(np.isnan(verdicts.score), verdicts.valid, verdicts.score)
    return np.asarray(np.nan_to_num(values.astype(np.float64)))
