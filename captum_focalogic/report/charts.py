"""Histograms and bars as shapes of SVG, which take their colours and letters from the page that they stand in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from captum_focalogic.arrays import Floats
from captum_focalogic.report.words import listed

_BINS = 20
_LEFT, _RIGHT, _TOP, _BOTTOM = 34.0, 302.0, 12.0, 138.0


@dataclass(frozen=True)
class Steps:
    """One line of a histogram, for all who have the same."""

    names: tuple[str, ...]
    path: str
    mean: float
    """Where the mean stands, on the axis of values."""

    @property
    def name(self) -> str:
        """Whose it is."""
        return listed(self.names)


@dataclass(frozen=True)
class Histogram:
    """How the values of a measure are spread.

    Attributes
    ----------
    title : str
        The measure.
    steps : tuple of Steps
        The first one is to be filled.
    across, up : tuple of (float, str)
        Marks of the axes: where, and which value.
    """

    title: str
    steps: tuple[Steps, ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the plot, of 320 by 168 with its marks."""
        return _LEFT, _TOP, _RIGHT, _BOTTOM


def histogram(title: str, values: Mapping[str, Sequence[float]], most: float) -> Histogram | None:
    """The spread of values between 0 and ``most``, a line for each name, one for those that are the same.

    Parameters
    ----------
    title : str
        The measure.
    values : mapping of str to sequence of float
        By name, the one to be filled first; without NaN.
    most : float
        The largest value there can be.

    Returns
    -------
    Histogram or None
        None where there is no value at all.
    """
    lines: dict[tuple[float, ...], list[str]] = {}
    for name, given in values.items():
        if len(given):
            lines.setdefault(tuple(given), []).append(name)
    if not lines:
        return None
    edges = np.linspace(0, most, _BINS + 1)
    # a rounding beyond the last edge would be lost
    heights = {given: np.histogram(np.clip(given, 0, most), edges)[0] for given in lines}
    top = max(int(height.max()) for height in heights.values())
    steps = tuple(
        Steps(tuple(names), _outline(heights[given] / top), _across(float(np.mean(given)) / most))
        for given, names in lines.items()
    )
    shown = [0.0, most / 2, most]
    return Histogram(
        title,
        steps,
        tuple((_across(value / most), f"{value:g}") for value in shown),
        tuple((_up(count / top), str(count)) for count in sorted({0, top // 2 if top > 3 else 0, top})),
    )


def _outline(shares: Floats) -> str:
    width = (_RIGHT - _LEFT) / len(shares)
    places = [f"M{_LEFT:g} {_BOTTOM:g}"]
    places += [f"V{_up(share):.1f}H{_LEFT + width * (place + 1):.1f}" for place, share in enumerate(shares)]
    return "".join([*places, f"V{_BOTTOM:g}"])


def _across(share: float) -> float:
    return round(_LEFT + share * (_RIGHT - _LEFT), 1)


def _up(share: float) -> float:
    return round(_BOTTOM - share * (_BOTTOM - _TOP), 1)
