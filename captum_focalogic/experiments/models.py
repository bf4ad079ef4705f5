"""Several architectures, one line each: the paper's Table 3 and figure 8."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from captum_focalogic.arrays import Floats
from captum_focalogic.demo.batches import SceneSet
from captum_focalogic.demo.rules import CLASS_NAMES
from captum_focalogic.demo.scenes import SceneConfig, draw_scene
from captum_focalogic.demo.train import FIRST_TRAINING_SEED, TrainingConfig, draw_training_set
from captum_focalogic.experiments import networks, published
from captum_focalogic.experiments.findings import (
    FEWEST_MODELS,
    ClaimTest,
    about,
    accuracy_correlation,
    by_seed,
    chance_of_order,
    change,
    falls,
    holds_for_all,
    matrices,
    rises,
    untestable,
)
from captum_focalogic.experiments.framework import (
    EVERY_SIZE,
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
    studied,
)
from captum_focalogic.experiments.networks import Contrastive, train_contrastive, zero_shot
from captum_focalogic.experiments.scenes import accuracy_on, fresh_scenes, scene_items, scene_plan, trained
from captum_focalogic.experiments.tables import READINGS, error_bars, legend_below, measure_table, new_figure
from captum_focalogic.study import MEASURES
from captum_focalogic.study.settings import setting_text
from captum_focalogic.tables import Table

MODELS: tuple[str, ...] = (
    "torchvision:mobilenet_v2",
    "torchvision:resnet18",
    "torchvision:resnet50",
    "torchvision:densenet121",
    "torchvision:convnext_tiny",
    "torchvision:vit_b_16",
    "open_clip:ViT-B-32-quickgelu@imagenet",
    "open_clip:ViT-B-16-quickgelu@imagenet",
)
"""ImageNet models if none are asked for: six trained on its labels, and two zero-shot, told its classes' names."""

CONTRASTIVE = "zero-shot"
"""What the contrastive model is called in the embedded size."""

CLAIM = "more accurate models are more precise"


Fresh = Callable[[], tuple[Tensor, Tensor]]

_SCENES = SceneConfig(size=networks.SIDE)

_CONTRASTIVE_RATE = 2e-3


def _conditions(config: Config) -> list[Condition[Result]]:
    if isinstance(config, ImageNet):
        return [
            studied(title, f"explain {config.images} images of {config.data}", partial(_pretrained, config, name))
            for name, title in _titles(config.models or MODELS).items()
        ]

    @cache
    def drawn() -> SceneSet:
        return draw_training_set(_training(config, 1.0))

    fresh = cache(lambda: fresh_scenes(config.settings.fresh_scenes, _SCENES))
    labelled = [
        _condition(config, fresh, name, architecture.what, partial(_classifier, config, name, drawn))
        for name, architecture in networks.ARCHITECTURES.items()
    ]
    what = "images and captions of their objects side by side, classes told by descriptions"
    return [*labelled, _condition(config, fresh, CONTRASTIVE, what, partial(_contrastive, config))]


def _titles(names: Sequence[str]) -> dict[str, str]:
    """What models are called in tables: without the folder of a file of the user's, unless two were the same then."""
    short = {name: re.sub(r"^.*[/\\](?=[^/\\]+\.py:)", "", name) for name in names}
    return short if len(set(short.values())) == len(short) else {name: name for name in names}


def _condition(
    config: Embedded, fresh: Fresh, name: str, what: str, make: Callable[[Workspace], nn.Module]
) -> Condition[Result]:
    done = f"{what}; train on {config.scenes} scenes, {config.epochs} epochs; explain {config.images} scenes"

    def setup(workspace: Workspace) -> Setup:
        model = make(workspace)
        facts = {
            "parameters": float(sum(map(torch.numel, model.parameters()))),
            "fresh scenes": accuracy_on(model, *fresh()),
        }
        return Setup(scene_plan(model, name), scene_items(config.images, _SCENES, first=config.first_scene), facts)

    return studied(name, done, setup)


def _training(config: Embedded, learning_rate: float) -> TrainingConfig:
    return TrainingConfig(
        config.seed, config.scenes, config.epochs, min(64, config.scenes), learning_rate, scene=_SCENES
    )


def _classifier(config: Embedded, name: str, drawn: Callable[[], SceneSet], workspace: Workspace) -> nn.Module:
    architecture = networks.ARCHITECTURES[name]
    how = _training(config, architecture.learning_rate)
    return trained(workspace, name, how, architecture.make, scenes=drawn)


def _contrastive(config: Embedded, workspace: Workspace) -> nn.Module:
    how = _training(config, _CONTRASTIVE_RATE)

    model = Contrastive()
    identity = f"{model} {setting_text(how)}"
    going_on = workspace.kept(f"{CONTRASTIVE}, going on", identity)

    def make() -> dict[str, Tensor]:
        seeds = range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + config.scenes)
        scenes = (draw_scene(seed, config=_SCENES) for seed in seeds)
        return train_contrastive(how, scenes, workspace.show_progress, going_on).state_dict()

    model.load_state_dict(workspace.tensors(CONTRASTIVE, identity, make))
    going_on.clear()
    return zero_shot(model.eval(), networks.SIDE)


def _pretrained(config: ImageNet, name: str, workspace: Workspace) -> Setup:  # noqa: ARG001 (every condition is given one)
    model = config.find_model(name)
    facts = {"parameters": _parameters(model.forward)} if isinstance(model.forward, nn.Module) else {}
    return Setup(config.plan(name, model), config.find_items(model), facts)


def _parameters(model: nn.Module) -> float:
    return float(sum(map(torch.numel, model.parameters())))


def _conclude(config: Config, results: Sequence[Result]) -> Conclusion:
    facts = {"parameters": ",.0f", **({"fresh scenes": ".1%"} if isinstance(config, Embedded) else {})}
    table = measure_table(
        results,
        "Means over images with 95 % intervals; accuracy is that on the explained images.",
        condition="model",
        facts=facts,
        published={"the paper, Table 3": published.ARCHITECTURES},
    )
    findings = [
        *about("accurate", (_finding(results, reading, whole) for whole in (True, False) for reading in READINGS)),
        *_transformer(results),
        *_zero_shot(results),
    ]
    return Conclusion([table, _published()], _figure(results), findings, _notes(config, results))


def _published() -> Table:
    """The paper's own table."""
    columns = ("accuracy", *MEASURES)
    lines = [(name, *(f"{line[column].low:.2f}" for column in columns)) for name, line in published.MODELS.items()]
    return Table(
        ("the paper's model", *columns), tuple(lines), "The paper's Table 3, one image of each of ImageNet's classes."
    )


def _finding(results: Sequence[Result], reading: str, whole: bool) -> Finding:
    """Over all images, or those that every model is right about: else a wrong answer counts against precision too."""
    claim = CLAIM if whole else f"{CLAIM}, on images that all of them get right"
    if len(results) < FEWEST_MODELS:
        return untestable(claim, reading, f"{len(results)} models, and an order needs {FEWEST_MODELS} or more")
    found = by_seed(results, lambda run: accuracy_correlation(*_right_and_precise(run, reading, whole)))
    finding = rises(claim, reading, found)
    if found is None:
        return finding
    right, precision = _right_and_precise(results, reading, whole)
    chance = chance_of_order(right.mean(axis=1), np.nanmean(precision, axis=1))
    shown = replace(found, count=int((~np.isnan(precision)).any(axis=0).sum()))
    evidence = f"rank correlation {shown.told}, {len(results)} models ({chance:.0%} of their orders do as well)"
    return replace(finding, evidence=evidence)


TRANSFORMERS = ("vit", "deit", "swin", "beit")
"""Parts of the names of vision transformers."""

ZERO_SHOT = ("zero-shot", "clip")
"""Parts of the names of models that were never shown a class."""


def _named(results: Sequence[Result], parts: Sequence[str]) -> list[Result]:
    return [result for result in results if any(part in result.name.lower() for part in parts)]


def _transformer(results: Sequence[Result]) -> list[Finding]:
    """Whether a vision transformer trained on labels has the highest divergence of all models."""
    zero_shot = _named(results, ZERO_SHOT)
    found = [result for result in _named(results, TRANSFORMERS) if result not in zero_shot]
    claim = "the vision transformer has a higher divergence than any other model"
    return about("transformer", _against(claim, found, results, "divergence", rises))


def _zero_shot(results: Sequence[Result]) -> list[Finding]:
    """Whether a zero-shot model is less precise than those that were trained on labels, and diverges more."""
    found = _named(results, ZERO_SHOT)
    labelled = [result for result in results if result not in found]
    convolutional = [result for result in labelled if result not in _named(results, TRANSFORMERS)]
    precise = "the zero-shot model is less precise than any model trained on labels"
    diverging = "the zero-shot model has a higher divergence than any convolutional network"
    return about(
        "zero-shot",
        [
            *_against(precise, found, labelled, "precision", falls),
            *_against(diverging, found, convolutional, "divergence", rises),
        ],
    )


def _against(
    claim: str,
    chosen: Sequence[Result],
    others: Sequence[Result],
    measure: str,
    test: ClaimTest,
) -> list[Finding]:
    """Whether a measure differs between the first of the chosen and each other model, on the same images."""
    others = [other for other in others if other not in chosen]
    if not chosen or not others:
        return [untestable(claim, reading, "there is no such model among these") for reading in READINGS]
    return [
        holds_for_all(
            claim,
            reading,
            {other.name: change(other, chosen[0], f"{reading}_{measure}") for other in others},
            test,
        )
        for reading in READINGS
    ]


def _right_and_precise(results: Sequence[Result], reading: str, whole: bool) -> tuple[NDArray[np.bool_], Floats]:
    """Whether each model is right about each image, and its precision; only where all are right, unless whole."""
    right, precision = matrices(results, f"{reading}_precision")
    return right, precision if whole else np.where(right.all(axis=0), precision, np.nan)


def _figure(results: Sequence[Result]) -> Any:
    """Each measure against accuracy, a mark for each model, filled for one reading and open for the other."""
    figure, panels = new_figure(len(MEASURES), width=11.0, height=3.8)
    for panel, measure in zip(panels, MEASURES, strict=True):
        for place, result in enumerate(results):
            for reading in READINGS:
                _mark(panel, result, f"{reading}_{measure}", place, reading == "smallest")
        panel.set_xlabel("accuracy")
        panel.set_title(measure, fontsize=9)
    legend_below(figure, panels[0])
    return figure


def _mark(panel: Any, result: Result, column: str, place: int, filled: bool) -> None:
    accuracy, mean = result.mean("accuracy"), result.mean(column)
    colour = f"C{place % 10}"
    panel.errorbar(
        [accuracy.value],
        [mean.value],
        xerr=error_bars([accuracy]),
        yerr=error_bars([mean]),
        color=colour,
        markerfacecolor=colour if filled else "white",
        marker="os^DvP*X"[place % 8],
        ms=6,
        elinewidth=0.6,
        label=result.name if filled else None,
    )


def _notes(config: Config, results: Sequence[Result]) -> list[str]:
    notes = [
        f"There are {len(results)} models. The interval of a rank correlation says how sure the order of these "
        "models is on such images, not whether other models would fall into line: how many of all orders of "
        "so many models correlate as much stands behind it.",
        "Filled marks are the smallest states, open ones the irreducible states.",
        "A model that is wrong about an image explains another class than the one that the truth belongs to, which "
        "alone ties precision to accuracy. The findings on images that all models get right are free of that.",
    ]
    if isinstance(config, ImageNet):
        return notes
    return [
        *notes,
        f"Scenes are {networks.SIDE} pixels a side. Every classifier is trained on the same ones, with the same "
        "regions taken away and the class of what is left as label; learning rates are each architecture's own.",
        f"The model {CONTRASTIVE} never sees a class: it is trained on the same scenes with captions that mention up "
        "to three of the objects, and told the classes by descriptions, such as "
        f"“scene red disc blue square” for “{CLASS_NAMES[1]}”.",
        "The paper's values are of ImageNet models on photographs, which are harder: the line says where they lie, and "
        "is nothing for these networks to reach.",
        "“Fresh scenes” is the accuracy on 600 further scenes of all classes, “other” among them.",
    ]


EXPERIMENT = Experiment(
    "Architectures",
    "Table 3 and figure 8",
    _conditions,
    _conclude,
    trains=True,
    sizes=EVERY_SIZE,
    judges=("accurate", "transformer", "zero-shot"),
)
"""Several architectures, one line each."""
