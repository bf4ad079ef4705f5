"""Precision, recall and divergence of a focus, its ground truth, and what they say about a model (paper 3.4 and 3.5).

Pure functions over arrays: states (S, M) bool, one row per final state and one column per region, and areas (M,),
the share of the image in each region. The three measures are about the final states themselves, never about the terms
that are left after absorption.

A value that is not defined is NaN, never 0 and never left out: a mean over states with an undefined term is NaN too.
:func:`state_precisions` and :func:`state_recalls` tell which states were undefined, so that whoever averages over a
data set can count and report them.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from captum_focalogic.arrays import Bools, Floats
from captum_focalogic.errors import InputError

BehaviourKind = Literal["holistic", "compositional", "narrow", "distracted", "misled", "unclassified"]
BEHAVIOURS: tuple[BehaviourKind, ...] = get_args(BehaviourKind)

MAX_DIVERGENCE = 0.25
"""Largest divergence there is: half of the final states keep each region."""

_ROUNDING = 1e-6


def focus_precision(states: ArrayLike, truth: ArrayLike, areas: ArrayLike) -> float:
    """Share of a focus that lies on the ground truth: mean over v of a(v and g) / a(v) (paper section 3.4).

    Parameters
    ----------
    states : (S, M) bool
        Final states; True where a region is kept.
    truth : (M,) bool
        Which regions belong to the object (see :func:`~captum_focalogic.ground_truth.match_regions`).
    areas : (M,) float
        Area of each region, in any unit.

    Returns
    -------
    float
        In [0, 1]; NaN if there is no final state, or if one of them has no area (the empty state).

    Raises
    ------
    InputError
        If the shapes do not agree or an area is negative or not finite.
    """
    return _mean(state_precisions(states, truth, areas))


def focus_recall(states: ArrayLike, truth: ArrayLike, areas: ArrayLike) -> float:
    """Share of the ground truth that a focus covers: mean over v of a(v and g) / a(g) (paper section 3.4).

    Parameters
    ----------
    states : (S, M) bool
        Final states; True where a region is kept.
    truth : (M,) bool
        Which regions belong to the object.
    areas : (M,) float
        Area of each region, in any unit.

    Returns
    -------
    float
        In [0, 1]; NaN if there is no final state, or if the ground truth has no area.

    Raises
    ------
    InputError
        If the shapes do not agree or an area is negative or not finite.
    """
    return _mean(state_recalls(states, truth, areas))


def focus_divergence(states: ArrayLike, areas: ArrayLike) -> float:
    """How much the final states differ: sum over regions of a_i Var_v(v_i), population variance (paper section 3.4).

    Parameters
    ----------
    states : (S, M) bool
        Final states; True where a region is kept.
    areas : (M,) float
        Share of the image in each region; sums to 1.

    Returns
    -------
    float
        In [0, 0.25]; 0 for a single final state, NaN for none.

    Raises
    ------
    InputError
        If the shapes do not agree, an area is negative or not finite, or the areas do not sum to 1.
    """
    kept, shares = _states_and_areas(states, areas)
    if abs(shares.sum() - 1) > _ROUNDING:
        raise InputError(f"areas must be shares of the image that sum to 1; they sum to {shares.sum():.6g}")
    if not len(kept):
        return math.nan
    return float(shares @ kept.var(axis=0))


def state_precisions(states: ArrayLike, truth: ArrayLike, areas: ArrayLike) -> Floats:
    """Precision of each final state, (S,); NaN where a state has no area. Parameters as :func:`focus_precision`."""
    kept, shares = _states_and_areas(states, areas)
    object_shares = shares * _truth(truth, len(shares))
    return _ratio(kept @ object_shares, kept @ shares)


def state_recalls(states: ArrayLike, truth: ArrayLike, areas: ArrayLike) -> Floats:
    """Recall of each final state, (S,); NaN if the ground truth has no area. Parameters as :func:`focus_recall`."""
    kept, shares = _states_and_areas(states, areas)
    object_shares = shares * _truth(truth, len(shares))
    return _ratio(kept @ object_shares, np.full(len(kept), object_shares.sum()))


def _ranges(precision: float, recall: float, divergence: float) -> tuple[tuple[str, float, float], ...]:
    return ("precision", precision, 1.0), ("recall", recall, 1.0), ("divergence", divergence, MAX_DIVERGENCE)


@dataclass(frozen=True)
class Thresholds:
    """From where on a measure counts as high. The paper names the behaviours but gives no numbers.

    Attributes
    ----------
    precision : float, default 0.5
        High: at least half of the focus lies on the object.
    recall : float, default 0.5
        High: the focus covers at least half of the object.
    divergence : float, default 0.1
        High: final states differ over a part of the image that weighs 0.1, of 0.25 at most. The paper's well
        behaved models have 0.04 to 0.08 (its Table 3).

    Raises
    ------
    InputError
        If a threshold is out of the range of its measure.
    """

    precision: float = 0.5
    recall: float = 0.5
    divergence: float = 0.1

    def __post_init__(self) -> None:
        for name, value, most in _ranges(self.precision, self.recall, self.divergence):
            if not 0 <= value <= most:
                raise InputError(f"the threshold of {name} must be between 0 and {most:g}; got {value}")


DEFAULT_THRESHOLDS = Thresholds()


@dataclass(frozen=True)
class Behaviour:
    """What the measures say about how a model looks, and by which thresholds.

    Attributes
    ----------
    kind : str
        One of :data:`BEHAVIOURS`.
    precision, recall, divergence : float
        The measures that were judged; NaN where undefined.
    thresholds : Thresholds
        The limits between low and high that were used.
    """

    kind: BehaviourKind
    precision: float
    recall: float
    divergence: float
    thresholds: Thresholds

    def __str__(self) -> str:
        limits = self.thresholds
        said = ", ".join(
            _level(name, value, limit)
            for (name, value, _), limit in zip(
                _ranges(self.precision, self.recall, self.divergence),
                (limits.precision, limits.recall, limits.divergence),
                strict=True,
            )
        )
        return f"{self.kind} ({said})"


def behaviour(
    precision: float, recall: float, divergence: float, thresholds: Thresholds = DEFAULT_THRESHOLDS
) -> Behaviour:
    """Name the behaviour behind three measures, of one image or averaged over many (paper section 3.5).

    ============== ========= ====== ==========
    behaviour      precision recall divergence
    ============== ========= ====== ==========
    holistic       high      high   low
    compositional  high      low    high
    narrow         high      low    low
    distracted     low       high   any
    misled         low       low    any
    ============== ========= ====== ==========

    The table reads the paper's five types off what each measure means: *holistic* uses the whole object at once;
    *compositional* can do with different parts of it; *narrow* always needs the same part; *distracted* sees the object
    but leans on its surroundings too; *misled* looks elsewhere. High precision, recall and divergence together are
    none of these, and like anything undefined (NaN) "unclassified".

    Parameters
    ----------
    precision, recall : float
        In [0, 1], or NaN.
    divergence : float
        In [0, 0.25], or NaN.
    thresholds : Thresholds
        A measure is high from its threshold on.

    Returns
    -------
    Behaviour

    Raises
    ------
    InputError
        If a measure is out of its range.
    """
    for name, value, most in _ranges(precision, recall, divergence):
        if not (math.isnan(value) or -_ROUNDING <= value <= most + _ROUNDING):
            raise InputError(f"{name} must be between 0 and {most:g}, or NaN where undefined; got {value}")
    return Behaviour(_kind(precision, recall, divergence, thresholds), precision, recall, divergence, thresholds)


def _kind(precision: float, recall: float, divergence: float, thresholds: Thresholds) -> BehaviourKind:
    if math.isnan(precision) or math.isnan(recall) or math.isnan(divergence):
        return "unclassified"
    covers = recall >= thresholds.recall
    differs = divergence >= thresholds.divergence
    if precision < thresholds.precision:
        return "distracted" if covers else "misled"
    if covers:
        return "unclassified" if differs else "holistic"
    return "compositional" if differs else "narrow"


def _level(name: str, value: float, limit: float) -> str:
    if math.isnan(value):
        return f"{name} undefined"
    return f"{name} {value:.3g} is {'high' if value >= limit else 'low'}, threshold {limit:g}"


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan


def _ratio(part: Floats, whole: Floats) -> Floats:
    ratio: Floats = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return ratio


def _booleans(values: ArrayLike, name: str) -> Bools:
    array = np.asarray(values)
    if array.dtype != np.bool_ and not np.isin(array, (0, 1)).all():
        raise InputError(f"{name} must be Boolean (or 0 and 1); got other values of type {array.dtype}")
    return array.astype(np.bool_)


def _states_and_areas(states: ArrayLike, areas: ArrayLike) -> tuple[Bools, Floats]:
    kept, shares = _booleans(states, "states"), np.asarray(areas, dtype=np.float64)
    if shares.ndim != 1 or kept.ndim != 2 or kept.shape[1] != len(shares):
        raise InputError(f"states must be (S, M) and areas (M,) with the same M; got {kept.shape} and {shares.shape}")
    if not (np.isfinite(shares).all() and (shares >= 0).all()):
        raise InputError(f"areas must be finite and not negative; got {shares}")
    return kept, shares


def _truth(truth: ArrayLike, num_regions: int) -> Bools:
    regions = _booleans(truth, "truth")
    if regions.shape != (num_regions,):
        raise InputError(f"truth must be ({num_regions},), one value per region; got {regions.shape}")
    return regions
