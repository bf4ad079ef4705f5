"""The page of a study: its tables, plots and notes in one file; without matplotlib it says so."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")

from studies import summary_rows

from captum_focalogic.study import summarise
from captum_focalogic.study.page import write_page


def test_it_holds_tables_plots_and_settings(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib (the study extra)")
    rows = summary_rows()
    text = write_page(tmp_path / "study.html", rows, summarise(rows), {"model": "<b>mine</b>"}).read_text("utf-8")
    assert text.count("<svg") == 2
    assert "Behaviour of the images" in text
    assert "OSError: torn" in text
    assert "&lt;b&gt;mine&lt;/b&gt;" in text
    assert "<b>mine" not in text


def test_without_matplotlib_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    rows = summary_rows()
    text = write_page(tmp_path / "study.html", rows, summarise(rows), {}).read_text("utf-8")
    assert "Without plots: " in text
    assert "<svg" not in text
