"""Ground truth: masks of what an image shows, and the regions that match them (paper section 3.4).

Three rules hold wherever the package deals with ground truth, and are said here only:

- **A pixel of a mask file is the object if it is not 0** (:func:`read_mask`), so that files of 0 and 1 and of 0 and 255
  mean the same.
- **Void counts nowhere.** Class masks in Pascal VOC's manner mark pixels that nobody could assign with 255. They belong
  neither to an object nor to its surroundings: no intersection, no union and no area has them.
- **Regions match by** :data:`DEFAULT_MATCH` where nothing else is asked for: at least half of the region lies inside
  the object. The paper's rule is ``"iou:0.7"``; it loses objects that were cut into several regions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captum_focalogic.arrays import Bools, Floats
from captum_focalogic.errors import InputError
from captum_focalogic.files import read_array

if TYPE_CHECKING:
    from PIL import Image


GroundTruthSource = Callable[[Any, str, str], "GroundTruth | None"]
"""``(image, label, name) -> GroundTruth``: what says where the object is.

The image is a (3, H, W) float tensor in [0, 1], as the model sees it; the label what it shows, "" where that is not
known; the name tells the image from others, such as its path in a folder. None, and a ground truth without masks, mean
that nothing is known. Sources that ask networks or read annotations are in :mod:`captum_focalogic.integrations`."""

MatchKind = Literal["coverage", "iou"]

VOID = 255
"""Pascal VOC's value for pixels that nobody could assign."""

MAX_MASK_PIXELS = 1 << 28
"""Pixels of all masks of an image together; each takes a byte."""

_USUAL: dict[str, float] = {"iou": 0.7, "coverage": 0.5}


@dataclass(frozen=True)
class Match:
    """When a region counts as ground truth.

    Attributes
    ----------
    kind : {"coverage", "iou"}
        By the share of the region that lies inside the object, or by intersection over union with one of its masks
        (the paper's rule, which loses objects that were cut into several regions).
    threshold : float
        From where on it counts.

    Raises
    ------
    InputError
        If the kind is unknown or the threshold is out of (0, 1].
    """

    kind: MatchKind
    threshold: float

    def __post_init__(self) -> None:
        if self.kind not in _USUAL or not 0 < self.threshold <= 1:
            raise _no_match(f"{self.kind}:{self.threshold}")

    @classmethod
    def from_text(cls, text: str) -> "Match":
        """Read ``coverage:0.5``, ``iou:0.7``, or the kind alone: 0.5 for coverage, 0.7 (the paper's) for iou."""
        kind, colon, number = text.partition(":")
        if kind not in _USUAL:
            raise _no_match(text)
        try:
            return cls(cast(MatchKind, kind), float(number) if colon else _USUAL[kind])
        except ValueError as error:
            raise _no_match(text) from error

    def __str__(self) -> str:
        return f"{self.kind}:{self.threshold:g}"

    @property
    def words(self) -> str:
        """The rule for people."""
        if self.kind == "iou":
            return f"intersection over union at least {self.threshold:g}"
        return f"at least {'half' if self.threshold == 0.5 else format(self.threshold, '.0%')} of the region lies on it"


def _no_match(text: object) -> InputError:
    return InputError(
        "regions match by 'coverage' or by 'iou', as in coverage:0.5 or iou:0.7, with a threshold above 0 and up to 1; "
        f"got {text!r}"
    )


DEFAULT_MATCH = Match("coverage", _USUAL["coverage"])
"""The rule of studies, reports and :func:`match_regions` where nothing else is asked for."""


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Masks of the objects in an image.

    Attributes
    ----------
    masks : (K, H, W) bool
        One an object; they may overlap. K may be 0.
    labels : tuple of str
        What each mask shows.
    void : (H, W) bool, optional
        Pixels that count nowhere.

    Raises
    ------
    InputError
        If the shapes do not agree.
    """

    masks: Bools
    labels: tuple[str, ...]
    void: Bools | None = None

    def __post_init__(self) -> None:
        shape = np.shape(self.masks)
        if len(shape) != 3 or shape[0] != len(self.labels):
            raise InputError(f"masks must be (K, H, W) with one label each; got {shape} and {len(self.labels)} labels")
        if self.void is not None and np.shape(self.void) != shape[1:]:
            raise InputError(f"void must be as large as the masks, {shape[1:]}; got {np.shape(self.void)}")
        for name, pixels in (("masks", self.masks), ("void", self.void)):
            if pixels is not None and np.asarray(pixels).dtype != np.bool_:
                raise InputError(f"{name} must be Boolean; got {np.asarray(pixels).dtype}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.masks.shape[1], self.masks.shape[2]

    @cached_property
    def union(self) -> Bools:
        """Pixels of any mask that are not void, (H, W)."""
        pixels = self.masks.any(axis=0)
        return np.asarray(pixels if self.void is None else pixels & ~self.void)

    def of(self, label: str) -> "GroundTruth":
        """Only the masks of one label, capitals or not; none if there is no such mask."""
        wanted = label.strip().casefold()
        chosen = [index for index, own in enumerate(self.labels) if own.strip().casefold() == wanted]
        return GroundTruth(self.masks[chosen], tuple(self.labels[index] for index in chosen), self.void)

    def resized(self, size: tuple[int, int]) -> "GroundTruth":
        """The masks at another height and width, nearest pixel."""
        height, width = size
        rows = np.arange(height) * self.size[0] // height
        columns = np.arange(width) * self.size[1] // width
        return self.mapped(lambda pixels: pixels[rows][:, columns])

    def mapped(self, change: Callable[[Bools], Bools]) -> "GroundTruth":
        """The ground truth after a change of its pixels, (H, W) to (H', W'), the same for every mask and for void."""
        if not len(self):
            size = change(np.zeros(self.size, dtype=np.bool_)).shape
            masks = np.zeros((0, *size), dtype=np.bool_)
        else:
            masks = np.stack([np.ascontiguousarray(change(mask)) for mask in self.masks])
        void = None if self.void is None else np.ascontiguousarray(change(self.void))
        return GroundTruth(masks, self.labels, void)

    def of_size(self, size: tuple[int, int], what: str = "the mask") -> "GroundTruth":
        """The same, if it is as high and wide as that.

        Raises
        ------
        InputError
            If it is of another size; ``what`` says what is.
        """
        if self.size != tuple(size):
            raise InputError(
                f"{what} has {self.size[1]}x{self.size[0]} pixels (width x height); "
                f"expected {size[1]}x{size[0]}, what the model sees"
            )
        return self


def check_room(count: int, size: Sequence[int]) -> None:
    """Refuse more masks of (height, width) than memory should be taken for on a file's word.

    Raises
    ------
    InputError
        If they hold more than :data:`MAX_MASK_PIXELS`.
    """
    height, width = size
    if count * height * width > MAX_MASK_PIXELS:
        raise InputError(
            f"{count:,} mask(s) of {width}x{height} pixels are more than the {MAX_MASK_PIXELS:,} pixels that are read "
            "for an image; scale the image and what is said about it down"
        )


def nothing(size: tuple[int, int]) -> GroundTruth:
    """Ground truth of an image in which nothing was found."""
    return GroundTruth(np.zeros((0, *size), dtype=np.bool_), ())


def as_ground_truth(masks: GroundTruth | ArrayLike, label: str = "object") -> GroundTruth:
    """Ground truth from masks at hand.

    Parameters
    ----------
    masks : GroundTruth, (H, W) bool, or (K, H, W) bool
        Numbers are taken if they are 0 and 1.
    label : str
        What masks without a label show.

    Raises
    ------
    InputError
        If they are something else.
    """
    if isinstance(masks, GroundTruth):
        return masks
    pixels = np.asarray(masks)
    if pixels.dtype != np.bool_ and not (pixels.dtype.kind in "iuf" and np.isin(pixels, (0, 1)).all()):
        raise InputError(f"a mask must be Boolean (or 0 and 1); got other values of type {pixels.dtype}")
    if pixels.ndim not in (2, 3):
        raise InputError(f"a mask must be (H, W), or (K, H, W) for several; got shape {pixels.shape}")
    stack = pixels if pixels.ndim == 3 else pixels[None]
    return GroundTruth(stack.astype(np.bool_), (label,) * len(stack))


def ground_truth_from_mask(
    mask: ArrayLike, label: str, *, instances: bool = False, void: Bools | None = None
) -> GroundTruth:
    """Ground truth from one mask.

    Parameters
    ----------
    mask : (H, W)
        True, or not 0, where what the label names is; all False for nothing.
    label : str
        What it shows.
    instances : bool
        Whether parts that do not touch are objects of their own.
    void : (H, W) bool, optional
        Pixels that count nowhere.
    """
    pixels = np.asarray(mask, dtype=np.bool_)
    if pixels.ndim != 2:
        raise InputError(f"a mask must be (H, W); got {pixels.shape}")
    if not pixels.any():
        return GroundTruth(np.zeros((0, *pixels.shape), dtype=np.bool_), (), void)
    if not instances:
        return GroundTruth(pixels[None], (label,), void)
    from scipy import ndimage

    parts, count = ndimage.label(pixels, structure=np.ones((3, 3)))
    check_room(count, pixels.shape)
    return GroundTruth(np.stack([parts == index for index in range(1, count + 1)]), (label,) * count, void)


def join(truths: Sequence[GroundTruth]) -> GroundTruth:
    """All masks of several ground truths of one image; what is void in one of them counts nowhere.

    Raises
    ------
    InputError
        If there are none, or their sizes differ.
    """
    if not truths or len({truth.size for truth in truths}) != 1:
        raise InputError(f"ground truths of one image must have one size; got {[truth.size for truth in truths]}")
    labels = tuple(label for truth in truths for label in truth.labels)
    voids = [truth.void for truth in truths if truth.void is not None]
    void = np.asarray(np.any(voids, axis=0)) if voids else None
    return GroundTruth(np.concatenate([truth.masks for truth in truths]), labels, void)


def read_mask(
    source: "str | Path | Image.Image | NDArray[np.generic]",
    label: str = "object",
    *,
    value: int | None = None,
    void: int | Literal["auto"] | None = "auto",
    instances: bool = False,
) -> GroundTruth:
    """Ground truth from a mask file: every pixel that is not 0 is the object, unless it is void.

    Parameters
    ----------
    source : path, PIL.Image.Image, or (H, W) integer array
        A lossless image with one channel or a palette (a grey image saved in colours will do), or a NumPy ``.npy``
        file with an integer or Boolean array.
    label : str
        What the mask shows.
    value : int, optional
        The object's value in a mask that has one value a class; all other values are then its surroundings, and 255
        is void. By default every value but 0 is the object.
    void : int, None or "auto"
        The value of pixels that count nowhere, None for none. By itself 255 is taken for void in what looks like a
        class mask of Pascal VOC: an image with a palette in which every value has VOC's colour, or one channel
        that holds class numbers, 1 to 20, beside the 255. In a mask of 0 and 255, and in one with other greys, 255
        is the object.
    instances : bool
        Whether parts that do not touch are objects of their own.

    Returns
    -------
    GroundTruth
        One mask (several with ``instances``); one of no pixels if there is no object.

    Raises
    ------
    InputError
        If it cannot be read, or is no mask: a colour image, a JPEG (which changes pixel values), fractions.
    """
    values, like_voc = _mask_values(source)
    if void == "auto":
        void = VOID if (like_voc if value is None else value != VOID) else None
    unknown = None if void is None else values == void
    pixels = values != 0 if value is None else values == value
    if unknown is not None:
        pixels &= ~unknown
        unknown = unknown if unknown.any() else None
    if not pixels.any():
        return GroundTruth(pixels[None], (label,), unknown)
    return ground_truth_from_mask(pixels, label, instances=instances, void=unknown)


@dataclass(frozen=True)
class MaskFiles:
    """A source of ground truth: for the image ``a/b.jpg`` the mask ``FOLDER/a/b.png`` or ``FOLDER/a/b.npy``.

    Attributes
    ----------
    folder : Path
        Where the masks are, read by :func:`read_mask`. An image without a mask has no ground truth.
    """

    folder: Path

    @classmethod
    def from_text(cls, text: str) -> "MaskFiles":
        """The masks in a folder.

        Raises
        ------
        InputError
            If there is no such folder.
        """
        if not Path(text).is_dir():
            raise InputError(f"there is no folder {text} of masks")
        return cls(Path(text).resolve())

    def __call__(self, image: Any, label: str, name: str) -> GroundTruth | None:  # noqa: ARG002 (a GroundTruthSource)
        """The mask of an image, in the size it has in its file."""
        for suffix in (".png", ".npy"):
            path = self.folder / Path(name).with_suffix(suffix)
            if path.is_file():
                return read_mask(path, label or "object")
        return None


@dataclass(frozen=True, eq=False)
class MatchedRegions:
    """Which regions are ground truth.

    Attributes
    ----------
    regions : (M,) bool
        The ground-truth regions, in ascending order of ids; what the metrics take as ``truth``.
    by_mask : (K, M) bool
        Regions that match each mask; one row where all masks were matched together.
    labels : tuple of str
        What each row of ``by_mask`` shows.
    iou, coverage : (M,) float64
        For each region: its largest intersection over union with one of the masks, and its share inside all of them.
    known : (M,) float64
        Share of each region that is not void: 1 but for class masks in Pascal VOC's manner. Areas are multiplied by it
        for precision and recall, so that void pixels count nowhere.
    match : Match
        The rule.
    """

    regions: Bools
    by_mask: Bools
    labels: tuple[str, ...]
    iou: Floats
    coverage: Floats
    known: Floats
    match: Match

    @property
    def unmatched(self) -> tuple[int, ...]:
        """Masks that no region matches: what they show is lost to the metrics."""
        return tuple(np.flatnonzero(~self.by_mask.any(axis=1)).tolist())

    def __str__(self) -> str:
        lost = ", ".join(f"{self.labels[index]} (mask {index + 1})" for index in self.unmatched)
        count = f"{int(self.regions.sum())} of {len(self.regions)} regions"
        said = f"{count} match by {self.match.kind} >= {self.match.threshold:g}"
        return f"{said}; matched by no region: {lost}" if lost else said


def match_regions(
    label_map: ArrayLike,
    truth: GroundTruth | ArrayLike,
    match: Match | str = DEFAULT_MATCH,
    *,
    union: bool | None = None,
) -> MatchedRegions:
    """Match regions with ground truth.

    Parameters
    ----------
    label_map : (H, W) int
        Region id of every pixel.
    truth : GroundTruth, (H, W) bool, or (K, H, W) bool
        Masks of the same size.
    match : Match or str
        The rule, such as ``"iou:0.7"`` (the paper's) or ``"coverage:0.5"``. By intersection over union, a region that
        is a part of an object does not match, so objects cut into several regions are lost.
    union : bool, optional
        Match with all masks taken together, rather than with each mask; by default for coverage and not for
        intersection over union.

    Returns
    -------
    MatchedRegions

    Raises
    ------
    InputError
        If the sizes differ, a mask is not Boolean, or the rule is none.
    """
    rule = match if isinstance(match, Match) else Match.from_text(match)
    found = as_ground_truth(truth)
    columns, pixels = _columns(label_map, found)
    masks, names = found.masks, found.labels
    if (rule.kind == "coverage" if union is None else union) and len(found):
        masks, names = found.union[None], (" or ".join(dict.fromkeys(names)),)
    counted = np.bincount(columns[pixels], minlength=len(np.unique(columns)))
    by_mask = _shares(rule.kind, columns, masks, pixels, counted) >= rule.threshold
    iou = _shares("iou", columns, found.masks, pixels, counted)
    coverage = _shares("coverage", columns, found.union[None], pixels, counted)
    return MatchedRegions(
        regions=np.asarray(by_mask.any(axis=0)),
        by_mask=by_mask,
        labels=names,
        iou=iou.max(axis=0, initial=0.0),
        coverage=coverage[0],
        known=counted / np.bincount(columns.reshape(-1)),
        match=rule,
    )


def _columns(label_map: ArrayLike, truth: GroundTruth) -> tuple[NDArray[np.intp], Bools]:
    """Column of the region of each pixel, and which pixels count, (H, W) each."""
    labels = np.asarray(label_map)
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"label_map must be (H, W) integers; got {labels.shape} of type {labels.dtype}")
    if labels.shape != truth.size:
        raise InputError(
            "the ground truth must have the label map's height and width; "
            f"the label map is {labels.shape} but the ground truth is {truth.size}; resize it first"
        )
    columns = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    return columns, np.ones(labels.shape, dtype=np.bool_) if truth.void is None else ~truth.void


def _shares(kind: str, columns: NDArray[np.intp], masks: Bools, pixels: Bools, counted: NDArray[np.intp]) -> Floats:
    """Intersection over union, or coverage, of each region with each mask, (K, M); 0 for regions that are all void."""
    inside = np.array([np.bincount(columns[mask & pixels], minlength=len(counted)) for mask in masks])
    inside = inside.reshape(len(masks), len(counted))
    sizes = (masks & pixels).sum(axis=(1, 2))[:, None]
    whole = np.broadcast_to(counted, inside.shape) if kind == "coverage" else counted + sizes - inside
    shares: Floats = np.divide(inside, whole, out=np.zeros(inside.shape), where=whole > 0)
    return shares


def _mask_values(source: "str | Path | Image.Image | NDArray[np.generic]") -> tuple[NDArray[np.int64], bool]:
    """The values of a mask, (H, W), and whether it looks like a class mask of Pascal VOC."""
    if isinstance(source, str | Path):
        if str(source).lower().endswith(".npy"):
            return _array_values(read_array(source), f"the mask {source}")
        return _file_values(source)
    if isinstance(source, np.ndarray):
        return _array_values(source, "the mask")
    return _image_values(source, "the mask")


def _file_values(path: str | Path) -> tuple[NDArray[np.int64], bool]:
    from captum_focalogic.images import decode_image

    return _image_values(decode_image(path, "mask"), f"the mask {path}")


def _image_values(image: "Image.Image", what: str) -> tuple[NDArray[np.int64], bool]:
    if image.format == "JPEG":
        raise InputError(f"{what} is a JPEG, which changes pixel values; save it as PNG")
    values = np.asarray(image)
    if image.mode == "P":
        found = np.unique(values)
        colours = np.array(image.getpalette() or [], dtype=np.int64).reshape(-1, 3)
        known = bool(len(found) and found[-1] < len(colours))
        return values.astype(np.int64), known and np.array_equal(colours[found], _voc_colours()[found])
    if values.ndim == 3 and image.mode in ("RGB", "RGBA", "LA", "RGBX"):
        *channels, last = np.moveaxis(values, 2, 0)
        if image.mode == "RGB":
            channels.append(last)
        elif image.mode != "RGBX" and not (last == 255).all():
            raise InputError(f"{what} is partly transparent; expected one channel, not 0 where the object is")
        if not all(np.array_equal(channels[0], channel) for channel in channels):
            raise InputError(
                f"{what} is a colour image (mode {image.mode}); expected one channel or a palette, not 0 where "
                "the object is"
            )
        values = channels[0]
    return _array_values(values, what)


def _array_values(values: NDArray[Any], what: str) -> tuple[NDArray[np.int64], bool]:
    if values.ndim != 2 or values.dtype.kind not in "biu":
        raise InputError(
            f"{what} must hold one integer a pixel, (H, W); got shape {values.shape} of type {values.dtype}"
        )
    if not values.size:
        raise InputError(f"{what} has no pixels")
    found = set(np.unique(values).tolist()) - {0}
    return values.astype(np.int64), VOID in found and found != {VOID} and all(
        1 <= value < _VOC_CLASSES for value in found - {VOID}
    )


_VOC_CLASSES = 21


def _voc_colours() -> NDArray[np.int64]:
    """Pascal VOC's palette, (256, 3): bits 0, 3, 6 … of an index are red's from the highest down, then green, blue."""
    index = np.arange(256)[:, None]
    colours = np.zeros((256, 3), dtype=np.int64)
    for bit in range(8):
        colours |= ((index >> (3 * bit + np.arange(3))) & 1) << (7 - bit)
    return colours
