"""States as bits: a set of kept regions packed into uint64 words.

A packed state has ``ceil(M / 64)`` words; bit ``j % 64`` of word ``j // 64`` says whether region column ``j`` is kept.
"""

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Bools
from captum_focalogic.errors import InputError

WORD_BITS = 64

Packed = NDArray[np.uint64]
"""Packed states, (B, W) uint64."""


def num_words(num_regions: int) -> int:
    """Words that a state over ``num_regions`` regions takes."""
    return max(1, -(-num_regions // WORD_BITS))


def pack(states: Bools) -> Packed:
    """Pack boolean states (B, M) into words (B, W)."""
    states = np.asarray(states, dtype=np.bool_)
    if states.ndim != 2:
        raise InputError(f"states must be a (B, M) array, one row a state; got shape {states.shape}")
    count, num_regions = states.shape
    padded = np.zeros((count, num_words(num_regions) * 8), dtype=np.uint8)
    octets = np.packbits(states, axis=1, bitorder="little")
    padded[:, : octets.shape[1]] = octets
    return padded.view("<u8").astype(np.uint64, copy=False)


def unpack(packed: Packed, num_regions: int) -> Bools:
    """Unpack words (B, W) into boolean states (B, M)."""
    octets = np.ascontiguousarray(packed, dtype="<u8").view(np.uint8)
    return np.unpackbits(octets, axis=1, count=num_regions, bitorder="little").view(np.bool_)


def full(num_regions: int) -> Packed:
    """The start of every search: all regions kept, (1, W)."""
    return pack(np.ones((1, num_regions), dtype=np.bool_))


def empty(num_regions: int) -> Packed:
    """No states at all, (0, W)."""
    return np.zeros((0, num_words(num_regions)), dtype=np.uint64)


def unit_masks(num_regions: int) -> Packed:
    """One state a region, holding that region alone, (M, W)."""
    return pack(np.eye(num_regions, dtype=np.bool_))


def cardinality(packed: Packed) -> NDArray[np.int64]:
    """Number of kept regions of each state, (B,)."""
    count: NDArray[np.int64] = np.bitwise_count(packed).sum(axis=1, dtype=np.int64)
    return count


def sort_keys(packed: Packed) -> NDArray[np.generic]:
    """One sortable scalar a state, equal exactly for equal states, (B,)."""
    if packed.shape[1] == 1:
        return packed[:, 0]
    return np.ascontiguousarray(packed).view(f"S{8 * packed.shape[1]}")[:, 0]


def unique(packed: Packed) -> Packed:
    """The distinct states among ``packed``, in ascending order of their keys."""
    if packed.shape[1] == 1:
        words = np.sort(packed[:, 0])
        new = np.ones(len(words), dtype=np.bool_)
        np.not_equal(words[1:], words[:-1], out=new[1:])
        return words[new][:, None]
    _, first = np.unique(sort_keys(packed), return_index=True)
    return packed[first]


def children(packed: Packed, num_regions: int) -> tuple[Packed, NDArray[np.int64], NDArray[np.int64]]:
    """Every state with one kept region dropped.

    Returns
    -------
    children : (C, W) uint64
        Grouped by parent, dropped column ascending; the same child of two parents stands twice.
    parent : (C,) int64
        Row of ``packed`` each child comes from.
    dropped : (C,) int64
        Column that was dropped.
    """
    parent, dropped = np.nonzero(unpack(packed, num_regions))
    return packed[parent] & ~unit_masks(num_regions)[dropped], parent, dropped


def canonical_order(packed: Packed, num_regions: int) -> Packed:
    """Distinct states, smallest first, then in lexicographic order of their columns."""
    packed = unique(packed)
    kept = unpack(packed, num_regions)
    columns = tuple(~kept[:, j] for j in range(num_regions - 1, -1, -1))
    return packed[np.lexsort((*columns, cardinality(packed)))]


def absorb(packed: Packed) -> Packed:
    """Drop every state that contains another one; what is left is an antichain."""
    packed = unique(packed)
    packed = packed[np.argsort(cardinality(packed), kind="stable")]
    kept = np.zeros_like(packed)
    count = 0
    for state in packed:
        if not ((kept[:count] & ~state) == 0).all(axis=1).any():
            kept[count] = state
            count += 1
    return kept[:count]
