"""Annotation files: shapes as COCO writes them, and the objects of Pascal VOC, COCO and ImageNet's boxes.

An annotation that cannot be read costs itself, with a warning, and not its image; only where none of an image's can be
read is that an error.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from xml.etree import ElementTree

import numpy as np
from torch import Tensor

from captum_focalogic.arrays import Bools, Floats, Labels
from captum_focalogic.errors import InputError, warn
from captum_focalogic.files import read_json, reading, within
from captum_focalogic.ground_truth import VOID, GroundTruth, check_room
from captum_focalogic.regions import MIN_AREA, labels_from_masks
from captum_focalogic.segmenters import read_label_map

T = TypeVar("T")

MAX_PIXELS = 1 << 27
"""Pixels of the largest image that annotations are read for."""

Shape = Mapping[str, Any] | Sequence[Any]
"""Run lengths (size and counts), or a polygon x1, y1, x2, y2, …, or several polygons that are one region."""

VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""What the values of Pascal VOC's class masks mean."""


class Shapes:
    """A segmenter whose regions are given shapes.

    Smaller shapes lie on top of larger ones; what no shape covers is one extra region.

    Parameters
    ----------
    shapes : sequence of Shape, str or Path
        The shapes in pixels of the image, or a JSON file with a list of them (or a list of COCO annotations).
    min_area : float, default 1e-3
        Share of the image below which a region joins the extra one.

    Raises
    ------
    InputError
        If the file cannot be read; when called, if none of the shapes is one, or is of the size of the image.

    Warns
    -----
    FocaLogicWarning
        When called, if some are not; they are left out.

    Examples
    --------
    >>> import torch
    >>> Shapes([[0, 0, 2, 0, 2, 1, 0, 1]])(torch.zeros(3, 1, 3))
    array([[1, 1, 0]])
    """

    def __init__(self, shapes: Sequence[Shape] | str | Path, min_area: float = MIN_AREA) -> None:
        self._source = str(shapes) if isinstance(shapes, str | Path) else "the shapes"
        self.shapes = _read(shapes) if isinstance(shapes, str | Path) else list(shapes)
        self.min_area = min_area
        if not self.shapes:
            raise InputError(f"there are no shapes in {self._source}; give at least one, or leave the segmenter out")

    def __call__(self, image: Tensor) -> Labels:
        """Regions of an image (3, H, W): 1 … M for shapes, 0 for the rest, (H, W)."""
        size = (int(image.shape[-2]), int(image.shape[-1]))
        with reading(self._source):
            check_room(len(self.shapes), size)
            masks = _readable(
                self._source,
                {f"shapes[{row}]": partial(draw_shape, shape, size) for row, shape in enumerate(self.shapes)},
            )
        return labels_from_masks(np.stack(masks), self.min_area)


def read_voc(path: str | Path, names: Mapping[str, str] | None = None) -> GroundTruth:
    """Boxes of Pascal VOC's XML, which ImageNet's localisation annotations are written in too.

    Parameters
    ----------
    path : str or Path
        An XML file with ``size`` and ``object`` elements.
    names : mapping of str to str, optional
        What to call the names in the file, such as ImageNet's "n02124075": "Egyptian cat".

    Returns
    -------
    GroundTruth
        One box an object, filled.

    Raises
    ------
    InputError
        If the file cannot be read or is something else.

    Warns
    -----
    FocaLogicWarning
        If some of its objects cannot be read; they are left out.
    """
    with reading(path), within("this is no Pascal VOC annotation"):
        root = ElementTree.parse(path).getroot()
        size = _size(*(_number(root, f"size/{side}") for side in ("height", "width")))
        items = root.findall("object")
        check_room(len(items), size)
        objects = {f"object {number}": partial(_voc_object, item, size) for number, item in enumerate(items, 1)}
        return _truth(_readable(path, objects), size, names)


def _voc_object(item: ElementTree.Element, size: tuple[int, int]) -> tuple[str, Bools]:
    left, top, right, bottom = (_number(item, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax"))
    # Pascal VOC counts pixels from 1, and its last ones belong to the box.
    return _text(item, "name"), _shown(draw_box((left - 1, top - 1, right, bottom), size))


def read_voc_masks(
    classes: str | Path, objects: str | Path | None = None, names: Sequence[str] = VOC_CLASSES
) -> GroundTruth:
    """Masks of Pascal VOC's segmentation images.

    Parameters
    ----------
    classes : str or Path
        An image of ``SegmentationClass``: a palette index a pixel, 0 for the background, 255 for void.
    objects : str or Path, optional
        The image of ``SegmentationObject``: one index an object. Without it, one mask a class.
    names : sequence of str
        What the class indices mean.

    Raises
    ------
    InputError
        If a file cannot be read, their sizes differ, or a class has no name.
    """
    kinds = read_label_map(classes)
    things = kinds if objects is None else read_label_map(objects)
    if things.shape != kinds.shape:
        raise InputError(
            f"{classes} is {_pixels(kinds.shape)} but {objects} is {_pixels(things.shape)}; they must be of one image"
        )
    found = np.unique(things)
    with reading(classes if objects is None else objects):
        check_room(len(found), kinds.shape)
    masks, labels = [], []
    for thing in found:
        if thing in (0, VOID):
            continue
        mask = things == thing
        values, counts = np.unique(kinds[mask], return_counts=True)
        kind = int(values[np.argmax(counts)])
        if kind >= len(names):
            raise InputError(f"{classes} has the class index {kind}, but there are {len(names)} names")
        masks.append(mask)
        labels.append(names[kind])
    void = kinds == VOID
    return GroundTruth(
        np.array(masks, dtype=np.bool_).reshape(len(masks), *kinds.shape), tuple(labels), void if void.any() else None
    )


class CocoAnnotations:
    """Instances of a COCO annotation file, by image.

    Parameters
    ----------
    path : str or Path
        JSON with ``images``, ``annotations`` and ``categories``.

    Raises
    ------
    InputError
        If the file cannot be read or is something else.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        with reading(path), within("this is no COCO annotation file"):
            content = read_json(path)
            categories, images, annotations = (
                _field(content, name, _list) for name in ("categories", "images", "annotations")
            )
            self._categories = _by_id("categories", self._entries("categories", categories, _category))
            self._images = _by_id("images", self._entries("images", images, _image))
            owners = self._entries("annotations", annotations, _annotation)
        self._warn_of_strays(owners)
        self._ids: dict[str, list[int | str]] = {}
        for key, entry in self._images.items():
            self._ids.setdefault(PurePosixPath(entry["file_name"]).name, []).append(key)
        self._objects: dict[int | str, list[dict[str, Any]]] = {}
        for key, item in owners:
            self._objects.setdefault(key, []).append(item)

    def _entries(
        self, name: str, entries: Sequence[Any], read: Callable[[str, Any], tuple[int | str, T]]
    ) -> list[tuple[int | str, T]]:
        places = {f"{name}[{row}]": entry for row, entry in enumerate(entries)}
        return _readable(self.path, {place: partial(read, place, entry) for place, entry in places.items()})

    def _warn_of_strays(self, owners: Sequence[tuple[int | str, dict[str, Any]]]) -> None:
        """Tell of annotations that belong to no image, or no category, of the file: a 1 is no "1"."""
        images = sum(key not in self._images for key, _ in owners)
        told = [item.get("category_id") for _, item in owners]
        kinds = sum(isinstance(kind, int | str) and kind not in self._categories for kind in told)
        for count, what in ((images, "image"), (kinds, "category")):
            if count:
                warn(f"{self.path}: {count} of {len(owners)} annotations are of no {what} of the file, by their ids")

    def __len__(self) -> int:
        return len(self._images)

    @property
    def categories(self) -> tuple[str, ...]:
        """What the objects are called."""
        return tuple(self._categories.values())

    def has(self, image: int | str) -> bool:
        """Whether there is such an image, as for :meth:`truth`."""
        return (self._id(image) if isinstance(image, str) else image) in self._images

    def entry(self, name: str) -> str | None:
        """The file name in the annotations that a file name or path is found by; errors as of :meth:`truth`."""
        key = self._id(name)
        return None if key is None else str(self._images[key]["file_name"])

    def truth(self, image: int | str) -> GroundTruth:
        """The objects of an image, given by its id, its file name or its path.

        Of a path, as many folders are compared as both the file's and the given one have. Regions of a crowd are no
        objects; where no object is, they are void.

        Raises
        ------
        InputError
            If there is no such image, or several, or none of its objects is run lengths, polygons or a box.

        Warns
        -----
        FocaLogicWarning
            If some of its objects are not; they are left out.
        """
        key = self._id(image) if isinstance(image, str) else image
        if key not in self._images:
            raise InputError(f"{self.path} has no image {image!r}; it has {len(self._images)} others")
        entry = self._images[key]
        with reading(self.path):
            with within(entry["place"]):
                size = _size(entry["height"], entry["width"])
            items = self._objects.get(key, [])
            check_room(len(items), size)
            found = _readable(self.path, {item["place"]: partial(self._object, item, size) for item in items})
        truth = _truth([(label, mask) for label, mask, crowd in found if not crowd], size)
        crowds = [mask for _, mask, crowd in found if crowd]
        if not crowds:
            return truth
        return GroundTruth(truth.masks, truth.labels, np.any(crowds, axis=0) & ~truth.union)

    def _id(self, name: str) -> int | str | None:
        """The image of a file name; folders count where both names have them."""
        given = PurePosixPath(name.replace("\\", "/")).parts[::-1]
        ids = []
        for key in self._ids.get(given[0] if given else "", []):
            parts = PurePosixPath(self._images[key]["file_name"]).parts[::-1]
            if all(own == other for own, other in zip(parts, given, strict=False)):
                ids.append(key)
        if len(ids) > 1:
            listed = ", ".join(repr(self._images[key]["file_name"]) for key in ids[:5])
            raise InputError(f"{self.path} has {len(ids)} images {name!r}: {listed}; add the folder, or give the id")
        return ids[0] if ids else None

    def _object(self, item: Mapping[str, Any], size: tuple[int, int]) -> tuple[str, Bools, bool]:
        kind = _field(item, "category_id", _key)
        label = self._categories.get(kind, str(kind))
        if item.get("segmentation"):
            mask = _field(item, "segmentation", lambda stored: draw_shape(stored, size))
        elif "bbox" in item:
            left, top, width, height = _field(item, "bbox", _box)
            mask = draw_box((left, top, left + width, top + height), size)
        else:
            raise InputError(f"it has neither segmentation nor bbox: {_short(item)}")
        return label, _shown(mask), bool(item.get("iscrowd"))


def _by_id(name: str, entries: Sequence[tuple[int | str, T]]) -> dict[int | str, T]:
    """Entries by their ids, which must tell them apart: objects of the one would be taken for the other's."""
    found: dict[int | str, T] = {}
    for key, entry in entries:
        if key in found:
            raise InputError(f"two of the {name} have the id {key!r}; give each its own")
        found[key] = entry
    return found


def _shown(mask: Bools) -> Bools:
    """A mask, which must show something: an object without a pixel can be met by no region."""
    if not mask.any():
        raise InputError("it has no pixel of the image; are its corners in order, and of this image?")
    return mask


def _category(_: str, entry: Any) -> tuple[int | str, str]:
    return _field(entry, "id", _key), _field(entry, "name", _string)


def _image(place: str, entry: Any) -> tuple[int | str, dict[str, Any]]:
    sides = {side: _field(entry, side, _side) for side in ("height", "width")}
    return _field(entry, "id", _key), {"place": place, "file_name": _field(entry, "file_name", _string), **sides}


def _annotation(place: str, entry: Any) -> tuple[int | str, dict[str, Any]]:
    return _field(entry, "image_id", _key), {**entry, "place": place}


def draw_shape(shape: Shape, size: tuple[int, int]) -> Bools:
    """A mask from what COCO writes about an object: run lengths, a polygon or several, or an annotation with them.

    Raises
    ------
    InputError
        If run lengths are of another size than (height, width), or it is none of these.
    """
    if isinstance(shape, Mapping):
        if "segmentation" in shape:
            return draw_shape(shape["segmentation"], size)
        announced = _rle_size(shape)
        if announced != size:
            raise InputError(f"run lengths are of {_pixels(announced)} pixels but the image is of {_pixels(size)}")
        return decode_rle(shape)
    if isinstance(shape, str | bytes) or not isinstance(shape, Sequence):
        raise InputError(f"a shape is run lengths (size and counts) or polygons; got {_short(shape)}")
    several = bool(shape) and not isinstance(shape[0], int | float)
    return draw_polygons(shape if several else [shape], size)


def decode_rle(rle: Mapping[str, Any]) -> Bools:
    """A mask from run lengths.

    Parameters
    ----------
    rle : mapping
        ``size``: (height, width); ``counts``: lengths of alternating runs of absent and present pixels, down the
        columns, as a list or as COCO's compressed text.

    Returns
    -------
    (H, W) bool

    Raises
    ------
    InputError
        If the runs do not fill the size.
    """
    height, width = _rle_size(rle)
    with within("counts"):
        counts = rle["counts"]
        runs = _uncompress(counts) if isinstance(counts, str | bytes) else [_whole(count) for count in counts]
        if any(run < 0 for run in runs) or sum(runs) != height * width:
            raise InputError(
                f"run lengths must be at least 0 and fill {_pixels((height, width))} pixels; they sum to {sum(runs)}"
            )
    values = np.arange(len(runs)) % 2 == 1
    return np.ascontiguousarray(np.repeat(values, runs).reshape(width, height).T)


def _rle_size(rle: Mapping[str, Any]) -> tuple[int, int]:
    if not isinstance(rle, Mapping) or not rle.keys() >= {"size", "counts"}:
        raise InputError(f"run lengths need size (height, width) and counts; got {_short(rle)}")
    with within("size"):
        height, width = rle["size"]
        return _size(height, width)


def draw_polygons(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> Bools:
    """A mask from polygons.

    Parameters
    ----------
    polygons : sequence of flat sequences x1, y1, x2, y2, …
        In pixels from the left and the top; the mask is their union.
    size : (int, int)
        Height and width.

    Raises
    ------
    InputError
        If a polygon has fewer than three points, or other than finite numbers.
    """
    mask = np.zeros(size, dtype=np.bool_)
    for polygon in polygons:
        if isinstance(polygon, str | bytes) or not isinstance(polygon, Sequence | np.ndarray):
            raise InputError(f"a polygon is a list of numbers x1, y1, x2, y2, …; got {_short(polygon)}")
        if len(polygon) < 6 or len(polygon) % 2:
            raise InputError(f"a polygon is x1, y1, x2, y2, … of at least three points; got {_short(polygon)}")
        _check_numbers(polygon)
        # The centre of the first pixel is at 0.5, where the drawing counts from 0.
        mask |= _inside(np.asarray(polygon, dtype=np.float64).reshape(-1, 2) - 0.5, size)
    return mask


_CROSSINGS = 1 << 20


def _inside(corners: Floats, size: tuple[int, int]) -> Bools:
    """Pixels inside a polygon (N, 2), even-odd; the time grows with points times height, not times pixels."""
    height, width = size
    ends = np.roll(corners, -1, axis=0)
    first = np.ceil(np.minimum(corners[:, 1], ends[:, 1])).clip(0, height).astype(np.int64)
    last = np.ceil(np.maximum(corners[:, 1], ends[:, 1])).clip(0, height).astype(np.int64)
    counts = last - first
    chunks = np.cumsum(counts) // _CROSSINGS
    flips = np.zeros(height * (width + 1), dtype=np.bool_)
    for chunk in np.unique(chunks):
        edges = np.flatnonzero((chunks == chunk) & (counts > 0))
        edge = np.repeat(edges, counts[edges])
        row = np.arange(len(edge)) - np.repeat(np.cumsum(counts[edges]) - counts[edges], counts[edges]) + first[edge]
        (left, top), (right, bottom) = corners[edge].T, ends[edge].T
        column = np.ceil(left + (row - top) * ((right - left) / (bottom - top))).clip(0, width).astype(np.int64)
        places, times = np.unique(row * (width + 1) + column, return_counts=True)
        flips[places] ^= times % 2 == 1
    return np.asarray(np.bitwise_xor.accumulate(flips.reshape(height, width + 1), axis=1)[:, :width])


def draw_box(box: Sequence[float], size: tuple[int, int]) -> Bools:
    """A mask from a box (left, top, right, bottom) in pixels, right and bottom exclusive; what lies outside is cut."""
    height, width = size
    left, top, right, bottom = (round(value) for value in box)
    mask = np.zeros(size, dtype=np.bool_)
    mask[max(0, top) : max(0, min(height, bottom)), max(0, left) : max(0, min(width, right))] = True
    return mask


def _readable(source: str | Path, readers: Mapping[str, Callable[[], T]]) -> list[T]:
    """What can be read, of several by place; the others are left out with a warning, unless it is all of them."""
    found: list[T] = []
    faults: list[InputError] = []
    for place, read in readers.items():
        try:
            with within(place):
                found.append(read())
        except InputError as error:
            faults.append(error)
    if faults and not found:
        raise faults[0]
    if faults:
        told = "; ".join(map(str, faults[:3]))
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        warn(f"{source}: {len(faults)} of {len(readers)} entries cannot be read and are left out: {told}{more}")
    return found


def _truth(
    objects: Sequence[tuple[str, Bools]], size: tuple[int, int], names: Mapping[str, str] | None = None
) -> GroundTruth:
    masks = np.array([mask for _, mask in objects], dtype=np.bool_).reshape(len(objects), *size)
    return GroundTruth(masks, tuple((names or {}).get(label, label) for label, _ in objects))


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path)
    if text is None:
        raise InputError(f"there is no {path}")
    return text.strip()


def _number(element: ElementTree.Element, path: str) -> float:
    with within(path):
        number = float(_text(element, path))
        _check_numbers([number])
    return number


def _field(entry: Any, name: str, read: Callable[[Any], T]) -> T:
    with within(name):
        if not isinstance(entry, Mapping):
            raise InputError(f"expected an object that has it; got {_short(entry)}")
        return read(entry[name])


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"expected a list; got {_short(value)}")
    return value


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"expected text; got {_short(value)}")
    return value


def _key(value: Any) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InputError(f"expected a number or a name; got {_short(value)}")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer) or value != int(value):
        raise InputError(f"expected a whole number; got {_short(value)}")
    return int(value)


def _side(value: Any) -> int:
    if not 1 <= _whole(value) <= MAX_PIXELS:
        raise InputError(f"a height or width is from 1 to {MAX_PIXELS:,}; got {_short(value)}")
    return int(value)


def _size(height: Any, width: Any) -> tuple[int, int]:
    size = _side(height), _side(width)
    if size[0] * size[1] > MAX_PIXELS:
        raise InputError(f"an image of {_pixels(size)} pixels is announced; at most {MAX_PIXELS:,} are read")
    return size


def _box(value: Any) -> Sequence[float]:
    if len(_list(value)) != 4:
        raise InputError(f"a box is left, top, width, height; got {_short(value)}")
    _check_numbers(value)
    return value  # type: ignore[no-any-return]


_FARTHEST = 1e9
"""Pixels from the image that a coordinate may lie; farther ones are no coordinates."""


def _check_numbers(values: Sequence[Any]) -> None:
    for value in values:
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        # NaN is not at most anything either
        if not (number and abs(value) <= _FARTHEST):
            raise InputError(f"expected finite numbers of pixels; got {_short(value)}")


def _pixels(size: Sequence[int]) -> str:
    """Width x height of (height, width), as everywhere in messages."""
    return f"{size[1]}x{size[0]}"


def _read(path: str | Path) -> list[Shape]:
    content = read_json(path)
    listed = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(listed, list) or not all(isinstance(shape, list | dict) for shape in listed):
        raise InputError(f"{path} must hold a JSON list of run lengths or polygons, alone or as annotations")
    return listed


_MAX_BITS = 60


def _uncompress(text: str | bytes) -> list[int]:
    """COCO's text: six-bit groups from character 48, low first; bit 32 continues, bit 16 of the last is the sign.

    From the fourth run on, a number is the difference to the run two before.
    """
    codes = text if isinstance(text, bytes) else text.encode()
    runs: list[int] = []
    value = shift = 0
    for code in codes:
        group = code - 48
        if not 0 <= group < 64:
            raise InputError(f"run lengths hold the character {chr(code)!r}, which COCO's compression does not write")
        if shift > _MAX_BITS:
            raise InputError(f"run lengths hold a number of more than {_MAX_BITS} bits")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise InputError("run lengths end in the middle of a number; the text is cut short")
    return runs


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
