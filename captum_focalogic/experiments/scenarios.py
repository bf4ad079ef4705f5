"""Models that look at the wrong thing: trained on biased images, shown noise, or attacked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import cycle
from pathlib import Path

from torch import nn

from captum_focalogic.classifier import Classifier
from captum_focalogic.demo.batches import SceneSet
from captum_focalogic.demo.rules import ObjectKind
from captum_focalogic.demo.scenes import SceneConfig, draw_scene
from captum_focalogic.demo.train import FIRST_TRAINING_SEED, TrainingConfig
from captum_focalogic.errors import InputError
from captum_focalogic.experiments.findings import ClaimTest, change, falls, falls_a_little, rises, stays, untestable
from captum_focalogic.experiments.finetuning import FineTuning, class_folders, fine_tuned
from captum_focalogic.experiments.framework import (
    Conclusion,
    Condition,
    Config,
    Embedded,
    Experiment,
    Finding,
    ImageNet,
    MissingResult,
    Result,
    Setup,
    Workspace,
    studied,
)
from captum_focalogic.experiments.generation import BIASES
from captum_focalogic.experiments.perturbations import (
    HIGHEST,
    TOLERANCE,
    Attack,
    PerturbationSettings,
    attacked_condition,
    imagenet_categories,
    perturbed_condition,
)
from captum_focalogic.experiments.published import ATTACK_SUCCESS, PROMPTS, SCENARIOS, UNBIASED_CLASSES, PublishedLine
from captum_focalogic.experiments.scenes import accuracy_on, fresh_scenes, scene_items, scene_plan, trained
from captum_focalogic.experiments.tables import READINGS, measure_bars, measure_table
from captum_focalogic.ground_truth import MaskFiles
from captum_focalogic.metrics import DEFAULT_THRESHOLDS
from captum_focalogic.study import StudySettings, image_folder
from captum_focalogic.tables import Table

ExpectedFinding = tuple[str, str, str, ClaimTest]
"""The condition, the measure, what the paper found in words, and how it is tested."""

Conditions = list[Condition[Result] | Condition[Result | MissingResult]]

SIDE = 64
"""Of the embedded scenes, in pixels: the smallest, because four networks are trained."""

SCENES: dict[str, SceneConfig] = {
    "vanilla": SceneConfig(size=SIDE),
    "biased-colour": SceneConfig(size=SIDE, colour_tells=True),
    "biased-background": SceneConfig(size=SIDE, backgrounds={1: "sand", 2: "slate"}),
    "biased-companion": SceneConfig(
        size=SIDE, companions={1: ObjectKind("white", "star"), 2: ObjectKind("teal", "disc")}
    ),
}
"""What the embedded networks are trained on, by condition."""

WHAT: dict[str, str] = {
    "colour": "the object's own colour",
    "background": "the background",
    "companion": "an accompanying object",
}
"""What each kind of bias ties to the class."""

CLASSES = (0, 1, 0, 0, 2, 0)
"""Classes of the embedded training scenes, in turn.

Two thirds are "other", so that an image that shows nothing of a rule is "other" to a network, by a wide margin. With
half of them, the network without bias answers a class on 18 % of such images, and explains itself by background.
"""

MASKED_SHARE = 0.5
"""Share of the embedded training images that lose regions while their class stays (random erasing)."""

_EMBEDDED_NOTES = [
    f"The paper biases three of ten classes of ImageNet: {', '.join(PROMPTS)} among {', '.join(UNBIASED_CLASSES)}. The "
    "embedded size has scenes of two rules in their place, both biased, for three networks with one of the paper's "
    "kinds of bias each: on the object's colour, on the background, on an accompanying object.",
    "Biases of the embedded scenes. Colour: colours of the rules' objects are on nothing else. Background: scenes of "
    "class 1 are on sand, those of class 2 on slate, no others are. Companion: scenes of class 1 also show a white "
    "star, those of class 2 a teal disc, no others do. The rule holds in every training scene all the same, so that a "
    "network may learn either.",
    "All four networks are trained alike. Two thirds of the scenes are “other”, so that an image that shows nothing is "
    "“other” to them; half of the images lose regions while their class stays (random erasing). Training on the class "
    "of what is left, as the package's own network is, would teach the rule and undo every bias. The setting was "
    "chosen by the answers of the network without bias alone: at the default size it is right on 96 % of whole scenes "
    "and on 96 % of partly black ones that still meet their rule, and says “other” to 98 % of those that show nothing "
    "of it.",
    "“Fresh scenes” is the accuracy on 600 further unbiased scenes, of all three classes in equal parts; the other "
    "accuracy is that on the scenes explained, which are of the two classes that a rule tells.",
]

_IMAGENET_NOTES = [
    "The classes of the generated images are the paper's, and so is what each of its three biases is tied to (a "
    "green acoustic guitar, a coffee mug before pure red, a soccer ball beside a player); its other ties and all "
    "prompts are this package's own, and the seven classes without bias are generated, too.",
]

CLAIMS: tuple[ExpectedFinding, ...] = (
    *(
        (f"biased-{kind}", measure, f"bias on {WHAT[kind]}: {measure} falls", falls)
        for kind in BIASES
        for measure in ("precision", "recall")
    ),
    ("perturbed", "precision", "perturbed: precision falls a little", falls_a_little),
    ("perturbed", "recall", "perturbed: recall rises", rises),
    ("perturbed", "divergence", "perturbed: divergence rises", rises),
    ("attacked", "precision", "attacked: precision falls", falls),
    ("attacked", "recall", "attacked: recall stays", stays),
    ("attacked", "divergence", "attacked: divergence rises", rises),
)
"""The paper's findings."""


def _conditions(config: Config) -> Conditions:
    return _embedded(config) if isinstance(config, Embedded) else _imagenet(config)


def _embedded(config: Embedded) -> Conditions:
    items = partial(scene_items, config.images, SCENES["vanilla"], first=config.first_scene)
    fresh = cache(partial(fresh_scenes, config.settings.fresh_scenes, SCENES["vanilla"]))

    def network(workspace: Workspace, name: str) -> nn.Module:
        training = _training(config, SCENES[name])
        return trained(workspace, f"network-{name}", training, scenes=partial(_training_set, training))

    def make(name: str, workspace: Workspace) -> Setup:
        module = network(workspace, name)
        return Setup(scene_plan(module, name), items(), {"fresh scenes": accuracy_on(module, *fresh())})

    def condition(name: str) -> Condition[Result]:
        bias = "no bias" if name == "vanilla" else f"bias on {WHAT[name.removeprefix('biased-')]}"
        how = f"trained on {config.scenes} scenes for {config.epochs} epochs, {bias}"
        return studied(name, f"a network {how}; {config.images} unbiased scenes", partial(make, name))

    perturbation = PerturbationSettings(
        lambda workspace: scene_plan(network(workspace, "vanilla"), "vanilla"),
        lambda _: items(),
        # "Other" is never aimed at: it is what the baseline alone gets, so that its explanation is the empty set.
        lambda _: (None, "rule 1", "rule 2"),
        Attack(),
        config.seed,
    )
    return [*map(condition, SCENES), perturbed_condition(perturbation), attacked_condition(perturbation)]


def _training(config: Embedded, scenes: SceneConfig) -> TrainingConfig:
    return TrainingConfig(
        config.seed, config.scenes, config.epochs, masked_share=MASKED_SHARE, masked_label="whole", scene=scenes
    )


def _training_set(training: TrainingConfig) -> SceneSet:
    seeds = range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + training.scenes)
    return SceneSet.from_scenes(
        draw_scene(seed, label, training.scene) for seed, label in zip(seeds, cycle(CLASSES), strict=False)
    )


def _imagenet(config: ImageNet) -> Conditions:
    name = config.model_name

    # One for all conditions: random weights differ each time they are made.
    @cache
    def model() -> Classifier:
        return config.find_model(name)

    def plan(_: Workspace) -> StudySettings:
        return config.plan(name, model())

    perturbation = PerturbationSettings(plan, config.find_items, _categories, Attack(), config.seed)
    vanilla = studied(
        "vanilla",
        f"{name} on {config.images} images of {config.data}",
        lambda workspace: Setup(plan(workspace), config.find_items(model())),
    )
    conditions: Conditions = [vanilla, perturbed_condition(perturbation), attacked_condition(perturbation)]
    return (
        conditions if config.generated is None else [*conditions, *_fine_tuned(config, config.generated, name, model)]
    )


def _categories(model: Classifier) -> Sequence[str | None] | None:
    categories = imagenet_categories()
    return categories if model.labels is not None and len(model.labels) == len(categories) else None


def _fine_tuned(config: ImageNet, generated: Path, name: str, model: Callable[[], Classifier]) -> Conditions:
    test = generated / "test"
    _check_folders(generated)

    def condition(part: str) -> Condition[Result]:
        def make(workspace: Workspace) -> Setup:
            _check_classes(generated / part, test)
            how = FineTuning(config.epochs, seed=config.seed, device=config.device)
            tuned = fine_tuned(workspace, f"fine-tuned-{part}", model(), generated / part, how)
            return Setup(_generated_plan(config, generated, tuned), image_folder(test, tuned.labels))

        bias = f"bias on {WHAT[part]}" if part in WHAT else "no bias"
        what = f"{name} fine-tuned on {generated / part} ({bias}) for {config.epochs} epochs; the images of {test}"
        return studied(_condition_of(part), what, make)

    return [condition(part) for part in ("unbiased", *BIASES)]


def _condition_of(part: str) -> str:
    return f"biased-{part}" if part in BIASES else part


def _generated_plan(config: ImageNet, generated: Path, model: Classifier) -> StudySettings:
    masks = generated / "masks"
    own = {"truth": MaskFiles(masks.resolve())} if masks.is_dir() else {}
    return config.plan(model.name, model, **own)


def _check_folders(generated: Path) -> None:
    missing = [part for part in ("unbiased", *BIASES, "test") if not (generated / part).is_dir()]
    if missing:
        raise InputError(
            f"{generated} has no folder {' and no folder '.join(missing)}; expected unbiased, {', '.join(BIASES)} and "
            "test, each with a folder of images for each class: python -m captum_focalogic.experiments.generation "
            "makes them"
        )


def _check_classes(train: Path, test: Path) -> None:
    ours, theirs = class_folders(train), class_folders(test)
    if ours != theirs:
        raise InputError(
            f"{train} has the classes {', '.join(ours) or 'none'}, but {test} has {', '.join(theirs) or 'none'}; "
            "expected the same ones"
        )


def _conclude(config: Config, results: Sequence[Result | MissingResult]) -> Conclusion:
    done = [result for result in results if isinstance(result, Result)]
    shown = {"fresh scenes": ".1%", "sigma": ".3f", "success": ".0%"}
    facts = {name: form for name, form in shown.items() if any(name in result.facts for result in done)}
    title = "Means with 95 % intervals; the paper's are of ResNet18 on photographs."
    table = measure_table(done, title, "scenario", facts, _published())
    findings = [
        replace(finding_of(results, claim, reading), source=_source(claim[0]))
        for claim in CLAIMS
        for reading in READINGS
    ]
    return Conclusion([table, _answers(done)], measure_bars(done), findings, _notes(config, results))


def _published() -> Mapping[str, PublishedLine]:
    lines = {f"the paper, Table 2: {name}": line for name, line in SCENARIOS.items()}
    attacked = "the paper, Table 2: attacked"
    return {**lines, attacked: {**lines[attacked], "success": ATTACK_SUCCESS}}


def finding_of(results: Sequence[Result | MissingResult], claim: ExpectedFinding, reading: str) -> Finding:
    """Test one of :data:`CLAIMS` for a reading of the final states.

    A biased model is held against the one that was trained alike without bias, a perturbed image against itself.
    """
    condition, measure, says, test = claim
    by_name = {result.name: result for result in results}
    found = by_name.get(condition)
    if found is None:
        return untestable(says, reading, "no generated images were given (--generated)")
    if isinstance(found, MissingResult):
        return untestable(says, reading, found.why)
    against = by_name.get("unbiased", by_name["vanilla"]) if condition.startswith("biased") else by_name["vanilla"]
    if isinstance(against, MissingResult):
        return untestable(says, reading, against.why)
    return test(says, reading, change(against, found, f"{reading}_{measure}"))


def _source(condition: str) -> str:
    """Which of the paper's findings a condition is about."""
    return condition.partition("-")[0]


def _answers(results: Sequence[Result]) -> Table:
    header = ("scenario", "images", "precision undefined", *(f"behaviour, {reading}" for reading in READINGS))
    lines = [
        (
            result.name,
            str(len(result.rows) - sum(result.summary.errors.values())),
            str(result.mean(f"{READINGS[0]}_precision").undefined),
            *(result.summary.lines[0].behaviours[reading].kind for reading in READINGS),
        )
        for result in results
    ]
    limits = DEFAULT_THRESHOLDS
    caption = (
        "Images without a precision (an empty explanation, or nothing known of the object); and "
        f"the behaviour that the means stand for (section 3.5; low below {limits.precision:g} for precision, "
        f"{limits.recall:g} for recall, {limits.divergence:g} for divergence)."
    )
    return Table(header, tuple(lines), caption)


def _notes(config: Config, results: Sequence[Result | MissingResult]) -> list[str]:
    notes = [
        "The paper's Table 2 stands beside ours for orientation: its networks and images are others, and its biased "
        "model has all three kinds of bias at once, each on a class of its own. Directions are compared, not numbers.",
        "Perturbed and attacked images keep the regions and the truth of the unperturbed image, so that a difference "
        "is the model's and not the segmenter's.",
        "Perturbed: each image has one noise of its own, whose strength alone is searched, by bisection to within "
        f"{TOLERANCE:.3f} between 0 and {HIGHEST:g}; pixels are clipped to [0, 1]. {_capped(results)}",
        "Attacked: what is explained is the attacked answer on the attacked image; precision and recall ask whether it "
        "is about the object of the original class. Only images on which the attack reached its target are explained, "
        "and compared with the same images unperturbed.",
        "An explanation that is the empty set (the baseline alone gets the answer) has recall and divergence 0 and no "
        "precision; such images are missing from comparisons of precision.",
    ]
    return notes + (_EMBEDDED_NOTES if isinstance(config, Embedded) else _IMAGENET_NOTES)


def _capped(results: Sequence[Result | MissingResult]) -> str:
    shares = [result.facts["capped"] for result in results if isinstance(result, Result) and "capped" in result.facts]
    return f"{shares[0]:.0%} of the images keep their class even there." if shares else ""


EXPERIMENT = Experiment(
    "Biased, perturbed and attacked",
    "Table 2 and figure 5",
    _conditions,
    _conclude,
    trains=True,
    judges=("biased", "perturbed", "attacked"),
)
