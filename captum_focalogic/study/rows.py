"""The rows of a study: one an image, the same whoever made them and however often the run was broken off.

No row holds a time stamp, a number of batches, or anything else that depends on how the run went; only the columns
whose names end in ``_seconds``, and ``tries`` of images with errors, differ between two runs.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.errors import MissingExtraError
from captum_focalogic.files import encode_text
from captum_focalogic.focus import Focus
from captum_focalogic.ground_truth import MatchedRegions
from captum_focalogic.logic import count_literals
from captum_focalogic.metrics import Thresholds, behaviour, focus_divergence, focus_precision, focus_recall
from captum_focalogic.search import states as st
from captum_focalogic.search.certificate import READINGS

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

MEASURES = ("precision", "recall", "divergence")
"""The paper's numbers about a focus (section 3.4)."""

_DIGITS = 4
"""Decimals of a probability: more would differ between machines."""

_PLAIN: dict[str, str] = {
    "index": "int64",
    "id": "string",
    "content": "string",
    "probes": "list<float64>",
    "label": "int64",
    "prediction": "int64",
    "probability": "float64",
    "correct": "bool",
    "num_regions": "int32",
    "region_ids": "list<int64>",
    "areas": "list<float64>",
    "region_iou": "list<float64>",
    "region_coverage": "list<float64>",
    "region_known": "list<float64>",
    "truth_regions": "list<int64>",
    "truth_area": "float64",
    "removal": "string",
    "lost_regions": "list<int64>",
    "reading": "string",
    "final_states": "list<uint64>",
    "formula": "string",
    "literals": "int32",
}
_OF_A_READING: dict[str, str] = {
    "count": "int32",
    "size": "float64",
    "precision": "float64",
    "recall": "float64",
    "divergence": "float64",
    "behaviour": "string",
}
_CERTIFICATE: dict[str, str] = {
    "strategy": "string",
    "complete": "string",
    "complete_up_to": "int32",
    "unseen_bound": "float64",
    "irreducible": "bool",
    "reached": "bool",
    "violations": "int64",
    "stopped": "string",
}
_LAST: dict[str, str] = {
    "evaluations": "int64",
    "error": "string",
    "tries": "int32",
    "load_seconds": "float64",
    "explain_seconds": "float64",
}

COLUMNS: dict[str, str] = {
    **_PLAIN,
    **{f"{reading}_{name}": kind for reading in READINGS for name, kind in _OF_A_READING.items()},
    **{f"certificate_{name}": kind for name, kind in _CERTIFICATE.items()},
    **_LAST,
}
"""Names and types of the columns; docs/study.md says what each holds."""


def arrow() -> Any:
    """The pyarrow package.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError("pyarrow", "study") from error
    return pyarrow


def schema() -> "pa.Schema":
    """The columns as an Arrow schema."""
    pa = arrow()
    plain = {
        "int32": pa.int32(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "string": pa.string(),
        "bool": pa.bool_(),
        "list<int64>": pa.list_(pa.int64()),
        "list<uint64>": pa.list_(pa.uint64()),
        "list<float64>": pa.list_(pa.float64()),
    }
    return pa.schema([(name, plain[kind]) for name, kind in COLUMNS.items()])


def as_table(rows: Iterable[Row]) -> "pa.Table":
    """Rows as an Arrow table; columns that a row lacks are null."""
    pa = arrow()
    filled = [{name: _storable(row.get(name)) for name in COLUMNS} for row in rows]
    return pa.Table.from_pylist(filled, schema=schema())


def _storable(value: Any) -> Any:
    """Texts may quote file names that are in no encoding."""
    return encode_text(value).decode() if isinstance(value, str) else value


def row_of(
    index: int,
    item_id: str,
    label: int | None,
    focus: Focus,
    truth: MatchedRegions | None,
    thresholds: Thresholds,
) -> Row:
    """The row of an image that was explained.

    Parameters
    ----------
    index : int
        Place of the image in the study.
    item_id : str
        Its id.
    label : int or None
        Its class.
    focus : Focus
        The explanation.
    truth : MatchedRegions or None
        Where the object is; without it there are no precision and no recall.
    thresholds : Thresholds
        For the type of behaviour.
    """
    said = focus.prediction
    predicted, probability = (None, None) if said is None else (said.index, said.probability)
    row: Row = {
        "index": index,
        "id": item_id,
        "label": label,
        "prediction": predicted,
        "probability": None if probability is None else round(probability, _DIGITS),
        "correct": None if label is None or predicted is None else label == predicted,
        "num_regions": focus.num_regions,
        "region_ids": focus.region_ids.tolist(),
        "areas": focus.areas.tolist(),
        "removal": focus.provenance.removal,
        "reading": focus.reading,
        "final_states": st.pack(focus.final_states).reshape(-1).tolist(),
        "formula": focus.formula,
        "literals": count_literals(focus.expression),
        "evaluations": focus.certificate.evaluations,
    }
    if truth is not None:
        row["region_iou"] = truth.iou.tolist()
        row["region_coverage"] = truth.coverage.tolist()
        row["region_known"] = truth.known.tolist() if (truth.known < 1).any() else None
        row["truth_regions"] = focus.region_ids[truth.regions].tolist()
        row["truth_area"] = math.fsum((focus.areas * truth.known)[truth.regions].tolist())
    for cut in cuts_of(focus):
        row.update({f"{cut.reading}_{name}": value for name, value in _measured(cut, truth, thresholds).items()})
    certificate = focus.certificate.to_dict()
    row.update({f"certificate_{name}": certificate[name] for name in _CERTIFICATE})
    return row


def error_row(index: int, item_id: str, label: int | None, error: BaseException) -> Row:
    """The row of an image that could not be read, cut or explained."""
    return {"index": index, "id": item_id, "label": label, "error": error_text(error)}


def error_text(error: BaseException) -> str:
    """An exception in one line that is the same in every process: its type and message without addresses."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def cuts_of(focus: Focus) -> list[Focus]:
    """The focus in its own reading and in those that can be had from it without asking the model."""
    cuts = [focus] if focus.reading == "smallest" else [focus, focus.smallest()]
    return [*cuts, focus.minimal()] if focus.reading == "irreducible" else cuts


def states_of(row: Mapping[str, Any]) -> NDArray[np.bool_]:
    """The final states of a row, (S, M) bool, columns in the order of its ``region_ids``."""
    num_regions = int(row["num_regions"])
    packed = np.array(row["final_states"], dtype=np.uint64).reshape(-1, st.num_words(num_regions))
    return st.unpack(packed, num_regions)


def timed(name: str) -> bool:
    """Whether a column is one of the clock's or of the run's course, which may differ between two runs."""
    return name.endswith("_seconds") or name == "tries"


def same_rows(one: "pa.Table", other: "pa.Table") -> bool:
    """Whether two tables hold the same rows, bit for bit, apart from the clock's columns."""
    kept = [name for name in one.column_names if not timed(name)]
    if kept != [name for name in other.column_names if not timed(name)]:
        return False
    return bool(_exact(one.select(kept).to_pylist()) == _exact(other.select(kept).to_pylist()))


def _exact(value: Any) -> Any:
    """Values in a form in which NaN equals NaN, and 0.0 does not equal -0.0."""
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, dict):
        return {key: _exact(entry) for key, entry in value.items()}
    return [_exact(entry) for entry in value] if isinstance(value, list) else value


def _measured(focus: Focus, truth: MatchedRegions | None, thresholds: Thresholds) -> Row:
    states, areas = focus.final_states, focus.areas
    sizes = states.sum(axis=1)
    divergence = focus_divergence(states, areas)
    known: Row = {
        "count": len(states),
        "size": float(sizes.mean()) if len(sizes) else math.nan,
        "divergence": divergence,
    }
    if truth is None:
        return known
    known_areas = areas * truth.known
    precision, recall = (measure(states, truth.regions, known_areas) for measure in (focus_precision, focus_recall))
    kind: str = behaviour(precision, recall, divergence, thresholds).kind
    return {**known, "precision": precision, "recall": recall, "behaviour": kind}


def columns_of(names: Sequence[str], table: "pa.Table") -> dict[str, list[Any]]:
    """Some columns of a table as lists."""
    return {name: table.column(name).to_pylist() for name in names}
