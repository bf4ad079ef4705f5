"""Association of accuracy with a measure over models: numbers worked by hand, and scipy where it can say the same."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats

from captum_focalogic.experiments.arms import Result
from captum_focalogic.experiments.association import association, chance_of_order, matrices, rank_correlation

pa = pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")

NAN = math.nan


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0.2, 0.5, 0.9], [1.0, 2.0, 30.0], 1.0),
        ([0.2, 0.5, 0.9], [3.0, 2.0, 1.0], -1.0),
        # ranks 1 2 3 and 2 1 3: 1 - 6 (1 + 1 + 0) / (3 * 8)
        ([0.2, 0.5, 0.9], [2.0, 1.0, 3.0], 0.5),
        # ranks 1.5 1.5 3 and 1 2 3: deviations -.5 -.5 1 and -1 0 1, so 1.5 / sqrt(1.5 * 2)
        ([0.5, 0.5, 0.9], [1.0, 2.0, 3.0], math.sqrt(3) / 2),
        ([0.5, 0.5, 0.5], [1.0, 2.0, 3.0], 0.0),
    ],
)
def test_rank_correlation_by_hand(first: list[float], second: list[float], expected: float) -> None:
    assert rank_correlation(np.array(first), np.array(second)) == pytest.approx(expected)


@settings(max_examples=50)
@given(some.lists(some.tuples(some.integers(0, 5), some.integers(0, 5)), min_size=3, max_size=9))
def test_rank_correlation_is_spearmans(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array(pairs, dtype=float).T
    if len(set(first)) > 1 and len(set(second)) > 1:
        assert rank_correlation(first, second) == pytest.approx(stats.spearmanr(first, second).statistic)


def rights(*counts: int, images: int = 20) -> np.ndarray:
    """Model k is right about the first ``counts[k]`` images."""
    return np.array([[place < count for place in range(images)] for count in counts])


def test_a_certain_order_has_a_certain_interval() -> None:
    measure = np.repeat([[0.1], [0.4], [0.9]], 20, axis=1)
    up = association(rights(0, 10, 20), measure)
    down = association(rights(20, 10, 0), measure)
    assert up is not None
    assert down is not None
    # half of 20 images are drawn 0 or 20 times out of 20 with probability 2 ** -19
    assert (up.value, up.low, up.high, up.count) == (1.0, 1.0, 1.0, 20)
    assert (down.value, down.low, down.high) == (-1.0, -1.0, -1.0)


def test_undefined_values_are_left_out_of_means_and_not_taken_for_0() -> None:
    # means over what is defined: 0.8, 0.5, 0.2; with 0 for what is not: 0.4, 0.5, 0.2
    measure = np.full((3, 20), [[0.8], [0.5], [0.2]])
    measure[0, 10:] = NAN
    found = association(rights(20, 10, 5), measure)
    assert found is not None
    assert found.value == 1.0


def test_the_interval_is_that_of_a_bootstrap_written_out() -> None:
    rng = np.random.default_rng(3)
    right = rng.random((4, 40)) < np.array([[0.5], [0.6], [0.7], [0.8]])
    values = rng.random((4, 40)) + np.array([[0.0], [0.2], [0.1], [0.2]])
    values[rng.random((4, 40)) < 0.2] = NAN
    found = association(right, values, resamples=1_500, seed=1)
    draws = []
    for _ in range(1_500):
        images = rng.integers(0, 40, 40)
        means = [right[:, images].mean(axis=1), np.nanmean(values[:, images], axis=1)]
        draws.append(rank_correlation(*means))
    assert found is not None
    assert found.value == pytest.approx(rank_correlation(right.mean(axis=1), np.nanmean(values, axis=1)))
    # values of a correlation of 4 ranks are 0.2 apart at least, and ties are rare: both quantiles fall on the same one
    assert found.low == pytest.approx(np.quantile(draws, 0.025), abs=0.11)
    assert found.high == pytest.approx(np.quantile(draws, 0.975), abs=0.11)
    assert found.low < found.value


def test_images_are_drawn_for_all_models_together() -> None:
    # Every model is right about the same images but for one more each: whatever is drawn, the order never turns.
    measure = np.repeat([[0.1], [0.2], [0.3]], 40, axis=1)
    right = rights(18, 20, 22, images=40)
    found = association(right, measure)
    assert found is not None
    # drawn separately for each model, every third resample would have another order
    assert found.low > 0


def test_too_little_gives_nothing() -> None:
    assert association(rights(1, 2), np.ones((2, 20))) is None
    scarce = np.full((3, 20), NAN)
    scarce[:, :9] = 0.5
    assert association(rights(1, 2, 3), scarce) is None


def test_chance_of_an_order_by_hand() -> None:
    rising, falling = np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])
    # of the 6 orders of three models, one is that good, and all are at least as good as the worst
    assert chance_of_order(rising, rising) == pytest.approx(1 / 6)
    assert chance_of_order(rising, falling) == 1.0
    # 1, 0.5, 0.5, -0.5, -0.5, -1: three are 0.5 or more
    assert chance_of_order(rising, np.array([2.0, 1.0, 3.0])) == pytest.approx(3 / 6)
    # 9! orders are sampled, and none of 5,000 is likely to be the one
    assert chance_of_order(np.arange(9.0), np.arange(9.0)) < 0.001


def test_models_are_matched_by_image() -> None:
    def result(name: str, ids: list[str], correct: list[bool | None], values: list[float | None]) -> Result:
        return Result(name, pa.table({"id": ids, "correct": correct, "precision": values}))

    first = result("first", ["a", "b", "c", "d"], [True, False, True, None], [0.1, 0.2, None, 0.4])
    second = result("second", ["d", "c", "b", "e"], [True, False, True, True], [0.5, 0.6, NAN, 0.8])
    right, values = matrices([first, second], "precision")
    # b and c: d is of no known class in the first, a and e are in one only
    assert right.tolist() == [[False, True], [True, False]]
    np.testing.assert_array_equal(values, [[0.2, NAN], [NAN, 0.6]])
