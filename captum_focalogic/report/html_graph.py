"""The formula as a drawing inside the page: laid out by Graphviz, coloured by the page's own style."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import graphviz
from markupsafe import Markup, escape
from sympy import And, Basic, Or, Symbol

from captum_focalogic.errors import NoEngineError, RenderError
from captum_focalogic.focus import Focus
from captum_focalogic.logic import region_id, render

MOST_NODES = 40
"""Nodes above which a drawing is a tangle that nobody reads."""

_SVG = "{http://www.w3.org/2000/svg}"
_SHAPES = {"g", "path", "polygon", "polyline", "ellipse", "text"}
_ATTRIBUTES = {"class", "d", "points", "cx", "cy", "rx", "ry", "x", "y", "transform", "text-anchor", "font-size"}


@dataclass(frozen=True)
class Drawing:
    """An inline SVG, or the reason why there is none.

    Attributes
    ----------
    markup : Markup or None
        The drawing.
    word : str
        Why it is missing; empty if it is there.
    """

    markup: Markup | None
    word: str = ""


def formula_graph(focus: Focus) -> Drawing:
    """Draw the formula of a focus, equal brackets once.

    Nodes of regions carry ``data-region``, so that the page lights them up with everything else of that region.
    """
    expression = focus.expression
    if not isinstance(expression, And | Or):
        return Drawing(None, "The formula is a single symbol: there is nothing to draw.")
    nodes = list(_distinct(expression))
    if len(nodes) > MOST_NODES:
        return Drawing(None, f"A drawing of {len(nodes)} nodes would be unreadable: the formula above is all there is.")
    try:
        with TemporaryDirectory(prefix="focalogic-") as folder:
            svg = render(_source(nodes, focus), Path(folder) / "formula.svg").read_text(encoding="utf-8")
    except NoEngineError:
        return Drawing(None, "The drawing needs Graphviz, which was not installed where this report was written.")
    except RenderError:
        return Drawing(None, "Graphviz could not draw the formula.")
    return Drawing(_cleaned(svg))


def _distinct(expression: Basic) -> Iterator[Basic]:
    """Every subexpression once, each before its parts."""
    seen: set[Basic] = set()
    waiting = [expression]
    while waiting:
        part = waiting.pop()
        if part in seen:
            continue
        seen.add(part)
        yield part
        if not isinstance(part, Symbol):
            waiting.extend(sorted(part.args, key=str, reverse=True))


def _source(nodes: list[Basic], focus: Focus) -> graphviz.Digraph:
    column = {int(region): j for j, region in enumerate(focus.region_ids)}
    number = {node: f"n{place}" for place, node in enumerate(nodes)}
    graph = graphviz.Digraph(
        graph_attr={"rankdir": "TB", "bgcolor": "transparent", "nodesep": "0.22", "ranksep": "0.38", "ordering": "out"},
        node_attr={"fontsize": "13", "fontname": "Helvetica", "margin": "0.11,0.05", "height": "0.36"},
        edge_attr={"arrowhead": "none"},
    )
    for node in nodes:
        if isinstance(node, Symbol):
            region = region_id(node)
            label = focus.names.get(region) or str(node)
            graph.node(
                number[node],
                graphviz.escape(_short(label)),
                shape="box",
                style="rounded",
                **{"class": f"of{column[region]}"},
            )
        else:
            kind = "and" if isinstance(node, And) else "or"
            graph.node(number[node], kind.upper(), shape="ellipse", **{"class": kind})
            for part in node.args:
                graph.edge(number[node], number[part])
    return graph


def _short(label: str) -> str:
    """One short line; Graphviz reads character entities even in plain labels, so ampersands are written as one."""
    flat = " ".join(label.split())
    return (flat if len(flat) <= 24 else f"{flat[:23]}…").replace("&", "&amp;")


def _cleaned(svg: str) -> Markup:
    """Only shapes and text, only their geometry: no links, no pictures, no colours of their own."""
    root = ElementTree.fromstring(svg)
    box = root.get("viewBox", "0 0 100 100")
    width, height = box.split()[2:]
    inside = Markup("").join(_element(child) for child in root)
    return Markup(
        '<svg class="graph" viewBox="{}" width="{}" height="{}" role="img" aria-label="The formula as a graph">{}</svg>'
    ).format(box, width, height, inside)


def _element(element: ElementTree.Element) -> Markup:
    name = element.tag.removeprefix(_SVG)
    if name not in _SHAPES:
        return Markup("")
    pairs = [(key, value) for key, value in element.attrib.items() if key in _ATTRIBUTES]
    column = next((word[2:] for word in element.get("class", "").split() if word.startswith("of")), "")
    if column.isdigit():
        pairs.append(("data-region", column))
    attributes = Markup("").join(Markup(' {}="{}"').format(key, value) for key, value in pairs)
    inside = Markup("").join(map(_element, element))
    return Markup("<{0}{1}>{2}{3}</{0}>").format(Markup(name), attributes, escape((element.text or "").strip()), inside)
