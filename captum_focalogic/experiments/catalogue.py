"""The paper's experiments by name, and how one is run."""

import dataclasses
import itertools
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from captum_focalogic.errors import InputError
from captum_focalogic.experiments.arms import Arm
from captum_focalogic.experiments.configuration import Config, size_of
from captum_focalogic.experiments.outcome import Outcome, write_outcome
from captum_focalogic.experiments.workshop import Workshop
from captum_focalogic.study import Engine

NAMES: tuple[str, ...] = ("scenarios", "training", "models", "stability", "efficiency", "mllm", "baselines")
"""Names of the experiments."""


@dataclass(frozen=True, eq=False)
class Experiment:
    """One of the paper's experiments.

    Attributes
    ----------
    title : str
        What it is about.
    source : str
        Where in the paper it is.
    arms : callable
        What is done for a configuration, nothing of it yet.
    conclude : callable
        Makes the outcome of what the arms returned, in their order.
    trains : bool
        Whether networks are trained, so that the number of scenes and of epochs matters.
    """

    title: str
    source: str
    arms: Callable[[Config], Sequence[Arm[Any]]]
    conclude: Callable[[Config, Sequence[Any]], Outcome]
    trains: bool = False


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
) -> tuple[Outcome, list[Path]]:
    """Run one of the paper's experiments; continues where an earlier run into the same folder ended.

    Parameters
    ----------
    name : str
        One of :data:`NAMES`.
    config : Embedded or ImageNet
        How large it is.
    out : str or Path
        Folder for the table, the figure, the page, and what was made on the way.
    engine : Engine, optional
        Who explains images; this process by default.
    show_progress : bool
        Show progress bars on standard error.

    Returns
    -------
    outcome : Outcome
        What was found.
    written : list of Path
        The files.

    Raises
    ------
    InputError
        If there is no such experiment, or its configuration lacks something.
    """
    experiment = find_experiment(name)
    workshop = Workshop(Path(out), engine, show_progress)
    results = [arm.run(workshop) for arm in experiment.arms(config)]
    outcome = experiment.conclude(config, results)
    return outcome, write_outcome(outcome, name, experiment.title, experiment.source, how(name, config), Path(out))


def how(name: str, config: Config) -> list[str]:
    """How an experiment is run, in sentences and as a command."""
    left_out = {"finder"} if find_experiment(name).trains else {"finder", "scenes", "epochs"}
    plain = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name not in left_out and getattr(config, field.name) not in (None, ())
    }
    models = plain.pop("models", ())
    options = [*((f"--{key}", str(value)) for key, value in plain.items()), *(("--model", model) for model in models)]
    told = ", ".join(f"{option.removeprefix('--')} {value}" for option, value in options)
    size = size_of(config)
    command = shlex.join(["focalogic", "experiment", name, "--size", size, *itertools.chain(*options)])
    return [f"Size: {size} ({told}).", f"```sh\n{command}\n```"]
