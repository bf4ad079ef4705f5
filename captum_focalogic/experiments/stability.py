"""How much precision, recall and divergence hang on how images are cut (the paper's figure 9)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.demo.network import load_model
from captum_focalogic.demo.scenes import SceneConfig
from captum_focalogic.errors import InputError
from captum_focalogic.experiments.findings import (
    Estimate,
    about,
    change,
    holds_for_all,
    moves,
    rises,
    saved,
    saves,
    stays,
    stays_under_all,
)
from captum_focalogic.experiments.framework import (
    EVERY_SIZE,
    Conclusion,
    Condition,
    Config,
    Embedded,
    Experiment,
    Finding,
    ImageNet,
    Result,
    Setup,
    Workspace,
    studied,
)
from captum_focalogic.experiments.published import MATCHED_IOU, MATCHING_IOU, REGIONS_SAVED
from captum_focalogic.experiments.scenes import scene_items, scene_plan
from captum_focalogic.experiments.segmentations import (
    Counts,
    Segmentation,
    SegmentationKind,
    count_regions,
    embedded_segmentations,
    imagenet_segmentations,
    merging_steps,
    savings_table,
)
from captum_focalogic.experiments.tables import READINGS, draw_bars, legend_below, measure_table, new_figure
from captum_focalogic.ground_truth import Match
from captum_focalogic.logic import absorb
from captum_focalogic.metrics import DEFAULT_THRESHOLDS, Thresholds, behaviour, focus_precision, focus_recall
from captum_focalogic.search import Reading
from captum_focalogic.search import states as st
from captum_focalogic.segmenters import Grid
from captum_focalogic.study import MEASURES, StudySettings, states_of
from captum_focalogic.study.rows import Row, as_table
from captum_focalogic.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa


THRESHOLDS: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Thresholds to try, the paper's 0.7 among them."""

_KINDS: tuple[tuple[SegmentationKind, str], ...] = (
    ("setting", "when the same segmenter is set otherwise"),
    ("segmenter", "when another segmenter cuts"),
)

_FACTS = {"regions": ".1f", "object lost": ".0%"}


def rematched(rows: "pa.Table", match: Match, thresholds: Thresholds = DEFAULT_THRESHOLDS) -> "pa.Table":
    """The rows that the same study would have had with another rule for which regions are the object.

    Regions, precision, recall and behaviour are worked out from the overlaps and the final states that the rows hold.
    Images without truth and images that failed keep their rows as they are.

    Parameters
    ----------
    rows : pyarrow.Table
        Of a study.
    match : Match
        The other rule.
    thresholds : Thresholds
        For the type of behaviour.

    Returns
    -------
    pyarrow.Table
        As many rows, in the same order.
    """
    return as_table(_rematched_row(row, match, thresholds) for row in rows.to_pylist())


def lost(rows: "pa.Table") -> float:
    """Share of the images with a known object in which no region counts as it; NaN if there is no such image."""
    found = [regions for regions in rows.column("truth_regions").to_pylist() if regions is not None]
    return sum(not regions for regions in found) / len(found) if found else math.nan


def object_overlaps(rows: "pa.Table", coverage: float = 0.5) -> NDArray[np.float64]:
    """Intersection over union with the object's best mask, of every region that lies on the object.

    Parameters
    ----------
    rows : pyarrow.Table
        Of a study.
    coverage : float
        Share of a region from which on it lies on the object.

    Returns
    -------
    (R,) float64
        Over the regions of all images, ascending.
    """
    columns = (rows.column(name).to_pylist() for name in ("region_iou", "region_coverage"))
    pairs = [np.array([iou, share]) for iou, share in zip(*columns, strict=True) if iou is not None]
    if not pairs:
        return np.zeros(0)
    overlaps, shares = np.concatenate(pairs, axis=1)
    return np.sort(overlaps[shares >= coverage])


def cuts(states: NDArray[np.bool_], reading: Reading) -> dict[Reading, NDArray[np.bool_]]:
    """Final states in every reading that can be had from those of one: absorption, least cardinality.

    Raises
    ------
    InputError
        If there is no such reading.
    """
    if reading not in ("irreducible", "minimal", "smallest"):
        raise InputError(f"reading must be irreducible, minimal or smallest; got {reading!r}")
    sizes = states.sum(axis=1)
    found: dict[Reading, NDArray[np.bool_]] = {reading: states}
    if reading == "irreducible":
        found["minimal"] = _in_order(absorb(states)) if len(states) else states
    return {**found, "smallest": states[sizes == sizes.min(initial=states.shape[1] + 1)]}


def _in_order(states: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """States in the order in which a study has them, so that sums over them come out the same to the last bit."""
    return st.unpack(st.canonical_order(st.pack(states), states.shape[1]), states.shape[1])


def _rematched_row(row: Mapping[str, Any], match: Match, thresholds: Thresholds) -> Row:
    if row["error"] is not None or row["region_iou"] is None:
        return dict(row)
    overlaps = np.array(row["region_coverage" if match.kind == "coverage" else "region_iou"])
    regions = overlaps >= match.threshold
    areas = np.array(row["areas"]) * (1 if row["region_known"] is None else np.array(row["region_known"]))
    changed: Row = {
        "truth_regions": np.array(row["region_ids"])[regions].tolist(),
        "truth_area": math.fsum(areas[regions].tolist()),
    }
    for reading, states in cuts(states_of(row), row["reading"]).items():
        precision, recall = focus_precision(states, regions, areas), focus_recall(states, regions, areas)
        kind = behaviour(precision, recall, row[f"{reading}_divergence"], thresholds).kind
        changed |= {f"{reading}_precision": precision, f"{reading}_recall": recall, f"{reading}_behaviour": kind}
    return {**row, **changed}


def segmentations(config: Config) -> list[Segmentation]:
    """The ways to cut images that are tried."""
    ways = embedded_segmentations() if isinstance(config, Embedded) else imagenet_segmentations(config)
    chosen = config.settings.segmentations
    return [way for way in ways if chosen is None or way.kind == "reference" or way.name in chosen]


def _conditions(config: Config) -> list[Condition[Any]]:
    """A study for each way to cut, and a count of regions."""
    return [*(_condition(config, way) for way in segmentations(config)), _counting(config)]


def _condition(config: Config, way: Segmentation) -> Condition[Result]:
    def make(_: Workspace) -> Setup:
        if isinstance(config, Embedded):
            plan = scene_plan(load_model(), "demo", segmenter=way.cut())
            return Setup(plan, scene_items(config.images, way.scenes, first=config.first_scene, parts=True))
        name = config.model_name
        model = config.find_model(name)
        return Setup(config.plan(name, model, segmenter=way.cut()), config.find_items(model))

    images = f"{config.images} {'scenes' if isinstance(config, Embedded) else 'images'}"
    return studied(way.name, f"explain {images} by regions of {way.what} ({way.kind})", make)


def _counting(config: Config) -> Condition[Counts]:
    def run(_: Workspace) -> Counts:
        plan: StudySettings
        if isinstance(config, Embedded):
            plan = scene_plan(load_model(), "demo", segmenter=Grid(), truth=False)
            items = scene_items(config.images, SceneConfig(size=config.settings.counted_size), first=config.first_scene)
        else:
            model = config.find_model(config.model_name)
            plan = config.plan("counted", model, segmenter=Grid(), truth=False)
            items = config.find_items(model)
        return count_regions(plan, items, steps)

    steps = merging_steps(config.segmenter if isinstance(config, ImageNet) else None)
    return Condition("regions", f"count the regions of {config.images} images: {', '.join(steps)}", run)


def _conclude(config: Config, results: Sequence[Any]) -> Conclusion:
    """Differences between ways to cut, what the threshold of matching does, and what merging saves."""
    ways, counts = segmentations(config), results[-1]
    studies = [_with_regions(result) for result in results[:-1]]
    by_name = {result.name: result for result in studies}
    shown = [by_name[name] for name in dict.fromkeys(way.against for way in ways)]
    tables = [
        measure_table(studies, "By way to cut; means over images.", "regions by", _FACTS),
        _differences(ways, by_name),
        _overlap_table(studies),
        _threshold_table(shown),
        savings_table(counts, "Regions of an image, before and after.", REGIONS_SAVED),
    ]
    findings = [*_stability(ways, by_name), *_finer(ways, by_name), *about("fewer", _saving(counts))]
    return Conclusion(tables, _figure(studies, shown), findings, _notes(config, counts))


def _with_regions(result: Result) -> Result:
    facts = {"regions": result.mean("num_regions").value, "object lost": lost(result.rows)}
    return replace(result, facts={**result.facts, **facts})


def _changes(ways: Sequence[Segmentation], by_name: Mapping[str, Result], column: str) -> dict[str, Estimate | None]:
    return {way.name: change(by_name[way.against], by_name[way.name], column) for way in ways}


def _stability(ways: Sequence[Segmentation], by_name: Mapping[str, Result]) -> list[Finding]:
    findings = []
    for kind, when in _KINDS:
        chosen = [way for way in ways if way.kind == kind]
        for measure in MEASURES if chosen else ():
            for reading in READINGS:
                changes = _changes(chosen, by_name, f"{reading}_{measure}")
                findings += about("stable", [stays_under_all(f"{measure} stays {when}", reading, changes)])
    for way in (way for way in ways if way.kind == "stress"):
        for measure in MEASURES:
            for reading in READINGS:
                found = change(by_name[way.against], by_name[way.name], f"{reading}_{measure}")
                claim = f"{measure} does not stay under stress ({way.name})"
                findings += about("blind", [moves(claim, reading, found)])
    return findings


def _finer(ways: Sequence[Segmentation], by_name: Mapping[str, Result]) -> list[Finding]:
    """Whether precision rises where the same segmenter makes more regions."""

    def regions(name: str) -> float:
        return by_name[name].mean("num_regions").value

    finer = [way for way in ways if way.kind == "setting" and regions(way.name) > regions(way.against)]
    claim = "precision rises where the same segmenter cuts more finely"
    return about(
        "finer",
        (
            holds_for_all(claim, reading, _changes(finer, by_name, f"{reading}_precision"), rises, "rises under")
            for reading in READINGS
        ),
    )


def _saving(counts: Counts) -> list[Finding]:
    (_, before), *steps = counts.steps.items()
    return [
        saves(
            f"{REGIONS_SAVED.low:.0%} to {REGIONS_SAVED.high:.0%} of the regions are saved: {name}",
            found,
            REGIONS_SAVED,
        )
        for name, found in ((name, saved(before, after)) for name, after in steps)
    ]


def _differences(ways: Sequence[Segmentation], by_name: Mapping[str, Result]) -> Table:
    lines = []
    for way in ways:
        if way.kind == "reference":
            continue
        for reading in READINGS:
            cells = [
                _difference(change(by_name[way.against], by_name[way.name], f"{reading}_{name}")) for name in MEASURES
            ]
            lines.append((way.name, way.against, reading, *cells))
    caption = "Changes against a reference, image by image; * marks those whose whole interval lies within 0.05 of 0."
    return Table(("regions by", "against", "states", *MEASURES), tuple(lines), caption)


def _difference(found: Estimate | None) -> str:
    if found is None:
        return "-"
    return f"{found}{' *' if stays('', '', found).verdict == 'confirmed' else ''}"


def _overlap_table(studies: Sequence[Result]) -> Table:
    lines = []
    for result in studies:
        overlaps = object_overlaps(result.rows)
        if not len(overlaps):
            lines.append((result.name, "0", "-", "-", "-"))
            continue
        low, middle, high = np.quantile(overlaps, (0.25, 0.5, 0.75))
        share = float((overlaps >= MATCHING_IOU.low).mean())
        lines.append((result.name, str(len(overlaps)), f"{middle:.2f}", f"{low:.2f} to {high:.2f}", f"{share:.0%}"))
    caption = (
        "Regions that lie on the object (at least half of each): intersection over union with its best mask; "
        f"the paper's matches are mostly above {MATCHED_IOU.low:g}."
    )
    return Table(("regions by", "regions", "median IoU", "middle half", "0.7 or more"), tuple(lines), caption)


def _threshold_table(shown: Sequence[Result]) -> Table:
    lines = []
    for result in shown:
        for kind in ("iou", "coverage"):
            found = [(f"{at:g}", _cells_at(_rematched(result, kind, at))) for at in THRESHOLDS]
            for cells, alike in groupby(found, key=lambda pair: pair[1]):
                places = [place for place, _ in alike]
                which = places[0] if len(places) == 1 else f"{places[0]} to {places[-1]}"
                lines.append((result.name, f"{kind} {which}", *cells))
    header = (
        "regions by",
        "match",
        "images without a match",
        *(f"{name}, {of}" for of in READINGS for name in MEASURES[:2]),
    )
    return Table(header, tuple(lines), "By which regions count as the object; the paper's rule is iou 0.7.")


def _cells_at(again: Result) -> tuple[str, ...]:
    missing = lost(again.rows)
    means = [again.mean(f"{reading}_{name}") for reading in READINGS for name in MEASURES[:2]]
    return ("-" if np.isnan(missing) else f"{missing:.0%}", *map(str, means))


def _rematched(result: Result, kind: str, threshold: float) -> Result:
    return result.mapped(lambda rows: rematched(rows, Match.from_text(f"{kind}:{threshold:g}")))


def _figure(studies: Sequence[Result], shown: Sequence[Result]) -> Any:
    figure, panels = new_figure(3, width=10.0, height=3.0 + 0.42 * len(studies), rows=2)
    draw_bars(panels[:3], studies)
    for result in studies:
        overlaps = object_overlaps(result.rows)
        if len(overlaps):
            panels[3].step(overlaps, np.arange(1, len(overlaps) + 1) / len(overlaps), where="post", label=result.name)
    panels[3].axvline(MATCHING_IOU.low, color="#333", lw=0.8, ls=":")
    panels[3].set_xlabel("IoU of regions on the object")
    panels[3].set_ylabel("share of them up to here")
    for panel, measure in zip(panels[4:], MEASURES[:2], strict=True):
        for result in shown:
            for kind, dashes in (("iou", "-"), ("coverage", "--")):
                means = [_rematched(result, kind, at).mean(f"smallest_{measure}").value for at in THRESHOLDS]
                panel.plot(THRESHOLDS, means, dashes, marker="o", ms=3, label=f"{result.name}, {kind}")
        panel.axvline(MATCHING_IOU.low, color="#333", lw=0.8, ls=":")
        panel.set_ylim(0, 1.02)
        panel.set_xlabel("threshold")
        panel.set_title(f"{measure}, smallest", fontsize=9)
    legend_below(figure, panels[0], *panels[3:5])
    return figure


def _notes(config: Config, counts: Counts) -> list[str]:
    notes = [
        "A measure stays if the whole 95 % interval of its change lies within 0.05 of 0; a change that cannot be shown "
        "is not enough. For divergence that is much: it is never above 0.25.",
        "Object lost: the share of the images in which no region counts as the object. They have a precision of 0, and "
        "no recall.",
        "The object's regions are those of which at least half lies on it (coverage 0.5); the table by threshold shows "
        "the paper's rule.",
        "The rows by threshold are worked out from the rows of the studies; the model was not asked again.",
    ]
    if isinstance(config, Embedded):
        notes += [
            "The embedded model that comes with the package; nothing was trained.",
            "The paper's segmenter is Segment Anything, whose weights this size does without. Where regions are "
            f"counted, Felzenszwalb's segments stand in for its masks, on scenes of {config.settings.counted_size} "
            "pixels. How coarse a coarser setting is (here: scale doubled) is one's own choice.",
        ]
    if counts.failed:
        notes.append(f"{counts.failed} images could not be read, so their regions are not counted.")
    return notes


EXPERIMENT = Experiment(
    "Stability under segmentation",
    "figure 9 and section 3.6",
    _conditions,
    _conclude,
    sizes=EVERY_SIZE,
    judges=("stable", "finer", "blind", "fewer"),
)
"""The experiment by name "stability"."""
