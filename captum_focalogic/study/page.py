"""A study as one HTML page that needs nothing else: tables, plots, and the images to look at."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from captum_focalogic.errors import MissingExtraError
from captum_focalogic.figures.plots import bars, histograms, svg_markup
from captum_focalogic.files import write_text
from captum_focalogic.metrics import BEHAVIOURS, MAX_DIVERGENCE
from captum_focalogic.report.html import render_page
from captum_focalogic.study.examples import ReportedImage
from captum_focalogic.study.rows import MEASURES
from captum_focalogic.study.tables import Summary, notes, summary_table

if TYPE_CHECKING:
    import pyarrow as pa


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
    plots, said = _plots(rows, summary)
    text = render_page(
        "study",
        # the plots' own styles are attributes of their shapes
        inline_styles=True,
        title=title,
        notes=[*notes(summary), *said],
        tables=[summary_table(summary, reading) for reading in summary.readings],
        plots=plots,
        examples=examples,
        settings=settings,
    )
    write_text(path, text)
    return path


def _plots(rows: "pa.Table", summary: Summary) -> tuple[list[tuple[str, Markup]], list[str]]:
    """Captioned plots, and what is to be said where there are none."""
    try:
        spread = histograms(
            {
                measure: {reading: _defined(rows, f"{reading}_{measure}") for reading in summary.readings}
                for measure in MEASURES
            },
            {measure: MAX_DIVERGENCE if measure == "divergence" else 1.0 for measure in MEASURES},
        )
        drawn = [("Precision, recall and divergence of the images", Markup(svg_markup(spread)))]
        if any(summary.behaviours.values()):
            counts = {
                reading: [summary.behaviours[reading].get(name, 0) for name in BEHAVIOURS]
                for reading in summary.readings
            }
            drawn.append(("Behaviour of the images", Markup(svg_markup(bars(counts, BEHAVIOURS)))))
    except MissingExtraError as error:
        return [], [f"Without plots: {error}."]
    return drawn, []


def _defined(rows: "pa.Table", column: str) -> list[float]:
    values = rows.column(column).to_pylist()
    return [value for value in values if value is not None and not math.isnan(value)]
