"""Fetching weights and their settings from where they are kept, and saying how to go on where that fails."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from captum_focalogic.errors import HubError, InputError, MissingExtraError

HOW_TO_GO_ON = (
    "check the connection; or give a local folder that holds its files instead of its id; or, where it was fetched "
    "before, set HF_HUB_OFFLINE=1 (and HF_HOME to the cache) to use that copy without asking the network"
)


@contextmanager
def fetching(
    what: str, *, failures: tuple[type[Exception], ...] = (OSError,), instead: str = HOW_TO_GO_ON
) -> Iterator[None]:
    """Turn failures to fetch into one error that says how to go on.

    Parameters
    ----------
    what : str
        What is fetched, as the user named it.
    failures : tuple of exception types
        What the library raises when it cannot fetch.
    instead : str
        How else to get it.

    Raises
    ------
    HubError
        If the block raises one of the failures.
    """
    try:
        yield
    except failures as error:
        raise HubError(f"{what} could not be fetched ({first_line(error)}); {instead}") from error


def pretrained(auto_class: Any, name: str | Path, **options: Any) -> Any:
    """What ``auto_class.from_pretrained(name)`` of transformers gives, for a hub id or a local folder.

    Raises
    ------
    InputError
        If a folder does not exist, or holds something else.
    HubError
        If an id cannot be fetched.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        try:
            return auto_class.from_pretrained(str(path), **options)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"the folder {path} cannot be loaded with {auto_class.__name__}: {first_line(error)}; give one that "
                "save_pretrained() wrote, or that was downloaded from the hub, of a fitting kind of model"
            ) from error
    if looks_like_a_path(name):
        raise InputError(f"there is no folder {path}; give an existing one, or an id such as 'owner/name'")
    with fetching(str(name)):
        try:
            return auto_class.from_pretrained(str(name), **options)
        except (ValueError, KeyError) as error:
            raise InputError(f"{name} cannot be loaded with {auto_class.__name__}: {first_line(error)}") from error


def looks_like_a_path(name: str | Path) -> bool:
    """Whether a name can only be meant as a path: hub ids have one slash at most, and no dot or slash in front."""
    text = str(name)
    return isinstance(name, Path) or text.startswith((".", "~", os.sep)) or text.count("/") > 1


def import_transformers() -> Any:
    """The transformers package.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("transformers", "transformers") from error
    return transformers


def first_line(error: BaseException) -> str:
    """The first line of what an exception says, or its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
