"""``focalogic compare``: FocaLogic beside GradCAM, LIME, SHAP and others, on one picture."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from captum_focalogic.cli import options
from captum_focalogic.cli.failing import TracebackOption, says_what_went_wrong
from captum_focalogic.search.strategies import SEARCHES


class PictureKind(StrEnum):
    """What the picture is written as."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


@says_what_went_wrong
def compare(
    image: options.Picture = None,
    model: options.Model = "demo",
    weights: options.Weights = None,
    segmenter: options.Segmenter = None,
    mask: options.Mask = None,
    methods: Annotated[
        str, typer.Option(metavar="NAMES", help="Methods, separated by commas; all by default. 'list' names them.")
    ] = "all",
    search: Annotated[str, typer.Option(metavar="NAME", help=f"FocaLogic's: {', '.join(SEARCHES)}.")] = "auto",
    criterion: options.Criterion = "top1",
    baseline: options.Baseline = "black",
    target: options.Target = None,
    device: options.Device = "auto",
    max_evaluations: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Most region sets FocaLogic asks about; 0 for no limit.")
    ] = 5_000,
    equal_budget: Annotated[
        bool, typer.Option("--equal-budget", help="Allow every method as many evaluations as FocaLogic used.")
    ] = False,
    budget: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="Allow every method this many evaluations.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(metavar="NAME", help="GradCAM's layer, such as layer4.2.conv3; found by default.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Mask of the object (white), of the size the model sees.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="Seeds to measure stability over.")] = 1,
    out: options.Out = Path("focalogic-out"),
    seed: options.Seed = 22,
    kind: Annotated[PictureKind, typer.Option("--format", help="What the picture is written as.")] = PictureKind.png,
    colour_blind: Annotated[
        bool, typer.Option("--colour-blind", help="Blue stripes and yellow in place of red and white.")
    ] = False,
    report: Annotated[bool, typer.Option("--report", help="Write report.html too, an interactive page.")] = False,
    traceback: TracebackOption = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Put one question to several methods, and measure what each answer is worth.

    All get the same picture, class, regions and baseline. Without a picture: the embedded model on an embedded scene,
    whose true reason is known. Heat maps are judged on their top regions, at least as large as FocaLogic's smallest
    final state. Writes to --out: comparison.png, comparison.json and focus.json.
    """
    from captum_focalogic.cli.comparing import Wish, carry_out

    carry_out(
        Wish(
            picture=image,
            model=model,
            weights=weights,
            segmenter=segmenter,
            mask=mask,
            methods=methods,
            search=search,
            criterion=criterion,
            baseline=baseline,
            target=target,
            device=device,
            max_evaluations=max_evaluations or None,
            equal_budget=equal_budget,
            budget=budget,
            layer=layer,
            truth=truth,
            seeds=seeds,
            out=out,
            seed=seed,
            kind=kind.value,
            colour_blind=colour_blind,
            report=report,
        )
    )
