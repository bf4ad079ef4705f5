"""Make photo_tables.npz: what a real network answers for every region set of some photographs.

    python tests/search/make_photo_tables.py PHOTOS MODELS [--out tests/search/data/photo_tables.npz]

PHOTOS is a folder of ``.jpg`` files; MODELS holds ``mobilenet.py``, whose ``load()`` gives an ImageNet classifier and
whose ``preprocess(image)`` gives its (3, 224, 224) input in [0, 1]. Each photo is cut by scikit-image's SLIC into as
many regions as it gives up to 12; dropped regions are black; a set is valid if the top-1 class is that of the whole
photo, and its score is that class's probability. The photos themselves are not stored.
"""

import argparse
import importlib.util
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage.segmentation import slic

MOST_REGIONS = 12
BATCH = 8


def segment(image: np.ndarray) -> np.ndarray:
    """Labels 0..M-1 of an (H, W, 3) image, with M as large as SLIC gives up to 12."""
    best = np.zeros(image.shape[:2], dtype=np.int64)
    for wanted in range(MOST_REGIONS, 3 * MOST_REGIONS):
        labels = slic(image, n_segments=wanted, compactness=10, enforce_connectivity=True, start_label=1)
        dense = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
        if best.max() < dense.max() < MOST_REGIONS:
            best = dense
    return best


@torch.inference_mode()
def answer_all(net: torch.nn.Module, image: torch.Tensor, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Verdict and score of all 2^M region sets."""
    num_regions = int(labels.max()) + 1
    region = torch.from_numpy(labels)
    target = int(net(image[None]).argmax())
    kept = (torch.arange(1 << num_regions)[:, None] >> torch.arange(num_regions)) & 1
    valid, score = [], []
    for states in kept.bool().split(BATCH):
        pixels = torch.where(states[:, region][:, None], image, torch.zeros(()))
        logits = net(pixels.to(memory_format=torch.channels_last))
        valid.append(logits.argmax(1) == target)
        score.append(logits.softmax(1)[:, target])
    return torch.cat(valid).numpy(), torch.cat(score).numpy().astype(np.float16)


def main() -> None:
    """Answer every photo and store the tables."""
    parser = argparse.ArgumentParser(description="Store a network's verdicts on all region sets of photographs.")
    parser.add_argument("photos", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data" / "photo_tables.npz")
    args = parser.parse_args()
    spec = importlib.util.spec_from_file_location("mobilenet", args.models / "mobilenet.py")
    mobilenet = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mobilenet)
    net = mobilenet.load().to(memory_format=torch.channels_last)
    arrays = {}
    for path in sorted(args.photos.glob("*.jpg")):
        image = mobilenet.preprocess(Image.open(path))
        labels = segment(image.permute(1, 2, 0).numpy())
        valid, score = answer_all(net, image, labels)
        areas = np.bincount(labels.ravel()) / labels.size
        arrays |= {f"{path.stem}/valid": np.packbits(valid), f"{path.stem}/score": score, f"{path.stem}/areas": areas}
        print(f"{path.stem}: {len(areas)} regions, {valid.mean():.1%} of the sets valid", flush=True)
    np.savez_compressed(args.out, **arrays)


if __name__ == "__main__":
    main()
