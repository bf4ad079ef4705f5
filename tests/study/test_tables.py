"""Tables of studies: the means of a summary, the lines of a comparison, and what is said beside them."""

import csv
import io
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")

from studies import summary_row, summary_rows

from captum_focalogic.study import compare_rows, summarise
from captum_focalogic.study.rows import as_table
from captum_focalogic.study.tables import comparison_csv, comparison_text, csv_table, latex_table, write_tables


def test_tables_hold_the_means() -> None:
    summary = summarise(summary_rows(), class_names=["a_b & c", "d%"])
    table = list(csv.DictReader(io.StringIO(csv_table(summary))))
    (line,) = [line for line in table if line["grouping"] == "all" and line["column"] == "smallest_precision"]
    assert float(line["mean"]) == summary["smallest_precision"].value
    assert (line["count"], line["undefined"]) == ("5", "1")
    text = str(summary)
    assert "precision of 1" in text
    assert "OSError: torn" in text
    assert text.count("class: d%") == 2
    latex = latex_table(summary)
    assert r"class: a\_b \& c" in latex
    assert latex.count(r"\toprule") == latex.count(r"\bottomrule") == 2
    widths = {line.count(" & ") for line in latex.splitlines() if line.endswith(r" \\")}
    assert widths == {7}


def test_tables_are_written_side_by_side(tmp_path: Path) -> None:
    summary = summarise(summary_rows())
    assert [path.name for path in write_tables(summary, tmp_path)] == ["summary.txt", "summary.csv", "summary.tex"]
    assert (tmp_path / "summary.txt").read_text(encoding="utf-8") == f"{summary}\n"
    assert (tmp_path / "summary.csv").read_text(encoding="utf-8") == csv_table(summary)


def test_a_comparison_says_what_it_left_out_and_how_sure_it_is() -> None:
    one, other = (
        as_table([summary_row(index, 0.4 + 0.01 * index + shift) for index in range(first, 30)])
        for first, shift in ((0, 0.0), (2, 0.25))
    )
    compared = compare_rows(one, other)
    (line,) = [row for row in csv.DictReader(io.StringIO(comparison_csv(compared))) if row["column"] == PRECISION]
    assert line["pairs"] == "28"
    assert float(line["difference"]) == pytest.approx(0.25)
    text = comparison_text(compared)
    assert "+0.250 [+0.250, +0.250]" in text
    assert "<0.0001" in text
    assert "Left out: 2 image(s) that only one of the runs has." in text


PRECISION = "irreducible_precision"
