"""States as integers and back, absorbed and counted as the definitions say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import matrix

from captum_focalogic.errors import InputError
from captum_focalogic.logic import terms as tm

drawn_terms = st.lists(st.integers(0, 2**7 - 1), max_size=12).map(tuple)


@given(drawn_terms)
@settings(max_examples=150, deadline=None)
def test_terms_are_the_states_they_came_from(terms):
    states = tm.to_states(terms, 7)
    assert states.shape == (len(terms), 7)
    assert [np.flatnonzero(state).tolist() for state in states] == [tm.columns_of(term) for term in terms]
    assert tm.to_terms(states) == terms


@given(drawn_terms)
@settings(max_examples=150, deadline=None)
def test_what_is_absorbed_contains_another(terms):
    kept = {term for term in terms if not any(other & term == other and other != term for other in terms)}
    assert tm.absorb_terms(terms) == tuple(sorted(kept, key=tm.term_order))


@given(drawn_terms)
@settings(max_examples=150, deadline=None)
def test_columns_are_counted(terms):
    counts = {column: sum(term >> column & 1 for term in terms) for column in range(7)}
    found = {c: sum((plane >> c & 1) << k for k, plane in enumerate(tm.count_planes(terms))) for c in range(7)}
    assert found == counts
    shared = [column for column in counts if counts[column] > 1]
    assert tm.shared_columns(terms) == sorted(shared, key=lambda column: (-counts[column], column))
    if any(counts.values()):
        assert tm.most_shared(terms) == max(counts, key=lambda column: (counts[column], -column))


def test_more_columns_than_a_machine_word():
    states = matrix([[0, 70, 195], [195]], 196)
    terms = tm.to_terms(states)
    assert tm.columns_of(tm.union(terms)) == [0, 70, 195]
    assert tm.columns_of(tm.intersection(terms)) == [195]
    assert (tm.to_states(terms, 196) == states).all()
    assert tm.absorb(states).tolist() == states[1:].tolist()


@pytest.mark.parametrize(
    ("states", "ids", "message"),
    [
        ([1, 0], None, r"shape \(2,\)"),
        ([[2, 0]], None, "other than 0 and 1"),
        ([[1, 0]], [1], r"expected \(2,\)"),
        ([[1, 0]], [0.5, 1], "expected integers"),
        ([[1, 0]], [3, 3], "same id twice"),
    ],
)
def test_what_is_no_states_is_refused(states, ids, message):
    with pytest.raises(InputError, match=message):
        tm.as_region_ids(ids, tm.as_states(states).shape[1])
