"""Decision diagrams of any formula count what listing every region set counts; only who needs them loads them."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from oracles import all_assignments, evaluate, expressions

from captum_focalogic.errors import InputError
from captum_focalogic.logic.binary_diagrams import BoundedBDD, count_satisfying
from captum_focalogic.logic.circuit import Circuit

COLUMNS = 6
ASSIGNMENTS = all_assignments(COLUMNS)
NAMES = [f"I{i}" for i in range(COLUMNS)]


@given(expressions(COLUMNS, leaves=10))
@settings(max_examples=80, deadline=None)
def test_any_expression_is_counted(expression):
    circuit = Circuit()
    wire = circuit.add(expression)
    assert count_satisfying(circuit, wire, NAMES) == evaluate(expression, ASSIGNMENTS, range(COLUMNS)).sum()


def test_what_is_too_large_is_refused():
    circuit = Circuit()
    names = [f"I{i}" for i in range(12)]
    pairs = [circuit.all_of([circuit.region(names[i]), circuit.region(names[i + 6])]) for i in range(6)]
    with pytest.raises(InputError, match="too large for a decision diagram of 20 nodes"):
        BoundedBDD(12, limit=20).build(circuit, circuit.any_of(pairs), names)


@pytest.mark.parametrize(
    ("asked", "loaded"),
    [("to_expression([[1, 1, 0], [1, 0, 1]])", False), ("count_models(Or(*symbols('I1 I2')))", True)],
)
def test_final_states_as_a_formula_need_no_library_of_diagrams(asked, loaded):
    imports = "from sympy import Or, symbols; from captum_focalogic.logic import count_models, to_expression"
    code = f"{imports}; {asked}; import sys; print('dd' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == str(loaded)
