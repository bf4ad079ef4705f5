"""What the documentation's pages run with: names that stand for small things, and what is taken as the reader's own.

The one place where a page's examples differ from what a reader runs. Names of networks that would be fetched stand for
the real classes with few random weights; files are small; an endpoint is on this machine; a page that is served is
asked once. All else is as it is.
"""

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

ROOT = Path(__file__).parents[1]
CLASSES = ("tabby", "tiger cat")
SIZE = (160, 120)
"""Of photographs, width and height."""


def photo(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def masks_of(size: tuple[int, int]) -> list[dict[str, Any]]:
    """Masks as Segment Anything gives them."""
    masks = np.zeros((3, *size), dtype=np.bool_)
    masks[0, : size[0] // 2], masks[1, :, : size[1] // 3], masks[2, size[0] // 2 :, size[1] // 2 :] = True, True, True
    return [{"segmentation": mask, "area": int(mask.sum()), "predicted_iou": 0.9} for mask in masks]


class Waves(nn.Module):
    """Makes a network of few weights so fickle that few sets of regions are enough, and searches are short."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return torch.sin(8 * values)


def network(seed: int, classes: int = 1000) -> nn.Module:
    """A small network for images of any size."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 16, 16), Waves(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, classes)
    ).eval()


MY_MODELS = """
import torch
from torch import nn

labels = ["tabby", "tiger cat", "other"]
torch.manual_seed(5)
network = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 3))
"""


@contextmanager
def offline(folder: Path, page: str) -> Iterator[dict[str, Any]]:
    """While this is open, names are small things, and the folder has the files that pages name.

    Gives what the page takes as the reader's own.
    """
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        _imagenet(patch)
        for package, change in PACKAGES.items():
            if find_spec(package) is not None:
                change(patch)
        _endpoint(patch, stack)
        _experiments(patch)
        _comparisons(patch)
        _shown(patch)
        torch.manual_seed(0)
        _files(folder, nested="photos/val" in (ROOT / page).read_text(encoding="utf-8"))
        yield _given(page)


AS_PUBLISHED: ContextVar[bool] = ContextVar("AS_PUBLISHED", default=False)
"""Whether the network that comes from the package index is itself: in blocks that show what it says."""

FEWER = {"scenes:100": "scenes:4", "--scenes 200": "--scenes 4"}
"""Numbers of commands that are smaller here."""


def _files(folder: Path, nested: bool) -> None:
    for seed, name in enumerate(("photo", "cat", "dog", "bird", "macaw")):
        photo(seed).save(folder / f"{name}.jpg")
    for seed in range(4):
        _save(photo(seed), folder / ("photos/val" if nested else "photos") / CLASSES[seed % 2] / f"{seed}.jpg")
        mask = Image.fromarray(masks_of(SIZE[::-1])[1]["segmentation"].astype(np.uint8))
        _save(mask, folder / ("photos/masks" if nested else "photo-masks") / CLASSES[seed % 2] / f"{seed}.png")
    cells = np.arange(SIZE[1])[:, None] // 40 * 4 + np.arange(SIZE[0]) // 40
    Image.fromarray(cells.astype(np.uint8)).save(folder / "label_map.png")
    Image.fromarray(cells.astype(np.uint8)).save(folder / "regions.png")
    Image.fromarray((cells == 5).astype(np.uint8) * 255).save(folder / "mask.png")
    (folder / "my_models.py").write_text(MY_MODELS)
    for seed, kind in enumerate(("unbiased", "colour", "background", "companion", "test")):
        for name in ("ball", "mug"):
            _save(photo(seed), folder / "generated" / kind / name / "1.png")
    _explanations(folder)
    _annotations(folder)
    _checkpoints(folder)


def _explanations(folder: Path) -> None:
    from makers import one_and_another, quarter_focus

    for name in ("before", "cars/017", "cars/018", "explanations/cat", "explanations/dog"):
        (folder / name).mkdir(parents=True)
        quarter_focus(one_and_another).save(folder / name / "focus.json")
    (folder / "after").mkdir()
    quarter_focus(lambda kept: kept[1] and kept[2]).save(folder / "after" / "focus.json")
    (folder / "names.json").write_text(json.dumps({"1": "wheel", "2": "sky", "3": "road", "4": "tree"}))


def _annotations(folder: Path) -> None:
    """Of Pascal VOC, ImageNet and COCO."""
    width, height = SIZE
    Image.fromarray(masks_of((height, width))[0]["segmentation"].astype(np.uint8)).save(folder / "cat.png")
    box = "<xmin>2</xmin><ymin>2</ymin><xmax>60</xmax><ymax>50</ymax>"
    (folder / "ILSVRC2012_val_00000001.xml").write_text(
        f"<annotation><size><width>{width}</width><height>{height}</height></size>"
        f"<object><name>n02124075</name><bndbox>{box}</bndbox></object></annotation>"
    )
    for kind in ("Class", "Object"):
        values = np.zeros((height, width), dtype=np.uint8)
        values[20:60, 30:90] = 1  # an aeroplane, and the first object
        image = Image.fromarray(values, mode="P")
        image.putpalette(bytes(range(256)) * 3)
        _save(image, folder / f"Segmentation{kind}" / "2007_000033.png")
    told = {
        "images": [{"id": 139, "file_name": "000000000139.jpg", "height": height, "width": width}],
        "annotations": [{"id": 1, "image_id": 139, "category_id": 1, "bbox": [2, 2, 50, 60]}],
        "categories": [{"id": 1, "name": "person"}],
    }
    (folder / "instances_val2017.json").write_text(json.dumps(told))


def _checkpoints(folder: Path) -> None:
    """Files of weights, in the formats of others."""
    from tiny_sam import tiny_sam

    torch.save(tiny_sam().state_dict(), folder / "sam_vit_b_01ec64.pth")
    matrix = np.random.default_rng(0).normal(size=(3, 5))
    if find_spec("onnx") is not None:
        import tiny_onnx

        for name in ("resnet18", "resnet50"):
            tiny_onnx.write(folder / f"{name}.onnx", matrix, side=32)
    if find_spec("ai_edge_litert") is not None:
        import tiny_tflite

        for name, classes in (("mobilenet_v2_1.0_224_quant", 5), ("deeplabv3_mnv2_pascal_quant", 21)):
            wide = np.random.default_rng(0).normal(size=(3, classes))
            tiny_tflite.write(folder / f"{name}.tflite", wide, side=32, image="uint8")


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _torchvision(patch: pytest.MonkeyPatch) -> None:
    import torchvision
    from torchvision.models import _api

    for seed, name in enumerate(("resnet18", "resnet34", "resnet50")):
        make = _small(_api.BUILTIN_MODELS[name], seed)
        patch.setitem(_api.BUILTIN_MODELS, name, make)
        patch.setattr(torchvision.models, name, make)
    name = "deeplabv3_mobilenet_v3_large"
    whole = _api.BUILTIN_MODELS[name]

    @functools.wraps(whole)
    def untrained(*, weights: Any = None, progress: bool = True) -> nn.Module:
        return whole(weights=None, weights_backbone=None)

    patch.setitem(_api.BUILTIN_MODELS, name, untrained)


def _small(make: Callable[..., nn.Module], seed: int) -> Callable[..., nn.Module]:
    @functools.wraps(make)
    def small(*, weights: Any = None, progress: bool = True, **_: Any) -> nn.Module:
        return network(seed)

    return small


def _imagenet(patch: pytest.MonkeyPatch) -> None:
    from captum_focalogic.classifier import Classifier
    from captum_focalogic.images import CentreCrop
    from captum_focalogic.integrations import efficientnet_lite
    from captum_focalogic.integrations.imagenet import imagenet_labels

    def instead(usual: Callable[..., Classifier], seed: int) -> Callable[..., Classifier]:
        small = Classifier.fitted(network(seed), CentreCrop(224, 224), imagenet_labels(""), usual.__name__)
        return lambda *given: usual(*given) if AS_PUBLISHED.get() else small

    for seed, name in enumerate(("load_lite0", "load_lite1", "load_lite2")):
        patch.setattr(efficientnet_lite, name, instead(getattr(efficientnet_lite, name), seed))


def _timm(patch: pytest.MonkeyPatch) -> None:
    import timm

    made = timm.create_model

    def small(name: str, **_: Any) -> nn.Module:
        size = {"pretrained_cfg_overlay": {"input_size": (3, 32, 32)}, "pretrained": False}
        if "vit" in name:
            return made("test_vit.r160_in1k", img_size=32, **size)
        return made("test_resnet.r160_in1k", **size)

    patch.setattr(timm, "create_model", small)


def _open_clip(patch: pytest.MonkeyPatch) -> None:
    import open_clip

    def small(*_: Any, **__: Any) -> nn.Module:
        torch.manual_seed(0)
        vision = open_clip.CLIPVisionCfg(layers=1, width=16, head_width=8, patch_size=8, image_size=32)
        text = open_clip.CLIPTextCfg(context_length=16, width=16, heads=2, layers=1)
        return open_clip.CLIP(16, vision, text).eval()

    patch.setattr(open_clip, "create_model", small)
    patch.setattr(open_clip, "get_tokenizer", lambda _: open_clip.SimpleTokenizer(context_length=16))


def _hub() -> dict[str, Callable[[], tuple[Any, ...]]]:
    """By a part of the id: a model, and what goes with it (tokenizer, processor)."""
    import tiny_transformers as tiny

    return {
        "vit-base-patch16-224": tiny.image_classifier,
        "clip-vit": tiny.clip,
        "Qwen2-VL": tiny.qwen2_vl,
        "sam2": lambda: tiny.build("sam2"),
        "grounding-dino": tiny.grounding_dino,
        "sam-vit": tiny.sam_with_processor,
        "sam3": tiny.sam3,
        "segformer": semantic_segmenter,
    }


def semantic_segmenter() -> tuple[Any, Any]:
    """A small segmenter of transformers and its image processor."""
    import transformers as tf

    torch.manual_seed(0)
    names = dict(enumerate(("wall", "cat", "dog")))
    config = tf.SegformerConfig(
        hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 1, 1], decoder_hidden_size=8,
        id2label=names, label2id={name: place for place, name in names.items()},
    )  # fmt: skip
    processor = tf.SegformerImageProcessor(size={"height": 64, "width": 64})
    return tf.SegformerForSemanticSegmentation(config).eval(), processor


def _transformers(patch: pytest.MonkeyPatch) -> None:
    import transformers as tf

    hub = _hub()

    def parts(name: str) -> tuple[Any, ...]:
        return next(made for part, made in hub.items() if part in str(name))()

    def load(kind: str, name: str, **_: Any) -> Any:
        found = parts(name)
        return found[1] if kind == "AutoTokenizer" else found[-1] if "Processor" in kind else found[0]

    kinds = [name for name in dir(tf) if name.startswith("AutoModel")] + ["Sam3Model"]
    for kind in [*kinds, "AutoTokenizer", "AutoProcessor", "AutoImageProcessor"]:
        patch.setattr(getattr(tf, kind), "from_pretrained", functools.partial(load, kind))
    made = tf.pipeline

    def pipeline(task: str, model: Any = None, **more: Any) -> Any:
        if not isinstance(model, str):
            return made(task, model=model, **more)
        network, processor = parts(model)
        return tf.ImageClassificationPipeline(model=network, image_processor=processor)

    # Where it is loaded from, too: it is loaded again with some names beside it.
    patch.setattr(import_module("transformers.pipelines"), "pipeline", pipeline)
    patch.setattr(tf, "pipeline", pipeline)


def _segment_anything(patch: pytest.MonkeyPatch) -> None:
    import segment_anything
    from tiny_sam import tiny_sam

    from captum_focalogic.integrations import segment_anything as integration

    patch.setitem(integration._WIDTHS, 16, "vit_b")
    patch.setitem(segment_anything.sam_model_registry, "vit_b", tiny_sam)


PACKAGES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "torchvision": _torchvision,
    "timm": _timm,
    "open_clip": _open_clip,
    "transformers": _transformers,
    "segment_anything": _segment_anything,
}
"""Packages whose networks would be fetched."""


def _experiments(patch: pytest.MonkeyPatch) -> None:
    """In Python they are done, with three images and small trainings."""
    if find_spec("pyarrow") is None:
        return
    from studies import TINY

    from captum_focalogic import experiments

    usual = experiments.Embedded
    patch.setattr(experiments, "Embedded", lambda **_: usual(images=3, scenes=128, epochs=1, settings=TINY))


def _comparisons(patch: pytest.MonkeyPatch) -> None:
    """Other methods ask less."""
    from captum_focalogic.compare import perturbations

    for name in ("_LIME_SAMPLES", "_SHAP_SAMPLES", "_RISE_MASKS"):
        patch.setattr(perturbations, name, 50)
    patch.setattr(perturbations, "_PERMUTATIONS", 2)
    patch.setattr(import_module("captum_focalogic.compare.interactions"), "MOST_REGIONS", 9)


def _endpoint(patch: pytest.MonkeyPatch, stack: ExitStack) -> None:
    import loopback

    from captum_focalogic.integrations import openai

    endpoint, address = stack.enter_context(loopback.serve())
    endpoint.labels = ["cat", "dog", "bird"]
    patch.setattr(openai, "DEFAULT_URL", address)
    patch.setenv("OPENAI_API_KEY", "none")


def _shown(patch: pytest.MonkeyPatch) -> None:
    """Windows stay closed; a page is served until it was asked once."""
    from urllib.request import urlopen

    import matplotlib

    from captum_focalogic.live.server import LivePage

    def run_until_asked(page: LivePage) -> None:
        page.start()
        with urlopen(page.url) as answer:
            assert answer.status == 200
        page.stop()

    matplotlib.use("Agg")
    patch.setattr(Image.Image, "show", lambda _: None)
    patch.setattr(LivePage, "run", run_until_asked)


def _given(page: str) -> dict[str, Any]:
    """What a page takes as the reader's own, by the names that it gives it."""
    make = OWN.get(page)
    return {} if make is None else make()


def _explained() -> Any:
    from captum_focalogic import explain_image

    return explain_image(network(0, 3), photo(1), segmenter="grid:2x2", max_evaluations=50)


def _readme() -> dict[str, Any]:
    model, images = network(0, 3), torch.rand(2, 3, 32, 32)
    regions = (torch.arange(32)[:, None] // 16 * 2 + torch.arange(32) // 16)[None, None]
    focus = _explained().focus
    classes = model(images).argmax(1)
    return {"model": model, "images": images, "classes": classes, "regions": regions, "focus": focus} | {
        "focus_a": focus,
        "focus_b": _explained().focus,
    }


def _recipes() -> dict[str, Any]:
    from torchvision.models import ResNet18_Weights

    preset = ResNet18_Weights.DEFAULT.transforms()
    generator = SimpleNamespace(generate=lambda pixels: masks_of(pixels.shape[:2]))
    batch = torch.stack([preset(photo(seed)) for seed in range(2)])
    return {"mask_generator": generator, "model": network(0), "preset": preset, "batch": batch}


def _integrations() -> dict[str, Any]:
    from sklearn.ensemble import RandomForestClassifier
    from torchvision.models import ResNet18_Weights

    rows = np.random.default_rng(0).random((4, 4 * 4 * 3))
    return {
        "model": network(0),
        "images": torch.rand(1, 3, 32, 32),
        "image": torch.rand(3, 40, 60),
        "truth": masks_of((32, 32))[0]["segmentation"],
        "my_function": lambda image: torch.zeros(image.shape[1:], dtype=torch.int64),
        "my_model": network(0, 2),
        "weights": ResNet18_Weights.DEFAULT,
        "labels": [f"class {number}" for number in range(4)],
        "classifier_fn": lambda pixels: pixels.mean((1, 2)),
        "fn": lambda pixels: pixels.mean((2, 3)),
        "random_forest": RandomForestClassifier(n_estimators=2, random_state=0).fit(rows, [0, 1, 0, 1]),
        "ask_somebody": lambda image: image.mean((1, 2)),
        "build": lambda text: network(0, 2),
        "my_masks": lambda text, name: masks_of((64, 64))[0]["segmentation"],
    }


def _comparison() -> dict[str, Any]:
    from captum_focalogic.demo import draw_scene, load_model

    drawn = [draw_scene(seed, label=1) for seed in (22, 24)]
    return {"model": load_model(), "examples": [(scene.image, scene.labels, scene.truth()) for scene in drawn]}


def _report() -> dict[str, Any]:
    from captum_focalogic import FocaLogic

    explainer, image = FocaLogic(network(0, 3), segmenter="grid:2x2"), torch.rand(1, 3, 32, 32)
    mask = masks_of((32, 32))[0]["segmentation"]
    return {"explainer": explainer, "image": image, "mask": mask, "explained": {"cat": explainer.explain(image)[0]}}


def _live() -> dict[str, Any]:
    from torchvision.models import ResNet18_Weights

    weights = ResNet18_Weights.DEFAULT
    return {"model": network(0), "labels": weights.meta["categories"], "preprocess": weights.transforms()}


def _search() -> dict[str, Any]:
    return {"predicate": lambda kept: kept[:, 0] & (kept[:, 1] | kept[:, 2]), "num_regions": 4}


def _study() -> dict[str, Any]:
    from captum_focalogic import FocaLogic

    truths = [np.array([True, False, False, True])] * 2
    return {
        "explainer": FocaLogic(network(0, 3), segmenter="grid:2x2"), "images": torch.rand(2, 3, 32, 32),
        "truths": truths,
    }  # fmt: skip


OWN: dict[str, Callable[[], dict[str, Any]]] = {
    "README.md": _readme,
    "docs/comparison.md": _comparison,
    "docs/integrations.md": _integrations,
    "docs/live.md": _live,
    "docs/recipes.md": _recipes,
    "docs/report.md": _report,
    "docs/search.md": _search,
    "docs/study.md": _study,
}
"""Pages that speak of the reader's own model, images and the like."""
