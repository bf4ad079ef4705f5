"""Means, intervals, groups and paired tests against numbers worked out otherwise."""

import csv
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")

from studies import summary_row, summary_rows

from captum_focalogic.errors import InputError
from captum_focalogic.metrics import Thresholds
from captum_focalogic.study import compare_rows, mean_of, summarise
from captum_focalogic.study.rows import as_table
from captum_focalogic.study.tables import comparison_csv, comparison_latex


def test_means_count_what_they_leave_out() -> None:
    summary = summarise(summary_rows())
    precision = summary["irreducible_precision"]
    assert precision.value == pytest.approx((0.1 + 0.9 + 0.4 + 0.8 + 1.0) / 5)
    assert (precision.count, precision.undefined) == (5, 1)
    assert precision.low <= precision.value <= precision.high
    assert summary["accuracy"].value == pytest.approx(3 / 7)
    assert (summary.lines[0].images, summary.lines[0].errors) == (8, 1)
    assert summary.readings == ("irreducible", "smallest")
    assert summary.errors == {"OSError: torn": 1}
    assert summary.complete == {"yes": 7}
    assert summary.behaviours["irreducible"] == {"narrow": 3, "misled": 3}


def test_groups_are_what_they_say() -> None:
    lines = {(line.grouping, line.name): line for line in summarise(summary_rows(), class_names=["cat", "dog"]).lines}
    assert list(lines) == [
        ("all", "all"),
        ("class", "cat"),
        ("class", "dog"),
        ("correct", "correct"),
        ("correct", "incorrect"),
        ("behaviour", "misled"),
        ("behaviour", "narrow"),
    ]
    dog = lines["class", "dog"]
    assert (dog.images, dog.errors) == (5, 1)
    assert dog.means["smallest_precision"].value == pytest.approx((0.9 + 1.0) / 2)
    assert dog.means["smallest_precision"].undefined == 1
    assert dog.means["accuracy"].value == 0
    cat = lines["class", "cat"].means["irreducible_precision"]
    assert cat.value == pytest.approx((0.1 + 0.4 + 0.8) / 3)
    assert lines["all", "all"].behaviours["irreducible"].kind == "holistic"
    strict = summarise(summary_rows(), by=(), thresholds=Thresholds(recall=0.6))
    assert [line.behaviours["irreducible"].kind for line in strict.lines] == ["narrow"]


def test_intervals_cover_the_true_mean_as_often_as_they_say() -> None:
    draws = np.random.default_rng(5)
    hits = 0
    for trial in range(300):
        found = mean_of(draws.beta(2, 1, 60), resamples=400, seed=trial)
        hits += found.low <= 2 / 3 <= found.high
    # 95 % of 300 is 285; four standard deviations of the count are 15, and the percentile bootstrap is a little narrow
    assert 265 <= hits <= 300


def test_intervals_are_near_the_normal_ones_of_large_samples_and_repeat() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 4_000)
    found = mean_of(values)
    half = 1.96 * values.std(ddof=1) / math.sqrt(4_000)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=half / 8)
    assert mean_of(values) == found
    assert mean_of(values, confidence=0.5).high - mean_of(values, confidence=0.5).low < half


def test_means_of_little() -> None:
    assert mean_of(np.array([])).count == 0
    one = mean_of(np.array([0.25, math.nan]))
    assert (one.value, one.count, one.undefined) == (0.25, 1, 1)
    assert math.isnan(one.low)
    same = mean_of(np.full(5, 0.5))
    assert (same.low, same.value, same.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("table", "by", "message"),
    [(as_table([]), (), "no row to summarise"), (as_table([summary_row(0, 1.0)]), ("size",), "got 'size'")],
)
def test_summaries_that_cannot_be(table: Any, by: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        summarise(table, by)


def test_a_study_in_which_everything_failed_has_a_summary() -> None:
    summary = summarise(as_table([{"index": 0, "id": "a", "error": "OSError: torn"}]))
    assert summary.readings == ()
    assert "Errors: 1 image(s): 1 x OSError: torn." in str(summary)


def two(shift: float, count: int = 40) -> tuple[Any, Any]:
    draws = np.random.default_rng(3)
    first = draws.uniform(0.2, 0.6, count)
    second = first + shift + draws.normal(0, 0.05, count)
    ones = [summary_row(index, value) for index, value in enumerate(first)]
    others = [summary_row(index, value, correct=True) for index, value in enumerate(second)]
    return as_table(ones), as_table(list(reversed(others)))


def test_differences_are_paired_by_id() -> None:
    first, second = two(0.1)
    line = compare_rows(first, second)["irreducible_precision"]
    ones = np.array(first.column("irreducible_precision").to_pylist())
    others = np.array(second.sort_by("index").column("irreducible_precision").to_pylist())
    apart = others - ones
    assert line.pairs == 40
    assert line.difference == pytest.approx(apart.mean())
    assert line.p_value == pytest.approx(stats.wilcoxon(others, ones).pvalue)
    half = 1.96 * apart.std(ddof=1) / math.sqrt(40)
    assert (line.low, line.high) == pytest.approx((apart.mean() - half, apart.mean() + half), abs=half / 3)
    assert line.p_value < 1e-6
    accuracy = compare_rows(first, second)["accuracy"]
    # 20 images became right and none became wrong
    assert accuracy.difference == 0.5
    assert accuracy.p_value == pytest.approx(2 * 0.5**20)


def test_no_difference_is_no_difference() -> None:
    first, _ = two(0.0)
    for line in compare_rows(first, first).lines:
        assert (line.difference, line.p_value) == (0, 1)
    _, second = two(0.0)
    line = compare_rows(first, second)["smallest_precision"]
    assert line.low < 0 < line.high
    assert line.p_value > 0.05


def test_undefined_values_and_strangers_are_left_out() -> None:
    first = as_table([summary_row(0, 0.5), summary_row(1, math.nan), summary_row(2, 0.25), summary_row(3, 1.0)])
    second = as_table([summary_row(2, 0.5), summary_row(1, 1.0), summary_row(0, 0.5), summary_row(9, 0.0)])
    comparison = compare_rows(first, second, ("a", "b"))
    line = comparison["irreducible_precision"]
    assert (line.pairs, line.first, line.second, line.difference) == (2, 0.375, 0.5, 0.125)
    assert comparison.unpaired == 2
    assert "Left out: 2 image(s)" in str(comparison)
    assert len(list(csv.DictReader(io.StringIO(comparison_csv(comparison))))) == len(comparison.lines)
    assert r"irreducible precision & 2 & 0.375 & 0.500 &" in comparison_latex(comparison)
    with pytest.raises(InputError, match="no image in common"):
        compare_rows(first, as_table([summary_row(7, 1.0)]))


def test_readings_that_one_study_lacks_are_not_compared(tmp_path: Path) -> None:
    lacking = {f"irreducible_{name}": None for name in ("count", "size", "precision", "recall", "divergence")}
    first = as_table([summary_row(0, 0.5), summary_row(1, 0.5)])
    second = as_table([summary_row(0, 0.5, **lacking), summary_row(1, 0.5, **lacking)])
    assert {line.column.split("_")[0] for line in compare_rows(first, second).lines} == {"accuracy", "smallest"}
