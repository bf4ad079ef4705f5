"""Checks of the settings that strategies share."""

from typing import Any

import numpy as np

from captum_focalogic.errors import InputError


def check_whole(name: str, value: Any, least: int, otherwise: str = "") -> None:
    """Raise :class:`InputError` unless ``value`` is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}{otherwise}; got {value!r}")


def check_probability(name: str, value: Any) -> None:
    """Raise :class:`InputError` unless ``value`` is a number between 0 and 1, both excluded."""
    if not isinstance(value, int | float | np.floating) or not 0 < value < 1:
        raise InputError(f"{name} must be a probability between 0 and 1; got {value!r}")
