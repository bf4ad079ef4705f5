"""What a study is about: images by id, each with whatever is known about it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.functional import to_tensor

from captum_focalogic.errors import InputError
from captum_focalogic.ground_truth import GroundTruth
from captum_focalogic.regions import Labels

Masks = NDArray[np.bool_]
"""Where the object is: (H, W), or (K, H, W) with one mask for each of its parts."""


@dataclass(frozen=True, eq=False)
class Sample:
    """What reading an item gives.

    Attributes
    ----------
    image : PIL.Image.Image or (3, H, W) Tensor
        A picture, which the model's ``see`` makes an image of, or the image itself, in [0, 1].
    label_map : (H, W) int64, optional
        The item's own regions, used where the study has no segmenter.
    truth : GroundTruth, (H, W) or (K, H, W) bool, optional
        Where the object is, used where the study has no other truth.
    label : int, optional
        The class, where it is known only after reading.
    """

    image: Image.Image | Tensor
    label_map: Labels | None = None
    truth: GroundTruth | Masks | None = None
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
    """

    id: str
    read: Callable[[], Sample]
    label: int | None = None


@dataclass(frozen=True, eq=False)
class Model:
    """Who is studied.

    Attributes
    ----------
    forward : callable
        Images (N, 3, H, W) in [0, 1] to one row an image, as :class:`~captum_focalogic.FocaLogic` takes it.
    name : str
        What the model is called in settings and reports.
    see : callable
        A picture to the image (3, H, W) in [0, 1] that the model sees of it; the whole picture by default.
    see_labels : callable, optional
        A label map of the picture's size to one of the seen image's size.
    labels : sequence of str, optional
        Class names.
    """

    forward: Callable[[Tensor], Any]
    name: str = "model"
    see: Callable[[Image.Image], Tensor] = to_tensor
    see_labels: Callable[[Labels], Labels] | None = None
    labels: Sequence[str] | None = None

    def on(self, device: str) -> "Model":
        """The same model on a device, in evaluation mode."""
        if isinstance(self.forward, nn.Module):
            return replace(self, forward=self.forward.to(device).eval().requires_grad_(False))
        return self

    def name_of(self, label: int | None) -> str | None:
        """What a class is called, where that is known."""
        known = self.labels is not None and label is not None and 0 <= label < len(self.labels)
        return self.labels[label] if known and self.labels is not None and label is not None else None


@dataclass(frozen=True, eq=False)
class ModelFactory:
    """A model that is made where it is needed, once in every worker.

    Attributes
    ----------
    make : callable
        Returns the :class:`Model`. For the Ray engine it must be picklable.
    identity : str
        What tells it from every other model; two runs go into one folder only if this is equal.
    """

    make: Callable[[], Model]
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
