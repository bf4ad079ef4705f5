"""The one writer of tables: what it shows, and that no cell can do more than be shown."""

import csv
import io
import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captum_focalogic.errors import InputError, MissingExtraError
from captum_focalogic.tables import Column, Table, printable

TABLE = Table(
    ("method", Column("share", form=".1%"), Column("states", form=",d"), Column("said", "left", strong=True)),
    [("Foca|Logic", 0.25, 1234, "yes"), ("a_b & c", math.nan, None, "")],
    "Two methods",
    ["One was * skipped"],
)


def test_text() -> None:
    assert TABLE.text().splitlines() == [
        "Two methods",
        "method      share  states  said",
        "Foca|Logic  25.0%   1,234  yes",
        "a_b & c         -       -",
        "",
        "One was * skipped",
    ]


def test_a_table_in_columns() -> None:
    table = Table(("method", "x"), (("long name", "1"), ("a", "1,000")))
    assert table.text() == "method         x\nlong name      1\na          1,000"
    assert table.text(headed=False) == "long name      1\na          1,000"


def test_markdown() -> None:
    assert TABLE.markdown().splitlines() == [
        "Two methods",
        "",
        "| method | share | states | said |",
        "| --- | ---: | ---: | --- |",
        r"| Foca\|Logic | 25.0% | 1,234 | **yes** |",
        "| a_b & c | - | - |  |",
        "",
        r"- One was \* skipped",
    ]


def test_latex() -> None:
    assert TABLE.latex().splitlines() == [
        "% Two methods",
        "% One was * skipped",
        r"\begin{tabular}{lrrl}",
        r"\toprule",
        r"method & share & states & said \\",
        r"\midrule",
        r"Foca\textbar{}Logic & 25.0\% & 1,234 & \textbf{yes} \\",
        r"a\_b \& c & - & - &  \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_csv_holds_numbers_in_full() -> None:
    assert TABLE.csv() == "method,share,states,said\nFoca|Logic,0.25,1234,yes\na_b & c,,,\n"
    third = 1 / 3
    (line,) = csv.DictReader(io.StringIO(Table(("x", "y"), [(np.float64(third), np.int64(7))]).csv()))
    assert (float(line["x"]), line["y"]) == (third, "7")


@pytest.mark.parametrize("cell", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3", "\t=1", "-wing"])
def test_no_csv_cell_is_a_formula(cell: str) -> None:
    ((written,),) = list(csv.reader(io.StringIO(Table(("x",), [(cell,)]).csv())))[1:]
    assert written == f"'{cell}"


@pytest.mark.parametrize(
    "cell", ["-", "-0.5", "+1.25", "-1,234.5", "-3e-05", "+12.5 %", "-0.1 [-0.2, +0.3]", "a=b", -2.5]
)
def test_numbers_stay_numbers_in_csv(cell: object) -> None:
    ((written,),) = list(csv.reader(io.StringIO(Table(("x",), [(cell,)]).csv())))[1:]
    assert written == str(cell)


def test_text_carries_no_escape_sequences() -> None:
    table = Table(("x\x1b[31m",), [("a\x1b]0;t\x07\nb\u202e\u2028c",)], "t\x9b1m")
    assert table.text() == "t\\x9b1m\nx\\x1b[31m\na\\x1b]0;t\\x07 b\\u202e c"
    assert "\n" not in printable("a\r\nb")


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("a|b", r"a\|b"),
        ("a\\|b", r"a\\\|b"),
        ("<script>", r"\<script>"),
        ("![x](y)", r"!\[x](y)"),
        ("[a[b]](javascript:x)", r"\[a\[b]](javascript:x)"),
        ("a\x1b[2J\udcff", r"a\\x1b[2J\\udcff"),
        ("0.5 [0.4, 0.6]", "0.5 [0.4, 0.6]"),
        ("rule_f1", "rule_f1"),
        ("_it_", r"\_it\_"),
        ("two\nlines", "two lines"),
    ],
)
def test_markdown_is_escaped(cell: str, written: str) -> None:
    assert Table(("x",), [(cell,)]).markdown().splitlines()[2] == f"| {written} |"


@given(st.lists(st.tuples(st.text(), st.floats() | st.none() | st.integers() | st.booleans()), max_size=4))
def test_every_format_keeps_its_shape(rows: list[tuple[str, object]]) -> None:
    table = Table(("a", "b"), rows, notes=["n"])
    assert len(table.text().splitlines()) == len(rows) + 3
    assert len(table.markdown().splitlines()) == len(rows) + 4
    assert sum(line.endswith(r" \\") for line in table.latex().splitlines()) == len(rows) + 1
    read = list(csv.reader(io.StringIO(table.csv(), newline="")))
    assert [len(line) for line in read] == [2] * (len(rows) + 1)


def test_rows_must_fit() -> None:
    with pytest.raises(InputError, match="2 columns got a row of 1"):
        Table(("a", "b"), [("x",)])


def test_a_table_is_a_data_frame_with_numbers_in_full() -> None:
    pytest.importorskip("pandas")
    frame = Table(("class", Column("share", form=".1%"), "size"), [("cat", 0.123456, 3), ("=dog", None, 4)]).pandas()
    assert list(frame.columns) == ["class", "share", "size"]
    assert frame["share"][0] == 0.123456
    assert frame["share"].isna().tolist() == [False, True]
    assert frame["class"][1] == "=dog"
    assert frame["size"].sum() == 7


def test_without_pandas_the_extra_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"captum-focalogic\[study\]"):
        Table(("a",), [(1,)]).pandas()


def test_in_a_notebook_a_table_is_html_that_runs_nothing() -> None:
    html = Table(("class",), [("<script>alert(1)</script>",)], title="<b>")._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert str(Table(("a",), [(1,)])) == "a\n1"
