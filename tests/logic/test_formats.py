"""Every format, read by an independent tool and by our own importer; importers on texts that mean harm."""

import json
import random
import shutil
import string
import subprocess

import networkx as nx
import numpy as np
import pytest
import z3
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import all_assignments, expressions, region_symbol
from oracles import evaluate as truth_table
from pysat.formula import CNF
from pysat.solvers import Solver
from sympy import And, Implies, Not, Or, Symbol, Xor, false, sympify, true
from sympy.logic.boolalg import Boolean
from sympy.parsing.sympy_parser import parse_expr

from captum_focalogic.errors import InputError
from captum_focalogic.logic import (
    FORMATS,
    equivalent,
    evaluate,
    load_expression,
    parse_expression,
    read_expression,
    save_expression,
    to_callable,
    to_python,
    to_text,
    write_expression,
)
from captum_focalogic.logic.builder import decode_name, encode_name

COLUMNS = 5
ASSIGNMENTS = all_assignments(COLUMNS)
READABLE = [name for name, form in FORMATS.items() if form.read is not None]
NASTY = [
    "and",
    "true",
    "x",
    "car wheel",
    'a"b',
    "a'b",
    "a\\b",
    "ü|",
    "-x",
    "%41",
    "#",
    ".i",
    "1",
    "I_m0",
    "I01",
    "e|&amp;<b>",
]

some = expressions(COLUMNS, leaves=10)
printable = st.text(min_size=1, max_size=20).filter(lambda s: s.isprintable() and s.strip() == s)
names = st.one_of(st.sampled_from(NASTY), printable)


def kept_sets():
    for row in ASSIGNMENTS:
        yield {int(column) for column in np.flatnonzero(row)}


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


@given(some)
@settings(max_examples=100, deadline=None)
def test_python_runs_the_predicate(expression):
    scope: dict[str, object] = {}
    exec(compile(to_python(expression, "keeps"), "<predicate>", "exec"), scope)
    expected = truth_table(expression, ASSIGNMENTS, range(COLUMNS))
    called = to_callable(expression)
    for kept, value in zip(kept_sets(), expected, strict=True):
        assert scope["keeps"](kept) == value
        assert called(kept) == value
        assert called([f"I{i}" for i in kept]) == value
    assert (evaluate(expression, ASSIGNMENTS) == expected).all()


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


@given(some)
@settings(max_examples=60, deadline=None)
def test_z3_reads_smtlib(expression):
    assertions = z3.And(*z3.parse_smt2_string(write_expression(expression, "smtlib")), z3.BoolVal(True))
    expected = truth_table(expression, ASSIGNMENTS, range(COLUMNS))
    for row, value in zip(ASSIGNMENTS, expected, strict=True):
        pairs = [(z3.Bool(f"I{i}"), z3.BoolVal(bool(on))) for i, on in enumerate(row)]
        assert z3.is_true(z3.simplify(z3.substitute(assertions, *pairs))) == value


def test_z3_reads_names_of_any_kind():
    expression = And(*(Symbol(name) for name in NASTY))
    (parsed,) = z3.parse_smt2_string(write_expression(expression, "smtlib"))
    assert {decode_name(part.decl().name()) for part in parsed.children()} == set(NASTY)


@given(some)
@settings(max_examples=60, deadline=None)
def test_networkx_reads_graphml_and_json_lists_the_same_nodes(expression):
    graph = nx.parse_graphml(write_expression(expression, "graphml"))
    nodes = json.loads(write_expression(expression, "json"))["nodes"]
    expected = truth_table(expression, ASSIGNMENTS, range(COLUMNS))
    rules = {"and": all, "or": any, "not": lambda v: not v[0], "xor": lambda v: v[0] != v[1],
             "true": lambda v: True, "false": lambda v: False}  # fmt: skip
    for row, value in zip(ASSIGNMENTS, expected, strict=True):
        values: dict[str, bool] = {}
        for node in reversed(list(nx.topological_sort(graph))):
            kind, symbol = graph.nodes[node]["kind"], graph.nodes[node].get("symbol")
            parts = [values[part] for part in graph.successors(node)]
            values[node] = bool(row[int(symbol[1:])]) if kind == "region" else rules[kind](parts)
        assert values[str(graph.graph["root"])] == value
        listed: list[bool] = []
        for node in nodes:
            parts = [listed[part] for part in node.get("parts", [])]
            listed.append(
                bool(row[int(node["symbol"][1:])]) if node["kind"] == "region" else rules[node["kind"]](parts)
            )
        assert listed[-1] == value


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


@pytest.mark.skipif(shutil.which("berkeley-abc") is None, reason="Berkeley ABC is not installed")
def test_abc_proves_pla_and_blif_equivalent_to_the_truth_table(tmp_path):
    rng = random.Random(7)
    for _ in range(15):
        terms = [rng.sample(range(COLUMNS), rng.randint(1, 3)) for _ in range(4)]
        signed = [And(*(region_symbol(i) if rng.random() < 0.7 else Not(region_symbol(i)) for i in t)) for t in terms]
        everything = Or(*(region_symbol(i) for i in range(COLUMNS)))
        expression = Xor(Or(*signed), And(everything, *signed[0].free_symbols))
        if len(expression.free_symbols) < COLUMNS:
            continue
        values = truth_table(expression, ASSIGNMENTS, range(COLUMNS))
        minterms = ["".join("01"[int(on)] for on in row) + " 1" for row in ASSIGNMENTS[values]]
        truth = tmp_path / "truth.pla"
        truth.write_text("\n".join([f".i {COLUMNS}", ".o 1", f".p {len(minterms)}", *minterms, ".e", ""]))
        for form in ("pla", "blif"):
            path = tmp_path / f"formula.{form}"
            path.write_text(write_expression(expression, form))
            out = abc(f"cec -n {truth} {path}")
            assert "Networks are equivalent" in out, out
    path.write_text(write_expression(Not(expression), "blif"))
    assert "NOT EQUIVALENT" in abc(f"cec -n {truth} {path}")


def abc(commands: str) -> str:
    done = subprocess.run(["berkeley-abc", "-q", commands], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("form", READABLE)
def test_constants(form):
    for constant in (true, false):
        assert read_expression(write_expression(constant, form), form) == constant
    assert write_expression(True, form) == write_expression(true, form)


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


def test_small_files_that_mean_huge_formulas_are_refused():
    # Each node uses the one before twice, with a region between them, so that nothing is folded: 2^60 literals.
    nodes = [{"kind": "region", "symbol": f"I{i}"} for i in range(3)]
    for level in range(60):
        last = len(nodes) - 1
        nodes.append({"kind": "or", "parts": [last, level % 2]})
        nodes.append({"kind": "or", "parts": [last, 2]})
        nodes.append({"kind": "and", "parts": [last + 1, last + 2]})
    text = json.dumps({"format": "captum-focalogic/expression/1", "nodes": nodes})
    with pytest.raises(InputError, match=r"times|levels"):
        read_expression(text, "json")
    bomb = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><graphml/>'
    with pytest.raises(InputError, match="document type"):
        read_expression(bomb, "graphml")


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


def test_cnf_of_another_tool_has_its_variables_for_regions():
    assert equivalent(read_expression("p cnf 3 2\n1 -2 0\n3 0\n", "dimacs"), parse_expression("(I1 | ~I2) & I3"))
    assert read_expression("p cnf 3 1\n0\n", "dimacs") == false
    assert read_expression("p cnf 3 0\n", "dimacs") == true
    assert read_expression("c region 1 A\np cnf 999999999 1\n1 999999999 0\n", "dimacs") == parse_expression(
        "A | I999999999"
    )


def test_blif_of_another_tool():
    text = ".model t\n.inputs a b \\\n c\n.outputs o\n.names a b n\n11 0\n.names n c o\n1- 1\n-1 1\n.end\n"
    assert equivalent(read_expression(text, "blif"), parse_expression("~(a & b) | c"))


@given(printable)
@settings(max_examples=200, deadline=None)
def test_encoded_names_are_plain_and_come_back(name):
    encoded = encode_name(name, {"and"})
    assert set(encoded) <= set(string.ascii_letters + string.digits + "_.-~%")
    assert encoded[0] in string.ascii_letters + "_%"
    assert decode_name(encoded) == name


def test_evaluate_needs_a_column_for_every_region():
    with pytest.raises(InputError, match="I7"):
        evaluate(Symbol("I7"), [[True]])
    assert evaluate(Symbol("I7"), [[True], [False]], [7]).tolist() == [True, False]
    with pytest.raises(InputError, match="function may have"):
        to_python(true, "not a name")
