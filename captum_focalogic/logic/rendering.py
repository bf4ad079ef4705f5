"""Drawings as SVG and PNG files: by Graphviz' ``dot`` where it is installed, else by the engine within pygraphviz."""

import shutil
import subprocess
from pathlib import Path
from typing import Literal, get_args

import graphviz

from captum_focalogic.errors import InputError, NoEngineError, RenderError

Engine = Literal["dot", "pygraphviz"]
_KINDS = ("svg", "png", "dot")
_TIMEOUT = 120


def available_engines() -> list[Engine]:
    """The engines that can draw on this machine, the preferred one first."""
    engines: list[Engine] = ["dot"] if shutil.which("dot") else []
    try:
        import pygraphviz  # noqa: F401
    except ImportError:
        return engines
    return [*engines, "pygraphviz"]


def render(drawing: graphviz.Digraph, path: str | Path, engine: Engine | None = None) -> Path:
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
    if engine is not None and engine not in get_args(Engine):
        raise InputError(f"engine is {engine!r}; expected one of {', '.join(map(repr, get_args(Engine)))}")
    if kind == "dot":
        target.write_text(drawing.source, encoding="utf-8")
        return target
    engines = available_engines() if engine is None else [engine] if engine in available_engines() else []
    if not engines:
        raise NoEngineError(_write_source(drawing, target))
    try:
        picture = _DRAW[engines[0]](drawing.source, kind)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        source = _write_source(drawing, target)
        raise RenderError(f"{engines[0]} could not draw the graph ({error}); its source is in {source}") from error
    thumbnails = getattr(drawing, "thumbnails", None)
    if kind == "svg" and thumbnails is not None:
        picture = thumbnails.embed(picture.decode("utf-8")).encode("utf-8")
    target.write_bytes(picture)
    return target


def _write_source(drawing: graphviz.Digraph, target: Path) -> Path:
    source = target.with_suffix(".dot")
    source.write_text(drawing.source, encoding="utf-8")
    return source


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
        picture = graph.draw(format=kind, prog="dot")
    if not isinstance(picture, bytes):
        raise OSError("pygraphviz returned no picture")
    return picture


_DRAW = {"dot": _draw_by_dot, "pygraphviz": _draw_by_pygraphviz}
