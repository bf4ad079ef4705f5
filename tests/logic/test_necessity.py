"""Minimal hitting sets against their definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import all_assignments, contains_some, matrix

from captum_focalogic.errors import InputError
from captum_focalogic.logic import TruncatedWarning, necessary_states


@given(
    st.integers(1, 9).flatmap(
        lambda m: st.lists(st.lists(st.booleans(), min_size=m, max_size=m), max_size=10).map(
            lambda rows: np.array(rows, dtype=bool).reshape(-1, m)
        )
    ),
    st.randoms(use_true_random=False),
)
@settings(max_examples=150, deadline=None)
def test_exactly_the_minimal_sets_whose_removal_defeats_every_state(states, rng):
    columns = states.shape[1]
    found = necessary_states(states)
    removals = all_assignments(columns)
    defeats = {tuple(row) for row in removals[~contains_some(~removals, states)]}
    minimal = {
        row
        for row in defeats
        if not any(row[i] and (*row[:i], False, *row[i + 1 :]) in defeats for i in range(columns))
    }
    assert found.shape == (len(minimal), columns)
    assert {tuple(row) for row in found} == minimal
    assert (np.diff(found.sum(axis=1)) >= 0).all()
    shuffled = states[rng.sample(range(len(states)), len(states))]
    assert (necessary_states(shuffled) == found).all()


def test_example_of_the_paper():
    states = matrix([{1, 4}, {1, 2, 3, 5}, {1, 2, 3, 6}], 7)
    expected = matrix([{1}, {2, 4}, {3, 4}, {4, 5, 6}], 7)
    assert (necessary_states(states) == expected).all()


def test_edges():
    assert necessary_states(np.zeros((0, 3), bool)).tolist() == [[False] * 3]
    assert necessary_states(np.zeros((1, 3), bool)).shape == (0, 3)


def test_a_cut_list_says_so_and_holds_the_smallest():
    states = matrix([{0, 1, 2}, {0, 3, 4}, {5, 6, 7}], 8)  # 2 sets of size 2... 15 in all
    everything = necessary_states(states)
    with pytest.warns(TruncatedWarning, match="more than 3 minimal hitting sets"):
        cut = necessary_states(states, limit=3)
    assert (cut.sum(axis=1) == everything.sum(axis=1)[:3]).all()
    assert {tuple(row) for row in cut} <= {tuple(row) for row in everything}
    assert len(necessary_states(states, limit=len(everything))) == len(everything)


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(InputError, match="limit is 0"):
        necessary_states([[True]], limit=0)
