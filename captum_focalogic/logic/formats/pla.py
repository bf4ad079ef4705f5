"""Formulas as PLA, espresso's two-level form: one row per term."""

from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import InputError
from captum_focalogic.logic.builder import Piece, combine, constant_piece, decode_names, encode_name, region_piece
from captum_focalogic.logic.circuit import as_boolean
from captum_focalogic.logic.simplification import cover_of
from captum_focalogic.logic.symbols import symbol


def to_pla(expression: Boolean) -> str:
    """A formula as a PLA with one output: an irredundant list of terms over its regions.

    Raises
    ------
    InputError
        If the formula has more terms than can be listed.
    """
    names, rows = cover_of(as_boolean(expression))
    lines = [f".i {len(names)}", ".o 1"]
    if names:
        lines.append(" ".join([".ilb", *map(encode_name, names)]))
    lines += [".ob holds", ".type f", f".p {len(rows)}"]
    lines += [f"{row} 1" if row else "1" for row in rows]
    return "\n".join([*lines, ".e", ""])


def from_pla(text: str) -> Boolean:
    """A formula from a PLA with one output and no don't-cares; the rows whose output is 1 are its terms.

    Inputs are named by ``.ilb``; without it, input 0 is ``I0``.

    Raises
    ------
    InputError
        If the text is no such PLA.
    """
    inputs: int | None = None
    names: list[str] | None = None
    rows: list[str] = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        if words[0] in (".e", ".end"):
            break
        match words:
            case [".i", count]:
                inputs = _count(count)
            case [".o", count]:
                if _count(count) != 1:
                    raise InputError(f"a formula has one output; the PLA has {count}")
            case [".ilb", *given]:
                names = list(decode_names(given).values())
            case [".type", kind]:
                if kind not in ("f", "fd"):
                    raise InputError(f"a PLA of type {kind[:20]!r} leaves values open; expected f or fd")
            case [".p" | ".ob" | ".lb" | ".model" | ".phase", *_]:
                continue
            case [word, *_] if word.startswith("."):
                raise InputError(f"cannot read the PLA's {word[:20]!r}")
            case _:
                rows.append("".join(words))
    if inputs is None:
        raise InputError("this is no PLA: the line '.i <inputs>' is missing")
    return _read_rows(inputs, names, rows)


def _count(word: str) -> int:
    if not (word.isascii() and word.isdigit()) or len(word) > 6:
        raise InputError(f"expected a number in the PLA; got {word[:40]!r}")
    return int(word)


def _read_rows(inputs: int, names: list[str] | None, rows: list[str]) -> Boolean:
    if names is None:
        names = [symbol(place).name for place in range(inputs)]
    if len(names) != inputs or len(set(names)) != inputs:
        raise InputError(f"the PLA has {inputs} inputs and names {len(set(names))} different ones")
    regions = [region_piece(name) for name in names]
    terms: list[Piece] = []
    for row in rows:
        if len(row) != inputs + 1 or set(row[:-1]) - set("01-2") or row[-1] not in "01":
            raise InputError(f"expected {inputs} of 0, 1, - and an output 0 or 1 in the row {row[:60]!r}")
        if row[-1] == "0":
            continue
        signs = zip(regions, row, strict=False)
        literals = [region if sign == "1" else combine("not", [region]) for region, sign in signs if sign in "01"]
        terms.append(combine("and", literals) if literals else constant_piece(True))
    return (combine("or", terms) if terms else constant_piece(False)).expression
