"""What is asked once an explanation is found: critical sets, random sets, another fill, and the same again."""

import numpy as np
import pytest
import torch
from oracles import all_assignments
from torch import Tensor

from captum_focalogic.examination import Examination, Shares, shares_of
from captum_focalogic.focus import Focus
from captum_focalogic.masked_model import MaskedModel
from captum_focalogic.oracle import drive, search
from captum_focalogic.search import Exhaustive

REGIONS = 6


def rule(kept: np.ndarray) -> np.ndarray:
    """Region 0, and 1 or both of 2 and 3."""
    return kept[:, 0] & (kept[:, 1] | (kept[:, 2] & kept[:, 3]))


def model(x: Tensor) -> Tensor:
    """Class 1 where the rule holds of what is bright, at a probability of 0.88, else class 0."""
    holds = torch.from_numpy(rule((x > 0.5).numpy())).float()
    return torch.stack([1 - holds, 2 * holds], 1)


def examined(share: Shares, forward=model, **more) -> tuple[Focus, list[int]]:
    """The focus of the whole, examined; and how many rows the model was asked for in all."""
    rows: list[int] = []

    def counted(x: Tensor) -> Tensor:
        rows.append(len(x))
        return forward(x)

    masked = MaskedModel(counted, torch.ones(1, REGIONS), feature_mask=torch.arange(REGIONS)[None])
    (result,) = search([masked], lambda count, most: Exhaustive())
    examination = Examination(
        masked, masked.focus(result), share, ("grey", masked.filled(torch.full((1, REGIONS), 0.4))), **more
    )
    drive(examination.inquiries)
    return examination.focus(), rows


@pytest.mark.parametrize("regions", [4, 12, 40, 200])
@pytest.mark.parametrize("budget", [3, 60, 300, 1000, None])
def test_the_search_keeps_half_of_the_budget(regions: int, budget: int | None) -> None:
    shares = shares_of(budget, regions)
    assert 0 <= shares.further <= 3 * regions
    if budget is None:
        assert shares == Shares(None, 2 * regions, 60, 3 * regions)
    else:
        assert shares.search is not None
        assert shares.search >= budget // 2
    if (regions, budget) == (12, 1000):
        assert shares == Shares(1000 - 24 - 120 - 15 - 36, 24, 60, 36)


def test_critical_sets_are_those_of_brute_force() -> None:
    focus, _ = examined(shares_of(None, REGIONS), label_of=lambda index: ["no", "yes"][index])
    dropped = all_assignments(REGIONS)
    changes = {frozenset(np.flatnonzero(row).tolist()) for row in dropped if not rule(~row[None])[0]}
    smallest = {one for one in changes if not any(other < one for other in changes) and len(one) <= 3}
    assert focus.critical is not None
    assert {frozenset(np.flatnonzero(row).tolist()) for row in focus.critical.states} == smallest
    assert focus.critical.names == ("no",) * len(smallest)
    valid = dropped[rule(dropped)]
    needed = [not (~valid[:, row]).all(axis=1).any() for row in focus.critical.states]
    assert focus.critical.needed.tolist() == needed
    assert focus.further is not None
    assert (focus.further.valid == rule(focus.further.states)).all()


def test_trust_is_counted_on_all_sets_and_the_other_fill_is_told() -> None:
    focus, _ = examined(shares_of(None, REGIONS))
    trust = focus.trust
    assert trust is not None
    assert (trust.soundness.share, trust.coverage.share) == (1.0, 1.0)
    assert trust.second_fill is not None
    assert trust.second_fill.baseline == "grey"
    assert trust.second_fill.holds == (True, True)
    assert trust.repeats is not None
    assert (trust.repeats.differed, trust.repeats.certain) == (0, True)


def test_sets_that_fall_with_the_other_fill_are_told() -> None:
    def black_only(x: Tensor) -> Tensor:
        return model(torch.where((x == 0.4).any(dim=1, keepdim=True), 0, x))

    focus, _ = examined(shares_of(None, REGIONS), black_only)
    assert focus.trust is not None
    assert focus.trust.second_fill is not None
    assert focus.trust.second_fill.region_sets == ((0, 1), (0, 2, 3))
    assert focus.trust.second_fill.holds == (False, False)


def test_what_gets_no_share_is_not_asked() -> None:
    nothing, rows = examined(Shares(None, 0, 0, 0))
    assert nothing.critical is None
    assert nothing.trust is None
    full, more = examined(shares_of(None, REGIONS))
    assert sum(more) > sum(rows)
    once, fewer = examined(shares_of(None, REGIONS), again=False)
    assert once.trust is not None
    assert once.trust.repeats is None
    assert full.trust is not None
    assert full.trust.repeats is not None
    assert sum(more) - sum(fewer) == full.trust.repeats.asked
