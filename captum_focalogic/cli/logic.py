"""``focalogic logic``: what can be done with a formula."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from captum_focalogic.cli import options
from captum_focalogic.cli.failing import TracebackOption, says_what_went_wrong

app = typer.Typer(
    name="logic",
    help="Read, convert, compare and draw the formulas of explanations.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

FocusFile = Annotated[Path, typer.Argument(metavar="FOCUS.json", help="What focalogic explain wrote.")]
Formula = Annotated[
    str,
    typer.Argument(
        metavar="FOCUS.json|FORMULA",
        help="What focalogic explain wrote, or a file that convert wrote, or a formula such as 'I1 & (I2 | ~I3)'.",
    ),
]
ImageFile = Annotated[
    Path | None,
    typer.Option("--image", metavar="PICTURE", help="The picture as the model saw it; by default the explanation's."),
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
@says_what_went_wrong
def show(
    focus: FocusFile,
    most: Annotated[
        int, typer.Option("--most", min=0, metavar="NUMBER", help="Most final states and necessary sets to print.")
    ] = 20,
    traceback: TracebackOption = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Print everything that the final states say.

    The formula in three styles and in names, the smallest and the minimal final states, what cannot be spared, how many
    sets of regions keep the decision, what each region counts for, and what was checked.
    """
    from captum_focalogic.cli.logic_text import show as print_all

    print_all(focus, most)


@app.command()
@says_what_went_wrong
def convert(
    formula: Formula,
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
    traceback: TracebackOption = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Write a formula for another program: a SAT solver, a logic synthesiser, a paper, Python."""
    from captum_focalogic.cli.logic_text import convert as write

    write(formula, to=to, out=out, style=style.value, named=names)


@app.command()
@says_what_went_wrong
def compare(
    a: Formula,
    b: Formula,
    image: ImageFile = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE", help="Picture of where they differ; difference.png if --image is given."
        ),
    ] = None,
    traceback: TracebackOption = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Prove that two formulas agree, or find sets of regions on which they do not.

    For instance of two models, or of one model before and after training, explained on one picture with one --mask.
    """
    from captum_focalogic.cli.logic_pictures import compare as print_both

    print_both(a, b, image=image, out=out)


@app.command()
@says_what_went_wrong
def draw(
    formula: Formula,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Ends in .svg, .png or .dot (the source).")],
    graph: Annotated[
        GraphName,
        typer.Option(
            metavar="NAME",
            help="formula; refinement, the search from the whole picture down to the final states; lattice, what the "
            "final states have in common.",
        ),
    ] = GraphName.formula,
    image: ImageFile = None,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Show regions as pictures.")] = True,
    nodes: Annotated[
        int, typer.Option(min=2, metavar="NUMBER", help="Most nodes of a refinement or lattice; the rest is counted.")
    ] = 30,
    traceback: TracebackOption = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Draw a formula, a search, or the lattice of the final states."""
    from captum_focalogic.cli.logic_pictures import draw as write

    write(formula, out=out, graph=graph.value, image=image, pictures=pictures, nodes=nodes)


@app.command()
@says_what_went_wrong
def necessary(
    focus: FocusFile,
    image: options.Picture = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="MODEL", help="Put each set to this model; without it to the formula."),
    ] = None,
    weights: options.Weights = None,
    criterion: options.Criterion = "top1",
    baseline: options.Baseline = "black",
    device: options.Device = "auto",
    batch: options.Batch = "auto",
    seed: options.Seed = 22,
    limit: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="Most sets to find, the smallest first.")] = 1_000,
    traceback: TracebackOption = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Say what cannot be spared: the smallest sets of regions without which no final state is whole.

    With --model, say too whether the model loses its prediction without them; give the picture, criterion and baseline
    that the explanation was made with.
    """
    from captum_focalogic.cli.logic_sets import Asked
    from captum_focalogic.cli.logic_sets import necessary as print_sets

    asked = None
    if model is not None:
        asked = Asked(image, model, weights, criterion, baseline, device, batch, seed)
    print_sets(focus, picture=image, asked=asked, limit=limit)


@app.command()
@says_what_went_wrong
def rules(
    focuses: Annotated[
        list[Path], typer.Argument(metavar="FOCUS.json...", help="Explanations of pictures of one class.")
    ],
    names: Annotated[
        Path | None,
        typer.Option(
            "--names",
            metavar="NAMES.json",
            help='What regions are called: {"1": "wheel", ...} for all pictures alike, or {"FOCUS.json": {"1": ...}, '
            "...}. By default the explanations' own names.",
        ),
    ] = None,
    min_support: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="Least share of the pictures that a rule explains.")
    ] = 0.0,
    min_confidence: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="SHARE", help="The same among the pictures that have all of its names."),
    ] = 0.0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="The table too, as .md, .csv or .json.")
    ] = None,
    traceback: TracebackOption = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Find the rules of a class: names of regions that together are enough, in which share of the pictures."""
    from captum_focalogic.cli.logic_sets import rules as print_rules

    print_rules(focuses, names=names, min_support=min_support, min_confidence=min_confidence, out=out)
