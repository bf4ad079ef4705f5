"""Paint and text on an image whose regions are known: what the figures are drawn with."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from captum_focalogic.errors import InputError

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Colour = tuple[int, int, int]

PAGE: Colour = (255, 255, 255)
INK: Colour = (25, 25, 25)
LINE: Colour = (20, 20, 20)
_DIMMED = 0.45


def image_bytes(image: ArrayLike) -> Bytes:
    """An image as (H, W, 3) uint8.

    Parameters
    ----------
    image : (3, H, W) or (1, H, W) float in [0, 1], or (H, W, 3) uint8
        The image.

    Raises
    ------
    InputError
        If it is neither.
    """
    pixels = np.asarray(image)
    if pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size:
        return pixels
    if not (
        np.issubdtype(pixels.dtype, np.floating) and pixels.ndim == 3 and pixels.shape[0] in (1, 3) and pixels.size
    ):
        raise InputError(
            f"an image must be (3, H, W) floats in [0, 1] or (H, W, 3) uint8; got {pixels.shape} of {pixels.dtype}"
        )
    if not np.isfinite(pixels).all():
        raise InputError("the image holds values that are not finite numbers")
    bytes_ = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return np.broadcast_to(bytes_, (3, *pixels.shape[1:])).transpose(1, 2, 0)


@dataclass(frozen=True)
class Scene:
    """An image and its regions at the size they are drawn in.

    Attributes
    ----------
    pixels : (H, W, 3) uint8
        The image.
    labels : (H, W) int64
        Region of every pixel.
    """

    pixels: Bytes
    labels: Ints

    @classmethod
    def of(cls, image: ArrayLike, label_map: ArrayLike, side: int) -> "Scene":
        """Check an image and a label map, and enlarge both to at least ``side`` pixels on the longer side."""
        pixels, labels = image_bytes(image), np.asarray(label_map)
        if labels.shape != pixels.shape[:2] or not np.issubdtype(labels.dtype, np.integer):
            raise InputError(
                f"the label map must hold one integer for each of the image's {pixels.shape[:2]} pixels; "
                f"got {labels.shape} of {labels.dtype}"
            )
        if side < 1:
            raise InputError(f"side must be at least 1 pixel; got {side}")
        factor = math.ceil(side / max(labels.shape))
        if factor > 1:
            height, width = (size * factor for size in labels.shape)
            enlarged = Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), Image.Resampling.BICUBIC)
            pixels = np.asarray(enlarged)
        return cls(pixels, labels.astype(np.int64).repeat(factor, axis=0).repeat(factor, axis=1))

    def covers(self, region_ids: Ints) -> Bools:
        """Pixels of these regions."""
        return np.isin(self.labels, region_ids)

    @property
    def stroke(self) -> float:
        """Width of a thin line."""
        return float(max(self.labels.shape)) / 640


class Painter:
    """A picture in the making."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._canvas = scene.pixels.astype(np.float32)

    def dim(self, where: Bools) -> None:
        """Dark and nearly grey."""
        grey = self._canvas[where] @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
        self._canvas[where] = _DIMMED * (0.25 * self._canvas[where] + 0.75 * grey[:, None])

    def tint(self, where: Bools, colour: Colour, strength: float) -> None:
        """Mix a colour in."""
        self._canvas[where] = (1 - strength) * self._canvas[where] + strength * np.array(colour, dtype=np.float32)

    def hatch(self, where: Bools, colour: Colour) -> None:
        """Diagonal stripes."""
        height, width = where.shape
        period = max(6, round(14 * self._scene.stroke))
        stripes = (np.arange(height)[:, None] + np.arange(width)) % period < max(1, period // 6)
        self.tint(where & stripes, colour, 0.6)

    def outline_regions(self, where: Bools, width: float, colour: Colour, strength: float) -> None:
        """A line between any two regions, as far as it lies in an area."""
        labels = self._scene.labels
        edges = np.zeros(labels.shape, dtype=np.bool_)
        edges[1:] |= labels[1:] != labels[:-1]
        edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
        self.tint(self._widened(edges, width) & where, colour, strength)

    def outline(self, where: Bools, colour: Colour, width: float) -> None:
        """A line along the inner border of an area, with a dark one outside it."""
        inner = where & ~ndimage.binary_erosion(where, border_value=1)
        line = self._widened(inner, width) & where
        self.tint(self._widened(line, 1) & ~where, LINE, 0.7)
        self.tint(line, colour, 1)

    def finish(self) -> Image.Image:
        """The picture."""
        return Image.fromarray(np.rint(self._canvas.clip(0, 255)).astype(np.uint8))

    def _widened(self, line: Bools, width: float) -> Bools:
        steps = round(width * self._scene.stroke)
        if steps < 1 or not line.any():
            return line
        widened: Bools = ndimage.binary_dilation(line, iterations=steps)
        return widened


def font_of(size: float) -> Any:
    """Pillow's own font, at a legible size."""
    return ImageFont.load_default(max(10, size))


def print_ids(picture: Image.Image, scene: Scene, region_ids: Ints, names: Mapping[int, str] | None) -> None:
    """Each id where its region is widest."""
    draw = ImageDraw.Draw(picture)
    font, small = font_of(max(picture.size) / 26), font_of(max(picture.size) / 38)
    for region in region_ids.tolist():
        where = scene.covers(np.array([region]))
        if not where.any():
            continue
        depth = ndimage.distance_transform_edt(np.pad(where, 1))[1:-1, 1:-1]
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        name = "" if names is None else names.get(region, "")
        # With a name below it, the number moves up by half a line.
        _haloed(draw, (float(x), float(y)), str(region), font, "md" if name else "mm")
        if name:
            _haloed(draw, (float(x), float(y)), name, small, "ma")


def _haloed(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, font: Any, anchor: str) -> None:
    halo = max(1, round(font.size / 9))
    draw.text(place, text, fill=PAGE, font=font, anchor=anchor, stroke_width=halo, stroke_fill=(0, 0, 0))


def with_caption(picture: Image.Image, caption: str) -> Image.Image:
    """The picture above a line of text, broken where it is too long."""
    font = font_of(picture.width / 26)
    margin = round(picture.width / 40)
    text = _wrapped(caption, font, picture.width - 2 * margin)
    box = ImageDraw.Draw(picture).multiline_textbbox((0, 0), text, font=font)
    page = Image.new("RGB", (picture.width, picture.height + math.ceil(box[3]) + 2 * margin), PAGE)
    page.paste(picture, (0, 0))
    ImageDraw.Draw(page).multiline_text((margin, picture.height + margin), text, fill=INK, font=font)
    return page


def _wrapped(text: str, font: Any, width: int) -> str:
    lines: list[str] = []
    for word in text.split(" "):
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)
