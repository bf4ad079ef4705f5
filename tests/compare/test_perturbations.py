"""Methods that take parts away: on linear models each knows the weights; on budgets none asks for more."""

import numpy as np
import pytest
import torch
from tiny_models import LABELS, Cells
from torch import nn

from captum_focalogic.compare import compare
from captum_focalogic.compare.perturbations import soft_masks

IMAGE = torch.ones(3, 4, 4)
LINEAR = ("LIME", "LIME-package", "KernelShap", "ShapleyValueSampling", "FeatureAblation")
WEIGHTS = np.array([0.0, 3.0, 2.0, -1.0])
"""Of the columns -1, 5, 7, 9."""


@pytest.mark.parametrize("name", LINEAR)
def test_methods_know_the_weights_of_a_linear_model(name: str) -> None:
    pytest.importorskip("lime") if name == "LIME-package" else None
    result = compare(Cells(), IMAGE, [name], feature_mask=LABELS, baselines=0, target=1)[name]
    assert np.corrcoef(result.attribution.scores, WEIGHTS)[0, 1] > 0.95
    if name in ("KernelShap", "ShapleyValueSampling", "FeatureAblation"):
        assert result.attribution.scores == pytest.approx(WEIGHTS, abs=1e-3)


@pytest.mark.parametrize("name", ["Occlusion", "RISE"])
def test_methods_over_pixels_find_the_strongest_quarter(name: str) -> None:
    image, labels = torch.ones(3, 16, 16), LABELS.repeat_interleave(4, 0).repeat_interleave(4, 1)

    class Large(Cells):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(nn.functional.avg_pool2d(images, 4))

    result = compare(Large(), image, [name], feature_mask=labels, baselines=0, target=1)[name]
    assert result.attribution.scores.argmax() == 1
    assert result.attribution.heat_map.shape == (16, 16)
    assert not result.attribution.over_regions


def test_occlusion_takes_wider_steps_on_a_budget() -> None:
    image, labels = torch.ones(3, 32, 32), LABELS.repeat_interleave(8, 0).repeat_interleave(8, 1)

    class Large(Cells):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(nn.functional.avg_pool2d(images, 8))

    for budget in (2, 10, 40, 100):
        compared = compare(
            Large(), image, ["Occlusion"], feature_mask=labels, baselines=0, target=1, equal_budget=budget
        )
        assert compared["Occlusion"].measures.evaluations <= budget


def test_soft_masks() -> None:
    masks = soft_masks(200, (30, 50), torch.Generator().manual_seed(0))
    assert masks.shape == (200, 1, 30, 50)
    assert 0 <= masks.min() <= masks.max() <= 1
    assert masks.mean().item() == pytest.approx(0.5, abs=0.02)
