"""Models that are functions of NumPy arrays."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from captum_focalogic import FocaLogic
from captum_focalogic.errors import InputError, ModelOutputError
from captum_focalogic.integrations.functions import (
    ArrayFormat,
    NumpyModel,
    ProbabilityModel,
    as_scores,
)


@pytest.fixture
def images():
    return torch.from_numpy(np.random.default_rng(0).random((4, 3, 5, 6), dtype=np.float32))


def test_bytes_are_rounded_and_channels_last(images):
    array = ArrayFormat()(images)
    assert array.dtype == np.uint8
    assert array.shape == (4, 5, 6, 3)
    assert array[1, 2, 3, 0] == round(255 * float(images[1, 0, 2, 3]))
    exact = torch.arange(256).reshape(1, 1, 16, 16) / 255
    assert np.array_equal(ArrayFormat()(exact).reshape(-1), np.arange(256))


def test_layouts_hold_the_same_numbers(images):
    last = ArrayFormat("NHWC", "float64")(images)
    assert np.array_equal(ArrayFormat("NCHW", "float64")(images), last.transpose(0, 3, 1, 2))
    assert np.array_equal(ArrayFormat("flat", "float64")(images), last.reshape(4, -1))
    assert np.array_equal(last[:, :, :, 1], images[:, 1].numpy())


def test_normalisation_is_that_of_each_channel(images):
    mean, std = (0.1, 0.2, 0.3), (1.0, 2.0, 4.0)
    array = ArrayFormat("NCHW", "float32", mean, std)(images)
    for channel in range(3):
        assert np.allclose(array[:, channel], (images[:, channel].numpy() - mean[channel]) / std[channel], atol=1e-6)


def test_formats_that_make_no_sense_are_refused(images):
    with pytest.raises(InputError, match="layout must be"):
        ArrayFormat("HWC")
    with pytest.raises(InputError, match="dtype must be"):
        ArrayFormat(dtype="int8")
    with pytest.raises(InputError, match="leave them out"):
        ArrayFormat(std=2.0)
    with pytest.raises(InputError, match="std must be positive"):
        ArrayFormat(dtype="float32", std=0.0)
    with pytest.raises(InputError, match=r"images must be in \[0, 1\]"):
        ArrayFormat()(images * 2)
    with pytest.raises(InputError, match=r"takes images \(N, 3, H, W\)"):
        ArrayFormat()(images[0])


def test_a_function_over_bytes_is_explained():
    seen = []

    def function(array):
        seen.append((array.dtype, array.shape[1:]))
        bright = array[:, 0, 0, 0] > 128
        return np.stack([~bright, bright], axis=1).astype(float)

    focus = FocaLogic(NumpyModel(function)).explain(
        torch.ones(1, 3, 2, 2), feature_mask=torch.tensor([[0, 1], [2, 3]])
    )[0]
    assert focus.region_sets() == [frozenset({0})]
    assert set(seen) == {(np.dtype(np.uint8), (2, 2, 3))}


def test_integer_labels_are_explained():
    model = NumpyModel(lambda array: (array[:, 0, 1, 0] > 9).astype(np.uint32) * 7)
    focus = FocaLogic(model).explain(torch.ones(1, 3, 1, 3), feature_mask=torch.tensor([[[0, 1, 2]]]))[0]
    assert focus.region_sets() == [frozenset({1})]


def test_an_estimator_of_scikit_learn_is_explained():
    rng = np.random.default_rng(0)
    rows = rng.random((200, 2, 2, 3))
    truth = np.where(rows[:, 1, 0].mean(axis=1) > 0.5, "bright", "dark")
    model = ProbabilityModel(LogisticRegression(C=1e4).fit(rows.reshape(200, -1), truth))
    assert model.labels == ["bright", "dark"]
    images = torch.from_numpy(rows.transpose(0, 3, 1, 2))
    assert np.array_equal(model(images).numpy(), model.function.__self__.predict_proba(rows.reshape(200, -1)))
    white = torch.ones(1, 3, 2, 2)
    focus = FocaLogic(model).explain(white, target=0, feature_mask=torch.tensor([[0, 1], [2, 3]]))[0]
    assert focus.region_sets() == [frozenset({2})]


def test_estimators_without_probabilities_are_refused():
    with pytest.raises(InputError, match="has no predict_proba"):
        ProbabilityModel(object())
    with pytest.raises(InputError, match="must be a function"):
        NumpyModel(3)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (np.array(["cat", "dog"]), "must answer with numbers"),
        (np.zeros((3, 2)), r"2 row\(s\)"),
        (1.0, r"2 row\(s\)"),
        (np.zeros((2, 3)), "has 3 classes, but there are 2 labels"),
    ],
)
def test_answers_that_cannot_be_read_are_refused(answers, message):
    with pytest.raises(ModelOutputError, match=message):
        as_scores(answers, 2, ["a", "b"])
