"""What a focus claims, checked against its own record of verdicts and with the model asked again."""

import contextlib
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from captum_focalogic.arrays import Bools
from captum_focalogic.criteria import Criterion
from captum_focalogic.criteria import parse as parse_criterion
from captum_focalogic.errors import InputError, TruncatedWarning
from captum_focalogic.focus import Focus
from captum_focalogic.logic import necessary_states
from captum_focalogic.masked_model import Answers, MaskedModel
from captum_focalogic.provenance import Prediction, Provenance
from captum_focalogic.search import states as st
from captum_focalogic.search.ascending import Ascending
from captum_focalogic.search.critical import MAX_SIZE, needed_sets
from captum_focalogic.search.exhaustive import FEW, Exhaustive, distinct_children
from captum_focalogic.search.record import Record, find_violations
from captum_focalogic.search.run import EVALUATED_CAP, Strategy, enumerate_final_states
from captum_focalogic.search.states import Packed


@dataclass(frozen=True)
class Claim:
    """One thing that a focus says, and what came of checking it.

    Attributes
    ----------
    text : str
        The claim.
    holds : bool or None
        None if it was not checked; ``detail`` says why.
    detail : str
        What was found.
    """

    text: str
    holds: bool | None
    detail: str

    def __str__(self) -> str:
        verdict = {True: "holds", False: "FAILS", None: "not checked"}[self.holds]
        return f"{verdict}: {self.text} ({self.detail})"


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
            [*map(str, self.claims), *map(str, self.fits), *(f"not checked: {said}" for said in self.unchecked)]
        )


def verify(
    focus: Focus, forward_func: Callable[..., Any], inputs: Any, *, sample: int = 1_000, **how: Any
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
    chosen = np.unique(np.linspace(0, max(0, len(remembered) - 1), min(sample, len(remembered))).astype(np.int64))
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
        *_critical(masked, focus),
    )
    fits = [*_fits(focus.provenance, masked.provenance), *_regions_fit(focus, masked)]
    if all(claim.holds for claim in fits):
        # Else other answers are no wonder, and the reason has been named.
        fits += _answers_fit(focus, masked, answers, len(packed) + len(children), chosen)
    return Verification(claims, len(masked.memory), tuple(fits), _unchecked(focus))


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


def _fits(said: Provenance, asked: Provenance) -> Iterable[Claim]:
    """Whether the question now is the question then, as far as both are known."""
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
        same = said.index == now.index and _close(said.probability, now.probability)
        same = same and all(
            then[0] == again[0] and _close(then[2], again[2]) for then, again in zip(said.top, now.top, strict=False)
        )
        detail = _predicted(said) if same else f"{_predicted(said)} then, {_predicted(now)} now"
        yield Claim("the prediction is the model's", same, detail)
    recorded, count = focus.evaluated, len(focus.evaluated)
    if recorded.probability is not None:
        text = "the recorded probabilities are the model's"
        if len(recorded.probability) != count:
            yield Claim(text, False, f"{len(recorded.probability)} are recorded for {count} states")
            return
        then, again = recorded.probability[chosen], answers.probability[start:]
        off = int((~np.isclose(then, again, rtol=0, atol=_CLOSE, equal_nan=True)).sum())
        yield Claim(text, off == 0, f"{off} of {len(chosen)} asked again differ by more than {_CLOSE}")
    if recorded.predicted is not None and answers.predicted is not None:
        text = "the recorded classes are the model's"
        if len(recorded.predicted) != count:
            yield Claim(text, False, f"{len(recorded.predicted)} are recorded for {count} states")
            return
        off = int((recorded.predicted[chosen] != answers.predicted[start:]).sum())
        yield Claim(text, off == 0, f"{off} of {len(chosen)} asked again differ")


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
}


def _unchecked(focus: Focus) -> tuple[str, ...]:
    """What a certificate says that neither its record nor the model can tell, and what it should say and does not."""
    certificate = focus.certificate
    said = [f"which search it was, and that it asked in {certificate.batches:,} batch(es)"]
    told = {"baseline_digest"} if focus.provenance.removal == "tokens" else set()
    untold = [what for name, what in _UNTOLD.items() if name not in told and getattr(focus.provenance, name) is None]
    if untold:
        said.append(f"{', '.join(untold)}, which the explanation does not tell")
    if focus.names or focus.target_name:
        said.append("what regions and classes are called")
    if focus.trust is not None:
        said.append("what the formula is worth on random region sets, under a second fill and when asked again")
    if focus.critical is not None:
        said.append("how many states were asked for the critical sets, and that none of their size is missing")
    if focus.further is not None:
        said.append("what the model answered beside the search, to states that readers may ask about")
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


def _critical(masked: MaskedModel, focus: Focus) -> Iterable[Claim]:
    """Ask again without the critical sets, and without parts of them: all parts, or the largest of large sets."""
    critical = focus.critical
    if critical is None or not len(critical.states):
        return
    packed = st.pack(critical.states)
    small = st.cardinality(packed) <= MAX_SIZE
    parts, level = st.unique(st.children(packed[~small], focus.num_regions)[0]), packed[small]
    while len(level):
        level = st.unique(st.children(level, focus.num_regions)[0])
        level = level[st.cardinality(level) > 0]
        parts = np.concatenate([parts, level])
    answers = masked.ask(~st.unpack(np.concatenate([packed, parts]), focus.num_regions))
    lost, spared = np.split(~answers.valid, [len(packed)])
    same = critical.predicted is None or answers.predicted is None
    said = same or np.array_equal(np.asarray(answers.predicted)[: len(packed)], np.asarray(critical.predicted))
    yield Claim(
        "without each critical set, all else kept, the answer changes as is said",
        bool(lost.all()) and bool(said),
        f"{int(lost.sum())} of {len(packed)} asked again change it{'' if said else ', to other classes'}",
    )
    yield Claim(
        "the loss of no part of a critical set does",
        not spared.any(),
        f"{int((~spared).sum())} of {len(parts)} parts asked again leave it"
        + ("" if small.all() else f"; of sets of more than {MAX_SIZE} regions only parts of one less"),
    )
    valid = masked.memory.valid_states(masked.key)
    recorded = focus.evaluated.packed[focus.evaluated.valid]
    still = needed_sets(critical.states, np.concatenate([valid, recorded]))
    yield Claim(
        "no valid state does without a set that is called needed",
        not (critical.needed & ~still).any(),
        f"{int((critical.needed & still).sum())} of {int(critical.needed.sum())} are met by all "
        f"{len(valid) + len(recorded):,} valid states at hand",
    )


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


def recorded_claims(focus: Focus) -> list[Claim]:
    """Claims that the record of verdicts decides by itself, without the model."""
    claims = [_complete(focus), _counted(focus), _contradictions(focus)]
    claims.append(_reached(focus) if focus.certificate.reading == "irreducible" else _meaning(focus))
    return claims


def _as_far_as_asked(claim: Claim, asked: int, total: int) -> Claim:
    """A claim that follows from recorded verdicts is known no better than these are."""
    if asked == total or not claim.holds or claim.text == _COUNT:
        return claim
    return Claim(
        claim.text, None, f"{claim.detail}; so says the record, of which {asked:,} of {total:,} were asked again"
    )


_COUNT = "as many states were asked as is said"


def _counted(focus: Focus) -> Claim:
    said, remembered = focus.certificate.evaluations, focus.evaluated
    detail = f"{said:,} said, {remembered.total:,} recorded"
    twice = len(remembered) - len(st.unique(remembered.packed))
    if twice:
        return Claim(_COUNT, False, f"{detail}, {twice:,} of them twice")
    if remembered.truncated and len(remembered) < EVALUATED_CAP:
        return Claim(_COUNT, False, f"{detail}, but {len(remembered):,} verdicts are here")
    return Claim(_COUNT, said == remembered.total, detail)


def _contradictions(focus: Focus) -> Claim:
    certificate, remembered = focus.certificate, focus.evaluated
    text = "the verdicts contradict monotonicity as often as is said"
    if remembered.truncated:
        return Claim(text, None, "the record of verdicts was capped")
    if len(remembered) > FEW:
        return Claim(text, None, f"{len(remembered):,} verdicts, of which searches may compare neighbours alone")
    pairs = find_violations(remembered).total
    return Claim(text, certificate.violations == pairs, f"{certificate.violations:,} pair(s) said, {pairs:,} recorded")


def _meaning(focus: Focus) -> Claim:
    """That minimal states have no valid part, and that no set is smaller than the smallest ones."""
    kind, sizes = focus.certificate.kind, focus.final_states.sum(axis=1)
    text = {
        "minimal": "no part of a final state keeps the prediction",
        "smallest": "no set of fewer regions keeps the prediction",
    }.get(kind, "each final state was found on the way to the smallest")
    if not len(sizes):
        return Claim(text, None, "there is none")
    if focus.certificate.derived:
        return Claim(text, None, "not claimed; the states are cut from those of another reading")
    if kind not in ("minimal", "smallest"):
        return Claim(text, None, "nothing more is claimed of them")
    final, valid = st.pack(focus.final_states), focus.evaluated.packed[focus.evaluated.valid]
    broken = _with_smaller(final, valid, kind)
    if broken:
        return Claim(text, False, f"by the record, {broken} of {len(final)} do")
    if focus.evaluated.truncated:
        return Claim(text, None, "the record of verdicts was capped")
    below = int(sizes.max()) - 1
    if below < 0:
        return Claim(text, True, "the empty set is the smallest")
    _, missing = _derived(focus, Ascending(max_size=below))
    return Claim(text, None if missing else True, f"derived from the record, {missing} verdict(s) missing")


def _with_smaller(final: Packed, valid: Packed, kind: str) -> int:
    """How many final states are larger than some valid set, or, for minimal ones, contain it."""
    if kind == "smallest":
        return int((st.cardinality(final) > st.cardinality(valid).min(initial=_MOST_REGIONS)).sum())
    valid = st.absorb(valid)
    inside = (((valid & ~state) == 0).all(axis=1) & (valid != state).any(axis=1) for state in final)
    return sum(bool(smaller.any()) for smaller in inside)


_MOST_REGIONS = 1 << 62


def _reached(focus: Focus) -> Claim:
    """Follow the recorded valid deletions from the whole image."""
    text = "single deletions that keep the prediction lead to every final state"
    if not focus.certificate.reached:
        return Claim(text, None, "not claimed")
    if not len(focus.final_states):
        return Claim(text, None, "there is none")
    if focus.evaluated.truncated:
        return Claim(text, None, "the record of verdicts was capped")
    valid = focus.evaluated.packed[focus.evaluated.valid]
    final = st.sort_keys(st.pack(focus.final_states))
    found = 0
    level = st.full(focus.num_regions)
    while len(level):
        level = level[np.isin(st.sort_keys(level), st.sort_keys(valid))]
        found += int(np.isin(final, st.sort_keys(level)).sum())
        children = distinct_children(level, focus.num_regions, limit=len(valid) * focus.num_regions)
        level = st.empty(focus.num_regions) if children is None else children
    return Claim(text, found == len(final), f"{found} of {len(final)} by recorded verdicts")


def _complete(focus: Focus) -> Claim:
    """Derive the final states anew from the recorded verdicts."""
    certificate = focus.certificate
    sizes = focus.final_states.sum(axis=1)
    text = "no final state is missing"
    miscounted = _miscounted(focus)
    if miscounted:
        return Claim(text, False, miscounted)
    up_to = certificate.complete_up_to
    strategy: Strategy
    if certificate.complete == "yes" and not len(sizes):
        text, strategy = "no final state is missing", Ascending(max_size=0)
        return Claim(
            text, not bool(focus.evaluated.valid[:1].any()), "the record says that the whole input is not valid"
        )
    if certificate.complete == "yes":
        strategies: dict[str, Strategy] = {
            "irreducible": Exhaustive(),
            "minimal": Ascending(),
            "smallest": Ascending(stop="smallest"),
        }
        strategy, up_to = strategies[certificate.reading], None
    elif certificate.complete == "if monotone":
        return _complete_if_monotone(focus)
    elif certificate.reading == "irreducible" and up_to is not None and up_to >= 0 and certificate.complete == "no":
        text, strategy = f"no irreducible state of up to {up_to} region(s) is missing", Exhaustive()
    elif certificate.reading != "irreducible" and up_to is not None:
        named = certificate.reading if certificate.kind == certificate.reading else "smaller valid"
        text = f"no {named} state of up to {up_to} region(s) is missing"
        strategy = Ascending(max_size=up_to, stop="smallest" if certificate.reading == "smallest" else None)
    else:
        return Claim(text, None, "not claimed for every model")
    if focus.evaluated.truncated:
        return Claim(text, None, "the record of verdicts was capped")
    if up_to is not None and up_to < 0:
        return Claim(text, True, "nothing is claimed of any size")
    derived, missing = _derived(focus, strategy)
    claimed = focus.final_states if up_to is None else focus.final_states[sizes <= up_to]
    derived = derived if up_to is None else derived[derived.sum(axis=1) <= up_to]
    same = {state.tobytes() for state in derived} == {state.tobytes() for state in claimed}
    return Claim(text, same and not missing, f"derived from the record, {missing} verdict(s) missing")


def _derived(focus: Focus, strategy: Strategy) -> tuple[Bools, int]:
    """The final states of a search over the record, and how many verdicts it lacked."""
    record = Record(focus.num_regions)
    record.add(focus.evaluated.packed, focus.evaluated.valid, None)
    missing = 0

    def recorded(states: Bools) -> Bools:
        nonlocal missing
        rows = record.find(st.pack(states))
        missing += int((rows < 0).sum())
        return np.asarray((rows >= 0) & record.valid(np.maximum(rows, 0)))

    # One more than is known, so that a record that lacks much costs no more than itself.
    budget = len(focus.evaluated) + 1
    found = enumerate_final_states(recorded, focus.num_regions, strategy, max_evaluations=budget)
    return found.final_states, missing


def _complete_if_monotone(focus: Focus) -> Claim:
    """On a monotone model none is missing if every largest set that contains no final state is known to fail.

    A set fails if it was recorded invalid, or lies within one that was.
    """
    text = "no final state is missing if adding a region never invalidates a set"
    if focus.evaluated.truncated:
        return Claim(text, None, "the record of verdicts was capped")
    if focus.certificate.violations:
        return Claim(text, False, f"{focus.certificate.violations:,} pair(s) of verdicts show that it does")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncatedWarning)
        avoided = necessary_states(focus.final_states, _MOST_AVOIDED)
    if len(avoided) >= _MOST_AVOIDED:
        return Claim(text, None, f"{len(avoided):,} largest sets without a final state are too many to look up")
    invalid = focus.evaluated.packed[~focus.evaluated.valid]
    largest = st.pack(~avoided)
    known = sum(bool(((state & ~invalid) == 0).all(axis=1).any()) for state in largest)
    return Claim(
        text, known == len(largest), f"{known} of {len(largest)} largest sets without a final state are recorded"
    )


_MOST_AVOIDED = 20_000


def _miscounted(focus: Focus) -> str | None:
    """What a certificate says of the states it speaks of, and is not so."""
    certificate, sizes = focus.certificate, focus.final_states.sum(axis=1)
    if certificate.num_states is not None and certificate.num_states != len(sizes):
        return f"{certificate.num_states} said, {len(sizes)} are here"
    least = int(sizes.min()) if len(sizes) else None
    if certificate.least is not None and certificate.least != least:
        return f"the smallest is said to have {certificate.least} region(s), and has {least}"
    if certificate.reading == "smallest" and certificate.kind == "smallest" and len(set(sizes.tolist())) > 1:
        return f"the smallest states have several sizes: {sorted(set(sizes.tolist()))}"
    if certificate.kind == "minimal" and len(st.absorb(st.pack(focus.final_states))) != len(sizes):
        return "one of the minimal states contains another"
    return None
