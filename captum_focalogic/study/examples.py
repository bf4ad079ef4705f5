"""The images a study should be looked at first, each with a report of its own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captum_focalogic.figures.overlays import overlay
from captum_focalogic.report.html import data_uri
from captum_focalogic.report.page import Entry, write_report
from captum_focalogic.study.explainer import Explainer, Prepared
from captum_focalogic.study.items import Item
from captum_focalogic.study.settings import StudySettings
from captum_focalogic.summary import removal_setting

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "examples"
_THUMBNAIL = 320


@dataclass(frozen=True)
class ReportedImage:
    """One image to look at.

    Attributes
    ----------
    row : dict
        Its row.
    link : str
        Its report, relative to the run's folder.
    image : str
        A thumbnail as a data URI: the image with its smallest final states.
    name : str
        What it is called.
    caption : str
        What the model says and what its numbers are.
    """

    row: dict[str, Any]
    link: str
    image: str
    name: str
    caption: str


def worst(rows: "pa.Table", count: int) -> list[dict[str, Any]]:
    """The rows with the lowest precision, ties to the higher divergence and then to the earlier image."""
    defined = []
    for row in rows.to_pylist():
        precision = row.get(f"{row['reading']}_precision") if row["reading"] else None
        if precision is not None and not math.isnan(precision):
            defined.append((precision, -row[f"{row['reading']}_divergence"], row["index"], row))
    return [row for *_, row in sorted(defined, key=lambda entry: entry[:3])[:count]]


def write_examples(
    settings: StudySettings, items: Sequence[Item], rows: "pa.Table", run: Path, count: int = 8
) -> list[ReportedImage]:
    """Explain the worst images once more and write a report of each.

    Parameters
    ----------
    settings : StudySettings
        How the study explained them.
    items : sequence of Item
        The study's images.
    rows : pyarrow.Table
        Its rows.
    run : Path
        Its folder; reports go to ``examples/`` in it.
    count : int
        How many images.
    """
    chosen = worst(rows, count)
    if not chosen:
        return []
    explainer = Explainer(settings)
    found = []
    for row in chosen:
        prepared = explainer.prepare(row["index"], items[row["index"]])
        if isinstance(prepared, Prepared):
            found.append(_example(explainer, items[row["index"]], prepared, row, run))
    return found


def _example(explainer: Explainer, item: Item, prepared: Prepared, row: dict[str, Any], run: Path) -> ReportedImage:
    focus = explainer.focus(prepared)
    image = prepared.image.detach().float().cpu().numpy()
    predicted, label = (_named(explainer, row[name]) for name in ("prediction", "label"))
    settings = explainer.settings
    removed = removal_setting(settings.removal, settings.baseline)
    entry = Entry(
        focus,
        image,
        title=item.id,
        label=predicted,
        truth=prepared.truth,
        match=settings.match,
        thresholds=settings.thresholds,
        settings={"Model": explainer.model.name, **removed, "Label": label},
    )
    link = f"{FOLDER}/{row['index']:08d}.html"
    write_report(run / link, [entry], item.id)
    # All irreducible states together often use every region; the smallest ones show what the model needs most.
    shown = overlay(image, prepared.label_map, focus.region_ids, focus.smallest().final_states)
    reading = row["reading"]
    numbers = ", ".join(
        f"{name} {value:.2f}"
        for name in ("precision", "recall", "divergence")
        if (value := row[f"{reading}_{name}"]) is not None and not math.isnan(value)
    )
    said = f"predicted {predicted}" + ("" if row["label"] is None else f", labelled {label}")
    return ReportedImage(row, link, data_uri(shown, _THUMBNAIL), item.id, f"{said}; {numbers}")


def _named(explainer: Explainer, number: int | None) -> str:
    return "unknown" if number is None else explainer.model.label_of(number) or f"class {number}"
