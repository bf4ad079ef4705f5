"""Drawing primitives of the embedded scenes: random draws, shapes as signed distances, textures.

Images must come out alike on every machine. Random numbers therefore use the raw output of PCG64, the one part of
``numpy.random`` whose stream NumPy promises never to change, and the arithmetic is kept to ``+ - * /``, square root,
rounding and comparison, one array operation at a time, which IEEE 754 fixes to the last bit; sine, cosine and
sums over arrays are not among them. Lengths are shares of the image's side, so that a scene can be drawn at any size.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float64]
T = TypeVar("T")


class RandomNumbers:
    """A stream of random draws that is fixed by its seed on every machine.

    Parameters
    ----------
    seed : int
        Not negative.
    """

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def uniform(self, low: float, high: float) -> float:
        """One number in [low, high)."""
        return low + (high - low) * ((self._raw() >> 11) * 2.0**-53)

    def lattice(self, side: int) -> Field:
        """Numbers in [0, 1), shape (side, side)."""
        raw = np.asarray(self._bits.random_raw(side * side), dtype=np.uint64)
        unit: Field = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return unit.reshape(side, side)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.uniform(0.0, 1.0) < probability

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, each as likely as the others."""
        return options[self._below(len(options))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in random order."""
        left = list(items)
        return [left.pop(self._below(len(left))) for _ in items]

    def turn(self, limit: float) -> tuple[float, float]:
        """Cosine and sine of a random angle, at most ``2 * atan(limit)`` either way."""
        half_tangent = self.uniform(-limit, limit)
        scale = 1.0 + half_tangent * half_tangent
        return (1.0 - half_tangent * half_tangent) / scale, 2.0 * half_tangent / scale

    def _below(self, bound: int) -> int:
        return (self._raw() * bound) >> 64

    def _raw(self) -> int:
        return int(self._bits.random_raw())


def pixel_grid(size: int) -> tuple[Field, Field]:
    """Coordinates (x, y) of the pixel centres of a size by size image, each (size, size), in (0, 1)."""
    centres = (np.arange(size, dtype=np.float64) + 0.5) / size
    return np.tile(centres, (size, 1)), np.tile(centres[:, None], (1, size))


def value_noise(draws: RandomNumbers, x: Field, y: Field, cells: int) -> Field:
    """Smooth noise in [-1, 1): random values on a lattice of `cells` by `cells`, blended in between."""
    values = draws.lattice(cells + 1) * 2.0 - 1.0
    column, along = _cell(x, cells)
    row, down = _cell(y, cells)
    upper = values[row, column] * (1.0 - along) + values[row, column + 1] * along
    lower = values[row + 1, column] * (1.0 - along) + values[row + 1, column + 1] * along
    blended: Field = upper * (1.0 - down) + lower * down
    return blended


def _cell(position: Field, cells: int) -> tuple[npt.NDArray[np.intp], Field]:
    scaled = position * cells
    index = np.floor(scaled)
    share = scaled - index
    return index.astype(np.intp), share * share * (3.0 - 2.0 * share)


def wave(t: Field) -> Field:
    """Triangle wave of period 1 in [-1, 1]."""
    folded: Field = np.abs((t - np.floor(t)) * 2.0 - 1.0) * 2.0 - 1.0
    return folded


# Shapes: signed distance to the outline, positive inside, of a shape that fits the circle of radius r around (0, 0).


def _length(u: Field, v: Field) -> Field:
    root: Field = np.sqrt(u * u + v * v)
    return root


def _disc(u: Field, v: Field, r: float) -> Field:
    return r - _length(u, v)


def _square(u: Field, v: Field, r: float) -> Field:
    inside: Field = 0.70710678 * r - np.maximum(np.abs(u), np.abs(v))
    return inside


def _triangle(u: Field, v: Field, r: float) -> Field:
    flanks = 0.5 * r - (0.8660254 * np.abs(u) - 0.5 * v)
    inside: Field = np.minimum(flanks, 0.5 * r - v)
    return inside


def _ring(u: Field, v: Field, r: float) -> Field:
    distance = _length(u, v)
    inside: Field = np.minimum(r - distance, distance - 0.52 * r)
    return inside


def _cross(u: Field, v: Field, r: float) -> Field:
    reach, half = 0.94 * r, 0.31 * r
    across = np.minimum(reach - np.abs(u), half - np.abs(v))
    upright = np.minimum(half - np.abs(u), reach - np.abs(v))
    inside: Field = np.maximum(across, upright)
    return inside


_STAR_NORMALS = (
    (0.0, 1.0),
    (0.9510565163, 0.3090169944),
    (0.5877852523, -0.8090169944),
    (-0.5877852523, -0.8090169944),
    (-0.9510565163, 0.3090169944),
)


def _star(u: Field, v: Field, r: float) -> Field:
    # Inside a pentagram at most one of the five lines has the point on its far side.
    edges = np.stack([0.38 * r - (u * nx + v * ny) for nx, ny in _STAR_NORMALS])
    inside: Field = np.minimum(np.sort(edges, axis=0)[1], r - _length(u, v))
    return inside


_OUTLINES: dict[str, tuple[Callable[[Field, Field, float], Field], float]] = {
    "disc": (_disc, 1.0),
    "square": (_square, 1.2),
    "triangle": (_triangle, 1.3),
    "ring": (_ring, 1.1),
    "cross": (_cross, 1.15),
    "star": (_star, 1.3),
}


def reach_of(shape: str, scale: float) -> float:
    """Radius of the circle that holds a shape of this scale; shapes of one scale look alike in size."""
    return _OUTLINES[shape][1] * scale


def signed_distance(shape: str, u: Field, v: Field, scale: float) -> Field:
    """Distance to the outline of a shape around the origin: positive inside, negative outside."""
    outline, factor = _OUTLINES[shape]
    return outline(u, v, factor * scale)


# Textures: shade in [-1, 1] over coordinates that turn with the object.


def _stripes(draws: RandomNumbers, u: Field, v: Field) -> Field:
    along = u if draws.chance(0.5) else v
    return wave(along * draws.uniform(14.0, 20.0) + draws.uniform(0.0, 1.0))


def _checks(draws: RandomNumbers, u: Field, v: Field) -> Field:
    frequency = draws.uniform(13.0, 17.0)
    parity = np.floor(u * frequency) + np.floor(v * frequency)
    shade: Field = np.where(parity - 2.0 * np.floor(parity / 2.0) > 0.0, 0.8, -0.8)
    return shade


def _dots(draws: RandomNumbers, u: Field, v: Field) -> Field:
    frequency = draws.uniform(13.0, 17.0)
    across, down = u * frequency, v * frequency
    distance = _length(across - np.floor(across) - 0.5, down - np.floor(down) - 0.5)
    shade: Field = np.clip((0.34 - distance) * 8.0, -0.5, 1.0)
    return shade


def _mottled(draws: RandomNumbers, u: Field, v: Field) -> Field:
    # The lattice spans [0, 1); objects are small, so what is clipped lies outside of them.
    across, down = (np.clip(t + 0.5, 0.0, 0.999) for t in (u, v))
    shade: Field = np.clip(1.5 * value_noise(draws, across, down, 22), -1.0, 1.0)
    return shade


_TEXTURES = (_stripes, _checks, _dots, _mottled)


def object_texture(draws: RandomNumbers, u: Field, v: Field) -> Field:
    """Shade in [-1, 1] of one of four textures: stripes, checks, dots or mottle."""
    return draws.pick(_TEXTURES)(draws, u, v)


def background_texture(draws: RandomNumbers, x: Field, y: Field) -> Field:
    """Shade in [0, 1] of clouds with one of three grains: weave, slanted lines or speckle."""
    clouds = 0.62 * value_noise(draws, x, y, 4) + 0.38 * value_noise(draws, x, y, 11)
    frequency, slant = draws.uniform(18.0, 26.0), draws.uniform(-0.8, 0.8)
    grains: tuple[Callable[[], Field], ...] = (
        lambda: wave(x * frequency) * wave(y * frequency),
        lambda: wave((x * slant + y) * frequency),
        lambda: value_noise(draws, x, y, 44),
    )
    shade: Field = np.clip(0.5 + 0.5 * clouds + 0.16 * draws.pick(grains)(), 0.0, 1.0)
    return shade
