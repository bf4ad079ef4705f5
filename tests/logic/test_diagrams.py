"""Diagrams of monotone formulas count what listing every region set counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import all_assignments, contains_some

from captum_focalogic.errors import InputError
from captum_focalogic.logic.diagrams import Diagram
from captum_focalogic.logic.terms import absorb_terms, columns_of, to_states

COLUMNS = 6


@given(st.lists(st.integers(1, 2**COLUMNS - 1), min_size=1, max_size=8).map(tuple).map(absorb_terms))
@settings(max_examples=120, deadline=None)
def test_sets_of_each_size_and_what_each_column_turns(terms):
    diagram = Diagram(terms)
    own = columns_of(diagram.columns)
    holds = contains_some(all_assignments(len(own)), to_states(terms, COLUMNS)[:, own])
    sizes = all_assignments(len(own)).sum(axis=1)
    counted = diagram.coefficients(diagram.polynomials()[diagram.root])
    assert counted == np.bincount(sizes[holds], minlength=len(own) + 1).tolist()
    pivotal = diagram.pivotal()
    for place, column in enumerate(own):
        without = np.flatnonzero(~all_assignments(len(own))[:, place])
        turned = holds[without | 1 << place] & ~holds[without]
        assert pivotal[column] == np.bincount(sizes[without][turned], minlength=len(own)).tolist()


def test_what_is_too_large_is_refused():
    with pytest.raises(InputError, match="more than 2 distinct parts"):
        Diagram((0b0011, 0b0110, 0b1100), limit=2)
