"""Keyword arguments of the Captum methods that FocaLogic replaces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from captum_focalogic.errors import InputError

UNDERSTOOD = ("n_samples", "return_input_shape", "sliding_window_shapes", "strides")


@dataclass(frozen=True)
class Migrated:
    """What the keywords of Lime, KernelShap, ShapleyValueSampling and Occlusion mean here.

    Attributes
    ----------
    n_samples : int or None
        Most evaluations for one example.
    return_input_shape : bool
        Whether attributions are shaped like the inputs, or (N, regions).
    masks : tuple of Tensor or None
        Feature masks of the tiles that sliding windows cut.
    """

    n_samples: int | None
    return_input_shape: bool
    masks: tuple[Tensor, ...] | None

    def budget(self, max_evaluations: int | None) -> int | None:
        """The smaller of the two bounds."""
        bounds = [bound for bound in (self.n_samples, max_evaluations) if bound is not None]
        return min(bounds, default=None)


def read_keywords(keywords: dict[str, Any], inputs: tuple[Tensor, ...], feature_mask: Any) -> Migrated:
    """Check and translate.

    Raises
    ------
    InputError
        If a keyword is not understood, or its value makes no sense here.
    """
    unknown = sorted(set(keywords) - set(UNDERSTOOD))
    if unknown:
        raise InputError(
            f"unknown argument(s) {', '.join(unknown)}; understood beside Captum's: {', '.join(UNDERSTOOD)}"
        )
    n_samples = keywords.get("n_samples")
    if n_samples is not None and (isinstance(n_samples, bool) or not isinstance(n_samples, int) or n_samples < 1):
        raise InputError(f"n_samples bounds the evaluations of an example, a positive int; got {n_samples!r}")
    return_input_shape = keywords.get("return_input_shape", True)
    if not isinstance(return_input_shape, bool):
        raise InputError(f"return_input_shape must be True or False; got {return_input_shape!r}")
    windows, strides = keywords.get("sliding_window_shapes"), keywords.get("strides")
    if windows is None and strides is not None:
        raise InputError("strides go with sliding_window_shapes; give both, or neither")
    if windows is not None and feature_mask is not None:
        raise InputError("regions come either from sliding_window_shapes or from feature_mask; give one of them")
    masks = None if windows is None else _tiles(windows, strides, inputs)
    return Migrated(n_samples, return_input_shape, masks)


def _tiles(windows: Any, strides: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Feature masks of adjacent windows, numbered on from tensor to tensor."""
    per_tensor = windows if _is_tuple_of_tuples(windows) else (windows,)
    if len(per_tensor) != len(inputs):
        raise InputError(f"there are {len(inputs)} input tensor(s) but {len(per_tensor)} sliding window(s)")
    strides_of = strides if len(inputs) > 1 and isinstance(strides, tuple) else (strides,) * len(inputs)
    if len(strides_of) != len(inputs):
        raise InputError(f"there are {len(inputs)} input tensor(s) but {len(strides_of)} strides")
    masks: list[Tensor] = []
    offset = 0
    for tensor, window, stride in zip(inputs, per_tensor, strides_of, strict=True):
        wrapped = len(inputs) == 1 and _is_tuple_of_tuples(stride)
        mask = _tile_mask(tensor, window, stride[0] if wrapped else stride) + offset
        masks.append(mask)
        offset = int(mask.max()) + 1
    return tuple(masks)


def _tile_mask(tensor: Tensor, window: Sequence[int], stride: Any) -> Tensor:
    shape = tuple(tensor.shape[1:])
    if not isinstance(window, tuple) or len(window) != len(shape) or not all(_positive(size) for size in window):
        raise InputError(f"a sliding window needs one positive size for each dimension of {shape}; got {window!r}")
    if any(size > whole for size, whole in zip(window, shape, strict=True)):
        raise InputError(f"the sliding window {window} is larger than one example, {shape}")
    steps = window if stride is None else (stride,) * len(shape) if isinstance(stride, int) else stride
    if not isinstance(steps, tuple | list) or len(steps) != len(shape) or not all(_positive(step) for step in steps):
        raise InputError(f"strides need one positive step for each dimension of {shape}; got {stride!r}")
    for step, size, whole in zip(steps, window, shape, strict=True):
        if size not in (step, whole):
            raise InputError(
                f"regions may not overlap or leave gaps, so strides must equal the sliding window {window}; "
                f"got {stride!r}. Leave strides out"
            )
    mask = torch.zeros(shape, dtype=torch.int64, device=tensor.device)
    for dimension, (size, whole) in enumerate(zip(window, shape, strict=True)):
        tile = torch.arange(whole, device=tensor.device) // size
        count = int(tile.max()) + 1
        mask = mask * count + tile.reshape([-1 if d == dimension else 1 for d in range(len(shape))])
    return mask


def _is_tuple_of_tuples(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], tuple)


def _positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
