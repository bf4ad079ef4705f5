"""Formulas as BLIF netlists, for logic synthesis (ABC, Yosys, SIS)."""

from collections.abc import Iterator
from typing import NamedTuple

from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import InputError
from captum_focalogic.logic.builder import Piece, combine, constant_piece, decode_names, encode_name, region_piece
from captum_focalogic.logic.circuit import Circuit, Gate, as_boolean, symbol_names

_OUTPUT = "%holds"


class _Table(NamedTuple):
    inputs: list[str]
    rows: list[str]


def to_blif(expression: Boolean) -> str:
    """A formula as a BLIF netlist: its regions are the inputs, ``%holds`` is the output, and every gate a table.

    Names are encoded as in URLs; wires inside begin with a bare ``%``, which no encoded name does.
    """
    given = as_boolean(expression)
    names = symbol_names(given)
    circuit = Circuit(names)
    wire = circuit.add(given)
    lines = [".model formula", " ".join([".inputs", *map(encode_name, names)]), f".outputs {_OUTPUT}"]
    for number, gate in circuit.cone(wire):
        if gate.kind != "region":
            lines += [" ".join([".names", *(_wire(circuit, part) for part in gate.wires), _wire(circuit, number)])]
            lines += _rows(gate)
    lines += [f".names {_wire(circuit, wire)} {_OUTPUT}", "1 1" if wire > 0 else "0 1", ".end", ""]
    return "\n".join(lines)


def _wire(circuit: Circuit, part: int) -> str:
    gate = circuit.gates[abs(part) - 1]
    return encode_name(gate.name) if gate.kind == "region" else f"%n{abs(part)}"


def _rows(gate: Gate) -> list[str]:
    """The table of a gate: its inputs that turn it on, negations included."""
    signs = ["1" if part > 0 else "0" for part in gate.wires]
    match gate.kind:
        case "and":
            return ["".join(signs) + " 1"]
        case "or":
            blank = ["-"] * len(signs)
            return ["".join([*blank[:i], sign, *blank[i + 1 :]]) + " 1" for i, sign in enumerate(signs)]
        case "xor":
            return ["10 1", "01 1"]
        case _:
            return ["1"]


def from_blif(text: str) -> Boolean:
    """A formula from a BLIF netlist with one output, of ``.names`` tables alone.

    Raises
    ------
    InputError
        If the text is no such netlist, or its tables depend on each other in a circle.
    """
    inputs: list[str] = []
    outputs: list[str] = []
    tables: dict[str, _Table] = {}
    table: _Table | None = None
    for line in _lines(text):
        words = line.split()
        match words:
            case [".inputs", *names]:
                inputs += names
            case [".outputs", *names]:
                outputs += names
            case [".names", *names, output]:
                if output in tables:
                    raise InputError(f"the netlist defines {output[:40]!r} twice")
                table = tables[output] = _Table(names, [])
                continue
            case [".model", *_]:
                pass
            case [".end"]:
                break
            case [word, *_] if word.startswith("."):
                raise InputError(f"cannot read the netlist's {word[:20]!r}; only .names tables make a formula")
            case _:
                if table is None:
                    raise InputError(f"the row {line[:40]!r} belongs to no table")
                table.rows.append(line)
                continue
        table = None
    if len(outputs) != 1:
        raise InputError(f"a formula has one output; the netlist has {len(outputs)}")
    return _resolve(outputs[0], inputs, tables).expression


def _lines(text: str) -> Iterator[str]:
    """Lines without comments, continued ones joined."""
    joined = ""
    for line in text.splitlines():
        bare = line.partition("#")[0].rstrip()
        if bare.endswith("\\"):
            joined += bare[:-1] + " "
        elif (joined + bare).strip():
            yield (joined + bare).strip()
            joined = ""
        else:
            joined = ""
    if joined.strip():
        yield joined.strip()


def _resolve(output: str, inputs: list[str], tables: dict[str, _Table]) -> Piece:
    values = {encoded: region_piece(name) for encoded, name in decode_names(inputs).items()}
    if clash := values.keys() & tables.keys():
        raise InputError(f"{min(clash)[:40]!r} is an input and has a table")
    opened: set[str] = set()
    stack = [output]
    while stack:
        name = stack[-1]
        if name in values:
            stack.pop()
            continue
        if name not in tables:
            raise InputError(f"{name[:40]!r} is used, but neither an input nor the output of a table")
        missing = [each for each in tables[name].inputs if each not in values]
        if not missing:
            values[name] = _value(name, tables[name], [values[each] for each in tables[name].inputs])
        elif name in opened:
            raise InputError(f"the tables of the netlist depend on each other in a circle through {name[:40]!r}")
        else:
            opened.add(name)
            stack += missing
    return values[output]


def _value(name: str, table: _Table, parts: list[Piece]) -> Piece:
    terms: list[Piece] = []
    outputs: set[str] = set()
    for row in table.rows:
        words = row.split()
        signs, output = (words[0], words[1]) if len(words) == 2 else ("", words[0])
        if len(words) > 2 or len(signs) != len(parts) or set(signs) - set("01-") or output not in ("0", "1"):
            raise InputError(
                f"expected {len(parts)} of 0, 1, - and an output in the table of {name[:40]!r}: {row[:60]!r}"
            )
        outputs.add(output)
        literals = [
            part if sign == "1" else combine("not", [part])
            for part, sign in zip(parts, signs, strict=True)
            if sign != "-"
        ]
        terms.append(combine("and", literals) if literals else constant_piece(True))
    if len(outputs) > 1:
        raise InputError(f"the table of {name[:40]!r} lists both outputs; expected one of them")
    if not terms:
        return constant_piece(False)
    value = combine("or", terms)
    return combine("not", [value]) if outputs == {"0"} else value
