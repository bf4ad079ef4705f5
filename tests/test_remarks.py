"""Tests of captum_focalogic.remarks."""

import pytest
import torch
from captum.attr import NoiseTunnel

from captum_focalogic import FocaLogic
from captum_focalogic.remarks import remark

NOTHING = torch.ones(1, 2)


def forward(x: torch.Tensor) -> torch.Tensor:
    return torch.tensor([[0.0, 1.0]]).expand(len(x), 2)


def test_points_at_the_caller() -> None:
    with pytest.warns(UserWarning, match="of note") as warned:
        remark("of note")
    assert (warned[0].filename, warned[0].category) == (__file__, UserWarning)


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
        exec("remark('of note')", {"remark": remark, "__name__": "captum_focalogic.none"})
