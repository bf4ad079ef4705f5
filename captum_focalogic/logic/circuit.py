"""Any sympy Boolean as a circuit of shared AND, OR and XOR gates with negated wires.

Walked without recursion, so that deep expressions cost time and not the stack: :func:`fold` takes a value through an
expression, :meth:`Circuit.fold` through a circuit.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from operator import not_
from typing import Literal, NamedTuple, TypeVar

from sympy import ITE, And, Equivalent, Implies, Nand, Nor, Not, Or, Symbol, Xor, false, true
from sympy.logic.boolalg import Boolean, BooleanFalse, BooleanTrue, Xnor

from captum_focalogic.errors import InputError
from captum_focalogic.logic.symbols import key_order, region_key
from captum_focalogic.logic.terms import Terms, columns_of, intersection, union

T = TypeVar("T")

GateKind = Literal["true", "region", "and", "or", "xor"]


class Gate(NamedTuple):
    """One gate: its kind, the wires that come in (negative: negated), and the symbol's name for a region."""

    kind: GateKind
    wires: tuple[int, ...] = ()
    name: str = ""


def as_boolean(expression: object) -> Boolean:
    """A sympy Boolean, from one or from a Python bool.

    Raises
    ------
    InputError
        If it is neither; text is not evaluated here.
    """
    if isinstance(expression, bool):
        return true if expression else false
    if isinstance(expression, Boolean):
        return expression
    hint = "; read text with captum_focalogic.logic.parse_expression" if isinstance(expression, str) else ""
    raise InputError(f"got a {type(expression).__name__} where a sympy Boolean was expected{hint}")


def symbol_names(*expressions: Boolean) -> list[str]:
    """The names of the symbols in expressions: regions by id, then other names by letter."""
    names: set[str] = set()
    for expression in expressions:
        names.update(atom.name for atom in iterate(expression) if isinstance(atom, Symbol))
    return sorted(names, key=lambda name: key_order(region_key(name)))


def iterate(expression: Boolean) -> Iterator[Boolean]:
    """Every distinct subexpression, parts before the whole."""
    seen: set[Boolean] = set()
    stack: list[tuple[Boolean, bool]] = [(expression, False)]
    while stack:
        item, expanded = stack.pop()
        if expanded or not item.args:
            if item not in seen:
                seen.add(item)
                yield item
        elif item not in seen:
            stack.append((item, True))
            for part in item.args:
                if part.args:
                    stack.append((part, False))
                elif part not in seen:
                    seen.add(part)
                    yield part


def fold(expression: Boolean, build: Callable[[Boolean, list[T]], T]) -> T:
    """A value for an expression from the values of its parts, without recursion."""
    values: dict[Boolean, T] = {}
    for item in iterate(expression):
        values[item] = build(item, [values[part] for part in item.args])
    return values[expression]


class Circuit:
    """Gates under construction; equal gates are made once.

    A *wire* is the number of a gate, counted from 1, negated by its sign. Gates come after the gates they read.

    Parameters
    ----------
    names : iterable of str, optional
        Symbols to number first, in this order.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.gates: list[Gate] = []
        self._known: dict[Gate, int] = {}
        self._wires: dict[Boolean, int] = {}
        self._true: int | None = None
        self._cones: dict[int, list[tuple[int, Gate]]] = {}
        for name in names:
            self.region(name)

    @property
    def regions(self) -> dict[str, int]:
        """The wire of every symbol, in the order they were met."""
        return {gate.name: wire for wire, gate in enumerate(self.gates, 1) if gate.kind == "region"}

    def _gate(self, gate: Gate) -> int:
        wire = self._known.get(gate)
        if wire is None:
            self.gates.append(gate)
            wire = self._known[gate] = len(self.gates)
        return wire

    def region(self, name: str) -> int:
        """The wire of a symbol."""
        return self._gate(Gate("region", name=name))

    def true(self) -> int:
        """The wire that is always on; its negation is always off."""
        self._true = self._gate(Gate("true"))
        return self._true

    def _constant(self, wire: int) -> bool | None:
        return wire > 0 if abs(wire) == self._true else None

    def all_of(self, wires: Iterable[int]) -> int:
        """AND, with constants and repeats taken out."""
        return self._junction("and", wires)

    def any_of(self, wires: Iterable[int]) -> int:
        """OR, with constants and repeats taken out."""
        return self._junction("or", wires)

    def _junction(self, kind: Literal["and", "or"], wires: Iterable[int]) -> int:
        neutral = kind == "and"
        distinct = set(wires)
        if self._true is not None:
            dominant = -self._true if neutral else self._true
            if dominant in distinct:
                return dominant
            distinct.discard(-dominant)
        if any(-wire in distinct for wire in distinct):
            return -self.true() if neutral else self.true()
        if not distinct:
            return self.true() if neutral else -self.true()
        if len(distinct) == 1:
            return distinct.pop()
        return self._gate(Gate(kind, tuple(sorted(distinct, key=abs))))

    def differ(self, left: int, right: int) -> int:
        """XOR of two wires."""
        for wire, other in ((left, right), (right, left)):
            constant = self._constant(wire)
            if constant is not None:
                return -other if constant else other
        if abs(left) == abs(right):
            return self.true() if left != right else -self.true()
        first, second = sorted((abs(left), abs(right)))
        wire = self._gate(Gate("xor", (first, second)))
        return wire if (left > 0) == (right > 0) else -wire

    def add(self, expression: Boolean) -> int:
        """The wire of an expression.

        Raises
        ------
        InputError
            If it holds anything but symbols, constants and Boolean operators.
        """
        for item in iterate(expression):
            if item not in self._wires:
                self._wires[item] = self._build(item)
        return self._wires[expression]

    def _build(self, item: Boolean) -> int:
        if isinstance(item, Symbol):
            return self.region(item.name)
        if isinstance(item, BooleanTrue):
            return self.true()
        if isinstance(item, BooleanFalse):
            return -self.true()
        rule = _OPERATORS.get(item.func)
        if rule is None:
            raise InputError(
                f"{item.func.__name__} is no Boolean operator over regions; expected symbols, true, false, "
                "And, Or, Not, Xor, Nand, Nor, Xnor, Implies, Equivalent or ITE"
            )
        return rule(self, [self._wires[part] for part in item.args])

    def parity(self, wires: Iterable[int]) -> int:
        """On when an odd number of the wires is on."""
        result = -self.true()
        for wire in wires:
            result = self.differ(result, wire)
        return result

    def same(self, wires: list[int]) -> int:
        """On when all wires agree."""
        return self.all_of(-self.differ(left, right) for left, right in pairwise(wires))

    def choose(self, condition: int, then: int, otherwise: int) -> int:
        """``then`` where the condition is on, else ``otherwise``."""
        return self.any_of([self.all_of([condition, then]), self.all_of([-condition, otherwise])])

    def evaluate(self, wire: int, kept: Iterable[str]) -> bool:
        """The value of a wire when exactly the named symbols are on."""
        chosen = set(kept)

        def value(_: int, gate: Gate, parts: list[bool]) -> bool:
            match gate.kind:
                case "true":
                    return True
                case "region":
                    return gate.name in chosen
                case "and":
                    return all(parts)
                case "or":
                    return any(parts)
                case "xor":
                    return sum(parts) == 1

        return self.fold(wire, value, not_)

    def fold(self, wire: int, build: Callable[[int, Gate, list[T]], T], negate: Callable[[T], T]) -> T:
        """A value for a wire from those of the wires that come in, each gate's found once.

        Parameters
        ----------
        wire : int
        build : callable
            The value of a gate, from its number, itself, and the values of its wires.
        negate : callable
            The value of a negated wire from that of its gate.
        """
        values: dict[int, T] = {}

        def value(part: int) -> T:
            return values[part] if part > 0 else negate(values[-part])

        for number, gate in self.cone(wire):
            values[number] = build(number, gate, [value(part) for part in gate.wires])
        return value(wire)

    def cone(self, wire: int) -> list[tuple[int, Gate]]:
        """The gates that a wire depends on with their numbers, ascending."""
        top = abs(wire)
        if top not in self._cones:
            needed = {top}
            stack = [top]
            while stack:
                below = {abs(other) for other in self.gates[stack.pop() - 1].wires} - needed
                needed |= below
                stack.extend(below)
            self._cones[top] = [(number, self.gates[number - 1]) for number in sorted(needed)]
        return self._cones[top]

    def compact(self, wire: int) -> tuple["Circuit", int]:
        """The same wire in a circuit of all the regions, in their order, and of the gates it depends on alone."""
        result = Circuit(self.regions)
        places: dict[int, int] = {}
        for number, gate in self.cone(wire):
            wires = tuple(places[part] if part > 0 else -places[-part] for part in gate.wires)
            places[number] = result._gate(gate._replace(wires=wires))
        return result, places[wire] if wire > 0 else -places[-wire]


_OPERATORS: dict[type[Boolean], Callable[[Circuit, list[int]], int]] = {
    And: Circuit.all_of,
    Or: Circuit.any_of,
    Not: lambda _, wires: -wires[0],
    Xor: Circuit.parity,
    Xnor: lambda circuit, wires: -circuit.parity(wires),
    Nand: lambda circuit, wires: -circuit.all_of(wires),
    Nor: lambda circuit, wires: -circuit.any_of(wires),
    Implies: lambda circuit, wires: circuit.any_of([-wires[0], wires[1]]),
    Equivalent: Circuit.same,
    ITE: lambda circuit, wires: circuit.choose(*wires),
}


def is_monotone(circuit: Circuit, wire: int) -> bool:
    """Whether a wire is built from regions by AND and OR alone."""
    if wire < 0:
        return circuit.gates[-wire - 1].kind == "true"
    return all(gate.kind != "xor" and all(part > 0 for part in gate.wires) for _, gate in circuit.cone(wire))


def expand(circuit: Circuit, wire: int, limit: int) -> Terms | None:
    """The terms of a monotone wire, multiplied out and not absorbed, or None when a gate has more than the limit.

    Bit j of a term is the circuit's gate j + 1.
    """

    def terms_of(number: int, gate: Gate, parts: list[Terms]) -> Terms:
        match gate.kind:
            case "true":
                found: Terms = (0,)
            case "or":
                found = tuple(dict.fromkeys(term for part in parts for term in part))
            case "and":
                found = _product(parts, limit)
            case _:
                found = (1 << (number - 1),)
        if len(found) > limit:
            raise TooManyTerms
        return found

    try:
        # the one negation in a monotone wire is that of what is always on
        return circuit.fold(wire, terms_of, lambda _: ())
    except TooManyTerms:
        return None


class TooManyTerms(Exception):
    """More terms than can be listed."""


def _product(factors: list[Terms], limit: int) -> Terms:
    product: Terms = (union(factor[0] for factor in factors if len(factor) == 1),)
    for factor in sorted((factor for factor in factors if len(factor) != 1), key=len):
        if len(product) * len(factor) > limit:
            raise TooManyTerms
        product = tuple(dict.fromkeys(left | right for left in product for right in factor))
    return product


def first_failure(circuit: Circuit, wire: int, terms: Sequence[int]) -> int | None:
    """The first term whose regions alone do not turn a monotone wire on, or None.

    All terms are judged at once: bit k of a gate's value is its value on term k.
    """
    everything = (1 << len(terms)) - 1
    kept: dict[int, int] = {}
    for place, term in enumerate(terms):
        for column in columns_of(term):
            kept[column + 1] = kept.get(column + 1, 0) | 1 << place

    def on(number: int, gate: Gate, parts: list[int]) -> int:
        match gate.kind:
            case "true":
                return everything
            case "and":
                return intersection(parts)
            case "or":
                return union(parts)
            case _:
                return kept.get(number, 0)

    missed = everything & ~circuit.fold(wire, on, lambda value: everything & ~value)
    return (missed & -missed).bit_length() - 1 if missed else None
