"""What an explanation says of how far it can be trusted, checked with the model asked again."""

import math
from collections.abc import Iterable
from dataclasses import astuple

import numpy as np
import torch

from captum_focalogic.claims import Claim
from captum_focalogic.errors import InputError
from captum_focalogic.examination import states_again
from captum_focalogic.focus import Focus
from captum_focalogic.masked_model import MaskedModel
from captum_focalogic.search import states as st
from captum_focalogic.trust import Repeats, SecondFill, Trust, draw_sample, measure


def trust_claims(masked: MaskedModel, focus: Focus) -> Iterable[Claim]:
    """The claims of the trust, in order; none where it was not asked.

    Parameters
    ----------
    masked : MaskedModel
        The model, about the regions of the focus.
    focus : Focus
        The explanation.
    """
    if focus.trust is None:
        return
    yield _shares(masked, focus, focus.trust)
    if focus.trust.second_fill is not None:
        yield _second_fill(masked, focus, focus.trust.second_fill)
    if focus.trust.repeats is not None:
        yield _repeats(masked, focus, focus.trust.repeats)


def _shares(masked: MaskedModel, focus: Focus, trust: Trust) -> Claim:
    """That the same random region sets, drawn again by the seed, are judged as often as is said."""
    text = "on random region sets the formula is worth what is said"
    asked = trust.coverage.asked
    every = focus.num_regions < 63 and asked == 1 << focus.num_regions
    count = asked if every else trust.soundness.asked or asked
    if not 1 <= count <= _MOST or focus.provenance.seed is None:
        return Claim(text, None, f"{asked:,} sets are said to have been asked, of seed {focus.provenance.seed}")
    sample = draw_sample(focus.final_states, count, focus.provenance.seed)
    drawn = st.pack(sample.states)
    if focus.further is None or not np.isin(st.sort_keys(drawn), st.sort_keys(focus.further.packed)).all():
        return Claim(
            text,
            None,
            f"the sets that seed {focus.provenance.seed} gives are not those on record; other versions may be",
        )
    now = measure(sample, masked.ask(sample.states).valid)
    then = (trust.soundness, trust.coverage, trust.constant)
    same = all(map(_same, _numbers(*then), _numbers(*now)))
    detail = f"of {len(drawn)} asked again; sound: {now[0]}, covered: {now[1]}, of any: {100 * now[2]:.0f} %"
    return Claim(text, same, detail)


_MOST = 1_000
"""Region sets of each kind, at most; an explanation asks far fewer."""


def _numbers(soundness: object, coverage: object, constant: float) -> list[float]:
    return [*astuple(soundness), *astuple(coverage), constant]  # type: ignore[call-overload]


def _same(then: float, now: float) -> bool:
    return bool(abs(then - now) < 1e-9) or (math.isnan(then) and math.isnan(now))


def _second_fill(masked: MaskedModel, focus: Focus, said: SecondFill) -> Claim:
    text = f"with {said.baseline} the strongest sets fare as is said"
    try:
        second = masked.filled(said.baseline)
    except InputError as error:
        return Claim(text, False, str(error))
    values, used = second.example.baselines[0], masked.example.baselines[0]
    if masked.removal == "fill" and torch.equal(values, used.expand(values.shape)):
        return Claim(text, False, "that is what they were filled with in the first place")
    states = np.array([np.isin(focus.region_ids, regions) for regions in said.region_sets]).reshape(
        -1, masked.num_regions
    )
    now = tuple(second.ask(states).valid.tolist())
    return Claim(text, now == said.holds, f"{sum(now)} of {len(now)} hold, {sum(said.holds)} are said to")


def _repeats(masked: MaskedModel, focus: Focus, said: Repeats) -> Claim:
    """That the states which are asked once more are so many, and answered alike: what differed once may not again."""
    text = "states that are asked once more are answered alike"
    states = st.unpack(states_again(focus), focus.num_regions)
    if len(states) != said.asked:
        return Claim(text, False, f"{said.asked} are said to have been asked, and there are {len(states)}")
    differ = int((masked.ask(states).valid != masked.forgetful().ask(states).valid).sum())
    if said.differed:
        return Claim(text, None, f"not claimed: {said.differed} of {said.asked} differed then, {differ} now")
    return Claim(text, not differ, f"{differ} of {len(states)} differ")
