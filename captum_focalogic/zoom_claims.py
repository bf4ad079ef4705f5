"""What the levels of a zoom claim, checked with the model asked again under both removals."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Bools
from captum_focalogic.claims import Claim, recorded_claims
from captum_focalogic.errors import InputError
from captum_focalogic.focus import Focus
from captum_focalogic.levels import Zoom, ZoomLevel
from captum_focalogic.masked_model import MaskedModel
from captum_focalogic.search import states as st

_CLOSE = 0.01


def zoom_claims(masked: MaskedModel, focus: Focus, sample: int) -> Iterable[Claim]:
    """The claims of every level, in order; none where there is no zoom.

    Parameters
    ----------
    masked : MaskedModel
        The model, about the regions of the focus.
    focus : Focus
        The explanation.
    sample : int
        Most recorded verdicts of a level to ask again.
    """
    zoom = focus.zoom
    if zoom is None:
        return
    second = masked.filled(zoom.second)
    yield _coarse(second, focus, zoom)
    kept: Bools | None = focus.used if any(zoom.coarse_holds) else None
    for number, level in enumerate(zoom.levels, start=1):
        label_map = level.focus.label_map
        text = f"level {number}: its regions are parts of those before it"
        try:
            if label_map is None:
                raise InputError("there is no label map")
            finer, also = (model.refined(label_map) for model in (masked, second))
        except InputError as error:
            yield Claim(text, False, str(error))
            return
        coarse = _columns_in(masked, finer)
        yield _parts(text, level, masked, finer, coarse)
        if not np.array_equal(finer.region_ids, level.focus.region_ids):
            return
        yield _within(number, level, kept, coarse)
        yield from _sets(number, level, finer, also, sample)
        masked, second, kept = finer, also, level.focus.used


def _coarse(second: MaskedModel, focus: Focus, zoom: Zoom) -> Claim:
    strongest = focus.strongest[: len(zoom.coarse_holds)]
    now = tuple(second.ask(focus.final_states[strongest]).valid.tolist())
    text = f"with {zoom.second} the strongest final states fare as is said"
    return Claim(text, now == zoom.coarse_holds, f"{sum(now)} of {len(now)} hold, {sum(zoom.coarse_holds)} are said to")


def _columns_in(coarse: MaskedModel, fine: MaskedModel) -> NDArray[np.int64]:
    """For each region of the finer partition the column of the coarser one that it lies in, (M,)."""
    found = np.zeros(fine.num_regions, dtype=np.int64)
    if fine.label_map is not None and coarse.label_map is not None:
        columns = np.searchsorted(fine.region_ids, fine.label_map)
        found[columns] = np.searchsorted(coarse.region_ids, coarse.label_map)
    return found


def _parts(text: str, level: ZoomLevel, coarse: MaskedModel, finer: MaskedModel, columns: NDArray[np.int64]) -> Claim:
    """That each region's line of parents leads to the one that its pixels lie in; and that areas are as said."""
    focus = level.focus
    if not np.array_equal(finer.region_ids, focus.region_ids):
        return Claim(text, False, "the label map holds other regions than the level names")
    known, wrong = set(coarse.region_ids.tolist()), 0
    for region, column in zip(focus.region_ids.tolist(), columns.tolist(), strict=True):
        place = region
        while place not in known and place in focus.parents:
            place = focus.parents[place]
        wrong += place != coarse.region_ids[column]
    apart = float(np.abs(focus.areas - finer.areas).max())
    detail = f"{wrong} of {focus.num_regions} lie elsewhere; areas differ by {apart:.2g} at most"
    return Claim(text, not wrong and apart < 1e-9, detail)


def _within(number: int, level: ZoomLevel, kept: Bools | None, columns: NDArray[np.int64]) -> Claim:
    """That nothing was looked for outside of what the level before had kept."""
    focus = level.focus
    inside = np.isin(focus.region_ids, level.within)
    asked = focus.evaluated.states
    outside = (asked & ~inside).any(axis=1) & ~asked.all(axis=1)
    detail = f"{int(outside.sum())} of {len(asked)} sets asked hold others"
    holds = not outside.any() and int(inside.sum()) == focus.certificate.within
    if kept is None:
        detail += "; of the coarse set that was cut, the explanation tells that it lies around these"
    else:
        strange = int((~kept[columns[inside]]).sum())
        detail += f"; {strange} of {int(inside.sum())} lie outside of what was kept"
        holds = holds and not strange
    return Claim(f"level {number}: it is about parts of what the level before kept, all else dropped", holds, detail)


def _sets(number: int, level: ZoomLevel, first: MaskedModel, second: MaskedModel, sample: int) -> Iterable[Claim]:
    """That its sets are enough under both removals, and can spare nothing; and that its record is the models'."""
    focus = level.focus
    packed = st.pack(focus.final_states)
    children, parent, _ = st.children(packed, focus.num_regions)
    count = len(focus.evaluated)
    rows = np.unique(np.linspace(0, max(0, count - 1), min(sample, count)).astype(np.int64))
    asked = st.unpack(np.concatenate([packed, children, focus.evaluated.packed[rows]]), focus.num_regions)
    answers = first.ask(asked)
    valid, score = answers.valid.copy(), answers.score.copy()
    too = second.ask(asked[answers.valid])
    valid[answers.valid] = too.valid
    score[answers.valid] = np.fmin(score[answers.valid], too.score)
    own, spared, again = np.split(valid, [len(packed), len(packed) + len(children)])
    fallen = int((~own).sum())
    told = np.asarray(level.holds)
    yield Claim(
        f"level {number}: every final state keeps the prediction under both removals",
        bool((own == told).all()) and bool(own.all() or not told.all()),
        f"{int(own.sum())} of {len(own)} asked again do" + (f", {fallen} are said to fall" if not told.all() else ""),
    )
    reducible = np.unique(parent[spared])
    finished = [row for row in reducible.tolist() if not focus.unfinished[row]]
    yield Claim(
        f"level {number}: no final state can spare a region under both removals",
        not finished,
        f"{len(reducible)} of {len(packed)} can"
        + (f", {int(focus.unfinished.sum())} are said to be unfinished" if focus.unfinished.any() else ""),
    )
    changed = int((again != focus.evaluated.valid[rows]).sum())
    off = 0
    if focus.evaluated.probability is not None:
        then, now = focus.evaluated.probability[rows], answers.probability[len(packed) + len(children) :]
        off = int((~np.isclose(then, now, rtol=0, atol=_CLOSE, equal_nan=True)).sum())
    scored = score[len(packed) + len(children) :]
    apart = int((~np.isclose(focus.evaluated.score[rows], scored, rtol=_CLOSE, atol=_CLOSE, equal_nan=True)).sum())
    yield Claim(
        f"level {number}: the recorded verdicts and probabilities are the model's",
        not changed and not off and not apart if len(rows) else None,
        f"{changed} verdicts, {off} probabilities and {apart} scores of {len(rows)} asked again differ; {count:,} were "
        "recorded",
    )
    for claim in recorded_claims(focus):
        if claim.holds is not None:
            yield Claim(f"level {number}: {claim.text}", claim.holds, claim.detail)
