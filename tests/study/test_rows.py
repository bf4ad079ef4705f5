"""Rows: states as bits, the same rows told bit for bit, errors in a line that every process gives."""

import math

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")

from makers import IDS, focus_by, focus_of, rule

from captum_focalogic.ground_truth import Match, as_ground_truth, match_regions
from captum_focalogic.metrics import DEFAULT_THRESHOLDS
from captum_focalogic.study.rows import COLUMNS, as_table, cuts_of, error_row, row_of, same_rows, states_of


def test_a_row_holds_the_focus_and_its_measures() -> None:
    focus = focus_by(rule)
    assert focus.label_map is not None
    truth = match_regions(focus.label_map, as_ground_truth(np.isin(focus.label_map, [0, 7])), Match("iou", 0.4))
    row = row_of(3, "cat", 4, focus, truth, DEFAULT_THRESHOLDS)
    assert set(row) <= set(COLUMNS)
    assert row["formula"] == focus.formula == "I0 & (I7 | (I_m3 & I2))"
    assert row["literals"] == 4
    assert (row["irreducible_count"], row["irreducible_size"]) == (2, 2.5)
    assert (row["smallest_count"], row["smallest_size"]) == (1, 2.0)
    assert row["truth_regions"] == [0, 7]
    assert (row["smallest_precision"], row["smallest_recall"], row["smallest_divergence"]) == (1.0, 1.0, 0.0)
    (back,) = as_table([row]).to_pylist()
    assert (states_of(back) == focus.final_states).all()
    assert back["region_ids"] == IDS.tolist()


def test_without_truth_there_is_no_precision() -> None:
    row = row_of(0, "cat", None, focus_by(rule), None, DEFAULT_THRESHOLDS)
    assert "irreducible_precision" not in row
    assert "irreducible_divergence" in row
    assert row["correct"] is None


def test_states_of_many_regions_come_back() -> None:
    kept = np.random.default_rng(0).random((5, 130)) < 0.5
    row = row_of(0, "wide", None, focus_of(kept, range(130)), None, DEFAULT_THRESHOLDS)
    assert (states_of(row) == kept).all()


@pytest.mark.parametrize(
    ("reading", "cuts"),
    [
        ("irreducible", ["irreducible", "smallest", "minimal"]),
        ("minimal", ["minimal", "smallest"]),
        ("smallest", ["smallest"]),
    ],
)
def test_the_readings_that_can_be_had(reading: str, cuts: list[str]) -> None:
    assert [cut.reading for cut in cuts_of(focus_of([[1], [2, 3]], [1, 2, 3], reading))] == cuts


def test_only_the_clock_may_differ() -> None:
    def table(**more):
        return as_table([{"index": 0, "id": "a", "irreducible_precision": math.nan, "truth_area": 0.0, **more}])

    assert same_rows(table(load_seconds=1.0), table(load_seconds=2.0))
    assert not same_rows(table(), table(truth_area=-0.0))
    assert not same_rows(table(), table(truth_area=math.nextafter(0.0, 1.0)))
    assert not same_rows(table(), table().select(["index", "id"]))


def test_errors_are_a_line_without_addresses() -> None:
    error = ValueError("no place for <object at 0x7f12aB>\nand more")
    assert error_row(1, "a", None, error)["error"] == "ValueError: no place for <object>"
    assert error_row(1, "a", None, KeyError())["error"] == "KeyError"
