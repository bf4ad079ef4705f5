"""What is asked about an explanation once it is found: critical sets, random sets, another fill, and once more."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.errors import TruncatedWarning, hearing
from captum_focalogic.focus import Focus
from captum_focalogic.logic import necessary_states
from captum_focalogic.masked_model import MaskedModel
from captum_focalogic.oracle import listed
from captum_focalogic.search import states as st
from captum_focalogic.search.critical import (
    CriticalSearch,
    CriticalSets,
    Inquiry,
    Questions,
    critical_sets,
    needed_sets,
)
from captum_focalogic.search.record import Evaluated
from captum_focalogic.trust import SAMPLE, Repeats, SecondFill, Trust, draw_sample, measure

PRINTED = 4
"""Sets that are shown, judged under the second fill and asked again."""

_NEAREST = 6
"""Deletions that are asked again."""

_FURTHER = 2 * PRINTED + _NEAREST + 1
"""Evaluations of the second fill and of what is asked again."""

_LISTED = 400
"""Final states whose answers are kept with their classes, and whose complements are asked."""

_LEAST_SAMPLE = 10
"""Of a smaller sample of region sets nothing can be said."""


@dataclass(frozen=True)
class Shares:
    """What of the evaluations goes where; None for no bound, 0 for what is left out."""

    search: int | None
    critical: int | None
    sample: int
    further: int


def shares_of(max_evaluations: int | None, num_regions: int) -> Shares:
    """The search gets what critical sets, trust and what-if leave, and never less than half."""
    if max_evaluations is None:
        return Shares(None, 2 * num_regions, SAMPLE, 3 * num_regions)
    room = max_evaluations // 2
    critical = min(2 * num_regions, room) if room >= num_regions else 0
    room -= critical
    sample = min(SAMPLE, (room - _FURTHER) // 2)
    sample = sample if sample >= _LEAST_SAMPLE else 0
    spent = critical + (2 * sample + _FURTHER if sample else 0)
    further = min(3 * num_regions, max_evaluations // 2 - spent)
    return Shares(max_evaluations - spent - further, critical, sample, further)


class Examination:
    """What is asked about one explanation.

    Parameters
    ----------
    model : MaskedModel
        Under the criterion that it was explained with.
    focus : Focus
        The explanation.
    share : Shares
        What may be asked.
    second : (str, MaskedModel)
        What another fill is called, and the model under it.
    seed : int
        Of the random region sets.
    again : bool
        Whether states may be asked again; each of a paid model's costs money.
    label_of : callable
        Class to name.

    Attributes
    ----------
    inquiries : list of (MaskedModel, Inquiry)
        Whom to ask what; :meth:`focus` is there once all are answered.
    """

    def __init__(
        self,
        model: MaskedModel,
        focus: Focus,
        share: Shares,
        second: tuple[str, MaskedModel],
        seed: int = 0,
        again: bool = True,
        label_of: Callable[[int], str | None] = lambda _: None,
    ) -> None:
        self._model, self._focus, self._label_of = model, focus, label_of
        self._second, filled = second
        self.inquiries: list[tuple[MaskedModel, Inquiry[Any]]] = []
        self._share = share
        self._looked_at: list[st.Packed] = []
        self._sampled: Inquiry[Any] | None = None
        self._filled: Inquiry[Any] | None = None
        self._repeated: Inquiry[Any] | None = None
        self._beside = self._ask(model, self._questions())
        if not share.sample:
            return
        self._sample = draw_sample(focus.final_states, share.sample, seed)
        self._sampled = self._ask(model, listed(st.pack(self._sample.states)))
        self._strongest = st.pack(focus.final_states[focus.strongest[:PRINTED]])
        if len(self._strongest):
            self._filled = self._ask(filled, listed(self._strongest))
        if again:
            self._again = states_again(focus)
            self._repeated = self._ask(model.forgetful(), listed(self._again))

    def _questions(self) -> "Questions[CriticalSearch | None]":
        """Those of the critical sets; then those that a reader would ask, who takes regions away and puts them back."""
        focus, share = self._focus, self._share
        found: CriticalSearch | None = None
        if bool(focus.evaluated.valid[:1].any()) and share.critical != 0:
            hitting = partial(_hitting, focus.final_states)
            asked = critical_sets(focus.num_regions, hitting, share.critical)
            found = yield from _heard(asked, self._looked_at)
        likely = self._likely(found)
        unknown = np.flatnonzero(~self._model.memory.holds(likely))
        left_out = unknown[share.further :]
        self._looked_at.append(np.delete(likely, left_out, axis=0))
        yield self._looked_at[-1]
        return found

    def _likely(self, found: "CriticalSearch | None") -> st.Packed:
        """Single deletions, single regions, what is left without a final state, and critical sets alone."""
        focus = self._focus
        single = np.eye(focus.num_regions, dtype=np.bool_)
        without = ~focus.final_states[focus.strongest[:_LISTED]]
        alone = single[:0] if found is None else found.states
        nothing = np.zeros((1, focus.num_regions), dtype=np.bool_)
        return _distinct(st.pack(np.concatenate([~nothing, ~single, single, nothing, without, alone])))

    def _ask(self, model: MaskedModel, questions: Any) -> Inquiry[Any]:
        inquiry: Inquiry[Any] = Inquiry(questions)
        self.inquiries.append((model, inquiry))
        return inquiry

    def focus(self) -> Focus:
        """The explanation with what was found."""
        focus = self._focus
        found = _result(self._beside)
        if found is not None:
            focus = replace(focus, critical=self._critical_sets(found))
        if self._sampled is not None:
            soundness, coverage, constant = measure(self._sample, _result(self._sampled).valid)
            focus = replace(focus, trust=Trust(soundness, coverage, constant, self._fill(), self._repeats()))
        return replace(focus, further=self._further())

    def _further(self) -> Evaluated:
        """The answers to all states that were asked beside the search, and to the final ones, with their classes."""
        strongest = self._focus.final_states[self._focus.strongest[:_LISTED]]
        sampled = st.empty(self._focus.num_regions) if self._sampled is None else st.pack(self._sample.states)
        packed = _distinct(np.concatenate([*self._looked_at, st.pack(strongest), sampled]))
        answers = self._model.answers(packed)
        classes = np.unique(answers.top if answers.predicted is None else np.append(answers.top, answers.predicted))
        named = ((index, self._label_of(index)) for index in classes.tolist())
        return Evaluated(
            packed=packed,
            valid=answers.valid,
            score=answers.score,
            num_regions=self._focus.num_regions,
            total=len(packed),
            predicted=answers.predicted,
            probability=answers.probability,
            top=answers.top,
            top_probability=answers.top_probability,
            class_names={index: name for index, name in named if name is not None},
        )

    def _critical_sets(self, found: Any) -> CriticalSets:
        answers = self._model.answers(st.pack(~found.states))
        valid = self._model.memory.valid_states(self._model.key)
        return CriticalSets(
            states=found.states,
            predicted=answers.predicted,
            probability=answers.probability,
            needed=needed_sets(found.states, valid),
            valid_asked=len(valid),
            asked=found.asked,
            complete_up_to=found.complete_up_to,
            names=()
            if answers.predicted is None
            else tuple(self._label_of(index) for index in answers.predicted.tolist()),
        )

    def _fill(self) -> SecondFill | None:
        if self._filled is None:
            return None
        kept = st.unpack(self._strongest, self._focus.num_regions)
        return SecondFill(
            self._second,
            tuple(tuple(self._focus.region_ids[state].tolist()) for state in kept),
            tuple(_result(self._filled).valid.tolist()),
        )

    def _repeats(self) -> Repeats | None:
        if self._repeated is None:
            return None
        before, _ = self._model.memory.verdicts(self._model.key, self._again)
        differed = before != _result(self._repeated).valid
        shown = np.isin(
            st.sort_keys(self._again), st.sort_keys(np.concatenate([self._strongest, st.full(self._focus.num_regions)]))
        )
        return Repeats(len(self._again), int(differed.sum()), certain=not bool((differed & shown).any()))


def states_again(focus: Focus) -> st.Packed:
    """The whole image, the states that are shown, and those of their deletions that come nearest to enough."""
    strongest = st.pack(focus.final_states[focus.strongest[:PRINTED]])
    children = st.children(strongest, focus.num_regions)[0]
    record = focus.evaluated
    rows = np.flatnonzero(np.isin(st.sort_keys(record.packed), st.sort_keys(children)) & ~record.valid)
    nearest = rows[np.argsort(-np.nan_to_num(record.score[rows], nan=-np.inf), kind="stable")[:_NEAREST]]
    return st.unique(np.concatenate([st.full(focus.num_regions), strongest, record.packed[nearest]]))


def _heard(questions: "Questions[CriticalSearch]", heard: list[st.Packed]) -> "Questions[CriticalSearch]":
    """The same questions, whose states are kept."""
    states = next(questions)
    while True:
        heard.append(states)
        verdicts = yield states
        try:
            states = questions.send(verdicts)
        except StopIteration as end:
            found: CriticalSearch = end.value
            return found


def _distinct(packed: st.Packed) -> st.Packed:
    """Each state once, where it comes first."""
    _, first = np.unique(st.sort_keys(packed), return_index=True)
    distinct: st.Packed = packed[np.sort(first)]
    return distinct


def _result(inquiry: Inquiry[Any]) -> Any:
    return inquiry.result


def _hitting(final_states: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
    # The smallest are all that is wanted.
    with hearing(TruncatedWarning):
        return necessary_states(final_states, most)
