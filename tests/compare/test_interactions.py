"""AND-OR interactions: they add up to the scores, and find the terms that made them."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs
from hypothesis.extra.numpy import arrays

from captum_focalogic.compare.interactions import interactions
from captum_focalogic.errors import InputError


def added_up(found, count: int) -> np.ndarray:
    """The definition, state by state and set by set."""
    total = np.zeros(2**count)
    for state, members in itertools.product(range(2**count), repeat=2):
        if members & ~state == 0:
            total[state] += found.and_effects[members]
        if members & state:
            total[state] += found.or_effects[members]
    return total


@settings(max_examples=30, deadline=None)
@given(hs.integers(0, 4).flatmap(lambda m: arrays(np.float64, 2**m, elements=hs.floats(-20, 20))))
def test_the_effects_add_up_to_every_score(table: np.ndarray) -> None:
    found = interactions(table, steps=20)
    count = len(table).bit_length() - 1
    assert added_up(found, count) == pytest.approx(table, abs=1e-8)
    assert found.scores() == pytest.approx(table, abs=1e-8)


def test_a_conjunction_and_a_disjunction_are_two_effects() -> None:
    # 5 where columns 0 and 1 are kept, 3 where any of 2 and 3 is, 1 always.
    states = np.arange(16)
    table = 1 + 5.0 * (states & 3 == 3) + 3.0 * (states & 12 != 0)
    found = interactions(table, steps=3000)
    assert found.and_effects[0] == pytest.approx(1, abs=0.2)
    assert found.and_effects[3] == pytest.approx(5, abs=0.2)
    assert found.or_effects[12] == pytest.approx(3, abs=0.2)
    rest = np.abs(np.concatenate([np.delete(found.and_effects, [0, 3]), np.delete(found.or_effects, 12)]))
    assert rest.max() < 0.25


def test_halves_without_minimisation() -> None:
    # One region worth 2: an AND and an OR of one region are the same, and share it.
    found = interactions(np.array([0.0, 2.0]), steps=0)
    assert found.and_effects.tolist() == [0, 1]
    assert found.or_effects.tolist() == [0, 1]


@pytest.mark.parametrize("table", [np.zeros(3), np.zeros((2, 2)), np.zeros(0)])
def test_other_tables_are_refused(table: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"2\^M"):
        interactions(table)
