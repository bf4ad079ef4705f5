"""Scenes that the package draws itself: images whose class, regions and reason are known exactly.

A scene shows textured shapes on a textured background. Its class follows from a Boolean rule over the objects
(:mod:`captum_focalogic.demo.rules`), its regions are the objects and a few cells of background, and the rule is given
in terms of those regions, so that an explanation of a model can be compared with the reason there really is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from sympy.logic.boolalg import Boolean

from captum_focalogic.demo import drawing
from captum_focalogic.demo.rules import (
    CLASS_NAMES,
    COLOURS,
    RULE_KINDS,
    RULES,
    SHAPES,
    ObjectKind,
    expression_of,
    labels_met,
)
from captum_focalogic.errors import InputError

_PAINTS: dict[str, tuple[float, float, float]] = {
    "red": (0.84, 0.22, 0.20),
    "blue": (0.20, 0.40, 0.82),
    "green": (0.27, 0.64, 0.28),
    "yellow": (0.96, 0.78, 0.20),
    "purple": (0.56, 0.30, 0.72),
    "teal": (0.16, 0.68, 0.70),
    "white": (0.95, 0.94, 0.90),
}

_BACKGROUNDS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "sand": ((0.66, 0.58, 0.46), (0.84, 0.77, 0.64)),
    "slate": ((0.30, 0.34, 0.39), (0.47, 0.51, 0.56)),
    "moss": ((0.33, 0.37, 0.28), (0.52, 0.55, 0.42)),
    "dusk": ((0.36, 0.32, 0.40), (0.57, 0.51, 0.56)),
    "linen": ((0.72, 0.70, 0.66), (0.88, 0.86, 0.82)),
    "clay": ((0.45, 0.36, 0.30), (0.64, 0.54, 0.46)),
}

BACKGROUNDS: tuple[str, ...] = tuple(_BACKGROUNDS)
"""Names of the background styles."""

_SMALLEST, _LARGEST = 0.098, 0.135
_GAP = 0.02
_TRIES = 300


@dataclass(frozen=True)
class SceneConfig:
    """What scenes are drawn like; the defaults are the unbiased scenes the embedded model is trained on.

    Attributes
    ----------
    size : int
        Side of the square image in pixels, 64 or more. The same seed gives the same scene at every size.
    min_objects, max_objects : int
        Bounds on the number of objects, 3 to 6.
    background_cells : int
        The background is cut into this many rows and columns of cells, 1 to 3.
    backgrounds : mapping of int to str
        Bias on the background: scenes of a class given here have this style (one of `BACKGROUNDS`) and scenes of
        other classes never have it.
    companions : mapping of int to ObjectKind
        Bias on the company: scenes of a class given here also show this object, and scenes of other classes never
        do. A companion cannot be of a kind that a rule uses.
    colour_tells : bool
        Bias on the object's own colour: colours of the rules' objects appear on nothing else, so that the colour
        tells what the shape would.

    Raises
    ------
    InputError
        If a value is out of range, a style or class is unknown, or a companion is of a kind that a rule uses.
    """

    size: int = 96
    min_objects: int = 3
    max_objects: int = 6
    background_cells: int = 2
    backgrounds: Mapping[int, str] = field(default_factory=dict)
    companions: Mapping[int, ObjectKind] = field(default_factory=dict)
    colour_tells: bool = False

    def __post_init__(self) -> None:
        if self.size < 64:
            raise InputError(f"size is {self.size}: scenes need at least 64 pixels to keep objects apart")
        if not 3 <= self.min_objects <= self.max_objects <= 6:
            raise InputError(
                f"min_objects={self.min_objects}, max_objects={self.max_objects}: "
                "expected 3 <= min_objects <= max_objects <= 6"
            )
        if not 1 <= self.background_cells <= 3:
            raise InputError(f"background_cells is {self.background_cells}: expected 1, 2 or 3")
        if self.companions and self.max_objects < 4:
            raise InputError(f"max_objects is {self.max_objects}: scenes with a companion need room for 4 objects")
        self._check_biases()

    def _check_biases(self) -> None:
        for label in (*self.backgrounds, *self.companions):
            _check_label(label)
        for style in self.backgrounds.values():
            if style not in _BACKGROUNDS:
                raise InputError(f"unknown background {style!r}: expected one of {', '.join(BACKGROUNDS)}")
        if self.backgrounds and set(BACKGROUNDS) <= set(self.backgrounds.values()):
            raise InputError("every background style is given to some class: leave one for the others")
        for kind in self.companions.values():
            if kind in RULE_KINDS:
                raise InputError(f"a {kind} cannot be a companion: a rule uses it; choose another kind")


@dataclass(frozen=True)
class SceneObject:
    """One object of a scene.

    Attributes
    ----------
    region : int
        Its id in ``Scene.labels``.
    kind : ObjectKind
        Colour and shape.
    box : tuple of int
        Bounding box (top, left, bottom, right) in pixels, bottom and right exclusive.
    """

    region: int
    kind: ObjectKind
    box: tuple[int, int, int, int]

    @property
    def colour(self) -> str:
        """Name of the colour."""
        return self.kind.colour

    @property
    def shape(self) -> str:
        """Name of the shape."""
        return self.kind.shape


@dataclass(frozen=True, eq=False)
class Scene:
    """An image whose class is known together with the reason.

    Attributes
    ----------
    seed : int
        What it was drawn from.
    image : ndarray of float32, shape (3, size, size)
        RGB in [0, 1], each value a multiple of 1/255, so that it can be saved as PNG without loss.
    labels : ndarray of int64, shape (size, size)
        Region of every pixel: objects 1 to K, then the background's cells K+1 and up, row by row. An object's region
        is every pixel it touches; the blend of an outline with the background belongs to the object.
    objects : tuple of SceneObject
        Ordered by region.
    label : int
        The class: the one rule that holds, or 0.
    """

    seed: int
    image: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    objects: tuple[SceneObject, ...]
    label: int

    @cached_property
    def rule(self) -> Boolean:
        """Why the scene is of its class, over ``Symbol("I<region>")``; ``true`` for class 0."""
        return self.rule_of(self.label)

    def rule_of(self, label: int) -> Boolean:
        """Which sets of kept regions are of class `label`, over ``Symbol("I<region>")``."""
        return expression_of(label, ((item.region, item.kind) for item in self.objects))

    def truth(self, label: int | None = None) -> npt.NDArray[np.bool_]:
        """Pixels of the objects of which a class's rule speaks.

        Parameters
        ----------
        label : int, optional
            The class; the scene's own if not given. Class 0 speaks of no object.

        Returns
        -------
        ndarray of bool, shape (size, size)

        Raises
        ------
        InputError
            If there is no such class.
        """
        wanted = self.label if label is None else label
        _check_label(wanted)
        kinds = RULES[wanted].kinds if wanted in RULES else ()
        return np.isin(self.labels, [item.region for item in self.objects if item.kind in kinds])


def draw_scene(seed: int, label: int | None = None, config: SceneConfig | None = None) -> Scene:
    """Draw a scene.

    Parameters
    ----------
    seed : int
        Not negative. Seed, label and configuration fix every pixel, on every machine.
    label : int, optional
        Class of the scene; if not given, the seed chooses one, each as likely as the others.
    config : SceneConfig, optional
        What scenes are drawn like.

    Returns
    -------
    Scene
        Exactly one rule holds in it, or none if its class is 0.

    Raises
    ------
    InputError
        If the seed is negative or there is no such class.

    Examples
    --------
    >>> scene = draw_scene(0, label=2)
    >>> scene.image.shape, scene.label
    ((3, 96, 96), 2)
    """
    if seed < 0:
        raise InputError(f"seed is {seed}: expected a whole number, 0 or more")
    if label is not None:
        _check_label(label)
    config = config or SceneConfig()
    draws = drawing.RandomNumbers(seed)
    chosen = draws.pick(range(len(CLASS_NAMES)))
    chosen = chosen if label is None else label
    kinds = _choose_kinds(draws, chosen, config)
    places = _place(draws, kinds)
    image, regions = _paint(draws, kinds, places, _choose_background(draws, chosen, config), config.size)
    objects = tuple(SceneObject(region, kind, _box(regions == region)) for region, kind in enumerate(kinds, start=1))
    return Scene(seed, image, _with_background(regions, len(kinds), config.background_cells), objects, chosen)


def _check_label(label: int) -> None:
    if label not in range(len(CLASS_NAMES)):
        raise InputError(f"there is no class {label!r}: the scenes have classes 0 to {len(CLASS_NAMES) - 1}")


def _choose_kinds(draws: drawing.RandomNumbers, label: int, config: SceneConfig) -> list[ObjectKind]:
    """What to draw: what the class needs, then distractors that leave the class as it is."""
    kinds = _required(draws, label)
    if label in config.companions:
        kinds.append(config.companions[label])
    count = draws.pick(range(config.min_objects, config.max_objects + 1))
    fillers = _fillers(label, config)
    while len(kinds) < count:
        # Half of the distractors are pieces of a rule: a network has to learn that a piece is not enough.
        kind = draws.pick(RULE_KINDS if draws.chance(0.5) else fillers)
        if labels_met([*kinds, kind]) == ((label,) if label else ()):
            kinds.append(kind)
    return draws.shuffled(kinds)


def _required(draws: drawing.RandomNumbers, label: int) -> list[ObjectKind]:
    if label == 0:
        return []
    chosen: list[ObjectKind] = []
    for clause in RULES[label].clauses:
        if len(clause) > 1 and draws.chance(0.3):
            chosen.extend(clause)
        else:
            chosen.append(draws.pick(clause))
    return chosen


def _fillers(label: int, config: SceneConfig) -> list[ObjectKind]:
    taken = {kind for other, kind in config.companions.items() if other != label}
    told = {kind.colour for kind in RULE_KINDS} if config.colour_tells else set()
    kinds = [ObjectKind(colour, shape) for colour in COLOURS for shape in SHAPES]
    return [kind for kind in kinds if kind not in taken and (kind in RULE_KINDS or kind.colour not in told)]


def _choose_background(draws: drawing.RandomNumbers, label: int, config: SceneConfig) -> str:
    free = [style for style in BACKGROUNDS if style not in config.backgrounds.values()]
    style = draws.pick(free)
    return config.backgrounds.get(label, style)


@dataclass(frozen=True)
class _Place:
    x: float
    y: float
    scale: float


def _place(draws: drawing.RandomNumbers, kinds: list[ObjectKind]) -> list[_Place]:
    """Places at which no two objects come closer than the gap, smaller objects if the image is too full."""
    shrink = 1.0
    while True:
        places: list[_Place] = []
        for _ in range(_TRIES):
            shape = kinds[len(places)].shape
            scale = draws.uniform(_SMALLEST, _LARGEST) * shrink
            edge = drawing.reach_of(shape, scale) + _GAP
            place = _Place(draws.uniform(edge, 1.0 - edge), draws.uniform(edge, 1.0 - edge), scale)
            if all(_apart(place, shape, other, kind.shape) for other, kind in zip(places, kinds, strict=False)):
                places.append(place)
            if len(places) == len(kinds):
                return places
        shrink *= 0.95


def _apart(place: _Place, shape: str, other: _Place, other_shape: str) -> bool:
    needed = drawing.reach_of(shape, place.scale) + drawing.reach_of(other_shape, other.scale) + _GAP
    across, down = place.x - other.x, place.y - other.y
    return across * across + down * down > needed * needed


def _paint(
    draws: drawing.RandomNumbers, kinds: list[ObjectKind], places: list[_Place], background: str, size: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    x, y = drawing.pixel_grid(size)
    dark, light = (np.array(colour)[:, None, None] for colour in _BACKGROUNDS[background])
    canvas = dark + (light - dark) * drawing.background_texture(draws, x, y)
    regions = np.zeros((size, size), dtype=np.int64)
    for region, (kind, place) in enumerate(zip(kinds, places, strict=True), start=1):
        window = _window(place, kind.shape, size)
        cosine, sine = draws.turn(0.22)
        across, down = x[window] - place.x, y[window] - place.y
        u, v = cosine * across + sine * down, cosine * down - sine * across
        depth = drawing.signed_distance(kind.shape, u, v, place.scale)
        cover = np.clip(depth * size + 0.5, 0.0, 1.0)
        surface = _surface(draws, kind.colour, u, v, depth, place.scale)
        canvas[:, *window] = canvas[:, *window] * (1.0 - cover) + surface * cover
        regions[window][cover > 0.0] = region
    return (np.rint(np.clip(canvas, 0.0, 1.0) * 255.0) / 255.0).astype(np.float32), regions


def _window(place: _Place, shape: str, size: int) -> tuple[slice, slice]:
    """Rows and columns that hold the object, blended outline included."""
    reach = drawing.reach_of(shape, place.scale) + _GAP
    rows, columns = (slice(max(int((at - reach) * size), 0), int((at + reach) * size) + 1) for at in (place.y, place.x))
    return rows, columns


def _surface(
    draws: drawing.RandomNumbers, colour: str, u: drawing.Field, v: drawing.Field, depth: drawing.Field, scale: float
) -> drawing.Field:
    """Colour of an object at every pixel: paint, texture, light from the upper left, a darker rim."""
    paint = np.array([value * draws.uniform(0.96, 1.04) for value in _PAINTS[colour]])[:, None, None]
    texture = drawing.object_texture(draws, u, v)
    light = np.clip((u + v) / scale, -1.0, 1.0)
    shade = 1.0 + 0.13 * texture - 0.07 * light
    rim = np.where(depth < 0.011, 0.78, 1.0)
    painted: drawing.Field = paint * (shade * rim)
    return painted


def _box(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _with_background(regions: npt.NDArray[np.int64], objects: int, cells: int) -> npt.NDArray[np.int64]:
    band = np.arange(len(regions), dtype=np.int64) * cells // len(regions)
    return np.where(regions > 0, regions, objects + 1 + band[:, None] * cells + band)
