"""What all experiments share: sizes that are checked, and a workspace that makes nothing twice."""

from pathlib import Path

import pytest
import torch

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")

from studies import GRID, TINY, patch_items, tiny_imagenet
from tiny_models import Brightest

from captum_focalogic.errors import InputError
from captum_focalogic.experiments.framework import (
    DEFAULT_MODEL,
    Embedded,
    ImageNet,
    MissingResult,
    Result,
    Setup,
    Workspace,
    attempted,
    file_name,
    spread,
    studied,
)
from captum_focalogic.experiments.photos import Photos
from captum_focalogic.study import same_rows
from captum_focalogic.study.settings import StudySettings, model_factory


@pytest.mark.parametrize(
    ("size", "change"),
    [(Embedded, {"images": 0}), (Embedded, {"scenes": True}), (Embedded, {"seed": -1}), (ImageNet, {"epochs": 0})],
)
def test_sizes_are_whole_numbers(size, change) -> None:
    (name,) = change
    with pytest.raises(InputError, match=f"{name} must be"):
        size(**{**({"data": "x"} if size is ImageNet else {}), **change})


def test_sizes_have_names_and_a_usual_model() -> None:
    assert Embedded().size == "embedded"
    assert ImageNet("x").size == "imagenet"
    assert Photos().size == "photos"
    assert ImageNet("x").model_name == DEFAULT_MODEL
    assert ImageNet("x", models=("demo", "b")).model_name == "demo"


def test_random_weights_are_those_of_the_seed_and_leave_the_generator_alone(tmp_path: Path) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one, other = (tiny_imagenet(tmp_path, seed=seed).find_model("torchvision:squeezenet1_1") for seed in (3, 3))
    assert torch.equal(torch.random.get_rng_state(), before)
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(one.forward(image), other.forward(image))
    third = tiny_imagenet(tmp_path, seed=4).find_model("torchvision:squeezenet1_1")
    assert not torch.equal(one.forward(image), third.forward(image))


def test_what_was_made_is_read_until_it_depends_on_something_else(tmp_path: Path) -> None:
    made: list[float] = []

    def make(value: float):
        def now():
            made.append(value)
            return {"w": torch.full((2, 3), value).t()}

        return now

    workspace = Workspace(tmp_path)
    first = workspace.tensors("a/b:c", "one", make(1.0))
    assert torch.equal(workspace.tensors("a/b:c", "one", make(2.0))["w"], first["w"])
    assert torch.equal(workspace.tensors("a/b:c", "two", make(2.0))["w"], torch.full((3, 2), 2.0))
    assert made == [1.0, 2.0]
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["a-b-c.safetensors"]


def test_names_become_parts_of_paths() -> None:
    assert file_name("torchvision:resnet18 (10 %)/x") == "torchvision-resnet18 (10 -)-x"


def test_conditions_are_studies_that_go_on_or_say_why_not(tmp_path: Path) -> None:
    asked: list[int] = []

    class Counting(Brightest):
        def forward(self, images):
            asked.append(len(images))
            return super().forward(images)

    setup = Setup(StudySettings(model_factory(Counting()), GRID), patch_items(3), {"success": 0.5})
    condition = studied("plain", "as it is", lambda workspace: setup)
    result = condition.run(Workspace(tmp_path))
    assert len(result.rows) == 3
    assert result.facts == {"success": 0.5}
    assert result.mean("smallest_count").count == 3
    assert result.seconds > 0
    asked.clear()
    again = attempted("plain", "as it is", lambda workspace: setup).run(Workspace(tmp_path))
    assert isinstance(again, Result)
    assert same_rows(again.rows, result.rows)
    assert not asked
    missing = MissingResult("other", "no weights here")
    assert attempted("other", "as it is", lambda workspace: missing).run(Workspace(tmp_path)) is missing


def test_some_of_the_items_evenly() -> None:
    items = patch_items(10)
    assert [item.id for item in spread(items, 4)] == ["patch-0", "patch-2", "patch-5", "patch-7"]
    assert spread(items, 20) == items
    assert TINY.fewest == 2
