"""Embedded scenes and networks for experiments: images to explain, and networks trained on scenes."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from captum_focalogic.classifier import Classifier
from captum_focalogic.demo.batches import SceneSet
from captum_focalogic.demo.network import SceneNetwork
from captum_focalogic.demo.rules import CLASS_NAMES, RULES
from captum_focalogic.demo.scenes import SceneConfig, draw_scene
from captum_focalogic.demo.train import TrainingConfig, train
from captum_focalogic.experiments.framework import FIRST_TEST_SEED, Workspace
from captum_focalogic.study import Item, ModelFactory, Sample, StudySettings
from captum_focalogic.study.settings import setting_text

ALL_CLASSES: tuple[int, ...] = tuple(range(len(CLASS_NAMES)))
"""Labels of the scenes, "other" among them."""


def scene_items(
    count: int,
    config: SceneConfig | None = None,
    classes: Sequence[int] = tuple(RULES),
    *,
    first: int = 0,
    parts: bool = False,
) -> list[Item]:
    """Scenes to explain, of the classes that a rule tells, in turn.

    "Other" is left out: it is what the baseline alone gets, so that its explanation is the empty set.

    Parameters
    ----------
    count : int
        How many; no network is trained on them.
    config : SceneConfig, optional
        What they are drawn like; without bias by default.
    classes : sequence of int
        Classes to take in turn.
    first : int
        Seed of the first; the others' follow.
    parts : bool
        Give the truth as one mask for each of the rule's objects, as a detector would, and not as their union.
    """
    return [
        Item(
            f"scene-{seed}",
            partial(_sample, seed, classes[seed % len(classes)], config, parts),
            classes[seed % len(classes)],
        )
        for seed in range(first, first + count)
    ]


def _sample(seed: int, label: int, config: SceneConfig | None, parts: bool) -> Sample:
    scene = draw_scene(seed, label, config)
    truth = scene.truth()
    if parts and label in RULES:
        told = [item.region for item in scene.objects if item.kind in RULES[label].kinds]
        truth = np.stack([scene.labels == region for region in told])
    return Sample(torch.from_numpy(scene.image), scene.labels, truth, scene.label)


def trained(
    workspace: Workspace,
    name: str,
    config: TrainingConfig,
    network: Callable[[], nn.Module] = SceneNetwork,
    scenes: Callable[[], SceneSet] | None = None,
) -> nn.Module:
    """A network trained on scenes, read from the workspace if it was trained before; broken off, it goes on by epochs.

    Parameters
    ----------
    workspace : Workspace
    name : str
        Of the network.
    config : TrainingConfig
    network : callable
        Makes it.
    scenes : callable, optional
        Gives the training set where it is needed, for networks that share one; drawn as the configuration says by
        default. It must be told by the name if it is another one than that.
    """

    model = network()
    identity = f"{model} {setting_text(config)}"
    going_on = workspace.kept(f"{name}, going on", identity)

    def make() -> dict[str, Tensor]:
        given = None if scenes is None else scenes()
        return train(config, given, workspace.show_progress, network, progress=going_on)[0].state_dict()

    model.load_state_dict(workspace.tensors(name, identity, make))
    going_on.clear()
    return model.eval()


def scene_plan(model: nn.Module, name: str, **how: object) -> StudySettings:
    """How scenes are explained: every state of their own regions, black where a region is dropped."""
    # All the networks give logits. A barely trained one may give some that look like probabilities.
    usual: dict[str, Any] = {"outputs": "logits"}
    labelled = Classifier(model, labels=CLASS_NAMES, name=name)
    return StudySettings(ModelFactory(lambda: labelled, f"{name}, {setting_text(model)}"), **{**usual, **how})


def fresh_scenes(
    count: int, config: SceneConfig | None = None, classes: Sequence[int] = ALL_CLASSES
) -> tuple[Tensor, Tensor]:
    """Scenes that are neither trained on nor explained, to tell how accurate networks are.

    Parameters
    ----------
    count : int
        How many.
    config : SceneConfig, optional
        What they are drawn like.
    classes : sequence of int
        Classes to take in turn, each as often.

    Returns
    -------
    images : (count, 3, H, W) Tensor
    labels : (count,) Tensor
    """
    seeds = range(FIRST_TEST_SEED, FIRST_TEST_SEED + count)
    scenes = [draw_scene(seed, classes[seed % len(classes)], config) for seed in seeds]
    images = torch.stack([torch.from_numpy(scene.image) for scene in scenes])
    return images, torch.tensor([scene.label for scene in scenes])


def accuracy_on(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Share of right answers."""
    with torch.inference_mode():
        answers = torch.cat([model(part).argmax(dim=1) for part in torch.split(images, 64)])
    return float((answers == labels).double().mean())
