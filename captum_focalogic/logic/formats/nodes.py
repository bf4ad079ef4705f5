"""Formulas as the nodes of their graph, parts before the nodes that use them: JSON, and GraphML for graph tools."""

import json
import warnings
import xml.etree.ElementTree as ET
from typing import Any

import networkx as nx
from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import InputError
from captum_focalogic.logic.builder import Piece, combine, constant_piece, region_piece
from captum_focalogic.logic.circuit import as_boolean
from captum_focalogic.logic.graphs import from_networkx, nodes_of, to_networkx

FORMAT = "captum-focalogic/expression/1"


def to_json(expression: Boolean) -> str:
    """A formula as JSON: ``{"format": ..., "nodes": [{"kind": "region", "symbol": "I1"}, ...]}``.

    A node's ``parts`` are places in the list; the last node is the formula. Equal parts are written once.
    """
    nodes = [
        {"kind": node.kind} | ({"symbol": node.symbol} if node.kind == "region" else {}) | _parts(node.parts)
        for node in nodes_of(as_boolean(expression))
    ]
    return json.dumps({"format": FORMAT, "nodes": nodes}, ensure_ascii=False, indent=1)


def _parts(parts: tuple[int, ...]) -> dict[str, list[int]]:
    return {"parts": list(parts)} if parts else {}


def from_json(text: str) -> Boolean:
    """A formula from what :func:`to_json` wrote.

    Raises
    ------
    InputError
        If the text is not JSON of that form.
    """
    try:
        stored = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"this is not JSON: {error}") from error
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise InputError(f"expected an object whose format is {FORMAT!r}")
    nodes = stored.get("nodes")
    if not isinstance(nodes, list) or not nodes:
        raise InputError("expected a list of nodes, at least one")
    pieces: list[Piece] = []
    for node in nodes:
        pieces.append(_read_node(node, pieces))
    return pieces[-1].expression


def _read_node(node: Any, pieces: list[Piece]) -> Piece:
    kind = node.get("kind") if isinstance(node, dict) else None
    if kind == "region":
        return region_piece(node.get("symbol"))
    if kind in ("true", "false"):
        return constant_piece(kind == "true")
    parts = node.get("parts") if isinstance(node, dict) else None
    if not isinstance(kind, str) or not isinstance(parts, list):
        raise InputError(f"node {len(pieces)} needs a kind, and a list of parts unless it is a region or constant")
    if not all(type(part) is int and 0 <= part < len(pieces) for part in parts):
        raise InputError(f"the parts of node {len(pieces)} must be places of nodes before it; got {parts!r:.100}")
    return combine(kind, [pieces[part] for part in parts])


def to_graphml(expression: Boolean) -> str:
    """The graph of :func:`~captum_focalogic.logic.to_networkx` as GraphML."""
    return "\n".join([*nx.generate_graphml(to_networkx(expression)), ""])


def from_graphml(text: str) -> Boolean:
    """A formula from the GraphML of its graph: nodes with ``kind`` and, for regions, ``symbol``.

    Raises
    ------
    InputError
        If the text is no such GraphML.
    """
    if "<!" in text.replace("<!--", ""):
        # Document types can define entities that grow without bound.
        raise InputError("GraphML with a document type is not read")
    try:
        with warnings.catch_warnings():
            # networkx warns of data without a declared type, which is no part of a formula.
            warnings.simplefilter("ignore")
            graph = nx.parse_graphml(text)
    except (ET.ParseError, nx.NetworkXException, KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"this is not GraphML: {error}") from error
    if not isinstance(graph, nx.DiGraph) or graph.is_multigraph():
        raise InputError("the GraphML must hold one directed graph without parallel edges")
    root = graph.graph.get("root")
    graph.graph["root"] = None if root is None else str(root)
    return from_networkx(graph)
