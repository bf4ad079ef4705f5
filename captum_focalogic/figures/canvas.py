"""The canvas that figures are drawn on: an image whose regions are known, its colours, lines and texts."""

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from captum_focalogic.arrays import Bools
from captum_focalogic.errors import InputError
from captum_focalogic.images import open_image, resize_image

Ints = NDArray[np.int64]
Colour = tuple[int, int, int]
_T = TypeVar("_T", bound=np.generic)

PAGE: Colour = (255, 255, 255)
INK: Colour = (25, 25, 25)
LINE: Colour = (20, 20, 20)
_DIMMED = 0.45
_TINTS = ((214, 205, 190), (186, 200, 209), (197, 209, 187), (222, 212, 176), (190, 190, 208), (221, 196, 178))


class Canvas:
    """A figure in the making.

    Parameters
    ----------
    image : (3, H, W) float in [0, 1], or (H, W, 3) uint8
        What is painted over.
    label_map : (H, W) int
        Region of every pixel.
    side : int
        Both are enlarged by a whole number until their longer side has at least this many pixels.

    Attributes
    ----------
    labels : (H, W) int64
        Region of every pixel of the canvas.

    Raises
    ------
    InputError
        If they do not fit.
    """

    def __init__(self, image: ArrayLike, label_map: ArrayLike, side: int) -> None:
        opened, labels = open_image(image), np.asarray(label_map)
        if labels.shape != (opened.height, opened.width) or not np.issubdtype(labels.dtype, np.integer):
            raise InputError(
                f"the label map must hold one integer for each of the image's {(opened.height, opened.width)} pixels; "
                f"got {labels.shape} of {labels.dtype}"
            )
        if side < 1:
            raise InputError(f"side must be at least 1 pixel; got {side}")
        factor = math.ceil(side / max(labels.shape))
        if factor > 1:
            opened = resize_image(opened, opened.height * factor, opened.width * factor, Image.Resampling.BICUBIC)
        self._factor = factor
        self.labels: Ints = self.enlarged(labels.astype(np.int64))
        self._pixels = np.asarray(opened).astype(np.float32)

    def enlarged(self, pixels: NDArray[_T]) -> NDArray[_T]:
        """An (H, W) array of the image's pixels for those of the canvas."""
        return pixels.repeat(self._factor, axis=0).repeat(self._factor, axis=1)

    def covers(self, region_ids: Ints) -> Bools:
        """Pixels of these regions."""
        if np.size(region_ids) == 1:
            one: Bools = self.labels == region_ids
            return one
        return np.isin(self.labels, region_ids)

    def dim(self, where: Bools) -> None:
        """Dark and nearly grey."""
        grey = self._pixels[where] @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
        self._pixels[where] = _DIMMED * (0.25 * self._pixels[where] + 0.75 * grey[:, None])

    def mute(self, where: Bools, contrast: float, lift: float) -> None:
        """Grey, of less contrast, and neither black nor white."""
        grey = np.rint(self._pixels[where] @ np.array([0.299, 0.587, 0.114], dtype=np.float32))
        self._pixels[where] = (contrast * grey + lift)[:, None]

    def paste(self, where: Bools, pixels: NDArray[np.uint8]) -> None:
        """Other pixels in place of those of an area."""
        self._pixels[where] = pixels[where]

    def tint(self, where: Bools, colour: Colour, strength: float) -> None:
        """Mix a colour in."""
        self._pixels[where] = (1 - strength) * self._pixels[where] + strength * np.array(colour, dtype=np.float32)

    def wash(self, colours: NDArray[np.float32], strength: float) -> None:
        """Mix a colour of its own into every pixel, (H, W, 3)."""
        self._pixels = (1 - strength) * self._pixels + strength * colours

    def hatch(self, where: Bools, colour: Colour) -> None:
        """Diagonal stripes."""
        height, width = where.shape
        period = max(6, round(14 * self._stroke))
        stripes = (np.arange(height)[:, None] + np.arange(width)) % period < max(1, period // 6)
        self.tint(where & stripes, colour, 0.6)

    def outline_regions(self, where: Bools, width: float, colour: Colour, strength: float) -> None:
        """A line between any two regions, as far as it lies in an area."""
        labels = self.labels
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

    def frame(self, where: Bools, width: float = 2) -> None:
        """A light line around an area, with a dark one around that; nothing in the area itself."""
        light = self._widened(where, width)
        self.tint(self._widened(light, 1) & ~light, LINE, 0.8)
        self.tint(light & ~where, PAGE, 1)

    def finish(self) -> Image.Image:
        """The image."""
        return Image.fromarray(np.rint(self._pixels.clip(0, 255)).astype(np.uint8))

    @property
    def _stroke(self) -> float:
        """Width of a thin line."""
        return float(max(self.labels.shape)) / 640

    def _widened(self, line: Bools, width: float) -> Bools:
        steps = round(width * self._stroke)
        if steps < 1 or not line.any():
            return line
        widened: Bools = ndimage.binary_dilation(line, iterations=steps)
        return widened


def font_of(size: float) -> Any:
    """Pillow's own font, at a legible size."""
    return ImageFont.load_default(max(10, size))


def print_ids(image: Image.Image, canvas: Canvas, region_ids: Ints, names: Mapping[int, str] | None) -> None:
    """Each id where its region is widest."""
    draw = ImageDraw.Draw(image)
    font, small = font_of(max(image.size) / 26), font_of(max(image.size) / 38)
    for region in region_ids.tolist():
        where = canvas.covers(np.array([region]))
        if not where.any():
            continue
        x, y, _ = widest(where)
        name = "" if names is None else names.get(region, "")
        # With a name below it, the number moves up by half a line.
        haloed(draw, (float(x), float(y)), str(region), font, "md" if name else "mm")
        if name:
            haloed(draw, (float(x), float(y)), name, small, "ma")


def depth_of(mask: Bools) -> NDArray[np.float64]:
    """Distance of every pixel of an area from its border, that of the image included, (H, W)."""
    return np.asarray(ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1])


def widest(mask: Bools) -> tuple[int, int, float]:
    """Where an area is widest, x and y, and how far from its border that is; no pixel outside its box is nearer."""
    (box,) = ndimage.find_objects(mask.astype(np.int8)) or [None]
    if box is None:
        return 0, 0, 0.0
    depth = depth_of(mask[box])
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(x) + box[1].start, int(y) + box[0].start, float(depth[y, x])


def haloed(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, font: Any, anchor: str) -> None:
    halo = max(1, round(font.size / 9))
    draw.text(place, text, fill=PAGE, font=font, anchor=anchor, stroke_width=halo, stroke_fill=(0, 0, 0))


def with_caption(image: Image.Image, caption: str) -> Image.Image:
    """The image above a line of text, broken where it is too long."""
    font = font_of(image.width / 26)
    margin = round(image.width / 40)
    text = wrapped(caption, font, image.width - 2 * margin)
    box = ImageDraw.Draw(image).multiline_textbbox((0, 0), text, font=font)
    page = Image.new("RGB", (image.width, image.height + math.ceil(box[3]) + 2 * margin), PAGE)
    page.paste(image, (0, 0))
    ImageDraw.Draw(page).multiline_text((margin, image.height + margin), text, fill=INK, font=font)
    return page


def wrapped(text: str, font: Any, width: int) -> str:
    """A text, broken into lines between words."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


def backdrop(image: ArrayLike | None, label_map: NDArray[np.int64]) -> Image.Image:
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
    opened = open_image(image)
    if (opened.height, opened.width) != label_map.shape:
        raise InputError(
            f"the image has {opened.height} x {opened.width} pixels but the regions were cut from "
            f"{label_map.shape[0]} x {label_map.shape[1]}; pass the image as the model got it"
        )
    return opened
