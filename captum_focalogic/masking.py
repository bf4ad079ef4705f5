"""States into batches: the input with the elements of dropped regions replaced by baselines."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from captum_focalogic.regions import Partition


@dataclass(frozen=True, eq=False)
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


@dataclass(frozen=True)
class _Canvas:
    """One input tensor of one example as bits, its elements in the order of memory.

    A kept element is ``baseline ^ difference``, a dropped one ``baseline``: selecting bits is exact for every value,
    where multiplying by a mask would turn infinity in a dropped region into NaN, and it runs several times as fast as
    ``torch.where``, which has no vector kernel for broadcast masks on processors.

    Attributes
    ----------
    columns : (P,) int64 Tensor
        Region column of the last P elements of every run of P: channels that share their regions share this.
    difference, baseline : (R, P) integer Tensor
        R runs of P elements; ``baseline`` is None where it is all zero bits.
    """

    columns: Tensor
    difference: Tensor
    baseline: Tensor | None


class Masker:
    """Makes batches of masked inputs.

    Parameters
    ----------
    memory_limit : int
        Bytes that prepared examples may take; the longest unused ones are prepared again when needed.
    """

    def __init__(self, memory_limit: int = 1 << 28) -> None:
        self._memory_limit = memory_limit
        self._memory = 0
        self._canvases: OrderedDict[tuple[Example, int, bool], _Canvas] = OrderedDict()

    def compose(
        self,
        segments: Sequence[tuple[Example, Tensor]],
        memory_format: torch.memory_format = torch.preserve_format,
    ) -> tuple[Tensor, ...]:
        """One batch from the states of several examples.

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
        return tuple(
            self._compose_one(segments, position, memory_format) for position in range(len(segments[0][0].inputs))
        )

    def present(self, segments: Sequence[tuple[Example, Tensor]]) -> tuple[tuple[Tensor, ...], Tensor]:
        """One batch for a model that leaves pixels out by itself: whole images, and which of their pixels are there.

        Parameters
        ----------
        segments : sequence of (Example, (b, M) bool Tensor)
            As for :meth:`compose`; each example one image whose channels share their regions.

        Returns
        -------
        tuple of Tensor
            The images, (B, C, H, W), one for each state.
        (B, H, W) bool Tensor
            True where a pixel's region is kept.
        """
        images, kept = [], []
        for example, states in segments:
            (row,) = example.inputs
            columns = example.partition.columns[0]
            columns = columns[0] if columns.dim() == 3 else columns
            images.append(row.expand(len(states), *row.shape[1:]))
            kept.append(states[:, columns.expand(row.shape[2:])])
        return (torch.cat(images),), torch.cat(kept)

    def _compose_one(
        self, segments: Sequence[tuple[Example, Tensor]], position: int, memory_format: torch.memory_format
    ) -> Tensor:
        first = segments[0][0]
        row = first.inputs[position]
        dtype = torch.promote_types(row.dtype, first.baselines[position].dtype)
        channels_last = row.dim() == 4 and _is_channels_last(row, memory_format)
        flat = torch.empty((sum(len(states) for _, states in segments), row[0].numel()), dtype=dtype, device=row.device)
        bits = _bits(flat)
        start = 0
        for example, states in segments:
            end = start + len(states)
            canvas = self._canvas(example, position, channels_last)
            part = bits[start:end].reshape(len(states), *canvas.difference.shape)
            if len(canvas.difference) == 1:
                # Where they are to stand: what is written and read again is still in the processor's cache.
                _spread(states, canvas.columns, part[:, 0])
                part &= canvas.difference
            else:
                kept = _spread(states, canvas.columns, part.new_empty((len(states), part.shape[-1])))
                torch.bitwise_and(kept[:, None], canvas.difference, out=part)
            if canvas.baseline is not None:
                part ^= canvas.baseline
            start = end
        if channels_last:
            channels, height, width = row.shape[1:]
            return flat.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
        return flat.reshape(len(flat), *row.shape[1:])

    def _canvas(self, example: Example, position: int, channels_last: bool) -> _Canvas:
        key = (example, position, channels_last)
        canvas = self._canvases.pop(key, None)
        if canvas is None:
            canvas = _prepare(example, position, channels_last)
            self._memory += _size(canvas)
        self._canvases[key] = canvas
        while self._memory > self._memory_limit and len(self._canvases) > 1:
            _, dropped = self._canvases.popitem(last=False)
            self._memory -= _size(dropped)
        return canvas


def _prepare(example: Example, position: int, channels_last: bool) -> _Canvas:
    row, baseline = example.inputs[position], example.baselines[position]
    dtype = torch.promote_types(row.dtype, baseline.dtype)
    columns = example.partition.columns[position]
    own, other = row.to(dtype)[0], baseline.to(dtype).expand(row.shape)[0]
    if channels_last:
        columns = columns.expand(row.shape[1:]).permute(1, 2, 0)
        own, other = own.permute(1, 2, 0), other.permute(1, 2, 0)
    columns = _without_repeats(columns, own.shape)
    runs = own.numel() // max(1, len(columns))
    own, other = (_bits(tensor.reshape(runs, len(columns)).contiguous()) for tensor in (own, other))
    return _Canvas(columns, own ^ other, other if bool(other.any()) else None)


def _without_repeats(columns: Tensor, shape: torch.Size) -> Tensor:
    """Columns broadcast to ``shape``, flat, without the leading dimensions along which they merely repeat."""
    while columns.dim() and len(columns) == 1:
        columns = columns[0]
    return columns.expand(shape[len(shape) - columns.dim() :]).reshape(-1)


def _size(canvas: _Canvas) -> int:
    kept = (canvas.columns, canvas.difference, canvas.baseline)
    return sum(tensor.numel() * tensor.element_size() for tensor in kept if tensor is not None)


def _spread(states: Tensor, columns: Tensor, out: Tensor) -> Tensor:
    """All ones where an element's region is kept, else all zeros, (b, elements)."""
    words = -states.to(out.dtype)
    if states.device.type != "cpu":
        return torch.index_select(words, 1, columns, out=out)
    # NumPy's gather takes a quarter of the time of torch's here, and less without its check of the columns.
    np.take(words.numpy(), columns.numpy(), axis=1, out=out.numpy(), mode="clip")
    return out


def _bits(values: Tensor) -> Tensor:
    """The same memory as signed integers."""
    return values.view({1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[values.element_size()])


def _is_channels_last(row: Tensor, memory_format: torch.memory_format) -> bool:
    if memory_format is torch.preserve_format:
        return row.is_contiguous(memory_format=torch.channels_last) and not row.is_contiguous()
    return memory_format is torch.channels_last
