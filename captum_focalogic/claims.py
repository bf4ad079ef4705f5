"""Claims of a focus that its own fields and its record of verdicts decide, without the model."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from captum_focalogic.arrays import Bools
from captum_focalogic.errors import TruncatedWarning, hearing
from captum_focalogic.logic.necessity import necessary_states
from captum_focalogic.search import states as st
from captum_focalogic.search.ascending import Ascending
from captum_focalogic.search.critical import needed_sets
from captum_focalogic.search.exhaustive import FEW, Exhaustive, distinct_children
from captum_focalogic.search.record import Record, find_violations
from captum_focalogic.search.run import EVALUATED_CAP, Strategy, enumerate_final_states
from captum_focalogic.search.states import Packed
from captum_focalogic.tables import printable

if TYPE_CHECKING:
    from captum_focalogic.focus import Focus


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
        return printable(f"{verdict}: {self.text} ({self.detail})")


def recorded_claims(focus: "Focus") -> list[Claim]:
    """Claims that the record of verdicts decides by itself, without the model."""
    claims = [_complete(focus), _counted(focus), _monotone(focus)]
    if focus.certificate.reading == "irreducible":
        return [*claims, _reached(focus)]
    return [*claims, *([_reached(focus)] if focus.certificate.reached else []), _meaning(focus)]


COUNT = "as many states were asked as is said"


def _counted(focus: "Focus") -> Claim:
    said, remembered = focus.certificate.evaluations, focus.evaluated
    detail = f"{said:,} said, {remembered.total:,} recorded"
    twice = len(remembered) - len(st.unique(remembered.packed))
    if twice:
        return Claim(COUNT, False, f"{detail}, {twice:,} of them twice")
    if remembered.truncated and len(remembered) < EVALUATED_CAP:
        return Claim(COUNT, False, f"{detail}, but {len(remembered):,} verdicts are here")
    return Claim(COUNT, said == remembered.total, detail)


def _monotone(focus: "Focus") -> Claim:
    certificate, remembered = focus.certificate, focus.evaluated
    text = "the verdicts contradict monotonicity as often as is said"
    if remembered.truncated:
        return Claim(text, None, "the record of verdicts was capped")
    if len(remembered) > FEW:
        return Claim(text, None, f"{len(remembered):,} verdicts, of which searches may compare neighbours alone")
    pairs = find_violations(remembered).total
    return Claim(text, certificate.violations == pairs, f"{certificate.violations:,} pair(s) said, {pairs:,} recorded")


def _meaning(focus: "Focus") -> Claim:
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


def _reached(focus: "Focus") -> Claim:
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


def _complete(focus: "Focus") -> Claim:
    """Derive the final states anew from the recorded verdicts."""
    certificate = focus.certificate
    sizes = focus.final_states.sum(axis=1)
    text = "no final state is missing"
    miscounted = next(_miscounted(focus), None)
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
        if up_to is not None and certificate.reading != "irreducible" and not focus.evaluated.truncated:
            _, missing = _derived(focus, Ascending(max_size=max(up_to, 0)))
            if missing:
                return Claim(text, False, f"not all sets of up to {up_to} region(s) were asked, or have a valid part")
        strategy, up_to = strategies[certificate.reading], None
    elif certificate.complete == "if monotone":
        return _complete_if_monotone(focus)
    elif certificate.reading == "irreducible" and up_to is not None and up_to >= 0 and certificate.complete == "no":
        text, strategy = f"no irreducible state of up to {up_to} region(s) is missing", Exhaustive()
    elif up_to is not None and up_to < 0:
        return Claim(text, None, "nothing is claimed of any size")
    elif certificate.reading != "irreducible" and up_to is not None:
        named = certificate.reading if certificate.kind == certificate.reading else "smaller valid"
        text = f"no {named} state of up to {up_to} region(s) is missing"
        strategy = Ascending(max_size=up_to, stop="smallest" if certificate.reading == "smallest" else None)
    else:
        return Claim(text, None, "not claimed for every model")
    if focus.evaluated.truncated:
        return Claim(text, None, "the record of verdicts was capped")
    derived, missing = _derived(focus, strategy)
    claimed = focus.final_states if up_to is None else focus.final_states[sizes <= up_to]
    derived = derived if up_to is None else derived[derived.sum(axis=1) <= up_to]
    same = {state.tobytes() for state in derived} == {state.tobytes() for state in claimed}
    return Claim(text, same and not missing, f"derived from the record, {missing} verdict(s) missing")


def _derived(focus: "Focus", strategy: Strategy) -> tuple[Bools, int]:
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


def _complete_if_monotone(focus: "Focus") -> Claim:
    """On a monotone model none is missing if every largest set that contains no final state is known to fail.

    A set fails if it was recorded invalid, or lies within one that was.
    """
    text = "no final state is missing if adding a region never invalidates a set"
    if focus.evaluated.truncated:
        return Claim(text, None, "the record of verdicts was capped")
    if focus.certificate.violations:
        return Claim(text, False, f"{focus.certificate.violations:,} pair(s) of verdicts show that it does")
    states = focus.final_states
    if focus.certificate.reading == "smallest":
        # The smallest sets of all that have no valid part: of these too none may be missing.
        found = st.canonical_order(st.absorb(focus.evaluated.packed[focus.evaluated.valid]), focus.num_regions)
        sizes = st.cardinality(found)
        if not np.array_equal(states, st.unpack(found[sizes == sizes.min(initial=_MOST_REGIONS)], focus.num_regions)):
            return Claim(text, False, "the smallest sets on record that keep the prediction are others")
        states = st.unpack(found, focus.num_regions)
    with hearing(TruncatedWarning):
        avoided = necessary_states(states, _MOST_AVOIDED)
    if len(avoided) >= _MOST_AVOIDED:
        return Claim(text, None, f"{len(avoided):,} largest sets without a final state are too many to look up")
    invalid = focus.evaluated.packed[~focus.evaluated.valid]
    largest = st.pack(~avoided)
    known = sum(bool(((state & ~invalid) == 0).all(axis=1).any()) for state in largest)
    return Claim(
        text, known == len(largest), f"{known} of {len(largest)} largest sets without a final state are recorded"
    )


_MOST_AVOIDED = 20_000


def contradictions(focus: "Focus") -> Iterator[str]:
    """What a focus says of itself and is not so, by its own fields alone: no honest one says any of it."""
    yield from _miscounted(focus)
    flagged = int(focus.unfinished.sum())
    if focus.certificate.unfinished != flagged:
        yield f"{flagged} final state(s) are unfinished, and {focus.certificate.unfinished} said to be"
    if focus.certificate.evaluations != focus.evaluated.total:
        yield f"{focus.certificate.evaluations:,} evaluations are said, and {focus.evaluated.total:,} recorded"
    if focus.further is not None:
        said, here = focus.further.total, len(st.unique(focus.further.packed))
        if said != here:
            yield f"{said:,} states are said to have been asked beside the search, and {here:,} are here"
    if focus.critical is not None:
        avoided = focus.critical.needed & ~needed_sets(focus.critical.states, st.pack(focus.final_states))
        if len(focus.final_states) and avoided.any():
            yield f"{int(avoided.sum())} critical set(s) are called needed that a final state does without"
    fill = None if focus.trust is None else focus.trust.second_fill
    if fill is not None and not {frozenset(regions) for regions in fill.region_sets} <= set(focus.region_sets()):
        yield "sets are said to have been judged under another fill that are no final states"


def _miscounted(focus: "Focus") -> Iterator[str]:
    """What a certificate says of the states it speaks of, and is not so."""
    certificate, sizes = focus.certificate, focus.final_states.sum(axis=1)
    if certificate.num_states is not None and certificate.num_states != len(sizes):
        yield f"the certificate says {certificate.num_states} final state(s), and {len(sizes)} are here"
    least = int(sizes.min()) if len(sizes) else None
    if certificate.least is not None and certificate.least != least:
        yield f"the smallest is said to have {certificate.least} region(s), and has {least}"
    if certificate.kind == "smallest" and len(set(sizes.tolist())) > 1:
        yield f"the smallest states have several sizes: {sorted(set(sizes.tolist()))}"
    if certificate.kind == "minimal" and len(st.absorb(st.pack(focus.final_states))) != len(sizes):
        yield "one of the minimal states contains another"
