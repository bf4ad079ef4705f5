"""What an input looks like, for showing it beside its explanation."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from captum_focalogic.arguments import ToImage
from captum_focalogic.focus import Focus
from captum_focalogic.masking import Example


def with_image(focus: Focus, example: Example, to_image: ToImage | None) -> Focus:
    """The focus with its image, where the example is one that can be shown.

    Parameters
    ----------
    focus : Focus
    example : Example
        What the focus is about.
    to_image : callable, optional
        Undoes the model's normalisation: (C, H, W) -> (3, H, W) in [0, 1]. Without it, values outside [0, 1] are
        stretched to that range, as for a segmenter.
    """
    if focus.label_map is None:
        return focus
    row = example.inputs[0][0]
    image = image_bytes(row if to_image is None else to_image(row), stretched=to_image is None)
    return focus if image is None or image.shape[:2] != focus.label_map.shape else replace(focus, image=image)


def image_bytes(image: Tensor, stretched: bool = True) -> NDArray[np.uint8] | None:
    """An image as (H, W, 3) bytes, or None where it has other than 1 or 3 channels or values that are not finite.

    Parameters
    ----------
    image : (3, H, W) or (1, H, W) Tensor
        Floats in [0, 1], or bytes.
    stretched : bool
        What becomes of floats outside [0, 1]: stretched to that range, else clipped.
    """
    if image.dim() != 3 or image.shape[0] not in (1, 3) or not image.numel():
        return None
    pixels = image.detach().float().cpu().numpy()
    if not np.isfinite(pixels).all():
        return None
    low, high = float(pixels.min()), float(pixels.max())
    if not image.is_floating_point() and low >= 0 and high <= 255:
        pixels = pixels / 255
    elif stretched and (low < 0 or high > 1):
        pixels = (pixels - low) / (high - low if high > low else 1.0)
    shown = np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(shown, (3, *shown.shape[1:])).transpose(1, 2, 0))
