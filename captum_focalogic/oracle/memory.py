"""What one example's model has answered: outputs by state, and verdicts on them by criterion."""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_focalogic.arrays import Bools
from captum_focalogic.search import states as st
from captum_focalogic.search.record import Record, Scores
from captum_focalogic.search.states import Packed

OUTPUT_BYTES = 64 << 20
"""Outputs of one example that are remembered; beyond that class and probability, and the five highest classes."""

HIGHEST = 5

Judge = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Remembered outputs (B, ...) -> validity and score, (B,) each."""

Summarise = Callable[[Tensor], "Summaries"]
"""Outputs (B, ...) -> what is remembered of those for which there is no room."""


@dataclass(frozen=True)
class Summaries:
    """What is known of answers without their outputs.

    Attributes
    ----------
    predicted : (B,) int64
        The highest class, or the label; -1 where there is none.
    probability : (B,) float32
        The target's probability, NaN where there is none.
    top : (B, K) int64
        The K highest classes, K at most five; K = 0 where there are no classes.
    top_probability : (B, K) float32
        Their probabilities.
    """

    predicted: NDArray[np.int64]
    probability: Scores
    top: NDArray[np.int64]
    top_probability: NDArray[np.float32]

    def __getitem__(self, rows: NDArray[np.int64]) -> "Summaries":
        return Summaries(self.predicted[rows], self.probability[rows], self.top[rows], self.top_probability[rows])

    @staticmethod
    def joined(parts: "list[Summaries]") -> "Summaries":
        """All in one, in order."""
        names = ("predicted", "probability", "top", "top_probability")
        return Summaries(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True, eq=False)
class Answers:
    """What the model said in each of B states.

    Attributes
    ----------
    predicted : (B,) int64 or None
        The highest class, or the label; None for a model of other single numbers.
    probability : (B,) float32
        The target's probability, NaN where the model gives none.
    score : (B,) float32
        The criterion's score: ranks states, NaN where it gives none.
    valid : (B,) bool
        Whether the criterion is met.
    top, top_probability : (B, K) int64 and float32
        The K highest classes, K at most five, and their probabilities; K = 0 where there are no classes.
    """

    predicted: NDArray[np.int64] | None
    probability: NDArray[np.float32]
    score: NDArray[np.float32]
    valid: Bools
    top: NDArray[np.int64]
    top_probability: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.valid)


class _Verdicts:
    """Verdicts under one criterion, by row of the memory."""

    def __init__(self) -> None:
        self.known: Bools = np.zeros(16, dtype=np.bool_)
        self.valid: Bools = np.zeros(16, dtype=np.bool_)
        self.score: Scores = np.full(16, np.nan, dtype=np.float32)

    def reserve(self, rows: int) -> None:
        more = rows - len(self.known)
        if more > 0:
            more = max(more, len(self.known))
            self.known = np.concatenate([self.known, np.zeros(more, dtype=np.bool_)])
            self.valid = np.concatenate([self.valid, np.zeros(more, dtype=np.bool_)])
            self.score = np.concatenate([self.score, np.full(more, np.nan, dtype=np.float32)])

    def put(self, rows: NDArray[np.int64], valid: Bools, score: Scores) -> None:
        self.known[rows], self.valid[rows], self.score[rows] = True, valid, score


class Memory:
    """Answers to states of one example, each asked once, shared by everything that asks; safe under threads.

    Parameters
    ----------
    num_regions : int
        M.
    room : int
        Bytes of outputs to keep.
    """

    def __init__(self, num_regions: int, room: int = OUTPUT_BYTES) -> None:
        self.num_regions = num_regions
        self.changed = threading.Condition(threading.RLock())
        self._room = room
        self._index = Record(num_regions)
        self._outputs: list[Tensor] = []
        self._held = 0
        self._summaries: list[Summaries] = []
        self._verdicts: dict[Hashable, _Verdicts] = {}
        self._in_flight: set[Hashable] = set()

    def __len__(self) -> int:
        return self._index.total

    @property
    def held(self) -> int:
        """Bytes of outputs that are kept."""
        with self.changed:
            return sum(outputs.numel() * outputs.element_size() for outputs in self._outputs)

    def refined(self, num_regions: int, coarse_of: NDArray[np.int64]) -> "Memory":
        """The same answers about a finer partition: a state of the coarse one is one of the fine one.

        Parameters
        ----------
        num_regions : int
            Regions of the finer partition.
        coarse_of : (num_regions,) int64
            The coarse region that each of them is a part of.
        """
        with self.changed:
            finer = Memory(num_regions, self._room)
            known = self._index.evaluated()
            finer._index.add(st.pack(known.states[:, coarse_of]), known.valid, None)
            finer._outputs, finer._held = list(self._outputs), self._held
            finer._summaries = list(self._summaries)
            for criterion, verdicts in self._verdicts.items():
                rows = np.flatnonzero(verdicts.known[: self._index.total])
                finer._of(criterion).put(rows, verdicts.valid[rows], verdicts.score[rows])
            return finer

    def claim(self, criterion: Hashable, packed: Packed, judge: Judge) -> tuple[Bools, Bools]:
        """What of these states is answered, and what the caller now has to ask, (B,) each.

        The states are distinct. Those that are neither are being asked by somebody else. What the caller gets it must
        :meth:`store`, or :meth:`release` if the model gave no answer.
        """
        with self.changed:
            known = self._known(criterion, packed, judge)
            mine = ~known
            if self._in_flight:
                mine &= np.array([key not in self._in_flight for key in _keys(packed)], dtype=np.bool_)
            self._in_flight.update(_keys(packed[mine]))
            return known, mine

    def release(self, packed: Packed) -> None:
        """Give claimed states back unanswered."""
        with self.changed:
            self._in_flight.difference_update(_keys(packed))
            self.changed.notify_all()

    def store(
        self, criterion: Hashable, packed: Packed, valid: Bools, score: Scores, outputs: Tensor, summary: Summarise
    ) -> None:
        """Keep answers to claimed states.

        Parameters
        ----------
        criterion : hashable
            By what they were judged.
        packed : (B, W) uint64
            The states, distinct.
        valid, score : (B,)
            The verdicts.
        outputs : (B, ...) Tensor
            On the CPU; not written to by anybody afterwards.
        summary : callable
            Makes what is kept of outputs for which there is no room.
        """
        with self.changed:
            rows = self._index.find(packed)
            new = rows < 0
            if new.any():
                start = self._index.total
                self._index.add(packed[new], valid[new], None)
                rows[new] = np.arange(start, self._index.total)
                self._keep(outputs[torch.from_numpy(new)] if not new.all() else outputs, summary)
            self._of(criterion).put(rows, valid, score)
            self.release(packed)

    def verdicts(self, criterion: Hashable, packed: Packed) -> tuple[Bools, Scores]:
        """Verdicts on states that are all answered."""
        with self.changed:
            rows, verdicts = self._index.find(packed), self._of(criterion)
            if not verdicts.known[rows].all() or (rows < 0).any():
                raise KeyError("a state that was not asked")
            return verdicts.valid[rows], verdicts.score[rows]

    def holds(self, packed: Packed) -> Bools:
        """Which of these states are answered, (B,)."""
        with self.changed:
            known: Bools = self._index.find(packed) >= 0
            return known

    def valid_states(self, criterion: Hashable) -> Packed:
        """All states asked so far that are valid."""
        with self.changed:
            verdicts, rows = self._of(criterion), self._index.total
            return self._index.evaluated().packed[verdicts.known[:rows] & verdicts.valid[:rows]]

    def summaries(self, packed: Packed, summary: Summarise) -> Summaries:
        """Class and probability of states that are all answered."""
        with self.changed:
            rows = self._index.find(packed)
            if (rows < 0).any():
                raise KeyError("a state that was not asked")
            held = rows < self._held
            if held.all():
                return summary(self._rows(rows))
            beyond = Summaries.joined(self._summaries)
            if not held.any():
                return beyond[rows - self._held]
            both = Summaries.joined([summary(self._rows(rows[held])), beyond[rows[~held] - self._held]])
            order = np.empty(len(rows), dtype=np.int64)
            order[np.concatenate([np.flatnonzero(held), np.flatnonzero(~held)])] = np.arange(len(rows))
            return both[order]

    def outputs(self, packed: Packed) -> Tensor | None:
        """What the model gave for states that are all answered, (B, ...); None where there was no room to keep it."""
        with self.changed:
            rows = self._index.find(packed)
            return self._rows(rows) if ((rows >= 0) & (rows < self._held)).all() else None

    def _known(self, criterion: Hashable, packed: Packed, judge: Judge) -> Bools:
        """Which states have a verdict; those whose outputs are here are judged for it."""
        rows = self._index.find(packed)
        found = np.flatnonzero(rows >= 0)
        known = np.zeros(len(packed), dtype=np.bool_)
        if not len(found):
            return known
        verdicts = self._of(criterion)
        unjudged = np.unique(rows[found][~verdicts.known[rows[found]] & (rows[found] < self._held)])
        if len(unjudged):
            valid, score = judge(self._rows(unjudged))
            verdicts.put(unjudged, valid.cpu().numpy(), score.cpu().numpy())
        known[found] = verdicts.known[rows[found]]
        return known

    def _of(self, criterion: Hashable) -> _Verdicts:
        verdicts = self._verdicts.setdefault(criterion, _Verdicts())
        verdicts.reserve(self._index.total)
        return verdicts

    def _keep(self, outputs: Tensor, summary: Summarise) -> None:
        size = outputs.numel() * outputs.element_size()
        if size <= self._room and not self._summaries:
            self._room -= size
            self._outputs.append(outputs)
            self._held += len(outputs)
        else:
            self._summaries.append(summary(outputs))

    def _rows(self, rows: NDArray[np.int64]) -> Tensor:
        if len(self._outputs) > 1:
            self._outputs = [torch.cat(self._outputs)]
        return self._outputs[0][torch.from_numpy(rows)]


def _keys(packed: Packed) -> list[Hashable]:
    """One key a state: for the few of a batch that are on their way, a set is quicker than sorted arrays."""
    keys: list[Hashable] = st.sort_keys(packed).tolist()
    return keys
