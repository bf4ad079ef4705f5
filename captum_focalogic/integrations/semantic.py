"""Ground truth from semantic segmenters: the pixels that a network gives the label's class (paper section 3.4)."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_focalogic.classifier import evaluating
from captum_focalogic.errors import InputError
from captum_focalogic.ground_truth import GroundTruth, ground_truth_from_mask, nothing
from captum_focalogic.images import image_tensor, open_image, resize_image, resize_labels
from captum_focalogic.integrations.masks import best_device
from captum_focalogic.integrations.weights import (
    FILE_INSTEAD,
    fetching,
    fit_weights,
    import_transformers,
    pretrained,
    read_state_dict,
)
from captum_focalogic.names import listed_labels
from captum_focalogic.regions import as_label_map

ClassMap = Callable[[Tensor], Any]
"""Image (3, H, W) in [0, 1] to class indices (H, W)."""


class SemanticTruth:
    """Ground truth from any semantic segmenter.

    Parameters
    ----------
    segment : callable
        Image, a (3, H, W) float tensor in [0, 1], to class indices (H, W).
    names : sequence of str
        What the class indices mean.
    aliases : mapping of str to str, optional
        Labels to the segmenter's names for them, such as "Egyptian cat" to "cat".
    instances : bool
        Whether parts that do not touch are objects of their own.

    Examples
    --------
    >>> import torch
    >>> bright = SemanticTruth(lambda image: (image.mean(0) > 0.5).int(), ["dark", "bright"])
    >>> bright(torch.tensor([[[0.1, 0.9]]]).expand(3, 1, 2), "bright").masks
    array([[[False,  True]]])
    """

    def __init__(
        self,
        segment: ClassMap,
        names: Sequence[str],
        *,
        aliases: Mapping[str, str] | None = None,
        instances: bool = False,
    ) -> None:
        self.segment = segment
        self.names = listed_labels(names) or []
        self.aliases = {key.casefold(): value for key, value in (aliases or {}).items()}
        self.instances = instances

    def __call__(self, image: Tensor, label: str, name: str = "") -> GroundTruth:  # noqa: ARG002 (a GroundTruthSource)
        """Masks of what the label names; none where the segmenter does not find it.

        Raises
        ------
        InputError
            If the segmenter knows no such class, or returns another size.
        """
        if not label:
            return nothing((image.shape[-2], image.shape[-1]))
        own = self.aliases.get(label.casefold(), label)
        known = [each.casefold() for each in self.names]
        if own.casefold() not in known:
            raise InputError(
                f"the segmenter has no class {own!r}; map the label to one of its classes with aliases= "
                f"({', '.join(self.names[:12])}{', …' if len(self.names) > 12 else ''})"
            )
        classes = as_label_map(self.segment(image), (image.shape[-2], image.shape[-1]))
        return ground_truth_from_mask(classes == known.index(own.casefold()), label, instances=self.instances)


def transformers_truth(
    model: Any, image_processor: Any = None, *, device: str | torch.device | None = None, **options: Any
) -> SemanticTruth:
    """Ground truth by a semantic segmenter of transformers.

    Parameters
    ----------
    model : str, Path or PreTrainedModel
        A hub id such as "nvidia/segformer-b0-finetuned-ade-512-512", a local folder, or a model.
    image_processor : object, optional
        Needed with a model object, loaded otherwise.
    device : str or torch.device, optional
        An accelerator where there is one; a model object stays where it is.
    **options
        ``aliases`` and ``instances`` of :class:`SemanticTruth`.
    """
    transformers = import_transformers()
    if isinstance(model, str | Path):
        name = model
        model = pretrained(transformers.AutoModelForSemanticSegmentation, name).to(best_device(device))
        image_processor = image_processor or pretrained(transformers.AutoImageProcessor, name)
    if not hasattr(image_processor, "post_process_semantic_segmentation"):
        raise InputError("a semantic segmenter needs an image_processor with post_process_semantic_segmentation")

    @torch.no_grad()
    def segment(image: Tensor) -> NDArray[np.int64]:
        opened = open_image(image)
        inputs = image_processor(images=opened, return_tensors="pt").to(model.device)
        with evaluating(model):
            scores = model(**inputs)
        found = image_processor.post_process_semantic_segmentation(
            scores, target_sizes=[(opened.height, opened.width)]
        )[0]
        return np.asarray(found.cpu().numpy(), dtype=np.int64)

    names = [model.config.id2label[index] for index in sorted(model.config.id2label)]
    return SemanticTruth(segment, names, **options)


def torchvision_truth(
    name: str, weights: str | Path | None = None, *, device: str | torch.device | None = None, **options: Any
) -> SemanticTruth:
    """Ground truth by a semantic segmenter of torchvision, whose published weights know Pascal VOC's classes.

    Parameters
    ----------
    name : str
        One of ``torchvision.models.list_models(module=torchvision.models.segmentation)``.
    weights : str or Path, optional
        A file with a state dict; by default the published weights, fetched once.
    device : str or torch.device, optional
        An accelerator where there is one.
    **options
        ``aliases`` and ``instances`` of :class:`SemanticTruth`.
    """
    from torchvision import models

    names = models.list_models(module=models.segmentation)
    if name not in names:
        raise InputError(f"torchvision has no semantic segmenter {name!r}; it has {', '.join(names)}")
    published = models.get_model_weights(name).DEFAULT
    if weights is None:
        with fetching(f"the weights of {name}", failures=(OSError, RuntimeError), instead=FILE_INSTEAD):
            model = models.get_model(name, weights=published)
    else:
        model = _from_file(models, name, weights)
    model = model.to(best_device(device)).eval()
    preset = published.transforms()

    @torch.no_grad()
    def segment(image: Tensor) -> NDArray[np.int64]:
        where = next(model.parameters()).device
        scores = model(preset(image)[None].to(where))["out"]
        scores = torch.nn.functional.interpolate(scores, image.shape[-2:], mode="bilinear", align_corners=False)
        return np.asarray(scores[0].argmax(0).cpu().numpy(), dtype=np.int64)

    return SemanticTruth(segment, list(published.meta["categories"]), **options)


def _from_file(models: Any, name: str, weights: str | Path) -> Any:
    stored = read_state_dict(weights)
    # The published weights of some, but not all, have the second classifier that only training needs.
    extra = {"aux_loss": True} if any(key.startswith("aux_classifier.") for key in stored) else {}
    return fit_weights(models.get_model(name, weights=None, weights_backbone=None, **extra), stored, weights)


def tflite_truth(path: str | Path, names: Sequence[str], **options: Any) -> SemanticTruth:
    """Ground truth by a semantic segmenter in a ``.tflite`` file, whose output is a class index (or scores) a pixel.

    Parameters
    ----------
    path : str or Path
        The file. Images are resized to what it takes, and its answers back to the image.
    names : sequence of str
        What the class indices mean; :data:`~captum_focalogic.integrations.annotations.VOC_CLASSES` for DeepLab.
    **options
        ``aliases`` and ``instances`` of :class:`SemanticTruth`.
    """
    from captum_focalogic.integrations.tflite import TfliteRunner

    runner = TfliteRunner(path)

    def segment(image: Tensor) -> NDArray[np.int64]:
        height, width = runner.size
        found = runner(image_tensor(resize_image(open_image(image), height, width))[None])[0]
        classes = found.argmax(axis=-1) if found.ndim == 3 else found
        return resize_labels(classes, image.shape[-2], image.shape[-1])

    return SemanticTruth(segment, names, **options)
