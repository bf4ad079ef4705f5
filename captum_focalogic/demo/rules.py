"""What the embedded scenes mean: kinds of objects, and the Boolean rule behind each class.

A class holds where every clause of its rule is met by an object in the image (a conjunction of
disjunctions without negation), so taking objects away can end a class but never begin one.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sympy
from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import InputError

COLOURS = ("red", "blue", "green", "yellow", "purple", "teal", "white")
SHAPES = ("disc", "square", "triangle", "ring", "cross", "star")


@dataclass(frozen=True, order=True)
class ObjectKind:
    """A colour bound to a shape.

    Raises
    ------
    InputError
        If the colour is not one of `COLOURS` or the shape not one of `SHAPES`.
    """

    colour: str
    shape: str

    def __post_init__(self) -> None:
        for given, known, what in ((self.colour, COLOURS, "colour"), (self.shape, SHAPES, "shape")):
            if given not in known:
                raise InputError(f"unknown {what} {given!r}: expected one of {', '.join(known)}")

    def __str__(self) -> str:
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class ClassRule:
    """The rule of one class: every clause needs an object of one of its kinds.

    Attributes
    ----------
    clauses : tuple of tuple of ObjectKind
        A conjunction of disjunctions.
    """

    clauses: tuple[tuple[ObjectKind, ...], ...]

    @property
    def kinds(self) -> tuple[ObjectKind, ...]:
        """The kinds the rule speaks of, in the order they appear."""
        return tuple(kind for clause in self.clauses for kind in clause)

    def __str__(self) -> str:
        parts = [" or ".join(map(str, clause)) for clause in self.clauses]
        return " and ".join(f"({part})" if " or " in part else part for part in parts)


RULES: dict[int, ClassRule] = {
    1: ClassRule(((ObjectKind("red", "disc"),), (ObjectKind("blue", "square"), ObjectKind("green", "triangle")))),
    2: ClassRule(((ObjectKind("yellow", "ring"),), (ObjectKind("purple", "cross"),))),
}
"""Rule by label. Label 0, "other", is the class of images in which no rule holds."""

CLASS_NAMES: tuple[str, ...] = ("other", *(str(RULES[label]) for label in sorted(RULES)))
"""Class names by label: what the rule says in words."""

RULE_KINDS: tuple[ObjectKind, ...] = tuple(kind for label in sorted(RULES) for kind in RULES[label].kinds)
"""Every kind that some rule speaks of: the columns of `labels_from_presence`."""


def labels_from_presence(present: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Class of each image, given which of the rules' kinds it shows.

    Parameters
    ----------
    present : ndarray of bool, shape (B, len(RULE_KINDS))
        Whether image b shows an object of kind ``RULE_KINDS[k]``.

    Returns
    -------
    ndarray of int64, shape (B,)
        The lowest label whose rule holds, 0 where none does.
    """
    labels = np.zeros(len(present), dtype=np.int64)
    for label in sorted(RULES, reverse=True):
        labels[_holds(label, present)] = label
    return labels


def _holds(label: int, present: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    holds = np.ones(len(present), dtype=np.bool_)
    for clause in RULES[label].clauses:
        holds &= present[:, [RULE_KINDS.index(kind) for kind in clause]].any(axis=1)
    return holds


def labels_met(kinds: Iterable[ObjectKind]) -> tuple[int, ...]:
    """Labels whose rule is met by an image of these kinds; empty for an image of class 0."""
    shown = set(kinds)
    present = np.array([[kind in shown for kind in RULE_KINDS]])
    return tuple(label for label in sorted(RULES) if _holds(label, present)[0])


def expression_of(label: int, regions: Iterable[tuple[int, ObjectKind]]) -> Boolean:
    """The rule of a class over the regions of one image.

    Parameters
    ----------
    label : int
        A class, 0 to ``len(CLASS_NAMES) - 1``.
    regions : iterable of (int, ObjectKind)
        Region id and kind of each object in the image.

    Returns
    -------
    sympy Boolean
        Over ``Symbol("I<id>")``, true for exactly the sets of kept regions that are of class `label`. For class 0
        that is "no rule holds", so it is ``true`` in an image of class 0: whatever is taken away, it stays "other".

    Raises
    ------
    InputError
        If there is no such class.
    """
    placed = list(regions)
    if label == 0:
        return sympy.Not(sympy.Or(*(expression_of(other, placed) for other in RULES)))
    if label not in RULES:
        raise InputError(f"there is no class {label!r}: the scenes have classes 0 to {len(CLASS_NAMES) - 1}")
    return sympy.And(
        *(
            sympy.Or(*(sympy.Symbol(f"I{region}") for region, kind in placed if kind in clause))
            for clause in RULES[label].clauses
        )
    )
