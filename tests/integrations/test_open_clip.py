"""Zero-shot classifiers of open_clip: the real classes, small and with random weights."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from captum_focalogic.errors import HubError, InputError, MissingExtraError
from captum_focalogic.integrations.open_clip import load_classifier

open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed (extra 'clip')")

LABELS = ["cat", "dog", "bird"]
TEMPLATE = "a photo of a {}."
SIDE = 32


@pytest.fixture
def images():
    return torch.from_numpy(np.random.default_rng(0).random((4, 3, SIDE, SIDE), dtype=np.float32))


@pytest.fixture
def open_model():
    torch.manual_seed(0)
    vision = open_clip.CLIPVisionCfg(layers=1, width=16, head_width=8, patch_size=8, image_size=SIDE)
    text = open_clip.CLIPTextCfg(context_length=16, width=16, heads=2, layers=1)
    return open_clip.CLIP(16, vision, text).eval()


def test_open_clip_scores_are_the_models_own(open_model, images):
    from open_clip import OPENAI_DATASET_STD as STD

    classifier = load_classifier(open_model, LABELS, templates=[TEMPLATE])
    mean, std = (torch.tensor(value)[:, None, None] for value in (open_clip.OPENAI_DATASET_MEAN, STD))
    tokens = open_clip.SimpleTokenizer(context_length=16)([TEMPLATE.replace("{}", label) for label in LABELS])
    expected = open_model.get_logits((images - mean) / std, tokens)[0]
    assert torch.allclose(classifier.forward(images), expected, atol=1e-4)
    assert classifier.labels == LABELS
    assert classifier.preprocess(Image.new("RGB", (50, 90))).shape == (3, SIDE, SIDE)


def test_what_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"no model 'ViT-B16'; did you mean .*ViT-B-16"):
        load_classifier("ViT-B16", LABELS)
    with pytest.raises(InputError, match="no weights 'best' for ViT-B-16; it has openai"):
        load_classifier("ViT-B-16", LABELS, pretrained="best")
    with pytest.raises(HubError, match=r"weights of ViT-B-16 could not be fetched.*--weights FILE"):
        load_classifier("ViT-B-16", LABELS)
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(MissingExtraError, match=r"captum-focalogic\[clip\]"):
        load_classifier("ViT-B-16", LABELS)


def test_open_clip_weights_come_from_a_file(monkeypatch, tmp_path, open_model, images):
    monkeypatch.setattr(open_clip, "create_model", lambda name, **_: type(open_model)(16, *open_model_parts(open_clip)))
    path = tmp_path / "clip.pth"
    torch.save(open_model.state_dict(), path)
    options = {"tokenizer": open_clip.SimpleTokenizer(context_length=16)}
    loaded = load_classifier("ViT-B-16", LABELS, weights=path, **options)
    given = load_classifier(open_model, LABELS)
    assert torch.allclose(loaded.forward(images), given.forward(images), atol=1e-5)
    with pytest.warns(UserWarning, match="ViT-B-16 has RANDOM weights"):
        load_classifier("ViT-B-16", LABELS, weights="random", **options)


def open_model_parts(open_clip):
    vision = open_clip.CLIPVisionCfg(layers=1, width=16, head_width=8, patch_size=8, image_size=SIDE)
    return vision, open_clip.CLIPTextCfg(context_length=16, width=16, heads=2, layers=1)
