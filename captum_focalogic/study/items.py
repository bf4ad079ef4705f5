"""What a study is about: images by id, each with whatever is known about it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor

from captum_focalogic.arrays import Bools, Labels
from captum_focalogic.classifier import Classifier
from captum_focalogic.errors import FileError, InputError
from captum_focalogic.fingerprint import fingerprint
from captum_focalogic.ground_truth import GroundTruth


@dataclass(frozen=True, eq=False)
class Sample:
    """What reading an item gives.

    Attributes
    ----------
    image : PIL.Image.Image or (3, H, W) Tensor
        An image of any size, for the model's ``preprocess``, or what the model sees of it, in [0, 1].
    label_map : (H, W) int64, optional
        The item's own regions, used where the study has no segmenter.
    truth : GroundTruth, (H, W) or (K, H, W) bool, optional
        Where the object is, in (K, H, W) with one mask for each of its parts; used where the study has no other truth.
    label : int, optional
        The class, where it is known only after reading.
    """

    image: Image.Image | Tensor
    label_map: Labels | None = None
    truth: GroundTruth | Bools | None = None
    label: int | None = None


@dataclass(frozen=True, eq=False)
class Item:
    """One image of a study.

    Attributes
    ----------
    id : str
        Its name in the rows; no two items of a study have the same.
    read : callable
        Returns the :class:`Sample`. It may raise: the item then costs one row with the error. For the Ray engine it
        must be picklable.
    label : int, optional
        The class it belongs to.
    numbering : str
        How the class's number was found, where the data gives it otherwise.
    files : tuple of Path, or of objects with an attribute ``identity``
        What it is read from; the bytes of files, and what others say of theirs, tell it from another image of the same
        id.
    """

    id: str
    read: Callable[[], Sample]
    label: int | None = None
    numbering: str = ""
    files: tuple[Any, ...] = ()

    def content(self) -> str | None:
        """A hash of the bytes it is read from; None where these are not known, or cannot be read."""
        try:
            return fingerprint(*self.files) if self.files else None
        except (FileError, InputError):
            return None


@dataclass(frozen=True, eq=False)
class ModelFactory:
    """A model that is made where it is needed, once in every worker.

    Attributes
    ----------
    make : callable
        Returns the :class:`~captum_focalogic.classifier.Classifier`. For the Ray engine it must be picklable.
    identity : str
        What tells it from every other model; two runs go into one folder only if this is equal.
    """

    make: Callable[[], Classifier]
    identity: str


def check_items(items: Sequence[Item]) -> None:
    """Refuse items that rows could not be told apart by.

    Raises
    ------
    InputError
        If there is none, or two have the same id.
    """
    if not items:
        raise InputError("there is no image to study; expected at least one item")
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            raise InputError(f"two images have the id {item.id!r}; every image of a study needs its own")
        seen.add(item.id)


def numbering_of(items: Sequence[Item]) -> str:
    """How the numbers of the items' classes were found."""
    return "; ".join(sorted({item.numbering for item in items if item.numbering}))
