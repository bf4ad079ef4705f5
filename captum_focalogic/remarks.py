"""Warnings that point at the user's own line."""

import sys
import warnings

_PASSED_OVER = {"captum_focalogic", "captum", "torch"}


def remark(message: str) -> None:
    """Warn, and name the place that called into this package, however many wrappers of Captum and torch lie between.

    Python shows a warning once for each place; a place inside a wrapper would be the same for all callers.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _PASSED_OVER:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
