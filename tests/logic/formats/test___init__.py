"""Every format is read back as it was written; importers on texts that mean harm."""

import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import NASTY_NAMES, PRINTABLE, all_assignments, expressions
from sympy import And, Implies, Not, Or, Symbol, Xor, false, true
from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import InputError
from captum_focalogic.logic import (
    FORMATS,
    equivalent,
    load_expression,
    parse_expression,
    read_expression,
    save_expression,
    write_expression,
)

COLUMNS = 5
ASSIGNMENTS = all_assignments(COLUMNS)
READABLE = [name for name, form in FORMATS.items() if form.read is not None]
some = expressions(COLUMNS, leaves=10)
names = st.one_of(st.sampled_from(NASTY_NAMES), PRINTABLE)


@given(some)
@settings(max_examples=120, deadline=None)
def test_every_format_comes_back_equivalent(expression):
    for name in READABLE:
        back = read_expression(write_expression(expression, name), name)
        assert equivalent(back, expression), name


@given(st.lists(names, min_size=3, max_size=3, unique=True))
@settings(max_examples=80, deadline=None)
def test_any_printable_name_survives_every_format(three):
    a, b, c = map(Symbol, three)
    expression = Or(And(a, Not(b)), Xor(b, c), Implies(c, a))
    for name in READABLE:
        back = read_expression(write_expression(expression, name), name)
        assert {symbol.name for symbol in back.free_symbols} <= set(three), name
        assert equivalent(back, expression), name


@pytest.mark.parametrize("form", READABLE)
def test_constants(form):
    for constant in (true, false):
        assert read_expression(write_expression(constant, form), form) == constant
    assert write_expression(True, form) == write_expression(true, form)


def test_long_and_nested_texts_are_read_in_linear_time():
    many = " & ".join(f"I{i}" for i in range(20_000))
    assert len(parse_expression(many).args) == 20_000
    assert parse_expression("(" * 50_000 + "I1" + ")" * 50_000) == Symbol("I1")
    deep = "I0"
    for i in range(1, 380):
        deep = f"I{i} {'&|'[i % 2]} ({deep})"
    expression = parse_expression(deep)
    for form in READABLE:
        if form != "pla":
            assert equivalent(read_expression(write_expression(expression, form), form), expression), form


VALID = Or(
    And(Symbol("I1"), Not(Symbol("I_m2"))), Xor(Symbol("car wheel"), Symbol("I4")), And(Symbol("I1"), Symbol("I4"))
)
HARM = [
    "(",
    ")",
    "&",
    "|",
    "~",
    ".names",
    ".i",
    "0",
    "-1",
    "\\",
    '"',
    "'",
    "\x00",
    "é",
    "__import__('os')",
    "<!DOCTYPE",
]
HARM += ["not", "lambda:0", "[[", "{}", "1e999", ""]
HARM += ["\n", "\ud800", "9" * 30, "p cnf", ".i 2"]


def harmful_texts(form: str, count: int):
    """Random texts, half of them a valid file with a few changes."""
    rng = random.Random(form)
    valid = write_expression(VALID, form)
    pieces = [*valid.split(), *HARM]
    for number in range(count):
        if number % 4 == 0:
            yield "".join(rng.choice(string.printable + "∧¬→\x00é") for _ in range(rng.randint(0, 30)))
        elif number % 4 == 1:
            yield " ".join(rng.choice(pieces) for _ in range(rng.randint(1, 12)))
        else:
            text = valid
            for _ in range(rng.randint(1, 4)):
                place = rng.randint(0, len(text))
                cut = rng.choice([0, 0, 1, 1, 5])
                text = (
                    text[:place]
                    + rng.choice(["", rng.choice(pieces), rng.choice(string.printable)])
                    + text[place + cut :]
                )
            yield text


@pytest.mark.parametrize("form", READABLE)
def test_ten_thousand_harmful_texts(form):
    accepted: set[Boolean] = set()
    refused = 0
    for text in harmful_texts(form, 10_000):
        try:
            accepted.add(read_expression(text, form))
        except InputError:
            refused += 1
    assert refused > 1000
    assert len(accepted) > 2
    for expression in accepted:
        assert equivalent(read_expression(write_expression(expression, form), form), expression)


@pytest.mark.parametrize(
    ("form", "text", "message"),
    [
        ("json", "[]", "object whose format"),
        ("json", '{"format": "captum-focalogic/expression/1", "nodes": [{"kind": "and", "parts": [0]}]}', "before it"),
        ("json", "[" * 100_000, "not JSON"),
        ("dimacs", "1 2 0", "'p cnf"),
        ("dimacs", "p cnf 2 2\n1 0", "announces 2 clauses"),
        ("dimacs", "p cnf 1 1\n2 0", "beyond the 1"),
        ("dimacs", "c region 1 A\nc region 2 A\np cnf 2 1\n1 2 0", "same name"),
        ("dimacs", "c region 1 I2\np cnf 2 1\n1 2 0", "same name"),
        ("dimacs", "c region 1 A\nc and 2 1\nc formula 2\np cnf 2 1\n1 2 0", "not those of the gates"),
        ("smtlib", "(declare-const a Bool)", "asserts nothing"),
        ("smtlib", "(assert a)", "not declared"),
        ("smtlib", "(declare-const a Int)(assert a)", "declare-const"),
        ("smtlib", "(declare-const a Bool)(assert (let ((b a)) b))", "cannot read"),
        ("smtlib", "(declare-const A Bool)(declare-const %41 Bool)(assert (and A %41))", "same name"),
        ("pla", ".i 2\n.o 1\n1 1\n.e", "expected 2"),
        ("pla", ".i 1\n.o 2\n1 11\n.e", "one output"),
        ("pla", ".i 1\n.o 1\n.type fr\n1 1\n.e", "leaves values open"),
        ("pla", ".i 1\n.o 1\n1 -\n.e", "expected 1"),
        ("blif", ".inputs a\n.outputs b\n.names c b\n1 1\n.names b c\n1 1\n.end", "circle"),
        ("blif", ".inputs a\n.outputs b\n.latch a b 0\n.end", "latch"),
        ("blif", ".inputs a\n.outputs b\n.end", "neither an input"),
        ("blif", ".inputs a\n.outputs a b\n.end", "one output"),
        ("python", "import os", "one function"),
        ("python", "def f(kept): return open('x')", "a predicate holds only"),
        ("python", "@g\ndef f(kept): return True", "decorators"),
        ("python", "def f(kept, x=print()): return True", "one argument"),
        ("python", "def f(kept): return " + "not " * 5000 + "True", "predicate|nested"),
        ("graphml", "<graphml></graphml>", "not GraphML"),
        ("latex", "x", "only written"),
        ("morse", "x", "no format"),
    ],
)
def test_broken_files_are_refused_with_a_reason(form, text, message):
    with pytest.raises(InputError, match=message):
        read_expression(text, form)


def test_files_tell_their_format_by_their_ending(tmp_path):
    for form in READABLE:
        for suffix in FORMATS[form].suffixes:
            path = tmp_path / f"formula{suffix}"
            save_expression(VALID, path)
            assert equivalent(load_expression(path), VALID)
    with pytest.raises(InputError, match="ending"):
        save_expression(VALID, tmp_path / "formula.docx")
    (tmp_path / "bad.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        load_expression(tmp_path / "bad.json")


@pytest.mark.parametrize("name", ["", " ", " a", "a\nb", "a\x00", "\x1b[31m", "\u202ex", "\ud800", "\ufeff", "x" * 300])
@pytest.mark.parametrize("format", FORMATS)
def test_what_could_not_be_read_again_is_not_written(format: str, name: str) -> None:
    with pytest.raises(InputError, match="a region's name"):
        write_expression(Symbol(name) & Symbol("b"), format)
