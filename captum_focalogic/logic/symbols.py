"""Regions as sympy symbols: ``I7`` is the region whose mask value is 7, ``I_m3`` that of -3."""

import re

from sympy import Symbol

from captum_focalogic.errors import InputError

_REGION = re.compile(r"I(0|[1-9][0-9]*)|I_m([1-9][0-9]*)")


def symbol(region_id: int) -> Symbol:
    """The symbol of a region.

    Parameters
    ----------
    region_id : int
        A value of the feature mask; may be negative.

    Returns
    -------
    sympy.Symbol
        ``Symbol("I7")`` for 7, ``Symbol("I_m3")`` for -3.
    """
    number = int(region_id)
    return Symbol(f"I{number}" if number >= 0 else f"I_m{-number}")


def region_id(region: Symbol | str) -> int:
    """The region of a symbol: the inverse of :func:`symbol`.

    Raises
    ------
    InputError
        If the name is not one that :func:`symbol` writes.
    """
    name = str(region)
    key = region_key(name)
    if not isinstance(key, int):
        raise InputError(
            f"{name!r} is not the symbol of a region; expected I<id>, or I_m<id> for a negative id (I7, I_m3)"
        )
    return key


def region_key(region: Symbol | str) -> int | str:
    """The region id of a symbol where it has one, else the symbol's name (a region that was given a name)."""
    name = str(region)
    found = _REGION.fullmatch(name)
    if found is None:
        return name
    positive, negative = found.groups()
    return int(positive) if positive is not None else -int(negative)


def key_order(key: int | str) -> tuple[bool, int, str]:
    """Sort key for regions: ids by number, then names by letter, so that ``I2`` comes before ``I10``."""
    return (True, 0, key) if isinstance(key, str) else (False, key, "")
