"""Imports point one way, and the pure parts load no torch."""

import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import captum_focalogic

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"

HEAVY = ("torch", "torchvision", "captum")


def test_contracts_hold() -> None:
    pytest.importorskip("importlinter", reason="needs import-linter (the test extra)")
    lint = (
        "from importlinter.cli import lint_imports as lint; raise SystemExit(lint(PATH, no_cache=True, no_logo=True))"
    )
    command = [sys.executable, "-c", lint.replace("PATH", repr(str(PYPROJECT)))]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_has_its_place_in_the_layers() -> None:
    contracts = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    placed = {name.strip(" ()") for layer in layers for name in layer.replace("|", ":").split(":")}
    modules = {f"captum_focalogic.{module.name}" for module in pkgutil.iter_modules(captum_focalogic.__path__)}
    assert modules <= placed, "name new modules in the layers of [tool.importlinter] in pyproject.toml"


def loaded(code: str) -> str:
    """What a fresh interpreter has loaded of the heavy packages after running this."""
    code += f"\nimport sys\nprint([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("module", ["", ".search", ".search.strategies", ".logic", ".metrics", ".focus", ".errors"])
def test_importing_loads_no_torch(module: str) -> None:
    assert loaded(f"import captum_focalogic{module}") == "[]"


def test_the_names_at_the_top_load_what_they_need() -> None:
    assert loaded("from captum_focalogic import Focus") == "[]"
    assert "'torch'" in loaded("from captum_focalogic import FocaLogic")


def test_searching_and_reading_load_no_torch() -> None:
    code = """
import numpy as np
from captum_focalogic.logic import to_expression
from captum_focalogic.search import Ascending, Beam, Chains, Exhaustive, HittingSets, enumerate_final_states
for strategy in (Exhaustive(), Beam(5), Ascending(), Chains(), HittingSets()):
    found = enumerate_final_states(lambda kept: kept[:, 0] & (kept[:, 1] | kept[:, 2]), 3, strategy)
    assert str(to_expression(found.final_states)) == "I0 & (I1 | I2)", strategy
"""
    assert loaded(code) == "[]"
