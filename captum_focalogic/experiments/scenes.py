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
from captum_focalogic.demo.train import OnEpoch, TrainingConfig, train
from captum_focalogic.experiments.framework import Workspace
from captum_focalogic.study import Item, ModelFactory, Sample, StudySettings
from captum_focalogic.study.settings import setting_text

ALL_CLASSES: tuple[int, ...] = tuple(range(len(CLASS_NAMES)))
"""Labels of the scenes, "other" among them."""

FIRST_TEST_SEED = 500_000
"""Scenes with seeds from here on tell how accurate a network is."""


def scene_items(
    count: int, config: SceneConfig | None = None, classes: Sequence[int] = tuple(RULES), *, parts: bool = False
) -> list[Item]:
    """Scenes to explain, of the classes that a rule tells, in turn.

    "Other" is left out: it is what the baseline alone gets, so that its explanation is the empty set.

    Parameters
    ----------
    count : int
        How many; seeds 0 to count - 1, which no network is trained on.
    config : SceneConfig, optional
        What they are drawn like; without bias by default.
    classes : sequence of int
        Classes to take in turn.
    parts : bool
        Give the truth as one mask for each of the rule's objects, as a detector would, and not as their union.
    """
    return [
        Item(
            f"scene-{seed}",
            partial(_sample, seed, classes[seed % len(classes)], config, parts),
            classes[seed % len(classes)],
        )
        for seed in range(count)
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
    on_epoch: OnEpoch | None = None,
    scenes: Callable[[], SceneSet] | None = None,
) -> nn.Module:
    """A network trained on scenes, read from the workspace if it was trained before.

    Parameters
    ----------
    workspace : Workspace
    name : str
        Of the network.
    config : TrainingConfig
    network : callable
        Makes it.
    on_epoch : callable, optional
        See :func:`~captum_focalogic.demo.train.train`; not called for a network that was trained before.
    scenes : callable, optional
        Gives the training set where it is needed, for networks that share one; drawn as the configuration says by
        default. It must be told by the name if it is another one than that.
    """

    def make() -> dict[str, Tensor]:
        given = None if scenes is None else scenes()
        return train(config, given, workspace.show_progress, network, on_epoch)[0].state_dict()

    model = network()
    model.load_state_dict(workspace.tensors(name, f"{model} {setting_text(config)}", make))
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
