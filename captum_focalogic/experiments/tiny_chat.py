"""A vision-language model of the paper's kind with random weights: Qwen2-VL's real classes, made small and offline."""

import re
from collections.abc import Sequence
from typing import Any

import torch

from captum_focalogic.integrations.answers import QUESTION, ask
from captum_focalogic.integrations.hub import import_transformers
from captum_focalogic.integrations.transformers_chat import ChatModel

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


def tiny_chat(labels: Sequence[str], seed: int = 0, side: int = 3) -> ChatModel:
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
    processor = _processor(transformers, [*_SPECIAL, *words], side)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.Qwen2VLForConditionalGeneration(_config(transformers, len(_SPECIAL) + len(words)))
    return ChatModel(model, labels, processor=processor)


def _config(transformers: Any, vocabulary: int) -> Any:
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


def _processor(transformers: Any, vocabulary: Sequence[str], side: int) -> Any:
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
