"""Shorter equivalents of any Boolean expression, each proved before it is returned; its terms as a list."""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from sympy import And, Not, Or, Symbol, Xor, false, true
from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import DiagramTooLarge, InputError
from captum_focalogic.logic.circuit import (
    Circuit,
    Gate,
    TooManyTerms,
    as_boolean,
    expand,
    is_monotone,
    iterate,
    symbol_names,
)
from captum_focalogic.logic.equivalence import equivalent
from captum_focalogic.logic.expression import from_tree
from captum_focalogic.logic.factoring import factor
from captum_focalogic.logic.terms import Terms, absorb_terms

if TYPE_CHECKING:
    from captum_focalogic.logic.binary_diagrams import BoundedBDD

_TERM_LIMIT = 3_000
_BDD_LIMIT = 50_000
_BDD_REGIONS = 120


def count_literals(expression: Boolean) -> int:
    """How many times regions are named in an expression, repeats included: its length, as used in this package."""
    return _cost(expression)[0]


def _cost(expression: Boolean) -> tuple[int, int]:
    """Literals, then operators."""
    sizes: dict[Boolean, tuple[int, int]] = {}
    for item in iterate(expression):
        parts = [sizes[part] for part in item.args]
        own = (1, 0) if isinstance(item, Symbol) else (0, 1)
        sizes[item] = (own[0] + sum(part[0] for part in parts), own[1] + sum(part[1] for part in parts))
    return sizes[expression]


def simplify(expression: Boolean) -> Boolean:
    """A short expression with the same meaning.

    Expressions without negation are multiplied out, absorbed and factored as in
    :func:`~captum_focalogic.logic.to_expression`. With negations an irredundant cover by prime implicants is taken
    from a decision diagram (Minato and Morreale), of the function and of its complement, and factored. Where a
    function is too large for either, only constants, repeats and complementary pairs are taken out.

    Parameters
    ----------
    expression : sympy.logic.boolalg.Boolean
        Any Boolean expression: And, Or, Not, Xor, Implies, Equivalent, ITE, Nand, Nor, Xnor over symbols.

    Returns
    -------
    sympy.logic.boolalg.Boolean
        Proved equivalent, and never with more literals than was given.

    Raises
    ------
    InputError
        If the expression holds anything but Boolean operators over symbols.
    """
    given = as_boolean(expression)
    circuit = Circuit(symbol_names(given))
    wire = circuit.add(given)
    best = given
    for candidate in _candidates(circuit, wire):
        if _cost(candidate) < _cost(best):
            best = candidate
    if not equivalent(best, given):
        raise RuntimeError("simplification changed the meaning of the expression; please report this")
    return best


def _candidates(circuit: Circuit, wire: int) -> Iterator[Boolean]:
    yield _rebuild(circuit, wire)
    names = list(circuit.regions)
    if is_monotone(circuit, wire):
        terms = expand(circuit, wire, _TERM_LIMIT)
        if terms is not None:
            # The wires of a circuit's first gates are its regions, so that columns and names are in step.
            yield _factored(absorb_terms(terms), [Symbol(name) for name in names])
        return
    if len(names) > _BDD_REGIONS:
        return
    from captum_focalogic.logic.binary_diagrams import BoundedBDD

    diagram = BoundedBDD(len(names), _BDD_LIMIT)
    try:
        node = diagram.build(circuit, wire, names)
    except DiagramTooLarge:
        return
    signed: list[list[Boolean]] = [[Symbol(name), Not(Symbol(name))] for name in names]
    cover = prime_cover(diagram, node, _TERM_LIMIT)
    if cover is not None:
        yield _factored(cover, [leaf for pair in signed for leaf in pair])
    complement = prime_cover(diagram, -node, _TERM_LIMIT)
    if complement is not None:
        yield _factored(complement, [leaf for pair in signed for leaf in reversed(pair)], dual=True)


def _factored(terms: Terms, leaves: list[Boolean], dual: bool = False) -> Boolean:
    """Terms over leaves as a short expression; the dual exchanges AND and OR."""
    if not terms or terms[0] == 0:
        return true if bool(terms) != dual else false
    return from_tree(factor(terms), leaves, dual)


def _rebuild(circuit: Circuit, wire: int) -> Boolean:
    """The circuit as an expression, with what is constant or repeated taken out."""

    def build(_: int, gate: Gate, parts: list[Boolean]) -> Boolean:
        match gate.kind:
            case "true":
                return true
            case "region":
                return Symbol(gate.name)
            case "and":
                return And(*parts)
            case "or":
                return Or(*parts)
            case "xor":
                return Xor(*parts)

    return circuit.fold(wire, build, Not)


def prime_cover(diagram: "BoundedBDD", root: int, limit: int) -> Terms | None:
    """An irredundant cover of a function by prime implicants, or None where that is too long.

    Bit 2i of a term is region i, bit 2i + 1 its negation. Recursion goes once down the variables, whose number the
    caller bounds.
    """

    def both(left: int, right: int) -> int:
        return int(diagram.apply("and", left, right))

    @cache
    def between(lower: int, upper: int) -> tuple[int, Terms]:
        """A function between two bounds, and its cover."""
        if lower == -1:
            return -1, ()
        if upper == 1:
            return 1, (0,)
        level = min(diagram.succ(lower)[0], diagram.succ(upper)[0])
        (low0, low1), (up0, up1) = (diagram.cofactors(each, level) for each in (lower, upper))
        only0, terms0 = between(both(low0, -up1), up0)
        only1, terms1 = between(both(low1, -up0), up1)
        rest, shared = between(-both(-both(low0, -only0), -both(low1, -only1)), both(up0, up1))
        if len(shared) + len(terms0) + len(terms1) > limit:
            raise TooManyTerms
        split = int(diagram.ite(diagram.var(f"v{level}"), only1, only0))
        with1 = tuple(term | 1 << (2 * level) for term in terms1)
        with0 = tuple(term | 2 << (2 * level) for term in terms0)
        return -both(-split, -rest), (*shared, *with1, *with0)

    try:
        return absorb_terms(between(root, root)[1])
    except (TooManyTerms, DiagramTooLarge, RecursionError):
        return None


COVER_LIMIT = 20_000


def cover_of(expression: Boolean) -> tuple[list[str], list[str]]:
    """The symbols of a formula, and its terms as rows of ``1`` (on), ``0`` (off) and ``-`` (either).

    Formulas without negation give all their minimal terms, others an irredundant cover by prime implicants.

    Raises
    ------
    InputError
        If there are more terms than can be listed.
    """
    names = symbol_names(expression)
    circuit = Circuit(names)
    wire = circuit.add(expression)
    if is_monotone(circuit, wire):
        terms = expand(circuit, wire, COVER_LIMIT)
        if terms is not None:
            return names, [_row(len(names), term, 0) for term in absorb_terms(terms)]
    else:
        from captum_focalogic.logic.binary_diagrams import BoundedBDD

        diagram = BoundedBDD(len(names))
        cover = prime_cover(diagram, diagram.build(circuit, wire, names), COVER_LIMIT)
        if cover is not None:
            return names, [_row(len(names), *_signs(term, len(names))) for term in cover]
    raise InputError(f"the formula has more than {COVER_LIMIT} terms; write it in a format that keeps its structure")


def _signs(term: int, regions: int) -> tuple[int, int]:
    on = sum((term >> (2 * place) & 1) << place for place in range(regions))
    off = sum((term >> (2 * place + 1) & 1) << place for place in range(regions))
    return on, off


def _row(regions: int, on: int, off: int) -> str:
    return "".join("1" if on >> place & 1 else "0" if off >> place & 1 else "-" for place in range(regions))
