"""Levels of a zoom: what is enough among parts of regions, and how the levels hang together."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.claims import contradictions
from captum_focalogic.errors import InputError

if TYPE_CHECKING:
    from captum_focalogic.focus import Focus

ZoomStop = Literal["area", "size", "levels", "nothing", "max_evaluations", "time_limit", "interrupted"]
"""Why a zoom went no further."""


@dataclass(frozen=True, eq=False)
class ZoomLevel:
    """One level of a zoom: parts of regions, and the sets of them that are enough.

    Attributes
    ----------
    focus : Focus
        Over the regions of this level: parts, and regions that were not cut. Its final states were looked for within
        what the level before had kept, with everything else dropped, and keep the prediction under both removals; so
        says ``focus.evaluated.valid`` of every state. Its names are such as ``6.2``, its ``parents`` lead up to the
        coarse regions.
    holds : tuple of bool
        Whether each final state keeps the prediction under the second removal.
    within : tuple of int
        Regions of this level that the search had to choose from; all others were dropped by coarser levels.
    """

    focus: "Focus"
    holds: tuple[bool, ...]
    within: tuple[int, ...]

    @property
    def strongest(self) -> NDArray[np.bool_]:
        """The final state of the least area, (M,)."""
        state: NDArray[np.bool_] = self.focus.final_states[self.focus.strongest[0]]
        return state

    @property
    def area(self) -> float:
        """Share of the image in it."""
        return float(self.focus.areas[self.strongest].sum())

    @property
    def stands(self) -> bool:
        """Whether it keeps the prediction under both removals."""
        return self.holds[int(self.focus.strongest[0])]


@dataclass(frozen=True, eq=False)
class Zoom:
    """From the regions of a focus to their parts, level by level.

    Attributes
    ----------
    second : str
        What regions are filled with under the second removal.
    coarse_holds : tuple of bool
        Whether the strongest final states of the coarse focus, in the order of its ``strongest``, keep the prediction
        under the second removal. Where none does, a larger set of coarse regions that does was zoomed into.
    levels : tuple of ZoomLevel
        From coarse to fine.
    stopped : {"area", "size", "levels", "nothing", "max_evaluations", "time_limit", "interrupted"}
        Why it went no further: another level did not shrink the area, or would have had too small parts; all levels
        were done; nothing smaller than the whole holds under both removals; the budget or the time was spent.
    evaluations : int
        States that the model was asked about under both removals, the coarse search included.
    """

    second: str
    coarse_holds: tuple[bool, ...]
    levels: tuple[ZoomLevel, ...]
    stopped: ZoomStop
    evaluations: int

    @property
    def answer(self) -> "Focus | None":
        """The finest level that stands; None where none does."""
        standing = [level.focus for level in self.levels if level.stands]
        return standing[-1] if standing else None


def with_shared(focus: "Focus") -> "Focus":
    """A focus whose levels have what is said once of all: image, class, prediction, provenance, names of regions."""
    if focus.zoom is None:
        return focus
    levels = tuple(
        replace(
            level,
            focus=replace(
                level.focus,
                target=focus.target,
                target_name=focus.target_name,
                prediction=focus.prediction,
                provenance=focus.provenance,
                image=focus.image,
                names=part_names(level.focus.region_ids, level.focus.parents, focus.names),
            ),
        )
        for level in focus.zoom.levels
    )
    return replace(focus, zoom=replace(focus.zoom, levels=levels))


def part_names(
    region_ids: NDArray[np.int64], parents: Mapping[int, int], names: Mapping[int, str] | None = None
) -> dict[int, str]:
    """What parts are called: ``6.2`` is the second part of region 6, ``6.2.1`` the first part of that one.

    Parameters
    ----------
    region_ids : (M,) int64
        Regions and parts; those that are no parts and have no name are left out.
    parents : mapping of int to int
        The region that each part is a part of.
    names : mapping of int to str, optional
        What whole regions are called; their number by default.
    """
    parts: dict[int, list[int]] = {}
    for part in sorted(parents):
        parts.setdefault(parents[part], []).append(part)

    def name(region: int) -> str:
        if region not in parents:
            return (names or {}).get(region, str(region))
        return f"{name(parents[region])}.{1 + parts[parents[region]].index(region)}"

    return {region: name(region) for region in region_ids.tolist() if region in parents or region in (names or {})}


def coarse_of(region: int, parents: Mapping[int, int]) -> int:
    """The region, itself no part, that a region lies in."""
    while region in parents:
        region = parents[region]
    return region


def read_zoom(stored: Mapping[str, Any], coarse: "Focus", made_of: "type[Focus]") -> Zoom:
    """A zoom from the fields that :func:`~captum_focalogic.focus_file.read_fields` gives."""
    levels = []
    for level in stored["levels"]:
        own = made_of(**level["focus"])
        contradiction = next(contradictions(own), None)
        if contradiction:
            raise InputError(f"the field 'zoom' of the focus cannot be: {contradiction}")
        if len(level["holds"]) != len(own.final_states) or not len(own.final_states):
            raise InputError("the field 'zoom' of the focus cannot be: each level needs final states that hold or fall")
        if not set(level["within"]) <= set(own.region_ids.tolist()):
            raise InputError("the field 'zoom' of the focus cannot be: a level names regions that it does not have")
        if coarse.label_map is None or own.label_map is None or own.label_map.shape != coarse.label_map.shape:
            raise InputError("the field 'zoom' of the focus cannot be: its label maps must be of the coarse one's size")
        levels.append(ZoomLevel(own, level["holds"], level["within"]))
    if stored["stopped"] not in get_args(ZoomStop):
        raise InputError(f"the field 'zoom' of the focus cannot be: it stopped for {stored['stopped']!r}")
    return Zoom(stored["second"], stored["coarse_holds"], tuple(levels), stored["stopped"], stored["evaluations"])
