"""What SHAP and shapiq make of a masked model, against values worked out by hand."""

from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor

from captum_focalogic import MaskedModel
from captum_focalogic.errors import InputError
from captum_focalogic.integrations.games import shap_explanation, shapiq_game, worth

REGIONS = 5
IDS = torch.tensor([[3, 7, -2, 40, 9]])
"""Columns in the order of the ids: -2, 3, 7, 9, 40."""


def model(inputs: Tensor) -> Tensor:
    """Probability of class 1: regions 3 and 7 together give 0.5, region 40 alone 0.25, over a base of 0.125."""
    both = inputs[:, 0] * inputs[:, 1]
    likely = 0.125 + 0.5 * both + 0.25 * inputs[:, 3]
    return torch.stack([1 - likely, likely], dim=1)


def masked() -> MaskedModel:
    return MaskedModel(model, torch.ones(1, REGIONS), target=1, feature_mask=IDS, outputs="probabilities")


def by_hand() -> np.ndarray:
    """Shapley values by all orders."""
    one, total = masked(), np.zeros(REGIONS)
    orders = list(permutations(range(REGIONS)))
    for order in orders:
        kept, before = np.zeros((1, REGIONS), dtype=np.bool_), worth(one, np.zeros((1, REGIONS), dtype=np.bool_))
        for player in order:
            kept[0, player] = True
            after = worth(one, kept)
            total[player] += after[0] - before[0]
            before = after
    return total / len(orders)


def test_the_values_worked_out_by_hand() -> None:
    assert by_hand() == pytest.approx([0, 0.25, 0.25, 0, 0.25], abs=1e-6)


@pytest.mark.parametrize("most", [None, 1_000, 11])
def test_shap_explains_it(most: int | None) -> None:
    pytest.importorskip("shap")
    found = shap_explanation(masked(), most)
    assert found.base_values == pytest.approx(0.125)
    # One permutation, forwards and back, is exact for pairs.
    assert found.values == pytest.approx([0, 0.25, 0.25, 0, 0.25], abs=1e-6)
    assert found.feature_names == ["I_m2", "I3", "I7", "I9", "I40"]
    assert found.data == pytest.approx([0.2] * 5)


def test_shapiq_explains_it_with_interactions() -> None:
    shapiq = pytest.importorskip("shapiq")
    one = masked()
    game = shapiq_game(one)
    computer = shapiq.ExactComputer(game, n_players=REGIONS)
    assert computer("SV").get_n_order_values(1) == pytest.approx(by_hand(), abs=1e-6)
    pairs = computer("k-SII", order=2).get_n_order_values(2)
    assert pairs[1, 2] == pytest.approx(0.5, abs=1e-6)
    assert np.abs(pairs).sum() == pytest.approx(1.0, abs=1e-5)  # each pair stands twice
    assert len(one.memory) <= 2**REGIONS


def test_what_cannot_be_a_game() -> None:
    pytest.importorskip("shap")
    numbers = MaskedModel(lambda x: x.sum(1) * 3 + 5, torch.ones(1, 3), criterion="tolerance:0.5")
    with pytest.raises(InputError, match="no probability"):
        worth(numbers, np.ones((1, 3), dtype=np.bool_))
    with pytest.raises(InputError, match="one permutation of 5 regions takes 11 evaluations; got 10"):
        shap_explanation(masked(), 10)
