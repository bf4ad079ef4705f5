"""Summaries and comparisons as text, CSV and LaTeX."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from captum_focalogic.files import write_text
from captum_focalogic.study.rows import MEASURES
from captum_focalogic.tables import UNDEFINED, Column, Table

if TYPE_CHECKING:
    from captum_focalogic.study.summary import Mean, RunComparison, Summary


def text_table(summary: "Summary") -> str:
    """A summary for people to read: one table a reading, then what else there is to say."""
    return "\n\n".join([*(summary_table(summary, reading).text() for reading in summary.readings), *remarks(summary)])


def remarks(summary: "Summary") -> list[str]:
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


def csv_table(summary: "Summary") -> str:
    """Every mean of a summary, one a line."""
    header = ["grouping", "group", "images", "errors", "column", "mean", "low", "high", "count", "undefined"]
    rows = [
        (
            line.grouping,
            line.name,
            line.images,
            line.errors,
            column,
            mean.value,
            mean.low,
            mean.high,
            mean.count,
            mean.undefined,
        )
        for line in summary.lines
        for column, mean in line.means.items()
    ]
    return Table(header, rows).csv()


def latex_table(summary: "Summary") -> str:
    """A summary as LaTeX tables (booktabs), one a reading."""
    parts = []
    for reading in summary.readings:
        means = summary_table(summary, reading)
        # a page of print has no room for the last column, and the reading goes where the lines' names have no heading
        header = [Column(f"{reading} states", "left"), *means.columns[1:-1]]
        parts.append(Table(header, [row[:-1] for row in means.rows]).latex())
    return "\n".join(parts)


def write_tables(summary: "Summary", folder: Path) -> list[Path]:
    """Write summary.txt, summary.csv and summary.tex; returns the files."""
    written = []
    for name, text in (("txt", f"{summary}\n"), ("csv", csv_table(summary)), ("tex", latex_table(summary))):
        path = folder / f"summary.{name}"
        write_text(path, text)
        written.append(path)
    return written


def comparison_text(comparison: "RunComparison") -> str:
    """A comparison for people to read."""
    said = [
        _differences(comparison).text(),
        f"Difference: second minus first on the same images; intervals: {comparison.confidence:.0%}, paired bootstrap. "
        "p: Wilcoxon's signed-rank test, for accuracy the exact test of McNemar; one test a line, not corrected for "
        "their number.",
    ]
    if comparison.unpaired:
        said.append(f"Left out: {comparison.unpaired} image(s) that only one of the runs has.")
    return "\n\n".join(said)


def comparison_csv(comparison: "RunComparison") -> str:
    """Every line of a comparison."""
    header = ["column", "pairs", "first", "second", "difference", "low", "high", "p"]
    rows = [
        (line.column, line.pairs, line.first, line.second, line.difference, line.low, line.high, line.p_value)
        for line in comparison.lines
    ]
    return Table(header, rows).csv()


def comparison_latex(comparison: "RunComparison") -> str:
    """A comparison as a LaTeX table (booktabs)."""
    return _differences(comparison).latex()


def summary_table(summary: "Summary", reading: str) -> Table:
    """The means of one reading, a line a group."""
    numbers = [Column(title, form=".2f") for title in ("states", "regions")]
    rows = [
        (
            line.name if line.grouping in ("all", "correct") else f"{line.grouping}: {line.name}",
            line.images,
            _percent(line.means["accuracy"]),
            *(line.means[f"{reading}_{name}"].value for name in ("count", "size")),
            *(line.means[f"{reading}_{name}"] for name in MEASURES),
            line.behaviours[reading].kind,
        )
        for line in summary.lines
    ]
    return Table(["", "images", "accuracy", *numbers, *MEASURES, "of the means"], rows, f"{reading} states")


def _differences(comparison: "RunComparison") -> Table:
    """A line a measure."""
    runs = [Column(name, form=".3f") for name in (comparison.first, comparison.second)]
    rows = [
        (
            line.column.replace("_", " "),
            line.pairs,
            line.first,
            line.second,
            f"{_signed(line.difference)} [{_signed(line.low)}, {_signed(line.high)}]",
            "<0.0001" if line.p_value < 1e-4 else line.p_value,
        )
        for line in comparison.lines
    ]
    return Table(["", "pairs", *runs, "difference", Column("p", form=".4f")], rows)


def _percent(mean: "Mean") -> str:
    return UNDEFINED if not mean.count else f"{100 * mean.value:.1f} %"


def _signed(value: float) -> str:
    return UNDEFINED if math.isnan(value) else f"{value:+.3f}"
