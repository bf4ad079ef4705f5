"""Vision transformers with patches left out, against the whole model whose attention does not see them."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from captum_focalogic import FocaLogic, Focus, MaskedModel, explain_image
from captum_focalogic.classifier import Normalised
from captum_focalogic.errors import InputError
from captum_focalogic.integrations.vision_transformers import TokenRemoval
from captum_focalogic.verify import verify
from tests.oracles import all_assignments

SIDE, PATCH, GRID, WIDTH, CLASSES = 32, 8, 4, 16, 5
SIZES = {"img_size": SIDE, "patch_size": PATCH, "embed_dim": WIDTH, "depth": 2, "num_heads": 2, "num_classes": CLASSES}


def torchvision_vit(**more):
    from torchvision.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        image_size=SIDE,
        patch_size=PATCH,
        num_layers=2,
        num_heads=2,
        hidden_dim=WIDTH,
        mlp_dim=WIDTH,
        num_classes=CLASSES,
        **more,
    )


def timm_vit(**more):
    return pytest.importorskip("timm.models.vision_transformer").VisionTransformer(**{**SIZES, **more})


def timm_distilled():
    return pytest.importorskip("timm.models.deit").VisionTransformerDistilled(**SIZES)


def timm_eva(**more):
    how = {"global_pool": "token", "use_rot_pos_emb": True, "ref_feat_shape": (GRID, GRID)}
    return pytest.importorskip("timm.models.eva").Eva(**{**SIZES, **how, **more})


DINOV3 = {
    "dynamic_img_size": True, "qkv_bias": False, "init_values": 1e-1, "rope_type": "dinov3", "rope_temperature": 100,
    "rope_rotate_half": True, "use_abs_pos_emb": False, "num_reg_tokens": 4, "use_fc_norm": False,
}  # fmt: skip


HF = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": WIDTH}


def transformers_vit(attention="sdpa"):
    tf = pytest.importorskip("transformers")
    config = tf.ViTConfig(**HF, image_size=SIDE, patch_size=PATCH, num_labels=CLASSES)
    config._attn_implementation = attention
    return tf.ViTForImageClassification(config)


class Embeds(nn.Module):
    """The image embeddings of a CLIP of transformers, as scores."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network(pixel_values=images).image_embeds


def transformers_clip():
    tf = pytest.importorskip("transformers")
    config = tf.CLIPVisionConfig(**HF, image_size=SIDE, patch_size=PATCH, projection_dim=CLASSES)
    return Embeds(tf.CLIPVisionModelWithProjection(config))


def open_clip_vit(**more):
    sizes = {"image_size": SIDE, "patch_size": PATCH, "width": WIDTH, "layers": 2, "heads": 2, "mlp_ratio": 1}
    module = pytest.importorskip("open_clip.transformer")
    return module.VisionTransformer(**sizes, output_dim=CLASSES, **more)


MODELS = {
    "torchvision": (torchvision_vit, 1),
    "timm": (timm_vit, 1),
    "DeiT, distilled": (timm_distilled, 2),
    "DINOv2, registers": (lambda: timm_vit(reg_tokens=4, no_embed_class=True, init_values=1e-1), 5),
    "registers, average": (
        lambda: timm_vit(reg_tokens=2, class_token=False, no_embed_class=True, global_pool="avg"),
        2,
    ),
    "average": (lambda: timm_vit(global_pool="avg"), 1),
    "maximum": (lambda: timm_vit(global_pool="max"), 1),
    "no class token, attention pooling": (lambda: timm_vit(class_token=False, global_pool="map"), 0),
    "norm before": (lambda: timm_vit(pre_norm=True), 1),
    "dynamic size": (lambda: timm_vit(dynamic_img_size=True), 1),
    "EVA02": (lambda: timm_eva(swiglu_mlp=True), 1),
    "EVA02, average": (lambda: timm_eva(swiglu_mlp=True, global_pool="avg"), 1),
    "EVA, positions added": (lambda: timm_eva(use_rot_pos_emb=False, qkv_fused=False), 1),
    "DINOv3, registers": (lambda: timm_eva(**DINOV3), 5),
    "DINOv3, average": (lambda: timm_eva(**DINOV3, global_pool="avg"), 5),
    "rotations by head": (
        lambda: timm_eva(attn_type="rope", rope_type="mixed", use_abs_pos_emb=False, rope_grid_indexing="xy"),
        1,
    ),
    "transformers ViT": (transformers_vit, 1),
    "transformers ViT, eager": (lambda: transformers_vit("eager"), 1),
    "transformers CLIP": (transformers_clip, 1),
    "open_clip": (open_clip_vit, 1),
    "open_clip, average": (lambda: open_clip_vit(pool_type="avg"), 1),
    "open_clip, LND": (lambda: _last_batch(open_clip_vit()), 1),
}
POOLED = {
    "EVA02, average",
    "DINOv3, average",
    "registers, average",
    "average",
    "maximum",
    "no class token, attention pooling",
    "open_clip, average",
}


def _last_batch(vit):
    """The same with batches in the second dimension inside, as open_clip's older models are."""
    vit.transformer.batch_first = False
    for block in vit.transformer.resblocks:
        block.attn.batch_first = False
    return vit


def made(name, dtype=torch.float32, seed=0):
    """A model whose weights are all random, so that no head and no scale is 0 or 1."""
    torch.manual_seed(seed)
    model = MODELS[name][0]() if isinstance(name, str) else name
    for label, parameter in model.named_parameters():
        nn.init.normal_(parameter, std=0.05 if label.endswith("bias") else 0.5)
    return model.eval().requires_grad_(False).to(dtype)


class KeysMasked(TorchFunctionMode):
    """Attention does not see some tokens, and averages and maxima over tokens leave them out."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function is F.scaled_dot_product_attention:
            query, key = args[0], args[1]
            hidden = torch.zeros(1, 1, 1, key.shape[-2], dtype=query.dtype)
            hidden[..., ~self.seen[-key.shape[-2] :]] = -torch.inf
            kwargs["attn_mask"] = hidden
        elif function is F.softmax:
            args = (args[0].masked_fill(~self.seen, -torch.inf), *args[1:])
        elif function is F.multi_head_attention_forward:
            kwargs["key_padding_mask"] = ~self.seen[None]
        return function(*args, **kwargs)


def masked_oracle(name, model, image, present):
    """The whole model on the whole image, where no token attends to dropped patches and none is pooled."""
    prefix = MODELS[name][1]
    seen = torch.cat([torch.ones(prefix, dtype=torch.bool), present])
    if name in POOLED and "attention" not in name:
        model = _pooling_only(name, model, present)
    with KeysMasked(seen):
        outputs = model(image)
    return getattr(outputs, "logits", outputs)


def _pooling_only(name, model, present):
    def timm_forward(image):
        tokens = model.forward_features(image)[:, model.num_prefix_tokens :][:, present]
        pooled = tokens.amax(1) if name == "maximum" else tokens.mean(1)
        return model.head(model.fc_norm(pooled))

    def open_clip_forward(image):
        tokens = model.ln_post(model.transformer(model._embeds(image)))
        return tokens[:, 1:][:, present].mean(1) @ model.proj

    return open_clip_forward if "open_clip" in name else timm_forward


def pixels_of(present):
    """Patches (B, 16) as pixels (B, 32, 32)."""
    return present.reshape(-1, GRID, GRID).repeat_interleave(PATCH, 1).repeat_interleave(PATCH, 2)


def some_sets(name, number=24, seed=1):
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand(number, 1, generator=generator)
    present = torch.rand(number, GRID * GRID, generator=generator) < share
    present[0], present[1] = True, False
    present[~present.any(1), 5] = True
    if name not in POOLED:
        present[2] = False
    return present


def an_image(seed=3, dtype=torch.float32):
    bytes_ = torch.randint(0, 256, (1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(seed))
    return bytes_.to(dtype) / 255


@pytest.mark.parametrize("name", MODELS)
class TestAgainstMaskedAttention:
    def test_double_precision(self, name):
        model, image, present = made(name, torch.float64), an_image(dtype=torch.float64), some_sets(name)
        given = TokenRemoval(model).forward_masked(image.expand(len(present), -1, -1, -1), pixels_of(present))
        for row, kept in zip(given, present, strict=True):
            expected = masked_oracle(name, model, image, kept)[0]
            # Its softmax is always in single precision.
            off = 1e-6 if "eager" in name else 1e-10
            assert (row - expected).abs().max() <= off * max(1, expected.abs().max())

    def test_single_precision_and_verdicts(self, name):
        verdicts = []
        for seed in range(3):
            model, image, present = made(name, seed=seed), an_image(seed), some_sets(name, seed=seed)
            whole = TokenRemoval(model)(image)
            given = TokenRemoval(model).forward_masked(image.expand(len(present), -1, -1, -1), pixels_of(present))
            expected = torch.cat([masked_oracle(name, model, image, kept) for kept in present])
            scale = expected.abs().amax(1, keepdim=True)
            assert ((given - expected).abs() <= 1e-4 * scale).all()
            assert torch.equal(given.argmax(1), expected.argmax(1))
            verdicts += (given.argmax(1) == whole.argmax(1)).tolist()
        assert len(set(verdicts)) == 2

    def test_what_dropped_pixels_hold_does_not_matter(self, name):
        model, image, present = made(name), an_image(), some_sets(name)[3:9]
        removal, kept = TokenRemoval(model), pixels_of(present)
        images = image.expand(len(present), -1, -1, -1)
        holed = torch.where(kept[:, None], images, torch.nan)
        assert torch.equal(removal.forward_masked(holed, kept), removal.forward_masked(images, kept))

    def test_nothing_kept(self, name):
        model, image = made(name), an_image()
        kept = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
        kept[1] = True
        nothing, everything = TokenRemoval(model).forward_masked(image.expand(2, -1, -1, -1), kept)
        torch.testing.assert_close(everything, TokenRemoval(model)(image)[0], rtol=1e-4, atol=1e-5)
        assert bool(nothing.isnan().all()) == (name in POOLED)
        assert name in POOLED or not nothing.isnan().any()


class TestRefused:
    def refused(self, model, match, image=None):
        image = an_image() if image is None else image
        mask = torch.arange(SIDE)[None, None, None].expand(1, 1, SIDE, SIDE) // (SIDE // 2)
        mask = mask if mask.shape[3] == image.shape[3] else None
        with pytest.raises(InputError, match=match):
            MaskedModel(model, image, feature_mask=mask, removal="tokens")

    def test_other_networks(self):
        self.refused(nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 2)).eval(), "none found")

    def test_plain_functions_are_told_how_to_pass_the_module(self):
        vit = made("torchvision")
        self.refused(lambda x: vit(2 * x), r"nn.Sequential\(normalise, model\)")
        image = an_image()
        told = TokenRemoval(lambda x: vit(2 * x), vit)
        mask = torch.arange(SIDE)[None, None, None].expand(1, 1, SIDE, SIDE) // (SIDE // 2)
        masked = MaskedModel(told, image, feature_mask=mask, removal="tokens")
        assert masked.whole.predicted is not None
        assert masked.whole.predicted[0] == vit(2 * image).argmax()

    def test_two_transformers(self):
        class Both(nn.Module):
            def __init__(self):
                super().__init__()
                self.one, self.other = made("torchvision"), made("torchvision", seed=1)

            def forward(self, x):
                return self.one(x) + self.other(x)

        self.refused(Both(), "2 found")

    def test_overlapping_patches(self):
        vit = made("torchvision")
        vit.conv_proj = nn.Conv2d(3, WIDTH, PATCH + 4, stride=PATCH, padding=2)
        self.refused(vit, "share pixels")

    def test_convolutional_stems(self):
        from torchvision.models.vision_transformer import ConvStemConfig

        stem = [ConvStemConfig(out_channels=4, kernel_size=3, stride=2)] * 3
        self.refused(torchvision_vit(conv_stem_configs=stem).eval(), "convolutional stem")

    def test_a_backbone_before_the_patches(self):
        hybrid = pytest.importorskip("timm.models.vision_transformer_hybrid")
        backbone = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        vit = timm_vit(patch_size=4, embed_layer=lambda **how: hybrid.HybridEmbed(backbone, **how))
        self.refused(made(vit), "of a map of")

    def test_relative_positions(self):
        relative = pytest.importorskip("timm.models.vision_transformer_relpos")
        self.refused(relative.VisionTransformerRelPos(**SIZES).eval(), "relative positions or other rotary")
        beit = pytest.importorskip("timm.models.beit").Beit(**SIZES, use_rel_pos_bias=True, use_abs_pos_emb=False)
        self.refused(beit.eval(), "relative positions or other rotary")

    def test_rotations_that_are_not_of_the_patches_or_not_given_by_name(self):
        class ByPlace(type(timm_eva())):
            def forward_features(self, x, **_):
                tokens, turned = self._pos_embed(self.patch_embed(x))
                for block in self.blocks:
                    tokens = block(tokens, turned)
                return self.norm(tokens)

        class OneByOne(type(timm_eva())):
            def forward_features(self, x, **_):
                tokens, turned = self._pos_embed(self.patch_embed(x))
                for block in self.blocks:
                    tokens = block(tokens, rope=turned.expand(len(x), 1, -1, -1))
                return self.norm(tokens)

        how = {"global_pool": "token", "use_rot_pos_emb": True}
        self.refused(made(ByPlace(**SIZES, **how)), "depends on their positions")
        self.refused(made(OneByOne(**SIZES, **how)), "the same for all images")

    def test_positions_that_go_to_the_blocks(self):
        class Rotary(type(timm_vit())):
            def forward_features(self, x, **_):
                tokens = self._pos_embed(self.patch_embed(x))
                for block in self.blocks:
                    tokens = block(tokens, attn_mask=torch.zeros(tokens.shape[1], tokens.shape[1]))
                return self.norm(tokens)

        self.refused(made(Rotary(**SIZES)), "depends on their positions")

    def test_what_mixes_pixels_before(self):
        blur = nn.AvgPool2d(3, stride=1, padding=1)
        self.refused(nn.Sequential(blur, made("torchvision")), "noise in pixels that are left out")
        self.refused(nn.Sequential(nn.Upsample(scale_factor=2), made("dynamic size")), "of a map of")

    def test_a_module_that_looks_around_the_tokens(self):
        class Brightness(nn.Module):
            def __init__(self):
                super().__init__()
                self.vit = made("torchvision")

            def forward(self, x):
                return self.vit(x) + x.mean((1, 2, 3))[:, None]

        self.refused(Brightness(), "noise in pixels")

    def test_an_attention_that_takes_no_mask_where_rows_are_padded(self):
        class Blind(nn.Module):
            def __init__(self, attention):
                super().__init__()
                self.attention = attention

            def forward(self, tokens, **_):
                return self.attention(tokens)

        vit = made("timm")
        for block in vit.blocks:
            block.attn = Blind(block.attn)
        # A first region of half the patches, beside which one more patch is padding.
        halves = (torch.arange(SIDE) // (SIDE // 2))[:, None].expand(SIDE, SIDE)
        with pytest.raises(InputError, match="or another row beside it"):
            MaskedModel(vit, an_image(), feature_mask=halves, removal="tokens")

    def test_says_otherwise_with_all_kept(self):
        class Off(nn.Module):
            def forward(self, x):
                return torch.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], 1)

            def forward_masked(self, x, kept):
                return self(x * kept[:, None]) + 1

        self.refused(Off(), "with every region kept")

    def test_a_module_that_is_not_called(self):
        vit, other = made("torchvision"), made("torchvision", seed=1)
        self.refused(TokenRemoval(other, vit), "does not call")

    def test_images_that_are_no_whole_patches(self):
        self.refused(made("dynamic size"), "whole patches", torch.rand(1, 3, SIDE, SIDE + 4))
        self.refused(made("dynamic size"), "preprocess=", torch.rand(1, 3, SIDE, SIDE + 4))

    def test_compiled(self):
        self.refused(torch.compile(made("torchvision"), backend="eager"), "Pass the model as it was before")

    def test_parts_of_patches(self):
        kept = torch.ones(1, SIDE, SIDE, dtype=torch.bool)
        kept[0, 0, 0] = False
        with pytest.raises(InputError, match="all pixels of a patch"):
            TokenRemoval(made("torchvision")).forward_masked(an_image(), kept)


def test_other_threads_and_later_calls_see_the_whole_model():
    vit, image = made("torchvision"), an_image()
    whole = vit(image)
    kept = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    TokenRemoval(vit).forward_masked(image, kept)
    assert torch.equal(vit(image), whole)
    assert not any(module._forward_pre_hooks for module in vit.modules())


class TestRegions:
    def test_most_pixels_win_and_ids_stay(self):
        mask = torch.full((1, 1, SIDE, SIDE), 4)
        mask[..., 13:] = 9
        mask[..., :3, :3] = 7
        model, image = made("torchvision"), an_image()
        with pytest.warns(UserWarning, match=r"region\(s\) 7 have most of no patch"):
            masked = MaskedModel(model, image, feature_mask=mask, removal="tokens")
        assert masked.region_ids.tolist() == [4, 9]
        assert masked.lost_ids.tolist() == [7]
        assert masked.label_map is not None
        assert (masked.label_map[:, :16] == 4).all()
        assert (masked.label_map[:, 16:] == 9).all()
        with pytest.warns(UserWarning, match="weight is 0"):
            weights = FocaLogic(model, removal="tokens").attribute(
                image, feature_mask=mask, target=int(model(image).argmax()), return_input_shape=False
            )
        assert weights.shape == (1, 3)
        assert weights[0, 1] == 0

    def test_each_example_has_its_own(self):
        mask = torch.stack(
            [torch.arange(SIDE).expand(SIDE, SIDE) // 16, torch.arange(SIDE)[:, None].expand(SIDE, SIDE) // 8]
        )
        images = torch.cat([an_image(1), an_image(2)])
        one, other = MaskedModel.batch(made("timm"), images, feature_mask=mask[:, None], removal="tokens")
        assert (one.num_regions, other.num_regions) == (2, 4)
        for masked, image in ((one, images[:1]), (other, images[1:])):
            again = MaskedModel(made("timm"), image, feature_mask=torch.from_numpy(masked.label_map), removal="tokens")
            states = all_assignments(masked.num_regions)
            assert np.allclose(masked.ask(states).probability, again.ask(states).probability, atol=1e-5)


def test_a_second_fill_fills():
    model, image = made("torchvision"), an_image()
    mask = torch.from_numpy(grid_regions())[None, None]
    masked = MaskedModel(model, image, feature_mask=mask, removal="tokens").filled(0.5)
    assert masked.provenance.removal == "fill"
    kept = torch.from_numpy(masked.label_map == 2)
    expected = model(torch.where(kept, image, 0.5)).softmax(1)
    state = (masked.region_ids == 2)[None]
    assert masked.ask(state).probability[0] == pytest.approx(float(expected[0, masked.target]), abs=1e-5)


def grid_regions():
    """Six regions of whole patches and one of ragged edges."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return (1 + 3 * (rows // 16) + np.minimum(columns // 10, 2)).astype(np.int64)


@pytest.mark.parametrize("name", ["torchvision", "DeiT, distilled", "average", "transformers ViT", "open_clip"])
class TestExplained:
    def test_as_brute_force_says(self, name):
        found = set()
        for seed in range(4):
            torch.manual_seed(seed)
            model = nn.Sequential(nn.Identity(), Normalised(made(name, seed=seed), [0.5] * 3, [0.25] * 3))
            image = an_image(seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                wrapped = TokenRemoval(lambda x, model=model: model(x), model) if "transformers" in name else model
                answer = explain_image(
                    wrapped, image[0], segmenter=grid_regions(), removal="tokens", search="ascending", criterion="top1"
                )
            focus = answer.focus
            assert focus.provenance.removal == "tokens"
            assert focus.provenance.baseline is None
            assert focus.label_map is not None
            labels, states = torch.from_numpy(focus.label_map), all_assignments(focus.num_regions)
            kept = torch.from_numpy(states)[:, torch.searchsorted(torch.from_numpy(focus.region_ids), labels)]
            present = kept[:, ::PATCH, ::PATCH].flatten(1)
            seen = torch.cat([self.full(name, model, image, row) for row in present])
            valid = (seen.argmax(1) == int(TokenRemoval(model)(image).argmax())).numpy() & ~seen.isnan().any(1).numpy()
            least = states[valid][states[valid].sum(1) == states[valid].sum(1).min()]
            assert {tuple(row) for row in focus.final_states} == {tuple(row) for row in least}
            found |= set(valid.tolist())
        assert found == {True, False}

    def full(self, name, model, image, present):
        if name in POOLED and not present.any():
            return torch.full((1, CLASSES), torch.nan)
        inner = model[1]
        return masked_oracle(name, inner.model, (image - inner.mean) / inner.std, present)


class TestStored:
    def test_verified_from_the_file_and_refused_where_the_model_cannot(self, tmp_path):
        model, image = made("torchvision"), an_image()
        answer = explain_image(model, image[0], segmenter=grid_regions(), removal="tokens", criterion="top1")
        answer.save(tmp_path / "focus.json")
        stored = Focus.load(tmp_path / "focus.json")
        assert stored.provenance.removal == "tokens"
        assert verify(stored, model, image).holds
        assert any("Removal" in label for label in answer.summary())
        with pytest.raises(InputError, match="removal='tokens'"):
            verify(stored, lambda x: model(x) + 0, image)
        asked_otherwise = verify(stored, model, image, removal="fill")
        assert not asked_otherwise.holds
        assert "fill now" in str(asked_otherwise)
