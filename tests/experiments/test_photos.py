"""The size of photographs: what ships with scikit-image, and named models on a folder, explained in several ways."""

import csv
import json
from pathlib import Path

import pytest
import torch

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")
pytest.importorskip("matplotlib", reason="needs matplotlib (the study extra)")
from makers import run_command, save_half_objects
from PIL import Image
from studies import TINY
from torch import nn

from captum_focalogic.classifier import Classifier
from captum_focalogic.errors import FocaLogicWarning, InputError
from captum_focalogic.experiments import Photos, find_experiment, run_experiment
from captum_focalogic.experiments.framework import EVERY_SIZE
from captum_focalogic.experiments.photos import NETWORKS, SHIPPED_PHOTOS, Remembered, remembering
from captum_focalogic.integrations.imagenet import imagenet_labels

NAMED = """
import torch
from torch import nn

labels = ["left", "right"]
SIDE = 24


class Sides(nn.Module):
    def forward(self, images):
        half = images.shape[-1] // 2
        return 9 * torch.stack([images[..., :half].mean((1, 2, 3)), images[..., half:].mean((1, 2, 3))], dim=1)


def load():
    return Sides()


def preprocess(image):
    import numpy as np
    pixels = np.asarray(image.convert("RGB").resize((SIDE, SIDE)), dtype=np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1)


def left_half(image, label, name):
    mask = torch.zeros(image.shape[1:], dtype=torch.bool)
    mask[:, : image.shape[2] // 2] = True
    return mask.numpy()
"""


def test_the_photographs_that_ship_are_read_and_their_classes_are_imagenets() -> None:
    labels = imagenet_labels()
    items = Photos().find_items(Classifier(nn.Identity(), labels=labels))
    assert [item.id for item in items] == list(SHIPPED_PHOTOS)
    named = {item.id: labels[item.label] for item in items if item.label is not None}
    assert named == {name: label for name, label in SHIPPED_PHOTOS.items() if label is not None}
    for item in items:
        image = item.read().image
        assert isinstance(image, Image.Image)
        assert image.mode == "RGB"
        assert min(image.size) > 200


def test_without_names_of_classes_nothing_is_said_of_them() -> None:
    assert {item.label for item in Photos().find_items()} == {None}
    assert {item.label for item in Photos().find_items(Classifier(nn.Identity(), labels=["cat", "dog"]))} == {None}


def test_no_more_photographs_are_taken_than_asked_for() -> None:
    assert len(Photos(images=2).find_items()) == 2


def _images(folder: Path, count: int) -> Path:
    (folder / "models.py").write_text(NAMED)
    return save_half_objects(folder, {"left": count // 2, "right": count - count // 2}, 48)


def _config(folder: Path, **more: object) -> Photos:
    usual = {
        "data": str(folder / "data"),
        "models": (f"{folder / 'models.py'}:load",),
        "segmenter": "grid:2x3",
        "truth": f"{folder / 'models.py'}:left_half",
        "settings": TINY,
    }
    return Photos(**{**usual, **more})


@pytest.mark.parametrize("name", ["models", "stability", "efficiency"])
def test_a_folder_a_model_and_a_truth_of_ones_own(name: str, tmp_path: Path) -> None:
    _images(tmp_path, 10)
    outcome, written = run_experiment(name, _config(tmp_path), tmp_path / "out")
    page = next(path for path in written if path.suffix == ".md").read_text()
    assert "--size photos" in page
    assert "scenes" not in page
    lines = list(csv.DictReader((tmp_path / "out" / f"{name}.csv").read_text().splitlines()))
    # of a 2 x 3 grid one column is the left half's, and one is half in it, which counts
    found = [line for line in lines if line["images"] == "10"]
    assert found
    assert all(float(line["precision"].split()[0]) >= 0 for line in found)
    settings = next((tmp_path / "out/runs").glob("*/settings.json"))
    assert "left_half" in json.loads(settings.read_text())["truth"]
    assert outcome.findings


def test_the_pages_of_photographs_tell_no_time_that_memory_saved(tmp_path: Path) -> None:
    _images(tmp_path, 10)
    outcome, _ = run_experiment("efficiency", _config(tmp_path), tmp_path / "out")
    assert "time" not in outcome.tables[0].header
    assert "evaluations" in outcome.tables[0].header
    assert any("remembered" in note for note in outcome.notes)


def test_an_image_is_answered_once() -> None:
    asked: list[int] = []

    class Counted(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            asked.append(len(images))
            return images.flatten(1)[:, :2]

    model = remembering(Classifier(Counted()))
    images = torch.rand(5, 3, 4, 4)
    first = model.forward(images[:3])
    again = model.forward(images[[4, 2, 0, 2]])
    assert asked == [3, 1]
    assert torch.equal(first, images[:3].flatten(1)[:, :2])
    assert torch.equal(again, images[[4, 2, 0, 2]].flatten(1)[:, :2])
    # changed by one bit, an image is another one
    changed = images[:1].clone()
    changed[0, 0, 0, 0] = torch.nextafter(changed[0, 0, 0, 0], torch.tensor(2.0))
    model.forward(changed)
    assert asked[-1] == 1


def test_what_is_no_module_is_asked_as_it_is() -> None:
    bare = Classifier(lambda images: images.flatten(1))
    assert remembering(bare) is bare
    assert isinstance(remembering(Classifier(nn.Flatten())).forward, Remembered)


def test_too_few_images_are_told_before_anything_is_asked(tmp_path: Path) -> None:
    _images(tmp_path, 4)
    config = _config(tmp_path, models=(f"{tmp_path / 'nowhere.py'}:load",))
    with pytest.warns(FocaLogicWarning, match="4 images are too few.* needs 10"), pytest.raises(InputError):
        run_experiment("stability", config, tmp_path / "out")


@pytest.mark.parametrize("name", ["training", "mllm"])
def test_a_size_that_an_experiment_does_not_have_is_refused(name: str, run) -> None:
    assert set(find_experiment(name).sizes) < set(EVERY_SIZE)
    assert "no size photos" in run("experiment", name, "--size", "photos", "--dry-run", code=2)[1]


def test_the_networks_need_no_naming(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("experiment", "models", "--size", "photos", "--dry-run", "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert all(f"{name}: explain" in said for name in NETWORKS)
    assert "scikit-image" in said
    arguments = ("--size", "photos", "--data", tmp_path, "--model", "demo", "--segmenter", "grid:2x2")
    assert run_command("experiment", "stability", *arguments, "--dry-run") == 0
    assert "grid 2x2:" in capsys.readouterr().out
