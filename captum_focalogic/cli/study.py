"""``focalogic study``: a whole data set, its summary, and the comparison of two."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from captum_focalogic.cli import options
from captum_focalogic.cli.explain import ReadingName
from captum_focalogic.cli.failing import TracebackOption, says_what_went_wrong
from captum_focalogic.search.strategies import SEARCHES


class _RunUnlessNamed(TyperGroup):
    """``study DATA`` is ``study run DATA``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See click."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["run", *args]
        return list(super().parse_args(ctx, args))


study = typer.Typer(
    cls=_RunUnlessNamed,
    help="Explain a whole data set: focalogic study DATA (short for study run DATA; see study run --help).",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class EngineName(StrEnum):
    """Who does the work."""

    local = "local"
    ray = "ray"


Resamples = Annotated[int, typer.Option(min=100, metavar="NUMBER", help="Bootstrap samples.")]


@study.command()
@says_what_went_wrong
def run(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="scenes:NUMBER; a folder of pictures, with a subfolder for each class; a list, .csv or .parquet, with "
            "a column image; a folder that Hugging Face datasets saved.",
        ),
    ],
    model: options.Model = "demo",
    weights: options.Weights = None,
    segmenter: Annotated[
        str | None,
        typer.Option(
            "--segmenter",
            "-s",
            metavar="NAME",
            help="slic, slic:NUMBER, grid, grid:ROWSxCOLUMNS, PATH/MODULE.py:NAME. By default the data's own regions, "
            "else slic:12.",
        ),
    ] = None,
    truth: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Where the object is: own (what the data says), none, masks:FOLDER (for a/b.jpg the mask "
            "FOLDER/a/b.png), grounded-sam or sam3 (found by the class's name), PATH/MODULE.py:NAME, a function of "
            "(item, image) that returns masks.",
        ),
    ] = "own",
    match: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="When a region counts as the object: coverage:SHARE of it inside, or iou:THRESHOLD (the paper: 0.7).",
        ),
    ] = "coverage:0.5",
    out: options.Out = Path("focalogic-study"),
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="Only so many images, spread evenly over the data.")
    ] = None,
    search: Annotated[str, typer.Option(metavar="NAME", help=f"{', '.join(SEARCHES)}.")] = "auto",
    reading: Annotated[
        ReadingName, typer.Option(metavar="NAME", help="irreducible (gives the other two as well), minimal, smallest.")
    ] = ReadingName.irreducible,
    criterion: options.Criterion = "top1",
    baseline: options.Baseline = "black",
    max_evaluations: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Most region sets asked about one image; 0 for no limit.")
    ] = 5_000,
    device: options.Device = "auto",
    batch: Annotated[
        int,
        typer.Option(min=0, metavar="NUMBER", help="Images in one call of the model; 0 for 8, on a GPU 512."),
    ] = 0,
    group: Annotated[
        int,
        typer.Option(min=0, metavar="NUMBER", help="Images that share batches, always the same; 0 for 8, on a GPU 32."),
    ] = 0,
    engine: Annotated[
        EngineName, typer.Option(metavar="NAME", help="local (this process), ray (workers, each with a model).")
    ] = EngineName.local,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="NUMBER",
            help="With ray: copies of the model, by default one a GPU or CPU. Else: threads that read and cut, 2.",
        ),
    ] = None,
    cpus: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="CPUs of each of Ray's workers.")] = 1,
    examples: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Images with the lowest precision to write a report of.")
    ] = 8,
    progress: options.Progress = True,
    traceback: TracebackOption = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Explain every image of a data set; one row an image, in Parquet files in --out.

    Broken off, even killed, and started again with the same options, it goes on where it was. An image that cannot be
    read or explained costs one row with the error. At the end writes summary.txt, .csv, .tex and report.html.
    """
    from captum_focalogic.cli.studying import Wish, carry_out

    carry_out(
        Wish(
            data=data,
            model=model,
            weights=weights,
            segmenter=segmenter,
            truth=truth,
            match=match,
            out=out,
            limit=limit,
            search=search,
            reading=reading.value,
            criterion=criterion,
            baseline=baseline,
            max_evaluations=max_evaluations or None,
            device=device,
            batch=batch,
            group=group,
            engine=engine.value,
            workers=workers,
            cpus=cpus,
            examples=examples,
            progress=progress,
        )
    )


@study.command()
@says_what_went_wrong
def summary(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a study, finished or not.")],
    resamples: Resamples = 2_000,
    traceback: TracebackOption = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Print the means of a study with 95 % confidence intervals, and write them as summary.txt, .csv and .tex."""
    from captum_focalogic.cli.studying import summarise_run

    summarise_run(run, resamples)


@study.command()
@says_what_went_wrong
def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="The folder of a study.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="That of another one of the same images.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write it too: .csv, .tex, or .txt.")
    ] = None,
    resamples: Resamples = 10_000,
    traceback: TracebackOption = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Compare two studies image by image: mean differences, bootstrap intervals, Wilcoxon's signed-rank test."""
    from captum_focalogic.cli.studying import compare_two

    compare_two(run_a, run_b, out, resamples)
