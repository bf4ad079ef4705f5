"""BLIF: Berkeley ABC reads it, and files of other tools are read."""

import random
import shutil
import subprocess

import pytest
from oracles import all_assignments, region_symbol
from oracles import evaluate as truth_table
from sympy import And, Not, Or, Xor

from captum_focalogic.logic import (
    equivalent,
    parse_expression,
    read_expression,
    write_expression,
)

COLUMNS = 5
ASSIGNMENTS = all_assignments(COLUMNS)


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


def test_blif_of_another_tool():
    text = ".model t\n.inputs a b \\\n c\n.outputs o\n.names a b n\n11 0\n.names n c o\n1- 1\n-1 1\n.end\n"
    assert equivalent(read_expression(text, "blif"), parse_expression("~(a & b) | c"))
