"""Ground truth from files: Pascal VOC, COCO and ImageNet's boxes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from captum_focalogic.errors import InputError
from captum_focalogic.files import read_text
from captum_focalogic.ground_truth import VOID, GroundTruth
from captum_focalogic.integrations.rle import decode_rle, draw_box, draw_polygons
from captum_focalogic.segmenters import read_label_map

VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""What the values of Pascal VOC's class masks mean."""


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
    """Masks of Pascal VOC's segmentation pictures.

    Parameters
    ----------
    classes : str or Path
        A picture of ``SegmentationClass``: a palette index a pixel, 0 for the background, 255 for void.
    objects : str or Path, optional
        The picture of ``SegmentationObject``: one index an object. Without it, one mask a class.
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
        shape = item.get("segmentation")
        if isinstance(shape, Mapping):
            mask = decode_rle(shape)
            if mask.shape != size:
                raise InputError(f"{self.path} has an object of {mask.shape} pixels in an image of {size}")
            return mask
        if shape:
            return draw_polygons(shape, size)
        if "bbox" not in item:
            raise InputError(f"{self.path} has an object without segmentation and bbox: {item.get('id')}")
        left, top, width, height = item["bbox"]
        return draw_box((left, top, left + width, top + height), size)


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path)
    if text is None:
        raise ValueError(f"there is no {path}")
    return text.strip()


def _voc_box(item: ElementTree.Element) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(_text(item, f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax"))
    # Pascal VOC counts pixels from 1, and its last ones belong to the box.
    return left - 1, top - 1, right, bottom
