"""Zoom: from regions that are enough to the parts of them that are, level by level.

What a set left out stays out; what it keeps is cut into parts, and sets of these are looked for that are enough in
place of the whole region. A set of a few specks can keep a class by chance (overinterpretation: Carter, Jain, Mueller,
Gifford 2021), so that from the first level on a set counts as enough only where it is so under two removals.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from captum_focalogic.arguments import ToImage
from captum_focalogic.arrays import Bools
from captum_focalogic.errors import InputError
from captum_focalogic.focus import Focus
from captum_focalogic.levels import Zoom, ZoomLevel, ZoomStop, with_shared
from captum_focalogic.masked_model import MaskedModel
from captum_focalogic.oracle import Asker, drive, listed
from captum_focalogic.parts import refine
from captum_focalogic.regions import MIN_AREA
from captum_focalogic.search import Run
from captum_focalogic.search import states as st
from captum_focalogic.search.agreement import Agreement
from captum_focalogic.search.anytime import linear_fit, values_of
from captum_focalogic.search.critical import Inquiry
from captum_focalogic.search.descent import Descent
from captum_focalogic.search.run import SearchResult, Verdicts
from captum_focalogic.segmenters import pixels_of

PARTS = 8
"""Parts that a region is cut into, at most."""

SET_PARTS = 18
"""Parts that the strongest set is cut into, about: where it has many regions, its larger ones are cut, and coarser.

Few, as a level costs some three evaluations a part; twice as many from there on where a level could not shrink the set.
"""

LEAST_PART = MIN_AREA
"""Share of the image below which no part is made: what no region falls below either, seven pixels square of 224."""

ALTERNATIVES = 3
"""Sets that are zoomed into, at most, so that an OR between them survives ..."""

ALTERNATIVES_UNTIL = 0.25
"""... as long as no more than this share of the budget was spent; after that the strongest goes on alone."""

MAX_LEVELS = 8

MOST = 1_500
"""Evaluations of a zoom in all, the coarse search among them, whatever the budget."""

COARSE = 0.2
"""Share of the budget that the search among the coarse regions may take, and no more than this ..."""

COARSE_MOST = 120
"""... of evaluations: what is cut again need not be proved to be the smallest."""

_SHRINKS = 0.99
"""A level whose strongest set has more than this share of the area before has not shrunk it, and is none ..."""

_STALLED = 2
"""... and after more than so many of them in a row the zoom ends."""


def was_interrupted(focus: Focus) -> bool:
    """Whether a keyboard interrupt ended its zoom."""
    return focus.zoom is not None and focus.zoom.stopped == "interrupted"


def check_levels(levels: int) -> None:
    """Raise :class:`InputError` unless these are levels of a zoom."""
    if isinstance(levels, bool) or not isinstance(levels, int | np.integer) or not 0 <= levels <= MAX_LEVELS:
        raise InputError(f"zoom is a number of levels, 0 (none) to {MAX_LEVELS}; got {levels!r}")


def coarse_budget(max_evaluations: int | None) -> int:
    """Evaluations of the search among the coarse regions, where it is zoomed into afterwards."""
    return max(1, min(COARSE_MOST, int(COARSE * total_budget(max_evaluations))))


def total_budget(max_evaluations: int | None) -> int:
    """Evaluations of that search and of the zoom together."""
    return MOST if max_evaluations is None else min(MOST, max_evaluations)


@dataclass(eq=False)
class _Example:
    """One example under zoom."""

    model: MaskedModel
    focus: Focus
    name: str
    second: MaskedModel
    budget: int
    pixels: NDArray[np.float32] | None
    patches: NDArray[np.int64] | None
    next_id: int
    starts: Bools
    levels: list[ZoomLevel] = field(default_factory=list)
    coarse_holds: tuple[bool, ...] = ()
    stopped: ZoomStop | None = None
    stalled: int = 0
    set_parts: int = SET_PARTS
    parents: dict[int, int] = field(default_factory=dict)
    answer: MaskedModel | None = None

    @property
    def asked(self) -> int:
        """States asked so far; the whole input, of which both fills are the same, once."""
        return len(self.model.memory) + len(self.second.memory) - 1

    @property
    def left(self) -> int:
        """Evaluations left."""
        return self.budget - self.asked


def zoom_in(
    models: Sequence[MaskedModel],
    focuses: Sequence[Focus],
    levels: int,
    max_evaluations: Sequence[int | None],
    *,
    to_image: ToImage | None = None,
    deadline: float | None = None,
    on_judged: Callable[[int], object] = lambda _: None,
) -> tuple[list[Focus], list[MaskedModel]]:
    """Zoom into what was found of several examples, all asked together in full batches.

    Parameters
    ----------
    models : sequence of MaskedModel
        The examples, as they were searched.
    focuses : sequence of Focus
        What was found.
    levels : int
        Most levels.
    max_evaluations : sequence of int or None
        Of each example, what was asked before among them; never more than :data:`MOST`.
    to_image : callable, optional
        Undoes the model's normalisation, so that parts follow colours.
    deadline : float, optional
        Of ``time.monotonic()``, after which no level is begun.
    on_judged : callable
        Told how many states were asked.

    Returns
    -------
    list of Focus
        The focuses with their zoom; as they were where there is nothing to zoom into.
    list of MaskedModel
        The model of each one's answer: :attr:`Focus.zoomed` is about its regions.

    Raises
    ------
    InputError
        If an example is no image whose channels share their regions.
    """
    check_levels(levels)
    for model, focus in zip(models, focuses, strict=True):
        if focus.label_map is None or len(model.example.inputs) != 1:
            raise InputError("zoom= needs one image an example, whose channels share their regions; got other inputs")
    examples = {
        row: _begin(model, focus, total_budget(most), to_image)
        for row, (model, focus, most) in enumerate(zip(models, focuses, max_evaluations, strict=True))
        if len(focus.final_states) and focus.final_states[focus.strongest[0]].any() and focus.num_regions > 1
    }
    _Levels(list(examples.values()), deadline, on_judged).go(levels)
    zoomed = [
        with_shared(replace(focus, zoom=_zoom(examples[row]))) if row in examples else focus
        for row, focus in enumerate(focuses)
    ]
    answers = [
        examples[row].answer or model if row in examples and zoomed[row].zoomed is not zoomed[row] else model
        for row, model in enumerate(models)
    ]
    return zoomed, answers


def _begin(model: MaskedModel, focus: Focus, budget: int, to_image: ToImage | None) -> _Example:
    name, second = model.filled_otherwise()
    strongest = focus.final_states[focus.strongest[:ALTERNATIVES]]
    highest = max(int(focus.region_ids.max()), 0)
    pixels, patches = _pixels(model, to_image), _patches(model)
    return _Example(model, focus, name, second, budget, pixels, patches, highest + 1, strongest)


def _pixels(model: MaskedModel, to_image: ToImage | None) -> NDArray[np.float32] | None:
    """The example as an image to be cut; stretched to [0, 1] where its scale is not known; None for other channels."""
    made = model.as_image(to_image)[0].detach().float().cpu()
    if made.dim() != 3 or made.shape[0] not in (1, 3) or not bool(made.isfinite().all()):
        return None
    low, high = made.aminmax()
    if low < 0 or high > 1:
        made = (made - low) / (high - low) if high > low else torch.zeros_like(made)
    return pixels_of(made.clamp(0, 1))


def _patches(model: MaskedModel) -> NDArray[np.int64] | None:
    """Patch of every pixel, where dropped regions are left out by the model."""
    if model.removal != "tokens":
        return None
    height, width = model.example.inputs[0].shape[2:]
    patches = model.forward.patches((height, width))
    return None if patches is None else patches.cpu().numpy().astype(np.int64)


Losses = tuple[tuple[float, ...], ...]
"""What is left of the score of each set without each of its regions."""


def _fitted(focus: Focus) -> Losses:
    """What is left of the whole without each region, by a linear fit to all that was asked of the coarse regions."""
    asked = focus.evaluated
    fit = linear_fit(asked.states, values_of(Verdicts(asked.valid, asked.score)))
    return (tuple((-fit).tolist()),)


class _Levels:
    """The levels of several examples, driven together."""

    def __init__(self, examples: list[_Example], deadline: float | None, on_judged: Callable[[int], object]) -> None:
        self._examples, self._deadline, self._on_judged = examples, deadline, on_judged

    def go(self, levels: int) -> None:
        self._judge_coarse()
        while active := [each for each in self._examples if each.stopped is None and len(each.levels) < levels]:
            if self._deadline is not None and time.monotonic() > self._deadline:
                for example in active:
                    example.stopped = "time_limit"
            cut = [example for example in active if example.stopped is None and self._cut(example)]
            for example, result in self._descend(self._ranked(cut)):
                self._take(example, result)
        for example in self._examples:
            example.stopped = example.stopped or "levels"

    def _judge_coarse(self) -> None:
        """Which coarse sets hold under the second removal; where none does, a larger one that does is looked for."""
        inquiries = [Inquiry(listed(st.pack(example.starts))) for example in self._examples]
        self._drive([(example.second, inquiry) for example, inquiry in zip(self._examples, inquiries, strict=True)])
        for example, inquiry in zip(self._examples, inquiries, strict=True):
            if inquiry.stopped or inquiry.result is None:
                example.stopped = "interrupted"
                continue
            example.coarse_holds = tuple(inquiry.result.valid.tolist())
            example.starts = example.starts[inquiry.result.valid]
        fallen = [example for example in self._examples if example.stopped is None and not len(example.starts)]
        for example in fallen:
            example.starts = np.ones((1, example.model.num_regions), dtype=np.bool_)
        for example, result in self._descend([(example, _fitted(example.focus)) for example in fallen]):
            self._take_coarse(example, result)

    def _take_coarse(self, example: _Example, result: SearchResult) -> None:
        order = np.argsort(result.final_states @ example.model.areas, kind="stable")
        example.starts, stopped = result.final_states[order[:ALTERNATIVES]], result.certificate.stopped
        if stopped == "interrupted":
            example.stopped = "interrupted"
        elif example.starts[:1].all() or not example.starts.any():
            example.stopped = "nothing" if stopped is None else "max_evaluations"

    def _cut(self, example: _Example) -> bool:
        """Cut what the sets keep, where it is large enough; whether there was any such region."""
        if example.asked > ALTERNATIVES_UNTIL * example.budget:
            example.starts = example.starts[:1]
        model, kept = example.model, example.starts.any(axis=0)
        strongest = model.areas[example.starts[0]]
        least = max(LEAST_PART, min(float(strongest.sum()) / example.set_parts, float(strongest.max(initial=0)) / 2))
        counts = {
            region: min(PARTS, int(area / least))
            for region, area in zip(model.region_ids[kept].tolist(), model.areas[kept].tolist(), strict=True)
            if area >= 2 * least
        }
        label_map = model.label_map
        if label_map is None or not counts:
            example.stopped = "size"
            return False
        cut = refine(label_map, counts, example.pixels, patches=example.patches, first_id=example.next_id)
        if not cut.parents:
            example.stopped = "size"
            return False
        example.next_id = max(cut.parents) + 1
        example.parents |= cut.parents
        example.model, example.second = (each.refined(cut.label_map) for each in (model, example.second))
        coarse = [cut.parents.get(region, region) for region in example.model.region_ids.tolist()]
        example.starts = example.starts[:, np.searchsorted(model.region_ids, coarse)]
        return True

    def _descend(self, ranked: list[tuple[_Example, Losses]]) -> list[tuple[_Example, SearchResult]]:
        """From the sets of each down, under both removals; none of those that an interrupt stopped before."""
        going = [(example, ranking) for example, ranking in ranked if example.stopped is None]
        agreements = []
        for example, ranking in going:
            model = example.model
            valid, score = model.memory.verdicts(model.key, st.full(model.num_regions))
            way = Descent(tuple(tuple(np.flatnonzero(state).tolist()) for state in example.starts), ranking)
            run = Run(way, model.num_regions, areas=model.areas, start=(bool(valid[0]), float(score[0])))
            agreements.append(Agreement(run, max(0, example.left)))
        while any(not agreement.run.finished for agreement in agreements):
            pairs: list[tuple[MaskedModel, Asker]] = []
            for (example, _), agreement in zip(going, agreements, strict=True):
                pairs += [(example.model, agreement.first), (example.second, agreement.second)]
            self._drive(pairs)
        return [(example, each.run.result()) for (example, _), each in zip(going, agreements, strict=True)]

    def _ranked(self, examples: list[_Example]) -> list[tuple[_Example, Losses]]:
        """What is left of each example's sets without each of their regions; nothing where it cannot be asked.

        One removal is enough to rank by: the one that leaves less of the strongest set, as it is nearer to its limit.
        """
        pairs: list[tuple[MaskedModel, Inquiry[Verdicts]]] = []
        for example in examples:
            states = st.pack(example.starts)
            children = st.children(states, example.model.num_regions)[0]
            scores = [each.memory.verdicts(each.key, states[:1])[1][0] for each in (example.model, example.second)]
            ranked = children[: len(children) if len(children) < example.left else 0]
            pairs.append((example.second if scores[1] < scores[0] else example.model, Inquiry(listed(ranked))))
        self._drive(pairs)
        found = []
        for example, (_, inquiry) in zip(examples, pairs, strict=True):
            if inquiry.stopped:
                example.stopped = "interrupted"
            left = [] if inquiry.result is None else inquiry.result.score.astype(np.float64).tolist()
            ends = np.cumsum([0, *example.starts.sum(axis=1)]).tolist()
            ranking = tuple(tuple(left[start:end]) for start, end in pairwise(ends)) if left else ()
            found.append((example, ranking))
        return found

    def _take(self, example: _Example, result: SearchResult) -> None:
        """A level that shrank the strongest set is one; of others that did not, the second in a row is the last."""
        model, states = example.model, result.final_states
        before = float((example.starts @ model.areas).min())
        after = float((states @ model.areas).min()) if len(states) else before
        stopped = result.certificate.stopped
        if after <= _SHRINKS * before:
            example.stalled = 0
            example.levels.append(_level(example, result))
            example.answer = model
            order = np.argsort(states @ model.areas, kind="stable")
            example.starts = states[order]
        elif stopped is None:
            # Parts of which none can be spared may have parts that can: once more, finer.
            example.stalled += 1
            example.set_parts *= 2
            example.stopped = "area" if example.stalled > _STALLED else None
        if stopped is not None:
            example.stopped = "interrupted" if stopped == "interrupted" else "max_evaluations"

    def _drive(self, pairs: Sequence[tuple[MaskedModel, Asker]]) -> None:
        drive(pairs, self._on_judged)


def _level(example: _Example, result: SearchResult) -> ZoomLevel:
    """What a level found, over its own regions."""
    model = example.model
    within = example.starts.any(axis=0)
    certificate = replace(result.certificate, within=int(within.sum()), also=example.name)
    focus = model.focus(replace(result, certificate=certificate))
    focus = replace(focus, parents=_lineage(set(model.region_ids.tolist()), example.parents))
    holds = example.second.memory.holds(st.pack(focus.final_states))
    valid = np.zeros(len(holds), dtype=np.bool_)
    if holds.any():
        known = st.pack(focus.final_states[holds])
        valid[holds] = example.second.memory.verdicts(example.second.key, known)[0]
    return ZoomLevel(focus, tuple(valid.tolist()), tuple(model.region_ids[within].tolist()))


def _lineage(regions: set[int], parents: dict[int, int]) -> dict[int, int]:
    """The parents of these regions, and theirs."""
    kept: dict[int, int] = {}
    for start in regions:
        place = start
        while place in parents and place not in kept:
            kept[place] = parents[place]
            place = parents[place]
    return kept


def _zoom(example: _Example) -> Zoom:
    return Zoom(
        second=example.name,
        coarse_holds=example.coarse_holds,
        levels=tuple(example.levels),
        stopped=example.stopped or "levels",
        evaluations=example.asked,
    )
