"""What is asked about an explanation once it is found: critical sets, random sets, another fill, and once more."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from captum_focalogic.focus import Focus
from captum_focalogic.logic import TruncatedWarning, necessary_states
from captum_focalogic.masked_model import MaskedModel, listed
from captum_focalogic.search import states as st
from captum_focalogic.search.critical import CriticalSets, Inquiry, critical_sets, needed_sets
from captum_focalogic.trust import SAMPLE, Repeats, SecondFill, Trust, draw_sample, measure

PRINTED = 4
"""Sets that are shown, judged under the second fill and asked again."""

_NEAREST = 6
"""Deletions that are asked again."""

_FURTHER = 2 * PRINTED + _NEAREST + 1
"""Evaluations of the second fill and of what is asked again."""

_LEAST_SAMPLE = 10
"""Of a smaller sample of region sets nothing can be said."""


@dataclass(frozen=True)
class Shares:
    """What of the evaluations goes where; None for no bound, 0 for what is left out."""

    search: int | None
    critical: int | None
    sample: int


def shares_of(max_evaluations: int | None, num_regions: int) -> Shares:
    """The search gets what critical sets and trust leave, and never less than half."""
    if max_evaluations is None:
        return Shares(None, 2 * num_regions, SAMPLE)
    room = max_evaluations // 2
    critical = min(2 * num_regions, room) if room >= num_regions else 0
    room -= critical
    sample = min(SAMPLE, (room - _FURTHER) // 2)
    sample = sample if sample >= _LEAST_SAMPLE else 0
    spent = critical + (2 * sample + _FURTHER if sample else 0)
    return Shares(max_evaluations - spent, critical, sample)


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
    second : (str, Tensor)
        Another baseline, and what it is called.
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
        second: tuple[str, Tensor],
        seed: int = 0,
        again: bool = True,
        label_of: Callable[[int], str | None] = lambda _: None,
    ) -> None:
        self._model, self._focus, self._label_of = model, focus, label_of
        self._second, values = second
        self.inquiries: list[tuple[MaskedModel, Inquiry[Any]]] = []
        whole = bool(focus.evaluated.valid[:1].any())
        self._critical: Inquiry[Any] | None = None
        self._sampled: Inquiry[Any] | None = None
        self._filled: Inquiry[Any] | None = None
        self._repeated: Inquiry[Any] | None = None
        if whole and share.critical != 0:
            hitting = partial(_hitting, focus.final_states)
            self._critical = self._ask(model, critical_sets(focus.num_regions, hitting, share.critical))
        if not share.sample:
            return
        self._sample = draw_sample(focus.final_states, share.sample, seed)
        self._sampled = self._ask(model, listed(st.pack(self._sample.states)))
        self._strongest = st.pack(focus.final_states[focus.strongest[:PRINTED]])
        if len(self._strongest):
            self._filled = self._ask(model.filled(values), listed(self._strongest))
        if again:
            self._again = self._states_again()
            self._repeated = self._ask(model.forgetful(), listed(self._again))

    def _ask(self, model: MaskedModel, questions: Any) -> Inquiry[Any]:
        inquiry: Inquiry[Any] = Inquiry(questions)
        self.inquiries.append((model, inquiry))
        return inquiry

    def _states_again(self) -> st.Packed:
        """The whole image, the states that are shown, and those of their deletions that come nearest to enough."""
        children = st.children(self._strongest, self._focus.num_regions)[0]
        record = self._focus.evaluated
        asked = record.packed[np.isin(st.sort_keys(record.packed), st.sort_keys(children)) & ~record.valid]
        score = record.score[np.isin(st.sort_keys(record.packed), st.sort_keys(children)) & ~record.valid]
        nearest = asked[np.argsort(-np.nan_to_num(score, nan=-np.inf), kind="stable")[:_NEAREST]]
        return st.unique(np.concatenate([st.full(self._focus.num_regions), self._strongest, nearest]))

    def focus(self) -> Focus:
        """The explanation with what was found."""
        focus = self._focus
        if self._critical is not None:
            focus = replace(focus, critical=self._critical_sets(_result(self._critical)))
        if self._sampled is not None:
            soundness, coverage, constant = measure(self._sample, _result(self._sampled).valid)
            focus = replace(focus, trust=Trust(soundness, coverage, constant, self._fill(), self._repeats()))
        return focus

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


def _result(inquiry: Inquiry[Any]) -> Any:
    return inquiry.result


def _hitting(final_states: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
    with warnings.catch_warnings():
        # The smallest are all that is wanted.
        warnings.simplefilter("ignore", TruncatedWarning)
        return necessary_states(final_states, most)
