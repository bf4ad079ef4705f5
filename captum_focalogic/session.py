"""What a question is about, opened once: the model, the image as it sees it, its regions and its baselines.

The classifier's preprocessing makes of an image what the model sees (:class:`SeenImage`), a segmenter cuts that into
regions, and a baseline says what dropped regions are replaced by (:class:`Session`).
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from captum_focalogic import segmenters
from captum_focalogic.arrays import Labels
from captum_focalogic.baselines import baseline_from_text
from captum_focalogic.classifier import Classifier
from captum_focalogic.errors import InputError
from captum_focalogic.images import check_seen, image_tensor, open_image
from captum_focalogic.regions import as_label_map, label_map_of
from captum_focalogic.segmenters import ForwardPass, Segmenter, segmenter_from_text

if TYPE_CHECKING:
    from captum_focalogic.demo.scenes import Scene

SEGMENTER = "slic:12"
BASELINE = "mean"

Fill = str | float | Tensor | Callable[..., Tensor]
"""What dropped regions are replaced by: a name, a shade of grey, values, or a function of inputs (and feature mask)."""

CPU = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class SeenImage:
    """An image as the model sees it.

    Attributes
    ----------
    title : str
        What it is called.
    pixels : (3, H, W) Tensor
        In [0, 1].
    size : tuple of int
        Width and height of the image before it was fitted to the model.
    segmenter : Segmenter or str
        What cuts it unless the user says otherwise.
    scene : Scene or None
        The embedded scene it is, if it is one.
    """

    title: str
    pixels: Tensor
    size: tuple[int, int]
    segmenter: Segmenter | str = SEGMENTER
    scene: "Scene | None" = None

    @property
    def seen_size(self) -> tuple[int, int]:
        """Height and width of what the model sees."""
        return self.pixels.shape[1], self.pixels.shape[2]


@dataclass(frozen=True, eq=False)
class Session:
    """A model, an image, its regions and its baselines: all that is needed to ask.

    Attributes
    ----------
    classifier : Classifier
        On the device.
    image : SeenImage
        The image.
    label_map : (H, W) int64
        Region of every pixel.
    inputs, baselines : (1, 3, H, W) Tensor
        On the device.
    feature_mask : (1, 1, H, W) int64 Tensor
        The label map, on the device.
    baseline : str
        What the baselines are called.
    """

    classifier: Classifier
    image: SeenImage
    label_map: Labels
    inputs: Tensor
    baselines: Tensor
    feature_mask: Tensor
    baseline: str

    @property
    def device(self) -> torch.device:
        """Where the model is asked."""
        return self.inputs.device

    @property
    def names(self) -> Mapping[int, str]:
        """What regions are called, where that is known."""
        scene = self.image.scene
        if scene is None or not np.array_equal(self.label_map, scene.labels):
            return {}
        return {item.region: str(item.kind) for item in scene.objects}


def see_image(image: Any, classifier: Classifier | None, title: str) -> SeenImage:
    """An image as a classifier sees it, or the whole of it.

    Raises
    ------
    InputError
        If it is no image that can be opened, or what the preprocessing makes of it is none in [0, 1].
    """
    opened = open_image(image)
    if classifier is None:
        return SeenImage(title, image_tensor(opened), opened.size)
    return SeenImage(title, check_seen(classifier.preprocess(opened)), opened.size)


def find_regions(
    image: SeenImage,
    classifier: Classifier | None,
    segmenter: Any = None,
    what: str = "the label map",
) -> Labels:
    """Region id of every pixel that the model sees, (H, W).

    Parameters
    ----------
    image : SeenImage
        What is cut.
    classifier : Classifier, optional
        The one that sees it so; fits label maps of the original's size.
    segmenter : str, callable, (H, W) integers or masks, optional
        What cuts the image, or a label map, or masks, of its size or of the seen size; the image's own segmenter by
        default.
    what : str
        What messages call a label map.

    Raises
    ------
    InputError
        If the segmenter or the label map cannot be used.
    """
    cut = image.segmenter if segmenter is None else segmenter
    if isinstance(cut, str):
        cut = segmenter_from_text(cut)
    elif not callable(cut):
        cut = label_map_of(cut)
    if callable(cut):
        forward_pass = None if classifier is None else ForwardPass.of(classifier.forward, image.pixels)
        return as_label_map(segmenters.cut(cut, image.pixels.expand(3, -1, -1), forward_pass), image.seen_size)
    (height, width), label_map = image.seen_size, np.asarray(cut)
    if label_map.shape == (height, width):
        return as_label_map(label_map, (height, width))
    seen = f"{width}x{height}"
    original = f"{image.size[0]}x{image.size[1]}"
    if label_map.shape != (image.size[1], image.size[0]):
        expected = seen if seen == original else f"{original} (the image's size) or {seen} (what the model sees)"
        given = f"{label_map.shape[1]}x{label_map.shape[0]} pixels (width x height)" if label_map.ndim == 2 else "none"
        raise InputError(f"{what} is {given}; expected {expected}")
    if classifier is None or classifier.preprocess_labels is None:
        raise InputError(
            f"{what} is of the image's size, {original}, but how the model's preprocess fits images is not known; "
            f"make it {seen}, the size that the model sees (focalogic segment IMAGE --model ... shows it)"
        )
    return as_label_map(classifier.preprocess_labels(as_label_map(label_map, label_map.shape)), (height, width))


def open_session(
    classifier: Classifier,
    image: Any,
    segmenter: Any = None,
    baseline: Fill = BASELINE,
    device: torch.device = CPU,
    *,
    title: str = "image",
    what: str = "the label map",
) -> Session:
    """What a classifier sees of an image, its regions and its baselines, where the model is.

    Parameters
    ----------
    classifier, device
        The model, and where it is.
    image : SeenImage, or as for :func:`explain_image`
        The image.
    segmenter, baseline
        As for :func:`explain_image`; by default the image's own segmenter.
    title : str
        What the image is called.
    what : str
        What messages call a label map.

    Raises
    ------
    InputError
        If one does not fit.
    """
    seen = image if isinstance(image, SeenImage) else see_image(image, classifier, title)
    label_map = find_regions(seen, classifier, segmenter, what)
    inputs = seen.pixels[None].to(device)
    feature_mask = torch.from_numpy(np.ascontiguousarray(label_map))[None, None].to(device)
    text = baseline if isinstance(baseline, str) else getattr(baseline, "__name__", None) or "values"
    baselines = _filled(baseline, inputs, feature_mask)
    return Session(classifier, seen, label_map, inputs, baselines, feature_mask, text)


def _filled(baseline: Fill, inputs: Tensor, feature_mask: Tensor) -> Tensor:
    """The values that dropped regions are replaced by, of the inputs' shape."""
    if isinstance(baseline, str):
        return baseline_from_text(baseline)(inputs, feature_mask)
    if isinstance(baseline, Tensor) or not callable(baseline):
        values = torch.as_tensor(baseline, dtype=inputs.dtype, device=inputs.device)
    else:
        parameters = inspect.signature(baseline).parameters.values()
        needed = [parameter for parameter in parameters if parameter.default is parameter.empty]
        values = baseline(inputs, feature_mask) if len(needed) > 1 else baseline(inputs)
    try:
        return values.expand_as(inputs)
    except (RuntimeError, AttributeError) as error:
        given = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise InputError(f"the baseline must broadcast to {tuple(inputs.shape)}; got {given}") from error
