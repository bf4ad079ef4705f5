"""Mask generators of transformers: the real classes, small and with random weights."""

import torch
import transformers as tf

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
