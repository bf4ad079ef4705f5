"""Tests of captum_focalogic.errors."""

import threading

import pytest
import torch
from captum.attr import NoiseTunnel

from captum_focalogic import FocaLogic, errors
from captum_focalogic.errors import FocaLogicError, FocaLogicWarning, InputError, TruncatedWarning, hearing, warn

NOTHING = torch.ones(1, 2)


def forward(x: torch.Tensor) -> torch.Tensor:
    return torch.tensor([[0.0, 1.0]]).expand(len(x), 2)


def test_points_at_the_caller() -> None:
    with pytest.warns(UserWarning, match="of note") as warned:
        warn("of note")
    assert (warned[0].filename, warned[0].category) == (__file__, FocaLogicWarning)


@pytest.mark.parametrize(
    "call",
    [
        lambda: FocaLogic(forward).attribute(NOTHING),
        lambda: FocaLogic(forward).explain(NOTHING),
        lambda: NoiseTunnel(FocaLogic(forward)).attribute(NOTHING, nt_samples=1),
    ],
    ids=["attribute", "explain", "NoiseTunnel"],
)
def test_passes_over_wrappers(call: object) -> None:
    with pytest.warns(UserWarning, match="baseline") as warned:
        call()
    assert [warning.filename for warning in warned] == [__file__]


def test_points_somewhere_at_the_top_of_the_stack() -> None:
    with pytest.warns(UserWarning, match="of note"):
        exec("warn('of note')", {"warn": warn, "__name__": "captum_focalogic.none"})


def test_a_warning_may_be_of_a_kind_of_its_own() -> None:
    with pytest.warns(TruncatedWarning) as warned:
        warn("cut short", TruncatedWarning)
    assert warned[0].filename == __file__
    assert issubclass(TruncatedWarning, FocaLogicWarning)
    assert issubclass(FocaLogicWarning, UserWarning)


def test_who_hears_keeps_each_message_once_and_the_innermost_keeps_its_kind() -> None:
    with hearing() as outer:
        warn("<b>of note</b>")
        with hearing(TruncatedWarning) as inner:
            warn("cut short", TruncatedWarning)
            warn("of other note")
        warn("<b>of note</b>")
    assert outer == ["<b>of note</b>", "of other note"]
    assert inner == ["cut short"]
    with pytest.warns(FocaLogicWarning, match="of note"):
        warn("of note")


def test_threads_do_not_hear_one_another() -> None:
    both = threading.Barrier(2)
    heard: dict[str, list[str]] = {}

    def listen(name: str) -> None:
        with hearing() as said:
            both.wait(10)
            warn(name)
            both.wait(10)
        heard[name] = said

    threads = [threading.Thread(target=listen, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == {"one": ["one"], "two": ["two"]}


def test_every_error_is_of_one_tree() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    raised = [kind for kind in kinds if issubclass(kind, Exception) and not issubclass(kind, Warning)]
    assert len(raised) > 10
    assert all(issubclass(kind, FocaLogicError) for kind in raised)
    assert issubclass(InputError, ValueError)
