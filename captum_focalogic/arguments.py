"""Captum's arguments and keywords: checked, and taken apart into examples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from captum_focalogic.baselines import baseline_from_text
from captum_focalogic.criteria import class_number
from captum_focalogic.errors import ArgumentError, InputError, TargetError, warn
from captum_focalogic.masking import Example
from captum_focalogic.preprocess import Normalisation
from captum_focalogic.regions import are_masks, as_label_map, label_map_of, partition_from_masks
from captum_focalogic.segmenters import ForwardPass, Segmenter, WhiteBox, as_segmenter, cut

Ask = Callable[[int], object]
"""Puts an example, by its row, to the model."""

ToImage = Callable[[Tensor], Tensor]
"""(C, H, W) model input -> (3, H, W) image in [0, 1]."""

MAX_SCALAR_REGIONS = 1024
"""Without a feature mask, inputs other than images get one region a scalar, up to this many."""


def format_inputs(inputs: Any) -> tuple[Tensor, ...]:
    """Inputs as a tuple of tensors with as many rows each.

    Raises
    ------
    InputError
        If they are something else, are empty, hold NaN, or are complex128.
    """
    formatted = inputs if isinstance(inputs, tuple) else (inputs,)
    if not formatted or not all(isinstance(tensor, Tensor) and tensor.dim() >= 1 for tensor in formatted):
        kinds = ", ".join(type(tensor).__name__ for tensor in formatted)
        arrays = any(isinstance(each, np.ndarray) for each in formatted)
        hint = ". Make tensors of arrays: torch.from_numpy(array)" if arrays else ""
        raise ArgumentError(f"inputs must be a tensor or a tuple of tensors, examples first; got ({kinds}){hint}")
    rows = [len(tensor) for tensor in formatted]
    if len(set(rows)) != 1 or rows[0] == 0:
        raise ArgumentError(f"all input tensors must have the same number of examples, at least one; got {rows}")
    if len({tensor.device for tensor in formatted}) != 1:
        raise ArgumentError(
            f"all input tensors must be on one device; got {[str(tensor.device) for tensor in formatted]}"
        )
    if any(tensor.element_size() > 8 for tensor in formatted):
        raise ArgumentError(f"inputs of {torch.complex128} cannot be masked; convert them to {torch.complex64}")
    _refuse_nan(formatted, "inputs")
    return formatted


def format_baselines(
    baselines: Any,
    inputs: tuple[Tensor, ...],
    masks: tuple[Tensor, ...] | None = None,
    normalisation: Normalisation | None = None,
) -> tuple[Tensor, ...]:
    """Baselines as tensors that broadcast to the inputs, on their device.

    Parameters
    ----------
    baselines : None, number, Tensor, array, str, or a tuple of these
        One for each input. A text names a baseline of images, such as "mean".
    inputs, masks : tuple of Tensor
        What was formatted before; named baselines need the masks.
    normalisation : Normalisation, optional
        What the inputs are normalised by: a named baseline is one of the images before that.

    Raises
    ------
    InputError
        If they do not fit the inputs.
    """
    if baselines is None:
        baselines = (0,) * len(inputs)
    if not isinstance(baselines, tuple):
        baselines = (baselines,)
    if len(baselines) != len(inputs):
        raise ArgumentError(
            f"there are {len(inputs)} input tensor(s) but {len(baselines)} baseline(s); give one for each"
        )
    if masks is not None:
        baselines = tuple(
            _named_baseline(each, tensor, mask, normalisation) if isinstance(each, str) else each
            for each, tensor, mask in zip(baselines, inputs, masks, strict=True)
        )
    return tuple(_format_baseline(*pair) for pair in zip(baselines, inputs, strict=True))


def _named_baseline(text: str, inputs: Tensor, mask: Tensor, normalisation: Normalisation | None) -> Tensor:
    fill = baseline_from_text(text)
    return fill(inputs, mask) if normalisation is None else normalisation.apply(fill(normalisation.undo(inputs), mask))


def _format_baseline(baseline: Any, tensor: Tensor) -> Tensor:
    if isinstance(baseline, np.ndarray | np.generic):
        baseline = torch.as_tensor(baseline)
    if isinstance(baseline, int | float):
        dtype = tensor.dtype if tensor.is_floating_point() else None
        baseline = torch.tensor(baseline, dtype=dtype, device=tensor.device)
    if not isinstance(baseline, Tensor):
        hint = "; call it first, as in baselines=blurred(x)" if callable(baseline) else ""
        raise ArgumentError(f"a baseline must be a number or a tensor; got {type(baseline).__name__}{hint}")
    if not _broadcasts(baseline.shape, tensor.shape):
        raise ArgumentError(
            f"a baseline must broadcast to its input's shape {tuple(tensor.shape)}; got {tuple(baseline.shape)}"
        )
    _refuse_nan((baseline,), "baselines")
    converted = baseline.to(tensor)
    if _holds_integers(tensor) and not torch.equal(converted.cpu().double(), baseline.cpu().double()):
        # 0.5 in an input of integers: the model sees floats then, as in Captum, rather than a baseline cut down to 0.
        return baseline.to(tensor.device)
    return converted


def format_masks(feature_mask: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Feature masks as int64 tensors that broadcast to the inputs.

    Raises
    ------
    InputError
        If they do not fit the inputs or do not hold integers.
    """
    masks = feature_mask if isinstance(feature_mask, tuple) else (feature_mask,)
    if len(masks) != len(inputs):
        raise ArgumentError(
            f"there are {len(inputs)} input tensor(s) but {len(masks)} feature mask(s); give one for each"
        )
    return tuple(_format_mask(*pair) for pair in zip(masks, inputs, strict=True))


def _format_mask(mask: Any, tensor: Tensor) -> Tensor:
    if are_masks(mask):
        mask = label_map_of(mask)
    if isinstance(mask, np.ndarray):
        mask = torch.as_tensor(mask)
    if not isinstance(mask, Tensor):
        raise ArgumentError(f"a feature mask must be a tensor of integers; got {type(mask).__name__}")
    if not _broadcasts(mask.shape, tensor.shape):
        raise ArgumentError(
            f"a feature mask must broadcast to its input's shape {tuple(tensor.shape)}; got {tuple(mask.shape)}"
        )
    if mask.is_complex() or (mask.is_floating_point() and not bool(((mask == mask.round()) & mask.isfinite()).all())):
        raise ArgumentError(f"a feature mask must hold integers; got {mask.dtype} values that are not whole")
    return mask.to(device=tensor.device, dtype=torch.int64)


def targets_of(target: Any, labels: Sequence[str] | None) -> Any:
    """Captum's target, with numbers in the place of classes that are given by name, and of NumPy's numbers.

    Raises
    ------
    TargetError
        If no class is called so, or the names are not known.
    """
    if isinstance(target, list | tuple):
        return type(target)(targets_of(each, labels) for each in target)
    if isinstance(target, np.integer):
        return int(target)
    if isinstance(target, np.ndarray) and np.issubdtype(target.dtype, np.integer):
        return torch.from_numpy(target)
    try:
        return class_number(target, labels) if isinstance(target, str) else target
    except InputError as error:
        raise TargetError(f"target: {error}") from error


def masks_of(
    feature_mask: Any,
    inputs: tuple[Tensor, ...],
    segmenter: str | Segmenter,
    to_image: ToImage | None,
    forward_func: Callable[..., Any],
    ask: Ask,
) -> tuple[Tensor, ...]:
    """The feature masks that were given, or else those that a segmenter or its name cuts.

    Raises
    ------
    InputError
        As :func:`format_masks` and :func:`default_masks`, or if there is no segmenter of that name.
    """
    if feature_mask is not None:
        return format_masks(feature_mask, inputs)
    return default_masks(inputs, as_segmenter(segmenter), to_image, forward_func, ask)


def default_masks(
    inputs: tuple[Tensor, ...],
    segmenter: Segmenter,
    to_image: ToImage | None,
    forward_func: Callable[..., Any],
    ask: Ask,
) -> tuple[Tensor, ...]:
    """Feature masks for inputs that came without: images (floating point, or uint8 up to 255) are segmented.

    Other scalars are one region each.

    Raises
    ------
    InputError
        If there are too many scalars, an image has channels that a segmenter cannot see, or a segmenter that looks into
        the model would see several images there.
    """
    masks: list[Tensor] = []
    offset = 0
    images = sum(map(_is_image, inputs))
    if isinstance(segmenter, WhiteBox) and images > 1:
        raise InputError(
            f"{type(segmenter).__name__} looks into the model, where it could not tell {images} images of one example "
            "apart; pass a feature_mask, or another segmenter"
        )
    for tensor in inputs:
        if _is_image(tensor):
            passes = (ForwardPass(forward_func, tensor[row : row + 1], partial(ask, row)) for row in range(len(tensor)))
            cuts = [_segment(row, segmenter, to_image, seen) for row, seen in zip(tensor, passes, strict=True)]
            mask = torch.stack(cuts)[:, None].to(tensor.device)
        else:
            mask = _one_region_a_scalar(tensor)
        if mask.numel():
            mask = mask - mask.min() + offset if masks else mask
            offset = int(mask.max()) + 1
        masks.append(mask)
    return tuple(masks)


def _one_region_a_scalar(tensor: Tensor) -> Tensor:
    count = tensor[0].numel()
    if count > MAX_SCALAR_REGIONS:
        raise InputError(
            f"one example has {count} scalars, and without a feature_mask each would be a region of its own "
            f"(at most {MAX_SCALAR_REGIONS}); pass a feature_mask that groups them{unbatched((tensor,))}"
        )
    return torch.arange(count, device=tensor.device).reshape(1, *tensor.shape[1:])


def image_maker(to_image: ToImage | None, normalisation: Normalisation | None) -> ToImage | None:
    """What makes an image of a model's input: what the user says, or the normalisation undone.

    Raises
    ------
    InputError
        If both are said.
    """
    if to_image is not None and normalisation is not None:
        raise InputError("to_image= and mean=, std= both say how an input becomes an image; give one of them")
    return to_image if normalisation is None else normalisation.undo


def unbatched(inputs: tuple[Tensor, ...]) -> str:
    """What to say of inputs that look like one image without its batch dimension; nothing of others."""
    shape = tuple(inputs[0].shape)
    if len(inputs) > 1 or len(shape) != 3 or shape[0] not in (1, 3) or min(shape[1:]) < _SIDE:
        return ""
    return f". If {shape} is one image, it lacks its batch dimension: pass inputs[None], {(1, *shape)}"


_SIDE = 8
"""From how many pixels a side on a plane is taken for an image's."""


def _is_image(tensor: Tensor) -> bool:
    return tensor.dim() == 4 and (tensor.is_floating_point() or tensor.dtype == torch.uint8)


def _segment(row: Tensor, segmenter: Segmenter, to_image: ToImage | None, forward_pass: ForwardPass) -> Tensor:
    if row.dtype == torch.uint8 and to_image is None:
        row = row / 255
    image = (row if to_image is None else to_image(row)).detach().float().cpu()
    if image.dim() != 3 or image.shape[0] not in (1, 3):
        raise InputError(
            f"a segmenter sees images of 3 channels (or 1); this input has shape {tuple(image.shape)}. "
            "Pass a feature_mask, or to_image= that makes an image of it"
        )
    low, high = float(image.min()), float(image.max())
    if low < 0 or high > 1:
        if to_image is None:
            warn(
                "the input is not in [0, 1], so it was stretched to that range for the segmenter; pass mean= and std= "
                "(or to_image=) to undo the model's normalisation instead"
            )
            image = (image - low) / (high - low) if high > low else torch.zeros_like(image)
        else:
            warn("to_image= gave values outside [0, 1]; they were clipped for the segmenter")
            image = image.clamp(0, 1)
    labels = cut(segmenter, image.expand(3, -1, -1), forward_pass)
    return torch.from_numpy(as_label_map(labels, (image.shape[1], image.shape[2])))


def take_apart(inputs: tuple[Tensor, ...], baselines: tuple[Tensor, ...], masks: tuple[Tensor, ...]) -> list[Example]:
    """One example for each row of the inputs."""
    examples = []
    for index in range(len(inputs[0])):
        rows = tuple(tensor[index : index + 1] for tensor in inputs)
        partition = partition_from_masks(
            [_row(mask, tensor, index) for mask, tensor in zip(masks, inputs, strict=True)],
            [tensor.shape[1:] for tensor in inputs],
        )
        own = tuple(_row(baseline, tensor, index) for baseline, tensor in zip(baselines, inputs, strict=True))
        examples.append(Example(rows, own, partition))
    return examples


def _row(values: Tensor, tensor: Tensor, index: int) -> Tensor:
    """What belongs to one example in values that broadcast to all of them, without the batch dimension."""
    if values.dim() < tensor.dim():
        return values
    return values[index] if len(values) > 1 else values[0]


def _broadcasts(shape: torch.Size, target: torch.Size) -> bool:
    if len(shape) > len(target):
        return False
    pairs = zip(reversed(shape), reversed(target), strict=False)
    return all(own in (1, size) for own, size in pairs)


def _holds_integers(tensor: Tensor) -> bool:
    return not (tensor.is_floating_point() or tensor.is_complex())


def _refuse_nan(tensors: tuple[Tensor, ...], name: str) -> None:
    for position, tensor in enumerate(tensors):
        if not _holds_integers(tensor) and bool(tensor.isnan().any()):
            raise InputError(
                f"{name}[{position}] holds NaN, so no answer of the model would mean anything; clean it first"
            )


KEYWORDS = ("n_samples", "return_input_shape", "sliding_window_shapes", "strides", "zoom")


@dataclass(frozen=True)
class CaptumKeywords:
    """What the keywords of Lime, KernelShap, ShapleyValueSampling and Occlusion mean here.

    Attributes
    ----------
    n_samples : int or None
        Most evaluations for one example.
    return_input_shape : bool
        Whether attributions are shaped like the inputs, or (N, regions).
    masks : tuple of Tensor or None
        Feature masks of the tiles that sliding windows cut.
    zoom : int
        Levels to zoom in.
    """

    n_samples: int | None
    return_input_shape: bool
    masks: tuple[Tensor, ...] | None
    zoom: int = 0

    def budget(self, max_evaluations: int | None) -> int | None:
        """The smaller of the two bounds."""
        bounds = [bound for bound in (self.n_samples, max_evaluations) if bound is not None]
        return min(bounds, default=None)


def read_keywords(keywords: dict[str, Any], inputs: tuple[Tensor, ...], feature_mask: Any) -> CaptumKeywords:
    """Check and translate.

    Raises
    ------
    InputError
        If a keyword is not understood, or its value makes no sense here.
    """
    unknown = sorted(set(keywords) - set(KEYWORDS))
    if unknown:
        raise InputError(f"unknown argument(s) {', '.join(unknown)}; understood beside Captum's: {', '.join(KEYWORDS)}")
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
    return CaptumKeywords(n_samples, return_input_shape, masks, keywords.get("zoom", 0))


def _tiles(windows: Any, strides: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Feature masks of adjacent windows, numbered on from tensor to tensor."""
    per_tensor = windows if _is_tuple_of_tuples(windows) else (windows,)
    if len(per_tensor) != len(inputs):
        raise ArgumentError(f"there are {len(inputs)} input tensor(s) but {len(per_tensor)} sliding window(s)")
    strides_of = strides if len(inputs) > 1 and isinstance(strides, tuple) else (strides,) * len(inputs)
    if len(strides_of) != len(inputs):
        raise ArgumentError(f"there are {len(inputs)} input tensor(s) but {len(strides_of)} strides")
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
        raise ArgumentError(f"a sliding window needs one positive size for each dimension of {shape}; got {window!r}")
    if any(size > whole for size, whole in zip(window, shape, strict=True)):
        raise ArgumentError(f"the sliding window {window} is larger than one example, {shape}")
    steps = window if stride is None else (stride,) * len(shape) if isinstance(stride, int) else stride
    if not isinstance(steps, tuple | list) or len(steps) != len(shape) or not all(_positive(step) for step in steps):
        raise ArgumentError(f"strides need one positive step for each dimension of {shape}; got {stride!r}")
    for step, size, whole in zip(steps, window, shape, strict=True):
        if size not in (step, whole):
            raise ArgumentError(
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


def check_bound(name: str, bound: Any, kind: Any) -> None:
    """Refuse a bound that is neither a positive number nor None."""
    if bound is not None and (isinstance(bound, bool) or not isinstance(bound, kind) or not bound > 0):
        raise InputError(f"{name} must be a positive number, or None for no bound; got {bound!r}")
