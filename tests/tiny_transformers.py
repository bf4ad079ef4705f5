"""Models of transformers: the real classes, small and with random weights."""

import torch
import transformers as tf
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

CLIP_LABELS = ["cat", "dog", "bird"]
CLIP_SIDE = 32
CHAT_SPECIAL = [
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<pad>",
]
CHAT_WORDS = ["user", "assistant", "cat", "dog", "hot", "sled", "which", "of", "Which", ".", ",", "?", "unknown"]


CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|> {{ m['role'] }} {% for c in m['content'] %}{% if c['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %} {{ c['text'] }}{% endif %}{% endfor %} <|im_end|> "
    "{% endfor %}{% if add_generation_prompt %}<|im_start|> assistant{% endif %}"
)


def chat_processor():
    vocabulary = {word: index for index, word in enumerate([*CHAT_SPECIAL, *CHAT_WORDS])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="unknown"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens([AddedToken(token, special=True) for token in CHAT_SPECIAL])
    tokenizer = tf.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="<|im_end|>", unk_token="unknown",
        extra_special_tokens={"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"},
    )  # fmt: skip
    images = tf.Qwen2VLImageProcessor(size={"shortest_edge": 28 * 28, "longest_edge": 56 * 56})
    return tf.Qwen2VLProcessor(images, tokenizer, tf.Qwen2VLVideoProcessor(), chat_template=CHAT_TEMPLATE)


def qwen2_vl(seed=0):
    torch.manual_seed(seed)
    size = len(CHAT_SPECIAL) + len(CHAT_WORDS)
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
    return tf.Qwen2VLForConditionalGeneration(config).eval(), chat_processor()


DIM = 32


SIDE = 64


def prompt(config, **more):
    return config(hidden_size=DIM, mask_input_channels=4, **more)


def decoder(config, **more):
    return config(
        hidden_size=DIM, mlp_dim=16, num_attention_heads=2, num_hidden_layers=1, iou_head_hidden_dim=8, **more
    )


def sam_parts(vision, prompts, masks, whole, **more):
    encoder = vision(
        hidden_size=16,
        output_channels=DIM,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=16,
        window_size=2,
        global_attn_indexes=[1],
        num_pos_feats=DIM // 2,
        mlp_dim=16,
        initializer_range=0.02,
    )
    return whole(
        vision_config=encoder,
        prompt_encoder_config=prompt(prompts, image_size=SIDE, patch_size=16),
        mask_decoder_config=decoder(masks, **more),
    )


def sam_processor():
    side = {"height": SIDE, "width": SIDE}
    return tf.SamImageProcessor(size={"longest_edge": SIDE}, pad_size=side, mask_size={"longest_edge": SIDE // 4})


def sam():
    config = sam_parts(tf.SamVisionConfig, tf.SamPromptEncoderConfig, tf.SamMaskDecoderConfig, tf.SamConfig)
    return tf.SamModel(config), sam_processor()


def sam_hq():
    config = sam_parts(
        tf.SamHQVisionConfig, tf.SamHQPromptEncoderConfig, tf.SamHQMaskDecoderConfig, tf.SamHQConfig, vit_dim=16
    )
    return tf.SamHQModel(config), sam_processor()


def sam2_backbone():
    return tf.Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[SIDE, SIDE],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 24, 32],
        num_attention_heads_per_stage=[1, 1, 1, 1],
        window_size_per_stage=[4, 4, 4, 4],
        window_positional_embedding_background_size=[4, 4],
        global_attention_blocks=[3],
    )


def sam2():
    vision = tf.Sam2VisionConfig(
        backbone_config=sam2_backbone(),
        backbone_channel_list=[32, 24, 16, 8],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=DIM,
    )
    config = tf.Sam2Config(
        vision_config=vision,
        prompt_encoder_config=prompt(tf.Sam2PromptEncoderConfig, image_size=SIDE, patch_size=16),
        mask_decoder_config=decoder(tf.Sam2MaskDecoderConfig),
    )
    return tf.Sam2Model(config), sam2_processor()


def sam2_processor():
    side = {"height": SIDE, "width": SIDE}
    return tf.Sam2ImageProcessor(size=side, mask_size={"height": SIDE // 4, "width": SIDE // 4})


def edgetam():
    backbone = tf.TimmWrapperConfig(
        architecture="repvit_m0_9",
        model_args={"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
    )
    vision = tf.EdgeTamVisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[384, 192, 96, 48],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=DIM,
    )
    config = tf.EdgeTamConfig(
        vision_config=vision,
        prompt_encoder_config=prompt(tf.EdgeTamPromptEncoderConfig, image_size=SIDE, patch_size=16),
        mask_decoder_config=decoder(tf.EdgeTamMaskDecoderConfig),
    )
    return tf.EdgeTamModel(config), sam2_processor()


def sam3_vision():
    backbone = tf.Sam3ViTConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=56,
        pretrain_image_size=56,
        window_size=2,
        global_attn_indexes=[1],
    )
    return tf.Sam3VisionConfig(
        backbone_config=backbone, fpn_hidden_size=DIM, backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]]
    )


def sam3_tracker():
    config = tf.Sam3TrackerConfig(
        vision_config=sam3_vision(),
        prompt_encoder_config=prompt(tf.Sam3TrackerPromptEncoderConfig, image_size=56, patch_size=14),
        mask_decoder_config=decoder(tf.Sam3TrackerMaskDecoderConfig),
    )
    return tf.Sam3TrackerModel(config), sam3_processor()


def sam3_processor():
    side = {"height": 56, "width": 56}
    return tf.Sam3ImageProcessor(size=side, mask_size={"height": 16, "width": 16})


BUILDERS = {"sam": sam, "sam_hq": sam_hq, "sam2": sam2, "edgetam": edgetam, "sam3_tracker": sam3_tracker}


def build(kind, seed=0):
    """A small model with random weights, and its image processor."""
    torch.manual_seed(seed)
    model, processor = BUILDERS[kind]()
    return model.eval(), processor


GROUNDING_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", "?", "a", "cat", "dog", "bird"]


def grounding_tokenizer(**more):
    made = Tokenizer(models.WordLevel({word: index for index, word in enumerate(GROUNDING_WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", [("[CLS]", 2), ("[SEP]", 3)]
    )
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=16, **more,
    )  # fmt: skip


def grounding_dino(seed=0):
    torch.manual_seed(seed)
    backbone = tf.SwinConfig(
        image_size=64, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2,
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    text = tf.BertConfig(
        vocab_size=len(GROUNDING_WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    config = tf.GroundingDinoConfig(
        backbone_config=backbone, text_config=text, d_model=32, encoder_layers=1, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, num_queries=4,
        max_text_len=16,
    )  # fmt: skip
    processor = tf.GroundingDinoProcessor(
        tf.GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96}), grounding_tokenizer()
    )
    return tf.GroundingDinoForObjectDetection(config).eval(), processor


def sam_with_processor(kind="sam"):
    model, image_processor = build(kind)
    wrapper = {"sam": tf.SamProcessor, "sam2": tf.Sam2Processor}[kind]
    return model, wrapper(image_processor)


def sam3(seed=0):
    torch.manual_seed(seed)
    small = {"hidden_size": DIM, "intermediate_size": 16, "num_attention_heads": 2}
    text = tf.CLIPTextConfig(
        **small, num_hidden_layers=1, vocab_size=len(GROUNDING_WORDS), max_position_embeddings=32, projection_dim=16,
        pad_token_id=0, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    vision = sam3_vision()
    config = tf.Sam3Config(
        vision_config=vision,
        text_config=text,
        geometry_encoder_config=tf.Sam3GeometryEncoderConfig(**small, num_layers=1),
        detr_encoder_config=tf.Sam3DETREncoderConfig(**small, num_layers=1),
        detr_decoder_config=tf.Sam3DETRDecoderConfig(**small, num_layers=1, num_queries=5),
        mask_decoder_config=tf.Sam3MaskDecoderConfig(hidden_size=DIM, num_attention_heads=2),
    )
    return tf.Sam3Model(config).eval(), tf.Sam3Processor(sam3_processor(), grounding_tokenizer())


def clip_tokenizer():

    vocabulary = {
        word: index
        for index, word in enumerate(["<pad>", "<s>", "</s>", "a", "photo", "of", "an", *CLIP_LABELS, ".", "?"])
    }
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="?", eos_token="</s>", model_max_length=16
    )


def clip():
    """A small CLIP with random weights, its tokenizer and its image processor."""
    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = tf.CLIPTextConfig(
        **small, vocab_size=16, max_position_embeddings=16, pad_token_id=0, bos_token_id=1, eos_token_id=2
    )
    vision = tf.CLIPVisionConfig(**small, image_size=CLIP_SIDE, patch_size=8)
    config = tf.CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8)
    processor = tf.CLIPImageProcessor(
        size={"shortest_edge": CLIP_SIDE}, crop_size={"height": CLIP_SIDE, "width": CLIP_SIDE}
    )
    return tf.CLIPModel(config).eval(), clip_tokenizer(), processor


def image_classifier(side=32):
    """A small ViT with random weights and three names, and its image processor."""
    torch.manual_seed(0)
    config = tf.ViTConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=side, patch_size=8,
        id2label=dict(enumerate(CLIP_LABELS)), initializer_range=1.0,
    )  # fmt: skip
    processor = tf.ViTImageProcessor(size={"height": side, "width": side})
    return tf.ViTForImageClassification(config).eval(), processor
