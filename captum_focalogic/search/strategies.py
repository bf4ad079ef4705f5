"""Strategies by name, and which of them suits a reading, the number of regions and the budget."""

from captum_focalogic import names
from captum_focalogic.errors import InputError
from captum_focalogic.search.anytime import Anytime
from captum_focalogic.search.ascending import Ascending
from captum_focalogic.search.beam import Beam
from captum_focalogic.search.certificate import READINGS, Reading
from captum_focalogic.search.chains import Chains
from captum_focalogic.search.exhaustive import Exhaustive
from captum_focalogic.search.frugal import Frugal
from captum_focalogic.search.hitting_sets import HittingSets
from captum_focalogic.search.run import Strategy

EXHAUSTIVE_REGIONS = 20
"""Regions up to which an irreducible search without a budget is exhaustive: about a million evaluations."""

SEARCHES = ("auto", "anytime", "exhaustive", "beam", "beam:WIDTH", "ascending", "chains", "hitting-sets", "frugal")

_CUTS: dict[Reading, tuple[Reading, ...]] = {
    "irreducible": ("irreducible", "minimal", "smallest"),
    "minimal": ("minimal", "smallest"),
    "smallest": ("smallest",),
}
"""Readings that can be had from the states of each reading."""


def check_reading(search: str | Strategy, reading: Reading) -> None:
    """Raise :class:`InputError` if that search cannot give that reading."""
    if reading not in READINGS:
        raise InputError(f"reading must be one of {', '.join(READINGS)}; got {reading!r}")
    strategy = strategy_for(search, reading, num_regions=1, max_evaluations=None)
    if reading not in _CUTS[strategy.reading]:
        raise InputError(
            f"{strategy!r} finds {strategy.reading} states, from which the {reading} ones cannot be had; "
            f"pass reading={strategy.reading!r}, or another search"
        )


def strategy_for(search: str | Strategy, reading: Reading, num_regions: int, max_evaluations: int | None) -> Strategy:
    """The strategy that a name stands for.

    Raises
    ------
    InputError
        If the name is unknown.
    """
    if not isinstance(search, str):
        return search
    name, _, number = search.partition(":")
    width = names.whole_number(number)
    if name == "beam" and (not number or width is not None):
        return Beam() if width is None else Beam(width)
    if number or name not in SEARCHES:
        found: Strategy = names.find("search", search, also=(*SEARCHES, "or pass a strategy object"))
        return found
    if name == "auto":
        return auto_strategy(reading, num_regions, max_evaluations)
    if name == "ascending":
        return Ascending(stop="smallest") if reading == "smallest" else Ascending()
    plain: dict[str, Strategy] = {
        "anytime": Anytime(),
        "exhaustive": Exhaustive(),
        "chains": Chains(),
        "hitting-sets": HittingSets(),
        "frugal": Frugal(),
    }
    return plain[name]


def auto_strategy(
    reading: Reading, num_regions: int, max_evaluations: int | None = None, *, frugal: bool = False
) -> Strategy:
    """Choose a strategy for a reading; the reading itself is never changed.

    Parameters
    ----------
    reading : {"irreducible", "minimal", "smallest"}
        Which states are meant by "final".
    num_regions : int
        M.
    max_evaluations : int, optional
        The budget.
    frugal : bool
        Every call of the model is dear (a paid or slow black box): ask one state at a time, the most telling first.

    Returns
    -------
    Strategy
        For "irreducible" ``Frugal()`` if frugal, else ``Exhaustive()`` if all 2^M region sets fit the budget (without
        one: up to 20 regions), else ``Chains()``. For "minimal" ``Ascending()``, which stays complete up to the size
        that the budget reaches. For "smallest" ``Anytime()``, which has a sufficient set at any time and proves with
        what is left of the budget that none is smaller.

    Raises
    ------
    InputError
        If ``reading`` is not one of the three.
    """
    if reading == "minimal":
        return Ascending()
    if reading == "smallest":
        return Anytime()
    if reading != "irreducible":
        raise InputError(f"reading must be one of {', '.join(map(repr, READINGS))}; got {reading!r}")
    if frugal:
        return Frugal()
    budget = 1 << EXHAUSTIVE_REGIONS if max_evaluations is None else max_evaluations
    return Exhaustive() if 1 << num_regions <= budget else Chains()
