"""The torchmetrics: the plain functions' means, whatever the batches, and over several processes."""

import math
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from makers import focus_of

pytest.importorskip("torchmetrics", reason="needs torchmetrics (the study extra)")
pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")

from hypothesis import given, settings
from hypothesis import strategies as hs
from shared_metrics import metrics, pairs, process, update

from captum_focalogic.errors import InputError
from captum_focalogic.focus import Focus
from captum_focalogic.metrics import focus_divergence, focus_precision, focus_recall
from captum_focalogic.study import FocusDivergence, FocusPrecision


def expected(made: list[tuple[Focus, Any]]) -> dict[str, tuple[float, int, int]]:
    values = {
        "precision": [focus_precision(focus.final_states, truth, focus.areas) for focus, truth in made],
        "recall": [focus_recall(focus.final_states, truth, focus.areas) for focus, truth in made],
        "divergence": [focus_divergence(focus.final_states, focus.areas) for focus, _ in made],
    }
    told = {}
    for name, each in values.items():
        defined = [value for value in each if not math.isnan(value)]
        mean = math.fsum(defined) / len(defined) if defined else math.nan
        told[name] = (mean, len(defined), len(each) - len(defined))
    return told


def test_numbers_worked_out_by_hand() -> None:
    focus = focus_of([[0, 1], [2]], range(3), areas=[0.5, 0.25, 0.25])
    values = metrics()
    values["precision"].update(focus, [True, False, True])
    values["recall"].update(focus, [True, False, True])
    values["divergence"].update(focus)
    assert float(values["precision"].compute()) == pytest.approx((0.5 / 0.75 + 1) / 2)
    assert float(values["recall"].compute()) == pytest.approx((0.5 / 0.75 + 0.25 / 0.75) / 2)
    assert float(values["divergence"].compute()) == pytest.approx(0.25)


@given(seed=hs.integers(0, 10_000), count=hs.integers(0, 12), cut=hs.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_batches_do_not_matter(seed: int, count: int, cut: int) -> None:
    made = pairs(seed, count)
    for name, metric in metrics().items():
        update(metric, made[:cut])
        for focus, truth in made[cut:]:
            metric.update(*((focus,) if name == "divergence" else (focus, truth)))
        mean, defined, undefined = expected(made)[name]
        assert float(metric.compute()) == pytest.approx(mean, nan_ok=True)
        assert (int(metric.count), int(metric.undefined)) == (defined, undefined)


def test_forward_gives_the_batch_and_keeps_the_rest() -> None:
    made = pairs(3, 8)
    metric = FocusDivergence()
    batch = metric([focus for focus, _ in made[:4]])
    assert float(batch) == pytest.approx(expected(made[:4])["divergence"][0])
    metric([focus for focus, _ in made[4:]])
    assert float(metric.compute()) == pytest.approx(expected(made)["divergence"][0])
    metric.reset()
    assert int(metric.count) == 0


def test_as_many_truths_as_focuses() -> None:
    (focus, truth), *_ = pairs(0, 1)
    with pytest.raises(InputError, match="2 focuses but 1 truths"):
        FocusPrecision().update([focus, focus], [truth])


def test_two_processes_agree_on_the_mean_over_all_images(tmp_path: Path) -> None:
    if not dist.is_available() or not dist.is_gloo_available():
        pytest.skip("needs torch.distributed with gloo")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(process, (port, str(tmp_path)), nprocs=2)  # type: ignore[no-untyped-call]
    for rank in range(2):
        for name, value in torch.load(tmp_path / f"{rank}.pt").items():
            assert value == pytest.approx(expected(pairs(11, 15))[name][0], abs=1e-12)
