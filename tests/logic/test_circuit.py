"""Circuits say what sympy's operators say, make equal gates once, and multiply out within a limit."""

from hypothesis import given, settings
from oracles import all_assignments, evaluate, expressions
from sympy import And, Not, Or, Symbol, Xor

from captum_focalogic.logic.circuit import Circuit, is_monotone, symbol_names

COLUMNS = 5
ASSIGNMENTS = all_assignments(COLUMNS)
A, B, C = (Symbol(f"I{i}") for i in (1, 2, 10))


@given(expressions(COLUMNS, leaves=10))
@settings(max_examples=100, deadline=None)
def test_a_wire_is_on_where_the_expression_holds(expression):
    circuit = Circuit()
    wire = circuit.add(expression)
    expected = evaluate(expression, ASSIGNMENTS, range(COLUMNS))
    for row, value in zip(ASSIGNMENTS, expected, strict=True):
        kept = [f"I{i}" for i in range(COLUMNS) if row[i]]
        assert circuit.evaluate(wire, kept) == value
        assert circuit.evaluate(-wire, kept) != value


def test_equal_gates_are_made_once_and_come_after_what_they_read():
    circuit = Circuit()
    both = circuit.add(And(A, B))
    assert circuit.add(And(B, A)) == both
    assert circuit.add(Not(And(A, B))) == -both
    whole = circuit.add(Or(And(A, B), C))
    assert len(circuit.gates) == 5
    assert all(abs(part) < whole for part in circuit.gates[whole - 1].wires)


def test_constants_and_repeats_are_taken_out():
    circuit = Circuit(["I1", "I2"])
    one, other = circuit.regions.values()
    on = circuit.true()
    assert circuit.all_of([one, one, on]) == one
    assert circuit.all_of([one, -on]) == -on
    assert circuit.any_of([one, -one]) == on
    assert circuit.differ(one, -on) == one
    assert circuit.differ(one, one) == -on
    assert circuit.differ(-one, other) == -circuit.differ(one, other)


def test_symbols_are_listed_by_id_and_monotone_is_told():
    assert symbol_names(Or(C, And(B, Symbol("wheel"))), A) == ["I1", "I2", "I10", "wheel"]
    circuit = Circuit()
    assert is_monotone(circuit, circuit.add(Or(A, And(B, C))))
    assert not is_monotone(circuit, circuit.add(Xor(A, B)))
    assert not is_monotone(circuit, circuit.add(Not(A)))
