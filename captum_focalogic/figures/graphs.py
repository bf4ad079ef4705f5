"""Graphs of formulas and states whose regions can be seen."""

import base64
import re
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import graphviz
import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from captum_focalogic.errors import InputError
from captum_focalogic.images import open_image
from captum_focalogic.logic.drawing import DPI, Thumbnail, to_graphviz

_MARGIN = 6


def illustrated(
    graph: "nx.DiGraph[Any]",
    image: ArrayLike | None = None,
    label_map: ArrayLike | None = None,
    names: Mapping[int, str] | None = None,
    title: str | None = None,
) -> graphviz.Digraph:
    """A graph for Graphviz, as :func:`~captum_focalogic.logic.to_graphviz` makes it, with the regions shown.

    Parameters
    ----------
    graph : networkx.DiGraph
        Of a formula or of states.
    image : (3, H, W) float in [0, 1], or (H, W, 3) uint8, optional
        The image; without it the graph has names alone.
    label_map : (H, W) int, optional
        The region of every pixel; needed with an image.
    names : mapping of int to str, optional
        What regions are called.
    title : str, optional
        Written above the graph.

    Raises
    ------
    InputError
        If only one of image and label_map is given, they do not fit, or the graph is none of this package's.
    """
    if (image is None) != (label_map is None):
        raise InputError("showing regions needs both an image and its label_map; one of them is missing")
    thumbnails = None if image is None or label_map is None else Thumbnails(image, label_map)
    return to_graphviz(graph, names, title, thumbnails)


class Thumbnails:
    """What regions and states look like, cut from an image into files that Graphviz can read.

    The files live as long as this object; a drawing made with it keeps it.

    Parameters
    ----------
    image : (3, H, W) float in [0, 1], or (H, W, 3) uint8
        The image.
    label_map : (H, W) int
        The region of every pixel.
    size : int
        Longest side in pixels.
    """

    def __init__(self, image: ArrayLike, label_map: ArrayLike, size: int = 96) -> None:
        self.image = np.asarray(open_image(image))
        self.label_map = np.asarray(label_map)
        if self.label_map.shape != self.image.shape[:2]:
            raise InputError(
                f"label_map has shape {self.label_map.shape}; expected {self.image.shape[:2]}, as the image"
            )
        self.size = size
        self._folder = Path(tempfile.mkdtemp(prefix="focalogic-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._made: dict[tuple[int, ...], Thumbnail] = {}

    def region(self, number: int) -> Thumbnail | None:
        """One region, cut out with a margin, the rest dimmed; None if it is not in the image."""
        return self._draw((number,), crop=True)

    def state(self, regions: tuple[int, ...]) -> Thumbnail:
        """The whole image with all but some regions dimmed."""
        drawn = self._draw(regions, crop=False)
        return drawn if drawn is not None else self._save(regions, self._dimmed(np.zeros(self.label_map.shape, bool)))

    def _draw(self, regions: tuple[int, ...], crop: bool) -> Thumbnail | None:
        key = (int(crop), *regions)
        if key in self._made:
            return self._made[key]
        kept = np.isin(self.label_map, regions)
        if not kept.any():
            return None
        shown = self._dimmed(kept)
        if crop:
            rows, columns = (np.flatnonzero(kept.any(axis=axis)) for axis in (1, 0))
            margin = max(2, int(0.15 * max(np.ptp(rows), np.ptp(columns))))
            shown = shown[
                max(0, rows[0] - margin) : rows[-1] + margin + 1, max(0, columns[0] - margin) : columns[-1] + margin + 1
            ]
        return self._save(key, shown)

    def _dimmed(self, kept: NDArray[np.bool_]) -> NDArray[np.uint8]:
        faded = 200 + (self.image.mean(axis=2, keepdims=True) - 128) * 0.25
        return np.where(kept[..., None], self.image, faded.clip(0, 255).astype(np.uint8))

    def _save(self, key: tuple[int, ...], pixels: NDArray[np.uint8]) -> Thumbnail:
        image = Image.fromarray(np.ascontiguousarray(pixels))
        scale = self.size / max(image.size)
        shape = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        framed = Image.new("RGBA", (shape[0] + 2 * _MARGIN, shape[1] + _MARGIN), (0, 0, 0, 0))
        framed.paste(image.resize(shape, Image.Resampling.LANCZOS), (_MARGIN, _MARGIN))
        path = self._folder / f"{len(self._made)}.png"
        framed.save(path)
        self._made[key] = Thumbnail(path, *framed.size)
        return self._made[key]

    def embed(self, text: str) -> str:
        """An SVG text with the files put into it, so that it needs nothing else."""
        for path, *size in self._made.values():
            text = _at_own_size(text, str(path), *size)
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            text = text.replace(f'"{path}"', f'"data:image/png;base64,{data}"')
        return text


def _at_own_size(text: str, path: str, *size: int) -> str:
    """An SVG text whose images have the size they were laid out with.

    Graphviz writes the node's size instead, whatever ``imagescale`` says, so that a wide label would be covered.
    """
    width, height = (72 * pixels / DPI for pixels in size)

    def sized(found: re.Match[str]) -> str:
        room, x = float(found["width"]), float(found["x"])
        box = f'width="{width:g}px" height="{height:g}px"'
        return f'{found["start"]}{box}{found["between"]} x="{x + (room - width) / 2:g}"'

    number = r"-?[0-9.]+"
    pattern = rf'(?P<start><image xlink:href="{re.escape(path)}" )width="(?P<width>{number})px" height="{number}px"'
    return re.sub(rf'{pattern}(?P<between>[^>]*?) x="(?P<x>{number})"', sized, text)
