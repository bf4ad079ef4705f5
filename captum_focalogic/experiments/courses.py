"""Trainings that are followed over their epochs: a broad one on all classes, and a specialised one on a few."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from torch import Tensor, nn

from captum_focalogic.demo.batches import SceneSet
from captum_focalogic.demo.network import SceneNetwork
from captum_focalogic.demo.scenes import SceneConfig, draw_scene
from captum_focalogic.demo.train import FIRST_TRAINING_SEED, TrainingConfig, train
from captum_focalogic.experiments.arms import Trial
from captum_focalogic.experiments.configuration import Embedded
from captum_focalogic.experiments.scenes import ALL_CLASSES, accuracy_on, fresh_scenes, scene_items, scene_plan
from captum_focalogic.experiments.workshop import Workshop
from captum_focalogic.study.settings import setting_text

BROAD, SPECIALISED = "broad", "specialised"
"""Names of the two trainings."""

CHECKPOINTS = 8
"""How many checkpoints are studied, at most."""

RIGHT, CHANCE = "held out", "chance"
"""Facts of a checkpoint: its accuracy on what it was not trained on, all its classes, and that of guessing."""

SPECIAL_RULE = 1
"""The rule that the specialised network is to know."""

RATE = 2e-3
"""Peak of the learning rate: at a third of the usual one, checkpoints differ by what was learnt more than by noise."""

_SCENES = SceneConfig(size=64)


@dataclass(frozen=True, eq=False)
class Course:
    """A training that is followed.

    Attributes
    ----------
    name : str
        One of :data:`BROAD` and :data:`SPECIALISED`.
    what : str
        On what it is trained, in one line.
    trial : callable
        ``(workshop, epoch)`` to what a study of the checkpoint after an epoch needs, with the facts :data:`RIGHT` and
        :data:`CHANCE`.
    """

    name: str
    what: str
    trial: Callable[[Workshop, int], Trial]


def checkpoints(epochs: int) -> list[int]:
    """Epochs after which a training is looked at: the first, the last, and ever farther apart between them.

    Learning slows down, so that even steps would show the same thing again and again.

    Examples
    --------
    >>> checkpoints(50)
    [1, 2, 3, 5, 9, 16, 29, 50]
    """
    return sorted({round(epoch) for epoch in np.geomspace(1, epochs, CHECKPOINTS)})


def scene_courses(config: Embedded) -> list[Course]:
    """Scenes of every class against scenes of one rule and of none; both are asked about scenes of that rule."""
    special = (0, SPECIAL_RULE)
    return [
        _scene_course(config, BROAD, ALL_CLASSES, "scenes of every class"),
        _scene_course(config, SPECIALISED, special, "scenes of one rule, and of none"),
    ]


def _scene_course(config: Embedded, name: str, classes: Sequence[int], what: str) -> Course:
    how = TrainingConfig(config.seed, config.scenes, config.epochs, min(64, config.scenes), RATE, scene=_SCENES)
    fresh = cache(lambda: fresh_scenes(_SCENES, classes))

    def trial(workshop: Workshop, epoch: int) -> Trial:
        model = SceneNetwork(len(classes))
        model.load_state_dict(_weights_after(workshop, name, how, classes, epoch))
        facts = {RIGHT: accuracy_on(model.eval(), *fresh()), CHANCE: 1 / len(classes)}
        items = scene_items(config.images, _SCENES, (SPECIAL_RULE,))
        return Trial(scene_plan(model, f"{name}, epoch {epoch}"), items, facts)

    return Course(name, f"{config.scenes} {what}", trial)


def draw_scenes(how: TrainingConfig, classes: Sequence[int]) -> SceneSet:
    """Training scenes of some classes in turn."""
    seeds = range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + how.scenes)
    return SceneSet.from_scenes(draw_scene(seed, classes[seed % len(classes)], how.scene) for seed in seeds)


def _weights_after(
    workshop: Workshop, name: str, how: TrainingConfig, classes: Sequence[int], epoch: int
) -> dict[str, Tensor]:
    """Weights after an epoch: kept from before, or else made by a training that keeps those of other epochs too."""
    identity = f"{SceneNetwork(len(classes))} {setting_text(how)} {tuple(classes)}"

    def make() -> dict[str, Tensor]:
        wanted: dict[str, Tensor] = {}

        def keep(at: int, model: nn.Module) -> None:
            weights = {key: value.detach().clone() for key, value in model.state_dict().items()}
            if at == epoch:
                wanted.update(weights)
            elif at in checkpoints(how.epochs):
                workshop.tensors(_checkpoint(name, at), identity, lambda: weights)

        train(how, draw_scenes(how, classes), workshop.show_progress, lambda: SceneNetwork(len(classes)), keep)
        return wanted

    return workshop.tensors(_checkpoint(name, epoch), identity, make)


def _checkpoint(name: str, epoch: int) -> str:
    return f"{name}, epoch {epoch}"
