"""Multimodal language models, explained as any black box is (the paper's figure 10)."""

from collections.abc import Sequence
from dataclasses import replace

from captum_focalogic.demo.rules import CLASS_NAMES
from captum_focalogic.experiments.arms import Arm, Result, Trial, studied
from captum_focalogic.experiments.catalogue import Experiment
from captum_focalogic.experiments.configuration import Config, Embedded, ImageNet
from captum_focalogic.experiments.figures import READINGS, measure_bars
from captum_focalogic.experiments.findings import Finding, untestable
from captum_focalogic.experiments.outcome import Outcome
from captum_focalogic.experiments.scenes import scene_items
from captum_focalogic.experiments.tables import measure_table
from captum_focalogic.experiments.tiny_chat import tiny_chat
from captum_focalogic.experiments.workshop import Workshop
from captum_focalogic.search import Frugal, HittingSets, Strategy
from captum_focalogic.study import Item, Model, ModelFactory, StudySettings

MODEL = "chat:Qwen/Qwen2-VL-2B-Instruct"
"""The paper's model, asked about the classes of the pictures, where no model is named."""

IMAGES = 12
"""Most images that are explained: every question takes seconds, or money."""

EVALUATIONS = 64
"""Most questions about one image. All questions of a run stay below what one command may ask an endpoint."""


def arms(config: Config) -> list[Arm[Result]]:
    """A study for each model, in the embedded size for each of two searches that suit slow models."""
    if isinstance(config, Embedded):
        return [_random(config, "Frugal", Frugal(seed=config.seed)), _random(config, "HittingSets", HittingSets())]
    return [_named(config, name) for name in config.models or (MODEL,)]


def conclude(config: Config, results: Sequence[Result]) -> Outcome:
    """What was measured; of what it says about the paper, only whether it can be told."""
    measured = [replace(result, facts=_facts(result)) for result in results]
    table = measure_table(
        measured,
        f"At most {EVALUATIONS} questions an image; complete: share of the searches that found everything there is, "
        "if the model is monotone on the image; empty: share of the images of which nothing need be left for the same "
        "answer, which have no precision.",
        "model",
        {"questions": ".1f", "complete": ".0%", "empty": ".0%"},
    )
    return Outcome([table], measure_bars(measured), _findings(config), _notes(config))


EXPERIMENT = Experiment("Multimodal language models", "figure 10", arms, conclude)
"""The experiment by name "mllm"."""


def _random(config: Embedded, name: str, search: Strategy) -> Arm[Result]:
    def make(_: Workshop) -> Trial:
        identity = f"tiny Qwen2-VL, random weights, seed {config.seed}"
        recipe = ModelFactory(
            lambda: Model(tiny_chat(CLASS_NAMES, config.seed), identity, labels=CLASS_NAMES), identity
        )
        return Trial(StudySettings(recipe, search=search, max_evaluations=EVALUATIONS), scene_items(_count(config)))

    what = (
        f"ask a small Qwen2-VL with random weights about {_count(config)} scenes, {name}, {EVALUATIONS} questions each"
    )
    return studied(f"random, {name}", what, make)


def _named(config: ImageNet, name: str) -> Arm[Result]:
    def make(_: Workshop) -> Trial:
        model = config.find_model(name if "@" in name else f"{name}@{','.join(_classes(config))}")
        plan = config.plan(name, model, search=Frugal(seed=config.seed), max_evaluations=EVALUATIONS)
        return Trial(plan, _spread(config.find_items(model)))

    about = "the labels after the @" if "@" in name else "the folder's classes"
    what = f"ask {name} which of {about} {_count(config)} pictures show, at most {EVALUATIONS} questions each"
    return studied(_title(name), what, make)


def _classes(config: ImageNet) -> list[str]:
    """Names of the folders that the pictures lie in."""
    names = [item.id.split("/") for item in config.finder.items(config.data, None, None)]
    return sorted({parts[0] for parts in names if len(parts) > 1})


def _spread(items: Sequence[Item]) -> list[Item]:
    """So many images that questions stay few, evenly over those there are."""
    count = min(len(items), IMAGES)
    return [items[place * len(items) // count] for place in range(count)]


def _title(name: str) -> str:
    return name.partition("@")[0].replace(":", " ").replace("/", "-")


def _count(config: Config) -> int:
    return min(config.images, IMAGES)


def _facts(result: Result) -> dict[str, float]:
    told = [how for how in result.rows.column("certificate_complete").to_pylist() if how is not None]
    sizes = [size for size in result.rows.column("smallest_size").to_pylist() if size is not None]
    return {
        "questions": result.mean("evaluations").value,
        "complete": sum(how in ("yes", "if monotone") for how in told) / max(1, len(told)),
        "empty": sum(size == 0 for size in sizes) / max(1, len(sizes)),
    }


def _findings(config: Config) -> list[Finding]:
    if isinstance(config, Embedded):
        why = "the model's weights are random: where it looks says nothing about a trained one"
    else:
        why = f"at most {IMAGES} images were asked about, and the paper's numbers are not at hand to hold them against"
    claim = "what multimodal language models look at (figure 10)"
    return [untestable(claim, reading, why) for reading in READINGS]


def _notes(config: Config) -> list[str]:
    notes = [
        f"Few images ({IMAGES} at most) and few questions ({EVALUATIONS} at most an image), since every answer takes "
        "seconds or money: intervals are wide.",
        "A budget of questions ends searches early. Every state counted is checked to be irreducible; others may be "
        "missing.",
    ]
    if isinstance(config, Embedded):
        notes.append(
            "A network with random weights: the run proves the path from a question in words to the table, no more. "
            "That its accuracy is what chance gives is what it should be."
        )
    return notes
