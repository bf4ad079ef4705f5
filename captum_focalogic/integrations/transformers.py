"""What transformers runs: CLIP and its relatives, language models that see images, and networks that generate masks."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from captum_focalogic.classifier import (
    Classifier,
    Normalised,
    distinct_labels,
    evaluating,
    in_precision,
    refuse_weights,
    require_labels,
)
from captum_focalogic.errors import InputError
from captum_focalogic.fingerprint import fingerprint
from captum_focalogic.images import CentreCrop, Fit, Stretch, resize_image
from captum_focalogic.integrations.answers import (
    QUESTION,
    StrayAnswers,
    Tokens,
    ask,
    read_answer,
    scores_of,
    token_choices,
)
from captum_focalogic.integrations.functions import ANY_SIZE, ArrayFormat
from captum_focalogic.integrations.masks import Cache, Masks, MaskSegmenter, best_device, stacked
from captum_focalogic.integrations.segment_anything import POINTS_PER_SIDE
from captum_focalogic.integrations.weights import first_line, import_transformers, pretrained
from captum_focalogic.integrations.zero_shot import TEMPLATES, ZeroShot, class_embeddings
from captum_focalogic.preprocess import Preprocess
from captum_focalogic.regions import MIN_AREA

SPARE_TOKENS = 8
"""Tokens that a generated answer may have beyond the longest label, before it is cut and counts as none."""

OPTIONS = (
    "points_per_crop",
    "points_per_batch",
    "pred_iou_thresh",
    "stability_score_thresh",
    "stability_score_offset",
    "mask_threshold",
    "crops_n_layers",
    "crops_nms_thresh",
    "crop_overlap_ratio",
    "crop_n_points_downscale_factor",
    "max_hole_area",
    "max_sprinkle_area",
)
"""What :class:`TransformersSegmenter` passes on to the mask generation pipeline."""


def load_clip(
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
    >>> clip = load_clip("openai/clip-vit-base-patch16", ["cat", "dog", "bird"])  # doctest: +SKIP
    >>> FocaLogic(clip.forward).explain(images)  # images (N, 3, 224, 224) in [0, 1]  # doctest: +SKIP
    """
    transformers = import_transformers()
    names = distinct_labels(labels)
    if isinstance(model, str | Path):
        name = model
        model = pretrained(transformers.AutoModel, name).requires_grad_(False)
        tokenizer = tokenizer or pretrained(transformers.AutoTokenizer, name)
        image_processor = image_processor or pretrained(transformers.AutoImageProcessor, name)
    elif tokenizer is None or image_processor is None:
        raise InputError("a model object needs its tokenizer and its image_processor; pass both")
    if not (hasattr(model, "get_text_features") and hasattr(model, "get_image_features")):
        raise InputError(f"{type(model).__name__} embeds no texts and images; give a CLIP or SigLIP model")
    network = model
    fit, size = _preprocessing(image_processor)
    bias = getattr(network, "logit_bias", None)
    with evaluating(network):
        classes = class_embeddings(lambda sentences: _embed_texts(network, tokenizer, sentences), names, templates)
    zero_shot = ZeroShot(
        network,
        lambda images: _features(network.get_image_features(pixel_values=images)),
        classes,
        scale=float(network.logit_scale.detach().exp()),
        bias=0.0 if bias is None else float(bias.detach()),
        mean=image_processor.image_mean,
        std=image_processor.image_std,
        size=size,
    )
    return Classifier.fitted(zero_shot, fit, names, f"clip:{network.config.model_type}")


def clip_from_text(text: str, weights: str | Path | None = None) -> Classifier:
    """A zero-shot classifier from ``ID@LABELS``."""
    refuse_weights(weights, "clip:…", "a folder in place of the id")
    return load_clip(*require_labels(text, "clip:openai/clip-vit-base-patch16@cat,dog"))


def load_classifier(model: Any, image_processor: Any = None) -> Classifier:
    """A classifier that was trained on labels, with its own preprocessing and names.

    Parameters
    ----------
    model : str, Path, PreTrainedModel or ImageClassificationPipeline
        A hub id such as "google/vit-base-patch16-224", a local folder, or what transformers made of one.
    image_processor : object, optional
        Of a model object; one that is left out means that images come as the model takes them: of its size, normalised.

    Raises
    ------
    MissingExtraError
        Without transformers.
    InputError
        If the model gives no class scores of images, or its images have changing sizes.
    HubError
        If an id cannot be fetched.

    Examples
    --------
    >>> vit = load_classifier("google/vit-base-patch16-224")  # doctest: +SKIP
    >>> print(explain_image(vit, "cat.jpg"))  # doctest: +SKIP
    """
    transformers = import_transformers()
    name = "transformers"
    if isinstance(model, str | Path):
        name = f"transformers:{model}"
        image_processor = image_processor or pretrained(transformers.AutoImageProcessor, model)
        model = pretrained(transformers.AutoModelForImageClassification, model).requires_grad_(False)
    elif isinstance(model, transformers.Pipeline):
        model, image_processor = model.model, image_processor or model.image_processor
    if "pixel_values" not in inspect.signature(model.forward).parameters or "ForImageClassification" not in (
        kind := type(model).__name__
    ):
        raise InputError(
            f"{type(model).__name__} gives no class scores of images; give a model for image classification, such as "
            "AutoModelForImageClassification loads"
        )
    network = model
    labels = network.config.id2label
    if image_processor is None:
        return Classifier(in_precision(network), labels=labels, name=kind)
    fit, _ = _preprocessing(image_processor)
    normalisation = Preprocess(image_processor).normalisation
    if normalisation is not None:
        network = Normalised.by(normalisation, network)
    return Classifier.fitted(network, fit, labels, name if name != "transformers" else kind)


def classifier_from_text(text: str, weights: str | Path | None = None) -> Classifier:
    """A classifier by its id or folder."""
    refuse_weights(weights, "transformers:…", "a folder in place of the id")
    return load_classifier(text)


def adopted(model: Any) -> Classifier | None:
    """The classifier of a model or pipeline as transformers gives it; None for other objects of transformers."""
    network = getattr(model, "model", model) if type(model).__name__.endswith("Pipeline") else model
    return load_classifier(model) if type(network).__name__.endswith("ForImageClassification") else None


class ChatModel:
    """A multimodal language model as a classifier.

    Parameters
    ----------
    model : str, Path or PreTrainedModel
        A hub id such as "Qwen/Qwen2-VL-2B-Instruct" (the paper's), a local folder, or a model for image-text-to-text.
    labels : sequence of str
        At least two, all different.
    processor : object, optional
        Needed with a model object, loaded otherwise.
    question : str
        What is asked; ``{labels}`` stands for the labels.
    mode : {"score", "generate"}
        "score" compares the probabilities of the labels' tokens: deterministic, one forward a batch where the first
        tokens differ, and always one of the labels. "generate" lets the model speak, greedily, and reads the answer
        strictly: whatever is no label counts as a changed prediction, is counted in :attr:`outside` and warned of.
    device : str or torch.device, optional
        An accelerator where there is one; a model object stays where it is.

    Raises
    ------
    MissingExtraError
        Without transformers.
    HubError
        If an id cannot be fetched.
    InputError
        If an argument does not fit, or the processor has no chat template.

    Examples
    --------
    >>> model = ChatModel("Qwen/Qwen2-VL-2B-Instruct", ["cat", "dog", "bird"])  # doctest: +SKIP
    >>> FocaLogic(model, max_evaluations=500).explain(images)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Any,
        labels: Sequence[str],
        *,
        processor: Any = None,
        question: str = QUESTION,
        mode: Literal["score", "generate"] = "score",
        device: str | torch.device | None = None,
    ) -> None:
        if mode not in ("score", "generate"):
            raise InputError(f"mode must be score or generate; got {mode!r}")
        self.labels = distinct_labels(labels)
        transformers = import_transformers()
        if isinstance(model, str | Path):
            name = model
            model = pretrained(transformers.AutoModelForImageTextToText, name, dtype="auto").to(best_device(device))
            processor = processor or pretrained(transformers.AutoProcessor, name)
        elif processor is None:
            raise InputError(f"a {type(model).__name__} object needs its processor; pass it too")
        self.model = model
        self.processor = processor
        self.mode = mode
        self.outside = StrayAnswers()
        self._prompt = _prompt(processor, ask(question, self.labels))
        self._format = ArrayFormat()
        tokens = [processor.tokenizer(label, add_special_tokens=False)["input_ids"] for label in self.labels]
        # Logits of all positions over a large vocabulary would take gigabytes a batch.
        takes = inspect.signature(model.forward).parameters
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
        self._longest = max(map(len, tokens))
        self._tree = token_choices(tokens, _end_of_answer(model, processor.tokenizer), self.labels)

    @property
    def identity(self) -> str:
        """What the answers depend on, by which a study tells it from others; what was answered does not count."""
        tokens = self._tree.sequences
        return f"{type(self).__name__} {fingerprint(self.model, self._prompt, self.labels, self.mode, tokens)}"

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Answers for images, of the model in evaluation mode.

        Parameters
        ----------
        images : (N, 3, H, W) Tensor
            RGB in [0, 1].

        Returns
        -------
        (N, K) float32 Tensor
            With mode "score", log-probabilities of the labels; with "generate", 1 for the label that was said, NaN
            throughout where none was.
        """
        shown = [Image.fromarray(pixels) for pixels in self._format(images)]
        inputs = self.processor(text=[self._prompt] * len(shown), images=shown, return_tensors="pt")
        inputs = inputs.to(self.model.device, self.model.dtype)
        with evaluating(self.model):
            if self.mode == "generate":
                return self._generate(inputs).to(images.device)
            return self._tree.log_probabilities(lambda prefix: self._next(inputs, prefix)).to(images.device)

    def _next(self, inputs: Any, prefix: Tokens) -> Tensor:
        """Logits of the token after the prompt and a prefix, (N, vocabulary)."""
        logits: Tensor = self.model(**_extended(inputs, prefix), **self._last_only).logits[:, -1]
        return logits

    def _generate(self, inputs: Any) -> Tensor:
        said = self.model.generate(**inputs, do_sample=False, max_new_tokens=self._longest + SPARE_TOKENS)
        answers = self.processor.tokenizer.batch_decode(
            said[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )
        read = [read_answer(answer, self.labels) for answer in answers]
        self.outside.warn(
            [answer for answer, label in zip(answers, read, strict=True) if label is None],
            type(self.model).__name__,
        )
        return scores_of(read, len(self.labels))


def chat_from_text(text: str, weights: str | Path | None = None) -> Classifier:
    """A classifier from ``ID@LABELS``."""
    refuse_weights(weights, "chat:…", "a folder in place of the id")
    name, labels = require_labels(text, "chat:Qwen/Qwen2-VL-2B-Instruct@cat,dog")
    return Classifier.fitted(ChatModel(name, labels), ANY_SIZE, labels, f"chat:{name}")


class TransformersSegmenter(MaskSegmenter):
    """Cut images with any mask generator of transformers.

    Parameters
    ----------
    model : str, Path or PreTrainedModel
        A hub id ("facebook/sam-vit-base", "facebook/sam2.1-hiera-tiny", "facebook/sam3",
        "syscv-community/sam-hq-vit-base", "yonigozlan/EdgeTAM-hf"), a local folder, or a model.
    image_processor : object, optional
        The model's image processor; needed with a model object, loaded otherwise.
    cache : str, Path, True or None, default True
        Where masks are kept, by image, settings and weights; True is the user's cache folder, None keeps none.
    min_area : float, default 1e-3
        Share of the image below which a region joins the extra one.
    device : str or torch.device, optional
        An accelerator where there is one; a model object stays where it is.
    **options
        Those of the pipeline (:data:`OPTIONS`): ``points_per_crop`` (points a side; 12 here), ``points_per_batch``
        (points the network sees at once), ``pred_iou_thresh``, ``stability_score_thresh``, …

    Raises
    ------
    MissingExtraError
        Without transformers.
    HubError
        If an id cannot be fetched.
    InputError
        If the model generates no masks, or an option is unknown.

    Notes
    -----
    SAM 2 and its successors stretch images to a square, but the pipeline lays its grid of points as if the aspect
    ratio were kept, so that the bottom or right part of an image that is not square would get no points. Images are
    therefore made square before they reach it, and the masks are brought back to the image's size.

    Examples
    --------
    >>> segmenter = TransformersSegmenter("facebook/sam2.1-hiera-tiny", points_per_crop=9)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Any,
        image_processor: Any = None,
        *,
        cache: Cache = True,
        min_area: float = MIN_AREA,
        device: str | torch.device | None = None,
        **options: Any,
    ) -> None:
        super().__init__(cache, min_area)
        unknown = sorted(set(options) - set(OPTIONS))
        if unknown:
            raise InputError(f"the mask generation pipeline has no option {unknown[0]!r}; it has {', '.join(OPTIONS)}")
        self.options = {"points_per_crop": POINTS_PER_SIDE, **options}
        transformers = import_transformers()
        if isinstance(model, str | Path):
            name = model
            model = pretrained(transformers.AutoModelForMaskGeneration, name).to(best_device(device))
            image_processor = image_processor or pretrained(transformers.AutoImageProcessor, name)
        elif image_processor is None:
            raise InputError("a model object needs its image_processor, such as AutoImageProcessor.from_pretrained(id)")
        self._pipeline = _pipeline(transformers, model, image_processor)
        self._stretches = "longest_edge" not in image_processor.size

    @classmethod
    def from_text(cls, text: str) -> "TransformersSegmenter":
        """A segmenter from what stands behind its name; from "facebook/sam-vit-base" if that is nothing."""
        return cls(text or "facebook/sam-vit-base")

    @property
    def network(self) -> nn.Module:
        """The model."""
        model: nn.Module = self._pipeline.model
        return model

    @property
    def advice(self) -> str:
        """What to change where masks are too few."""
        return "lower pred_iou_thresh or stability_score_thresh, or raise points_per_crop"

    def settings(self) -> dict[str, Any]:
        """Everything but the weights that masks depend on."""
        processor = self._pipeline.image_processor
        return {"segmenter": "transformers", "processor": processor.to_json_string(), **self.options}

    def _generate(self, pixels: NDArray[np.uint8]) -> Masks:
        height, width = pixels.shape[:2]
        image = Image.fromarray(pixels)
        if self._stretches and height != width:
            image = resize_image(image, max(height, width), max(height, width), Image.Resampling.BICUBIC)
        found = self._pipeline(image, **self.options)["masks"]
        masks = stacked([_on_cpu(mask) for mask in found], (image.height, image.width))
        rows = np.arange(height) * image.height // height
        columns = np.arange(width) * image.width // width
        return masks[:, rows][:, :, columns]


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
    if "shortest_edge" in size and getattr(processor, "crop_pct", None):
        # ConvNext's: resized by that share more than the side, then cropped; stretched from 384 pixels on.
        side = int(size["shortest_edge"])
        share = processor.crop_pct if side < 384 else None
        return CentreCrop(side, side, share, resampling) if share else Stretch(side, side, resampling), (side, side)
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


def _prompt(processor: Any, question: str) -> str:
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}
    try:
        return str(processor.apply_chat_template([message], add_generation_prompt=True, tokenize=False))
    except (ValueError, AttributeError) as error:
        raise InputError(
            f"{type(processor).__name__} has no chat template, so it is not known how to ask; give an instruction-tuned"
            " model, or set processor.chat_template"
        ) from error


def _end_of_answer(model: Any, tokenizer: Any) -> int:
    end = getattr(model.generation_config, "eos_token_id", None)
    if isinstance(end, list):
        end = end[0] if end else None
    end = tokenizer.eos_token_id if end is None else end
    if end is None:
        raise InputError(
            "neither the model nor its tokenizer names the token that ends an answer (eos_token_id); set it"
        )
    return int(end)


def _extended(inputs: Any, prefix: Tokens) -> dict[str, Any]:
    """The inputs with some more tokens of text in every row."""
    rows, length = inputs["input_ids"].shape
    extended = dict(inputs)
    if not prefix:
        return extended
    for name, values in inputs.items():
        if not isinstance(values, Tensor) or tuple(values.shape) != (rows, length):
            continue
        # Masks of attention are 1 for text, types of tokens are 0.
        more = torch.full((rows, len(prefix)), int(name == "attention_mask"), dtype=values.dtype, device=values.device)
        if name == "input_ids":
            more = torch.tensor(prefix, dtype=values.dtype, device=values.device).expand(rows, -1)
        extended[name] = torch.cat([values, more], dim=1)
    return extended


def _pipeline(transformers: Any, model: Any, image_processor: Any) -> Any:
    try:
        generator = transformers.pipeline(
            "mask-generation", model=model, image_processor=image_processor, device=model.device
        )
    except (ValueError, KeyError) as error:
        raise InputError(f"{type(model).__name__} generates no masks: {first_line(error)}") from error
    if not hasattr(model, "get_image_embeddings"):
        raise InputError(
            f"{type(model).__name__} generates no masks; give a SAM, SAM 2, SAM 3 tracker, SAM-HQ or EdgeTAM model"
        )
    return generator


def _on_cpu(mask: Any) -> Any:
    return mask.detach().cpu().numpy() if isinstance(mask, torch.Tensor) else mask
