"""Do models that are right more often also have more of something? Ranks of models, uncertainty from images."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.experiments.arms import Result
from captum_focalogic.experiments.findings import FEWEST, Estimate

Floats = NDArray[np.float64]

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


def association(
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
        :data:`~captum_focalogic.experiments.findings.FEWEST` images.
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
    """What :func:`association` takes, over the images that all models could be asked about, matched by id.

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
