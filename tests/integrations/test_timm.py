"""Classifiers of timm: the library's own tiny architectures, with random weights."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from captum_focalogic import FocaLogic, explain_image
from captum_focalogic.classifier import as_classifier, find_classifier
from captum_focalogic.errors import HubError, InputError, MissingExtraError
from captum_focalogic.integrations.timm import load_classifier

timm = pytest.importorskip("timm", reason="timm is not installed (extra 'timm')")


@pytest.fixture
def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (120, 200, 3), dtype=np.uint8))


def random_classifier(name):
    with pytest.warns(UserWarning, match="RANDOM weights"):
        return load_classifier(name, "random")


@pytest.mark.parametrize("name", ["test_vit", "test_resnet.r160_in1k", "test_convnext"])
def test_pictures_are_seen_as_timm_shows_them(name, picture):
    torch.manual_seed(0)
    classifier = random_classifier(name)
    settings = timm.data.resolve_model_data_config(classifier.forward.model)
    theirs = timm.data.create_transform(**settings, is_training=False)(picture)[None]
    ours = classifier.preprocess(picture)[None]
    with torch.no_grad():
        assert torch.allclose(classifier.forward(ours), classifier.forward.model(theirs), atol=1e-4)
    assert not classifier.forward.training
    assert len(classifier.labels) == 1000
    assert classifier.labels[0].startswith("tench")


def test_label_maps_are_cropped_alike():
    classifier = random_classifier("test_vit")
    labels = np.full((90, 300), -5, dtype=np.int64)
    labels[:, 150:] = 100_000
    picture = Image.fromarray(np.where(labels > 0, 255, 0).astype(np.uint8)).convert("RGB")
    cropped = classifier.preprocess_labels(labels)
    assert set(np.unique(cropped)) == {-5, 100_000}
    assert np.mean((cropped > 0) == (classifier.preprocess(picture)[0].numpy() > 0.5)) > 0.98


def test_a_classifier_is_explained(picture):
    classifier = random_classifier("test_resnet")
    image = classifier.preprocess(picture)[None]
    mask = (torch.arange(160) // 80).expand(160, 160)
    focus = FocaLogic(classifier.forward).explain(image, feature_mask=mask)[0]
    assert focus.num_regions == 2
    assert focus.certificate.complete


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_come_from_a_file(tmp_path, suffix):
    from safetensors.torch import save_file

    torch.manual_seed(1)
    model = timm.create_model("test_vit")
    path = tmp_path / f"w{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(model.state_dict(), path)
    loaded = load_classifier("test_vit", path).forward.model
    assert all(torch.equal(loaded.state_dict()[name], value) for name, value in model.state_dict().items())
    with pytest.raises(InputError, match="do not fit"):
        load_classifier("test_resnet", path)


def test_what_is_not_there_is_said(monkeypatch):
    with pytest.raises(InputError, match=r"no model 'resnett18'; did you mean .*resnet18"):
        load_classifier("resnett18")
    with pytest.raises(InputError, match=r"no weights 'none' for test_vit; it has r160_in1k"):
        load_classifier("test_vit.none")
    with pytest.raises(InputError, match="has no published weights; give a file"):
        load_classifier("vit_base_patch16_xp_224")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match=r"weights of test_vit could not be fetched.*--weights FILE"):
        load_classifier("test_vit")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"captum-focalogic\[timm\]"):
        load_classifier("test_vit")


def test_a_network_with_classes_of_its_own(tmp_path):
    network = timm.create_model("resnet10t", pretrained=False, num_classes=3)
    torch.save({"model": network.state_dict()}, tmp_path / "mine.pt")
    classifier = find_classifier("timm:resnet10t@cat,dog,bird", tmp_path / "mine.pt")
    assert classifier.labels == ["cat", "dog", "bird"]
    assert torch.equal(classifier.forward.model.get_classifier().weight, network.get_classifier().weight)
    settings, images = timm.data.resolve_model_data_config(network), torch.rand(2, 3, 64, 64)
    mean, std = (torch.tensor(settings[name])[:, None, None] for name in ("mean", "std"))
    with torch.no_grad():
        assert torch.allclose(classifier.forward(images), network.eval()((images - mean) / std), atol=1e-4)
    assert load_classifier("resnet10t", tmp_path / "mine.pt").labels is None
    with pytest.warns(UserWarning, match="RANDOM"):
        assert load_classifier("resnet10t", "random", ["a", "b"]).forward(torch.rand(1, 3, 64, 64)).shape == (1, 2)


def test_random_weights_leave_the_classes_whose_names_are_not_known(monkeypatch):
    monkeypatch.setattr(timm.data, "infer_imagenet_subset", lambda model: None)
    with pytest.warns(UserWarning, match="RANDOM"):
        classifier = load_classifier("resnet10t", "random")
    assert classifier.labels is None
    assert classifier.forward(torch.rand(1, 3, 64, 64)).shape == (1, 1000)


def test_a_model_of_timm_brings_its_preprocessing_and_names(picture):
    """As it is, it is asked as timm would ask it; its mode stays what it was."""
    torch.manual_seed(0)
    model = timm.create_model("test_resnet.r160_in1k", pretrained=False).eval()
    settings = timm.data.resolve_model_data_config(model)
    theirs = timm.data.create_transform(**settings, is_training=False)
    adopted = as_classifier(model)
    with torch.no_grad():
        expected = model(theirs(picture)[None])
        assert torch.allclose(adopted.forward(adopted.preprocess(picture)[None]), expected, atol=1e-4)
    assert adopted.labels[0].startswith("tench")
    assert adopted.name == "timm:test_resnet"
    assert all(parameter.requires_grad for parameter in model.parameters())
    answer = explain_image(model, picture, segmenter="grid:2x2", max_evaluations=20)
    given = explain_image(model, picture, preprocess=theirs, segmenter="grid:2x2", max_evaluations=20)
    assert answer.prediction.index == given.prediction.index == int(expected.argmax())
    assert answer.prediction.probability == pytest.approx(given.prediction.probability, abs=1e-3)


def test_a_model_of_timm_with_one_channel_sees_grey_images():
    model = timm.create_model("test_resnet.r160_in1k", pretrained=False, in_chans=1).eval()
    grey = Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 120), dtype=np.uint8))
    adopted = as_classifier(model)
    seen = adopted.preprocess(grey.convert("RGB"))
    assert seen.shape == (1, 160, 160)
    assert adopted.forward(seen[None]).shape == (1, 1000)
    assert adopted.preprocess_labels(np.ones((90, 120), dtype=np.int64)).shape == (160, 160)
    with pytest.raises(InputError, match="takes 4 channels"):
        as_classifier(timm.create_model("test_resnet.r160_in1k", pretrained=False, in_chans=4))
