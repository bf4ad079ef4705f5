"""PLA: an irredundant list of terms."""

from hypothesis import given, settings
from oracles import all_assignments, expressions
from oracles import evaluate as truth_table

from captum_focalogic.logic import (
    write_expression,
)

COLUMNS = 5
ASSIGNMENTS = all_assignments(COLUMNS)
some = expressions(COLUMNS, leaves=10)


@given(some)
@settings(max_examples=60, deadline=None)
def test_pla_rows_are_an_irredundant_list_of_terms(expression):
    lines = write_expression(expression, "pla").splitlines()
    header = {line.split()[0]: line.split()[1:] for line in lines if line.startswith(".")}
    rows = [line.split()[0] if " " in line else "" for line in lines if not line.startswith(".")]
    inputs = [int(name[1:]) for name in header.get(".ilb", [])]
    assert header[".i"] == [str(len(inputs))]
    assert header[".p"] == [str(len(rows))]

    def value(chosen, row):
        return any(
            all(sign == "-" or (sign == "1") == row[i] for i, sign in zip(inputs, r, strict=True)) for r in chosen
        )

    expected = truth_table(expression, ASSIGNMENTS, range(COLUMNS))
    assert [value(rows, row) for row in ASSIGNMENTS] == expected.tolist()
    for left_out in range(len(rows)):
        rest = rows[:left_out] + rows[left_out + 1 :]
        assert [value(rest, row) for row in ASSIGNMENTS] != expected.tolist()
