"""Families of region sets as bitmaps: one bit for each of the 2^M sets.

Bit i % 64 of word i // 64 stands for the set of the regions whose bit is set in i. Dropping or adding one region to all
sets of a family at once is then a shift (the first six regions) or a move of whole blocks of words (the others).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Bools
from captum_focalogic.search.states import Packed

Bitmap = NDArray[np.uint64]
"""A family of region sets, (2^M / 64,) uint64, one word at least."""

_WORD_AXES = 6

_WITH = tuple(np.uint64(sum(1 << i for i in range(64) if i >> axis & 1)) for axis in range(_WORD_AXES))
"""For each of the first six regions, the places in a word that stand for sets with it."""


def nothing(num_regions: int) -> Bitmap:
    """The empty family."""
    return np.zeros(1 << max(0, num_regions - _WORD_AXES), dtype=np.uint64)


def everything(num_regions: int) -> Bitmap:
    """The family of the whole image alone."""
    family = nothing(num_regions)
    family[-1] = np.uint64(1) << np.uint64((1 << min(num_regions, _WORD_AXES)) - 1)
    return family


def or_dropped(into: Bitmap, family: Bitmap, column: int) -> None:
    """Add to ``into`` every set of ``family`` that has the region, without it."""
    if column < _WORD_AXES:
        into |= (family & _WITH[column]) >> np.uint64(1 << column)
    else:
        block = 1 << (column - _WORD_AXES)
        into.reshape(-1, 2, block)[:, 0] |= family.reshape(-1, 2, block)[:, 1]


def or_added(into: Bitmap, family: Bitmap, column: int) -> None:
    """Add to ``into`` every set of ``family`` that lacks the region, with it."""
    if column < _WORD_AXES:
        into |= (family & ~_WITH[column]) << np.uint64(1 << column)
    else:
        block = 1 << (column - _WORD_AXES)
        into.reshape(-1, 2, block)[:, 1] |= family.reshape(-1, 2, block)[:, 0]


def children(family: Bitmap, num_regions: int) -> Bitmap:
    """Every set of ``family`` with one region dropped."""
    result = np.zeros_like(family)
    for column in range(num_regions):
        or_dropped(result, family, column)
    return result


def parents(family: Bitmap, num_regions: int) -> Bitmap:
    """Every set of ``family`` with one region added."""
    result = np.zeros_like(family)
    for column in range(num_regions):
        or_added(result, family, column)
    return result


def count(family: Bitmap) -> int:
    """Number of sets."""
    return int(np.bitwise_count(family).sum(dtype=np.int64))


class Chunk:
    """Some of the sets of a family, in ascending order.

    Attributes
    ----------
    states : (B, 1) uint64
        The sets, packed.
    """

    def __init__(self, family: Bitmap, rows: NDArray[np.int64]) -> None:
        self._rows = rows
        octets = np.ascontiguousarray(family[rows], dtype="<u8").view(np.uint8)
        self._place = np.flatnonzero(np.unpackbits(octets, bitorder="little"))
        states = (rows[self._place >> _WORD_AXES] << _WORD_AXES) | (self._place & 63)
        self.states: Packed = states.astype(np.uint64)[:, None]

    def add(self, flags: Bools, *into: Bitmap) -> None:
        """Add those of the sets whose flag is set to each of these families."""
        member = np.zeros(len(self._rows) << _WORD_AXES, dtype=np.bool_)
        member[self._place] = flags
        words = np.packbits(member, bitorder="little").view("<u8").astype(np.uint64, copy=False)
        for family in into:
            family[self._rows] |= words


def chunks(family: Bitmap, size: int) -> Iterator[Chunk]:
    """The sets of a family, about ``size`` at a time (63 more at most)."""
    rows = np.flatnonzero(family)
    before = np.cumsum(np.bitwise_count(family[rows]), dtype=np.int64)
    start = 0
    while start < len(rows):
        done = 0 if start == 0 else before[start - 1]
        end = int(np.searchsorted(before, done + size)) + 1
        yield Chunk(family, rows[start:end])
        start = end


def list_sets(family: Bitmap) -> Packed:
    """All sets of a family, packed, (S, 1), ascending."""
    return Chunk(family, np.flatnonzero(family)).states
