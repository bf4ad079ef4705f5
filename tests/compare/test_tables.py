"""Tables of comparisons: what is averaged, left out and noted."""

from dataclasses import replace

import pytest

from captum_focalogic.compare import Comparison, characteristics, summarise
from captum_focalogic.errors import InputError


def test_a_table_of_one_image(compared: Comparison) -> None:
    table = summarise(compared)
    assert table.header[:3] == ("method", "evaluations", "seconds")
    assert "precision" not in table.header, "no truth was given"
    rows = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    assert rows["FocaLogic"]["sufficient"] == "yes"
    assert rows["FocaLogic"]["explanations"] == "2"
    assert rows["FeatureAblation"]["evaluations"] == "5"
    assert any("GradCAM was skipped" in note for note in table.notes)


def test_an_average_leaves_out_what_is_not_defined(compared: Comparison) -> None:
    first, second = compared.results[0], compared.results[1]
    changed = replace(
        first, measures=replace(first.measures, evaluations=first.measures.evaluations + 10, precision=0.5)
    )
    other = replace(compared, results=(changed, second), skipped={})
    table = summarise([compared, other])
    rows = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    assert float(rows["FocaLogic"]["evaluations"]) == first.measures.evaluations + 5
    assert rows["FocaLogic"]["precision"] == "0.50"
    assert rows["FeatureAblation"]["precision"] == "-"
    assert table.images == 2
    assert any("on 1 of 2 images" in note for note in table.notes)


def test_markdown(compared: Comparison) -> None:
    text = summarise(compared).markdown()
    lines = text.splitlines()
    assert lines[1].count("---") == lines[0].count("|") - 1
    assert "- GradCAM was skipped" in text


def test_characteristics_are_counted(compared: Comparison) -> None:
    table = characteristics([compared, compared])
    rows = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    assert rows["FocaLogic"]["sufficient"] == "2 of 2"
    assert rows["FocaLogic"]["logic"] == "yes"
    assert rows["FeatureAblation"]["logic"] == "no"


def test_no_table_of_nothing() -> None:
    for wanted in (summarise, characteristics):
        with pytest.raises(InputError, match="at least one"):
            wanted([])
