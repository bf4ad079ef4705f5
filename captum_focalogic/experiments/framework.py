"""What all experiments share: their sizes, the conditions they study, where they work, and what they find."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from captum_focalogic.arrays import Floats
from captum_focalogic.classifier import Classifier, find_classifier
from captum_focalogic.errors import InputError, warn
from captum_focalogic.files import make_folder, write_bytes
from captum_focalogic.search.run import check_whole
from captum_focalogic.study import (
    Engine,
    Item,
    Mean,
    ModelFactory,
    StudySettings,
    Summary,
    data_from_text,
    run_items,
    summarise,
)
from captum_focalogic.study.settings import segmenter_from_text, setting_text, truth_from_text
from captum_focalogic.tables import Table

if TYPE_CHECKING:
    import pyarrow as pa

    from captum_focalogic.compare import Method


FEWEST = 10
"""Images below which an interval of a mean, or a share of images, says too little to decide anything."""

EVERY_SIZE = ("embedded", "photos", "imagenet")
"""How large an experiment can be."""

FIRST_TEST_SEED = 500_000
"""Scenes with seeds from here on tell how accurate a network is; those below are explained."""

DEFAULT_MODEL = "torchvision:resnet50"
"""The model of the imagenet size, where none is named."""


@dataclass(frozen=True, eq=False)
class Settings:
    """What experiments try and how much of it; the defaults are what the documented results were made with.

    Attributes
    ----------
    fewest : int
        Images below which a share of images decides nothing.
    fresh_scenes : int
        Scenes, neither trained on nor explained, that tell how accurate a network is.
    counted_size : int
        Side in pixels of the scenes whose regions are counted: a share of 0.001 is 50 pixels at 224, and 9 where the
        network looks.
    segmentations : sequence of str, optional
        Names of the ways to cut images that are tried beside what they are held against; all by default.
    regions : sequence of int
        Numbers of regions that SLIC is asked for.
    widths : sequence of int
        Widths of the beam.
    questions : int
        Most questions about one image to a multimodal language model. All questions of a run stay below what one
        command may ask an endpoint.
    methods : sequence of str or Method, optional
        What is compared; all, and FocaLogic under both readings, by default.
    seeds : int
        Runs of each method on an equal budget, where what was drawn matters most.
    """

    fewest: int = FEWEST
    fresh_scenes: int = 600
    counted_size: int = 224
    segmentations: Sequence[str] | None = None
    regions: Sequence[int] = (6, 9, 12, 20, 30)
    widths: Sequence[int] = (1, 2, 5, 10, 20)
    questions: int = 64
    methods: "Sequence[str | Method] | None" = None
    seeds: int = 2


USUAL = Settings()


@dataclass(frozen=True)
class Embedded:
    """Scenes that the package draws, and small networks trained on them: minutes on two cores.

    Attributes
    ----------
    images : int
        Scenes to explain.
    seed : int
        Of the networks' start and of every other random choice, the scenes to explain among them.
    scenes : int
        Scenes that a network is trained on.
    epochs : int
        Passes over them.
    settings : Settings
        What is tried, and how much of it.

    Raises
    ------
    InputError
        If a number is below 1, or the seed below 0.
    """

    size: ClassVar[str] = "embedded"

    images: int = 100
    seed: int = 0
    scenes: int = 6_000
    epochs: int = 12
    settings: Settings = USUAL

    def __post_init__(self) -> None:
        _check(self, "images", "scenes", "epochs")

    @property
    def first_scene(self) -> int:
        """The seed of the first scene to explain: no two seeds of a run explain the same."""
        return self.seed * self.images % FIRST_TEST_SEED


@dataclass(frozen=True)
class ImageNet:
    """A user's images and pretrained models; everything by its command line name, so that a dry run loads nothing.

    Attributes
    ----------
    data : str
        The images, as ``focalogic study`` takes them.
    images : int
        How many of them to explain, spread over the data.
    models : sequence of str
        Models; the experiment's own choice if there is none.
    weights : str, optional
        For the models, such as "random"; pretrained ones by default.
    segmenter : str
        What cuts the images.
    truth : str
        What says where the object is.
    generated : Path, optional
        Folder of generated images with known biases.
    seed : int
        Of every random choice.
    epochs : int
        Passes over the images, where a model is trained.
    device : str
        Where models run.
    settings : Settings
        What is tried, and how much of it.
    """

    size: ClassVar[str] = "imagenet"

    data: str
    images: int = 200
    models: Sequence[str] = ()
    weights: str | None = None
    segmenter: str = "sam:vit_h"
    truth: str = "own"
    generated: Path | None = None
    seed: int = 0
    epochs: int = 50
    device: str = "cpu"
    settings: Settings = USUAL

    def __post_init__(self) -> None:
        _check(self, "images", "epochs")

    @property
    def model_name(self) -> str:
        """The model of experiments with one model."""
        return self.models[0] if self.models else DEFAULT_MODEL

    def find_model(self, name: str) -> Classifier:
        """A model by name, with the weights that were asked for; random ones are those of the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return find_classifier(name, self.weights)

    def plan(self, name: str, model: Classifier, **how: Any) -> StudySettings:
        """How the images are explained; ``how`` are fields of the plan that differ from the usual."""
        usual: dict[str, Any] = {
            "segmenter": segmenter_from_text(self.segmenter),
            "truth": truth_from_text(self.truth, model),
            "device": self.device,
        }
        return StudySettings(ModelFactory(lambda: model, f"{name}, {setting_text(model.forward)}"), **{**usual, **how})

    def find_items(self, model: Classifier | None = None) -> list[Item]:
        """The images to explain; their classes are numbered as the model's where it knows their names."""
        return data_from_text(self.data, None if model is None else model.labels, self.images)


Config = Embedded | ImageNet
"""How large an experiment is."""


def _check(config: Config, *names: str) -> None:
    for name in names:
        check_whole(name, getattr(config, name), 1)
    check_whole("seed", config.seed, 0)


_IDENTITY = "identity"


@dataclass(frozen=True)
class Workspace:
    """Where an experiment works.

    Attributes
    ----------
    folder : Path
        The experiment's own.
    engine : Engine, optional
        Who explains images; this process by default.
    show_progress : bool or str
        Show progress bars on standard error; a text is what they begin with.
    """

    folder: Path
    engine: Engine | None = None
    show_progress: bool | str = False

    def study(self, name: str, plan: StudySettings, items: Sequence[Item]) -> "pa.Table":
        """The rows of a study in a subfolder of this name, made or completed."""
        folder = self.folder / "runs" / file_name(name)
        return run_items(plan, items, folder, engine=self.engine, show_progress=self.show_progress)

    def tensors(self, name: str, identity: str, make: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Tensors that take long to make, such as trained weights: read if they were made before, else made and kept.

        Parameters
        ----------
        name : str
            Of the file.
        identity : str
            All that the tensors depend on; those of another identity are made anew.
        make : callable
            Makes them.
        """
        kept = self.kept(name, identity)
        return kept.load() or kept.save(make())

    def kept(self, name: str, identity: str) -> "KeptTensors":
        """Where tensors of a name and an identity are kept."""
        return KeptTensors(self.folder / "made" / f"{file_name(name)}.safetensors", identity)


@dataclass(frozen=True)
class KeptTensors:
    """Tensors in a file, with all that they depend on.

    Attributes
    ----------
    path : Path
        The file.
    identity : str
        What they depend on: those of another identity are not there.
    """

    path: Path
    identity: str

    def load(self) -> dict[str, Tensor]:
        """What was saved; nothing where nothing was, or something else."""
        if not self.path.is_file():
            return {}
        with safe_open(self.path, framework="pt") as file:
            if (file.metadata() or {}).get(_IDENTITY) != self.identity:
                return {}
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)

    def save(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Keep tensors in place of what was saved before."""
        made = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}
        make_folder(self.path.parent)
        write_bytes(self.path, save(made, {_IDENTITY: self.identity}))
        return made

    def clear(self) -> None:
        """Forget what was saved."""
        self.path.unlink(missing_ok=True)


def file_name(name: str) -> str:
    """A name as part of a path: with hyphens for whatever some file system refuses, such as the : and / of models."""
    return re.sub(r"[^\w .,()+=-]", "-", name)


R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class Condition(Generic[R]):
    """One line of an experiment.

    Attributes
    ----------
    name : str
        What it is called in tables, and the name of its folder.
    what : str
        What is done, in one line, for the dry run.
    run : callable
        Does it.
    """

    name: str
    what: str
    run: Callable[[Workspace], R]


@dataclass(frozen=True, eq=False)
class Setup:
    """What a study of an condition needs, made when it is its turn.

    Attributes
    ----------
    plan : StudySettings
        How the images are explained.
    items : sequence of Item
        The images.
    facts : mapping of str to float
        Numbers that belong to the condition and not to single images, such as an attack's success rate.
    """

    plan: StudySettings
    items: Sequence[Item]
    facts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Result:
    """An condition that was studied.

    Attributes
    ----------
    name : str
        The condition's.
    rows : pyarrow.Table
        One an image.
    facts : mapping of str to float
        See :class:`Setup`.
    runs : tuple of Result
        One a seed, where there are several: rows are then those of all, and facts their means.
    """

    name: str
    rows: "pa.Table"
    facts: Mapping[str, float] = field(default_factory=dict)
    runs: "tuple[Result, ...]" = ()

    @classmethod
    def pooled(cls, runs: "Sequence[Result]") -> "Result":
        """The results of one condition with several seeds, as one."""
        import pyarrow as pa

        common = [name for name in runs[0].facts if all(name in run.facts for run in runs)]
        facts = {name: math.fsum(run.facts[name] for run in runs) / len(runs) for name in common}
        return cls(runs[0].name, pa.concat_tables(run.rows for run in runs), facts, tuple(runs))

    def mapped(self, change: Callable[["pa.Table"], "pa.Table"]) -> "Result":
        """With other rows, made of these."""
        return replace(self, rows=change(self.rows), runs=tuple(run.mapped(change) for run in self.runs))

    @cached_property
    def summary(self) -> Summary:
        """Means with their intervals, over all images that could be explained."""
        return summarise(self.rows, by=())

    def mean(self, column: str) -> Mean:
        """The mean of a column, such as "smallest_precision"; of "accuracy", the share of right predictions.

        With several seeds it is the mean of their means, with Student's interval over seeds.
        """
        if not self.runs:
            return self.summary[column]
        means = [run.mean(column) for run in self.runs]
        values = np.array([mean.value for mean in means if mean.count])
        undefined = sum(mean.undefined for mean in means)
        low, high = students(values, (0.025, 0.975))
        return Mean(float(values.mean()) if len(values) else math.nan, low, high, len(values), undefined)

    @property
    def seconds(self) -> float:
        """Seconds that the explanations took, loading and cutting left out."""
        return math.fsum(value or 0.0 for value in self.rows.column("explain_seconds").to_pylist())


@dataclass(frozen=True)
class MissingResult:
    """An condition that could not be done.

    Attributes
    ----------
    name : str
        The condition's.
    why : str
        What stood in the way.
    """

    name: str
    why: str


def students(values: Floats, levels: Sequence[float] | Floats) -> Floats:
    """Quantiles of what the mean of a population may be, after Student, given some of its values; NaN below two."""
    from scipy import stats

    if len(values) < 2:
        return np.full(len(levels), np.nan)
    spread_of_mean = values.std(ddof=1) / math.sqrt(len(values))
    return np.asarray(values.mean() + spread_of_mean * stats.t.ppf(levels, len(values) - 1))


def studied(name: str, what: str, make: Callable[[Workspace], Setup]) -> Condition[Result]:
    """An condition whose images are explained as a study, which continues where it was broken off."""

    def run(workspace: Workspace) -> Result:
        setup = make(workspace)
        return Result(name, workspace.study(name, setup.plan, setup.items), setup.facts)

    return Condition(name, what, run)


def attempted(
    name: str, what: str, make: Callable[[Workspace], Setup | MissingResult]
) -> Condition[Result | MissingResult]:
    """As :func:`studied`, for what may turn out to be impossible."""

    def run(workspace: Workspace) -> Result | MissingResult:
        setup = make(workspace)
        return setup if isinstance(setup, MissingResult) else studied(name, what, lambda _: setup).run(workspace)

    return Condition(name, what, run)


Verdict = Literal["confirmed", "not confirmed", "not testable here"]


@dataclass(frozen=True)
class Finding:
    """A qualitative finding of the paper, and what became of it.

    Attributes
    ----------
    claim : str
        What the paper found.
    reading : str
        Of the final states; empty if the finding is not about them.
    verdict : str
        What was found here.
    evidence : str
        The number with its interval, or why it could not be tested.
    chance : float, optional
        The p-value of its test (two-sided: it is 0.05 where the interval's bound is the claim's), on pages corrected
        for the number of findings; None where nothing was tested, or on every single image.
    source : str
        Which of the paper's findings it is about, a key of :data:`~captum_focalogic.experiments.published.FINDINGS`.
    """

    claim: str
    reading: str
    verdict: Verdict
    evidence: str
    chance: float | None = None
    source: str = ""


@dataclass(frozen=True, eq=False)
class Conclusion:
    """What an experiment found.

    Attributes
    ----------
    tables : sequence of Table
        The first is the experiment's table; their titles say what they show.
    figure : matplotlib Figure
        Its figure.
    findings : sequence of Finding
        The paper's qualitative findings, held against it.
    notes : sequence of str
        What a reader has to know: what differs from the paper, what could not be done.
    """

    tables: Sequence[Table]
    figure: Any
    findings: Sequence[Finding]
    notes: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Experiment:
    """One of the paper's experiments.

    Attributes
    ----------
    title : str
        What it is about.
    source : str
        Where in the paper it is.
    conditions : callable
        What is done for a configuration, nothing of it yet.
    conclude : callable
        Makes the outcome of what the conditions returned, in their order.
    trains : bool
        Whether networks are trained, so that the number of scenes and of epochs matters.
    sizes : sequence of str
        The sizes it has.
    images : callable
        How many images every condition explains at most.
    judges : sequence of str
        The paper's findings that it comes to a verdict about, or says why not: keys of
        :data:`~captum_focalogic.experiments.published.FINDINGS`.
    """

    title: str
    source: str
    conditions: Callable[[Config], Sequence[Condition[Any]]]
    conclude: Callable[[Config, Sequence[Any]], Conclusion]
    trains: bool = False
    sizes: Sequence[str] = ("embedded", "imagenet")
    images: Callable[[Config], int] = attrgetter("images")
    judges: Sequence[str] = ()

    def check_size(self, config: Config) -> None:
        """Refuse a size that the experiment does not have.

        Raises
        ------
        InputError
            If it has none of the kind.
        """
        if config.size not in self.sizes:
            raise InputError(f"{self.title} has no size {config.size}; it has {', '.join(self.sizes)}")

    def warn_of_few(self, config: Config) -> None:
        """Say beforehand that there are too few images for a verdict: hours may be spent on nothing else."""
        count = self.images(config)
        if isinstance(config, ImageNet):
            count = min(count, len(config.find_items()))
        if count < FEWEST:
            warn(
                f"{count} images are too few to hold the paper's findings against: a verdict needs {FEWEST}, so the "
                "findings will not be testable; give more images"
            )


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """So many of the items, evenly over all."""
    if count >= len(items):
        return list(items)
    return [items[place * len(items) // count] for place in range(count)]
