"""The scheduler over models that look up truth tables: who is asked what, how often, in how large batches."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as hs
from oracles import all_assignments, entries, irreducible, is_canonical, minimal
from tiny_models import Table, TableModel, askable
from torch import Tensor

from captum_focalogic.errors import ModelOutputError
from captum_focalogic.masked_model import MaskedModel
from captum_focalogic.masking import Example
from captum_focalogic.oracle import AutoBatching, Batching, FixedBatching, Job, Scheduler, listed, scheduler
from captum_focalogic.search import Ascending, Beam, Exhaustive, Run, SearchResult, Strategy
from captum_focalogic.search import states as st
from captum_focalogic.search.critical import Inquiry

CPU = torch.device("cpu")
STRATEGIES = [Exhaustive(), Ascending(), Ascending(stop="smallest"), Beam(2), Beam(3, scope="level")]


def make_tables(seed: int, count: int, most: int = 6, share: float = 0.5) -> list[Table]:
    rng = np.random.default_rng(seed)
    return [Table(int(rng.integers(1, most + 1)), rng, share) for _ in range(count)]


def drive(
    model: TableModel,
    strategy: Strategy,
    batching: Batching,
    order: list[int] | None = None,
    depth: int = 1,
    **budget: float,
) -> list[SearchResult]:
    """Search all examples together; results in the order of the tables."""
    judged: list[int] = []
    scheduler = Scheduler(batching, CPU, judged.append)
    # What a GPU uses; the order in which batches are sent and settled does not depend on the device.
    scheduler._depth = depth
    jobs = [
        Job(asked, Run(strategy, table.num_regions, areas=table.example.partition.areas, **budget))
        for asked, table in zip(askable(model, model.tables), model.tables, strict=True)
    ]
    scheduler.drive([jobs[index] for index in order] if order else jobs)
    assert all(job.asker.finished for job in jobs)
    results = [job.asker.result() for job in jobs]
    assert sum(judged) == sum(result.certificate.evaluations for result in results)
    return results


def same(first: list[SearchResult], second: list[SearchResult]) -> bool:
    return all(
        np.array_equal(a.final_states, b.final_states)
        and a.certificate.evaluations == b.certificate.evaluations
        and a.certificate.complete == b.certificate.complete
        for a, b in zip(first, second, strict=True)
    )


@given(seed=hs.integers(0, 2**32 - 1), count=hs.integers(1, 4), size=hs.integers(1, 40), depth=hs.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_exact_and_each_state_once_whatever_the_batches(seed: int, count: int, size: int, depth: int) -> None:
    tables = make_tables(seed, count)
    for strategy, expected in ((Exhaustive(), irreducible), (Ascending(), minimal)):
        model = TableModel(tables)  # asking a state twice is an error
        results = drive(model, strategy, FixedBatching(size), depth=depth)
        assert max(model.rows) <= size
        for table, asked, result in zip(tables, model.asked, results, strict=True):
            assert set(entries(result.final_states)) == expected(table.valid)
            assert is_canonical(result.final_states)
            assert result.certificate.complete == "yes"
            assert set(entries(result.evaluated.states)) == asked
            assert result.certificate.evaluations == len(asked)
            for state, valid in zip(result.evaluated.states, result.evaluated.valid, strict=True):
                (entry,) = entries(state[None])
                assert valid == table.valid[entry]


@given(seed=hs.integers(0, 2**32 - 1), which=hs.integers(0, len(STRATEGIES) - 1))
@settings(max_examples=40, deadline=None)
def test_sizes_orders_and_company_change_nothing(seed: int, which: int) -> None:
    rng = np.random.default_rng(seed)
    tables = make_tables(seed, 3)
    alone = []
    for table in tables:
        alone += drive(TableModel([table]), STRATEGIES[which], FixedBatching(1))
    for size in (1, int(rng.integers(2, 9)), 1000):
        order = rng.permutation(3).tolist()
        assert same(drive(TableModel(tables), STRATEGIES[which], FixedBatching(size), order), alone)
    assert same(drive(TableModel(tables), STRATEGIES[which], AutoBatching(on_cpu=True, layouts=False)), alone)


@pytest.mark.parametrize("size", [1, 2, 5, 16, 64])
def test_batches_are_filled_from_all_searches(size: int) -> None:
    tables = make_tables(1, 5)
    model = TableModel(tables)
    drive(model, Exhaustive(), FixedBatching(size))
    # A batch with room left has taken all that is wanted, which ends a level of every search that goes on.
    levels = 1 + max(table.num_regions for table in tables)
    assert len(model.rows) <= sum(model.rows) / size + levels
    assert (model.mixed > 0) == (size > 1)


class TestOutOfMemory:
    @given(seed=hs.integers(0, 2**32 - 1), most=hs.integers(1, 12), size=hs.integers(1, 64))
    @settings(max_examples=40, deadline=None)
    def test_smaller_batches_give_the_same(self, seed: int, most: int, size: int) -> None:
        tables = make_tables(seed, 3)
        expected = drive(TableModel(tables), Exhaustive(), FixedBatching(1000))
        for batching in (FixedBatching(size), AutoBatching(on_cpu=True, layouts=False)):
            model = TableModel(tables, most=most)
            assert same(drive(model, Exhaustive(), batching), expected)
            assert max(model.rows) <= min(most, size if isinstance(batching, FixedBatching) else most)

    def test_the_size_that_fits_is_kept(self) -> None:
        tables = make_tables(3, 4, share=0.9)
        model = TableModel(tables, most=10)
        batching = FixedBatching(64)
        drive(model, Exhaustive(), batching)
        assert batching.size <= 10
        assert model.attempts - len(model.rows) <= 4  # 64, 32, 16 and at most one that was under way

    def test_now_and_then(self) -> None:
        tables = make_tables(4, 4)
        expected = drive(TableModel(tables), Exhaustive(), FixedBatching(1000))
        rng = np.random.default_rng(0)

        def sometimes(attempt: int) -> None:
            if rng.random() < 0.3 and batching.size > 1:
                raise torch.cuda.OutOfMemoryError("other programs use the device too")

        batching = FixedBatching(32)
        assert same(drive(TableModel(tables, fails=sometimes), Exhaustive(), batching), expected)

    @pytest.mark.parametrize("batching", [FixedBatching(8), AutoBatching(on_cpu=True, layouts=False)])
    def test_not_even_one_row(self, batching: Batching) -> None:
        with pytest.raises(torch.cuda.OutOfMemoryError) as caught:
            drive(TableModel(make_tables(5, 2), most=0), Exhaustive(), batching)
        assert "called by FocaLogic" in caught.value.__notes__[0]


class OneAtATime(TableModel):
    """Gives a single number for several rows."""

    def __call__(self, x: Tensor, own: Tensor) -> Tensor:
        return super().__call__(x, own) if len(x) == 1 else torch.tensor(1.0)


class TestAggregates:
    def test_automatic_batches_fall_back_to_single_rows(self) -> None:
        tables = make_tables(6, 3)
        batching = AutoBatching(on_cpu=True, layouts=True)
        expected = drive(TableModel(tables), Exhaustive(), FixedBatching(1000))
        assert same(drive(OneAtATime(tables), Exhaustive(), batching), expected)
        assert batching.size == 1

    def test_batches_that_were_asked_for_do_not(self) -> None:
        with pytest.raises(ModelOutputError, match="one value for"):
            drive(OneAtATime(make_tables(6, 3, share=0.9)), Exhaustive(), FixedBatching(8))
        tables = make_tables(6, 3)
        expected = drive(TableModel(tables), Exhaustive(), FixedBatching(1000))
        assert same(drive(OneAtATime(tables), Exhaustive(), FixedBatching(1)), expected)


class TestInterrupts:
    @given(seed=hs.integers(0, 2**32 - 1), call=hs.integers(1, 12), size=hs.integers(1, 16), depth=hs.integers(1, 2))
    @settings(max_examples=40, deadline=None)
    def test_the_searches_end_with_what_they_have(self, seed: int, call: int, size: int, depth: int) -> None:
        def interrupt(attempt: int) -> None:
            if attempt == call:
                raise KeyboardInterrupt

        tables = make_tables(seed, 3)
        for strategy, expected in ((Exhaustive(), irreducible), (Ascending(), minimal)):
            model = TableModel(tables, fails=interrupt)
            # Verdicts still on their way when the interrupt strikes are lost, so only what was told counts.
            results = drive(model, strategy, FixedBatching(size), depth=depth)
            interrupted = [result.certificate.stopped == "interrupted" for result in results]
            assert any(interrupted) == (model.attempts == call)
            for table, result, early in zip(tables, results, interrupted, strict=True):
                assert set(entries(result.final_states)) <= expected(table.valid)
                assert result.certificate.complete == ("no" if early else "yes")
                for state, valid in zip(result.evaluated.states, result.evaluated.valid, strict=True):
                    (entry,) = entries(state[None])
                    assert valid == table.valid[entry]

    def test_other_exceptions_pass_through(self) -> None:
        def fail(attempt: int) -> None:
            if attempt == 3:
                raise ZeroDivisionError("mine")

        with pytest.raises(ZeroDivisionError, match="mine") as caught:
            drive(TableModel(make_tables(7, 3), fails=fail), Exhaustive(), FixedBatching(2))
        assert "forward function" in caught.value.__notes__[0]


class TestBudgets:
    @pytest.mark.parametrize("most", [1, 2, 7, 20])
    @pytest.mark.parametrize("size", [1, 4, 100])
    def test_each_search_has_its_own_evaluations(self, most: int, size: int) -> None:
        tables = make_tables(8, 4, share=0.8)
        model = TableModel(tables)
        results = drive(model, Exhaustive(), FixedBatching(size), max_evaluations=most)
        for table, asked, result in zip(tables, model.asked, results, strict=True):
            needed = len(drive_alone(table).evaluated)
            assert len(asked) == min(most, needed)
            assert result.certificate.stopped == ("max_evaluations" if most < needed else None)
            assert set(entries(result.final_states)) <= irreducible(table.valid)

    def test_time_ends_all_searches(self) -> None:
        tables = [Table(8, np.random.default_rng(seed), 0.95) for seed in range(3)]
        model = TableModel(tables, fails=lambda attempt: time.sleep(0.01))
        start = time.monotonic()
        results = drive(model, Exhaustive(), FixedBatching(2), time_limit=0.15)
        assert time.monotonic() - start < 2
        assert {result.certificate.stopped for result in results} == {"time_limit"}
        for table, result in zip(tables, results, strict=True):
            assert set(entries(result.final_states)) <= irreducible(table.valid)


def drive_alone(table: Table) -> SearchResult:
    return drive(TableModel([table]), Exhaustive(), FixedBatching(1000))[0]


class ByPixels:
    """Leaves pixels out by itself, and takes a second for each that is there."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def __call__(self, images: Tensor) -> Tensor:
        return self.forward_masked(images, torch.ones_like(images[:, 0], dtype=torch.bool))

    def forward_masked(self, images: Tensor, kept: Tensor) -> Tensor:
        self.now += float(kept.sum())
        there = (images[:, 0] * kept).flatten(1).sum(1)
        return torch.stack([torch.full_like(there, 2.5), there], 1)


def test_time_is_measured_by_what_the_model_gets(monkeypatch):
    model, batching = ByPixels(), Timing(1)
    masked = MaskedModel.batch(
        model, torch.ones(1, 3, 2, 2), feature_mask=torch.arange(4).reshape(1, 1, 2, 2), removal="tokens",
        batching=batching,
    )[0]  # fmt: skip
    monkeypatch.setattr(scheduler, "time", model)
    masked.ask(all_assignments(4)[1:])
    assert len(batching.seconds) == 14
    assert batching.seconds == pytest.approx([4.0] * 14)


class ByShare(FixedBatching):
    """A size that is fixed, in whole inputs."""

    by_share = True


class Counting(ByPixels):
    """Notes the pixels that are there in each row of each call."""

    def __init__(self, most: float = np.inf) -> None:
        super().__init__()
        self.most = most
        self.calls: list[list[int]] = []

    def forward_masked(self, images: Tensor, kept: Tensor) -> Tensor:
        there = kept.flatten(1).sum(1)
        if there.sum() > self.most:
            raise MemoryError("out of memory")
        self.calls.append(there.tolist())
        return super().forward_masked(images, kept)


def sixteen(model: object, batching: Batching) -> MaskedModel:
    """Sixteen pixels, each a region; what was asked beforehand is forgotten."""
    mask = torch.arange(16).reshape(1, 1, 4, 4)
    (masked,) = MaskedModel.batch(model, torch.ones(1, 3, 4, 4), feature_mask=mask, removal="tokens", batching=batching)
    return masked


def load_of(rows: list[int]) -> float:
    return float(np.maximum(np.array(rows) / 16, 0.1).sum())


class TestShares:
    def test_rows_that_keep_little_come_in_larger_batches(self) -> None:
        every = np.eye(16, dtype=bool)
        pairs = np.stack([every[i] | every[j] for i in range(16) for j in range(i)])
        states, said, calls = np.concatenate([every, pairs, ~every]), [], []
        for batching in (ByShare(4), FixedBatching(4)):
            model = Counting()
            masked = sixteen(model, batching)
            model.calls.clear()
            said.append(masked.ask(states).valid)
            calls.append(model.calls)
        assert np.array_equal(*said)
        assert set(said[0].tolist()) == {True, False}
        by_share, by_rows = calls
        for rows_of_calls in calls:
            assert sorted(row for rows in rows_of_calls for row in rows) == [1] * 16 + [2] * 120 + [15] * 16
        assert len(by_rows) == 152 / 4
        assert all(3 < load_of(rows) <= 4 for rows in by_share[:-1])
        assert max(map(len, by_share)) > 30
        assert len(by_share) <= 11

    @given(seed=hs.integers(0, 2**32 - 1), size=hs.integers(1, 6), depth=hs.integers(1, 3))
    @settings(max_examples=40, deadline=None)
    def test_any_sets_are_asked_once_and_within_the_size(self, seed: int, size: int, depth: int) -> None:
        rng = np.random.default_rng(seed)
        states = rng.random((60, 16)) < rng.random((60, 1))
        model = Counting()
        masked = sixteen(model, ByShare(size))
        model.calls.clear()
        scheduler = Scheduler(ByShare(size), CPU)
        scheduler._depth = depth
        inquiry = Inquiry(listed(st.pack(states)))
        scheduler.drive([Job(masked, inquiry)])
        valid = states.sum(1) >= 3
        assert np.array_equal(masked.ask(states).valid, valid)
        asked = {state.tobytes() for state in states} - {np.ones(16, dtype=bool).tobytes()}
        assert sum(map(len, model.calls)) == len(asked)
        assert all(load_of(rows) <= size + 1e-6 for rows in model.calls)

    def test_memory_that_does_not_suffice(self) -> None:
        model = Counting(most=40)
        masked = sixteen(model, AutoBatching(on_cpu=True, layouts=False))
        states = np.random.default_rng(0).random((4_000, 16)) < 0.5
        assert np.array_equal(masked.ask(states).valid, states.sum(1) >= 3)
        assert all(sum(rows) <= 40 for rows in model.calls)


class Timing(FixedBatching):
    def __init__(self, size: int) -> None:
        super().__init__(size, measuring=True)
        self.seconds: list[float] = []

    def record(self, rows: int, seconds: float) -> None:
        self.seconds.append(seconds)


class Noting(FixedBatching):
    """Measures always, and remembers what it was told."""

    def __init__(self, size: int) -> None:
        super().__init__(size, measuring=True)
        self.recorded: list[int] = []

    def record(self, rows: int, seconds: float) -> None:
        assert seconds > 0
        self.recorded.append(rows)


@pytest.mark.parametrize("depth", [1, 2])
def test_full_batches_are_timed_as_long_as_times_are_wanted(depth: int) -> None:
    model = TableModel(make_tables(9, 4, share=0.8))
    batching = Noting(4)
    drive(model, Exhaustive(), batching, depth=depth)
    assert len(batching.recorded) == model.rows.count(4) > 3
    assert set(batching.recorded) == {4}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("batching", [FixedBatching(3), AutoBatching(on_cpu=False, layouts=False)])
def test_on_a_gpu_as_on_the_processor(batching: Batching) -> None:
    tables = make_tables(10, 4)
    expected = drive(TableModel(tables), Exhaustive(), FixedBatching(1000))
    model, cuda = TableModel(tables), torch.device("cuda")
    asked = askable(lambda x, own: model(x.cpu(), own.cpu()).to(x.device), tables, "cuda")
    for each in asked:
        each.example = on(cuda, each.example)
    jobs = [Job(each, Run(Exhaustive(), each.example.partition.num_regions)) for each in asked]
    Scheduler(batching, cuda).drive(jobs)
    assert same([job.asker.result() for job in jobs], expected)


def on(device: torch.device, example: Example) -> Example:
    """The same example on another device."""
    inputs, baselines, columns = (
        tuple(tensor.to(device) for tensor in tensors)
        for tensors in (example.inputs, example.baselines, example.partition.columns)
    )
    return Example(inputs, baselines, replace(example.partition, columns=columns))
