"""Formulas as GraphML, for graph tools."""

import warnings
import xml.etree.ElementTree as ET

import networkx as nx
from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import InputError
from captum_focalogic.logic.graph import from_networkx, to_networkx


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
