"""Modules that a user hands over are left as they were found: modes, gradients, places, hooks."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from captum_focalogic import FocaLogic, explain_image

LABELS = ["cat", "dog", "bird"]
IMAGE = torch.from_numpy(np.random.default_rng(0).random((3, 32, 32), dtype=np.float32))
QUARTERS = torch.arange(32)[:, None] // 16 * 2 + torch.arange(32) // 16


def half_trained(model):
    """In training, but for one of its parts; with gradients, but for one of its weights."""
    model.train()
    list(model.modules())[-1].eval()
    next(model.parameters()).requires_grad_(False)
    return model


def hooks_of(part):
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    hooks = [hook for kind in kinds for hook in getattr(part, kind).values()]
    # Those that transformers gives its own models when they are first called.
    return [hook for hook in hooks if not hook.__module__.startswith("transformers.")]


def found(model):
    return (
        [(part.training, hooks_of(part)) for part in model.modules()],
        [(weight.requires_grad, weight.device, weight.dtype, weight.grad is None) for weight in model.parameters()],
        torch.is_grad_enabled(),
    )


def ask(classifier):
    explain_image(classifier, IMAGE, segmenter="grid:2x2", max_evaluations=20)


def image_classifier(tiny):
    from captum_focalogic.integrations.transformers import load_classifier

    model, processor = tiny.image_classifier()
    return [model], lambda: (ask(load_classifier(model, processor)), ask(model))


def clip(tiny):
    from captum_focalogic.integrations.transformers import load_clip

    model, tokenizer, processor = tiny.clip()
    return [model], lambda: ask(load_clip(model, LABELS, tokenizer=tokenizer, image_processor=processor))


def language_model(tiny):
    from captum_focalogic.integrations.transformers import ChatModel

    model, processor = tiny.qwen2_vl()
    return [model], lambda: [
        ChatModel(model, LABELS, processor=processor, mode=mode)(IMAGE[None]) for mode in ("score", "generate")
    ]


def mask_generator(tiny):
    from captum_focalogic.integrations.transformers import TransformersSegmenter

    model, processor = tiny.build("sam")
    return [model], lambda: TransformersSegmenter(model, processor, cache=None, points_per_crop=2)(IMAGE)


def grounded(tiny):
    from captum_focalogic.integrations.grounding import GroundedSam

    detector, detector_processor = tiny.grounding_dino()
    sam, sam_processor = tiny.sam_with_processor()
    processors = {"detector_processor": detector_processor, "sam_processor": sam_processor}
    oblong = torch.nn.functional.interpolate(IMAGE[None], (40, 60))[0]  # of a square its coarsest map has one place
    return [detector, sam], lambda: GroundedSam(detector, sam, threshold=0.0, text_threshold=0.0, **processors)(
        oblong, "cat"
    )


def sam3(tiny):
    from captum_focalogic.integrations.grounding import Sam3Truth

    model, processor = tiny.sam3()
    return [model], lambda: Sam3Truth(model, processor, threshold=0.0)(IMAGE, "cat")


def semantic(tiny):
    from captum_focalogic.integrations.semantic import transformers_truth

    tf = pytest.importorskip("transformers")
    names = dict(enumerate(LABELS))
    config = tf.SegformerConfig(
        hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 1, 1], decoder_hidden_size=8,
        id2label=names, label2id={name: place for place, name in names.items()},
    )  # fmt: skip
    model = tf.SegformerForSemanticSegmentation(config)
    processor = tf.SegformerImageProcessor(size={"height": 64, "width": 64})
    return [model], lambda: transformers_truth(model, processor)(IMAGE, "cat")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "make",
    [image_classifier, clip, language_model, mask_generator, grounded, sam3, semantic],
    ids=lambda made: made.__name__,
)
def test_models_of_transformers(make):
    pytest.importorskip("transformers", reason="transformers is not installed (extra 'transformers')")
    import tiny_transformers

    models, use = make(tiny_transformers)
    before = [found(half_trained(model)) for model in models]
    use()
    assert [found(model) for model in models] == before


@pytest.mark.filterwarnings("ignore")
def test_a_model_of_open_clip():
    open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed (extra 'clip')")
    from captum_focalogic.integrations.open_clip import load_classifier

    vision = open_clip.CLIPVisionCfg(layers=1, width=16, head_width=8, patch_size=8, image_size=32)
    text = open_clip.CLIPTextCfg(context_length=16, width=16, heads=2, layers=1)
    model = half_trained(open_clip.CLIP(16, vision, text))
    before = found(model)
    ask(load_classifier(model, LABELS))
    assert found(model) == before


@pytest.mark.filterwarnings("ignore")
def test_segment_anything():
    from tiny_sam import EVERYTHING, tiny_sam

    from captum_focalogic.integrations.segment_anything import SamSegmenter

    model = half_trained(tiny_sam())
    before = found(model)
    SamSegmenter(model, points_per_side=2, cache=None, **EVERYTHING)(IMAGE)
    assert found(model) == before


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Dropout(), nn.Linear(16, 3),
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("methods", [["GradCAM"], ["IntegratedGradients"], ["FocaLogic", "FeatureAblation"]])
def test_a_comparison(methods):
    from captum_focalogic.compare import compare

    model = half_trained(network())
    before = found(model)
    compared = compare(model, IMAGE, methods, feature_mask=QUARTERS, baselines=0, target=1)
    assert not compared.skipped
    assert found(model) == before


@pytest.mark.filterwarnings("ignore")
def test_tokens_laid_out_as_maps():
    pytest.importorskip("pytorch_grad_cam")
    torchvision = pytest.importorskip("torchvision")
    from captum_focalogic.compare import compare

    model = half_trained(torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32))
    before = found(model)
    compared = compare(model, IMAGE, ["GradCAM"], feature_mask=QUARTERS, baselines=0, target=1)
    assert not compared.skipped
    assert found(model) == before
    FocaLogic(model, segmenter="features:4", removal="tokens", max_evaluations=20).explain(IMAGE[None])
    assert found(model) == before


@pytest.mark.filterwarnings("ignore")
def test_a_study_asks_a_module_where_and_as_it_is(tmp_path):
    pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")
    pytest.importorskip("filelock", reason="needs filelock (the study extra)")
    from captum_focalogic.study import run_study, scenes

    model = half_trained(network())
    before = found(model)
    moved = []
    model.to = lambda *place, **how: moved.append(place) or model
    rows = run_study(scenes(2), model, "grid:2x2", out=tmp_path / "run", max_evaluations=20)
    assert rows.num_rows == 2
    assert found(model) == before
    assert {place for (place,) in moved} <= {"cpu", torch.device("cpu")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        on_meta = network().to("meta")
    with pytest.raises(Exception, match="meta"):
        run_study(scenes(2), on_meta, "grid:2x2", out=tmp_path / "meta", max_evaluations=20)
    assert next(on_meta.parameters()).device.type == "meta"
