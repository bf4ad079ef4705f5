"""Classifiers: a model with what belongs to it, by name or from what is at hand."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor, nn

from captum_focalogic import names
from captum_focalogic.arrays import Labels
from captum_focalogic.errors import InputError
from captum_focalogic.files import read_lines
from captum_focalogic.images import Fit, fit_labels, image_tensor, open_image


@dataclass(frozen=True, eq=False)
class Classifier:
    """A model with what belongs to it.

    Attributes
    ----------
    forward : callable
        Images (N, 3, H, W) in [0, 1] to whatever the model answers, one row an image.
    preprocess : callable
        An image of any size (PIL) to the image (3, H, W) in [0, 1] that the model sees of it; the whole image by
        default.
    preprocess_labels : callable or None
        A label map (H, W) of the image's size to one of the seen image's size; None where that is not known.
    labels : sequence or mapping of str, or None
        Class names; a mapping from class numbers, such as transformers' ``id2label``, is read by its keys.
    name : str
        What it is called.

    Raises
    ------
    InputError
        If the labels are no list of names.

    Examples
    --------
    >>> brightness = Classifier(lambda images: images.mean((2, 3)), labels={"1": "green", "0": "red", "2": "blue"})
    >>> brightness.labels, brightness.label_of(1), brightness.label_of(7)
    (['red', 'green', 'blue'], 'green', None)
    """

    forward: Callable[[Tensor], Any]
    preprocess: Callable[[Image.Image], Tensor] = image_tensor
    preprocess_labels: Callable[[Labels], Labels] | None = None
    labels: Sequence[str] | None = None
    name: str = "model"

    def __post_init__(self) -> None:
        if not callable(self.forward):
            raise InputError(f"a classifier must be a module or a function of images; got {self.forward!r}")
        object.__setattr__(self, "labels", names.listed_labels(self.labels) or None)

    @classmethod
    def fitted(
        cls, forward: Callable[[Tensor], Any], fit: Fit, labels: Sequence[str] | None = None, name: str = "model"
    ) -> "Classifier":
        """A classifier that sees of an image what ``fit`` makes of it, such as a CentreCrop."""
        return cls(forward, partial(_fitted, fit=fit), partial(fit_labels, fit=fit), labels, name)

    def to(self, device: torch.device | str) -> "Classifier":
        """The same on a device, in evaluation mode and without gradients of its weights."""
        if not isinstance(self.forward, nn.Module):
            return self
        module = self.forward.to(device).requires_grad_(False)
        # What torch.export made keeps the mode that it was exported in, and says so.
        with suppress(NotImplementedError):
            module.eval()
        return replace(self, forward=module)

    def label_of(self, target: int | None) -> str | None:
        """What a class is called, where that is known."""
        known = self.labels is not None and target is not None and 0 <= target < len(self.labels)
        return self.labels[target] if known and self.labels is not None and target is not None else None


def _fitted(image: Image.Image, fit: Fit) -> Tensor:
    return image_tensor(fit(open_image(image)))


class Normalised(nn.Module):
    """A classifier behind its normalisation, so that it takes images in [0, 1].

    Parameters
    ----------
    model : nn.Module
        Takes normalised images.
    mean, std : sequence of float
        Of each channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores of images (N, 3, H, W) in [0, 1]."""
        return cast(Tensor, self.model((images - self.mean) / self.std))


def as_classifier(model: Any) -> Classifier:
    """A classifier as it is; the classifier of a model that brings names and preprocessing along; else the bare model.

    Parameters
    ----------
    model : Classifier, callable, or image-classification model or pipeline of transformers
        A function or module takes images (N, 3, H, W) in [0, 1].
    """
    if isinstance(model, Classifier):
        return model
    packages = [kind.__module__.partition(".")[0] for kind in type(model).__mro__]
    maker = next((names.ADOPTED[package] for package in packages if package in names.ADOPTED), None)
    adopted = None if maker is None else names.import_object(maker)(model)
    return adopted or Classifier(model, name=getattr(model, "__name__", type(model).__name__))


def find_classifier(name: str, weights: str | Path | None = None) -> Classifier:
    """A classifier by its name, such as "torchvision:resnet18" or "my_models.py:net".

    Parameters
    ----------
    name : str
        See :data:`captum_focalogic.names.TABLE`.
    weights : str or Path, optional
        A file with a state dict, safetensors or torch; "random" for none at all, where the model can go without.

    Raises
    ------
    InputError
        If there is no such model, it fails to load, or the weights are of no use to it.
    """
    found = names.find("model", name, weights)
    if not isinstance(found, Classifier):
        package = names.package_of("model", name.partition(":")[0])
        raise InputError(
            f"the model {name!r} of {package} is a {type(found).__name__}; expected a captum_focalogic.classifier."
            "Classifier"
        )
    return replace(found, name=name)


def find_device(text: str) -> torch.device:
    """``auto`` (a GPU if there is one), or a device of torch by name.

    Raises
    ------
    InputError
        If there is no such device here.
    """
    if text == "auto":
        text = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(text)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"there is no device {text!r} here that torch can use; try cpu or auto") from error
    return device


def distinct_labels(labels: Any) -> list[str]:
    """Names of classes that are told apart by their names.

    Raises
    ------
    InputError
        If a label repeats or is blank, or there is none.
    """
    listed = names.listed_labels(labels) or []
    if not listed:
        raise InputError("there are no labels; name at least one class")
    for position, label in enumerate(listed):
        if not label.strip():
            raise InputError("a label is blank; give every class a name")
        if label in listed[:position]:
            raise InputError(f"the label {label!r} appears twice; give every class a name of its own")
    return listed


def split_labels(text: str) -> tuple[str, list[str] | None]:
    """``NAME@LABELS`` as name and labels.

    The labels are a file with one a line, separated by commas, or a name such as ``imagenet``, for the names of
    ImageNet's 1,000 classes.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    name, at, said = text.rpartition("@")
    if not at:
        return text, None
    if said in names.names_of("labels"):
        return name, names.listed_labels(names.find("labels", said))
    if Path(said).suffix == ".txt":
        return name, read_lines(said, "the labels")
    return name, [label.strip() for label in said.split(",")]


def require_labels(text: str, example: str) -> tuple[str, list[str]]:
    """As :func:`split_labels`, for models that need labels; ``example`` is one that has them.

    Raises
    ------
    InputError
        If there are none.
    """
    name, labels = split_labels(text)
    if labels is None:
        raise InputError(f"this model needs labels to choose from: {example}, or a file with one a line, @labels.txt")
    return name, labels


def refuse_weights(weights: str | Path | None, name: str, instead: str) -> None:
    """Refuse weights for a model that takes none.

    Raises
    ------
    InputError
        If there are some; the message says what to give in their place.
    """
    if weights is not None:
        raise InputError(f"--weights has no meaning for {name}; give {instead}")
