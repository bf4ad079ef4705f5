"""Ground truth from a label's text: the real classes, small and with random weights."""

import numpy as np
import pytest
import torch
from PIL import Image

from captum_focalogic.errors import HubError, InputError
from captum_focalogic.integrations.grounding import GroundedSam, Sam3Truth

pytest.importorskip("transformers", reason="transformers is not installed (extra 'transformers')")

import tiny_transformers as tiny


@pytest.fixture
def image():
    return torch.from_numpy(np.random.default_rng(0).random((3, 40, 60), dtype=np.float32))


def grounded(kind="sam", **options):
    detector, detector_processor = tiny.grounding_dino()
    sam, sam_processor = tiny.sam_with_processor(kind)
    return GroundedSam(
        detector, sam, detector_processor=detector_processor, sam_processor=sam_processor, text_threshold=0.0, **options
    )


@pytest.mark.parametrize("kind", ["sam", "sam2"])
def test_each_box_gets_a_mask(image, kind):
    source = grounded(kind, threshold=0.0)
    asked = []
    forward = source.sam.forward
    source.sam.forward = lambda **inputs: asked.append(inputs["input_boxes"]) or forward(**inputs)
    truth = source(image, "Cat.")
    assert truth.size == (40, 60)
    assert truth.labels == ("Cat.",) * 4
    assert truth.masks.any(axis=(1, 2)).all()
    picture = Image.fromarray((255 * image).round().byte().permute(1, 2, 0).numpy())
    boxes = source.boxes(picture, "cat")
    assert boxes.shape == (4, 4)
    assert np.all((boxes >= 0) & (boxes <= [60, 40, 60, 40]))
    # SAM keeps the aspect ratio when it resizes to 64 pixels, SAM 2 does not.
    scale = np.array([64 / 60, (43 if kind == "sam" else 64) / 40] * 2)
    assert np.allclose(asked[0][0].numpy(), boxes * scale, atol=0.01)


def test_the_text_is_what_the_detector_was_trained_on(image):
    source = grounded(threshold=0.0)
    texts = []
    processor = source.detector_processor

    class Spy:
        def __call__(self, **inputs):
            texts.append(inputs["text"])
            return processor(**inputs)

        def __getattr__(self, name):
            return getattr(processor, name)

    source.detector_processor = Spy()
    source(image, " A Cat")
    assert texts == ["a cat."]


def test_nothing_found_is_no_mask(image):
    assert len(grounded(threshold=1.0)(image, "cat")) == 0
    assert len(Sam3Truth(*tiny.sam3(), threshold=1.0)(image, "cat")) == 0


def test_sam3_finds_masks_by_text(image):
    truth = Sam3Truth(*tiny.sam3(), threshold=0.0)(image, "cat")
    assert truth.masks.shape == (5, 40, 60)
    assert truth.labels == ("cat",) * 5
    assert truth.masks.any()


def test_what_is_missing_is_said(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="grounding-dino-tiny could not be fetched"):
        GroundedSam()
    with pytest.raises(HubError, match="facebook/sam3 could not be fetched"):
        Sam3Truth()
    with pytest.raises(InputError, match="GroundingDinoForObjectDetection object needs its processor"):
        GroundedSam(tiny.grounding_dino()[0])
