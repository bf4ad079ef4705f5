"""The strongest noise that keeps a class, targeted attacks, and images that are explained as they leave them."""

import json
import pickle
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from captum_focalogic.classifier import Classifier
from captum_focalogic.errors import InputError
from captum_focalogic.experiments.framework import Workspace
from captum_focalogic.experiments.perturbations import (
    HIGHEST,
    IMAGENET,
    TOLERANCE,
    Attack,
    attacked,
    classes_of,
    imagenet_categories,
    largest_noise,
    noise_of,
    partitioned_images,
    perturbed_images,
    target_elsewhere,
    with_noise,
    with_own_regions,
)
from captum_focalogic.segmenters import Grid
from captum_focalogic.study import Item, ModelFactory, Sample, StudySettings


def bright(threshold):
    """Class 1 where the mean is above a threshold."""

    def forward(images):
        above = images.mean(dim=(1, 2, 3)) - threshold
        return torch.stack([-above, above], dim=1)

    return forward


def test_a_darkening_of_known_strength():
    images = torch.full((2, 3, 4, 4), 0.5)
    noise = torch.stack([torch.full((3, 4, 4), -1.0), torch.full((3, 4, 4), 1.0)])
    darker, brighter = largest_noise(bright(0.3), images, noise).tolist()
    # 0.5 - sigma passes 0.3 at sigma = 0.2; the other image only gets brighter
    assert 0.2 - TOLERANCE <= darker <= 0.2
    assert brighter == HIGHEST


@settings(max_examples=25, deadline=None)
@given(st.floats(0.05, 0.95), st.integers(0, 10_000))
def test_the_class_is_kept_there_and_lost_within_the_tolerance(threshold, seed):
    images = torch.rand(3, 3, 5, 4, generator=torch.Generator().manual_seed(seed))
    noise = torch.stack([noise_of((3, 5, 4), f"{seed} {place}") for place in range(3)])
    forward = bright(threshold)
    classes = classes_of(forward, images)
    sigmas = largest_noise(forward, images, noise)
    assert torch.equal(classes_of(forward, with_noise(images, noise, sigmas)), classes)
    searched = sigmas < HIGHEST
    at_end = classes_of(forward, with_noise(images, noise, torch.full((3,), HIGHEST)))
    assert torch.equal(searched, at_end != classes)
    # bisection stops at a pair that brackets a boundary, so that some strength within the tolerance loses the class
    steps = torch.linspace(0, TOLERANCE, 200)
    for place in torch.nonzero(searched).flatten().tolist():
        tried = torch.stack([with_noise(images[[place]], noise[[place]], sigmas[[place]] + step)[0] for step in steps])
        assert bool((classes_of(forward, tried) != classes[place]).any())


def test_noisy_images_stay_images():
    images = torch.rand(2, 3, 8, 8)
    noise = torch.stack([noise_of((3, 8, 8), "a"), noise_of((3, 8, 8), "b")])
    noisy = with_noise(images, noise, torch.tensor([0.0, 0.7]))
    assert torch.equal(noisy[0], images[0])
    assert float(noisy.min()) >= 0
    assert float(noisy.max()) <= 1
    assert torch.equal(noisy[1], torch.clamp(images[1] + 0.7 * noise[1], 0, 1))


def test_noise_is_standard_and_repeats():
    noise = noise_of((3, 100, 100), "seed")
    assert torch.equal(noise, noise_of((3, 100, 100), "seed"))
    assert not torch.equal(noise, noise_of((3, 100, 100), "other"))
    # 30,000 draws: the mean is within 5 / sqrt(30,000) of 0
    assert abs(float(noise.mean())) < 0.03
    assert abs(float(noise.std()) - 1) < 0.03


def test_one_number_an_image_is_a_class_or_decides_by_its_sign():
    images = torch.rand(4, 3, 2, 2)
    labels = torch.tensor([2, 0, 1, 1])
    assert classes_of(lambda _: labels, images).tolist() == [2, 0, 1, 1]
    assert classes_of(lambda _: torch.tensor([[-0.1], [0.2], [0.0], [3.0]]), images).tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(("highest", "tolerance"), [(0.0, 0.1), (1.0, 0.0), (1.0, float("nan"))])
def test_bounds_are_checked(highest, tolerance):
    with pytest.raises(InputError, match="above 0"):
        largest_noise(bright(0.5), torch.rand(1, 3, 2, 2), torch.rand(1, 3, 2, 2), highest, tolerance)


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


class Counting:
    """Cuts into a grid, and counts how often it is asked."""

    identity = "counting"

    def __init__(self):
        self.asked = 0

    def __call__(self, image):
        self.asked += 1
        return Grid(2, 2)(image)


class Read:
    def __init__(self, number, side):
        self.number, self.side = number, side

    def __call__(self):
        if self.number == 1:
            raise OSError("torn")
        image = torch.full((3, self.side, self.side), self.number / 10)
        truth = None if self.number == 2 else np.eye(self.side, dtype=np.bool_)
        return Sample(image, truth=truth, label=self.number + 100 if self.number else None)


@pytest.fixture
def items():
    return [Item(f"i{number}", Read(number, 8 if number % 2 else 6)) for number in range(5)]


def plan(segmenter):
    model = Classifier(lambda images: images.mean(dim=(2, 3)), name="mean")
    return StudySettings(ModelFactory(lambda: model, "mean"), segmenter)


def test_images_are_seen_once_with_regions_and_truth(tmp_path, items):
    cutting = Counting()
    workspace = Workspace(tmp_path)
    first = partitioned_images(workspace, "partitioned", plan(cutting), items)
    again = partitioned_images(workspace, "partitioned", plan(cutting), items)
    assert cutting.asked == 4  # one image is torn, and the second time nothing is cut
    for partitioned in (first, again):
        assert [each.id for each in partitioned] == ["i0", "i2", "i3", "i4"]
        assert [each.label for each in partitioned] == [None, 102, 103, 104]
        assert [tuple(each.image.shape) for each in partitioned] == [(3, 6, 6), (3, 6, 6), (3, 8, 8), (3, 6, 6)]
        assert [each.truth is None for each in partitioned] == [False, True, False, False]
        assert torch.equal(partitioned[2].truth, torch.eye(8, dtype=torch.bool))
        assert np.array_equal(partitioned[2].regions.numpy(), Grid(2, 2)(torch.zeros(3, 8, 8)))


def test_alteration_keeps_everything_but_the_image(tmp_path, items):
    workspace = Workspace(tmp_path)
    how = plan(Grid(2, 2))
    partitioned = partitioned_images(workspace, "partitioned", how, items)
    batches = []

    def perturb(model, images, places):
        batches.append((tuple(images.shape), list(places)))
        return {"images": 1 - images, "place": torch.tensor(places)}

    images, told = perturbed_images(workspace, "negative", "1 - x", how, partitioned, perturb)
    # images of one size share a batch
    assert sorted(batches) == [((1, 3, 8, 8), [2]), ((3, 3, 6, 6), [0, 1, 3])]
    assert [int(each["place"]) for each in told] == [0, 1, 2, 3]
    for before, after in zip(partitioned, images, strict=True):
        assert torch.equal(after.image, 1 - before.image)
        assert (after.id, after.label) == (before.id, before.label)
        assert torch.equal(after.regions, before.regions)
    perturbed_images(workspace, "negative", "1 - x", how, partitioned, perturb)
    assert len(batches) == 2
    perturbed_images(workspace, "negative", "something else", how, partitioned, perturb)
    assert len(batches) == 4


def test_perturbed_images_are_items_that_workers_can_be_sent(tmp_path, items):
    how = plan(Grid(2, 2))
    (first, *_) = partitioned_images(Workspace(tmp_path), "partitioned", how, items)
    item = pickle.loads(pickle.dumps(first.item()))
    sample = item.read()
    assert torch.equal(sample.image, first.image)
    assert np.array_equal(sample.label_map, first.regions.numpy())
    assert np.array_equal(sample.truth, first.truth.numpy())
    bare = with_own_regions(how)
    assert bare.segmenter is None
    assert bare.truth is True
    assert json.dumps(bare.record([item]))
