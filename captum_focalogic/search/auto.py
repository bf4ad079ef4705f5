"""Which strategy suits a reading, the number of regions and the budget."""

from captum_focalogic.errors import InputError
from captum_focalogic.search.ascending import Ascending
from captum_focalogic.search.certificate import READINGS, Reading
from captum_focalogic.search.chains import Chains
from captum_focalogic.search.exhaustive import Exhaustive
from captum_focalogic.search.frugal import Frugal
from captum_focalogic.search.run import Strategy

EXHAUSTIVE_REGIONS = 20
"""Regions up to which an irreducible search without a budget is exhaustive: about a million evaluations."""


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
        one: up to 20 regions), else ``Chains()``. For "minimal" ``Ascending()`` and for "smallest"
        ``Ascending(stop="smallest")``, which stay complete up to the size that the budget reaches.

    Raises
    ------
    InputError
        If ``reading`` is not one of the three.
    """
    if reading == "minimal":
        return Ascending()
    if reading == "smallest":
        return Ascending(stop="smallest")
    if reading != "irreducible":
        raise InputError(f"reading must be one of {', '.join(map(repr, READINGS))}; got {reading!r}")
    if frugal:
        return Frugal()
    budget = 1 << EXHAUSTIVE_REGIONS if max_evaluations is None else max_evaluations
    return Exhaustive() if 1 << num_regions <= budget else Chains()
