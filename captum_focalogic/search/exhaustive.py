"""Every valid state and its border, level by level."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from captum_focalogic.arrays import Bools
from captum_focalogic.search import bitmap
from captum_focalogic.search import states as st
from captum_focalogic.search.bitmap import Bitmap
from captum_focalogic.search.certificate import Completeness, Reading, StopReason
from captum_focalogic.search.record import MAX_LISTED, Violations
from captum_focalogic.search.run import Outcome, Problem, Search, Stopped, Verdicts, check_whole
from captum_focalogic.search.states import Packed

CHUNK = 1 << 16
"""States asked at once; a smaller level is one batch."""

BITMAP_REGIONS = 24
"""Up to here a bitmap of all region sets is faster than sorted lists of states."""

MERGE = 1 << 20
"""Children gathered, duplicates included, before they are merged."""

FEW = 1 << 14
"""Evaluations up to which all pairs are compared for violations, not only neighbours."""


@dataclass(frozen=True)
class Exhaustive:
    """Judge all children of all valid states until a level has no valid one (paper section 3.2).

    Exact on any model: the result is every state that valid deletions lead to and that has no valid child. Stopped
    early, it keeps those whose children had all been judged.

    Parameters
    ----------
    max_frontier : int
        Distinct states of one level above which the search ends with ``stopped="memory"``; each takes about 80 bytes
        for every 64 regions.
    """

    max_frontier: int = field(default=1 << 23, repr=False)

    reading: ClassVar[Reading] = "irreducible"
    never_repeats: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole("max_frontier", self.max_frontier, 1)

    def search(self, problem: Problem) -> Search:
        """Look for the final states of one image."""
        if problem.num_regions <= BITMAP_REGIONS:
            return self._over_bitmap(problem.num_regions)
        return self._over_lists(problem.num_regions)

    def _over_bitmap(self, num_regions: int) -> Search:
        judged, valid = bitmap.nothing(num_regions), bitmap.nothing(num_regions)
        frontier = bitmap.everything(num_regions)
        stopped: StopReason | None = None
        complete: Completeness = "no"
        try:
            while frontier.any():
                if bitmap.count(frontier) > self.max_frontier:
                    stopped = "memory"
                    break
                level = bitmap.nothing(num_regions)
                yield from _judge(frontier, judged, level, valid)
                frontier = bitmap.children(level, num_regions)
            else:
                complete = "yes"
        except Stopped:
            pass
        except KeyboardInterrupt:
            stopped = "interrupted"
        # A state with a child that is valid, or not judged, is not final.
        reducible = bitmap.parents(~judged | valid, num_regions)
        return Outcome(
            bitmap.list_sets(valid & ~reducible),
            irreducible=True,
            complete=complete,
            reached=True,
            violations=_neighbour_violations(judged, valid, num_regions),
            stopped=stopped,
        )

    def _over_lists(self, num_regions: int) -> Search:
        frontier = st.full(num_regions)
        final = [st.empty(num_regions)]
        level = st.empty(num_regions)
        known = valid = np.zeros(1, dtype=np.bool_)
        stopped: StopReason | None = None
        complete: Completeness = "no"
        try:
            while len(frontier):
                known, valid = np.zeros((2, len(frontier)), dtype=np.bool_)
                for start in range(0, len(frontier), CHUNK):
                    chunk = slice(start, start + CHUNK)
                    try:
                        valid[chunk] = (yield frontier[chunk]).valid
                    except Stopped as why:
                        known[chunk], valid[chunk] = why.known, why.verdicts.valid
                        raise
                    known[chunk] = True
                final.append(without_open_child(level, frontier, ~known | valid, num_regions))
                level, frontier = frontier[valid], st.empty(num_regions)
                children = distinct_children(level, num_regions, self.max_frontier)
                if children is None:
                    stopped = "memory"
                    break
                frontier = children
            else:
                final.append(level)  # nothing is below it: it holds the empty set, or no state at all
                complete = "yes"
        except Stopped:
            final.append(without_open_child(level, frontier, ~known | valid, num_regions))
        except KeyboardInterrupt:
            stopped = "interrupted"
        return Outcome(np.concatenate(final), irreducible=True, complete=complete, reached=True, stopped=stopped)


def _judge(frontier: Bitmap, judged: Bitmap, level: Bitmap, valid: Bitmap) -> Generator[Packed, Verdicts, None]:
    """Ask about a frontier in chunks, and note what comes back."""

    def note(chunk: bitmap.Chunk, known: Bools, flags: Bools) -> None:
        # Valid before judged: an interrupt in between must not leave a valid state looking like an invalid one.
        chunk.add(known & flags, valid, level)
        chunk.add(known, judged)

    for chunk in bitmap.chunks(frontier, CHUNK):
        try:
            answer = yield chunk.states
        except Stopped as why:
            note(chunk, why.known, why.verdicts.valid)
            raise
        note(chunk, np.ones(len(chunk.states), dtype=np.bool_), answer.valid)


def _neighbour_violations(judged: Bitmap, valid: Bitmap, num_regions: int) -> Violations | None:
    """Pairs one region apart; None where there are so few states that all pairs can be compared."""
    if bitmap.count(judged) <= FEW:
        return None
    total = 0
    small, large = [st.empty(num_regions)], [st.empty(num_regions)]
    for column, unit in enumerate(st.unit_masks(num_regions)):
        grown = np.zeros_like(valid)
        bitmap.or_added(grown, valid, column)
        grown &= judged & ~valid
        found = bitmap.count(grown)
        if found and total < MAX_LISTED:
            pairs = bitmap.list_sets(grown)[: MAX_LISTED - total]
            large.append(pairs)
            small.append(pairs & ~unit)
        total += found
    return Violations(np.concatenate(small), np.concatenate(large), total, num_regions)


def distinct_children(level: Packed, num_regions: int, limit: int) -> Packed | None:
    """The distinct children of distinct states, in ascending order of their keys; None if more than ``limit``.

    Works column by column, so that the duplicates of a large level are never in memory all at once.
    """
    merged = st.empty(num_regions)
    parts: list[Packed] = []
    pending = 0
    for unit in st.unit_masks(num_regions):
        having = level[(level & unit).any(axis=1)]
        parts.append(having & ~unit)
        pending += len(having)
        if pending > max(MERGE, len(merged)):
            merged = st.unique(np.concatenate([merged, *parts]))
            parts, pending = [], 0
            if len(merged) > limit:
                return None
    merged = st.unique(np.concatenate([merged, *parts]))
    return None if len(merged) > limit else merged


def without_open_child(level: Packed, frontier: Packed, is_open: Bools, num_regions: int) -> Packed:
    """States of ``level`` none of whose children is open; ``frontier`` (sorted) holds them all, ``is_open`` is (C,)."""
    keys = st.sort_keys(frontier)
    reducible = np.zeros(len(level), dtype=np.bool_)
    for unit in st.unit_masks(num_regions):
        having = np.flatnonzero((level & unit).any(axis=1) & ~reducible)
        place = np.searchsorted(keys, st.sort_keys(level[having] & ~unit))
        reducible[having] = is_open[place]
    return level[~reducible]
