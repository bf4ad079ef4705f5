"""Models in ONNX files, run by ONNX Runtime."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from captum_focalogic.classifier import Classifier, refuse_weights, split_labels
from captum_focalogic.errors import InputError, MissingExtraError
from captum_focalogic.images import CentreCrop, check_size
from captum_focalogic.integrations.functions import ANY_SIZE, ArrayFormat, as_scores
from captum_focalogic.integrations.weights import first_line
from captum_focalogic.names import listed_labels

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}


class OnnxModel:
    """A classifier in an ``.onnx`` file.

    Parameters
    ----------
    path : str or Path
        The file.
    labels : sequence of str, optional
        Class names.
    mean, std : float or sequence of 3 floats
        Normalisation of models with floating-point inputs: (x - mean) / std of x in [0, 1].
    output : str, optional
        Which output has the class scores; the first by default.
    providers : sequence of str, optional
        ONNX Runtime's execution providers in order of preference; CUDA where the installed runtime has it, else the
        processor.

    Raises
    ------
    MissingExtraError
        Without onnxruntime.
    InputError
        If the file is no model of images, or an argument does not fit it.

    Notes
    -----
    A model whose batch size is fixed gets batches of that size, filled up where needed.

    Examples
    --------
    >>> OnnxModel("resnet18.onnx", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | Path,
        labels: Sequence[str] | None = None,
        *,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        output: str | None = None,
        providers: Sequence[str] | None = None,
    ) -> None:
        self.path = path
        self._session = _load(path, providers)
        self.labels = listed_labels(labels)
        inputs = self._session.get_inputs()
        shape, dtype = inputs[0].shape, _DTYPES.get(inputs[0].type)
        if len(inputs) != 1 or len(shape) != 4 or dtype is None:
            given = ", ".join(f"{item.name} {item.shape} {item.type}" for item in inputs)
            raise InputError(f"{path} takes no single batch of images (N, 3, H, W): its inputs are {given}")
        layout = "NHWC" if shape[3] in (1, 3) and shape[1] not in (1, 3) else "NCHW"
        height, width = shape[1:3] if layout == "NHWC" else shape[2:4]
        self.size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
        self.fit = None if self.size is None else CentreCrop(*self.size)
        self._batch = shape[0] if isinstance(shape[0], int) else None
        self._input, self._dtype = inputs[0].name, dtype
        self._output = self._name_of(output)
        pixels = "uint8" if dtype == np.uint8 else "float32"
        self._format = ArrayFormat(layout, pixels, mean, std)  # type: ignore[arg-type]

    def __call__(self, images: Tensor) -> Tensor:
        """Class scores (N, C) of images (N, 3, H, W) in [0, 1]."""
        check_size((images.shape[-2], images.shape[-1]), self.size, str(self.path))
        pixels = self._format(images).astype(self._dtype, copy=False)
        step = self._batch or max(1, len(pixels))
        parts = [self._run(pixels[start : start + step]) for start in range(0, len(pixels), step)]
        return as_scores(np.concatenate(parts), len(images), self.labels).to(images.device)

    def _run(self, pixels: NDArray[Any]) -> NDArray[Any]:
        rows = len(pixels)
        if self._batch is not None and rows < self._batch:
            pixels = np.concatenate([pixels, np.repeat(pixels[-1:], self._batch - rows, axis=0)])
        return np.asarray(self._session.run([self._output], {self._input: pixels})[0])[:rows]

    def _name_of(self, output: str | None) -> str:
        names = [item.name for item in self._session.get_outputs()]
        if output is not None and output not in names:
            raise InputError(f"{self.path} has no output {output!r}; it has {', '.join(names)}")
        return str(output or names[0])


def classifier_from_text(text: str, weights: str | Path | None = None) -> Classifier:
    """A classifier from ``FILE`` or ``FILE@LABELS``."""
    refuse_weights(weights, "onnx:…", "nothing")
    model = OnnxModel(*split_labels(text))
    return Classifier.fitted(model, model.fit or ANY_SIZE, model.labels, f"onnx:{text}")


def _load(path: str | Path, providers: Sequence[str] | None) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "onnx") from error
    if not Path(path).is_file():
        raise InputError(f"there is no file {path} to load a model from")
    installed = onnxruntime.get_available_providers()
    wanted = list(providers or ("CUDAExecutionProvider", "CPUExecutionProvider"))
    usable = [name for name in wanted if name in installed]
    if not usable or (providers and len(usable) < len(wanted)):
        raise InputError(f"the installed ONNX Runtime has no {wanted}; it has {', '.join(installed)}")
    try:
        return onnxruntime.InferenceSession(str(path), providers=usable)
    except Exception as error:
        # The runtime's exceptions share no base that it exports.
        if type(error).__module__.startswith("onnxruntime"):
            raise InputError(f"{path} is no ONNX model that can be run: {first_line(error)}") from error
        raise
