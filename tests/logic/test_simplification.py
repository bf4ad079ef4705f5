"""Simplified expressions: the same truth table, never longer, and short where a short form is known."""

import time

import pytest
from hypothesis import given, settings
from oracles import all_assignments, evaluate, expressions
from sympy import ITE, And, Equivalent, Implies, Not, Or, Symbol, Xor, false, symbols, true

from captum_focalogic.errors import InputError
from captum_focalogic.logic import count_literals, equivalent, simplification, simplify

ASSIGNMENTS = all_assignments(6)
a, b, c, d = symbols("I1 I2 I3 I4")


@given(expressions(leaves=18))
@settings(max_examples=200, deadline=None)
def test_same_truth_table_and_never_longer(expression):
    short = simplify(expression)
    values = evaluate(expression, ASSIGNMENTS, range(6))
    assert (evaluate(short, ASSIGNMENTS, range(6)) == values).all()
    assert count_literals(short) <= count_literals(expression)
    if values.all() or not values.any():
        assert short in (true, false)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (And(a, Not(a), evaluate=False), false),
        (Or(And(a, b), And(a, Not(b))), a),
        (And(Implies(a, b), a), And(a, b)),
        (Not(And(Not(a), Or(Not(b), Not(c)))), Or(a, And(b, c))),
        (Or(And(a, b), And(Not(a), c), And(b, c)), Or(And(a, b), And(Not(a), c))),
        (And(Or(a, b), Or(a, c), Or(a, d)), Or(a, And(b, c, d))),
        (Xor(a, b, a, evaluate=False), b),
        (Equivalent(a, true, evaluate=False), a),
        (ITE(a, b, b, evaluate=False), b),
        (Or(a, And(Not(a), b)), Or(a, b)),
    ],
)
def test_known_short_forms(given, expected):
    assert simplify(given) == expected


def test_a_function_that_is_short_only_as_a_product():
    pairs = [Or(Symbol(f"I{2 * i}"), Not(Symbol(f"I{2 * i + 1}"))) for i in range(6)]
    longer = And(*pairs, Or(*pairs[0].args, Symbol("I2")), Or(Symbol("I0"), Not(Symbol("I1")), Symbol("I99")))
    assert count_literals(simplify(longer)) == 12


def test_large_inputs_come_back_in_seconds():
    # 2^30 terms when multiplied out, 60 regions, both signs: far beyond what sympy simplifies.
    mixed = And(*(Xor(Symbol(f"I{2 * i}"), Or(Symbol(f"I{2 * i + 1}"), Not(Symbol("I0")))) for i in range(1, 30)))
    start = time.process_time()
    short = simplify(mixed)
    assert time.process_time() - start < 10
    assert equivalent(short, mixed)
    assert count_literals(short) <= count_literals(mixed)


def test_text_is_not_evaluated():
    with pytest.raises(InputError, match="parse_expression"):
        simplify("a & b")


def test_nothing_is_returned_without_its_proof(monkeypatch):
    a, b = Symbol("I1"), Symbol("I2")
    monkeypatch.setattr(simplification, "_candidates", lambda *_: iter([a]))
    with pytest.raises(RuntimeError, match="changed the meaning"):
        simplify((a & b) | (a & ~b & Symbol("I3")))
