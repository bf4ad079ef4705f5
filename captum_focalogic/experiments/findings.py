"""What the paper found, held against what was measured: confirmed, not confirmed, or not testable."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.experiments.arms import Result
from captum_focalogic.study.summary import interval

Verdict = Literal["confirmed", "not confirmed", "not testable here"]

SMALL = 0.05
"""A change of a measure by less than this counts as none, one by up to twice as much as "a little"."""

FEWEST = 10
"""Images below which an interval of a mean says too little to decide anything."""


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


@dataclass(frozen=True)
class Finding:
    """A qualitative finding of the paper, and what became of it.

    Attributes
    ----------
    claim : str
        What the paper found.
    reading : str
        Of the final states; empty if the finding is not about them.
    verdict : str
        What was found here.
    evidence : str
        The number with its interval, or why it could not be tested.
    """

    claim: str
    reading: str
    verdict: Verdict
    evidence: str


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
