"""Expressions from untrusted descriptions: names are checked, sizes bounded, and nothing is ever evaluated as code."""

from collections.abc import Sequence
from typing import NamedTuple

from sympy import ITE, And, Equivalent, Implies, Nand, Nor, Not, Or, Symbol, Xor, false, true
from sympy.logic.boolalg import Boolean, Xnor

from captum_focalogic.errors import InputError

MAX_DEPTH = 400
MAX_LITERALS = 200_000
MAX_NAME = 200

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


def check_name(name: object) -> str:
    """A name that a symbol may have.

    Raises
    ------
    InputError
        If it is no text, empty, longer than 200 characters, or holds characters that cannot be printed.
    """
    if not isinstance(name, str):
        raise InputError(f"a region's name must be text; got {name!r}")
    if not name.strip() or name != name.strip():
        raise InputError(f"a region's name must not be empty, nor begin or end with a blank; got {name!r}")
    if len(name) > MAX_NAME:
        raise InputError(f"a region's name may have {MAX_NAME} characters; got one of {len(name)}")
    if not name.isprintable():
        raise InputError(f"a region's name must be printable on one line; got {name!r}")
    return name


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
