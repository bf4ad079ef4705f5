"""Text and LaTeX: read by sympy, and by a grammar of our own that refuses everything else."""

import pytest
from hypothesis import given, settings
from oracles import all_assignments, expressions
from oracles import evaluate as truth_table
from sympy import And, Not, Or, Symbol, sympify
from sympy.parsing.sympy_parser import parse_expr

from captum_focalogic.errors import InputError
from captum_focalogic.logic import (
    equivalent,
    parse_expression,
    to_text,
    write_expression,
)

COLUMNS = 5
ASSIGNMENTS = all_assignments(COLUMNS)
some = expressions(COLUMNS, leaves=10)


@given(some)
@settings(max_examples=100, deadline=None)
def test_sympy_reads_text_and_srepr(expression):
    values = truth_table(expression, ASSIGNMENTS, range(COLUMNS))
    symbols = {f"I{i}": Symbol(f"I{i}") for i in range(COLUMNS)}
    for text in (write_expression(expression, "text"), str(expression)):
        assert (truth_table(sympify(parse_expr(text, symbols)), ASSIGNMENTS, range(COLUMNS)) == values).all()
        assert (truth_table(parse_expression(text), ASSIGNMENTS, range(COLUMNS)) == values).all()
    back = parse_expr(write_expression(expression, "srepr"))
    assert (truth_table(sympify(back), ASSIGNMENTS, range(COLUMNS)) == values).all()


@given(some)
@settings(max_examples=100, deadline=None)
def test_latex_says_the_same(expression):
    text = write_expression(expression, "latex")
    for latex, python in {
        r"\left(": "(", r"\right)": ")", r"\wedge": "&", r"\vee": "|", r"\oplus": "^", r"\neg": "~",
        r"\text{true}": "true", r"\text{false}": "false",
        r"\operatorname{Implies}": "Implies", r"\operatorname{Equivalent}": "Equivalent", r"\operatorname{ITE}": "ITE",
        "I_{": "I", "}": "",
    }.items():  # fmt: skip
        text = text.replace(latex, python)
    back = sympify(parse_expr(text, {f"I{i}": Symbol(f"I{i}") for i in range(COLUMNS)}))
    expected = truth_table(expression, ASSIGNMENTS, range(COLUMNS))
    assert (truth_table(back, ASSIGNMENTS, range(COLUMNS)) == expected).all()


def test_latex_of_ids_and_names():
    expression = And(Symbol("I_m3"), Symbol("50% {of} $_^"))
    assert write_expression(expression, "latex") == r"I_{-3} \wedge \text{50\% \{of\} \$\_\textasciicircum{}}"


def test_text_is_in_natural_order_and_quotes_what_is_no_identifier():
    i2, i10, odd = Symbol("I2"), Symbol("I10"), Symbol("car wheel")
    assert to_text(Or(i10, And(odd, i2))) == 'I10 | (I2 & "car wheel")'
    assert to_text(Or(i10, i2)) == "I2 | I10"
    assert to_text(And(Not(i2), Symbol("true"))) == '~I2 & "true"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I1 & I2 | I3", "(I1 & I2) | I3"),
        ("I1 | I2 ^ I3 & ~I4", "I1 | (I2 ^ (I3 & ~I4))"),
        ("a -> b -> c", "Implies(a, Implies(b, c))"),
        ("a <-> b", "Equivalent(a, b)"),
        ("a || b && !c", "a | (b & ~c)"),
        ("a ∧ (b ∨ ¬c) → d", "Implies(a & (b | ~c), d)"),
        ("a >> b | c", "Implies(a, b | c)"),
        ("And(a, Or(b, Not(c)))", "a & (b | ~c)"),
        ("ITE(a, b, c) ^ Nand(a, b)", "ITE(a, b, c) ^ ~(a & b)"),
        ("Symbol('x y') & \"z\"", "And(Symbol('x y'), z)"),
        ("((a))", "a"),
        ("~~a", "a"),
        ("true & a", "a"),
    ],
)
def test_the_grammar(text, expected):
    assert equivalent(parse_expression(text), sympify(parse_expr(expected)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a region"),
        ("I1 &", "at character 5"),
        ("I1 I2", "expected an operator"),
        ("(I1", "bracket at character 1"),
        ("I1)", "expected an operator or the end"),
        ("And()", "expected a region"),
        ("Not(a, b)", "not takes 1 parts; got 2"),
        ("Implies(a)", "implies takes 2"),
        ("a, b", "expected an operator or the end"),
        ("(a, b)", "expected an operator or the end"),
        ("__import__('os').system('true')", "expected an operator"),
        ("a & 1", "cannot read"),
        ("Symbol('x', real=True)", r"expected \)"),
        ("And", r"expected \("),
        ("'a\nb'", "cannot read"),
        ("' a'", "blank"),
        ("'" + "a" * 201 + "'", "200 characters"),
        ("(" * 500 + "a" + ")" * 500 + " |", "expected a region"),
        ("~(a & " * 500 + "b" + ")" * 500, "levels deep"),
    ],
)
def test_text_that_follows_no_grammar_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_expression(text)
