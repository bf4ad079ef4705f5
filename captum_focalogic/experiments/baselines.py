"""FocaLogic beside other methods over a set of images (the paper's figure 4 and Table 1)."""

import math
from collections.abc import Sequence

from captum_focalogic.compare import METHODS, Averages, MethodResult, characteristics, figure, summarise
from captum_focalogic.demo.network import load_model
from captum_focalogic.demo.rules import RULES
from captum_focalogic.demo.scenes import draw_scene
from captum_focalogic.experiments.arms import Arm
from captum_focalogic.experiments.catalogue import Experiment
from captum_focalogic.experiments.comparisons import DRAWN, SMALLEST, Series, Subject, Terms, compare_all
from captum_focalogic.experiments.configuration import Config, Embedded
from captum_focalogic.experiments.findings import FEWEST, Finding, untestable
from captum_focalogic.experiments.outcome import Outcome
from captum_focalogic.experiments.scenes import scene_items, scene_plan
from captum_focalogic.experiments.workshop import Workshop
from captum_focalogic.study import StudySettings
from captum_focalogic.tables import Table

MODEL = "torchvision:resnet50"
"""The model of the imagenet size where none is named."""

SEEDS = 2
"""Runs of each method on an equal budget, where what was drawn matters most."""

SHARE = 4
"""Of the scenes of the embedded size every so manieth is compared on: a dozen methods ask, on two budgets."""

FOCALOGIC = METHODS[0]


def arms(config: Config) -> list[Arm[Series]]:
    """All methods on their own budget, on FocaLogic's, and FocaLogic on a bare function."""
    images = f"{_count(config)} {'scenes' if isinstance(config, Embedded) else 'pictures'}"
    every = f"compare {', '.join(Terms().names)} on {images}"
    own = Terms(seed=config.seed)
    equal = Terms(seeds=SEEDS, seed=config.seed, equal_budget=True)
    bare = Terms(methods=(FOCALOGIC,), seed=config.seed, bare=True)
    return [
        _arm(config, "own budget", f"{every}, each with its own budget", own),
        _arm(config, "equal budget", f"{every}, {SEEDS} seeds, each with as many evaluations as FocaLogic took", equal),
        _arm(config, "bare function", f"explain {images} by FocaLogic through a function without gradients", bare),
    ]


def conclude(config: Config, results: Sequence[Series]) -> Outcome:
    """Averages of what was measured, what methods are by it, and the picture."""
    own, equal, bare = results
    tables = [
        _table(summarise(equal.comparisons), "As many evaluations for each as FocaLogic took, averaged over images."),
        _table(summarise(own.comparisons), "Each method with its own budget, averaged over images."),
        _table(characteristics(equal.comparisons), "What methods are, as measured on equal budgets."),
    ]
    return Outcome(tables, figure(list(own.comparisons[:DRAWN])), _findings(own, bare), _notes(config, own, equal))


EXPERIMENT = Experiment("Beside other methods", "figure 4 and Table 1", arms, conclude)
"""The experiment by name "baselines"."""


def _arm(config: Config, name: str, what: str, terms: Terms) -> Arm[Series]:
    def run(workshop: Workshop) -> Series:
        plan, subjects = _of(config)
        return compare_all(workshop, name, plan, subjects, terms)

    return Arm(name, what, run)


def _of(config: Config) -> tuple[StudySettings, list[Subject]]:
    if isinstance(config, Embedded):
        classes = tuple(RULES)
        items = scene_items(_count(config), classes=classes)
        rules = [draw_scene(seed, classes[seed % len(classes)]).rule for seed in range(len(items))]
        return scene_plan(load_model(), "demo"), [Subject(*pair) for pair in zip(items, rules, strict=True)]
    name = next(iter(config.models), MODEL)
    model = config.find_model(name)
    return config.plan(name, model), [Subject(item) for item in config.find_items(model)]


def _count(config: Config) -> int:
    return math.ceil(config.images / SHARE) if isinstance(config, Embedded) else config.images


def _table(averages: Averages, caption: str) -> Table:
    return Table(averages.columns, averages.rows, caption)


def _findings(own: Series, bare: Series) -> list[Finding]:
    focuses = {comparison.title: comparison.focus for comparison in bare.comparisons}
    alike = []
    for comparison in own.comparisons:
        one, other = comparison.focus, focuses.get(comparison.title)
        if one is not None and other is not None:
            alike.append(one.final_states.tolist() == other.final_states.tolist())
    findings = [_always("FocaLogic needs outputs alone: a bare function gives the same states", "irreducible", alike)]
    for name, reading in ((FOCALOGIC, "irreducible"), (SMALLEST, "smallest")):
        results = _results(own, name)
        findings += [
            _always("FocaLogic's regions keep the prediction", reading, _own(results, "sufficient")),
            _always("none of FocaLogic's regions can be dropped", reading, _own(results, "minimal")),
            _exact("FocaLogic's formula is the rule that there is", reading, results),
        ]
    return [*findings, _alone(own)]


def _own(results: Sequence[MethodResult], flag: str) -> list[bool]:
    """Where something holds of FocaLogic's choice; where its budget ended before it found a state, it has none."""
    return [
        bool(getattr(one.measures, flag)) and one.answer.focus is not None and len(one.answer.focus.final_states) > 0
        for one in results
    ]


def _always(claim: str, reading: str, held: Sequence[bool]) -> Finding:
    """Confirmed if something holds on every image."""
    if len(held) < FEWEST:
        return untestable(claim, reading, f"compared on fewer than {FEWEST} images")
    return Finding(claim, reading, "confirmed" if all(held) else "not confirmed", share(sum(held), len(held)))


def _exact(claim: str, reading: str, results: Sequence[MethodResult]) -> Finding:
    known = [one.measures.rule_exact for one in results if not math.isnan(one.measures.rule_exact)]
    if not known:
        return untestable(claim, reading, "no rule is known for these images")
    return _always(claim, reading, [value == 1 for value in known])


def _alone(own: Series) -> Finding:
    """Whether no other method's choice is sufficient and minimal wherever FocaLogic's is."""
    claim = "no other method's regions are sufficient and minimal on every image"
    count = len(own.comparisons)
    if count < FEWEST:
        return untestable(claim, "", f"compared on fewer than {FEWEST} images")
    names = dict.fromkeys(result.name for comparison in own.comparisons for result in comparison.results)
    held = {name: sum(one.measures.minimal for one in _results(own, name)) for name in names}
    others = {name: number for name, number in held.items() if name not in (FOCALOGIC, SMALLEST)}
    as_good = [name for name, number in others.items() if number == count]
    if not others:
        return untestable(claim, "", "no other method could be used")
    if as_good:
        return Finding(claim, "", "not confirmed", f"on {count} of {count} images also {', '.join(as_good)}")
    best = max(others, key=lambda name: others[name])
    return Finding(claim, "", "confirmed", f"the best other method, {best}: {share(others[best], count)}")


def share(part: int, whole: int) -> str:
    """A share with its exact binomial (Clopper and Pearson) 95 % interval."""
    from scipy import stats

    bounds = stats.binomtest(part, whole).proportion_ci(confidence_level=0.95, method="exact")
    return f"{part} of {whole} images, [{bounds.low:.3f}, {bounds.high:.3f}]"


def _results(series: Series, name: str) -> list[MethodResult]:
    return [result for comparison in series.comparisons for result in comparison.results if result.name == name]


def _notes(config: Config, own: Series, equal: Series) -> list[str]:
    notes = [
        "Heat maps are judged on their highest regions, as many as it takes to cover what FocaLogic's smallest state "
        "covers; docs/comparison.md says what each column means.",
        f"{FOCALOGIC}: regions, area and overlap with the object are those of its smallest state, number of "
        f"explanations and formula those of all irreducible states. {SMALLEST}: a search that ends with the smallest.",
        "Seconds depend on the machine and on what else it did.",
        *(f"Own budget: {note}." for note in summarise(own.comparisons).notes),
        *(f"Equal budget: {note}." for note in summarise(equal.comparisons).notes),
    ]
    if isinstance(config, Embedded):
        notes.append("The embedded model that comes with the package; nothing was trained.")
    notes += [f"{name} is left out: {why}" for name, why in own.failed.items()]
    return notes
