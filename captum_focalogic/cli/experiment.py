"""``focalogic experiment``: the paper's experiments, on embedded scenes or a folder of ImageNet images."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from captum_focalogic.cli import options
from captum_focalogic.cli.errors import CommandError, reports_errors
from captum_focalogic.cli.output import print_lines
from captum_focalogic.cli.supervision import survive


class ExperimentName(StrEnum):
    """What is to be found out."""

    scenarios = "scenarios"
    training = "training"
    models = "models"
    stability = "stability"
    efficiency = "efficiency"
    mllm = "mllm"
    baselines = "baselines"


class Size(StrEnum):
    """On what."""

    embedded = "embedded"
    photos = "photos"
    imagenet = "imagenet"


@reports_errors
def experiment(
    name: Annotated[
        ExperimentName,
        typer.Argument(
            metavar="NAME",
            help="scenarios (biased, perturbed, attacked), training, models, stability (segmentation), efficiency, "
            "mllm (language models that see), baselines (other methods).",
        ),
    ],
    size: Annotated[
        Size,
        typer.Option(
            metavar="NAME",
            help="embedded (scenes and networks made here, minutes on two cores), photos (photographs and networks "
            "that run on a laptop) or imagenet (--data and pretrained models).",
        ),
    ] = Size.embedded,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Folder; experiments/NAME by default.")
    ] = None,
    images: Annotated[int | None, typer.Option(min=1, metavar="NUMBER", help="Images to explain; 100 or 200.")] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Of every random choice.")] = 0,
    seeds: Annotated[
        int, typer.Option(min=1, metavar="NUMBER", help="Embedded: so many runs, from --seed on, and their means.")
    ] = 1,
    epochs: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="Passes of the trainings, where there are any.")
    ] = None,
    scenes: Annotated[
        int | None, typer.Option(min=64, metavar="NUMBER", help="Embedded: scenes that networks are trained on.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="DATA", help="Photos, ImageNet: the images, as focalogic study takes them.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "-m", metavar="MODEL", help="Photos, ImageNet: a model, as --model of explain; may be repeated."
        ),
    ] = None,
    weights: options.Weights = None,
    segmenter: Annotated[
        str | None,
        typer.Option(
            "--segmenter", "-s", metavar="NAME", help="What cuts the images; photos: slic:8, ImageNet: sam:vit_h."
        ),
    ] = None,
    truth: Annotated[
        str, typer.Option(metavar="NAME", help="Photos, ImageNet: where the object is, as --truth of study.")
    ] = "own",
    generated: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="ImageNet scenarios: generated images with known biases; see the docs."),
    ] = None,
    device: options.Device = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done; load nothing.")] = False,
    progress: options.Progress = True,
    traceback: options.Traceback = False,  # noqa: ARG001 (the decorator reads it)
) -> None:
    """Repeat an experiment of the paper: a table, a figure, and a page that says which findings hold here.

    Broken off and started again with the same options, it goes on where it was.
    """
    folder = out or Path("experiments") / name.value
    if not dry_run:
        survive(lambda: len(list(folder.rglob("rows-*.parquet"))), lambda: any(folder.rglob("under-way.json")))
    from captum_focalogic.classifier import find_device
    from captum_focalogic.experiments import Config, Embedded, ImageNet, Photos, find_experiment, run_experiment

    config: Config
    if size is Size.embedded:
        if data is not None or model:
            raise CommandError(
                "--data and --model belong to --size imagenet or photos; the embedded size makes its own"
            )
        config = Embedded(seed=seed)
        config = config if scenes is None else replace(config, scenes=scenes)
    elif size is Size.imagenet and data is None:
        raise CommandError("--size imagenet needs --data, a folder of images with a subfolder for each class")
    else:
        told = {"data": data, "models": tuple(model or ()) or None, "segmenter": segmenter}
        config = (Photos if size is Size.photos else ImageNet)(
            **{name: value for name, value in told.items() if value is not None},  # type: ignore[arg-type]
            weights=weights,
            truth=truth,
            generated=generated,
            seed=seed,
            device=device if dry_run else str(find_device(device)),
        )
    config = config if images is None else replace(config, images=images)
    config = config if epochs is None else replace(config, epochs=epochs)
    found = find_experiment(name.value)
    found.check_size(config)
    said = {"Experiment": f"{found.title} ({found.source})"}
    if seeds > 1:
        said["Seeds"] = f"{seed} to {seed + seeds - 1}, one after another"
    if dry_run:
        would_do = "\n".join(f"{condition.name}: {condition.what}" for condition in found.conditions(config))
        print_lines({**said, "Would do": would_do, "Into": str(folder)})
        return
    outcome, written = run_experiment(name.value, config, folder, seeds=seeds, show_progress=progress)
    findings = [
        f"{each.verdict}: {each.claim}{f' ({each.reading} states)' if each.reading else ''}: {each.evidence}"
        for each in outcome.findings
    ]
    print_lines({**said, "Findings": "\n".join(findings) or "none to test", "Written": ", ".join(map(str, written))})
