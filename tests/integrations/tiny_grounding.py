"""Models that find objects from text, of transformers: the real classes, small and with random weights."""

import tiny_segmenters
import torch
import transformers as tf
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", "?", "a", "cat", "dog", "bird"]


def tokenizer(**more):
    made = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
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
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    config = tf.GroundingDinoConfig(
        backbone_config=backbone, text_config=text, d_model=32, encoder_layers=1, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, num_queries=4,
        max_text_len=16,
    )  # fmt: skip
    processor = tf.GroundingDinoProcessor(
        tf.GroundingDinoImageProcessor(size={"shortest_edge": 64, "longest_edge": 96}), tokenizer()
    )
    return tf.GroundingDinoForObjectDetection(config).eval(), processor


def sam_with_processor(kind="sam"):
    model, image_processor = tiny_segmenters.build(kind)
    wrapper = {"sam": tf.SamProcessor, "sam2": tf.Sam2Processor}[kind]
    return model, wrapper(image_processor)


def sam3(seed=0):
    torch.manual_seed(seed)
    small = {"hidden_size": tiny_segmenters.DIM, "intermediate_size": 16, "num_attention_heads": 2}
    text = tf.CLIPTextConfig(
        **small, num_hidden_layers=1, vocab_size=len(WORDS), max_position_embeddings=32, projection_dim=16,
        pad_token_id=0, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    vision = tiny_segmenters.sam3_vision()
    config = tf.Sam3Config(
        vision_config=vision,
        text_config=text,
        geometry_encoder_config=tf.Sam3GeometryEncoderConfig(**small, num_layers=1),
        detr_encoder_config=tf.Sam3DETREncoderConfig(**small, num_layers=1),
        detr_decoder_config=tf.Sam3DETRDecoderConfig(**small, num_layers=1, num_queries=5),
        mask_decoder_config=tf.Sam3MaskDecoderConfig(hidden_size=tiny_segmenters.DIM, num_attention_heads=2),
    )
    return tf.Sam3Model(config).eval(), tf.Sam3Processor(tiny_segmenters.sam3_processor(), tokenizer())
