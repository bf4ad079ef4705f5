"""A model told by its answers: to three fixed images, which are the same for all studies.

Weights and code tell most models apart; what neither tells, such as a change of a package that the model calls, is told
by what it says. The answers stand in each row.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from captum_focalogic.errors import OtherModelError
from captum_focalogic.oracle.forward import Forward, billed

PROBES = 3

_SEED = 22
_CELLS = 8
"""Patches across a probe, so that networks find shapes in it and not only noise."""

_VALUES = 8
"""Numbers of each answer that are kept."""

_DIGITS = 4
_TOLERANCE = 0.01
"""How far answers may lie apart, as a share of the largest: on other devices, in other versions, in other batches."""


def probes(height: int, width: int) -> Tensor:
    """Three images of coloured patches, (3, 3, height, width) in [0, 1]."""
    colours = np.random.default_rng(_SEED).random((PROBES, 3, _CELLS, _CELLS), dtype=np.float32)
    return interpolate(torch.from_numpy(colours), (height, width), mode="nearest")


@torch.no_grad()
def answers_to(forward: Callable[[Tensor], Any], like: Tensor) -> list[float] | None:
    """The size of the probes and some numbers of the model's answers; None for a model that is paid by the call.

    Parameters
    ----------
    forward : callable
        The model, of images.
    like : (3, H, W) Tensor
        An image that it takes: the probes are of its size, type, layout and place.
    """
    if billed(forward) or like.shape[0] != 3:
        return None
    height, width = like.shape[1:]
    said = Forward(forward, (), PROBES)((probes(height, width).to(like),), torch.arange(PROBES, device=like.device))
    values = said.detach().reshape(PROBES, -1).double().cpu()
    columns = np.unique(np.linspace(0, values.shape[1] - 1, _VALUES).astype(np.int64))
    return [float(height), float(width), *(_rounded(value) for value in values[:, columns].flatten().tolist())]


def check_answers(known: dict[tuple[float, ...], Sequence[float]], rows: Iterable[dict[str, Any]]) -> None:
    """Hold the answers that rows were made with against those of other rows, and remember those of new sizes.

    Raises
    ------
    OtherModelError
        If a model answered otherwise than that of the rows before.
    """
    for row in rows:
        said = row.get("probes")
        if not said:
            continue
        before = known.setdefault(tuple(said[:2]), said)
        most = max((abs(value) for value in (*before[2:], *said[2:]) if math.isfinite(value)), default=0.0)
        if len(said) != len(before) or not np.allclose(said, before, rtol=0, atol=_TOLERANCE * most, equal_nan=True):
            raise OtherModelError(
                "the model answers otherwise than the one that the rows here were made with, though its name, weights "
                "and code are the same; choose another folder, or explain all images anew with redo_changed "
                "(--redo-changed)"
            )


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
