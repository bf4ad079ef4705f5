"""Any formula as a list of terms."""

from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import InputError
from captum_focalogic.logic.bdd import BoundedBDD
from captum_focalogic.logic.circuit import Circuit, symbol_names
from captum_focalogic.logic.expansion import expand, is_monotone
from captum_focalogic.logic.simplification import prime_cover
from captum_focalogic.logic.terms import absorb_terms

TERM_LIMIT = 20_000


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
        terms = expand(circuit, wire, TERM_LIMIT)
        if terms is not None:
            return names, [_row(len(names), term, 0) for term in absorb_terms(terms)]
    else:
        diagram = BoundedBDD(len(names))
        cover = prime_cover(diagram, diagram.build(circuit, wire, names), TERM_LIMIT)
        if cover is not None:
            return names, [_row(len(names), *_signs(term, len(names))) for term in cover]
    raise InputError(f"the formula has more than {TERM_LIMIT} terms; write it in a format that keeps its structure")


def _signs(term: int, regions: int) -> tuple[int, int]:
    on = sum((term >> (2 * place) & 1) << place for place in range(regions))
    off = sum((term >> (2 * place + 1) & 1) << place for place in range(regions))
    return on, off


def _row(regions: int, on: int, off: int) -> str:
    return "".join("1" if on >> place & 1 else "0" if off >> place & 1 else "-" for place in range(regions))
