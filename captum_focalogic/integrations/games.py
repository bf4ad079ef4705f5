"""A masked model as a cooperative game: what SHAP and shapiq work on, each region set asked once whoever asks.

The players are the regions, and a coalition is worth the target's probability with its regions kept.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.criteria import class_number, class_probabilities
from captum_focalogic.errors import InputError, MissingExtraError
from captum_focalogic.images import image_bytes
from captum_focalogic.logic import symbol
from captum_focalogic.masked_model import MaskedModel
from captum_focalogic.search import states as st

_ASKED = 256
"""Sets of which the outputs are fetched at once: those of many classes may not all be kept."""

Classes = Sequence[int | str] | int
"""Classes by their numbers or names, or how many of the highest on the whole image."""


def worth(model: MaskedModel, coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The target's probability with some regions kept, (B,); each set is asked once.

    Raises
    ------
    InputError
        If the model gives no probability.
    """
    likely = model.ask(np.asarray(coalitions, dtype=np.bool_)).probability.astype(np.float64)
    if np.isnan(likely).any():
        raise InputError("the model gives no probability of a target, which is what a coalition of regions is worth")
    return likely


def worths(model: MaskedModel, coalitions: NDArray[np.bool_], classes: Classes) -> NDArray[np.float64]:
    """The probabilities of several classes with some regions kept, (B, K), of one and the same answers.

    Raises
    ------
    InputError
        If the model gives no probabilities of classes, or has not these.
    """
    return _worths(model, np.asarray(coalitions, dtype=np.bool_), _numbers(model, classes))


def _worths(model: MaskedModel, kept: NDArray[np.bool_], numbers: list[int]) -> NDArray[np.float64]:
    found = [np.zeros((0, len(numbers)))]
    for start in range(0, len(kept), _ASKED):
        few = kept[start : start + _ASKED]
        model.ask(few)
        outputs = model.memory.outputs(st.pack(few))
        if outputs is None:  # there was no room for them
            again = model.forgetful()
            again.ask(few)
            outputs = again.memory.outputs(st.pack(few))
        kind = model.kind
        likely = None if outputs is None or kind is None or outputs.dim() != 2 else class_probabilities(outputs, kind)
        if likely is None:
            raise InputError("the model gives no probabilities of classes, so that they cannot be set side by side")
        found.append(likely[:, numbers].double().numpy())
    return np.concatenate(found)


def _numbers(model: MaskedModel, classes: Classes) -> list[int]:
    """The classes' numbers."""
    if isinstance(classes, int):
        shown = model.prediction
        top = () if shown is None else shown.top
        if not 1 <= classes <= len(top):
            raise InputError(f"the highest classes that are known are {len(top)}; got classes={classes}")
        return [number for number, _, _ in top[:classes]]
    labels = model.labels
    numbers = [class_number(each, labels) if isinstance(each, str) else int(each) for each in classes]
    count = model.references.scores.shape[-1]
    wrong = [number for number in numbers if not 0 <= number < count]
    if wrong or not numbers:
        raise InputError(f"the model has the classes 0 to {count - 1}; got {list(classes)!r}")
    return numbers


def shapiq_game(model: MaskedModel) -> Any:
    """A game for shapiq's approximators and exact computers.

    Parameters
    ----------
    model : MaskedModel
        Its regions are the players.

    Returns
    -------
    shapiq.Game

    Raises
    ------
    MissingExtraError
        If shapiq is not installed (extra "shap").
    InputError
        If the model gives no probability.

    References
    ----------
    Muschalik et al., shapiq: Shapley interactions for machine learning, NeurIPS 2024.
    """
    try:
        import shapiq
    except ImportError as error:
        raise MissingExtraError("shapiq", "shap") from error

    class RegionGame(shapiq.Game):
        """Regions as players."""

        def value_function(self, coalitions: NDArray[np.bool_]) -> NDArray[np.float64]:
            """What coalitions (B, M) are worth."""
            return worth(model, coalitions)

    empty = float(worth(model, np.zeros((1, model.num_regions), dtype=np.bool_))[0])
    return RegionGame(model.num_regions, normalization_value=empty, player_names=_players(model))


def shap_explanation(
    model: MaskedModel, max_evaluations: int | None = 1_000, seed: int = 0, classes: Classes | None = None
) -> Any:
    """Shapley values of the regions by SHAP's own estimators, as an object that its plots take.

    Parameters
    ----------
    model : MaskedModel
        Its regions are the features.
    max_evaluations : int or None
        Most region sets for SHAP's permutations; exact where all 2^M are no more, or there is no bound.
    seed : int
        Of the permutations.
    classes : sequence of int or str, or int, optional
        Several classes by their numbers or names, or so many of the highest (five at most), of the same answers; by
        default the target alone.

    Returns
    -------
    shap.Explanation
        ``values`` (M,), ``base_values`` the probability with no region kept, ``data`` the regions' shares of the image;
        with K classes ``values`` (M, K), ``base_values`` (K,) and the classes' names in ``output_names``.

    Raises
    ------
    MissingExtraError
        If shap is not installed (extra "shap").
    InputError
        If the model gives no probability, or the evaluations do not do for one permutation.

    References
    ----------
    Lundberg, Lee: A unified approach to interpreting model predictions, NeurIPS 2017.
    """
    try:
        import shap
    except ImportError as error:
        raise MissingExtraError("shap", "shap") from error
    regions = model.num_regions
    exact = max_evaluations is None or 2**regions <= max_evaluations
    if not exact and max_evaluations is not None and max_evaluations < 2 * regions + 1:
        raise InputError(
            f"one permutation of {regions} regions takes {2 * regions + 1} evaluations; got {max_evaluations}"
        )
    numbers = None if classes is None else _numbers(model, classes)

    def value(coalitions: Any) -> NDArray[np.float64]:
        kept = np.asarray(coalitions) > 0.5
        return worth(model, kept) if numbers is None else _worths(model, kept, numbers)

    def kept(mask: Any, _: Any) -> Any:
        return np.atleast_2d(mask).astype(float)

    whole = np.ones((1, regions))
    if exact:
        found = shap.explainers.Exact(value, kept)(whole, max_evals=2**regions, silent=True)
    else:
        found = shap.explainers.Permutation(value, kept, seed=seed)(whole, max_evals=max_evaluations, silent=True)
    base = np.asarray(found.base_values).reshape(-1)
    return shap.Explanation(
        found.values[0],
        float(base[0]) if numbers is None else base,
        model.areas.copy(),
        feature_names=_players(model),
        output_names=None if numbers is None else [model.label_of(each) or f"class {each}" for each in numbers],
    )


def shap_image(model: MaskedModel, classes: Classes = 3, max_evaluations: int | None = 1_000, seed: int = 0) -> Any:
    """Several classes side by side, for ``shap.plots.image``: of each what its regions add to its probability.

    Parameters
    ----------
    model : MaskedModel
        Of one image, (1, 1 or 3, H, W).
    classes, max_evaluations, seed
        As for :func:`shap_explanation`.

    Returns
    -------
    shap.Explanation
        ``values`` (1, H, W, 1, K), each region's Shapley value on all of its pixels, and ``data`` the image.

    Raises
    ------
    MissingExtraError, InputError
        As :func:`shap_explanation`, or if the model is about no single image.
    """
    label_map = model.label_map
    pixels = None if label_map is None else image_bytes(model.as_image()[0], stretched=True)
    if label_map is None or pixels is None:
        raise InputError("shap_image is about one image, (1, 1 or 3, H, W); this model is about something else")
    found = shap_explanation(model, max_evaluations, seed, classes)
    values = found.values[np.searchsorted(model.region_ids, label_map)]
    return type(found)(
        values[None, :, :, None, :],
        found.base_values[None],
        pixels[None].astype(np.float64) / 255,
        output_names=found.output_names,
    )


def _players(model: MaskedModel) -> list[str]:
    return [str(symbol(int(region))) for region in model.region_ids]
