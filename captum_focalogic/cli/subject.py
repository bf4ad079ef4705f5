"""What is explained: a picture as the model sees it, and its regions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from captum_focalogic.cli.failing import CommandError
from captum_focalogic.cli.models import Labels, NamedModel, picture_tensor
from captum_focalogic.errors import InputError
from captum_focalogic.regions import as_label_map
from captum_focalogic.segmenters import Grid, Segmenter, Slic, read_label_map, segmenter_from_text

if TYPE_CHECKING:
    from captum_focalogic.demo.scenes import Scene


@dataclass(frozen=True, eq=False)
class Subject:
    """A picture as the model sees it.

    Attributes
    ----------
    title : str
        What it is called.
    image : (3, H, W) Tensor
        In [0, 1].
    size : tuple of int
        Width and height of the picture before it was fitted to the model.
    scene : Scene or None
        The embedded scene it is, if it is one.
    segmenter : Segmenter
        What cuts it unless the user says otherwise.
    """

    title: str
    image: Tensor
    size: tuple[int, int]
    scene: "Scene | None" = None
    segmenter: Segmenter = field(default_factory=Slic)


def find_subject(picture: Path | None, model: NamedModel, seed: int) -> Subject:
    """The user's picture, or the example that belongs to the model.

    Raises
    ------
    CommandError
        If there is no picture in the file, or none was given to a model without an example.
    """
    if picture is not None:
        opened = open_picture(picture)
        return Subject(picture.name, model.see(opened), opened.size)
    if model.name == "demo":
        return _scene(seed)
    if model.name == "cascade:face":
        from captum_focalogic.integrations.cascade import example_picture

        face = Image.fromarray(example_picture())
        return Subject("the astronaut Eileen Collins", picture_tensor(face), face.size, segmenter=Grid(4, 3))
    raise CommandError(f"{model.name} has no example of its own; name a picture: focalogic explain IMAGE --model ...")


def _scene(seed: int) -> Subject:
    from captum_focalogic.demo.rules import RULES
    from captum_focalogic.demo.scenes import draw_scene

    # Scenes of the class "other" have no reason to be found.
    classes = sorted(RULES)
    scene = draw_scene(seed, label=classes[seed % len(classes)])
    height, width = scene.labels.shape
    return Subject(
        title=f"the embedded scene {seed}",
        image=torch.from_numpy(scene.image),
        size=(width, height),
        scene=scene,
        segmenter=lambda _: scene.labels,
    )


def open_picture(path: Path) -> Image.Image:
    """A picture, upright and in RGB.

    Raises
    ------
    CommandError
        If the file is missing, truncated, too large or no picture.
    """
    try:
        with Image.open(path) as picture:
            return ImageOps.exif_transpose(picture).convert("RGB")
    except UnidentifiedImageError as error:
        raise CommandError(f"{path} is no picture that can be read; expected PNG, JPEG, WebP, TIFF, ...") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CommandError(f"the picture {path} cannot be read: {error}") from error


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


def find_regions(subject: Subject, model: NamedModel | None, segmenter: Segmenter | None, mask: Path | None) -> Labels:
    """Region id of every pixel that the model sees, (H, W).

    Raises
    ------
    InputError
        If the segmenter or the mask cannot be used, or the mask is of another size.
    """
    size = (subject.image.shape[1], subject.image.shape[2])
    if mask is None:
        return as_label_map((segmenter or subject.segmenter)(subject.image), size)
    label_map = read_label_map(mask)
    if label_map.shape == size:
        return label_map
    seen = f"{size[1]}x{size[0]}"
    original = f"{subject.size[0]}x{subject.size[1]}"
    if label_map.shape != (subject.size[1], subject.size[0]):
        expected = seen if seen == original else f"{original} (the picture's size) or {seen} (what the model sees)"
        raise InputError(
            f"the mask {mask} is {label_map.shape[1]}x{label_map.shape[0]} pixels (width x height); expected {expected}"
        )
    if model is None or model.see_labels is None:
        raise InputError(
            f"the mask {mask} is of the picture's size, {original}, but how the model's preprocess fits pictures is "
            f"not known; make it {seen}, the size that the model sees (focalogic segment IMAGE --model ... shows it)"
        )
    return model.see_labels(label_map)


def region_names(subject: Subject, label_map: Labels) -> Mapping[int, str]:
    """What regions are called, where that is known."""
    if subject.scene is None or not np.array_equal(label_map, subject.scene.labels):
        return {}
    return {item.region: str(item.kind) for item in subject.scene.objects}
