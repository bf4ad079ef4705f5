"""How many rows to send at once, and in which memory layout, found by measuring."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from captum_focalogic.errors import ArgumentError

_RISE = 1.03
"""A larger batch must raise throughput by more than this factor to be worth its memory."""

_TIMED = 2
"""Timed batches of each candidate, after one that warms it up; the fastest one counts."""

_NOISE = 1.1
"""Batches of one size whose times differ by more than this factor are disturbed by something else."""

_ROUNDS = 3
"""Further batches of each good candidate on a disturbed machine, in turn, so that a disturbance meets all alike."""

_GOOD = 1.6
"""Candidates within this factor of the best are good ones."""

_CHANGED = 1.4
"""Throughput that changes by more than this factor is measured again."""

_WATCHED = 8
"""Batches whose median is watched; each new measurement doubles how many must pass before the next."""

_WORTH = 5e-3
"""Seconds of a batch below which its size is not worth watching."""

Candidate = tuple[int, torch.memory_format]


class Batching(Protocol):
    """Says how large the next batch may be."""

    @property
    def size(self) -> int:
        """Most rows in the next batch."""
        ...

    @property
    def memory_format(self) -> torch.memory_format:
        """Layout of four-dimensional inputs in the next batch."""
        ...

    @property
    def by_share(self) -> bool:
        """Whether a row counts as the share of its input that the model gets, where it leaves the rest out."""
        ...

    @property
    def measuring(self) -> bool:
        """Whether :meth:`record` wants to know how long the next batch takes."""
        ...

    @property
    def watching(self) -> bool:
        """Whether :meth:`record` wants to know how long full batches take, without anything being held up for it."""
        ...

    def record(self, rows: int, seconds: float) -> None:
        """A batch took this long."""
        ...

    def shrink(self, rows: int) -> bool:
        """A batch of ``rows`` does not fit: use smaller ones. False if the size is not ours to change."""
        ...


@dataclass
class FixedBatching:
    """At most ``size`` rows, in the inputs' own layout: what ``perturbations_per_eval=k`` asks for."""

    size: int
    memory_format: torch.memory_format = torch.preserve_format
    measuring: bool = False
    watching: bool = False
    by_share: ClassVar[bool] = False

    def record(self, rows: int, seconds: float) -> None:
        """Nothing to learn."""

    def shrink(self, rows: int) -> bool:
        """Halve on out-of-memory; smaller batches never break the bound that was asked for."""
        self.size = max(1, rows // 2)
        return rows > 1


class AutoBatching:
    """Doubles the batch while throughput rises, on batches that have to be judged anyway.

    Of a model that leaves parts of its inputs out, sizes are in whole inputs: rows that keep little come in more.

    Parameters
    ----------
    on_cpu : bool
        Where the inputs are: processors want small batches, accelerators large ones.
    layouts : bool
        Whether to try ``channels_last`` too (four-dimensional floating-point inputs).
    longest : float
        Seconds that a batch may take, where somebody waits for what comes after it.
    """

    by_share: ClassVar[bool] = True

    def __init__(self, *, on_cpu: bool, layouts: bool, longest: float = float("inf")) -> None:
        self._on_cpu = on_cpu
        self._longest = longest
        self._ceiling = 512 if on_cpu else 4096
        # Where somebody waits, the first batches must not be long either.
        start = 1 if longest < float("inf") else 2 if on_cpu else 16
        self._layouts = [torch.contiguous_format, torch.channels_last] if layouts else [torch.preserve_format]
        self._candidates: list[Candidate] = [(start, layout) for layout in self._layouts]
        self._in_turn: list[Candidate] = []
        self._seconds: list[float] = []
        self._times: dict[Candidate, list[float]] = {}
        self._misses = 0
        self._expected = 0.0
        self._recent: deque[float] = deque(maxlen=_WATCHED)
        self._patience = _WATCHED
        self._passed = 0
        self.measuring = True
        self._current = self._candidates.pop(0)

    @property
    def size(self) -> int:
        """Most rows in the next batch."""
        return min(self._current[0], self._ceiling)

    @property
    def memory_format(self) -> torch.memory_format:
        """Layout of four-dimensional inputs in the next batch."""
        return self._current[1]

    @property
    def watching(self) -> bool:
        """Whether full batches are worth timing after the size is chosen: on a processor that is a free reading.

        Elsewhere it costs the wait for each batch, which is worth it where batches must be short.
        """
        worth = self._expected * _WORTH < self._current[0]
        return not self.measuring and worth and (self._on_cpu or self._longest < float("inf"))

    def record(self, rows: int, seconds: float) -> None:
        """Take a measurement; batches that are not full say nothing about their size."""
        if rows != self._current[0]:
            return
        if not self.measuring:
            self._watch(rows / max(seconds, 1e-9))
        elif self._in_turn:
            self._times[self._current].append(seconds)
            self._in_turn.pop(0)
            if self._in_turn:
                self._current = self._in_turn[0]
            else:
                self._settle()
        else:
            self._seconds.append(seconds)
            if len(self._seconds) > _TIMED:
                self._sweep()

    def shrink(self, rows: int) -> bool:
        """Never try ``rows`` again."""
        self._ceiling = max(1, rows // 2)
        self._seconds = []
        self._in_turn = []
        if self._times:
            self._settle()
        else:
            self._current = (self._ceiling, self._current[1])
            self._candidates = [(self._ceiling, layout) for _, layout in self._candidates]
        return rows > 1

    def _sweep(self) -> None:
        """One candidate is timed: go on to the next, or to twice the size."""
        best_before = max(self._throughput().values(), default=0.0)
        self._times[self._current] = self._seconds[1:]
        self._seconds = []
        if self._candidates:
            self._current = self._candidates.pop(0)
            return
        risen = self._throughput()[self._current] > _RISE * best_before
        self._misses = 0 if risen or len(self._times) <= 2 else self._misses + 1
        throughput = self._throughput()
        best, layout = max(throughput, key=lambda key: throughput[key])
        larger = 2 * self._current[0]
        # Twice the rows take no more than twice as long, unless memory is short.
        quick = 2 * min(self._times[self._current]) <= self._longest
        if self._misses < 2 and larger <= self._ceiling and quick:
            self._current = (larger, layout)
            return
        # A layout may win only with large batches, so the loser of the first size is tried again with the best one.
        untried = [other for other in self._layouts if (best, other) not in self._times]
        if untried:
            self._current = (best, untried[0])
        elif self._noise() > _NOISE:
            self._compare([key for key in throughput if throughput[key] * _GOOD >= throughput[best, layout]])
        else:
            self._settle()

    def _compare(self, candidates: list[Candidate]) -> None:
        """Time candidates in turn."""
        self._in_turn = _ROUNDS * sorted(candidates, key=lambda key: key[0])
        self._current = self._in_turn[0]
        self.measuring = True

    def _watch(self, throughput: float) -> None:
        """Measure again where batches have become much slower, or faster, than when the size was chosen."""
        self._recent.append(throughput)
        self._passed += 1
        if self._passed < self._patience or not self.watching:
            return
        now = median(self._recent)
        size, layout = self._current
        long = size > 1 and size > now * self._longest
        if self._expected / _CHANGED <= now <= self._expected * _CHANGED and not long:
            return
        self._patience *= 2
        while size > 1 and size > now * self._longest:
            size //= 2
        near = [other for other in (size // 2, size, 2 * size) if 1 <= other <= min(self._ceiling, now * self._longest)]
        near = near or [1]
        self._times = {(other, layout): [] for other in near}
        self._compare([(other, layout) for other in near])

    def _throughput(self) -> dict[Candidate, float]:
        return {key: key[0] / max(min(times), 1e-9) for key, times in self._times.items() if times}

    def _quick(self, candidate: Candidate) -> bool:
        return min(self._times[candidate]) <= self._longest

    def _noise(self) -> float:
        """By what factor times of one size differ."""
        return median(max(times) / max(min(times), 1e-9) for times in self._times.values() if times)

    def _settle(self) -> None:
        """The smallest size that is as fast as any, within the factor that counts, or within noise."""
        fitting = {key: value for key, value in self._throughput().items() if key[0] <= self._ceiling}
        self.measuring = False
        self._passed = 0
        self._recent.clear()
        if fitting:
            # Of those that keep nobody waiting; the smallest where none does.
            least = min(size for size, _ in fitting)
            fitting = {key: value for key, value in fitting.items() if key[0] == least or self._quick(key)}
            best = max(fitting.values())
            alike = max(_RISE, min(_NOISE, self._noise()))
            self._current = min((key for key in fitting if fitting[key] * alike >= best), key=lambda key: key[0])
            self._expected = fitting[self._current]
        else:
            self._current = (self._ceiling, self._current[1])


def batching_for(
    perturbations_per_eval: Any,
    forward_func: Callable[..., Any],
    inputs: tuple[Tensor, ...],
    measured: dict[Any, AutoBatching],
) -> Batching:
    """Batch sizes for a call; what "auto" measures is kept in ``measured`` for calls like it.

    Raises
    ------
    InputError
        If ``perturbations_per_eval`` is neither a positive int nor "auto", nor made for the purpose.
    """
    if isinstance(perturbations_per_eval, AutoBatching | FixedBatching):
        return perturbations_per_eval
    if perturbations_per_eval == "auto":
        device = inputs[0].device
        key = (id(forward_func), device, tuple((tensor.shape[1:], tensor.dtype) for tensor in inputs))
        layouts = any(tensor.dim() == 4 and tensor.is_floating_point() for tensor in inputs)
        return measured.setdefault(key, AutoBatching(on_cpu=device.type == "cpu", layouts=layouts))
    if isinstance(perturbations_per_eval, bool) or not isinstance(perturbations_per_eval, int):
        raise ArgumentError(f"perturbations_per_eval must be a positive int or 'auto'; got {perturbations_per_eval!r}")
    if perturbations_per_eval < 1:
        raise ArgumentError(f"perturbations_per_eval must be at least 1; got {perturbations_per_eval}")
    return FixedBatching(perturbations_per_eval * len(inputs[0]))
