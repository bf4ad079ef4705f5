"""CLIP and its relatives (SigLIP, AltCLIP, …) by transformers: zero-shot classifiers over any labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from captum_focalogic.classifier import Classifier, distinct_labels, refuse_weights, require_labels
from captum_focalogic.errors import InputError
from captum_focalogic.images import CentreCrop, Fit, Stretch
from captum_focalogic.integrations.hub import import_transformers, pretrained
from captum_focalogic.integrations.zero_shot import TEMPLATES, ZeroShot, class_embeddings


def load_classifier(
    model: Any,
    labels: Sequence[str],
    *,
    templates: Sequence[str] = TEMPLATES,
    tokenizer: Any = None,
    image_processor: Any = None,
) -> Classifier:
    """A zero-shot classifier.

    Parameters
    ----------
    model : str, Path or PreTrainedModel
        A hub id such as "openai/clip-vit-base-patch16", a local folder, or a model with ``get_text_features`` and
        ``get_image_features``.
    labels : sequence of str
        Class names, all different.
    templates : sequence of str
        Sentences with ``{}`` for the name; a class is the mean over them.
    tokenizer, image_processor : object, optional
        Needed with a model object, loaded otherwise.

    Raises
    ------
    MissingExtraError
        Without transformers.
    InputError
        If labels repeat, or the model embeds no texts and images.
    HubError
        If an id cannot be fetched.

    Examples
    --------
    >>> clip = load_classifier("openai/clip-vit-base-patch16", ["cat", "dog", "bird"])  # doctest: +SKIP
    >>> FocaLogic(clip.forward).explain(images)  # images (N, 3, 224, 224) in [0, 1]  # doctest: +SKIP
    """
    transformers = import_transformers()
    names = distinct_labels(labels)
    if isinstance(model, str | Path):
        name = model
        model = pretrained(transformers.AutoModel, name)
        tokenizer = tokenizer or pretrained(transformers.AutoTokenizer, name)
        image_processor = image_processor or pretrained(transformers.AutoImageProcessor, name)
    elif tokenizer is None or image_processor is None:
        raise InputError("a model object needs its tokenizer and its image_processor; pass both")
    if not (hasattr(model, "get_text_features") and hasattr(model, "get_image_features")):
        raise InputError(f"{type(model).__name__} embeds no texts and images; give a CLIP or SigLIP model")
    network = model.eval().requires_grad_(False)
    fit, size = _preprocessing(image_processor)
    bias = getattr(network, "logit_bias", None)
    zero_shot = ZeroShot(
        network,
        lambda images: _features(network.get_image_features(pixel_values=images)),
        class_embeddings(lambda sentences: _embed_texts(network, tokenizer, sentences), names, templates),
        scale=float(network.logit_scale.exp()),
        bias=0.0 if bias is None else float(bias),
        mean=image_processor.image_mean,
        std=image_processor.image_std,
        size=size,
    )
    return Classifier.fitted(zero_shot.eval(), fit, names, f"clip:{network.config.model_type}")


def classifier_from_text(text: str, weights: str | Path | None = None) -> Classifier:
    """A zero-shot classifier from ``ID@LABELS``."""
    refuse_weights(weights, "clip:…", "a folder in place of the id")
    return load_classifier(*require_labels(text, "clip:openai/clip-vit-base-patch16@cat,dog"))


def _embed_texts(network: Any, tokenizer: Any, sentences: list[str]) -> Tensor:
    # SigLIP was trained on padded sentences without an attention mask.
    padded = network.config.model_type.startswith("siglip")
    tokens = tokenizer(sentences, padding="max_length" if padded else True, truncation=True, return_tensors="pt")
    kept = ("input_ids",) if padded else ("input_ids", "attention_mask")
    tokens = {key: tokens[key].to(network.device) for key in kept if key in tokens}
    return _features(network.get_text_features(**tokens))


def _features(output: Any) -> Tensor:
    """Transformers 5 returns an object where 4 returned the tensor."""
    features: Tensor = output if isinstance(output, torch.Tensor) else output.pooler_output
    return features


def _preprocessing(processor: Any) -> tuple[Fit, tuple[int, int]]:
    resampling = Image.Resampling(getattr(processor, "resample", None) or Image.Resampling.BICUBIC)
    cropped = processor.crop_size if getattr(processor, "do_center_crop", False) else None
    size = cropped or processor.size
    if "height" not in size:
        raise InputError(
            f"the image processor {type(processor).__name__} gives images of changing size ({dict(size)}); pass one "
            "with a fixed height and width"
        )
    height, width = int(size["height"]), int(size["width"])
    if cropped is None:
        return Stretch(height, width, resampling), (height, width)
    shortest = processor.size.get("shortest_edge") or min(processor.size["height"], processor.size["width"])
    share = min(1.0, max(height, width) / shortest)
    return CentreCrop(height, width, share, resampling), (height, width)
