"""Formulas and states as graphs (networkx).

Equal parts of a formula are one node. States are joined by how the search refined them, or by how the final ones
contain one another.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import InputError
from captum_focalogic.logic.builder import Piece, combine, constant_piece, region_piece
from captum_focalogic.logic.circuit import Circuit, as_boolean, is_monotone
from captum_focalogic.logic.symbols import region_key
from captum_focalogic.logic.terms import (
    as_region_ids,
    as_states,
    columns_of,
    intersection,
    term_order,
    to_terms,
    union,
)

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
    negated: dict[int, int] = {}

    def place(node: GraphNode) -> int:
        nodes.append(node)
        return len(nodes) - 1

    def negate(part: int) -> int:
        if part not in negated:
            constant = nodes[part].kind == "true"
            negated[part] = place(GraphNode("false") if constant else GraphNode("not", (part,)))
        return negated[part]

    last = circuit.fold(wire, lambda _, gate, parts: place(GraphNode(gate.kind, tuple(parts), gate.name)), negate)
    return [nodes[last]] if nodes[last].kind == "false" else nodes


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


MAX_NODES = 30


class EvaluatedStates(Protocol):
    """What is needed of the record of a search."""

    @property
    def states(self) -> NDArray[np.bool_]:
        """Every state asked, (B, M)."""

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Whether the prediction survived, (B,)."""


class SearchedFocus(Protocol):
    """What is needed of a :class:`~captum_focalogic.focus.Focus`."""

    @property
    def region_ids(self) -> NDArray[np.int64]:
        """Region ids, (M,)."""

    @property
    def final_states(self) -> NDArray[np.bool_]:
        """Final states, (S, M)."""

    @property
    def evaluated(self) -> EvaluatedStates:
        """Every state asked."""


def hasse(terms: Iterable[int]) -> list[tuple[int, int]]:
    """Pairs (larger, smaller) of terms with no other term between them."""
    ordered = sorted(terms, key=term_order)
    pairs: list[tuple[int, int]] = []
    for place, larger in enumerate(ordered):
        below: list[int] = []
        for smaller in reversed(ordered[:place]):
            if smaller & larger == smaller and not any(smaller & other == smaller for other in below):
                below.append(smaller)
                pairs.append((larger, smaller))
    return pairs


def refinement_graph(focus: SearchedFocus, max_nodes: int | None = MAX_NODES) -> "nx.DiGraph[Any]":
    """The states that a search explored, from the whole image down to the final states.

    Parameters
    ----------
    focus : Focus
        Its ``region_ids``, ``final_states`` and ``evaluated`` are read.
    max_nodes : int or None
        Most nodes; None shows every state. Where there are more states, the final ones come first (smallest first),
        then a way down to each of them, of which only the states where ways part or meet are shown; what is left out
        is counted.

    Returns
    -------
    networkx.DiGraph
        One node per state, named by its region ids (a tuple, ascending). Attributes: ``kind`` = "state"; ``status`` =
        "final", "valid" (the prediction survived) or "border" (it did not); ``regions`` (the tuple); ``label``, which
        names the regions that are missing where most are kept.
        An edge goes from a state to the next smaller ones shown, with ``dropped``, the regions between them.
        States that fail are collapsed where room is short: one node per parent, ``kind`` = "collapsed", ``count``.
        ``graph.graph["hidden"]`` counts the states that are not shown at all, by status; ``graph.graph["region_ids"]``
        are the ids.

    Raises
    ------
    InputError
        If max_nodes is below 2.
    """
    if max_nodes is not None and max_nodes < 2:
        raise InputError(f"max_nodes is {max_nodes}; expected at least 2, or None for all")
    ids = as_region_ids(focus.region_ids, len(focus.region_ids))
    final = list(dict.fromkeys(to_terms(as_states(focus.final_states))))
    asked = to_terms(as_states(focus.evaluated.states))
    valid = {term for term, good in zip(asked, focus.evaluated.valid, strict=True) if good} | set(final)
    border = set(asked) - valid
    everything = max_nodes is None or len(valid) + len(border) <= max_nodes
    shown = valid | border if everything else _choose(final, valid, max_nodes or 0)
    status = dict.fromkeys(shown, "valid") | dict.fromkeys(border & shown, "border")
    status |= dict.fromkeys((term for term in final if term in shown), "final")
    graph = _state_graph(status, ids)
    if not everything:
        _contract(graph)
        left = {term for term in shown & valid if _name(term, ids) in graph}
        border = border - _collapse(graph, left, border, ids, max_nodes or 0)
    counts = {"final": len(set(final)), "valid": len(valid - set(final)), "border": len(border)}
    for _, attributes in graph.nodes(data=True):
        counts[attributes["status"]] -= attributes["kind"] == "state"
    graph.graph["hidden"] = counts
    return graph


def _choose(final: Sequence[int], valid: set[int], max_nodes: int) -> set[int]:
    """The states to show where there is no room for all: the largest, final ones, and ways to these."""
    start = max(valid, key=lambda term: (term.bit_count(), -term), default=None)
    smallest = sorted(final, key=term_order)[: max(1, max_nodes // 2)]
    shown = {*smallest, *(() if start is None else (start,))}
    for term in smallest:
        shown |= _way_up(term, valid, shown)
    return shown


def _way_up(term: int, valid: set[int], shown: set[int]) -> set[int]:
    """Valid states from a state up to one that is shown or has no valid state above it, each with one region more."""
    everything = union(valid)
    way: set[int] = set()
    while True:
        above = [larger for column in columns_of(everything & ~term) if (larger := term | 1 << column) in valid]
        if not above or any(larger in shown for larger in above):
            return way
        term = above[0]
        way.add(term)


def _contract(graph: "nx.DiGraph[Any]") -> None:
    """Take out valid states that merely lie on the way between two others."""
    for node, status in list(graph.nodes(data="status")):
        if status == "valid" and graph.in_degree(node) == graph.out_degree(node) == 1:
            (above,), (below,) = graph.predecessors(node), graph.successors(node)
            dropped = sorted(graph.edges[above, node]["dropped"] + graph.edges[node, below]["dropped"])
            graph.remove_node(node)
            if not nx.has_path(graph, above, below):
                graph.add_edge(above, below, dropped=tuple(dropped))


def _name(term: int, ids: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(ids[column]) for column in columns_of(term))


def _label(regions: tuple[int, ...], ids: NDArray[np.int64]) -> str:
    """What a state keeps, or what it lacks where that is shorter to say."""
    missing = [number for number in map(int, ids) if number not in set(regions)]
    if not missing:
        return "everything"
    if len(missing) < min(len(regions), 6):
        return "all but " + " ".join(map(str, missing))
    return " ".join(map(str, regions)) if regions else "nothing"


def _state_graph(status: dict[int, str], ids: NDArray[np.int64]) -> "nx.DiGraph[Any]":
    graph: nx.DiGraph[Any] = nx.DiGraph(region_ids=[int(number) for number in ids])
    for term in sorted(status, key=lambda term: (-term.bit_count(), columns_of(term))):
        regions = _name(term, ids)
        graph.add_node(regions, kind="state", status=status[term], regions=regions, label=_label(regions, ids))
    for larger, smaller in hasse(status):
        graph.add_edge(_name(larger, ids), _name(smaller, ids), dropped=_name(larger & ~smaller, ids))
    return graph


def _collapse(
    graph: "nx.DiGraph[Any]", parents: set[int], border: set[int], ids: NDArray[np.int64], max_nodes: int
) -> set[int]:
    """One node for the failing states below each state shown, smallest states first, while there is room.

    Returns the failing states that these nodes stand for; one state may be below several.
    """
    told: set[int] = set()
    for parent in sorted(parents, key=term_order):
        if graph.number_of_nodes() >= max_nodes:
            break
        below = {parent ^ 1 << column for column in columns_of(parent)} & border
        if below:
            told |= below
            name = ("fails", *_name(parent, ids))
            dropped = _name(union(parent & ~term for term in below), ids)
            label = f"{len(below)} that fail" if len(below) > 1 else "fails"
            graph.add_node(name, kind="collapsed", status="border", count=len(below), label=label)
            graph.add_edge(_name(parent, ids), name, dropped=dropped)
    return told


def final_state_lattice(
    states: ArrayLike, region_ids: ArrayLike | None = None, max_nodes: int | None = MAX_NODES
) -> "nx.DiGraph[Any]":
    """Final states in the order of containment, with what they have in common.

    Minimal states form an antichain; what groups of them share are their intersections, which makes the lattice (the
    concept lattice of formal concept analysis, with states as objects and regions as attributes).

    Parameters
    ----------
    states : (S, M) bool
        Final states.
    region_ids : (M,) int, optional
        The region of each column; 0..M-1 when left out.
    max_nodes : int or None
        Most nodes. Beyond it, intersections shared by many states are shown before those shared by few, and what all
        states share always.

    Returns
    -------
    networkx.DiGraph
        One node per region set, named by its region ids. Attributes as in :func:`refinement_graph`; ``status`` is
        "final" or "common", and ``count`` is the number of final states that contain it. Edges go from larger sets to
        the next smaller ones. ``graph.graph["hidden"]`` counts what is left out.

    Raises
    ------
    InputError
        If the states or ids cannot be used, or max_nodes is below 2.
    """
    if max_nodes is not None and max_nodes < 2:
        raise InputError(f"max_nodes is {max_nodes}; expected at least 2, or None for all")
    matrix = as_states(states)
    ids = as_region_ids(region_ids, matrix.shape[1])
    final = sorted(set(to_terms(matrix)), key=term_order)
    common = _meets(final, None if max_nodes is None else 50 * max_nodes) - set(final)
    room = len(final) + len(common) if max_nodes is None else max_nodes
    shown_final = final[: max(1, room - (1 if common else 0))]
    uses = {term: sum(term & state == term for state in final) for term in (*final, *common)}
    ranked = sorted(common, key=lambda term: (-uses[term], *term_order(term)))
    shown_common = ranked[: max(0, room - len(shown_final))]
    graph = _state_graph(dict.fromkeys(shown_common, "common") | dict.fromkeys(shown_final, "final"), ids)
    for term in (*shown_common, *shown_final):
        graph.nodes[_name(term, ids)]["count"] = uses[term]
    graph.graph["hidden"] = {"final": len(final) - len(shown_final), "common": len(common) - len(shown_common)}
    return graph


def region_tree(
    parents: Mapping[int, int], regions: Mapping[int, Mapping[str, Any]] | None = None
) -> "nx.DiGraph[int]":
    """Regions and their parts as a graph, from each whole down to its parts.

    Parameters
    ----------
    parents : mapping of int to int
        The region that each part is a part of.
    regions : mapping of int to mapping, optional
        Attributes of the regions that are not cut further; those of others are theirs added up: ``area``, and whether
        any of them is ``kept`` or among the ``strongest``.

    Returns
    -------
    networkx.DiGraph
        One node a region, named by its id, with ``part`` (whether it is one), ``cut`` (whether it has parts) and what
        was given; edges from wholes to parts.
    """
    graph: nx.DiGraph[int] = nx.DiGraph()
    for region in sorted({*parents, *parents.values(), *(regions or {})}):
        graph.add_node(region, part=region in parents, **(regions or {}).get(region, {}))
    graph.add_edges_from((whole, part) for part, whole in sorted(parents.items()))
    for region in reversed(list(nx.topological_sort(graph))):
        parts = list(graph.successors(region))
        graph.nodes[region]["cut"] = bool(parts)
        for name, joined in (("area", sum), ("kept", any), ("strongest", any)):
            values = [graph.nodes[part][name] for part in parts if name in graph.nodes[part]]
            if values:
                graph.nodes[region][name] = joined(values)
    return graph


def _meets(terms: Sequence[int], limit: int | None) -> set[int]:
    """Intersections of two or more terms, all of them or the first found up to a limit; that of all terms always."""
    found: set[int] = {intersection(terms)} if terms else set()
    frontier = set(terms)
    while frontier and (limit is None or len(found) < limit):
        fresh = {a & b for a in frontier for b in terms} - frontier - found - set(terms)
        found |= fresh
        frontier = fresh
    return found
