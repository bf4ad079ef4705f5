"""Searches by name, for the ``search=`` argument and the command line."""

from captum_focalogic.errors import InputError
from captum_focalogic.search.ascending import Ascending
from captum_focalogic.search.auto import auto_strategy
from captum_focalogic.search.beam import Beam
from captum_focalogic.search.certificate import READINGS, Reading
from captum_focalogic.search.chains import Chains
from captum_focalogic.search.exhaustive import Exhaustive
from captum_focalogic.search.frugal import Frugal
from captum_focalogic.search.hitting_sets import HittingSets
from captum_focalogic.search.run import Strategy

SEARCHES = ("auto", "exhaustive", "beam", "beam:WIDTH", "ascending", "chains", "hitting-sets", "frugal")

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
    if name == "beam" and (not number or number.isdecimal()):
        return Beam(int(number)) if number else Beam()
    if number or name not in SEARCHES:
        raise InputError(f"unknown search {search!r}; choose one of {', '.join(SEARCHES)}, or pass a strategy object")
    if name == "auto":
        return auto_strategy(reading, num_regions, max_evaluations)
    if name == "ascending":
        return Ascending(stop="smallest") if reading == "smallest" else Ascending()
    plain: dict[str, Strategy] = {
        "exhaustive": Exhaustive(),
        "chains": Chains(),
        "hitting-sets": HittingSets(),
        "frugal": Frugal(),
    }
    return plain[name]
