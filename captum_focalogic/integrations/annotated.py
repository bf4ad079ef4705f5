"""Annotated data sets as sources of ground truth: COCO's files and Pascal VOC's folders, by name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from captum_focalogic.errors import InputError
from captum_focalogic.ground_truth import GroundTruth
from captum_focalogic.integrations.annotations import VOC_CLASSES, CocoAnnotations, read_voc, read_voc_masks

_SHOWN = 12


@dataclass(frozen=True)
class CocoTruth:
    """The objects of an image's class in a COCO annotation file.

    Attributes
    ----------
    path : Path
        The file, such as ``instances_val2017.json``. An image that it does not have has no ground truth.
    names : mapping of str to str
        The category of a class that is called otherwise, such as ``{"tabby": "cat"}``. Of an image of no known class
        all objects count.
    """

    path: Path
    names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_text(cls, text: str) -> "CocoTruth":
        """The objects in a file; read now, so that a wrong one is told at once.

        Raises
        ------
        InputError
            If it cannot be read.
        """
        source = cls(Path(text).resolve())
        _coco(source.path)
        return source

    def found_at(self, name: str) -> str | None:
        """What an image's objects are found under; images that share it cannot be told apart."""
        return _coco(self.path).entry(name)

    def __call__(self, image: Any, label: str, name: str) -> GroundTruth | None:  # noqa: ARG002 (a GroundTruthSource)
        """The objects of an image, in the size that the file says.

        Raises
        ------
        InputError
            If the file has no category of that class.
        """
        annotations = _coco(self.path)
        wanted = _category(self.names.get(label, label), annotations.categories, self.path)
        if not annotations.has(name):
            return None
        truth = annotations.truth(name)
        return truth.of(wanted) if wanted else truth


@dataclass(frozen=True)
class VocTruth:
    """The objects of an image's class in a folder as Pascal VOC's: masks where there are some, else boxes.

    Attributes
    ----------
    folder : Path
        With ``SegmentationClass`` (and ``SegmentationObject``) or ``Annotations`` in it, or of XML files. For the image
        ``a/b.jpg`` that is ``SegmentationClass/b.png``, ``Annotations/b.xml``, ``a/b.xml`` or ``b.xml``; ImageNet's
        boxes are read too. An image without any has no ground truth.
    names : mapping of str to str
        The name in the files of a class that is called otherwise. Of an image of no known class all objects count.
    """

    folder: Path
    names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_text(cls, text: str) -> "VocTruth":
        """The annotations in a folder.

        Raises
        ------
        InputError
            If there is no such folder, or it has none.
        """
        folder = Path(text).resolve()
        if not folder.is_dir():
            raise InputError(f"there is no folder {text} of annotations")
        parts = ("SegmentationClass", "Annotations")
        if not any((folder / part).is_dir() for part in parts) and next(folder.rglob("*.xml"), None) is None:
            raise InputError(f"{text} holds no annotations: expected {' or '.join(parts)} in it, or XML files")
        return cls(folder)

    def found_at(self, name: str) -> str | None:
        """The file of an image's objects; images that share it cannot be told apart."""
        masks = self.folder / "SegmentationClass" / f"{Path(name).stem}.png"
        return next((str(path) for path in (masks, *self._boxes(name)) if path.is_file()), None)

    def _boxes(self, name: str) -> tuple[Path, ...]:
        beside = Path(name).with_suffix(".xml")
        return self.folder / "Annotations" / beside.name, self.folder / beside, self.folder / beside.name

    def __call__(self, image: Any, label: str, name: str) -> GroundTruth | None:  # noqa: ARG002 (a GroundTruthSource)
        """The objects of an image, in the size of its annotation.

        Raises
        ------
        InputError
            If there are class masks, and no class of Pascal VOC's is called so.
        """
        wanted, stem = self.names.get(label, label), Path(name).stem
        masks = self.folder / "SegmentationClass" / f"{stem}.png"
        if masks.is_file():
            objects = self.folder / "SegmentationObject" / f"{stem}.png"
            wanted = _category(wanted, VOC_CLASSES[1:], masks)
            truth = read_voc_masks(masks, objects if objects.is_file() else None)
            return truth.of(wanted) if wanted else truth
        for path in self._boxes(name):
            if path.is_file():
                truth = read_voc(path)
                # ImageNet's boxes are all of the image's class, which they give by its WordNet id.
                by_id = all(map(_WORDNET_ID.fullmatch, truth.labels))
                return truth if by_id or not wanted else truth.of(wanted)
        return None


_WORDNET_ID = re.compile(r"n\d{8}")


def _category(label: str, categories: tuple[str, ...], where: Path) -> str:
    """The category that a class is; "" for no class."""
    if label and label.strip().casefold() not in {name.casefold() for name in categories}:
        shown = ", ".join(categories[:_SHOWN]) + (", ..." if len(categories) > _SHOWN else "")
        raise InputError(
            f"{where} has no category {label!r}; it has {shown}. Say which one it is in Python: "
            f'CocoTruth(PATH, {{{label!r}: "..."}}) or VocTruth(PATH, ...) of captum_focalogic.integrations.annotated'
        )
    return label


def _coco(path: Path) -> CocoAnnotations:
    """The annotations of a file, read anew where it was changed."""
    try:
        known = path.stat()
    except OSError:
        return CocoAnnotations(path)
    return _read(path, known.st_mtime_ns, known.st_size, known.st_ino)


@lru_cache(maxsize=4)
def _read(path: Path, *_: int) -> CocoAnnotations:
    return CocoAnnotations(path)
