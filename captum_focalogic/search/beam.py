"""Deletion with pruning: the paper's way to keep large numbers of regions affordable."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Bools
from captum_focalogic.errors import InputError
from captum_focalogic.search import states as st
from captum_focalogic.search.certificate import Completeness, Reading, StopReason
from captum_focalogic.search.run import Outcome, Problem, Search, Stopped, Verdicts, check_whole
from captum_focalogic.search.states import Packed

Scope = Literal["state", "level"]

MAX_CHILDREN = 1 << 23
"""Children of one level, duplicates included, above which the search stops instead of filling the memory."""


@dataclass(frozen=True)
class Beam:
    """Keep only the most confident children (paper section 3.6).

    Every result is irreducible, because all children of every kept state are judged before any is pruned: a state whose
    valid children were all pruned is not final. States that only pruned ones lead to are missing. Where nothing had to
    be pruned, the result is that of :class:`Exhaustive`.

    The paper prunes to k states without saying which; here the k with the highest score stay, among equal scores those
    that dropped the larger area, then those that dropped the lower region id. Without scores only area and id decide.

    Parameters
    ----------
    width : int
        k, the number of states kept.
    scope : {"state", "level"}
        Keep k children of each state, as in the paper, or k states of each level, as beam search usually does. With
        "state" a level still grows up to k-fold; with "level" a search asks at most ``width * M**2`` states.
    """

    width: int = 5
    scope: Scope = "state"

    reading: ClassVar[Reading] = "irreducible"
    never_repeats: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole("width", self.width, 1)
        if self.scope not in get_args(Scope):
            raise InputError(f'scope must be "state" or "level"; got {self.scope!r}')

    def search(self, problem: Problem) -> Search:
        """Look for the final states of one image."""
        start = st.full(problem.num_regions)
        final = [st.empty(problem.num_regions)]
        pruned = False
        try:
            level = start[(yield start).valid]
            while len(level):
                if len(level) * problem.num_regions > MAX_CHILDREN:
                    return _outcome(final, "no", "memory")
                family = Children.of(level, problem.num_regions)
                try:
                    verdicts = yield family.distinct
                except Stopped as stopped:
                    final.append(family.parents_without_child(stopped.known, stopped.verdicts.valid))
                    return _outcome(final, "no")
                everything = np.ones(len(family.distinct), dtype=np.bool_)
                final.append(family.parents_without_child(everything, verdicts.valid))
                keep = self._best(family, verdicts, problem)
                pruned |= bool(keep.sum() < verdicts.valid.sum())
                level = family.distinct[keep]
        except (Stopped, KeyboardInterrupt) as why:
            return _outcome(final, "no", "interrupted" if isinstance(why, KeyboardInterrupt) else None)
        return _outcome(final, "no" if pruned else "yes")

    def _best(self, family: "Children", verdicts: Verdicts, problem: Problem) -> Bools:
        """Which distinct children stay."""
        confidence = np.where(np.isnan(verdicts.score), -np.inf, verdicts.score)
        rows = (
            _best_of_each_parent(family, verdicts.valid, confidence, problem.areas, self.width)
            if self.scope == "state"
            else _best_of_level(family.distinct, verdicts.valid, confidence, problem.areas, self.width)
        )
        keep = np.zeros(len(family.distinct), dtype=np.bool_)
        keep[rows] = True
        return keep


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


def _outcome(final: list[Packed], complete: Completeness, stopped: StopReason | None = None) -> Outcome:
    return Outcome(np.concatenate(final), irreducible=True, complete=complete, reached=True, stopped=stopped)


def _best_of_each_parent(
    family: Children, valid: Bools, confidence: NDArray[np.float32], areas: NDArray[np.float64], width: int
) -> NDArray[np.int64]:
    links = np.flatnonzero(valid[family.which])
    parent, dropped, child = family.parent[links], family.dropped[links], family.which[links]
    order = np.lexsort((dropped, -areas[dropped], -confidence[child], parent))
    parent = parent[order]
    rank = np.arange(len(parent)) - np.searchsorted(parent, parent)
    best: NDArray[np.int64] = child[order[rank < width]]
    return best


def _best_of_level(
    states: Packed, valid: Bools, confidence: NDArray[np.float32], areas: NDArray[np.float64], width: int
) -> NDArray[np.int64]:
    rows = np.flatnonzero(valid)
    if len(rows) <= width:
        return rows
    # Most states are out by their score alone; only those that may tie need the costly comparison.
    cut = np.partition(confidence[rows], len(rows) - width)[len(rows) - width]
    rows = rows[confidence[rows] >= cut]
    kept = st.unpack(states[rows], len(areas))
    # Rounded, so that equal sums of areas stay equal whatever the order of addition.
    kept_area = np.round(kept @ areas, 12)
    columns = tuple(kept[:, j] for j in range(len(areas) - 1, -1, -1))
    best: NDArray[np.int64] = rows[np.lexsort((*columns, kept_area, -confidence[rows]))[:width]]
    return best
