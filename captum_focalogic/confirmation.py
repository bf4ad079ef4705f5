"""What logic says of an explanation, put to the model: sets that the formula needs, and sets that tell two apart."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Bools
from captum_focalogic.errors import InputError
from captum_focalogic.focus import Focus
from captum_focalogic.logic import necessary_states
from captum_focalogic.masked_model import MaskedModel
from captum_focalogic.verify import check_regions


def confirm_necessary(focus: Focus, necessary: Bools, masked: MaskedModel) -> Bools:
    """Whether removing each necessary set defeats the prediction itself, not only the formula.

    A necessary set hits every final state, so without it T(V) is false; a model that is not monotone may keep its
    prediction all the same.

    Parameters
    ----------
    focus : Focus
        The explanation.
    necessary : (K, M) bool
        Region sets, such as :func:`captum_focalogic.logic.necessary_states` gives.
    masked : MaskedModel
        The model, about the same target and regions.

    Returns
    -------
    (K,) bool
        True where the model confirms: with just these regions dropped, the prediction is lost.
    """
    return ~_keeps(focus, masked, ~np.asarray(necessary, dtype=np.bool_))


MAX_PRINTED = 20
"""Sets that are printed, the smallest first."""


@dataclass(frozen=True, eq=False)
class Necessity:
    """Region sets whose removal defeats every final state, and what the model says to that.

    Attributes
    ----------
    region_ids : (M,) int64
        Region of each column.
    states : (K, M) bool
        The regions to remove, smallest set first.
    confirmed : (K,) bool
        Whether the model loses its prediction without them.
    """

    region_ids: NDArray[np.int64]
    states: Bools
    confirmed: Bools

    def region_sets(self) -> list[frozenset[int]]:
        """The sets that the model confirms, as region ids, smallest first."""
        return [frozenset(self.region_ids[state].tolist()) for state in self.states[self.confirmed]]

    def __len__(self) -> int:
        return len(self.states)

    def __str__(self) -> str:
        said = {True: "confirmed", False: "NOT confirmed"}
        lines = [
            f"{said[bool(confirmed)]}: without {{{', '.join(map(str, self.region_ids[state].tolist()))}}}"
            for state, confirmed in zip(self.states[:MAX_PRINTED], self.confirmed[:MAX_PRINTED], strict=True)
        ]
        if more := len(self) - len(lines):
            confirmed = int(self.confirmed[MAX_PRINTED:].sum())
            lines.append(f"... and {more:,} larger ones, {confirmed:,} of them confirmed; all are in .states")
        return "\n".join(lines)


def necessary(focus: Focus, masked: MaskedModel, limit: int | None = 1_000) -> Necessity:
    """What the formula cannot do without, each set put to the model.

    The sets are those of :func:`captum_focalogic.logic.necessary_states`: without any one of them no final state is
    whole. That defeats the formula. Whether it defeats the prediction too is the model's to say, as it may keep it for
    reasons that no final state shows.

    Parameters
    ----------
    focus : Focus
        The explanation.
    masked : MaskedModel
        The model, about the same target and regions.
    limit : int or None
        Most sets to ask about, the smallest first; None for all.

    Returns
    -------
    Necessity
        One set a line when printed, up to :data:`MAX_PRINTED`.

    Warns
    -----
    TruncatedWarning
        If there are more sets than ``limit``.

    Raises
    ------
    InputError
        If the input does not have the regions of the focus, or the limit is below 1.

    Examples
    --------
    >>> print(necessary(focus, masked_model_of(focus, model, image)))  # doctest: +SKIP
    confirmed: without {1}
    NOT confirmed: without {3, 4}
    """
    states = necessary_states(focus.final_states, limit)
    return Necessity(focus.region_ids, states, confirm_necessary(focus, states, masked))


@dataclass(frozen=True)
class DifferenceCheck:
    """A region set on which two formulas differ, put to their models.

    Attributes
    ----------
    regions : frozenset of int
        The set.
    formula_a, formula_b : bool
        Whether each formula holds for it.
    model_a, model_b : bool
        Whether each model keeps its prediction with just these regions.
    """

    regions: frozenset[int]
    formula_a: bool
    formula_b: bool
    model_a: bool
    model_b: bool

    @property
    def confirmed(self) -> bool:
        """Whether both models do what their formulas say."""
        return (self.formula_a, self.formula_b) == (self.model_a, self.model_b)


def confirm_difference(
    focus_a: Focus, focus_b: Focus, regions: Iterable[int], model_a: MaskedModel, model_b: MaskedModel
) -> DifferenceCheck:
    """Ask both models about a region set on which their formulas differ.

    Parameters
    ----------
    focus_a, focus_b : Focus
        Explanations over the same regions.
    regions : iterable of int
        Region ids, such as :func:`captum_focalogic.logic.difference` gives.
    model_a, model_b : MaskedModel
        The models, each about its explanation's target and regions.

    Raises
    ------
    InputError
        If the two focuses are not about the same regions.
    """
    if not np.array_equal(focus_a.region_ids, focus_b.region_ids):
        raise InputError("the two focuses are about different regions; explain both with one feature_mask")
    kept = frozenset(int(region) for region in regions)
    state = np.isin(focus_a.region_ids, list(kept))[None]
    holds = [bool((focus.final_states <= state).all(axis=1).any()) for focus in (focus_a, focus_b)]
    keeps = [bool(_keeps(*pair, state)[0]) for pair in ((focus_a, model_a), (focus_b, model_b))]
    return DifferenceCheck(kept, holds[0], holds[1], keeps[0], keeps[1])


def _keeps(focus: Focus, masked: MaskedModel, states: Bools) -> Bools:
    check_regions(focus, masked)
    return masked.ask(states).valid
