"""torchvision's classifiers by name: their preprocessing, their weights, and what is said when there are none."""

from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision import models

from captum_focalogic.classifier import find_classifier
from captum_focalogic.errors import HubError, InputError
from captum_focalogic.integrations.torchvision import load_classifier


@pytest.fixture(scope="module")
def squeezenet(tmp_path_factory):
    """A network of torchvision with weights of its own, and files that hold them."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(7)
    network = models.squeezenet1_1(weights=None).eval()
    save_file(network.state_dict(), folder / "squeezenet.safetensors")
    torch.save(network.state_dict(), folder / "squeezenet.pt")
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, folder / "checkpoint.pt")
    return network, folder


@pytest.fixture
def photo():
    generator = np.random.default_rng(3)
    small = generator.integers(0, 256, (9, 13, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((390, 270), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("name", ["squeezenet.safetensors", "squeezenet.pt", "checkpoint.pt"])
def test_images_in_0_1_give_what_torchvisions_own_preprocessing_gives(squeezenet, photo, name):
    network, folder = squeezenet
    classifier = load_classifier("squeezenet1_1", folder / name)
    image = classifier.preprocess(photo)[None]
    assert image.shape == (1, 3, 224, 224)
    own = models.SqueezeNet1_1_Weights.DEFAULT.transforms()(photo)[None]
    with torch.no_grad():
        torch.testing.assert_close(classifier.forward(image), network(own), rtol=1e-4, atol=1e-5)
    assert not classifier.forward.training
    assert classifier.labels[:2] == ["tench", "goldfish"]


def test_label_maps_are_cropped_like_pictures_without_new_ids(squeezenet):
    classifier = load_classifier("squeezenet1_1", squeezenet[1] / "squeezenet.pt")
    labels = np.zeros((270, 390), dtype=np.int64)
    labels[:, 200:] = 70_000
    cropped = classifier.preprocess_labels(labels)
    assert cropped.shape == (224, 224)
    assert np.unique(cropped).tolist() == [0, 70_000]
    picture = Image.fromarray(np.where(labels > 0, 255, 0).astype(np.uint8)).convert("RGB")
    bright = classifier.preprocess(picture)[0].numpy() > 0.5
    assert np.mean(bright == (cropped > 0)) > 0.99


def test_random_weights_warn():
    with pytest.warns(UserWarning, match="squeezenet1_1 has RANDOM weights"):
        load_classifier("squeezenet1_1", "random")


def test_unknown_names_say_what_is_near():
    with pytest.raises(InputError, match=r"no classifier .resnet17.; did you mean .*resnet1"):
        load_classifier("resnet17")


def test_without_the_hub_there_is_a_way_to_go_on(monkeypatch):
    def unreachable(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    with pytest.raises(HubError, match=r"no route to host.*squeezenet1_1-.*--weights FILE.*'random'"):
        load_classifier("squeezenet1_1")


def test_a_network_with_classes_of_its_own(tmp_path, photo):
    torch.manual_seed(1)
    network = models.resnet18(weights=None, num_classes=3).eval()
    path = tmp_path / "mine.pt"
    torch.save({"state_dict": {f"module.{name}": value for name, value in network.state_dict().items()}}, path)
    classifier = find_classifier("torchvision:resnet18@cat,dog,bird", path)
    seen = classifier.preprocess(photo)[None]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = network((seen - mean[:, None, None]) / std[:, None, None])
    assert torch.allclose(classifier.forward(seen), expected, atol=1e-5)
    assert classifier.labels == ["cat", "dog", "bird"]
    assert load_classifier("resnet18", path).labels is None
    with pytest.raises(InputError, match="resnet18 has 3 classes, but there are 2 labels"):
        load_classifier("resnet18", path, ["cat", "dog"])
    with pytest.raises(InputError, match="do not fit"):
        load_classifier("resnet34", path)
    with pytest.warns(UserWarning, match="RANDOM"):
        assert load_classifier("resnet18", "random", ["a", "b"]).forward(seen).shape == (1, 2)
