"""What a command works with, opened once: the model, the image, its regions and its baselines, in this order."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor

from captum_focalogic import session as sessions
from captum_focalogic.arrays import Labels
from captum_focalogic.baselines import baseline_from_text
from captum_focalogic.classifier import Classifier, find_classifier, find_device, with_preprocess
from captum_focalogic.cli.errors import CommandError, brief
from captum_focalogic.criteria import class_number
from captum_focalogic.criteria import parse as parse_criterion
from captum_focalogic.errors import InputError
from captum_focalogic.focus import Focus
from captum_focalogic.images import image_tensor
from captum_focalogic.names import whole_number
from captum_focalogic.oracle.forward import raised_by_model
from captum_focalogic.preprocess import Normalisation
from captum_focalogic.segmenters import Grid, Segmenter, read_label_map, segmenter_from_text
from captum_focalogic.session import SeenImage, Session


class ModelError(CommandError):
    """The model raised an exception."""


@contextmanager
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
    mean: str | None = None,
    std: str | None = None,
) -> Iterator[Session]:
    """Find everything that options name; the cheap ones first, so that a misspelt one is told at once.

    As long as the session is open, exceptions that passed through the model become :class:`ModelError`.

    Parameters
    ----------
    image, model, weights, baseline, criterion, device, seed, mask, mean, std
        Options of the commands.
    segmenter : Segmenter, optional
        What cuts the image; by default what belongs to it.

    Raises
    ------
    FocaLogicError
        If something named does not exist or does not fit.
    """
    baseline_from_text(baseline)
    place = find_device(device)
    # A face of one's own may be a small part of the image; that of the example fills it.
    alone = ":0.4" if model == "cascade:face" and image is None else ""
    found = normalised(find_classifier(f"{model}{alone}", weights), mean, std)
    classifier = replace(found, name=model).to(place)
    parse_criterion(criterion, classifier.labels)
    session = sessions.open_session(
        classifier,
        _example(classifier, seed) if image is None else image,
        segmenter if mask is None else read_label_map(mask),
        baseline,
        place,
        title="" if image is None else image.name,
        what=f"the mask {mask}",
    )
    try:
        yield session
    except Exception as error:
        if _is_of_the_model(error, classifier.forward):
            raise ModelError(f"the model {model} raised {brief(error)}") from error
        raise


def normalised(classifier: Classifier, mean: str | None, std: str | None) -> Classifier:
    """The classifier of images in [0, 1] that the options --mean and --std make of one whose images are normalised.

    Raises
    ------
    CommandError
        If they hold anything but numbers.
    InputError
        If one is given without the other, they do not fit, or the classifier brings its own.
    """
    by = Normalisation.stated(_numbers("--mean", mean), _numbers("--std", std))
    return classifier if by is None else with_preprocess(classifier, None, by)


def _numbers(option: str, text: str | None) -> list[float] | None:
    try:
        return None if text is None else [float(part) for part in text.split(",")]
    except ValueError:
        raise CommandError(f"{option} must be numbers with commas between them; got {text!r}") from None


def open_stored(
    focus: Focus, path: Path, *, image: Path | None, baseline: str | None, **options: Any
) -> AbstractContextManager[Session]:
    """A session about the image of a stored explanation, in its regions; with its baseline unless another is named.

    Raises
    ------
    FocaLogicError
        If something named does not exist, or does not fit the explanation.
    """
    filled = baseline or focus.provenance.baseline or "black"
    return open_session(image=image, segmenter=_stored_regions(focus, path, image), baseline=filled, **options)


def choose_segmenter(segmenter: str | None, mask: Path | None) -> Segmenter | None:
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


def _stored_regions(focus: Focus, path: Path, image: Path | None) -> Segmenter:
    """The regions of a stored explanation, for the image that it is about.

    Raises
    ------
    InputError
        If it has none; when called, if the image is of another size.
    """
    label_map = focus.label_map
    if label_map is None:
        raise InputError(f"{path} is not about one image; verify it in Python, with captum_focalogic.verify")

    def regions(seen: Tensor) -> Labels:
        height, width = seen.shape[1:]
        if label_map.shape != (height, width):
            raise InputError(
                f"{path} is about an image of {label_map.shape[1]}x{label_map.shape[0]} pixels, but the model sees "
                f"{width}x{height} of {'its example' if image is None else image.name}; give the image and the model "
                "that it was made with"
            )
        return label_map

    return regions


def read_class(text: str | None, classifier: Classifier, option: str) -> int | None:
    """An option that names a class by its number or its name; None if it was not given.

    Raises
    ------
    CommandError
        If there is no such class.
    """
    try:
        return None if text is None else class_number(text, classifier.labels)
    except InputError as error:
        raise CommandError(f"{option}: {error}") from error


def read_batch(text: str) -> int | Literal["auto"]:
    """The option --batch.

    Raises
    ------
    CommandError
        If it is neither ``auto`` nor a positive whole number.
    """
    if text == "auto":
        return "auto"
    number = whole_number(text)
    if number is None or number < 1:
        raise CommandError(f"--batch must be auto or a number of images, at least 1; got {text!r}")
    return number


def _example(classifier: Classifier, seed: int) -> SeenImage:
    """The example that belongs to a model."""
    if classifier.name == "demo":
        return _scene(seed)
    if classifier.name == "cascade:face":
        from captum_focalogic.integrations.cascade import example_image

        face = Image.fromarray(example_image())
        return SeenImage("the astronaut Eileen Collins", image_tensor(face), face.size, segmenter=Grid(4, 3))
    photo = example_photo(classifier.name)
    if photo is not None:
        return sessions.see_image(photo[0], classifier, photo[1])
    raise CommandError(
        f"{classifier.name} has no example of its own; name an image: focalogic explain IMAGE --model ..."
    )


def example_photo(model: str) -> tuple[Image.Image, str] | None:
    """The photograph that belongs to a model of ImageNet's classes, and what it is called; None for other models."""
    if not model.startswith("efficientnet-lite"):
        return None
    from skimage import data

    cat: Any = data
    return Image.fromarray(cat.chelsea()), "chelsea, the cat of scikit-image"


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
        segmenter=lambda _: scene.labels,
        scene=scene,
    )


def _is_of_the_model(error: Exception, model: Callable[..., Any]) -> bool:
    """Whether an exception passed through the model, which is called in batches, by hand, or by a method of Captum."""
    if raised_by_model(error):
        return True
    while isinstance(model, partial):
        model = model.func
    code = getattr(model, "__code__", None)
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(frame.f_locals.get("self") is model or (code and frame.f_code is code) for frame in frames)
