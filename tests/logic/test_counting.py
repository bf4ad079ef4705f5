"""Counts, Shapley and Banzhaf values against every assignment and every order, and hand-worked games."""

import itertools
import random
import time
from fractions import Fraction
from math import comb, factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import all_assignments, contains_some, evaluate, expressions, matrix
from sympy import And, Not, Or, Symbol, false, symbols, true

from captum_focalogic.errors import InputError
from captum_focalogic.logic import banzhaf_values, count_models, model_share, shapley_values, to_expression
from captum_focalogic.logic.binary_diagrams import BoundedBDD
from captum_focalogic.logic.circuit import Circuit
from captum_focalogic.logic.diagrams import Diagram


def brute_force(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shapley and Banzhaf values by their definitions, over all sets of the other regions."""
    columns = states.shape[1]
    holds = contains_some(all_assignments(columns), states)
    shapley, banzhaf = [Fraction(0)] * columns, [Fraction(0)] * columns
    for row in range(2**columns):
        for i in range(columns):
            if not row >> i & 1 and holds[row | 1 << i] and not holds[row]:
                size = row.bit_count()
                shapley[i] += Fraction(factorial(size) * factorial(columns - 1 - size), factorial(columns))
                banzhaf[i] += Fraction(1, 2 ** (columns - 1))
    return np.array(shapley, dtype=float), np.array(banzhaf, dtype=float)


states_of = st.integers(1, 8).flatmap(
    lambda m: st.lists(st.lists(st.booleans(), min_size=m, max_size=m), max_size=10).map(
        lambda rows: np.array(rows, dtype=bool).reshape(-1, m)
    )
)


@given(states_of)
@settings(max_examples=150, deadline=None)
def test_agree_with_the_definitions(states):
    columns = states.shape[1]
    expected = int(contains_some(all_assignments(columns), states).sum())
    assert count_models(states) == expected
    assert count_models(states, columns + 3) == expected * 8
    assert count_models(to_expression(states), columns) == expected
    assert model_share(states) == expected / 2**columns
    shapley, banzhaf = brute_force(states)
    np.testing.assert_allclose(shapley_values(states), shapley, rtol=0, atol=1e-15)
    np.testing.assert_allclose(banzhaf_values(states), banzhaf, rtol=0, atol=1e-15)


@given(expressions())
@settings(max_examples=100, deadline=None)
def test_expressions_with_negations_are_counted(expression):
    assert count_models(expression, 6) == evaluate(expression, all_assignments(6), range(6)).sum()


@pytest.mark.parametrize(("seats", "columns"), [(3, 5), (7, 14)])
def test_voting_games_have_closed_forms(seats, columns):
    """Any ``seats`` of ``columns`` regions suffice."""
    states = matrix(itertools.combinations(range(columns), seats), columns)
    assert count_models(states) == sum(comb(columns, k) for k in range(seats, columns + 1))
    np.testing.assert_allclose(shapley_values(states), np.full(columns, 1 / columns), atol=1e-15)
    np.testing.assert_allclose(
        banzhaf_values(states), np.full(columns, comb(columns - 1, seats - 1) / 2 ** (columns - 1)), atol=1e-15
    )


def test_hand_worked_games():
    # 0 & (1 | 2): region 0 is pivotal in 4 of 6 orders, regions 1 and 2 in one each.
    states = matrix([{0, 1}, {0, 2}], 4)
    np.testing.assert_allclose(shapley_values(states), [4 / 6, 1 / 6, 1 / 6, 0])
    np.testing.assert_allclose(banzhaf_values(states), [3 / 4, 1 / 4, 1 / 4, 0])
    assert count_models(states) == 6
    # The glove game of the textbooks: one left glove, two right ones.
    np.testing.assert_allclose(shapley_values(states[:, :3]), [2 / 3, 1 / 6, 1 / 6])


@pytest.mark.parametrize(("rows", "share"), [(np.zeros((0, 3), bool), 0.0), (np.zeros((1, 3), bool), 1.0)])
def test_constants(rows, share):
    assert model_share(rows) == share
    assert not shapley_values(rows).any()
    assert not banzhaf_values(rows).any()
    assert count_models(true if share else false) == share
    assert count_models(true if share else false, 5) == 32 * share


@pytest.mark.parametrize(("low", "high"), [(2, 4), (4, 8), (10, 20)])
def test_forty_regions_and_thirty_terms_in_seconds(low, high):
    rng = random.Random(high)
    states = matrix([rng.sample(range(40), rng.randint(low, high)) for _ in range(30)], 40)
    start = time.process_time()
    values = shapley_values(states)
    assert time.process_time() - start < 15
    assert values.sum() == pytest.approx(1, abs=1e-12)
    # The count by inclusion and exclusion over subsets of the first 12 terms only, an independent way to count.
    head = states[:12]
    expected = sum(
        (-1) ** (size + 1) * 2 ** (40 - int(head[list(rows)].any(axis=0).sum()))
        for size in range(1, 13)
        for rows in itertools.combinations(range(12), size)
    )
    assert count_models(head) == expected


def test_sampled_orders_agree_at_forty_regions():
    rng = np.random.default_rng(0)
    states = np.zeros((20, 40), dtype=bool)
    for row in states:
        row[rng.choice(40, rng.integers(2, 7), replace=False)] = True
    hits = np.zeros(40)
    orders = 4000
    for _ in range(orders):
        arrival = rng.permutation(40).argsort()
        # The formula turns true when the first state is complete, with that state's last region.
        last = np.where(states, arrival, -1)
        done = last.max(axis=1)
        hits[last[done.argmin()].argmax()] += 1
    np.testing.assert_allclose(shapley_values(states), hits / orders, atol=5 * 0.5 / orders**0.5)


def test_what_cannot_be_counted_says_so():
    with pytest.raises(InputError, match="num_regions is 2"):
        count_models(And(*symbols("I0:3")), 2)
    with pytest.raises(InputError, match="two dimensions"):
        shapley_values([True, False])
    rng = random.Random(0)
    terms = tuple(sum(1 << c for c in rng.sample(range(30), 4)) for _ in range(40))
    with pytest.raises(InputError, match="too large to count"):
        Diagram(tuple(set(terms)), limit=50)
    clauses = [[(i, rng.random() < 0.5) for i in rng.sample(range(60), 3)] for _ in range(150)]
    signed = [Or(*(Symbol(f"I{i}") if on else Not(Symbol(f"I{i}")) for i, on in clause)) for clause in clauses]
    circuit = Circuit()
    wire = circuit.add(And(*signed))
    with pytest.raises(InputError, match="too large for a decision diagram of 2000 nodes"):
        BoundedBDD(60, limit=2000).build(circuit, wire, list(circuit.regions))
