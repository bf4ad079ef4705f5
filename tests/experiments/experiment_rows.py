"""Rows for the tests of experiments: by hand, and of small studies of a model whose answers can be worked out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from captum_focalogic.ground_truth import Match
from captum_focalogic.segmenters import Grid
from captum_focalogic.study import Item, Sample, run_study
from captum_focalogic.study.rows import as_table

SIDE = 24


class Brightest(torch.nn.Module):
    """Which colour channel the picture has most of."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.sum(dim=(2, 3))


def patch_items(count: int) -> list[Item]:
    """Images of six cells, each of one channel; two discs of different sizes are the object."""
    return [Item(f"patch-{number}", lambda number=number: _patch(number), number % 3) for number in range(count)]


def _patch(number: int) -> Sample:
    draws = np.random.default_rng(number)
    image = np.zeros((3, SIDE, SIDE), dtype=np.float32)
    cells = Grid(2, 3)(torch.zeros(3, SIDE, SIDE)) - 1
    for cell in range(6):
        image[draws.integers(3)][cells == cell] = draws.uniform(0.1, 1.0)
    down, across = np.mgrid[:SIDE, :SIDE]
    discs = [
        (down - row) ** 2 + (across - column) ** 2 < radius**2
        for row, column, radius in [(*draws.uniform(4, 20, 2), 5.0), (*draws.uniform(4, 20, 2), 7.0)]
    ]
    return Sample(torch.from_numpy(image), truth=np.stack(discs))


def patch_study(folder: Path, match: Match, reading: str = "irreducible", count: int = 12) -> Any:
    """The rows of a small study."""
    return run_study(patch_items(count), Brightest(), Grid(2, 3), out=folder, match=match, reading=reading)


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
