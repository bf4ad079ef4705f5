"""How many rows to send at once, and in which memory layout, found by measuring."""

from dataclasses import dataclass
from typing import Protocol

import torch

_RISE = 1.03
"""A larger batch must raise throughput by more than this factor to be worth its memory."""

_TIMED = 2
"""Timed batches of each candidate, after one that warms it up; the faster one counts."""


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
    def measuring(self) -> bool:
        """Whether :meth:`record` wants to know how long the next batch takes."""
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

    def record(self, rows: int, seconds: float) -> None:
        """Nothing to learn."""

    def shrink(self, rows: int) -> bool:
        """Halve on out-of-memory; smaller batches never break the bound that was asked for."""
        self.size = max(1, rows // 2)
        return rows > 1


class AutoBatching:
    """Doubles the batch while throughput rises, on batches that have to be judged anyway.

    Parameters
    ----------
    on_cpu : bool
        Where the inputs are: processors want small batches, accelerators large ones.
    layouts : bool
        Whether to try ``channels_last`` too (four-dimensional floating-point inputs).
    """

    def __init__(self, *, on_cpu: bool, layouts: bool) -> None:
        self._ceiling = 512 if on_cpu else 4096
        start = 2 if on_cpu else 16
        self._layouts = [torch.contiguous_format, torch.channels_last] if layouts else [torch.preserve_format]
        self._candidates = [(start, layout) for layout in self._layouts]
        self._seconds: list[float] = []
        self._throughput: dict[tuple[int, torch.memory_format], float] = {}
        self._misses = 0
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

    def record(self, rows: int, seconds: float) -> None:
        """Take a measurement; batches that are not full say nothing about their size."""
        if not self.measuring or rows != self._current[0]:
            return
        self._seconds.append(seconds)
        if len(self._seconds) <= _TIMED:
            return
        best_before = max(self._throughput.values(), default=0.0)
        throughput = rows / max(min(self._seconds[1:]), 1e-9)
        self._throughput[self._current] = throughput
        self._seconds = []
        if self._candidates:
            self._current = self._candidates.pop(0)
            return
        self._misses = 0 if throughput > _RISE * best_before or len(self._throughput) <= 2 else self._misses + 1
        self._grow()

    def shrink(self, rows: int) -> bool:
        """Never try ``rows`` again."""
        self._ceiling = max(1, rows // 2)
        self._seconds = []
        if self._throughput:
            self._settle()
        else:
            self._current = (self._ceiling, self._current[1])
            self._candidates = [(self._ceiling, layout) for _, layout in self._candidates]
        return rows > 1

    def _grow(self) -> None:
        best, layout = max(self._throughput, key=lambda key: self._throughput[key])
        larger = 2 * self._current[0]
        if self._misses < 2 and larger <= self._ceiling:
            self._current = (larger, layout)
            return
        # A layout may win only with large batches, so the loser of the first size is tried again with the best one.
        untried = [other for other in self._layouts if (best, other) not in self._throughput]
        if untried:
            self._current = (best, untried[0])
        else:
            self._settle()

    def _settle(self) -> None:
        """The smallest size that is as fast as any, within the factor that counts."""
        fitting = {key: value for key, value in self._throughput.items() if key[0] <= self._ceiling}
        self.measuring = False
        if fitting:
            best = max(fitting.values())
            self._current = min((key for key in fitting if fitting[key] * _RISE >= best), key=lambda key: key[0])
        else:
            self._current = (self._ceiling, self._current[1])
