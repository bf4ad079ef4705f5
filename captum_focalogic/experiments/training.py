"""What becomes of focus in training: checkpoints of a broad and a specialised model, figures 6, 7, 12 and 13."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from captum_focalogic.experiments.arms import Arm, Result, studied
from captum_focalogic.experiments.catalogue import Experiment
from captum_focalogic.experiments.configuration import Config, Embedded
from captum_focalogic.experiments.courses import (
    BROAD,
    CHANCE,
    RIGHT,
    SPECIAL_RULE,
    SPECIALISED,
    Course,
    checkpoints,
    scene_courses,
)
from captum_focalogic.experiments.figures import READINGS, new_figure
from captum_focalogic.experiments.findings import Estimate, Finding, change, rises, untestable
from captum_focalogic.experiments.outcome import Outcome
from captum_focalogic.experiments.published import EPOCHS
from captum_focalogic.experiments.tables import measure_table
from captum_focalogic.experiments.workshop import Workshop
from captum_focalogic.study import MEASURES, Mean
from captum_focalogic.tables import Table

HALFWAY = 0.5
"""A checkpoint is sufficiently trained from this share of the way from guessing to the best checkpoint on."""

LATER = 0.75
"""Changes are also measured from this share of the way on: do they last, or do they belong to the beginning?"""

LEARNT = 0.1
"""The best checkpoint has to be right more often than guessing by this much, or nothing was learnt."""

_CLAIMS = (
    (SPECIALISED, "divergence", "specialised model: divergence grows in training"),
    (SPECIALISED, "precision", "specialised model: focus becomes more precise in training"),
    (BROAD, "precision", "broad model: focus becomes more precise in training"),
)


@dataclass(frozen=True, eq=False)
class Followed:
    """A training whose checkpoints were studied.

    Attributes
    ----------
    name : str
        Of the training.
    epochs : list of int
        After which a checkpoint was studied.
    results : list of Result
        One a checkpoint.
    """

    name: str
    epochs: list[int]
    results: list[Result]

    @property
    def accuracies(self) -> list[float]:
        """Of each checkpoint, on what it was not trained on."""
        return [result.facts[RIGHT] for result in self.results]

    def start(self, share: float = HALFWAY) -> int | None:
        """Place of the first sufficiently trained checkpoint."""
        return first_trained(self.accuracies, self.results[0].facts[CHANCE], share)

    def span(self, share: float = HALFWAY) -> str:
        """From which epoch to which changes are measured."""
        start = self.start(share)
        return "-" if start is None else f"epoch {self.epochs[start]} to {self.epochs[-1]}"

    def change(self, column: str, right_only: bool = True, share: float = HALFWAY) -> Estimate | None:
        """From the first sufficiently trained checkpoint to the last; over all images, or those right in both.

        None if there are no two such checkpoints, or too few images.
        """
        start = self.start(share)
        if start is None or start == len(self.results) - 1:
            return None
        first, last = self.results[start], self.results[-1]
        if right_only:
            first, last = _right(first), _right(last)
        ids = [set(result.rows.column("id").to_pylist()) for result in (first, last)]
        return change(first, last, column) if ids[0] & ids[1] else None


def first_trained(accuracies: Sequence[float], chance: float, share: float = HALFWAY) -> int | None:
    """The first checkpoint that has come so far on the way from guessing to the best one.

    Returns
    -------
    int or None
        Its place; None if even the best one is hardly better than guessing.

    Examples
    --------
    >>> first_trained([0.5, 0.6, 0.8, 0.9], chance=0.5)
    2
    """
    best = max(accuracies)
    if best < chance + LEARNT:
        return None
    return next(place for place, value in enumerate(accuracies) if value >= chance + share * (best - chance))


def _courses(config: Config) -> list[Course]:
    if isinstance(config, Embedded):
        return scene_courses(config)
    from captum_focalogic.experiments.picture_courses import picture_courses

    return picture_courses(config)


def _arms(config: Config) -> list[Arm[Result]]:
    return [
        studied(
            f"{course.name}, epoch {epoch}",
            f"train on {course.what} for {epoch} of {config.epochs} epochs; explain {config.images} images",
            partial(_trial, course, epoch),
        )
        for course in _courses(config)
        for epoch in checkpoints(config.epochs)
    ]


def _trial(course: Course, epoch: int, workshop: Workshop) -> Any:
    return course.trial(workshop, epoch)


def _conclude(config: Config, results: Sequence[Result]) -> Outcome:
    epochs = checkpoints(config.epochs)
    halves = (BROAD, results[: len(epochs)]), (SPECIALISED, results[len(epochs) :])
    followed = {name: Followed(name, epochs, list(half)) for name, half in halves}
    table = measure_table(
        results,
        "Means over images with 95 % intervals. “held out” is the accuracy on all classes of the training, accuracy "
        "that on the explained images.",
        arm="checkpoint",
        facts={RIGHT: ".1%"},
    )
    findings = [
        _finding(followed[name], measure, claim, reading, followed[BROAD] if measure == "divergence" else None)
        for name, measure, claim in _CLAIMS
        for reading in READINGS
    ]
    return Outcome([table, _changes(followed)], _figure(followed), findings, _notes(config, followed))


def _finding(followed: Followed, measure: str, claim: str, reading: str, beside: Followed | None = None) -> Finding:
    start = followed.start()
    if start is None:
        return untestable(claim, reading, f"no checkpoint is better than guessing by {LEARNT:.0%}")
    if start == len(followed.results) - 1:
        return untestable(claim, reading, "only the last checkpoint is sufficiently trained")
    column = f"{reading}_{measure}"
    finding = rises(claim, reading, followed.change(column))
    evidence = f"{finding.evidence}, {followed.span()}, right in both"
    later = followed.change(column, share=LATER)
    if later is not None and followed.start(LATER) != start:
        evidence += f"; {followed.span(LATER)}: {later}"
    compared = None if beside is None else beside.change(column)
    if beside is not None and compared is not None:
        evidence += f"; {beside.name} model: {compared}, {beside.span()}"
    return replace(finding, evidence=evidence)


def _changes(followed: Mapping[str, Followed]) -> Table:
    choices = ((HALFWAY, False), (HALFWAY, True), (LATER, True))
    lines = [
        _change_line(course, reading, share, right_only)
        for course in followed.values()
        for reading in READINGS
        for share, right_only in choices
    ]
    return Table(
        ("model", "from, to", "states", "images", "number", *MEASURES),
        tuple(lines),
        f"Changes to the last checkpoint from the first one that has come {HALFWAY:.0%} of the way from guessing to "
        f"the best one, and from the first that has come {LATER:.0%}; paired, with 95 % intervals.",
    )


def _change_line(course: Followed, reading: str, share: float, right_only: bool) -> tuple[str, ...]:
    found = [course.change(f"{reading}_{measure}", right_only, share) for measure in MEASURES]
    counts = sorted({estimate.count for estimate in found if estimate is not None})
    images = " to ".join(map(str, counts[:1] + counts[1:][-1:])) or "-"
    told = "right in both" if right_only else "all"
    return (course.name, course.span(share), reading, told, images, *(str(estimate or "-") for estimate in found))


def _right(result: Result) -> Result:
    return Result(result.name, result.rows.filter(result.rows.column("correct")), result.facts)


def _figure(followed: Mapping[str, Followed]) -> Any:
    """A row for each reading: precision, recall and divergence over the epochs; accuracy at the end of the first."""
    figure, panels = new_figure(len(MEASURES) + 1, width=11.0, height=5.2, rows=len(READINGS))
    columns = len(MEASURES) + 1
    for row, reading in enumerate(READINGS):
        for panel, measure in zip(panels[row * columns :], MEASURES, strict=False):
            for course in followed.values():
                means = [result.mean(f"{reading}_{measure}") for result in course.results]
                panel.errorbar(
                    course.epochs,
                    [mean.value for mean in means],
                    yerr=[[_below(mean) for mean in means], [_above(mean) for mean in means]],
                    capsize=2,
                    marker="o",
                    ms=3,
                    label=course.name,
                )
            panel.set_title(f"{measure}, {reading} states", fontsize=9)
    for place, (title, last) in enumerate((("accuracy on held-out images", RIGHT), ("accuracy, explained images", ""))):
        panel = panels[place * columns + len(MEASURES)]
        for course in followed.values():
            values = course.accuracies if last else [result.mean("accuracy").value for result in course.results]
            panel.plot(course.epochs, values, marker="o", ms=3, label=course.name)
        panel.set_title(title, fontsize=9)
    for panel in panels:
        panel.set_xscale("log")
        epochs = next(iter(followed.values())).epochs
        panel.set_xticks(epochs, [str(epoch) for epoch in epochs])
        panel.minorticks_off()
        panel.set_xlabel("epochs")
    panels[0].legend(frameon=False, fontsize=7)
    return figure


def _below(mean: Mean) -> float:
    return max(0.0, mean.value - mean.low) if mean.count > 1 else 0.0


def _above(mean: Mean) -> float:
    return max(0.0, mean.high - mean.value) if mean.count > 1 else 0.0


def _notes(config: Config, followed: Mapping[str, Followed]) -> list[str]:
    paper = f"The paper follows {EPOCHS} epochs, this run {config.epochs}."
    spans = "; ".join(f"{course.name}, {course.span()}" for course in followed.values())
    rule = (
        "Sufficiently trained: at least half of the way from guessing to the best checkpoint, on held-out images. "
        f"Findings are about the change from there to the last checkpoint: {spans}."
    )
    both = (
        "The findings are about images that both checkpoints get right. A wrong answer explains another class, and one "
        "that the baseline alone gets too has divergence 0 for no reason of focus; the second table has all images too."
    )
    if not isinstance(config, Embedded):
        return [paper, rule, both]
    return [
        paper,
        rule,
        both,
        "Both models are SceneNetworks, with the same number of scenes (64 pixels a side), passes and regions taken "
        f"away. Broad: scenes of all three classes. Specialised: scenes of rule {SPECIAL_RULE} and of no rule; it has "
        "two classes and never sees the other rule met. Both are asked about the same scenes of that rule.",
        f"Accuracy on the explained images is that on scenes of rule {SPECIAL_RULE} alone.",
    ]


EXPERIMENT = Experiment("Focus in training", "figures 6, 7, 12 and 13", _arms, _conclude, trains=True)
"""Checkpoints of a broad and of a specialised model."""
