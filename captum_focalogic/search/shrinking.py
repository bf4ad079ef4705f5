"""From a valid set down to one with no region to spare, with few questions."""

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.search import states as st
from captum_focalogic.search.states import Bools, Packed

Shrink = Generator[Packed, Bools, Packed]
"""Yields states (B, W), is sent whether they are valid (B,), returns the final state (1, W)."""


def shrink(valid_set: Packed, num_regions: int, expected: float, rng: np.random.Generator) -> Shrink:
    """Find a valid subset of a valid set whose single deletions are all invalid.

    Regions are dropped a chunk at a time, in random order. A chunk that cannot be dropped is halved until one region of
    it is found that cannot, as in QuickXplain (Junker 2004); chunks double while they can be dropped and halve when
    they cannot. That region is taken to stay necessary, which holds on monotone models only. So at the end every single
    deletion is asked, and where one is valid after all, the search goes on from there. The result is right on any
    model.

    Parameters
    ----------
    valid_set : (1, W) uint64
        A set known to be valid.
    num_regions : int
        M.
    expected : float
        Regions that the result may have, which sets the size of the first chunk.
    rng : numpy.random.Generator
        Decides the order.
    """
    current = valid_set
    while True:
        current = yield from _drop_chunks(current, num_regions, expected, rng)
        children, _, _ = st.children(current, num_regions)
        valid = (yield children) if len(children) else np.zeros(0, dtype=np.bool_)
        if not valid.any():
            return current
        current = children[[np.argmax(valid)]]


def _drop_chunks(current: Packed, num_regions: int, expected: float, rng: np.random.Generator) -> Shrink:
    units = st.unit_masks(num_regions)
    todo = rng.permutation(np.flatnonzero(st.unpack(current, num_regions)[0]))
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
