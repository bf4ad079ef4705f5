"""FocaLogic beside other methods over a set of images (the paper's figure 4 and Table 1)."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sympy.logic.boolalg import Boolean
from torch import Tensor
from tqdm import tqdm

from captum_focalogic.baselines import baseline_from_text
from captum_focalogic.compare import (
    METHODS,
    Attribution,
    Averages,
    Comparison,
    Decision,
    Measures,
    Method,
    MethodResult,
    characteristics,
    compare,
    figure,
    focalogic_method,
    summarise,
)
from captum_focalogic.criteria import parse as parse_criterion
from captum_focalogic.demo.network import load_model
from captum_focalogic.demo.rules import RULES
from captum_focalogic.demo.scenes import draw_scene
from captum_focalogic.errors import InputError, SkippedError
from captum_focalogic.experiments.findings import Estimate, about, holds_for_all, mean_estimate, rises, untestable
from captum_focalogic.experiments.framework import (
    FEWEST,
    Conclusion,
    Condition,
    Config,
    Embedded,
    Experiment,
    Finding,
    Workspace,
)
from captum_focalogic.experiments.scenes import scene_items, scene_plan
from captum_focalogic.files import make_folder, read_json, reading, write_text
from captum_focalogic.focus import Focus
from captum_focalogic.study import Item, StudySettings
from captum_focalogic.study.explainer import Explainer, Prepared
from captum_focalogic.study.rows import error_text
from captum_focalogic.tables import Table

SMALLEST = "FocaLogic, smallest"
"""FocaLogic under its other reading, as a method of its own."""

FOCALOGIC = METHODS[0]

PAPERS_METHODS = ("GradCAM", "LIME")
"""What the paper compares with (section 4.2)."""

DRAWN = 4
"""Images of a series whose heat maps are kept, to be drawn."""

SHARE = 4
"""Of the scenes of the embedded size every so manieth is compared on: a dozen methods ask, on two budgets."""


@dataclass(frozen=True, eq=False)
class ComparedImage:
    """What methods are compared on.

    Attributes
    ----------
    item : Item
        The image.
    rule : sympy Boolean, optional
        The true reason for its class, where it is known, over the regions' symbols.
    """

    item: Item
    rule: Boolean | None = None


@dataclass(frozen=True, eq=False)
class Series:
    """Comparisons of the same methods on several images.

    Attributes
    ----------
    name : str
        Of the condition.
    comparisons : sequence of Comparison
        One an image. Those read from files have the model's answers, not the model; heat maps over pixels are those of
        the first :data:`DRAWN`, means over regions elsewhere.
    failed : mapping of str to str
        Images that could not be read, cut or compared, by id, and why.
    """

    name: str
    comparisons: Sequence[Comparison]
    failed: Mapping[str, str]

    @classmethod
    def pooled(cls, runs: "Sequence[Series]") -> "Series":
        """The images of several seeds, one after another."""
        comparisons = [comparison for run in runs for comparison in run.comparisons]
        return cls(runs[0].name, comparisons, {name: why for run in runs for name, why in run.failed.items()})


@dataclass(frozen=True, eq=False)
class ComparisonSettings:
    """How methods are compared.

    Attributes
    ----------
    methods : sequence of str or Method
        All, and FocaLogic under both readings, by default.
    equal_budget : bool
        As many evaluations for each as FocaLogic took.
    seeds : int
        Runs of each method that differ in their random choices.
    seed : int
        The first.
    bare : bool
        Give methods a bare function in place of the model, which has no gradients and no layers.
    """

    methods: Sequence[str | Method] = (METHODS[0], focalogic_method(max_evaluations=5_000, name=SMALLEST), *METHODS[1:])
    equal_budget: bool = False
    seeds: int = 1
    seed: int = 0
    bare: bool = False

    @property
    def names(self) -> list[str]:
        """Of the methods."""
        return [method if isinstance(method, str) else method.name for method in self.methods]


def compare_all(
    workspace: Workspace, name: str, plan: StudySettings, images: Sequence[ComparedImage], settings: ComparisonSettings
) -> Series:
    """Compare methods on images; what an earlier attempt has finished is read from its files.

    Parameters
    ----------
    workspace : Workspace
    name : str
        Of the series, and of its folder.
    plan : StudySettings
        Model, regions, truth, baseline, criterion and budget.
    images : sequence of ComparedImage
    settings : ComparisonSettings

    Raises
    ------
    InputError
        If no image could be compared.
    """
    explainer = Explainer(plan)
    folder = workspace.folder / "compared" / name
    make_folder(folder)
    done: list[Comparison] = []
    failed: dict[str, str] = {}
    for place, compared in enumerate(_watched(images, workspace.show_progress)):
        prepared = explainer.prepare(place, compared.item)
        if not isinstance(prepared, Prepared):
            failed[compared.item.id] = str(prepared["error"])
            continue
        path, identity = folder / f"{place:06d}.json", _identity(plan, compared, settings)
        found = _read(path, identity, plan, prepared)
        if found is None:
            try:
                found = _compare(explainer, prepared, compared, settings)
            except (MemoryError, torch.OutOfMemoryError):
                raise
            except Exception as error:  # one image that the model cannot take must not cost the others
                failed[compared.item.id] = error_text(error)
                continue
            fields = {"identity": identity, **_fields(found, heat_maps=place < DRAWN)}
            write_text(path, json.dumps(fields))
        done.append(found)
    if not done:
        raise InputError(
            f"none of {len(images)} images could be compared; the first failed by {next(iter(failed.values()))}"
        )
    return Series(name, done, failed)


def _watched(images: Sequence[ComparedImage], show: bool | str) -> Iterable[ComparedImage]:
    title = show if isinstance(show, str) else "comparison"
    shown: Iterable[ComparedImage] = tqdm(images, desc=title, unit="image", disable=not show)
    return shown


def _compare(
    explainer: Explainer, prepared: Prepared, compared: ComparedImage, settings: ComparisonSettings
) -> Comparison:
    plan, forward = explainer.settings, explainer.model.forward
    inputs = prepared.image[None].to(plan.device)
    mask = torch.from_numpy(prepared.label_map)[None, None].to(plan.device)
    return compare(
        _bare(forward) if settings.bare else forward,
        inputs,
        list(settings.methods),
        feature_mask=mask,
        baselines=baseline_from_text(plan.baseline)(inputs, mask),
        criterion=plan.criterion,
        outputs=plan.outputs,
        search=plan.search,
        reading=plan.reading,
        max_evaluations=plan.max_evaluations,
        equal_budget=settings.equal_budget,
        truth=prepared.truth,
        rule=compared.rule,
        seed=settings.seed,
        seeds=settings.seeds,
        title=prepared.id,
    )


def _bare(forward: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    def function(images: Tensor) -> Any:
        return forward(images)

    return function


def _identity(plan: StudySettings, compared: ComparedImage, settings: ComparisonSettings) -> dict[str, Any]:
    """All that a comparison depends on, as JSON values."""
    told = {
        **plan.record([compared.item]),
        "rule": str(compared.rule),
        "methods": settings.names,
        "equal_budget": settings.equal_budget,
        "seeds": settings.seeds,
        "seed": settings.seed,
        "bare": settings.bare,
    }
    read: dict[str, Any] = json.loads(json.dumps(told))
    return read


def _fields(comparison: Comparison, heat_maps: bool) -> dict[str, Any]:
    return {
        "target": comparison.decision.target,
        "reference": comparison.decision.reference.tolist(),
        "equal_budget": comparison.equal_budget,
        "skipped": comparison.skipped,
        "shown": comparison.image.tolist() if heat_maps else None,
        "results": [_result_fields(result, heat_maps) for result in comparison.results],
    }


def _result_fields(result: MethodResult, heat_maps: bool) -> dict[str, Any]:
    method, answer = result.method, result.attribution
    return {
        "name": method.name,
        "gradients": method.gradients,
        "random": method.random,
        "scores": answer.scores.tolist(),
        "heat_map": answer.heat_map.tolist() if heat_maps and not answer.over_regions else None,
        "over_regions": answer.over_regions,
        "focus": None if answer.focus is None else answer.focus.to_dict(),
        "settings": [[kind, sorted(regions), strength] for kind, regions, strength in answer.terms],
        "note": answer.note,
        "chosen": result.chosen.tolist(),
        "measures": result.measures.to_dict(),
    }


def _read(path: Path, identity: Mapping[str, Any], plan: StudySettings, prepared: Prepared) -> Comparison | None:
    """A comparison from its file; None if there is none, or only one of something else."""
    if not path.is_file():
        return None
    with reading(path):
        fields = read_json(path)
        return None if fields["identity"] != identity else _comparison(fields, plan, prepared)


def _comparison(fields: Mapping[str, Any], plan: StudySettings, prepared: Prepared) -> Comparison:
    image = prepared.image[None]
    decision = Decision(
        model=_gone,
        image=image,
        baseline=baseline_from_text(plan.baseline)(image, torch.from_numpy(prepared.label_map)[None, None]),
        label_map=prepared.label_map,
        target=fields["target"],
        reference=torch.tensor(fields["reference"]),
        criterion=parse_criterion(plan.criterion) if isinstance(plan.criterion, str) else plan.criterion,
        outputs=plan.outputs,
        budget=fields["equal_budget"],
    )
    shown = fields["shown"]
    pixels = np.zeros((*decision.label_map.shape, 3)) if shown is None else np.array(shown)
    results = tuple(_read_result(decision, result) for result in fields["results"])
    return Comparison(
        prepared.id, decision, pixels.astype(np.uint8), results, fields["skipped"], equal_budget=fields["equal_budget"]
    )


def _read_result(decision: Decision, fields: Mapping[str, Any]) -> MethodResult:
    scores = np.array(fields["scores"], dtype=np.float64)
    answer = Attribution(
        scores,
        decision.spread(scores) if fields["heat_map"] is None else np.array(fields["heat_map"]),
        fields["over_regions"],
        None if fields["focus"] is None else Focus.from_dict(fields["focus"]),
        tuple((kind, frozenset(regions), strength) for kind, regions, strength in fields["settings"]),
        fields["note"],
    )
    method = Method(fields["name"], _gone_method, fields["gradients"], fields["random"])
    chosen = np.array(fields["chosen"], dtype=np.bool_)
    return MethodResult(method, answer, chosen, Measures(**fields["measures"]))


def _gone(_: Tensor) -> Any:
    raise InputError("this comparison was read from a file, which holds no model; compare again to ask it")


def _gone_method(_: Decision) -> Attribution:
    raise SkippedError("this comparison was read from a file, which holds no methods; compare again to run them")


def _conditions(config: Config) -> list[Condition[Series]]:
    """All methods on their own budget, on FocaLogic's, and FocaLogic on a bare function."""
    images = f"{_count(config)} {'scenes' if isinstance(config, Embedded) else 'images'}"
    own = ComparisonSettings(seed=config.seed)
    if config.settings.methods is not None:
        own = replace(own, methods=config.settings.methods)
    equal = replace(own, seeds=config.settings.seeds, equal_budget=True)
    every = f"compare {', '.join(own.names)} on {images}"
    bare = ComparisonSettings(methods=(FOCALOGIC,), seed=config.seed, bare=True)
    return [
        _condition(config, "own budget", f"{every}, each with its own budget", own),
        _condition(
            config,
            "equal budget",
            f"{every}, {equal.seeds} seeds, each with as many evaluations as FocaLogic took",
            equal,
        ),
        _condition(
            config, "bare function", f"explain {images} by FocaLogic through a function without gradients", bare
        ),
    ]


def _conclude(config: Config, results: Sequence[Series]) -> Conclusion:
    """Averages of what was measured, what methods are by it, and the image."""
    own, equal, bare = results
    tables = [
        _table(summarise(equal.comparisons), "As many evaluations for each as FocaLogic took, averaged over images."),
        _table(summarise(own.comparisons), "Each method with its own budget, averaged over images."),
        _table(characteristics(equal.comparisons), "What methods are, as measured on equal budgets."),
    ]
    return Conclusion(
        tables,
        figure(list(own.comparisons[:DRAWN])),
        _findings(own, bare, config.settings.fewest),
        _notes(config, own, equal),
    )


def _condition(config: Config, name: str, what: str, settings: ComparisonSettings) -> Condition[Series]:
    def run(workspace: Workspace) -> Series:
        plan, images = _of(config)
        return compare_all(workspace, name, plan, images, settings)

    return Condition(name, what, run)


def _of(config: Config) -> tuple[StudySettings, list[ComparedImage]]:
    if isinstance(config, Embedded):
        classes = tuple(RULES)
        first, count = config.first_scene, _count(config)
        items = scene_items(count, classes=classes, first=first)
        rules = [draw_scene(seed, classes[seed % len(classes)]).rule for seed in range(first, first + count)]
        return scene_plan(load_model(), "demo"), [ComparedImage(*pair) for pair in zip(items, rules, strict=True)]
    name = config.model_name
    model = config.find_model(name)
    return config.plan(name, model), [ComparedImage(item) for item in config.find_items(model)]


def _count(config: Config) -> int:
    return math.ceil(config.images / SHARE) if isinstance(config, Embedded) else config.images


def _table(averages: Averages, caption: str) -> Table:
    return Table(averages.columns, averages.rows, caption)


def _findings(own: Series, bare: Series, fewest: int) -> list[Finding]:
    focuses = {comparison.title: comparison.focus for comparison in bare.comparisons}
    alike = []
    for comparison in own.comparisons:
        one, other = comparison.focus, focuses.get(comparison.title)
        if one is not None and other is not None:
            alike.append(one.final_states.tolist() == other.final_states.tolist())
    same = "FocaLogic needs outputs alone: a bare function gives the same states"
    findings = about("black box", [_always(same, "irreducible", alike, fewest)])
    for name, kind in ((FOCALOGIC, "irreducible"), (SMALLEST, "smallest")):
        results = _results(own, name)
        keep = _always("FocaLogic's regions keep the prediction", kind, _own(results, "sufficient"), fewest)
        none = _always("none of FocaLogic's regions can be dropped", kind, _own(results, "minimal"), fewest)
        rule = _exact("FocaLogic's formula is the rule that there is", kind, results, fewest)
        findings += [*about("decisive", [keep, none]), *about("alternatives", [rule, _several(own, name, kind)])]
        findings += about("aligned", [_aligned(own, name, kind)])
    return [*findings, *about("decisive", [_alone(own, fewest)]), *about("sensitive", [_SENSITIVE])]


_SENSITIVE = untestable(
    "GradCAM and LIME point at the object where a model errs, and FocaLogic does not",
    "",
    "the methods are compared on one model, which errs on hardly any image; what its focus says of a biased, a "
    "perturbed and an attacked model is in the experiment scenarios",
)


def _several(own: Series, name: str, kind: str) -> Finding:
    """Whether FocaLogic names more sufficient sets of regions than the best of the others, image by image."""
    apart = []
    for comparison in own.comparisons:
        ours = [one.measures.explanations for one in comparison.results if one.name == name]
        others = [one.measures.explanations for one in comparison.results if one.name not in (FOCALOGIC, SMALLEST)]
        if ours and others:
            apart.append(ours[0] - max(others))
    claim = "FocaLogic names more alternatives than any other method (how many)"
    return rises(claim, kind, mean_estimate(np.array(apart, dtype=np.float64)))


def _aligned(own: Series, name: str, kind: str) -> Finding:
    """Whether FocaLogic's regions lie on the object more precisely than those of the paper's two methods."""
    changes = {other: _more_precise(own, name, other) for other in PAPERS_METHODS}
    return holds_for_all("FocaLogic's regions are more precise", kind, changes, rises)


def _more_precise(own: Series, name: str, other: str) -> Estimate | None:
    apart = []
    for comparison in own.comparisons:
        precision = {one.name: one.measures.precision for one in comparison.results}
        apart.append(precision.get(name, math.nan) - precision.get(other, math.nan))
    values = np.array(apart)
    return mean_estimate(values[~np.isnan(values)])


def _own(results: Sequence[MethodResult], flag: str) -> list[bool]:
    """Where something holds of FocaLogic's choice; where its budget ended before it found a state, it has none."""
    return [
        bool(getattr(one.measures, flag))
        and one.attribution.focus is not None
        and len(one.attribution.focus.final_states) > 0
        for one in results
    ]


def _always(claim: str, reading: str, held: Sequence[bool], fewest: int = FEWEST) -> Finding:
    """Confirmed if something holds on every image."""
    if len(held) < fewest:
        return untestable(claim, reading, f"compared on fewer than {fewest} images")
    return Finding(claim, reading, "confirmed" if all(held) else "not confirmed", share(sum(held), len(held)))


def _exact(claim: str, reading: str, results: Sequence[MethodResult], fewest: int) -> Finding:
    known = [one.measures.rule_exact for one in results if not math.isnan(one.measures.rule_exact)]
    if not known:
        return untestable(claim, reading, "no rule is known for these images")
    return _always(claim, reading, [value == 1 for value in known], fewest)


def _alone(own: Series, fewest: int) -> Finding:
    """Whether no other method's choice is sufficient and minimal wherever FocaLogic's is."""
    claim = "no other method's regions are sufficient and minimal on every image"
    count = len(own.comparisons)
    if count < fewest:
        return untestable(claim, "", f"compared on fewer than {fewest} images")
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


EXPERIMENT = Experiment(
    "Beside other methods",
    "figure 4 and Table 1",
    _conditions,
    _conclude,
    images=_count,
    judges=("black box", "decisive", "alternatives", "aligned", "sensitive"),
)
"""The experiment by name "baselines"."""
