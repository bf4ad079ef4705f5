"""SMT-LIB: Z3 reads it."""

import pytest
import z3
from hypothesis import given, settings
from oracles import NASTY_NAMES, all_assignments, expressions
from oracles import evaluate as truth_table
from sympy import And, Symbol

from captum_focalogic.errors import InputError
from captum_focalogic.logic import (
    read_expression,
    write_expression,
)
from captum_focalogic.logic.builder import decode_name

COLUMNS = 5
ASSIGNMENTS = all_assignments(COLUMNS)
some = expressions(COLUMNS, leaves=10)


@given(some)
@settings(max_examples=60, deadline=None)
def test_z3_reads_smtlib(expression):
    assertions = z3.And(*z3.parse_smt2_string(write_expression(expression, "smtlib")), z3.BoolVal(True))
    expected = truth_table(expression, ASSIGNMENTS, range(COLUMNS))
    for row, value in zip(ASSIGNMENTS, expected, strict=True):
        pairs = [(z3.Bool(f"I{i}"), z3.BoolVal(bool(on))) for i, on in enumerate(row)]
        assert z3.is_true(z3.simplify(z3.substitute(assertions, *pairs))) == value


def test_z3_reads_names_of_any_kind():
    expression = And(*(Symbol(name) for name in NASTY_NAMES))
    (parsed,) = z3.parse_smt2_string(write_expression(expression, "smtlib"))
    assert {decode_name(part.decl().name()) for part in parsed.children()} == set(NASTY_NAMES)


@pytest.mark.parametrize("formula", ["((not x) and y)", "((not x) (and y))", "(x and y)", "((and) x y)"])
def test_an_operator_stands_first(formula):
    script = f"(declare-const x Bool)(declare-const y Bool)(assert {formula})"
    with pytest.raises(z3.Z3Exception):
        z3.parse_smt2_string(script)
    with pytest.raises(InputError):
        read_expression(script, "smtlib")


@pytest.mark.parametrize("command", ["((x) assert x)", "(|assert| x)", "(() declare-const y Bool)"])
def test_a_command_stands_first(command):
    with pytest.raises(InputError):
        read_expression(f"(declare-const x Bool)(assert x){command}", "smtlib")
