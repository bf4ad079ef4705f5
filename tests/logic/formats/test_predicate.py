"""Formulas as Python: the function says what the formula says."""

import numpy as np
import pytest
from hypothesis import given, settings
from oracles import all_assignments, expressions
from oracles import evaluate as truth_table
from sympy import Symbol, true

from captum_focalogic.errors import InputError
from captum_focalogic.logic import (
    evaluate,
    to_callable,
    to_python,
)

COLUMNS = 5
ASSIGNMENTS = all_assignments(COLUMNS)
some = expressions(COLUMNS, leaves=10)


@given(some)
@settings(max_examples=100, deadline=None)
def test_python_runs_the_predicate(expression):
    scope: dict[str, object] = {}
    exec(compile(to_python(expression, "keeps"), "<predicate>", "exec"), scope)
    expected = truth_table(expression, ASSIGNMENTS, range(COLUMNS))
    called = to_callable(expression)
    for row, value in zip(ASSIGNMENTS, expected, strict=True):
        kept = {int(column) for column in np.flatnonzero(row)}
        assert scope["keeps"](kept) == value
        assert called(kept) == value
        assert called([f"I{i}" for i in kept]) == value
    assert (evaluate(expression, ASSIGNMENTS) == expected).all()


def test_evaluate_needs_a_column_for_every_region():
    with pytest.raises(InputError, match="I7"):
        evaluate(Symbol("I7"), [[True]])
    assert evaluate(Symbol("I7"), [[True], [False]], [7]).tolist() == [True, False]
    with pytest.raises(InputError, match="function may have"):
        to_python(true, "not a name")
