"""Batch sizes chosen from invented timings: near the best, within memory, settled soon."""

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as hs

from captum_focalogic.errors import InputError
from captum_focalogic.oracle.batching import AutoBatching, FixedBatching, batching_for

Layout = torch.memory_format
Seconds = Callable[[int, Layout], float]
CONTIGUOUS, CHANNELS_LAST, OWN = torch.contiguous_format, torch.channels_last, torch.preserve_format


class Machine:
    """Takes ``seconds`` for a batch, within ``noise``, and has memory for ``most`` rows."""

    def __init__(self, seconds: Seconds, noise: float = 0.0, most: int = 1 << 30, warm_up: float = 0.0) -> None:
        self.seconds, self.noise, self.most, self.warm_up = seconds, noise, most, warm_up
        self.random = random.Random(0)
        self.tried: list[tuple[int, Layout]] = []

    def settle(self, batching: AutoBatching) -> int:
        """Feed timings until no more are wanted; how many batches that took."""
        for batches in range(10_000):
            if not batching.measuring:
                return batches
            batch = (batching.size, batching.memory_format)
            if batch[0] > self.most:
                assert batching.shrink(batch[0])
                continue
            cold = self.warm_up if batch not in self.tried else 0.0
            self.tried.append(batch)
            batching.record(batch[0], self.seconds(*batch) * (1 + self.random.uniform(0, self.noise)) + cold)
        raise AssertionError("still measuring")

    def share_of_best(self, batching: AutoBatching, *, on_cpu: bool, layouts: bool) -> float:
        """Throughput at the chosen size, as a share of the best size that was open to choice."""
        sizes = [2**power for power in range(*((1, 10) if on_cpu else (4, 13))) if 2**power <= self.most]
        formats = [CONTIGUOUS, CHANNELS_LAST] if layouts else [OWN]
        best = max(size / self.seconds(size, layout) for size in sizes for layout in formats)
        return batching.size / self.seconds(batching.size, batching.memory_format) / best


def saturating(overhead: float, each: float) -> Seconds:
    return lambda rows, layout: overhead + each * rows


@pytest.mark.parametrize("on_cpu", [True, False])
@pytest.mark.parametrize("overhead", [0.0, 1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("each", [1e-5, 1e-3])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_plateaus(on_cpu: bool, overhead: float, each: float, noise: float) -> None:
    machine = Machine(saturating(overhead, each), noise)
    batching = AutoBatching(on_cpu=on_cpu, layouts=False)
    assert machine.settle(batching) <= 3 * 9
    assert machine.share_of_best(batching, on_cpu=on_cpu, layouts=False) >= 0.95


def test_on_a_plateau_the_smallest_size_is_taken() -> None:
    batching = AutoBatching(on_cpu=True, layouts=False)
    Machine(lambda rows, layout: rows / 100 if rows >= 8 else 0.08).settle(batching)
    assert batching.size == 8


@pytest.mark.parametrize("at", [2, 4, 8, 32, 128, 512])
def test_peaks(at: int) -> None:
    batching = AutoBatching(on_cpu=True, layouts=False)
    machine = Machine(lambda rows, layout: 1.0 if rows <= at else rows / at * 1.25)
    machine.settle(batching)
    assert batching.size == at
    assert max(size for size, _ in machine.tried) <= min(512, max(16, 4 * at))


@pytest.mark.parametrize("faster", [CONTIGUOUS, CHANNELS_LAST])
def test_the_faster_layout(faster: Layout) -> None:
    batching = AutoBatching(on_cpu=True, layouts=True)
    machine = Machine(lambda rows, layout: (0.01 + 0.001 * rows) * (1 if layout is faster else 2))
    machine.settle(batching)
    assert batching.memory_format is faster
    assert machine.share_of_best(batching, on_cpu=True, layouts=True) >= 0.95
    # The slower one is tried again once, with the size that was chosen for the faster one.
    slower_sizes = {size for size, layout in machine.tried if layout is not faster}
    assert len(slower_sizes) <= 2


def test_a_layout_that_wins_only_with_large_batches_is_found() -> None:
    batching = AutoBatching(on_cpu=True, layouts=True)
    machine = Machine(
        lambda rows, layout: 0.01 + 0.001 * rows if layout is CONTIGUOUS else 0.02 + 0.0005 * rows + 0.001 * (rows < 8)
    )
    machine.settle(batching)
    assert batching.memory_format is CHANNELS_LAST
    assert machine.share_of_best(batching, on_cpu=True, layouts=True) >= 0.95


def test_no_layout_is_touched_where_there_is_none_to_choose() -> None:
    batching = AutoBatching(on_cpu=True, layouts=False)
    machine = Machine(saturating(0.1, 0.001))
    machine.settle(batching)
    assert {layout for _, layout in machine.tried} == {OWN}


def test_the_first_batch_of_each_size_only_warms_up() -> None:
    batching = AutoBatching(on_cpu=True, layouts=False)
    machine = Machine(saturating(1.0, 0.001), warm_up=1000.0)
    machine.settle(batching)
    assert machine.share_of_best(batching, on_cpu=True, layouts=False) >= 0.95


@given(
    on_cpu=hs.booleans(),
    layouts=hs.booleans(),
    most=hs.integers(1, 6000),
    overhead=hs.floats(0, 1),
    each=hs.floats(1e-6, 1),
    ratio=hs.floats(0.5, 2),
)
@settings(max_examples=150, deadline=None)
def test_any_memory(on_cpu: bool, layouts: bool, most: int, overhead: float, each: float, ratio: float) -> None:
    machine = Machine(
        lambda rows, layout: (overhead + each * rows) * (ratio if layout is CHANNELS_LAST else 1), most=most
    )
    batching = AutoBatching(on_cpu=on_cpu, layouts=layouts)
    assert machine.settle(batching) <= 3 * 11 + 12
    assert batching.size <= most
    if most >= (2 if on_cpu else 16):
        assert machine.share_of_best(batching, on_cpu=on_cpu, layouts=layouts) >= 0.95
    elif layouts:
        # Below the first size there is one to try: the largest that fits, in both layouts.
        assert {layout for _, layout in machine.tried} == {CONTIGUOUS, CHANNELS_LAST}


def test_batches_that_are_not_full_say_nothing() -> None:
    batching = AutoBatching(on_cpu=True, layouts=False)
    for _ in range(10):
        batching.record(1, 1e-9)
    assert batching.size == 2
    assert batching.measuring


def test_memory_that_runs_out_later() -> None:
    batching = AutoBatching(on_cpu=True, layouts=False)
    Machine(saturating(1.0, 0.001)).settle(batching)
    chosen = batching.size
    assert chosen > 8
    assert batching.shrink(chosen)
    assert batching.size <= chosen // 2
    assert batching.shrink(3)
    assert batching.size == 1
    assert not batching.shrink(1)


def test_a_clock_that_does_not_advance() -> None:
    batching = AutoBatching(on_cpu=True, layouts=False)
    Machine(lambda rows, layout: 0.0).settle(batching)
    assert 2 <= batching.size <= 512


class Busy(Machine):
    """A machine on which something else runs now and then, for several batches at a stretch."""

    def __init__(self, seconds: Seconds, seed: int) -> None:
        super().__init__(seconds)
        self.random = random.Random(seed)
        self.seconds = self.disturbed
        self.undisturbed = seconds
        self.factor, self.left = 1.0, 0

    def disturbed(self, rows: int, layout: Layout) -> float:
        if not self.left:
            self.factor = self.random.choice([1.0, 1.0, 1.5, 2.5])
            self.left = self.random.randint(1, 6)
        self.left -= 1
        return self.undisturbed(rows, layout) * self.factor * (1 + self.random.uniform(0, 0.1))


@pytest.mark.parametrize("peak", [4, 8, 32])
def test_on_a_busy_machine_the_choice_is_nearly_the_best(peak: int) -> None:
    def seconds(rows: int, layout: Layout) -> float:
        return (0.004 + 0.01 * rows) * (1 if rows <= peak else (rows / peak) ** 0.7)

    slow = 0
    for seed in range(200):
        machine, batching = Busy(seconds, seed), AutoBatching(on_cpu=True, layouts=False)
        machine.settle(batching)
        machine.seconds = seconds
        slow += machine.share_of_best(batching, on_cpu=True, layouts=False) < 1 / 1.6
    assert slow <= 2


def test_of_two_that_differ_by_noise_the_smaller_is_taken() -> None:
    sizes = []
    for seed in range(50):
        machine, batching = (
            Busy(lambda rows, layout: 0.01 * max(rows, 8), seed),
            AutoBatching(on_cpu=True, layouts=False),
        )
        machine.settle(batching)
        sizes.append(batching.size)
    assert sorted(sizes)[40] <= 16


class TestWatching:
    def settled(self, seconds: Seconds, *, on_cpu: bool = True) -> tuple[Machine, AutoBatching]:
        machine, batching = Machine(seconds), AutoBatching(on_cpu=on_cpu, layouts=False)
        machine.settle(batching)
        return machine, batching

    def go_on(self, batching: AutoBatching, seconds: Seconds, batches: int) -> None:
        for _ in range(batches):
            if batching.measuring or batching.watching:
                batching.record(batching.size, seconds(batching.size, batching.memory_format))

    def test_what_becomes_slower_is_measured_again(self) -> None:
        _, batching = self.settled(lambda rows, layout: 0.02 + 0.01 * rows)
        chosen = batching.size
        assert chosen >= 16
        self.go_on(batching, lambda rows, layout: 0.01 * rows**2, 200)
        assert batching.size < chosen
        assert not batching.measuring

    def test_what_stays_as_it_is_is_left_alone(self) -> None:
        _, batching = self.settled(lambda rows, layout: 0.02 + 0.01 * rows)
        chosen = batching.size
        noise = random.Random(1)
        self.go_on(batching, lambda rows, layout: (0.02 + 0.01 * rows) * noise.uniform(0.9, 1.3), 500)
        assert (batching.size, batching.measuring) == (chosen, False)

    def test_measurements_become_rarer(self) -> None:
        _, batching = self.settled(lambda rows, layout: 0.02 + 0.01 * rows)
        measured = 0
        for batch in range(2_000):
            measured += batching.measuring
            slow = 3 if batch // 40 % 2 else 1
            batching.record(batching.size, (0.02 + 0.01 * batching.size) * slow)
        assert 9 <= measured <= 9 * 8

    def test_neither_short_batches_nor_accelerators_are_watched(self) -> None:
        assert not self.settled(lambda rows, layout: 1e-5 * rows)[1].watching
        assert not self.settled(lambda rows, layout: 0.01 * rows, on_cpu=False)[1].watching


class TestFixed:
    def test_never_measures(self) -> None:
        batching = FixedBatching(12)
        batching.record(12, 1.0)
        assert (batching.size, batching.measuring, batching.memory_format) == (12, False, OWN)

    def test_halves_what_did_not_fit(self) -> None:
        batching = FixedBatching(12)
        assert batching.shrink(12)
        assert batching.size == 6
        assert batching.shrink(5)
        assert batching.size == 2
        assert batching.shrink(2)
        assert batching.size == 1
        assert not batching.shrink(1)


ONES = torch.ones(3, 4)


class TestBatchingOfACall:
    @pytest.mark.parametrize(("given", "size"), [(1, 3), (5, 15)])
    def test_times_the_number_of_examples(self, given: int, size: int) -> None:
        batching = batching_for(given, torch.sum, (ONES,), {})
        assert isinstance(batching, FixedBatching)
        assert batching.size == size

    def test_what_was_measured_is_used_again_for_inputs_alike(self) -> None:
        measured: dict[Any, AutoBatching] = {}
        first = batching_for("auto", torch.sum, (ONES,), measured)
        assert batching_for("auto", torch.sum, (ONES[:1],), measured) is first
        assert batching_for("auto", torch.sum, (ONES.double(),), measured) is not first
        assert batching_for("auto", torch.sum, (torch.ones(1, 2, 2),), measured) is not first

    @pytest.mark.parametrize("given", [0, -1, True, 2.0, "AUTO", None])
    def test_impossible(self, given: object) -> None:
        with pytest.raises(InputError, match="perturbations_per_eval"):
            batching_for(given, torch.sum, (ONES,), {})


def waiting(on_cpu: bool, seconds: Seconds) -> tuple[AutoBatching, Machine]:
    """Batch sizes where somebody waits, on a machine that they are settled on."""
    batching, machine = AutoBatching(on_cpu=on_cpu, layouts=True, longest=0.15), Machine(seconds)
    machine.settle(batching)
    return batching, machine


@pytest.mark.parametrize("on_cpu", [True, False])
@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        (saturating(0.01, 0.03), 4),  # the larger the better, without an end: 0.13 s, and 8 rows take 0.25
        (saturating(0.0, 0.07), 1),  # 2 rows are as fast as 1
        (saturating(0.1, 0.001), 1),  # whether 2 rows take 0.2 s is not tried
        (saturating(0.2, 0.05), 1),  # one is already too long
        (saturating(0.001, 0.0001), 256),
    ],
)
def test_where_somebody_waits_no_batch_is_tried_that_may_be_too_long(
    on_cpu: bool, seconds: Seconds, chosen: int
) -> None:
    batching, machine = waiting(on_cpu, seconds)
    assert all(seconds(*batch) <= 0.15 or batch[0] == 1 for batch in machine.tried)
    assert batching.size == chosen


@pytest.mark.parametrize("slower", [1.5, 3, 10, 100])
def test_where_somebody_waits_batches_that_became_too_long_are_cut(slower: float) -> None:
    batching, machine = waiting(True, saturating(0.01, 0.006))
    size = batching.size
    assert size == 16
    machine.seconds, machine.tried = saturating(0.01 * slower, 0.006 * slower), []
    for _ in range(200):
        machine.tried.append((batching.size, batching.memory_format))
        batching.record(batching.size, machine.seconds(batching.size, batching.memory_format))
    long = [batch for batch in machine.tried if machine.seconds(*batch) > 0.15 and batch[0] > 1]
    # Those until the change was believed, and the three that one size is tried with which it made look short.
    assert [batch[0] for batch in long[:8]] == [size] * 8
    assert len(long) <= 8 + 3
    assert all(batch[0] == 2 for batch in long[8:])
    assert batching.size == 1 or machine.seconds(batching.size, OWN) <= 0.15
