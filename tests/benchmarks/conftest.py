"""What the benchmarks share: models, images, and the bare speed that overhead is measured against."""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@torch.no_grad()
def seconds_per_row(model: Callable[[Tensor], Tensor], batch: Tensor, repeats: int = 7) -> float:
    """Median time of a bare forward pass, for one row."""
    for _ in range(2):
        model(batch)
    taken = []
    for _ in range(repeats):
        synchronise(batch.device)
        start = time.perf_counter()
        model(batch)
        synchronise(batch.device)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) / len(batch)


def bare_sweep(
    model: Callable[[Tensor], Tensor], image: Tensor, sizes: list[int]
) -> dict[tuple[int, torch.memory_format], float]:
    """Seconds a row of bare forward passes, by batch size and layout; sizes that do not fit are left out."""
    swept = {}
    for layout in (torch.contiguous_format, torch.channels_last):
        for size in sizes:
            try:
                batch = torch.rand((size, *image.shape[1:]), device=image.device).to(image.dtype)
                swept[size, layout] = seconds_per_row(model, batch.to(memory_format=layout))
            except torch.OutOfMemoryError:
                break
    return swept


def grid_mask(rows: int, columns: int, size: int = 224) -> Tensor:
    """A feature mask of rows x columns equal cells, (1, 1, size, size)."""
    across = torch.arange(size) * columns // size
    down = torch.arange(size) * rows // size
    return (down[:, None] * columns + across)[None, None]


@pytest.fixture(scope="session")
def mobilenet() -> torch.nn.Module:
    """MobileNetV2: ImageNet's where it lies beside the checkout, else torchvision's with random weights (same cost)."""
    if (SHARED / "models" / "mobilenet.py").exists():
        sys.path.insert(0, str(SHARED / "models"))
        import mobilenet

        return mobilenet.load()
    import torchvision

    torch.manual_seed(0)
    return torchvision.models.mobilenet_v2(weights=None).eval().requires_grad_(False)
