"""The explanation of one decision: its final states, and what is known about them."""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.errors import InputError
from captum_focalogic.search import states as st
from captum_focalogic.search.certificate import Certificate, Completeness, Reading
from captum_focalogic.search.record import Evaluated

if TYPE_CHECKING:
    import sympy

FORMAT = "captum-focalogic/focus/1"


@dataclass(frozen=True, eq=False)
class Focus:
    """Final states of one decision (paper section 3.2), with everything needed to read, check and store them.

    Attributes
    ----------
    region_ids : (M,) int64
        Feature mask value of each region, ascending: the column order of every state.
    areas : (M,) float64
        Share of the input's elements in each region; sums to 1.
    final_states : (S, M) bool
        True where a region is kept. Smallest first, then in lexicographic order.
    certificate : Certificate
        What was checked.
    evaluated : Evaluated
        Every state the model was asked about, with verdict and score.
    label_map : (H, W) int64 or None
        Region id of every pixel, where the input is one image.
    target : int, tuple of int or None
        The class that was explained; None for outputs without classes.
    names : mapping of int to str
        What regions are called, where known.
    """

    region_ids: NDArray[np.int64]
    areas: NDArray[np.float64]
    final_states: NDArray[np.bool_]
    certificate: Certificate
    evaluated: Evaluated
    label_map: NDArray[np.int64] | None = None
    target: int | tuple[int, ...] | None = None
    names: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        num_regions = len(self.region_ids)
        shapes = {
            "areas": (np.shape(self.areas), (num_regions,)),
            "final_states": (np.shape(self.final_states), (len(self.final_states), num_regions)),
        }
        for name, (given, expected) in shapes.items():
            if given != expected:
                raise InputError(f"{name} must have shape {expected} for {num_regions} regions; got {given}")
        if num_regions == 0 or np.any(np.diff(self.region_ids) <= 0):
            raise InputError(f"region_ids must be distinct and ascending, at least one; got {self.region_ids}")
        if self.evaluated.num_regions != num_regions or self.certificate.num_regions != num_regions:
            raise InputError(f"evaluated and certificate must be about the same {num_regions} regions as region_ids")

    @property
    def reading(self) -> Reading:
        """What "final" means here: "irreducible", "minimal" or "smallest"."""
        return self.certificate.reading

    @property
    def num_regions(self) -> int:
        """M."""
        return len(self.region_ids)

    @cached_property
    def expression(self) -> "sympy.Basic":
        """T(V), factored: true exactly for the region sets that contain a final state (paper section 3.3)."""
        from captum_focalogic.logic import to_expression

        return to_expression(self.final_states, self.region_ids)

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Share of the final states that keep each region, (M,); zeros if there is no final state."""
        if not len(self.final_states):
            return np.zeros(self.num_regions)
        return cast(NDArray[np.float64], self.final_states.mean(axis=0))

    @property
    def shared(self) -> NDArray[np.bool_]:
        """Regions that every final state keeps, (M,)."""
        shared: NDArray[np.bool_] = self.frequencies == 1
        return shared

    @property
    def used(self) -> NDArray[np.bool_]:
        """Regions that some final state keeps, (M,)."""
        used: NDArray[np.bool_] = self.frequencies > 0
        return used

    def region_sets(self) -> list[frozenset[int]]:
        """The final states as sets of region ids."""
        return [frozenset(self.region_ids[state].tolist()) for state in self.final_states]

    def minimal(self) -> "Focus":
        """The final states that contain no other one."""
        if self.reading != "irreducible":
            return self
        kept = st.absorb(st.pack(self.final_states))
        return self._cut(kept, "minimal", "those irreducible states that contain no other one (absorption)")

    def smallest(self) -> "Focus":
        """The final states with the fewest regions."""
        if self.reading == "smallest":
            return self
        packed = st.pack(self.final_states)
        sizes = st.cardinality(packed)
        kept = packed[sizes == sizes.min()] if len(packed) else packed
        return self._cut(kept, "smallest", f"the {self.reading} states of least cardinality")

    def _cut(self, packed: st.Packed, reading: Reading, derived: str) -> "Focus":
        old = self.certificate
        certificate = replace(
            old,
            reading=reading,
            complete=_completeness_of_cut(old, packed),
            derived=f"{old.derived}; {derived}" if old.derived else derived,
        )
        states = st.unpack(st.canonical_order(packed, self.num_regions), self.num_regions)
        return replace(self, final_states=states, certificate=certificate)

    def to_json(self) -> str:
        """The focus as JSON text; :meth:`from_json` reads it back, bit for bit."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False)

    def to_dict(self) -> dict[str, Any]:
        """The focus as plain JSON types; states of interest readable, bulk data compressed."""
        return {
            "format": FORMAT,
            "target": list(self.target) if isinstance(self.target, tuple) else self.target,
            "expression": str(self.expression),
            "final_states": [self.region_ids[state].tolist() for state in self.final_states],
            "region_ids": self.region_ids.tolist(),
            "areas": self.areas.tolist(),
            "names": {str(region): name for region, name in self.names.items()},
            "certificate": self.certificate.to_dict(),
            "evaluated": {
                "total": self.evaluated.total,
                "packed": _encode(self.evaluated.packed, "<u8"),
                "valid": _encode(self.evaluated.valid, "|b1"),
                "score": _encode(self.evaluated.score, "<f4"),
            },
            "label_map": None if self.label_map is None else _encode(self.label_map, "<i8"),
        }

    @classmethod
    def from_json(cls, text: str) -> "Focus":
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        InputError
            If the text is not JSON, or not a focus.
        """
        try:
            fields = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise InputError(f"a focus must be JSON text; this is not: {error}") from error
        return cls.from_dict(fields)

    @classmethod
    def from_dict(cls, fields: Any) -> "Focus":
        """Read what :meth:`to_dict` gave; raises :class:`InputError` if it is not a focus."""
        if not isinstance(fields, dict) or fields.get("format") != FORMAT:
            raise InputError(f"a focus must be an object whose format is {FORMAT!r}")
        try:
            return cls._from_fields(fields)
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(f"a field of the focus is missing or malformed: {error!r}") from error

    @classmethod
    def _from_fields(cls, fields: dict[str, Any]) -> "Focus":
        region_ids = np.array(fields["region_ids"], dtype=np.int64)
        column = {int(region): j for j, region in enumerate(region_ids)}
        final_states = np.zeros((len(fields["final_states"]), len(region_ids)), dtype=np.bool_)
        for row, regions in enumerate(fields["final_states"]):
            final_states[row, [column[region] for region in regions]] = True
        asked = fields["evaluated"]
        evaluated = Evaluated(
            packed=_decode(asked["packed"], "<u8").reshape(-1, st.num_words(len(region_ids))),
            valid=_decode(asked["valid"], "|b1").reshape(-1),
            score=_decode(asked["score"], "<f4").reshape(-1),
            num_regions=len(region_ids),
            total=int(asked["total"]),
        )
        if not len(evaluated.packed) == len(evaluated.valid) == len(evaluated.score):
            raise InputError("the states asked, their verdicts and their scores must be equally many")
        target = fields["target"]
        label_map = fields["label_map"]
        return cls(
            region_ids=region_ids,
            areas=np.array(fields["areas"], dtype=np.float64),
            final_states=final_states,
            certificate=Certificate.from_dict(fields["certificate"]),
            evaluated=evaluated,
            label_map=None if label_map is None else _decode(label_map, "<i8"),
            target=tuple(target) if isinstance(target, list) else target,
            names={int(region): str(name) for region, name in fields["names"].items()},
        )

    def save(self, path: str | Path) -> None:
        """Write :meth:`to_json` to a file."""
        Path(path).write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "Focus":
        """Read a file that :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file is not a focus.
        OSError
            If the file cannot be read.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not a focus: it is not UTF-8 text") from error
        return cls.from_json(text)

    def __repr__(self) -> str:
        return (
            f"Focus({len(self.final_states)} {self.reading} state(s) over {self.num_regions} regions, "
            f"target={self.target}, expression={self.expression})"
        )


def _completeness_of_cut(old: Certificate, packed: st.Packed) -> Completeness:
    """What a cut of certified states is certain to hold.

    Irreducible states are reached by valid deletions; a smaller valid state that no such path reaches is ruled out only
    on a monotone model. Minimal states found by size rule it out on any model, up to the size that was done.
    """
    if old.reading == "minimal":
        done = -1 if old.complete_up_to is None else old.complete_up_to
        if len(packed) and int(st.cardinality(packed)[0]) <= done:
            return "yes"
        return old.complete
    return "if monotone" if old.complete == "yes" else old.complete


def _encode(values: NDArray[Any], dtype: str) -> dict[str, Any]:
    octets = np.ascontiguousarray(values, dtype=dtype).tobytes()
    return {"shape": list(values.shape), "zlib": base64.b64encode(zlib.compress(octets)).decode("ascii")}


def _decode(stored: dict[str, Any], dtype: str) -> NDArray[Any]:
    shape = tuple(int(size) for size in stored["shape"])
    expected = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    try:
        octets = zlib.decompressobj().decompress(base64.b64decode(stored["zlib"], validate=True), expected + 1)
    except (zlib.error, binascii.Error) as error:
        raise InputError(f"a compressed array of the focus is damaged: {error}") from error
    if min(shape, default=1) < 0 or len(octets) != expected:
        raise InputError(f"a compressed array of the focus does not hold the {shape} values it announces")
    return np.frombuffer(octets, dtype=dtype).astype(np.dtype(dtype).newbyteorder("=")).reshape(shape)
