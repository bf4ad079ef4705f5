"""Tables and figures of experiments: a line for each condition and reading, means with their intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

from captum_focalogic.errors import MissingExtraError
from captum_focalogic.experiments.framework import Result
from captum_focalogic.experiments.published import PublishedLine
from captum_focalogic.study import MEASURES, Mean
from captum_focalogic.tables import Table

READINGS = ("irreducible", "smallest")
"""The readings of the final states that every experiment states."""


def measure_table(
    results: Sequence[Result],
    caption: str,
    condition: str = "",
    facts: Mapping[str, str] | None = None,
    published: Mapping[str, PublishedLine] | None = None,
) -> Table:
    """Accuracy, number and size of final states, precision, recall and divergence, for both readings.

    Parameters
    ----------
    results : sequence of Result
        One a line and reading.
    caption : str
        What the table shows.
    condition : str
        Heading of the first column.
    facts : mapping of str to str, optional
        Facts to show, and how to format them, such as ``{"success": ".0%"}``.
    published : mapping of str to PublishedLine, optional
        Lines of the paper, by what they are called; they may have accuracy, facts and measures.
    """
    shown = facts or {}
    header = (condition, "states", "images", "accuracy", *shown, "number", "regions each", *MEASURES)
    lines = []
    for result in results:
        errors = sum(result.summary.errors.values())
        for reading in READINGS:
            told = [format(result.facts[name], form) if name in result.facts else "-" for name, form in shown.items()]
            accuracy = result.mean("accuracy")
            lines.append(
                (
                    result.name,
                    reading,
                    str(len(result.rows) - errors),
                    "-" if not accuracy.count else f"{accuracy.value:.1%}",
                    *told,
                    *(_plain(result.mean(f"{reading}_{name}")) for name in ("count", "size")),
                    *(str(result.mean(f"{reading}_{measure}")) for measure in MEASURES),
                )
            )
    lines += [_published_line(name, line, shown) for name, line in (published or {}).items()]
    return Table(header, tuple(lines), caption)


def _published_line(name: str, line: PublishedLine, shown: Mapping[str, str]) -> tuple[str, ...]:
    accuracy = f"{line['accuracy'].low:.0%}" if "accuracy" in line else "-"
    told = [format(line[fact].low, form) if fact in line else "-" for fact, form in shown.items()]
    return (name, "-", "-", accuracy, *told, "-", "-", *(str(line.get(measure, "-")) for measure in MEASURES))


def _plain(mean: Mean) -> str:
    return f"{mean.value:.2f}" if mean.count else "-"


_COLOURS = {"irreducible": "#4477aa", "smallest": "#ee6677"}


def new_figure(columns: int, width: float = 9.0, height: float = 3.0, rows: int = 1) -> tuple[Any, list[Any]]:
    """A figure and its panels, row by row.

    Raises
    ------
    MissingExtraError
        Without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "study") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).reshape(-1))


def measure_bars(results: Sequence[Result]) -> Any:
    """Precision, recall and divergence of each condition, one bar a reading, with intervals."""
    figure, panels = new_figure(len(MEASURES), height=1.2 + 0.42 * len(results))
    draw_bars(panels, results)
    legend_below(figure, panels[0])
    return figure


def legend_below(figure: Any, *panels: Any) -> None:
    """One legend for all panels, under them, where it hides nothing; each name once."""
    named: dict[str, Any] = {}
    for panel in panels:
        for handle, name in zip(*panel.get_legend_handles_labels(), strict=True):
            named.setdefault(name, handle)
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=5, frameon=False, fontsize=8)


def draw_bars(panels: Sequence[Any], results: Sequence[Result]) -> None:
    """What :func:`measure_bars` shows, in panels of another figure, one a measure; without a legend."""
    for panel, measure in zip(panels, MEASURES, strict=True):
        for shift, reading in zip((-0.2, 0.2), READINGS, strict=True):
            means = [result.mean(f"{reading}_{measure}") for result in results]
            at = [place + shift for place in range(len(results))]
            panel.barh(at, [mean.value for mean in means], 0.38, color=_COLOURS[reading], label=reading)
            panel.errorbar(
                [mean.value for mean in means], at, xerr=error_bars(means), fmt="none", ecolor="#333", capsize=2
            )
        panel.set_yticks(range(len(results)), [result.name for result in results] if panel is panels[0] else [])
        panel.invert_yaxis()
        panel.set_xlabel(measure)


def error_bars(means: Sequence[Mean]) -> list[list[float]]:
    """Distances to the bounds of intervals, below and above; 0 where there is no interval."""
    return [
        [max(0.0, mean.value - mean.low) if mean.count > 1 else 0.0 for mean in means],
        [max(0.0, mean.high - mean.value) if mean.count > 1 else 0.0 for mean in means],
    ]
