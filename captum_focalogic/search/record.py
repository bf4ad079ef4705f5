"""The memory of one search: every state asked with its verdict, and the pairs of verdicts no monotone model gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Bools
from captum_focalogic.search import states as st
from captum_focalogic.search.states import Packed

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Evaluated:
    """States a model was asked about, in the order asked.

    Attributes
    ----------
    packed : (B, W) uint64
        The states, packed as in :mod:`captum_focalogic.search.states`.
    valid : (B,) bool
        Whether the prediction survived.
    score : (B,) float32
        The criterion's score, which ranks states and no more; NaN where there is none.
    num_regions : int
        M.
    total : int
        States asked in all; more than B where the record was capped.
    predicted : (B,) int64 or None
        The class that the model named; None where it is not known.
    probability : (B,) float32 or None
        The target's probability, NaN where there is none; None where it is not known for any state.
    top, top_probability : (B, K) int64 and float32, or None
        The K highest classes, K at most five, and their probabilities; None where they are not known.
    class_names : mapping of int to str
        What these classes are called, where known.
    """

    packed: Packed
    valid: Bools
    score: Scores
    num_regions: int
    total: int
    predicted: NDArray[np.int64] | None = None
    probability: NDArray[np.float32] | None = None
    top: NDArray[np.int64] | None = None
    top_probability: NDArray[np.float32] | None = None
    class_names: Mapping[int, str] = field(default_factory=dict)

    @property
    def states(self) -> Bools:
        """The states as booleans, (B, M)."""
        return st.unpack(self.packed, self.num_regions)

    @property
    def truncated(self) -> bool:
        """Whether some of the states asked are not kept here."""
        return self.total > len(self.packed)

    def __len__(self) -> int:
        return len(self.packed)


class Record:
    """Verdicts of one image, in the order they came, with an index to find them again.

    The index is a few sorted arrays whose sizes grow geometrically, so that both adding and finding whole batches of
    states stay vectorised; a dict of a million states would cost more than the search.

    Parameters
    ----------
    num_regions : int
        M.
    limit : int, optional
        Keep at most this many states (the first ones); None keeps all.
    """

    def __init__(self, num_regions: int, limit: int | None = None) -> None:
        self.num_regions = num_regions
        self.total = 0
        self._limit = limit
        self._size = 0
        self._packed = np.empty((16, st.num_words(num_regions)), dtype=np.uint64)
        self._valid = np.empty(16, dtype=np.bool_)
        self._score: Scores | None = None
        self._runs: list[tuple[NDArray[np.generic], NDArray[np.int64]]] = []

    def add(self, packed: Packed, valid: Bools, score: Scores | None, *, index: bool = True) -> None:
        """Keep verdicts; with ``index=False`` they can be listed but not found again (a search that never repeats)."""
        self.total += len(packed)
        if self._limit is not None:
            room = max(0, self._limit - self._size)
            packed, valid = packed[:room], valid[:room]
            score = None if score is None else score[:room]
        start, end = self._size, self._size + len(packed)
        self._reserve(end)
        self._packed[start:end] = packed
        self._valid[start:end] = valid
        if score is not None:
            if self._score is None:
                self._score = np.full(len(self._valid), np.nan, dtype=np.float32)
            self._score[start:end] = score
        self._size = end
        if index and end > start:
            self._index(st.sort_keys(packed), np.arange(start, end, dtype=np.int64))

    def find(self, packed: Packed) -> NDArray[np.int64]:
        """Row of each state in the record, -1 where it is not known, (B,)."""
        rows = np.full(len(packed), -1, dtype=np.int64)
        if not self._runs or not len(packed):
            return rows
        keys = st.sort_keys(packed)
        for run_keys, run_rows in self._runs:
            place = np.searchsorted(run_keys, keys)
            place[place == len(run_keys)] = 0
            hit = run_keys[place] == keys
            rows[hit] = run_rows[place[hit]]
        return rows

    def valid(self, rows: NDArray[np.int64]) -> Bools:
        """Verdicts at these rows."""
        return self._valid[rows]

    def score(self, rows: NDArray[np.int64]) -> Scores:
        """Scores at these rows, NaN where there is none."""
        if self._score is None:
            return np.full(len(rows), np.nan, dtype=np.float32)
        return self._score[rows]

    def evaluated(self) -> Evaluated:
        """Everything kept, as one immutable value."""
        rows = np.arange(self._size)
        return Evaluated(
            packed=self._packed[: self._size].copy(),
            valid=self._valid[: self._size].copy(),
            score=self.score(rows),
            num_regions=self.num_regions,
            total=self.total,
        )

    def _reserve(self, size: int) -> None:
        capacity = len(self._valid)
        if size <= capacity:
            return
        capacity = max(size, 2 * capacity)
        self._packed = np.resize(self._packed, (capacity, self._packed.shape[1]))
        self._valid = np.resize(self._valid, capacity)
        if self._score is not None:
            grown = np.full(capacity, np.nan, dtype=np.float32)
            grown[: self._size] = self._score[: self._size]
            self._score = grown

    def _index(self, keys: NDArray[np.generic], rows: NDArray[np.int64]) -> None:
        order = np.argsort(keys, kind="stable")
        keys, rows = keys[order], rows[order]
        while self._runs and len(self._runs[-1][0]) <= 2 * len(keys):
            older_keys, older_rows = self._runs.pop()
            keys, rows = np.concatenate([older_keys, keys]), np.concatenate([older_rows, rows])
            order = np.argsort(keys, kind="stable")
            keys, rows = keys[order], rows[order]
        self._runs.append((keys, rows))


MAX_LISTED = 10_000
"""Pairs listed one by one; further ones are counted only."""

MAX_COMPARED = 1 << 28
"""Pairs of states compared in full; above, only pairs one region apart are looked for."""

MAX_LOOKED_UP = 1 << 22
"""Neighbours looked up; above, nothing is looked for."""

BLOCK = 1 << 20


@dataclass(frozen=True)
class Violations:
    """Valid states inside invalid ones.

    Attributes
    ----------
    valid, invalid : (K, W) uint64
        Row k of ``invalid`` contains row k of ``valid``.
    total : int
        Pairs in all; K is at most ``MAX_LISTED``.
    num_regions : int
        M.
    """

    valid: Packed
    invalid: Packed
    total: int
    num_regions: int

    @property
    def states(self) -> Bools:
        """The pairs as booleans, (K, 2, M)."""
        return np.stack([st.unpack(self.valid, self.num_regions), st.unpack(self.invalid, self.num_regions)], axis=1)


def find_violations(evaluated: Evaluated) -> Violations:
    """Every pair among the states asked in which a valid one is contained in an invalid one.

    Where there are too many states to compare all pairs, those one region apart; where there are too many even for
    that, none.
    """
    valid, invalid = evaluated.packed[evaluated.valid], evaluated.packed[~evaluated.valid]
    compared = len(valid) * len(invalid) * valid.shape[1]
    if compared <= MAX_COMPARED or not compared:
        return _all_pairs(valid, invalid, evaluated.num_regions)
    if len(valid) * evaluated.num_regions <= MAX_LOOKED_UP:
        return _neighbours(valid, invalid, evaluated.num_regions)
    nothing = st.empty(evaluated.num_regions)
    return Violations(nothing, nothing, 0, evaluated.num_regions)


def _all_pairs(valid: Packed, invalid: Packed, num_regions: int) -> Violations:
    listed: list[tuple[Packed, Packed]] = []
    total = 0
    step = max(1, BLOCK // max(1, len(invalid)))
    outside = ~invalid
    for start in range(0, len(valid), step):
        block = valid[start : start + step]
        contained = np.ones((len(block), len(invalid)), dtype=np.bool_)
        for word in range(valid.shape[1]):
            contained &= (block[:, word, None] & outside[:, word]) == 0
        count = int(np.count_nonzero(contained))
        if count and total < MAX_LISTED:
            small, large = (side[: MAX_LISTED - total] for side in np.nonzero(contained))
            listed.append((block[small], invalid[large]))
        total += count
    return _collect(listed, total, num_regions)


def _neighbours(valid: Packed, invalid: Packed, num_regions: int) -> Violations:
    listed: list[tuple[Packed, Packed]] = []
    total = 0
    order = np.argsort(st.sort_keys(invalid), kind="stable")
    invalid = invalid[order]
    keys: NDArray[np.generic] = st.sort_keys(invalid)
    for unit in st.unit_masks(num_regions):
        lacking = valid[~(valid & unit).any(axis=1)]
        wanted = st.sort_keys(lacking | unit)
        place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        hit = keys[place] == wanted
        count = int(np.count_nonzero(hit))
        if count and total < MAX_LISTED:
            room = MAX_LISTED - total
            listed.append((lacking[hit][:room], invalid[place[hit]][:room]))
        total += count
    return _collect(listed, total, num_regions)


def _collect(listed: list[tuple[Packed, Packed]], total: int, num_regions: int) -> Violations:
    nothing = st.empty(num_regions)
    valid = np.concatenate([nothing, *(pair[0] for pair in listed)])
    invalid = np.concatenate([nothing, *(pair[1] for pair in listed)])
    return Violations(valid, invalid, total, num_regions)
