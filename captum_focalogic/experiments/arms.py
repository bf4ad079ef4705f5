"""The arms of an experiment: models, images and plans that differ in one thing, each studied."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar

from captum_focalogic.experiments.workshop import Workshop
from captum_focalogic.study import Item, Mean, StudySettings, Summary, summarise

if TYPE_CHECKING:
    import pyarrow as pa

R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class Arm(Generic[R]):
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
    run: Callable[[Workshop], R]


@dataclass(frozen=True, eq=False)
class Trial:
    """What a study of an arm needs, made when it is its turn.

    Attributes
    ----------
    plan : StudySettings
        How the images are explained.
    items : sequence of Item
        The images.
    facts : mapping of str to float
        Numbers that belong to the arm and not to single images, such as an attack's success rate.
    """

    plan: StudySettings
    items: Sequence[Item]
    facts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Result:
    """An arm that was studied.

    Attributes
    ----------
    name : str
        The arm's.
    rows : pyarrow.Table
        One an image.
    facts : mapping of str to float
        See :class:`Trial`.
    """

    name: str
    rows: "pa.Table"
    facts: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def summary(self) -> Summary:
        """Means with their intervals, over all images that could be explained."""
        return summarise(self.rows, by=())

    def mean(self, column: str) -> Mean:
        """The mean of a column, such as "smallest_precision"; of "accuracy", the share of right predictions."""
        return self.summary[column]

    @property
    def seconds(self) -> float:
        """Seconds that the explanations took, loading and cutting left out."""
        return math.fsum(value or 0.0 for value in self.rows.column("explain_seconds").to_pylist())


@dataclass(frozen=True)
class Absent:
    """An arm that could not be done.

    Attributes
    ----------
    name : str
        The arm's.
    why : str
        What stood in the way.
    """

    name: str
    why: str


def studied(name: str, what: str, make: Callable[[Workshop], Trial]) -> Arm[Result]:
    """An arm whose images are explained as a study, which continues where it was broken off."""

    def run(workshop: Workshop) -> Result:
        trial = make(workshop)
        return Result(name, workshop.study(name, trial.plan, trial.items), trial.facts)

    return Arm(name, what, run)


def attempted(name: str, what: str, make: Callable[[Workshop], Trial | Absent]) -> Arm[Result | Absent]:
    """As :func:`studied`, for what may turn out to be impossible."""

    def run(workshop: Workshop) -> Result | Absent:
        trial = make(workshop)
        return trial if isinstance(trial, Absent) else studied(name, what, lambda _: trial).run(workshop)

    return Arm(name, what, run)
