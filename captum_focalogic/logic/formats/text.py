"""Formulas for people: sympy's syntax with regions in natural order, srepr, and LaTeX."""

import re
from typing import NamedTuple

from sympy import And, Not, Or, Symbol, Xor, true
from sympy.logic.boolalg import Boolean, BooleanAtom

from captum_focalogic.errors import InputError
from captum_focalogic.logic.circuit import as_boolean, fold
from captum_focalogic.logic.formats.grammar import RESERVED
from captum_focalogic.logic.symbols import key_order, region_key

_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
}


class Phrase(NamedTuple):
    """A part already written: its text, whether it must be bracketed inside another, and where it sorts."""

    text: str
    compound: bool
    order: tuple[int, tuple[bool, int, str]]


def _order(item: Boolean, parts: list[Phrase]) -> tuple[int, tuple[bool, int, str]]:
    if isinstance(item, Symbol):
        return 1, key_order(region_key(item))
    return sum(part.order[0] for part in parts), min((part.order[1] for part in parts), default=(False, 0, ""))


def sorted_parts(item: Boolean, parts: list[Phrase]) -> list[Phrase]:
    """Parts as they are written: short ones first, then by lowest region; in place where their order matters."""
    return sorted(parts, key=lambda part: part.order) if isinstance(item, And | Or | Xor) else parts


def _bracketed(part: Phrase, left: str = "(", right: str = ")") -> str:
    return f"{left}{part.text}{right}" if part.compound else part.text


def quoted(name: str) -> str:
    """A name as the grammar reads it: bare where it is an identifier, else in double quotes."""
    if _IDENTIFIER.fullmatch(name) and name not in RESERVED:
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def to_text(expression: Boolean) -> str:
    """A formula in sympy's syntax: ``I1 & (I4 | (I2 & I3))``.

    Unlike ``str``, regions stand in their natural order (I2 before I10), names that are no identifiers are quoted,
    and depth is no limit. :func:`parse_expression` reads it back.
    """
    return fold(as_boolean(expression), _phrase).text


def _phrase(item: Boolean, parts: list[Phrase]) -> Phrase:
    order = _order(item, parts)
    signs = {And: " & ", Or: " | ", Xor: " ^ "}
    if isinstance(item, Symbol):
        return Phrase(quoted(item.name), False, order)
    if isinstance(item, BooleanAtom):
        return Phrase("true" if item == true else "false", False, order)
    if isinstance(item, Not):
        return Phrase(f"~{_bracketed(parts[0])}", False, order)
    if item.func in signs:
        return Phrase(signs[item.func].join(map(_bracketed, sorted_parts(item, parts))), True, order)
    return Phrase(f"{_function(item)}({', '.join(part.text for part in parts)})", False, order)


def _function(item: Boolean) -> str:
    name: str = item.func.__name__
    if name not in RESERVED:
        raise InputError(f"{name} is no Boolean operator over regions and cannot be written")
    return name


def to_srepr(expression: Boolean) -> str:
    """What ``sympy.srepr`` writes: ``And(Symbol('I1'), Symbol('I2'))``."""
    return fold(as_boolean(expression), _srepr)


def _srepr(item: Boolean, parts: list[str]) -> str:
    if isinstance(item, Symbol):
        return f"Symbol({item.name!r})"
    if isinstance(item, BooleanAtom):
        return "true" if item == true else "false"
    return f"{_function(item)}({', '.join(parts)})"


def to_latex(expression: Boolean) -> str:
    r"""A formula for LaTeX's math mode: ``I_{1} \wedge \left(I_{4} \vee I_{2}\right)``."""
    return fold(as_boolean(expression), _latex).text


def _latex(item: Boolean, parts: list[Phrase]) -> Phrase:
    order = _order(item, parts)
    signs = {And: r" \wedge ", Or: r" \vee ", Xor: r" \oplus "}
    if isinstance(item, Symbol):
        return Phrase(_latex_symbol(item.name), False, order)
    if isinstance(item, BooleanAtom):
        return Phrase(r"\text{true}" if item == true else r"\text{false}", False, order)
    texts = [_bracketed(part, r"\left(", r"\right)") for part in sorted_parts(item, parts)]
    if isinstance(item, Not):
        return Phrase(rf"\neg {texts[0]}", False, order)
    if item.func in signs:
        return Phrase(signs[item.func].join(texts), True, order)
    inside = ", ".join(part.text for part in parts)
    return Phrase(rf"\operatorname{{{_function(item)}}}\left({inside}\right)", False, order)


def _latex_symbol(name: str) -> str:
    key = region_key(name)
    if isinstance(key, int):
        return f"I_{{{key}}}"
    return rf"\text{{{''.join(_LATEX.get(letter, letter) for letter in name)}}}"
