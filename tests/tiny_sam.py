"""Segment Anything: the real classes, small and with random weights."""

from functools import partial

import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import nn

SIZE, DIM = 64, 32
EVERYTHING = {"pred_iou_thresh": -1e9, "stability_score_thresh": -1, "box_nms_thresh": 1}
"""Random masks are neither sure of themselves nor stable, and this lets all of them pass."""


def tiny_sam(checkpoint=None, seed=0):
    torch.manual_seed(seed)
    encoder = ImageEncoderViT(
        img_size=SIZE, patch_size=16, embed_dim=16, depth=1, num_heads=2, out_chans=DIM, global_attn_indexes=(0,),
        use_rel_pos=True, window_size=0, norm_layer=partial(nn.LayerNorm, eps=1e-6), mlp_ratio=2,
    )  # fmt: skip
    prompts = PromptEncoder(
        embed_dim=DIM, image_embedding_size=(SIZE // 16, SIZE // 16), input_image_size=(SIZE, SIZE), mask_in_chans=4
    )
    transformer = TwoWayTransformer(depth=1, embedding_dim=DIM, num_heads=2, mlp_dim=16)
    decoder = MaskDecoder(transformer_dim=DIM, transformer=transformer, iou_head_hidden_dim=8)
    return Sam(encoder, prompts, decoder).eval()
