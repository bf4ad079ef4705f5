"""What a method is, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Floats
from captum_focalogic.compare.decision import Decision
from captum_focalogic.focus import Focus


@dataclass(frozen=True, eq=False)
class Attribution:
    """What a method says about an image.

    Attributes
    ----------
    scores : (M,) float64
        How much each region matters; only their order is compared between methods.
    heat_map : (H, W) float64
        The same for each pixel; for methods over regions their scores, spread out.
    over_regions : bool
        Whether the method itself speaks of regions.
    focus : Focus or None
        The final states, for FocaLogic.
    terms : tuple of (str, frozenset of int, float)
        Kind, regions and strength of effects of region sets, where a method names such; strongest first.
    note : str
        Anything that whoever reads the numbers should know.
    """

    scores: Floats
    heat_map: Floats
    over_regions: bool
    focus: Focus | None = None
    terms: tuple[tuple[str, frozenset[int], float], ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Method:
    """A method by name.

    Attributes
    ----------
    name : str
        What it is called in tables and on the command line.
    run : callable
        Decision to attribution; raises :class:`SkippedError` with a reason where it cannot be used.
    gradients : bool
        Whether it needs the model's gradients.
    random : bool
        Whether its attribution depends on a seed.
    """

    name: str
    run: Callable[[Decision], Attribution] = field(repr=False)
    gradients: bool = False
    random: bool = False


def from_regions(decision: Decision, scores: NDArray[np.floating], note: str = "") -> Attribution:
    """The attribution of a method that gives a score for each region."""
    values = np.asarray(scores, dtype=np.float64)
    return Attribution(values, decision.spread(values), over_regions=True, note=note)


def filled_note(decision: Decision, note: str) -> str:
    """The note of a method that knows no removal but filling."""
    if decision.removal == "fill":
        return note
    return "; ".join(filter(None, (note, "made with a fill or without any removal, measured with regions left out")))


def from_pixels(decision: Decision, heat_map: NDArray[np.floating], note: str = "") -> Attribution:
    """The attribution of a method that gives a score for each pixel."""
    note = filled_note(decision, note)
    values = np.asarray(heat_map, dtype=np.float64)
    return Attribution(decision.region_means(values), values, over_regions=False, note=note)
