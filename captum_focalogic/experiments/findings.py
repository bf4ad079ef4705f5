"""How the paper's findings are held against what was measured: changes, stability, savings, rank correlations."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Floats
from captum_focalogic.experiments.framework import FEWEST, Finding, Result
from captum_focalogic.experiments.published import Published
from captum_focalogic.study import mean_of
from captum_focalogic.study.summary import interval

SMALL = 0.05
"""A change of a measure by less than this counts as none, one by up to twice as much as "a little"."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % confidence interval.

    Attributes
    ----------
    value, low, high : float
        The estimate and its bounds.
    count : int
        Images it is over.
    """

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def change(first: Result, second: Result, column: str) -> Estimate | None:
    """Mean of second minus first over the images that both have, with a paired bootstrap interval.

    None if the column is defined in both for fewer than :data:`FEWEST` images.
    """
    apart = _differences(first, second, "correct" if column == "accuracy" else column)
    if len(apart) < FEWEST:
        return None
    low, high = interval(apart, confidence=0.95, resamples=10_000, seed=0)
    return Estimate(float(apart.mean()), low, high, len(apart))


def _differences(first: Result, second: Result, column: str) -> NDArray[np.float64]:
    """Second minus first of the images that have the column in both; without the tests that a comparison also makes."""
    one, other = (
        dict(zip(result.rows.column("id").to_pylist(), result.rows.column(column).to_pylist(), strict=True))
        for result in (first, second)
    )
    pairs = [(one[name], other[name]) for name in one if name in other]
    values = np.array([pair for pair in pairs if None not in pair], dtype=np.float64).reshape(-1, 2)
    apart = values[:, 1] - values[:, 0]
    return np.asarray(apart[~np.isnan(apart)])


def falls(claim: str, reading: str, found: Estimate | None) -> Finding:
    """Confirmed if the whole interval is below 0."""
    return _decided(claim, reading, found, found is not None and found.high < 0)


def rises(claim: str, reading: str, found: Estimate | None) -> Finding:
    """Confirmed if the whole interval is above 0."""
    return _decided(claim, reading, found, found is not None and found.low > 0)


def falls_a_little(claim: str, reading: str, found: Estimate | None) -> Finding:
    """Confirmed if the whole interval is below 0 and above -2 x :data:`SMALL`."""
    return _decided(claim, reading, found, found is not None and -2 * SMALL < found.low <= found.high < 0)


def stays(claim: str, reading: str, found: Estimate | None) -> Finding:
    """Confirmed if the whole interval lies within :data:`SMALL` of 0: an equivalence test, not a failed difference."""
    return _decided(claim, reading, found, found is not None and -SMALL < found.low <= found.high < SMALL)


def untestable(claim: str, reading: str, why: str) -> Finding:
    """A finding that this run cannot say anything about."""
    return Finding(claim, reading, "not testable here", why)


def _decided(claim: str, reading: str, found: Estimate | None, holds: bool) -> Finding:
    if found is None or math.isnan(found.low) or math.isnan(found.high):
        return untestable(claim, reading, f"defined for fewer than {FEWEST} images")
    return Finding(claim, reading, "confirmed" if holds else "not confirmed", f"{found}, {found.count} images")


def stays_under_all(claim: str, reading: str, changes: Mapping[str, Estimate | None]) -> Finding:
    """Confirmed if a measure stays under every condition that could be tested; the evidence says under which it does.

    Parameters
    ----------
    claim, reading : str
        See :class:`~captum_focalogic.experiments.findings.Finding`.
    changes : mapping of str to Estimate
        The change by condition; None where too few images define it.
    """
    found = {name: stays(claim, reading, change) for name, change in changes.items()}
    tested = [name for name, finding in found.items() if finding.verdict != "not testable here"]
    if not tested:
        why = next((finding.evidence for finding in found.values()), "there is nothing to compare with")
        return untestable(claim, reading, why)
    held = [name for name in tested if found[name].verdict == "confirmed"]
    parts = [f"stays under {len(held)} of {len(tested)}{_names(held)}"]
    parts += [f"{name} {changes[name]}" for name in tested if name not in held]
    parts += [f"{name}: {finding.evidence}" for name, finding in found.items() if name not in tested]
    return Finding(claim, reading, "confirmed" if held == tested else "not confirmed", "; ".join(parts))


def moves(claim: str, reading: str, found: Estimate | None) -> Finding:
    """Confirmed if the whole interval lies beyond :data:`~.findings.SMALL`, on either side."""
    if found is None or math.isnan(found.low):
        return untestable(claim, reading, f"defined for fewer than {FEWEST} images")
    holds = found.low >= SMALL or found.high <= -SMALL
    return Finding(claim, reading, "confirmed" if holds else "not confirmed", f"{found}, {found.count} images")


def _names(names: Sequence[str]) -> str:
    return f" ({', '.join(names)})" if names else ""


def saved(before: NDArray[np.generic], after: NDArray[np.generic]) -> Estimate | None:
    """Mean share that is saved of something, with its bootstrap interval; None for too few images to say.

    Parameters
    ----------
    before, after : (N,)
        What it is, image by image; images of which there is nothing before are left out.
    """
    first, second = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    some = first > 0
    mean = mean_of(1 - second[some] / first[some])
    return None if mean.count < FEWEST else Estimate(mean.value, mean.low, mean.high, mean.count)


def saves(claim: str, found: Estimate | None, published: Published) -> Finding:
    """Confirmed if the whole interval of the saved share lies within the published range."""
    if found is None or math.isnan(found.low):
        return untestable(claim, "", f"counted on fewer than {FEWEST} images")
    holds = published.low <= found.low and found.high <= published.high
    return Finding(claim, "", "confirmed" if holds else "not confirmed", f"{found}, {found.count} images")


FEWEST_MODELS = 3
"""Models below which there is no order to speak of."""


def rank_correlation(first: Floats, second: Floats) -> float:
    """Spearman's correlation of two lists; ties share their mean rank, and a list of equal values goes with nothing: 0.

    Parameters
    ----------
    first, second : (K,) float
    """
    from scipy.stats import rankdata

    ranks = [rankdata(values) for values in (first, second)]
    apart = [values - values.mean() for values in ranks]
    length = float(np.sqrt((apart[0] ** 2).sum() * (apart[1] ** 2).sum()))
    return float((apart[0] * apart[1]).sum()) / length if length else 0.0


def accuracy_correlation(
    right: NDArray[np.bool_],
    values: Floats,
    confidence: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> Estimate | None:
    """Rank correlation, over models, of accuracy with the mean of a measure; its interval is a bootstrap over images.

    Every resample takes the same images for all models, so that images which are easy for all move them together. How
    much the answer would differ with other models, the interval does not say.

    Parameters
    ----------
    right : (K, N) bool
        Whether model k is right about image n.
    values : (K, N) float
        The measure, NaN where it is not defined.
    confidence, resamples, seed
        Of the interval.

    Returns
    -------
    Estimate or None
        None for fewer than :data:`FEWEST_MODELS` models, or if some model has the measure on fewer than
        :data:`~captum_focalogic.experiments.framework.FEWEST` images.
    """
    models, images = values.shape
    defined = ~np.isnan(values)
    if models < FEWEST_MODELS or defined.sum(axis=1).min() < FEWEST:
        return None
    known = np.where(defined, values, 0.0)
    rng = np.random.default_rng(seed)

    def correlation(times: NDArray[Any]) -> float:
        with np.errstate(invalid="ignore"):
            means = (known @ times) / (defined @ times)
        # a resample without a value for some model says nothing about its rank
        return 0.0 if np.isnan(means).any() else rank_correlation(right @ times, means)

    even = np.full(images, 1 / images)
    draws = [correlation(rng.multinomial(images, even)) for _ in range(resamples)]
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    whole = correlation(np.ones(images))
    return Estimate(whole, float(low), float(high), images)


def chance_of_order(first: Floats, second: Floats) -> float:
    """Share of the orders of the models in which the two lists would correlate as much, or more: a one-sided p-value.

    Exact for up to 7 models, from 5,000 random orders beyond.
    """
    observed = rank_correlation(first, second)
    rng = np.random.default_rng(0)
    orders = permutations(first) if len(first) <= 7 else (rng.permutation(first) for _ in range(5_000))
    # sums of the same ranks in another order may differ in their last bit
    as_much = [rank_correlation(np.array(order), second) >= observed - 1e-9 for order in orders]
    return float(np.mean(as_much))


def matrices(results: Sequence[Result], column: str) -> tuple[NDArray[np.bool_], Floats]:
    """What :func:`accuracy_correlation` takes, over the images that all models could be asked about, matched by id.

    Images of unknown class are left out: nobody can be right about them.
    """
    told = []
    for result in results:
        names = ("id", "correct", column)
        ids, right, values = (result.rows.column(name).to_pylist() for name in names)
        lines = zip(ids, right, values, strict=True)
        told.append(
            {name: (known, np.nan if value is None else value) for name, known, value in lines if known is not None}
        )
    common = [name for name in told[0] if all(name in lines for lines in told)]
    right = np.array([[lines[name][0] for name in common] for lines in told], dtype=np.bool_)
    values = np.array([[np.nan if lines[name][1] is None else lines[name][1] for name in common] for lines in told])
    return right, values
