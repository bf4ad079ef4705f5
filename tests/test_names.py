"""Things by name, those of other packages among them."""

import re
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from captum_focalogic import names
from captum_focalogic.classifier import find_classifier
from captum_focalogic.criteria import class_number, parse
from captum_focalogic.errors import InputError
from captum_focalogic.integrations.annotations import Shapes
from captum_focalogic.names import whole_number
from captum_focalogic.search.strategies import strategy_for
from captum_focalogic.segmenters import Quickshift, segmenter_from_text
from captum_focalogic.study.classes import class_numbers
from captum_focalogic.study.data import data_from_text

PACKAGE = """
from captum_focalogic.classifier import Classifier

def load(text, weights):
    return Classifier(lambda images: images.mean((2, 3)), labels=[text, str(weights), "c"])

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
    assert {"theirs", "timm", "openai"} <= set(names.names_of("model"))
    found = find_classifier("theirs:x:y", "w.pth")
    assert found.labels == ["x:y", "w.pth", "c"]
    assert found.name == "theirs:x:y"
    assert found.forward(torch.ones(2, 3, 4, 4)).shape == (2, 3)
    with pytest.raises(InputError, match="unknown model 'nobodys:x'"):
        find_classifier("nobodys:x")
    with pytest.raises(InputError, match=r"'lame' of their-package is a function; expected a .*Classifier"):
        find_classifier("lame")
    with pytest.raises(InputError, match=r"'gone' of their-package cannot be imported \(AttributeError"):
        find_classifier("gone")


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
    monkeypatch.setattr(names, "entry_points", lambda **_: entries)
    with pytest.raises(InputError, match="several packages register the name 'theirs': one, two"):
        find_classifier("theirs")


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


@pytest.mark.parametrize(
    ("text", "path"), [("a/m.py:net", "a/m.py"), (r"C:\x\m.py:net", r"C:\x\m.py"), ("m.py:Net.make", "m.py")]
)
def test_names_in_files_are_told_from_others(text, path):
    assert names.is_in_file(text)
    with pytest.raises(InputError, match=f"there is no file {re.escape(path)}"):
        find_classifier(text)
    for other in ("m.py", "m.py:", "timm:resnet18", "onnx:C:/x/m.onnx"):
        assert not names.is_in_file(other)


def test_names_that_are_near_are_suggested():
    with pytest.raises(InputError, match=r"unknown segmenter 'slik:3'; choose slic, .*; did you mean slic\?"):
        names.find("segmenter", "slik:3")
    for text, usage in [("sam:", "sam, sam:CHECKPOINT"), ("shapes:", "shapes:FILE.json")]:
        with pytest.raises(InputError, match=f"the segmenter '{text}' cannot be read; choose {usage}$"):
            names.find("segmenter", text)


@pytest.mark.parametrize("text", ["", "-", "1.5", "one", "9" * 19, "9" * 5000, "--1", "1e3", " 1"])
def test_what_is_no_number_or_none_of_64_bits(text: str) -> None:
    assert whole_number(text) is None


def test_whole_numbers() -> None:
    assert [whole_number(text) for text in ("0", "-7", "9" * 18)] == [0, -7, 10**18 - 1]


LONG = "9" * 5000


@pytest.mark.parametrize(
    "ask",
    [
        lambda: class_number(LONG),
        lambda: parse(f"topk:{LONG}"),
        lambda: parse("topk:" + "9" * 30),
        lambda: parse(f"over:{LONG}"),
        lambda: strategy_for(f"beam:{LONG}", "smallest", 3, None),
        lambda: data_from_text(f"scenes:{LONG}"),
        lambda: data_from_text("scenes:999999999"),
        lambda: class_numbers([LONG], ["cat", "dog"]),
        lambda: segmenter_from_text(f"slic:{LONG}"),
        lambda: segmenter_from_text("slic:999999999"),
        lambda: segmenter_from_text(f"grid:{LONG}"),
    ],
)
def test_numbers_in_names_are_bounded_by_their_use(ask: Callable[[], object]) -> None:
    with pytest.raises(InputError):
        ask()
