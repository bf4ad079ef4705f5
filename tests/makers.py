"""Things that tests need: focuses of models whose every answer is known, and what is read back from files."""

import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from captum_focalogic.focus import Focus
from captum_focalogic.search import Exhaustive, enumerate_final_states
from captum_focalogic.segmenters import Grid
from captum_focalogic.study import Item, Sample

IDS = np.array([-3, 0, 2, 7, 11, 12])
LABELS = np.repeat(np.repeat(IDS.reshape(2, 3), 16, axis=0), 16, axis=1)
"""Six square regions, 32 x 48 pixels."""

IMAGE = np.stack(np.broadcast_arrays(*np.ogrid[0:1:32j, 0:1:48j], 0.5)).astype(np.float32)


def focus_by(holds: Callable[[dict[int, bool]], bool], ids: np.ndarray = IDS, **more: Any) -> Focus:
    """The focus of a model that keeps its decision where ``holds`` is true of {region id: kept}."""

    def predicate(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        valid = np.array([holds(dict(zip(ids.tolist(), row.tolist(), strict=True))) for row in states], dtype=bool)
        return valid, (0.25 + 0.5 * valid + 0.01 * states.sum(axis=1)).astype(np.float32)

    result = enumerate_final_states(predicate, len(ids), Exhaustive())
    more.setdefault("label_map", LABELS if ids is IDS else None)
    return Focus(
        region_ids=ids,
        areas=np.full(len(ids), 1 / len(ids)),
        final_states=result.final_states,
        certificate=result.certificate,
        evaluated=result.evaluated,
        target=more.pop("target", 4),
        **more,
    )


def rule(kept: dict[int, bool]) -> bool:
    """Region 0, and 7 or both of -3 and 2: monotone."""
    return kept[0] and (kept[7] or (kept[-3] and kept[2]))


def moody_rule(kept: dict[int, bool]) -> bool:
    """The same, but 11 without 12 disturbs: not monotone."""
    return rule(kept) and not (kept[11] and not kept[12])


def graph_labels(svg: bytes) -> list[str]:
    """The labels of a drawn graph's nodes, lines of one node joined."""
    space = "{http://www.w3.org/2000/svg}"
    nodes = ET.fromstring(svg).iter(f"{space}g")
    return ["".join(t.text or "" for t in g.findall(f".//{space}text")) for g in nodes if g.get("class") == "node"]


REPOSITORY = Path(__file__).parents[1]

GRID = Grid(2, 3)
SIDE = 24
"""Pixels of an image of patches, high and wide."""


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


def start_python(code: str, *arguments: str) -> "subprocess.Popen[str]":
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


def kill_process(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()
