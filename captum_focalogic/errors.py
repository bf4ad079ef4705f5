"""What goes wrong, by kind: every error of this package derives from :class:`FocaLogicError`.

Exceptions raised by the user's own model are not wrapped: they pass through unchanged. Every warning is a
:class:`FocaLogicWarning`, and names the line that called into this package.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any


class FocaLogicError(Exception):
    """Base of every error this package raises."""


class InputError(FocaLogicError, ValueError):
    """An argument that cannot be used: the message says what was given, what was expected and how to mend it."""


class ArgumentError(InputError, AssertionError):
    """An argument of Captum's that is of a wrong type, number or shape.

    An ``AssertionError`` too, because Captum's attributors raise that and code around them may catch it.
    """


class TargetError(InputError, AssertionError):
    """A target, or an output that a target cannot index.

    An ``AssertionError`` too, because Captum's attributors raise that and code around them may catch it.
    """


class ModelOutputError(InputError, AssertionError):
    """The model answered with something no verdict can be read from (no row per input, NaN, a future)."""


class AggregateOutputError(ModelOutputError):
    """The model gave one value for a batch of several rows."""


class BrokenModelError(InputError):
    """A model that answers for no image of a whole group."""


class DiagramTooLarge(InputError):
    """A formula needs more nodes than allowed."""


class MissingExtraError(FocaLogicError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed; it comes with the '{extra}' extra: pip install 'captum-focalogic[{extra}]'"
        )


class NoEngineError(MissingExtraError):
    """Neither ``dot`` nor pygraphviz is installed; ``source`` is the ``.dot`` file that was written instead."""

    def __init__(self, source: Path) -> None:
        super().__init__("Graphviz (the program dot, or the Python package pygraphviz)", "render")
        self.source = source
        self.msg = f"{self.msg}; the graph's source is in {source}"
        self.args = (self.msg,)


class RenderError(FocaLogicError):
    """Graphviz could not draw a graph; the message says where its source was written."""


class FileError(InputError, OSError):
    """A file or folder that cannot be read, written or made; the message gives its path."""


class MissingFileError(FileError, FileNotFoundError):
    """A file that is to be read and is not there."""


class HubError(FocaLogicError, OSError):
    """Something that is kept on a server could not be fetched; the message says how to get it otherwise."""


class EndpointError(FocaLogicError):
    """The endpoint would not answer, however often it was asked."""


class BudgetError(FocaLogicError):
    """A further call would exceed the cap on calls or on cost. Answers that were paid for are in the cache."""


class SkippedError(FocaLogicError):
    """A method of attribution that cannot be used here; the message says why."""


class StudyError(FocaLogicError):
    """A run that cannot go on: its folder is in use, belongs to other settings, or cannot be written."""


class OtherModelError(StudyError):
    """The model of a study answers otherwise than when its rows were made."""


class DeadProcessError(FocaLogicError):
    """An image in whose explanation the process that explained it died each time."""


class SearchInterrupt(KeyboardInterrupt):
    """A keyboard interrupt that came while the model was asked.

    Attributes
    ----------
    found : object
        What would have been returned, as far as it was found and verified until then; its certificates say so.

    Examples
    --------
    >>> try:  # doctest: +SKIP
    ...     focuses = explainer.explain(images)
    ... except SearchInterrupt as interrupt:
    ...     focuses = interrupt.found
    """

    def __init__(self, found: Any) -> None:
        super().__init__("interrupted; what was found until then is in .found")
        self.found = found


class FocaLogicWarning(UserWarning):
    """Base of every warning this package gives."""


class TruncatedWarning(FocaLogicWarning):
    """A list that is known to be cut short."""


_PASSED_OVER = {"captum_focalogic", "captum", "torch"}


_HEARERS: ContextVar[tuple[tuple[type[FocaLogicWarning], list[str]], ...]] = ContextVar("hearers", default=())


@contextmanager
def hearing(category: type[FocaLogicWarning] = FocaLogicWarning) -> Iterator[list[str]]:
    """Warnings that this thread gives meanwhile: each message once, in order, and shown to nobody else.

    The filters of :mod:`warnings` are of the whole process, so that threads which set and restore them undo one
    another's.
    """
    heard: list[str] = []
    token = _HEARERS.set((*_HEARERS.get(), (category, heard)))
    try:
        yield heard
    finally:
        _HEARERS.reset(token)


def warn(message: str, category: type[FocaLogicWarning] = FocaLogicWarning) -> None:
    """Warn, and name the place that called into this package, however many wrappers of Captum and torch lie between.

    Python shows a warning once for each place; a place inside a wrapper would be the same for all callers.
    """
    for wanted, heard in reversed(_HEARERS.get()):
        if issubclass(category, wanted):
            if message not in heard:
                heard.append(message)
            return
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _PASSED_OVER:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
