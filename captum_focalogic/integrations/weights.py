"""Weights and whatever else is loaded from files and hubs: never code, and with a way to go on where that fails."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import torch
from torch import Tensor, nn

from captum_focalogic.errors import HubError, InputError, MissingExtraError, warn

RANDOM = "random"
"""In place of weights: leave the network as it was initialised, to try things out without a download."""

FOLDER_INSTEAD = (
    "check the connection; or give a local folder that holds its files instead of its id; or, where it was fetched "
    "before, set HF_HUB_OFFLINE=1 (and HF_HOME to the cache) to use that copy without asking the network"
)
FILE_INSTEAD = (
    "check the connection; or download the weights elsewhere and give the file (--weights FILE, weights=), or "
    f"{RANDOM!r} to go without; or set HF_HUB_OFFLINE=1 (and HF_HOME to the cache) to use a copy fetched before"
)


KEYS = ("state_dict", "model_state_dict", "model")
"""Under these, checkpoints hold a state dict beside the optimiser's state and the like."""

PREFIXES = ("module.", "_orig_mod.", "model.")
"""What wrappers put before every name: DataParallel, torch.compile, Lightning's and others' habit."""


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict: a ``.safetensors`` file, or what ``torch.save`` wrote (loaded with ``weights_only=True``).

    A checkpoint that holds the state dict under one of :data:`KEYS`, also one in the other, is opened up.

    Raises
    ------
    InputError
        If the file cannot be read, or holds something else.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if Path(path).suffix.lower() == ".safetensors":
            return load_file(path)
        _check_unpacked(path)
        stored: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, BadZipFile) as error:
        raise InputError(f"the weights {path} cannot be read: {first_line(error)}") from error
    except InputError:
        raise
    except Exception as error:
        # Malformed pickles make torch raise nearly anything; and where one holds code, its message recommends
        # weights_only=False, which would run it.
        raise InputError(
            f"the weights {path} cannot be read: no file of torch.save that holds tensors only; "
            "save one with torch.save(model.state_dict(), path)"
        ) from error
    for _ in range(len(KEYS)):  # a dict may hold itself
        held = [key for key in KEYS if isinstance(stored, dict) and isinstance(stored.get(key), dict)]
        stored = stored[held[0]] if held else stored
    if not isinstance(stored, dict) or not stored or not all(map(_is_weight, stored.items())):
        raise InputError(
            f"{path} holds no state dict (names to tensors) but a {type(stored).__name__}; save one with "
            "torch.save(model.state_dict(), path)"
        )
    return stored


def _check_unpacked(path: str | Path) -> None:
    """Refuse an archive whose parts are larger than it: torch packs nothing, and some kilobytes unpack to gigabytes."""
    if is_zipfile(path):
        with ZipFile(path) as archive:
            size = sum(part.file_size for part in archive.infolist())
        if size > Path(path).stat().st_size:
            raise InputError(
                f"the weights {path} cannot be read: a compressed archive that unpacks to {size:,} bytes; "
                "save one with torch.save(model.state_dict(), path)"
            )


def _is_weight(item: tuple[Any, Any]) -> bool:
    """Whether it is a name and a tensor, of which the file holds every number: strides of 0 could announce any size."""
    name, value = item
    plain = isinstance(name, str) and isinstance(value, Tensor) and value.layout == torch.strided and not value.is_meta
    return plain and value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def load_weights(model: nn.Module, path: str | Path) -> nn.Module:
    """Load a file's weights into a model, which is changed and returned.

    Raises
    ------
    InputError
        If the file cannot be read, or its names and shapes are not the model's.
    """
    return fit_weights(model, read_state_dict(path), path)


def fit_weights(model: nn.Module, weights: dict[str, Tensor], name: str | Path) -> nn.Module:
    """Load a state dict into a model, which is changed and returned; ``name`` is what an error calls it.

    What wrappers put before all names (:data:`PREFIXES`, also several) is taken off where the model has none of it.

    Raises
    ------
    InputError
        If the names and shapes are not the model's.
    """
    own = model.state_dict()
    given = _unwrapped(weights, own.keys())
    for part, value in given.items():
        if part in own and own[part].is_floating_point() and not value.is_floating_point():
            raise InputError(
                f"the weights {name} do not fit {type(model).__name__}: {part} is of type {value.dtype}, and the "
                f"model's of {own[part].dtype}; of quantised weights, save the ones before"
            )
    try:
        model.load_state_dict(given)
    except RuntimeError as error:
        reasons = [line.strip() for line in str(error).splitlines()[1:]] or [str(error)]
        more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
        raise InputError(f"the weights {name} do not fit {type(model).__name__}: {reasons[0]}{more}") from error
    return model


def _unwrapped(weights: dict[str, Tensor], expected: Collection[str]) -> dict[str, Tensor]:
    """The weights under the names that a model expects, as far as wrappers alone make the difference."""
    while not set(weights) & set(expected):
        prefix = next((start for start in PREFIXES if all(name.startswith(start) for name in weights)), None)
        if prefix is None:
            break
        weights = {name.removeprefix(prefix): value for name, value in weights.items()}
    return weights


def load_with_head(
    make: Callable[[int | None], nn.Module], weights: str | Path, labels: Sequence[str] | None, name: str
) -> tuple[nn.Module, int | None]:
    """A network with a file's weights, or with none, whose last layer is as large as these, or the labels, tell.

    Parameters
    ----------
    make : callable
        A number of classes to the network; None to the network as it is.
    weights : str or Path
        A file, or :data:`RANDOM`.
    labels : sequence of str or None
        Names of classes; of use where the weights are random.
    name : str
        What the warning calls the model.

    Returns
    -------
    model : nn.Module
    classes : int or None
        None for as many as the network has as it is.

    Raises
    ------
    InputError
        As :func:`load_weights`.
    """
    if weights == RANDOM:
        classes = len(labels) if labels else None
        return load_or_leave(make(classes), RANDOM, name), classes
    stored, model = read_state_dict(weights), make(None)
    classes = _classes_of(stored, model)
    return fit_weights(model if classes is None else make(classes), stored, weights), classes


def _classes_of(weights: dict[str, Tensor], model: nn.Module) -> int | None:
    """How many classes weights tell apart, where only the last layer is not the model's; else None."""
    own = model.state_dict()
    given = _unwrapped(weights, own.keys())
    other = [(own[name].shape, value.shape) for name, value in given.items() if name in own]
    sizes = {(mine[0], theirs[0]) for mine, theirs in other if mine != theirs and mine[1:] == theirs[1:] and len(mine)}
    rest = [mine for mine, theirs in other if mine != theirs and mine[1:] != theirs[1:]]
    return int(next(iter(sizes))[1]) if len(sizes) == 1 and not rest and set(given) == set(own) else None


def known_labels(
    labels: Sequence[str] | None, published: Sequence[str], classes: int | None, model: str
) -> Sequence[str] | None:
    """The user's labels, one for each class, or the published ones where the classes are as many.

    Raises
    ------
    InputError
        If there are more or fewer.
    """
    count = classes or len(published)
    if labels is not None and len(labels) != count:
        raise InputError(f"{model} has {count} classes, but there are {len(labels)} labels; name each class once")
    return labels or (published if len(published) == count else None)


def load_or_leave(model: nn.Module, weights: str | Path, name: str) -> nn.Module:
    """Load a file's weights into a model, or warn that it is left as it was initialised.

    Parameters
    ----------
    model : nn.Module
        Is changed and returned.
    weights : str or Path
        A file, or :data:`RANDOM`.
    name : str
        What the warning calls the model.

    Raises
    ------
    InputError
        As :func:`load_weights`.
    """
    if weights != RANDOM:
        return load_weights(model, weights)
    warn(f"{name} has RANDOM weights: its predictions, and every explanation of them, mean nothing")
    return model


@contextmanager
def fetching(
    what: str, *, failures: tuple[type[Exception], ...] = (OSError,), instead: str = FOLDER_INSTEAD
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
