"""The size between scenes and ImageNet: a few photographs, and networks whose weights come from the package index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor, nn

from captum_focalogic.classifier import Classifier
from captum_focalogic.experiments.framework import ImageNet, Settings
from captum_focalogic.fingerprint import fingerprint
from captum_focalogic.study import Item, Sample, StudySettings

SHIPPED = "scikit-image"
"""The data that no folder has to be named for: photographs that ship with scikit-image."""

SHIPPED_PHOTOS: Mapping[str, str | None] = {
    "astronaut": None,
    "camera": None,
    "chelsea": "tabby",
    "coffee": "espresso",
    "rocket": "missile",
    "stereo_motorcycle": None,
}
"""Functions of ``skimage.data``, and ImageNet's class of what they show, where one of its classes is plainly that."""

NETWORKS: tuple[str, ...] = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
"""Networks that need no hub."""

USUAL_PHOTOS = Settings(regions=(6, 8, 10), widths=(1, 2, 5, 10))
"""What is tried on photographs: numbers of regions up to which the search without a beam gets to its end."""


@dataclass(frozen=True)
class Photos(ImageNet):
    """Photographs and pretrained networks that run on a laptop; everything by its command line name.

    Attributes
    ----------
    data : str
        The photographs that ship with scikit-image, or a folder or a list, as ``focalogic study`` takes them.
    models : sequence of str
        EfficientNet-Lite in three sizes by default.
    segmenter : str
        What cuts the photographs: few regions, since every set of them may be asked for.
    truth : str
        What says where the object is: each photograph's own mask, ``masks:FOLDER``, or a function in a file of one's
        own, ``PATH/MODULE.py:NAME``.
    """

    size: ClassVar[str] = "photos"

    data: str = SHIPPED
    images: int = 24
    models: Sequence[str] = NETWORKS
    segmenter: str = "slic:8"
    settings: Settings = USUAL_PHOTOS

    def plan(self, name: str, model: Classifier, **how: Any) -> StudySettings:
        """How the photographs are explained: each by itself, so that a run broken off goes on from the last of them."""
        return super().plan(name, model, **{"group": 1, **how})

    def find_items(self, model: Classifier | None = None) -> list[Item]:
        """The photographs; their classes are numbered as the model's where it knows their names."""
        if self.data != SHIPPED:
            return super().find_items(model)
        names = [] if model is None or model.labels is None else list(model.labels)
        items = [
            Item(name, partial(_shipped, name), names.index(label) if label in names else None)
            for name, label in SHIPPED_PHOTOS.items()
        ]
        return items[: self.images]


class Remembered(nn.Module):
    """A network that answers no image twice, for searches of the same regions one after another.

    Parameters
    ----------
    network : nn.Module
        Images (N, 3, H, W) to outputs (N, C).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._answers: dict[str, Tensor] = {}

    def forward(self, images: Tensor) -> Tensor:
        """Outputs (N, C), those of images seen before as they were then."""
        seen = [fingerprint(image) for image in images]
        new = {key: place for place, key in enumerate(seen) if key not in self._answers}
        if new:
            outputs = self.network(images[list(new.values())])
            self._answers |= dict(zip(new, outputs.unbind(), strict=True))
        return torch.stack([self._answers[key] for key in seen])


def remembering(model: Classifier) -> Classifier:
    """A model that answers no image twice; as it is, where it is no module."""
    forward = model.forward
    return replace(model, forward=Remembered(forward)) if isinstance(forward, nn.Module) else model


def _shipped(name: str) -> Sample:
    from skimage import data

    found = getattr(data, name)()
    # of the pair of a stereo camera, the left one
    return Sample(Image.fromarray(found[0] if isinstance(found, tuple) else found).convert("RGB"))
