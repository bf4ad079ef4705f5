"""Baselines: what the pixels of dropped regions are replaced by.

Each function maps a batch of images, (N, C, H, W), to a tensor of the same shape, dtype and device, for use as
``explainer.attribute(x, baselines=blurred(x))``. No baseline is neutral: black hides a black object, a blur leaves the
large shapes. An explanation is about the model *and* its baseline.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from captum_focalogic import names
from captum_focalogic.errors import InputError

FromImage = Callable[[Tensor], Tensor]
"""A model's normalisation: images (N, C, H, W) in [0, 1] to inputs of the model."""

Baseline = Callable[[Tensor, Tensor], Tensor]
"""Inputs (N, C, H, W) and feature mask, broadcastable to them, to baselines."""

_BEYOND = 1e-3
"""How far outside of [0, 1] resizing leaves floats of images."""


def mean_colour(inputs: Tensor) -> Tensor:
    """Each image's own mean colour, everywhere."""
    values = _images(inputs)
    return _like(values.mean(dim=(2, 3), keepdim=True).expand_as(values), inputs)


def blurred(inputs: Tensor, sigma: float | None = None) -> Tensor:
    """Each image, blurred with a Gaussian; beyond the edge, the outermost pixels repeat.

    Parameters
    ----------
    inputs : (N, C, H, W) Tensor
        Images.
    sigma : float, optional
        Standard deviation in pixels; by default a tenth of the shorter side, which leaves patches of colour.

    Raises
    ------
    InputError
        If ``inputs`` is not a batch of images, or ``sigma`` is not positive or is more than the longer side.
    """
    values = _images(inputs)
    sigma = min(inputs.shape[2:]) / 10 if sigma is None else sigma
    longest = max(inputs.shape[2:])
    if not (sigma > 0 and math.isfinite(sigma)):
        raise InputError(f"sigma must be a positive number of pixels; got {sigma}")
    if sigma > longest:
        # Beyond that nothing changes but the time and the memory that it takes.
        raise InputError(f"sigma must be at most the image's longer side, {longest} pixels; got {sigma}")
    radius = math.ceil(3 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=values.dtype, device=values.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    channels = values.reshape(-1, 1, *values.shape[2:])
    # A Gaussian is a product of one over rows and one over columns: two passes, each linear in the radius.
    channels = F.conv2d(F.pad(channels, (radius, radius, 0, 0), mode="replicate"), kernel.reshape(1, 1, 1, -1))
    channels = F.conv2d(F.pad(channels, (0, 0, radius, radius), mode="replicate"), kernel.reshape(1, 1, -1, 1))
    return _like(channels.reshape(values.shape), inputs)


def white(inputs: Tensor, from_image: FromImage | None = None) -> Tensor:
    """White, everywhere; ``from_image`` as in :func:`constant`."""
    return constant(inputs, 1.0, from_image)


def black(inputs: Tensor, from_image: FromImage | None = None) -> Tensor:
    """Black, everywhere; ``from_image`` as in :func:`constant`."""
    return constant(inputs, 0.0, from_image)


def constant(inputs: Tensor, value: float, from_image: FromImage | None = None) -> Tensor:
    """One shade of grey, everywhere.

    Parameters
    ----------
    inputs : (N, C, H, W) Tensor
        Images.
    value : float
        The shade: 0 is black, 1 is white.
    from_image : callable, optional
        The model's normalisation, applied to the grey image; needed if ``inputs`` are normalised, where 0 is not black.

    Raises
    ------
    InputError
        If ``inputs`` is not a batch of images in floating point, or ``from_image`` changes the shape.
    """
    _images(inputs)
    if not inputs.is_floating_point():
        raise InputError(f"a shade between 0 and 1 needs images in floating point; these are {inputs.dtype}")
    grey = torch.full_like(inputs, value)
    if from_image is None:
        return grey
    shaded = from_image(grey)
    if shaded.shape != inputs.shape:
        raise InputError(
            f"from_image must keep the shape of the images, {tuple(inputs.shape)}; it gave {tuple(shaded.shape)}"
        )
    return _like(shaded, inputs)


def region_mean(inputs: Tensor, feature_mask: Tensor) -> Tensor:
    """Each region's own mean colour: dropping a region takes its texture and leaves its colour.

    Parameters
    ----------
    inputs : (N, C, H, W) Tensor
        Images.
    feature_mask : Tensor
        Region ids, broadcastable to the inputs, as (H, W), (1, 1, H, W) or (N, C, H, W).

    Raises
    ------
    InputError
        If ``inputs`` is not a batch of images or the mask does not fit it.
    """
    values = _images(inputs)
    try:
        regions = feature_mask.to(inputs.device).expand_as(values)
    except RuntimeError as error:
        raise InputError(
            f"the feature mask must be broadcastable to the inputs, {tuple(inputs.shape)}; got "
            f"{tuple(feature_mask.shape)}"
        ) from error
    region_ids, columns = torch.unique(regions, return_inverse=True)
    images, channels = values.shape[:2]
    planes = torch.arange(images * channels, device=inputs.device).reshape(images, channels, 1, 1)
    cells = (planes * len(region_ids) + columns).reshape(-1)
    total = values.new_zeros(images * channels * len(region_ids)).index_add_(0, cells, values.reshape(-1))
    count = torch.bincount(cells, minlength=len(total)).clamp(min=1)
    return _like((total / count)[cells].reshape(values.shape), inputs)


def fill_words(values: Tensor, image: Tensor, to_image: Callable[[Tensor], Tensor] | None = None) -> str | None:
    """What one number in the place of dropped regions looks like, such as "0, black"; None where that is not known.

    Parameters
    ----------
    values : Tensor
        What they are replaced by.
    image : (C, H, W) Tensor
        The image, as the model sees it.
    to_image : callable, optional
        Makes an image in [0, 1] of what the model sees, where it is normalised.
    """
    if image.dim() != 3 or image.shape[0] not in (1, 3) or not image.is_floating_point() or values.numel() != 1:
        return None
    number = float(values)
    if to_image is None:
        if float(image.min()) < 0 or float(image.max()) > 1:
            return f"{number:g}, of inputs that are no images in [0, 1]" + (
                "; where a mean was subtracted it is that mean, a grey" if number == 0 else ""
            )
        return f"{number:g}, {_look([number])}" if 0 <= number <= 1 else None
    seen = to_image(values.to(image).reshape(1, 1, 1).expand(image.shape[0], 1, 1)).flatten().tolist()
    return f"{number:g}, which is {_look(seen)} here, ({', '.join(f'{share:.2f}' for share in seen)})"


def _look(shares: Sequence[float]) -> str:
    low, high = min(shares), max(shares)
    if high <= _BLACK or low >= 1 - _BLACK:
        return "black" if high <= _BLACK else "white"
    return "a grey" if high - low <= _TINGE else "a colour"


_BLACK = 0.02
"""Shares of white that nobody tells from black."""

_TINGE = 0.15
"""How far the channels of a grey may lie apart: the usual mean colour, (0.49, 0.46, 0.41), is taken for one."""


def baseline_from_text(text: str) -> Baseline:
    """A baseline from its name: ``mean``, ``blur``, ``blur:SIGMA``, ``white``, ``black``, ``region-mean``, a shade of
    grey between 0 and 1, or what another package registers. For models that take images in [0, 1].

    Raises
    ------
    InputError
        If the name is unknown or its number is malformed.
    """
    try:
        shade = float(text)
    except ValueError:
        found: Baseline = names.find("baseline", text, also=["a shade of grey between 0 and 1"])
        return found
    if not 0 <= shade <= 1:
        raise InputError(f"baseline {text!r}: a shade of grey lies between 0 (black) and 1 (white)")
    return _shade(shade)


def named_mean(_: str) -> Baseline:
    """The name ``mean``."""
    return lambda inputs, _: mean_colour(inputs)


def named_white(_: str) -> Baseline:
    """The name ``white``."""
    return _shade(1.0)


def named_black(_: str) -> Baseline:
    """The name ``black``."""
    return _shade(0.0)


def _shade(value: float) -> Baseline:
    """A shade of grey of images in [0, 1]; in normalised ones 0 would be the mean colour and 1 anything."""

    def fill(inputs: Tensor, _: Tensor) -> Tensor:
        low, high = (float(bound) for bound in inputs.aminmax()) if inputs.numel() else (0.0, 0.0)
        if inputs.is_floating_point() and (low < -_BEYOND or (value and high > 1 + _BEYOND)):
            raise InputError(
                f"black, white and shades of grey are of images in [0, 1]; these lie in [{low:.3g}, {high:.3g}]. Say "
                "what they are normalised by, mean= and std=, such as those of weights.transforms()"
            )
        return constant(inputs, value)

    return fill


def named_blur(text: str) -> Baseline:
    """The name ``blur``, with sigma behind the colon or without.

    Raises
    ------
    InputError
        If sigma is no number.
    """
    try:
        sigma = float(text) if text else None
    except ValueError as error:
        raise names.miswritten("baseline", f"blur:{text}") from error
    return lambda inputs, _: blurred(inputs, sigma)


def named_region_mean(_: str) -> Baseline:
    """The name ``region-mean``."""
    return region_mean


def _images(inputs: Tensor) -> Tensor:
    """The inputs in a floating type that sums are accurate in."""
    if inputs.dim() != 4:
        raise InputError(f"a named baseline needs images of shape (N, C, H, W); got {tuple(inputs.shape)}")
    # Sums depend on the order of the memory in their last digits, and digests of baselines on these.
    return (inputs if inputs.dtype == torch.float64 else inputs.float()).contiguous()


def _like(values: Tensor, inputs: Tensor) -> Tensor:
    if not inputs.is_floating_point():
        values = values.round()
    return values.to(inputs.dtype).contiguous()
