"""Equality, implication and witnesses against truth tables; the two ways of deciding against each other; speed."""

import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from oracles import all_assignments, evaluate, expressions, matrix
from pysat.solvers import Solver
from sympy import And, Function, Not, Or, Symbol, Xor, false, symbols, true
from sympy.abc import x
from sympy.logic.boolalg import Nand, Nor, Xnor

from captum_focalogic.errors import InputError
from captum_focalogic.logic import difference, equivalent, implies, to_expression
from captum_focalogic.logic.circuit import Circuit
from captum_focalogic.logic.equivalence import full_clauses, satisfy

ASSIGNMENTS = all_assignments(6)


@given(expressions(), expressions())
@settings(max_examples=250, deadline=None)
def test_verdicts_agree_with_truth_tables(a, b):
    left, right = (evaluate(e, ASSIGNMENTS, range(6)) for e in (a, b))
    assert equivalent(a, b) == (left == right).all()
    assert implies(a, b) == (~left | right).all()
    witness = difference(a, b)
    if witness is None:
        assert (left == right).all()
    else:
        row = sum(1 << region for region in witness)
        assert left[row] != right[row]


@given(expressions())
@settings(max_examples=100, deadline=None)
def test_full_clauses_have_one_model_per_region_set(a):
    circuit = Circuit([f"I{i}" for i in range(6)])
    wire = circuit.add(a)
    expected = evaluate(a, ASSIGNMENTS, range(6))
    with Solver(name="minisat22", bootstrap_with=full_clauses(circuit, wire)) as solver:
        for row, value in zip(ASSIGNMENTS, expected, strict=True):
            fixed = [i + 1 if on else -(i + 1) for i, on in enumerate(row)]
            assert solver.solve(assumptions=fixed) == value
            forced = [literal for literal in solver.get_model() or [] if abs(literal) in circuit.cone(wire)]
            assert not any(solver.solve(assumptions=[*fixed, -literal]) for literal in forced)


def test_operators_that_sympy_keeps_unevaluated():
    a, b = symbols("I1 I2")
    assert equivalent(Nand(a, b, evaluate=False), Not(And(a, b)))
    assert equivalent(Nor(a, b, evaluate=False), Not(Or(a, b)))
    assert equivalent(Xnor(a, b, evaluate=False), Not(Xor(a, b)))
    assert equivalent(And(a, Not(a), evaluate=False), False)
    assert equivalent(true, Or(a, Not(a), evaluate=False))


def test_witness_is_a_set_of_region_ids():
    one, minus, named = symbols("I1 I_m3 wheel")
    assert difference(And(one, minus), one) == {1}
    assert difference(And(one, minus), And(one, minus, named)) == {1, -3}
    assert difference(And(one, minus, named), Or(false, one & minus & named)) is None
    assert difference(named, false) == {"wheel"}
    assert difference(false, true) == frozenset()


def test_term_by_term_and_solver_agree():
    rng = np.random.default_rng(3)
    for _ in range(40):
        states = rng.random((12, 16)) < 0.3
        changed = states.copy()
        changed[rng.integers(12), rng.integers(16)] ^= rng.random() < 0.7
        a, b = to_expression(states), to_expression(changed, style="dnf")
        circuit = Circuit()
        first, second = circuit.add(a), circuit.add(b)
        by_solver = satisfy(circuit, [first, -second]) is None and satisfy(circuit, [second, -first]) is None
        assert equivalent(a, b) == by_solver


def test_too_many_terms_to_write_out_go_to_the_solver():
    pairs = [Or(Symbol(f"I{2 * i}"), Symbol(f"I{2 * i + 1}")) for i in range(20)]  # 2^20 terms
    swapped = And(*(Or(part.args[1], part.args[0], evaluate=False) for part in reversed(pairs)))
    assert equivalent(And(*pairs), swapped)
    assert difference(And(*pairs), And(*pairs[1:])) is not None


@pytest.mark.parametrize("style", ["dnf", "factored", "paper"])
def test_five_hundred_terms_over_196_regions_in_a_tenth_of_a_second(style):
    rng = random.Random(5)
    states = matrix([rng.sample(range(196), rng.randint(3, 30)) for _ in range(500)], 196)
    a = to_expression(states, style="dnf")
    b = to_expression(states, style=style)
    states[17] = False
    states[17, [3, 77]] = True
    changed = to_expression(states, style=style)
    times = []
    for _ in range(3):
        start = time.process_time()
        same, witness = equivalent(a, b), difference(a, changed)
        times.append((time.process_time() - start) / 2)
    assert same
    assert witness is not None
    assert min(times) < 0.1


def test_deep_expressions_need_no_recursion():
    a = b = Symbol("I0")
    for i in range(1, 600):
        a, b = (And if i % 2 else Or)(Symbol(f"I{i}"), a), (And if i % 2 else Or)(b, Symbol(f"I{i}"))
    assert equivalent(a, b)
    assert not equivalent(a, And(a, Symbol("I600")))


@pytest.mark.parametrize("wrong", ["I1 & I2", 3, None, x < 2, Function("f")(x), x + 1])
def test_what_is_no_boolean_over_regions_is_refused(wrong):
    with pytest.raises(InputError):
        equivalent(wrong, true)
    with pytest.raises(InputError):
        difference(Symbol("I1"), wrong)
