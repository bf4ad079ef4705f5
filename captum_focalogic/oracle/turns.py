"""Who may call the model next, where several threads ask it: somebody who waits goes before a search."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


class Turns:
    """One call of a model at a time, and urgent callers first.

    A thread that is inside :meth:`urgent` or :meth:`patient` waits for its turn before each batch that it puts to any
    model. A patient one goes on when nobody urgent waits, so that nobody waits longer than one of its batches.

    Examples
    --------
    >>> turns = Turns()
    >>> with turns.urgent():
    ...     with my_turn():
    ...         pass  # the model is asked
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._busy = False
        self._waiting = 0

    @contextmanager
    def urgent(self) -> Iterator[None]:
        """What this thread asks meanwhile goes before what patient ones do."""
        with self._as(_Caller(self, None)):
            yield

    @contextmanager
    def patient(self, stopped: threading.Event) -> Iterator[None]:
        """What this thread asks meanwhile lets urgent callers pass.

        Parameters
        ----------
        stopped : threading.Event
            Once it is set, the next batch raises KeyboardInterrupt in place of asking, so that searches end with what
            they have.
        """
        with self._as(_Caller(self, stopped)):
            yield

    @contextmanager
    def _as(self, caller: "_Caller | None") -> Iterator[None]:
        token = _CALLER.set(caller)
        try:
            yield
        finally:
            _CALLER.reset(token)

    @contextmanager
    def _turn(self, stopped: threading.Event | None) -> Iterator[None]:
        urgent = stopped is None
        with self._changed:
            self._waiting += urgent
            try:
                self._changed.wait_for(lambda: not self._busy and (urgent or not self._waiting))
            finally:
                self._waiting -= urgent
            self._busy = True
        try:
            if stopped is not None and stopped.is_set():
                raise KeyboardInterrupt
            yield
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()


@dataclass(frozen=True, eq=False)
class _Caller:
    turns: Turns
    stopped: threading.Event | None


_CALLER: ContextVar[_Caller | None] = ContextVar("caller", default=None)


@contextmanager
def my_turn() -> Iterator[bool]:
    """Wait for this thread's turn, and keep others waiting; at once where no turns are taken, or it has its turn.

    Whether others may be waiting.
    """
    caller = _CALLER.get()
    if caller is None:
        yield False
        return
    with caller.turns._turn(caller.stopped), caller.turns._as(None):
        yield True
