"""Tables of experiments: a line for each condition and reading, those of the paper below."""

import math

import pytest

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")

from studies import summary_row

from captum_focalogic.experiments.framework import Result
from captum_focalogic.experiments.published import Published
from captum_focalogic.experiments.tables import draw_bars, error_bars, measure_bars, measure_table, new_figure
from captum_focalogic.study import Mean
from captum_focalogic.study.rows import as_table

FAILED = {"index": 9, "id": "i9", "error": "OSError: torn"}


def result(name: str, shift: float, **facts: float) -> Result:
    return Result(name, as_table([*(summary_row(index, 0.2 * index + shift) for index in range(4)), FAILED]), facts)


def test_a_line_for_each_condition_and_reading() -> None:
    table = measure_table(
        [result("plain", 0.0), result("attacked", 0.1, success=0.75)], "All", "images", {"success": ".0%"}
    )
    assert [column if isinstance(column, str) else column.title for column in table.columns][:5] == [
        "images", "states", "images", "accuracy", "success",
    ]  # fmt: skip
    assert [row[:5] for row in table.rows] == [
        ("plain", "irreducible", "4", "50.0%", "-"),
        ("plain", "smallest", "4", "50.0%", "-"),
        ("attacked", "irreducible", "4", "50.0%", "75%"),
        ("attacked", "smallest", "4", "50.0%", "75%"),
    ]
    assert table.rows[0][5:7] == ("2.00", "1.50")
    assert str(table.rows[0][7]).startswith("0.300 [")


def test_what_was_published_is_below() -> None:
    table = measure_table(
        [result("plain", 0.0)], "All", published={"Table 3": {"precision": Published(0.61, 0.72, "Table 3")}}
    )
    name, *_, precision, recall, divergence = table.rows[-1]
    assert (name, precision) == ("Table 3", str(Published(0.61, 0.72, "Table 3")))
    assert recall == divergence == "-"


def test_bars_reach_to_the_bounds_of_their_intervals() -> None:
    means = [Mean(0.5, 0.4, 0.7, 9, 0), Mean(0.5, math.nan, math.nan, 1, 0)]
    low, high = error_bars(means)
    assert low == pytest.approx([0.1, 0.0])
    assert high == pytest.approx([0.2, 0.0])


def test_a_panel_a_measure_and_two_bars_a_condition() -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib (the study extra)")
    figure = measure_bars([result("plain", 0.0), result("other", 0.1)])
    assert [panel.get_xlabel() for panel in figure.axes] == ["precision", "recall", "divergence"]
    assert [len(panel.patches) for panel in figure.axes] == [4, 4, 4]
    _, panels = new_figure(3)
    draw_bars(panels, [result("plain", 0.0)])
    assert [len(panel.patches) for panel in panels] == [2, 2, 2]
