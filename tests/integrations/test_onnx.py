"""ONNX files, run by ONNX Runtime."""

import sys

import numpy as np
import pytest
import torch

from captum_focalogic import FocaLogic
from captum_focalogic.errors import InputError, MissingExtraError, ModelOutputError
from captum_focalogic.integrations.onnx import OnnxModel

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra 'onnx')")
pytest.importorskip("onnx", reason="onnx is not installed, which writes the files that are read here")

from tiny_onnx import MATRIX, TYPES, write


@pytest.fixture
def images():
    return torch.from_numpy(np.random.default_rng(0).random((5, 3, 4, 4), dtype=np.float32))


@pytest.mark.parametrize("batch", ["n", None, 1, 2, 5, 7])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_scores_are_those_of_the_file(tmp_path, images, batch, layout):
    shape = (batch, 3, 4, 4) if layout == "NCHW" else (batch, 4, 4, 3)
    model = OnnxModel(write(tmp_path / "m.onnx", shape=shape), ["a", "b", "c"])
    expected = images.double().mean((2, 3)).numpy() @ MATRIX
    assert np.allclose(model(images).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(("kind", "scale"), [(TYPES.UINT8, 255), (TYPES.FLOAT16, 1), (TYPES.DOUBLE, 1)])
def test_other_types_of_pixels(tmp_path, images, kind, scale):
    model = OnnxModel(write(tmp_path / "m.onnx", kind=kind))
    expected = scale * images.double().mean((2, 3)).numpy() @ MATRIX
    assert np.allclose(model(images).numpy(), expected, atol=2e-3 * scale)


def test_inputs_are_normalised_and_outputs_chosen(tmp_path, images):
    path = write(tmp_path / "m.onnx")
    mean, std = np.array([0.5, 0.4, 0.3]), np.array([0.2, 0.3, 0.4])
    expected = ((images.double().mean((2, 3)).numpy() - mean) / std) @ MATRIX
    assert np.allclose(OnnxModel(path, mean=mean, std=std)(images).numpy(), expected, atol=1e-5)
    assert np.allclose(OnnxModel(path, mean=mean, std=std, output="negated")(images).numpy(), -expected, atol=1e-5)
    with pytest.raises(InputError, match="no output 'logits'; it has scores, negated"):
        OnnxModel(path, output="logits")


def test_a_file_is_explained(tmp_path):
    image = torch.zeros(1, 3, 4, 4)
    image[:, 0, :, :2], image[:, 1, :, 2:] = 1.0, 0.2
    model = OnnxModel(write(tmp_path / "m.onnx", shape=("n", 3, "h", "w")))
    assert model.size is None
    mask = torch.tensor([[1, 1, 2, 2]]).expand(4, 4)
    baselines = torch.tensor([0, 0.5, 0])[:, None, None]
    focus = FocaLogic(model).explain(image, feature_mask=mask, target=0, baselines=baselines)[0]
    assert focus.region_sets() == [frozenset({1})]


def test_what_does_not_fit_is_refused(tmp_path, images):
    path = write(tmp_path / "m.onnx")
    with pytest.raises(InputError, match="takes images of 4x4 pixels"):
        OnnxModel(path)(torch.zeros(1, 3, 4, 6))
    with pytest.raises(InputError, match="no file"):
        OnnxModel(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="no ONNX model"):
        OnnxModel(tmp_path / "bad.onnx")
    with pytest.raises(InputError, match=r"its inputs are image .*more0"):
        OnnxModel(write(tmp_path / "two.onnx", inputs=2))
    with pytest.raises(InputError, match=r"has no .*TpuExecutionProvider"):
        OnnxModel(path, providers=["TpuExecutionProvider"])
    with pytest.raises(ModelOutputError, match="3 classes, but there are 2 labels"):
        OnnxModel(path, ["a", "b"])(images)


def test_a_missing_package_names_its_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"captum-focalogic\[onnx\]"):
        OnnxModel(tmp_path / "m.onnx")
