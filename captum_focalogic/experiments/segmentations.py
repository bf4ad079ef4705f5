"""The ways to cut images under which metrics are held to be stable, and how many regions each makes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.demo.scenes import SceneConfig
from captum_focalogic.errors import InputError
from captum_focalogic.experiments.framework import ImageNet
from captum_focalogic.experiments.photos import Photos
from captum_focalogic.experiments.published import GRID, POINTS_PER_SIDE, Published
from captum_focalogic.names import whole_number
from captum_focalogic.regions import MIN_AREA
from captum_focalogic.segmenters import Felzenszwalb, Segmenter
from captum_focalogic.study import Item, StudySettings, mean_of
from captum_focalogic.study.explainer import Explainer, Prepared
from captum_focalogic.study.settings import Identified, segmenter_from_text
from captum_focalogic.tables import Table

SegmentationKind = Literal["reference", "setting", "segmenter", "stress"]
"""What the others are held against; the same segmenter set otherwise; another segmenter; a grid, blind to the image."""

POINTS: tuple[int, ...] = tuple(sorted(POINTS_PER_SIDE, key=lambda points: points != 12))
"""Points a side of Segment Anything's grid, as the paper has them; the first is the usual one here."""

_PATCHES = "grid:{}x{}".format(*GRID)

OWN = "own regions"

_BY_POINTS = {"sam": "points_per_side", "masks": "points_per_crop"}
"""Segmenters that ask a network for a mask at each point of a grid, and what they call its side."""


Cut = Callable[[], Segmenter]
"""Makes a segmenter when it is needed."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """One way to cut images.

    Attributes
    ----------
    name : str
        What it is called.
    what : str
        What it does, in one line.
    kind : {"reference", "setting", "segmenter", "stress"}
        See :data:`SegmentationKind`.
    against : str
        The segmentation it is held against.
    cut : callable
        Makes the segmenter; None where each image brings its own regions.
    scenes : SceneConfig, optional
        How scenes are cut that bring their own regions.
    """

    name: str
    what: str
    kind: SegmentationKind
    against: str
    cut: Callable[[], Segmenter | None]
    scenes: SceneConfig | None = None


def embedded_segmentations() -> list[Segmentation]:
    """Scenes by their own regions, and cut without knowledge of their objects."""
    own = partial(Segmentation, against=OWN, cut=lambda: None)
    return [
        own(OWN, "each object, and the background in 2x2 cells", "reference"),
        own(
            "own, whole background",
            "each object, and the background",
            "setting",
            scenes=SceneConfig(background_cells=1),
        ),
        own("own, 3x3 background", "each object, and 3x3 cells", "setting", scenes=SceneConfig(background_cells=3)),
        _named("slic:9", "segmenter", OWN),
        _named("slic:6", "setting", "slic 9"),
        _named("slic:12", "setting", "slic 9"),
        _named("felzenszwalb:9", "segmenter", OWN),
        _named("watershed:9", "segmenter", OWN),
        _named(_PATCHES, "stress", OWN),
    ]


def imagenet_segmentations(config: ImageNet) -> list[Segmentation]:
    """The segmenter that was asked for, its other settings, other segmenters, and the paper's 3x3 grid.

    The others are SLIC with several numbers of regions, and on photographs, where SLIC is the usual one, two that are
    given as many regions as it.
    """
    kind, _, text = config.segmenter.partition(":")
    reference = _title(config.segmenter)
    number = whole_number(text)
    if kind in _BY_POINTS:
        family = _by_points(kind, text, reference)
    else:
        family = [_named(config.segmenter, "reference", reference)]
        if number is not None:
            counts = _around(number)
            family += [_named(f"{kind}:{count}", "setting", reference) for count in counts]
    names = [f"slic:{count}" for count in (8, 12, 16)]
    if isinstance(config, Photos) and number is not None:
        names = [f"felzenszwalb:{number}", f"watershed:{number}"]
    others = [_named(name, "segmenter", reference) for name in names]
    stress = _named(_PATCHES, "stress", reference)
    known = {one.name for one in family}
    return [*family, *(one for one in (*others, stress) if one.name not in known)]


def merging_steps(segmenter: str | None) -> dict[str, Cut]:
    """Ways to cut an image with and without merging, finely and coarsely; the first saves nothing.

    Parameters
    ----------
    segmenter : str, optional
        By its command line name. Other than those that make masks, segmenters are given how many regions to find; then,
        and without one, Felzenszwalb's is counted, which finds as many as there are.
    """
    kind, _, text = (segmenter or "").partition(":")
    if kind in _BY_POINTS:
        most, coarse = max(POINTS), min(POINTS)
        made = partial(_masks, kind, text)
        return {
            f"{most} points a side": partial(made, most, 0.0),
            "merged below 0.001": partial(made, most, MIN_AREA),
            f"{coarse} points": partial(made, coarse, 0.0),
            f"{coarse} points, merged": partial(made, coarse, MIN_AREA),
        }
    fine = Felzenszwalb(None, 0.0)
    return {
        f"Felzenszwalb, scale {fine.scale:g}": lambda: fine,
        "merged below 0.001": lambda: replace(fine, min_area=MIN_AREA),
        f"scale {2 * fine.scale:g}": lambda: replace(fine, scale=2 * fine.scale),
        f"scale {2 * fine.scale:g}, merged": lambda: replace(fine, scale=2 * fine.scale, min_area=MIN_AREA),
    }


def _by_points(kind: str, text: str, reference: str) -> list[Segmentation]:
    usual, *others = POINTS
    first = Segmentation(
        reference,
        f"{kind}, {usual} points a side",
        "reference",
        reference,
        partial(_masks, kind, text, usual, MIN_AREA),
    )
    return [
        first,
        *(
            Segmentation(
                f"{reference}, {points} points",
                f"{kind}, {points} points a side",
                "setting",
                reference,
                partial(_masks, kind, text, points, MIN_AREA),
            )
            for points in others
        ),
    ]


def _masks(kind: str, text: str, points: int, min_area: float) -> Segmenter:
    options: dict[str, Any] = {_BY_POINTS[kind]: points, "min_area": min_area}
    identity = f"{kind}:{text}, {points} points, regions of {min_area:g}"
    if kind == "sam":
        from captum_focalogic.integrations.segment_anything import SamSegmenter

        return Identified(SamSegmenter(text or "vit_b", **options), identity)
    from captum_focalogic.integrations.transformers import TransformersSegmenter

    return Identified(TransformersSegmenter(text or "facebook/sam-vit-base", **options), identity)


def _named(text: str, kind: SegmentationKind, against: str) -> Segmentation:
    return Segmentation(_title(text), text, kind, against, partial(segmenter_from_text, text))


def _title(text: str) -> str:
    """A name that can be a folder's."""
    return text.replace(":", " ").replace("/", "-")


def _around(count: int) -> Sequence[int]:
    """A third fewer and a third more."""
    return [number for number in (max(2, round(count * 2 / 3)), round(count * 4 / 3)) if number != count]


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

    @classmethod
    def pooled(cls, runs: "Sequence[Counts]") -> "Counts":
        """The images of several seeds, one after another."""
        steps = {name: np.concatenate([run.steps[name] for run in runs]) for name in runs[0].steps}
        return cls(steps, sum(run.failed for run in runs))


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
        counted[name] = np.array([len(np.unique(explainer.cut(image, segmenter))) for image in readable])
    return Counts(counted, len(images) - len(readable))


def savings_table(counts: Counts, caption: str, published: Published) -> Table:
    """Regions by way of cutting, and the share that each saves of the first."""
    (_, before), *_ = counts.steps.items()
    lines = [
        (name, str(len(found)), f"{found.mean():.1f}", "-" if place == 0 else _share_saved(before, found))
        for place, (name, found) in enumerate(counts.steps.items())
    ]
    lines.append((f"the paper, {published.where}", "-", "-", f"{published.low:.0%} to {published.high:.0%}"))
    return Table(("", "images", "regions", "saved"), tuple(lines), caption)


def _share_saved(before: NDArray[np.int64], after: NDArray[np.int64]) -> str:
    return str(mean_of(1 - after / before))
