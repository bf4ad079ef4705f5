"""One search in progress, without knowing who answers.

A strategy is a generator over batches of packed states; :class:`Run` drives it. Whoever can judge states (a predicate,
a model on a GPU shared with other images) takes what the run wants, and tells it the verdicts. The run remembers every
verdict, asks no state twice, and keeps the budget. :func:`enumerate_final_states` drives one run by a predicate.
"""

import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Bools
from captum_focalogic.errors import InputError, SearchInterrupt
from captum_focalogic.search import states as st
from captum_focalogic.search.certificate import Certificate, Completeness, Reading, StopReason
from captum_focalogic.search.record import Evaluated, Record, Scores, Violations, find_violations
from captum_focalogic.search.states import Packed

EVALUATED_CAP = 1 << 20
"""States kept for the result by a search that never needs to find them again."""


@dataclass(frozen=True)
class Problem:
    """What a strategy is told about an image.

    Attributes
    ----------
    num_regions : int
        M.
    areas : (M,) float64
        Share of the image that each region covers.
    record : Record
        Verdicts so far, to look up; a strategy does not write to it.
    max_evaluations : int or None
        The budget, for strategies that plan with it.
    """

    num_regions: int
    areas: NDArray[np.float64]
    record: Record
    max_evaluations: int | None = None


@dataclass(frozen=True)
class Verdicts:
    """Answers to one batch: ``valid`` (B,) bool and ``score`` (B,) float32, NaN where the model gives none."""

    valid: Bools
    score: Scores


class Stopped(Exception):
    """Thrown into a strategy at its ``yield`` when no more states will be judged.

    The strategy catches it, and returns what it has. A keyboard interrupt that strikes while the strategy itself
    computes it should catch too, returning what it has with ``stopped="interrupted"``.

    Attributes
    ----------
    known : (B,) bool
        Which states of the batch it was waiting for have been judged.
    verdicts : Verdicts
        Their verdicts; meaningless where not known.
    """

    def __init__(self, known: Bools, verdicts: Verdicts) -> None:
        super().__init__()
        self.known = known
        self.verdicts = verdicts


@dataclass(frozen=True)
class Outcome:
    """What a strategy returns: its final states (S, W) and what it can claim about them (see Certificate)."""

    final_states: Packed
    irreducible: bool
    complete: Completeness
    complete_up_to: int | None = None
    unseen_bound: float | None = None
    reached: bool = False
    violations: Violations | None = None
    """Pairs that break monotonicity, where the strategy has a better way to find them than :func:`find_violations`."""
    stopped: StopReason | None = None
    unfinished: Packed | None = None
    """Those of the final states (U, W) of which some single deletion was not asked."""


Search = Generator[Packed, Verdicts, Outcome]
"""A search under way: yields states to judge, is sent their verdicts, returns the outcome."""


class Strategy(Protocol):
    """How to look for final states.

    A strategy is configuration; :meth:`search` starts one search. It asks about the whole image first, catches
    :class:`Stopped` at every ``yield``, and then returns what it has.
    """

    @property
    def reading(self) -> Reading:
        """The reading its states are final in."""
        ...

    @property
    def never_repeats(self) -> bool:
        """True if one search never yields a state twice; its verdicts need no index then."""
        ...

    def search(self, problem: Problem) -> Search:
        """Look for the final states of one image."""
        ...


@dataclass(frozen=True)
class SearchResult:
    """Final states and what is certain about them.

    Attributes
    ----------
    final_states : (S, M) bool
        Smallest first, then in lexicographic order of columns.
    certificate : Certificate
        What was checked.
    evaluated : Evaluated
        Every state asked, with verdict and score (capped for very long searches).
    violations : (K, 2, M) bool
        Pairs (valid state, invalid state containing it) met on the way; the first ones where there are very many.
    unfinished : (S,) bool
        Final states that keep the prediction and may have regions to spare: the search ended before it knew.
    """

    final_states: Bools
    certificate: Certificate
    evaluated: Evaluated
    violations: Bools
    unfinished: Bools


class Run:
    """One strategy at work on one image.

    Parameters
    ----------
    strategy : Strategy
        The search to run.
    num_regions : int
        M, at least 1.
    areas : (M,) float64, optional
        Shares of the image; equal shares by default.
    max_evaluations : int, optional
        Judge at most this many states.
    time_limit : float, optional
        Stop after this many seconds.
    start : tuple of bool and float, optional
        Verdict and score of the whole image where the caller has asked already; counts as one evaluation.
    """

    def __init__(
        self,
        strategy: Strategy,
        num_regions: int,
        *,
        areas: NDArray[np.float64] | None = None,
        max_evaluations: int | None = None,
        time_limit: float | None = None,
        start: tuple[bool, float] | None = None,
    ) -> None:
        _check(num_regions, areas, max_evaluations, time_limit)
        self.strategy = strategy
        self.num_regions = num_regions
        self.batches = 0
        self._best: Packed | None = None
        self._max_evaluations = max_evaluations
        self._deadline = None if time_limit is None else time.monotonic() + time_limit
        self._record = Record(num_regions, EVALUATED_CAP if strategy.never_repeats else None)
        if start is not None:
            self._record.add(
                st.full(num_regions), np.array([start[0]]), np.array([start[1]], dtype=np.float32), index=True
            )
            self._compare_with_best(st.full(num_regions), np.array([start[0]]))
            self.batches = 1
        if areas is None:
            areas = np.full(num_regions, 1.0 / num_regions)
        self._search = strategy.search(Problem(num_regions, np.asarray(areas), self._record, max_evaluations))
        self._outcome: Outcome | None = None
        self._result: SearchResult | None = None
        self._stop_reason: StopReason | None = None
        self._outstanding: deque[Packed] = deque()
        self._handed_out = self._answered = 0
        self._advance(None)

    @property
    def finished(self) -> bool:
        """Whether the search has ended, done or stopped."""
        return self._outcome is not None

    @property
    def evaluations(self) -> int:
        """States judged so far."""
        return self._record.total

    @property
    def best(self) -> Bools | None:
        """The smallest state so far that keeps the prediction, (M,), final or not; None before there is one."""
        return None if self._best is None else st.unpack(self._best, self.num_regions)[0]

    def wanted(self, limit: int | None = None) -> Packed:
        """Hand out states to judge, at most ``limit``; none if all that is wanted now has been handed out.

        Each call's states must be answered by one :meth:`tell`, in the order of the calls.
        """
        if self.finished:
            return st.empty(self.num_regions)
        if self._deadline is not None and time.monotonic() > self._deadline:
            if not self._outstanding:
                self.stop("time_limit")
            return st.empty(self.num_regions)
        count = len(self._queue) - self._handed_out
        if limit is not None:
            count = min(count, limit)
        if self._max_evaluations is not None:
            budget = self._max_evaluations - self.evaluations - sum(map(len, self._outstanding))
            if budget <= 0 and not self._outstanding:
                self.stop("max_evaluations")
                return st.empty(self.num_regions)
            count = min(count, budget)
        if count <= 0:
            return st.empty(self.num_regions)
        batch = self._queue[self._handed_out : self._handed_out + count]
        self._handed_out += count
        self._outstanding.append(batch)
        return batch

    def tell(self, valid: Bools, score: Scores | None = None) -> None:
        """Verdicts of the oldest states handed out and not yet answered."""
        batch = self._outstanding.popleft()
        if self.finished:
            return
        self._record.add(batch, valid, score, index=not self.strategy.never_repeats)
        self._compare_with_best(batch, valid)
        self.batches += 1
        end = self._answered + len(batch)
        self._queue_valid[self._answered : end] = valid
        if score is not None:
            self._queue_score[self._answered : end] = score
        self._answered = end
        if self._answered == len(self._queue):
            self._advance(self._verdicts())

    def stop(self, reason: StopReason) -> None:
        """End the search with what it has."""
        if self.finished:
            return
        self._stop_reason = reason
        try:
            self._search.throw(Stopped(*self._known()))
        except StopIteration as end:
            self._outcome = end.value
            return
        raise RuntimeError(f"{self.strategy!r} asked for more states after it was stopped")

    def result(self) -> SearchResult:
        """The result of a finished run."""
        if self._outcome is None:
            raise RuntimeError("the search has not ended")
        if self._result is None:
            self._result = self._summary(self._outcome)
        return self._result

    def _summary(self, outcome: Outcome) -> SearchResult:
        num_regions, evaluated = self.num_regions, self._record.evaluated()
        violations = outcome.violations or find_violations(evaluated)
        final = st.canonical_order(outcome.final_states, num_regions)
        open_ones = st.empty(num_regions) if outcome.unfinished is None else outcome.unfinished
        unfinished = np.isin(st.sort_keys(final), st.sort_keys(open_ones))
        certificate = Certificate(
            strategy=repr(self.strategy),
            reading=self.strategy.reading,
            num_regions=num_regions,
            evaluations=self.evaluations,
            batches=self.batches,
            irreducible=outcome.irreducible,
            complete=outcome.complete,
            complete_up_to=outcome.complete_up_to,
            unseen_bound=outcome.unseen_bound,
            reached=outcome.reached,
            violations=violations.total,
            stopped=outcome.stopped or self._stop_reason,
            num_states=len(final),
            unfinished=int(np.count_nonzero(unfinished)),
            least=int(st.cardinality(final[:1])[0]) if len(final) else None,
        )
        return SearchResult(st.unpack(final, num_regions), certificate, evaluated, violations.states, unfinished)

    def _advance(self, verdicts: Verdicts | None) -> None:
        """Send verdicts until the strategy wants a state that is not known, or is done."""
        while True:
            try:
                request = next(self._search) if verdicts is None else self._search.send(verdicts)
            except StopIteration as end:
                self._end(end.value)
                return
            self._request = request
            self._take(request)
            if len(self._queue):
                return
            verdicts = self._verdicts()

    def _end(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._queue = st.empty(self.num_regions)
        if outcome.stopped == "interrupted":
            # The strategy saved what it had; whoever drives several searches must still hear of the interrupt.
            raise KeyboardInterrupt

    def _compare_with_best(self, batch: Packed, valid: Bools) -> None:
        rows = np.flatnonzero(valid)
        if not len(rows):
            return
        sizes = st.cardinality(batch[rows])
        first = np.argmin(sizes)
        if self._best is None or sizes[first] < st.cardinality(self._best)[0]:
            self._best = batch[[rows[first]]]

    def _take(self, request: Packed) -> None:
        """Split a request into what is known and a queue of distinct states to ask."""
        rows = self._record.find(request)
        unknown = np.flatnonzero(rows < 0)
        asked = request if len(unknown) == len(request) else request[unknown]
        back: NDArray[np.int64] | None = None
        if not self.strategy.never_repeats:
            _, first, back = np.unique(st.sort_keys(asked), return_index=True, return_inverse=True)
            rank = np.argsort(np.argsort(first))
            asked, back = asked[np.sort(first)], rank[back.reshape(-1)]
        self._queue_valid = np.zeros(len(asked), dtype=np.bool_)
        self._queue_score = np.full(len(asked), np.nan, dtype=np.float32)
        self._request_rows, self._unknown, self._back = rows, unknown, back
        self._handed_out = self._answered = 0
        self._queue = asked
        self._taken = request

    def _verdicts(self) -> Verdicts:
        """Verdicts of the whole request, known ones and new ones."""
        rows = self._request_rows
        if self._back is None and len(self._unknown) == len(rows):
            return Verdicts(self._queue_valid, self._queue_score)
        valid = np.zeros(len(rows), dtype=np.bool_)
        score = np.full(len(rows), np.nan, dtype=np.float32)
        known = np.flatnonzero(rows >= 0)
        valid[known], score[known] = self._record.valid(rows[known]), self._record.score(rows[known])
        back: Any = slice(None) if self._back is None else self._back
        valid[self._unknown], score[self._unknown] = self._queue_valid[back], self._queue_score[back]
        return Verdicts(valid, score)

    def _known(self) -> tuple[Bools, Verdicts]:
        """Which states of the strategy's last request are judged, and their verdicts."""
        if self._taken is not self._request:  # interrupted while the request was being taken in
            nothing = np.zeros(len(self._request), dtype=np.bool_)
            return nothing, Verdicts(nothing, np.full(len(nothing), np.nan, dtype=np.float32))
        in_queue = np.zeros(len(self._queue), dtype=np.bool_)
        in_queue[: self._answered] = True
        known = self._request_rows >= 0
        known[self._unknown] = in_queue if self._back is None else in_queue[self._back]
        return known, self._verdicts()


def _check(
    num_regions: int,
    areas: NDArray[np.float64] | None,
    max_evaluations: int | None,
    time_limit: float | None,
) -> None:
    if num_regions < 1:
        raise InputError(f"num_regions must be at least 1; got {num_regions}")
    if areas is not None and (np.shape(areas) != (num_regions,) or not (np.asarray(areas) >= 0).all()):
        raise InputError(f"areas must be {num_regions} non-negative shares, one a region; got {areas!r}")
    if max_evaluations is not None and max_evaluations < 1:
        raise InputError(f"max_evaluations must be at least 1 (the whole image is asked first); got {max_evaluations}")
    if time_limit is not None and time_limit <= 0:
        raise InputError(f"time_limit must be a positive number of seconds; got {time_limit}")


def check_whole(name: str, value: Any, least: int, otherwise: str = "") -> None:
    """Raise :class:`InputError` unless ``value`` is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}{otherwise}; got {value!r}")


def check_probability(name: str, value: Any) -> None:
    """Raise :class:`InputError` unless ``value`` is a number between 0 and 1, both excluded."""
    if not isinstance(value, int | float | np.floating) or not 0 < value < 1:
        raise InputError(f"{name} must be a probability between 0 and 1; got {value!r}")


Predicate = Callable[[Bools], Any]

MAX_BATCH = 1 << 16
"""States handed to the predicate at once, so that its own memory stays bounded."""


def enumerate_final_states(
    predicate: Predicate,
    num_regions: int,
    strategy: Strategy,
    areas: NDArray[np.float64] | None = None,
    max_evaluations: int | None = None,
    time_limit: float | None = None,
) -> SearchResult:
    """Search the final states of a predicate over region sets (paper section 3.2).

    Parameters
    ----------
    predicate : callable
        ``predicate(states)`` with states (B, M) bool, one row a set of kept regions, answers (B,) bool: does the
        prediction survive? It may answer a pair with (B,) float scores, which rank states (beam search).
    num_regions : int
        M.
    strategy : Strategy
        ``Anytime()``, ``Exhaustive()``, ``Beam(5)``, ``Ascending()``, ``Chains()``, ``HittingSets()`` or ``Frugal()``.
    areas : (M,) float64, optional
        Shares of the image, which break ties; equal by default.
    max_evaluations, time_limit : optional
        Budget in states and in seconds. A search that meets it ends with what it has, and its certificate says so.

    Returns
    -------
    SearchResult
        ``final_states`` (S, M) bool and the ``certificate``.

    Raises
    ------
    InputError
        If an argument, or what the predicate answers, is not as described. What the predicate raises passes through.
    SearchInterrupt
        After a keyboard interrupt, with the result as far as it was found.

    Examples
    --------
    >>> import numpy as np
    >>> from captum_focalogic.search import Exhaustive, enumerate_final_states
    >>> result = enumerate_final_states(lambda kept: kept[:, 0] & (kept[:, 1] | kept[:, 2]), 3, Exhaustive())
    >>> result.final_states.astype(int).tolist()
    [[1, 1, 0], [1, 0, 1]]
    """
    run = Run(strategy, num_regions, areas=areas, max_evaluations=max_evaluations, time_limit=time_limit)
    try:
        while not run.finished:
            batch = run.wanted(MAX_BATCH)
            if len(batch):
                run.tell(*_ask(predicate, st.unpack(batch, num_regions)))
    except KeyboardInterrupt:
        run.stop("interrupted")
        raise SearchInterrupt(run.result()) from None
    return run.result()


def _ask(predicate: Predicate, states: Bools) -> tuple[Bools, Scores | None]:
    answer = predicate(states)
    valid, score = answer if isinstance(answer, tuple) else (answer, None)
    valid = np.asarray(valid)
    if valid.shape != (len(states),) or not _is_boolean(valid):
        raise InputError(
            f"the predicate must answer {len(states)} booleans for {len(states)} states; "
            f"got {valid.dtype} of shape {valid.shape}"
        )
    if score is None:
        return valid.astype(np.bool_), None
    score = np.asarray(score, dtype=np.float32)
    if score.shape != (len(states),):
        raise InputError(
            f"the predicate's scores must be {len(states)} numbers for {len(states)} states; got shape {score.shape}"
        )
    return valid.astype(np.bool_), score


def _is_boolean(values: NDArray[Any]) -> bool:
    return values.dtype == np.bool_ or bool(np.isin(values, (0, 1)).all())
