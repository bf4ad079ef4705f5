"""Histograms as shapes: heights are counts, readings that agree are drawn once."""

import re

import pytest

from captum_focalogic.report.charts import histogram


def heights(path: str) -> list[float]:
    return [float(value) for value in re.findall(r"V([0-9.]+)H", path)]


def test_heights_are_counts() -> None:
    drawn = histogram("precision", {"smallest": [0.0, 0.01, 0.5, 1.0]}, 1.0)
    assert drawn is not None
    left, top, right, bottom = drawn.box
    (line,) = drawn.steps
    found = heights(line.path)
    assert found[0] == pytest.approx(top), "two of the four are in the first bin, the most"
    assert found[10] == found[19] == pytest.approx((top + bottom) / 2)
    assert sum(height != bottom for height in found) == 3
    assert line.mean == pytest.approx(left + 0.3775 * (right - left), abs=0.1)
    assert [text for _, text in drawn.up] == ["0", "2"]
    assert [text for _, text in drawn.across] == ["0", "0.5", "1"]


def test_those_that_agree_are_drawn_once() -> None:
    drawn = histogram("recall", {"irreducible": [0.2, 0.4], "minimal": [0.1, 0.4], "smallest": [0.2, 0.4]}, 1.0)
    assert drawn is not None
    assert [line.name for line in drawn.steps] == ["irreducible and smallest", "minimal"]


def test_a_rounding_beyond_the_last_edge_is_counted() -> None:
    drawn = histogram("divergence", {"smallest": [0.25 + 1e-12]}, 0.25)
    assert drawn is not None
    assert heights(drawn.steps[0].path)[-1] == drawn.box[1]


def test_without_values_there_is_no_histogram() -> None:
    assert histogram("recall", {"smallest": []}, 1.0) is None
