"""What a formula is worth: shares worked out by hand, samples against all region sets."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from captum_focalogic.errors import InputError
from captum_focalogic.trust import Repeats, SecondFill, Share, StateSample, Trust, draw_sample, measure


def holds(states: np.ndarray, finals: np.ndarray) -> np.ndarray:
    return np.array([any((state >= final).all() for final in finals) for state in states], dtype=bool)


@given(seed=hs.integers(0, 2**32 - 1), num_regions=hs.integers(1, 14), count=hs.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_a_sample_is_what_it_says(seed: int, num_regions: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    finals = rng.random((count, num_regions)) < 0.4
    sample = draw_sample(finals, 20, seed)
    assert np.array_equal(sample.holds, holds(sample.states, finals))
    assert sample.complete == (2**num_regions <= 40)
    again = draw_sample(finals, 20, seed)
    assert np.array_equal(again.states, sample.states)
    every = np.arange(1 << num_regions)[:, None] >> np.arange(num_regions) & 1 > 0
    assert sample.weight == pytest.approx(holds(every, finals).mean())


def test_supersets_are_drawn_alike() -> None:
    # Of the three regions that count, 5 of 8 sets hold; each must come as often as any other.
    finals = np.zeros((2, 14), dtype=bool)
    finals[0, 0] = finals[1, 1] = finals[1, 2] = True
    sample = draw_sample(finals, 4000, 0)
    drawn = sample.states[sample.holds][:, :3] @ [1, 2, 4]
    frequency = np.bincount(drawn, minlength=8)[[1, 3, 5, 6, 7]] / 4000
    assert frequency == pytest.approx([0.2] * 5, abs=0.03)


def test_shares_by_hand() -> None:
    # The formula holds for a quarter of all sets. Of 10 such the model keeps 8; of 10 others 2.
    sample = StateSample(np.zeros((20, 3), bool), np.repeat([True, False], 10), 0.25)
    valid = np.array([True] * 8 + [False] * 2 + [True] * 2 + [False] * 8)
    soundness, coverage, constant = measure(sample, valid)
    assert soundness.share == 0.8
    # Wilson's interval of 8 in 10.
    assert (soundness.low, soundness.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert coverage.share == pytest.approx(0.25 * 0.8 / (0.25 * 0.8 + 0.75 * 0.2))
    assert constant == pytest.approx(0.25 * 0.8 + 0.75 * 0.2)
    assert coverage.low < coverage.share < coverage.high
    assert (soundness.asked, coverage.asked) == (10, 20)


def test_all_sets_leave_no_doubt() -> None:
    finals = np.array([[1, 0, 0], [0, 1, 1]], dtype=bool)
    sample = draw_sample(finals)
    assert sample.complete
    valid = sample.states[:, 0]
    soundness, coverage, constant = measure(sample, valid)
    # The formula holds for 5 of 8 sets, of which 4 are valid; these are all the valid ones.
    assert soundness == Share(0.8, 0.8, 0.8, 5)
    assert (coverage.share, coverage.low, coverage.high) == (1, 1, 1)
    assert constant == 0.5


def test_no_final_state_and_the_empty_one() -> None:
    nothing = draw_sample(np.zeros((0, 9), bool), 5)
    assert not nothing.holds.any()
    soundness, coverage, _ = measure(nothing, np.zeros(len(nothing.states), bool))
    assert math.isnan(soundness.share)
    assert math.isnan(coverage.share)
    everything = draw_sample(np.zeros((1, 9), bool), 5)
    assert everything.holds.all()
    assert measure(everything, np.ones(len(everything.states), bool))[0].share == 1


def test_a_sample_of_none_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        draw_sample(np.ones((1, 3), bool), 0)


def test_in_words() -> None:
    half = Share(0.5, 0.4, 0.6, 60)
    trust = Trust(half, Share(1, 1, 1, 8), 0.3, SecondFill("black", ((1, 2), (3,)), (True, False)), Repeats(9, 0))
    said = str(trust)
    assert "50 % (40 to 60)" in said
    assert "100 %" in said
    assert "with black too the first holds (1 of the 2 strongest hold)" in said
    assert "9 asked again, 0 differed" in said
    assert "nothing here is certain" in str(Trust(half, half, 0.3, None, Repeats(9, 1, certain=False)))


def test_what_is_not_defined_is_said_in_words() -> None:
    unknown, half = Share(math.nan, 0.0, 1.0, 0), Share(0.5, 0.2, 0.8, 20)
    assert Trust(unknown, half, 0.25).statements == [
        "the formula accepts none of the random region sets asked (of any, 25 % keep the answer)",
        "of those that keep it, the formula accepts 50 % (20 to 80)",
    ]
    second = Trust(half, unknown, 0.0).statements[1]
    assert second == "no random region set asked keeps it, so that none could be missed"
