"""``focalogic verify``: whether an explanation's claims hold."""

from pathlib import Path
from typing import Annotated

import typer

from captum_focalogic.cli import options
from captum_focalogic.cli.failing import TracebackOption, says_what_went_wrong


@says_what_went_wrong
def verify(
    focus: Annotated[Path, typer.Argument(metavar="FOCUS.json", help="What focalogic explain wrote.")],
    image: options.Picture = None,
    model: options.Model = "demo",
    weights: options.Weights = None,
    criterion: options.Criterion = "top1",
    baseline: options.Baseline = "black",
    device: options.Device = "auto",
    batch: options.Batch = "auto",
    seed: options.Seed = 22,
    sample: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Most recorded verdicts to ask the model about again.")
    ] = 1_000,
    traceback: TracebackOption = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Ask the model again whether what an explanation claims is true.

    Give the picture, model, criterion and baseline that it was made with. Leaves with 1 if a claim does not hold.
    """
    from captum_focalogic.cli.verifying import check

    holds = check(
        focus,
        picture=image,
        model=model,
        weights=weights,
        criterion=criterion,
        baseline=baseline,
        device=device,
        batch=batch,
        seed=seed,
        sample=sample,
    )
    if not holds:
        raise typer.Exit(1)
