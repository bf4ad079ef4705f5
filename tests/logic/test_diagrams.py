"""Decision diagrams count what listing every region set counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import all_assignments, contains_some, evaluate, expressions

from captum_focalogic.errors import InputError
from captum_focalogic.logic.circuit import Circuit
from captum_focalogic.logic.diagrams import BoundedBDD, Diagram, count_satisfying
from captum_focalogic.logic.terms import absorb_terms, columns_of, to_states

COLUMNS = 6
ASSIGNMENTS = all_assignments(COLUMNS)
NAMES = [f"I{i}" for i in range(COLUMNS)]


@given(expressions(COLUMNS, leaves=10))
@settings(max_examples=80, deadline=None)
def test_any_expression_is_counted(expression):
    circuit = Circuit()
    wire = circuit.add(expression)
    assert count_satisfying(circuit, wire, NAMES) == evaluate(expression, ASSIGNMENTS, range(COLUMNS)).sum()


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
    circuit = Circuit()
    names = [f"I{i}" for i in range(12)]
    pairs = [circuit.all_of([circuit.region(names[i]), circuit.region(names[i + 6])]) for i in range(6)]
    with pytest.raises(InputError, match="too large for a decision diagram of 20 nodes"):
        BoundedBDD(12, limit=20).build(circuit, circuit.any_of(pairs), names)
    with pytest.raises(InputError, match="more than 2 distinct parts"):
        Diagram((0b0011, 0b0110, 0b1100), limit=2)
