"""``focalogic study``: a whole data set, its summary, and the comparison of two."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from captum_focalogic.cli import options
from captum_focalogic.cli.allocator import keep_freed_memory
from captum_focalogic.cli.errors import reports_errors, say
from captum_focalogic.cli.output import print_lines
from captum_focalogic.cli.supervision import survive
from captum_focalogic.names import is_in_file

if TYPE_CHECKING:
    from captum_focalogic.classifier import Classifier
    from captum_focalogic.study import Engine
    from captum_focalogic.study.tables import Summary


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
@reports_errors
def run(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="scenes:NUMBER; a folder of images, with a subfolder for each class; a list, .csv or .parquet, with "
            "a column image; a folder that Hugging Face datasets saved.",
        ),
    ],
    model: options.Model = "demo",
    weights: options.Weights = None,
    mean: options.Mean = None,
    std: options.Std = None,
    segmenter: options.Segmenter = None,
    truth: options.Truth = "own",
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
    search: options.Search = "auto",
    reading: options.Reading = options.ReadingName.irreducible,
    criterion: options.Criterion = "top1",
    removal: options.Removal = options.RemovalName.fill,
    baseline: options.Baseline = "black",
    max_evaluations: options.MaxEvaluations = 5_000,
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
    retry: Annotated[
        bool, typer.Option("--retry/--no-retry", help="Try images again that had errors when the study ran before.")
    ] = True,
    redo_changed: Annotated[
        bool, typer.Option("--redo-changed", help="Explain images anew whose files have changed since their rows.")
    ] = False,
    progress: options.Progress = True,
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Explain every image of a data set; one row an image, in Parquet files in --out.

    Broken off, even killed, and started again with the same options, it goes on where it was. An image that cannot be
    read or explained costs one row with the error, and is tried again when the study is started again. At the end
    writes summary.txt, .csv, .tex and report.html.
    """
    if engine is EngineName.local:
        survive(lambda: len(list(out.glob("rows-*.parquet"))), (out / "under-way.json").exists)
    from captum_focalogic.classifier import find_classifier, find_device
    from captum_focalogic.cli.session import normalised
    from captum_focalogic.ground_truth import Match
    from captum_focalogic.oracle.removal import remover
    from captum_focalogic.study import (
        ModelFactory,
        StudySettings,
        data_from_text,
        read_settings,
        run_items,
        summarise,
    )
    from captum_focalogic.study.conclusions import conclusions
    from captum_focalogic.study.examples import write_examples
    from captum_focalogic.study.items import numbering_of
    from captum_focalogic.study.page import write_page
    from captum_focalogic.study.settings import model_factory, segmenter_from_text, truth_from_text
    from captum_focalogic.study.tables import write_tables

    place = str(find_device(device))
    matched = Match.from_text(match)
    cut = None if segmenter is None else segmenter_from_text(segmenter)
    found = normalised(find_classifier(model, weights), mean, std)
    remover(removal.value, found.forward)
    where = truth_from_text(truth, found)
    weighed = None if weights is None else _absolute_file(weights)
    make = partial(find_in_worker, _absolute(model), weighed, mean, std)
    settings = StudySettings(
        ModelFactory(make if engine is EngineName.ray else lambda: found, model_factory(found).identity),
        cut,
        where,
        matched,
        search=search,
        reading=reading.value,
        criterion=criterion,
        removal=removal.value,
        baseline=baseline,
        max_evaluations=max_evaluations or None,
        batch=batch,
        group=group,
        device=place,
    )
    items = data_from_text(data, found.labels, limit)
    rows = run_items(
        settings,
        items,
        out,
        engine=_engine(engine, workers, cpus, place),
        show_progress=progress,
        redo_changed=redo_changed,
        retry=retry,
    )
    summed = summarise(rows, class_names=found.labels)
    print_found(conclusions(summed), summed)
    shown = write_examples(settings, items, rows, out, examples) if examples else []
    page = write_page(out / "report.html", rows, summed, read_settings(out), shown, data)
    print_lines(
        {
            "": "",
            **({"Classes": rules} if (rules := numbering_of(items)) else {}),
            "Rows": f"{len(rows):,} in {out}, {sum(summed.errors.values())} of them errors",
            "Written": ", ".join(map(str, [*write_tables(summed, out), page])),
        }
    )


@study.command()
@reports_errors
def summary(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a study, finished or not.")],
    resamples: Resamples = 2_000,
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Print the means of a study with 95 % confidence intervals, and write them as summary.txt, .csv and .tex."""
    from captum_focalogic.study import read_rows, read_settings, summarise
    from captum_focalogic.study.conclusions import conclusions
    from captum_focalogic.study.tables import write_tables

    rows = read_rows(run)
    total = read_settings(run)["images"]
    if len(rows) < total:
        say(f"note: {run} is not finished; this is about {len(rows):,} of {total:,} images")
    summed = summarise(rows, resamples=resamples)
    print_found(conclusions(summed), summed)
    print_lines({"": "", "Written": ", ".join(map(str, write_tables(summed, run)))})


@study.command()
@reports_errors
def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="The folder of a study.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="That of another one of the same images.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write it too: .csv, .tex, or .txt.")
    ] = None,
    resamples: Resamples = 10_000,
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Compare two studies image by image: mean differences, bootstrap intervals, Wilcoxon's signed-rank test."""
    from captum_focalogic.files import write_text
    from captum_focalogic.study import compare_runs
    from captum_focalogic.study.tables import comparison_csv, comparison_latex

    comparison = compare_runs(run_a, run_b, resamples=resamples)
    print(comparison)
    if out is not None:
        forms = {".csv": comparison_csv, ".tex": comparison_latex}
        text = forms.get(out.suffix.lower(), lambda compared: f"{compared}\n")(comparison)
        write_text(out, text)
        print_lines({"": "", "Written": str(out)})


def print_found(said: list[str], summary: "Summary") -> None:
    """What a study found: in words, then in numbers."""
    print(*said, "", summary, sep="\n")


def find_in_worker(name: str, weights: str | None, mean: str | None = None, std: str | None = None) -> "Classifier":
    """A classifier by its name, in a process that was started for a study and does nothing else."""
    from captum_focalogic.classifier import find_classifier
    from captum_focalogic.cli.session import normalised

    keep_freed_memory()
    return normalised(find_classifier(name, weights), mean, std)


def _engine(engine: EngineName, workers: int | None, cpus: int, device: str) -> "Engine":
    if engine is EngineName.local:
        from captum_focalogic.study import Local

        return Local() if workers is None else Local(loaders=workers)
    import torch

    from captum_focalogic.study.engines import RayEngine

    gpu = device.startswith("cuda")
    usual = torch.cuda.device_count() if gpu else max(1, torch.get_num_threads() // cpus)
    return RayEngine(workers or usual, cpus, 1.0 if gpu else 0.0)


def _absolute(model: str) -> str:
    """The model's name for a process that runs in another folder."""
    path, _, name = model.rpartition(":")
    return f"{Path(path).resolve()}:{name}" if is_in_file(model) else model


def _absolute_file(weights: str) -> str:
    return str(Path(weights).resolve()) if Path(weights).exists() else weights
