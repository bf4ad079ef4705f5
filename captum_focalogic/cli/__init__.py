"""The command line, ``focalogic``: explain a decision, look at a partition, check, compare and show an explanation."""

import io
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from captum_focalogic import __version__
from captum_focalogic.cli.allocator import keep_freed_memory
from captum_focalogic.cli.compare import compare
from captum_focalogic.cli.errors import UsageError, say
from captum_focalogic.cli.experiment import experiment
from captum_focalogic.cli.explain import demo, explain
from captum_focalogic.cli.logic import app as logic
from captum_focalogic.cli.report import report
from captum_focalogic.cli.segment import segment
from captum_focalogic.cli.serve import serve
from captum_focalogic.cli.study import study
from captum_focalogic.cli.verify import verify

app = typer.Typer(
    name="focalogic",
    help="Explain an image classifier's decision as Boolean logic over image regions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(explain)
app.command()(demo)
app.command()(segment)
app.command()(verify)
app.command()(compare)
app.command()(report)
app.command()(serve)
app.add_typer(logic)
app.add_typer(study, name="study")
app.command()(experiment)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"captum-focalogic {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the program's name; ``sys.argv[1:]`` by default.

    Raises
    ------
    SystemExit
        0 after success; 2 after wrong usage, bad input, or an exception of the model; 1 if a claim that was checked
        does not hold, or after an error of this package.
    """
    keep_freed_memory()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that knows ASCII alone shows the rest as escapes, and so does any of names in no encoding.
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(args=None if arguments is None else list(arguments), prog_name="focalogic", standalone_mode=False)
    except UsageError as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "focalogic"
        message = getattr(error, "format_message", error.__str__)()
        if message.startswith("Usage:"):
            # No arguments at all: the message is the whole help.
            typer.echo(message, err=True)
        elif message:
            say(f"{message.rstrip('.')}; see {path} --help")
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        say("interrupted")
        sys.exit(130)
    sys.exit(code or 0)
