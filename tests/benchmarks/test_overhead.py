"""What FocaLogic costs beyond the model's own forward passes, and whether the batch size it chooses is a good one.

Run with ``pytest tests/benchmarks --benchmark-only -s``. Every figure is a ratio of two measurements of the same run.
"""

import time
from typing import Any

import pytest
import torch
from conftest import bare_sweep, grid_mask, synchronise

from captum_focalogic import FocaLogic
from captum_focalogic.criteria import ProbabilityRatio

EVERY_STATE = ProbabilityRatio(1e-12)
"""Judges as usual and finds every state valid, so that all 2^M are asked."""


def measure(benchmark: Any, model: torch.nn.Module, images: torch.Tensor, sizes: list[int], rounds: int = 5) -> None:
    """Time ``explain`` with 12 regions, batch size already chosen, against the best bare forward passes."""
    explainer = FocaLogic(model, criterion=EVERY_STATE, max_evaluations=None)
    mask = grid_mask(3, 4).to(images.device)

    def explain() -> int:
        focuses = explainer.explain(images, feature_mask=mask)
        synchronise(images.device)
        return sum(focus.certificate.evaluations for focus in focuses)

    for _ in range(20):
        evaluations = explain()
        (batching,) = explainer._measured.values()
        if not batching.measuring:
            break
    swept = bare_sweep(model, images, sizes)
    same_layout = {size: swept[size, layout] for size, layout in swept if layout == batching.memory_format}
    benchmark.pedantic(explain, rounds=rounds, iterations=1)
    taken = benchmark.stats.stats.median
    nearest = min(same_layout, key=lambda size: abs(size - batching.size))
    benchmark.extra_info.update(
        evaluations=evaluations,
        chosen_batch=batching.size,
        layout=str(batching.memory_format),
        evaluations_per_second=round(evaluations / taken, 1),
        best_bare_per_second=round(1 / min(same_layout.values()), 1),
        best_bare_any_layout_per_second=round(1 / min(swept.values()), 1),
        overhead=round(taken / (evaluations * min(same_layout.values())), 3),
        chosen_against_best_batch=round(same_layout[nearest] / min(same_layout.values()), 3),
    )
    print("\n", benchmark.name, dict(benchmark.extra_info))
    print({f"{size} {str(layout)[6:]}": round(1 / value, 1) for (size, layout), value in swept.items()})


def test_overhead_mobilenet_cpu(benchmark: Any, mobilenet: torch.nn.Module) -> None:
    torch.manual_seed(0)
    measure(benchmark, mobilenet, torch.rand(1, 3, 224, 224), sizes=[1, 2, 4, 8, 16, 32])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("name", "count"), [("resnet18", 1), ("resnet18", 16), ("vit_l_16", 1), ("vit_l_16", 4)])
def test_overhead_cuda_bfloat16(benchmark: Any, name: str, count: int) -> None:
    import torchvision

    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None).eval().requires_grad_(False).cuda().bfloat16()
    images = torch.rand(count, 3, 224, 224, device="cuda").bfloat16()
    sizes = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096] if name == "resnet18" else [16, 32, 64, 128, 256, 512]
    measure(benchmark, model, images, sizes)


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
