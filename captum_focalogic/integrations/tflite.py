"""Models in TensorFlow Lite files, run by LiteRT."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from captum_focalogic.classifier import Classifier, refuse_weights, split_labels
from captum_focalogic.errors import InputError, MissingExtraError
from captum_focalogic.images import CentreCrop, check_size
from captum_focalogic.integrations.functions import ArrayFormat, as_scores
from captum_focalogic.integrations.weights import first_line
from captum_focalogic.names import listed_labels


class TfliteModel:
    """A classifier in a ``.tflite`` file.

    Quantised outputs are scaled to real numbers. They are coarse: classes may tie, and the lowest index then wins.
    Probabilities that rounding, or leaving out the background, keeps from summing to 1 are scaled to do so.

    Parameters
    ----------
    path : str or Path
        The file.
    labels : sequence of str, optional
        Class names.
    background : bool, default False
        Whether the first output is a class "background" that is to be left out, as in the models of TensorFlow's zoo
        with 1,001 outputs for ImageNet's 1,000 classes.
    mean, std : float or sequence of 3 floats
        Normalisation of models with floating-point inputs; quantised ones take bytes.
    num_threads : int, default 1
        Threads of one forward.

    Raises
    ------
    MissingExtraError
        Without ai-edge-litert.
    InputError
        If the file is no model of images, or the labels are not as many as its classes.

    Examples
    --------
    >>> model = TfliteModel("mobilenet_v2_1.0_224_quant.tflite", background=True)  # doctest: +SKIP
    >>> FocaLogic(model).explain(images)  # images (N, 3, 224, 224) in [0, 1]  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | Path,
        labels: Sequence[str] | None = None,
        *,
        background: bool = False,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        num_threads: int = 1,
    ) -> None:
        self.runner = TfliteRunner(path, mean=mean, std=std, num_threads=num_threads)
        shape = self.runner.output_shape
        if len(shape) != 2:
            raise InputError(f"{path} is no classifier: its output has shape {shape}, expected (1, classes)")
        self.background = background
        self.labels = listed_labels(labels)
        classes = shape[1] - background
        if self.labels is not None and len(self.labels) != classes:
            hint = "; pass background=True to leave out the first" if len(self.labels) == classes - 1 else ""
            raise InputError(f"{path} has {classes} classes, but there are {len(self.labels)} labels{hint}")
        self.fit = CentreCrop(*self.runner.size)

    def __call__(self, images: Tensor) -> Tensor:
        """Class scores (N, C) of images (N, 3, H, W) in [0, 1], float32."""
        scores = self.runner(images)
        if self.runner.gives_probabilities or _sum_to_one(scores):
            scores = _shares(scores[:, int(self.background) :])
        else:
            scores = scores[:, int(self.background) :]
        return as_scores(scores, len(images), self.labels).to(images.device)


def classifier_from_text(text: str, weights: str | Path | None = None) -> Classifier:
    """A classifier from ``FILE`` or ``FILE@LABELS``; with one label less than classes, the first is "background"."""
    refuse_weights(weights, "tflite:…", "nothing")
    path, labels = split_labels(text)
    shape = TfliteRunner(path).output_shape
    model = TfliteModel(path, labels, background=labels is not None and len(labels) == shape[-1] - 1)
    return Classifier.fitted(model, model.fit, model.labels, f"tflite:{text}")


class TfliteRunner:
    """A ``.tflite`` file with one image in and one array out; see :class:`TfliteModel`.

    Attributes
    ----------
    size : (int, int)
        Height and width of the images that it takes.
    output_shape : tuple of int
        For one image, with the leading 1.
    gives_probabilities : bool
        Whether the output is quantised in steps of 1/256 from 0 on, as that of a softmax is.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        num_threads: int = 1,
    ) -> None:
        self.path = path
        self._interpreter = _load(path, num_threads)
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        shape = tuple(int(side) for side in inputs[0]["shape"])
        if len(inputs) != 1 or len(shape) != 4 or shape[3] != 3:
            raise InputError(f"{path} takes no single image (1, H, W, 3): its inputs are {_shapes(inputs)}")
        self._input, self._output = inputs[0], outputs[0]
        self.size = (shape[1], shape[2])
        self.output_shape = tuple(int(side) for side in self._output["shape"])
        lowest = 0 if np.dtype(self._output["dtype"]) == np.uint8 else -128
        self.gives_probabilities = self._output["quantization"] == (1 / 256, lowest)
        dtype = np.dtype(self._input["dtype"])
        if dtype not in (np.uint8, np.int8, np.float32):
            raise InputError(f"{path} takes {dtype} images; uint8, int8 and float32 are supported")
        bytes_in = dtype != np.float32
        self._shift = 128 if dtype == np.int8 else 0
        self._format = ArrayFormat("NHWC", "uint8" if bytes_in else "float32", mean, std)

    def __call__(self, images: Tensor) -> NDArray[Any]:
        """Outputs of images (N, 3, H, W) in [0, 1], (N, ...): real numbers, or integers where the file has labels."""
        check_size((images.shape[-2], images.shape[-1]), self.size, str(self.path))
        pixels = self._format(images)
        if self._shift:
            pixels = (pixels.astype(np.int16) - self._shift).astype(np.int8)
        if not len(pixels):
            return np.zeros((0, *self.output_shape[1:]), dtype=np.float32)
        return np.concatenate([self._one(image[None]) for image in pixels])

    def _one(self, image: NDArray[Any]) -> NDArray[Any]:
        self._interpreter.set_tensor(self._input["index"], image)
        self._interpreter.invoke()
        output = np.asarray(self._interpreter.get_tensor(self._output["index"]))
        scale, zero = self._output["quantization"]
        if output.dtype.kind in "iu" and scale:
            return np.asarray(scale * (output.astype(np.float32) - zero), dtype=np.float32)
        return output


def _sum_to_one(scores: NDArray[Any]) -> bool:
    return bool(np.all(scores >= 0) and np.all(np.abs(scores.sum(axis=1) - 1) < 1e-3))


def _shares(scores: NDArray[Any]) -> NDArray[Any]:
    """Each row divided by its sum; where all are rounded to 0, all are equal."""
    totals = scores.sum(axis=1, keepdims=True)
    return np.where(totals > 0, scores / np.where(totals > 0, totals, 1), np.float32(1 / scores.shape[1]))


def _load(path: str | Path, num_threads: int) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MissingExtraError("ai-edge-litert", "tflite") from error
    if not Path(path).is_file():
        raise InputError(f"there is no file {path} to load a model from")
    try:
        interpreter = Interpreter(str(path), num_threads=num_threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{path} is no TensorFlow Lite model that LiteRT can run: {first_line(error)}") from error
    return interpreter


def _shapes(details: list[dict[str, Any]]) -> str:
    return ", ".join(str(tuple(int(side) for side in detail["shape"])) for detail in details)
