"""A search whose sets have to hold under two removals: one asker of two models."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from captum_focalogic.arrays import Bools
from captum_focalogic.search import states as st
from captum_focalogic.search.certificate import StopReason
from captum_focalogic.search.record import Scores
from captum_focalogic.search.run import Run
from captum_focalogic.search.states import Packed


@dataclass(eq=False)
class _Batch:
    """States that the run handed out together, and what both models said."""

    packed: Packed
    valid: Bools | None = None
    score: Scores | None = None
    waiting: int = 0


class Agreement:
    """A run whose states are valid where two models say so; the second is asked only about what the first accepts.

    Its two faces, :attr:`first` and :attr:`second`, are askers to be driven together, each with its model. The score is
    the lower one of both.

    Parameters
    ----------
    run : Run
        The search.
    max_questions : int, optional
        Most states asked of both models together.
    """

    def __init__(self, run: Run, max_questions: int | None = None) -> None:
        self.run = run
        self.asked = 0
        self.first, self.second = _First(self), _Second(self)
        self._max_questions = max_questions
        self._batches: deque[_Batch] = deque()

    def room(self) -> int | None:
        """States that can still be judged, whatever the first model says of them."""
        if self._max_questions is None:
            return None
        owed = sum(2 * len(batch.packed) if batch.valid is None else batch.waiting for batch in self._batches)
        return (self._max_questions - self.asked - owed) // 2

    def hand_out(self, limit: int | None) -> Packed:
        """States for the first model."""
        room = self.room()
        if room is not None and room <= 0:
            if not self._batches:
                self.run.stop("max_evaluations")
            return st.empty(self.run.num_regions)
        packed = self.run.wanted(room if limit is None else limit if room is None else min(limit, room))
        if len(packed):
            self._batches.append(_Batch(packed))
        return packed

    def told_first(self, valid: Bools, score: Scores | None) -> None:
        """What the first model said of the oldest states that it was handed."""
        batch = next(each for each in self._batches if each.valid is None)
        self.asked += len(valid)
        batch.valid, batch.waiting = valid.copy(), int(valid.sum())
        batch.score = np.full(len(valid), np.nan, dtype=np.float32) if score is None else score.copy()
        if batch.waiting:
            self.second.want(batch.packed[valid])
        self._pass_on()

    def told_second(self, valid: Bools, score: Scores | None) -> None:
        """What the second model said of the oldest states that it was handed, which may be those of several batches."""
        self.asked += len(valid)
        for batch in self._batches:
            if batch.valid is None or not batch.waiting or batch.score is None:
                continue
            rows = np.flatnonzero(batch.valid)[-batch.waiting :][: len(valid)]
            own, valid = valid[: len(rows)], valid[len(rows) :]
            batch.waiting -= len(rows)
            batch.valid[rows] = own
            if score is not None:
                batch.score[rows] = np.fmin(batch.score[rows], score[: len(rows)])
                score = score[len(rows) :]
            if not len(valid):
                break
        self._pass_on()

    def _pass_on(self) -> None:
        while self._batches and self._batches[0].valid is not None and not self._batches[0].waiting:
            batch = self._batches.popleft()
            if batch.valid is not None:
                self.run.tell(batch.valid, batch.score)


class _First:
    """Who asks the first model."""

    def __init__(self, agreement: Agreement) -> None:
        self._agreement = agreement

    @property
    def finished(self) -> bool:
        return self._agreement.run.finished

    def wanted(self, limit: int | None = None) -> Packed:
        return self._agreement.hand_out(limit)

    def tell(self, valid: Bools, score: Scores | None = None) -> None:
        self._agreement.told_first(valid, score)

    def stop(self, reason: StopReason) -> None:
        self._agreement.run.stop(reason)


class _Second(_First):
    """Who asks the second model."""

    def __init__(self, agreement: Agreement) -> None:
        super().__init__(agreement)
        self._queue = st.empty(agreement.run.num_regions)

    def want(self, packed: Packed) -> None:
        self._queue = np.concatenate([self._queue, packed])

    def wanted(self, limit: int | None = None) -> Packed:
        count = len(self._queue) if limit is None else min(limit, len(self._queue))
        if self.finished:
            return self._queue[:0]
        packed, self._queue = self._queue[:count], self._queue[count:]
        return packed

    def tell(self, valid: Bools, score: Scores | None = None) -> None:
        self._agreement.told_second(valid, score)
