"""Formulas of final states: the paper's example, read-once functions, every assignment of small ones, size, speed."""

import random
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import all_assignments, contains_some, count_literals, evaluate, matrix
from sympy import And, Or, Symbol, false, symbols, true

from captum_focalogic.errors import InputError
from captum_focalogic.logic import absorb, to_expression
from captum_focalogic.logic.factoring import dual_terms, read_once

STYLES = ["factored", "paper", "dnf"]


def paper_literals(terms: list[frozenset[int]]) -> int:
    """Literals of the paper's rule, written anew: the most shared region splits the terms, ties to the lowest."""
    counts: dict[int, int] = {}
    for term in terms:
        for column in term:
            counts[column] = counts.get(column, 0) + 1
    shared = [column for column, number in counts.items() if number > 1]
    if not shared:
        return sum(map(len, terms))
    column = min(shared, key=lambda c: (-counts[c], c))
    holding = [term - {column} for term in terms if column in term]
    others = [term for term in terms if column not in term]
    return 1 + paper_literals(holding) + (paper_literals(others) if others else 0)


def random_read_once(rng: random.Random, columns: list[int], conjunction: bool) -> tuple[list[frozenset[int]], str]:
    """Terms of a random read-once tree over the columns, and the tree as text."""
    if len(columns) == 1:
        return [frozenset(columns)], str(columns[0])
    parts = rng.randint(2, min(4, len(columns)))
    cuts = sorted(rng.sample(range(1, len(columns)), parts - 1))
    pieces = [columns[a:b] for a, b in zip([0, *cuts], [*cuts, len(columns)], strict=True)]
    children = [random_read_once(rng, piece, not conjunction) for piece in pieces]
    if not conjunction:
        return [term for terms, _ in children for term in terms], "|"
    product = [frozenset[int]()]
    for terms, _ in children:
        product = [left | right for left in product for right in terms]
    return product, "&"


state_sets = st.integers(1, 9).flatmap(
    lambda m: st.tuples(st.just(m), st.lists(st.lists(st.booleans(), min_size=m, max_size=m), max_size=14))
)


def test_example_of_the_paper_gives_its_second_equation():
    states = matrix([{1, 4}, {1, 2, 3, 5}, {1, 2, 3, 6}], 7)
    i1, i2, i3, i4, i5, i6 = symbols("I1:7")
    expected = And(i1, Or(i4, And(i2, i3, Or(i5, i6))))
    assert to_expression(states, style="paper") == expected
    assert to_expression(states) == expected
    assert str(expected) == "I1 & (I4 | (I2 & I3 & (I5 | I6)))"
    assert to_expression(states, style="dnf") == Or(And(i1, i4), And(i1, i2, i3, i5), And(i1, i2, i3, i6))


def test_division_and_dual_beat_the_rule_of_the_paper():
    # (0 | 1) & (2 | 3 | 4) is read-once; the paper's rule needs 8 literals.
    grid = matrix([{a, b} for a in (0, 1) for b in (2, 3, 4)], 5)
    assert count_literals(to_expression(grid)) == 5
    assert count_literals(to_expression(grid, style="paper")) == 8
    # (1 | (4 & (0 | 3))) & (2 | 3): no sum of products of its terms is that short, its dual's is.
    crossed = matrix([{1, 2}, {1, 3}, {3, 4}, {0, 2, 4}], 5)
    assert count_literals(to_expression(crossed)) == 6
    assert count_literals(to_expression(crossed, style="paper")) == 7


@pytest.mark.parametrize("style", STYLES)
def test_edges(style):
    assert to_expression(np.zeros((0, 3), bool), style=style) == false
    assert to_expression(np.zeros((2, 3), bool), style=style) == true
    assert to_expression(matrix([{0}, {}], 3), style=style) == true
    assert to_expression(np.zeros((1, 0), bool), style=style) == true
    assert to_expression(np.zeros((0, 0), bool), style=style) == false
    assert to_expression(matrix([{1}], 3), [5, -4, 9], style=style) == Symbol("I_m4")
    assert to_expression(matrix([{0, 1, 2}], 3), style=style) == And(*symbols("I0:3"))


@given(state_sets, st.sampled_from(STYLES), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_every_assignment_agrees_with_the_definition(drawn, style, rng):
    columns, rows = drawn
    states = np.array(rows, dtype=bool).reshape(-1, columns)
    ids = sorted(rng.sample(range(-20, 40), columns))
    expression = to_expression(states, ids, style=style)
    assignments = all_assignments(columns)
    assert (evaluate(expression, assignments, ids) == contains_some(assignments, states)).all()


@given(state_sets, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_never_longer_than_the_paper_and_the_same_in_any_order(drawn, rng):
    columns, rows = drawn
    states = np.array(rows, dtype=bool).reshape(-1, columns)
    expression = to_expression(states)
    shuffled = states[rng.sample(range(len(states)), len(states))]
    assert to_expression(np.concatenate([shuffled, shuffled])) == expression
    terms = [frozenset(np.flatnonzero(row)) for row in absorb(states)]
    if terms and terms[0]:
        assert count_literals(expression) <= paper_literals(terms)
        assert count_literals(to_expression(states, style="paper")) == paper_literals(terms)


@pytest.mark.parametrize("columns", [14, 12])
def test_larger_functions_agree_on_every_assignment(columns):
    rng = np.random.default_rng(columns)
    assignments = all_assignments(columns)
    for density in (0.15, 0.3, 0.5):
        states = rng.random((60, columns)) < density
        expected = contains_some(assignments, states)
        for style in STYLES:
            assert (evaluate(to_expression(states, style=style), assignments, range(columns)) == expected).all()


def test_read_once_functions_name_every_region_once():
    rng = random.Random(0)
    ratios = []
    for number in range(1000):
        columns = list(range(rng.randint(2, 14)))
        rng.shuffle(columns)
        terms, _ = random_read_once(rng, columns, conjunction=number % 2 == 0)
        rng.shuffle(terms)
        expression = to_expression(matrix(terms, len(columns)))
        assert count_literals(expression) == len(columns) == len(expression.free_symbols)
        ratios.append(paper_literals(terms) / len(columns))
    assert np.mean(ratios) > 1.2  # the functions are not trivial for the paper's rule


def test_functions_that_are_not_read_once_are_told_apart():
    majority = (0b011, 0b101, 0b110)
    path = (0b0011, 0b0110, 0b1100)  # its co-occurrence graph is the path P4
    assert read_once(majority) is None
    assert read_once(path) is None
    assert count_literals(to_expression(matrix([{0, 1}, {0, 2}, {1, 2}], 3))) == 5
    assert count_literals(to_expression(matrix([{0, 1}, {1, 2}, {2, 3}], 4))) == 5


@given(state_sets)
@settings(max_examples=150, deadline=None)
def test_dual_terms_are_the_minimal_hitting_sets(drawn):
    columns, rows = drawn
    states = absorb(np.array(rows, dtype=bool).reshape(-1, columns))
    if not states.any():
        return
    terms = tuple(int(sum(1 << int(c) for c in np.flatnonzero(row))) for row in states)
    hitting = [a for a in range(2**columns) if all(a & term for term in terms)]
    minimal = {a for a in hitting if not any(a & (1 << c) and (a ^ (1 << c)) in hitting for c in range(columns))}
    assert set(dual_terms(terms, 10**6)) == minimal
    assert dual_terms(terms, 0) is None


@pytest.mark.parametrize(("low", "high"), [(2, 4), (5, 12), (10, 40)])
def test_five_hundred_terms_over_sixty_regions_in_two_seconds(low, high):
    rng = random.Random(low)
    states = matrix([rng.sample(range(60), rng.randint(low, high)) for _ in range(500)], 60)
    start = time.process_time()
    expression = to_expression(states)
    assert time.process_time() - start < 2.0
    terms = [frozenset(np.flatnonzero(row)) for row in absorb(states)]
    assert count_literals(expression) <= paper_literals(terms)


def test_deep_formulas_need_no_recursion():
    # 0 & (1 | (2 & (3 | ...))): the deepest formula over 400 regions.
    terms, prefix = [], []
    for column in range(0, 400, 2):
        prefix.append(column)
        terms.append({*prefix, column + 1})
    expression = to_expression(matrix(terms, 400))
    seen, stack = [], [expression]
    while stack:
        item = stack.pop()
        (seen if item.is_Symbol else stack).extend([item] if item.is_Symbol else item.args)
    assert len(seen) == len(set(seen)) == 400


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 0, 1],), "two dimensions"),
        (([[0, 2]],), "other than 0 and 1"),
        (([[0, 1]], [1, 2, 3]), r"expected \(2,\)"),
        (([[0, 1]], [1, 1]), "twice"),
        (([[0, 1]], [0.5, 1]), "integers"),
        (([[0, 1]], None, "cnf"), "style is 'cnf'"),
    ],
)
def test_unusable_input_is_refused_with_a_reason(arguments, message):
    with pytest.raises(InputError, match=message):
        to_expression(*arguments)
