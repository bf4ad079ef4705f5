"""Tests of captum_focalogic.errors."""

import pytest
import torch
from captum.attr import NoiseTunnel

from captum_focalogic import FocaLogic, errors
from captum_focalogic.errors import FocaLogicError, FocaLogicWarning, InputError, TruncatedWarning, warn

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


def test_every_error_is_of_one_tree() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    raised = [kind for kind in kinds if issubclass(kind, Exception) and not issubclass(kind, Warning)]
    assert len(raised) > 10
    assert all(issubclass(kind, FocaLogicError) for kind in raised)
    assert issubclass(InputError, ValueError)
