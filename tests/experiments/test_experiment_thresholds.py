"""Rows under another matching rule: against the rows of a study that was really run with that rule."""

import math

import numpy as np
import pytest
from experiment_rows import patch_study, rows_of
from hypothesis import given, settings
from hypothesis import strategies as given_by

from captum_focalogic.errors import InputError
from captum_focalogic.experiments.thresholds import cuts, lost, object_overlaps, rematched
from captum_focalogic.ground_truth import DEFAULT_MATCH, Match
from captum_focalogic.study import same_rows


@pytest.mark.parametrize("reading", ["irreducible", "minimal", "smallest"])
@pytest.mark.parametrize("rule", ["iou:0.3", "iou:0.25", "coverage:1", "coverage:0.2"])
def test_rematched_rows_are_those_of_a_study_with_that_rule(tmp_path, reading, rule):
    usual = patch_study(tmp_path / "usual", DEFAULT_MATCH, reading)
    other = patch_study(tmp_path / "other", Match.from_text(rule), reading)
    assert same_rows(rematched(usual, Match.from_text(rule)), other)
    assert same_rows(rematched(other, DEFAULT_MATCH), usual)


def test_the_rule_matters_in_these_studies(tmp_path):
    usual = patch_study(tmp_path / "usual", DEFAULT_MATCH, "irreducible")
    assert not same_rows(rematched(usual, Match("iou", 0.9)), usual)


def test_precision_and_recall_by_hand():
    # Three regions of areas 0.5, 0.25, 0.25; final states {first}, {second, third}.
    rows = rows_of(iou=[0.75, 0.6, 0.1], coverage=[1.0, 0.9, 0.2], areas=[0.5, 0.25, 0.25], states=[0b001, 0b110])
    (row,) = rematched(rows, Match("iou", 0.7)).to_pylist()
    assert row["truth_regions"] == [1]
    assert row["truth_area"] == 0.5
    assert row["irreducible_precision"] == 0.5  # 1 and 0
    assert row["irreducible_recall"] == 0.5
    assert (row["smallest_precision"], row["smallest_recall"]) == (1.0, 1.0)
    (row,) = rematched(rows, Match("iou", 0.5)).to_pylist()
    assert row["truth_regions"] == [1, 2]
    assert row["irreducible_precision"] == 0.75  # 1 and one half
    assert row["irreducible_recall"] == pytest.approx(0.5)  # two thirds and one third
    assert row["smallest_recall"] == pytest.approx(2 / 3)


def test_without_a_match_recall_is_undefined_and_counted():
    rows = rows_of(iou=[0.75, 0.6, 0.1], coverage=[1.0, 0.9, 0.2], areas=[0.5, 0.25, 0.25], states=[0b001])
    again = rematched(rows, Match("iou", 0.9))
    (row,) = again.to_pylist()
    assert row["irreducible_precision"] == 0
    assert math.isnan(row["irreducible_recall"])
    assert lost(again) == 1
    assert lost(rows) == 0


def test_images_without_truth_are_left_alone():
    rows = rows_of(iou=None, coverage=None, areas=[0.5, 0.25, 0.25], states=[0b001])
    assert same_rows(rematched(rows, Match("iou", 0.7)), rows)
    assert math.isnan(lost(rows))
    assert len(object_overlaps(rows)) == 0


def test_overlaps_of_regions_on_the_object():
    rows = rows_of(iou=[0.75, 0.6, 0.1], coverage=[0.5, 0.9, 0.49], areas=[0.5, 0.25, 0.25], states=[0b001])
    assert object_overlaps(rows).tolist() == [0.6, 0.75]
    assert object_overlaps(rows, 0.9).tolist() == [0.6]


@settings(max_examples=60, deadline=None)
@given(given_by.lists(given_by.integers(0, 31), min_size=0, max_size=8, unique=True))
def test_cuts_against_sets(codes):
    states = np.array([[code >> bit & 1 for bit in range(5)] for code in codes], dtype=bool).reshape(-1, 5)
    sets = [frozenset(np.flatnonzero(state).tolist()) for state in states]
    found = {
        name: {frozenset(np.flatnonzero(row).tolist()) for row in rows}
        for name, rows in cuts(states, "irreducible").items()
    }
    assert found["irreducible"] == set(sets)
    assert found["minimal"] == {one for one in sets if not any(other < one for other in sets)}
    assert found["smallest"] == {one for one in sets if len(one) == min(map(len, sets))}


def test_cuts_of_other_readings():
    states = np.eye(3, dtype=bool)
    assert set(cuts(states, "minimal")) == {"minimal", "smallest"}
    assert set(cuts(states, "smallest")) == {"smallest"}
    with pytest.raises(InputError, match="reading"):
        cuts(states, "largest")
