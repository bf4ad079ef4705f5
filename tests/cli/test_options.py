"""Options that several commands share."""

from typing import get_args

from captum_focalogic.cli import app
from captum_focalogic.cli.options import ReadingName
from captum_focalogic.search import Reading
from captum_focalogic.search.strategies import SEARCHES


def test_the_readings_are_those_of_the_search() -> None:
    assert {name.value for name in ReadingName} == set(get_args(Reading))


def test_the_help_lists_what_there_is(run) -> None:
    out, _ = run("explain", "--help")
    said = " ".join(out.replace("│", " ").split())
    assert all(name in said for name in SEARCHES)
    for option in ("--segmenter", "--criterion", "--baseline", "--max-evaluations", "--device"):
        assert option in said


def test_every_command_has_a_traceback_to_show() -> None:
    from typer.main import get_command

    commands = get_command(app).commands  # type: ignore[attr-defined]
    for name in ("explain", "verify", "compare", "experiment", "segment", "report"):
        assert "traceback" in {option.name for option in commands[name].params}, name
