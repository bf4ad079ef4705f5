"""Ground truth from semantic segmenters."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from captum_focalogic.errors import HubError, InputError
from captum_focalogic.ground_truth import match_regions
from captum_focalogic.integrations.annotations import VOC_CLASSES
from captum_focalogic.integrations.semantic import SemanticTruth, tflite_truth, torchvision_truth, transformers_truth

SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture
def image():
    return torch.from_numpy(np.random.default_rng(0).random((3, 40, 56), dtype=np.float32))


def halves(image):
    classes = torch.zeros(image.shape[-2:], dtype=torch.int64)
    classes[:, image.shape[-1] // 2 :] = 2
    return classes


def test_any_callable_gives_masks(image):
    source = SemanticTruth(halves, ["road", "car", "Cat"], aliases={"egyptian cat": "cat"})
    truth = source(image, "Egyptian cat")
    assert truth.labels == ("Egyptian cat",)
    assert np.array_equal(truth.masks[0], halves(image).numpy() == 2)
    assert len(source(image, "car")) == 0
    with pytest.raises(InputError, match=r"no class 'dog'; map the label .* aliases= \(road, car, Cat\)"):
        source(image, "dog")


def test_instances_are_told_apart(image):
    cut = (torch.arange(40) != 20)[:, None]
    source = SemanticTruth(lambda image: halves(image) * cut, ["a", "b", "c"], instances=True)
    assert len(source(image, "c")) == 2


def test_another_size_is_refused(image):
    with pytest.raises(InputError, match="size"):
        SemanticTruth(lambda image: halves(image)[1:], ["a", "b", "c"])(image, "c")


def test_a_segmenter_of_transformers(image, tmp_path):
    tf = pytest.importorskip("transformers", reason="transformers is not installed (extra 'transformers')")
    torch.manual_seed(0)
    config = tf.SegformerConfig(
        hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 1, 1], decoder_hidden_size=8,
        id2label={0: "wall", 1: "cat", 2: "dog"}, label2id={"wall": 0, "cat": 1, "dog": 2},
    )  # fmt: skip
    model = tf.SegformerForSemanticSegmentation(config).eval()
    processor = tf.SegformerImageProcessor(size={"height": 64, "width": 64})
    source = transformers_truth(model, processor)
    masks = [source(image, label).union if len(source(image, label)) else np.zeros((40, 56)) for label in source.names]
    assert np.array_equal(np.sum(masks, axis=0), np.ones((40, 56)))
    picture = Image.fromarray((255 * image).round().byte().permute(1, 2, 0).numpy())
    logits = model(**processor(images=picture, return_tensors="pt")).logits
    classes = torch.nn.functional.interpolate(logits, (40, 56), mode="bilinear").argmax(1)[0]
    assert np.array_equal(np.argmax(masks, axis=0), classes)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded = transformers_truth(tmp_path, device="cpu")
    assert loaded.names == ["wall", "cat", "dog"]
    assert np.array_equal(loaded.segment(image), source.segment(image))
    with pytest.raises(InputError, match="needs an image_processor"):
        transformers_truth(model)


def test_a_segmenter_of_torchvision(image, tmp_path, monkeypatch):
    from torchvision import models

    torch.manual_seed(0)
    model = models.get_model("lraspp_mobilenet_v3_large", weights=None, weights_backbone=None).eval()
    path = tmp_path / "w.pth"
    torch.save(model.state_dict(), path)
    source = torchvision_truth("lraspp_mobilenet_v3_large", path, device="cpu")
    preset = models.segmentation.LRASPP_MobileNet_V3_Large_Weights.DEFAULT.transforms()
    scores = model(preset(image)[None])["out"]
    classes = torch.nn.functional.interpolate(scores, (40, 56), mode="bilinear").argmax(1)[0].numpy()
    name = source.names[classes[0, 0]]
    assert np.array_equal(source(image, name).union, classes == classes[0, 0])
    assert source.names[8] == "cat"

    def fail(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(models, "get_model", fail)
    with pytest.raises(HubError, match=r"could not be fetched \(no route to host\).*weights="):
        torchvision_truth("lraspp_mobilenet_v3_large")
    with pytest.raises(InputError, match="no semantic segmenter 'deeplab'; it has deeplabv3"):
        torchvision_truth("deeplab")


@pytest.mark.skipif(not (SHARED / "models").is_dir(), reason="the real models are not here")
def test_a_real_segmenter_finds_the_cat_and_its_regions():
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed (extra 'tflite')")
    source = tflite_truth(
        SHARED / "models" / "deeplabv3_mnv2_pascal_quant.tflite", VOC_CLASSES, aliases={"Egyptian cat": "cat"}
    )
    with Image.open(SHARED / "photos" / "cat.jpg") as picture:
        pixels = np.array(picture.convert("RGB"))
    with Image.open(SHARED / "photos" / "masks" / "cat.png") as picture:
        reference = np.array(picture) > 127
    truth = source(torch.from_numpy(pixels).permute(2, 0, 1) / 255, "Egyptian cat")
    found = truth.union
    assert (found & reference).sum() / (found | reference).sum() > 0.9
    # A partition that has the object as one region finds it; one that cuts it in two needs coverage.
    whole = reference.astype(np.int64)
    assert match_regions(whole, truth, "iou").regions.tolist() == [False, True]
    halved = np.where(reference & (np.arange(reference.shape[1]) < reference.shape[1] // 2), 2, whole)
    assert match_regions(halved, truth, "iou").unmatched == (0,)
    assert match_regions(halved, truth, "coverage").regions.tolist() == [False, True, True]
