"""Formulas as SMT-LIB 2 scripts, for z3, cvc5 and others."""

import re
from collections.abc import Iterator

from sympy import ITE, And, Equivalent, Implies, Not, Or, Symbol, Xor, true
from sympy.logic.boolalg import Boolean, BooleanAtom, Nand, Nor, Xnor

from captum_focalogic.errors import InputError
from captum_focalogic.logic.builder import (
    Piece,
    combine,
    constant_piece,
    decode_name,
    decode_names,
    encode_name,
    region_piece,
)
from captum_focalogic.logic.circuit import as_boolean, fold, symbol_names

_RESERVED = frozenset(
    """true false not and or xor ite let par forall exists match distinct as _ assert Bool error logic memout sat
    success theory unknown unsupported unsat BINARY DECIMAL HEXADECIMAL NUMERAL STRING""".split()  # noqa: SIM905 - a table
)
_READ = {"and": "and", "or": "or", "not": "not", "xor": "xor", "=>": "implies", "=": "equivalent", "ite": "ite"}
_IGNORED = frozenset({"set-logic", "set-info", "set-option", "check-sat", "get-model"})
_TOKEN = re.compile(r"\s+|;[^\n]*|(?P<mark>[()])|\|(?P<quoted>[^|\\]*)\||(?P<string>\"[^\"]*\")|(?P<atom>[^\s()|;\"]+)")


def to_smtlib(expression: Boolean) -> str:
    """A formula as an SMT-LIB 2 script: one Boolean constant per region and one assertion.

    Characters outside letters, digits and ``_ . ~ -`` are written as in URLs (``car%20window``).
    """
    given = as_boolean(expression)
    names = [encode_name(name, _RESERVED) for name in symbol_names(given)]
    lines = ["(set-logic QF_UF)", *(f"(declare-const {name} Bool)" for name in names)]
    return "\n".join([*lines, f"(assert {fold(given, _write)})", "(check-sat)", ""])


def _write(item: Boolean, parts: list[str]) -> str:
    inside = " ".join(parts)
    match item:
        case Symbol():
            return encode_name(item.name, _RESERVED)
        case BooleanAtom():
            return "true" if item == true else "false"
        case Nand():
            return f"(not (and {inside}))"
        case Nor():
            return f"(not (or {inside}))"
        case Xnor():
            return f"(not (xor {inside}))"
    signs = {And: "and", Or: "or", Not: "not", Xor: "xor", Implies: "=>", Equivalent: "=", ITE: "ite"}
    if item.func not in signs:
        raise InputError(f"{item.func.__name__} is no Boolean operator over regions and cannot be written")
    return f"({signs[item.func]} {inside})"


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise InputError(f"cannot read {text[place : place + 20]!r} at character {place + 1}")
        if found.lastgroup:
            yield found.lastgroup, found.group(found.lastgroup)
        place = found.end()


def from_smtlib(text: str) -> Boolean:
    """A formula from an SMT-LIB 2 script: the conjunction of its assertions.

    ``declare-const``, ``declare-fun`` without arguments and ``assert`` over and, or, not, xor, =>, =, ite and Boolean
    constants are read; other commands that do not change the meaning (set-logic, check-sat, ...) are passed over.

    Raises
    ------
    InputError
        If the text holds anything else.
    """
    declared: set[str] = set()
    asserted: list[Piece] = []
    stack: list[tuple[str, list[Piece | str]]] = []
    for kind, token in _tokens(text):
        if token == "(" and kind == "mark":
            stack.append(("", []))
        elif not stack:
            raise InputError(f"expected a command in brackets; got {token[:40]!r}")
        elif token == ")" and kind == "mark":
            head, parts = stack.pop()
            if stack:
                _store(stack, _close(stack, head, parts))
            else:
                _command(head, parts, declared, asserted)
        elif stack[-1] == ("", []) and kind == "atom":
            stack[-1] = (token, stack[-1][1])
        else:
            _store(stack, _leaf(stack, kind, token, declared))
    if stack:
        raise InputError("a bracket is never closed")
    decode_names(declared)
    if not asserted:
        raise InputError("the script asserts nothing")
    return combine("and", asserted).expression


def _store(stack: list[tuple[str, list[Piece | str]]], value: Piece | str) -> None:
    stack[-1][1].append(value)


def _leaf(stack: list[tuple[str, list[Piece | str]]], kind: str, token: str, declared: set[str]) -> Piece | str:
    if stack[0][0] != "assert":
        return token
    if kind == "atom" and token in ("true", "false"):
        return constant_piece(token == "true")
    if kind == "string" or token not in declared:
        raise InputError(f"{token[:40]!r} is not declared")
    return region_piece(decode_name(token))


def _close(stack: list[tuple[str, list[Piece | str]]], head: str, parts: list[Piece | str]) -> Piece | str:
    if stack[0][0] != "assert":
        return "()" if not head and not parts else f"({head} ...)"
    if head not in _READ:
        raise InputError(f"cannot read {head[:40]!r}; expected one of {', '.join(_READ)}")
    pieces = [part for part in parts if isinstance(part, Piece)]
    if head == "=>" and len(pieces) > 2:
        result = pieces[-1]
        for piece in reversed(pieces[:-1]):
            result = combine("implies", [piece, result])
        return result
    return combine(_READ[head], pieces)


def _command(head: str, parts: list[Piece | str], declared: set[str], asserted: list[Piece]) -> None:
    match head, parts:
        case "declare-const", [str(name), "Bool"]:
            declared.add(name)
        case "declare-fun", [str(name), "()", "Bool"]:
            declared.add(name)
        case "assert", [Piece() as piece]:
            asserted.append(piece)
        case _ if head not in _IGNORED:
            raise InputError(f"cannot read the command {head[:40]!r} with {len(parts)} parts")
