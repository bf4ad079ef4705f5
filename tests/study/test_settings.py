"""Settings of a study: told from others by a text that is the same in every process."""

import importlib
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from studies import GRID, patch_items
from tiny_models import Brightest

from captum_focalogic.classifier import Classifier
from captum_focalogic.errors import FocaLogicWarning, InputError
from captum_focalogic.experiments.scenes import scene_plan
from captum_focalogic.images import CentreCrop
from captum_focalogic.integrations import user_module
from captum_focalogic.segmenters import Grid
from captum_focalogic.study import run_study
from captum_focalogic.study.items import ModelFactory
from captum_focalogic.study.settings import (
    Identified,
    StudySettings,
    model_factory,
    segmenter_from_text,
    setting_text,
    truth_from_text,
)


def layer(weight: float) -> torch.nn.Module:
    made = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(made.weight, weight)
    torch.nn.init.zeros_(made.bias)
    return made


def test_things_are_told_by_what_they_do() -> None:
    assert setting_text(None) is None
    assert setting_text(0.5) == 0.5
    assert setting_text(Grid(2, 3)) == setting_text(Grid(2, 3)) == "Grid(rows=2, columns=3)"
    assert setting_text(layer(1.0)) == setting_text(layer(1.0)) != setting_text(layer(2.0))
    assert setting_text(Identified(print, "mine")) == "mine"
    assert "test_settings.layer " in setting_text(layer)
    assert "0x" not in setting_text(lambda: None) + setting_text(partial(layer, 1.0)) + setting_text(object())


def test_a_record_tells_runs_apart() -> None:
    settings = StudySettings(model_factory(Brightest()), GRID)
    record = settings.record(patch_items(3))
    assert record == StudySettings(model_factory(Brightest()), Grid(2, 3)).record(patch_items(3))
    assert record["images"] == 3
    assert record["data"] != settings.record(patch_items(4))["data"]
    other = StudySettings(model_factory(Brightest()), GRID, max_evaluations=9).record(patch_items(3))
    assert {name for name in record if record[name] != other[name]} == {"max_evaluations"}


def test_work_is_cut_into_the_same_groups_whatever_is_done() -> None:
    settings, items = StudySettings(model_factory(Brightest()), group=4), patch_items(10)
    places = [[index for index, _ in group] for group in settings.groups(items, set())]
    assert places == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    left = settings.groups(items, {0, 1, 2, 3, 5, 8})
    assert [[index for index, _ in group] for group in left] == places[1:]


def test_models_become_factories_once() -> None:
    factory = model_factory(Classifier(Brightest(), name="bright"))
    assert factory.identity.startswith("bright, Brightest ")
    assert model_factory(factory) is factory
    assert isinstance(model_factory(lambda images: images), ModelFactory)
    assert model_factory("demo").make().labels is not None
    with pytest.raises(InputError, match="model must be a module"):
        model_factory(3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="unknown model 'resnet'"):
        model_factory("resnet")


def test_names_that_the_command_line_takes() -> None:
    model = Classifier(Brightest(), name="bright")
    assert segmenter_from_text("grid:2x3") == GRID
    assert truth_from_text("own", model) is True
    assert truth_from_text("none", model) is False
    with pytest.raises(InputError, match="the model bright names none"):
        truth_from_text("sam3", model)


def unsure(images: torch.Tensor) -> torch.Tensor:
    """Logits of a network that has learnt little: all between 0 and 1."""
    return 0.2 + 0.5 * images.mean(dim=(2, 3))


class TestOutputs:
    def test_are_said(self, tmp_path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FocaLogicWarning)
            run_study(patch_items(2), unsure, GRID, out=tmp_path, outputs="logits")

    def test_are_told_by_the_numbers_otherwise(self, tmp_path: Path) -> None:
        with pytest.warns(FocaLogicWarning, match="independent probabilities"):
            run_study(patch_items(2), unsure, GRID, out=tmp_path)

    def test_are_of_three_kinds(self) -> None:
        with pytest.raises(InputError, match="outputs must be one of auto, logits, probabilities; got 'odds'"):
            StudySettings(model_factory(unsure), outputs="odds")  # type: ignore[arg-type]

    def test_tell_two_runs_apart(self) -> None:
        records = [
            StudySettings(model_factory(unsure), outputs=outputs).record(patch_items(1))
            for outputs in ("auto", "logits")
        ]
        assert [record["outputs"] for record in records] == ["auto", "logits"]

    def test_of_the_networks_on_scenes_are_logits(self) -> None:
        assert scene_plan(torch.nn.Identity(), "untrained").outputs == "logits"


def test_a_pipeline_of_transformers_brings_its_names_along():
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    import tiny_transformers as tiny

    network, processor = tiny.image_classifier()
    pipeline = transformers.ImageClassificationPipeline(model=network, image_processor=processor)
    factory = model_factory(pipeline)
    assert factory.make().labels == tiny.CLIP_LABELS
    other = transformers.ViTForImageClassification(network.config).eval()
    another = transformers.ImageClassificationPipeline(model=other, image_processor=processor)
    assert factory.identity != model_factory(another).identity


def _made(code: str) -> Any:
    space: dict[str, Any] = {"__name__": "theirs"}
    exec(code, space)  # what a user's file holds before and after an edit
    return space["cut"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def cut(image): return image > 1", "def cut(image): return image > 2"),
        ("def cut(image, at=1): return image > at", "def cut(image, at=2): return image > at"),
        ("AT = 1\ndef cut(image): return image > AT", "AT = 2\ndef cut(image): return image > AT"),
        (
            "def at(): return 1\ndef cut(image): return image > at()",
            "def at(): return 2\ndef cut(image): return image > at()",
        ),
        (
            "class Cut:\n def __call__(self, image): return image > 1\ncut = Cut()",
            "class Cut:\n def __call__(self, image): return image > 2\ncut = Cut()",
        ),
        (
            "class Cut:\n def __init__(self): self.at = 1\n def __call__(self, image): return self.at\ncut = Cut()",
            "class Cut:\n def __init__(self): self.at = 2\n def __call__(self, image): return self.at\ncut = Cut()",
        ),
    ],
)
def test_functions_of_one_name_are_told_by_what_they_do(one: str, other: str) -> None:
    assert setting_text(_made(one)) == setting_text(_made(one)) != setting_text(_made(other))


HELPER = "def at():\n    return {}\n\nclass Level:\n    def get(self):\n        return {}\n"


@pytest.mark.parametrize(
    "code",
    [
        "from helper import at\ndef cut(image): return image > at()",
        "import helper\ndef cut(image): return image > helper.at()",
        "import helper\ndef cut(image): return (lambda: image > helper.at())()",
        "from helper import Level\ndef cut(image): return image > Level().get()",
        "import helper\nclass Cut:\n def __call__(self, image): return image > helper.at()\ncut = Cut()",
        "import helper\nclass cut:\n def __call__(self, image): return image > helper.at()",
        "from helper import at\nimport functools\ncut = functools.partial(lambda at, image: image > at(), at)",
        "import torch\nfrom helper import Level\nclass Net(torch.nn.Module):\n"
        " def forward(self, image): return image > Level().get()\ncut = Net()",
    ],
)
def test_what_lies_beside_a_users_file_is_told_too(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "theirs.py").write_text(code)

    def told(number: int) -> list[str]:
        (tmp_path / "helper.py").write_text(HELPER.format(number, number))
        importlib.invalidate_caches()
        for name in ("helper", "theirs", "focalogic_model_theirs"):
            sys.modules.pop(name, None)
        user_module._LOADED.clear()
        named = user_module.FromFile.from_text(f"{tmp_path / 'theirs.py'}:cut")
        return [str(setting_text(named)), str(setting_text(importlib.import_module("theirs").cut))]

    first, again, edited = told(1), told(1), told(2)
    assert first == again
    assert first[0] != edited[0]
    if not code.startswith("import helper\nclass cut"):  # a class alone is told by what it makes
        assert first[1] != edited[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("AT = (1, 2)\ndef cut(image): return image > AT[0]", "AT = (2, 2)\ndef cut(image): return image > AT[0]"),
        (
            "import torch\nNET = torch.nn.Linear(1, 1)\nNET.weight.data[:] = 1\ndef cut(image): return NET(image)",
            "import torch\nNET = torch.nn.Linear(1, 1)\nNET.weight.data[:] = 2\ndef cut(image): return NET(image)",
        ),
        (
            "def at(): return 1\ndef cut(image): return (lambda: image > at())()",
            "def at(): return 2\ndef cut(image): return (lambda: image > at())()",
        ),
        ("def cut(image, *, at=1): return image > at", "def cut(image, *, at=2): return image > at"),
    ],
)
def test_functions_are_told_by_values_that_they_use(one: str, other: str) -> None:
    one, other = (code.replace("Linear(1, 1)", "Linear(1, 1, bias=False)") for code in (one, other))
    assert setting_text(_made(one)) == setting_text(_made(one)) != setting_text(_made(other))


HOLDS = "class Cut:\n def __init__(self, at): self.at = at\n def __call__(self, image): return image > self.level()\n"
LEVEL = " def level(self): return self.at\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{HOLDS}{LEVEL}cut = Cut(1).__call__", f"{HOLDS}{LEVEL}cut = Cut(2).__call__"),
        (f"{HOLDS}{LEVEL}cut = Cut(Cut(1))", f"{HOLDS}{LEVEL}cut = Cut(Cut(2))"),
        (f"{HOLDS}{LEVEL}cut = Cut([lambda: 1])", f"{HOLDS}{LEVEL}cut = Cut([lambda: 2])"),
        (
            f"{HOLDS}{LEVEL} def __repr__(self): return 'C'\ncut = Cut(1)",
            f"{HOLDS}{LEVEL} def __repr__(self): return 'C'\ncut = Cut(2)",
        ),
        (f"{HOLDS} def level(self): return 1\ncut = Cut(1)", f"{HOLDS} def level(self): return 2\ncut = Cut(1)"),
        (
            f"{HOLDS}{LEVEL} __slots__ = ('at',)\ncut = Cut(1)",
            f"{HOLDS}{LEVEL} __slots__ = ('at',)\ncut = Cut(2)",
        ),
        (
            f"import numpy as np\n{HOLDS}{LEVEL}cut = Cut(np.array([None, 1], dtype=object))",
            f"import numpy as np\n{HOLDS}{LEVEL}cut = Cut(np.array([None, 2], dtype=object))",
        ),
        (
            "import functools\ncut = functools.lru_cache(lambda image: image > 1)",
            "import functools\ncut = functools.lru_cache(lambda image: image > 2)",
        ),
        (
            f"import types\n{HOLDS}{LEVEL}cut = types.MethodType(lambda at, image: image > at, 1)",
            f"import types\n{HOLDS}{LEVEL}cut = types.MethodType(lambda at, image: image > at, 2)",
        ),
        ("import numpy as np\ncut = np.zeros((200, 200))", "import numpy as np\ncut = np.eye(200)[::-1] * 1e-9"),
        (
            "import numpy as np\ncut = [np.arange(2000), 1]",
            "import numpy as np\ncut = [np.where(np.arange(2000) == 1000, 0, np.arange(2000)), 1]",
        ),
        ("import torch\ncut = torch.full((2,), 0.12345678)", "import torch\ncut = torch.full((2,), 0.12345679)"),
    ],
    ids=[
        *("bound", "nested", "in a list", "repr", "helper", "slots", "objects", "cached", "method", "array", "arrays"),
        "tensor",
    ],
)
def test_objects_are_told_by_all_that_they_hold(one: str, other: str) -> None:
    assert setting_text(_made(one)) == setting_text(_made(one)) != setting_text(_made(other))


def test_what_holds_itself_or_nothing_that_can_be_seen_is_told_by_its_class() -> None:
    code = f"import threading\n{HOLDS}{LEVEL}cut = Cut(threading.Lock())\ncut.me = cut"
    assert setting_text(_made(code)) == setting_text(_made(code)) != setting_text(_made(f"{HOLDS}{LEVEL}cut = Cut(1)"))


def test_a_preprocessing_is_part_of_a_model() -> None:
    bright = Brightest()
    one = model_factory(Classifier.fitted(bright, CentreCrop(8, 8)))
    assert one.identity == model_factory(Classifier.fitted(bright, CentreCrop(8, 8))).identity
    assert one.identity != model_factory(Classifier.fitted(bright, CentreCrop(4, 4))).identity
