"""Region sets from the smallest up: exact on any model, and the small answers come first."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Bools
from captum_focalogic.errors import InputError
from captum_focalogic.search import states as st
from captum_focalogic.search.certificate import Completeness, Reading, StopReason
from captum_focalogic.search.run import Outcome, Problem, Search, Stopped, check_whole
from captum_focalogic.search.states import Packed

CHUNK = 1 << 16
"""Sets asked at once; a size with fewer candidates is one batch."""


@dataclass(frozen=True)
class Ascending:
    """Judge sets of 0, 1, 2, ... regions, skipping those that contain a valid one.

    What it finds has no valid proper subset at all, on any model: every smaller set was either judged, or contains a
    valid set and so cannot lie inside a state found later. Wherever the search ends, the result is complete up to the
    last size it finished. The whole image is judged first; if it is not valid, there is nothing to find.

    Parameters
    ----------
    max_size : int, optional
        Do not look for sets of more regions.
    stop : {None, "smallest"}
        With "smallest", end after the first size that has valid sets: those of least cardinality.
    """

    max_size: int | None = None
    stop: Literal["smallest"] | None = None

    never_repeats: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.max_size is not None:
            check_whole("max_size", self.max_size, 0, ", or None for no limit")
        if self.stop not in (None, "smallest"):
            raise InputError(f'stop must be None or "smallest"; got {self.stop!r}')

    @property
    def reading(self) -> Reading:
        """The reading its states are final in: "smallest" if it stops there, else "minimal"."""
        return self.stop or "minimal"

    def search(self, problem: Problem) -> Search:
        """Look for the final states of one image."""
        num_regions = problem.num_regions
        whole = asked = st.full(num_regions)
        found, finished = st.empty(num_regions), -1
        try:
            if not (yield whole).valid[0]:
                return _outcome(found, num_regions, "yes")
            for size in range(num_regions):
                candidates = uncovered(found, size, num_regions)
                chunk = next(candidates, None)
                if chunk is None:
                    return _outcome(found, num_regions, "yes")
                if self.max_size is not None and size > self.max_size:
                    return _outcome(found, finished, "no")
                while chunk is not None:
                    asked = chunk
                    found = np.concatenate([found, asked[(yield asked).valid]])
                    chunk = next(candidates, None)
                finished = size
                if self.stop == "smallest" and len(found):
                    return _outcome(found, size, "yes")
        except Stopped as why:
            found = np.concatenate([found, asked[why.known & why.verdicts.valid]])
            return _outcome(found, finished, "no")
        except KeyboardInterrupt:
            return _outcome(found, finished, "no", "interrupted")
        if not len(found):
            if self.max_size is not None and self.max_size < num_regions:
                return _outcome(found, finished, "no")
            found = whole
        return _outcome(found, num_regions, "yes")


def _outcome(found: Packed, up_to: int, complete: Completeness, stopped: StopReason | None = None) -> Outcome:
    # One region fewer makes a smaller set, which contains no valid one: it was judged, and it is invalid.
    return Outcome(
        found, irreducible=True, complete=complete, complete_up_to=None if up_to < 0 else up_to, stopped=stopped
    )


def uncovered(found: Packed, size: int, num_regions: int, chunk: int = CHUNK) -> Iterator[Packed]:
    """Sets of ``size`` regions that contain none of ``found``, in chunks.

    Sets grow column by column in ascending order, a block of them at a time, depth first: memory stays bounded by a few
    chunks however many sets there are, and nothing grows from a set that already contains one of ``found``.
    """
    by_last = _by_last_column(found, num_regions)
    if len(found) and not found.any(axis=1).all():
        return
    units = st.unit_masks(num_regions)
    rows_at_once = max(1, chunk // num_regions)
    stack = [(np.zeros((1, units.shape[1]), dtype=np.uint64), np.zeros(1, dtype=np.int64), 0)]
    ready: list[Packed] = []
    while stack:
        prefix, start, depth = stack.pop()
        if depth == size:
            ready.append(prefix)
            if sum(map(len, ready)) >= chunk:
                everything = np.concatenate(ready)
                yield everything[:chunk]
                ready = [everything[chunk:]]
            continue
        if len(prefix) > rows_at_once:
            stack.append((prefix[rows_at_once:], start[rows_at_once:], depth))
            prefix, start = prefix[:rows_at_once], start[:rows_at_once]
        grown, last = _grow(prefix, start, num_regions - (size - depth - 1), units)
        keep = ~_covers(grown, last, by_last)
        if keep.any():
            stack.append((grown[keep], last[keep] + 1, depth + 1))
    if sum(map(len, ready)):
        yield np.concatenate(ready)


def _grow(prefix: Packed, start: NDArray[np.int64], end: int, units: Packed) -> tuple[Packed, NDArray[np.int64]]:
    """Every set of ``prefix`` with one column of ``start .. end - 1`` added, and that column."""
    counts = np.maximum(0, end - start)
    rows = np.repeat(np.arange(len(prefix)), counts)
    column = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts) + start[rows]
    return prefix[rows] | units[column], column


def _by_last_column(found: Packed, num_regions: int) -> dict[int, Packed]:
    """Sets grouped by their highest column."""
    if not len(found):
        return {}
    last = num_regions - 1 - np.argmax(st.unpack(found, num_regions)[:, ::-1], axis=1)
    return {int(column): found[last == column] for column in np.unique(last)}


def _covers(states: Packed, last: NDArray[np.int64], by_last: dict[int, Packed]) -> Bools:
    """Which states contain a set that ends in the column they were grown by; shorter prefixes were tested before."""
    covers = np.zeros(len(states), dtype=np.bool_)
    for column, sets in by_last.items():
        rows = np.flatnonzero(last == column)
        if not len(rows):
            continue
        outside = ~states[rows]
        hit = np.zeros(len(rows), dtype=np.bool_)
        for wanted in sets:
            hit |= ~(outside & wanted).any(axis=1)
        covers[rows] = hit
    return covers
