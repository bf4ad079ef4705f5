"""Fine-tuning on folders of images."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from captum_focalogic.classifier import Classifier
from captum_focalogic.errors import InputError
from captum_focalogic.experiments import finetuning
from captum_focalogic.experiments.finetuning import FineTuning, class_folders, fine_tuned, with_new_head
from captum_focalogic.experiments.framework import Workspace
from captum_focalogic.study import image_folder

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")
pytest.importorskip("filelock", reason="needs filelock (the study extra)")
pytest.importorskip("matplotlib", reason="needs matplotlib (the study extra)")
from captum_focalogic.experiments.finetuning import split_items
from captum_focalogic.study import Item, Sample

COLOURS = {"amber": (230, 150, 20), "blue": (20, 60, 220), "coral": (220, 80, 110)}


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1_000)
    ).eval()


def pretrained(module=None):
    return Classifier(
        (module or network()).requires_grad_(False), lambda image: _tensor(image.resize((16, 16))), name="tiny"
    )


def _tensor(image):
    return torch.from_numpy(np.asarray(image, dtype=np.float32) / 255).permute(2, 0, 1)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    draws = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(9):
            pixels = np.clip(np.array(colour) + draws.normal(0, 15, (20, 20, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def test_a_new_head_learns_the_classes_of_the_folders(tmp_path, images):
    model = pretrained()
    before = copy.deepcopy(model.forward.state_dict())
    how = FineTuning(epochs=15, batch=9, learning_rate=1e-2, head_learning_rate=5e-2)
    tuned = fine_tuned(Workspace(tmp_path / "work"), "colours", model, images, how)
    assert tuple(tuned.labels) == ("amber", "blue", "coral") == class_folders(images)
    assert not tuned.forward.training
    items = image_folder(images, tuned.labels)
    scores = tuned.forward(torch.stack([tuned.preprocess(item.read().image) for item in items]))
    assert scores.shape == (27, 3)
    assert scores.argmax(dim=1).tolist() == [item.label for item in items]
    # the body learned too, and the model that it came from did not change
    assert not torch.equal(tuned.forward[0].weight, before["0.weight"])
    assert all(torch.equal(value, before[key]) for key, value in model.forward.state_dict().items())


def test_training_is_kept_and_repeats(tmp_path, images, monkeypatch):
    how = FineTuning(epochs=1, batch=4)
    first = fine_tuned(Workspace(tmp_path / "a"), "colours", pretrained(), images, how).forward.state_dict()
    torch.manual_seed(99)
    other = fine_tuned(Workspace(tmp_path / "b"), "colours", pretrained(), images, how).forward.state_dict()
    assert all(torch.equal(first[key], other[key]) for key in first)

    def refuse(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(finetuning, "fit_images", refuse)
    again = fine_tuned(Workspace(tmp_path / "a"), "colours", pretrained(), images, how).forward.state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    with pytest.raises(AssertionError, match="trained again"):
        fine_tuned(Workspace(tmp_path / "a"), "colours", pretrained(), images, FineTuning(epochs=2, batch=4))
    (images / "amber" / "0.png").unlink()
    with pytest.raises(AssertionError, match="trained again"):
        fine_tuned(Workspace(tmp_path / "a"), "colours", pretrained(), images, how)


def test_torchvisions_networks_get_their_own_last_layer_replaced():
    from captum_focalogic.integrations.torchvision import load_classifier

    with pytest.warns(UserWarning, match="RANDOM"):
        classifier = load_classifier("resnet18", "random")
    module = with_new_head(classifier, 4)
    assert module.model.fc.out_features == 4
    assert classifier.forward.model.fc.out_features == 1_000
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_models_that_cannot_be_fine_tuned_are_refused(tmp_path, images):
    work = Workspace(tmp_path / "work")
    with pytest.raises(InputError, match="no torch module"):
        fine_tuned(work, "x", Classifier(lambda images: images.mean(dim=(2, 3))), images, FineTuning())
    bare = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(InputError, match="no linear layer"):
        fine_tuned(work, "x", pretrained(bare), images, FineTuning())
    inside = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 8), nn.ReLU(), nn.Softmax(dim=1))
    inside.append(nn.Unflatten(1, (-1, 1)))
    with pytest.raises(InputError, match="does not give its classes"):
        fine_tuned(work, "x", pretrained(inside), images, FineTuning())
    for name in ("blue", "coral"):
        for path in (images / name).iterdir():
            path.unlink()
        (images / name).rmdir()
    with pytest.raises(InputError, match="at least two; it has amber"):
        fine_tuned(work, "x", pretrained(), images, FineTuning())


def item(name: str, label: int | None) -> Item:
    return Item(name, lambda: Sample(torch.zeros(3, 8, 8)), label)


def test_every_fourth_image_of_a_class_is_held_out() -> None:
    items = [item(f"{label}-{place}", label) for place in range(5) for label in (7, 151)] + [item("last", 3)]
    split = split_items(items)
    assert [one.id for one in split.held_out] == ["7-3", "151-3"]
    assert [one.id for one in split.trained] == [one.id for one in items if not one.id.endswith("-3")]
    dogs = split.of([151, 3])
    assert [(one.id, one.label) for one in dogs.held_out] == [("151-3", 0)]
    assert {one.label for one in dogs.trained} == {0, 1}
    with pytest.raises(InputError, match="that of lost is not known"):
        split_items([item("lost", None)])
