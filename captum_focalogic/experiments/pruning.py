"""How far a search is pruned: the number of regions and the width of the beam."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from captum_focalogic.search import Beam, Exhaustive, Strategy
from captum_focalogic.search.beam import Scope

REGIONS: tuple[int, ...] = (6, 9, 12, 20, 30)
"""Numbers of regions that SLIC is asked for."""

WIDTHS: tuple[int, ...] = (1, 2, 5, 10, 20)
"""Widths of the beam."""

NARROW: tuple[int, ...] = (1, 2, 5)
"""Widths of the beam with more regions: with 20 and more, a wider one spends its budget before it finds any state."""

EXHAUSTIVE_REGIONS = 12
"""Regions up to which the search without a beam is tried, which asks for up to 2^M states."""

BUDGET = 1 << EXHAUSTIVE_REGIONS
"""Evaluations that an image may take: enough for every search that is not pruned. With more regions, half of it."""


@dataclass(frozen=True)
class Pruning:
    """One setting.

    Attributes
    ----------
    regions : int
        How many SLIC is asked for.
    width : int, optional
        Of the beam; without one nothing is pruned.
    scope : {"state", "level"}
        Whether so many children of each state are kept, the paper's rule, or so many states of each level.
    """

    regions: int
    width: int | None
    scope: Scope = "state"

    @property
    def name(self) -> str:
        """What it is called in tables and folders."""
        return f"{self.regions} regions, {self.beam}"

    @property
    def beam(self) -> str:
        """The pruning alone."""
        if self.width is None:
            return "off"
        return f"beam {self.width}" if self.scope == "state" else f"beam {self.width} a level"

    @property
    def budget(self) -> int:
        """Evaluations that an image may take."""
        return BUDGET if self.regions <= EXHAUSTIVE_REGIONS else BUDGET // 2

    @property
    def search(self) -> Strategy:
        """The search that prunes so."""
        return Exhaustive() if self.width is None else Beam(self.width, self.scope)


def prunings(regions: Sequence[int] = REGIONS, widths: Sequence[int] = WIDTHS) -> list[Pruning]:
    """The paper's pruning by regions and width; without pruning where that is possible, and by level where it is not.

    With ``k`` children kept of each state a level still grows up to k-fold: with many regions only a search that keeps
    so many states of each level gets to the end.
    """
    made = []
    for count in regions:
        if count <= EXHAUSTIVE_REGIONS:
            made += [*(Pruning(count, width) for width in widths), Pruning(count, None)]
        else:
            narrow = [width for width in widths if width in NARROW]
            made += [Pruning(count, width, scope) for scope in get_args(Scope) for width in narrow]
    return made
