"""What ``focalogic compare`` does."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from captum_focalogic.cli.failing import CommandError
from captum_focalogic.cli.printing import print_facts
from captum_focalogic.cli.reporting import command_text, entry_of
from captum_focalogic.cli.setting import Setting, describe, predict, prepare
from captum_focalogic.cli.subject import choose_segmenter, find_regions, region_names
from captum_focalogic.cli.writing import make_folder
from captum_focalogic.compare import METHODS, Averages, Comparison, compare, figure, panel, save_figure, summarise
from captum_focalogic.compare.running import FOCALOGIC
from captum_focalogic.figures.overlays import COLOUR_BLIND, PAPER
from captum_focalogic.ground_truth import read_mask
from captum_focalogic.logic import symbol
from captum_focalogic.report.html import Panel, write_report
from captum_focalogic.tables import Table

_TERMS = 5


@dataclass(frozen=True)
class Wish:
    """The options of ``focalogic compare``; see its help."""

    picture: Path | None
    model: str
    weights: str | None
    segmenter: str | None
    mask: Path | None
    methods: str
    search: str
    criterion: str
    baseline: str
    target: int | None
    device: str
    max_evaluations: int | None
    equal_budget: bool
    budget: int | None
    layer: str | None
    truth: Path | None
    seeds: int
    out: Path
    seed: int
    kind: str
    colour_blind: bool
    report: bool


def carry_out(wish: Wish) -> None:
    """Compare, print and write.

    Raises
    ------
    FocaLogicError
        If the wish cannot be granted.
    """
    names = _method_names(wish.methods)
    if names is None:
        print_facts({"Methods": "\n".join(METHODS)})
        return
    if wish.report and FOCALOGIC not in names:
        raise CommandError("--report is about FocaLogic's explanation; add FocaLogic to --methods")
    cut = choose_segmenter(wish.segmenter, wish.mask)
    folder = make_folder(wish.out)
    setting = prepare(
        picture=wish.picture,
        model=wish.model,
        weights=wish.weights,
        regions=lambda subject, model: find_regions(subject, model, cut, wish.mask),
        baseline=wish.baseline,
        criterion=wish.criterion,
        device=wish.device,
        seed=wish.seed,
    )
    answer = setting.ask(lambda forward: predict(setting, forward))
    comparison = _compare(wish, setting, names)
    table = summarise(comparison)
    print_facts(
        {
            "Picture": setting.subject.title,
            "Model": f"{setting.model.name} on {setting.device}",
            "Prediction": describe(setting, answer),
            "Budget": "each method its own" if comparison.equal_budget is None else f"{comparison.equal_budget:,} each",
            "Measured": replace(table, notes=()).text(),
            "Notes": "\n".join(table.notes) or "none",
            "Written": ", ".join(_write(wish, folder, setting, comparison, table)),
        }
    )


def _method_names(text: str) -> list[str] | None:
    """The option --methods; None if it asks for their names."""
    if text == "list":
        return None
    return list(METHODS) if text == "all" else [name.strip() for name in text.split(",") if name.strip()]


def _compare(wish: Wish, setting: Setting, names: list[str]) -> Comparison:
    scene, size = setting.subject.scene, setting.label_map.shape
    known = scene is not None and bool((scene.labels == setting.label_map).all())
    truth = None if scene is None else scene.truth()
    if wish.truth is not None:
        truth = read_mask(wish.truth).of_size((size[0], size[1]), f"the mask {wish.truth}").union

    def run(model: Any) -> Comparison:
        return compare(
            model,
            setting.inputs,
            names,
            target=wish.target,
            feature_mask=setting.feature_mask,
            baselines=setting.baselines,
            criterion=wish.criterion,
            search=wish.search,
            max_evaluations=wish.max_evaluations,
            equal_budget=wish.budget or wish.equal_budget,
            layer=wish.layer,
            truth=truth,
            rule=scene.rule if scene is not None and known else None,
            seeds=wish.seeds,
            title=setting.subject.title,
        )

    import torch

    # Gradient methods need the module itself; a function is wrapped, so that its own exceptions are told apart.
    if isinstance(setting.model.forward, torch.nn.Module):
        return setting.ask_module(setting.model.forward, run)
    compared: Comparison = setting.ask(run)
    return compared


def _write(wish: Wish, folder: Path, setting: Setting, comparison: Comparison, table: Averages) -> list[str]:
    written = [str(save_figure(figure(comparison, colour_blind=wish.colour_blind), folder / f"comparison.{wish.kind}"))]
    (folder / "comparison.json").write_text(json.dumps(_fields(comparison), indent=1), encoding="utf-8")
    written.append("comparison.json")
    if comparison.focus is None:
        return written
    focus = replace(comparison.focus, names=region_names(setting.subject, setting.label_map))
    focus.save(folder / "focus.json")
    written.append("focus.json")
    if wish.report:
        from captum_focalogic.cli.compare import compare as command

        palette = COLOUR_BLIND if wish.colour_blind else PAPER
        panels = [
            Panel(result.name, panel(comparison, result, palette), result.answer.note, _terms(result.answer.terms))
            for result in comparison.results
        ]
        entry = entry_of(setting, focus, command_text(command, vars(wish), "compare"), wish.baseline)
        numbers = Table(table.columns, table.rows, "The same question to each, and the same measures of every answer")
        skipped = [Table(("not compared", "why"), tuple(comparison.skipped.items()))] if comparison.skipped else []
        write_report(folder / "report.html", [replace(entry, panels=panels, tables=[numbers, *skipped])])
        written.append("report.html")
    return written


def _terms(terms: tuple[tuple[str, frozenset[int], float], ...]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (f" {kind} ".join(str(symbol(region)) for region in sorted(regions)), f"{strength:+.2f}")
        for kind, regions, strength in terms[:_TERMS]
    )


def _fields(comparison: Comparison) -> dict[str, Any]:
    """A comparison as plain JSON types; what is not defined is null."""
    return {
        "title": comparison.title,
        "target": comparison.case.target,
        "regions": comparison.case.region_ids.tolist(),
        "equal_budget": comparison.equal_budget,
        "skipped": comparison.skipped,
        "methods": [
            {
                "name": result.name,
                "scores": result.answer.scores.tolist(),
                "chosen": comparison.case.region_ids[result.chosen].tolist(),
                "note": result.answer.note,
                "effects": [[kind, sorted(regions), strength] for kind, regions, strength in result.answer.terms],
                "measures": {
                    name: None if isinstance(value, float) and math.isnan(value) else value
                    for name, value in result.measures.to_dict().items()
                },
            }
            for result in comparison.results
        ],
    }
