"""Multimodal language models, explained as any black box is (the paper's figure 10)."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from captum_focalogic.classifier import Classifier
from captum_focalogic.demo.rules import CLASS_NAMES
from captum_focalogic.experiments.findings import about, untestable
from captum_focalogic.experiments.framework import (
    Conclusion,
    Condition,
    Config,
    Embedded,
    Experiment,
    Finding,
    ImageNet,
    Result,
    Setup,
    Workspace,
    spread,
    studied,
)
from captum_focalogic.experiments.published import CANDIDATES
from captum_focalogic.experiments.scenes import scene_items
from captum_focalogic.experiments.tables import READINGS, measure_bars, measure_table
from captum_focalogic.integrations.answers import QUESTION, ask
from captum_focalogic.integrations.transformers import ChatModel
from captum_focalogic.integrations.weights import import_transformers
from captum_focalogic.search import Frugal, HittingSets, Strategy
from captum_focalogic.study import ModelFactory, StudySettings, data_from_text

MODEL = "chat:Qwen/Qwen2-VL-2B-Instruct"
"""The paper's model, asked about the classes of the images, where no model is named."""

IMAGES = 12
"""Most images that are explained: every question takes seconds, or money."""

_SPECIAL = (
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<pad>",
    "<unknown>",
)

_TEMPLATE = (
    "{% for m in messages %}<|im_start|> {{ m['role'] }} {% for c in m['content'] %}{% if c['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %} {{ c['text'] }}{% endif %}{% endfor %} <|im_end|> "
    "{% endfor %}{% if add_generation_prompt %}<|im_start|> assistant{% endif %}"
)

_PATCH = 28
"""Side in pixels of what becomes one token of the image."""


def random_chat(labels: Sequence[str], seed: int = 0, side: int = 3) -> ChatModel:
    """A language model that sees, about which nothing is learned: its answers depend on the image, but at random.

    Parameters
    ----------
    labels : sequence of str
        What it may answer.
    seed : int
        Of the weights.
    side : int
        Tokens on a side of a square image.

    Raises
    ------
    MissingExtraError
        Without transformers.
    """
    transformers = import_transformers()
    words = sorted(set(re.findall(r"\w+|[^\w\s]+", ask(QUESTION, labels))) | {"user", "assistant"})
    processor = _chat_processor(transformers, [*_SPECIAL, *words], side)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.Qwen2VLForConditionalGeneration(_chat_config(transformers, len(_SPECIAL) + len(words)))
    return ChatModel(model, labels, processor=processor)


def _chat_config(transformers: Any, vocabulary: int) -> Any:
    text = {
        "vocab_size": vocabulary,
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 512,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3]},
        # With the usual, small weights an untrained network says the same of every image.
        "initializer_range": 1.0,
    }
    vision = {"depth": 1, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 1}
    return transformers.Qwen2VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=4,
        video_token_id=5,
        vision_start_token_id=2,
        vision_end_token_id=3,
    )


def _chat_processor(transformers: Any, vocabulary: Sequence[str], side: int) -> Any:
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({word: index for index, word in enumerate(vocabulary)}, unk_token="<unknown>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens([AddedToken(token, special=True) for token in _SPECIAL])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        eos_token="<|im_end|>",
        unk_token="<unknown>",
        extra_special_tokens={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
    )
    pixels = (side * _PATCH) ** 2
    images = transformers.Qwen2VLImageProcessor(size={"shortest_edge": _PATCH**2, "longest_edge": pixels})
    return transformers.Qwen2VLProcessor(
        images, tokenizer, transformers.Qwen2VLVideoProcessor(), chat_template=_TEMPLATE
    )


def _conditions(config: Config) -> list[Condition[Result]]:
    """A study for each model, in the embedded size for each of two searches that suit slow models."""
    if isinstance(config, Embedded):
        return [_random(config, "Frugal", Frugal(seed=config.seed)), _random(config, "HittingSets", HittingSets())]
    return [_named(config, name) for name in config.models or (MODEL,)]


def _random(config: Embedded, name: str, search: Strategy) -> Condition[Result]:
    def make(_: Workspace) -> Setup:
        identity = f"tiny Qwen2-VL, random weights, seed {config.seed}"
        recipe = ModelFactory(
            lambda: Classifier(random_chat(CLASS_NAMES, config.seed), labels=CLASS_NAMES, name=identity), identity
        )
        return Setup(
            StudySettings(recipe, search=search, max_evaluations=config.settings.questions),
            scene_items(_count(config), first=config.first_scene),
        )

    what = (
        f"ask a small Qwen2-VL with random weights about {_count(config)} scenes, {name}, "
        f"{config.settings.questions} questions each"
    )
    return studied(f"random, {name}", what, make)


def _named(config: ImageNet, name: str) -> Condition[Result]:
    def make(_: Workspace) -> Setup:
        model = config.find_model(name if "@" in name else f"{name}@{','.join(_classes(config))}")
        plan = config.plan(name, model, search=Frugal(seed=config.seed), max_evaluations=config.settings.questions)
        return Setup(plan, spread(config.find_items(model), IMAGES))

    about = "the labels after the @" if "@" in name else "the folder's classes"
    most = f"at most {config.settings.questions} questions each"
    what = f"ask {name} which of {about} {_count(config)} images show, {most}"
    return studied(_title(name), what, make)


def _classes(config: ImageNet) -> list[str]:
    """Names of the folders that the images lie in."""
    names = [item.id.split("/") for item in data_from_text(config.data, None, None)]
    return sorted({parts[0] for parts in names if len(parts) > 1})


def _title(name: str) -> str:
    return name.partition("@")[0].replace(":", " ").replace("/", "-")


def _count(config: Config) -> int:
    return min(config.images, IMAGES)


def _conclude(config: Config, results: Sequence[Result]) -> Conclusion:
    """What was measured; of what it says about the paper, only whether it can be told."""
    measured = [replace(result, facts=_facts(result)) for result in results]
    table = measure_table(
        measured,
        f"At most {config.settings.questions} questions an image; complete: share of the searches that found "
        "everything there is, if the model is monotone on the image; empty: share of the images of which nothing need "
        "be left for the same answer, which have no precision.",
        "model",
        {"questions": ".1f", "complete": ".0%", "empty": ".0%"},
    )
    return Conclusion([table], measure_bars(measured), _findings(config), _notes(config))


def _facts(result: Result) -> dict[str, float]:
    told = [how for how in result.rows.column("certificate_complete").to_pylist() if how is not None]
    sizes = [size for size in result.rows.column("smallest_size").to_pylist() if size is not None]
    return {
        "questions": result.mean("evaluations").value,
        "complete": sum(how in ("yes", "if monotone") for how in told) / max(1, len(told)),
        "empty": sum(size == 0 for size in sizes) / max(1, len(sizes)),
    }


def _findings(config: Config) -> list[Finding]:
    if isinstance(config, Embedded):
        why = "the model's weights are random: where it looks says nothing about a trained one"
    else:
        why = f"at most {IMAGES} images were asked about, and the paper has no numbers to hold them against"
    claim = "what multimodal language models look at (figure 10)"
    return about("multimodal", (untestable(claim, reading, why) for reading in READINGS))


def _notes(config: Config) -> list[str]:
    notes = [
        f"Few images ({IMAGES} at most) and few questions ({config.settings.questions} at most an image), since every "
        "answer takes seconds or money: intervals are wide.",
        f"The paper's models choose from {CANDIDATES} candidates.",
        "A budget of questions ends searches early. Every state counted is checked to be irreducible; others may be "
        "missing.",
    ]
    if isinstance(config, Embedded):
        notes.append(
            "A network with random weights: the run proves the path from a question in words to the table, no more. "
            "That its accuracy is what chance gives is what it should be."
        )
    return notes


EXPERIMENT = Experiment(
    "Multimodal language models", "figure 10", _conditions, _conclude, images=_count, judges=("multimodal",)
)
"""The experiment by name "mllm"."""
