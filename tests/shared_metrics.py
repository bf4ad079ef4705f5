"""Focuses with their truths and what one process of several does with them: importable by a process of its own."""

from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from makers import focus_of

from captum_focalogic.focus import Focus
from captum_focalogic.study import FocusDivergence, FocusPrecision, FocusRecall


def pairs(seed: int, count: int) -> list[tuple[Focus, Any]]:
    draws = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        num_regions = int(draws.integers(1, 7))
        areas = draws.uniform(0.1, 1, num_regions)
        states = draws.random((int(draws.integers(0, 5)), num_regions)) < 0.5
        made.append((focus_of(states, range(num_regions), areas=areas / areas.sum()), draws.random(num_regions) < 0.5))
    return made


def metrics() -> dict[str, Any]:
    return {"precision": FocusPrecision(), "recall": FocusRecall(), "divergence": FocusDivergence()}


def update(metric: Any, made: list[tuple[Focus, Any]]) -> None:
    focuses, truths = [focus for focus, _ in made], [truth for _, truth in made]
    metric.update(*((focuses,) if isinstance(metric, FocusDivergence) else (focuses, truths)))


def process(rank: int, port: int, out: str) -> None:
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        made = pairs(11, 15)
        # unequal shares: averaging the processes' means would be wrong
        own = made[:3] if rank == 0 else made[3:]
        found = {}
        for name, metric in metrics().items():
            update(metric, own)
            found[name] = float(metric.compute())
        torch.save(found, f"{out}/{rank}.pt")
    finally:
        dist.destroy_process_group()
