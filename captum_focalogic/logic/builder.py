"""Expressions from untrusted descriptions: names are checked, sizes bounded, and nothing is ever evaluated as code."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from sympy import ITE, And, Equivalent, Implies, Nand, Nor, Not, Or, Symbol, Xor, false, true
from sympy.logic.boolalg import Boolean, Xnor

from captum_focalogic.errors import InputError
from captum_focalogic.logic.symbols import check_name

MAX_DEPTH = 400
MAX_LITERALS = 200_000

_OPERATORS: dict[str, tuple[type[Boolean], int, int | None]] = {
    "and": (And, 1, None),
    "or": (Or, 1, None),
    "xor": (Xor, 1, None),
    "not": (Not, 1, 1),
    "nand": (Nand, 1, None),
    "nor": (Nor, 1, None),
    "xnor": (Xnor, 1, None),
    "implies": (Implies, 2, 2),
    "equivalent": (Equivalent, 2, None),
    "ite": (ITE, 3, 3),
}
OPERATORS = frozenset(_OPERATORS)


class Piece(NamedTuple):
    """An expression with its depth and its number of literals, repeats included."""

    expression: Boolean
    depth: int
    literals: int


def region_piece(name: object) -> Piece:
    """A symbol."""
    return Piece(Symbol(check_name(name)), 0, 1)


def constant_piece(value: bool) -> Piece:
    """True or false."""
    return Piece(true if value else false, 0, 0)


def combine(operator: str, parts: Sequence[Piece]) -> Piece:
    """An operator applied to parts.

    Raises
    ------
    InputError
        If there is no such operator, it does not take so many parts, or the result is too deep or too long.
    """
    if operator not in _OPERATORS:
        raise InputError(f"there is no operator {operator!r}; expected one of {', '.join(sorted(_OPERATORS))}")
    made, fewest, most = _OPERATORS[operator]
    if len(parts) < fewest or (most is not None and len(parts) > most):
        expected = f"{fewest}" if fewest == most else f"at least {fewest}"
        raise InputError(f"{operator} takes {expected} parts; got {len(parts)}")
    if len(parts) == 1 and operator in ("and", "or", "xor"):
        return parts[0]
    depth = 1 + max(part.depth for part in parts)
    literals = sum(part.literals for part in parts)
    if depth > MAX_DEPTH:
        raise InputError(f"the expression is nested more than {MAX_DEPTH} levels deep")
    if literals > MAX_LITERALS:
        raise InputError(f"the expression names regions more than {MAX_LITERALS} times")
    try:
        made_of_parts = made(*(part.expression for part in parts))
    except RecursionError as error:
        raise InputError("the expression is nested too deeply for sympy here") from error
    return Piece(made_of_parts, depth, literals)


_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_%")


def encode_name(name: str, reserved: Iterable[str] = ()) -> str:
    """A name of letters, digits and ``_ . ~ - %``, beginning with a letter, underscore or percent sign."""
    encoded = quote(name, safe="")
    if encoded[0] not in _FIRST or encoded in reserved:
        return f"%{ord(encoded[0]):02X}{encoded[1:]}"
    return encoded


def decode_name(encoded: str) -> str:
    """The name that :func:`encode_name` encoded.

    Raises
    ------
    InputError
        If it is no name.
    """
    try:
        return check_name(unquote_to_bytes(encoded).decode("utf-8"))
    except UnicodeError as error:
        raise InputError(f"{encoded[:40]!r} does not encode a name") from error


def decode_names(encoded: Iterable[str]) -> dict[str, str]:
    """The names of several encoded ones.

    Raises
    ------
    InputError
        If one is no name, or two different ones stand for the same name.
    """
    names = {each: decode_name(each) for each in encoded}
    if len(set(names.values())) != len(names):
        raise InputError("two different inputs have the same name once their percent signs are decoded")
    return names
