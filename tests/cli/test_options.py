"""Options that several commands share."""

import inspect
from typing import get_args

from captum_focalogic import explain_image
from captum_focalogic.cli import app, options
from captum_focalogic.cli.compare import compare
from captum_focalogic.cli.explain import explain
from captum_focalogic.cli.options import ReadingName
from captum_focalogic.cli.study import run as run_study
from captum_focalogic.search import Reading
from captum_focalogic.search.strategies import SEARCHES


def test_the_readings_are_those_of_the_search() -> None:
    assert {name.value for name in ReadingName} == set(get_args(Reading))


def test_explain_and_compare_share_their_options_and_what_is_usual() -> None:
    asked = [inspect.signature(command).parameters for command in (explain, compare)]
    shared = asked[0].keys() & asked[1].keys()
    assert {"reading", "criterion", "baseline", "batch", "target", "search", "max_evaluations", "segmenter"} <= shared
    for name in shared:
        first, second = (parameters[name] for parameters in asked)
        assert (first.annotation, first.default) == (second.annotation, second.default), name


def test_a_study_shares_the_options_that_mean_the_same() -> None:
    asked = [inspect.signature(command).parameters for command in (explain, run_study)]
    shared = asked[0].keys() & asked[1].keys()
    assert {"model", "mean", "std", "segmenter", "criterion", "removal", "max_evaluations"} <= shared
    # A study's batches are of a fixed size, so that its rows do not depend on what a machine makes of them.
    for name in shared - {"batch"}:
        assert asked[0][name].annotation == asked[1][name].annotation, name


def test_what_is_usual_on_the_command_line_is_usual_in_python() -> None:
    usual = inspect.signature(explain_image).parameters
    assert usual["criterion"].default == options.USUAL_CRITERION
    assert usual["reading"].default == options.USUAL_READING
    assert usual["baseline"].default == options.USUAL_BASELINE
    assert usual["max_evaluations"].default == options.USUAL_EVALUATIONS


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
