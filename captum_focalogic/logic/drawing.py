"""Graphs of formulas and states for Graphviz, drawn as SVG and PNG.

Drawn by ``dot`` where it is installed, else by the engine within pygraphviz.
"""

import shutil
import subprocess
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args

import graphviz
import networkx as nx

from captum_focalogic.errors import InputError, NoEngineError, RenderError
from captum_focalogic.files import write_bytes, write_text
from captum_focalogic.logic.symbols import check_names
from captum_focalogic.names import whole_number
from captum_focalogic.tables import printable_lines

RED = "#e11e1e"
"""Regions that every final state keeps, as in the overlay."""
WHITE = "#ffffff"
"""Regions that some final states keep."""
_INK = "#191919"
_GREY = "#8a8a8a"
_PALE = "#f2f2f2"
_GREEN = "#1b7f3b"
_WIDEST = 60
_WIDEST_WORD = 24
DPI = 96
_OPERATORS = {"and": "AND", "or": "OR", "xor": "XOR", "not": "NOT", "true": "true", "false": "false"}


class Thumbnail(NamedTuple):
    """A file that shows a region or a state, and its size in pixels."""

    path: Path
    width: int
    height: int


class Illustrations(Protocol):
    """What shows regions and states beside their names; made by :mod:`captum_focalogic.figures.graphs`."""

    def region(self, number: int) -> Thumbnail | None:
        """One region; None if there is nothing to see of it."""

    def state(self, regions: tuple[int, ...]) -> Thumbnail:
        """Some regions of the whole."""

    def embed(self, text: str) -> str:
        """An SVG text with the files put into it, so that it needs nothing else."""


def to_graphviz(
    graph: "nx.DiGraph[Any]",
    names: Mapping[int, str] | None = None,
    title: str | None = None,
    thumbnails: Illustrations | None = None,
) -> graphviz.Digraph:
    """A graph of this package for Graphviz.

    Parameters
    ----------
    graph : networkx.DiGraph
        From :func:`to_networkx`, :func:`refinement_graph` or :func:`final_state_lattice`.
    names : mapping of int to str, optional
        What regions are called.
    title : str, optional
        Written above the graph.
    thumbnails : Illustrations, optional
        What regions and states look like; :func:`captum_focalogic.figures.graphs.illustrated` cuts them from an image.

    Returns
    -------
    graphviz.Digraph
        ``.source`` is its text, :func:`render` draws it. Regions that every final state keeps are red, others white,
        as in the overlay. All labels are escaped. Illustrations are files that live as long as ``.thumbnails``.

    Raises
    ------
    InputError
        If the names cannot be used, or the graph is none of this package's.
    """
    called = check_names(names or {})
    drawing = graphviz.Digraph(comment="captum_focalogic")
    drawing.thumbnails = thumbnails
    drawing.attr("graph", rankdir="TB", bgcolor="white", nodesep="0.25", ranksep="0.45", fontname="Helvetica")
    drawing.attr("node", fontname="Helvetica", fontsize="12", color=_INK, fontcolor=_INK)
    drawing.attr("edge", color=_GREY, arrowsize="0.6", fontname="Helvetica", fontsize="10", fontcolor=_GREY)
    caption = "\n".join(part for part in (title, _hidden(graph)) if part)
    if caption:
        drawing.attr("graph", label=_escape(caption), labelloc="t", fontsize="14")
    places = {node: f"n{place}" for place, node in enumerate(graph.nodes)}
    for node, attributes in graph.nodes(data=True):
        drawing.node(places[node], **_node(node, attributes, thumbnails, called))
    for larger, smaller, attributes in graph.edges(data=True):
        each = "\nor " if graph.nodes[smaller].get("kind") == "collapsed" else "\n"
        dropped = attributes.get("dropped", ())
        label = {"label": _escape(_dropped(dropped, called, each))} if dropped else {}
        drawing.edge(places[larger], places[smaller], **label)
    return drawing


def _dropped(regions: tuple[int, ...], names: Mapping[int, str], each: str) -> str:
    if len(regions) > 3:
        return f"−{'one of ' if 'or' in each else ''}{len(regions)} regions"
    return each.join(f"−{_short(str(names.get(region, region)))}" for region in regions)


def _escape(text: str) -> str:
    """Text as Graphviz shows it: backslashes, entities and markup in names mean nothing."""
    # graphviz.escape gives a text of its own type, which is quoted even where it looks like HTML.
    shown: str = graphviz.escape(printable_lines(text).replace("&", "&amp;"))
    return shown


def _wrap(words: list[str]) -> str:
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) >= 18:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines[:4] + (["…"] if len(lines) > 4 else []))


def _short(name: str, widest: int = _WIDEST_WORD) -> str:
    return name if len(name) <= widest else name[: widest - 1] + "…"


def _hidden(graph: "nx.DiGraph[Any]") -> str:
    hidden = {kind: count for kind, count in graph.graph.get("hidden", {}).items() if count}
    words = {"final": "final", "valid": "valid", "border": "failing", "common": "common"}
    return "not shown: " + ", ".join(f"{count} {words[kind]}" for kind, count in hidden.items()) if hidden else ""


def _node(
    node: Hashable, attributes: Mapping[str, Any], thumbnails: Illustrations | None, names: Mapping[int, str]
) -> dict[str, str]:
    match attributes.get("kind"):
        case "region":
            return _region_node(attributes, thumbnails, names)
        case "state":
            return _state_node(attributes, thumbnails, names)
        case "collapsed":
            return {"label": _escape(str(attributes["label"])), "shape": "plaintext", "fontcolor": _GREY}
        case kind if kind in _OPERATORS:
            return {
                "label": _OPERATORS[kind],
                "shape": "circle",
                "style": "filled",
                "fillcolor": _PALE,
                "margin": "0.03",
            }
        case kind:
            raise InputError(f"node {node!r} is of kind {kind!r}, which is no part of a graph of this package")


def _region_node(
    attributes: Mapping[str, Any], thumbnails: Illustrations | None, names: Mapping[int, str]
) -> dict[str, str]:
    number = attributes.get("region")
    shared = bool(attributes.get("shared"))
    name = names.get(number, str(attributes["label"])) if number is not None else str(attributes["label"])
    label = _escape(_wrap(_short(name, _WIDEST).split()))
    style = {"label": label, "shape": "box", "style": "filled,rounded", "fillcolor": RED if shared else WHITE}
    style |= {"fontcolor": WHITE if shared else _INK}
    shown = thumbnails.region(number) if thumbnails is not None and number is not None else None
    return style | ({"style": "filled"} | _with_thumbnail(shown, label) if shown is not None else {})


def _with_thumbnail(thumbnail: Thumbnail, label: str) -> dict[str, str]:
    """A node as large as its thumbnail with the label under it."""
    lines = label.count("\n") + 1
    return {
        "image": str(thumbnail.path),
        "labelloc": "b",
        "imagepos": "tc",
        "imagescale": "false",
        "height": f"{thumbnail.height / DPI + 0.1 + 0.2 * lines:.2f}",
        "width": f"{thumbnail.width / DPI:.2f}",
        "margin": "0.08,0.03",
    }


def _state_node(
    attributes: Mapping[str, Any], thumbnails: Illustrations | None, names: Mapping[int, str]
) -> dict[str, str]:
    regions: tuple[int, ...] = attributes["regions"]
    status = attributes.get("status")
    colours = {"final": (_GREEN, "2.5", "solid"), "border": (_GREY, "1", "dashed"), "common": (RED, "1.5", "solid")}
    colour, pen, line = colours.get(str(status), (_INK, "1", "solid"))
    words = [_short(_called(word, names)) for word in str(attributes["label"]).split()]
    if status == "common":
        words.append(f"(in {attributes.get('count')})")
    label = _escape(_wrap(words))
    style = {"shape": "box", "color": colour, "penwidth": pen, "style": f"filled,{line}", "fillcolor": WHITE}
    style["label"] = label
    return style if thumbnails is None else style | _with_thumbnail(thumbnails.state(regions), label)


def _called(word: str, names: Mapping[int, str]) -> str:
    """A word of a state's label: a region's name where it is an id that has one."""
    number = whole_number(word)
    return word if number is None else names.get(number, word)


LayoutEngine = Literal["dot", "pygraphviz"]
_KINDS = ("svg", "png", "dot")
_TIMEOUT = 120


def available_engines() -> list[LayoutEngine]:
    """The engines that can draw on this machine, the preferred one first."""
    engines: list[LayoutEngine] = ["dot"] if shutil.which("dot") else []
    try:
        import pygraphviz  # noqa: F401
    except ImportError:
        return engines
    return [*engines, "pygraphviz"]


def render(drawing: graphviz.Digraph, path: str | Path, engine: LayoutEngine | None = None) -> Path:
    """Draw a graph into a file.

    Parameters
    ----------
    drawing : graphviz.Digraph
        From :func:`to_graphviz`.
    path : str or Path
        The file to write; its ending says what: ``.svg`` (thumbnails inside), ``.png``, or ``.dot`` (the source).
    engine : {"dot", "pygraphviz"}, optional
        What draws; the first of :func:`available_engines` when left out.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If the ending or the engine is unknown.
    NoEngineError
        If nothing is installed that can draw, or the engine asked for is not; the source is then written beside,
        as ``.dot``. It is an ``ImportError`` that names the extra to install.
    RenderError
        If the engine failed; the source is written too.
    """
    target = Path(path)
    kind = target.suffix.lower().lstrip(".")
    if kind not in _KINDS:
        raise InputError(f"cannot draw {target.name!r}; expected a file ending in .svg, .png or .dot")
    if engine is not None and engine not in get_args(LayoutEngine):
        raise InputError(f"engine is {engine!r}; expected one of {', '.join(map(repr, get_args(LayoutEngine)))}")
    if kind == "dot":
        return write_text(target, drawing.source)
    engines = available_engines() if engine is None else [engine] if engine in available_engines() else []
    if not engines:
        raise NoEngineError(_write_source(drawing, target))
    try:
        drawn = _DRAW[engines[0]](drawing.source, kind)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        source = _write_source(drawing, target)
        raise RenderError(f"{engines[0]} could not draw the graph ({error}); its source is in {source}") from error
    thumbnails = getattr(drawing, "thumbnails", None)
    if kind == "svg" and thumbnails is not None:
        drawn = thumbnails.embed(drawn.decode("utf-8")).encode("utf-8")
    return write_bytes(target, drawn)


def _write_source(drawing: graphviz.Digraph, target: Path) -> Path:
    return write_text(target.with_suffix(".dot"), drawing.source)


def _draw_by_dot(source: str, kind: str) -> bytes:
    result = subprocess.run(
        ["dot", f"-T{kind}"], input=source.encode("utf-8"), capture_output=True, timeout=_TIMEOUT, check=False
    )
    if result.returncode:
        raise OSError(result.stderr.decode("utf-8", "replace").strip()[:500])
    return result.stdout


def _draw_by_pygraphviz(source: str, kind: str) -> bytes:
    import pygraphviz

    with pygraphviz.AGraph(string=source) as graph:
        drawn = graph.draw(format=kind, prog="dot")
    if not isinstance(drawn, bytes):
        raise OSError("pygraphviz returned nothing")
    return drawn


_DRAW = {"dot": _draw_by_dot, "pygraphviz": _draw_by_pygraphviz}
