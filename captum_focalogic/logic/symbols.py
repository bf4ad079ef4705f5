"""Regions as sympy symbols (``I7`` has the mask value 7, ``I_m3`` -3), and what they are called."""

import re
from collections.abc import Mapping

from sympy import Symbol

from captum_focalogic.errors import InputError

MAX_NAME = 200

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


def check_name(name: object) -> str:
    """A name that a symbol may have.

    Raises
    ------
    InputError
        If it is no text, empty, longer than 200 characters, or holds characters that cannot be printed.
    """
    if not isinstance(name, str):
        raise InputError(f"a region's name must be text; got {name!r}")
    if not name.strip() or name != name.strip():
        raise InputError(f"a region's name must not be empty, nor begin or end with a blank; got {name!r}")
    if len(name) > MAX_NAME:
        raise InputError(f"a region's name may have {MAX_NAME} characters; got one of {len(name)}")
    if not name.isprintable():
        raise InputError(f"a region's name must be printable on one line; got {name!r}")
    return name


def check_names(names: Mapping[int, str]) -> dict[int, str]:
    """Names of regions, checked.

    Parameters
    ----------
    names : mapping of int to str
        What each region is called; several regions may have one name, regions may be missing.

    Returns
    -------
    dict of int to str
        The same names, by ascending id.

    Raises
    ------
    InputError
        If an id is no integer, or a name is empty, longer than 200 characters, not printable, or the symbol of
        another region (``I7``).
    """
    checked: dict[int, str] = {}
    for region, name in names.items():
        if isinstance(region, bool) or not hasattr(region, "__index__"):
            raise InputError(f"names must map region ids to names; got the id {region!r}")
        number = int(region)
        key = region_key(check_name(name))
        if isinstance(key, int) and key != number:
            raise InputError(f"region {number} cannot be called {name!r}: that is the symbol of region {key}")
        checked[number] = name
    return dict(sorted(checked.items()))
