"""The strongest Gaussian noise under which a model still gives an image the same class, found by bisection."""

import zlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from captum_focalogic.errors import InputError
from captum_focalogic.oracle.forward import as_rows

HIGHEST = 1.0
"""Standard deviation up to which noise is tried, pixels being in [0, 1]: beyond it, nearly every pixel is clipped."""

TOLERANCE = 2.0**-9
"""Distance to the boundary at which bisection stops: half a step of an 8-bit pixel."""


def noise_of(shape: tuple[int, ...], seed: str) -> Tensor:
    """Standard normal noise, the same for the same seed."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(seed.encode())))


def with_noise(images: Tensor, noise: Tensor, sigmas: Tensor) -> Tensor:
    """Images with noise of a standard deviation each, clipped to [0, 1].

    Parameters
    ----------
    images, noise : (N, C, H, W) Tensor
    sigmas : (N,) Tensor
    """
    return (images + sigmas[:, None, None, None] * noise).clamp(0.0, 1.0)


def largest_noise(
    forward: Callable[[Tensor], Any],
    images: Tensor,
    noise: Tensor,
    highest: float = HIGHEST,
    tolerance: float = TOLERANCE,
) -> Tensor:
    """The standard deviation up to which each image keeps its class under a given noise.

    An image that keeps it at ``highest`` gets ``highest``. For any other, bisection between 0 and ``highest`` ends at a
    place where the class is kept and lost within ``tolerance`` above; where the class comes back under still more
    noise, that is not looked for.

    Parameters
    ----------
    forward : callable
        Images (N, C, H, W) in [0, 1] to scores (N, K), or to one answer an image.
    images, noise : (N, C, H, W) Tensor
        The direction of the noise is fixed; only its strength is searched.
    highest, tolerance : float
        Above 0.

    Returns
    -------
    (N,) float32 Tensor
        A strength that was tried and kept the class, or 0.

    Raises
    ------
    InputError
        If ``highest`` or ``tolerance`` is not above 0.
    """
    if not (highest > 0 and tolerance > 0):
        raise InputError(f"highest and tolerance must be above 0; got {highest} and {tolerance}")
    classes = classes_of(forward, images)

    def kept(sigmas: Tensor) -> Tensor:
        return classes_of(forward, with_noise(images, noise, sigmas)) == classes

    high = torch.full((len(images),), highest, device=images.device)
    low = torch.where(kept(high), high, torch.zeros_like(high))
    while bool((high - low > tolerance).any()):
        middle = (low + high) / 2
        holds = kept(middle)
        low, high = torch.where(holds, middle, low), torch.where(holds, high, middle)
    return low


def classes_of(forward: Callable[[Tensor], Any], images: Tensor) -> Tensor:
    """The class that a model gives each image, (N,); one number an image is a class, or decides by its sign."""
    with torch.no_grad():
        rows = as_rows(forward(images), len(images)).reshape(len(images), -1)
    if rows.shape[1] > 1:
        return rows.argmax(dim=1)
    return (rows[:, 0] > 0).long() if rows.is_floating_point() else rows[:, 0]
