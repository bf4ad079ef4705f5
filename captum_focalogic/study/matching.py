"""Where the object is: masks from files, masks made to fit what the model sees, and the regions they cover."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from captum_focalogic import truth
from captum_focalogic.errors import InputError
from captum_focalogic.metrics import match_by_coverage, match_by_iou
from captum_focalogic.regions import Labels
from captum_focalogic.segmenters import read_label_map
from captum_focalogic.study.items import Item, Masks, Model
from captum_focalogic.study.rows import Truth

MatchKind = Literal["coverage", "iou"]

TruthSource = Callable[[Item, Tensor], NDArray[np.bool_] | NDArray[np.integer] | None]
"""``(item, image (3, H, W)) -> masks`` of the picture's size or the image's, or None where nothing is known."""


@dataclass(frozen=True)
class Match:
    """When a region counts as part of the object.

    Attributes
    ----------
    kind : {"coverage", "iou"}
        By the share of the region that lies inside the object, or by intersection over union with one of its masks
        (the paper's rule, which loses objects that were cut into several regions).
    threshold : float
        From where on it counts; 0.5 and 0.7 (the paper's) are usual.

    Raises
    ------
    InputError
        If the kind is unknown or the threshold is out of (0, 1].
    """

    kind: MatchKind = "coverage"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.kind not in ("coverage", "iou"):
            raise InputError(f"regions match the truth by 'coverage' or by 'iou'; got {self.kind!r}")
        if not 0 < self.threshold <= 1:
            raise InputError(f"the threshold must be above 0 and at most 1; got {self.threshold}")

    @classmethod
    def from_text(cls, text: str) -> "Match":
        """Read ``coverage``, ``iou``, or one of them with a threshold, such as ``iou:0.7``."""
        kind, colon, number = text.partition(":")
        if not colon:
            return cls("iou", 0.7) if kind == "iou" else cls(kind)  # type: ignore[arg-type]
        try:
            return cls(kind, float(number))  # type: ignore[arg-type]
        except ValueError as error:
            raise InputError(
                f"a match is coverage:THRESHOLD or iou:THRESHOLD, thresholds above 0 and up to 1; got {text!r}"
            ) from error

    def regions(self, label_map: Labels, masks: Masks) -> Truth:
        """Match the regions of an image with the object's masks (H, W) or (K, H, W)."""
        chosen = match_by_coverage if self.kind == "coverage" else match_by_iou
        regions = chosen(label_map, masks, self.threshold)
        iou, coverage = _overlaps(label_map, masks)
        return Truth(iou, coverage, regions)


@dataclass(frozen=True)
class MaskFiles:
    """Truth in files: for the image ``a/b.jpg`` the mask ``FOLDER/a/b.png``, not 0 where the object is.

    Attributes
    ----------
    folder : Path
        Where the masks are. An image without a mask has no truth.
    """

    folder: Path

    def __call__(self, item: Item, image: Tensor) -> Masks | None:  # noqa: ARG002 (a TruthSource)
        """The mask of an item, in the size it has in its file."""
        for suffix in (".png", ".npy"):
            path = self.folder / Path(item.id).with_suffix(suffix)
            if path.is_file():
                return read_mask(path)
        return None


@dataclass(frozen=True, eq=False)
class LabelTruth:
    """Truth that is found by the name of an image's class, such as Grounded-SAM's.

    Attributes
    ----------
    source : callable
        ``(image (3, H, W), label) -> Truth``.
    labels : sequence of str
        Class names; of "tench, Tinca tinca" the first is asked for.
    identity : str
        What tells it from other truths.
    """

    source: truth.TruthSource
    labels: Sequence[str]
    identity: str

    def __call__(self, item: Item, image: Tensor) -> Masks | None:
        """Masks of what the item's class names; None where its class is not known or nothing is found."""
        if item.label is None or not 0 <= item.label < len(self.labels):
            return None
        found = self.source(image, self.labels[item.label].partition(",")[0])
        return found.masks if len(found) else None


def read_mask(path: str | Path) -> Masks:
    """Read a mask from a picture or a NumPy file: True where a value is not 0.

    Raises
    ------
    InputError
        If the file cannot be read, or is a colour picture.
    """
    return np.asarray(read_label_map(path) != 0)


def fit_masks(masks: NDArray[np.generic], picture: Image.Image | Tensor, image: Tensor, model: Model) -> Masks:
    """Masks in the size that the model sees.

    Parameters
    ----------
    masks : (H, W) or (K, H, W)
        Of the picture's size or the image's; not 0 where the object is.
    picture : PIL.Image.Image or Tensor
        What the image was made from.
    image : (3, H, W) Tensor
        What the model sees.
    model : Model
        Who sees it.

    Raises
    ------
    InputError
        If the masks are of another size, or how the model crops pictures is not known.
    """
    given = np.asarray(masks)
    if given.ndim not in (2, 3):
        raise InputError(f"a mask must be (H, W), or (K, H, W) for several; got shape {given.shape}")
    given = np.asarray(given != 0)
    if given.shape[-2:] == tuple(image.shape[1:]):
        return given
    parts = given[None] if given.ndim == 2 else given
    fitted = [fit_labels(part.astype(np.int64), picture, image, model, "mask") != 0 for part in parts]
    return np.asarray(fitted[0] if given.ndim == 2 else fitted)


def fit_labels(
    label_map: Labels, picture: Image.Image | Tensor, image: Tensor, model: Model, what: str = "label map"
) -> Labels:
    """A label map in the size that the model sees; parameters and errors as :func:`fit_masks`."""
    height, width = image.shape[1:]
    if label_map.shape == (height, width):
        return label_map
    if not isinstance(picture, Image.Image) or label_map.shape != (picture.height, picture.width):
        raise InputError(
            f"the {what} is {label_map.shape[1]}x{label_map.shape[0]} pixels (width x height), but the model sees "
            f"{width}x{height}; make it of that size, or of the picture's"
        )
    if model.see_labels is None:
        raise InputError(
            f"the {what} is of the picture's size, but how {model.name} crops pictures is not known; make it "
            f"{width}x{height} (width x height), the size that the model sees"
        )
    return model.see_labels(label_map)


def _overlaps(label_map: Labels, masks: Masks) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Largest IoU of each region with one mask, and its share inside all of them, (M,) each."""
    columns = np.unique(label_map, return_inverse=True)[1].reshape(label_map.shape)
    sizes = np.bincount(columns.reshape(-1))
    parts = masks[None] if masks.ndim == 2 else masks
    inside = np.stack([np.bincount(columns[part], minlength=len(sizes)) for part in parts])
    union = sizes + parts.sum(axis=(1, 2))[:, None] - inside
    covered = np.bincount(columns[parts.any(axis=0)], minlength=len(sizes))
    return (inside / union).max(axis=0), covered / sizes
