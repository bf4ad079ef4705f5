"""What a focus claims, checked against its own record of verdicts."""

from dataclasses import dataclass

import numpy as np

from captum_focalogic.focus import Focus
from captum_focalogic.search import states as st
from captum_focalogic.search.ascending import Ascending
from captum_focalogic.search.exhaustive import FEW, Exhaustive, distinct_children
from captum_focalogic.search.record import Record, find_violations
from captum_focalogic.search.run import Strategy, enumerate_final_states
from captum_focalogic.search.states import Bools


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


def recorded_claims(focus: Focus) -> list[Claim]:
    """Claims that the record of verdicts decides by itself, without the model."""
    certificate, remembered = focus.certificate, focus.evaluated
    claims = [
        _complete(focus),
        Claim(
            "as many states were asked as is said",
            certificate.evaluations == remembered.total,
            f"{certificate.evaluations:,} said, {remembered.total:,} recorded",
        ),
    ]
    # Above that, searches may count pairs of neighbours alone.
    if len(remembered) <= FEW and not remembered.truncated:
        pairs = find_violations(remembered).total
        claims.append(
            Claim(
                "the verdicts contradict monotonicity as often as is said",
                certificate.violations == pairs,
                f"{certificate.violations:,} pair(s) said, {pairs:,} recorded",
            )
        )
    if certificate.reading == "irreducible":
        claims.append(_reached(focus))
    return claims


def _reached(focus: Focus) -> Claim:
    """Follow the recorded valid deletions from the whole image."""
    text = "single deletions that keep the prediction lead to every final state"
    if not focus.certificate.reached:
        return Claim(text, None, "not claimed")
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
    up_to = certificate.complete_up_to
    strategy: Strategy
    if certificate.reading == "irreducible" and certificate.complete == "yes":
        text, strategy = "no final state is missing", Exhaustive()
    elif certificate.reading != "irreducible" and up_to is not None:
        text = f"no {certificate.reading} state of up to {up_to} region(s) is missing"
        strategy = Ascending(max_size=up_to, stop="smallest" if certificate.reading == "smallest" else None)
    else:
        return Claim("no final state is missing", None, "not claimed for every model")
    if focus.evaluated.truncated:
        return Claim(text, None, "the record of verdicts was capped")
    record = Record(focus.num_regions)
    record.add(focus.evaluated.packed, focus.evaluated.valid, None)
    missing = 0

    def recorded(states: Bools) -> Bools:
        nonlocal missing
        rows = record.find(st.pack(states))
        missing += int((rows < 0).sum())
        return np.asarray((rows >= 0) & record.valid(np.maximum(rows, 0)))

    derived = enumerate_final_states(recorded, focus.num_regions, strategy).final_states
    claimed = focus.final_states
    if up_to is not None:
        claimed = claimed[claimed.sum(axis=1) <= up_to]
    same = {state.tobytes() for state in derived} == {state.tobytes() for state in claimed}
    return Claim(text, same and not missing, f"derived from the record, {missing} verdict(s) missing")
