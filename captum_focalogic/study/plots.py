"""Pictures of a study: how precision, recall and divergence are spread, and which behaviours there are."""

import io
import math
from typing import TYPE_CHECKING, Any

from captum_focalogic.errors import MissingExtraError
from captum_focalogic.metrics import BEHAVIOURS, MAX_DIVERGENCE
from captum_focalogic.study.rows import MEASURES
from captum_focalogic.study.summary import Summary

if TYPE_CHECKING:
    import pyarrow as pa

_COLOURS = {"irreducible": "#4477aa", "minimal": "#228833", "smallest": "#ee6677"}
"""Told apart by people with any colour vision (Paul Tol's bright scheme)."""

_BINS = 20


def spread_plot(rows: "pa.Table", summary: Summary) -> str:
    """Histograms of the three measures, one colour a reading, as SVG."""
    figure, panels = _subplots(1, 3, (9.0, 2.6))
    for panel, measure in zip(panels, MEASURES, strict=True):
        most = MAX_DIVERGENCE if measure == "divergence" else 1.0
        edges = [most * step / _BINS for step in range(_BINS + 1)]
        for reading in summary.readings:
            values = [value for value in rows.column(f"{reading}_{measure}").to_pylist() if value is not None]
            values = [value for value in values if not math.isnan(value)]
            panel.hist(values, edges, histtype="step", linewidth=1.5, color=_COLOURS[reading], label=reading)
        panel.set_xlabel(measure)
    panels[0].set_ylabel("images")
    panels[0].legend(frameon=False, fontsize=7)
    return _svg(figure)


def behaviour_plot(summary: Summary) -> str:
    """How many images show each behaviour, one bar a reading, as SVG."""
    figure, (panel,) = _subplots(1, 1, (9.0, 2.6))
    width = 0.8 / max(1, len(summary.readings))
    for place, reading in enumerate(summary.readings):
        at = [number + (place - (len(summary.readings) - 1) / 2) * width for number in range(len(BEHAVIOURS))]
        counts = [summary.behaviours[reading].get(name, 0) for name in BEHAVIOURS]
        panel.bar(at, counts, width, color=_COLOURS[reading], label=reading)
    panel.set_xticks(range(len(BEHAVIOURS)), BEHAVIOURS)
    panel.set_ylabel("images")
    panel.legend(frameon=False, fontsize=7)
    return _svg(figure)


def _subplots(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "study") from error
    figure = Figure(figsize=size, layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).reshape(-1))
    for panel in panels:
        panel.yaxis.get_major_locator().set_params(integer=True)
    return figure, panels


def rendered(figure: Any, kind: str) -> bytes:
    """A figure as the octets of a file, the same ones for the same figure.

    Parameters
    ----------
    figure : matplotlib Figure
    kind : str
        "svg", or another format that matplotlib writes.
    """
    import matplotlib

    sink = io.BytesIO()
    # with a random salt and the date, two pictures of the same numbers would differ
    with matplotlib.rc_context({"svg.hashsalt": "captum-focalogic", "svg.fonttype": "none"}):
        figure.savefig(sink, format=kind, dpi=150, metadata={"Date": None, "Creator": None} if kind == "svg" else None)
    return sink.getvalue()


def _svg(figure: Any) -> str:
    text = rendered(figure, "svg").decode()
    return text[text.index("<svg") :]
