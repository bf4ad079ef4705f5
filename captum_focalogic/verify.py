"""What a focus claims, checked against its own record of verdicts and with the model asked again."""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from captum_focalogic import names
from captum_focalogic.arrays import Bools
from captum_focalogic.claims import COUNT, Claim, recorded_claims
from captum_focalogic.classifier import labels_from
from captum_focalogic.criteria import Criterion
from captum_focalogic.criteria import parse as parse_criterion
from captum_focalogic.errors import InputError
from captum_focalogic.focus import Focus
from captum_focalogic.masked_model import MaskedModel
from captum_focalogic.oracle import Answers
from captum_focalogic.provenance import MAX_TOP, Prediction, Provenance
from captum_focalogic.search import states as st
from captum_focalogic.search.critical import MAX_SIZE, CriticalSets, needed_sets
from captum_focalogic.tables import printable
from captum_focalogic.trust_claims import trust_claims
from captum_focalogic.zoom_claims import zoom_claims


@dataclass(frozen=True)
class Verification:
    """The claims of a focus, checked one by one.

    Attributes
    ----------
    claims : tuple of Claim
        In the order of the certificate.
    evaluations : int
        States the model was asked about.
    fits : tuple of Claim
        Whether what was asked now is what the focus says that it was asked: model, input, baselines, criterion,
        removal; those of which both are known.
    unchecked : tuple of str
        What the certificate says and nothing here can check.
    """

    claims: tuple[Claim, ...]
    evaluations: int
    fits: tuple[Claim, ...] = ()
    unchecked: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether no claim failed, and what was asked fits."""
        return all(claim.holds is not False for claim in (*self.claims, *self.fits))

    def __str__(self) -> str:
        return "\n".join(
            [*map(str, self.claims), *map(str, self.fits), *(printable(f"not checked: {it}") for it in self.unchecked)]
        )


def verify(
    focus: Focus,
    forward_func: Callable[..., Any],
    inputs: Any,
    *,
    sample: int = 1_000,
    labels: Sequence[str] | Mapping[Any, str] | str | None = None,
    **how: Any,
) -> Verification:
    """Check the claims of a focus against the model.

    The final states and all their single deletions are asked again. What the search remembers is asked again as far as
    ``sample`` allows, and completeness is derived anew from what it remembers: the same search is run over the recorded
    verdicts, and may not need any that is missing. Such a claim holds if the derivation does *and* every recorded
    verdict is confirmed; where ``sample`` allowed only some of them to be asked again, it counts as not checked.

    Parameters
    ----------
    focus : Focus
        The explanation.
    forward_func : callable
        The model.
    inputs : Tensor or tuple of Tensor
        The one example that was explained.
    sample : int
        Most recorded verdicts to ask again; a fixed selection, spread evenly over the search.
    labels : sequence or mapping of str, or str, optional
        The model's names of classes, as for :func:`explain_image`, which the names in the focus are held against.
    **how
        What :meth:`FocaLogic.attribute` and the constructor were given: ``baselines``, ``target``, ``criterion``,
        ``additional_forward_args``, ``feature_mask``, ``perturbations_per_eval``.

    Returns
    -------
    Verification
        One claim a line when printed.

    Raises
    ------
    InputError
        If the input is not the one the focus is about, as far as its regions tell.
    """
    masked = masked_model_of(focus, forward_func, inputs, **how)
    packed = st.pack(focus.final_states)
    children, parent, _ = st.children(packed, focus.num_regions)
    remembered = focus.evaluated
    chosen = _spread(len(remembered), sample)
    asked = np.concatenate([packed, children, remembered.packed[chosen]])
    answers = masked.ask(st.unpack(asked, focus.num_regions))
    own, of_children, again = np.split(answers.valid, [len(packed), len(packed) + len(children)])
    reducible = np.unique(parent[of_children])
    changed = int((again != remembered.valid[chosen]).sum())
    claims = (
        _valid(own) if len(packed) else _none(masked, focus),
        _irreducible(focus, reducible),
        Claim(
            "the recorded verdicts are the model's",
            changed == 0 if len(chosen) else None,
            f"{changed} of {len(chosen)} asked again differ; {remembered.total:,} were asked in all",
        ),
        *(_as_far_as_asked(claim, len(chosen), remembered.total) for claim in recorded_claims(focus)),
        *_critical(masked, focus, sample),
        *trust_claims(masked, focus),
        *zoom_claims(masked, focus, sample),
    )
    fits = [*_fits(focus, masked), *_regions_fit(focus, masked)]
    if all(claim.holds for claim in fits):
        # Else other answers are no wonder, and the reason has been named.
        fits += _answers_fit(focus, masked, answers, len(packed) + len(children), chosen)
        fits += _further_fits(focus, masked, sample)
        fits += _image_fits(focus, masked)
    fits += _baseline_fits(focus, masked)
    if labels is not None:
        fits += _names_fit(focus, names.listed_labels(labels_from(labels)) or [])
    unchecked = _unchecked(focus, {claim.text for claim in fits})
    return Verification(claims, len(masked.memory), tuple(fits), unchecked)


def _spread(count: int, sample: int) -> NDArray[np.int64]:
    """At most ``sample`` of ``count`` rows, spread evenly."""
    return np.unique(np.linspace(0, max(0, count - 1), min(sample, count)).astype(np.int64))


def masked_model_of(focus: Focus, forward_func: Callable[..., Any], inputs: Any, **how: Any) -> MaskedModel:
    """The model as it can be asked about the regions of a focus, and about its target.

    Parameters
    ----------
    focus : Focus
        Tells the regions where it has a label map, and the target.
    forward_func, inputs, **how
        As for :class:`~captum_focalogic.masked_model.MaskedModel`. Criterion, outputs, removal and baselines are those
        that the focus names, unless others are given.

    Raises
    ------
    InputError
        If the inputs do not have the regions of the focus.
    """
    if how.get("feature_mask") is None:
        if focus.label_map is None:
            raise InputError("this focus has no label map of its own; pass the feature_mask that it was made with")
        how["feature_mask"] = torch.from_numpy(focus.label_map)
    how = {**_stored(focus.provenance), **{name: value for name, value in how.items() if value is not None}}
    if how.get("target") is None and isinstance(how.get("criterion", "top1"), str | Criterion):
        how["target"] = focus.target
    masked = MaskedModel(forward_func, inputs, **how)
    check_regions(focus, masked)
    return masked


def check_regions(focus: Focus, masked: MaskedModel) -> None:
    """Refuse a model that is about other regions, with :class:`InputError`."""
    if not np.array_equal(masked.region_ids, focus.region_ids):
        raise InputError(
            f"the input's regions {masked.region_ids.tolist()} are not those of the focus, "
            f"{focus.region_ids.tolist()}; pass the feature_mask that it was made with"
        )


def _stored(provenance: Provenance) -> dict[str, Any]:
    """What a focus says it was asked with, as far as it can be asked so again."""
    stored: dict[str, Any] = {}
    if provenance.criterion is not None:
        # Of a function of the user's, the file knows the name alone.
        with contextlib.suppress(InputError):
            stored["criterion"] = parse_criterion(provenance.criterion)
    if provenance.outputs_rule is not None:
        stored["outputs"] = provenance.outputs_rule
    if provenance.removal is not None:
        stored["removal"] = provenance.removal
    if provenance.baseline is not None:
        stored["baselines"] = provenance.baseline
    return stored


def _fits(focus: Focus, masked: MaskedModel) -> Iterable[Claim]:
    """Whether the question now is the question then, as far as both are known."""
    said, asked = focus.provenance, masked.provenance
    if masked.target is not None:
        text, same = "the class is the one that was explained", focus.target == masked.target
        yield Claim(text, same, f"{focus.target}" if same else f"{focus.target} then, {masked.target} now")
    for text, name in (
        ("the model has the weights that were explained", "model_digest"),
        ("the input is the one that was explained", "inputs_digest"),
        ("the baselines are those that it was explained with", "baseline_digest"),
        ("the criterion is the one that it was explained with", "criterion"),
        ("regions are removed as they were", "removal"),
        ("the model's numbers are read as they were", "outputs"),
    ):
        then, now = getattr(said, name), getattr(asked, name)
        if then is not None and now is not None:
            yield Claim(text, then == now, f"{then}" if then == now else f"{then} then, {now} now")


def _regions_fit(focus: Focus, masked: MaskedModel) -> Iterable[Claim]:
    """Whether the regions are the same pixels, not only the same ids."""
    text = "the regions are those that it was explained in"
    if focus.label_map is not None and masked.label_map is not None:
        same = np.array_equal(focus.label_map, masked.label_map)
        yield Claim(text, same, f"label maps are {'the same' if same else 'different'}")
    apart = float(np.abs(np.asarray(focus.areas) - masked.areas).max())
    yield Claim("the areas are those of the regions", apart < _EQUAL_AREAS, f"they differ by {apart:.2g} at most")


def _answers_fit(
    focus: Focus, masked: MaskedModel, answers: Answers, start: int, chosen: NDArray[np.int64]
) -> Iterable[Claim]:
    """Whether classes and probabilities are the model's: those of the whole input, and those on record."""
    said, now = focus.prediction, masked.prediction
    if said is not None and now is not None:
        same = said.index == now.index and _close(said.probability, now.probability) and _same_top(said, now)
        detail = _predicted(said) if same else f"{_predicted(said)} then, {_predicted(now)} now"
        yield Claim("the prediction is the model's", same, detail)
    recorded, count = focus.evaluated, len(focus.evaluated)
    if count:
        off = int((~_near(recorded.score[chosen], answers.score[start:])).sum())
        yield Claim("the recorded scores are the model's", off == 0, f"{off} of {len(chosen)} asked again differ")
    if recorded.probability is not None:
        text = "the recorded probabilities are the model's"
        if len(recorded.probability) != count:
            yield Claim(text, False, f"{len(recorded.probability)} are recorded for {count} states")
            return
        then, again = recorded.probability[chosen], answers.probability[start:]
        off = int((~_alike(then, again)).sum())
        yield Claim(text, off == 0, f"{off} of {len(chosen)} asked again differ by more than {_CLOSE}")
    if recorded.predicted is not None and answers.predicted is not None:
        text = "the recorded classes are the model's"
        if len(recorded.predicted) != count:
            yield Claim(text, False, f"{len(recorded.predicted)} are recorded for {count} states")
            return
        off = int((recorded.predicted[chosen] != answers.predicted[start:]).sum())
        yield Claim(text, off == 0, f"{off} of {len(chosen)} asked again differ")


def _image_fits(focus: Focus, masked: MaskedModel) -> Iterable[Claim]:
    """Whether the image that is shown is the input, where an image can be made of that."""
    made = None if focus.image is None else masked.with_image(replace(focus, image=None)).image
    if focus.image is not None and made is not None:
        same = np.array_equal(focus.image, made)
        yield Claim(_SHOWN, same, f"its pixels are {'the same' if same else 'others'}")


_SHOWN = "the image that is shown is the one that was explained"


def _names_fit(focus: Focus, labels: Sequence[str]) -> Iterable[Claim]:
    """Whether classes are called by the model's names."""
    called = {pair for pair in _called(focus) if pair[1] is not None}
    wrong = sorted((index, name) for index, name in called if not 0 <= index < len(labels) or labels[index] != name)
    detail = f"{len(called) - len(wrong)} of {len(called)} names are"
    if wrong:
        index, name = wrong[0]
        own = labels[index] if 0 <= index < len(labels) else "no class of it"
        detail += f"; class {index} is {name!r} here, and {own!r} there"
    if called:
        yield Claim(_CALLED, not wrong, detail)


_CALLED = "classes are called what the model calls them"


def _called(focus: Focus) -> Iterable[tuple[int, Any]]:
    """Every class that a name is given to, and the name."""
    if isinstance(focus.target, int):
        yield focus.target, focus.target_name
    if focus.prediction is not None:
        yield focus.prediction.index, focus.prediction.name
        yield from ((index, name) for index, name, _ in focus.prediction.top)
    if focus.critical is not None and focus.critical.predicted is not None:
        yield from zip(focus.critical.predicted.tolist(), focus.critical.names, strict=False)
    if focus.further is not None:
        yield from focus.further.class_names.items()


def _same_top(said: Prediction, now: Prediction) -> bool:
    """Whether the highest classes are the same, or exchanged with others as probable."""
    if len(said.top) != len(now.top) or len({index for index, _, _ in said.top}) != len(said.top):
        return False
    likely = {index: share for index, _, share in now.top}
    # A class that is not among the highest now may have been no less likely than the last of them, if there are others.
    beyond = now.top[-1][2] if len(now.top) == MAX_TOP else None
    return all(
        _close(share, again) and _close(share, likely.get(index, beyond))
        for (index, _, share), (_, _, again) in zip(said.top, now.top, strict=True)
    )


def _further_fits(focus: Focus, masked: MaskedModel, sample: int) -> Iterable[Claim]:
    """Whether the model answers beside the search what is on record."""
    further = focus.further
    if further is None or not len(further):
        return
    rows = _spread(len(further), sample)
    now = masked.ask(st.unpack(further.packed[rows], focus.num_regions))
    differ = (now.valid != further.valid[rows]) | ~_near(further.score[rows], now.score)
    if further.predicted is not None and now.predicted is not None:
        differ |= now.predicted != further.predicted[rows]
    if further.probability is not None:
        differ |= ~_alike(further.probability[rows], now.probability)
    if further.top is not None and further.top_probability is not None:
        said, share = further.top[rows], further.top_probability[rows]
        if said.shape != now.top.shape:
            differ |= True
        else:
            differ |= ~(_alike(share, now.top_probability) & _likely(said, share, now)).all(axis=1)
    detail = f"{int(differ.sum())} of {len(rows)} asked again differ; {len(further):,} are on record"
    holds = None if len(rows) < len(further) and not differ.any() else not differ.any()
    yield Claim("the answers beside the search are the model's", holds, detail)


def _likely(said: NDArray[np.int64], share: NDArray[np.float32], now: Answers) -> Bools:
    """Whether each class is among the highest with its probability, or as likely as the last of five, (B, K)."""
    same = said[:, :, None] == now.top[:, None, :]
    found: Bools = (same & _alike(share[:, :, None], now.top_probability[:, None, :])).any(axis=2)
    if said.shape[1] == MAX_TOP:
        found |= ~same.any(axis=2) & _alike(share, now.top_probability[:, -1:])
    twice = (said[:, :, None] == said[:, None, :]).sum(axis=2) > 1
    found &= ~(twice & (said >= 0))
    return found


def _alike(then: NDArray[np.float32], now: NDArray[np.float32]) -> Bools:
    close: Bools = np.isclose(then, now, rtol=0, atol=_CLOSE, equal_nan=True)
    return close


def _near(then: NDArray[np.float32], now: NDArray[np.float32]) -> Bools:
    """Of scores, which may be of any size."""
    close: Bools = np.isclose(then, now, rtol=_CLOSE, atol=_CLOSE, equal_nan=True)
    return close


_EQUAL_AREAS = 1e-9

_CLOSE = 0.01
"""How far a probability may be off in another batch, on another device or in another precision."""


def _close(then: float | None, now: float | None) -> bool:
    return then == now or (then is not None and now is not None and bool(abs(then - now) <= _CLOSE))


def _predicted(prediction: Prediction) -> str:
    share = "" if prediction.probability is None else f" at {prediction.probability:.3f}"
    return f"class {prediction.index}{share}"


_UNTOLD = {
    "model_digest": "whether the model is the same one",
    "inputs_digest": "whether the input is the same one",
    "baseline_digest": "whether the baselines are the same ones",
    "criterion": "which criterion was used",
    "removal": "how regions were removed",
    "outputs": "how the model's numbers were read",
}


def _baseline_fits(focus: Focus, masked: MaskedModel) -> Iterable[Claim]:
    """Whether the name of the baseline stands for the values that were used, where it is one that can be looked up."""
    said = focus.provenance
    if said.fill is not None and said.fill == masked.provenance.fill:
        yield Claim(_LOOKS, True, said.fill)
    if said.baseline is None or said.baseline_digest is None or said.removal == "tokens":
        return
    with contextlib.suppress(InputError):
        same = masked.filled(said.baseline).provenance.baseline_digest == said.baseline_digest
        yield Claim(_FILLED, same, f"{said.baseline} is {'that' if same else 'another'}")


_FILLED = "the baseline is what its name stands for"
_LOOKS = "dropped regions look as is said"


def _unchecked(focus: Focus, checked: set[str]) -> tuple[str, ...]:
    """What a certificate says that neither its record nor the model can tell, and what it should say and does not."""
    certificate, critical = focus.certificate, focus.critical
    called = "model and preprocessing" if _FILLED in checked else "model, baseline and preprocessing"
    said = [
        f"which search it was, and that it asked in {certificate.batches:,} batch(es)",
        f"what {called} are called, and of which seed and versions the result is",
    ]
    if focus.provenance.fill is not None and _LOOKS not in checked:
        said.append("what dropped regions look like")
    told = {"baseline_digest"} if focus.provenance.removal == "tokens" else set()
    untold = [what for name, what in _UNTOLD.items() if name not in told and getattr(focus.provenance, name) is None]
    if untold:
        said.append(f"{', '.join(untold)}, which the explanation does not tell")
    said.append("what regions are called" + (", and what they are parts of" if focus.parents else ""))
    if _CALLED not in checked and any(name is not None for _, name in _called(focus)):
        said.append("what classes are called")
    if focus.image is not None and _SHOWN not in checked:
        said.append("that the image shown is the one that was explained")
    if critical is not None:
        said.append(
            f"that {critical.asked:,} sets were taken away for the critical ones, and that {critical.valid_asked:,} "
            "that keep the prediction were known then"
        )
    if certificate.within is not None or certificate.also is not None:
        said.append("what coarser levels dropped before, and what each set is under another removal")
    if focus.zoom is not None:
        said.append(
            f"why the zoom went no further ({focus.zoom.stopped}), and that it took {focus.zoom.evaluations:,} "
            "evaluations"
        )
    if certificate.stopped:
        said.append(f"why the search ended early ({certificate.stopped})")
    if certificate.complete == "bound":
        said.append("the bound on what is unseen, which rests on the order of random deletions")
    if certificate.derived:
        said.append("that the states are cut from those of another reading")
    return tuple(said)


def _valid(own: Bools) -> Claim:
    return Claim(
        "every final state keeps the prediction", bool(own.all()), f"{int(own.sum())} of {len(own)} asked again do"
    )


def _critical(masked: MaskedModel, focus: Focus, sample: int) -> Iterable[Claim]:
    """Ask again without the critical sets, and without parts of them: all parts, or the largest of large sets."""
    critical = focus.critical
    if critical is None:
        return
    if len(critical):
        yield from _each_critical(masked, focus, critical)
    yield _no_critical_missing(masked, focus, critical, sample)


def _each_critical(masked: MaskedModel, focus: Focus, critical: CriticalSets) -> Iterable[Claim]:
    packed = st.pack(critical.states)
    small = st.cardinality(packed) <= MAX_SIZE
    parts, level = st.unique(st.children(packed[~small], focus.num_regions)[0]), packed[small]
    while len(level):
        level = st.unique(st.children(level, focus.num_regions)[0])
        level = level[st.cardinality(level) > 0]
        parts = np.concatenate([parts, level])
    answers = masked.ask(~st.unpack(np.concatenate([packed, parts]), focus.num_regions))
    lost, spared = np.split(~answers.valid, [len(packed)])
    wrong = ""
    if critical.predicted is not None and answers.predicted is not None:
        same = np.array_equal(np.asarray(answers.predicted)[: len(packed)], critical.predicted)
        wrong = "" if same else ", to other classes"
    if not _alike(critical.probability, answers.probability[: len(packed)]).all():
        wrong += ", at other probabilities"
    yield Claim(
        "without each critical set, all else kept, the answer changes as is said",
        bool(lost.all()) and not wrong,
        f"{int(lost.sum())} of {len(packed)} asked again change it{wrong}",
    )
    yield Claim(
        "the loss of no part of a critical set does",
        not spared.any(),
        f"{int((~spared).sum())} of {len(parts)} parts asked again leave it"
        + ("" if small.all() else f"; of sets of more than {MAX_SIZE} regions only parts of one less"),
    )
    known = [masked.memory.valid_states(masked.key)]
    known += [record.packed[record.valid] for record in (focus.evaluated, focus.further) if record is not None]
    valid = st.unique(np.concatenate(known))
    still = needed_sets(critical.states, valid)
    yield Claim(
        "no valid state does without a set that is called needed",
        not (critical.needed & ~still).any(),
        f"{int((critical.needed & still).sum())} of {int(critical.needed.sum())} are met by all "
        f"{len(valid):,} valid states at hand",
    )
    unmet = int((~critical.needed & still).sum())
    if not critical.needed.all():
        yield Claim(
            "some valid state does without each of the others",
            None if unmet else True,
            f"{int((~critical.needed & ~still).sum())} of {int((~critical.needed).sum())} by valid states at hand",
        )


def _no_critical_missing(masked: MaskedModel, focus: Focus, critical: CriticalSets, sample: int) -> Claim:
    """Ask without all single regions, and without pairs of others as far as these are said to have been asked."""
    single = np.eye(focus.num_regions, dtype=np.bool_)
    alone = masked.ask(~single).valid
    known = {state.tobytes() for state in critical.states}
    missing = sum(state.tobytes() not in known for state in single[~alone])
    detail, holds = f"{len(single)} regions asked again", True
    if critical.complete_up_to > 1:
        pairs = np.array(list(combinations(np.flatnonzero(alone), 2)), dtype=np.int64).reshape(-1, 2)
        rows = _spread(len(pairs), sample)
        dropped: Bools = single[pairs[rows]].max(axis=1, initial=False)
        if len(dropped):
            missing += sum(state.tobytes() not in known for state in dropped[~masked.ask(~dropped).valid])
        detail, holds = f"{detail}, and {len(rows):,} of {len(pairs):,} pairs", len(rows) == len(pairs)
    text = f"no critical set of up to {critical.complete_up_to} region(s) is missing"
    return Claim(text, False if missing else holds or None, f"{detail}, {missing} missing")


def _none(masked: MaskedModel, focus: Focus) -> Claim:
    """That there is no final state is so by definition where the whole input is not valid, and else unknown."""
    text = "there is no final state, as the whole input does not meet the criterion"
    valid = bool(masked.whole.valid[0])
    if valid and focus.certificate.complete != "yes":
        return Claim(text, None, "it does meet it: none was found before the search ended")
    return Claim(text, not valid, "asked again")


def _irreducible(focus: Focus, reducible: NDArray[np.int64]) -> Claim:
    text = "no final state can spare a region"
    count, unfinished = len(focus.final_states), int(focus.unfinished.sum())
    if not count:
        return Claim(text, None, "there is none")
    detail = f"{len(reducible)} of {count} can"
    finished = [int(row) for row in reducible if not focus.unfinished[row]]
    if unfinished:
        detail += f", {unfinished} of them unfinished"
    if focus.certificate.unfinished != unfinished:
        return Claim(text, False, f"{detail}; {focus.certificate.unfinished} said to be unfinished")
    if not focus.certificate.irreducible and not unfinished:
        return Claim(text, None if len(reducible) else True, f"not claimed; {detail}")
    return Claim(text, not finished, detail)


def _as_far_as_asked(claim: Claim, asked: int, total: int) -> Claim:
    """A claim that follows from recorded verdicts is known no better than these are."""
    if asked == total or not claim.holds or claim.text == COUNT:
        return claim
    return Claim(
        claim.text, None, f"{claim.detail}; so says the record, of which {asked:,} of {total:,} were asked again"
    )
