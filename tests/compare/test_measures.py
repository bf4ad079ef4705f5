"""Measures: hand-worked on a model of four cells."""

import math

import numpy as np
import pytest
import sympy
import torch
from tiny_models import LABELS, Rule, rule_decision

from captum_focalogic import FocaLogic
from captum_focalogic.compare import compare
from captum_focalogic.compare.decision import Decision
from captum_focalogic.compare.measures import chosen_regions, curves, f1, jaccard, measure, pointing_game, ranking
from captum_focalogic.compare.method import Attribution, from_regions
from captum_focalogic.ground_truth import GroundTruth

IMAGE = torch.ones(1, 3, 4, 4)
RULE = sympy.sympify("I5 & (I7 | I9)")


@pytest.fixture
def decision() -> Decision:
    return rule_decision()


def of(decision: Decision, *scores: float) -> Attribution:
    """A heat map's answer; columns are -1, 5, 7, 9."""
    return from_regions(decision, np.array(scores))


def measured(decision: Decision, answer: Attribution, area: float = 0.5, **how):
    return measure(decision, answer, evaluations=1, seconds=0.0, area=area, **how)


def test_the_top_regions_cover_at_least_the_area(decision: Decision) -> None:
    answer = of(decision, 0.1, 0.9, 0.5, 0.5)
    assert ranking(answer).tolist() == [1, 2, 3, 0], "ties to the lower column"
    assert chosen_regions(decision, answer, 0.25).tolist() == [False, True, False, False]
    assert chosen_regions(decision, answer, 0.26).tolist() == [False, True, True, False]
    assert chosen_regions(decision, answer, 1.0).all()


@pytest.mark.parametrize(
    ("scores", "sufficient", "minimal", "necessary"),
    [
        ((0, 2, 1, 0), True, True, True),  # 5 and 7: enough, nothing to spare; without 5 it is lost
        ((2, 1, 0, 0), False, False, True),  # -1 and 5
        ((0, 0, 2, 1), False, False, True),  # 7 and 9: without both it is lost
        ((2, 0, 1, 0), False, False, False),  # -1 and 7: 5 and 9 are left
    ],
)
def test_sufficient_minimal_necessary(
    decision: Decision, scores, sufficient: bool, minimal: bool, necessary: bool
) -> None:
    found = measured(decision, of(decision, *scores))
    assert (found.sufficient, found.minimal, found.necessary) == (sufficient, minimal, necessary)
    assert found.area == 0.5
    assert found.explanations == 1


def test_three_regions_are_enough_but_not_minimal(decision: Decision) -> None:
    found = measured(decision, of(decision, 0, 3, 2, 1), area=0.75)
    assert found.sufficient
    assert not found.minimal


def test_curves_by_hand(decision: Decision) -> None:
    # Probabilities: logits (0, 4) where the rule holds, (1, 0) where not.
    yes, no = 1 / (1 + math.exp(-4)), 1 / (1 + math.exp(1))
    insertion, deletion = curves(decision, np.array([1, 2, 3, 0]))
    assert insertion == pytest.approx(0.25 * ((no + no) / 2 + (no + yes) / 2 + yes + yes))
    assert deletion == pytest.approx(0.25 * ((yes + no) / 2 + no + no + no))


def test_against_the_truth(decision: Decision) -> None:
    truth = np.zeros((4, 4), dtype=bool)
    truth[0, :] = True
    found = measured(decision, of(decision, 0, 2, 1, 0), truth=truth)
    assert found.precision == 0.5
    assert found.recall == 1


def test_the_pointing_game(decision: Decision) -> None:
    pytest.importorskip("quantus", reason="the pointing game is Quantus's (the compare extra)")
    truth = np.zeros((4, 4), dtype=bool)
    truth[0, :] = True
    assert measured(decision, of(decision, 0, 2, 1, 0), truth=truth).pointing == 1
    assert measured(decision, of(decision, 0, 1, 0, 2), truth=truth).pointing == 0


def test_pointing_game_without_an_object_is_undefined() -> None:
    assert math.isnan(pointing_game(np.ones((4, 4)), np.zeros((4, 4), bool)))


def test_against_the_rule(decision: Decision) -> None:
    found = measured(decision, of(decision, 3, 2, 1, 0), rule=RULE)
    assert found.rule_f1 == pytest.approx(2 / 3), "three regions named, two of them right"
    assert found.rule_exact == 0
    assert measured(decision, of(decision, 0, 2, 1, 0), rule=sympy.sympify("I5 & I7")).rule_exact == 1


def test_focalogic_is_measured_by_its_smallest_state_and_its_formula(decision: Decision) -> None:
    (focus,) = FocaLogic(Rule()).explain(IMAGE, feature_mask=LABELS[None, None], target=1)
    answer = Attribution(focus.frequencies, decision.spread(focus.frequencies), over_regions=True, focus=focus)
    found = measured(decision, answer, area=0.9, rule=RULE)
    assert (found.sufficient, found.minimal, found.necessary) == (True, True, True)
    assert found.explanations == 2
    assert found.area == 0.5
    assert found.rule_f1 == found.rule_exact == 1


def test_small_things() -> None:
    assert f1({1, 2}, {2, 3}) == 0.5
    assert math.isnan(f1(set(), set()))
    assert jaccard(np.array([True, True, False]), np.array([False, True, True])) == pytest.approx(1 / 3)
    assert jaccard(np.zeros(2, bool), np.zeros(2, bool)) == 1


def test_void_pixels_count_nowhere() -> None:
    truth, void = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    truth[:2, :2] = True
    void[:2, 2:] = True
    how = {"feature_mask": LABELS, "baselines": 0}
    plain, marked = (
        compare(Rule(), IMAGE, ["FocaLogic"], truth=given, **how)["FocaLogic"].measures
        for given in (truth, GroundTruth(truth[None], ("object",), void))
    )
    # FocaLogic chooses 5, the object, and 7, which is void.
    assert (plain.precision, plain.recall) == (0.5, 1.0)
    assert (marked.precision, marked.recall) == (1.0, 1.0)
    all_void = GroundTruth(truth[None], ("object",), np.ones_like(truth))
    assert math.isnan(compare(Rule(), IMAGE, ["FocaLogic"], truth=all_void, **how)["FocaLogic"].measures.precision)
