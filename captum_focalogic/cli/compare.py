"""``focalogic compare``: FocaLogic beside GradCAM, LIME, SHAP and others, on one image."""

import json
import math
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from captum_focalogic.cli import options
from captum_focalogic.cli.allocator import uncollected_imports
from captum_focalogic.cli.errors import CommandError, reports_errors
from captum_focalogic.cli.output import command_text, print_lines
from captum_focalogic.cli.report import entry_of
from captum_focalogic.files import make_folder, write_text

if TYPE_CHECKING:
    from captum_focalogic.compare import Averages, Comparison
    from captum_focalogic.report.page import Entry

_TERMS = 5


class FigureFormat(StrEnum):
    """What the figure is written as."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


@reports_errors
def compare(
    context: typer.Context,
    image: options.ImageFile = None,
    model: options.Model = options.USUAL_MODEL,
    weights: options.Weights = None,
    mean: options.Mean = None,
    std: options.Std = None,
    segmenter: options.Segmenter = None,
    mask: options.Mask = None,
    methods: Annotated[
        str, typer.Option(metavar="NAMES", help="Methods, separated by commas; all by default. 'list' names them.")
    ] = "all",
    search: options.Search = "auto",
    reading: options.Reading = options.USUAL_READING,
    criterion: options.Criterion = options.USUAL_CRITERION,
    removal: options.Removal = options.RemovalName.fill,
    baseline: options.Baseline = options.USUAL_BASELINE,
    target: options.Target = None,
    device: options.Device = "auto",
    batch: options.Batch = "auto",
    max_evaluations: options.MaxEvaluations = options.USUAL_EVALUATIONS,
    equal_budget: Annotated[
        bool, typer.Option("--equal-budget", help="Allow every method as many evaluations as FocaLogic used.")
    ] = False,
    budget: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="Allow every method this many evaluations.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(metavar="NAME", help="GradCAM's layer, such as layer4.2.conv3; found by default.")
    ] = None,
    reshape_transform: Annotated[
        str | None,
        typer.Option(
            metavar="PATH/MODULE.py:NAME",
            help="Function of what GradCAM's layer gives to maps (N, channels, rows, columns), as pytorch-grad-cam "
            "takes it; needed only where the model does not show how its layer is laid out.",
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Mask of the object (white), of the image's size or the seen one's."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="Seeds to measure stability over.")] = 1,
    out: options.Out = Path("focalogic-out"),
    seed: options.Seed = 22,
    kind: Annotated[FigureFormat, typer.Option("--format", help="What the image is written as.")] = FigureFormat.png,
    report: options.Report = False,
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Put one question to several methods, and measure what each answer is worth.

    All get the same image, class, regions and baseline. Without an image: the embedded model on an embedded scene,
    whose true reason is known. Heat maps are judged on their top regions, at least as large as FocaLogic's strongest
    final state. Writes to --out: comparison.png (of each method the regions that it is judged on, and whether they are
    enough), comparison.json and focus.json.
    """
    with uncollected_imports():
        import numpy as np

        from captum_focalogic.answer import decision_text, named_focus
        from captum_focalogic.cli.session import choose_segmenter, open_session, read_batch, read_class
        from captum_focalogic.compare import METHODS, figure, save_figure, summarise
        from captum_focalogic.compare import compare as compare_methods
        from captum_focalogic.compare.comparison import FOCALOGIC
        from captum_focalogic.criteria import parse as parse_criterion
        from captum_focalogic.ground_truth import read_mask
        from captum_focalogic.integrations.user_module import FromFile
        from captum_focalogic.report.page import write_report
        from captum_focalogic.session import find_regions
        from captum_focalogic.summary import REMOVED_TOKENS

    if methods == "list":
        print_lines({"Methods": "\n".join(METHODS)})
        return
    wanted = list(METHODS) if methods == "all" else [name.strip() for name in methods.split(",") if name.strip()]
    if report and FOCALOGIC not in wanted:
        raise CommandError("--report is about FocaLogic's explanation; add FocaLogic to --methods")
    rows = read_batch(batch)
    cut = choose_segmenter(segmenter, mask)
    folder = make_folder(out)
    opened = open_session(
        image=image,
        model=model,
        weights=weights,
        mean=mean,
        std=std,
        segmenter=cut,
        mask=mask,
        baseline=baseline,
        criterion=criterion,
        device=device,
        seed=seed,
    )
    with opened as session:
        scene = session.image.scene
        known = scene is not None and bool((scene.labels == session.label_map).all())
        where: Any = None if scene is None else scene.truth()
        if truth is not None:
            what = f"the mask {truth}"
            where = read_mask(truth).mapped(
                lambda mask: find_regions(session.image, session.classifier, mask.astype(np.int64), what) != 0
            )
        decision = decision_text(session)
        comparison = compare_methods(
            session.classifier.forward,
            session.inputs,
            wanted,
            target=read_class(target, session.classifier, "--target"),
            feature_mask=session.feature_mask,
            removal=removal.value,
            baselines=session.baselines,
            criterion=parse_criterion(criterion, session.classifier.labels),
            search=search,
            reading=reading.value,
            max_evaluations=max_evaluations or None,
            perturbations_per_eval=rows,
            equal_budget=budget or equal_budget,
            layer=layer,
            reshape_transform=None if reshape_transform is None else FromFile.from_text(reshape_transform),
            truth=where,
            # Regions of whole patches are not those that the rule is about.
            rule=scene.rule if scene is not None and known and removal is options.RemovalName.fill else None,
            seeds=seeds,
            title=session.image.title,
        )
    table = summarise(comparison)
    drawn = figure(comparison)
    written = [str(save_figure(drawn, folder / f"comparison.{kind.value}"))]
    write_text(folder / "comparison.json", json.dumps(_fields(comparison), indent=1))
    written.append("comparison.json")
    if comparison.focus is not None:
        focus = named_focus(comparison.focus, session)
        focus.save(folder / "focus.json")
        written.append("focus.json")
        if report:
            entry = entry_of(session, focus, command_text(context))
            write_report(folder / "report.html", [_beside_others(entry, comparison, table)])
            written.append("report.html")
    print_lines(
        {
            "Image": session.image.title,
            "Model": f"{session.classifier.name} on {session.device}",
            "Prediction": decision,
            **({} if removal is options.RemovalName.fill else {"Removal": REMOVED_TOKENS}),
            "Budget": "each method its own" if comparison.equal_budget is None else f"{comparison.equal_budget:,} each",
            "Measured": replace(table, notes=()).text(),
            "Notes": "\n".join(table.notes) or "none",
            "Written": ", ".join(written),
        }
    )


def _beside_others(entry: "Entry", comparison: "Comparison", table: "Averages") -> "Entry":
    """A page's entry with what the other methods show."""
    from captum_focalogic.compare import panel, verdict
    from captum_focalogic.report.page import Panel
    from captum_focalogic.tables import Table

    panels = [
        Panel(
            f"{result.name}: {verdict(result)}",
            panel(comparison, result),
            result.attribution.note,
            _terms(result.attribution.terms),
        )
        for result in comparison.results
    ]
    numbers = Table(table.columns, table.rows, "The same question to each, and the same measures of every answer")
    skipped = [Table(("not compared", "why"), tuple(comparison.skipped.items()))] if comparison.skipped else []
    return replace(entry, panels=panels, tables=[numbers, *skipped])


def _terms(terms: tuple[tuple[str, frozenset[int], float], ...]) -> tuple[tuple[str, str], ...]:
    from captum_focalogic.logic import symbol

    return tuple(
        (f" {kind} ".join(str(symbol(region)) for region in sorted(regions)), f"{strength:+.2f}")
        for kind, regions, strength in terms[:_TERMS]
    )


def _fields(comparison: "Comparison") -> dict[str, Any]:
    """A comparison as plain JSON types; what is not defined is null."""
    return {
        "title": comparison.title,
        "target": comparison.decision.target,
        "removal": comparison.decision.removal,
        "regions": comparison.decision.region_ids.tolist(),
        "equal_budget": comparison.equal_budget,
        "skipped": comparison.skipped,
        "methods": [
            {
                "name": result.name,
                "scores": result.attribution.scores.tolist(),
                "chosen": comparison.decision.region_ids[result.chosen].tolist(),
                "note": result.attribution.note,
                "effects": [[kind, sorted(regions), strength] for kind, regions, strength in result.attribution.terms],
                "measures": {
                    name: None if isinstance(value, float) and math.isnan(value) else value
                    for name, value in result.measures.to_dict().items()
                },
            }
            for result in comparison.results
        ],
    }
