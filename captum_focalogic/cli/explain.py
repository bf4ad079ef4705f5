"""``focalogic explain``: one decision as logic, pictures and a file."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from captum_focalogic.cli import options
from captum_focalogic.cli.failing import TracebackOption, says_what_went_wrong
from captum_focalogic.search.strategies import SEARCHES


class ReadingName(StrEnum):
    """What is meant by a final state."""

    irreducible = "irreducible"
    minimal = "minimal"
    smallest = "smallest"


@says_what_went_wrong
def explain(
    image: options.Picture = None,
    model: options.Model = "demo",
    weights: options.Weights = None,
    segmenter: options.Segmenter = None,
    mask: options.Mask = None,
    search: Annotated[str, typer.Option(metavar="NAME", help=f"{', '.join(SEARCHES)}.")] = "auto",
    reading: Annotated[
        ReadingName,
        typer.Option(
            metavar="NAME",
            help="Final states are: irreducible, what deletions lead to until none keeps the prediction; minimal, "
            "those no part of which suffices; smallest, those with the fewest regions.",
        ),
    ] = ReadingName.irreducible,
    criterion: options.Criterion = "top1",
    baseline: options.Baseline = "black",
    target: options.Target = None,
    device: options.Device = "auto",
    batch: options.Batch = "auto",
    max_evaluations: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Most region sets the model is asked about; 0 for no limit.")
    ] = 5_000,
    time_limit: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Seconds after which the search ends.")
    ] = None,
    out: options.Out = Path("focalogic-out"),
    seed: options.Seed = 22,
    tiles: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Most final states to print and to draw a tile of.")
    ] = 100,
    colour_blind: Annotated[
        bool, typer.Option("--colour-blind", help="Blue stripes and yellow in place of red and white.")
    ] = False,
    report: Annotated[bool, typer.Option("--report", help="Write report.html too, an interactive page.")] = False,
    progress: options.Progress = True,
    traceback: TracebackOption = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Say in logic why a model decides as it does.

    Without arguments, explains the embedded model on an embedded scene, whose true reason is known.

    Writes to --out: overlay.png (red: regions that every final state keeps; white: those that some keep), regions.png,
    tiles/ (one picture a final state), formula.svg, labels.png (the regions, for --mask) and focus.json.

    MODEL is one of: demo, the embedded network; torchvision:NAME, such as torchvision:resnet18; cascade:face, a face
    detector that is no neural network; PATH/MODULE.py:NAME, where NAME is an nn.Module, or a function of images
    (N, 3, H, W) in [0, 1], or a function or class that needs no argument and returns one of these. The module may
    define preprocess(picture), which returns the image (3, H, W) in [0, 1] that the model sees, and labels, a list of
    class names or a function that returns it.
    """
    from captum_focalogic.cli.explaining import Wish, carry_out

    carry_out(
        Wish(
            picture=image,
            model=model,
            weights=weights,
            segmenter=segmenter,
            mask=mask,
            search=search,
            reading=reading.value,
            criterion=criterion,
            baseline=baseline,
            target=target,
            device=device,
            batch=batch,
            max_evaluations=max_evaluations or None,
            time_limit=time_limit,
            out=out,
            seed=seed,
            tiles=tiles,
            colour_blind=colour_blind,
            report=report,
            progress=progress,
        )
    )
