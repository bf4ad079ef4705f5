"""Pictures for the imagenet size of experiments: drawn here, in the size that classifiers see."""

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 224


def draw_pictures(folder: Path, count: int, classes: tuple[str, ...] = ("tench", "goldfish")) -> Path:
    """Discs of one colour a class on a smooth background, as PNG in a subfolder for each class."""
    down, across = np.mgrid[:SIDE, :SIDE]
    for number in range(count):
        pixels = np.stack([60 + down // 4, 60 + across // 4, 90 + 0 * down], axis=-1)
        inside = (down - 90 - 10 * number) ** 2 + (across - 110) ** 2 < 60**2
        pixels[inside] = (220, 40, 30) if number % len(classes) == 0 else (30, 60, 220)
        path = folder / classes[number % len(classes)] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return folder


def draw_masks(folder: Path, count: int, classes: tuple[str, ...] = ("tench", "goldfish")) -> Path:
    """The discs of :func:`draw_pictures`, in files of the same names."""
    down, across = np.mgrid[:SIDE, :SIDE]
    for number in range(count):
        inside = (down - 90 - 10 * number) ** 2 + (across - 110) ** 2 < 60**2
        path = folder / classes[number % len(classes)] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.where(inside, 255, 0).astype(np.uint8)).save(path)
    return folder
