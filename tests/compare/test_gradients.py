"""Methods that look inside: GradCAM by its authors' formula, Integrated Gradients on a linear model."""

import numpy as np
import pytest
import torch
from tiny_models import LABELS, Cells, Convolutional, Transformer
from torch import nn

from captum_focalogic.compare import compare

IMAGE = torch.ones(3, 4, 4)


def test_integrated_gradients_know_the_weights_of_a_linear_model() -> None:
    scores = compare(Cells(), IMAGE, ["IntegratedGradients"], feature_mask=LABELS, baselines=0, target=1)[
        "IntegratedGradients"
    ].attribution.scores
    assert np.corrcoef(scores, [0.0, 3.0, 2.0, 1.0])[0, 1] > 0.95


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
        compare(model.eval(), image, ["GradCAM"], feature_mask=labels, baselines=0, target=target)[
            "GradCAM"
        ].attribution.heat_map
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
    compared = compare(model, image, ["GradCAM"], feature_mask=labels, baselines=0, target=2)
    assert compared["GradCAM"].attribution.heat_map == pytest.approx(expected, abs=1e-5)


def test_black_boxes_have_no_gradients() -> None:
    model = Cells()
    compared = compare(model.forward, IMAGE, ["GradCAM", "FeatureAblation"], feature_mask=LABELS, baselines=0, target=1)
    assert "black box" in compared.skipped["GradCAM"]
    assert compared["FeatureAblation"].measures.evaluations == 5
