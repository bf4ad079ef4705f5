"""Changes, savings and rank correlations: against the comparison of studies, by hand, and against scipy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats
from studies import disc_study, table_of

from captum_focalogic.experiments.findings import (
    Estimate,
    accuracy_correlation,
    chance_of_order,
    change,
    corrected,
    falls,
    matrices,
    moves,
    rank_correlation,
    rises,
    saved,
    saves,
    stays,
    stays_under_all,
)
from captum_focalogic.experiments.framework import Finding, Result
from captum_focalogic.experiments.published import REGIONS_SAVED
from captum_focalogic.ground_truth import DEFAULT_MATCH, Match
from captum_focalogic.study import compare_rows


def test_changes_are_those_of_the_comparison(tmp_path):
    first = disc_study(tmp_path / "first", DEFAULT_MATCH)
    second = disc_study(tmp_path / "second", Match("iou", 0.3))
    compared = compare_rows(first, second)
    for column in ("smallest_precision", "irreducible_recall", "irreducible_divergence", "accuracy"):
        found, line = change(Result("a", first), Result("b", second), column), compared[column]
        if line.pairs < 10:
            assert found is None
        else:
            assert (found.value, found.low, found.high, found.count) == (
                line.difference,
                line.low,
                line.high,
                line.pairs,
            )


def test_images_are_paired_by_id_and_undefined_ones_left_out():
    count = 13
    ids = [f"{number}" for number in range(count)]
    values = [float(number) for number in range(count)]
    first = table_of({"id": ids, "smallest_size": [*values[:-2], math.nan, None]})
    second = table_of({"id": ids[::-1], "smallest_size": [value + 0.5 for value in values][::-1]})
    found = change(Result("a", first), Result("b", second), "smallest_size")
    assert (found.value, found.low, found.high, found.count) == (pytest.approx(0.5), 0.5, 0.5, count - 2)


def test_too_few_pairs_say_nothing():
    rows = table_of({"id": [f"{number}" for number in range(9)], "smallest_size": list(np.ones(9))})
    assert change(Result("a", rows), Result("b", rows), "smallest_size") is None


def test_saved_is_the_mean_share_of_each_image():
    before, after = np.full(10, 8), np.array([4, 6] * 5)
    found = saved(before, after)
    assert found is not None
    assert found.value == pytest.approx((0.5 + 0.25) / 2)
    assert 0.25 < found.low < found.value < found.high < 0.5
    assert found.count == 10


def test_too_few_images_say_nothing_and_images_without_regions_are_left_out():
    assert saved(np.full(9, 8), np.full(9, 4)) is None
    found = saved(np.array([0] + [4] * 10), np.array([7] + [1] * 10))
    assert found == Estimate(0.75, 0.75, 0.75, 10)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.2, 0.4, "confirmed"), (0.19, 0.3, "not confirmed"), (0.3, 0.41, "not confirmed"), (0.5, 0.6, "not confirmed")],
)
def test_a_saving_is_confirmed_inside_the_published_range_only(low, high, verdict):
    assert saves("claim", Estimate((low + high) / 2, low, high, 20), REGIONS_SAVED).verdict == verdict


def test_no_saving_was_counted():
    assert saves("claim", None, REGIONS_SAVED).verdict == "not testable here"


SAME, MOVED, UNSURE = Estimate(0.01, -0.01, 0.03, 20), Estimate(0.2, 0.1, 0.3, 20), Estimate(0.0, -0.2, 0.2, 20)


def test_a_measure_that_stays_everywhere():
    found = stays_under_all("claim", "smallest", {"a": SAME, "b": SAME})
    assert (found.verdict, found.reading) == ("confirmed", "smallest")
    assert found.evidence == "stays under 2 of 2 (a, b)"


def test_one_condition_that_moves_it_or_leaves_it_open_is_named():
    moved = stays_under_all("claim", "", {"a": SAME, "b": MOVED})
    assert moved.verdict == "not confirmed"
    assert moved.evidence == "stays under 1 of 2 (a); b +0.200 [+0.100, +0.300]"
    assert stays_under_all("claim", "", {"b": UNSURE}).verdict == "not confirmed"


def test_conditions_that_cannot_be_tested_are_named():
    found = stays_under_all("claim", "", {"a": SAME, "b": None})
    assert found.verdict == "confirmed"
    assert "b: defined for fewer than 10 images" in found.evidence
    assert stays_under_all("claim", "", {"b": None}).verdict == "not testable here"
    assert stays_under_all("claim", "", {}).verdict == "not testable here"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.05, 0.3, "confirmed"),
        (-0.3, -0.05, "confirmed"),
        (0.04, 0.3, "not confirmed"),
        (-0.01, 0.01, "not confirmed"),
    ],
)
def test_a_measure_moves_if_all_of_the_interval_is_beyond_what_counts_as_none(low, high, verdict):
    assert moves("claim", "", Estimate((low + high) / 2, low, high, 20)).verdict == verdict


def test_a_change_that_is_not_defined_moves_nothing():
    assert moves("claim", "", None).verdict == "not testable here"


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
    up = accuracy_correlation(rights(0, 10, 20), measure)
    down = accuracy_correlation(rights(20, 10, 0), measure)
    assert up is not None
    assert down is not None
    # half of 20 images are drawn 0 or 20 times out of 20 with probability 2 ** -19
    assert (up.value, up.low, up.high, up.count) == (1.0, 1.0, 1.0, 20)
    assert (down.value, down.low, down.high) == (-1.0, -1.0, -1.0)


def test_undefined_values_are_left_out_of_means_and_not_taken_for_0() -> None:
    # means over what is defined: 0.8, 0.5, 0.2; with 0 for what is not: 0.4, 0.5, 0.2
    measure = np.full((3, 20), [[0.8], [0.5], [0.2]])
    measure[0, 10:] = NAN
    found = accuracy_correlation(rights(20, 10, 5), measure)
    assert found is not None
    assert found.value == 1.0


def test_the_interval_is_that_of_a_bootstrap_written_out() -> None:
    rng = np.random.default_rng(3)
    right = rng.random((4, 40)) < np.array([[0.5], [0.6], [0.7], [0.8]])
    values = rng.random((4, 40)) + np.array([[0.0], [0.2], [0.1], [0.2]])
    values[rng.random((4, 40)) < 0.2] = NAN
    found = accuracy_correlation(right, values, resamples=1_500, seed=1)
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
    found = accuracy_correlation(right, measure)
    assert found is not None
    # drawn separately for each model, every third resample would have another order
    assert found.low > 0


def test_too_little_gives_nothing() -> None:
    assert accuracy_correlation(rights(1, 2), np.ones((2, 20))) is None
    scarce = np.full((3, 20), NAN)
    scarce[:, :9] = 0.5
    assert accuracy_correlation(rights(1, 2, 3), scarce) is None


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


def _decided(chances: list[float | None]) -> list[Finding]:
    return [Finding(f"{place}", "", "confirmed", "measured", chance) for place, chance in enumerate(chances)]


def test_verdicts_are_corrected_for_their_number_by_hand() -> None:
    # ascending 0.01, 0.013, 0.03, 0.04, times 4, 3, 2, 1: 0.04, 0.039, 0.06, 0.04; none below the one before it
    found = corrected(_decided([0.03, 0.01, None, 0.04, 0.013]))
    assert [finding.chance for finding in found] == pytest.approx([0.06, 0.04, None, 0.06, 0.04])
    verdicts = [finding.verdict for finding in found]
    assert verdicts == ["not confirmed", "confirmed", "confirmed", "not confirmed", "confirmed"]
    assert [finding.evidence for finding in found] == ["measured"] * 5


def test_a_correction_confirms_nothing_that_was_not() -> None:
    refuted = [Finding("a", "", "not confirmed", "", 0.9), Finding("b", "", "not testable here", "why")]
    assert [finding.verdict for finding in corrected(refuted)] == ["not confirmed", "not testable here"]


@settings(max_examples=30, deadline=None)
@given(some.lists(some.floats(0, 1), max_size=12))
def test_the_correction_is_holms(chances: list[float]) -> None:
    """Reject in ascending order while p times the number still to test is at most the level."""
    order = sorted(range(len(chances)), key=lambda place: chances[place])
    rejected = set()
    for passed, place in enumerate(order):
        if chances[place] * (len(chances) - passed) > 0.05:
            break
        rejected.add(place)
    found = corrected(_decided(list(chances)))
    assert {place for place, finding in enumerate(found) if finding.verdict == "confirmed"} == rejected


def test_chances_and_intervals_agree(tmp_path) -> None:
    """The two-sided p-value is below 0.05 just where the 95 % interval lies within the bounds."""
    rng = np.random.default_rng(0)
    ids = [f"{number}" for number in range(30)]
    nothing = Result("a", table_of({"id": ids, "smallest_size": [0.0] * 30}))
    for shift in np.linspace(-0.1, 0.1, 21):
        values = (rng.normal(shift, 0.1, 30)).tolist()
        found = change(nothing, Result("b", table_of({"id": ids, "smallest_size": values})), "smallest_size")
        for finding in (rises("", "", found), falls("", "", found), stays("", "", found), moves("", "", found)):
            if abs(finding.chance - 0.05) > 0.002:
                assert (finding.chance < 0.05) == (finding.verdict == "confirmed")


def test_the_least_certain_condition_decides_over_all() -> None:
    sure, unsure = (
        Estimate(0.0, -0.01, 0.01, 20, np.full(99, 0.0)),
        Estimate(0.0, -0.04, 0.04, 20, np.linspace(-0.06, 0.06, 99)),
    )
    one, other = stays("", "", sure).chance, stays("", "", unsure).chance
    assert stays_under_all("", "", {"a": sure, "b": unsure}).chance == max(one, other) == other


def _run(values: list[float], first: int = 0) -> Result:
    ids = [f"{first + number}" for number in range(len(values))]
    return Result("run", table_of({"id": ids, "probability": values, "correct": [True] * len(values)}), {"at": first})


def test_several_seeds_are_averaged_with_students_interval() -> None:
    before = Result.pooled([_run([0.0] * 12, 12 * seed) for seed in range(3)])
    after = Result.pooled([_run([value] * 12, 12 * seed) for seed, value in enumerate((0.1, 0.2, 0.6))])
    found = change(before, after, "probability")
    assert (found.value, found.count, found.seeds) == (pytest.approx(0.3), 36, 3)
    # mean 0.3, deviations -0.2 -0.1 0.3: variance 0.07, and 4.302653 of Student's distribution with 2 degrees
    half = 4.302653 * math.sqrt(0.07 / 3)
    assert (found.low, found.high) == (pytest.approx(0.3 - half, abs=1e-5), pytest.approx(0.3 + half, abs=1e-5))
    assert rises("", "", found).verdict == "not confirmed"
    # the t-test by scipy
    assert rises("", "", found).chance == pytest.approx(stats.ttest_1samp([0.1, 0.2, 0.6], 0).pvalue, abs=5e-4)
    assert found.told.endswith("36 images, 3 seeds")
    mean = after.mean("probability")
    assert (mean.value, mean.low, mean.count) == (pytest.approx(0.3), pytest.approx(0.3 - half, abs=1e-5), 3)
    assert after.facts == {"at": 12}
    assert len(after.rows) == 36
    assert after.mapped(lambda rows: rows.slice(0, 5)).mean("probability").value == pytest.approx(0.3)


def test_one_seed_alone_says_nothing_about_seeds() -> None:
    before = Result.pooled([_run([0.0] * 12), _run([0.0] * 5, 12)])
    after = Result.pooled([_run([0.5] * 12), _run([0.5] * 5, 12)])
    # five images of the second seed are too few for it
    assert change(before, after, "probability") is None
