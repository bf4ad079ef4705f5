"""The picture under the regions, as a data URI."""

import base64
import io

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from captum_focalogic.errors import InputError
from captum_focalogic.report.painting import image_bytes

_LONGEST = 1280
_LOSSLESS = 160
_TINTS = ((214, 205, 190), (186, 200, 209), (197, 209, 187), (222, 212, 176), (190, 190, 208), (221, 196, 178))


def picture_for(image: ArrayLike | None, label_map: NDArray[np.int64]) -> Image.Image:
    """The image itself, or a map of the regions where no image is at hand.

    Parameters
    ----------
    image : (3, H, W) float in [0, 1], or (H, W, 3) uint8, or None
    label_map : (H, W) int

    Raises
    ------
    InputError
        If the image is of another kind, or of another size than the label map.
    """
    if image is None:
        columns = np.unique(label_map, return_inverse=True)[1].reshape(label_map.shape)
        return Image.fromarray(np.array(_TINTS, dtype=np.uint8)[columns % len(_TINTS)])
    pixels = image_bytes(image)
    if pixels.shape[:2] != label_map.shape:
        raise InputError(
            f"the image has {pixels.shape[0]} x {pixels.shape[1]} pixels but the regions were cut from "
            f"{label_map.shape[0]} x {label_map.shape[1]}; pass the image as the model got it"
        )
    return Image.fromarray(np.ascontiguousarray(pixels))


def data_uri(picture: Image.Image, longest: int = _LONGEST) -> str:
    """A picture as text: PNG where it is small, JPEG otherwise."""
    picture = picture.convert("RGB").copy()
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    lossless = max(picture.size) <= _LOSSLESS
    if lossless:
        picture.save(stream, "PNG", optimize=True)
    else:
        # Not optimised: Pillow's buffer for that is too small for large, noisy pictures.
        picture.save(stream, "JPEG", quality=88, subsampling=0)
    kind = "png" if lossless else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
