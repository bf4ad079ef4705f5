"""CLIP by open_clip: zero-shot classifiers over any labels."""

import difflib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor, nn

from captum_focalogic.classifier import Classifier, distinct_labels, evaluating, require_labels
from captum_focalogic.errors import InputError, MissingExtraError
from captum_focalogic.images import CentreCrop, Fit, Stretch
from captum_focalogic.integrations.weights import FILE_INSTEAD, fetching, load_or_leave
from captum_focalogic.integrations.zero_shot import TEMPLATES, ZeroShot, class_embeddings


def load_classifier(
    model: str | nn.Module,
    labels: Sequence[str],
    *,
    templates: Sequence[str] = TEMPLATES,
    pretrained: str = "openai",
    weights: str | Path | None = None,
    tokenizer: Any = None,
) -> Classifier:
    """A zero-shot classifier.

    Parameters
    ----------
    model : str or nn.Module
        One of ``open_clip.list_models()``, such as the paper's "ViT-B-16", "ViT-B-32" and "ViT-L-14"; or a model of
        open_clip.
    labels : sequence of str
        Class names, all different.
    templates : sequence of str
        Sentences with ``{}`` for the name; a class is the mean over them.
    pretrained : str, default "openai"
        Tag of published weights, fetched once.
    weights : str or Path, optional
        A file with a state dict instead, or ``"random"``. Weights that OpenAI trained need the architectures whose
        names end in "-quickgelu".
    tokenizer : callable, optional
        Sentences to tokens; that of the named model by default, needed with a model object of another vocabulary.

    Raises
    ------
    MissingExtraError
        Without open_clip.
    InputError
        If there is no such model or tag, labels repeat, or the weights do not fit.
    HubError
        If published weights cannot be fetched.

    Examples
    --------
    >>> clip = load_classifier("ViT-B-16", ["cat", "dog", "bird"])  # doctest: +SKIP
    >>> FocaLogic(clip.forward).explain(images)  # images (N, 3, 224, 224) in [0, 1]  # doctest: +SKIP
    """
    open_clip = _open_clip()
    names = distinct_labels(labels)
    if isinstance(model, str):
        network = _create(open_clip, model, pretrained, weights).eval().requires_grad_(False)
        tokenizer = tokenizer or open_clip.get_tokenizer(model)
    else:
        network = model
        tokenizer = tokenizer or open_clip.SimpleTokenizer(context_length=network.context_length)
    device = next(network.parameters()).device

    def embed_texts(sentences: list[str]) -> Tensor:
        embedded: Tensor = network.encode_text(tokenizer(sentences).to(device))
        return embedded

    # A model that was built by hand does not say how it wants its images, and gets OpenAI's way.
    settings = {**asdict(open_clip.transform.PreprocessCfg()), **open_clip.get_model_preprocess_cfg(network)}
    size = settings["size"]
    height, width = (size, size) if isinstance(size, int) else size
    bias = getattr(network, "logit_bias", None)
    with evaluating(network):
        classes = class_embeddings(embed_texts, names, templates)
    zero_shot = ZeroShot(
        network,
        network.encode_image,
        classes,
        scale=float(network.logit_scale.detach().exp()),
        bias=0.0 if bias is None else float(bias.detach()),
        mean=settings["mean"],
        std=settings["std"],
        size=(height, width),
    )
    fit: Fit = CentreCrop(height, width, 1.0, Image.Resampling.BICUBIC)
    if settings.get("resize_mode") == "squash":
        fit = Stretch(height, width, Image.Resampling.BICUBIC)
    return Classifier.fitted(zero_shot, fit, names, f"open_clip:{model if isinstance(model, str) else 'model'}")


def classifier_from_text(text: str, weights: str | Path | None = None) -> Classifier:
    """A zero-shot classifier from ``NAME@LABELS``."""
    name, labels = require_labels(text, "open_clip:ViT-B-16@cat,dog")
    return load_classifier(name, labels, weights=weights)


def _open_clip() -> Any:
    try:
        import open_clip
    except ImportError as error:
        raise MissingExtraError("open_clip_torch", "clip") from error
    return open_clip


def _create(open_clip: Any, name: str, pretrained: str, weights: str | Path | None) -> Any:
    on_hub = name.startswith(("hf-hub:", "local-dir:"))
    if not on_hub and name not in open_clip.list_models():
        near = difflib.get_close_matches(name, open_clip.list_models(), n=3) or ["ViT-B-16", "ViT-B-32", "ViT-L-14"]
        raise InputError(f"open_clip has no model {name!r}; did you mean {', '.join(near)}?")
    if weights is None:
        tags = open_clip.list_pretrained_tags_by_model(name)
        if not on_hub and pretrained not in tags:
            raise InputError(f"open_clip has no weights {pretrained!r} for {name}; it has {', '.join(tags) or 'none'}")
        with fetching(f"the weights of {name}", failures=(OSError, RuntimeError), instead=FILE_INSTEAD):
            return open_clip.create_model(name, pretrained=None if on_hub else pretrained)
    network = open_clip.create_model(name, pretrained=None, load_weights=False)
    return load_or_leave(network, weights, name)


__all__ = ["TEMPLATES", "load_classifier"]
