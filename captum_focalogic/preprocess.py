"""Preprocessings as people have them: what one does to colours and to places is found out by showing it plain images.

Users hand over what they use anyway: the transforms of torchvision's weights, a ``Compose`` that ends in ``Normalize``,
timm's transform, an image processor of transformers, a function. Regions, pictures and baselines need what the model
sees as an image in [0, 1], so normalisation is undone, and masks of the original's size have to follow the crop.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from captum_focalogic.arrays import Floats, Labels
from captum_focalogic.errors import InputError, warn
from captum_focalogic.images import check_seen, image_tensor

_SIDE = 256
"""Of the plain images that a preprocessing is shown, in pixels."""

_TOLERANCE = 2e-2
"""How far grey may lie from the line through black and white, as a share: what 8 bits and half precision leave."""


class Normalisation:
    """What a model's inputs are normalised by: ``(image - mean) / std`` of images in [0, 1], each channel.

    Parameters
    ----------
    mean, std : float, or sequence, array or Tensor of floats
        One for each channel, or one for all.
    order : sequence of int, optional
        Which channel of the image each of the model's is, (2, 1, 0) for blue, green and red; mean and std go by the
        model's.

    Raises
    ------
    InputError
        If they are no such numbers, or a standard deviation is not positive.

    Examples
    --------
    >>> half = Normalisation(0.5, 0.5)
    >>> half.apply(torch.ones(3, 1, 1)).flatten().tolist(), half.undo(torch.zeros(3, 1, 1)).flatten().tolist()
    ([1.0, 1.0, 1.0], [0.5, 0.5, 0.5])
    """

    def __init__(self, mean: Any, std: Any, order: Sequence[int] | None = None) -> None:
        self.mean, self.std = _by_channel("mean", mean), _by_channel("std", std)
        self.order = None if order is None else tuple(order)
        if not bool((self.std > 0).all()) or len({1, len(self.mean), len(self.std)}) > 2:
            raise InputError(
                "mean and std must have a number for each channel, and std positive ones; got "
                f"{self.mean.tolist()} and {self.std.tolist()}"
            )

    @classmethod
    def stated(cls, mean: Any, std: Any) -> "Normalisation | None":
        """That of the arguments ``mean=`` and ``std=``; None where neither is given.

        Raises
        ------
        InputError
            If one is given without the other, or they do not fit.
        """
        if (mean is None) != (std is None):
            raise InputError("mean= and std= go together; give both, such as weights.transforms().mean and .std")
        return None if mean is None else cls(mean, std)

    def like(self, other: "Normalisation") -> bool:
        """Whether both are the same, as far as 8 bits tell."""
        pairs = ((self.mean, other.mean), (self.std, other.std))
        return all(
            bool(((own - its).abs() <= _TOLERANCE).all()) for own, its in pairs if len({len(own), len(its), 1}) < 3
        )

    def apply(self, images: Tensor) -> Tensor:
        """Inputs (..., C, H, W) of images in [0, 1]."""
        mean, std = self._for(images)
        return ((images if self.order is None else images[..., self.order, :, :]) - mean) / std

    def undo(self, inputs: Tensor) -> Tensor:
        """Images of inputs (..., C, H, W)."""
        mean, std = self._for(inputs)
        images = inputs * std + mean
        return images if self.order is None else images[..., [self.order.index(place) for place in (0, 1, 2)], :, :]

    def _for(self, values: Tensor) -> tuple[Tensor, Tensor]:
        channels = max(len(self.mean), len(self.std))
        if values.dim() < 3 or not values.is_floating_point() or channels not in (1, values.shape[-3]):
            raise InputError(
                f"mean and std of {channels} channel(s) are for images (N, {channels}, H, W) in floating point; got "
                f"{tuple(values.shape)} of {values.dtype}"
            )
        return self.mean[:, None, None].to(values), self.std[:, None, None].to(values)

    def __repr__(self) -> str:
        order = "" if self.order is None else f", order={self.order}"
        return f"Normalisation(mean={_listed(self.mean)}, std={_listed(self.std)}{order})"


def _near(one: Tensor, other: Tensor) -> bool:
    return bool(((one - other).abs() <= _TOLERANCE).all())


def _by_channel(name: str, values: Any) -> Tensor:
    try:
        numbers = torch.as_tensor(values, dtype=torch.float64).detach().cpu().reshape(-1)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} must be a number, or one for each channel; got {values!r}") from error
    if not len(numbers) or not bool(numbers.isfinite().all()):
        raise InputError(f"{name} must be a number, or one for each channel; got {values!r}")
    return numbers


def _listed(numbers: Tensor) -> list[float]:
    return [round(number, 4) for number in numbers.tolist()]


class Preprocess:
    """A preprocessing that gives images in [0, 1], whatever the one inside it gives.

    Parameters
    ----------
    function : callable
        An image (PIL) to an image, or to a tensor or array (C, H, W) or (1, C, H, W), normalised or not; image
        processors of transformers give theirs as ``pixel_values``.
    channels : int
        Of the model's images: 1 for a network of grey images, to which grey photographs go in one channel.

    Attributes
    ----------
    normalisation : Normalisation or None
        What it normalises by, and in which order it gives the channels; None if it gives images in [0, 1], or something
        that cannot be undone.
    """

    def __init__(self, function: Callable[[Image.Image], Any], channels: int = 3) -> None:
        if not callable(function):
            raise InputError(f"preprocess must be a function of an image; got a {type(function).__name__}")
        self.function = function
        self.channels = channels
        self.normalisation = _found_normalisation(self)
        self._known: dict[tuple[int, ...], tuple[Positions, Positions]] = {}

    def __call__(self, image: Image.Image) -> Tensor:
        """What the model sees of an image, (C, H, W) in [0, 1].

        Raises
        ------
        InputError
            If the preprocessing gives no image, or one outside of [0, 1] whose normalisation cannot be undone.
        """
        seen = self.given(image)
        if self.normalisation is not None and isinstance(seen, Image.Image):
            seen = image_tensor(seen)
        if self.normalisation is not None and isinstance(seen, Tensor):
            # Beyond [0, 1] lies what sharp resampling and rounding leave.
            seen = self.normalisation.undo(seen.detach().float().cpu()).clamp(0, 1)
        return one_channel(check_seen(seen)) if self.channels == 1 else check_seen(seen)

    def labels(self, label_map: Labels) -> Labels:
        """A label map of an image's size as the model sees it: the id of the pixel that each seen pixel comes from.

        Raises
        ------
        InputError
            If the preprocessing does more than resize, crop and flip.
        """
        if label_map.shape not in self._known:
            self._known[label_map.shape] = self._places(*label_map.shape)
        rows, columns = self._known[label_map.shape]
        return np.ascontiguousarray(label_map[rows][:, columns])

    def given(self, image: Image.Image) -> Any:
        """What the function gives, as an image or one tensor."""
        seen = self.function(image)
        if isinstance(seen, Mapping) and "pixel_values" in seen:
            seen = seen["pixel_values"]
            seen = seen[0] if isinstance(seen, list) else seen
        if isinstance(seen, np.ndarray) and seen.dtype.kind == "f":
            seen = torch.from_numpy(seen)
        return seen[0] if isinstance(seen, Tensor) and seen.dim() == 4 and len(seen) == 1 else seen

    def _places(self, height: int, width: int) -> "tuple[Positions, Positions]":
        across = np.broadcast_to(np.linspace(0, 255, width).round(), (height, width))
        down = np.broadcast_to(np.linspace(0, 255, height).round()[:, None], (height, width))
        # What a ramp from black to white looks like afterwards says which column, or row, each pixel comes from.
        columns = _origins(self._shown(across), width)
        rows = _origins(self._shown(down).T, height)
        return rows, columns

    def _shown(self, shades: Floats) -> Floats:
        image = Image.fromarray(shades.astype(np.uint8)).convert("RGB")
        return np.asarray(self(image).mean(dim=0).double().numpy())


Positions = NDArray[np.intp]
"""The row, or the column, of an image that each row of what is seen comes from."""


def _origins(shades: Floats, extent: int) -> Positions:
    """Where each column of a ramp comes from, of so many pixels."""
    columns = np.arange(shades.shape[1], dtype=np.float64)
    seen = shades.mean(axis=0) * (extent - 1)
    line = np.polynomial.Polynomial.fit(columns, seen, 1)(columns) if len(columns) > 1 else seen
    # 8 bits, rounded twice; beyond the middle of the outermost pixel there is nothing to go on from.
    most = 2.5 / 255 * (extent - 1) + 0.6
    flat = len(columns) > 1 and extent > 1 and seen.min() == seen.max()
    if flat or np.abs(shades * (extent - 1) - line).max() > most:
        raise InputError(
            "the label map is of the image's size, but the model's preprocess does more than resize, crop and flip; "
            "make the label map as large as what the model sees"
        )
    # Of a longer ramp several pixels share a shade, which the line tells apart.
    return np.asarray(np.rint(seen if extent <= _SIDE else line).clip(0, extent - 1), dtype=np.intp)


def one_channel(seen: Tensor) -> Tensor:
    """A grey image in one channel, (1, H, W).

    Raises
    ------
    InputError
        If it has colours.
    """
    if float((seen - seen[:1]).abs().max()) > _TOLERANCE:
        raise InputError(
            "the model takes images of one channel, and this image has colours; make it grey the way the model's own "
            'images were, such as preprocess=lambda image: image.convert("L")'
        )
    return seen[:1]


def _found_normalisation(preprocess: Preprocess) -> Normalisation | None:
    """What a preprocessing normalises by, by what it makes of black, white, grey and each channel alone."""
    try:
        black, white, grey, *alone = (
            _colour(preprocess.given(Image.new("RGB", (_SIDE, _SIDE), colour))) for colour in _PLAIN
        )
    except Exception as error:
        warn(
            f"preprocess failed on a plain image ({type(error).__name__}: {error}), so whether it normalises is not "
            "known; it is taken to give images in [0, 1]"
        )
        return None
    if black is None or white is None or grey is None or not bool((white > black).all()):
        return None
    between = (grey - black) / (white - black) - _PLAIN[2][0] / 255
    if not bool((between.abs() <= _TOLERANCE).all()):
        return None
    std = 1 / (white - black)
    order = _found_order(torch.stack([(one - black) * std for one in alone if one is not None]))
    unchanged = bool((black.abs() <= 1e-3).all()) and bool(((std - 1).abs() <= 1e-2).all())
    if unchanged:
        return None if order is None else Normalisation(0.0, 1.0, order)
    return Normalisation(-black * std, std, order)


def _found_order(parts: Tensor) -> tuple[int, ...] | None:
    """Which channel of an image each of the model's is; ``parts[i, j]`` is how much of ``i`` is in its ``j``.

    None where they are in place, or mixed, as in an image made grey.
    """
    order = tuple(parts.argmax(dim=0).tolist())
    if sorted(order) != [0, 1, 2] or order == (0, 1, 2):
        return None
    return order if _near(parts, torch.eye(3).to(parts)[:, order]) else None


_PLAIN = ((0, 0, 0), (255, 255, 255), (128, 128, 128), (255, 0, 0), (0, 255, 0), (0, 0, 255))


def _colour(seen: Any) -> Tensor | None:
    """The middle pixel of what a preprocessing gave, (C,); None where it is no image and no tensor of floats."""
    if isinstance(seen, Image.Image):
        seen = image_tensor(seen)
    if not isinstance(seen, Tensor) or seen.dim() != 3 or not seen.is_floating_point() or not seen.numel():
        return None
    return seen[:, seen.shape[1] // 2, seen.shape[2] // 2].detach().double().cpu()


__all__ = ["Normalisation", "Preprocess", "one_channel"]
