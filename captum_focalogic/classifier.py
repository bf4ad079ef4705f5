"""Classifiers: a model with what belongs to it, by name or from what is at hand."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
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
from captum_focalogic.preprocess import Normalisation, Preprocess


@dataclass(frozen=True, eq=False)
class Classifier:
    """A model with what belongs to it.

    Attributes
    ----------
    forward : callable
        Images (N, 3, H, W) in [0, 1] to whatever the model answers, one row an image; where ``preprocess`` normalises,
        what it gives. A network whose first convolution takes one channel is given grey images, (N, 1, H, W).
    preprocess : callable
        An image of any size (PIL) to what the model sees of it, such as the transforms of torchvision's weights; the
        whole image by default. Normalisation is found out and undone, so that this gives images in [0, 1], and the
        model gets it back: see :class:`captum_focalogic.preprocess.Preprocess`.
    preprocess_labels : callable or None
        A label map (H, W) of the image's size to one of the seen image's size; by default as ``preprocess`` resizes
        and crops.
    labels : sequence or mapping of str, str, or None
        Class names; a mapping from class numbers, such as transformers' ``id2label``, is read by its keys. A text is
        the name of such a list, "imagenet", a file with one a line, "labels.txt", or names with commas, "cat,dog".
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
        object.__setattr__(self, "labels", names.listed_labels(labels_from(self.labels)) or None)
        self._read_preprocess()

    def _read_preprocess(self) -> None:
        """Take the preprocessing for what it does: its normalisation goes to the model, its crop to label maps."""
        own, channels = self.preprocess, _input_channels(self.forward)
        plain = own is image_tensor or (isinstance(own, partial) and own.func is _fitted)
        if (plain and channels == 3) or (isinstance(own, Preprocess) and own.channels == channels):
            return
        read = Preprocess(own.function if isinstance(own, Preprocess) else own, channels)
        object.__setattr__(self, "preprocess", read)
        if read.normalisation is not None:
            object.__setattr__(self, "forward", Normalised.by(read.normalisation, self.forward))
        if self.preprocess_labels is None and own is not image_tensor:
            object.__setattr__(self, "preprocess_labels", read.labels)

    @classmethod
    def fitted(
        cls, forward: Callable[[Tensor], Any], fit: Fit, labels: Sequence[str] | None = None, name: str = "model"
    ) -> "Classifier":
        """A classifier that sees of an image what ``fit`` makes of it, such as a CentreCrop."""
        return cls(forward, partial(_fitted, fit=fit), partial(fit_labels, fit=fit), labels, name)

    def to(self, device: torch.device | str) -> "Classifier":
        """The same on a device; a module that is moved is the one that was given, whose mode stays what it was."""
        return replace(self, forward=self.forward.to(device)) if isinstance(self.forward, nn.Module) else self

    def label_of(self, target: int | None) -> str | None:
        """What a class is called, where that is known."""
        known = self.labels is not None and target is not None and 0 <= target < len(self.labels)
        return self.labels[target] if known and self.labels is not None and target is not None else None


def _input_channels(forward: Callable[[Tensor], Any]) -> int:
    """Channels of the images that a model takes: 1 where the first convolution of a module takes one, else 3."""
    layers = forward.modules() if isinstance(forward, nn.Module) else ()
    return 1 if next((layer.in_channels for layer in layers if isinstance(layer, nn.Conv2d)), 3) == 1 else 3


def _fitted(image: Image.Image, fit: Fit) -> Tensor:
    return image_tensor(fit(open_image(image)))


class Normalised(nn.Module):
    """A classifier behind its normalisation, so that it takes images in [0, 1], in the precision of its weights.

    Parameters
    ----------
    model : callable
        Takes normalised images.
    mean, std : sequence of float
        Of each channel.
    order : sequence of int, optional
        Which channel of the image each of the model's is, where they are in another order.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: Callable[[Tensor], Any],
        mean: Sequence[float],
        std: Sequence[float],
        order: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.order = None if order is None else list(order)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    @classmethod
    def by(cls, normalisation: Normalisation, model: Callable[[Tensor], Any]) -> "Normalised":
        """A model behind a normalisation."""
        return cls(model, normalisation.mean.tolist(), normalisation.std.tolist(), normalisation.order)

    def extra_repr(self) -> str:
        """The numbers, so that a fingerprint tells one normalisation from another."""
        order = "" if self.order is None else f", order={self.order}"
        return f"mean={self.mean.flatten().tolist()}, std={self.std.flatten().tolist()}{order}"

    def forward(self, images: Tensor) -> Tensor:
        """Class scores of images (N, 3, H, W) in [0, 1]."""
        ordered = images if self.order is None else images[:, self.order]
        normalised = (ordered - self.mean) / self.std
        precision = _precision(self.model)
        return cast(Tensor, self.model(normalised if precision is None else normalised.to(precision)))


def _precision(model: Any) -> torch.dtype | None:
    """What a network's weights are held in, where that is another precision than an image's."""
    weights = model.parameters() if isinstance(model, nn.Module) else ()
    found = next((weight.dtype for weight in weights if weight.is_floating_point()), None)
    return found if found in (torch.bfloat16, torch.float16, torch.float64) else None


def in_precision(model: Any) -> Any:
    """A model of images as they are, float32, whatever its weights are held in."""
    return model if _precision(model) is None else Normalised(model, [0.0], [1.0])


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """While this is open the network is in evaluation mode; each part has its own mode again afterwards."""
    before = [part for part in network.modules() if part.training]
    try:
        for part in before:
            part.training = False
        yield
    finally:
        for part in before:
            part.training = True


def as_classifier(model: Any) -> Classifier:
    """A classifier as it is; the classifier of a model that brings names and preprocessing along; else the bare model.

    Parameters
    ----------
    model : Classifier, callable, or image-classification model or pipeline of transformers
        A function or module takes images (N, 3, H, W) in [0, 1].

    Raises
    ------
    InputError
        If it is a class of networks and no network.
    """
    if isinstance(model, Classifier):
        return model
    if isinstance(model, type) and issubclass(model, nn.Module):
        raise InputError(f"{model.__name__} is a class of networks; make one of it first: {model.__name__}(...)")
    packages = [kind.__module__.partition(".")[0] for kind in type(model).__mro__]
    maker = next((names.ADOPTED[package] for package in packages if package in names.ADOPTED), None)
    adopted = None if maker is None else names.import_object(maker)(model)
    return adopted or Classifier(in_precision(model), name=getattr(model, "__name__", type(model).__name__))


def with_preprocess(
    classifier: Classifier,
    preprocess: Callable[[Image.Image], Any] | None,
    normalisation: Normalisation | None = None,
) -> Classifier:
    """A classifier with the preprocessing and the normalisation that the user says.

    Parameters
    ----------
    classifier : Classifier
        One that brings a preprocessing takes images in [0, 1]; of others ``forward`` is the model as the user has it.
    preprocess : callable, optional
        In place of the classifier's own.
    normalisation : Normalisation, optional
        What the user's model takes its images normalised by.

    Raises
    ------
    InputError
        If the classifier brings its own normalisation, or the preprocessing normalises otherwise.
    """
    own = classifier.preprocess
    bare = (own.function if isinstance(own, Preprocess) else own) is image_tensor
    if normalisation is not None and not bare:
        raise InputError(f"{classifier.name} brings its normalisation along; leave mean= and std= out")
    read = None if preprocess is None else Preprocess(preprocess, _input_channels(classifier.forward))
    found = None if read is None else read.normalisation
    if normalisation is not None and found is not None:
        # One that leaves colours as they are may still give their channels in another order.
        if not found.like(normalisation) and not found.like(Normalisation(0.0, 1.0)):
            raise InputError(
                f"preprocess normalises by {found}, but mean= and std= say {normalisation}; leave these out"
            )
        normalisation = Normalisation(normalisation.mean, normalisation.std, found.order)
    by = normalisation or found
    if bare and by is not None:
        classifier = replace(classifier, forward=Normalised.by(by, classifier.forward))
    return classifier if read is None else replace(classifier, preprocess=read, preprocess_labels=read.labels)


def labels_from(labels: Any) -> Any:
    """Names of classes as they are, or those that a text stands for: "imagenet", "labels.txt", "cat,dog"."""
    listed = isinstance(labels, str) and (
        labels in names.names_of("labels") or "," in labels or Path(labels).suffix == ".txt"
    )
    return split_labels(f"@{labels}")[1] if listed else labels


def find_classifier(name: str, weights: str | Path | None = None) -> Classifier:
    """A classifier by its name, such as "torchvision:resnet18" or "my_models.py:net", in evaluation mode and frozen.

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
    if isinstance(found.forward, nn.Module):
        found.forward.requires_grad_(False)
        # What torch.export made keeps the mode that it was exported in, and says so.
        with suppress(NotImplementedError):
            found.forward.eval()
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
