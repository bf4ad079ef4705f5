"""Figures of experiments, with intervals, in colours that people with any colour vision can tell apart."""

from collections.abc import Sequence
from typing import Any

from captum_focalogic.errors import MissingExtraError
from captum_focalogic.experiments.arms import Result
from captum_focalogic.study import MEASURES, Mean

READINGS = ("irreducible", "smallest")
"""The readings of the final states that every experiment states."""

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
    """Precision, recall and divergence of each arm, one bar a reading, with intervals."""
    figure, panels = new_figure(len(MEASURES), height=0.9 + 0.42 * len(results))
    draw_bars(panels, results)
    return figure


def draw_bars(panels: Sequence[Any], results: Sequence[Result]) -> None:
    """What :func:`measure_bars` shows, in panels of another figure, one a measure."""
    for panel, measure in zip(panels, MEASURES, strict=True):
        for shift, reading in zip((-0.2, 0.2), READINGS, strict=True):
            means = [result.mean(f"{reading}_{measure}") for result in results]
            at = [place + shift for place in range(len(results))]
            panel.barh(at, [mean.value for mean in means], 0.38, color=_COLOURS[reading], label=reading)
            panel.errorbar(
                [mean.value for mean in means], at, xerr=_errors(means), fmt="none", ecolor="#333", capsize=2
            )
        panel.set_yticks(range(len(results)), [result.name for result in results] if panel is panels[0] else [])
        panel.invert_yaxis()
        panel.set_xlabel(measure)
    panels[0].legend(frameon=False, fontsize=7)


def _errors(means: Sequence[Mean]) -> list[list[float]]:
    """Distances to the bounds of intervals, below and above; 0 where there is no interval."""
    return [
        [max(0.0, mean.value - mean.low) if mean.count > 1 else 0.0 for mean in means],
        [max(0.0, mean.high - mean.value) if mean.count > 1 else 0.0 for mean in means],
    ]
