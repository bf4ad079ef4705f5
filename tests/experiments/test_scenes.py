"""Scenes of experiments: told by their seed, never those that networks were trained on, with their truth in parts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")

from captum_focalogic.demo.rules import RULES
from captum_focalogic.demo.scenes import draw_scene
from captum_focalogic.demo.train import TrainingConfig
from captum_focalogic.experiments.framework import Workspace
from captum_focalogic.experiments.scenes import (
    FIRST_TEST_SEED,
    accuracy_on,
    fresh_scenes,
    scene_items,
    scene_plan,
    trained,
)


def test_items_are_of_the_classes_in_turn_and_the_same_each_time() -> None:
    items = scene_items(5, classes=(2, 1))
    assert [(item.id, item.label) for item in items] == [(f"scene-{seed}", 2 - seed % 2) for seed in range(5)]
    sample, scene = items[3].read(), draw_scene(3, 1)
    assert np.array_equal(sample.image.numpy(), scene.image)  # type: ignore[union-attr]
    assert np.array_equal(sample.truth, scene.truth())  # type: ignore[arg-type]


def test_truth_in_parts_is_the_union_taken_apart() -> None:
    for whole, parts in zip(scene_items(6), scene_items(6, parts=True), strict=True):
        one, other = whole.read().truth, parts.read().truth
        assert isinstance(other, np.ndarray)
        assert other.ndim == 3
        assert np.array_equal(one, other.any(axis=0))
        assert (other.sum(axis=0) <= 1).all()
    assert set(RULES) == {item.label for item in scene_items(6)}


def test_fresh_scenes_have_every_class_as_often() -> None:
    images, labels = fresh_scenes(6)
    assert labels.bincount().tolist() == [2, 2, 2]
    first = draw_scene(FIRST_TEST_SEED, int(labels[0]))
    assert torch.equal(images[0], torch.from_numpy(first.image))


def test_accuracy_is_the_share_of_right_answers() -> None:
    class Constant(nn.Module):
        def forward(self, images):
            return nn.functional.one_hot(torch.full((len(images),), 1), 3).float()

    assert accuracy_on(Constant(), torch.zeros(130, 3, 2, 2), torch.arange(130) % 2) == 0.5


def test_a_network_is_trained_once(tmp_path: Path) -> None:
    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(3, 3)

        def forward(self, images):
            return self.head(images.mean((2, 3)))

    config = TrainingConfig(scenes=64, epochs=1)
    epochs: list[int] = []
    model = trained(Workspace(tmp_path), "small", config, Small, lambda *given: epochs.append(1))
    again = trained(Workspace(tmp_path), "small", config, Small, lambda *given: epochs.append(1))
    assert len(epochs) == 1
    assert not again.training
    assert torch.equal(model.head.weight, again.head.weight)
    plan = scene_plan(model, "small", max_evaluations=7)
    assert plan.max_evaluations == 7
    assert plan.model.identity == scene_plan(again, "small").model.identity
