"""Comparing: every method gets the same question, and linear models give every method its known answer."""

import json

import numpy as np
import pytest
import sympy
import torch
from tiny_models import LABELS, Cells, Convolutional, Rule, Transformer
from torch import nn

from captum_focalogic.compare import METHODS, Attribution, Method, SkippedError, compare, from_regions
from captum_focalogic.compare.perturbations import soft_masks
from captum_focalogic.errors import InputError

IMAGE = torch.ones(3, 4, 4)
LINEAR = ("LIME", "LIME-package", "KernelShap", "ShapleyValueSampling", "FeatureAblation", "IntegratedGradients")
ORDER = [1, 2, 0, 3]
"""Columns -1, 5, 7, 9 have the weights 0, 3, 2, -1."""


@pytest.mark.parametrize("name", LINEAR)
def test_methods_know_the_weights_of_a_linear_model(name: str) -> None:
    pytest.importorskip("lime") if name == "LIME-package" else None
    result = compare(Cells(), IMAGE, [name], feature_mask=LABELS, target=1)[name]
    weights = torch.tensor([0.0, 3.0, 2.0, -1.0]).numpy()
    if name == "IntegratedGradients":
        weights = np.abs(weights)
    assert np.corrcoef(result.attribution.scores, weights)[0, 1] > 0.95
    if name in ("KernelShap", "ShapleyValueSampling", "FeatureAblation"):
        assert result.attribution.scores == pytest.approx(weights, abs=1e-3)


@pytest.mark.parametrize("name", ["Occlusion", "RISE"])
def test_methods_over_pixels_find_the_strongest_quarter(name: str) -> None:
    image, labels = torch.ones(3, 16, 16), LABELS.repeat_interleave(4, 0).repeat_interleave(4, 1)

    class Large(Cells):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(nn.functional.avg_pool2d(images, 4))

    result = compare(Large(), image, [name], feature_mask=labels, target=1)[name]
    assert result.attribution.scores.argmax() == 1
    assert result.attribution.heat_map.shape == (16, 16)
    assert not result.attribution.over_regions


def test_interactions_are_listed() -> None:
    result = compare(Rule(), IMAGE, ["AND-OR"], feature_mask=LABELS)["AND-OR"]
    assert result.measures.evaluations == 16
    kinds = {kind for kind, _, _ in result.attribution.terms}
    assert kinds <= {"AND", "OR"}
    strengths = [abs(strength) for _, _, strength in result.attribution.terms]
    assert strengths == sorted(strengths, reverse=True)
    assert result.attribution.scores.argmax() == 1, "region 5 is in every way to hold the rule"


@pytest.mark.parametrize("kind", [Convolutional, Transformer])
def test_grad_cam_on_convolutions_and_on_tokens(kind: type[nn.Module]) -> None:
    if kind is Transformer:
        pytest.importorskip("pytorch_grad_cam")
    torch.manual_seed(1)
    model = kind()
    image = torch.rand(3, 16, 16)
    labels = LABELS.repeat_interleave(4, 0).repeat_interleave(4, 1)
    model.requires_grad_(False)
    # Where a class has nothing in its favour, the map is 0 everywhere.
    heats = [
        compare(model.eval(), image, ["GradCAM"], feature_mask=labels, target=target)["GradCAM"].attribution.heat_map
        for target in range(3)
    ]
    assert {heat.shape for heat in heats} == {(16, 16)}
    assert min(heat.min() for heat in heats) >= 0
    assert max(heat.std() for heat in heats) > 0
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_grad_cam_is_the_formula_of_its_authors() -> None:
    torch.manual_seed(2)
    model, image = Convolutional().eval(), torch.rand(1, 3, 16, 16)
    maps = torch.relu(model.first(image))
    maps = model.last(maps).detach().requires_grad_()
    score = model.head(model.pooled(torch.relu(maps).mean(dim=(2, 3), keepdim=True)).flatten(1))[0, 2]
    (gradient,) = torch.autograd.grad(score, maps)
    expected = torch.relu((gradient.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1))[0].detach().numpy()
    labels = LABELS.repeat_interleave(4, 0).repeat_interleave(4, 1)
    compared = compare(model, image, ["GradCAM"], feature_mask=labels, target=2)
    assert compared["GradCAM"].attribution.heat_map == pytest.approx(expected, abs=1e-5)


def test_all_methods_at_once_and_what_is_skipped() -> None:
    compared = compare(
        Rule(), IMAGE, feature_mask=LABELS, rule=sympy.sympify("I5 & (I7 | I9)"), truth=np.eye(4, dtype=bool)
    )
    assert {result.name for result in compared.results} | set(compared.skipped) == set(METHODS)
    assert "no gradient" in compared.skipped["GradCAM"]
    assert "NumPy" in compared.skipped["ReX"]
    assert compared["FocaLogic"].measures.rule_exact == 1
    assert compared.focus is compared["FocaLogic"].attribution.focus
    with pytest.raises(KeyError, match="no gradient"):
        compared["GradCAM"]


def test_black_boxes_have_no_gradients() -> None:
    model = Cells()
    compared = compare(model.forward, IMAGE, ["GradCAM", "FeatureAblation"], feature_mask=LABELS, target=1)
    assert "black box" in compared.skipped["GradCAM"]
    assert compared["FeatureAblation"].measures.evaluations == 5


@pytest.mark.parametrize(
    "name", ["LIME", "LIME-package", "KernelShap", "ShapleyValueSampling", "IntegratedGradients", "RISE"]
)
def test_nobody_exceeds_an_equal_budget(name: str) -> None:
    pytest.importorskip("lime") if name == "LIME-package" else None
    compared = compare(Cells(), IMAGE, [name], feature_mask=LABELS, target=1, equal_budget=30)
    assert 15 < compared[name].measures.evaluations <= 30
    assert compared.equal_budget == 30


def test_occlusion_takes_wider_steps_on_a_budget() -> None:
    image, labels = torch.ones(3, 32, 32), LABELS.repeat_interleave(8, 0).repeat_interleave(8, 1)

    class Large(Cells):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(nn.functional.avg_pool2d(images, 8))

    for budget in (2, 10, 40, 100):
        compared = compare(Large(), image, ["Occlusion"], feature_mask=labels, target=1, equal_budget=budget)
        assert compared["Occlusion"].measures.evaluations <= budget


def test_the_equal_budget_is_what_focalogic_used() -> None:
    compared = compare(Rule(), IMAGE, ["RISE", "FocaLogic", "AND-OR"], feature_mask=LABELS, equal_budget=True)
    assert [result.name for result in compared.results] == ["RISE", "FocaLogic"]
    assert compared["RISE"].measures.evaluations == compared["FocaLogic"].measures.evaluations
    assert "budget" in compared.skipped["AND-OR"]


def test_the_same_seed_gives_the_same_answer_and_leaves_the_generators_alone() -> None:
    model = Cells()
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = torch.rand(1), np.random.rand()  # noqa: NPY002
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    names = ["LIME", "KernelShap", "ShapleyValueSampling", "RISE"]
    first, second = (compare(model, IMAGE, names, feature_mask=LABELS, target=1, equal_budget=20) for _ in range(2))
    assert (torch.rand(1), np.random.rand()) == before  # noqa: NPY002
    for one, other in zip(first.results, second.results, strict=True):
        assert np.array_equal(one.attribution.scores, other.attribution.scores)
    third = compare(model, IMAGE, ["RISE"], feature_mask=LABELS, target=1, equal_budget=20, seed=1)
    assert not np.array_equal(third["RISE"].attribution.scores, first["RISE"].attribution.scores)


def test_stability_is_measured() -> None:
    compared = compare(Cells(), IMAGE, ["FocaLogic", "RISE"], feature_mask=LABELS, target=1, equal_budget=16, seeds=4)
    assert compared["FocaLogic"].measures.stability == 1
    assert 0 <= compared["RISE"].measures.stability <= 1


def test_a_method_of_ones_own() -> None:
    mine = Method("mine", lambda case: from_regions(case, np.array([0.0, 0.0, 0.0, 1.0])))

    def refuse(case: object) -> Attribution:
        raise SkippedError("not today")

    compared = compare(Rule(), IMAGE, [mine, Method("other", refuse)], feature_mask=LABELS)
    assert compared["mine"].chosen.tolist() == [False, False, False, True]
    assert compared.skipped == {"other": "not today"}


def test_the_same_baseline_for_all() -> None:
    # With a white baseline nothing is taken away, so nothing matters.
    compared = compare(
        Cells(), IMAGE, ["FeatureAblation", "LIME-package", "RISE"], feature_mask=LABELS, target=1, baselines=1.0
    )
    assert np.allclose(compared["FeatureAblation"].attribution.scores, 0)
    assert np.ptp(compared["RISE"].attribution.scores) < 0.2


def test_soft_masks() -> None:
    masks = soft_masks(200, (30, 50), torch.Generator().manual_seed(0))
    assert masks.shape == (200, 1, 30, 50)
    assert 0 <= masks.min() <= masks.max() <= 1
    assert masks.mean().item() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": ["Magic"]}, "unknown method 'Magic'"),
        ({"seeds": 0}, "seeds"),
        ({"equal_budget": 0}, "equal_budget"),
        ({"methods": ["RISE"], "equal_budget": True}, "name a number"),
        ({"target": 9}, "no class of a model with 2"),
        ({"truth": np.zeros((2, 2), bool)}, "truth must be"),
        ({"layer": "nowhere"}, "no layer 'nowhere'"),
        ({"feature_mask": torch.arange(48).reshape(1, 3, 4, 4)}, "differs between channels"),
    ],
)
def test_errors_say_what_is_wrong(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare(Cells(), IMAGE, **{"feature_mask": LABELS, **arguments})


@pytest.mark.parametrize(
    "model", [lambda x: x.mean(dim=(1, 2, 3)), lambda x: torch.zeros(len(x), 3, dtype=torch.int64)]
)
def test_models_without_class_scores_are_refused(model) -> None:
    with pytest.raises(InputError, match="class scores"):
        compare(model, IMAGE, ["FocaLogic"], feature_mask=LABELS)


def test_images_of_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="one image"):
        compare(Cells(), torch.ones(2, 3, 4, 4), feature_mask=LABELS)


def test_measures_are_plain_numbers() -> None:
    compared = compare(Rule(), IMAGE, ["FocaLogic"], feature_mask=LABELS)
    assert json.loads(json.dumps(compared["FocaLogic"].measures.to_dict()))["sufficient"] is True
