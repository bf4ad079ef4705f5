"""Formulas as graphs (networkx): equal parts are one node."""

from typing import NamedTuple

import networkx as nx
from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import InputError
from captum_focalogic.logic.assembly import Piece, combine, constant_piece, region_piece
from captum_focalogic.logic.circuit import Circuit, as_boolean
from captum_focalogic.logic.expansion import is_monotone
from captum_focalogic.logic.symbols import region_key

KINDS = ("and", "or", "xor", "not", "region", "true", "false")


class GraphNode(NamedTuple):
    """A node of a formula's graph: its kind, the places of its parts, and a region's symbol."""

    kind: str
    parts: tuple[int, ...] = ()
    symbol: str = ""


def nodes_of(expression: Boolean) -> list[GraphNode]:
    """The nodes of a formula, parts before the nodes that use them, the formula last; equal parts occur once."""
    return circuit_nodes(*_circuit(expression))


def _circuit(expression: Boolean) -> tuple[Circuit, int]:
    circuit = Circuit()
    return circuit, circuit.add(as_boolean(expression))


def circuit_nodes(circuit: Circuit, wire: int) -> list[GraphNode]:
    """The nodes of a circuit's wire, negations as nodes of their own."""
    nodes: list[GraphNode] = []
    places: dict[int, int] = {}

    def place(part: int) -> int:
        if part not in places:
            places[part] = len(nodes)
            constant = circuit.gates[-part - 1].kind == "true"
            nodes.append(GraphNode("false") if constant else GraphNode("not", (places[-part],)))
        return places[part]

    for number in circuit.cone(wire):
        gate = circuit.gates[number - 1]
        parts = tuple(place(part) for part in gate.wires)
        places[number] = len(nodes)
        nodes.append(GraphNode(gate.kind, parts, gate.name))
    last = place(wire)
    if nodes[last].kind == "false":
        return [GraphNode("false")]
    return nodes


def to_networkx(expression: Boolean) -> "nx.DiGraph[int]":
    """A formula as a directed acyclic graph, from the formula down to its regions.

    Parameters
    ----------
    expression : sympy.logic.boolalg.Boolean
        Any Boolean expression over region symbols; Implies, Equivalent and ITE are written with AND, OR, XOR, NOT.

    Returns
    -------
    networkx.DiGraph
        Nodes are numbered from 0, parts before what uses them; ``graph.graph["root"]`` is the formula. Every node has
        ``kind`` ("and", "or", "xor", "not", "region", "true", "false") and ``label``; region nodes also ``symbol``,
        ``region`` (the id, where the symbol has one) and ``shared``: whether the formula without negations fails
        whenever this region is dropped, that is, whether every final state keeps it. Equal parts are one node.
    """
    circuit, wire = _circuit(expression)
    nodes = circuit_nodes(circuit, wire)
    shared = _shared(circuit, wire)
    graph: nx.DiGraph[int] = nx.DiGraph(root=len(nodes) - 1)
    for number, node in enumerate(nodes):
        attributes: dict[str, object] = {"kind": node.kind, "label": node.symbol or node.kind.upper()}
        if node.kind == "region":
            key = region_key(node.symbol)
            attributes |= {"symbol": node.symbol, "shared": node.symbol in shared}
            attributes |= {"region": key} if isinstance(key, int) else {}
        graph.add_node(number, **attributes)
        graph.add_edges_from((number, part) for part in node.parts)
    return graph


def _shared(circuit: Circuit, wire: int) -> set[str]:
    """Symbols without which a formula of ANDs and ORs cannot hold."""
    if not is_monotone(circuit, wire):
        return set()
    everything = set(circuit.regions)
    return {name for name in everything if not circuit.evaluate(wire, everything - {name})}


def from_networkx(graph: "nx.DiGraph[int]") -> Boolean:
    """A formula from a graph as :func:`to_networkx` makes it.

    Parameters
    ----------
    graph : networkx.DiGraph
        Node attributes ``kind`` and, for regions, ``symbol``; the root is ``graph.graph["root"]``, or the one node
        that no other uses.

    Raises
    ------
    InputError
        If it is not directed, has a cycle, no single root, or nodes that are no part of a formula.
    """
    if not isinstance(graph, nx.DiGraph) or graph.is_multigraph():
        raise InputError("expected a networkx.DiGraph without parallel edges")
    if not nx.is_directed_acyclic_graph(graph):
        raise InputError("the graph has a cycle; a formula has none")
    root = _root(graph)
    pieces: dict[object, Piece] = {}
    for node in reversed(list(nx.topological_sort(graph))):
        pieces[node] = _piece(graph, node, pieces)
    return pieces[root].expression


def _root(graph: "nx.DiGraph[int]") -> object:
    root = graph.graph.get("root")
    if root is not None:
        if root not in graph:
            raise InputError(f"the graph's root is {root!r}, which is none of its nodes")
        return root
    tops = [node for node, uses in graph.in_degree() if uses == 0]
    if len(tops) != 1:
        raise InputError(f"the graph has {len(tops)} nodes that no other uses; name one of them as graph.graph['root']")
    return tops[0]


def _piece(graph: "nx.DiGraph[int]", node: object, pieces: dict[object, Piece]) -> Piece:
    attributes = graph.nodes[node]
    kind = attributes.get("kind")
    parts = [pieces[part] for part in graph.successors(node)]
    if kind not in KINDS:
        raise InputError(f"node {node!r} is of kind {kind!r}; expected one of {', '.join(KINDS)}")
    if kind in ("region", "true", "false"):
        if parts:
            raise InputError(f"node {node!r} is a {kind} and cannot have parts")
        return region_piece(attributes.get("symbol")) if kind == "region" else constant_piece(kind == "true")
    return combine(kind, parts)
