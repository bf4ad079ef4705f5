"""The formula in the page: as markup, in which every symbol is a button that knows its region and every bracket a node
with a truth value, and as a drawing, laid out by Graphviz and coloured by the page's own style."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from xml.etree import ElementTree

import graphviz
import numpy as np
from markupsafe import Markup, escape
from numpy.typing import ArrayLike
from sympy import And, Or, Symbol
from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import NoEngineError, RenderError
from captum_focalogic.focus import Focus
from captum_focalogic.logic import count_literals, region_id, render, to_expression
from captum_focalogic.logic.circuit import fold
from captum_focalogic.logic.graphs import GraphNode, nodes_of

LONGEST = 600
"""Symbols above which a formula is no longer typeset in full."""

DEEPEST = 60
"""Brackets within brackets above which a formula is shown as its terms: browsers stop nesting at 512 elements."""

_ONE_LINE = 12
_GAP = Markup('<span class="gap"> </span>')
"""The only place where a line may break, so that brackets stay with what they enclose."""

MOST_NODES = 40
"""Nodes above which a drawing is a tangle that nobody reads."""

_SVG = "{http://www.w3.org/2000/svg}"
_SHAPES = {"g", "path", "polygon", "polyline", "ellipse", "text"}
_ATTRIBUTES = {"class", "d", "points", "cx", "cy", "rx", "ry", "x", "y", "transform", "text-anchor", "font-size"}

_SIGNS = {"and": ("∧", "and"), "or": ("∨", "or")}


@dataclass(frozen=True)
class Typeset:
    """A formula ready for the page.

    Attributes
    ----------
    markup : Markup
        The formula.
    plain : str
        The same as text, to be copied; what sympy and Python read.
    left_out : int
        Final states that were left out because the formula is too long or nested too deeply; then the markup is about
        the smallest of them only.
    """

    markup: Markup
    plain: str
    left_out: int = 0


def typeset(focus: Focus) -> Typeset:
    """The formula of a focus.

    Parameters
    ----------
    focus : Focus
        Its names stand in the place of the symbols where there are any; they are escaped.
    """
    column = {int(region): j for j, region in enumerate(focus.region_ids)}
    expression = focus.expression
    total, deep = count_literals(expression), _depth(expression) > DEEPEST
    if total <= LONGEST and not deep:
        return Typeset(_outermost(expression, column, focus.names), focus.formula)
    kept, shown = 0, 0
    for state in focus.final_states:
        if kept + int(state.sum()) > LONGEST:
            break
        kept, shown = kept + int(state.sum()), shown + 1
    shortened = to_expression(focus.final_states[:shown], focus.region_ids, style="dnf" if deep else "factored")
    markup = _outermost(shortened, column, focus.names)
    if shown == len(focus.final_states):
        return Typeset(markup, focus.formula)
    markup += _GAP + Markup('<span class="sign">∨ …</span>')
    return Typeset(markup, focus.formula, len(focus.final_states) - shown)


def symbol_markup(region: int, names: Mapping[int, str]) -> Markup:
    """A region's symbol, without a button around it."""
    shown = Markup("<sub>{}</sub>").format(f"−{-region}" if region < 0 else str(region))
    name = names.get(region)
    if name:
        return Markup('<span class="name">{}</span>').format(name) + shown
    return Markup("<i>I</i>") + shown


def set_markup(region_ids: ArrayLike, columns: ArrayLike, names: Mapping[int, str]) -> Markup:
    """A set of regions as buttons, in braces."""
    ids = np.asarray(region_ids)
    parts = [_button(int(ids[j]), int(j), names) for j in np.flatnonzero(np.asarray(columns))]
    inside = Markup('<span class="sign">, </span>').join(parts) if parts else Markup('<span class="sign">∅</span>')
    return Markup('<span class="set">{}</span>').format(inside)


class _Part(NamedTuple):
    """A part already typeset: its operator ("" where it is a symbol or constant), its parts, and where it sorts."""

    body: Markup
    literals: int
    order: tuple[int, int]
    operator: str = ""
    parts: Sequence["_Part"] = ()

    @property
    def markup(self) -> Markup:
        """The part by itself."""
        return (
            Markup('<span class="node" data-node="{}">{}</span>').format(self.operator, self.body)
            if self.parts
            else self.body
        )

    @property
    def bracketed(self) -> Markup:
        """The part within another."""
        if not self.parts:
            return self.body
        return self._node(Markup('<span class="bracket">(</span>{}<span class="bracket">)</span>').format(self.body))

    def _node(self, inside: Markup) -> Markup:
        return Markup('<span class="node" data-node="{}">{}</span>').format(self.operator, inside)


def _depth(expression: Boolean) -> int:
    """Brackets inside one another."""
    return fold(expression, lambda _, parts: 1 + max(parts, default=-1))


def _outermost(expression: Boolean, column: Mapping[int, int], names: Mapping[int, str]) -> Markup:
    """A formula with its outermost parts on lines of their own where one line would be too long."""
    whole = fold(expression, lambda item, parts: _part(item, parts, column, names))
    if whole.literals <= _ONE_LINE or not whole.parts:
        return whole.markup
    lines = [part.bracketed for part in whole.parts]
    first = Markup('<span class="line">{}</span>').format(lines[0])
    sign = _sign(whole.operator)
    others = [Markup('<span class="line">{}&nbsp;{}</span>').format(sign, line) for line in lines[1:]]
    return Markup('<span class="node lines" data-node="{}">{}{}</span>').format(
        whole.operator, first, Markup("").join(others)
    )


def _part(item: Boolean, parts: list[_Part], column: Mapping[int, int], names: Mapping[int, str]) -> _Part:
    if isinstance(item, Symbol):
        region = region_id(item)
        return _Part(_button(region, column[region], names), 1, (0, region))
    if not isinstance(item, And | Or):
        value = str(item).lower()
        return _Part(Markup('<span class="constant" data-node="{}">{}</span>').format(value, value), 0, (0, 0))
    operator = "and" if isinstance(item, And) else "or"
    # single regions by id first, then brackets by length
    ordered = sorted(parts, key=lambda part: part.order)
    joint = Markup("{}{}&nbsp;").format(_GAP, _sign(operator))
    literals = sum(part.literals for part in parts)
    body = joint.join(part.bracketed for part in ordered)
    return _Part(body, literals, (literals, 0), operator, ordered)


def _sign(operator: str) -> Markup:
    sign, spoken = _SIGNS[operator]
    return Markup('<span class="sign" role="img" aria-label="{}">{}</span>').format(spoken, sign)


def _button(region: int, column: int, names: Mapping[int, str]) -> Markup:
    spoken = f"region {region}" + (f", {names[region]}" if names.get(region) else "")
    return Markup(
        '<button type="button" class="symbol" data-node="region" data-region="{}" aria-label="{}">{}</button>'
    ).format(column, escape(spoken), symbol_markup(region, names))


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
    nodes = nodes_of(expression)
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


def _source(nodes: Sequence[GraphNode], focus: Focus) -> graphviz.Digraph:
    column = {int(region): j for j, region in enumerate(focus.region_ids)}
    graph = graphviz.Digraph(
        graph_attr={"rankdir": "TB", "bgcolor": "transparent", "nodesep": "0.22", "ranksep": "0.38", "ordering": "out"},
        node_attr={"fontsize": "13", "fontname": "Helvetica", "margin": "0.11,0.05", "height": "0.36"},
        edge_attr={"arrowhead": "none"},
    )
    # from the formula down, so that what comes first is laid out first
    for number, node in reversed(list(enumerate(nodes))):
        if node.kind == "region":
            region = region_id(node.symbol)
            label = graphviz.escape(_short(focus.names.get(region) or node.symbol))
            graph.node(f"n{number}", label, shape="box", style="rounded", **{"class": f"of{column[region]}"})
        else:
            graph.node(f"n{number}", node.kind.upper(), shape="ellipse", **{"class": node.kind})
            for part in node.parts:
                graph.edge(f"n{number}", f"n{part}")
    return graph


def _short(label: str) -> str:
    """One short line; Graphviz reads character entities even in plain labels, so ampersands are written as one."""
    flat = " ".join(label.split())
    return (flat if len(flat) <= 24 else f"{flat[:23]}…").replace("&", "&amp;")


def _cleaned(svg: str) -> Markup:
    """Only shapes and text, only their geometry: no links, no images, no colours of their own."""
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
