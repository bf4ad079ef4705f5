"""What commands print, and the files that several of them write. No torch here: some commands need no model."""

import shlex
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from captum_focalogic.errors import InputError
from captum_focalogic.tables import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_LABEL_WIDTH = 13


def print_lines(said: Mapping[str, str]) -> None:
    """Lines of a label and what there is to say; never broken, so that they can be searched and copied.

    Names of files and classes cannot command the terminal: what is not printable is written out.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for label, text in said.items():
        for number, line in enumerate(text.splitlines() or [""]):
            shown = label if number == 0 else ""
            written = Text(printable(line))
            console.print(Text(f"{shown:<{_LABEL_WIDTH}}", style="bold"), written, sep="", soft_wrap=True)


def command_text(context: typer.Context) -> str:
    """The command line that does the same again."""
    return shlex.join(["focalogic", *context.command_path.split()[1:], *given(context)])


def given(context: typer.Context, names: Collection[str] | None = None) -> list[str]:
    """What was given on the command line, in the order of the help; of these parameters only, where they are named."""
    words = []
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if source is not None and not source.name.startswith("DEFAULT") and (names is None or name in names):
            words.extend(_words(parameter, context.params[name]))
    return words


def _words(parameter: Any, value: Any) -> list[str]:
    """One option or argument as it is written on a command line."""
    values = [getattr(each, "value", each) for each in (value if isinstance(value, list | tuple) else [value])]
    if parameter.param_type_name == "argument":
        return [str(each) for each in values]
    flag = max(parameter.opts, key=len)
    if parameter.is_flag:
        return [flag if value else max(parameter.secondary_opts, key=len)]
    return [word for each in values for word in (flag, str(each))]


def write_labels(path: Path, label_map: "NDArray[np.int64]") -> bool:
    """Save a label map as an image that --mask reads; False if its ids do not fit into one (16 bits)."""
    from captum_focalogic.images import labels_image, write_image

    try:
        image = labels_image(label_map)
    except InputError:
        path.unlink(missing_ok=True)
        return False
    write_image(path, image)
    return True
