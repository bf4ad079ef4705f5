"""This package's own models by their command line names."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from captum_focalogic.errors import InputError
from captum_focalogic.integrations.names import NamedClassifier

MAX_CALLS = 1_000
"""Most requests that one command sends to a paid endpoint."""

LARGEST_SIDE = 512
"""Pictures for language models are made no larger: they pay by the pixel."""


@dataclass(frozen=True, eq=False)
class Named:
    """A :class:`~captum_focalogic.integrations.names.NamedClassifier`."""

    model: Callable[..., Any]
    labels: list[str] | None
    crop: Callable[..., Image.Image]


def split_labels(text: str) -> tuple[str, list[str] | None]:
    """``NAME@LABELS`` as name and labels.

    The labels are a file with one a line, separated by commas, or ``imagenet`` for the names of ImageNet's 1,000
    classes.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    name, at, said = text.rpartition("@")
    if not at:
        return text, None
    if said == "imagenet":
        from captum_focalogic.integrations.torchvision import imagenet_labels

        return name, imagenet_labels()
    if Path(said).suffix == ".txt":
        try:
            lines = Path(said).read_text().splitlines()
        except OSError as error:
            raise InputError(f"the labels {said} cannot be read: {error}") from error
        return name, [line.strip() for line in lines if line.strip()]
    return name, [label.strip() for label in said.split(",")]


def _timm(text: str, weights: str | Path | None) -> NamedClassifier:
    from captum_focalogic.integrations.timm import load_classifier

    return load_classifier(text, weights)


def _open_clip(text: str, weights: str | Path | None) -> NamedClassifier:
    from captum_focalogic.integrations.open_clip import load_classifier

    name, labels = _with_labels(text, "open_clip:ViT-B-16@cat,dog")
    return load_classifier(name, labels, weights=weights)


def _clip(text: str, weights: str | Path | None) -> NamedClassifier:
    from captum_focalogic.integrations.transformers_clip import load_classifier

    _no_weights(weights, "clip", "a folder in place of the id")
    return load_classifier(*_with_labels(text, "clip:openai/clip-vit-base-patch16@cat,dog"))


def _chat(text: str, weights: str | Path | None) -> NamedClassifier:
    from captum_focalogic.integrations.transformers_chat import ChatModel

    _no_weights(weights, "chat", "a folder in place of the id")
    name, labels = _with_labels(text, "chat:Qwen/Qwen2-VL-2B-Instruct@cat,dog")
    return Named(ChatModel(name, labels), labels, shrink)


def _openai(text: str, weights: str | Path | None) -> NamedClassifier:
    from captum_focalogic.integrations.mask_cache import default_folder
    from captum_focalogic.integrations.openai import EndpointModel

    _no_weights(weights, "openai", "nothing")
    name, labels = _with_labels(text, "openai:gpt-4o@cat,dog")
    model = EndpointModel(
        name,
        labels,
        base_url=os.environ.get("OPENAI_BASE_URL"),
        max_calls=MAX_CALLS,
        cache=default_folder().parent / "answers.sqlite",
    )
    return Named(model, labels, shrink)


def _tflite(text: str, weights: str | Path | None) -> NamedClassifier:
    from captum_focalogic.integrations.tflite import TfliteModel, TfliteRunner

    _no_weights(weights, "tflite", "nothing")
    path, labels = split_labels(text)
    shape = TfliteRunner(path).output_shape
    background = labels is not None and len(labels) == shape[-1] - 1
    model = TfliteModel(path, labels, background=background)
    return Named(model, model.labels, model.crop)


def _onnx(text: str, weights: str | Path | None) -> NamedClassifier:
    from captum_focalogic.integrations.onnx import OnnxModel

    _no_weights(weights, "onnx", "nothing")
    model = OnnxModel(*split_labels(text))
    return Named(model, model.labels, model.crop or shrink)


BUILT_IN: dict[str, Callable[[str, str | Path | None], NamedClassifier]] = {
    "chat": _chat,
    "clip": _clip,
    "onnx": _onnx,
    "open_clip": _open_clip,
    "openai": _openai,
    "tflite": _tflite,
    "timm": _timm,
}


def shrink(picture: Image.Image, nearest: bool = False) -> Image.Image:
    """A picture, or with ``nearest`` a label map, no larger than :data:`LARGEST_SIDE` a side."""
    scale = LARGEST_SIDE / max(picture.size)
    if scale >= 1:
        return picture
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.NEAREST if nearest else Image.Resampling.LANCZOS)


def _with_labels(text: str, example: str) -> tuple[str, list[str]]:
    name, labels = split_labels(text)
    if labels is None:
        raise InputError(f"this model needs labels to choose from: {example}, or a file with one a line, @labels.txt")
    return name, labels


def _no_weights(weights: str | Path | None, name: str, instead: str) -> None:
    if weights is not None:
        raise InputError(f"--weights has no meaning for {name}:…; give {instead}")
