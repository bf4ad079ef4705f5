"""A face detector that is no neural network: the cascade of local binary patterns that comes with scikit-image.

It is a black box that answers yes or no, which is all that an explanation needs: which parts of a face does the
detector need in order to see one?
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_focalogic.classifier import Classifier, refuse_weights
from captum_focalogic.errors import InputError
from captum_focalogic.images import Shrink

LABELS = ("no face", "a face")

LARGEST_SIDE = 240
"""Images are made no larger in pixels."""

USUAL_SMALLEST = 0.2
"""Smallest face that is looked for in a user's image, where it may be a small part."""


class FaceCascade:
    """Whether there is a frontal face in an image (multi-block local binary patterns, Liao et al. 2007).

    Parameters
    ----------
    smallest : float, default 0.4
        Width of the smallest face looked for, as a share of the image's shorter side; smaller ones take longer.
    scale_factor : float, default 1.2
        Ratio of one window size to the next.

    Raises
    ------
    InputError
        If a parameter is out of range.
    """

    def __init__(self, smallest: float = 0.4, scale_factor: float = 1.2) -> None:
        if not 0 < smallest <= 1:
            raise InputError(f"smallest is a share of the image, above 0 and at most 1; got {smallest}")
        if not scale_factor > 1:
            raise InputError(f"scale_factor must be above 1; got {scale_factor}")
        self.smallest = smallest
        self.scale_factor = scale_factor

    def __call__(self, images: Tensor) -> Tensor:
        """Answers for images.

        Parameters
        ----------
        images : (N, 3, H, W) Tensor
            RGB in [0, 1].

        Returns
        -------
        (N, 2) float32 Tensor
            (1, 0) for "no face" and (0, 1) for "a face", on the images' device.

        Raises
        ------
        InputError
            If the images have another shape.
        """
        if images.dim() != 4 or images.shape[1] != 3:
            raise InputError(f"the cascade takes images of shape (N, 3, H, W); got {tuple(images.shape)}")
        pixels = images.detach().permute(0, 2, 3, 1).double().cpu().numpy()
        found = torch.tensor([bool(self.faces(image)) for image in pixels], dtype=torch.bool)
        return torch.stack([~found, found], dim=1).float().to(images.device)

    def faces(self, image: NDArray[np.floating]) -> list[tuple[int, int, int, int]]:
        """Boxes (top, left, height, width) of the faces in an image (H, W, 3) in [0, 1]."""
        side = min(image.shape[:2])
        least = max(_WINDOW, round(self.smallest * side))
        if least > side:
            return []
        boxes = self._detector.detect_multi_scale(
            img=np.ascontiguousarray(image),
            scale_factor=self.scale_factor,
            step_ratio=1,
            min_size=(least, least),
            max_size=(side, side),
        )
        return [(int(box["r"]), int(box["c"]), int(box["height"]), int(box["width"])) for box in boxes]

    @cached_property
    def _detector(self) -> Any:
        from skimage.data import lbp_frontal_face_cascade_filename
        from skimage.feature import Cascade

        trained: Any = lbp_frontal_face_cascade_filename
        return Cascade(trained())


def load_classifier(text: str, weights: str | Path | None = None) -> Classifier:
    """The detector from ``face``, or ``face:SMALLEST``; of larger images it sees what it can scan in milliseconds."""
    kind, colon, smallest = text.partition(":")
    refuse_weights(weights, "cascade:face, which is no neural network", "nothing")
    if kind != "face":
        raise InputError(f"there is no cascade for {kind!r}; choose cascade:face")
    try:
        detector = FaceCascade(float(smallest) if colon else USUAL_SMALLEST)
    except ValueError as error:
        raise InputError(f"cascade:{text} should read cascade:face:SMALLEST, a share of the image: {error}") from error
    return Classifier.fitted(detector, Shrink(LARGEST_SIDE), LABELS, "cascade:face")


_WINDOW = 24
"""Side in pixels of the window that the cascade was trained on."""


def example_image() -> NDArray[np.uint8]:
    """The face of the astronaut Eileen Collins (NASA, public domain; scikit-image), (160, 160, 3) uint8."""
    from skimage.data import astronaut

    photo: Callable[[], NDArray[np.uint8]] = astronaut
    return np.ascontiguousarray(photo()[36:196, 142:302])
