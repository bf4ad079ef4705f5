"""Precision, recall, divergence, ground truth and behaviour, against hand-worked numbers and plain loops."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs
from hypothesis.extra import numpy as hnp

from captum_focalogic import metrics
from captum_focalogic.errors import InputError

AREAS = np.array([0.1, 0.2, 0.3, 0.4])
STATES = np.array([[1, 1, 0, 0], [1, 0, 1, 0]], dtype=bool)
TRUTH = np.array([1, 1, 0, 0], dtype=bool)


def test_hand_worked_measures():
    # v1 = {0, 1}: all on the object, all of the object. v2 = {0, 2}: 0.1 of 0.4 on it, 0.1 of 0.3 of it.
    assert metrics.focus_precision(STATES, TRUTH, AREAS) == pytest.approx((1 + 0.25) / 2)
    assert metrics.focus_recall(STATES, TRUTH, AREAS) == pytest.approx((1 + 1 / 3) / 2)
    # Region 0 always, region 3 never; regions 1 and 2 in one of two states: variance 1/4.
    assert metrics.focus_divergence(STATES, AREAS) == pytest.approx(0.25 * (0.2 + 0.3))


def test_a_single_state_does_not_diverge():
    assert metrics.focus_divergence(STATES[:1], AREAS) == 0


def test_divergence_reaches_its_bound():
    assert metrics.focus_divergence([[1, 0], [0, 1]], [0.5, 0.5]) == pytest.approx(metrics.MAX_DIVERGENCE)


def test_ones_and_zeros_will_do_and_other_numbers_will_not():
    assert metrics.focus_precision(STATES.astype(int), TRUTH.astype(float), AREAS) == pytest.approx(0.625)
    with pytest.raises(InputError, match="states must be Boolean"):
        metrics.focus_precision([[0, 2, 0, 0]], TRUTH, AREAS)


def test_no_final_state_is_undefined():
    none = np.zeros((0, 4), dtype=bool)
    assert math.isnan(metrics.focus_precision(none, TRUTH, AREAS))
    assert math.isnan(metrics.focus_recall(none, TRUTH, AREAS))
    assert math.isnan(metrics.focus_divergence(none, AREAS))


def test_a_state_without_area_makes_precision_undefined_and_can_be_counted():
    states = np.array([[0, 0, 0, 0], [1, 0, 0, 0]], dtype=bool)
    assert math.isnan(metrics.focus_precision(states, TRUTH, AREAS))
    np.testing.assert_array_equal(metrics.state_precisions(states, TRUTH, AREAS), [np.nan, 1])
    assert metrics.focus_recall(states, TRUTH, AREAS) == pytest.approx((0 + 1 / 3) / 2)


def test_an_object_without_area_makes_recall_undefined_and_precision_zero():
    nothing = np.zeros(4, dtype=bool)
    assert math.isnan(metrics.focus_recall(STATES, nothing, AREAS))
    assert metrics.focus_precision(STATES, nothing, AREAS) == 0


@settings(max_examples=60)
@given(data=hs.data(), num_states=hs.integers(1, 6), num_regions=hs.integers(1, 7))
def test_measures_equal_plain_loops(data, num_states, num_regions):
    states = data.draw(hnp.arrays(np.bool_, (num_states, num_regions)))
    truth = data.draw(hnp.arrays(np.bool_, num_regions))
    weights = data.draw(hnp.arrays(np.int64, num_regions, elements=hs.integers(1, 50)))
    areas = weights / weights.sum()
    precisions, recalls, regions = [], [], range(num_regions)
    for state in states:
        focus = sum(areas[i] for i in regions if state[i])
        both = sum(areas[i] for i in regions if state[i] and truth[i])
        wanted = sum(areas[i] for i in regions if truth[i])
        precisions.append(both / focus if focus else math.nan)
        recalls.append(both / wanted if wanted else math.nan)
    divergence = 0.0
    for i in regions:
        share = sum(bool(state[i]) for state in states) / num_states
        divergence += areas[i] * share * (1 - share)
    given_values = (
        metrics.focus_precision(states, truth, areas),
        metrics.focus_recall(states, truth, areas),
        metrics.focus_divergence(states, areas),
    )
    expected = (sum(precisions) / num_states, sum(recalls) / num_states, divergence)
    assert given_values == pytest.approx(expected, nan_ok=True, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.focus_precision(STATES, TRUTH, AREAS[:3]), "same M"),
        (lambda: metrics.focus_precision(STATES[0], TRUTH, AREAS), "same M"),
        (lambda: metrics.focus_recall(STATES, TRUTH[:2], AREAS), "truth must be"),
        (lambda: metrics.focus_divergence(STATES, AREAS * 100), "sum to 1"),
        (lambda: metrics.focus_divergence(STATES, [0.5, 0.5, 0.5, -0.5]), "not negative"),
        (lambda: metrics.focus_recall(STATES, TRUTH, [0.1, np.nan, 0.3, 0.4]), "finite"),
    ],
)
def test_what_does_not_fit_is_said(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize(
    ("measures", "kind"),
    [
        ((0.9, 0.9, 0.02), "holistic"),
        ((0.9, 0.2, 0.15), "compositional"),
        ((0.9, 0.2, 0.02), "narrow"),
        ((0.2, 0.9, 0.02), "distracted"),
        ((0.2, 0.9, 0.20), "distracted"),
        ((0.2, 0.2, 0.02), "misled"),
        ((0.2, 0.2, 0.20), "misled"),
        ((0.9, 0.9, 0.15), "unclassified"),
        ((0.5, 0.5, 0.099), "holistic"),
        ((math.nan, 0.9, 0.02), "unclassified"),
        ((0.9, math.nan, 0.02), "unclassified"),
        ((0.9, 0.9, math.nan), "unclassified"),
    ],
)
def test_behaviour(measures, kind):
    assert metrics.behaviour(*measures).kind == kind
    assert kind in metrics.BEHAVIOURS


def test_behaviour_follows_and_names_its_thresholds():
    strict = metrics.Thresholds(precision=0.95, recall=0.8, divergence=0.01)
    verdict = metrics.behaviour(0.9, 0.9, 0.02, thresholds=strict)
    assert (verdict.kind, verdict.thresholds) == ("distracted", strict)
    assert str(verdict) == (
        "distracted (precision 0.9 is low, threshold 0.95, recall 0.9 is high, threshold 0.8, "
        "divergence 0.02 is high, threshold 0.01)"
    )
    assert "recall undefined" in str(metrics.behaviour(0.9, math.nan, 0.0))


def test_behaviour_refuses_what_cannot_be():
    with pytest.raises(InputError, match="precision must be between 0 and 1"):
        metrics.behaviour(90, 0.5, 0.1)
    with pytest.raises(InputError, match="divergence must be between"):
        metrics.behaviour(0.9, 0.5, 0.5)
    with pytest.raises(InputError, match="threshold of divergence"):
        metrics.Thresholds(divergence=0.3)


def test_metrics_do_not_load_torch():
    code = "import sys, captum_focalogic.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
