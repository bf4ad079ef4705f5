"""Methods compared on many images, each comparison kept in a file, so that a series can be broken off and continued."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
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
    Answer,
    Case,
    Comparison,
    Measures,
    Method,
    MethodResult,
    compare,
    focalogic_method,
)
from captum_focalogic.criteria import parse as parse_criterion
from captum_focalogic.errors import InputError, SkippedError
from captum_focalogic.experiments.workshop import Workshop
from captum_focalogic.focus import Focus
from captum_focalogic.study import Item, StudySettings
from captum_focalogic.study.explainer import Explainer, Prepared
from captum_focalogic.study.rows import error_text
from captum_focalogic.study.store import write_whole

SMALLEST = "FocaLogic, smallest"
"""FocaLogic under its other reading, as a method of its own."""

DRAWN = 4
"""Images of a series whose heat maps are kept, to be drawn."""


@dataclass(frozen=True, eq=False)
class Subject:
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
        Of the arm.
    comparisons : sequence of Comparison
        One an image. Those read from files have the model's answers, not the model; heat maps over pixels are those of
        the first :data:`DRAWN`, means over regions elsewhere.
    failed : mapping of str to str
        Images that could not be read, cut or compared, by id, and why.
    """

    name: str
    comparisons: Sequence[Comparison]
    failed: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Terms:
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

    methods: Sequence[str | Method] = (METHODS[0], focalogic_method(reading="smallest", name=SMALLEST), *METHODS[1:])
    equal_budget: bool = False
    seeds: int = 1
    seed: int = 0
    bare: bool = False

    @property
    def names(self) -> list[str]:
        """Of the methods."""
        return [method if isinstance(method, str) else method.name for method in self.methods]


def compare_all(
    workshop: Workshop, name: str, plan: StudySettings, subjects: Sequence[Subject], terms: Terms
) -> Series:
    """Compare methods on images; what an earlier attempt has finished is read from its files.

    Parameters
    ----------
    workshop : Workshop
    name : str
        Of the series, and of its folder.
    plan : StudySettings
        Model, regions, truth, baseline, criterion and budget.
    subjects : sequence of Subject
    terms : Terms

    Raises
    ------
    InputError
        If no image could be compared.
    """
    explainer = Explainer(plan)
    folder = workshop.folder / "compared" / name
    folder.mkdir(parents=True, exist_ok=True)
    done: list[Comparison] = []
    failed: dict[str, str] = {}
    for place, subject in enumerate(_watched(subjects, name, workshop.show_progress)):
        prepared = explainer.prepare(place, subject.item)
        if not isinstance(prepared, Prepared):
            failed[subject.item.id] = str(prepared["error"])
            continue
        path, identity = folder / f"{place:06d}.json", _identity(plan, subject, terms)
        found = _read(path, identity, plan, prepared)
        if found is None:
            try:
                found = _compare(explainer, prepared, subject, terms)
            except (MemoryError, torch.OutOfMemoryError):
                raise
            except Exception as error:  # one image that the model cannot take must not cost the others
                failed[subject.item.id] = error_text(error)
                continue
            fields = {"identity": identity, **_fields(found, heat_maps=place < DRAWN)}
            write_whole(path, json.dumps(fields).encode())
        done.append(found)
    if not done:
        raise InputError(
            f"none of {len(subjects)} images could be compared; the first failed by {next(iter(failed.values()))}"
        )
    return Series(name, done, failed)


def _watched(subjects: Sequence[Subject], name: str, show: bool) -> Iterable[Subject]:
    shown: Iterable[Subject] = tqdm(subjects, desc=name, unit="image", disable=not show)
    return shown


def _compare(explainer: Explainer, prepared: Prepared, subject: Subject, terms: Terms) -> Comparison:
    plan, forward = explainer.settings, explainer.model.forward
    inputs = prepared.image[None].to(plan.device)
    mask = torch.from_numpy(prepared.label_map)[None, None].to(plan.device)
    return compare(
        _bare(forward) if terms.bare else forward,
        inputs,
        list(terms.methods),
        feature_mask=mask,
        baselines=baseline_from_text(plan.baseline)(inputs, mask),
        criterion=plan.criterion,
        search=plan.search,
        reading=plan.reading,
        max_evaluations=plan.max_evaluations,
        equal_budget=terms.equal_budget,
        truth=None if prepared.truth is None else prepared.truth.union,
        rule=subject.rule,
        seed=terms.seed,
        seeds=terms.seeds,
        title=prepared.id,
    )


def _bare(forward: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    def function(images: Tensor) -> Any:
        return forward(images)

    return function


def _identity(plan: StudySettings, subject: Subject, terms: Terms) -> dict[str, Any]:
    """All that a comparison depends on, as JSON values."""
    told = {
        **plan.record([subject.item]),
        "rule": str(subject.rule),
        "methods": terms.names,
        "equal_budget": terms.equal_budget,
        "seeds": terms.seeds,
        "seed": terms.seed,
        "bare": terms.bare,
    }
    read: dict[str, Any] = json.loads(json.dumps(told))
    return read


def _fields(comparison: Comparison, heat_maps: bool) -> dict[str, Any]:
    return {
        "target": comparison.case.target,
        "reference": comparison.case.reference.tolist(),
        "equal_budget": comparison.equal_budget,
        "skipped": comparison.skipped,
        "shown": comparison.image.tolist() if heat_maps else None,
        "results": [_result_fields(result, heat_maps) for result in comparison.results],
    }


def _result_fields(result: MethodResult, heat_maps: bool) -> dict[str, Any]:
    method, answer = result.method, result.answer
    return {
        "name": method.name,
        "gradients": method.gradients,
        "random": method.random,
        "scores": answer.scores.tolist(),
        "heat_map": answer.heat_map.tolist() if heat_maps and not answer.over_regions else None,
        "over_regions": answer.over_regions,
        "focus": None if answer.focus is None else answer.focus.to_dict(),
        "terms": [[kind, sorted(regions), strength] for kind, regions, strength in answer.terms],
        "note": answer.note,
        "chosen": result.chosen.tolist(),
        "measures": result.measures.to_dict(),
    }


def _read(path: Path, identity: Mapping[str, Any], plan: StudySettings, prepared: Prepared) -> Comparison | None:
    """A comparison from its file; None if there is none, or only one of something else."""
    if not path.is_file():
        return None
    fields = json.loads(path.read_text(encoding="utf-8"))
    if fields["identity"] != identity:
        return None
    image = prepared.image[None]
    case = Case(
        model=_gone,
        image=image,
        baseline=baseline_from_text(plan.baseline)(image, torch.from_numpy(prepared.label_map)[None, None]),
        label_map=prepared.label_map,
        target=fields["target"],
        reference=torch.tensor(fields["reference"]),
        criterion=parse_criterion(plan.criterion) if isinstance(plan.criterion, str) else plan.criterion,
        budget=fields["equal_budget"],
    )
    shown = fields["shown"]
    pixels = np.zeros((*case.label_map.shape, 3)) if shown is None else np.array(shown)
    results = tuple(_result(case, result) for result in fields["results"])
    return Comparison(
        prepared.id, case, pixels.astype(np.uint8), results, fields["skipped"], equal_budget=fields["equal_budget"]
    )


def _result(case: Case, fields: Mapping[str, Any]) -> MethodResult:
    scores = np.array(fields["scores"], dtype=np.float64)
    answer = Answer(
        scores,
        case.spread(scores) if fields["heat_map"] is None else np.array(fields["heat_map"]),
        fields["over_regions"],
        None if fields["focus"] is None else Focus.from_dict(fields["focus"]),
        tuple((kind, frozenset(regions), strength) for kind, regions, strength in fields["terms"]),
        fields["note"],
    )
    method = Method(fields["name"], _gone_method, fields["gradients"], fields["random"])
    chosen = np.array(fields["chosen"], dtype=np.bool_)
    return MethodResult(method, answer, chosen, Measures(**fields["measures"]))


def _gone(_: Tensor) -> Any:
    raise InputError("this comparison was read from a file, which holds no model; compare again to ask it")


def _gone_method(_: Case) -> Answer:
    raise SkippedError("this comparison was read from a file, which holds no methods; compare again to run them")
