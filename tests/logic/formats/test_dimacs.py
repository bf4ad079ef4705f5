"""CNF: a SAT solver reads it, and counts region sets."""

import pytest
from hypothesis import given, settings
from oracles import all_assignments, expressions
from oracles import evaluate as truth_table
from pysat.formula import CNF
from pysat.solvers import Solver
from sympy import false, true

from captum_focalogic.logic import (
    equivalent,
    parse_expression,
    read_expression,
    write_expression,
)

COLUMNS = 5
ASSIGNMENTS = all_assignments(COLUMNS)
some = expressions(COLUMNS, leaves=10)


@given(some)
@settings(max_examples=100, deadline=None)
def test_pysat_reads_dimacs_and_counts_region_sets(expression):
    text = write_expression(expression, "dimacs")
    cnf = CNF(from_string=text)
    variables = {}
    for line in text.splitlines():
        if line.startswith("c region"):
            _, _, number, name = line.split()
            variables[int(name[1:])] = int(number)
    expected = truth_table(expression, ASSIGNMENTS, range(COLUMNS))
    with Solver(name="minisat22", bootstrap_with=cnf) as solver:
        for row, value in zip(ASSIGNMENTS, expected, strict=True):
            fixed = [number if row[region] else -number for region, number in variables.items()]
            assert solver.solve(assumptions=fixed) == value
        models = sum(1 for _ in solver.enum_models())
    assert models * 2 ** (COLUMNS - len(variables)) == expected.sum()


def test_cnf_of_another_tool_has_its_variables_for_regions():
    assert equivalent(read_expression("p cnf 3 2\n1 -2 0\n3 0\n", "dimacs"), parse_expression("(I1 | ~I2) & I3"))
    assert read_expression("p cnf 3 1\n0\n", "dimacs") == false
    assert read_expression("p cnf 3 0\n", "dimacs") == true
    assert read_expression("c region 1 A\np cnf 999999999 1\n1 999999999 0\n", "dimacs") == parse_expression(
        "A | I999999999"
    )


@pytest.mark.parametrize(
    "comment",
    [
        "and so on",
        "or 7",
        "and 3 1 2",
        "xor",
        "true story",
        "formula of last year",
        "region of interest",
        "region one I1",
    ],
)
def test_comments_of_people_are_no_gates(comment):
    text = f"c {comment}\np cnf 3 2\n1 -2 0\n3 0\n"
    assert equivalent(read_expression(text, "dimacs"), parse_expression("(I1 | ~I2) & I3"))
