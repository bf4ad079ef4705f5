"""Many searches, one model: fills each batch with what any of the searches wants to know."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from captum_focalogic.errors import AggregateOutputError
from captum_focalogic.masking import Compositor, Example
from captum_focalogic.oracle.batching import Batching
from captum_focalogic.oracle.forward import Forward, is_out_of_memory
from captum_focalogic.search import states as st
from captum_focalogic.search.run import Run

Judge = Callable[[Tensor, Tensor], tuple[Tensor, Tensor | None]]
"""``(outputs (B, ...), example index (B,)) -> (valid (B,) bool, score (B,) or None)``."""


@dataclass(frozen=True)
class Case:
    """One example and its search."""

    index: int
    example: Example
    run: Run


Segment = tuple[Case, st.Packed]
"""States of one case in a batch."""


@dataclass(frozen=True)
class _Pending:
    """A batch whose verdicts are on their way."""

    segments: list[Segment]
    valid: Tensor
    score: Tensor
    arrived: torch.cuda.Event | None


class Scheduler:
    """Asks the model about masked inputs, whole batches at a time.

    Parameters
    ----------
    forward : Forward
        The model.
    judge : callable
        Reads verdicts off the model's outputs.
    batching : Batching
        How many rows a batch may have.
    device : torch.device
        Where the inputs are.
    on_judged : callable
        Told the number of states judged, batch by batch.
    """

    def __init__(
        self,
        forward: Forward,
        judge: Judge,
        batching: Batching,
        device: torch.device,
        on_judged: Callable[[int], object],
    ) -> None:
        self._forward = forward
        self._judge = judge
        self._batching = batching
        self._device = device
        self._on_judged = on_judged
        self._compositor = Compositor()
        # A second batch in the queue keeps an accelerator busy while the first one's verdicts are read.
        self._depth = 2 if device.type == "cuda" else 1

    def drive(self, cases: Iterable[Case]) -> None:
        """Run all searches to their end; a keyboard interrupt stops them with what they have."""
        active = list(cases)
        try:
            self._drive(active)
        except KeyboardInterrupt:
            for case in active:
                case.run.stop("interrupted")

    def _drive(self, active: list[Case]) -> None:
        in_flight: deque[_Pending] = deque()
        unfinished = active
        while True:
            unfinished = [case for case in unfinished if not case.run.finished]
            segments = _fill(unfinished, self._batching.size)
            if segments:
                in_flight.append(self._launch(segments, alone=not in_flight))
                # A batch is timed alone, so nothing is queued behind one that is being measured.
                if len(in_flight) < self._depth and not self._batching.measuring:
                    continue
            if not in_flight:
                return
            self._settle(in_flight.popleft())

    def _launch(self, segments: list[Segment], *, alone: bool) -> _Pending:
        rows = sum(len(packed) for _, packed in segments)
        if not (self._batching.measuring and alone and rows == self._batching.size):
            return self._send(segments)
        self._synchronise()
        start = time.perf_counter()
        pending = self._send(segments)
        self._synchronise()
        self._batching.record(rows, time.perf_counter() - start)
        return pending

    def _send(self, segments: list[Segment]) -> _Pending:
        valid, score = self._verdicts(segments)
        if self._device.type != "cuda":
            return _Pending(segments, valid.cpu(), score.cpu(), None)
        valid, score = (_to_pinned(values) for values in (valid, score))
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record(torch.cuda.current_stream(self._device))
        return _Pending(segments, valid, score, arrived)

    def _settle(self, pending: _Pending) -> None:
        if pending.arrived is not None:
            pending.arrived.synchronize()
        valid, score = pending.valid.numpy(), pending.score.numpy()
        start = 0
        for case, packed in pending.segments:
            end = start + len(packed)
            case.run.tell(valid[start:end].copy(), score[start:end].copy())
            start = end
        self._on_judged(len(valid))

    def _verdicts(self, segments: list[Segment]) -> tuple[Tensor, Tensor]:
        """Judge a batch, in halves where it does not fit in memory or the model takes one row at a time."""
        rows = sum(len(packed) for _, packed in segments)
        try:
            return self._ask(segments)
        except AggregateOutputError:
            if rows == 1 or not self._batching.measuring:
                raise
            self._batching.shrink(2)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or not self._batching.shrink(rows):
                raise
        # Not before the exception is gone: its traceback holds the batch that did not fit.
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        parts = [self._verdicts(part) for part in _split(segments, min(self._batching.size, max(1, rows // 2)))]
        valid, score = zip(*parts, strict=True)
        return torch.cat(valid), torch.cat(score)

    def _ask(self, segments: list[Segment]) -> tuple[Tensor, Tensor]:
        kept = self._upload(segments)
        index = torch.tensor([case.index for case, _ in segments], device=self._device)
        index = index.repeat_interleave(torch.tensor([len(packed) for _, packed in segments], device=self._device))
        shown, start = [], 0
        for case, packed in segments:
            end = start + len(packed)
            shown.append((case.example, kept[start:end, : case.run.num_regions]))
            start = end
        outputs = self._forward(self._compositor.compose(shown, self._batching.memory_format), index)
        valid, score = self._judge(outputs, index)
        if score is None:
            score = torch.full((len(valid),), torch.nan, device=valid.device)
        return valid, score.float()

    def _upload(self, segments: list[Segment]) -> Tensor:
        """States of a batch as booleans on the device, (B, most regions of any case)."""
        width = max(case.run.num_regions for case, _ in segments)
        rows = sum(len(packed) for _, packed in segments)
        states, start = np.zeros((rows, width), dtype=np.bool_), 0
        for case, packed in segments:
            end = start + len(packed)
            states[start:end, : case.run.num_regions] = st.unpack(packed, case.run.num_regions)
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


def _fill(cases: Sequence[Case], size: int) -> list[Segment]:
    """Up to ``size`` states, from the first cases that want any."""
    segments: list[Segment] = []
    room = size
    for case in cases:
        wanted = case.run.wanted(room)
        if len(wanted):
            segments.append((case, wanted))
            room -= len(wanted)
            if not room:
                break
    return segments


def _split(segments: list[Segment], size: int) -> Iterator[list[Segment]]:
    """The same states in batches of at most ``size``."""
    batch: list[Segment] = []
    room = size
    for case, packed in segments:
        start = 0
        while start < len(packed):
            part = packed[start : start + room]
            batch.append((case, part))
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
