"""Graphs of formulas and states as pictures, drawn by Graphviz."""

import base64
import re
import shutil
import tempfile
import weakref
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import graphviz
import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from captum_focalogic.errors import InputError
from captum_focalogic.logic.naming import check_names

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
_MARGIN = 6
_DPI = 96
_OPERATORS = {"and": "AND", "or": "OR", "xor": "XOR", "not": "NOT", "true": "true", "false": "false"}


class Thumbnails:
    """Pictures of regions and states, cut from an image into files that Graphviz can read.

    The files live as long as this object; a drawing made with it keeps it.

    Parameters
    ----------
    image : (H, W, 3) uint8
        The image.
    label_map : (H, W) int
        The region of every pixel.
    size : int
        Longest side in pixels.
    """

    def __init__(self, image: ArrayLike, label_map: ArrayLike, size: int = 96) -> None:
        self.image = np.asarray(image)
        self.label_map = np.asarray(label_map)
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise InputError(f"the image must be (H, W, 3) uint8; got {self.image.shape} of {self.image.dtype}")
        if self.label_map.shape != self.image.shape[:2]:
            raise InputError(
                f"label_map has shape {self.label_map.shape}; expected {self.image.shape[:2]}, as the image"
            )
        self.size = size
        self._folder = Path(tempfile.mkdtemp(prefix="focalogic-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._made: dict[tuple[int, ...], Path] = {}

    def region(self, number: int) -> Path | None:
        """One region, cut out with a margin, the rest dimmed; None if it is not in the image."""
        return self._draw((number,), crop=True)

    def state(self, regions: tuple[int, ...]) -> Path:
        """The whole image with all but some regions dimmed."""
        path = self._draw(regions, crop=False)
        return path if path is not None else self._save(regions, self._dimmed(np.zeros(self.label_map.shape, bool)))

    def _draw(self, regions: tuple[int, ...], crop: bool) -> Path | None:
        key = (int(crop), *regions)
        if key in self._made:
            return self._made[key]
        kept = np.isin(self.label_map, regions)
        if not kept.any():
            return None
        picture = self._dimmed(kept)
        if crop:
            rows, columns = (np.flatnonzero(kept.any(axis=axis)) for axis in (1, 0))
            margin = max(2, int(0.15 * max(np.ptp(rows), np.ptp(columns))))
            picture = picture[
                max(0, rows[0] - margin) : rows[-1] + margin + 1, max(0, columns[0] - margin) : columns[-1] + margin + 1
            ]
        return self._save(key, picture)

    def _dimmed(self, kept: NDArray[np.bool_]) -> NDArray[np.uint8]:
        faded = 200 + (self.image.mean(axis=2, keepdims=True) - 128) * 0.25
        return np.where(kept[..., None], self.image, faded.clip(0, 255).astype(np.uint8))

    def _save(self, key: tuple[int, ...], pixels: NDArray[np.uint8]) -> Path:
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        scale = self.size / max(picture.size)
        shape = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        framed = Image.new("RGBA", (shape[0] + 2 * _MARGIN, shape[1] + _MARGIN), (0, 0, 0, 0))
        framed.paste(picture.resize(shape, Image.Resampling.LANCZOS), (_MARGIN, _MARGIN))
        path = self._folder / f"{len(self._made)}.png"
        framed.save(path)
        self._made[key] = path
        return path

    def embed(self, text: str) -> str:
        """An SVG text with the files put into it, so that it needs nothing else."""
        for path in self._made.values():
            with Image.open(path) as opened:
                text = _at_own_size(text, str(path), opened.size)
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            text = text.replace(f'"{path}"', f'"data:image/png;base64,{data}"')
        return text


def _at_own_size(text: str, path: str, size: tuple[int, int]) -> str:
    """An SVG text whose pictures have the size they were laid out with.

    Graphviz writes the node's size instead, whatever ``imagescale`` says, so that a wide label would be covered.
    """
    width, height = (72 * pixels / _DPI for pixels in size)

    def sized(found: re.Match[str]) -> str:
        room, x = float(found["width"]), float(found["x"])
        box = f'width="{width:g}px" height="{height:g}px"'
        return f'{found["start"]}{box}{found["between"]} x="{x + (room - width) / 2:g}"'

    number = r"-?[0-9.]+"
    pattern = rf'(?P<start><image xlink:href="{re.escape(path)}" )width="(?P<width>{number})px" height="{number}px"'
    return re.sub(rf'{pattern}(?P<between>[^>]*?) x="(?P<x>{number})"', sized, text)


def to_graphviz(
    graph: "nx.DiGraph[Any]",
    image: ArrayLike | None = None,
    label_map: ArrayLike | None = None,
    names: Mapping[int, str] | None = None,
    title: str | None = None,
) -> graphviz.Digraph:
    """A graph of this package for Graphviz.

    Parameters
    ----------
    graph : networkx.DiGraph
        From :func:`to_networkx`, :func:`refinement_graph` or :func:`final_state_lattice`.
    image : (H, W, 3) uint8, optional
        The image; with it, regions and states are shown as pictures.
    label_map : (H, W) int, optional
        The region of every pixel; needed with an image.
    names : mapping of int to str, optional
        What regions are called.
    title : str, optional
        Written above the graph.

    Returns
    -------
    graphviz.Digraph
        ``.source`` is its text, :func:`render` draws it. Regions that every final state keeps are red, others white,
        as in the overlay. All labels are escaped. The pictures are files that live as long as ``.thumbnails``.

    Raises
    ------
    InputError
        If only one of image and label_map is given, they do not fit, or the graph is none of this package's.
    """
    if (image is None) != (label_map is None):
        raise InputError("pictures need both an image and its label_map; one of them is missing")
    thumbnails = None if image is None or label_map is None else Thumbnails(image, label_map)
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
    shown: str = graphviz.escape(text.replace("&", "&amp;"))
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
    node: Hashable, attributes: Mapping[str, Any], thumbnails: Thumbnails | None, names: Mapping[int, str]
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
    attributes: Mapping[str, Any], thumbnails: Thumbnails | None, names: Mapping[int, str]
) -> dict[str, str]:
    number = attributes.get("region")
    shared = bool(attributes.get("shared"))
    name = names.get(number, str(attributes["label"])) if number is not None else str(attributes["label"])
    label = _escape(_wrap(_short(name, _WIDEST).split()))
    style = {"label": label, "shape": "box", "style": "filled,rounded", "fillcolor": RED if shared else WHITE}
    style |= {"fontcolor": WHITE if shared else _INK}
    picture = thumbnails.region(number) if thumbnails is not None and number is not None else None
    return style | ({"style": "filled"} | _pictured(picture, label) if picture is not None else {})


def _pictured(picture: Path, label: str) -> dict[str, str]:
    """A node as large as its picture with the label under it."""
    with Image.open(picture) as opened:
        width, height = opened.size
    lines = label.count("\n") + 1
    return {
        "image": str(picture),
        "labelloc": "b",
        "imagepos": "tc",
        "imagescale": "false",
        "height": f"{height / _DPI + 0.1 + 0.2 * lines:.2f}",
        "width": f"{width / _DPI:.2f}",
        "margin": "0.08,0.03",
    }


def _state_node(
    attributes: Mapping[str, Any], thumbnails: Thumbnails | None, names: Mapping[int, str]
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
    return style if thumbnails is None else style | _pictured(thumbnails.state(regions), label)


def _called(word: str, names: Mapping[int, str]) -> str:
    """A word of a state's label: a region's name where it is an id that has one."""
    return names.get(int(word), word) if word.removeprefix("-").isdecimal() else word
