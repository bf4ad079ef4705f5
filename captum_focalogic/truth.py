"""Ground truth: masks of what an image shows, and the regions that match them (paper section 3.4).

A source of ground truth is any callable that maps an image, a (3, H, W) float tensor in [0, 1], and a label to a
:class:`Truth`. Sources that ask networks or read files are in :mod:`captum_focalogic.integrations`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from captum_focalogic.errors import InputError
from captum_focalogic.metrics import match_by_coverage, match_by_iou

Bools = NDArray[np.bool_]

TruthSource = Callable[[Any, str], "Truth"]
"""Image (3, H, W) in [0, 1] and label to the masks of what the label names."""

Rule = Literal["iou", "coverage"]

_RULES: dict[str, tuple[Callable[..., Bools], float]] = {
    "iou": (match_by_iou, 0.7),
    "coverage": (match_by_coverage, 0.5),
}


@dataclass(frozen=True, eq=False)
class Truth:
    """Masks of the objects in an image.

    Attributes
    ----------
    masks : (K, H, W) bool
        One an object; they may overlap. K may be 0.
    labels : tuple of str
        What each mask shows.

    Raises
    ------
    InputError
        If the shapes do not agree.
    """

    masks: Bools
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        shape = np.shape(self.masks)
        if len(shape) != 3 or shape[0] != len(self.labels):
            raise InputError(f"masks must be (K, H, W) with one label each; got {shape} and {len(self.labels)} labels")
        if np.asarray(self.masks).dtype != np.bool_:
            raise InputError(f"masks must be Boolean; got {np.asarray(self.masks).dtype}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.masks.shape[1], self.masks.shape[2]

    @cached_property
    def union(self) -> Bools:
        """Pixels of any mask, (H, W)."""
        return np.asarray(self.masks.any(axis=0))

    def of(self, label: str) -> "Truth":
        """Only the masks of one label, capitals or not; none if there is no such mask."""
        wanted = label.strip().casefold()
        chosen = [index for index, own in enumerate(self.labels) if own.strip().casefold() == wanted]
        return Truth(self.masks[chosen], tuple(self.labels[index] for index in chosen))

    def resized(self, size: tuple[int, int]) -> "Truth":
        """The masks at another height and width, nearest pixel."""
        height, width = size
        rows = np.arange(height) * self.size[0] // height
        columns = np.arange(width) * self.size[1] // width
        return Truth(np.ascontiguousarray(self.masks[:, rows][:, :, columns]), self.labels)


def truth_from_mask(mask: ArrayLike, label: str, *, instances: bool = False) -> Truth:
    """Ground truth from one mask.

    Parameters
    ----------
    mask : (H, W) bool
        Pixels of what the label names; all False for nothing.
    label : str
        What it shows.
    instances : bool
        Whether parts that do not touch are objects of their own.
    """
    pixels = np.asarray(mask, dtype=np.bool_)
    if pixels.ndim != 2:
        raise InputError(f"a mask must be (H, W); got {pixels.shape}")
    if not pixels.any():
        return Truth(np.zeros((0, *pixels.shape), dtype=np.bool_), ())
    if not instances:
        return Truth(pixels[None], (label,))
    parts, count = ndimage.label(pixels, structure=np.ones((3, 3)))
    return Truth(np.stack([parts == index for index in range(1, count + 1)]), (label,) * count)


def join(truths: Sequence[Truth]) -> Truth:
    """All masks of several ground truths of one image.

    Raises
    ------
    InputError
        If there are none, or their sizes differ.
    """
    if not truths or len({truth.size for truth in truths}) != 1:
        raise InputError(f"ground truths of one image must have one size; got {[truth.size for truth in truths]}")
    labels = tuple(label for truth in truths for label in truth.labels)
    return Truth(np.concatenate([truth.masks for truth in truths]), labels)


@dataclass(frozen=True, eq=False)
class Match:
    """Which regions are ground truth.

    Attributes
    ----------
    regions : (M,) bool
        The ground-truth regions, in ascending order of ids; what the metrics take as ``truth``.
    by_mask : (K, M) bool
        Regions that match each mask; one row for the union.
    labels : tuple of str
        What each row of ``by_mask`` shows.
    rule : str
        "iou" or "coverage".
    threshold : float
        The least share that counts as a match.
    """

    regions: Bools
    by_mask: Bools
    labels: tuple[str, ...]
    rule: Rule
    threshold: float

    @property
    def unmatched(self) -> tuple[int, ...]:
        """Masks that no region matches: what they show is lost to the metrics."""
        return tuple(np.flatnonzero(~self.by_mask.any(axis=1)).tolist())

    def __str__(self) -> str:
        lost = ", ".join(f"{self.labels[index]} (mask {index + 1})" for index in self.unmatched)
        said = f"{int(self.regions.sum())} of {len(self.regions)} regions match by {self.rule} >= {self.threshold:g}"
        return f"{said}; matched by no region: {lost}" if lost else said


def match_regions(
    label_map: ArrayLike,
    truth: Truth,
    rule: Rule = "iou",
    threshold: float | None = None,
    *,
    union: bool = False,
) -> Match:
    """Match regions with ground truth.

    Parameters
    ----------
    label_map : (H, W) int
        Region id of every pixel.
    truth : Truth
        Masks of the same size.
    rule : {"iou", "coverage"}
        By intersection over union (the paper's), or by the share of the region inside the mask. By intersection over
        union, a region that is a part of an object does not match, so objects cut into several regions are lost.
    threshold : float, optional
        Least share that matches; 0.7 for "iou" (the paper's), 0.5 for "coverage".
    union : bool
        Match with all masks taken together, rather than with each mask.

    Returns
    -------
    Match

    Raises
    ------
    InputError
        If the sizes differ, or the rule or the threshold is not one.
    """
    if rule not in _RULES:
        raise InputError(f"rule must be one of {', '.join(_RULES)}; got {rule!r}")
    labels = np.asarray(label_map)
    if labels.shape != truth.size:
        raise InputError(f"the label map is {labels.shape} but the ground truth is {truth.size}; resize it first")
    matching, usual = _RULES[rule]
    threshold = usual if threshold is None else threshold
    masks, names = truth.masks, truth.labels
    if union and len(truth):
        masks, names = truth.union[None], (" or ".join(dict.fromkeys(truth.labels)),)
    rows = [matching(labels, mask, threshold) for mask in masks]
    by_mask = np.array(rows, dtype=np.bool_).reshape(len(masks), len(np.unique(labels)))
    return Match(np.asarray(by_mask.any(axis=0)), by_mask, names, rule, threshold)
