"""What a command works with, opened once: the model, the image, its regions and its baselines, in this order."""

import math
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from captum_focalogic.baselines import baseline_from_text
from captum_focalogic.classifier import Classifier, find_classifier, find_device
from captum_focalogic.cli.errors import CommandError, brief
from captum_focalogic.criteria import parse as parse_criterion
from captum_focalogic.errors import InputError, ModelOutputError
from captum_focalogic.images import image_tensor, open_image
from captum_focalogic.oracle.forward import as_rows
from captum_focalogic.regions import Labels, as_label_map
from captum_focalogic.segmenters import Grid, Segmenter, Slic, read_label_map, segmenter_from_text

if TYPE_CHECKING:
    from captum_focalogic.demo.scenes import Scene


class ModelError(CommandError):
    """The model raised an exception."""


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
    scene : Scene or None
        The embedded scene it is, if it is one.
    segmenter : Segmenter
        What cuts it unless the user says otherwise.
    """

    title: str
    pixels: Tensor
    size: tuple[int, int]
    scene: "Scene | None" = None
    segmenter: Segmenter = field(default_factory=Slic)


@dataclass(frozen=True, eq=False)
class Session:
    """Everything that the model is asked with.

    As a context manager it tells the model's own exceptions, which become :class:`ModelError`, from everybody else's.

    Attributes
    ----------
    model : Classifier
        On the device.
    image : SeenImage
        The image.
    label_map : (H, W) int64
        Region of every pixel.
    inputs, baselines : (1, 3, H, W) Tensor
        On the device.
    feature_mask : (1, 1, H, W) int64 Tensor
        The label map, on the device.
    device : torch.device
        Where the model runs.
    """

    model: Classifier
    image: SeenImage
    label_map: Labels
    inputs: Tensor
    baselines: Tensor
    feature_mask: Tensor
    device: torch.device

    @property
    def names(self) -> Mapping[int, str]:
        """What regions are called, where that is known."""
        scene = self.image.scene
        if scene is None or not np.array_equal(self.label_map, scene.labels):
            return {}
        return {item.region: str(item.kind) for item in scene.objects}

    def class_text(self, target: Any) -> str:
        """A class by its name and number."""
        label = self.model.label_of(target) if isinstance(target, int) else None
        return f"class {target}" if label is None else f"{label} (class {target})"

    def predict(self) -> Tensor:
        """The model's answer on the whole image, without the batch dimension.

        Raises
        ------
        ModelOutputError
            If it is no tensor with one row for the image.
        """
        with torch.no_grad():
            outputs = self.model.forward(self.inputs)
        if isinstance(outputs, Tensor) and outputs.dim() == 0:
            raise ModelOutputError(
                f"the model {self.model.name} answered a batch of one picture with a single number; it must answer "
                "with one row a picture, shape (N, classes), or one number a picture, shape (N,)"
            )
        return as_rows(outputs, 1)[0].detach().cpu()

    def describe(self, answer: Tensor) -> str:
        """A prediction in words."""
        if answer.dim() > 1 or answer.numel() == 0:
            return f"an output of shape {tuple(answer.shape)}"
        if answer.numel() == 1:
            value = answer.reshape(()).item()
            if not answer.is_floating_point():
                return self.class_text(int(value))
            return f"{value:.4g} ({'positive' if value > 0 else 'not positive'})"
        best = int(answer.argmax())
        return f"{self.class_text(best)}, probability {_probability(answer, best):.3f}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, Exception) and _is_of_the_model(error, self.model.forward):
            raise ModelError(f"the model {self.model.name} raised {brief(error)}") from error


def open_session(
    *,
    image: Path | None,
    model: str,
    weights: str | None,
    baseline: str,
    criterion: str,
    device: str,
    seed: int,
    segmenter: Segmenter | None = None,
    mask: Path | None = None,
) -> Session:
    """Find everything that options name; the cheap ones first, so that a misspelt one is told at once.

    Parameters
    ----------
    image, model, weights, baseline, criterion, device, seed, mask
        Options of the commands.
    segmenter : Segmenter, optional
        What cuts the image; by default what belongs to it.

    Raises
    ------
    FocaLogicError
        If something named does not exist or does not fit.
    """
    make_baseline = baseline_from_text(baseline)
    parse_criterion(criterion)
    place = find_device(device)
    # A face of one's own may be a small part of the image; that of the example fills it.
    alone = ":0.4" if model == "cascade:face" and image is None else ""
    named = replace(find_classifier(f"{model}{alone}", weights), name=model).to(place)
    seen = see_image(image, named) if image is not None else _example(named, seed)
    label_map = find_regions(seen, named, segmenter, mask)
    inputs = seen.pixels[None].to(place)
    feature_mask = torch.from_numpy(label_map)[None, None].to(place)
    return Session(named, seen, label_map, inputs, make_baseline(inputs, feature_mask), feature_mask, place)


def see_image(path: Path, model: Classifier | None) -> SeenImage:
    """The user's image as a model sees it, or as it is.

    Raises
    ------
    InputError
        If there is no image in the file.
    """
    opened = open_image(path)
    return SeenImage(path.name, image_tensor(opened) if model is None else model.preprocess(opened), opened.size)


def _example(model: Classifier, seed: int) -> SeenImage:
    """The example that belongs to a model."""
    if model.name == "demo":
        return _scene(seed)
    if model.name == "cascade:face":
        from captum_focalogic.integrations.cascade import example_image

        face = Image.fromarray(example_image())
        return SeenImage("the astronaut Eileen Collins", image_tensor(face), face.size, segmenter=Grid(4, 3))
    raise CommandError(f"{model.name} has no example of its own; name a picture: focalogic explain IMAGE --model ...")


def _scene(seed: int) -> SeenImage:
    from captum_focalogic.demo.rules import RULES
    from captum_focalogic.demo.scenes import draw_scene

    # Scenes of the class "other" have no reason to be found.
    classes = sorted(RULES)
    scene = draw_scene(seed, label=classes[seed % len(classes)])
    height, width = scene.labels.shape
    return SeenImage(
        title=f"the embedded scene {seed}",
        pixels=torch.from_numpy(scene.image),
        size=(width, height),
        scene=scene,
        segmenter=lambda _: scene.labels,
    )


def choose_segmenter(segmenter: str | None, mask: Path | None = None) -> Segmenter | None:
    """The option --segmenter: by its name, see :func:`segmenter_from_text`; None if it was not given.

    Raises
    ------
    CommandError
        If --mask says otherwise.
    InputError
        If there is no such segmenter.
    """
    if segmenter is None:
        return None
    if mask is not None:
        raise CommandError("--mask and --segmenter both say what the regions are; give one of them")
    return segmenter_from_text(segmenter)


def find_regions(image: SeenImage, model: Classifier | None, segmenter: Segmenter | None, mask: Path | None) -> Labels:
    """Region id of every pixel that the model sees, (H, W).

    Raises
    ------
    InputError
        If the segmenter or the mask cannot be used, or the mask is of another size.
    """
    size = (image.pixels.shape[1], image.pixels.shape[2])
    if mask is None:
        return as_label_map((segmenter or image.segmenter)(image.pixels), size)
    label_map = read_label_map(mask)
    if label_map.shape == size:
        return label_map
    seen = f"{size[1]}x{size[0]}"
    original = f"{image.size[0]}x{image.size[1]}"
    if label_map.shape != (image.size[1], image.size[0]):
        expected = seen if seen == original else f"{original} (the picture's size) or {seen} (what the model sees)"
        raise InputError(
            f"the mask {mask} is {label_map.shape[1]}x{label_map.shape[0]} pixels (width x height); expected {expected}"
        )
    if model is None or model.preprocess_labels is None:
        raise InputError(
            f"the mask {mask} is of the picture's size, {original}, but how the model's preprocess fits pictures is "
            f"not known; make it {seen}, the size that the model sees (focalogic segment IMAGE --model ... shows it)"
        )
    return model.preprocess_labels(label_map)


def read_batch(text: str) -> int | Literal["auto"]:
    """The option --batch.

    Raises
    ------
    CommandError
        If it is neither ``auto`` nor a positive whole number.
    """
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise CommandError(f"--batch must be auto or a number of images, at least 1; got {text!r}")
    return int(text)


def _probability(scores: Tensor, target: int) -> float:
    values = scores.double()
    already = bool((values >= 0).all()) and math.isclose(float(values.sum()), 1, abs_tol=1e-3)
    return float((values if already else values.softmax(dim=0))[target])


def _is_of_the_model(error: Exception, model: Callable[..., Any]) -> bool:
    """Whether an exception passed through the model, which is called in batches, by hand, or by a method of Captum."""
    if any(note.startswith("raised by the forward function") for note in getattr(error, "__notes__", ())):
        return True
    while isinstance(model, partial):
        model = model.func
    code = getattr(model, "__code__", None)
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(frame.f_locals.get("self") is model or (code and frame.f_code is code) for frame in frames)
