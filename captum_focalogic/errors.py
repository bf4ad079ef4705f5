"""What goes wrong, by kind: every error of this package derives from :class:`FocaLogicError`.

Exceptions raised by the user's own model are not wrapped: they pass through unchanged.
"""


class FocaLogicError(Exception):
    """Base of every error this package raises."""


class InputError(FocaLogicError, ValueError):
    """An argument that cannot be used: the message says what was given, what was expected and how to mend it."""


class TargetError(InputError, AssertionError):
    """A target, or an output that a target cannot index.

    An ``AssertionError`` too, because Captum's attributors raise that and code around them may catch it.
    """


class ModelOutputError(InputError, AssertionError):
    """The model answered with something no verdict can be read from (no row per input, NaN, a future)."""


class MissingExtraError(FocaLogicError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed; it comes with the '{extra}' extra: pip install 'captum-focalogic[{extra}]'"
        )


class HubError(FocaLogicError, OSError):
    """Something that is kept on a server could not be fetched; the message says how to get it otherwise."""
