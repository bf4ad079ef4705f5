"""The images to look at first: those of the least precision, each with a report."""

import math
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")

from studies import GRID, patch_items, summary_row
from tiny_models import Brightest

from captum_focalogic.study import run_study
from captum_focalogic.study.examples import worst, write_examples
from captum_focalogic.study.rows import as_table
from captum_focalogic.study.settings import StudySettings, model_factory


def test_the_least_precise_come_first_ties_to_the_more_divergent() -> None:
    rows = as_table(
        [
            summary_row(0, 0.5),
            summary_row(1, None),
            summary_row(2, math.nan),
            summary_row(3, 0.2),
            summary_row(4, 0.5, irreducible_divergence=0.1),
            {"index": 5, "id": "i5", "error": "OSError: torn"},
        ]
    )
    assert [row["index"] for row in worst(rows, 9)] == [3, 4, 0]
    assert [row["index"] for row in worst(rows, 1)] == [3]


def test_each_has_a_report_and_says_its_numbers(tmp_path: Path) -> None:
    items = patch_items(4)
    rows = run_study(items, Brightest(), GRID, out=tmp_path)
    settings = StudySettings(model_factory(Brightest()), GRID)
    examples = write_examples(settings, items, rows, tmp_path, count=2)
    assert [example.row for example in examples] == worst(rows, 2)
    for example in examples:
        assert (tmp_path / example.link).read_text(encoding="utf-8").startswith("<!doctype html>")
        assert example.image.startswith("data:image/")
        assert f"precision {example.row['irreducible_precision']:.2f}" in example.caption
    assert write_examples(settings, items, rows.slice(0, 0), tmp_path) == []
