"""Classifiers: a model with what belongs to it, by name or from what is at hand."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from captum_focalogic import explain_image
from captum_focalogic.classifier import (
    Classifier,
    as_classifier,
    distinct_labels,
    find_classifier,
    split_labels,
    with_preprocess,
)
from captum_focalogic.errors import InputError
from captum_focalogic.images import CentreCrop
from captum_focalogic.integrations.functions import ANY_SIZE
from captum_focalogic.names import listed_labels
from captum_focalogic.preprocess import Normalisation


def halves(images):
    return images.mean((1, 2, 3))


def test_it_sees_what_its_fit_makes_of_images_and_label_maps():
    classifier = Classifier.fitted(halves, CentreCrop(4, 4, 1.0, Image.Resampling.NEAREST), ["dark", "light"], "mine")
    pixels = np.zeros((4, 8, 3), dtype=np.uint8)
    pixels[:, 4:] = 255
    seen = classifier.preprocess(Image.fromarray(pixels))
    assert seen.shape == (3, 4, 4)
    assert seen[0, 0].tolist() == [0.0, 0.0, 1.0, 1.0]
    label_map = np.where(pixels[:, :, 0] > 0, 2**40, -3)
    assert classifier.preprocess_labels(label_map)[0].tolist() == [-3, -3, 2**40, 2**40]


def test_by_itself_it_sees_the_whole_image_and_nothing_is_known_of_label_maps():
    plain = Classifier(halves)
    assert plain.preprocess(Image.new("RGB", (3, 2), "white")).tolist() == torch.ones(3, 2, 3).tolist()
    assert (plain.preprocess_labels, plain.labels, plain.name) == (None, None, "model")
    with pytest.raises(InputError, match="a module or a function of images; got 3"):
        Classifier(3)


def test_on_a_device_a_module_is_the_one_that_was_given():
    network = nn.Sequential(nn.Dropout(), nn.Linear(2, 2)).train()
    moved = Classifier(network, name="net").to("cpu")
    assert moved.forward is network
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert moved.name == "net"
    function = Classifier(halves)
    assert function.to(torch.device("cpu")).forward is halves


def test_by_name_a_module_is_in_evaluation_mode_and_frozen(tmp_path):
    text = "from torch import nn\nnetwork = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(12, 2))"
    (tmp_path / "own.py").write_text(text)
    for found in (find_classifier(f"{tmp_path}/own.py:network"), find_classifier("demo")):
        assert not any(part.training for part in found.forward.modules())
        assert not any(parameter.requires_grad for parameter in found.forward.parameters())


def test_classes_are_called_by_their_labels():
    named = Classifier(halves, labels=("cat", "dog"))
    assert [named.label_of(target) for target in (0, 1, 2, -1, None)] == ["cat", "dog", None, None, None]
    assert Classifier(halves).label_of(0) is None
    assert Classifier(halves, labels=[]).labels is None


@pytest.mark.parametrize(
    "labels", [{1: "dog", 0: "cat"}, {"1": "dog", "0": "cat"}, ("cat", "dog"), np.array(["cat", "dog"])]
)
def test_labels_are_read_in_their_order_and_mappings_by_their_keys(labels):
    assert Classifier(halves, labels=labels).labels == ["cat", "dog"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"cat", "dog"}, "in their order; got a set"),
        ("cat", "one string, 'cat'"),
        ({"cat": 0, "dog": 1}, "from class numbers to names.*got the key 'cat'"),
        ({0: "cat", 2: "dog"}, "these have no 1"),
        ({0: "cat", "0": "dog"}, "a key appears twice|every class once"),
        ((name for name in ("cat", "dog")), "got a generator"),
        (3, "got a int"),
        ([["cat"], ["dog"]], r"one of them is a list, \['cat'\]"),
        ([None, "dog"], "one of them is a NoneType"),
    ],
)
def test_what_is_no_list_of_names_is_refused(labels, message):
    with pytest.raises(InputError, match=message):
        Classifier(halves, labels=labels)


def test_labels_are_checked():
    assert listed_labels(None) is None
    assert listed_labels(("crane", "crane")) == ["crane", "crane"]
    assert distinct_labels(("a", "b")) == ["a", "b"]
    for labels, message in [("ab", "one string"), (["a", "a"], "'a' appears twice"), (["a", " "], "blank"), ([], "no")]:
        with pytest.raises(InputError, match=message):
            distinct_labels(labels)


def test_labels_stand_behind_the_name(tmp_path):
    assert split_labels("a/b") == ("a/b", None)
    assert split_labels("a/b@cat, hot dog") == ("a/b", ["cat", "hot dog"])
    path = tmp_path / "labels.txt"
    path.write_text("cat\n\n hot dog \n")
    assert split_labels(f"a@b.onnx@{path}") == ("a@b.onnx", ["cat", "hot dog"])
    name, labels = split_labels("ViT-B-16@imagenet")
    assert (name, len(labels), len(set(labels)), labels[151]) == ("ViT-B-16", 1000, 1000, "Chihuahua")
    with pytest.raises(InputError, match=r"labels .*none\.txt cannot be read"):
        split_labels(f"a@{tmp_path / 'none.txt'}")


@pytest.mark.filterwarnings("ignore:test_vit has RANDOM")
def test_own_models_have_names(tmp_path, monkeypatch):
    pytest.importorskip("timm", reason="timm is not installed (extra 'timm')")
    found = find_classifier("timm:test_vit", "random")
    assert found.forward(torch.zeros(1, 3, 160, 160)).shape == (1, 1000)
    monkeypatch.setenv("FOCALOGIC_CACHE", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    endpoint = find_classifier("openai:gpt-4o@cat,dog")
    assert endpoint.labels == ["cat", "dog"]
    assert endpoint.forward.budget.max_calls == 1000
    assert endpoint.forward.cache.path == tmp_path / "answers.sqlite"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert find_classifier("openai:m@cat,dog").forward.base_url == "http://127.0.0.1:1/v1"
    with pytest.raises(InputError, match="needs labels to choose from: openai:gpt-4o@cat,dog"):
        find_classifier("openai:gpt-4o")
    with pytest.raises(InputError, match="--weights has no meaning for openai"):
        find_classifier("openai:gpt-4o@a,b", "w.pth")


def test_a_tflite_file_with_one_class_more_than_labels_has_a_background(tmp_path):
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed (extra 'tflite')")
    import tiny_tflite

    path = tiny_tflite.write(tmp_path / "m.tflite", np.eye(3))
    found = find_classifier(f"tflite:{path}@a,b")
    assert found.labels == ["a", "b"]
    assert found.forward(torch.ones(1, 3, 4, 4)).shape == (1, 2)
    assert found.preprocess(Image.new("RGB", (9, 7))).shape == (3, 4, 4)


def test_large_images_are_made_smaller():
    assert ANY_SIZE(Image.new("RGB", (2048, 1024))).size == (512, 256)
    assert ANY_SIZE(Image.new("RGB", (20, 10))).size == (20, 10)


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16, torch.float64])
def test_networks_of_another_precision_get_images_in_theirs(precision):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    plain, inputs = copy.deepcopy(network), torch.rand(2, 3, 12, 12)
    network.to(precision)
    classifier = as_classifier(network)
    assert classifier.name == "Sequential"
    assert torch.allclose(classifier.forward(inputs).float(), plain(inputs), atol=0.05)
    assert torch.equal(classifier.forward(inputs), network(inputs.to(precision)))
    mean, std = 0.4, 0.2
    normalised = with_preprocess(as_classifier(network), None, Normalisation(mean, std))
    assert torch.equal(normalised.forward(inputs), network(((inputs - mean) / std).to(precision)))
    answer = explain_image(network, inputs[0], mean=mean, std=std, segmenter="grid:2x2", max_evaluations=30)
    assert answer.prediction.index == int(plain((inputs[:1] - mean) / std).argmax())
    assert next(network.parameters()).dtype == precision, "it is left as it was"
