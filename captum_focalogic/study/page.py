"""A study as one HTML page that needs nothing else: what was found in words, figures, the images to look at, tables."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captum_focalogic.files import write_text
from captum_focalogic.metrics import BEHAVIOURS, MAX_DIVERGENCE
from captum_focalogic.report.charts import Histogram, histogram
from captum_focalogic.report.html import render_page
from captum_focalogic.report.words import BEHAVIOUR_WORDS, listed
from captum_focalogic.study.conclusions import conclusions
from captum_focalogic.study.examples import ReportedImage
from captum_focalogic.study.tables import Summary, notes, summary_table
from captum_focalogic.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa

_MEANINGS = {
    "precision": "how much of what is enough for the decision lies on the object",
    "recall": "how much of the object is in what is enough",
    "divergence": "how much the ways to the same decision differ",
}
"""The paper's measures (section 3.4), for whoever has not read it."""

_MANY = 12
"""Classes that are shown without being asked for."""


@dataclass(frozen=True)
class Mix:
    """How many images show each behaviour, for the readings that agree on it."""

    name: str
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """Images that show any."""
        return sum(self.counts.values())


def write_page(
    path: Path,
    rows: "pa.Table",
    summary: Summary,
    settings: Mapping[str, Any],
    examples: Sequence[ReportedImage] = (),
    title: str = "A study with FocaLogic",
) -> Path:
    """Write the page of a study.

    Parameters
    ----------
    path : Path
        The HTML file.
    rows : pyarrow.Table
        The study's rows.
    summary : Summary
        Their means.
    settings : mapping
        What the study was made with.
    examples : sequence of ReportedImage
        Images to show.
    title : str
        The page's title.
    """
    first, *others = conclusions(summary)
    text = render_page(
        "study",
        title=title,
        model=str(settings.get("model", "the model")).partition(",")[0],
        found=first,
        further_found=others,
        figures=[(figure, _MEANINGS[figure.title]) for figure in _histograms(rows, summary)],
        mixes=_mixes(summary),
        behaviours=[(name, BEHAVIOUR_WORDS[name]) for name in BEHAVIOURS],
        examples=examples,
        tables=_tables(summary),
        notes=notes(summary),
        settings=settings,
    )
    write_text(path, text)
    return path


def _own_first(summary: Summary) -> list[str]:
    """The readings there are numbers for, the study's own first."""
    return sorted(summary.readings, key=lambda reading: reading != summary.reading)


def _tables(summary: Summary) -> list[Table]:
    """Of each reading its means, and apart from them those of the classes where there are many."""
    classes = [line for line in summary.lines if line.grouping == "class"]
    if len(classes) <= _MANY:
        return [summary_table(summary, reading) for reading in _own_first(summary)]
    others = [line for line in summary.lines if line.grouping != "class"]
    found = []
    for reading in _own_first(summary):
        for lines, said in ((others, ""), (classes, f", {len(classes):,} classes")):
            table = summary_table(replace(summary, lines=tuple(lines)), reading)
            found.append(replace(table, title=f"{table.title}{said}"))
    return found


def _histograms(rows: "pa.Table", summary: Summary) -> list[Histogram]:
    drawn = [
        histogram(
            measure,
            {reading: _defined(rows, f"{reading}_{measure}") for reading in _own_first(summary)},
            MAX_DIVERGENCE if measure == "divergence" else 1.0,
        )
        for measure in _MEANINGS
    ]
    return [figure for figure in drawn if figure is not None]


def _mixes(summary: Summary) -> list[Mix]:
    """One for each reading that differs from the others."""
    agreeing: dict[tuple[tuple[str, int], ...], list[str]] = {}
    for reading in _own_first(summary):
        counts = summary.behaviours[reading]
        if counts:
            agreeing.setdefault(tuple((name, counts.get(name, 0)) for name in BEHAVIOURS), []).append(reading)
    return [Mix(listed(readings), dict(counts)) for counts, readings in agreeing.items()]


def _defined(rows: "pa.Table", column: str) -> list[float]:
    values = rows.column(column).to_pylist()
    return [value for value in values if value is not None and not math.isnan(value)]
