"""The explanation of one decision: its final states, and what is known about them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from dataclasses import fields as fields_of
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captum_focalogic.claims import contradictions
from captum_focalogic.errors import FileError, InputError, warn
from captum_focalogic.files import read_text, reading, write_text
from captum_focalogic.focus_file import read_fields, write_fields
from captum_focalogic.levels import Zoom, coarse_of, part_names, read_zoom, with_shared
from captum_focalogic.names import whole_number
from captum_focalogic.provenance import Prediction, Provenance
from captum_focalogic.search import states as st
from captum_focalogic.search.certificate import Certificate, Completeness, Reading
from captum_focalogic.search.critical import CriticalSets
from captum_focalogic.search.record import Evaluated
from captum_focalogic.tables import Column, Table
from captum_focalogic.trust import Trust

if TYPE_CHECKING:
    import networkx as nx
    import sympy
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from captum_focalogic.logic.naming import SameName

Number = TypeVar("Number", np.float32, np.int64)

MAX_SHOWN = 100
"""Final states up to which ``repr`` shows the formula; factoring many more takes seconds."""


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
    image : (H, W, 3) uint8 or None
        The image itself, to be shown with the explanation; None where the input is not one, or cannot be shown.
    target_name : str or None
        What the explained class is called, where known.
    prediction : Prediction or None
        What the model said to the whole input, where known.
    provenance : Provenance
        How the explanation was made, as far as it is known: criterion, baseline, removal, model, versions.
    unfinished : (S,) bool
        Final states that keep the prediction but are not yet known to have no region to spare, as the search ended
        before that. None by default.
    critical : CriticalSets or None
        What the decision does not survive the loss of, where that was asked.
    trust : Trust or None
        What the formula is worth, where that was asked.
    further : Evaluated or None
        Answers to states that people are likeliest to look at, with their highest classes: those asked beside the
        search, and the final states.
    parents : mapping of int to int
        Where regions are parts of coarser ones: the region that each is a part of. Parents may be parts themselves;
        they are no regions of the partition.
    zoom : Zoom or None
        What was found among the parts of these regions, where that was asked (:attr:`zoomed`).
    """

    region_ids: NDArray[np.int64]
    areas: NDArray[np.float64]
    final_states: NDArray[np.bool_]
    certificate: Certificate
    evaluated: Evaluated
    label_map: NDArray[np.int64] | None = None
    target: int | tuple[int, ...] | None = None
    names: Mapping[int, str] = field(default_factory=dict)
    image: NDArray[np.uint8] | None = None
    target_name: str | None = None
    prediction: Prediction | None = None
    provenance: Provenance = field(default_factory=Provenance)
    unfinished: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    parents: Mapping[int, int] = field(default_factory=dict)
    critical: CriticalSets | None = None
    trust: Trust | None = None
    further: Evaluated | None = None
    zoom: Zoom | None = None

    def __post_init__(self) -> None:
        num_regions = np.size(self.region_ids)
        if not np.any(self.unfinished):
            object.__setattr__(self, "unfinished", np.zeros(len(self.final_states), dtype=np.bool_))
        if self.certificate.num_states is None:
            object.__setattr__(self, "certificate", replace(self.certificate, num_states=len(self.final_states)))
        shapes = {
            "region_ids": (np.shape(self.region_ids), (num_regions,)),
            "areas": (np.shape(self.areas), (num_regions,)),
            "final_states": (np.shape(self.final_states), (len(self.final_states), num_regions)),
            "unfinished": (np.shape(self.unfinished), (len(self.final_states),)),
        }
        for name, (given, expected) in shapes.items():
            if given != expected:
                raise InputError(f"{name} must have shape {expected} for {num_regions} regions; got {given}")
        if num_regions == 0 or np.any(np.asarray(self.region_ids)[1:] <= np.asarray(self.region_ids)[:-1]):
            raise InputError(f"region_ids must be distinct and ascending, at least one; got {self.region_ids}")
        if not np.all(np.isfinite(self.areas) & (self.areas >= 0)):
            raise InputError(f"areas must be shares of the input, none negative; got {self.areas}")
        if self.label_map is not None and np.ndim(self.label_map) != 2:
            raise InputError(f"label_map must be an (H, W) array; got shape {np.shape(self.label_map)}")
        if self.image is not None and (
            self.label_map is None
            or np.shape(self.image) != (*np.shape(self.label_map), 3)
            or self.image.dtype != np.uint8
        ):
            raise InputError("image must be (H, W, 3) uint8 of the label map's size, and needs a label map beside it")
        if self.evaluated.num_regions != num_regions or self.certificate.num_regions != num_regions:
            raise InputError(f"evaluated and certificate must be about the same {num_regions} regions as region_ids")
        if self.further is not None and self.further.num_regions != num_regions:
            raise InputError(f"further must be about the same {num_regions} regions as region_ids")
        _check_tree(self.parents, self.region_ids)

    def __getstate__(self) -> dict[str, Any]:
        # Formulas of sympy are left out: they are quickly made again, and deep ones cannot be pickled.
        state = {part.name: getattr(self, part.name) for part in fields_of(self)}
        return state | {"names": dict(self.names), "parents": dict(self.parents)}

    @property
    def zoomed(self) -> "Focus":
        """The finest level of :attr:`zoom` that holds under both removals, over its own regions; else this focus."""
        return self if self.zoom is None or self.zoom.answer is None else self.zoom.answer

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
    def folded(self) -> "sympy.Basic":
        """:attr:`expression` with each part standing for the whole region that it lies in: where the evidence is."""
        from captum_focalogic.logic import to_expression

        whole = np.array([coarse_of(region, self.parents) for region in self.region_ids.tolist()], dtype=np.int64)
        region_ids, columns = np.unique(whole, return_inverse=True)
        states = np.zeros((len(self.final_states), len(region_ids)), dtype=np.bool_)
        for row, state in enumerate(self.final_states):
            states[row, columns[state]] = True
        return to_expression(st.unpack(st.absorb(st.pack(states)), len(region_ids)), region_ids)

    def region_tree(self) -> "nx.DiGraph[int]":
        """Regions and the parts that a zoom cut them into, as a graph of networkx (:attr:`zoomed`'s).

        Nodes are region ids, edges lead from wholes to parts. Every node has ``name`` (such as ``6.2``), ``area``,
        ``kept`` (whether some final state holds it, or a part of it), ``strongest`` (the same of the first one),
        ``part`` and ``cut``.
        """
        from captum_focalogic.logic import region_tree

        fine = self.zoomed
        strongest = fine.final_states[fine.strongest[0]] if len(fine.final_states) else fine.used
        rows = zip(fine.region_ids.tolist(), fine.areas.tolist(), fine.used.tolist(), strongest.tolist(), strict=True)
        known = {region: {"area": area, "kept": kept, "strongest": first} for region, area, kept, first in rows}
        graph = region_tree(fine.parents, known)
        names = part_names(np.array(list(graph)), fine.parents, self.names)
        for region in graph:
            graph.nodes[region]["name"] = names.get(region, str(region))
        return graph

    @property
    def formula(self) -> str:
        """:attr:`expression` as text, regions in their natural order, at any depth; sympy's ``str`` has neither."""
        from captum_focalogic.logic import to_text

        return to_text(self.expression)

    def named_expression(self, same_name: "SameName" = "apart") -> "sympy.Basic":
        """:attr:`expression` in the regions' names, :attr:`names`; regions without a name keep their symbol.

        Parameters
        ----------
        same_name : {"apart", "all", "any"}
            What a name means that several regions share; see :func:`captum_focalogic.logic.name_regions`. ``"apart"``
            changes nothing in the meaning: ``sky 5`` and ``sky 6``.

        Raises
        ------
        InputError
            If the names cannot be used.
        """
        from captum_focalogic.logic import name_regions

        return name_regions(self.expression, self.names, same_name)

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

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """The target's probability in each final state, (S,); NaN where it is not known."""
        if self.evaluated.probability is None:
            return np.full(len(self.final_states), np.nan, dtype=np.float32)
        return self._answers(self.evaluated.probability, np.nan)

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """The criterion's score of each final state, (S,), which ranks them and no more; NaN where there is none."""
        return self._answers(self.evaluated.score, np.nan)

    def _answers(self, values: NDArray[Number], unknown: float) -> NDArray[Number]:
        """What was recorded for the final states."""
        answers = np.full(len(self.final_states), unknown, dtype=values.dtype)
        if not len(values):
            return answers
        keys = st.sort_keys(self.evaluated.packed)
        order = np.argsort(keys, kind="stable")
        wanted = st.sort_keys(st.pack(self.final_states))
        place = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
        known = keys[place] == wanted
        answers[known] = values[place[known]]
        return answers

    @cached_property
    def classes(self) -> NDArray[np.int64]:
        """The class that the model named in each final state, (S,); -1 where it is not known."""
        if self.evaluated.predicted is None:
            return np.full(len(self.final_states), -1, dtype=np.int64)
        return self._answers(self.evaluated.predicted, -1)

    def class_name(self, index: int) -> str | None:
        """What a class is called, where the explanation knows it: the explained one, the highest, those met."""
        known = {} if self.further is None else dict(self.further.class_names)
        if self.prediction is not None:
            known |= {number: name for number, name, _ in self.prediction.top if name is not None}
            known |= {} if self.prediction.name is None else {self.prediction.index: self.prediction.name}
        if isinstance(self.target, int) and self.target_name is not None:
            known[self.target] = self.target_name
        return known.get(index)

    def named(self, names: Mapping[Any, str]) -> "Focus":
        """The same with names of regions, such as ``{3: "left ear"}``, beside those it has.

        Regions may be given as text, as JSON keeps them.

        Raises
        ------
        InputError
            If there is no such region, or a name is no text.
        """
        if not isinstance(names, Mapping):
            first = int(self.region_ids[0]) if self.num_regions else 1
            raise InputError(
                f"names of regions are a mapping, such as {{{first}: 'left ear'}}; got a {type(names).__name__}"
            )
        given = {key: whole_number(key) if isinstance(key, str) else key for key in names}
        names = {key if number is None else number: names[key] for key, number in given.items()}
        missing = sorted(set(names) - set(self.region_ids.tolist()) - set(self.parents.values()))
        if missing:
            raise InputError(
                f"there is no region {missing[0]!r} to name; there are {', '.join(map(str, self.region_ids))}"
            )
        wrong = [name for name in names.values() if not isinstance(name, str) or not name.strip()]
        if wrong:
            raise InputError(f"a region's name must be a text; got {wrong[0]!r}")
        return replace(self, names={**self.names, **names})

    def table(self) -> Table:
        """The final states, strongest first: regions, area, class, the target's probability and the score of each.

        Write it with ``.text()``, ``.markdown()``, ``.latex()``, ``.csv()`` or ``.pandas()``.
        """
        columns: list[Column | str] = ["regions", "number", Column("area", form=".1%"), Column("class", "left")]
        columns += [Column("probability", form=".3f"), Column("score", form=".4g")]
        rows = []
        for row in self.strongest.tolist():
            state, index = self.final_states[row], int(self.classes[row])
            regions = [self.names.get(region) or str(region) for region in self.region_ids[state].tolist()]
            said = None if index < 0 else self.class_name(index) or f"class {index}"
            numbers = (float(self.probabilities[row]), float(self.scores[row]))
            rows.append((", ".join(regions), int(state.sum()), float(self.areas[state].sum()), said, *numbers))
        return Table(columns, rows)

    @cached_property
    def strongest(self) -> NDArray[np.int64]:
        """Rows of :attr:`final_states` as people want them, (S,): the order in which to show them.

        Fewest regions first; among equals the higher probability, rounded to 1e-4 so that it does not depend on how
        the model was asked; then the smaller area; then their own order. Of sets of parts (:attr:`parents`), whose
        number says little, the smaller area first.
        """
        probability = np.nan_to_num(np.round(self.probabilities.astype(np.float64), 4), nan=-1.0)
        # Rounded, so that equal sums of areas stay equal whatever the order of addition.
        area = np.round(self.final_states @ np.asarray(self.areas), 12)
        size = self.final_states.sum(axis=1)
        keys = (size, -probability, area) if self.parents else (area, -probability, size)
        order: NDArray[np.int64] = np.lexsort(keys)
        return order

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
        packed = st.canonical_order(packed, self.num_regions)
        unfinished = np.isin(st.sort_keys(packed), st.sort_keys(st.pack(self.final_states[self.unfinished])))
        certificate = replace(
            old,
            reading=reading,
            complete=_completeness_of_cut(old, packed),
            derived=f"{old.derived}; {derived}" if old.derived else derived,
            num_states=len(packed),
            unfinished=int(unfinished.sum()),
        )
        states = st.unpack(packed, self.num_regions)
        # What a formula was found to be worth is not said of another one.
        trust = self.trust if len(states) == len(self.final_states) else None
        return replace(self, final_states=states, certificate=certificate, unfinished=unfinished, trust=trust)

    def to_json(self) -> str:
        """The focus as JSON text; :meth:`from_json` reads it back, bit for bit."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False)

    def to_dict(self) -> dict[str, Any]:
        """The focus as plain JSON types; states of interest readable, bulk data compressed."""
        return write_fields(self)

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
        except (ValueError, RecursionError) as error:
            raise InputError(f"a focus must be JSON text; this is not: {error}") from error
        return cls.from_dict(fields)

    @classmethod
    def from_dict(cls, fields: Any) -> "Focus":
        """Read what :meth:`to_dict` gave; raises :class:`InputError` if it is not a focus."""
        read = read_fields(fields)
        focus = cls(**{name: value for name, value in read.items() if name != "zoom"})
        contradiction = next(contradictions(focus), None)
        if contradiction:
            raise InputError(f"the fields of the focus contradict each other: {contradiction}")
        if read.get("zoom") is None:
            return focus
        return with_shared(replace(focus, zoom=read_zoom(read["zoom"], focus, cls)))

    def save(self, path: str | Path) -> None:
        """Write :meth:`to_json` to a file."""
        write_text(path, self.to_json())

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
        with reading(path):
            try:
                text = read_text(path)
            except FileError as error:
                if isinstance(error.__cause__, UnicodeDecodeError):
                    raise InputError(f"{path} is not a focus: it is not UTF-8 text") from error
                raise
            return cls.from_json(text)

    def report(self, path: str | Path, image: ArrayLike | None = None, **how: Any) -> Path:
        """Write an interactive page about this explanation: one HTML file that needs nothing else.

        Parameters
        ----------
        path : str or Path
            The file.
        image : (3, H, W) float in [0, 1], or (H, W, 3) uint8, optional
            The image the regions were cut from; :attr:`image` by default.
        **how
            Further fields of :class:`~captum_focalogic.report.page.Entry`: ``title``, ``label``, ``truth`` and others.

        Returns
        -------
        Path
            The file.
        """
        from captum_focalogic.report.page import Entry, write_report

        return write_report(path, [Entry(self, self.image if image is None else image, **how)])

    def plot(self, image: ArrayLike | None = None, **how: Any) -> "tuple[Figure, Axes]":
        """Draw the explanation with matplotlib; see :func:`captum_focalogic.figures.plots.plot_focus`."""
        from captum_focalogic.figures.plots import plot_focus

        return plot_focus(self, image, **how)

    def _repr_html_(self) -> str:
        from captum_focalogic.report.notebook import compact_html

        return compact_html(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def __repr__(self) -> str:
        count = len(self.final_states)
        expression = self.formula if count <= MAX_SHOWN else "..."
        return (
            f"Focus({count} {self.certificate.kind} state(s) over {self.num_regions} regions, "
            f"target={self.target}, expression={expression})"
        )


def _completeness_of_cut(old: Certificate, packed: st.Packed) -> Completeness:
    """What a cut of certified states is certain to hold.

    Irreducible states are reached by valid deletions; a smaller valid state that no such path reaches is ruled out only
    on a monotone model, which a violation shows this one not to be. Minimal states found by size rule it out on any
    model, up to the size that was done.
    """
    if old.reading == "minimal":
        done = -1 if old.complete_up_to is None else old.complete_up_to
        if len(packed) and int(st.cardinality(packed)[0]) <= done:
            return "yes"
        return old.complete
    if old.complete != "yes":
        return old.complete
    return "no" if old.violations else "if monotone"


def _check_tree(parents: Mapping[int, int], region_ids: NDArray[np.int64]) -> None:
    """Raise :class:`InputError` unless ``parents`` leads from regions upward, by ids of their own, and ends."""
    regions = set(np.asarray(region_ids).tolist())
    coarser = set(parents.values())
    both = sorted(coarser & regions)
    if both:
        raise InputError(f"parents: {both} cannot be regions and also consist of parts; give parts ids of their own")
    loose = sorted(set(parents) - regions - coarser)
    if loose:
        raise InputError(f"parents: {loose} are neither regions nor made of regions")
    ends = set(coarser - set(parents))
    for start in parents:
        way: dict[int, None] = {}
        place = start
        while place not in ends:
            if place in way:
                raise InputError(f"parents: {sorted(way)} lead round in a circle")
            way[place] = None
            place = parents[place]
        ends.update(way)


def warn_of_emptiness(focuses: list[Focus]) -> None:
    """Say, once for each reason, which examples have an explanation that explains nothing."""
    reasons: dict[str, list[int]] = {}
    for row, focus in enumerate(focuses):
        reason = _emptiness(focus)
        if reason:
            reasons.setdefault(reason, []).append(row)
    for reason, rows in reasons.items():
        listed = ", ".join(map(str, rows[:10])) + (", ..." if len(rows) > 10 else "")
        warn(f"example(s) {listed}: {reason}")


def _emptiness(focus: Focus) -> str | None:
    if not len(focus.final_states):
        if focus.evaluated.valid[:1].any():
            return (
                "the search ended before any final state was found; allow more with max_evaluations= or time_limit=, "
                "or start from fewer regions"
            )
        return (
            "the whole input does not meet the criterion (the target is not the prediction), so there are no final "
            "states and the attributions are 0"
        )
    if focus.certificate.kind == "unfinished":
        return (
            "the search ended before it knew whether what it found has regions to spare (unfinished); allow more with "
            "max_evaluations= or time_limit=, or start from fewer regions"
        )
    if not focus.final_states[0].any():
        if focus.provenance.removal == "tokens":
            return "the prediction stays with every patch left out, so leaving regions out explains nothing"
        return (
            "the baseline alone keeps the prediction, so every region is dispensable and this baseline explains "
            "nothing; choose another baseline"
        )
    if len(focus.region_ids) == 1:
        return "there is a single region, so the only explanation left is the whole input; cut it into more"
    return None
