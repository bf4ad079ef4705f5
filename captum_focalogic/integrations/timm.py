"""Classifiers of timm by name, with their own preprocessing and labels."""

import difflib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from PIL import Image
from torch import nn

from captum_focalogic.classifier import Classifier, Normalised, split_labels
from captum_focalogic.errors import InputError, MissingExtraError
from captum_focalogic.images import Fit
from captum_focalogic.integrations.weights import FILE_INSTEAD, RANDOM, fetching, known_labels, load_with_head

_ON_HUB = ("hf-hub:", "hf_hub:", "local-dir:")


def load_classifier(name: str, weights: str | Path | None = None, labels: Sequence[str] | None = None) -> Classifier:
    """A classifier of timm.

    Parameters
    ----------
    name : str
        One of ``timm.list_models()``, with or without the tag of its weights ("resnet18.a1_in1k"); or
        "hf-hub:owner/name".
    weights : str or Path, optional
        A file with a state dict (safetensors or torch); ``"random"`` for none at all; by default the published ones,
        fetched once. The last layer is as large as in the file.
    labels : sequence of str, optional
        Names of the classes; by default those that timm knows, if the classes are as many.

    Raises
    ------
    MissingExtraError
        Without timm.
    InputError
        If there is no such model, it has no published weights, or the weights do not fit it.
    HubError
        If published weights cannot be fetched.
    """
    timm = _timm()
    if weights is None:
        model: Any = _create(timm, name, published=True)
    else:
        model, _ = load_with_head(partial(_create, timm, name), weights, labels, name)
    return _classifier(timm, model.eval().requires_grad_(False), name, labels)


def adopted(model: Any) -> Classifier | None:
    """The classifier of a model of timm as it is, with its preprocessing and names; None where it says neither."""
    settings = getattr(model, "pretrained_cfg", None)
    if not settings or not int(getattr(model, "num_classes", 0) or 0):
        return None
    return _classifier(_timm(), model, settings.get("architecture") or type(model).__name__)


def _classifier(timm: Any, model: Any, name: str, labels: Sequence[str] | None = None) -> Classifier:
    settings = timm.data.resolve_model_data_config(model)
    first = next((layer for layer in model.modules() if isinstance(layer, nn.Conv2d)), None)
    channels = settings["input_size"][0] if first is None else first.in_channels
    if channels not in (1, 3):
        raise InputError(f"{name} takes {channels} channels; this needs a model of images in colour or grey")
    mean, std = list(settings["mean"]), list(settings["std"])
    if channels == 1:
        # timm sums the weights of the three channels, and is normalised by the mean of theirs.
        mean, std = [sum(mean) / len(mean)], [sum(std) / len(std)]
    normalised = Normalised(model, mean, std)
    normalised.training = model.training
    known = known_labels(labels, _labels(timm, model), int(model.num_classes), name)
    return Classifier.fitted(normalised, _fit(timm, settings), known, f"timm:{name}")


def classifier_from_text(text: str, weights: str | Path | None = None) -> Classifier:
    """A classifier from ``NAME[@LABELS]``; behind a name of the hub ``@`` is a revision's."""
    name, labels = (text, None) if text.startswith(_ON_HUB) else split_labels(text)
    return load_classifier(name, weights, labels)


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("timm", "timm") from error
    return timm


def _create(timm: Any, name: str, classes: int | None = None, *, published: bool = False) -> nn.Module:
    on_hub, head = name.startswith(_ON_HUB), {} if classes is None else {"num_classes": classes}
    if not on_hub:
        _check_name(timm, name, published=published)
    if not published and not on_hub:
        return cast(nn.Module, timm.create_model(name, pretrained=False, **head))
    with fetching(f"the weights of {name}", failures=(OSError, RuntimeError), instead=FILE_INSTEAD):
        return cast(nn.Module, timm.create_model(name, pretrained=published, **head))


def _check_name(timm: Any, name: str, *, published: bool) -> None:
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = difflib.get_close_matches(architecture, timm.list_models(), n=3) or ["resnet18", "vit_base_patch16_224"]
        raise InputError(f"timm has no model {architecture!r}; did you mean {', '.join(near)}?")
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{architecture}*") if _same(full, architecture)]
    if tag and tag not in tags:
        raise InputError(f"timm has no weights {tag!r} for {architecture}; it has {', '.join(tags) or 'none'}")
    if published and not tags:
        raise InputError(f"{name} has no published weights; give a file (--weights FILE, weights=) or {RANDOM!r}")


def _same(full: str, architecture: str) -> bool:
    return full.partition(".")[0] == architecture


def _labels(timm: Any, model: Any) -> list[str]:
    """Names of the classes, where the weights or ImageNet's subsets tell them."""
    named = model.pretrained_cfg.get("label_names")
    if named:
        return list(named)
    subset = timm.data.infer_imagenet_subset(model)
    if not subset:
        return []
    info = timm.data.ImageNetInfo(subset)
    return [info.index_to_description(index) for index in range(info.num_classes())]


def _fit(timm: Any, settings: dict[str, Any]) -> Fit:
    def fit(image: Image.Image, nearest: bool = False) -> Image.Image:
        """The model's own resizing and cropping; with ``nearest=True`` for label maps."""
        chosen = {**settings, "interpolation": "nearest"} if nearest else settings
        for step in timm.data.create_transform(**chosen, is_training=False).transforms:
            if "Tensor" in type(step).__name__:
                break
            image = step(image)
        return image

    return fit
