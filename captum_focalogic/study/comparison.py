"""Two studies of the same images: paired differences."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.errors import InputError
from captum_focalogic.search.certificate import READINGS
from captum_focalogic.study.rows import MEASURES
from captum_focalogic.study.store import read_rows
from captum_focalogic.study.summary import interval

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]


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
class Comparison:
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
        from captum_focalogic.study.tables import comparison_text

        return comparison_text(self)


def compare_runs(run_a: str | Path, run_b: str | Path, **how: float) -> Comparison:
    """Compare two runs by their folders; see :func:`compare_rows`."""
    names = (Path(run_a).name, Path(run_b).name)
    if names[0] == names[1]:
        names = (str(run_a), str(run_b))
    return compare_rows(read_rows(run_a), read_rows(run_b), names, **how)  # type: ignore[arg-type]


def compare_rows(
    first: "pa.Table",
    second: "pa.Table",
    names: Sequence[str] = ("first", "second"),
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare two studies on the images that both have, matched by id.

    Parameters
    ----------
    first, second : pyarrow.Table
        Their rows.
    names : pair of str
        What they are called.
    confidence, resamples, seed
        Of the bootstrap.

    Returns
    -------
    Comparison
        A line for accuracy and for each measure of each reading that both have; images on which it is undefined in one
        of them are left out of that line.

    Raises
    ------
    InputError
        If they have no image in common.
    """
    ids = [table.column("id").to_pylist() for table in (first, second)]
    places = [{name: place for place, name in enumerate(names_of)} for names_of in ids]
    common = [name for name in ids[0] if name in places[1]]
    if not common:
        raise InputError("the two studies have no image in common, so there are no pairs to compare")
    rows = [[place[name] for name in common] for place in places]
    lines = []
    for column in ["correct", *(f"{reading}_{name}" for reading in READINGS for name in ("count", "size", *MEASURES))]:
        values = [_values(table, column)[picked] for table, picked in zip((first, second), rows, strict=True)]
        if not any(np.isnan(value).all() for value in values):
            lines.append(_difference(column, values[0], values[1], confidence, resamples, seed))
    unpaired = len(ids[0]) + len(ids[1]) - 2 * len(common)
    return Comparison(names[0], names[1], tuple(lines), unpaired, confidence)


def _difference(column: str, first: Floats, second: Floats, confidence: float, resamples: int, seed: int) -> Difference:
    both = ~(np.isnan(first) | np.isnan(second))
    first, second = first[both], second[both]
    name = "accuracy" if column == "correct" else column
    if not len(first):
        return Difference(name, 0, *[math.nan] * 6)
    apart = second - first
    low, high = interval(apart, confidence, resamples, seed)
    p_value = _mcnemar(apart) if column == "correct" else _wilcoxon(apart)
    return Difference(
        name, len(apart), float(first.mean()), float(second.mean()), float(apart.mean()), low, high, p_value
    )


def _wilcoxon(apart: Floats) -> float:
    from scipy import stats

    return float(stats.wilcoxon(apart).pvalue) if apart.any() else 1.0


def _mcnemar(apart: Floats) -> float:
    from scipy import stats

    better, worse = int((apart > 0).sum()), int((apart < 0).sum())
    return float(stats.binomtest(better, better + worse).pvalue) if better + worse else 1.0


def _values(rows: "pa.Table", column: str) -> Floats:
    values = [math.nan if value is None else value for value in rows.column(column).to_pylist()]
    return np.array(values, dtype=np.float64)
