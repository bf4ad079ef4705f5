"""``focalogic logic``: what can be done with a formula."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from captum_focalogic.cli import options
from captum_focalogic.cli.errors import CommandError, reports_errors
from captum_focalogic.cli.logic_sets import necessary, rules
from captum_focalogic.cli.output import print_lines
from captum_focalogic.errors import InputError, TruncatedWarning, hearing
from captum_focalogic.files import write_text
from captum_focalogic.tables import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from captum_focalogic.cli.formulas import Formula
    from captum_focalogic.focus import Focus
    from captum_focalogic.logic import Style

app = typer.Typer(
    name="logic",
    help="Read, convert, compare and draw the formulas of explanations.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_LONGEST = 2_000
"""Literals beyond which a style is not printed: nobody reads it, and ``convert`` writes it."""

RegionSet: TypeAlias = frozenset[int | str]

FormulaText = Annotated[
    str,
    typer.Argument(
        metavar="FOCUS.json|FORMULA",
        help="What focalogic explain wrote, or a file that convert wrote, or a formula such as 'I1 & (I2 | ~I3)'.",
    ),
]
ImageFile = Annotated[
    Path | None,
    typer.Option("--image", metavar="IMAGE", help="The image as the model saw it; by default the explanation's."),
]


class StyleName(StrEnum):
    """How a formula is written."""

    factored = "factored"
    paper = "paper"
    dnf = "dnf"


class GraphName(StrEnum):
    """What is drawn."""

    formula = "formula"
    refinement = "refinement"
    lattice = "lattice"


@app.command()
@reports_errors
def show(
    focus: options.FocusFile,
    most: Annotated[
        int, typer.Option("--most", min=0, metavar="NUMBER", help="Most final states and necessary sets to print.")
    ] = 20,
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Print everything that the final states say.

    The formula in three styles and in names, the smallest and the minimal final states, what the formula cannot spare,
    how many sets of regions keep the decision, what each region counts for, and what was checked.
    """
    from captum_focalogic.cli.formulas import read_focus
    from captum_focalogic.logic import to_text

    stored = read_focus(focus)
    said = {"Explanation": _summary(focus, stored), "Formula": stored.formula}
    if stored.names:
        said["In names"] = to_text(stored.named_expression())
    said["Paper style"] = _styled(stored, "paper")
    said["OR of ANDs"] = _styled(stored, "dnf")
    said["Smallest"] = _sets(stored, stored.smallest().final_states, most)
    said["Minimal"] = _sets(stored, stored.minimal().final_states, most)
    # One more than is shown tells that there are more.
    said["Necessary"] = _sets(stored, _necessary(stored, most + 1), most, counted=False)
    said["Region sets"] = _count(stored)
    said["Values"] = _values(stored)
    said["Certificate"] = str(stored.certificate)
    print_lines(said)


@app.command()
@reports_errors
def convert(
    formula: FormulaText,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="text, srepr, latex, python, json, dimacs, smtlib, pla, blif or graphml; by default what the ending "
            "of --out says, or text.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Where to write; by default to standard output.")
    ] = None,
    style: Annotated[
        StyleName, typer.Option(metavar="NAME", help="factored, paper or dnf (OR of ANDs); of explanations only.")
    ] = StyleName.factored,
    names: Annotated[bool, typer.Option("--names", help="Call regions by their names in place of symbols.")] = False,
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Write a formula for another program: a SAT solver, a logic synthesiser, a paper, Python."""
    from captum_focalogic.cli.formulas import read_formula
    from captum_focalogic.logic import write_expression

    form = to or ("text" if out is None else _format_of(out))
    text = write_expression(read_formula(formula).styled(style.value, names), form)
    if out is None:
        lines = text.removesuffix("\n").split("\n")
        typer.echo("\n".join(map(printable, lines) if sys.stdout.isatty() else lines))
        return
    write_text(out, text if text.endswith("\n") else f"{text}\n")
    print_lines({"Written": f"{out} ({form})"})


@app.command()
@reports_errors
def compare(
    a: FormulaText,
    b: FormulaText,
    image: ImageFile = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Image of where they differ; difference.png if --image is given."
        ),
    ] = None,
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Prove that two formulas agree, or find sets of regions on which they do not.

    For instance of two models, or of one model before and after training, explained on one image with one --mask.
    """
    from sympy import And

    from captum_focalogic.cli.formulas import read_formula
    from captum_focalogic.logic import difference, to_text

    one, other = read_formula(a), read_formula(b)
    _check_regions(one, other)
    target = out or (None if image is None else Path("difference.png"))
    if target is not None and (one.focus is None or other.focus is None):
        raise InputError("an image of the difference needs two explanations, not formulas")
    # a and (a and b) differ exactly where a holds and b does not.
    both = And(one.expression, other.expression)
    only_a, only_b = difference(one.expression, both), difference(other.expression, both)
    said = {
        "A": f"{one.title}\n{to_text(one.expression)}",
        "B": f"{other.title}\n{to_text(other.expression)}",
        "Equivalent": "no" if only_a is not None or only_b is not None else "yes, that is proved",
        "A implies B": _implication(only_a, "A", "B"),
        "B implies A": _implication(only_b, "B", "A"),
    }
    focus = one.focus or other.focus
    for label, kept, lost in (("Only A", only_a, "B"), ("Only B", only_b, "A")):
        if kept is not None:
            said[label] = f"{_words(kept, focus)}: {label[-1]} holds, {lost} does not"
    if only_a is not None or only_b is not None:
        said["Region sets"] = _disagreement(one, other)
    if target is not None and one.focus is not None and other.focus is not None:
        _draw_differences(one.focus, other.focus, [only_a, only_b], image, target)
        said["Written"] = str(target)
    print_lines(said)


@app.command()
@reports_errors
def draw(
    formula: FormulaText,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Ends in .svg, .png or .dot (the source).")],
    graph: Annotated[
        GraphName,
        typer.Option(
            metavar="NAME",
            help="formula; refinement, the search from the whole image down to the final states; lattice, what the "
            "final states have in common.",
        ),
    ] = GraphName.formula,
    image: ImageFile = None,
    regions: Annotated[bool, typer.Option("--illustrated/--plain", help="Show what regions look like.")] = True,
    nodes: Annotated[
        int, typer.Option(min=2, metavar="NUMBER", help="Most nodes of a refinement or lattice; the rest is counted.")
    ] = 30,
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Draw a formula, a search, or the lattice of the final states."""
    from captum_focalogic.cli.formulas import read_formula, read_image
    from captum_focalogic.figures.graphs import illustrated
    from captum_focalogic.logic import render, symbol

    read = read_formula(formula)
    drawn = _graph(read, graph, nodes)
    focus = read.focus
    pixels = None
    if focus is not None and regions:
        pixels = read_image(image, focus)
    elif image is not None:
        raise InputError("--image shows the regions of an explanation: give its focus.json, without --plain")
    drawing = illustrated(
        drawn,
        image=pixels,
        label_map=None if pixels is None or focus is None else focus.label_map,
        # A named region may share its name with another: with the symbol in front each is one of a kind.
        names={} if focus is None else {region: f"{symbol(region)} {name}" for region, name in focus.names.items()},
    )
    try:
        written = render(drawing, out)
    except OSError as error:
        raise CommandError(f"{out} cannot be written: {error}") from error
    print_lines({"Written": str(written)})


app.command()(necessary)
app.command()(rules)


def _format_of(out: Path) -> str:
    from captum_focalogic.logic import FORMATS

    for name, each in FORMATS.items():
        if out.suffix.lower() in each.suffixes:
            return name
    raise CommandError(f"the ending of {out.name} says no format; add --to, one of {', '.join(FORMATS)}")


def _summary(path: Path, focus: "Focus") -> str:
    target = "" if focus.target is None else f", class {focus.target}"
    count = len(focus.final_states)
    return f"{path}: {count:,} {focus.certificate.kind} final state(s) over {focus.num_regions} regions{target}"


def _styled(focus: "Focus", style: "Style") -> str:
    from captum_focalogic.logic import count_literals, to_expression, to_text

    expression = to_expression(focus.final_states, focus.region_ids, style)
    literals = count_literals(expression)
    if literals <= _LONGEST:
        return to_text(expression)
    return f"{literals:,} literals; focalogic logic convert --style {style} writes them"


def _sets(focus: "Focus", states: "NDArray[np.bool_]", most: int, counted: bool = True) -> str:
    from captum_focalogic.summary import state_text

    count = len(states)
    if not count:
        return "none"
    lines = [f"{state_text(focus, state)}   {focus.areas[state].sum():.1%} of the image" for state in states[:most]]
    more = f"{count - len(lines):,} more" if counted else "more"
    return "\n".join([*lines, *([f"... and {more}; --most prints them"] if count > most else [])])


def _necessary(focus: "Focus", limit: int) -> "NDArray[np.bool_]":
    from captum_focalogic.logic import necessary_states

    with hearing(TruncatedWarning):
        return necessary_states(focus.final_states, limit)


def _count(focus: "Focus") -> str:
    from captum_focalogic.logic import count_models, model_share

    try:
        count, share = count_models(focus.final_states), model_share(focus.final_states)
    except InputError as error:
        return f"not counted: {error}"
    return f"{count:,} of 2^{focus.num_regions} satisfy the formula, {share:.2%}"


def _values(focus: "Focus") -> str:
    from captum_focalogic.logic import banzhaf_values, shapley_values, symbol
    from captum_focalogic.tables import Column, Table

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


def _graph(formula: "Formula", graph: GraphName, nodes: int) -> Any:
    from captum_focalogic.logic import final_state_lattice, refinement_graph, to_networkx

    if graph is GraphName.formula:
        return to_networkx(formula.expression)
    if formula.focus is None:
        raise InputError(
            f"--graph {graph.value} is about the final states of an explanation; {formula.title} is a formula"
        )
    if graph is GraphName.refinement:
        return refinement_graph(formula.focus, nodes)
    return final_state_lattice(formula.focus.final_states, formula.focus.region_ids, nodes)


def _check_regions(a: "Formula", b: "Formula") -> None:
    import numpy as np

    if a.focus is None or b.focus is None:
        return
    same = np.array_equal(a.focus.region_ids, b.focus.region_ids)
    if a.focus.label_map is not None and b.focus.label_map is not None:
        same = same and np.array_equal(a.focus.label_map, b.focus.label_map)
    if not same:
        raise InputError(
            f"{a.title} and {b.title} are about different regions; explain both with one label map (--mask)"
        )


def _implication(witness: RegionSet | None, one: str, other: str) -> str:
    return f"yes: what is enough for {one} is enough for {other}" if witness is None else "no"


def _words(kept: RegionSet, focus: "Focus | None") -> str:
    """A region set in symbols and names, with its share of the image."""
    import numpy as np

    from captum_focalogic.logic import symbol

    if not kept:
        return "no region at all"
    numbers = sorted(number for number in kept if isinstance(number, int))
    others = sorted(str(name) for name in kept if not isinstance(name, int))
    names = {} if focus is None else focus.names
    called = [f"{symbol(number)} {names.get(number, '')}".rstrip() for number in numbers] + others
    if focus is None:
        return " & ".join(called)
    share = focus.areas[np.isin(focus.region_ids, numbers)].sum()
    return f"{' & '.join(called)} ({share:.1%} of the image)"


def _disagreement(a: "Formula", b: "Formula") -> str:
    from sympy import Xor

    from captum_focalogic.logic import model_share

    try:
        return f"the formulas disagree on {model_share(Xor(a.expression, b.expression)):.2%} of all"
    except InputError as error:
        return f"not counted: {error}"


def _draw_differences(
    focus_a: "Focus", focus_b: "Focus", witnesses: list[RegionSet | None], image: Path | None, out: Path
) -> None:
    from captum_focalogic.cli.formulas import read_image
    from captum_focalogic.figures.difference import show_difference
    from captum_focalogic.figures.overlays import contact_sheet
    from captum_focalogic.images import write_image

    pixels = read_image(image, focus_a)
    shown = [
        show_difference(focus_a, focus_b, pixels, regions=[int(region) for region in kept]).image
        for kept in witnesses
        if kept is not None
    ] or [show_difference(focus_a, focus_b, pixels).image]
    write_image(out, shown[0] if len(shown) == 1 else contact_sheet(shown, columns=2, width=shown[0].width))
