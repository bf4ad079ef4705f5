"""What ``focalogic experiment`` does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captum_focalogic.cli import models
from captum_focalogic.cli.failing import CommandError
from captum_focalogic.cli.printing import print_facts
from captum_focalogic.cli.studying import find_segmenter, find_truth, make_model
from captum_focalogic.experiments import Config, Embedded, ImageNet, find_experiment, run_experiment
from captum_focalogic.ground_truth import GroundTruthSource
from captum_focalogic.segmenters import Segmenter
from captum_focalogic.study import Item, Model, data_from_text


@dataclass(frozen=True)
class Wish:
    """The options of ``focalogic experiment``; see its help."""

    name: str
    size: str
    out: Path
    images: int | None
    seed: int
    epochs: int | None
    scenes: int | None
    data: str | None
    models: tuple[str, ...]
    weights: str | None
    segmenter: str
    truth: str
    generated: Path | None
    device: str
    dry_run: bool
    progress: bool


@dataclass(frozen=True)
class CommandLine:
    """Finds things by their command line names."""

    def items(self, data: str, model: Model | None, limit: int | None) -> list[Item]:
        """Images."""
        return data_from_text(data, None if model is None else model.labels, limit)

    def model(self, name: str, weights: str | None) -> Model:
        """A model."""
        return make_model(name, weights)

    def segmenter(self, name: str) -> Segmenter | None:
        """What cuts images."""
        return find_segmenter(name)

    def truth(self, name: str, model: Model) -> GroundTruthSource | bool:
        """What says where the object is."""
        return find_truth(name, model)


def carry_out(wish: Wish) -> None:
    """Run an experiment, or say what it would do.

    Raises
    ------
    FocaLogicError
        If the wish cannot be granted.
    """
    config = _config(wish)
    experiment = find_experiment(wish.name)
    if wish.dry_run:
        conditions = experiment.conditions(config)
        would_do = "\n".join(f"{condition.name}: {condition.what}" for condition in conditions)
        print_facts(
            {"Experiment": f"{experiment.title} ({experiment.source})", "Would do": would_do, "Into": str(wish.out)}
        )
        return
    outcome, written = run_experiment(wish.name, config, wish.out, show_progress=wish.progress)
    findings = [
        f"{found.verdict}: {found.claim}{f' ({found.reading} states)' if found.reading else ''}: {found.evidence}"
        for found in outcome.findings
    ]
    print_facts(
        {
            "Experiment": f"{experiment.title} ({experiment.source})",
            "Findings": "\n".join(findings) or "none to test",
            "Written": ", ".join(map(str, written)),
        }
    )


def _config(wish: Wish) -> Config:
    common: dict[str, Any] = {"images": wish.images, "epochs": wish.epochs}
    given = {name: value for name, value in common.items() if value is not None}
    if wish.size == "embedded":
        if wish.data is not None or wish.models:
            raise CommandError("--data and --model belong to --size imagenet; the embedded size makes its own")
        return Embedded(seed=wish.seed, **given, **({} if wish.scenes is None else {"scenes": wish.scenes}))
    if wish.data is None:
        raise CommandError("--size imagenet needs --data, a folder of pictures with a subfolder for each class")
    return ImageNet(
        finder=CommandLine(),
        data=wish.data,
        models=wish.models,
        weights=wish.weights,
        segmenter=wish.segmenter,
        truth=wish.truth,
        generated=wish.generated,
        seed=wish.seed,
        device=str(models.find_device(wish.device)),
        **given,
    )
