"""Critical sets: what a decision does not survive the loss of, all else kept; and askers of any kind of states."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Bools
from captum_focalogic.errors import InputError
from captum_focalogic.search import states as st
from captum_focalogic.search.certificate import StopReason
from captum_focalogic.search.record import Scores
from captum_focalogic.search.run import Verdicts
from captum_focalogic.search.states import Packed

T = TypeVar("T")

Questions = Generator[Packed, Verdicts, T]
"""Yields states, is sent their verdicts, returns what it made of them."""

MAX_SIZE = 3
"""Most regions of a critical set: beyond that, that no part of it is critical costs too much to ask."""

_MOST_CANDIDATES = 200


class Inquiry(Generic[T]):
    """Puts the questions of a generator to whoever can judge states; an asker like :class:`~.run.Run`.

    Parameters
    ----------
    questions : generator
        Its states may repeat; each is handed out once.
    """

    def __init__(self, questions: "Questions[T]") -> None:
        self._questions = questions
        self.result: T | None = None
        self.stopped: StopReason | None = None
        self._done = False
        self._states: Packed = st.empty(1)
        self._back = np.zeros(0, dtype=np.int64)
        self._valid: Bools = np.zeros(0, dtype=np.bool_)
        self._score: Scores = np.zeros(0, dtype=np.float32)
        self._handed_out = self._answered = 0
        self._advance(None)

    @property
    def finished(self) -> bool:
        """Whether nothing more is wanted."""
        return self._done

    def wanted(self, limit: int | None = None) -> Packed:
        """Hand out states to judge, at most ``limit``."""
        if self._done:
            return self._states[:0]
        start = self._handed_out
        self._handed_out = len(self._states) if limit is None else min(len(self._states), start + limit)
        return self._states[start : self._handed_out]

    def tell(self, valid: Bools, score: Scores | None = None) -> None:
        """Verdicts of the oldest states handed out and not yet answered."""
        end = self._answered + len(valid)
        self._valid[self._answered : end] = valid
        if score is not None:
            self._score[self._answered : end] = score
        self._answered = end
        if end == len(self._states) and not self._done:
            self._advance(Verdicts(self._valid[self._back], self._score[self._back]))

    def stop(self, reason: StopReason) -> None:
        """End without a result."""
        if not self._done:
            self.stopped, self._done = reason, True
            self._questions.close()

    def _advance(self, verdicts: Verdicts | None) -> None:
        while True:
            try:
                states = next(self._questions) if verdicts is None else self._questions.send(verdicts)
            except StopIteration as end:
                self.result, self._done = end.value, True
                self._states = st.empty(1)
                return
            keys, first, back = np.unique(st.sort_keys(states), return_index=True, return_inverse=True)
            self._states, self._back = states[first], back.reshape(-1)
            self._valid = np.zeros(len(keys), dtype=np.bool_)
            self._score = np.full(len(keys), np.nan, dtype=np.float32)
            self._handed_out = self._answered = 0
            if len(keys):
                return
            verdicts = Verdicts(self._valid, self._score)


@dataclass(frozen=True, eq=False)
class CriticalSearch:
    """Critical sets, and how far all of them are known.

    Attributes
    ----------
    states : (R, M) bool
        True where a region is dropped; smallest sets first, among equals those that leave the lower score.
    asked : int
        Sets whose loss was asked about.
    complete_up_to : int
        Every set of at most this many regions was asked about, or has a critical part.
    """

    states: Bools
    asked: int
    complete_up_to: int


@dataclass(frozen=True, eq=False)
class CriticalSets:
    """Region sets whose loss changes the answer, all else kept, while that of no part of them does.

    Critical is not needed: the model may do without a critical set where other regions are gone too.

    Attributes
    ----------
    states : (R, M) bool
        True where a region is dropped, smallest sets first.
    predicted : (R,) int64 or None
        What the model says then; None for a model without classes.
    probability : (R,) float32
        The explained class's probability then, NaN where there is none.
    needed : (R,) bool
        Whether no valid state that was asked does without the set.
    valid_asked : int
        Valid states that were asked, which is what ``needed`` rests on.
    asked : int
        Sets whose loss was asked about.
    complete_up_to : int
        Every set of at most this many regions was asked about, or has a critical part.
    names : tuple of str or None
        What the predicted classes are called, where known; one a set, or none.
    """

    states: Bools
    predicted: NDArray[np.int64] | None
    probability: NDArray[np.float32]
    needed: Bools
    valid_asked: int
    asked: int
    complete_up_to: int
    names: tuple[str | None, ...] = ()

    def __len__(self) -> int:
        return len(self.states)

    @property
    def certificate(self) -> str:
        """What was asked, in words."""
        sizes = {1: "all single regions", 2: "all single regions and all pairs"}[self.complete_up_to]
        further = "" if self.complete_up_to == 2 else ", and some larger sets"
        return (
            f"{sizes} were taken away in turn{further}: {self.asked:,} sets; needed is a set of "
            f"which each of the {self.valid_asked:,} region sets asked that keep the answer has a region"
        )


def needed_sets(critical: Bools, valid: Packed) -> Bools:
    """Which of the critical sets no valid state does without: each valid state keeps some region of them, (R,) bool."""
    packed = st.pack(critical)
    if not len(packed) or not len(valid):
        return np.zeros(len(packed), dtype=np.bool_)
    return np.array([bool(((valid & state) != 0).any(axis=1).all()) for state in packed], dtype=np.bool_)


def critical_sets(
    num_regions: int,
    hitting: Callable[[int], Bools] | None = None,
    max_evaluations: int | None = None,
) -> "Questions[CriticalSearch]":
    """Ask what the decision does not survive the loss of.

    Those are the region sets R such that dropping exactly R is not valid, while dropping any part of R is.

    All single regions are asked first, then pairs, those first without which no final state is whole, then those that
    hurt most on their own; then triples without which no final state is whole.

    Parameters
    ----------
    num_regions : int
        M.
    hitting : callable, optional
        Most sets wanted to minimal hitting sets of the final states, (K, M) bool, smallest first.
    max_evaluations : int, optional
        Most states to ask about; at least M.

    Raises
    ------
    InputError
        If the budget does not reach for all single regions.
    """
    if max_evaluations is not None and max_evaluations < num_regions:
        raise InputError(
            f"critical sets need a budget of at least one evaluation a region, {num_regions}; got {max_evaluations}"
        )
    room = float("inf") if max_evaluations is None else max_evaluations
    alone = yield _without(num_regions, [(region,) for region in range(num_regions)])
    asked = num_regions
    score = dict(enumerate(np.nan_to_num(alone.score, nan=0.0).tolist()))
    critical: dict[tuple[int, ...], float] = {(j,): score[j] for j in range(num_regions) if not alone.valid[j]}
    spared = [region for region in range(num_regions) if alone.valid[region]]
    hits = [] if hitting is None else [tuple(np.flatnonzero(row).tolist()) for row in hitting(_MOST_CANDIDATES)]
    pairs = sorted(
        combinations(spared, 2), key=lambda pair: (pair not in set(hits), score[pair[0]] + score[pair[1]], pair)
    )
    chosen = pairs[: int(min(len(pairs), room - asked))]
    answers = yield _without(num_regions, chosen)
    asked += len(chosen)
    fine = {pair for pair, valid in zip(chosen, answers.valid.tolist(), strict=True) if valid}
    for pair, valid, left in zip(chosen, answers.valid.tolist(), answers.score.tolist(), strict=True):
        if not valid:
            critical[pair] = left
    for triple in [hit for hit in hits if len(hit) == MAX_SIZE and set(hit) <= set(spared)]:
        parts = [pair for pair in combinations(triple, 2) if pair not in fine]
        if any(part in critical for part in parts) or asked + len(parts) + 1 > room:
            continue
        answers = yield _without(num_regions, [*parts, triple])
        asked += len(parts) + 1
        *of_parts, whole = zip(answers.valid.tolist(), answers.score.tolist(), strict=True)
        for part, (valid, left) in zip(parts, of_parts, strict=True):
            if valid:
                fine.add(part)
            else:
                critical[part] = left
        if not whole[0] and all(valid for valid, _ in of_parts):
            critical[triple] = whole[1]
    ordered = sorted(critical, key=lambda dropped: (len(dropped), np.nan_to_num(critical[dropped]), dropped))
    states = np.zeros((len(ordered), num_regions), dtype=np.bool_)
    for row, dropped in enumerate(ordered):
        states[row, list(dropped)] = True
    return CriticalSearch(states, asked, 2 if len(chosen) == len(pairs) else 1)


def _without(num_regions: int, dropped: Sequence[tuple[int, ...]]) -> Packed:
    """States that lack just these regions."""
    kept: NDArray[np.bool_] = np.ones((len(dropped), num_regions), dtype=np.bool_)
    for row, regions in enumerate(dropped):
        kept[row, list(regions)] = False
    return st.pack(kept)
