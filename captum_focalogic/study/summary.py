"""What the rows of a study say together: means with confidence intervals, over all images and by group, and paired
differences between two studies of the same images."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Floats
from captum_focalogic.classifier import labels_from
from captum_focalogic.errors import InputError
from captum_focalogic.metrics import DEFAULT_THRESHOLDS, Behaviour, Thresholds, behaviour
from captum_focalogic.search.certificate import READINGS
from captum_focalogic.study.rows import MEASURES
from captum_focalogic.study.store import read_rows
from captum_focalogic.study.tables import Difference, Line, Mean, RunComparison, Summary

if TYPE_CHECKING:
    import pyarrow as pa


GROUPINGS = ("class", "correct", "behaviour")
"""By what the images can be told apart: their class, whether the prediction is right, and the behaviour type."""

_CELLS = 4_000_000
"""Resampled values held at once."""


def summarise(
    rows: "pa.Table",
    by: Sequence[str] = GROUPINGS,
    *,
    class_names: Sequence[str] | str | None = None,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
    confidence: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> Summary:
    """Average the rows of a study.

    Parameters
    ----------
    rows : pyarrow.Table
        What :func:`~captum_focalogic.study.read_rows` gave.
    by : sequence of str
        Groupings, among :data:`GROUPINGS`.
    class_names : sequence of str, or str, optional
        Names of the classes, or the name of such a list, "imagenet".
    thresholds : Thresholds
        For the behaviour of the means.
    confidence : float
        Of the intervals, between 0 and 1.
    resamples : int
        Bootstrap samples.
    seed : int
        Of the resampling: the same rows give the same intervals.

    Raises
    ------
    InputError
        If there is no row, or a grouping is unknown.
    """
    unknown = [name for name in by if name not in GROUPINGS]
    if unknown:
        raise InputError(f"rows are grouped by {', '.join(GROUPINGS)}; got {', '.join(map(repr, unknown))}")
    if not len(rows):
        raise InputError("there is no row to summarise; run the study first")
    class_names = labels_from(class_names)
    columns = {name: _values(rows, name) for name in _averaged()}
    failed = np.array([error is not None for error in rows.column("error").to_pylist()])
    reading = next((name for name in rows.column("reading").to_pylist() if name), "irreducible")
    readings = tuple(name for name in READINGS if not np.isnan(columns[f"{name}_count"]).all())
    kept = [name for name in columns if name.partition("_")[0] not in READINGS or name.partition("_")[0] in readings]
    lines = []
    for grouping, name, chosen in _groups(rows, by, reading, class_names):
        usable = chosen & ~failed
        means = {
            ("accuracy" if column == "correct" else column): mean_of(
                columns[column][usable], _known(rows, column)[usable], confidence, resamples, seed
            )
            for column in kept
        }
        told: dict[str, Behaviour] = {which: _behaviour(means, which, thresholds) for which in readings}
        lines.append(Line(grouping, name, int(chosen.sum()), int((chosen & failed).sum()), means, told))
    return Summary(
        reading=reading,
        readings=readings,
        lines=tuple(lines),
        behaviours={which: _tally(rows, f"{which}_behaviour") for which in readings},
        complete=_tally(rows, "certificate_complete"),
        errors=_tally(rows, "error"),
        confidence=confidence,
    )


def mean_of(
    values: Floats,
    known: NDArray[np.bool_] | None = None,
    confidence: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> Mean:
    """The mean of what is defined among values, with a percentile bootstrap interval.

    Parameters
    ----------
    values : (N,) float
        NaN where undefined.
    known : (N,) bool, optional
        Where there is a value at all, if only an undefined one; everywhere by default.
    confidence, resamples, seed
        Of the interval.
    """
    defined = values[~np.isnan(values)]
    undefined = int(len(values) if known is None else known.sum()) - len(defined)
    if not len(defined):
        return Mean(math.nan, math.nan, math.nan, 0, undefined)
    low, high = interval(defined, confidence, resamples, seed)
    return Mean(float(defined.mean()), low, high, len(defined), undefined)


def interval(values: Floats, confidence: float, resamples: int, seed: int) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of values without NaN; NaN for fewer than two."""
    low, high, _ = resampled(values, confidence, resamples, seed)
    return low, high


def resampled(values: Floats, confidence: float, resamples: int, seed: int) -> tuple[float, float, Floats]:
    """What :func:`interval` gives, and the means of the resamples that it was read off; none for fewer than two."""
    from scipy import stats

    if len(values) < 2:
        return math.nan, math.nan, np.zeros(0)
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=resamples,
        confidence_level=confidence,
        method="percentile",
        batch=max(1, _CELLS // len(values)),
        rng=np.random.default_rng(seed),
    )
    bounds = found.confidence_interval
    return float(bounds.low), float(bounds.high), np.asarray(found.bootstrap_distribution)


def compare_runs(run_a: str | Path, run_b: str | Path, **how: float) -> RunComparison:
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
) -> RunComparison:
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
    RunComparison
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
    for column in ["correct", *_measured()]:
        values = [_values(table, column)[picked] for table, picked in zip((first, second), rows, strict=True)]
        if not any(np.isnan(value).all() for value in values):
            lines.append(_difference(column, values[0], values[1], confidence, resamples, seed))
    unpaired = len(ids[0]) + len(ids[1]) - 2 * len(common)
    return RunComparison(names[0], names[1], tuple(lines), unpaired, confidence)


def _averaged() -> list[str]:
    return ["correct", "probability", "num_regions", "literals", "evaluations", *_measured()]


def _measured() -> list[str]:
    return [f"{reading}_{name}" for reading in READINGS for name in ("count", "size", *MEASURES)]


def _values(rows: "pa.Table", column: str) -> Floats:
    """A column as floats, NaN where it is null or undefined."""
    return np.array(
        [math.nan if value is None else value for value in rows.column(column).to_pylist()], dtype=np.float64
    )


def _known(rows: "pa.Table", column: str) -> NDArray[np.bool_]:
    return ~np.asarray(rows.column(column).is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)


def _groups(
    rows: "pa.Table", by: Sequence[str], reading: str, class_names: Sequence[str] | None
) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    yield "all", "all", np.ones(len(rows), dtype=np.bool_)
    for grouping in by:
        column = {"class": "label", "correct": "correct", "behaviour": f"{reading}_behaviour"}[grouping]
        values = rows.column(column).to_pylist()
        for value in sorted({value for value in values if value is not None}, reverse=grouping == "correct"):
            chosen = np.array([entry is not None and entry == value for entry in values])
            yield grouping, _name(grouping, value, class_names), chosen


def _name(grouping: str, value: Any, class_names: Sequence[str] | None) -> str:
    if grouping == "correct":
        return "correct" if value else "incorrect"
    if grouping == "class" and class_names is not None and 0 <= value < len(class_names):
        return str(class_names[value])
    return f"class {value}" if grouping == "class" else str(value)


def _behaviour(means: Mapping[str, Mean], reading: str, thresholds: Thresholds) -> Behaviour:
    precision, recall, divergence = (means[f"{reading}_{name}"].value for name in MEASURES)
    return behaviour(precision, recall, divergence, thresholds)


def _tally(rows: "pa.Table", column: str) -> dict[str, int]:
    return dict(Counter(value for value in rows.column(column).to_pylist() if value is not None).most_common())


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
