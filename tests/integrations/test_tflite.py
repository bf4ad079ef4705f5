"""TensorFlow Lite files, run by LiteRT."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from captum_focalogic import FocaLogic
from captum_focalogic.errors import InputError, MissingExtraError
from captum_focalogic.integrations.tflite import TfliteModel, TfliteRunner
from captum_focalogic.segmenters import Slic

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed (extra 'tflite')")

import tiny_tflite

MATRIX = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.2, 0.2, 0.3]])
SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture
def images():
    return torch.from_numpy(np.random.default_rng(0).random((5, 3, 4, 4), dtype=np.float32))


@pytest.mark.parametrize(("kind", "error"), [("float32", 1e-6), ("uint8", 1 / 128), ("int8", 1 / 128)])
def test_scores_are_those_of_the_file(tmp_path, images, kind, error):
    model = TfliteModel(tiny_tflite.write(tmp_path / "m.tflite", MATRIX, image=kind), ["a", "b", "c"])
    expected = images.double().mean((2, 3)).numpy() @ MATRIX
    scores = model(images)
    assert scores.dtype == torch.float32
    assert np.abs(scores.numpy() - expected).max() <= error
    assert model(images[:0]).shape == (0, 3)


def test_floating_point_inputs_are_normalised(tmp_path, images):
    path = tiny_tflite.write(tmp_path / "m.tflite", MATRIX)
    mean, std = np.array([0.5, 0.4, 0.3]), np.array([0.2, 0.3, 0.4])
    expected = ((images.double().mean((2, 3)).numpy() - mean) / std) @ MATRIX
    assert np.allclose(TfliteModel(path, mean=mean, std=std)(images).numpy(), expected, atol=1e-5)


def test_the_background_class_is_left_out(tmp_path, images):
    path = tiny_tflite.write(tmp_path / "m.tflite", MATRIX)
    both = TfliteModel(path)(images)
    assert torch.equal(TfliteModel(path, ["b", "c"], background=True)(images), both[:, 1:])
    with pytest.raises(InputError, match="3 classes, but there are 2 labels; pass background=True"):
        TfliteModel(path, ["b", "c"])
    with pytest.raises(InputError, match=r"3 classes, but there are 5 labels$"):
        TfliteModel(path, list("abcde"))


def test_probabilities_sum_to_one_after_rounding_and_without_the_background(tmp_path, images):
    images = images[:, :, :1, :1].expand(5, 3, 4, 4) / images[:, :, :1, :1].sum(1, keepdim=True)
    softmax_like = np.eye(3)
    for kind in ("uint8", "float32"):
        path = tiny_tflite.write(tmp_path / f"{kind}.tflite", softmax_like, image=kind, output=(1 / 256, 0))
        scores = TfliteModel(path, background=True)(images)
        assert torch.allclose(scores.sum(1), torch.ones(5), atol=1e-6)
        expected = images[:, 1:, 0, 0] / images[:, 1:, 0, 0].sum(1, keepdim=True)
        assert (scores - expected).abs().max() < 0.03
    dark = tiny_tflite.write(tmp_path / "d.tflite", softmax_like / 1000, image="uint8", output=(1 / 256, 0))
    assert torch.allclose(TfliteModel(dark)(images), torch.tensor(1 / 3))


def test_a_file_is_explained(tmp_path):
    # Class 0 wins by red, which only the left half has.
    image = torch.zeros(1, 3, 4, 4)
    image[:, 0, :, :2], image[:, 1, :, 2:] = 1.0, 0.2
    model = TfliteModel(tiny_tflite.write(tmp_path / "m.tflite", np.eye(3)))
    mask = torch.tensor([[1, 1, 2, 2]]).expand(4, 4)
    baselines = torch.tensor([0, 0.5, 0])[:, None, None]
    focus = FocaLogic(model).explain(image, feature_mask=mask, target=0, baselines=baselines)[0]
    assert focus.region_sets() == [frozenset({1})]


def test_other_sizes_and_files_are_refused(tmp_path, images):
    path = tiny_tflite.write(tmp_path / "m.tflite", MATRIX)
    with pytest.raises(InputError, match="takes images of 4x4 pixels"):
        TfliteModel(path)(torch.zeros(1, 3, 5, 4))
    assert TfliteModel(path).fit(Image.new("RGB", (30, 20))).size == (4, 4)
    with pytest.raises(InputError, match="no file"):
        TfliteModel(tmp_path / "none.tflite")
    (tmp_path / "bad.tflite").write_bytes(b"TFL3 nonsense")
    with pytest.raises(InputError, match="no TensorFlow Lite model"):
        TfliteModel(tmp_path / "bad.tflite")
    with pytest.raises(InputError, match=r"takes no single image \(1, H, W, 3\)"):
        TfliteModel(tiny_tflite.write(tmp_path / "five.tflite", np.zeros((5, 2)), channels=5))


def test_a_missing_package_names_its_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingExtraError, match=r"captum-focalogic\[tflite\]"):
        TfliteModel(tmp_path / "m.tflite")


@pytest.mark.skipif(not (SHARED / "models").is_dir(), reason="the real models are not here")
def test_the_quantised_file_and_its_torch_twin_have_the_same_final_states(monkeypatch):
    monkeypatch.syspath_prepend(str(SHARED / "models"))
    import mobilenet

    image = mobilenet.preprocess(Image.open(SHARED / "photos" / "owl.jpg"))[None]
    segments = torch.from_numpy(Slic(8)(image[0]))
    quantised = TfliteModel(
        SHARED / "models" / "mobilenet_v2_1.0_224_quant.tflite", mobilenet.labels(), background=True
    )
    focuses = [
        FocaLogic(model, search="ascending", reading="smallest").explain(image, feature_mask=segments)[0]
        for model in (mobilenet.load(), quantised)
    ]
    assert [focus.target for focus in focuses] == [82, 82]
    assert np.array_equal(focuses[0].final_states, focuses[1].final_states)


@pytest.mark.skipif(not (SHARED / "models").is_dir(), reason="the real models are not here")
def test_a_real_segmenter_gives_labels():
    runner = TfliteRunner(SHARED / "models" / "deeplabv3_mnv2_pascal_quant.tflite")
    assert runner.size == (513, 513)
    with Image.open(SHARED / "photos" / "cat.jpg") as picture:
        pixels = np.asarray(picture.convert("RGB").resize((513, 513)))
    labels = runner(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255)[0]
    assert labels.dtype.kind == "i"
    cat = 8
    assert 0.3 < (labels == cat).mean() < 0.6
