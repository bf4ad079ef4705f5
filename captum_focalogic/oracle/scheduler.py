"""Many searches, one model: fills each batch with what any of the searches wants to know."""

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_focalogic.arrays import Bools
from captum_focalogic.errors import AggregateOutputError
from captum_focalogic.masking import Example, Masker
from captum_focalogic.oracle.batching import Batching
from captum_focalogic.oracle.forward import Forward, is_out_of_memory
from captum_focalogic.oracle.memory import Memory, Summaries
from captum_focalogic.oracle.references import AnyCriterion, References
from captum_focalogic.provenance import Removal
from captum_focalogic.search import states as st
from captum_focalogic.search.certificate import StopReason
from captum_focalogic.search.record import Scores
from captum_focalogic.search.states import Packed

_PATIENCE = 0.05
"""Seconds between looks at what another thread is asking."""


class Asked(Protocol):
    """One example's model: what a state is asked of."""

    example: Example
    row: int
    references: References
    criterion: AnyCriterion
    memory: Memory
    forward: Forward
    removal: Removal

    @property
    def key(self) -> Hashable:
        """What verdicts are remembered under."""
        ...

    def judge(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Verdicts and scores for remembered outputs."""
        ...

    def summarise(self, outputs: Tensor) -> Summaries:
        """Class and probability for remembered outputs."""
        ...


class Asker(Protocol):
    """Whoever wants states judged; :class:`captum_focalogic.search.run.Run` is one."""

    @property
    def finished(self) -> bool:
        """Whether nothing more is wanted."""
        ...

    def wanted(self, limit: int | None = None) -> Packed:
        """Hand out distinct states to judge, at most ``limit``."""
        ...

    def tell(self, valid: Bools, score: Scores | None = None) -> None:
        """Verdicts of the oldest states handed out and not yet answered."""
        ...

    def stop(self, reason: StopReason) -> None:
        """End with what is known."""
        ...


@dataclass(eq=False)
class _Ticket:
    """States that one asker was handed together, and what is known of them."""

    packed: Packed
    known: Bools
    valid: Bools
    score: Scores


@dataclass(eq=False)
class Job:
    """One example's model, and who asks it."""

    model: Asked
    asker: Asker
    tickets: deque[_Ticket] = field(default_factory=deque)


@dataclass(frozen=True, eq=False)
class _Segment:
    """States of one job in a batch: positions in one of its tickets."""

    job: Job
    ticket: _Ticket
    positions: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def packed(self) -> Packed:
        return self.ticket.packed[self.positions]


@dataclass(frozen=True, eq=False)
class _Pending:
    """A batch whose answers are on their way."""

    segments: list[_Segment]
    valid: Tensor
    score: Tensor
    outputs: Tensor
    arrived: torch.cuda.Event | None


class Scheduler:
    """Asks the model about masked inputs, whole batches at a time.

    States that a model's memory knows are answered from it, and a state that two askers want is asked once.

    Parameters
    ----------
    batching : Batching
        How many rows a batch may have.
    device : torch.device
        Where the inputs are.
    on_judged : callable
        Told the number of states asked, batch by batch.
    masker : Masker, optional
        Makes the masked inputs; one that is kept does not prepare an example twice.
    """

    def __init__(
        self,
        batching: Batching,
        device: torch.device,
        on_judged: Callable[[int], object] = lambda _: None,
        masker: Masker | None = None,
    ) -> None:
        self._batching = batching
        self._device = device
        self._on_judged = on_judged
        self._masker = masker or Masker()
        # A second batch in the queue keeps an accelerator busy while the first one's verdicts are read.
        self._depth = 2 if device.type == "cuda" else 1

    def drive(self, jobs: Iterable[Job]) -> None:
        """Serve all askers to their end; a keyboard interrupt stops them with what they have."""
        active = list(jobs)
        in_flight: deque[_Pending] = deque()
        try:
            self._drive(active, in_flight)
        except KeyboardInterrupt:
            for job in active:
                job.asker.stop("interrupted")
        finally:
            for pending in in_flight:
                _release(pending.segments)

    def _drive(self, active: list[Job], in_flight: deque[_Pending]) -> None:
        unfinished = active
        while True:
            unfinished = [job for job in unfinished if not job.asker.finished]
            segments = self._fill(unfinished)
            if segments:
                in_flight.append(self._launch(segments, alone=not in_flight))
                # A batch is timed alone, so nothing is queued behind one that is being measured.
                if len(in_flight) < self._depth and not self._batching.measuring:
                    continue
            if in_flight:
                self._settle(in_flight)
            elif any(job.tickets for job in unfinished):
                self._await(unfinished)
            else:
                return

    def _fill(self, jobs: Sequence[Job]) -> list[_Segment]:
        """Up to a batch of states, from the first jobs that want any, all of one model."""
        segments: list[_Segment] = []
        room = float(self._batching.size)
        try:
            for job in jobs:
                if room > 0 and (not segments or _together(segments[0].job.model, job.model)):
                    room -= self._fill_from(job, segments, room)
        except BaseException:
            _release(segments)
            raise
        return segments

    def _fill_from(self, job: Job, segments: list[_Segment], room: float) -> float:
        """Add what a job wants; how much that is."""
        taken, fits = 0.0, True
        for ticket in job.tickets:
            load, all_of_it = self._claim(segments, job, ticket, room - taken)
            taken, fits = taken + load, fits and all_of_it
        _answer(job)
        # More than there is room for, so that those of similar lengths can be chosen.
        least = 1.0 if job.model.removal == "fill" else _LEAST_SHARE
        while fits and room - taken >= least:
            packed = job.asker.wanted(int((room - taken) / least))
            if not len(packed):
                break
            nothing = np.zeros(len(packed), dtype=np.bool_)
            ticket = _Ticket(packed, nothing, nothing.copy(), np.full(len(packed), np.nan, dtype=np.float32))
            job.tickets.append(ticket)
            load, fits = self._claim(segments, job, ticket, room - taken)
            taken += load
            _answer(job)
        return taken

    def _counts_shares(self, model: Asked) -> bool:
        """Whether rows count by what they keep."""
        return self._batching.by_share and model.removal == "tokens"

    def _claim(self, segments: list[_Segment], job: Job, ticket: _Ticket, room: float) -> tuple[float, bool]:
        """Take what a ticket lacks from memory, and what is not there into the batch.

        How much that is, and whether there was room for all.
        """
        model = job.model
        lacking = np.flatnonzero(~ticket.known)
        if not len(lacking):
            return 0.0, True
        loads = np.ones(len(lacking))
        if model.removal == "tokens":
            # Of similar lengths together, so that few of them are padded.
            shares = _shares(model, ticket.packed[lacking])
            order = np.argsort(shares, kind="stable")
            lacking = lacking[order]
            if self._batching.by_share:
                loads = shares[order]
        fitting = int(np.searchsorted(np.cumsum(loads), room + _ROUNDING, side="right"))
        complete, lacking, loads = fitting == len(lacking), lacking[:fitting], loads[:fitting]
        packed = ticket.packed[lacking]
        known, mine = model.memory.claim(model.key, packed, model.judge)
        if known.any():
            _note(ticket, lacking[known], *model.memory.verdicts(model.key, packed[known]))
        if mine.any():
            segments.append(_Segment(job, ticket, lacking[mine]))
        return float(loads[mine].sum()), complete

    def _await(self, jobs: list[Job]) -> None:
        """Wait for what another thread is asking."""
        memory = next(job for job in jobs if job.tickets).model.memory
        with memory.changed:
            memory.changed.wait(_PATIENCE)

    def _launch(self, segments: list[_Segment], *, alone: bool) -> _Pending:
        try:
            if not ((self._batching.measuring and alone) or self._batching.watching):
                return self._send(segments)
            size, rows, load = self._batching.size, sum(map(len, segments)), _load(segments)
            if rows != size and not (self._counts_shares(segments[0].job.model) and load > size - 1):
                return self._send(segments)
            self._synchronise()
            start = time.perf_counter()
            pending = self._send(segments)
            self._synchronise()
            self._batching.record(size, (time.perf_counter() - start) * size / load)
            return pending
        except BaseException:
            _release(segments)
            raise

    def _send(self, segments: list[_Segment]) -> _Pending:
        answers = self._answers(segments)
        if self._device.type != "cuda":
            valid, score, outputs = answers
            # The model may write to its outputs again.
            kept = outputs.clone() if outputs.device.type == "cpu" else outputs.cpu()
            return _Pending(segments, valid.cpu(), score.cpu(), kept, None)
        valid, score, outputs = (_to_pinned(values) for values in answers)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record(torch.cuda.current_stream(self._device))
        return _Pending(segments, valid, score, outputs, arrived)

    def _settle(self, in_flight: deque[_Pending]) -> None:
        pending = in_flight[0]
        if pending.arrived is not None:
            pending.arrived.synchronize()
        valid, score = pending.valid.numpy(), pending.score.numpy()
        start = 0
        for segment in pending.segments:
            end = start + len(segment)
            model, own, scores = segment.job.model, valid[start:end].copy(), score[start:end].copy()
            model.memory.store(model.key, segment.packed, own, scores, pending.outputs[start:end], model.summarise)
            _note(segment.ticket, segment.positions, own, scores)
            start = end
        in_flight.popleft()
        for job in dict.fromkeys(segment.job for segment in pending.segments):
            _answer(job)
        self._on_judged(len(valid))

    def _answers(self, segments: list[_Segment]) -> tuple[Tensor, Tensor, Tensor]:
        """Judge a batch, in halves where it does not fit in memory or the model takes one row at a time."""
        rows = sum(map(len, segments))
        shares = self._counts_shares(segments[0].job.model)
        try:
            return self._ask(segments)
        except AggregateOutputError:
            if rows == 1 or not self._batching.measuring:
                raise
            self._batching.shrink(2)
        except (RuntimeError, MemoryError) as error:
            asked = ceil(_load(segments)) if shares else rows
            if not is_out_of_memory(error) or not (self._batching.shrink(asked) or (shares and rows > 1)):
                raise
        # Not before the exception is gone: its traceback holds the batch that did not fit.
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        half = max(1, rows // 2)
        parts = [self._answers(part) for part in _split(segments, half if shares else min(self._batching.size, half))]
        valid, score, outputs = zip(*parts, strict=True)
        return torch.cat(valid), torch.cat(score), torch.cat(outputs)

    def _ask(self, segments: list[_Segment]) -> tuple[Tensor, Tensor, Tensor]:
        """Verdicts, scores and what is remembered of the outputs."""
        first = segments[0].job.model
        kept = self._upload(segments)
        rows = np.repeat([segment.job.model.row for segment in segments], [len(segment) for segment in segments])
        index = torch.from_numpy(rows).to(self._device)
        shown, start = [], 0
        for segment in segments:
            example = segment.job.model.example
            shown.append((example, kept[start : start + len(segment), : example.partition.num_regions]))
            start += len(segment)
        if first.removal == "tokens":
            inputs, present = self._masker.present(shown)
            outputs = first.forward.masked(inputs, present, index)
        else:
            outputs = first.forward(self._masker.compose(shown, self._batching.memory_format), index)
        references = first.references.on(outputs.device)
        index = index.to(outputs.device)
        outputs = references.read(outputs, index)
        valid, score, start = [], [], 0
        for criterion, count in _by_criterion(segments):
            part = slice(start, start + count)
            judged = references.judge(criterion, outputs[part], index[part])
            valid.append(judged[0])
            score.append(judged[1])
            start += count
        return torch.cat(valid), torch.cat(score), outputs

    def _upload(self, segments: list[_Segment]) -> Tensor:
        """States of a batch as booleans on the device, (B, most regions of any example)."""
        width = max(segment.job.model.example.partition.num_regions for segment in segments)
        states, start = np.zeros((sum(map(len, segments)), width), dtype=np.bool_), 0
        for segment in segments:
            end, num_regions = start + len(segment), segment.job.model.example.partition.num_regions
            states[start:end, :num_regions] = st.unpack(segment.packed, num_regions)
            start = end
        kept = torch.from_numpy(states)
        if self._device.type == "cuda":
            kept = kept.pin_memory()
        return kept.to(self._device, non_blocking=True)

    def _synchronise(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        elif self._device.type == "mps":
            torch.mps.synchronize()


def _together(first: Asked, other: Asked) -> bool:
    """Whether two examples can go into one call of the model."""
    return first.forward is other.forward and first.references is other.references and first.removal == other.removal


_LEAST_SHARE = 0.1
"""What a row counts at least where a model leaves the rest out: image, embedding, and tokens that are no patches."""

_ROUNDING = 1e-9


def _shares(model: Asked, packed: Packed) -> NDArray[np.float64]:
    """How much of its input the model gets in each state: rows take as long as they have tokens, and as much memory."""
    areas = model.example.partition.areas
    return np.clip(st.unpack(packed, len(areas)) @ areas, _LEAST_SHARE, 1.0)


def _load(segments: Sequence[_Segment]) -> float:
    """Rows of a batch, or as many whole inputs as the model gets in it."""
    if segments[0].job.model.removal == "fill":
        return sum(map(len, segments))
    return float(sum(_shares(segment.job.model, segment.packed).sum() for segment in segments))


def _note(ticket: _Ticket, positions: NDArray[np.int64], valid: Bools, score: Scores) -> None:
    ticket.valid[positions], ticket.score[positions], ticket.known[positions] = valid, score, True


def _answer(job: Job) -> None:
    """Tell the asker what is complete, in the order in which it was handed out."""
    while job.tickets and job.tickets[0].known.all():
        ticket = job.tickets.popleft()
        job.asker.tell(ticket.valid, ticket.score)


def _release(segments: Iterable[_Segment]) -> None:
    for segment in segments:
        segment.job.model.memory.release(segment.packed)


def _by_criterion(segments: Sequence[_Segment]) -> Iterator[tuple[AnyCriterion, int]]:
    """Runs of rows that one criterion judges."""
    criterion, rows = segments[0].job.model.criterion, 0
    for segment in segments:
        own = segment.job.model.criterion
        if own is not criterion and own != criterion:
            yield criterion, rows
            criterion, rows = own, 0
        rows += len(segment)
    yield criterion, rows


def _split(segments: list[_Segment], size: int) -> Iterator[list[_Segment]]:
    """The same states in batches of at most ``size``."""
    batch: list[_Segment] = []
    room = size
    for segment in segments:
        start = 0
        while start < len(segment):
            part = _Segment(segment.job, segment.ticket, segment.positions[start : start + room])
            batch.append(part)
            start += len(part)
            room -= len(part)
            if not room:
                yield batch
                batch, room = [], size
    if batch:
        yield batch


def _to_pinned(values: Tensor) -> Tensor:
    pinned = torch.empty(values.shape, dtype=values.dtype, device="cpu", pin_memory=True)
    return pinned.copy_(values, non_blocking=True)
