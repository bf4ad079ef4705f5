"""States into batches: the input with the elements of dropped regions replaced by baselines."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from captum_focalogic.regions import Partition


@dataclass(frozen=True)
class Example:
    """One example, ready to be masked.

    Attributes
    ----------
    inputs : tuple of Tensor
        Each input tensor's row of this example, (1, ...).
    baselines : tuple of Tensor
        What replaces dropped elements; broadcastable to the rows, on their device.
    partition : Partition
        The regions.
    """

    inputs: tuple[Tensor, ...]
    baselines: tuple[Tensor, ...]
    partition: Partition


def compose(
    segments: Sequence[tuple[Example, Tensor]], memory_format: torch.memory_format = torch.preserve_format
) -> tuple[Tensor, ...]:
    """One batch from the states of several examples.

    Elements are selected with ``torch.where``: multiplying by a mask would turn infinity in a dropped region, or in a
    baseline, into NaN.

    Parameters
    ----------
    segments : sequence of (Example, (b, M) bool Tensor)
        Each example with the states to show it in, on its device.
    memory_format : torch.memory_format
        Layout of four-dimensional tensors; by default that of the inputs.

    Returns
    -------
    tuple of Tensor
        One (B, ...) tensor for each input tensor, B the number of states in all segments.
    """
    total = sum(len(states) for _, states in segments)
    first = segments[0][0]
    batch = tuple(
        _allocate(row, torch.promote_types(row.dtype, baseline.dtype), total, memory_format)
        for row, baseline in zip(first.inputs, first.baselines, strict=True)
    )
    start = 0
    for example, states in segments:
        end = start + len(states)
        for out, row, baseline, columns in zip(
            batch, example.inputs, example.baselines, example.partition.columns, strict=True
        ):
            kept = states[:, columns.reshape(-1)].reshape(len(states), *_aligned(columns, row))
            torch.where(kept, row, baseline, out=out[start:end])
        start = end
    return batch


def _aligned(columns: Tensor, row: Tensor) -> tuple[int, ...]:
    """Shape of ``columns`` with leading ones up to one example's number of dimensions."""
    return (1,) * (row.dim() - 1 - columns.dim()) + tuple(columns.shape)


def _allocate(row: Tensor, dtype: torch.dtype, rows: int, memory_format: torch.memory_format) -> Tensor:
    if row.dim() != 4:
        return torch.empty((rows, *row.shape[1:]), dtype=dtype, device=row.device)
    if memory_format is torch.preserve_format:
        channels_last = row.is_contiguous(memory_format=torch.channels_last) and not row.is_contiguous()
        memory_format = torch.channels_last if channels_last else torch.contiguous_format
    return torch.empty((rows, *row.shape[1:]), dtype=dtype, device=row.device, memory_format=memory_format)
