"""Classifiers of torchvision by name."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from urllib.error import URLError

from PIL import Image
from torch import nn

from captum_focalogic.classifier import Classifier, Normalised, split_labels
from captum_focalogic.errors import InputError
from captum_focalogic.images import Fit
from captum_focalogic.integrations.weights import RANDOM, fetching, known_labels, load_with_head


def load_classifier(name: str, weights: str | Path | None = None, labels: Sequence[str] | None = None) -> Classifier:
    """A classifier of torchvision, or one that was trained on from there on classes of its own.

    Parameters
    ----------
    name : str
        One of ``torchvision.models.list_models(module=torchvision.models)``, such as ``"resnet18"``.
    weights : str or Path, optional
        A file with a state dict (safetensors or torch); ``"random"`` for none at all; by default the newest published
        weights, downloaded once by torch.hub. The last layer is as large as in the file.
    labels : sequence of str, optional
        Names of the classes; by default those of the published weights, if the classes are as many.

    Raises
    ------
    InputError
        If there is no such model, the weights do not fit it, or the labels are not as many as the classes.
    HubError
        If the published weights cannot be downloaded.
    """
    from torchvision import models

    published = _published(models, name)
    categories, classes = published.meta.get("categories", []), None
    if weights is None:
        model = _download(models, name, published)
    else:

        def make(classes: int | None) -> nn.Module:
            head = {} if classes is None else {"num_classes": classes}
            return cast(nn.Module, models.get_model(name, weights=None, **head))

        model, classes = load_with_head(make, weights, labels, name)
    preset = published.transforms()
    return Classifier.fitted(
        Normalised(model, list(preset.mean), list(preset.std)).eval().requires_grad_(False),
        _fit(preset),
        known_labels(labels, categories, classes, name),
        f"torchvision:{name}",
    )


def classifier_from_text(text: str, weights: str | Path | None = None) -> Classifier:
    """A classifier from ``NAME[@LABELS]``."""
    name, labels = split_labels(text)
    return load_classifier(name, weights, labels)


def _published(models: Any, name: str) -> Any:
    names = models.list_models(module=models)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3) or ["resnet18", "mobilenet_v2", "vit_b_16"]
        raise InputError(f"torchvision has no classifier {name!r}; did you mean {', '.join(near)}?")
    return models.get_model_weights(name).DEFAULT


def _download(models: Any, name: str, published: Any) -> nn.Module:
    instead = (
        f"download {published.url} elsewhere and give the file (--weights FILE, weights=FILE), or try without trained "
        f"weights ({RANDOM!r} in its place)"
    )
    with fetching(f"the weights of {name}", failures=(URLError, OSError, RuntimeError), instead=instead):
        return cast(nn.Module, models.get_model(name, weights=published))


def _fit(preset: Any) -> Fit:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as F

    def fit(image: Image.Image, nearest: bool = False) -> Image.Image:
        """The shorter side to the preset's size, then the centre; as torchvision does, on 8-bit images."""
        interpolation = InterpolationMode.NEAREST if nearest else preset.interpolation
        resized = F.resize(image, preset.resize_size, interpolation=interpolation)
        return cast(Image.Image, F.center_crop(resized, preset.crop_size))

    return fit
