"""``focalogic report``: stored explanations as one interactive page."""

from pathlib import Path
from typing import Annotated

import typer

from captum_focalogic.cli.failing import TracebackOption, says_what_went_wrong


@says_what_went_wrong
def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that explain wrote to, or one of several, or a focus.json.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="The page; report.html in DIR by default.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="The page's title.")] = None,
    labels: Annotated[Path | None, typer.Option(metavar="FILE", help="Class names, one a line.")] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Masks of the objects (white), of the size the model sees, named like the explanations: NAME.png for "
            "NAME/focus.json or NAME.json.",
        ),
    ] = None,
    traceback: TracebackOption = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Show stored explanations in one HTML file that needs no network and can be sent to anybody.

    Hover over a symbol to see its region; switch regions off to see what the formula and the model make of the rest.
    """
    from captum_focalogic.cli.reporting import write_page

    write_page(folder, out=out, title=title, labels=labels, truth=truth)
