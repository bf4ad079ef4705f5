"""Images: opened by one rule, converted by one rule, fitted to what a model takes by one rule. No torch until asked.

What a file holds is scaled by the file's own bit depth, so that a photograph stays the same photograph whether it was
saved with 8, 16 or 32 bits or in floating point. What cannot be told is refused, not guessed.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from captum_focalogic.arrays import Bytes
from captum_focalogic.errors import InputError, warn
from captum_focalogic.files import MALFORMED, replacing

if TYPE_CHECKING:
    from torch import Tensor


Fit = Callable[..., Image.Image]
"""From an image of any size to the part and size of it that a model takes; with ``nearest=True``, of a label map."""

ROUNDING = 1e-3
"""How far beyond [0, 1] floats may lie, as resizing leaves them."""


def open_image(source: "str | Path | bytes | BinaryIO | Image.Image | ArrayLike | Tensor") -> Image.Image:
    """An image, upright and in 8-bit RGB.

    Files and Pillow's images are turned upright by their EXIF data; transparent pixels are laid on white, and of
    several frames the first is taken, each with a warning. Deep pixels are scaled by their own bit depth: 65535 of 16
    bits are white. Floats must lie in [0, 1].

    Parameters
    ----------
    source : path, bytes, binary file, Pillow image, array or Tensor
        Arrays and tensors are (H, W), (H, W, 3) or (H, W, 4), or (3, H, W) or (1, H, W). Where the shape alone leaves
        two readings, integers have their channels last and floats first.

    Returns
    -------
    PIL.Image.Image
        Of mode RGB.

    Raises
    ------
    InputError
        If it is no image, is damaged or too large, or its scale cannot be told; the message names the file and says
        what to do.

    Warns
    -----
    FocaLogicWarning
        If pixels are transparent, or there are several frames.

    Examples
    --------
    >>> open_image(np.array([[0.0, 0.5, 1.0]])).getpixel((1, 0))
    (128, 128, 128)
    """
    if isinstance(source, str | Path | bytes | Image.Image) or hasattr(source, "read"):
        return _in_rgb(_stored(source, "image"))
    values = _channels_last(_array(source))
    if values.ndim == 3 and values.shape[2] == 4:
        return _in_rgb(_Stored(Image.fromarray(_bytes(_shares(values, "the image")), "RGBA"), "the image"))
    return Image.fromarray(_three(_bytes(_shares(values, "the image"))))


def decode_image(source: str | Path | bytes | BinaryIO | Image.Image, what: str = "image") -> Image.Image:
    """A file's first frame, upright, its pixel values as they are stored: for masks and label maps.

    Parameters
    ----------
    source : path, bytes, binary file or Pillow image
        What is decoded.
    what : str
        What messages call it: "mask", "label map".

    Returns
    -------
    PIL.Image.Image
        Of the file's mode; its ``format`` is the file's.

    Raises
    ------
    InputError
        If it is no image, is damaged or too large.
    """
    return _stored(source, what).image


def check_seen(seen: Any, preprocess: str = "preprocess") -> "Tensor":
    """What a preprocessing made of an image, (3, H, W) or in grey (1, H, W), float32 in [0, 1] on the CPU.

    Parameters
    ----------
    seen : PIL image or Tensor
        What it gave.
    preprocess : str
        What an error calls it.

    Raises
    ------
    InputError
        If it is neither, or lies outside of [0, 1].
    """
    import torch

    if isinstance(seen, Image.Image):
        return image_tensor(seen)
    if not isinstance(seen, torch.Tensor) or seen.dim() != 3 or seen.shape[0] not in (1, 3) or not seen.numel():
        given = tuple(seen.shape) if isinstance(seen, torch.Tensor) else type(seen).__name__
        raise InputError(f"{preprocess} must return an image (PIL) or a (3, H, W) tensor; got {given}")
    low, high = float(seen.min()), float(seen.max())
    if not (low >= 0 and high <= 1):
        raise InputError(
            f"{preprocess} must return an image in [0, 1], or one that is normalised, each channel by a mean and a "
            f"standard deviation; this one lies in [{low:.3g}, {high:.3g}]. Move what else it does into the model"
        )
    return seen.detach().float().cpu()


def write_image(path: str | Path, image: Image.Image) -> Path:
    """Write an image, whole or not at all, in the format that the file's ending tells.

    Raises
    ------
    FileError
        If it cannot be written.
    InputError
        If there is no such format.
    """
    with replacing(path) as unfinished:
        try:
            # Of a PNG: Pillow's own level takes four times as long for files a sixth smaller. Other formats have none.
            image.save(unfinished, compress_level=1)
        except (ValueError, KeyError) as error:
            raise InputError(f"{path} cannot be written as an image: {error}") from error
    return Path(path)


def image_tensor(image: "str | Path | Image.Image | ArrayLike | Tensor") -> "Tensor":
    """An image as a float32 tensor (3, H, W) in [0, 1], on the CPU; floats keep their precision.

    Raises
    ------
    InputError
        As :func:`open_image`.
    """
    import torch

    if not isinstance(image, str | Path | Image.Image):
        values = _channels_last(_array(image))
        if values.ndim == 2 or values.shape[2] != 4:
            pixels = _three(_shares(values, "the image").astype(np.float32)).transpose(2, 0, 1)
            return torch.from_numpy(np.array(pixels, order="C"))
    return torch.from_numpy(np.array(open_image(image))).permute(2, 0, 1).float() / 255


def image_bytes(image: "ArrayLike | Tensor", stretched: bool = True) -> Bytes | None:
    """Inputs of a model as an image for people, or None where they are none.

    Parameters
    ----------
    image : (3, H, W) or (1, H, W) array or Tensor
        Floats, or bytes.
    stretched : bool
        What becomes of floats outside [0, 1]: stretched to that range, else clipped.

    Returns
    -------
    (H, W, 3) uint8 or None
        None where there are other than 1 or 3 channels, or values that are not finite.
    """
    values = _array(image)
    if values.ndim != 3 or values.shape[0] not in (1, 3) or not values.size:
        return None
    whole = not np.issubdtype(values.dtype, np.floating)
    pixels: NDArray[np.floating] = values.astype(np.float32)
    if not np.isfinite(pixels).all():
        return None
    low, high = float(pixels.min()), float(pixels.max())
    if whole and low >= 0 and high <= 255:
        pixels = pixels / 255
    elif stretched and (low < 0 or high > 1):
        pixels = (pixels - low) / (high - low if high > low else 1.0)
    return _three(_bytes(pixels.clip(0, 1).transpose(1, 2, 0)))


def resize_image(
    image: Image.Image, height: int, width: int, resampling: Image.Resampling = Image.Resampling.BILINEAR
) -> Image.Image:
    """An image of another size, whatever its aspect ratio."""
    return image if image.size == (width, height) else image.resize((width, height), resampling)


def resize_labels(label_map: NDArray[np.integer], height: int, width: int) -> NDArray[np.int64]:
    """A label map of another size: each pixel takes the id of the nearest one."""
    return fit_labels(label_map, Stretch(height, width))


def fit_labels(label_map: NDArray[np.integer], fit: Fit) -> NDArray[np.int64]:
    """A label map as a :class:`CentreCrop`, a :class:`Stretch` or the like makes it; ids are of any size."""
    low, high = int(label_map.min()), int(label_map.max())
    if np.iinfo(np.int32).min <= low and high <= np.iinfo(np.int32).max:
        return np.asarray(fit(Image.fromarray(label_map.astype(np.int32)), nearest=True), dtype=np.int64)
    # Images hold 32 bits a pixel, these ids need more: their positions travel in their place.
    region_ids, positions = np.unique(label_map, return_inverse=True)
    image = Image.fromarray(positions.reshape(label_map.shape).astype(np.int32))
    return np.asarray(region_ids[np.asarray(fit(image, nearest=True))], dtype=np.int64)


@dataclass(frozen=True)
class CentreCrop:
    """The shorter side resized, then the centre cut out.

    Parameters
    ----------
    height, width : int
        Of the result, in pixels.
    share : float, default 0.875
        Of the resized image's extent that is kept: 224 of 256 pixels are 0.875.
    interpolation : PIL.Image.Resampling, default BILINEAR
        For images; label maps are resized to the nearest pixel.
    """

    height: int
    width: int
    share: float = 0.875
    interpolation: Image.Resampling = Image.Resampling.BILINEAR

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1 or not 0 < self.share <= 1:
            raise InputError(f"a crop needs a size of at least 1x1 and a share above 0, at most 1; got {self}")

    def __call__(self, image: Image.Image, nearest: bool = False) -> Image.Image:
        """Cut an image, or with ``nearest`` a label map."""
        scale = max(self.width / image.width, self.height / image.height) / self.share
        size = max(self.width, round(image.width * scale)), max(self.height, round(image.height * scale))
        resized = image.resize(size, Image.Resampling.NEAREST if nearest else self.interpolation)
        left, top = (size[0] - self.width) // 2, (size[1] - self.height) // 2
        return resized.crop((left, top, left + self.width, top + self.height))


@dataclass(frozen=True)
class Stretch:
    """The whole image resized, whatever its aspect ratio.

    Parameters
    ----------
    height, width : int
        Of the result, in pixels.
    interpolation : PIL.Image.Resampling, default BILINEAR
        For images; label maps are resized to the nearest pixel.
    """

    height: int
    width: int
    interpolation: Image.Resampling = Image.Resampling.BILINEAR

    def __call__(self, image: Image.Image, nearest: bool = False) -> Image.Image:
        """Resize an image, or with ``nearest`` a label map."""
        return resize_image(image, self.height, self.width, Image.Resampling.NEAREST if nearest else self.interpolation)


@dataclass(frozen=True)
class Shrink:
    """The whole image, its longer side no longer than a number of pixels; smaller images stay as they are.

    Parameters
    ----------
    longest : int
        Most pixels a side.
    interpolation : PIL.Image.Resampling, default LANCZOS
        For images; label maps are resized to the nearest pixel.
    """

    longest: int
    interpolation: Image.Resampling = Image.Resampling.LANCZOS

    def __post_init__(self) -> None:
        if self.longest < 1:
            raise InputError(f"the longest side has at least 1 pixel; got {self.longest}")

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the result for an image of a size."""
        scale = self.longest / max(height, width)
        return (height, width) if scale >= 1 else (max(1, round(height * scale)), max(1, round(width * scale)))

    def __call__(self, image: Image.Image, nearest: bool = False) -> Image.Image:
        """Resize an image, or with ``nearest`` a label map."""
        resampling = Image.Resampling.NEAREST if nearest else self.interpolation
        return resize_image(image, *self.size(image.height, image.width), resampling)


def check_size(given: tuple[int, int], wanted: tuple[int, int] | None, name: str) -> None:
    """Refuse images of a size that a model does not take.

    Raises
    ------
    InputError
        If ``wanted`` is a size and not the one given; (height, width) each.
    """
    if wanted is not None and given != wanted:
        raise InputError(
            f"{name} takes images of {wanted[1]}x{wanted[0]} pixels (width x height); these have "
            f"{given[1]}x{given[0]}. Crop or resize them first, as the preprocess of its Classifier does"
        )


def labels_image(label_map: NDArray[np.integer]) -> Image.Image:
    """A label map as an image whose values are the region ids.

    Raises
    ------
    InputError
        If there are others than 0 to 65,535.
    """
    low, high = int(label_map.min()), int(label_map.max())
    if low < 0 or high > np.iinfo(np.uint16).max:
        raise InputError(f"an image holds region ids from 0 to 65,535; these reach from {low} to {high}")
    return Image.fromarray(label_map.astype(np.uint8 if high < 256 else np.uint16))


@dataclass(frozen=True)
class _Stored:
    """An image as it is stored, upright.

    ``top`` is the value of its integers that is white, where its mode does not say; ``negative`` if 0 is white.
    """

    image: Image.Image
    name: str
    top: int | None = None
    negative: bool = False


def _stored(source: Any, what: str) -> _Stored:
    name = f"the {what} {source}" if isinstance(source, str | Path) else f"the {what}"
    try:
        if isinstance(source, Image.Image):
            return _upright(source, name)
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as opened:
            _check_room(opened, name)
            return _upright(opened, name)
    except UnidentifiedImageError as error:
        if what != "image":
            raise InputError(f"{name} cannot be read: it is no image; expected PNG, TIFF, ...") from error
        subject = source if isinstance(source, str | Path) else name
        raise InputError(f"{subject} is no image that can be read; expected PNG, JPEG, WebP, TIFF, ...") from error
    except FileNotFoundError as error:
        there = str(source).partition("://")[0] in ("http", "https", "ftp", "s3", "gs")
        why = "it is an address; download it first" if there else "there is no such file"
        raise InputError(f"{name} cannot be read: {why}") from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise InputError(f"{name} cannot be read, it is too large: {error or 'out of memory'}") from error
    except MALFORMED as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"{name} cannot be read: {reason}") from error


FREE = 1 << 27
"""Bytes that an image may take in memory, however well it is compressed: 40 megapixels in colour."""

RATIO = 64
"""Bytes of memory that each further byte of a file may stand for; photographs need ten."""


def _check_room(opened: Image.Image, name: str) -> None:
    """Refuse a file that takes far more memory than its size can honestly stand for, before it does."""
    file: Any = getattr(opened, "fp", None)
    if file is None:
        return
    place = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(place)
    deep = 4 if opened.mode in ("I", "F") else 2 if opened.mode.startswith("I;16") else 1
    needed = opened.width * opened.height * len(opened.getbands()) * deep
    if needed > FREE + RATIO * size:
        raise InputError(
            f"{name} cannot be read: {opened.width}x{opened.height} pixels are more than its {size:,} bytes can "
            f"honestly hold beyond {FREE >> 20} MiB; scale it down"
        )


COUNTED = 100
"""Pages of a TIFF that are counted: Pillow's own count compares each with all before it, and a chain takes hours."""


def _frames(opened: Image.Image) -> int:
    if opened.format != "TIFF":
        return getattr(opened, "n_frames", 1)
    pages = 1
    try:
        while pages < COUNTED:
            opened.seek(pages)
            pages += 1
    except EOFError:
        pass
    opened.seek(0)
    return pages


def _upright(opened: Image.Image, name: str) -> _Stored:
    # A camera's MPO holds one photograph, with previews of it.
    frames = 1 if opened.format == "MPO" or opened.tell() else _frames(opened)
    if frames > 1:
        warn(f"{name} has {frames}{' or more' if frames == COUNTED else ''} frames; the first is used")
    top, negative = _depth(opened)
    image = ImageOps.exif_transpose(opened)
    image.format = opened.format
    return _Stored(image, name, top, negative)


def _depth(opened: Image.Image) -> tuple[int | None, bool]:
    """What ``_Stored`` keeps of a file with deep pixels."""
    if not opened.mode.startswith(("I", "F")):
        return None, False
    if opened.format in ("PNG", "PPM"):
        return 2**16 - 1, False
    tags: Any = getattr(opened, "tag_v2", None)
    if tags is None:
        return None, False
    bits, signed = int(tags.get(_BITS, (32,))[0]), int(tags.get(_SAMPLE_FORMAT, (1,))[0]) == _SIGNED
    return 2 ** (bits - signed) - 1, tags.get(_PHOTOMETRIC) == 0


_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT, _SIGNED = 258, 262, 339, 2


def _in_rgb(stored: _Stored) -> Image.Image:
    image = stored.image
    if image.mode.startswith(("I", "F")):
        return _deep(stored)
    try:
        if not image.has_transparency_data:
            return image.convert("RGB")
        layer = image.convert("RGBA")
    except MALFORMED as error:
        raise InputError(f"{stored.name} cannot be read: {error}; save it as RGB") from error
    if np.asarray(layer.getchannel("A")).min() < 255:
        warn(f"{stored.name} has transparent pixels; they are laid on white")
    return Image.alpha_composite(Image.new("RGBA", layer.size, (255, 255, 255, 255)), layer).convert("RGB")


def _deep(stored: _Stored) -> Image.Image:
    """RGB of one channel with more than 8 bits."""
    values = np.asarray(stored.image)
    if stored.top == 2**32 - 1 and stored.image.mode == "I":
        # Pillow has no unsigned type of 32 bits: the upper half of the values comes out negative.
        values = values.view(np.uint32)
    shares = _shares(values, stored.name, stored.top)
    if stored.negative:
        shares = 1 - shares
    hidden = stored.image.info.get("transparency")
    if isinstance(hidden, int) and bool((values == hidden).any()):
        warn(f"{stored.name} has transparent pixels; they are laid on white")
        shares = np.where(values == hidden, 1.0, shares)
    return Image.fromarray(_three(_bytes(shares)))


def _array(image: Any) -> NDArray[Any]:
    """A tensor's or an array's values."""
    if hasattr(image, "detach"):
        tensor = image.detach().cpu()
        # NumPy has no bfloat16.
        return np.asarray((tensor.float() if tensor.is_floating_point() else tensor).numpy())
    return np.asarray(image)


def _channels_last(values: NDArray[Any]) -> NDArray[Any]:
    """(H, W) or (H, W, C) of an array in any of the shapes of an image, or of a batch of one."""
    values = values[0] if values.ndim == 4 and len(values) == 1 else values
    if values.size and values.dtype.kind in "buif":
        if values.ndim == 2:
            return values
        first = values.ndim == 3 and values.shape[0] in (1, 3)
        last = values.ndim == 3 and values.shape[2] in (1, 3, 4)
        if first and not (last and values.dtype.kind != "f"):
            return values.transpose(1, 2, 0)
        if last:
            return values
    several = "; explain_images takes several" if values.ndim == 4 and len(values) > 1 else ""
    raise InputError(
        "an image must be (3, H, W) floats in [0, 1], (H, W, 3) uint8 or (H, W) shades of grey; "
        f"got {values.shape} of {values.dtype}{several}"
    )


def _shares(values: NDArray[Any], name: str, top: int | None = None) -> NDArray[np.floating]:
    """Values as shares of white, 0 to 1."""
    if values.dtype == np.bool_:
        return values.astype(np.float32)
    if np.issubdtype(values.dtype, np.floating):
        if not np.isfinite(values).all():
            raise InputError(f"{name} holds values that are not finite numbers; replace them first")
        low, high = float(values.min()), float(values.max())
        if low < -ROUNDING or high > 1 + ROUNDING:
            how = (
                "if they are normalised, give the image before that and say mean= and std=, which the model then gets; "
                "else scale them to [0, 1]"
                if low < -ROUNDING
                else "scale them to [0, 1], or save the image with 8 or 16 bits"
            )
            raise InputError(
                f"{name} holds floating-point values in [{low:.4g}, {high:.4g}], and what is white cannot be told from "
                f"them; {how}"
            )
        return np.asarray(values.clip(0, 1))
    top = int(np.iinfo(values.dtype).max) if top is None else top
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > top or (0 < high < top >> 8 and top >= 2**31 - 1):
        raise InputError(
            f"{name} holds whole numbers from {low} to {high} in {values.dtype.itemsize * 8} bits, and what is white "
            "cannot be told from them; save it with 8 or 16 bits a channel"
        )
    return np.asarray(values / top)


def _bytes(shares: NDArray[np.floating]) -> Bytes:
    scaled = shares * 255
    np.rint(scaled, out=scaled)
    return np.asarray(scaled, dtype=np.uint8)


def _three(pixels: NDArray[Any]) -> NDArray[Any]:
    """(H, W, 3) of (H, W), (H, W, 1) or (H, W, 3)."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
