"""What a study comes to, in means or set beside another one, and how that reads as text, CSV and LaTeX."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from captum_focalogic.files import write_text
from captum_focalogic.metrics import Behaviour
from captum_focalogic.study.rows import MEASURES
from captum_focalogic.tables import UNDEFINED, Column, Table


@dataclass(frozen=True)
class Mean:
    """A mean with its confidence interval.

    Attributes
    ----------
    value : float
        NaN if there is nothing to average.
    low, high : float
        Bounds of the interval (percentile bootstrap over images); NaN for fewer than two values.
    count : int
        Images it is over.
    undefined : int
        Images left out because the value is not defined for them, such as the precision of the empty state.
    """

    value: float
    low: float
    high: float
    count: int
    undefined: int = 0

    def __str__(self) -> str:
        if not self.count:
            return "-"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]" if self.count > 1 else f"{self.value:.3f}"


@dataclass(frozen=True)
class Line:
    """A group of images.

    Attributes
    ----------
    grouping : str
        "all", or one of :data:`GROUPINGS`.
    name : str
        Which of the groups, such as the class's name.
    images, errors : int
        How many there are, and how many of them could not be explained.
    means : mapping
        By column name; ``accuracy`` is the mean of ``correct``.
    behaviours : mapping
        By reading, the behaviour that the means of precision, recall and divergence stand for.
    """

    grouping: str
    name: str
    images: int
    errors: int
    means: Mapping[str, Mean]
    behaviours: Mapping[str, Behaviour] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """A study in numbers.

    Attributes
    ----------
    reading : str
        The study's reading; the others are cut from it.
    readings : tuple of str
        Readings there are numbers for.
    lines : tuple of Line
        All images first, then each grouping's groups.
    behaviours : mapping
        By reading, how many images show each behaviour.
    complete : mapping
        How many searches claim which completeness ("yes", "if monotone", "bound", "no").
    errors : mapping
        How many images failed with which error.
    confidence : float
        Of the intervals.
    """

    reading: str
    readings: tuple[str, ...]
    lines: tuple[Line, ...]
    behaviours: Mapping[str, Mapping[str, int]]
    complete: Mapping[str, int]
    errors: Mapping[str, int]
    confidence: float

    def __getitem__(self, column: str) -> Mean:
        """The mean of a column over all images, such as ``summary["smallest_precision"]``."""
        return self.lines[0].means[column]

    def __str__(self) -> str:
        return text_table(self)


@dataclass(frozen=True)
class Difference:
    """One measure in two studies.

    Attributes
    ----------
    column : str
        "accuracy", or the column's name, such as "smallest_precision".
    pairs : int
        Images on which it is defined in both.
    first, second : float
        Means over these images.
    difference, low, high : float
        Mean of second minus first, and its paired bootstrap interval.
    p_value : float
        Two-sided, of Wilcoxon's signed-rank test (for accuracy, McNemar's exact test); 1 where no image differs, NaN
        where there is no pair.
    """

    column: str
    pairs: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class RunComparison:
    """Two studies, measure by measure.

    Attributes
    ----------
    first, second : str
        What they are called.
    lines : tuple of Difference
        One a measure.
    unpaired : int
        Images that only one of them has.
    confidence : float
        Of the intervals.
    """

    first: str
    second: str
    lines: tuple[Difference, ...]
    unpaired: int
    confidence: float

    def __getitem__(self, column: str) -> Difference:
        """The line of one column."""
        return next(line for line in self.lines if line.column == column)

    def __str__(self) -> str:
        return comparison_text(self)


def text_table(summary: Summary) -> str:
    """A summary for people to read: one table a reading, then what else there is to say."""
    return "\n\n".join([*(summary_table(summary, reading).text() for reading in summary.readings), *notes(summary)])


def notes(summary: Summary) -> list[str]:
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


def latex_table(summary: Summary) -> str:
    """A summary as LaTeX tables (booktabs), one a reading."""
    parts = []
    for reading in summary.readings:
        means = summary_table(summary, reading)
        # a page of print has no room for the last column, and the reading goes where the lines' names have no heading
        header = [Column(f"{reading} states", "left"), *means.columns[1:-1]]
        parts.append(Table(header, [row[:-1] for row in means.rows]).latex())
    return "\n".join(parts)


def write_tables(summary: Summary, folder: Path) -> list[Path]:
    """Write summary.txt, summary.csv and summary.tex; returns the files."""
    written = []
    for name, text in (("txt", f"{summary}\n"), ("csv", csv_table(summary)), ("tex", latex_table(summary))):
        path = folder / f"summary.{name}"
        write_text(path, text)
        written.append(path)
    return written


def comparison_text(comparison: RunComparison) -> str:
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


def comparison_csv(comparison: RunComparison) -> str:
    """Every line of a comparison."""
    header = ["column", "pairs", "first", "second", "difference", "low", "high", "p"]
    rows = [
        (line.column, line.pairs, line.first, line.second, line.difference, line.low, line.high, line.p_value)
        for line in comparison.lines
    ]
    return Table(header, rows).csv()


def comparison_latex(comparison: RunComparison) -> str:
    """A comparison as a LaTeX table (booktabs)."""
    return _differences(comparison).latex()


def summary_table(summary: Summary, reading: str) -> Table:
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


def _differences(comparison: RunComparison) -> Table:
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


def _percent(mean: Mean) -> str:
    return UNDEFINED if not mean.count else f"{100 * mean.value:.1f} %"


def _signed(value: float) -> str:
    return UNDEFINED if math.isnan(value) else f"{value:+.3f}"
