"""Models that are functions of NumPy arrays: predict_proba of scikit-learn, or what LIME's users have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_focalogic.errors import InputError, ModelOutputError
from captum_focalogic.images import Shrink
from captum_focalogic.names import listed_labels

Layout = Literal["NHWC", "NCHW", "flat"]
Pixels = Literal["uint8", "float32", "float64"]


@dataclass(frozen=True)
class ArrayFormat:
    """How a function wants its images.

    Attributes
    ----------
    layout : {"NHWC", "NCHW", "flat"}
        Channels last, channels first, or one row of H * W * 3 features an image (channels last).
    dtype : {"uint8", "float32", "float64"}
        Bytes 0 to 255, or floating-point numbers.
    mean, std : float or sequence of 3 floats
        For floating-point numbers: (x - mean) / std of x in [0, 1], each channel.

    Raises
    ------
    InputError
        If they are none of these.
    """

    layout: Layout = "NHWC"
    dtype: Pixels = "uint8"
    mean: float | Sequence[float] = 0.0
    std: float | Sequence[float] = 1.0

    def __post_init__(self) -> None:
        if self.layout not in ("NHWC", "NCHW", "flat"):
            raise InputError(f"layout must be NHWC, NCHW or flat; got {self.layout!r}")
        if self.dtype not in ("uint8", "float32", "float64"):
            raise InputError(f"dtype must be uint8, float32 or float64; got {self.dtype!r}")
        scaled = np.any(np.asarray(self.mean) != 0) or np.any(np.asarray(self.std) != 1)
        if self.dtype == "uint8" and scaled:
            raise InputError("mean and std are for floating-point images; with dtype='uint8' leave them out")
        if not np.all(np.asarray(self.std) > 0):
            raise InputError(f"std must be positive; got {self.std}")

    def __call__(self, images: Tensor) -> NDArray[Any]:
        """Images (N, 3, H, W) in [0, 1] as the function wants them.

        Raises
        ------
        InputError
            If they have another shape, or bytes are asked for and they are not in [0, 1].
        """
        if images.dim() != 4 or images.shape[1] not in (1, 3):
            raise InputError(f"this model takes images (N, 3, H, W); got {tuple(images.shape)}")
        images = images.detach().cpu()
        values = (images if images.dtype == torch.float64 else images.float()).numpy().transpose(0, 2, 3, 1)
        if self.dtype == "uint8":
            if values.size and not (values.min() >= -_ROUNDING and values.max() <= 1 + _ROUNDING):
                raise InputError(
                    f"this model takes bytes, so images must be in [0, 1]; these (or their baselines) lie in "
                    f"[{values.min():.3g}, {values.max():.3g}]"
                )
            values = np.round(255 * values.clip(0, 1)).astype(np.uint8)
        else:
            values = ((values - np.asarray(self.mean)) / np.asarray(self.std)).astype(self.dtype)
        if self.layout == "NCHW":
            values = values.transpose(0, 3, 1, 2)
        elif self.layout == "flat":
            values = values.reshape(len(values), -1)
        return np.ascontiguousarray(values)


_ROUNDING = 1e-3

ANY_SIZE = Shrink(512)
"""What models that take images of any size see when they are found by name: no more pixels than they need."""


class NumpyModel:
    """A classifier that is a function of NumPy images, for FocaLogic.

    Parameters
    ----------
    function : callable
        Images, by default (N, H, W, 3) uint8, to class scores (N, C), one number an image (N,), or integer labels.
    labels : sequence of str, optional
        Class names.
    **image_format
        Those of :class:`ArrayFormat`: ``layout``, ``dtype``, ``mean``, ``std``.

    Examples
    --------
    >>> import numpy as np, torch
    >>> brightness = lambda images: np.stack([images.mean((1, 2, 3)), np.full(len(images), 100.0)], axis=1)
    >>> NumpyModel(brightness)(torch.full((1, 3, 2, 2), 0.5))
    tensor([[128., 100.]], dtype=torch.float64)
    """

    def __init__(
        self,
        function: Callable[[NDArray[Any]], Any],
        labels: Sequence[str] | None = None,
        **image_format: Any,
    ) -> None:
        if not callable(function):
            raise InputError(f"the model must be a function of NumPy images; got {type(function).__name__}")
        self.function = function
        self.labels = listed_labels(labels)
        self.format = ArrayFormat(**image_format)

    def __call__(self, images: Tensor) -> Tensor:
        """Answers for images (N, 3, H, W) in [0, 1], on their device."""
        return as_scores(self.function(self.format(images)), len(images), self.labels).to(images.device)


class ProbabilityModel(NumpyModel):
    """A classifier with ``predict_proba``, as scikit-learn's have, for FocaLogic.

    Parameters
    ----------
    estimator : object
        Fitted, with ``predict_proba``: rows of features to class probabilities. Its ``classes_`` are the labels.
    **image_format
        Those of :class:`ArrayFormat`; by default one row of H * W * 3 numbers in [0, 1] an image, channels last.

    Raises
    ------
    InputError
        If it has no ``predict_proba``.
    """

    def __init__(self, estimator: Any, **image_format: Any) -> None:
        predict = getattr(estimator, "predict_proba", None)
        if not callable(predict):
            raise InputError(
                f"{type(estimator).__name__} has no predict_proba; use a classifier that has (for SVC, "
                "probability=True), or NumpyModel(function) around what it has"
            )
        classes = getattr(estimator, "classes_", None)
        labels = None if classes is None else [str(label) for label in classes]
        super().__init__(predict, labels, **{"layout": "flat", "dtype": "float64", **image_format})


def as_scores(answers: Any, rows: int, labels: Sequence[str] | None = None) -> Tensor:
    """What a function of arrays answered, as a tensor with one row an image.

    Raises
    ------
    ModelOutputError
        If it is no array of numbers with that many rows, or has not as many columns as there are labels.
    """
    scores = np.asarray(answers)
    if scores.dtype.kind not in "fiub":
        raise ModelOutputError(
            f"the model must answer with numbers, one row an image; got {scores.dtype}. Names of classes need "
            "predict_proba, or integer labels"
        )
    if scores.ndim == 0 or len(scores) != rows:
        raise ModelOutputError(f"the model must answer with {rows} row(s), one an image; got shape {scores.shape}")
    if labels is not None and scores.ndim == 2 and scores.shape[1] != len(labels):
        raise ModelOutputError(f"the model has {scores.shape[1]} classes, but there are {len(labels)} labels")
    # torch can do little with unsigned integers of more than 8 bits.
    if scores.dtype.kind == "u" and scores.dtype.itemsize > 1:
        scores = scores.astype(np.int64)
    return torch.from_numpy(np.array(scores))
