"""Qwen2-VL of transformers: the real classes, small and with random weights."""

import torch
import transformers as tf
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

SPECIAL = [
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<pad>",
]
WORDS = ["user", "assistant", "cat", "dog", "hot", "sled", "which", "of", "Which", ".", ",", "?", "unknown"]
TEMPLATE = (
    "{% for m in messages %}<|im_start|> {{ m['role'] }} {% for c in m['content'] %}{% if c['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %} {{ c['text'] }}{% endif %}{% endfor %} <|im_end|> "
    "{% endfor %}{% if add_generation_prompt %}<|im_start|> assistant{% endif %}"
)


def processor():
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *WORDS])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="unknown"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer = tf.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="<|im_end|>", unk_token="unknown",
        extra_special_tokens={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
    )  # fmt: skip
    images = tf.Qwen2VLImageProcessor(size={"shortest_edge": 28 * 28, "longest_edge": 56 * 56})
    return tf.Qwen2VLProcessor(images, tokenizer, tf.Qwen2VLVideoProcessor(), chat_template=TEMPLATE)


def qwen2_vl(seed=0):
    torch.manual_seed(seed)
    size = len(SPECIAL) + len(WORDS)
    config = tf.Qwen2VLConfig(
        text_config={
            "vocab_size": size, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 128,
            "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 6,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]},
            "initializer_range": 1.0,
        },
        vision_config={"depth": 1, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "mlp_ratio": 1},
        image_token_id=4, video_token_id=5, vision_start_token_id=2, vision_end_token_id=3,
    )  # fmt: skip
    return tf.Qwen2VLForConditionalGeneration(config).eval(), processor()
