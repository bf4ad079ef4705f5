"""Tables: made once, written as text, Markdown, LaTeX, CSV or a pandas DataFrame.

Cells may hold what a stranger chose (names of classes, regions and files): each format is escaped by its own rules, CSV
cells cannot start a formula in a spreadsheet, and text cannot carry escape sequences to a terminal.
"""

import csv
import io
import math
import numbers
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal, TypeAlias

from captum_focalogic.errors import InputError, MissingExtraError

Cell: TypeAlias = object
"""A number, a bool, None for what is not defined, or anything whose ``str`` is to be shown."""

UNDEFINED = "-"
"""What is shown where a value is not defined."""

_NUMBER = r"[+-]?(\d[\d,]*(\.\d*)?|\.\d+)([eE][+-]?\d+)?\s?%?"
_NUMBERS = re.compile(rf"{_NUMBER}(\s\[{_NUMBER}, {_NUMBER}\])?")
_MARKDOWN = re.compile(r"[\\|`*<]|(?<![^\W_])_|_(?![^\W_])|\[(?=.*\]\()")
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
_LATEX |= {character: f"\\{character}" for character in "&%$#_{}"}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    title : str
        Its heading.
    align : {"left", "right"}
        Where its cells are flush.
    form : str
        How numbers are shown, as :func:`format` takes it; CSV holds them in full.
    strong : bool
        Whether its cells stand out, in Markdown and LaTeX.
    """

    title: str
    align: Literal["left", "right"] = "right"
    form: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under headings.

    Attributes
    ----------
    columns : sequence of Column or str
        A string is a column of that title, the first one flush left and the others flush right.
    rows : sequence of sequence of Cell
        As many cells each as there are columns.
    title : str
        What the table shows; not in CSV.
    notes : sequence of str
        What else there is to know; not in CSV.

    Raises
    ------
    InputError
        If a row has too many cells, or too few.

    Examples
    --------
    >>> table = Table(("class", Column("share", form=".1%")), [("cat", 0.25), ("=dog", None)])
    >>> print(table.text())
    class  share
    cat    25.0%
    =dog       -
    >>> table.csv()
    "class,share\\ncat,0.25\\n'=dog,\\n"
    """

    columns: Sequence[Column | str]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise InputError(f"a table of {len(self.columns)} columns got a row of {len(row)} cells: {row!r}")

    @property
    def header(self) -> tuple[str, ...]:
        """The columns' titles."""
        return tuple(column.title for column in self._columns)

    @property
    def cells(self) -> tuple[tuple[str, ...], ...]:
        """The rows as they are shown, not escaped."""
        return tuple(
            tuple(_shown(cell, column.form) for cell, column in zip(row, self._columns, strict=True))
            for row in self.rows
        )

    def text(self, headed: bool = True) -> str:
        """For people to read, in columns of equal width, with nothing that a terminal would obey."""
        shown = (self.header, *self.cells) if headed else self.cells
        lines = [[printable(cell) for cell in line] for line in shown]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        left = [column.align == "left" for column in self._columns]
        body = "\n".join(
            "  ".join(
                cell.ljust(width) if flush else cell.rjust(width)
                for cell, width, flush in zip(line, widths, left, strict=True)
            ).rstrip()
            for line in lines
        )
        titled = f"{printable(self.title)}\n{body}" if self.title else body
        return "\n\n".join([titled, *map(printable, self.notes)])

    def markdown(self) -> str:
        """As GitHub and MkDocs read it: the title, the table, the notes as a list."""
        marks = ["---" if column.align == "left" else "---:" for column in self._columns]
        lines = [map(_markdown, self.header), marks, *self._escaped(_markdown, "**{}**")]
        parts = [_markdown(self.title)] if self.title else []
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
        if self.notes:
            parts.append("\n".join(f"- {_markdown(note)}" for note in self.notes))
        return "\n\n".join(parts)

    def latex(self) -> str:
        """A ``tabular`` with the rules of booktabs; title and notes are comments above it."""
        said = [f"% {' '.join(line.split())}" for line in (self.title, *self.notes) if line]
        flush = "".join("l" if column.align == "left" else "r" for column in self._columns)
        header, *rows = (
            " & ".join(line) + r" \\" for line in (map(_latex, self.header), *self._escaped(_latex, r"\textbf{{{}}}"))
        )
        start = [rf"\begin{{tabular}}{{{flush}}}", r"\toprule", header, r"\midrule"]
        return "\n".join([*said, *start, *rows, r"\bottomrule", r"\end{tabular}", ""])

    def csv(self) -> str:
        """Header and rows, numbers in full; what is not defined is empty."""
        sink = io.StringIO()
        writer = csv.writer(sink, lineterminator="\n")
        writer.writerows([map(_csv, self.header), *(map(_csv, row) for row in self.rows)])
        return sink.getvalue()

    def pandas(self) -> Any:
        """A pandas DataFrame of the rows as they are, numbers in full.

        Raises
        ------
        MissingExtraError
            Without pandas.
        """
        try:
            import pandas  # type: ignore[import-untyped, unused-ignore]
        except ImportError as error:
            raise MissingExtraError("pandas", "study") from error
        return pandas.DataFrame([list(row) for row in self.rows], columns=list(self.header))

    def _repr_html_(self) -> str:
        cells = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in self.cells)
        header = "".join(f"<th>{escape(title)}</th>" for title in self.header)
        return f"<table><caption>{escape(self.title)}</caption><tr>{header}</tr>{cells}</table>"

    def __str__(self) -> str:
        return self.text()

    @property
    def _columns(self) -> list[Column]:
        return [
            Column(column, "right" if place else "left") if isinstance(column, str) else column
            for place, column in enumerate(self.columns)
        ]

    def _escaped(self, escape: Callable[[str], str], strong: str) -> Iterable[list[str]]:
        for row in self.cells:
            cells = zip(map(escape, row), self._columns, strict=True)
            yield [strong.format(cell) if column.strong and cell else cell for cell, column in cells]


def printable(text: str) -> str:
    """Text on one line, with what is not printable written out, such as ``\\x1b``."""
    flat = re.sub(r"\s", " ", text)
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in flat
    )


def printable_lines(text: str) -> str:
    """Text of several lines, each of them as :func:`printable` writes it."""
    return "\n".join(map(printable, text.split("\n")))


def _undefined(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, numbers.Real) and math.isnan(cell))


def _shown(cell: Cell, form: str) -> str:
    if _undefined(cell):
        return UNDEFINED
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return format(cell, form) if isinstance(cell, numbers.Number) else str(cell)


def _markdown(text: str) -> str:
    return _MARKDOWN.sub(lambda found: f"\\{found[0]}", printable(text))


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in printable(text))


def _csv(cell: Cell) -> str:
    if _undefined(cell):
        return ""
    if isinstance(cell, numbers.Number):
        return str(cell)
    # a carriage return alone would be written without quotation marks and read as the end of a line
    text = str(cell).replace("\r\n", "\n").replace("\r", "\n")
    # a spreadsheet reads these as formulas, which can call programs; an apostrophe says that it is text
    risky = text[:1] in ("=", "+", "-", "@", "\t", "\n") and text != UNDEFINED
    return f"'{text}" if risky and not _NUMBERS.fullmatch(text) else text
