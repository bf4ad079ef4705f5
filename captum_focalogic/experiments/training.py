"""What becomes of focus in training: checkpoints of a broad and a specialised model, figures 6, 7, 12 and 13."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from captum_focalogic.classifier import Classifier
from captum_focalogic.demo.batches import SceneSet
from captum_focalogic.demo.network import SceneNetwork
from captum_focalogic.demo.scenes import SceneConfig, draw_scene
from captum_focalogic.demo.train import FIRST_TRAINING_SEED, TrainingConfig, train
from captum_focalogic.errors import InputError
from captum_focalogic.experiments.findings import ClaimTest, Estimate, about, change, falls, rises, stays, untestable
from captum_focalogic.experiments.finetuning import (
    HELD_OUT,
    CheckpointedTraining,
    FineTuning,
    ItemDataset,
    seeded,
    split_items,
    with_new_head,
)
from captum_focalogic.experiments.framework import (
    Conclusion,
    Condition,
    Config,
    Embedded,
    Experiment,
    Finding,
    ImageNet,
    Result,
    Setup,
    Workspace,
    spread,
    studied,
)
from captum_focalogic.experiments.published import EPOCHS
from captum_focalogic.experiments.scenes import ALL_CLASSES, accuracy_on, fresh_scenes, scene_items, scene_plan
from captum_focalogic.experiments.tables import READINGS, error_bars, legend_below, measure_table, new_figure
from captum_focalogic.integrations.weights import RANDOM
from captum_focalogic.study import MEASURES, Item, data_from_text
from captum_focalogic.study.settings import setting_text
from captum_focalogic.tables import Table

BROAD, SPECIALISED = "broad", "specialised"
"""Names of the two trainings."""

CHECKPOINTS = 8
"""How many checkpoints are studied, at most."""

RIGHT, CHANCE = "held out", "chance"
"""Facts of a checkpoint: its accuracy on what it was not trained on, all its classes, and that of guessing."""

HALFWAY = 0.5
"""A checkpoint is sufficiently trained from this share of the way from guessing to the best checkpoint on."""

LATER = 0.75
"""Changes are also measured from this share of the way on: do they last, or do they belong to the beginning?"""

LEARNT = 0.1
"""The best checkpoint has to be right more often than guessing by this much, or nothing was learnt."""

SPECIAL_RULE = 1
"""The rule that the specialised network is to know."""

RATE = 2e-3
"""Peak of the learning rate: at a third of the usual one, checkpoints differ by what was learnt more than by noise."""

DOGS = range(151, 269)
"""ImageNet's breeds of dogs, from Chihuahua to Mexican hairless: the classes of the specialised model."""

MOST_TESTED = 5_000
"""Held-out images that tell a checkpoint's accuracy, at most."""

_SCENES = SceneConfig(size=64)

_CLAIMS: tuple[tuple[str, str, str, str, ClaimTest], ...] = (
    ("diverging", SPECIALISED, "divergence", "specialised model: divergence grows in training", rises),
    ("diverging", BROAD, "divergence", "broad model: divergence stays in training", stays),
    ("concentrating", SPECIALISED, "precision", "specialised model: focus becomes more precise in training", rises),
    ("concentrating", BROAD, "precision", "broad model: focus becomes more precise in training", rises),
    ("recall in training", SPECIALISED, "recall", "specialised model: recall stays in training", stays),
    ("recall in training", BROAD, "recall", "broad model: recall stays in training", stays),
)
"""The paper's finding, the model, the measure, what is claimed, and how it is tested."""


@dataclass(frozen=True, eq=False)
class TrainingCurve:
    """A training whose checkpoints were studied.

    Attributes
    ----------
    name : str
        Of the training.
    epochs : list of int
        After which a checkpoint was studied.
    results : list of Result
        One a checkpoint.
    """

    name: str
    epochs: list[int]
    results: list[Result]

    @property
    def accuracies(self) -> list[float]:
        """Of each checkpoint, on what it was not trained on."""
        return [result.facts[RIGHT] for result in self.results]

    def start(self, share: float = HALFWAY) -> int | None:
        """Place of the first sufficiently trained checkpoint."""
        return first_trained(self.accuracies, self.results[0].facts[CHANCE], share)

    def span(self, share: float = HALFWAY) -> str:
        """From which epoch to which changes are measured."""
        start = self.start(share)
        return "-" if start is None else f"epoch {self.epochs[start]} to {self.epochs[-1]}"

    def change(self, column: str, right_only: bool = True, share: float = HALFWAY) -> Estimate | None:
        """From the first sufficiently trained checkpoint to the last; over all images, or those right in both.

        None if there are no two such checkpoints, or too few images.
        """
        start = self.start(share)
        if start is None or start == len(self.results) - 1:
            return None
        first, last = self.results[start], self.results[-1]
        if right_only:
            first, last = _right(first), _right(last)
        ids = [set(result.rows.column("id").to_pylist()) for result in (first, last)]
        return change(first, last, column) if ids[0] & ids[1] else None


def first_trained(accuracies: Sequence[float], chance: float, share: float = HALFWAY) -> int | None:
    """The first checkpoint that has come so far on the way from guessing to the best one.

    Returns
    -------
    int or None
        Its place; None if even the best one is hardly better than guessing.

    Examples
    --------
    >>> first_trained([0.5, 0.6, 0.8, 0.9], chance=0.5)
    2
    """
    best = max(accuracies)
    if best < chance + LEARNT:
        return None
    return next(place for place, value in enumerate(accuracies) if value >= chance + share * (best - chance))


@dataclass(frozen=True, eq=False)
class Training:
    """A training that is followed.

    Attributes
    ----------
    name : str
        One of :data:`BROAD` and :data:`SPECIALISED`.
    what : str
        On what it is trained, in one line.
    setup : callable
        ``(workspace, epoch)`` to what a study of the checkpoint after an epoch needs, with the facts :data:`RIGHT` and
        :data:`CHANCE`.
    """

    name: str
    what: str
    setup: Callable[[Workspace, int], Setup]


def checkpoints(epochs: int) -> list[int]:
    """Epochs after which a training is looked at: the first, the last, and ever farther apart between them.

    Learning slows down, so that even steps would show the same thing again and again.

    Examples
    --------
    >>> checkpoints(50)
    [1, 2, 3, 5, 9, 16, 29, 50]
    """
    return sorted({round(epoch) for epoch in np.geomspace(1, epochs, CHECKPOINTS)})


def scene_trainings(config: Embedded) -> list[Training]:
    """Scenes of every class against scenes of one rule and of none; both are asked about scenes of that rule."""
    special = (0, SPECIAL_RULE)
    return [
        _scene_training(config, BROAD, ALL_CLASSES, "scenes of every class"),
        _scene_training(config, SPECIALISED, special, "scenes of one rule, and of none"),
    ]


def _scene_training(config: Embedded, name: str, classes: Sequence[int], what: str) -> Training:
    how = TrainingConfig(config.seed, config.scenes, config.epochs, min(64, config.scenes), RATE, scene=_SCENES)
    fresh = cache(lambda: fresh_scenes(config.settings.fresh_scenes, _SCENES, classes))

    def setup(workspace: Workspace, epoch: int) -> Setup:
        model = SceneNetwork(len(classes))
        model.load_state_dict(_weights_after(workspace, name, how, classes, epoch))
        facts = {RIGHT: accuracy_on(model.eval(), *fresh()), CHANCE: 1 / len(classes)}
        items = scene_items(config.images, _SCENES, (SPECIAL_RULE,), first=config.first_scene)
        return Setup(scene_plan(model, f"{name}, epoch {epoch}"), items, facts)

    return Training(name, f"{config.scenes} {what}", setup)


def draw_scenes(how: TrainingConfig, classes: Sequence[int]) -> SceneSet:
    """Training scenes of some classes in turn."""
    seeds = range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + how.scenes)
    return SceneSet.from_scenes(draw_scene(seed, classes[seed % len(classes)], how.scene) for seed in seeds)


def _weights_after(
    workspace: Workspace, name: str, how: TrainingConfig, classes: Sequence[int], epoch: int
) -> dict[str, Tensor]:
    """Weights after an epoch: kept from before, or else made by a training that goes on where it was broken off."""
    identity = f"{SceneNetwork(len(classes))} {setting_text(how)} {tuple(classes)}"
    wanted = workspace.kept(_checkpoint(name, epoch), identity)
    going_on = workspace.kept(f"{name}, going on", identity)

    def keep(at: int, model: nn.Module) -> None:
        if at in checkpoints(how.epochs):
            workspace.kept(_checkpoint(name, at), identity).save(model.state_dict())

    if not wanted.load():
        if int(going_on.load().get("epoch", torch.tensor(0))) >= epoch:
            # it went past a checkpoint that is gone
            going_on.clear()
        scenes, show = draw_scenes(how, classes), workspace.show_progress
        train(how, scenes, show, lambda: SceneNetwork(len(classes)), keep, going_on)
        going_on.clear()
    return wanted.load()


def _checkpoint(name: str, epoch: int) -> str:
    return f"{name}, epoch {epoch}"


def _trainings(config: Config) -> list[Training]:
    if isinstance(config, Embedded):
        return scene_trainings(config)
    return image_trainings(config)


def image_trainings(config: ImageNet) -> list[Training]:
    """Images of every class against images of dogs; both are asked about dogs.

    Raises
    ------
    InputError
        If more than one model is asked for.
    """
    if len(config.models) > 1:
        raise InputError(f"training follows one model, but {len(config.models)} are given: {', '.join(config.models)}")
    name = config.model_name
    start = "from a random start" if config.weights == RANDOM else "from pretrained weights and a new last layer"
    told = {
        BROAD: f"images of every class in {config.data}, {name} {start}",
        SPECIALISED: f"images of dogs in {config.data} (classes {DOGS[0]} to {DOGS[-1]}), {name} {start}",
    }
    return [Training(training, what, partial(_image_setup, config, name, training)) for training, what in told.items()]


def _image_setup(config: ImageNet, name: str, training: str, workspace: Workspace, epoch: int) -> Setup:
    pretrained = config.find_model(name)
    split = split_items(data_from_text(config.data, pretrained.labels, None))
    known = sorted({item.label for item in split.trained if item.label is not None})
    dogs = [label for label in known if label in DOGS]
    if len(dogs) < 2:
        raise InputError(
            f"the specialised model tells dogs apart, ImageNet's classes {DOGS[0]} to {DOGS[-1]}, of which "
            f"{config.data} has {len(dogs)}; give a folder of ImageNet, or name its folders by class number"
        )
    classes = known if training == BROAD else dogs
    own = split.of(classes)
    asked = [item for item in own.held_out if item.label is not None and classes[item.label] in DOGS]
    if not asked:
        raise InputError(f"no class of dogs in {config.data} has {HELD_OUT} images, so that none could be held out")
    module = _trained(config, workspace, pretrained, training, own.trained, len(classes), epoch)
    names = [pretrained.label_of(label) or str(label) for label in classes]
    model = Classifier(module, pretrained.preprocess, pretrained.preprocess_labels, names, f"{training}, epoch {epoch}")
    facts = {RIGHT: _accuracy(config, workspace, model, own.held_out), CHANCE: 1 / len(classes)}
    return Setup(config.plan(model.name, model), spread(asked, config.images), facts)


def _trained(
    config: ImageNet,
    workspace: Workspace,
    pretrained: Classifier,
    training: str,
    items: Sequence[Item],
    classes: int,
    epoch: int,
) -> nn.Module:
    how = FineTuning(config.epochs, seed=config.seed, device=config.device)
    if config.weights == RANDOM:
        how = replace(how, learning_rate=how.head_learning_rate)
    with seeded(how.seed):
        module = with_new_head(pretrained, classes)
    identity = f"{setting_text(module)} {setting_text(how)} {[(item.id, item.label) for item in items]}"
    training_run = CheckpointedTraining(
        workspace, training, module, ItemDataset(items, pretrained), how, identity, checkpoints(how.epochs)
    )
    module.load_state_dict(training_run.after(epoch))
    return module.cpu().eval()


def _accuracy(config: ImageNet, workspace: Workspace, model: Classifier, held_out: Sequence[Item]) -> float:
    """Share of right answers."""
    items = spread(held_out, MOST_TESTED)

    def make() -> dict[str, Tensor]:
        on, right = model.to(config.device), 0
        with torch.inference_mode():
            for images, labels in DataLoader(ItemDataset(items, model), 32):
                right += int((on.forward(images.to(config.device)).argmax(dim=1).cpu() == labels).sum())
        return {RIGHT: torch.tensor(right / len(items), dtype=torch.float64)}

    identity = f"{setting_text(model.forward)} {[item.id for item in items]}"
    return float(workspace.tensors(f"{model.name}, accuracy", identity, make)[RIGHT])


def _conditions(config: Config) -> list[Condition[Result]]:
    return [
        studied(
            f"{training.name}, epoch {epoch}",
            f"train on {training.what} for {epoch} of {config.epochs} epochs; explain {config.images} images",
            partial(_setup, training, epoch),
        )
        for training in _trainings(config)
        for epoch in checkpoints(config.epochs)
    ]


def _setup(training: Training, epoch: int, workspace: Workspace) -> Any:
    return training.setup(workspace, epoch)


def _conclude(config: Config, results: Sequence[Result]) -> Conclusion:
    epochs = checkpoints(config.epochs)
    halves = (BROAD, results[: len(epochs)]), (SPECIALISED, results[len(epochs) :])
    followed = {name: TrainingCurve(name, epochs, list(half)) for name, half in halves}
    table = measure_table(
        results,
        "Means over images with 95 % intervals. “held out” is the accuracy on all classes of the training, accuracy "
        "that on the explained images.",
        condition="checkpoint",
        facts={RIGHT: ".1%"},
    )
    findings = [
        replace(
            _finding(followed[name], measure, claim, reading, _beside(followed, name, measure), test), source=source
        )
        for source, name, measure, claim, test in _CLAIMS
        for reading in READINGS
    ]
    findings += about("specialised", _last(*(followed[name].results[-1] for name in (BROAD, SPECIALISED))))
    return Conclusion([table, _changes(followed)], _figure(followed), findings, _notes(config, followed))


def _beside(followed: Mapping[str, TrainingCurve], name: str, measure: str) -> TrainingCurve | None:
    """The other training, which stands beside the specialised one's divergence."""
    return followed[BROAD] if (name, measure) == (SPECIALISED, "divergence") else None


def _last(broad: Result, specialised: Result) -> list[Finding]:
    """The specialised model against the broad one, each as it is in the end."""
    more = "in the end the specialised model is more accurate than the broad one"
    accuracy = rises(more, "", change(broad, specialised, "accuracy"))
    return [
        accuracy,
        *(
            falls(
                f"in the end the specialised model has a lower {measure} than the broad one",
                reading,
                change(broad, specialised, f"{reading}_{measure}"),
            )
            for measure in ("precision", "recall")
            for reading in READINGS
        ),
    ]


def _finding(
    followed: TrainingCurve,
    measure: str,
    claim: str,
    reading: str,
    beside: TrainingCurve | None = None,
    test: ClaimTest = rises,
) -> Finding:
    start = followed.start()
    if start is None:
        return untestable(claim, reading, f"no checkpoint is better than guessing by {LEARNT:.0%}")
    if start == len(followed.results) - 1:
        return untestable(claim, reading, "only the last checkpoint is sufficiently trained")
    column = f"{reading}_{measure}"
    finding = test(claim, reading, followed.change(column))
    evidence = f"{finding.evidence}, {followed.span()}, right in both"
    later = followed.change(column, share=LATER)
    if later is not None and followed.start(LATER) != start:
        evidence += f"; {followed.span(LATER)}: {later}"
    compared = None if beside is None else beside.change(column)
    if beside is not None and compared is not None:
        evidence += f"; {beside.name} model: {compared}, {beside.span()}"
    return replace(finding, evidence=evidence)


def _changes(followed: Mapping[str, TrainingCurve]) -> Table:
    choices = ((HALFWAY, False), (HALFWAY, True), (LATER, True))
    lines = [
        _change_line(training, reading, share, right_only)
        for training in followed.values()
        for reading in READINGS
        for share, right_only in choices
    ]
    return Table(
        ("model", "from, to", "states", "images", "number", *MEASURES),
        tuple(lines),
        f"Changes to the last checkpoint from the first one that has come {HALFWAY:.0%} of the way from guessing to "
        f"the best one, and from the first that has come {LATER:.0%}; paired, with 95 % intervals.",
    )


def _change_line(training: TrainingCurve, reading: str, share: float, right_only: bool) -> tuple[str, ...]:
    found = [training.change(f"{reading}_{measure}", right_only, share) for measure in MEASURES]
    counts = sorted({estimate.count for estimate in found if estimate is not None})
    images = " to ".join(map(str, counts[:1] + counts[1:][-1:])) or "-"
    told = "right in both" if right_only else "all"
    return (training.name, training.span(share), reading, told, images, *(str(estimate or "-") for estimate in found))


def _right(result: Result) -> Result:
    return result.mapped(lambda rows: rows.filter(rows.column("correct")))


def _figure(followed: Mapping[str, TrainingCurve]) -> Any:
    """A row for each reading: precision, recall and divergence over the epochs; accuracy at the end of the first."""
    figure, panels = new_figure(len(MEASURES) + 1, width=11.0, height=5.2, rows=len(READINGS))
    columns = len(MEASURES) + 1
    for row, reading in enumerate(READINGS):
        for panel, measure in zip(panels[row * columns :], MEASURES, strict=False):
            for training in followed.values():
                means = [result.mean(f"{reading}_{measure}") for result in training.results]
                panel.errorbar(
                    training.epochs,
                    [mean.value for mean in means],
                    yerr=error_bars(means),
                    capsize=2,
                    marker="o",
                    ms=3,
                    label=training.name,
                )
            panel.set_title(f"{measure}, {reading} states", fontsize=9)
    for place, (title, last) in enumerate((("accuracy on held-out images", RIGHT), ("accuracy, explained images", ""))):
        panel = panels[place * columns + len(MEASURES)]
        for training in followed.values():
            values = training.accuracies if last else [result.mean("accuracy").value for result in training.results]
            panel.plot(training.epochs, values, marker="o", ms=3, label=training.name)
        panel.set_title(title, fontsize=9)
    for panel in panels:
        panel.set_xscale("log")
        epochs = next(iter(followed.values())).epochs
        panel.set_xticks(epochs, [str(epoch) for epoch in epochs])
        panel.minorticks_off()
        panel.set_xlabel("epochs")
    legend_below(figure, panels[0])
    return figure


def _notes(config: Config, followed: Mapping[str, TrainingCurve]) -> list[str]:
    paper = f"The paper follows {EPOCHS} epochs, this run {config.epochs}."
    spans = "; ".join(f"{training.name}, {training.span()}" for training in followed.values())
    rule = (
        "Sufficiently trained: at least half of the way from guessing to the best checkpoint, on held-out images. "
        f"Findings are about the change from there to the last checkpoint: {spans}."
    )
    both = (
        "The findings are about images that both checkpoints get right. A wrong answer explains another class, and one "
        "that the baseline alone gets too has divergence 0 for no reason of focus; the second table has all images too."
    )
    if not isinstance(config, Embedded):
        return [paper, rule, both]
    return [
        paper,
        rule,
        both,
        "Both models are SceneNetworks, with the same number of scenes (64 pixels a side), passes and regions taken "
        f"away. Broad: scenes of all three classes. Specialised: scenes of rule {SPECIAL_RULE} and of no rule; it has "
        "two classes and never sees the other rule met. Both are asked about the same scenes of that rule.",
        f"Accuracy on the explained images is that on scenes of rule {SPECIAL_RULE} alone.",
    ]


EXPERIMENT = Experiment(
    "Focus in training",
    "figures 6, 7, 12 and 13",
    _conditions,
    _conclude,
    trains=True,
    judges=("diverging", "concentrating", "recall in training", "specialised"),
)
"""Checkpoints of a broad and of a specialised model."""
