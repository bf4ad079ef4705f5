"""Pairs of verdicts that no monotone model would give."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.search import states as st
from captum_focalogic.search.record import Evaluated
from captum_focalogic.search.states import Bools, Packed

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
