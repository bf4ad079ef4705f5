"""What commands print of themselves."""

import typer

from captum_focalogic.cli import app
from captum_focalogic.cli.output import command_text


def test_the_command_line_is_what_differs_from_the_usual() -> None:
    command = typer.main.get_command(app).commands["explain"]
    given = ["a b.png", "--report", "-o", "x", "--seed", "3", "--max-evaluations", "0", "--no-progress"]
    text = command_text(command.make_context("focalogic explain", given))
    assert text == "focalogic explain 'a b.png' --max-evaluations 0 --out x --seed 3 --report --no-progress"
