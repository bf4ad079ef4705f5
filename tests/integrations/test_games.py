"""What SHAP and shapiq make of a masked model, against values worked out by hand."""

from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor

from captum_focalogic import MaskedModel
from captum_focalogic.errors import InputError
from captum_focalogic.integrations.games import shap_explanation, shap_image, shapiq_game, worth, worths

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


def several(inputs: Tensor) -> Tensor:
    """Logits of four classes, each of one region of the four quarters, over an image of 3 channels."""
    quarters = inputs.mean(1).unfold(1, 4, 4).unfold(2, 4, 4).mean((3, 4)).flatten(1)
    return 2 * quarters @ torch.tensor([[3.0, 0, 0, 0], [0, 2, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0.5]]).T


QUARTERS = torch.arange(4).reshape(2, 2).repeat_interleave(4, 0).repeat_interleave(4, 1)


def of_several() -> MaskedModel:
    labels = ["ant", "bee", "cat", "dog"]
    return MaskedModel(several, torch.ones(1, 3, 8, 8), feature_mask=QUARTERS, outputs="logits", labels=labels)


def test_several_classes_are_those_of_one_memory() -> None:
    shap = pytest.importorskip("shap")
    one = of_several()
    found = shap_explanation(one, classes=3)
    assert found.output_names == ["ant", "bee", "cat"], "the three highest"
    assert found.values.shape == (4, 3)
    assert len(one.memory) == 2**4, "each set was asked once for all classes"
    for place, number in enumerate(range(3)):
        alone = MaskedModel(several, torch.ones(1, 3, 8, 8), target=number, feature_mask=QUARTERS, outputs="logits")
        expected = shap_explanation(alone)
        assert found.values[:, place] == pytest.approx(expected.values, abs=1e-6)
        assert found.base_values[place] == pytest.approx(expected.base_values, abs=1e-6)
    named = shap_explanation(of_several(), classes=["dog", 0])
    assert named.output_names == ["dog", "ant"]
    assert isinstance(named, shap.Explanation)


def test_outputs_for_which_there_is_no_room_are_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    one = of_several()
    one.memory._room = 64
    states = np.random.default_rng(0).random((40, 4)) < 0.5
    assert worths(one, states, [1, 3]) == pytest.approx(worths(of_several(), states, [1, 3]))


def test_shap_draws_several_classes_side_by_side() -> None:
    shap = pytest.importorskip("shap")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    found = shap_image(of_several(), classes=["ant", "bee"])
    assert found.values.shape == (1, 8, 8, 1, 2)
    for place, region in ((0, 0), (1, 1)):
        plane = found.values[0, :, :, 0, place]
        assert len(np.unique(plane[QUARTERS.numpy() == region])) == 1
        assert plane[QUARTERS.numpy() == region].max() == pytest.approx(plane.max()), "its own quarter speaks for it"
    shap.plots.image(found, show=False)
    titles = [axes.get_title() for axes in pyplot.gcf().axes]
    pyplot.close("all")
    assert titles[1:3] == ["ant", "bee"]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (0, "the highest classes that are known are 4; got classes=0"),
        ([7], "the model has the classes 0 to 3; got"),
        ([], "the model has the classes 0 to 3"),
        (["cow"], "cow"),
    ],
)
def test_classes_that_there_are_not(classes: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        worths(of_several(), np.ones((1, 4), dtype=np.bool_), classes)  # type: ignore[arg-type]
