"""Annotation files: shapes as COCO writes them, and the objects of Pascal VOC, COCO and ImageNet's boxes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from torch import Tensor

from captum_focalogic.arrays import Bools, Labels
from captum_focalogic.errors import InputError
from captum_focalogic.files import read_text
from captum_focalogic.ground_truth import VOID, GroundTruth
from captum_focalogic.regions import MIN_AREA, labels_from_masks
from captum_focalogic.segmenters import read_label_map

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
        If the file cannot be read or a shape is none; when called, if run lengths are of another size than the image.

    Examples
    --------
    >>> import torch
    >>> Shapes([[0, 0, 2, 0, 2, 1, 0, 1]])(torch.zeros(3, 1, 3))
    array([[1, 1, 0]])
    """

    def __init__(self, shapes: Sequence[Shape] | str | Path, min_area: float = MIN_AREA) -> None:
        self.shapes = _read(shapes) if isinstance(shapes, str | Path) else list(shapes)
        self.min_area = min_area
        if not self.shapes:
            raise InputError("there are no shapes; give at least one, or leave the segmenter out")

    def __call__(self, image: Tensor) -> Labels:
        """Regions of an image (3, H, W): 1 … M for shapes, 0 for the rest, (H, W)."""
        size = (int(image.shape[-2]), int(image.shape[-1]))
        return labels_from_masks(np.stack([draw_shape(shape, size) for shape in self.shapes]), self.min_area)


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
    """
    try:
        root = ElementTree.parse(path).getroot()
        size = (int(_text(root, "size/height")), int(_text(root, "size/width")))
        found = [(_text(item, "name"), _voc_box(item)) for item in root.findall("object")]
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{path} is no Pascal VOC annotation that can be read: {error}") from error
    labels = tuple((names or {}).get(name, name) for name, _ in found)
    masks = [draw_box(box, size) for _, box in found]
    return GroundTruth(np.array(masks, dtype=np.bool_).reshape(len(masks), *size), labels)


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
        raise InputError(f"{classes} is {kinds.shape} but {objects} is {things.shape}; they must be of one image")
    masks, labels = [], []
    for thing in np.unique(things):
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
        try:
            content = json.loads(read_text(path))
            self._categories = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
            self._images = {entry["id"]: entry for entry in content["images"]}
            self._names = {Path(entry["file_name"]).name: entry["id"] for entry in content["images"]}
            self._objects: dict[Any, list[dict[str, Any]]] = {key: [] for key in self._images}
            for entry in content["annotations"]:
                self._objects.setdefault(entry["image_id"], []).append(entry)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is no COCO annotation file that can be read: {error!r}") from error

    def __len__(self) -> int:
        return len(self._images)

    def truth(self, image: int | str) -> GroundTruth:
        """The objects of an image, given by its id or its file name.

        Raises
        ------
        InputError
            If there is no such image, or an object is neither run lengths nor polygons nor a box.
        """
        key = self._names.get(Path(image).name) if isinstance(image, str) else image
        if key not in self._images:
            raise InputError(f"{self.path} has no image {image!r}; it has {len(self._images)} others")
        entry = self._images[key]
        size = int(entry["height"]), int(entry["width"])
        objects = self._objects[key]
        masks = [self._mask(item, size) for item in objects]
        labels = tuple(self._categories.get(item["category_id"], str(item["category_id"])) for item in objects)
        return GroundTruth(np.array(masks, dtype=np.bool_).reshape(len(masks), *size), labels)

    def _mask(self, item: Mapping[str, Any], size: tuple[int, int]) -> Any:
        if item.get("segmentation"):
            mask = decode_rle(item["segmentation"]) if isinstance(item["segmentation"], Mapping) else None
            if mask is not None and mask.shape != size:
                raise InputError(f"{self.path} has an object of {mask.shape} pixels in an image of {size}")
            return draw_polygons(item["segmentation"], size) if mask is None else mask
        if "bbox" not in item:
            raise InputError(f"{self.path} has an object without segmentation and bbox: {item.get('id')}")
        left, top, width, height = item["bbox"]
        return draw_box((left, top, left + width, top + height), size)


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
        mask = decode_rle(shape)
        if mask.shape != size:
            raise InputError(f"run lengths are of {mask.shape} pixels (height, width) but the image is {size}")
        return mask
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
    try:
        height, width = (int(side) for side in rle["size"])
        counts = rle["counts"]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"run lengths need size (height, width) and counts; got {_short(rle)}") from error
    runs = _uncompress(counts) if isinstance(counts, str | bytes) else [int(count) for count in counts]
    if any(run < 0 for run in runs) or sum(runs) != height * width:
        raise InputError(f"run lengths must be at least 0 and fill {height}x{width} pixels; they sum to {sum(runs)}")
    values = np.arange(len(runs)) % 2 == 1
    return np.ascontiguousarray(np.repeat(values, runs).reshape(width, height).T)


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
        If a polygon has fewer than three points.
    """
    from skimage.draw import polygon as inside

    mask = np.zeros(size, dtype=np.bool_)
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise InputError(f"a polygon is x1, y1, x2, y2, … of at least three points; got {_short(polygon)}")
        # The centre of the first pixel is at 0.5, where the drawing counts from 0.
        corners = np.asarray(polygon, dtype=np.float64).reshape(-1, 2) - 0.5
        mask[inside(corners[:, 1], corners[:, 0], size)] = True  # type: ignore[no-untyped-call]
    return mask


def draw_box(box: Sequence[float], size: tuple[int, int]) -> Bools:
    """A mask from a box (left, top, right, bottom) in pixels, right and bottom exclusive; what lies outside is cut."""
    height, width = size
    left, top, right, bottom = (round(value) for value in box)
    mask = np.zeros(size, dtype=np.bool_)
    mask[max(0, top) : max(0, min(height, bottom)), max(0, left) : max(0, min(width, right))] = True
    return mask


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path)
    if text is None:
        raise ValueError(f"there is no {path}")
    return text.strip()


def _voc_box(item: ElementTree.Element) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(_text(item, f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
    # Pascal VOC counts pixels from 1, and its last ones belong to the box.
    return left - 1, top - 1, right, bottom


def _read(path: str | Path) -> list[Shape]:
    try:
        content = json.loads(read_text(path))
    except (OSError, ValueError) as error:
        raise InputError(f"the shapes {path} cannot be read: {error}") from error
    listed = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(listed, list) or not all(isinstance(shape, list | dict) for shape in listed):
        raise InputError(f"{path} must hold a JSON list of run lengths or polygons")
    return listed


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
