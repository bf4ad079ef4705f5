"""Asking the model again: whether what a focus claims, or what logic says of it, holds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from captum_focalogic.claims import Claim, recorded_claims
from captum_focalogic.criteria import Criterion
from captum_focalogic.errors import InputError
from captum_focalogic.focus import Focus
from captum_focalogic.logic import necessary_states
from captum_focalogic.masked_model import MaskedModel
from captum_focalogic.search import states as st

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Verification:
    """The claims of a focus, checked one by one.

    Attributes
    ----------
    claims : tuple of Claim
        In the order of the certificate.
    evaluations : int
        States the model was asked about.
    """

    claims: tuple[Claim, ...]
    evaluations: int

    @property
    def holds(self) -> bool:
        """Whether no claim failed."""
        return all(claim.holds is not False for claim in self.claims)

    def __str__(self) -> str:
        return "\n".join(map(str, self.claims))


def verify(
    focus: Focus, forward_func: Callable[..., Any], inputs: Any, *, sample: int = 1_000, **how: Any
) -> Verification:
    """Check the claims of a focus against the model.

    The final states and all their single deletions are asked again. What the search remembers is asked again as far as
    ``sample`` allows, and completeness is derived anew from what it remembers: the same search is run over the recorded
    verdicts, and may not need any that is missing. So a completeness claim holds if the derivation does *and* the
    sample of recorded verdicts is confirmed.

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
    verdicts = masked.ask(st.unpack(asked, focus.num_regions)).valid
    own, of_children, again = np.split(verdicts, [len(packed), len(packed) + len(children)])
    reducible = np.unique(parent[of_children])
    changed = int((again != remembered.valid[chosen]).sum())
    claims = (
        Claim(
            "every final state keeps the prediction",
            bool(own.all()),
            f"{int(own.sum())} of {len(packed)} asked again do",
        ),
        _irreducible(focus, len(reducible)),
        Claim(
            "the recorded verdicts are the model's",
            changed == 0 if len(chosen) else None,
            f"{changed} of {len(chosen)} asked again differ; {remembered.total:,} were asked in all",
        ),
        *recorded_claims(focus),
    )
    return Verification(claims, len(masked.memory))


def masked_model_of(focus: Focus, forward_func: Callable[..., Any], inputs: Any, **how: Any) -> MaskedModel:
    """The model as it can be asked about the regions of a focus, and about its target.

    Parameters
    ----------
    focus : Focus
        Tells the regions where it has a label map, and the target.
    forward_func, inputs, **how
        As for :class:`~captum_focalogic.masked_model.MaskedModel`.

    Raises
    ------
    InputError
        If the inputs do not have the regions of the focus.
    """
    if how.get("feature_mask") is None:
        if focus.label_map is None:
            raise InputError("this focus has no label map of its own; pass the feature_mask that it was made with")
        how["feature_mask"] = torch.from_numpy(focus.label_map)
    criterion = how.get("criterion", "top1")
    if how.get("target") is None and isinstance(criterion, str | Criterion):
        how["target"] = focus.target
    masked = MaskedModel(forward_func, inputs, **how)
    _check_regions(focus, masked)
    return masked


def _check_regions(focus: Focus, masked: MaskedModel) -> None:
    if not np.array_equal(masked.region_ids, focus.region_ids):
        raise InputError(
            f"the input's regions {masked.region_ids.tolist()} are not those of the focus, "
            f"{focus.region_ids.tolist()}; pass the feature_mask that it was made with"
        )


def _keeps(focus: Focus, masked: MaskedModel, states: Bools) -> Bools:
    _check_regions(focus, masked)
    return masked.ask(states).valid


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
        return "\n".join(
            f"{said[bool(confirmed)]}: without {{{', '.join(map(str, self.region_ids[state].tolist()))}}}"
            for state, confirmed in zip(self.states, self.confirmed, strict=True)
        )


def necessary(focus: Focus, masked: MaskedModel, limit: int | None = 1_000) -> Necessity:
    """What the decision cannot do without, each set put to the model.

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
        One set a line when printed.

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


def _irreducible(focus: Focus, reducible: int) -> Claim:
    text = "no final state can spare a region"
    detail = f"{reducible} of {len(focus.final_states)} can"
    if not focus.certificate.irreducible:
        return Claim(text, None if reducible else True, f"not claimed; {detail}")
    return Claim(text, reducible == 0, detail)
