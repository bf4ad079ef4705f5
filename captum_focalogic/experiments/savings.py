"""What coarser segmentation and merging save: the regions of images, counted before and after."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.errors import InputError
from captum_focalogic.experiments.findings import FEWEST, Estimate, Finding, untestable
from captum_focalogic.experiments.published import Published
from captum_focalogic.segmenters import Segmenter
from captum_focalogic.study import Item, StudySettings, mean_of
from captum_focalogic.study.explainer import Explainer, Prepared
from captum_focalogic.tables import Table

Floats = NDArray[np.float64]
Cut = Callable[[], Segmenter]
"""Makes a segmenter when it is needed."""


@dataclass(frozen=True, eq=False)
class Counts:
    """How many regions images are cut into.

    Attributes
    ----------
    steps : mapping of str to (N,) int
        By way of cutting, for each image; the first is what the others are held against.
    failed : int
        Images that could not be read or cut.
    """

    steps: Mapping[str, NDArray[np.int64]]
    failed: int = 0


def count_regions(plan: StudySettings, items: Sequence[Item], steps: Mapping[str, Cut]) -> Counts:
    """Cut images, as the plan's model sees them, in several ways.

    Raises
    ------
    InputError
        If no image could be read and cut.
    """
    explainer = Explainer(plan)
    images = [explainer.prepare(index, item) for index, item in enumerate(items)]
    readable = [image.image for image in images if isinstance(image, Prepared)]
    if not readable:
        raise InputError(f"none of {len(items)} images could be read and cut, so there are no regions to count")
    counted = {}
    for name, cut in steps.items():
        segmenter = cut()
        counted[name] = np.array([len(np.unique(np.asarray(segmenter(image)))) for image in readable])
    return Counts(counted, len(images) - len(readable))


def saved(before: NDArray[np.generic], after: NDArray[np.generic]) -> Estimate | None:
    """Mean share that is saved of something, with its bootstrap interval; None for too few images to say.

    Parameters
    ----------
    before, after : (N,)
        What it is, image by image; images of which there is nothing before are left out.
    """
    first, second = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    some = first > 0
    mean = mean_of(1 - second[some] / first[some])
    return None if mean.count < FEWEST else Estimate(mean.value, mean.low, mean.high, mean.count)


def savings_table(counts: Counts, caption: str, published: Published) -> Table:
    """Regions by way of cutting, and the share that each saves of the first."""
    (_, before), *_ = counts.steps.items()
    lines = [
        (name, str(len(found)), f"{found.mean():.1f}", "-" if place == 0 else _share(before, found))
        for place, (name, found) in enumerate(counts.steps.items())
    ]
    lines.append((f"the paper, {published.where}", "-", "-", f"{published.low:.0%} to {published.high:.0%}"))
    return Table(("", "images", "regions", "saved"), tuple(lines), caption)


def saves(claim: str, found: Estimate | None, published: Published) -> Finding:
    """Confirmed if the whole interval of the saved share lies within the published range."""
    if found is None or math.isnan(found.low):
        return untestable(claim, "", f"counted on fewer than {FEWEST} images")
    holds = published.low <= found.low and found.high <= published.high
    return Finding(claim, "", "confirmed" if holds else "not confirmed", f"{found}, {found.count} images")


def _share(before: NDArray[np.int64], after: NDArray[np.int64]) -> str:
    return str(mean_of(1 - after / before))
