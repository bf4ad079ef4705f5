"""``focalogic segment``: what a picture's regions are."""

from pathlib import Path
from typing import Annotated

import typer

from captum_focalogic.cli import options
from captum_focalogic.cli.failing import TracebackOption, says_what_went_wrong


@says_what_went_wrong
def segment(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A picture.")],
    segmenter: options.Segmenter = None,
    mask: options.Mask = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Cut the part and size of the picture that this model sees; see explain."),
    ] = None,
    weights: options.Weights = None,
    out: options.Out = Path("focalogic-out"),
    traceback: TracebackOption = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Show how a picture is cut into regions, before explaining with them.

    Writes to --out: regions.png, with the region ids, and labels.png, whose pixel values are the ids. Edit the latter
    in any painting program and give it to focalogic explain as --mask.
    """
    from captum_focalogic.cli.segmenting import cut

    cut(image, segmenter=segmenter, mask=mask, model=model, weights=weights, out=out)
