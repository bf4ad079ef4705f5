"""Formulas as DIMACS CNF, the input of SAT solvers and model counters."""

import re
from collections import Counter
from collections.abc import Iterable

from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import InputError
from captum_focalogic.logic.builder import Piece, combine, constant_piece, decode_name, encode_name, region_piece
from captum_focalogic.logic.circuit import Circuit, GateKind, as_boolean, symbol_names
from captum_focalogic.logic.equivalence import Clauses, full_clauses, gate_clauses
from captum_focalogic.logic.symbols import symbol

_NUMBER = re.compile(r"-?[0-9]+")
"""What tells the comments of :func:`to_dimacs` from those of people, which may begin with "and" too."""

_GATES: dict[str, GateKind] = {"and": "and", "or": "or", "xor": "xor", "true": "true"}


def to_dimacs(expression: Boolean) -> str:
    """A formula as CNF.

    Variables 1..n are the regions, in their natural order, named in comments (``c region 1 I1``); further variables
    are the gates of a Tseitin encoding, also told in comments (``c and 4 1 2``). Every region set that satisfies the
    formula has exactly one model, so that a model counter counts region sets.
    """
    given = as_boolean(expression)
    names = symbol_names(given)
    first = Circuit(names)
    # Gates that folding left without use would be free variables, and every one of them double the count.
    circuit, wire = first.compact(first.add(given))
    clauses = full_clauses(circuit, wire)
    lines = [f"c region {number} {encode_name(name)}" for number, name in enumerate(names, 1)]
    for number, gate in circuit.cone(wire):
        if gate.kind != "region":
            lines.append(" ".join(["c", gate.kind, str(number), *map(str, gate.wires)]))
    lines.append(f"c formula {wire}")
    lines.append(f"p cnf {len(circuit.gates)} {len(clauses)}")
    lines += [" ".join(map(str, [*clause, 0])) for clause in clauses]
    return "\n".join([*lines, ""])


def from_dimacs(text: str) -> Boolean:
    """A formula from CNF.

    Variables are named by comments ``c region <variable> <name>``; in a file without them, variable 7 is ``I7``. The
    gates told by the comments of :func:`to_dimacs` are put back in place after checking that the clauses are theirs.

    Raises
    ------
    InputError
        If the text is no CNF, or its comments and clauses do not fit together.
    """
    comments, variables, clauses = _scan(text)
    names: dict[int, str] = {}
    gates: list[list[str]] = []
    for comment in comments:
        match comment.split():
            case ["region", number, name] if _NUMBER.fullmatch(number):
                names[_variable(number, variables)] = decode_name(name)
            case [kind, *rest] if (kind in _GATES or kind == "formula") and all(map(_NUMBER.fullmatch, rest)):
                gates.append([kind, *rest])
            case _:
                continue
    if not any(kind == "formula" for kind, *_ in gates):
        gates = []
    taken = set(names.values())
    # Only variables that occur: a header may announce any number of them.
    unnamed = {abs(literal) for clause in clauses for literal in clause} - names.keys() if not gates else set()
    if len(taken) != len(names) or any(symbol(number).name in taken for number in unnamed):
        raise InputError("two variables of the CNF have the same name")
    if not gates:
        return _from_clauses(clauses, names)
    return _from_gates(gates, clauses, names, variables)


def _scan(text: str) -> tuple[list[str], int, Clauses]:
    comments: list[str] = []
    header: tuple[int, int] | None = None
    numbers: list[int] = []
    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "c":
            comments.append(line.strip()[1:].strip())
        elif words[0] == "p":
            if header is not None or len(words) != 4 or words[1] != "cnf":
                raise InputError(f"expected one line 'p cnf <variables> <clauses>'; got {line[:60]!r}")
            header = _integer(words[2]), _integer(words[3])
        elif words[0] == "%":
            break
        else:
            numbers.extend(map(_integer, words))
    if header is None:
        raise InputError("this is no DIMACS CNF: the line 'p cnf <variables> <clauses>' is missing")
    clauses = _split(numbers)
    if len(clauses) != header[1]:
        raise InputError(f"the header announces {header[1]} clauses; there are {len(clauses)}")
    if any(abs(number) > header[0] for number in numbers):
        raise InputError(f"a clause names a variable beyond the {header[0]} announced")
    return comments, header[0], clauses


def _split(numbers: list[int]) -> Clauses:
    clauses: Clauses = [[]]
    for number in numbers:
        if number:
            clauses[-1].append(number)
        else:
            clauses.append([])
    if clauses.pop():
        raise InputError("the last clause does not end with 0")
    return clauses


def _integer(word: str) -> int:
    if len(word) > 10 or not (word.removeprefix("-").isascii() and word.removeprefix("-").isdigit()):
        raise InputError(f"expected a number in a CNF; got {word[:40]!r}")
    return int(word)


def _variable(word: str, variables: int) -> int:
    number = _integer(word)
    if not 1 <= number <= variables:
        raise InputError(f"a comment names variable {number}; the file announces {variables}")
    return number


def _from_clauses(clauses: Clauses, names: dict[int, str]) -> Boolean:
    def literal(number: int) -> Piece:
        region = region_piece(names.get(abs(number)) or symbol(abs(number)).name)
        return region if number > 0 else combine("not", [region])

    parts = [combine("or", list(map(literal, clause))) if clause else constant_piece(False) for clause in clauses]
    return (combine("and", parts) if parts else constant_piece(True)).expression


def _from_gates(gates: Iterable[list[str]], clauses: Clauses, names: dict[int, str], variables: int) -> Boolean:
    pieces = {number: region_piece(name) for number, name in names.items()}
    expected: Clauses = []
    root: int | None = None

    def piece(wire: int) -> Piece:
        if abs(wire) not in pieces:
            raise InputError(f"a comment uses variable {abs(wire)} before it is told what it is")
        return pieces[wire] if wire > 0 else combine("not", [pieces[-wire]])

    for kind, *words in gates:
        wires = list(map(_integer, words))
        if not wires:
            raise InputError(f"the comment 'c {kind}' names no variable")
        if kind == "formula":
            root = wires[0]
            continue
        number = _variable(words[0], variables)
        if number in pieces:
            raise InputError(f"comments tell twice what variable {number} is")
        parts = [piece(wire) for wire in wires[1:]]
        if kind == "xor" and len(parts) != 2:
            raise InputError(f"the comment on variable {number} needs two parts")
        pieces[number] = constant_piece(True) if kind == "true" else combine(kind, parts)
        expected += gate_clauses(_GATES[kind], number, wires[1:])
    if root is None:
        raise InputError("the comments name gates but no formula ('c formula <variable>')")
    formula = piece(root)
    expected.append([root])
    if Counter(map(frozenset, clauses)) != Counter(map(frozenset, expected)):
        raise InputError(
            "the clauses are not those of the gates that the comments tell; delete the comments to read them"
        )
    return formula.expression
