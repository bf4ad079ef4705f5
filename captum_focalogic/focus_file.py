"""The file form of a focus: plain JSON types, readable where it matters, with checksums. Format 1 is read as well.

Whatever comes from a file is checked before it is believed, and before memory is taken for it: an array may be no
larger than its compressed form can honestly hold. Every refusal names the field.
"""

import base64
import binascii
import math
import re
import zlib
from collections.abc import Callable
from dataclasses import asdict, replace
from dataclasses import fields as fields_of
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.errors import InputError
from captum_focalogic.fingerprint import checksum
from captum_focalogic.provenance import MAX_TOP, REMOVALS, Prediction, Provenance
from captum_focalogic.search import states as st
from captum_focalogic.search.certificate import Certificate
from captum_focalogic.search.critical import CriticalSets
from captum_focalogic.search.record import Evaluated
from captum_focalogic.trust import Repeats, SecondFill, Share, Trust

if TYPE_CHECKING:
    from captum_focalogic.focus import Focus
    from captum_focalogic.levels import Zoom

FAMILY = "captum-focalogic/focus/"
FORMAT = f"{FAMILY}2"
OLD_FORMAT = f"{FAMILY}1"

MAX_PIXELS = 1 << 27
"""Pixels of the largest label map that is read."""

RATIO = 64
"""Bytes of memory that one compressed byte may stand for, beyond what is free."""

FREE = 1 << 23
"""Bytes of memory that any array may take, however well it is compressed."""

FREE_OLD_MAP = 1 << 26
"""The same for the label maps and images of format 1, whose writer did not keep to the ratio."""

_UNCHECKED = ("format", "expression", "checksums")
"""Fields without a checksum. The formula is there for the eye: it follows from the states, and is never read."""

_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError)

Fields = dict[str, Any]
T = TypeVar("T")


def write_fields(focus: "Focus") -> Fields:
    """A focus as plain JSON types.

    Raises
    ------
    InputError
        If its label map holds regions that it does not have.
    """
    fields: Fields = {
        "format": FORMAT,
        "target": list(focus.target) if isinstance(focus.target, tuple) else focus.target,
        "target_name": focus.target_name,
        "prediction": None if focus.prediction is None else asdict(focus.prediction),
        "expression": focus.formula,
        "final_states": [focus.region_ids[state].tolist() for state in focus.final_states],
        "unfinished": np.flatnonzero(focus.unfinished).tolist(),
        "region_ids": focus.region_ids.tolist(),
        "areas": focus.areas.tolist(),
        "names": {str(region): name for region, name in focus.names.items()},
        "parents": {str(part): int(whole) for part, whole in focus.parents.items()},
        "provenance": {part.name: getattr(focus.provenance, part.name) for part in fields_of(Provenance)},
        "certificate": focus.certificate.to_dict(),
        "evaluated": _write_evaluated(focus.evaluated),
        "critical": None if focus.critical is None else _write_critical(focus.critical, focus.region_ids),
        "trust": None if focus.trust is None else asdict(focus.trust),
        "further": None if focus.further is None else _write_evaluated(focus.further),
        "label_map": None if focus.label_map is None else _encode_map(focus.label_map, focus.region_ids),
        "zoom": None if focus.zoom is None else _write_zoom(focus.zoom),
        "image": None if focus.image is None else _encode(focus.image, "|u1"),
    }
    if fields["zoom"] is None:
        del fields["zoom"]
    fields["provenance"]["versions"] = dict(focus.provenance.versions)
    return seal(fields)


_OF_LEVEL = (
    *("final_states", "unfinished", "region_ids", "areas", "names", "parents"),
    *("certificate", "evaluated", "label_map", "expression"),
)
"""Fields of a zoom's level: the others are those of the coarse focus."""


def _write_zoom(zoom: "Zoom") -> Fields:
    levels = []
    for level in zoom.levels:
        fields = write_fields(level.focus)
        own = {name: fields[name] for name in _OF_LEVEL}
        levels.append({"holds": list(level.holds), "within": list(level.within), "focus": own})
    return {
        "second": zoom.second,
        "coarse_holds": list(zoom.coarse_holds),
        "levels": levels,
        "stopped": zoom.stopped,
        "evaluations": zoom.evaluations,
    }


def _read_zoom(stored: Any) -> Fields | None:
    """The zoom's fields; of each level what a focus is made of, less what it shares with the coarse one."""
    if stored is None:
        return None
    return {
        "second": _text(stored["second"]),
        "coarse_holds": tuple(_flag(holds) for holds in stored["coarse_holds"]),
        "levels": [
            {
                "holds": tuple(_flag(holds) for holds in level["holds"]),
                "within": tuple(_whole(region) for region in level["within"]),
                "focus": _read_level(level["focus"]),
            }
            for level in stored["levels"]
        ],
        "stopped": stored["stopped"],
        "evaluations": _whole(stored["evaluations"]),
    }


def _read_level(fields: Any) -> Fields:
    read = _read_regions(fields, newest=True)
    return read | _read_parts(fields, len(read["final_states"]))


def seal(fields: Fields) -> Fields:
    """The fields with a checksum of each beside them."""
    sums = {name: checksum(value) for name, value in fields.items() if name not in _UNCHECKED}
    return {**fields, "checksums": sums}


def read_fields(fields: Any) -> Fields:
    """What :class:`~captum_focalogic.focus.Focus` is made of, from the fields of its file form.

    Raises
    ------
    InputError
        If they are not those of a focus, or not as they were written. The message names the field.
    """
    stated = fields.get("format") if isinstance(fields, dict) else None
    if stated not in (FORMAT, OLD_FORMAT):
        known = f"this version reads {OLD_FORMAT!r} and {FORMAT!r}"
        if isinstance(stated, str) and re.fullmatch(re.escape(FAMILY) + r"[1-9]\d{0,5}", stated):
            raise InputError(f"this focus has the format {stated!r}, of a newer version of captum_focalogic; {known}")
        raise InputError(f"a focus must be an object with its format; {known}")
    newest = stated == FORMAT
    if newest:
        _check_sums(fields)
    read = _read_regions(fields, newest)
    region_ids, label_map = read["region_ids"], read["label_map"]
    free = FREE if newest else FREE_OLD_MAP

    def read_image(stored: Any) -> NDArray[Any] | None:
        if stored is None:
            return None
        if label_map is None:
            raise InputError("there is no label map beside it")
        return _decode(stored, "|u1", (*label_map.shape, 3), free=free)

    read["target"] = _field(fields, "target", _read_target)
    read["image"] = _field({"image": None, **fields}, "image", read_image)
    if newest:
        read |= _read_parts(fields, len(read["final_states"]))
        read |= {
            "target_name": _field(fields, "target_name", _text_or_none),
            "prediction": _field(fields, "prediction", _read_prediction),
            "provenance": _field(fields, "provenance", _read_provenance),
            "critical": _field(fields, "critical", lambda stored: _read_critical(stored, region_ids)),
            "trust": _field(fields, "trust", _read_trust),
            "further": _field({"further": None, **fields}, "further", lambda stored: _read_further(stored, region_ids)),
            "zoom": _field({"zoom": None, **fields}, "zoom", _read_zoom),
        }
    return read


def _read_regions(fields: Fields, newest: bool) -> Fields:
    """Regions, final states and what is known of them."""
    region_ids = _field(fields, "region_ids", _read_ids)
    return {
        "region_ids": region_ids,
        "final_states": _field(fields, "final_states", lambda stored: _read_states(stored, region_ids)),
        "label_map": _field(fields, "label_map", lambda stored: _read_map(stored, region_ids, newest)),
        "areas": _field(fields, "areas", lambda stored: np.array([float(a) for a in stored], dtype=np.float64)),
        "names": _field(fields, "names", lambda stored: {_read_id(key): str(name) for key, name in stored.items()}),
        "certificate": _field(fields, "certificate", Certificate.from_dict),
        "evaluated": _field(fields, "evaluated", lambda stored: _read_evaluated(stored, len(region_ids))),
    }


def _read_parts(fields: Fields, num_states: int) -> Fields:
    """What regions are parts of, and which states are unfinished."""
    return {
        "parents": _field(fields, "parents", lambda stored: {_read_id(k): _whole(v) for k, v in stored.items()}),
        "unfinished": _field(fields, "unfinished", lambda stored: _read_flags(stored, num_states)),
    }


def _field(fields: Fields, name: str, read: Callable[[Any], T]) -> T:
    """One field, read; whatever is wrong with it is said with its name."""
    if name not in fields:
        raise InputError(f"the field {name!r} of the focus is missing")
    try:
        return read(fields[name])
    except InputError as error:
        raise InputError(f"the field {name!r} of the focus cannot be: {error}") from error
    except _MALFORMED as error:
        raise InputError(f"the field {name!r} of the focus is malformed: {error!r}") from error


def _check_sums(fields: Fields) -> None:
    sums = fields.get("checksums")
    if not isinstance(sums, dict):
        raise InputError("the field 'checksums' of the focus is missing or malformed")
    checked = {name for name in fields if name not in _UNCHECKED}
    lacking, alone = sorted(sums.keys() - checked), sorted(checked - sums.keys())
    if lacking:
        raise InputError(f"fields of the focus are missing: {', '.join(map(repr, lacking))}")
    if alone:
        raise InputError(f"fields of the focus have no checksum: {', '.join(map(repr, alone))}")
    for name in sorted(checked):
        if sums[name] != _field(fields, name, checksum):
            raise InputError(f"the field {name!r} of the focus is not as it was written: its checksum differs")


def _read_ids(stored: Any) -> NDArray[np.int64]:
    return np.array([_whole(region) for region in stored], dtype=np.int64)


def _read_states(stored: Any, region_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    if not isinstance(stored, list) or not all(isinstance(regions, list) for regions in stored):
        raise InputError("it must be a list of lists of region ids")
    room = FREE_OLD_MAP + RATIO * 8 * (len(region_ids) + sum(map(len, stored)))
    if len(stored) * len(region_ids) > room:
        raise InputError(f"{len(stored):,} states over {len(region_ids):,} regions are more than it can hold")
    column = {int(region): j for j, region in enumerate(region_ids)}
    states = np.zeros((len(stored), len(region_ids)), dtype=np.bool_)
    for row, regions in enumerate(stored):
        columns = [column.get(_whole(region), -1) for region in regions]
        if -1 in columns or len(set(columns)) < len(columns):
            raise InputError(f"{regions} must be distinct regions of region_ids")
        states[row, columns] = True
    return states


def _read_flags(stored: Any, count: int) -> NDArray[np.bool_]:
    flags = np.zeros(count, dtype=np.bool_)
    for row in stored:
        if not 0 <= _whole(row) < count:
            raise InputError(f"there is no set {row}")
        if flags[row]:
            raise InputError(f"the set {row} is named twice")
        flags[row] = True
    return flags


def _read_map(stored: Any, region_ids: NDArray[np.int64], newest: bool) -> NDArray[np.int64] | None:
    if stored is None:
        return None
    shape = _shape(stored)
    if len(shape) != 2:
        raise InputError(f"a label map has two dimensions; this has the shape {shape}")
    if math.prod(shape) > MAX_PIXELS:
        raise InputError(f"a label map of {shape[1]}x{shape[0]} pixels is announced; at most {MAX_PIXELS:,} are read")
    if not newest:
        label_map = _decode(stored, "<i8", shape, free=FREE_OLD_MAP)
        if not np.isin(label_map, region_ids).all():
            raise InputError("it holds regions that region_ids does not")
        return label_map
    dtype = _column_type(len(region_ids))
    columns = _decode(stored, dtype, shape, in_memory=8)
    if columns.size and int(columns.max()) >= len(region_ids):
        raise InputError("it holds regions that region_ids does not")
    found: NDArray[np.int64] = region_ids[columns]
    return found


def _write_evaluated(evaluated: Evaluated) -> Fields:
    fields = {
        "total": evaluated.total,
        "packed": _encode(evaluated.packed, "<u8"),
        "valid": _encode(evaluated.valid, "|b1"),
        "score": _encode(evaluated.score, "<f4"),
        "predicted": None if evaluated.predicted is None else _encode(evaluated.predicted, "<i8"),
        "probability": None if evaluated.probability is None else _encode(evaluated.probability, "<f4"),
    }
    if evaluated.top is not None and evaluated.top_probability is not None:
        fields["top"] = _encode(evaluated.top, "<i8")
        fields["top_probability"] = _encode(evaluated.top_probability, "<f4")
        fields["class_names"] = {str(index): name for index, name in evaluated.class_names.items()}
    return fields


def _read_further(stored: Any, region_ids: NDArray[np.int64]) -> Evaluated | None:
    """States with their highest classes."""
    if stored is None:
        return None
    evaluated = _read_evaluated(stored, len(region_ids))
    if stored.get("top") is None:
        return evaluated
    shape = _shape(stored["top"])
    if len(shape) != 2 or shape[0] != len(evaluated) or shape[1] > MAX_TOP:
        raise InputError(f"{len(evaluated)} states need at most {MAX_TOP} classes each; got the shape {shape}")
    share = _decode(stored["top_probability"], "<f4", shape)
    if not ((share >= -1) & (share <= 1 + 1e-4)).all():
        raise InputError("the classes' probabilities must lie between 0 and 1")
    return replace(
        evaluated,
        top=_decode(stored["top"], "<i8", shape),
        top_probability=share,
        class_names={_read_id(key): _text(name) for key, name in stored["class_names"].items()},
    )


def _read_evaluated(stored: Any, num_regions: int) -> Evaluated:
    total = _whole(stored["total"])
    shape = _shape(stored["packed"])
    if len(shape) != 2 or shape[1] != st.num_words(num_regions):
        raise InputError(f"the states asked must have {st.num_words(num_regions)} word(s) each; got the shape {shape}")
    count = shape[0]
    if count > total:
        raise InputError(f"{count:,} states are recorded, and only {total:,} are said to have been asked")

    def read(name: str, dtype: str) -> NDArray[Any]:
        return _decode(stored[name], dtype, (count,))

    def read_if_any(name: str, dtype: str) -> NDArray[Any] | None:
        return None if stored.get(name) is None else read(name, dtype)

    evaluated = Evaluated(
        packed=_decode(stored["packed"], "<u8", shape),
        valid=read("valid", "|b1"),
        score=read("score", "<f4"),
        num_regions=num_regions,
        total=total,
        predicted=read_if_any("predicted", "<i8"),
        probability=read_if_any("probability", "<f4"),
    )
    if np.any(evaluated.packed & ~st.full(num_regions)):
        raise InputError(f"the states asked hold more than the {num_regions} regions")
    return evaluated


def _read_target(stored: Any) -> int | tuple[int, ...] | None:
    if stored is None:
        return None
    return tuple(_whole(index) for index in stored) if isinstance(stored, list) else _whole(stored)


def _read_prediction(stored: Any) -> Prediction | None:
    if stored is None:
        return None
    top = tuple((_whole(index), _text_or_none(name), _number(share)) for index, name, share in stored["top"])
    if len(top) > MAX_TOP:
        raise InputError(f"it names {len(top)} classes; at most {MAX_TOP} are kept")
    probability = stored["probability"]
    return Prediction(
        _whole(stored["index"]),
        _text_or_none(stored["name"]),
        None if probability is None else _number(probability),
        top,
    )


def _read_provenance(stored: Any) -> Provenance:
    known = {part.name for part in fields_of(Provenance)}
    if stored.keys() != known:
        raise InputError(f"it must say {sorted(known)}; it says {sorted(map(str, stored))}")
    if stored["removal"] not in (None, *REMOVALS):
        raise InputError(f"removal must be one of {', '.join(REMOVALS)}; got {stored['removal']!r}")
    texts = {name: _text_or_none(stored[name]) for name in sorted(known - {"seed", "versions"})}
    versions = {str(name): _text_or_none(version) or "" for name, version in stored["versions"].items()}
    seed = stored["seed"]
    return Provenance(**texts, seed=None if seed is None else _whole(seed), versions=versions)  # type: ignore[arg-type]


def _write_critical(critical: CriticalSets, region_ids: NDArray[np.int64]) -> Fields:
    return {
        "dropped": [region_ids[state].tolist() for state in critical.states],
        "predicted": None if critical.predicted is None else critical.predicted.tolist(),
        "probability": _encode(critical.probability, "<f4"),
        "needed": np.flatnonzero(critical.needed).tolist(),
        "valid_asked": critical.valid_asked,
        "asked": critical.asked,
        "complete_up_to": critical.complete_up_to,
        "names": list(critical.names),
    }


def _read_critical(stored: Any, region_ids: NDArray[np.int64]) -> CriticalSets | None:
    if stored is None:
        return None
    states = _read_states(stored["dropped"], region_ids)
    predicted = stored["predicted"]
    if predicted is not None and len(predicted) != len(states):
        raise InputError(f"{len(states)} sets need a class each; got {len(predicted)}")
    if len(stored["names"]) not in (0, len(states)):
        raise InputError(f"{len(states)} sets need a name each, or none; got {len(stored['names'])}")
    if _whole(stored["asked"]) < max(len(region_ids), len(states)):
        raise InputError(f"{len(region_ids)} regions alone are more than the {stored['asked']} sets said to be asked")
    if _whole(stored["complete_up_to"]) not in (1, 2):
        raise InputError(f"complete_up_to must be 1 or 2; got {stored['complete_up_to']}")
    return CriticalSets(
        states=states,
        predicted=None if predicted is None else _read_ids(predicted),
        probability=_decode(stored["probability"], "<f4", (len(states),)),
        needed=_read_flags(stored["needed"], len(states)),
        valid_asked=_whole(stored["valid_asked"]),
        asked=_whole(stored["asked"]),
        complete_up_to=_whole(stored["complete_up_to"]),
        names=tuple(_text_or_none(name) for name in stored["names"]),
    )


def _read_trust(stored: Any) -> Trust | None:
    if stored is None:
        return None
    fill, repeats = stored["second_fill"], stored["repeats"]
    return Trust(
        soundness=_read_share(stored["soundness"]),
        coverage=_read_share(stored["coverage"]),
        constant=_part_of_one(stored["constant"]),
        second_fill=None if fill is None else _read_fill(fill),
        repeats=None if repeats is None else _read_repeats(repeats),
    )


def _read_fill(stored: Any) -> SecondFill:
    region_sets = tuple(tuple(_whole(region) for region in regions) for regions in stored["region_sets"])
    holds = tuple(_flag(holds) for holds in stored["holds"])
    distinct = {frozenset(regions) for regions in region_sets if len(set(regions)) == len(regions)}
    if not len(holds) == len(region_sets) == len(distinct):
        raise InputError(f"{len(region_sets)} distinct sets need a verdict each; got {len(holds)}")
    return SecondFill(_text(stored["baseline"]), region_sets, holds)


def _read_repeats(stored: Any) -> Repeats:
    repeats = Repeats(_whole(stored["asked"]), _whole(stored["differed"]), _flag(stored["certain"]))
    if not 0 <= repeats.differed <= repeats.asked or (not repeats.certain and not repeats.differed):
        raise InputError(f"of {repeats.asked} states asked again, {repeats.differed} cannot have differed")
    return repeats


def _read_share(stored: Any) -> Share:
    share = Share(_number(stored["share"]), _number(stored["low"]), _number(stored["high"]), _whole(stored["asked"]))
    numbers = (share.low, share.share, share.high)
    if all(map(math.isnan, numbers)):
        return share
    if not 0 <= share.low <= share.share + _ROUNDED <= share.high + 2 * _ROUNDED <= 1 + 3 * _ROUNDED or share.asked < 1:
        raise InputError(f"a share of {share.asked} sets lies within its interval, from 0 to 1; got {numbers}")
    return share


def _part_of_one(value: Any) -> float:
    if not 0 <= _number(value) <= 1:
        raise InputError(f"it must be a share from 0 to 1; got {value!r}")
    return float(value)


_ROUNDED = 1e-9


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"it must be true or false; got {value!r}")
    return value


def _read_id(text: str) -> int:
    if str(int(text)) != text:
        raise InputError(f"a region id must be a whole number; got {text!r}")
    return int(text)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"it must hold whole numbers; got {value!r}")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"it must hold numbers; got {value!r}")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"it must hold text; got {value!r}")
    return value


def _text_or_none(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InputError(f"it must hold text; got {value!r}")
    return value


def _column_type(num_regions: int) -> str:
    """The smallest type that holds every column."""
    return "|u1" if num_regions <= 1 << 8 else "<u2" if num_regions <= 1 << 16 else "<u4"


def _encode_map(label_map: NDArray[np.int64], region_ids: NDArray[np.int64]) -> Fields:
    columns = np.minimum(np.searchsorted(region_ids, label_map), len(region_ids) - 1)
    if not np.array_equal(region_ids[columns], label_map):
        raise InputError("the label map of this focus holds regions that region_ids does not, so it cannot be stored")
    return _encode(columns, _column_type(len(region_ids)), in_memory=8)


def _encode(values: NDArray[Any], dtype: str, in_memory: int | None = None) -> Fields:
    octets = np.ascontiguousarray(values, dtype=dtype).tobytes()
    packed = zlib.compress(octets)
    if values.size * (in_memory or np.dtype(dtype).itemsize) > FREE + RATIO * len(packed):
        # So well compressed that a reader could not tell it from an attack. Without matches it is at most 8 : 1.
        packer = zlib.compressobj(strategy=zlib.Z_HUFFMAN_ONLY)
        packed = packer.compress(octets) + packer.flush()
    return {"shape": list(values.shape), "zlib": base64.b64encode(packed).decode("ascii")}


def _shape(stored: Any) -> tuple[int, ...]:
    shape = tuple(_whole(size) for size in stored["shape"])
    if min(shape, default=0) < 0:
        raise InputError(f"an array cannot have the shape {shape}")
    return shape


def _decode(
    stored: Any, dtype: str, shape: tuple[int, ...], *, in_memory: int | None = None, free: int = FREE
) -> NDArray[Any]:
    """An array of this shape; ``in_memory`` bytes an element count where it is to become wider than it is stored."""
    if _shape(stored) != shape:
        raise InputError(f"a compressed array must have the shape {shape}; it announces {_shape(stored)}")
    try:
        packed = base64.b64decode(stored["zlib"], validate=True)
        count = math.prod(shape)
        expected = count * np.dtype(dtype).itemsize
        if count * (in_memory or np.dtype(dtype).itemsize) > free + RATIO * len(packed):
            raise InputError(f"a compressed array announces {count:,} values, more than its {len(packed):,} bytes hold")
        octets = zlib.decompressobj().decompress(packed, expected + 1)
    except (zlib.error, binascii.Error) as error:
        raise InputError(f"a compressed array is damaged: {error}") from error
    if len(octets) != expected:
        raise InputError(f"a compressed array does not hold the {shape} values it announces")
    if dtype == "|b1" and octets.translate(None, b"\0\1"):
        raise InputError("a compressed array holds flags that are neither true nor false")
    return np.frombuffer(octets, dtype=dtype).astype(np.dtype(dtype).newbyteorder("=")).reshape(shape)
