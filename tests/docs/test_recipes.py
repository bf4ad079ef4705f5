"""Recipes run as they stand, in at most six lines each, with tiny random networks and without a connection."""

import functools
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
CLASSES = ("tabby", "tiger cat")


def a_photo(seed: int) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((320, 240), Image.Resampling.BICUBIC)


def masks_of(size: tuple[int, int]) -> list[dict[str, object]]:
    masks = np.zeros((3, *size), dtype=np.bool_)
    masks[0, : size[0] // 2], masks[1, :, : size[1] // 3], masks[2, size[0] // 2 :, size[1] // 2 :] = True, True, True
    return [{"segmentation": mask, "area": int(mask.sum()), "predicted_iou": 0.9} for mask in masks]


class Generator:
    """Answers as SamAutomaticMaskGenerator does."""

    def generate(self, image: np.ndarray) -> list[dict[str, object]]:
        assert image.dtype == np.uint8
        return masks_of(image.shape[:2])


def tiny(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 16, 16), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 1000))


def small_in_place_of(make, seed: int):
    """A function of torchvision's name and arguments, whose network is small."""

    @functools.wraps(make)
    def small(*, weights=None, progress=True, **_):
        return tiny(seed)

    assert "weights" in inspect.signature(small).parameters
    return small


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """The names that recipes use, and the files that they open; no weights are fetched."""
    import torchvision
    from torchvision.models import ResNet18_Weights, _api

    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("cat", "dog", "bird")):
        a_photo(seed).save(f"{name}.jpg")
    for seed in range(4):
        place = Path("photos") / CLASSES[seed % 2] / f"{seed}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        a_photo(seed).save(place)
        mask = Path("photo-masks") / CLASSES[seed % 2] / f"{seed}.png"
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(masks_of((240, 320))[1]["segmentation"].astype(np.uint8)).save(mask)
    for seed, name in enumerate(("resnet18", "resnet34")):
        make = small_in_place_of(_api.BUILTIN_MODELS[name], seed)
        monkeypatch.setitem(_api.BUILTIN_MODELS, name, make)
        monkeypatch.setattr(torchvision.models, name, make)
    preset = ResNet18_Weights.DEFAULT.transforms()
    batch = torch.stack([preset(a_photo(seed)) for seed in range(2)])
    return {"mask_generator": Generator(), "model": tiny(0).eval(), "preset": preset, "batch": batch}


@pytest.fixture
def transformers_offline(monkeypatch):
    transformers = pytest.importorskip("transformers")
    from tiny_transformers import image_classifier

    network, processor = image_classifier()
    monkeypatch.setattr(transformers.AutoImageProcessor, "from_pretrained", lambda *_, **__: processor)
    monkeypatch.setattr(transformers.AutoModelForImageClassification, "from_pretrained", lambda *_, **__: network)


@pytest.fixture
def timm_offline(monkeypatch):
    timm = pytest.importorskip("timm")
    made = timm.create_model
    torch.manual_seed(0)
    monkeypatch.setattr(timm, "create_model", lambda *_, **__: made("test_resnet.r160_in1k", pretrained=False))


@pytest.fixture
def clip_offline(monkeypatch):
    open_clip = pytest.importorskip("open_clip")
    torch.manual_seed(0)
    vision = open_clip.CLIPVisionCfg(layers=1, width=16, head_width=8, patch_size=8, image_size=32)
    network = open_clip.CLIP(16, vision, open_clip.CLIPTextCfg(context_length=16, width=16, heads=2, layers=1)).eval()
    monkeypatch.setattr(open_clip, "create_model", lambda *_, **__: network)
    monkeypatch.setattr(open_clip, "get_tokenizer", lambda _: open_clip.SimpleTokenizer(context_length=16))


NEEDED = {"transformers": "transformers_offline", "timm": "timm_offline", "open_clip": "clip_offline"}


@pytest.mark.filterwarnings("ignore::captum_focalogic.errors.FocaLogicWarning")
@pytest.mark.parametrize("block", BLOCKS, ids=[str(number) for number in range(len(BLOCKS))])
def test_every_recipe_runs_and_says_something(block, offline, request, capsys):
    for package, fixture in NEEDED.items():
        if package in block:
            request.getfixturevalue(fixture)
    if "captum_focalogic.study" in block:
        pytest.importorskip("pyarrow")
        pytest.importorskip("filelock")
    exec(compile(block, "docs/recipes.md", "exec"), offline)
    assert capsys.readouterr().out.strip() or "focuses" in offline


@pytest.mark.parametrize("block", BLOCKS, ids=[str(number) for number in range(len(BLOCKS))])
def test_no_recipe_is_longer_than_six_lines(block):
    assert len([line for line in block.splitlines() if line.strip()]) <= 6


def test_the_page_has_what_people_come_with():
    for wish in (
        "torchvision",
        "Hugging Face",
        "timm",
        "CLIP",
        "Many images",
        "Segment Anything",
        "Truth for each class",
    ):
        assert re.search(f"^## .*{wish}", PAGE, flags=re.MULTILINE), wish
    for wish in ("table for a paper", "Two models on one image", "Why this and not that", "whole data set"):
        assert re.search(f"^## .*{wish}", PAGE, flags=re.MULTILINE), wish
