"""How the paper's findings are held against what was measured: changes, stability, savings, rank correlations."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Floats
from captum_focalogic.experiments.framework import FEWEST, Finding, Result, students
from captum_focalogic.experiments.published import Published
from captum_focalogic.study.summary import resampled

SMALL = 0.05
"""A change of a measure by less than this counts as none, one by up to twice as much as "a little"."""


LEVEL = 0.05
"""Of all verdicts of a page together: with this probability at most, some finding is confirmed that is none."""

_QUANTILES = (np.arange(10_000) + 0.5) / 10_000


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % confidence interval.

    Attributes
    ----------
    value, low, high : float
        The estimate and its bounds.
    count : int
        Images it is over.
    draws : (D,) float
        What the interval was read off: the resamples' estimates, or quantiles of Student's distribution over seeds.
    seeds : int
        Runs it is the mean of; 1 where the interval is over images.
    """

    value: float
    low: float
    high: float
    count: int
    draws: Floats = field(default_factory=lambda: np.zeros(0), compare=False, repr=False)
    seeds: int = 1

    def __str__(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"

    @property
    def told(self) -> str:
        """With what it is over."""
        return f"{self}, {self.count} images{f', {self.seeds} seeds' if self.seeds > 1 else ''}"

    def chance(self, low: float = -math.inf, high: float = math.inf) -> float | None:
        """Two-sided p-value of lying outside of bounds: 0.05 where the 95 % interval just fits between them."""
        if not len(self.draws):
            return None
        beyond = max(int((self.draws <= low).sum()), int((self.draws >= high).sum()))
        return min(1.0, 2 * (beyond + 1) / (len(self.draws) + 1))


ClaimTest = Callable[[str, str, Estimate | None], Finding]
"""What makes a verdict of a claim, a reading of the final states and an estimate."""


def over_seeds(estimates: Sequence[Estimate | None]) -> Estimate | None:
    """The mean of an estimate over seeds, with Student's interval; None unless two seeds have it or more."""
    known = [estimate for estimate in estimates if estimate is not None]
    if len(known) < 2:
        return None
    values = np.array([estimate.value for estimate in known])
    low, high = students(values, (0.025, 0.975))
    count = sum(estimate.count for estimate in known)
    return Estimate(float(values.mean()), low, high, count, students(values, _QUANTILES), len(known))


def by_seed(results: Sequence[Result], estimate: Callable[[Sequence[Result]], Estimate | None]) -> Estimate | None:
    """An estimate from results; where they are of several seeds, its mean over them."""
    seeds = len(results[0].runs)
    if not seeds:
        return estimate(results)
    return over_seeds([estimate([result.runs[seed] for result in results]) for seed in range(seeds)])


def corrected(findings: Sequence[Finding]) -> list[Finding]:
    """Findings that are confirmed all together (Holm 1979): each p-value against the number of tests still to pass.

    Those without a p-value, which are about every single image, are left as they are.
    """
    tested = sorted((finding.chance, place) for place, finding in enumerate(findings) if finding.chance is not None)
    found, reached = list(findings), 0.0
    for passed, (chance, place) in enumerate(tested):
        reached = max(reached, min(1.0, chance * (len(tested) - passed)))
        finding = findings[place]
        verdict = finding.verdict if reached <= LEVEL else "not confirmed"
        found[place] = replace(finding, verdict=verdict, chance=reached)
    return found


def change(first: Result, second: Result, column: str) -> Estimate | None:
    """Mean of second minus first over the images that both have, with a paired bootstrap interval.

    With several seeds it is the mean of their changes. None if the column is defined in both for fewer than
    :data:`FEWEST` images of a seed.
    """
    return by_seed([first, second], lambda pair: _change(pair[0], pair[1], column))


def _change(first: Result, second: Result, column: str) -> Estimate | None:
    return mean_estimate(_differences(first, second, "correct" if column == "accuracy" else column))


def mean_estimate(values: Floats) -> Estimate | None:
    """The mean of values of as many images, with its bootstrap interval; None below :data:`FEWEST`."""
    if len(values) < FEWEST:
        return None
    low, high, draws = resampled(values, confidence=0.95, resamples=10_000, seed=0)
    return Estimate(float(values.mean()), low, high, len(values), draws)


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


def about(source: str, findings: Iterable[Finding]) -> list[Finding]:
    """Findings that are about one of the paper's."""
    return [replace(finding, source=source) for finding in findings]


def falls(claim: str, reading: str, found: Estimate | None) -> Finding:
    """Confirmed if the whole interval is below 0."""
    return within(claim, reading, found, high=0)


def rises(claim: str, reading: str, found: Estimate | None) -> Finding:
    """Confirmed if the whole interval is above 0."""
    return within(claim, reading, found, low=0)


def falls_a_little(claim: str, reading: str, found: Estimate | None) -> Finding:
    """Confirmed if the whole interval is below 0 and above -2 x :data:`SMALL`."""
    return within(claim, reading, found, -2 * SMALL, 0)


def stays(claim: str, reading: str, found: Estimate | None) -> Finding:
    """Confirmed if the whole interval lies within :data:`SMALL` of 0: an equivalence test, not a failed difference."""
    return within(claim, reading, found, -SMALL, SMALL)


def within(claim: str, reading: str, found: Estimate | None, low: float = -math.inf, high: float = math.inf) -> Finding:
    """Confirmed if the whole interval lies between bounds."""
    holds = found is not None and low < found.low <= found.high < high
    return _decided(claim, reading, found, holds, None if found is None else found.chance(low, high))


def untestable(claim: str, reading: str, why: str) -> Finding:
    """A finding that this run cannot say anything about."""
    return Finding(claim, reading, "not testable here", why)


def _decided(claim: str, reading: str, found: Estimate | None, holds: bool, chance: float | None) -> Finding:
    if found is None or math.isnan(found.low) or math.isnan(found.high):
        return untestable(claim, reading, f"defined for fewer than {FEWEST} images")
    return Finding(claim, reading, "confirmed" if holds else "not confirmed", found.told, chance)


def stays_under_all(claim: str, reading: str, changes: Mapping[str, Estimate | None]) -> Finding:
    """Confirmed if a measure stays under every condition that could be tested; see :func:`holds_for_all`."""
    return holds_for_all(claim, reading, changes, stays, "stays under")


def holds_for_all(
    claim: str,
    reading: str,
    changes: Mapping[str, Estimate | None],
    test: ClaimTest,
    holds: str = "holds against",
) -> Finding:
    """Confirmed if a test passes under every condition that could be tested; the evidence says under which it does.

    Parameters
    ----------
    claim, reading : str
        See :class:`~captum_focalogic.experiments.findings.Finding`.
    changes : mapping of str to Estimate
        The change by condition; None where too few images define it.
    test : callable
        Of one change, such as :func:`stays`.
    holds : str
        What the evidence says of the conditions that pass.
    """
    found = {name: test(claim, reading, change) for name, change in changes.items()}
    tested = [name for name, finding in found.items() if finding.verdict != "not testable here"]
    if not tested:
        why = next((finding.evidence for finding in found.values()), "there is nothing to compare with")
        return untestable(claim, reading, why)
    held = [name for name in tested if found[name].verdict == "confirmed"]
    parts = [f"{holds} {len(held)} of {len(tested)}{_names(held)}"]
    parts += [f"{name} {changes[name]}" for name in tested if name not in held]
    parts += [f"{name}: {finding.evidence}" for name, finding in found.items() if name not in tested]
    chances = [found[name].chance for name in tested]
    # all have to pass, so that the least certain decides
    chance = max((each for each in chances if each is not None), default=None)
    return Finding(claim, reading, "confirmed" if held == tested else "not confirmed", "; ".join(parts), chance)


def moves(claim: str, reading: str, found: Estimate | None) -> Finding:
    """Confirmed if the whole interval lies beyond :data:`~.findings.SMALL`, on either side."""
    holds = found is not None and (found.low >= SMALL or found.high <= -SMALL)
    sides = [] if found is None else [found.chance(low=SMALL), found.chance(high=-SMALL)]
    return _decided(claim, reading, found, holds, min((each for each in sides if each is not None), default=None))


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
    return mean_estimate(1 - second[some] / first[some])


def saves(claim: str, found: Estimate | None, published: Published) -> Finding:
    """Confirmed if the whole interval of the saved share lies within the published range."""
    holds = found is not None and published.low <= found.low and found.high <= published.high
    chance = None if found is None else found.chance(published.low, published.high)
    return _decided(claim, "", found, holds, chance)


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
    return Estimate(whole, float(low), float(high), images, np.array(draws))


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
