"""The embedded network by its name."""

import numpy as np
import pytest
import torch
from PIL import Image

from captum_focalogic.classifier import find_classifier
from captum_focalogic.demo.network import SceneNetwork
from captum_focalogic.demo.rules import CLASS_NAMES
from captum_focalogic.errors import InputError


def test_it_sees_the_centre_of_an_image():
    demo = find_classifier("demo")
    assert (demo.name, demo.labels) == ("demo", list(CLASS_NAMES))
    image = Image.new("RGB", (300, 100), "black")
    image.paste("white", (100, 0, 200, 100))
    assert demo.preprocess(image).shape == (3, 96, 96)
    assert float(demo.preprocess(image).min()) == 1.0
    label_map = np.repeat(np.arange(3), 100)[None].repeat(100, axis=0)
    assert np.unique(demo.preprocess_labels(label_map)).tolist() == [1]


def test_its_weights_can_be_others(tmp_path):
    torch.manual_seed(0)
    other = SceneNetwork()
    torch.save(other.state_dict(), tmp_path / "w.pt")
    assert torch.equal(find_classifier("demo", tmp_path / "w.pt").forward.head[0].weight, other.head[0].weight)
    with pytest.raises(InputError, match="cannot be read; choose demo"):
        find_classifier("demo:x")
