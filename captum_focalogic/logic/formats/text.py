"""Formulas for people: sympy's syntax with regions in natural order, srepr, and LaTeX.

Text is read by a grammar, with one stack and no recursion.

::

    iff        := implies { "<->" implies }
    implies    := or [ "->" implies ]
    or         := xor { "|" xor }
    xor        := and { "^" and }
    and        := unary { "&" unary }
    unary      := "~" unary | atom
    atom       := "(" iff ")" | FUNCTION "(" iff { "," iff } ")" | Symbol "(" STRING ")"
                | "true" | "false" | IDENTIFIER | STRING

``FUNCTION`` is And, Or, Not, Xor, Nand, Nor, Xnor, Implies, Equivalent or ITE, so that what sympy prints can be read,
``str`` and ``srepr`` alike. ``&&``, ``||``, ``!``, ``>>``, ``=>``, ``<=>`` and the signs of logic books are accepted.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from sympy import And, Not, Or, Symbol, Xor, true
from sympy.logic.boolalg import Boolean, BooleanAtom

from captum_focalogic.errors import InputError
from captum_focalogic.logic.builder import OPERATORS, Piece, combine, constant_piece, region_piece
from captum_focalogic.logic.circuit import as_boolean, fold
from captum_focalogic.logic.symbols import key_order, region_key

MAX_LENGTH = 10_000_000

_FUNCTIONS = {name.capitalize(): name for name in OPERATORS} | {"ITE": "ite"}
del _FUNCTIONS["Ite"]
_CONSTANTS = {"true": True, "false": False, "True": True, "False": False}
RESERVED = frozenset({*_FUNCTIONS, *_CONSTANTS, "Symbol"})

_SIGNS = {
    "&": "and", "&&": "and", "∧": "and",
    "|": "or", "||": "or", "∨": "or",
    "^": "xor", "⊕": "xor",
    "->": "implies", "=>": "implies", ">>": "implies", "→": "implies",
    "<->": "equivalent", "<=>": "equivalent", "↔": "equivalent",
    "~": "not", "!": "not", "¬": "not",
}  # fmt: skip
_BINDING = {"equivalent": 1, "implies": 2, "or": 3, "xor": 4, "and": 5, "not": 6}
_TOKEN = re.compile(
    r"""(?P<blank>\s+)
      | (?P<name>[^\W\d]\w*)
      | (?P<string>"(?:[^"\\\n]|\\["'\\])*" | '(?:[^'\\\n]|\\["'\\])*')
      | (?P<sign><->|<=>|->|=>|>>|&&|\|\||[&|^~!∧∨⊕→↔¬])
      | (?P<mark>[(),])""",
    re.VERBOSE,
)


class _Token(NamedTuple):
    kind: str
    text: str
    place: int


class _Open(NamedTuple):
    """A bracket that is not closed yet; of a function where it has one, with the operands before it."""

    function: str | None
    operands: int
    place: int


class _Pending(NamedTuple):
    """An operator that waits for its last operand."""

    operator: str
    arity: int


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise InputError(f"cannot read {text[place : place + 20]!r} at character {place + 1}")
        if found.lastgroup != "blank":
            yield _Token(str(found.lastgroup), found.group(), place)
        place = found.end()
    yield _Token("end", "the end of the text", len(text))


def unquoted(text: str) -> str:
    """The content of a quoted string."""
    return re.sub(r"\\(.)", r"\1", text[1:-1])


class _Parser:
    """Operands and operators waiting, as in Dijkstra's shunting yard."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.token = next(self.tokens)
        self.operands: list[Piece] = []
        self.waiting: list[_Open | _Pending] = []

    def advance(self) -> _Token:
        token = self.token
        if token.kind != "end":
            self.token = next(self.tokens)
        return token

    def expect(self, kind: str, text: str | None = None) -> _Token:
        if self.token.kind != kind or (text is not None and self.token.text != text):
            raise _unexpected(self.token, text or f"a {kind}")
        return self.advance()

    def run(self) -> Boolean:
        while True:
            self.read_operand()
            if self.read_operator():
                break
        return self.operands[0].expression

    def read_operand(self) -> None:
        """Everything up to and including the next operand: negations, opening brackets, then a name or constant."""
        while True:
            token = self.advance()
            if token.kind == "sign" and _SIGNS[token.text] == "not":
                self.waiting.append(_Pending("not", 1))
            elif token.text == "(" and token.kind == "mark":
                self.waiting.append(_Open(None, len(self.operands), token.place))
            elif token.text in _FUNCTIONS and token.kind == "name":
                self.expect("mark", "(")
                self.waiting.append(_Open(_FUNCTIONS[token.text], len(self.operands), token.place))
            else:
                self.operands.append(self.atom(token))
                return

    def atom(self, token: _Token) -> Piece:
        if token.kind == "string":
            return region_piece(unquoted(token.text))
        if token.kind != "name":
            raise _unexpected(token, "a region, true, false, ~ or (")
        if token.text in _CONSTANTS:
            return constant_piece(_CONSTANTS[token.text])
        if token.text == "Symbol":
            self.expect("mark", "(")
            name = unquoted(self.expect("string").text)
            self.expect("mark", ")")
            return region_piece(name)
        return region_piece(token.text)

    def read_operator(self) -> bool:
        """Closing brackets, then the operator or comma before the next operand; True at the end of the text."""
        while True:
            token = self.advance()
            if token.kind == "end":
                self.reduce(0)
                if self.waiting:
                    raise InputError(f"the bracket at character {self.opened().place + 1} is never closed")
                return True
            if token.kind == "sign" and _SIGNS[token.text] != "not":
                self.push(_SIGNS[token.text])
                return False
            if token.text not in (")", ",") or token.kind != "mark":
                raise _unexpected(token, "an operator, ) or the end")
            self.reduce(0)
            if not self.waiting or (token.text == "," and self.opened().function is None):
                raise _unexpected(token, "an operator or the end")
            if token.text == ",":
                return False
            self.close()

    def opened(self) -> _Open:
        top = self.waiting[-1]
        if not isinstance(top, _Open):
            raise TypeError("operators are reduced before a bracket is looked at")
        return top

    def close(self) -> None:
        bracket = self.opened()
        self.waiting.pop()
        if bracket.function is not None:
            parts = self.operands[bracket.operands :]
            del self.operands[bracket.operands :]
            self.operands.append(combine(bracket.function, parts))

    def push(self, operator: str) -> None:
        binding = _BINDING[operator]
        self.reduce(binding + 1)
        top = self.waiting[-1] if self.waiting else None
        if isinstance(top, _Pending) and top.operator == operator and operator in ("and", "or", "xor"):
            # One operator with many operands: joining them two by two would take quadratic time.
            self.waiting[-1] = _Pending(operator, top.arity + 1)
            return
        if operator == "equivalent":
            self.reduce(binding)
        self.waiting.append(_Pending(operator, 2))

    def reduce(self, binding: int) -> None:
        """Apply the operators on top that bind at least so tightly."""
        while self.waiting:
            top = self.waiting[-1]
            if isinstance(top, _Open) or _BINDING[top.operator] < binding:
                return
            self.waiting.pop()
            parts = self.operands[-top.arity :]
            del self.operands[-top.arity :]
            self.operands.append(combine(top.operator, parts))


def _unexpected(token: _Token, expected: str) -> InputError:
    return InputError(f"expected {expected} at character {token.place + 1}; got {token.text[:40]!r}")


def parse_expression(text: str) -> Boolean:
    """A formula from text: what :func:`to_text`, :func:`to_srepr` and sympy's own printers write.

    The text is read by a small grammar and never evaluated.

    Parameters
    ----------
    text : str
        For example ``I1 & (I4 | ~I2)``, ``wheel & ("car window" | sky)``, ``And(Symbol('I1'), Symbol('I2'))``.

    Returns
    -------
    sympy.logic.boolalg.Boolean
        With the evaluations that sympy's operators do by themselves.

    Raises
    ------
    InputError
        If the text does not follow the grammar, or is too long or too deep.
    """
    if not isinstance(text, str):
        raise InputError(f"expected text to read; got a {type(text).__name__}")
    if len(text) > MAX_LENGTH:
        raise InputError(f"the text has {len(text)} characters; at most {MAX_LENGTH} are read")
    return _Parser(text).run()


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
