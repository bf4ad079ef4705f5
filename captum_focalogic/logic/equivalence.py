"""Whether two formulas say the same, and if not, a region set that tells them apart.

The question is always "does a hold where b does not". Formulas without negation, and that is what final states give,
are answered term by term: a region set that satisfies a contains a term of a, and b fails on it only if it fails on
that term already. Everything else is decided by a SAT solver (PySAT): a disjunction of terms that must fail is one
clause per term; the rest gets one variable per gate (Tseitin), with the clauses of the one direction that is needed
(Plaisted and Greenbaum, 1986).
"""

from collections.abc import Iterable, Sequence

from pysat.solvers import Solver
from sympy.logic.boolalg import Boolean

from captum_focalogic.logic.circuit import Circuit, Gate, GateKind, as_boolean, expand, first_failure, is_monotone
from captum_focalogic.logic.symbols import region_key
from captum_focalogic.logic.terms import columns_of

Clauses = list[list[int]]

_SOLVER = "cadical195"
_TERM_LIMIT = 20_000


def difference(a: Boolean, b: Boolean) -> frozenset[int | str] | None:
    """A region set for which one formula holds and the other does not.

    Parameters
    ----------
    a, b : sympy.logic.boolalg.Boolean
        Any Boolean expressions over region symbols.

    Returns
    -------
    frozenset of int, or None
        The ids of the regions to keep (all others dropped); None when the formulas are equivalent, which is then
        proved. A symbol that is not of the form ``I7`` (a region with a name) is given by its name.

    Raises
    ------
    InputError
        If an argument is no Boolean expression.
    """
    circuit = Circuit()
    first, second = circuit.add(as_boolean(a)), circuit.add(as_boolean(b))
    for holds, fails in ((first, second), (second, first)):
        found = _holds_without(circuit, holds, fails)
        if found is not None:
            return found
    return None


def equivalent(a: Boolean, b: Boolean) -> bool:
    """Whether two formulas hold for exactly the same region sets."""
    return difference(a, b) is None


def implies(a: Boolean, b: Boolean) -> bool:
    """Whether b holds for every region set for which a holds."""
    circuit = Circuit()
    first, second = circuit.add(as_boolean(a)), circuit.add(as_boolean(b))
    return _holds_without(circuit, first, second) is None


def _holds_without(circuit: Circuit, holds: int, fails: int) -> frozenset[int | str] | None:
    """A region set that turns the first wire on and not the second."""
    kept = _separate(circuit, holds, fails)
    if kept is None:
        return None
    if not circuit.evaluate(holds, kept) or circuit.evaluate(fails, kept):
        raise RuntimeError("the region set found does not tell the formulas apart; please report this")
    return frozenset(region_key(name) for name in kept)


def _separate(circuit: Circuit, holds: int, fails: int) -> list[str] | None:
    terms = None
    if is_monotone(circuit, holds) and is_monotone(circuit, fails):
        terms = expand(circuit, holds, _TERM_LIMIT)
    if terms is None:
        return satisfy(circuit, [holds, -fails])
    place = first_failure(circuit, fails, terms)
    return None if place is None else [circuit.gates[column].name for column in columns_of(terms[place])]


def satisfy(circuit: Circuit, wires: Iterable[int]) -> list[str] | None:
    """The symbols of a region set that turns all wires on, found by the SAT solver; None if there is none."""
    with Solver(name=_SOLVER, bootstrap_with=demand(circuit, wires)) as solver:
        if not solver.solve():
            return None
        on = {wire for wire in solver.get_model() if wire > 0}
    return [name for name, wire in circuit.regions.items() if wire in on]


def demand(circuit: Circuit, wires: Iterable[int]) -> Clauses:
    """Clauses that can be satisfied exactly when the circuit can have all wires on.

    Variables are the circuit's gates; a model's regions are a region set that turns the wires on.
    """
    clauses: Clauses = []
    needed: list[int] = []
    todo = list(wires)
    while todo:
        wire = todo.pop()
        kind, parts = _oriented(circuit.gates[abs(wire) - 1], wire)
        if kind == "and":
            todo.extend(parts)
        elif kind == "or":
            clauses.append(list(parts))
            needed.extend(parts)
        else:
            clauses.append([wire])
            needed.append(wire)
    _define(circuit, needed, clauses)
    return clauses


def _oriented(gate: Gate, wire: int) -> tuple[str, tuple[int, ...]]:
    """The gate that a wire reads, with a negation pushed inwards (De Morgan)."""
    if wire > 0 or gate.kind not in ("and", "or"):
        return gate.kind, gate.wires
    return ("or" if gate.kind == "and" else "and"), tuple(-part for part in gate.wires)


def _define(circuit: Circuit, wires: list[int], clauses: Clauses) -> None:
    """Clauses by which each wire, where on, forces what it stands for."""
    seen: set[int] = set()
    todo = wires
    while todo:
        wire = todo.pop()
        if wire in seen:
            continue
        seen.add(wire)
        gate = circuit.gates[abs(wire) - 1]
        kind, parts = _oriented(gate, wire)
        if kind == "and":
            clauses.extend([-wire, part] for part in parts)
        elif kind == "or":
            clauses.append([-wire, *parts])
        elif kind == "xor":
            left, right = parts if wire > 0 else (parts[0], -parts[1])
            clauses.extend([[-wire, left, right], [-wire, -left, -right]])
            parts = (left, -left, right, -right)
        elif kind == "true":
            clauses.append([abs(wire)])
            continue
        todo.extend(parts)


def full_clauses(circuit: Circuit, wire: int) -> Clauses:
    """Clauses in which every gate's variable equals its value and the wire is on.

    Each region set that satisfies the wire extends to exactly one model, so counting models counts region sets.
    """
    clauses: Clauses = []
    for number, gate in circuit.cone(wire):
        clauses += gate_clauses(gate.kind, number, gate.wires)
    return [*clauses, [wire]]


def gate_clauses(kind: GateKind, number: int, wires: Sequence[int]) -> Clauses:
    """Clauses by which a gate's variable equals its value."""
    match kind:
        case "and":
            return [*([-number, wire] for wire in wires), [number, *(-wire for wire in wires)]]
        case "or":
            return [*([number, -wire] for wire in wires), [-number, *wires]]
        case "xor":
            a, b = wires
            return [[-number, a, b], [-number, -a, -b], [number, a, -b], [number, -a, b]]
        case "true":
            return [[number]]
        case "region":
            return []
