"""Symbols of regions, and a package that stays free of torch."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sympy import Symbol

from captum_focalogic.errors import InputError
from captum_focalogic.logic import region_id, region_key, symbol


@given(st.integers(-(2**63), 2**63 - 1))
def test_there_and_back(number):
    assert region_id(symbol(number)) == number
    assert region_key(symbol(number).name) == number


def test_known_symbols():
    assert symbol(7) == Symbol("I7")
    assert symbol(-3) == Symbol("I_m3")
    assert symbol(0) == Symbol("I0")


@pytest.mark.parametrize("name", ["I", "I07", "I_m0", "I-3", "I7 ", "i7", "I７", "wheel", "I_m03", ""])
def test_other_names_are_no_regions(name):
    assert region_key(name) == name
    with pytest.raises(InputError, match="not the symbol of a region"):
        region_id(name)


def test_the_package_loads_without_torch():
    code = "import sys, captum_focalogic.logic; print('torch' in sys.modules, 'captum' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"
