"""Multimodal language models through transformers: which of these labels does the image show?"""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor

from captum_focalogic.classifier import Classifier, distinct_labels, refuse_weights, require_labels
from captum_focalogic.errors import InputError
from captum_focalogic.integrations.answers import QUESTION, Outside, as_scores, ask, read_answer
from captum_focalogic.integrations.functions import ANY_SIZE, ArrayFormat
from captum_focalogic.integrations.hub import import_transformers, pretrained
from captum_focalogic.integrations.label_tree import Tokens, label_tree
from captum_focalogic.integrations.mask_segmenter import best_device

SPARE_TOKENS = 8
"""Tokens that a generated answer may have beyond the longest label, before it is cut and counts as none."""


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
        self.model = model.eval()
        self.processor = processor
        self.mode = mode
        self.outside = Outside()
        self._prompt = _prompt(processor, ask(question, self.labels))
        self._format = ArrayFormat()
        tokens = [processor.tokenizer(label, add_special_tokens=False)["input_ids"] for label in self.labels]
        # Logits of all positions over a large vocabulary would take gigabytes a batch.
        takes = inspect.signature(model.forward).parameters
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
        self._longest = max(map(len, tokens))
        self._tree = label_tree(tokens, _end_of_answer(model, processor.tokenizer), self.labels)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Answers for images.

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
        pictures = [Image.fromarray(pixels) for pixels in self._format(images)]
        inputs = self.processor(text=[self._prompt] * len(pictures), images=pictures, return_tensors="pt")
        inputs = inputs.to(self.model.device, self.model.dtype)
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
        return as_scores(read, len(self.labels))


def classifier_from_text(text: str, weights: str | Path | None = None) -> Classifier:
    """A classifier from ``ID@LABELS``."""
    refuse_weights(weights, "chat:…", "a folder in place of the id")
    name, labels = require_labels(text, "chat:Qwen/Qwen2-VL-2B-Instruct@cat,dog")
    return Classifier.fitted(ChatModel(name, labels), ANY_SIZE, labels, f"chat:{name}")


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
