"""The paper's experiments by name: how one is run, and the files it is written to."""

import dataclasses
import itertools
import shlex
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from captum_focalogic.errors import InputError
from captum_focalogic.experiments.framework import Conclusion, Config, Experiment, Workspace
from captum_focalogic.figures.plots import rendered
from captum_focalogic.files import encode_text, make_folder, write_bytes
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
    experiment.warn_of_few(config)
    workspace = Workspace(Path(out), engine, show_progress)
    results = [condition.run(workspace) for condition in experiment.conditions(config)]
    outcome = experiment.conclude(config, results)
    return outcome, write_outcome(outcome, name, experiment.title, experiment.source, how(name, config), Path(out))


def how(name: str, config: Config) -> list[str]:
    """How an experiment is run, in sentences and as a command."""
    left_out = {"settings"} if find_experiment(name).trains else {"settings", "scenes", "epochs"}
    plain = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name not in left_out and getattr(config, field.name) not in (None, ())
    }
    models = plain.pop("models", ())
    options = [*((f"--{key}", str(value)) for key, value in plain.items()), *(("--model", model) for model in models)]
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


def page(outcome: Conclusion, name: str, title: str, source: str, how: Sequence[str]) -> str:
    """The experiment as Markdown."""
    findings = Table(
        (
            "the paper's finding",
            Column("states", "left"),
            Column("here", "left", strong=True),
            Column("measured", "left"),
        ),
        tuple((found.claim, found.reading, found.verdict, found.evidence) for found in outcome.findings),
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
