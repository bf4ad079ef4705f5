"""The oracle of this suite against numbers worked out by hand."""

import torch
from weighing import FEATURE_ABLATION, FOCALOGIC, Question, four_scalars, scalars, shares


def test_shares_of_hand_worked_states() -> None:
    expected = FOCALOGIC.expected(four_scalars())[0]
    assert expected.tolist() == [[1.0, 0.5, 0.5, 0.0], [1.0, 0.0, 1.0, 0.0]]


def test_drops_of_hand_worked_sums() -> None:
    assert FEATURE_ABLATION.expected(four_scalars())[0].tolist() == [[5.0, 3.0, 2.0, 1.0], [5.0, 0.0, 4.0, 1.0]]


def test_states_with_nothing_to_spare_are_final() -> None:
    # {0, 1, 2} can spare 2 or 0, and neither {0, 1} nor {1, 2} can spare anything more.
    valid = {frozenset({0, 1, 2}), frozenset({0, 1}), frozenset({1, 2})}
    assert shares(range(3), valid.__contains__) == {0: 0.5, 1: 1.0, 2: 0.5}


def test_only_the_smallest_states_count() -> None:
    # {0, 1, 2} has no valid child, and yet {0} is smaller.
    valid = {frozenset(state) for state in [{0, 1, 2, 3}, {0, 1, 2}, {0, 1, 3}, {0, 3}, {0}]}
    assert shares(range(4), valid.__contains__) == {0: 1.0, 1: 0.0, 2: 0.0, 3: 0.0}


def test_states_that_no_valid_deletions_lead_to_count_too() -> None:
    valid = {frozenset({0, 1, 2}), frozenset({2})}
    assert shares(range(3), valid.__contains__) == {0: 0.0, 1: 0.0, 2: 1.0}


def test_nothing_is_shared_by_no_states() -> None:
    assert shares(range(2), lambda kept: False) == {0: 0.0, 1: 0.0}


def test_class_zero_may_need_nothing() -> None:
    inputs = torch.tensor([[0.0, 1.0]])
    question = Question((torch.tensor([1.0, 1.0]),), 3.0, (inputs,), scalars(inputs))
    assert FOCALOGIC.expected(question)[0].tolist() == [[0.0, 0.0]]


def test_a_baseline_can_be_what_counts() -> None:
    # The whole sums to 1, at most 2: class 0. Without region 0 it is 6, with its 5 replaced for 0.
    inputs, baselines = torch.tensor([[0.0, 1.0]]), torch.tensor([[5.0, 0.0]])
    question = Question((torch.ones(2),), 2.0, (inputs,), scalars(inputs), baselines=(baselines,))
    assert FOCALOGIC.expected(question)[0].tolist() == [[1.0, 0.0]]
