"""Objects in Python files of the user's."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from captum_focalogic.classifier import find_classifier
from captum_focalogic.errors import InputError
from captum_focalogic.integrations.user_module import FromFile
from captum_focalogic.names import find
from captum_focalogic.segmenters import segmenter_from_text

MODULE = """
import torch
from torch import nn

labels = {1: "green", 0: "red", 2: "blue"}
network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
number = 3


def preprocess(image):
    return image.resize((4, 4))


def colours(images):
    return images.mean((2, 3))


def make():
    return colours


class Halves:
    def __call__(self, image):
        return (torch.arange(image.shape[2]) * 2 // image.shape[2]).expand(image.shape[1:])


def truth(image, label, name):
    return image[0].numpy() > 0.5


def fails():
    raise RuntimeError("out of ideas")
"""


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MODULE)
    return path


@pytest.mark.parametrize("name", ["colours", "make"])
def test_a_model_comes_with_what_its_file_says_of_it(module, name):
    found = find_classifier(f"{module}:{name}")
    assert found.labels == ["red", "green", "blue"]
    assert found.name == f"{module}:{name}"
    assert found.preprocess(Image.new("RGB", (9, 7), "red")).shape == (3, 4, 4)
    assert np.unique(found.preprocess_labels(np.arange(63).reshape(7, 9))).size == 16
    assert found.forward(torch.ones(2, 3, 4, 4)).shape == (2, 3)


def test_weights_are_for_modules_alone(module, tmp_path):
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    torch.save(network.state_dict(), tmp_path / "w.pt")
    loaded = find_classifier(f"{module}:network", tmp_path / "w.pt").forward
    assert torch.equal(loaded[2].weight, network[2].weight)
    with pytest.raises(InputError, match="--weights needs an nn"):
        find_classifier(f"{module}:colours", tmp_path / "w.pt")


def test_segmenters_and_ground_truth_are_found_alike(module):
    segmenter = segmenter_from_text(f"{module}:Halves")
    assert segmenter(torch.zeros(3, 2, 4)).tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]]
    source = find("ground truth", f"{module}:truth")
    assert source(torch.ones(3, 2, 2), "cat", "a.png").all()


def test_another_process_gets_the_files_name(module):
    there = pickle.loads(pickle.dumps(segmenter_from_text(f"{module}:Halves")))
    assert there == FromFile(module, "Halves")
    assert there(torch.zeros(3, 1, 2)).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nobody", "has no 'nobody'; it has"),
        ("number", "is a int; expected a model"),
        ("fails", "was called to make the model and failed, RuntimeError: out of ideas"),
    ],
)
def test_what_is_no_model_is_said(module, name, message):
    with pytest.raises(InputError, match=message):
        find_classifier(f"{module}:{name}")


def test_files_that_fail_are_said(module, tmp_path):
    (tmp_path / "broken.py").write_text("def (")
    with pytest.raises(InputError, match="failed to load, SyntaxError"):
        find_classifier(f"{tmp_path / 'broken.py'}:net")
    with pytest.raises(InputError, match="there is no file"):
        segmenter_from_text(f"{tmp_path / 'none.py'}:cut")
    with pytest.raises(InputError, match="has no function 'nobody'"):
        segmenter_from_text(f"{module}:nobody")


BUILDERS = """
from torch import nn

def sized(num_classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(5))

def typed(count: int):
    return None

def two(width, depth):
    return None

class Network(nn.Module):
    def __init__(self, width):
        super().__init__()
"""


@pytest.mark.parametrize(("name", "needed"), [("typed", "count"), ("two", "width, depth"), ("Network", "width")])
def test_a_builder_that_needs_an_argument_is_no_model(tmp_path, name, needed):
    path = tmp_path / "builders.py"
    path.write_text(BUILDERS)
    with pytest.raises(InputError, match=f":{name} makes a model but needs {needed}; give what needs no argument"):
        find_classifier(f"{path}:{name}")


def test_a_function_that_answers_images_with_a_model_is_no_model(tmp_path):
    path = tmp_path / "builders.py"
    path.write_text(BUILDERS)
    found = find_classifier(f"{path}:sized")
    with pytest.raises(InputError, match=":sized makes a model but needs num_classes"):
        found.forward(torch.zeros(1, 3, 4, 4))
