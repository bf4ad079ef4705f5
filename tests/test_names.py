"""Models and segmenters by name, those of other packages among them."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from captum_focalogic import names
from captum_focalogic.errors import InputError
from captum_focalogic.integrations import names as models
from captum_focalogic.integrations.named_models import shrink, split_labels
from captum_focalogic.integrations.shapes import Shapes
from captum_focalogic.segmenters import Quickshift, segmenter_from_text

PACKAGE = """
from types import SimpleNamespace

def load(text, weights):
    return SimpleNamespace(model=lambda images: images.mean((2, 3)), labels=[text, str(weights), "c"],
                           crop=lambda picture, nearest=False: picture.resize((8, 8)))

def lame(text, weights):
    return load

def cut(text):
    return lambda image: (image[0] > float(text)).long()

def dull(text):
    return text
"""
ENTRIES = """[captum_focalogic.models]
theirs = their_package:load
lame = their_package:lame
gone = their_package:gone

[captum_focalogic.segmenters]
theirs = their_package:cut
dull = their_package:dull
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package as pip leaves it: a module, and what it registers."""
    (tmp_path / "their_package.py").write_text(PACKAGE)
    info = tmp_path / "their_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("their_package", None)


def test_other_packages_add_models(installed):
    assert {"theirs", "timm", "openai"} <= set(models.model_names())
    found = models.find_classifier("theirs", "x:y", "w.pth")
    assert found.labels == ["x:y", "w.pth", "c"]
    assert found.model(torch.ones(2, 3, 4, 4)).shape == (2, 3)
    assert models.find_classifier("nobodys", "x") is None
    with pytest.raises(InputError, match="'lame' of their-package gives no model, labels, crop"):
        models.find_classifier("lame", "")
    with pytest.raises(InputError, match=r"'gone' of their-package cannot be imported \(AttributeError"):
        models.find_classifier("gone", "")


def test_other_packages_add_segmenters(installed):
    assert {"theirs", "sam", "watershed"} <= set(names.names_of("segmenter"))
    labels = segmenter_from_text("theirs:0.5")(torch.tensor([[[0.2, 0.7]]]).expand(3, 1, 2))
    assert labels.tolist() == [[0, 1]]
    with pytest.raises(InputError, match=r"unknown segmenter 'nobodys'; choose slic, slic:NUMBER, .*, theirs:TEXT"):
        segmenter_from_text("nobodys")
    with pytest.raises(InputError, match="what their-package registers as 'dull' cannot be called"):
        segmenter_from_text("dull")


def test_a_name_that_two_packages_register_is_refused(monkeypatch):
    entries = [SimpleNamespace(name="theirs", value="x", dist=SimpleNamespace(name=name)) for name in ("one", "two")]
    monkeypatch.setattr(models, "entry_points", lambda **_: entries)
    with pytest.raises(InputError, match="several packages register the name 'theirs': one, two"):
        models.find_classifier("theirs", "")


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


def test_own_segmenters_have_names(tmp_path):
    assert names.find("segmenter", "quickshift:7") == Quickshift(7)
    assert names.find("segmenter", "watershed").n_segments == 12
    path = tmp_path / "s.json"
    path.write_text("[[0, 0, 2, 0, 2, 2]]")
    assert isinstance(names.find("segmenter", f"shapes:{path}"), Shapes)
    for text, message in [("shapes", "choose shapes:FILE.json"), ("felzenszwalb:many", "felzenszwalb:NUMBER")]:
        with pytest.raises(InputError, match=message):
            names.find("segmenter", text)


@pytest.mark.parametrize("target", sorted({target for own in names.TABLE.values() for target in own.values()}))
def test_the_table_names_what_exists(target):
    assert callable(names.import_object(target))


def test_names_that_are_near_are_suggested():
    with pytest.raises(InputError, match=r"unknown segmenter 'slik:3' \(did you mean slic\?\); choose slic"):
        names.find("segmenter", "slik:3")
    for text, usage in [("sam:", "sam, sam:CHECKPOINT"), ("shapes:", "shapes:FILE.json")]:
        with pytest.raises(InputError, match=f"the segmenter '{text}' cannot be read; choose {usage}$"):
            names.find("segmenter", text)


@pytest.mark.filterwarnings("ignore:test_vit has RANDOM")
def test_own_models_have_names(tmp_path, monkeypatch):
    pytest.importorskip("timm", reason="timm is not installed (extra 'timm')")
    found = models.find_classifier("timm", "test_vit", "random")
    assert found.model(torch.zeros(1, 3, 160, 160)).shape == (1, 1000)
    monkeypatch.setenv("FOCALOGIC_CACHE", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    endpoint = models.find_classifier("openai", "gpt-4o@cat,dog")
    assert endpoint.labels == ["cat", "dog"]
    assert endpoint.model.budget.max_calls == 1000
    assert endpoint.model.cache.path == tmp_path / "answers.sqlite"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert models.find_classifier("openai", "m@cat,dog").model.base_url == "http://127.0.0.1:1/v1"
    with pytest.raises(InputError, match="needs labels to choose from: openai:gpt-4o@cat,dog"):
        models.find_classifier("openai", "gpt-4o")
    with pytest.raises(InputError, match="--weights has no meaning for openai"):
        models.find_classifier("openai", "gpt-4o@a,b", "w.pth")


def test_a_tflite_file_with_one_class_more_than_labels_has_a_background(tmp_path):
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed (extra 'tflite')")
    import tiny_tflite

    path = tiny_tflite.write(tmp_path / "m.tflite", np.eye(3))
    found = models.find_classifier("tflite", f"{path}@a,b")
    assert found.labels == ["a", "b"]
    assert found.model(torch.ones(1, 3, 4, 4)).shape == (1, 2)
    assert found.crop(Image.new("RGB", (9, 7))).size == (4, 4)


def test_large_pictures_are_made_smaller():
    assert shrink(Image.new("RGB", (2048, 1024))).size == (512, 256)
    assert shrink(Image.new("RGB", (20, 10))).size == (20, 10)
