"""What FocaLogic costs beyond the model's own forward passes, and whether the batch size it chooses is a good one.

Run with ``pytest tests/benchmarks -s``. Every figure is a ratio of two measurements of the same run.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from captum_focalogic import FocaLogic
from captum_focalogic.criteria import ProbabilityRatio


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


EVERY_STATE = ProbabilityRatio(1e-12)
"""Judges as usual and finds every state valid, so that all 2^M are asked."""


class Paired(torch.nn.Module):
    """A model that makes one bare pass, on an input of its own, beside each pass it is asked for, and times those.

    A processor's speed drifts by more than the overhead, so that only passes next to each other can be compared.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model
        self.pairing = False
        self.bare_seconds = 0.0
        self.bare_own = 0.0
        self._bare: dict[torch.Size, torch.Tensor] = {}

    def forward(self, batch: torch.Tensor) -> Any:
        if self.pairing:
            if batch.shape not in self._bare:
                self._bare[batch.shape] = torch.rand_like(batch)
            start, own = time.perf_counter(), time.process_time()
            self.model(self._bare[batch.shape])
            self.bare_seconds += time.perf_counter() - start
            self.bare_own += time.process_time() - own
        return self.model(batch)


def explainer_of(model: torch.nn.Module, images: torch.Tensor, mask: torch.Tensor) -> tuple[Any, Any]:
    """A function that explains and returns the number of evaluations, and the batch size it has settled on."""
    explainer = FocaLogic(model, reading="irreducible", criterion=EVERY_STATE, max_evaluations=None)
    mask = mask.to(images.device)

    def explain() -> int:
        focuses = explainer.explain(images, feature_mask=mask)
        synchronise(images.device)
        return sum(focus.certificate.evaluations for focus in focuses)

    for _ in range(20):
        explain()
        (batching,) = explainer._measured.values()
        if not batching.measuring:
            break
    return explain, batching


def tell(
    benchmark: Any, batching: Any, swept: dict[tuple[int, torch.memory_format], float], ratios: list[float]
) -> None:
    same_layout = {size: swept[size, layout] for size, layout in swept if layout == batching.memory_format}
    nearest = min(same_layout, key=lambda size: abs(size - batching.size))
    benchmark.extra_info.update(
        chosen_batch=batching.size,
        layout=str(batching.memory_format),
        overhead=round(statistics.median(ratios), 3),
        overheads=[round(ratio, 3) for ratio in ratios],
        chosen_against_best_batch=round(same_layout[nearest] / min(same_layout.values()), 3),
        chosen_against_best_of_any_layout=round(same_layout[nearest] / min(swept.values()), 3),
    )
    print("\n", benchmark.name, dict(benchmark.extra_info))
    print({f"{size} {str(layout)[6:]}": round(1 / value, 1) for (size, layout), value in swept.items()})


def test_overhead_mobilenet_cpu(benchmark: Any, mobilenet: torch.nn.Module) -> None:
    """512 evaluations, each beside a bare pass: total time without the bare passes, over theirs; median of five.

    On the clock, and in seconds of the process, which a busy machine disturbs less and which therefore decide.
    """
    torch.manual_seed(0)
    images, model = torch.rand(1, 3, 224, 224), Paired(mobilenet)
    explain, batching = explainer_of(model, images, grid_mask(3, 3))
    model.pairing, ratios, owned = True, [], []
    for _ in range(5):
        model.bare_seconds = model.bare_own = 0.0
        start, own = time.perf_counter(), time.process_time()
        explain()
        ratios.append((time.perf_counter() - start) / model.bare_seconds - 1)
        owned.append((time.process_time() - own) / model.bare_own - 1)
        print(f"on the clock {ratios[-1]:.3f}, of the process {owned[-1]:.3f}, batches of {batching.size}", flush=True)
    model.pairing = False
    swept = bare_sweep(mobilenet, images, sizes=[1, 2, 4, 8, 16])
    benchmark.extra_info.update(own_overhead=round(statistics.median(owned), 3))
    benchmark.pedantic(explain, rounds=1, iterations=1)
    tell(benchmark, batching, swept, ratios)
    assert statistics.median(owned) <= 1.05


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("name", "count"), [("resnet18", 1), ("resnet18", 16), ("vit_l_16", 1), ("vit_l_16", 4)])
def test_overhead_cuda_bfloat16(benchmark: Any, name: str, count: int) -> None:
    """4,096 evaluations an image against bare passes before and after each of five rounds: median ratio."""
    import torchvision

    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None).eval().requires_grad_(False).cuda().bfloat16()
    images = torch.rand(count, 3, 224, 224, device="cuda").bfloat16()
    sizes = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096] if name == "resnet18" else [16, 32, 64, 128, 256, 512]
    explain, batching = explainer_of(model, images, grid_mask(3, 4))
    swept = bare_sweep(model, images, sizes)
    batch = torch.rand((batching.size, *images.shape[1:]), device="cuda").to(images.dtype)
    batch = batch.to(memory_format=batching.memory_format)
    ratios, before = [], seconds_per_row(model, batch)
    for _ in range(5):
        start = time.perf_counter()
        evaluations = explain()
        taken, after = time.perf_counter() - start, seconds_per_row(model, batch)
        ratios.append(taken / (evaluations * (before + after) / 2))
        before = after
    benchmark.pedantic(explain, rounds=1, iterations=1)
    tell(benchmark, batching, swept, ratios)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_many_images_at_once(benchmark: Any, mobilenet: torch.nn.Module, device: str) -> None:
    """64 images in one call against 64 calls: what filling batches across images is worth where each asks little."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    torch.manual_seed(0)
    model = mobilenet.to(device)
    images = torch.rand(64, 3, 224, 224, device=device)
    explainer = FocaLogic(model, reading="smallest", max_evaluations=60)
    mask = grid_mask(3, 3).to(device)
    explainer.explain(images, feature_mask=mask)
    explainer.explain(images, feature_mask=mask)

    def together() -> None:
        explainer.explain(images, feature_mask=mask)
        synchronise(images.device)

    start = time.perf_counter()
    for image in images:
        explainer.explain(image[None], feature_mask=mask)
    synchronise(images.device)
    one_by_one = time.perf_counter() - start
    benchmark.pedantic(together, rounds=3, iterations=1)
    mobilenet.to("cpu")
    benchmark.extra_info.update(speedup=round(one_by_one / benchmark.stats.stats.median, 2))
    print("\n", benchmark.name, dict(benchmark.extra_info))
