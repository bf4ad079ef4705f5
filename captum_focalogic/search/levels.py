"""One level of a descent: states of equal size, and everything one deletion below them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.search import states as st
from captum_focalogic.search.states import Bools, Packed


@dataclass(frozen=True)
class Children:
    """The children of a level, each once, and who descends from whom.

    Attributes
    ----------
    level : (L, W) uint64
        The parents.
    distinct : (C, W) uint64
        Their children, each once, in ascending order of their keys.
    which, parent, dropped : (K,) int64
        For every pair of a parent and a child: row in ``distinct``, row in ``level``, column dropped.
    """

    level: Packed
    distinct: Packed
    which: NDArray[np.int64]
    parent: NDArray[np.int64]
    dropped: NDArray[np.int64]

    @classmethod
    def of(cls, level: Packed, num_regions: int) -> "Children":
        """The children of these states."""
        children, parent, dropped = st.children(level, num_regions)
        _, first, which = np.unique(st.sort_keys(children), return_index=True, return_inverse=True)
        return cls(level, children[first], which.reshape(-1), parent, dropped)

    def parents_without_child(self, known: Bools, valid: Bools) -> Packed:
        """Parents all of whose children are known and invalid; ``known`` and ``valid`` are (C,)."""
        open_child = ~known | valid
        reducible = np.zeros(len(self.level), dtype=np.bool_)
        reducible[self.parent[open_child[self.which]]] = True
        return self.level[~reducible]


MERGE = 1 << 20
"""Children gathered, duplicates included, before they are merged."""


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
