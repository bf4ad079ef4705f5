"""Studies and experiments of seconds: images that are worked out by hand, and rows that nobody had to make."""

import math
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tiny_models import Brightest

from captum_focalogic.experiments.framework import ImageNet, Settings
from captum_focalogic.ground_truth import Match
from captum_focalogic.segmenters import Grid
from captum_focalogic.study import Item, Sample, run_study
from captum_focalogic.study.rows import as_table

GRID = Grid(2, 3)
SIDE = 24
"""Pixels of an image of patches, high and wide."""


def patches(number: int) -> torch.Tensor:
    """An image of six cells, each of one channel and a strength of its own."""
    return _patches(np.random.default_rng(number))


def _patches(draws: np.random.Generator) -> torch.Tensor:
    image = np.zeros((3, SIDE, SIDE), dtype=np.float32)
    cells = GRID(torch.zeros(3, SIDE, SIDE)) - 1
    for cell in range(6):
        image[draws.integers(3)][cells == cell] = draws.uniform(0.1, 1.0)
    return torch.from_numpy(image)


class ReadPatches:
    """Reads an image of :func:`patches`; its left half is the object."""

    def __init__(self, number: int, label: int | None = None, broken: bool = False) -> None:
        self.number, self.label, self.broken = number, label, broken

    def __call__(self) -> Sample:
        if self.broken:
            raise OSError(f"image {self.number} is torn")
        truth = np.zeros((SIDE, SIDE), dtype=np.bool_)
        truth[:, : SIDE // 2] = True
        return Sample(patches(self.number), truth=truth, label=self.label)


def patch_items(count: int, broken: tuple[int, ...] = ()) -> list[Item]:
    return [
        Item(f"patch-{number}", ReadPatches(number, broken=number in broken), number % 3) for number in range(count)
    ]


def save_images(folder: Path, count: int, classes: tuple[str, ...] = ("ant", "bee")) -> list[Path]:
    """Images in a folder of classes, as PNG."""
    paths = []
    for number in range(count):
        path = folder / classes[number % len(classes)] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = (patches(number).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        Image.fromarray(pixels).save(path)
        paths.append(path)
    return paths


def wait_for_shards(folder: Path, more_than: int, process: "subprocess.Popen[str]", timeout: float = 120) -> None:
    """Wait until a run has written some shards, or has ended."""
    end = time.monotonic() + timeout
    while len(list(folder.glob("rows-*.parquet"))) <= more_than and process.poll() is None:
        if time.monotonic() > end:
            raise TimeoutError(f"no shard after {timeout} s")
        time.sleep(0.01)


TINY = Settings(
    fewest=2,
    fresh_scenes=60,
    counted_size=96,
    segmentations=("own, whole background", "grid 3x3"),
    regions=(4, 6, 14),
    widths=(1, 20),
    questions=12,
)
"""Experiments in seconds."""


def tiny_imagenet(data: Path, **more: Any) -> ImageNet:
    """A folder of images for experiments, explained by a network with random weights on six regions."""
    usual = {"models": ("torchvision:resnet18",), "weights": "random", "segmenter": "grid:2x3", "truth": "none"}
    return ImageNet(str(data), **{**usual, "settings": TINY, **more})


def disc_items(count: int) -> list[Item]:
    """Images of patches; two discs of different sizes are the object."""
    return [Item(f"patch-{number}", lambda number=number: _discs(number), number % 3) for number in range(count)]


def _discs(number: int) -> Sample:
    draws = np.random.default_rng(number)
    image = _patches(draws)
    down, across = np.mgrid[:SIDE, :SIDE]
    discs = [
        (down - row) ** 2 + (across - column) ** 2 < radius**2
        for row, column, radius in [(*draws.uniform(4, 20, 2), 5.0), (*draws.uniform(4, 20, 2), 7.0)]
    ]
    return Sample(image, truth=np.stack(discs))


def disc_study(folder: Path, match: Match, reading: str = "irreducible", count: int = 12) -> Any:
    """The rows of a small study of :func:`disc_items`."""
    return run_study(disc_items(count), Brightest(), GRID, out=folder, match=match, reading=reading)


def rows_of(
    iou: Sequence[float] | None,
    coverage: Sequence[float] | None,
    areas: Sequence[float],
    states: Sequence[int],
    **more: Any,
) -> Any:
    """One row, irreducible states as bits; what is worked out from the overlaps is for the code to fill in."""
    ids = list(range(1, len(areas) + 1))
    on = None if coverage is None else [name for name, share in zip(ids, coverage, strict=True) if share >= 0.5]
    row = {
        "index": 0,
        "id": "image",
        "num_regions": len(areas),
        "region_ids": ids,
        "areas": list(areas),
        "region_iou": iou,
        "region_coverage": coverage,
        "truth_regions": on,
        "reading": "irreducible",
        "final_states": list(states),
        **{f"{reading}_divergence": 0.0 for reading in ("irreducible", "minimal", "smallest")},
        **more,
    }
    return as_table([row])


def table_of(columns: dict[str, Sequence[Any]]) -> Any:
    """Rows with some columns given."""
    count = len(next(iter(columns.values())))
    return as_table(
        {"index": place, "id": f"image-{place}", **{name: values[place] for name, values in columns.items()}}
        for place in range(count)
    )


def summary_row(index: int, precision: float | None, recall: float | None = 0.5, **more: Any) -> dict[str, Any]:
    """A row with the measures of both readings, as summaries take it."""
    known: dict[str, Any] = {"count": 2, "size": 1.5, "precision": precision, "recall": recall, "divergence": 0.02}
    known["behaviour"] = None if precision is None else "narrow" if precision >= 0.5 else "misled"
    values = {f"{reading}_{name}": value for reading in ("irreducible", "smallest") for name, value in known.items()}
    plain = {"index": index, "id": f"i{index}", "label": index % 2, "prediction": 0, "correct": index % 2 == 0}
    return {**plain, **values, "reading": "irreducible", "certificate_complete": "yes", **more}


PRECISIONS = [0.1, 0.9, 0.4, math.nan, 0.8, 1.0]


def summary_rows() -> Any:
    """Rows with these precisions, one that failed, and one of an image whose object is not known."""
    failed = {"index": 6, "id": "i6", "label": 1, "error": "OSError: torn"}
    unknown = summary_row(7, None, None)
    return as_table([*(summary_row(index, value) for index, value in enumerate(PRECISIONS)), failed, unknown])
