"""The paper's experiments by name: how one is run, and the files it is written to."""

import dataclasses
import itertools
import shlex
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from captum_focalogic.errors import InputError
from captum_focalogic.experiments.findings import corrected
from captum_focalogic.experiments.framework import (
    Conclusion,
    Condition,
    Config,
    Embedded,
    Experiment,
    MissingResult,
    Workspace,
)
from captum_focalogic.figures.plots import rendered
from captum_focalogic.files import encode_text, make_folder, write_bytes
from captum_focalogic.search.run import check_whole
from captum_focalogic.study import Engine
from captum_focalogic.tables import Column, Table

NAMES: tuple[str, ...] = ("scenarios", "training", "models", "stability", "efficiency", "mllm", "baselines")
"""Names of the experiments."""


def find_experiment(name: str) -> Experiment:
    """An experiment by name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in NAMES:
        raise InputError(f"there is no experiment {name!r}; choose {', '.join(NAMES)}")
    found: Experiment = import_module(f"captum_focalogic.experiments.{name}").EXPERIMENT
    return found


def run_experiment(
    name: str,
    config: Config,
    out: str | Path,
    *,
    seeds: int = 1,
    engine: Engine | None = None,
    show_progress: bool = False,
) -> tuple[Conclusion, list[Path]]:
    """Run one of the paper's experiments; continues where an earlier run into the same folder ended.

    Parameters
    ----------
    name : str
        One of :data:`NAMES`.
    config : Embedded, Photos or ImageNet
        How large it is.
    out : str or Path
        Folder for the table, the figure, the page, and what was made on the way.
    seeds : int
        So many runs, of the configuration's seed and those that follow, each in a folder of its own; tables, figure
        and findings are about their means. For the embedded size.
    engine : Engine, optional
        Who explains images; this process by default.
    show_progress : bool
        Show progress bars on standard error.

    Returns
    -------
    outcome : Conclusion
        What was found.
    written : list of Path
        The files.

    Raises
    ------
    InputError
        If there is no such experiment, it has no such size, or its configuration lacks something.

    Warns
    -----
    FocaLogicWarning
        If there are too few images for any verdict.
    """
    experiment = find_experiment(name)
    experiment.check_size(config)
    folder = Path(out)
    places = _runs(config, folder, seeds)
    experiment.warn_of_few(config)
    results = [_run_conditions(experiment.conditions(seeded), place, engine, show_progress) for place, seeded in places]
    outcome = experiment.conclude(config, [_pooled(runs) for runs in zip(*results, strict=True)])
    notes = [*outcome.notes, *(_about_seeds(experiment) if seeds > 1 else ())]
    outcome = replace(outcome, findings=corrected(outcome.findings), notes=notes)
    return outcome, write_outcome(outcome, name, experiment.title, experiment.source, how(name, config, seeds), folder)


def _about_seeds(experiment: Experiment) -> list[str]:
    """What differs between seeds, and what their means and intervals are."""
    anew = "each trains anew, and explains" if experiment.trains else "each explains"
    return [
        f"Several seeds: {anew} other scenes. Means are those of the seeds' means, and intervals say where the mean of "
        "all seeds may lie (Student's, over seeds). Images are counted over all seeds."
    ]


def _runs(config: Config, folder: Path, seeds: int) -> list[tuple[Path, Config]]:
    """Where each seed's run works, and its configuration."""
    check_whole("seeds", seeds, 1)
    if seeds == 1:
        return [(folder, config)]
    if not isinstance(config, Embedded):
        raise InputError(
            f"several seeds belong to the embedded size; the size {config.size} has the images it is given"
        )
    numbers = range(config.seed, config.seed + seeds)
    return [(folder / f"seed-{number}", replace(config, seed=number)) for number in numbers]


def _run_conditions(
    conditions: Sequence[Condition[Any]], folder: Path, engine: Engine | None, show_progress: bool
) -> list[Any]:
    """What each condition gives; its bars say which of how many it is."""
    bars = [f"{number} of {len(conditions)}, {one.name}" for number, one in enumerate(conditions, start=1)]
    return [
        condition.run(Workspace(folder, engine, bar if show_progress else False))
        for condition, bar in zip(conditions, bars, strict=True)
    ]


def _pooled(runs: Sequence[Any]) -> Any:
    """What the runs of one condition gave, as one; if it could not be done with one seed, that."""
    missing = [run for run in runs if isinstance(run, MissingResult)]
    return missing[0] if missing else runs[0] if len(runs) == 1 else type(runs[0]).pooled(runs)


def how(name: str, config: Config, seeds: int = 1) -> list[str]:
    """How an experiment is run, in sentences and as a command."""
    trains = find_experiment(name).trains and config.size != "photos"
    left_out = {"settings"} if trains else {"settings", "scenes", "epochs"}
    plain = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name not in left_out and getattr(config, field.name) not in (None, ())
    }
    models = plain.pop("models", ())
    options = [*((f"--{key}", str(value)) for key, value in plain.items()), *(("--model", model) for model in models)]
    options += [("--seeds", str(seeds))] if seeds > 1 else []
    told = ", ".join(f"{option.removeprefix('--')} {value}" for option, value in options)
    command = shlex.join(["focalogic", "experiment", name, "--size", config.size, *itertools.chain(*options)])
    return [f"Size: {config.size} ({told}).", f"```sh\n{command}\n```"]


def write_outcome(
    outcome: Conclusion, name: str, title: str, source: str, how: Sequence[str], folder: Path
) -> list[Path]:
    """Write NAME.md, NAME.csv (NAME-2.csv and so on for further tables), NAME.svg and NAME.png into a folder.

    Parameters
    ----------
    outcome : Conclusion
    name, title, source : str
        Of the experiment.
    how : sequence of str
        Sentences on how it was done: size, seed, command.
    folder : Path
        Where to write.
    """
    make_folder(folder)
    files: dict[str, bytes] = {}
    for number, table in enumerate(outcome.tables, start=1):
        files[f"{name}.csv" if number == 1 else f"{name}-{number}.csv"] = encode_text(table.csv())
    for kind in ("svg", "png"):
        files[f"{name}.{kind}"] = rendered(outcome.figure, kind)
    files[f"{name}.md"] = encode_text(page(outcome, name, title, source, how))
    for file, octets in files.items():
        write_bytes(folder / file, octets)
    return [folder / file for file in files]


def _chance(chance: float | None) -> str:
    return "-" if chance is None else "below 0.001" if chance < 0.001 else f"{chance:.3f}"


def page(outcome: Conclusion, name: str, title: str, source: str, how: Sequence[str]) -> str:
    """The experiment as Markdown."""
    findings = Table(
        (
            "the paper's finding",
            Column("states", "left"),
            Column("here", "left", strong=True),
            Column("measured", "left"),
            "p, corrected",
        ),
        tuple(
            (found.claim, found.reading, found.verdict, found.evidence, _chance(found.chance))
            for found in outcome.findings
        ),
    )
    parts = [f"# {title}", f"After the paper's {source}.", *how]
    if outcome.findings:
        parts += ["## Findings", findings.markdown()]
    parts.append("## Measured")
    parts += [table.markdown() for table in outcome.tables]
    parts.append(f"![{title}]({name}.svg)")
    if outcome.notes:
        parts += ["## Notes", "\n".join(f"- {note}" for note in outcome.notes)]
    return "\n\n".join(parts) + "\n"
