"""Targeted attacks and their targets."""

import warnings

import pytest
import torch
from torch import nn

from captum_focalogic.errors import InputError
from captum_focalogic.experiments.attack import Attack, attacked
from captum_focalogic.experiments.categories import IMAGENET, imagenet_categories, target_elsewhere


class Linear(nn.Module):
    """Logits that are linear in the pixels, so that the best attack is known."""

    def __init__(self, scale=1.0):
        super().__init__()
        weights = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * scale
        self.weights = nn.Parameter(weights, requires_grad=False)

    def forward(self, images):
        return torch.einsum("nchw,kchw->nk", images, self.weights)


@pytest.mark.parametrize("scale", [1.0, 1e-9])
def test_a_linear_model_is_pushed_straight_to_the_corner(scale):
    # with a scale of 1e-9 every gradient is far below the threshold at which Captum's method stops
    model = Linear(scale)
    images = torch.rand(3, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([0, 1, 1])
    found = attacked(model, images, targets, Attack(radius=0.1, step=0.03, steps=10))
    towards = model.weights[targets] - model.weights[1 - targets]
    assert torch.allclose(found, (images + 0.1 * towards.sign()).clamp(0, 1), atol=1e-6)


def test_an_attack_stays_within_its_radius_and_leaves_the_images_alone():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    images = torch.rand(4, 3, 8, 8)
    before = images.clone()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = attacked(model, images, torch.tensor([0, 1, 2, 0]))
    assert torch.equal(images, before)
    assert not images.requires_grad
    assert not found.requires_grad
    assert float((found - images).abs().max()) <= 8 / 255 + 1e-6
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    assert torch.equal(found, attacked(model, images, torch.tensor([0, 1, 2, 0])))
    before_attack, after = (float(_loss(model, given)) for given in (images, found))
    assert after < before_attack


@pytest.mark.parametrize("wrong", [{"radius": 0.0}, {"step": -1.0}, {"steps": 0}])
def test_strength_is_checked(wrong):
    with pytest.raises(InputError, match="above 0"):
        Attack(**wrong)


def test_imagenets_ranges_begin_and_end_where_its_names_say():
    from torchvision.models import ResNet18_Weights

    names = ResNet18_Weights.DEFAULT.meta["categories"]
    assert [(names[first], names[last]) for _, first, last in IMAGENET] == [
        ("tench", "puffer"),
        ("abacus", "menu"),
        ("plate", "eggnog"),
        ("alp", "volcano"),
        ("ballplayer", "scuba diver"),
        ("rapeseed", "ear"),
        ("toilet tissue", "toilet tissue"),
    ]
    categories = imagenet_categories()
    assert len(categories) == len(names) == 1_000
    told = dict(zip(names, categories, strict=True))
    assert {told[name] for name in ("golden retriever", "tarantula", "African elephant", "goldfish")} == {"animal"}
    assert {told[name] for name in ("sports car", "teapot", "traffic light", "toilet tissue")} == {"artefact"}
    assert {told[name] for name in ("pizza", "banana", "mushroom", "espresso")} == {"food"}
    assert {told[name] for name in ("daisy", "bolete", "acorn")} == {"plant or fungus"}
    assert told["seashore"] == "landscape"
    assert told["groom"] == "person"


def test_targets_are_elsewhere_and_each_of_them_comes_up():
    categories = ["a", "a", None, "b", "c"]
    from_a = {target_elsewhere(0, categories, f"{draw}") for draw in range(100)}
    assert from_a == {3, 4}
    # a class that is no target itself may be attacked, towards any other
    assert {target_elsewhere(2, categories, f"{draw}") for draw in range(100)} == {0, 1, 3, 4}
    assert target_elsewhere(0, categories, "7") == target_elsewhere(0, categories, "7")


@torch.no_grad()
def _loss(model, images):
    return nn.functional.cross_entropy(model(images), torch.tensor([0, 1, 2, 0]))
