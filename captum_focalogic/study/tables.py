"""Summaries and comparisons as text, CSV and LaTeX."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from captum_focalogic.study.rows import MEASURES
from captum_focalogic.study.store import write_whole
from captum_focalogic.study.summary import Line, Mean, Summary

if TYPE_CHECKING:
    from captum_focalogic.study.comparison import Comparison


def text_table(summary: Summary) -> str:
    """A summary for people to read: one table a reading, then what else there is to say."""
    parts = []
    for reading in summary.readings:
        rows = [
            [_group(line), str(line.images), _percent(line.means["accuracy"]), *_cells(line, reading)]
            for line in summary.lines
        ]
        header = ["", "images", "accuracy", "states", "regions", *MEASURES, "of the means"]
        parts.append(f"{reading} states\n{_aligned([header, *rows])}")
    parts.extend(remarks(summary))
    return "\n\n".join(parts)


def remarks(summary: Summary) -> list[str]:
    """What the tables leave out, in sentences."""
    said = [f"Intervals: {summary.confidence:.0%}, bootstrap over images."]
    for reading in summary.readings:
        if summary.behaviours[reading]:
            mix = ", ".join(f"{name} {count}" for name, count in summary.behaviours[reading].items())
            said.append(f"Behaviour of the images ({reading} states): {mix}.")
    for reading in summary.readings:
        absent = {name: summary[f"{reading}_{name}"].undefined for name in MEASURES}
        if any(absent.values()):
            told = ", ".join(f"{name} of {count}" for name, count in absent.items() if count)
            said.append(f"Undefined and left out of the means ({reading} states): {told} image(s).")
    said.append("Complete: " + ", ".join(f"{name} {count}" for name, count in summary.complete.items()) + ".")
    if summary.errors:
        listed = "; ".join(f"{count} x {error}" for error, count in list(summary.errors.items())[:5])
        said.append(f"Errors: {sum(summary.errors.values())} image(s): {listed}.")
    return said


def csv_table(summary: Summary) -> str:
    """Every mean of a summary, one a line."""
    header = ["grouping", "group", "images", "errors", "column", "mean", "low", "high", "count", "undefined"]
    rows = [
        [line.grouping, line.name, line.images, line.errors, column, *_numbers(mean), mean.count, mean.undefined]
        for line in summary.lines
        for column, mean in line.means.items()
    ]
    return csv_text([header, *rows])


def latex_table(summary: Summary) -> str:
    """A summary as LaTeX tables (booktabs), one a reading."""
    parts = []
    for reading in summary.readings:
        rows = [
            [_group(line), str(line.images), _percent(line.means["accuracy"]), *_cells(line, reading)[:-1]]
            for line in summary.lines
        ]
        header = [f"{reading} states", "images", "accuracy", "states", "regions", *MEASURES]
        parts.append(latex(header, rows))
    return "\n".join(parts)


def write_tables(summary: Summary, folder: Path) -> list[Path]:
    """Write summary.txt, summary.csv and summary.tex; returns the files."""
    written = []
    for name, text in (("txt", f"{summary}\n"), ("csv", csv_table(summary)), ("tex", latex_table(summary))):
        path = folder / f"summary.{name}"
        write_whole(path, text.encode("utf-8"))
        written.append(path)
    return written


def comparison_text(comparison: "Comparison") -> str:
    """A comparison for people to read."""
    said = [
        _aligned(_comparison_lines(comparison)),
        f"Difference: second minus first on the same images; intervals: {comparison.confidence:.0%}, paired bootstrap. "
        "p: Wilcoxon's signed-rank test, for accuracy the exact test of McNemar; one test a line, not corrected for "
        "their number.",
    ]
    if comparison.unpaired:
        said.append(f"Left out: {comparison.unpaired} image(s) that only one of the runs has.")
    return "\n\n".join(said)


def comparison_csv(comparison: "Comparison") -> str:
    """Every line of a comparison."""
    header = ["column", "pairs", "first", "second", "difference", "low", "high", "p"]
    rows = [
        [line.column, line.pairs, line.first, line.second, line.difference, line.low, line.high, line.p_value]
        for line in comparison.lines
    ]
    return csv_text([header, *rows])


def comparison_latex(comparison: "Comparison") -> str:
    """A comparison as a LaTeX table (booktabs)."""
    header, *rows = _comparison_lines(comparison)
    return latex(header, rows)


def _comparison_lines(comparison: "Comparison") -> list[list[str]]:
    """The header and a line a measure."""
    header = ["", "pairs", comparison.first, comparison.second, "difference", "p"]
    rows = [
        [
            line.column.replace("_", " "),
            str(line.pairs),
            _number(line.first),
            _number(line.second),
            f"{_number(line.difference, True)} [{_number(line.low, True)}, {_number(line.high, True)}]",
            _p(line.p_value),
        ]
        for line in comparison.lines
    ]
    return [header, *rows]


def latex(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A LaTeX table (booktabs), first column left, others right."""
    lines = [r"\begin{tabular}{l" + "r" * (len(header) - 1) + "}", r"\toprule", _latex_line(header), r"\midrule"]
    return "\n".join([*lines, *map(_latex_line, rows), r"\bottomrule", r"\end{tabular}", ""])


_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}"}
_LATEX |= {character: f"\\{character}" for character in "&%$#_{}"}


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join("".join(_LATEX.get(character, character) for character in cell) for cell in cells) + r" \\"


def _group(line: Line) -> str:
    return line.name if line.grouping in ("all", "correct") else f"{line.grouping}: {line.name}"


def _cells(line: Line, reading: str) -> list[str]:
    means = [line.means[f"{reading}_{name}"] for name in ("count", "size")]
    shown = [_number(mean.value, digits=2) for mean in means]
    return [*shown, *(str(line.means[f"{reading}_{name}"]) for name in MEASURES), line.behaviours[reading].kind]


def _percent(mean: Mean) -> str:
    return "-" if not mean.count else f"{100 * mean.value:.1f} %"


def _numbers(mean: Mean) -> tuple[str, str, str]:
    low, value, high = (("" if math.isnan(bound) else repr(bound)) for bound in (mean.low, mean.value, mean.high))
    return value, low, high


def _number(value: float, signed: bool = False, digits: int = 3) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"


def _p(value: float) -> str:
    if math.isnan(value):
        return "-"
    return "<0.0001" if value < 1e-4 else f"{value:.4f}"


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    """Lines of cells as CSV."""
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n").writerows(rows)
    return sink.getvalue()


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)
