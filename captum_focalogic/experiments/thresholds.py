"""Rows of a study under another rule for what counts as the object: recomputed, the model is not asked again."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.errors import InputError
from captum_focalogic.ground_truth import Match
from captum_focalogic.logic import absorb
from captum_focalogic.metrics import DEFAULT_THRESHOLDS, Thresholds, behaviour, focus_precision, focus_recall
from captum_focalogic.search import Reading
from captum_focalogic.search import states as st
from captum_focalogic.study import states_of
from captum_focalogic.study.rows import Row, as_table

if TYPE_CHECKING:
    import pyarrow as pa

THRESHOLDS: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Thresholds to try, the paper's 0.7 among them."""


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
    return as_table(_rematched(row, match, thresholds) for row in rows.to_pylist())


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


def _rematched(row: Mapping[str, Any], match: Match, thresholds: Thresholds) -> Row:
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
