"""How the command line fails: one sentence on standard error, exit code 2, and a traceback only on request."""

import re
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import typer

from captum_focalogic.errors import FocaLogicError
from captum_focalogic.tables import printable

P = ParamSpec("P")

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""Wrong usage; where it lives (click, or a copy of it inside typer) depends on typer's version."""

_INTENDED = (typer.Exit, typer.Abort, UsageError)
"""What typer itself raises: to leave, to abort, and about wrong usage."""


class CommandError(FocaLogicError):
    """Something outside this package went wrong: a file, a user's module, a model."""


def reports_errors(command: Callable[P, None]) -> Callable[P, None]:
    """Turn what a command raises into a sentence and an exit code.

    Errors of the user's making, the model's own exceptions among them, exit with 2. Anything else is an error of this
    package, exits with 1 and says so.
    """

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                command(*args, **kwargs)
            except (FocaLogicError, OSError) as error:
                if kwargs.get("traceback"):
                    raise
                fail(str(error), 2)
            except Exception as error:
                if kwargs.get("traceback") or isinstance(error, _INTENDED):
                    raise
                fail(f"internal error, {brief(error)}; --traceback shows where", 1)

    return run


def fail(message: str, code: int) -> None:
    """Say what went wrong and leave."""
    say(message)
    raise typer.Exit(code)


def say(message: str) -> None:
    """One paragraph on standard error, in the words of the command line."""
    typer.echo(f"focalogic: {printable(_in_options(message))}", err=True)


_OPTIONS = frozenset(
    ("against", "baseline", "criterion", "device", "reading", "removal", "search", "segmenter", "seed")
)
_OPTIONS |= {"target", "weights", "max_evaluations", "time_limit", "mask"}
_KEYWORD = re.compile(r"(?<![\w.(-])([a-z_]+)=('[^']*'|[\w.:]+|(?=[\s,.;)]|$))")


def _in_options(message: str) -> str:
    """Arguments of Python, such as ``time_limit=`` or ``removal='fill'``, as options; others as they are."""

    def written(found: re.Match[str]) -> str:
        name = {"baselines": "baseline"}.get(found[1], found[1])
        return f"--{name.replace('_', '-')} {found[2].strip(chr(39))}".rstrip() if name in _OPTIONS else found[0]

    return _KEYWORD.sub(written, " ".join(message.split()))


def brief(error: BaseException) -> str:
    """An exception in one line: its type and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, UserWarning):
        say(f"warning: {message}")
