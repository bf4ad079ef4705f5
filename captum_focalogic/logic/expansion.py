"""Circuits without negation as lists of terms, where the list is short enough."""

from collections.abc import Sequence

from captum_focalogic.logic.circuit import Circuit
from captum_focalogic.logic.terms import Terms, union


def is_monotone(circuit: Circuit, wire: int) -> bool:
    """Whether a wire is built from regions by AND and OR alone."""
    if wire < 0:
        return circuit.gates[-wire - 1].kind == "true"
    gates = [circuit.gates[number - 1] for number in circuit.cone(wire)]
    return all(gate.kind != "xor" and all(part > 0 for part in gate.wires) for gate in gates)


def expand(circuit: Circuit, wire: int, limit: int) -> Terms | None:
    """The terms of a monotone wire, multiplied out and not absorbed, or None when a gate has more than the limit.

    Bit j of a term is the circuit's gate j + 1.
    """
    if wire < 0:
        return ()
    terms: dict[int, Terms] = {}
    for number in circuit.cone(wire):
        gate = circuit.gates[number - 1]
        match gate.kind:
            case "true":
                found: Terms | None = (0,)
            case "or":
                found = tuple(dict.fromkeys(term for part in gate.wires for term in terms[part]))
            case "and":
                found = _product([terms[part] for part in gate.wires], limit)
            case _:
                found = (1 << (number - 1),)
        if found is None or len(found) > limit:
            return None
        terms[number] = found
    return terms[wire]


def _product(factors: list[Terms], limit: int) -> Terms | None:
    product: Terms = (union(factor[0] for factor in factors if len(factor) == 1),)
    for factor in sorted((factor for factor in factors if len(factor) != 1), key=len):
        if len(product) * len(factor) > limit:
            return None
        product = tuple(dict.fromkeys(left | right for left in product for right in factor))
    return product


def first_failure(circuit: Circuit, wire: int, terms: Sequence[int]) -> int | None:
    """The first term whose regions alone do not turn a monotone wire on, or None.

    All terms are judged at once: bit k of a gate's value is its value on term k.
    """
    everything = (1 << len(terms)) - 1
    on = [0] * (len(circuit.gates) + 1)
    for place, term in enumerate(terms):
        left = term
        while left:
            lowest = left & -left
            on[lowest.bit_length()] |= 1 << place
            left ^= lowest
    if wire < 0:
        return 0 if terms else None
    for number in circuit.cone(wire):
        gate = circuit.gates[number - 1]
        match gate.kind:
            case "true":
                on[number] = everything
            case "and":
                value = everything
                for part in gate.wires:
                    value &= on[part]
                on[number] = value
            case "or":
                value = 0
                for part in gate.wires:
                    value |= on[part]
                on[number] = value
            case _:
                pass
    missed = everything & ~on[wire]
    return (missed & -missed).bit_length() - 1 if missed else None
