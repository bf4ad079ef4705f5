"""The migration page's numbers are those of today, and each method has its lines."""

from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "captum.md"
METHODS = ["FeatureAblation", "Lime", "KernelShap", "ShapleyValueSampling", "Occlusion"]


def row(start: str) -> list[float]:
    """The numbers of a line of the page's table."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(start)]
    return [float(cell) for cell in lines[0].split("|")[2:-1]]


def test_the_table_of_numbers() -> None:
    import torch
    from captum.attr import FeatureAblation

    from captum_focalogic import FocaLogic
    from captum_focalogic.demo.network import load_model
    from captum_focalogic.demo.scenes import draw_scene

    scene, model = draw_scene(0), load_model()
    labels, image = torch.as_tensor(scene.labels), torch.as_tensor(scene.image)[None]
    drops = FeatureAblation(model).attribute(image, target=1, feature_mask=labels[None, None])[0, 0]
    measured = [float(drops[labels == region].mean()) for region in range(1, 8)]
    assert measured == pytest.approx(row("| before: how far"), abs=0.02)
    for weighting, start in (("auto", "| after: share of"), ("frequency", "| the same with")):
        explainer = FocaLogic(model, weighting=weighting)
        weights = explainer.attribute(image, target=1, feature_mask=labels[None, None], return_input_shape=False)[0]
        assert weights.tolist() == pytest.approx(row(start), abs=0.006)


def test_each_method_has_its_lines() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for method in METHODS:
        section = text.split(f"### {method}\n")[1].split("\n#")[0]
        assert f"before = {method}(model)" in section
        assert "after = FocaLogic(model" in section
