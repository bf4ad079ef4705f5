"""The numbers of a comparison: what a method's choice of regions is worth, asked of the model itself."""

import math
from dataclasses import dataclass, fields

import numpy as np
import sympy
from numpy.typing import NDArray
from sympy.logic.boolalg import Boolean

from captum_focalogic.arrays import Bools, Floats
from captum_focalogic.compare.decision import Decision
from captum_focalogic.compare.method import Attribution
from captum_focalogic.focus import Focus
from captum_focalogic.logic import absorb, equivalent, region_id, symbol


@dataclass(frozen=True)
class Measures:
    """What was measured of one method on one image; NaN or None where it does not apply.

    Attributes
    ----------
    evaluations : int
        Rows the model was asked about.
    seconds : float
        Time the method took.
    area : float
        Share of the image in the chosen regions.
    sufficient : bool
        Whether these regions alone keep the prediction.
    minimal : bool
        Whether they are sufficient and none of them can be dropped.
    necessary : bool
        Whether the prediction is lost without them.
    explanations : int
        Distinct sufficient region sets that the method names.
    insertion, deletion : float
        Area under the target's probability while regions are added, or taken away, in the method's order; over the
        share of the image. High and low are good.
    pointing : float
        1 if the highest value lies on the object, else 0 (Quantus).
    precision, recall : float
        Of the chosen regions' area against the object.
    rule_f1 : float
        F1 of the regions against those of the known rule.
    rule_exact : float
        1 if what the method says is equivalent to the known rule, else 0.
    stability : float
        Mean Jaccard index of the chosen regions over seeds.
    """

    evaluations: int
    seconds: float
    area: float
    sufficient: bool
    minimal: bool
    necessary: bool
    explanations: int
    insertion: float
    deletion: float
    pointing: float = math.nan
    precision: float = math.nan
    recall: float = math.nan
    rule_f1: float = math.nan
    rule_exact: float = math.nan
    stability: float = math.nan

    def to_dict(self) -> dict[str, float | bool | int]:
        """Fields by name."""
        return {part.name: getattr(self, part.name) for part in fields(self)}


def chosen_regions(decision: Decision, attribution: Attribution, area: float) -> Bools:
    """The regions a method's numbers are about, (M,).

    FocaLogic's strongest final state, which is one of the smallest; of other methods the highest regions, as many as it
    takes to cover at least ``area``, so that they never have less of the image to themselves.
    """
    if attribution.focus is not None and len(attribution.focus.final_states):
        return strongest_state(attribution.focus)
    order = ranking(attribution)
    covered = np.cumsum(decision.areas[order])
    count = min(len(order), int(np.searchsorted(covered, area - 1e-9)) + 1)
    chosen = np.zeros(decision.num_regions, dtype=np.bool_)
    chosen[order[:count]] = True
    return chosen


def strongest_state(focus: Focus) -> Bools:
    """The final state that people are shown first, (M,); the empty one where there is none."""
    if not len(focus.final_states):
        return np.zeros(focus.num_regions, dtype=np.bool_)
    chosen: Bools = focus.final_states[focus.strongest[0]]
    return chosen


def ranking(attribution: Attribution) -> NDArray[np.int64]:
    """Columns from the highest score to the lowest; ties to the lower column."""
    return np.argsort(-attribution.scores, kind="stable")


def measure(
    decision: Decision,
    attribution: Attribution,
    *,
    evaluations: int,
    seconds: float,
    area: float,
    truth: NDArray[np.bool_] | None = None,
    void: NDArray[np.bool_] | None = None,
    rule: Boolean | None = None,
) -> Measures:
    """Measure what a method says.

    Parameters
    ----------
    decision : Decision
    attribution : Attribution
    evaluations, seconds : int, float
        What it cost.
    area : float
        Share of the image that a heat map's choice must cover at least.
    truth : (H, W) bool, optional
        Where the object is.
    void : (H, W) bool, optional
        Pixels that count nowhere.
    rule : sympy Boolean, optional
        The known rule, over the regions' symbols.
    """
    chosen = chosen_regions(decision, attribution, area)
    with_one_less = np.array([chosen & (np.arange(len(chosen)) != j) for j in np.flatnonzero(chosen)]).reshape(
        -1, len(chosen)
    )
    _, verdicts = decision.ask(np.concatenate([chosen[None], ~chosen[None], with_one_less]))
    sufficient, kept_without = bool(verdicts[0]), bool(verdicts[1])
    insertion, deletion = curves(decision, ranking(attribution))
    precision, recall, pointing = _against_truth(decision, attribution, chosen, truth, void)
    f1, exact = _against_rule(decision, attribution, chosen, rule)
    explanations = 1 if attribution.focus is None else len(attribution.focus.final_states)
    return Measures(
        evaluations=evaluations,
        seconds=seconds,
        area=float(decision.areas[chosen].sum()),
        sufficient=sufficient,
        minimal=sufficient and not bool(verdicts[2:].any()),
        necessary=not kept_without,
        explanations=explanations,
        insertion=insertion,
        deletion=deletion,
        pointing=pointing,
        precision=precision,
        recall=recall,
        rule_f1=f1,
        rule_exact=exact,
    )


def curves(decision: Decision, order: NDArray[np.int64]) -> tuple[float, float]:
    """Areas under the insertion and the deletion curve (Petsiuk et al. 2018), over regions and one baseline.

    Libraries measure them over pixels, each with a baseline of its own.
    """
    count = len(order)
    added = np.zeros((count + 1, count), dtype=np.bool_)
    for step in range(count):
        added[step + 1] = added[step]
        added[step + 1, order[step]] = True
    probability, _ = decision.ask(np.concatenate([added, ~added]))
    share = np.concatenate([[0.0], np.cumsum(decision.areas[order])])
    inserted, deleted = np.split(probability, 2)
    return float(np.trapezoid(inserted, share)), float(np.trapezoid(deleted, share))


def _against_truth(
    decision: Decision, attribution: Attribution, chosen: Bools, truth: Bools | None, void: Bools | None
) -> tuple[float, float, float]:
    if truth is None:
        return math.nan, math.nan, math.nan
    counted = np.ones_like(truth) if void is None else ~void
    pixels, truth = chosen[decision.columns] & counted, truth & counted
    hit = float((pixels & truth).sum())
    return (
        _ratio(hit, pixels.sum()),
        _ratio(hit, truth.sum()),
        pointing_game(np.where(counted, attribution.heat_map, attribution.heat_map.min() - 1), truth),
    )


def pointing_game(heat_map: Floats, truth: NDArray[np.bool_]) -> float:
    """Whether the highest value of a heat map lies on the object (Zhang et al. 2018), by Quantus.

    NaN where Quantus is not installed or the object has no pixel.
    """
    try:
        from quantus.metrics.localisation.pointing_game import PointingGame
    except ImportError:
        return math.nan
    if not truth.any():
        return math.nan
    metric = PointingGame(disable_warnings=True, display_progressbar=False)
    return float(metric.evaluate_batch(a_batch=heat_map[None, None], s_batch=truth[None, None])[0])


def _against_rule(
    decision: Decision, attribution: Attribution, chosen: Bools, rule: Boolean | None
) -> tuple[float, float]:
    if rule is None:
        return math.nan, math.nan
    true = {region_id(part) for part in rule.free_symbols}
    if attribution.focus is not None:
        states = absorb(attribution.focus.final_states)
        named = set(decision.region_ids[states.any(axis=0)].tolist()) if len(states) else set()
        return f1(named, true), float(equivalent(attribution.focus.expression, rule))
    # As many regions as the rule has: what a reader who knew that number would pick.
    named = set(decision.region_ids[ranking(attribution)[: len(true)]].tolist())
    read = sympy.And(*(symbol(region) for region in decision.region_ids[chosen].tolist()))
    return f1(named, true), float(equivalent(read, rule))


def f1(found: set[int], true: set[int]) -> float:
    """Harmonic mean of precision and recall of a set; NaN if both are empty."""
    return _ratio(2 * len(found & true), len(found) + len(true))


def jaccard(one: Bools, other: Bools) -> float:
    """Shared regions as a share of all regions of two sets; 1 for two empty sets."""
    union = int((one | other).sum())
    return 1.0 if not union else int((one & other).sum()) / union


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan
