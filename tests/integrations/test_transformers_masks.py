"""Mask generators of transformers: the real classes, small and with random weights."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from captum_focalogic.errors import HubError, InputError, MissingExtraError
from captum_focalogic.integrations.transformers_masks import TransformersSegmenter

pytest.importorskip("transformers", reason="transformers is not installed (extra 'transformers')")

import tiny_segmenters as tiny

EVERYTHING = {"pred_iou_thresh": -1e9, "stability_score_thresh": -1, "crops_nms_thresh": 1}


@pytest.fixture
def image():
    coarse = torch.from_numpy(np.random.default_rng(1).random((1, 3, 5, 6), dtype=np.float32))
    return nn.functional.interpolate(coarse, (36, 60), mode="bilinear")[0].clamp(0, 1)


def kinds():
    for kind in tiny.BUILDERS:
        if kind == "edgetam":
            yield pytest.param(kind, marks=pytest.mark.skipif(not has_timm(), reason="EdgeTAM's backbone needs timm"))
        else:
            yield kind


def has_timm():
    try:
        import timm  # noqa: F401
    except ImportError:
        return False
    return True


@pytest.mark.parametrize("kind", list(kinds()))
def test_every_kind_cuts_an_image(kind, image):
    segmenter = TransformersSegmenter(
        *tiny.build(kind), points_per_crop=3, points_per_batch=4, cache=None, **EVERYTHING
    )
    labels = segmenter(image)
    assert labels.shape == (36, 60)
    assert labels.dtype == np.int64
    # A mask for each of the three a point, for 3 x 3 points.
    masks = segmenter.masks(image)
    assert masks.shape == (27, 36, 60)
    assert not labels[~masks.any(axis=0)].any()
    assert len(np.unique(labels)) > 2
    assert np.array_equal(segmenter(image), labels)


@pytest.mark.parametrize("kind", ["sam", "sam2", "sam3_tracker"])
def test_points_cover_the_whole_of_an_oblong_image(kind, image):
    model, processor = tiny.build(kind)
    asked = []
    original = model.forward

    def spy(*args, **kwargs):
        asked.append(kwargs["input_points"].reshape(-1, 2))
        return original(*args, **kwargs)

    model.forward = spy
    TransformersSegmenter(model, processor, points_per_crop=4, cache=None, **EVERYTHING)(image)
    points = torch.cat(asked).double().numpy()
    side = tiny.SIDE if kind != "sam3_tracker" else 56
    across = side * (np.arange(4) + 0.5) / 4
    # SAM keeps the aspect ratio and pads below; its successors stretch, so rows must reach as far as columns.
    height = side * 36 / 60 if kind == "sam" else side
    down = height * (np.arange(4) + 0.5) / 4
    assert np.allclose(np.unique(points[:, 0]), across, atol=1)
    assert np.allclose(np.unique(points[:, 1]), down, atol=1)


def test_masks_are_kept_on_disk(image, tmp_path):
    options = {"points_per_crop": 2, "cache": tmp_path, **EVERYTHING}
    labels = TransformersSegmenter(*tiny.build("sam"), **options)(image)
    again = TransformersSegmenter(*tiny.build("sam"), **options)
    again._pipeline = type("Unused", (), {"model": again.network, "image_processor": again._pipeline.image_processor})
    assert np.array_equal(again(image), labels)
    TransformersSegmenter(*tiny.build("sam", seed=1), **options)(image)
    TransformersSegmenter(*tiny.build("sam"), **{**options, "points_per_crop": 3})(image)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_local_folder_is_loaded(image, tmp_path):
    model, processor = tiny.build("sam")
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    options = {"points_per_crop": 2, "cache": None, **EVERYTHING}
    loaded = TransformersSegmenter(tmp_path, device="cpu", **options)
    assert np.array_equal(loaded(image), TransformersSegmenter(model, processor, **options)(image))


@pytest.mark.parametrize("kind", ["sam", "sam2"])
def test_no_masks_is_said(image, kind):
    segmenter = TransformersSegmenter(*tiny.build(kind), points_per_crop=2, cache=None, pred_iou_thresh=1e9)
    with pytest.warns(UserWarning, match="found no mask.*raise points_per_crop"):
        assert len(np.unique(segmenter(image))) == 1


def test_what_cannot_be_loaded_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match=r"facebook/sam-vit-base could not be fetched.*a local folder"):
        TransformersSegmenter("facebook/sam-vit-base")
    with pytest.raises(InputError, match="there is no folder"):
        TransformersSegmenter(tmp_path / "none")
    with pytest.raises(InputError, match="cannot be loaded with AutoModelForMaskGeneration"):
        TransformersSegmenter(tmp_path)
    with pytest.raises(InputError, match="needs its image_processor"):
        TransformersSegmenter(tiny.build("sam")[0])
    with pytest.raises(InputError, match="no option 'points_per_side'; it has points_per_crop"):
        TransformersSegmenter("any", points_per_side=3)


def test_models_that_generate_no_masks_are_refused():
    import transformers

    config = transformers.ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    with pytest.raises(InputError, match="generates no masks"):
        TransformersSegmenter(transformers.ViTModel(config), tiny.sam_processor())


def test_a_missing_package_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"captum-focalogic\[transformers\]"):
        TransformersSegmenter("facebook/sam-vit-base")
