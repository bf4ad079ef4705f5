"""What ``focalogic logic show`` and ``convert`` do."""

import warnings
from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray

from captum_focalogic.cli.facts import print_facts, state_text
from captum_focalogic.cli.failing import CommandError
from captum_focalogic.cli.sources import read_focus, read_source, write_text
from captum_focalogic.errors import InputError, TruncatedWarning
from captum_focalogic.focus import Focus
from captum_focalogic.logic import (
    FORMATS,
    Style,
    banzhaf_values,
    count_literals,
    count_models,
    model_share,
    necessary_states,
    shapley_values,
    symbol,
    to_expression,
    to_text,
    write_expression,
)
from captum_focalogic.tables import Column, Table

_LONGEST = 2_000
"""Literals beyond which a style is not printed: nobody reads it, and ``convert`` writes it."""


def show(path: Path, most: int) -> None:
    """Print everything that the final states say.

    Raises
    ------
    FocaLogicError
        If the file is no explanation, or its names cannot be used.
    """
    focus = read_focus(path)
    facts = {"Explanation": _summary(path, focus), "Formula": focus.formula}
    if focus.names:
        facts["In names"] = to_text(focus.named_expression())
    facts["Paper style"] = _styled(focus, "paper")
    facts["OR of ANDs"] = _styled(focus, "dnf")
    facts["Smallest"] = _sets(focus, focus.smallest().final_states, most)
    facts["Minimal"] = _sets(focus, focus.minimal().final_states, most)
    # One more than is shown tells that there are more.
    facts["Necessary"] = _sets(focus, _necessary(focus, most + 1), most, counted=False)
    facts["Region sets"] = _count(focus)
    facts["Values"] = _values(focus)
    facts["Certificate"] = str(focus.certificate)
    print_facts(facts)


def convert(source: str, *, to: str | None, out: Path | None, style: Style, named: bool) -> None:
    """Write a formula in another format.

    Raises
    ------
    FocaLogicError
        If it is no formula, there is no such format, or the file cannot be written.
    """
    format_ = to or ("text" if out is None else _format_of(out))
    text = write_expression(read_source(source).styled(style, named), format_)
    if out is None:
        typer.echo(text.removesuffix("\n"))
        return
    write_text(out, text if text.endswith("\n") else f"{text}\n")
    print_facts({"Written": f"{out} ({format_})"})


def _format_of(out: Path) -> str:
    for name, each in FORMATS.items():
        if out.suffix.lower() in each.suffixes:
            return name
    raise CommandError(f"the ending of {out.name} says no format; add --to, one of {', '.join(FORMATS)}")


def _summary(path: Path, focus: Focus) -> str:
    target = "" if focus.target is None else f", class {focus.target}"
    count = len(focus.final_states)
    return f"{path}: {count:,} {focus.reading} final state(s) over {focus.num_regions} regions{target}"


def _styled(focus: Focus, style: Style) -> str:
    expression = to_expression(focus.final_states, focus.region_ids, style)
    literals = count_literals(expression)
    if literals <= _LONGEST:
        return to_text(expression)
    return f"{literals:,} literals; focalogic logic convert --style {style} writes them"


def _sets(focus: Focus, states: NDArray[np.bool_], most: int, counted: bool = True) -> str:
    count = len(states)
    if not count:
        return "none"
    lines = [f"{state_text(focus, state)}   {focus.areas[state].sum():.1%} of the picture" for state in states[:most]]
    more = f"{count - len(lines):,} more" if counted else "more"
    return "\n".join([*lines, *([f"... and {more}; --most prints them"] if count > most else [])])


def _necessary(focus: Focus, limit: int) -> NDArray[np.bool_]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncatedWarning)
        return necessary_states(focus.final_states, limit)


def _count(focus: Focus) -> str:
    try:
        count, share = count_models(focus.final_states), model_share(focus.final_states)
    except InputError as error:
        return f"not counted: {error}"
    return f"{count:,} of 2^{focus.num_regions} satisfy the formula, {share:.2%}"


def _values(focus: Focus) -> str:
    try:
        values = [shapley_values(focus.final_states), banzhaf_values(focus.final_states)]
    except InputError as error:
        return f"not computed: {error}"
    rows = []
    for place, region in enumerate(focus.region_ids.tolist()):
        called = f"{symbol(region)} {focus.names.get(region, '')}".rstrip()
        rows.append((called, focus.areas[place], focus.frequencies[place], *(each[place] for each in values)))
    shares = [Column(title, form=".1%") for title in ("area", "in final states")]
    return Table(["region", *shares, *(Column(title, form=".4f") for title in ("Shapley", "Banzhaf"))], rows).text()
