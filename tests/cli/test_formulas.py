"""Formulas and explanations that commands read, and the image beside them."""

from pathlib import Path

import numpy as np
import pytest
from makers import QUARTER_PIXELS

from captum_focalogic.cli.errors import CommandError
from captum_focalogic.cli.formulas import Formula, read_focus, read_formula, read_image
from captum_focalogic.errors import InputError
from captum_focalogic.logic import parse_expression, save_expression


def test_a_formula_is_a_file_or_its_text(logic_files: Path, tmp_path: Path) -> None:
    expected = parse_expression("I1 & (I2 | I3)")
    assert read_formula("I1 & (I2 | I3)").expression == expected
    given = read_formula(str(logic_files / "a.json"))
    assert given.expression == expected
    assert given.focus is not None
    save_expression(expected, tmp_path / "formula.cnf")
    written = read_formula(str(tmp_path / "formula.cnf"))
    assert written.focus is None
    assert {symbol.name for symbol in written.expression.free_symbols} == {"I1", "I2", "I3"}


def test_an_explanation_has_styles_and_names(logic_files: Path) -> None:
    given = read_formula(str(logic_files / "a.json"))
    assert str(given.styled("dnf", named=False)) == "(I1 & I2) | (I1 & I3)"
    assert {symbol.name for symbol in given.styled("factored", named=True).free_symbols} == {
        "wheel", "sky", "car door",
    }  # fmt: skip
    with pytest.raises(InputError, match="is no explanation"):
        Formula("I1", parse_expression("I1")).styled("dnf", named=False)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("missing.json", CommandError, "there is no file"),
        ("I1 &", InputError, "neither a file nor a formula"),
        ("broken.json", InputError, "broken.json: "),
        ("text.json", InputError, "text.json: "),
        ("bad.cnf", InputError, "bad.cnf: "),
    ],
)
def test_what_is_neither_is_named(
    name: str, error: type[Exception], message: str, logic_files: Path, monkeypatch
) -> None:
    monkeypatch.chdir(logic_files)
    with pytest.raises(error, match=message):
        read_formula(name)


def test_the_image_is_that_of_the_file_or_of_the_explanation(logic_files: Path) -> None:
    focus, blind = read_focus(logic_files / "a.json"), read_focus(logic_files / "blind.json")
    assert np.array_equal(read_image(None, focus), QUARTER_PIXELS)  # type: ignore[arg-type]
    assert np.array_equal(read_image(logic_files / "picture.png", focus), QUARTER_PIXELS)  # type: ignore[arg-type]
    assert read_image(None, blind) is None
    with pytest.raises(InputError, match="24x10 pixels, but the model saw 24x24 of it; leave --image out"):
        read_image(logic_files / "small.png", focus)
    with pytest.raises(InputError, match="no label map"):
        read_image(logic_files / "picture.png", blind)
