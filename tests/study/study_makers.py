"""What the tests of studies share: cheap models, pictures, and an oracle for what rows must hold."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from captum_focalogic.segmenters import Grid
from captum_focalogic.study import Item, Sample

REPOSITORY = Path(__file__).parents[2]

GRID = Grid(2, 3)
SIDE = 24


class Brightest(torch.nn.Module):
    """Which colour channel the picture has most of: a model whose answers can be worked out by hand."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.sum(dim=(2, 3))


def patches(number: int) -> torch.Tensor:
    """An image of six cells, each of one channel and a strength of its own."""
    draws = np.random.default_rng(number)
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
            raise OSError(f"picture {self.number} is torn")
        truth = np.zeros((SIDE, SIDE), dtype=np.bool_)
        truth[:, : SIDE // 2] = True
        return Sample(patches(self.number), truth=truth, label=self.label)


def patch_items(count: int, broken: tuple[int, ...] = ()) -> list[Item]:
    return [
        Item(f"patch-{number}", ReadPatches(number, broken=number in broken), number % 3) for number in range(count)
    ]


def save_pictures(folder: Path, count: int, classes: tuple[str, ...] = ("ant", "bee")) -> list[Path]:
    """Pictures in a folder of classes, as PNG."""
    paths = []
    for number in range(count):
        path = folder / classes[number % len(classes)] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = (patches(number).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
        Image.fromarray(pixels).save(path)
        paths.append(path)
    return paths


def start(code: str, *arguments: str) -> "subprocess.Popen[str]":
    """Run Python code in a process of its own, one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{REPOSITORY}:{Path(__file__).parent}"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )


def wait_for_shards(folder: Path, more_than: int, process: "subprocess.Popen[str]", timeout: float = 120) -> None:
    """Wait until a run has written some shards, or has ended."""
    end = time.monotonic() + timeout
    while len(list(folder.glob("rows-*.parquet"))) <= more_than and process.poll() is None:
        if time.monotonic() > end:
            raise TimeoutError(f"no shard after {timeout} s")
        time.sleep(0.01)


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()
