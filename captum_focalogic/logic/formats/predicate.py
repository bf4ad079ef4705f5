"""Formulas as Python: the source of a predicate, and a function made without compiling any text."""

import ast
import warnings
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import InputError
from captum_focalogic.logic.builder import Piece, combine, constant_piece, region_piece
from captum_focalogic.logic.circuit import Circuit, Gate, as_boolean
from captum_focalogic.logic.symbols import region_key, symbol
from captum_focalogic.logic.terms import as_region_ids, as_states

_MAX_NESTING = 40
_MAX_SOURCE = 2_000_000


class _Source(NamedTuple):
    """A part of the source, how tightly it binds, and how many brackets are inside one another in it."""

    text: str
    binding: int
    nesting: int

    def within(self, binding: int) -> str:
        """The text, in brackets unless it binds more tightly than what is around it."""
        return self.text if self.binding > binding else f"({self.text})"


_OR, _AND, _NOT, _COMPARISON, _ATOM = range(5)
_JOINTS = {"or": (" or ", _OR), "and": (" and ", _AND), "xor": (" != ", _COMPARISON)}


def to_python(expression: Boolean, name: str = "holds") -> str:
    """The source of a Python function of the set of kept regions.

    Parameters
    ----------
    expression : sympy.logic.boolalg.Boolean
        Any Boolean expression over region symbols.
    name : str
        What the function is called.

    Returns
    -------
    str
        ``def holds(kept): return 1 in kept and (4 in kept or ...)``. Regions are their ids, named regions strings;
        ``kept`` may be anything that ``in`` works on. Deep formulas are written over several lines.

    Raises
    ------
    InputError
        If the name is not one a function may have.
    """
    if not name.isidentifier():
        raise InputError(f"{name!r} is not a name that a Python function may have")
    circuit = Circuit()
    wire = circuit.add(as_boolean(expression))
    lines = [f"def {name}(kept):", '    """Whether the decision is kept when exactly these regions are."""']

    def build(number: int, gate: Gate, parts: list[_Source]) -> _Source:
        source = _gate_source(gate, parts)
        if source.nesting > _MAX_NESTING:
            # CPython's parser takes no more than 200 brackets inside one another.
            lines.append(f"    part{number} = {source.text}")
            return _Source(f"part{number}", _ATOM, 0)
        return source

    returned = circuit.fold(wire, build, _negated)
    return "\n".join([*lines, f"    return {returned.text}", ""])


def _negated(source: _Source) -> _Source:
    if source.binding == _COMPARISON and source.nesting == 0:
        return source._replace(text=source.text.removesuffix(" in kept") + " not in kept")
    return _Source(f"not {source.within(_NOT - 1)}", _NOT, source.nesting)


def _gate_source(gate: Gate, parts: list[_Source]) -> _Source:
    if gate.kind == "true":
        return _Source("True", _ATOM, 0)
    if gate.kind == "region":
        return _Source(f"{region_key(gate.name)!r} in kept", _COMPARISON, 0)
    sign, binding = _JOINTS[gate.kind]
    text = sign.join(part.within(binding) for part in parts)
    return _Source(text, binding, 1 + max(part.nesting for part in parts))


def to_callable(expression: Boolean) -> Callable[[Iterable[int | str]], bool]:
    """A predicate on the set of kept regions, as ids (or names, for named regions); no text is compiled."""
    circuit = Circuit()
    wire = circuit.add(as_boolean(expression))

    def holds(kept: Iterable[int | str]) -> bool:
        """Whether the formula holds when exactly these regions are kept."""
        return circuit.evaluate(wire, (key if isinstance(key, str) else str(symbol(key)) for key in kept))

    return holds


def evaluate(expression: Boolean, states: ArrayLike, region_ids: ArrayLike | None = None) -> NDArray[np.bool_]:
    """A formula's value on many states at once.

    Parameters
    ----------
    expression : sympy.logic.boolalg.Boolean
        Over region symbols.
    states : (B, M) bool
        Region sets.
    region_ids : (M,) int, optional
        The region of each column; 0..M-1 when left out.

    Returns
    -------
    (B,) bool

    Raises
    ------
    InputError
        If the formula names a region that no column stands for.
    """
    matrix = as_states(states)
    ids = as_region_ids(region_ids, matrix.shape[1])
    circuit = Circuit()
    wire = circuit.add(as_boolean(expression))
    columns = {str(symbol(number)): column for column, number in enumerate(ids)}
    unknown = [name for name in circuit.regions if name not in columns]
    if unknown:
        raise InputError(f"the formula names {unknown[0]}, but no column of the states stands for it")

    def value(_: int, gate: Gate, parts: list[NDArray[np.bool_]]) -> NDArray[np.bool_]:
        match gate.kind:
            case "true":
                return np.ones(len(matrix), dtype=np.bool_)
            case "region":
                return matrix[:, columns[gate.name]]
            case "and":
                return np.array(np.logical_and.reduce(parts))
            case "or":
                return np.array(np.logical_or.reduce(parts))
            case "xor":
                return parts[0] ^ parts[1]

    return np.array(circuit.fold(wire, value, np.logical_not))


def from_python(text: str) -> Boolean:
    """A formula from the source that :func:`to_python` writes; it is parsed, never run.

    Raises
    ------
    InputError
        If the text is anything else than such a function.
    """
    if len(text) > _MAX_SOURCE:
        raise InputError(f"the source has {len(text)} characters; at most {_MAX_SOURCE} are read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise InputError(f"this is not the source of a predicate: {error}") from error
    if len(module.body) != 1 or not isinstance(function := module.body[0], ast.FunctionDef):
        raise InputError("expected the source of one function and nothing else")
    if function.decorator_list or not _takes_kept(function.args):
        raise InputError("the function must take one argument, kept, and have no decorators")
    try:
        return _read_body(function)
    except RecursionError as error:
        raise InputError("the source is nested too deeply") from error


def _takes_kept(arguments: ast.arguments) -> bool:
    rest = (arguments.posonlyargs, arguments.kwonlyargs, arguments.vararg, arguments.kwarg, arguments.defaults)
    return [(each.arg, each.annotation) for each in arguments.args] == [("kept", None)] and not any(rest)


def _read_body(function: ast.FunctionDef) -> Boolean:
    known: dict[str, Piece] = {}
    for statement in function.body:
        match statement:
            case ast.Expr(value=ast.Constant(value=str())):
                continue
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                known[name] = _read(value, known)
            case ast.Return(value=ast.expr() as value):
                return _read(value, known).expression
            case _:
                raise InputError(f"line {statement.lineno} is no part of a predicate")
    raise InputError("the function returns nothing")


def _read(node: ast.expr, known: dict[str, Piece]) -> Piece:
    match node:
        case ast.Constant(value=bool() as value):
            return constant_piece(value)
        case ast.Name(id=name) if name in known:
            return known[name]
        case ast.BoolOp(op=operator, values=values):
            return combine("and" if isinstance(operator, ast.And) else "or", [_read(part, known) for part in values])
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return combine("not", [_read(operand, known)])
        case ast.Compare(left=left, ops=[ast.NotEq()], comparators=[right]):
            return combine("xor", [_read(left, known), _read(right, known)])
        case ast.Compare(left=left, ops=[ast.In() | ast.NotIn() as test], comparators=[ast.Name(id="kept")]):
            region = _region(left)
            return region if isinstance(test, ast.In) else combine("not", [region])
    raise InputError(f"line {node.lineno}: a predicate holds only `<region> in kept`, and, or, not, != and constants")


def _region(node: ast.expr) -> Piece:
    match node:
        case ast.Constant(value=str() as name):
            return region_piece(name)
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            return region_piece(symbol(number).name)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as number)) if not isinstance(number, bool):
            return region_piece(symbol(-number).name)
    raise InputError(f"line {node.lineno}: expected a region's id or its name before `in kept`")
