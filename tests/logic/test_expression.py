"""From final states to a formula: constants, ids and names of regions, styles."""

import numpy as np
import pytest
from oracles import all_assignments, contains_some, count_literals, evaluate, matrix
from sympy import And, Or, Symbol, false, symbols, true

from captum_focalogic.errors import InputError
from captum_focalogic.logic import to_expression
from captum_focalogic.logic.expression import from_terms

IDS = [-3, 0, 7, 12]
STATES = matrix([[0, 1], [0, 2], [0, 1, 3]], 4)


@pytest.mark.parametrize("style", ["factored", "paper", "dnf"])
def test_every_style_is_true_exactly_for_what_contains_a_state(style):
    expression = to_expression(STATES, IDS, style)
    assignments = all_assignments(4)
    assert (evaluate(expression, assignments, IDS) == contains_some(assignments, STATES)).all()
    assert count_literals(expression) == (4 if style == "dnf" else 3)


def test_symbols_are_the_values_of_the_mask():
    i_m3, i0, i7 = symbols("I_m3 I0 I7")
    assert to_expression(STATES, IDS) == And(i_m3, Or(i0, i7))
    assert to_expression(STATES, IDS, "dnf") == Or(And(i_m3, i0), And(i_m3, i7))


def test_constants():
    assert to_expression(np.zeros((0, 4), bool)) == false
    assert to_expression(np.zeros((1, 4), bool)) == true
    assert from_terms((), []) == false
    assert from_terms((0b11, 0b101), symbols("a b c")) == And(Symbol("a"), Or(Symbol("b"), Symbol("c")))


def test_an_unknown_style_is_named():
    with pytest.raises(InputError, match="style is 'short'; expected one of 'factored', 'paper', 'dnf'"):
        to_expression(STATES, style="short")
