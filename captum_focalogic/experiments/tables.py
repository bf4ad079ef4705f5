"""Tables of experiments: one line an arm and reading, means with their intervals, the paper's values beside them."""

from collections.abc import Mapping, Sequence

from captum_focalogic.experiments.arms import Result
from captum_focalogic.experiments.figures import READINGS
from captum_focalogic.experiments.published import Published
from captum_focalogic.study import MEASURES, Mean
from captum_focalogic.tables import Table


def measure_table(
    results: Sequence[Result],
    caption: str,
    arm: str = "",
    facts: Mapping[str, str] | None = None,
    published: Mapping[str, Published] | None = None,
) -> Table:
    """Accuracy, number and size of final states, precision, recall and divergence, for both readings.

    Parameters
    ----------
    results : sequence of Result
        One a line and reading.
    caption : str
        What the table shows.
    arm : str
        Heading of the first column.
    facts : mapping of str to str, optional
        Facts to show, and how to format them, such as ``{"success": ".0%"}``.
    published : mapping of str to Published, optional
        The paper's values by measure, in a line of their own.
    """
    shown = facts or {}
    header = (arm, "states", "images", "accuracy", *shown, "number", "regions each", *MEASURES)
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
    if published:
        where = next(iter(published.values())).where
        blank = ("-",) * (len(header) - 2 - len(MEASURES))
        lines.append((f"the paper, {where}", "-", *blank, *(str(published.get(name, "-")) for name in MEASURES)))
    return Table(header, tuple(lines), caption)


def _plain(mean: Mean) -> str:
    return f"{mean.value:.2f}" if mean.count else "-"
