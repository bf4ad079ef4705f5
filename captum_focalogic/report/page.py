"""The interactive report: one HTML file that needs nothing else.

The file makes no request, runs no script but its own (a Content-Security-Policy with hashes says so to the browser),
and shows names, titles and commands as text, whatever they contain.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike
from PIL import Image

from captum_focalogic import summary
from captum_focalogic.errors import InputError
from captum_focalogic.figures.canvas import backdrop
from captum_focalogic.figures.outlines import Outlines, outlines
from captum_focalogic.files import make_folder, write_text
from captum_focalogic.focus import Focus
from captum_focalogic.ground_truth import DEFAULT_MATCH, GroundTruth, Match, MatchedRegions, match_regions
from captum_focalogic.logic import symbol
from captum_focalogic.metrics import (
    DEFAULT_THRESHOLDS,
    Behaviour,
    Thresholds,
    behaviour,
    focus_divergence,
    focus_precision,
    focus_recall,
)
from captum_focalogic.report import words
from captum_focalogic.report.data import PageData, page_data
from captum_focalogic.report.formula import Drawing, Typeset, formula_graph, set_markup, symbol_markup, typeset
from captum_focalogic.report.html import data_uri, render_page
from captum_focalogic.report.zoom import ZoomShown, zoom_shown
from captum_focalogic.search.certificate import Statement, percent
from captum_focalogic.tables import Table

TILES = 48
"""Final states shown on the image; more are listed, and more than ``LISTED`` are counted."""

CRITICAL = 12
"""Critical sets shown."""

LISTED = 400
"""Final states and necessary sets listed."""

_PACKAGES = ("captum-focalogic", "captum", "torch", "torchvision", "numpy", "sympy", "scikit-image")


@dataclass(frozen=True)
class Panel:
    """An image and a table to set beside a focus, such as what another method shows.

    Attributes
    ----------
    title : str
        Above the image.
    image : PIL.Image.Image or None
        The image.
    caption : str
        Below it.
    rows : tuple of (str, str)
        Names and values.
    """

    title: str
    image: Image.Image | None = None
    caption: str = ""
    rows: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Entry:
    """One decision in a report.

    Attributes
    ----------
    focus : Focus
        The explanation.
    image : (3, H, W) float in [0, 1], or (H, W, 3) uint8, or None
        The image the regions were cut from; the one in the focus by default, and a map of the regions without either.
    title : str
        What the entry is called, such as the file name.
    label : str or None
        The name of the class that is explained.
    against : str or None
        The class that it was held against, if it was.
    truth : GroundTruth, (H, W) bool, or (K, H, W) bool, or None
        Where the object is; with it the page shows precision, recall and the type of behaviour.
    match : Match or str
        How regions are matched with the truth, such as ``"iou:0.7"``
        (:func:`~captum_focalogic.ground_truth.match_regions`).
    thresholds : Thresholds
        From where on a measure counts as high.
    panels : sequence of Panel
        Other methods' images.
    tables : sequence of Table
        Numbers beside them.
    command : str or None
        How the explanation was made.
    seed : int or None
        The seed that was set, if one was.
    settings : mapping of str to str
        Anything else that is needed to make it again: model, baseline, segmenter.
    """

    focus: Focus
    image: ArrayLike | None = None
    title: str = "One decision"
    label: str | None = None
    against: str | None = None
    truth: GroundTruth | ArrayLike | None = None
    match: Match | str = DEFAULT_MATCH
    thresholds: Thresholds = DEFAULT_THRESHOLDS
    panels: Sequence[Panel] = ()
    tables: Sequence[Table] = ()
    command: str | None = None
    seed: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    alive: str | None = None
    """The command that opens the same case alive, where it is known."""
    asks: str | None = None
    """Address where the model is asked about a selection; only on a page that a server gives."""
    pending: bool = False
    """Whether its search goes on, so that there is nothing to say yet; only on such a page too."""


def write_report(path: str | Path, entries: Sequence[Entry], title: str | None = None) -> Path:
    """Write a report to a file.

    Parameters
    ----------
    path : str or Path
        The HTML file; its folder is made where it does not exist.
    entries : sequence of Entry
        At least one.
    title : str, optional
        The page's title; the entry's own if there is only one.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If there is no entry, or an image or mask does not fit its regions.
    FileError
        If the file cannot be written.
    """
    page = render_report(entries, title)
    make_folder(Path(path).parent)
    return write_text(path, page)


def render_report(entries: Sequence[Entry], title: str | None = None) -> str:
    """The report as text; arguments and errors as :func:`write_report`."""
    if not entries:
        raise InputError("a report needs at least one explanation; got none")
    title = title or (entries[0].title if len(entries) == 1 else "What the model looked at")
    return render_entries(title, entries)


def render_entries(title: str, entries: Sequence[Entry], live: Any = None) -> str:
    """The page of any number of entries; ``live`` is what it shows beside them where a server gives it."""
    return render_page(
        "report",
        further=() if live is None else ("live",),
        asks=live is not None,
        title=title,
        sections=[_Section.of(number, entry) for number, entry in enumerate(entries)],
        versions=_versions(),
        live=live,
    )


@dataclass(frozen=True)
class _Region:
    """One row of the list of regions."""

    column: int
    symbol: Markup
    spoken: str
    area: float
    frequency: float
    role: Literal["needed", "shared", "some", "none"]
    in_truth: bool | None
    path: str
    centre: tuple[int, int]


@dataclass(frozen=True)
class _Tile:
    number: int
    columns: list[int]
    sets: Markup
    area: float
    probability: float | None
    spoken: str


@dataclass(frozen=True)
class _Critical:
    """What the model says without a set, and whether the set is needed."""

    kept: str
    then: str
    need: str
    needed: bool


@dataclass(frozen=True)
class _Metrics:
    precision: float
    recall: float
    divergence: float
    behaviour: Behaviour
    meaning: str
    match: str
    regions: Markup


@dataclass(frozen=True)
class _Section:
    """Everything the template shows of one entry."""

    key: str
    entry: Entry
    formula: Typeset
    prediction: str
    enough: list[str]
    without: list[_Critical]
    nothing_critical: str
    known: str
    removed: str | None
    regions: list[_Region]
    size: tuple[int, int] | None
    image: str | None
    thumbnail: str | None
    without_image: bool
    tiles: list[_Tile]
    listed: list[_Tile]
    necessary: list[Markup]
    data: PageData
    payload: Markup
    graph: Drawing
    metrics: _Metrics | None
    divergence: float
    certificate: list[Statement]
    panels: list[tuple[Panel, str | None]]
    zoom: ZoomShown | None

    @classmethod
    def of(cls, number: int, entry: Entry) -> "_Section":
        focus = entry.focus
        traced = None if focus.label_map is None else outlines(focus.label_map, focus.region_ids)
        data = page_data(focus, [] if traced is None else [outline.centre for outline in traced.regions])
        truth = _truth(entry)
        given = focus.image if entry.image is None else entry.image
        image = None if focus.label_map is None else backdrop(given, focus.label_map)
        tiles = [_tile(focus, row) for row in range(min(len(focus.final_states), TILES + LISTED))]
        shown = min(TILES, data.states_kept) if traced is not None else 0
        return cls(
            key=f"e{number}",
            entry=entry,
            formula=typeset(focus),
            prediction=summary.prediction_text(focus),
            enough=summary.enough_text(focus, entry.against).split("\n"),
            without=_critical(entry),
            known=summary.certificate_text(focus),
            removed=summary.removal_text(focus),
            nothing_critical=summary.without_text(focus, entry.against),
            regions=_regions(focus, traced, truth, entry.pending),
            size=None if traced is None else (traced.width, traced.height),
            image=None if image is None else data_uri(image),
            thumbnail=None if image is None else data_uri(image, 96),
            without_image=given is None,
            tiles=tiles[:shown],
            listed=tiles[shown : shown + LISTED],
            necessary=[set_markup(focus.region_ids, row, focus.names) for row in data.necessary[:LISTED]],
            data=data,
            payload=_json(data.fields),
            graph=formula_graph(focus),
            metrics=None if truth is None else _metrics(entry, truth),
            divergence=focus_divergence(focus.final_states, focus.areas),
            certificate=_certificate(focus),
            panels=[(panel, None if panel.image is None else data_uri(panel.image, 720)) for panel in entry.panels],
            zoom=zoom_shown(focus, image),
        )

    @property
    def painted(self) -> list[_Region]:
        """The regions in the order they are drawn, so that no border hides a more important one."""
        return sorted(self.regions, key=lambda region: ("none", "some", "shared", "needed").index(region.role))

    @property
    def roles(self) -> dict[str, bool]:
        """Which kinds of regions there are."""
        found = {region.role for region in self.regions}
        return {role: role in found for role in ("needed", "shared", "some", "none")}

    @property
    def decision(self) -> str:
        """What is explained."""
        if self.entry.label:
            return self.entry.label
        target = self.entry.focus.target
        return "this answer" if target is None else f"class {target}"


def _regions(focus: Focus, traced: Outlines | None, truth: MatchedRegions | None, pending: bool) -> list[_Region]:
    shared, used, frequencies = focus.shared, focus.used, focus.frequencies
    needed = np.zeros(focus.num_regions, dtype=np.bool_)
    if focus.critical is not None:
        # Of a larger set no single region is: it is needed that not all of them go.
        alone = focus.critical.needed & (focus.critical.states.sum(axis=1) == 1)
        needed |= focus.critical.states[alone].any(axis=0)
    return [
        _Region(
            column=j,
            symbol=symbol_markup(int(region), focus.names),
            spoken=f"region {region}" + (f", {focus.names[int(region)]}" if focus.names.get(int(region)) else ""),
            area=float(focus.areas[j]),
            frequency=float(frequencies[j]),
            role="none"
            if pending
            else "needed"
            if needed[j]
            else "shared"
            if shared[j]
            else "some"
            if used[j]
            else "none",
            in_truth=None if truth is None else bool(truth.regions[j]),
            path="" if traced is None else traced.regions[j].path,
            centre=(0, 0) if traced is None else traced.regions[j].centre,
        )
        for j, region in enumerate(focus.region_ids)
    ]


def _tile(focus: Focus, row: int) -> _Tile:
    state = focus.final_states[row]
    area = float(state @ focus.areas)
    probability = float(focus.probabilities[row])
    named = ", ".join(focus.names.get(int(region)) or str(symbol(int(region))) for region in focus.region_ids[state])
    return _Tile(
        number=row + 1,
        columns=np.flatnonzero(state).tolist(),
        sets=set_markup(focus.region_ids, state, focus.names),
        area=area,
        probability=None if np.isnan(probability) else probability,
        spoken=f"Final state {row + 1}: {named or 'no region'}; {percent(area)} of the image",
    )


def _critical(entry: Entry) -> list[_Critical]:
    focus, critical = entry.focus, entry.focus.critical
    if critical is None:
        return []
    found = []
    for row in range(min(CRITICAL, len(critical))):
        then, need = summary.critical_text(focus, critical, row, entry.against)
        kept = " ".join(map(str, np.flatnonzero(~critical.states[row]).tolist()))
        found.append(_Critical(kept, then, need, bool(critical.needed[row])))
    return found


def _certificate(focus: Focus) -> list[Statement]:
    """What is known; nothing of it is certain where a model answers otherwise the second time."""
    known = focus.certificate.plain()
    repeats = None if focus.trust is None else focus.trust.repeats
    if repeats is None or repeats.certain:
        return known
    said = (
        f"Asked again, the model judged {repeats.differed} of {repeats.asked} sets otherwise: nothing here is certain."
    )
    return [Statement("limited", said), *(replace(statement, standing="open") for statement in known)]


def _truth(entry: Entry) -> MatchedRegions | None:
    if entry.truth is None:
        return None
    if entry.focus.label_map is None:
        raise InputError("a truth mask needs regions on an image, but this focus has no label map; leave truth out")
    return match_regions(entry.focus.label_map, entry.truth, entry.match)


def _metrics(entry: Entry, truth: MatchedRegions) -> _Metrics:
    focus = entry.focus
    areas = focus.areas * truth.known
    values = (
        focus_precision(focus.final_states, truth.regions, areas),
        focus_recall(focus.final_states, truth.regions, areas),
        focus_divergence(focus.final_states, focus.areas),
    )
    found = behaviour(*values, entry.thresholds)
    return _Metrics(
        *values,
        behaviour=found,
        meaning=words.behaviour_words(found),
        match=truth.match.words,
        regions=set_markup(focus.region_ids, truth.regions, focus.names),
    )


def _json(fields: dict[str, Any]) -> Markup:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _versions() -> list[tuple[str, str]]:
    versions = [("python", platform.python_version())]
    for package in _PACKAGES:
        try:
            versions.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            continue
    return versions
