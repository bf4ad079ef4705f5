"""Formulas as files: written for other tools, and read back without evaluating anything.

================  ==========================================================================================
``text``          ``I1 & (I4 | ~I2)``: sympy's own syntax, regions in their natural order
``srepr``         ``And(Symbol('I1'), ...)``: what ``sympy.srepr`` writes
``latex``         for papers (written only)
``python``        the source of a predicate on the set of kept regions
``json``          the graph of the formula, equal parts once
``dimacs``        CNF for SAT solvers and model counters: one model per satisfying region set
``smtlib``        SMT-LIB 2
``pla``           espresso's two-level form
``blif``          a netlist for logic synthesis
``graphml``       the graph for graph tools
================  ==========================================================================================
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import InputError
from captum_focalogic.files import read_text, reading, write_text
from captum_focalogic.logic.circuit import as_boolean
from captum_focalogic.logic.formats.blif import from_blif, to_blif
from captum_focalogic.logic.formats.dimacs import from_dimacs, to_dimacs
from captum_focalogic.logic.formats.nodes import from_graphml, from_json, to_graphml, to_json
from captum_focalogic.logic.formats.pla import from_pla, to_pla
from captum_focalogic.logic.formats.predicate import from_python, to_callable, to_python
from captum_focalogic.logic.formats.smtlib import from_smtlib, to_smtlib
from captum_focalogic.logic.formats.text import parse_expression, to_latex, to_srepr, to_text
from captum_focalogic.logic.symbols import check_name

__all__ = [
    "FORMATS",
    "Format",
    "from_blif",
    "from_dimacs",
    "from_graphml",
    "from_json",
    "from_pla",
    "from_python",
    "from_smtlib",
    "load_expression",
    "parse_expression",
    "read_expression",
    "save_expression",
    "to_blif",
    "to_callable",
    "to_dimacs",
    "to_graphml",
    "to_json",
    "to_latex",
    "to_pla",
    "to_python",
    "to_smtlib",
    "to_srepr",
    "to_text",
    "write_expression",
]


class Format(NamedTuple):
    """How a format is written and read, and the endings of its files; ``read`` is None where it is only written."""

    write: Callable[[Boolean], str]
    read: Callable[[str], Boolean] | None
    suffixes: tuple[str, ...]


FORMATS: dict[str, Format] = {
    "text": Format(to_text, parse_expression, (".txt", ".expr")),
    "srepr": Format(to_srepr, parse_expression, (".srepr",)),
    "latex": Format(to_latex, None, (".tex",)),
    "python": Format(to_python, from_python, (".py",)),
    "json": Format(to_json, from_json, (".json",)),
    "dimacs": Format(to_dimacs, from_dimacs, (".cnf", ".dimacs")),
    "smtlib": Format(to_smtlib, from_smtlib, (".smt2",)),
    "pla": Format(to_pla, from_pla, (".pla",)),
    "blif": Format(to_blif, from_blif, (".blif",)),
    "graphml": Format(to_graphml, from_graphml, (".graphml",)),
}


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise InputError(f"there is no format {name!r}; expected one of {', '.join(FORMATS)}")
    return FORMATS[name]


def write_expression(expression: Boolean, format: str = "text") -> str:
    """A formula in one of :data:`FORMATS`.

    Raises
    ------
    InputError
        If there is no such format, or the formula cannot be written in it: also where a symbol has a name that could
        not be read again.
    """
    made, write = as_boolean(expression), _format(format).write
    for name in sorted(str(symbol) for symbol in made.free_symbols):
        check_name(name)
    return write(made)


def read_expression(text: str, format: str = "text") -> Boolean:
    """The formula of a text in one of :data:`FORMATS`; the text is parsed, never evaluated.

    Raises
    ------
    InputError
        If there is no such format, it cannot be read, or the text does not follow it.
    """
    read = _format(format).read
    if read is None:
        raise InputError(f"the format {format!r} is only written; to read a formula back, write it as text or json")
    if not isinstance(text, str):
        raise InputError(f"expected text to read; got a {type(text).__name__}")
    try:
        return read(text)
    except RecursionError as error:
        raise InputError(f"the {format} text is nested too deeply") from error


def _format_of(path: Path) -> str:
    for name, each in FORMATS.items():
        if path.suffix.lower() in each.suffixes:
            return name
    known = ", ".join(suffix for each in FORMATS.values() for suffix in each.suffixes)
    raise InputError(f"cannot tell the format of {path.name!r} from its ending; known endings: {known}")


def save_expression(expression: Boolean, path: str | Path, format: str | None = None) -> None:
    """Write a formula to a file, in the format that its ending tells unless one is named."""
    target = Path(path)
    write_text(target, write_expression(expression, format or _format_of(target)))


def load_expression(path: str | Path, format: str | None = None) -> Boolean:
    """Read a formula from a file, in the format that its ending tells unless one is named.

    Raises
    ------
    InputError
        If the file is not text in that format.
    FileError
        If it cannot be read, or is not UTF-8 text.
    """
    name = format or _format_of(Path(path))
    with reading(path):
        return read_expression(read_text(path), name)
