"""A masked model as a cooperative game: what SHAP and shapiq work on, each region set asked once whoever asks.

The players are the regions, and a coalition is worth the target's probability with its regions kept.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.errors import InputError, MissingExtraError
from captum_focalogic.logic import symbol
from captum_focalogic.masked_model import MaskedModel


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


def shap_explanation(model: MaskedModel, max_evaluations: int | None = 1_000, seed: int = 0) -> Any:
    """Shapley values of the regions by SHAP's own estimators, as an object that its plots take.

    Parameters
    ----------
    model : MaskedModel
        Its regions are the features.
    max_evaluations : int or None
        Most region sets for SHAP's permutations; exact where all 2^M are no more, or there is no bound.
    seed : int
        Of the permutations.

    Returns
    -------
    shap.Explanation
        ``values`` (M,), ``base_values`` the probability with no region kept, ``data`` the regions' shares of the image.

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

    def value(coalitions: Any) -> NDArray[np.float64]:
        return worth(model, np.asarray(coalitions) > 0.5)

    def kept(mask: Any, _: Any) -> Any:
        return np.atleast_2d(mask).astype(float)

    whole = np.ones((1, regions))
    if exact:
        found = shap.explainers.Exact(value, kept)(whole, max_evals=2**regions, silent=True)
    else:
        found = shap.explainers.Permutation(value, kept, seed=seed)(whole, max_evals=max_evaluations, silent=True)
    base = float(np.asarray(found.base_values).reshape(-1)[0])
    return shap.Explanation(found.values[0], base, model.areas.copy(), feature_names=_players(model))


def _players(model: MaskedModel) -> list[str]:
    return [str(symbol(int(region))) for region in model.region_ids]
