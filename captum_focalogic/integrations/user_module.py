"""Objects in Python files of the user's, by name: ``PATH/MODULE.py:NAME``, for models, segmenters and ground truth.

The file is run as it stands: name only files that you trust.
"""

import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image
from torch import Tensor, nn

from captum_focalogic.classifier import Classifier
from captum_focalogic.errors import InputError
from captum_focalogic.fingerprint import fingerprint
from captum_focalogic.images import image_tensor
from captum_focalogic.integrations.weights import load_weights


def load_classifier(text: str, weights: str | Path | None = None) -> Classifier:
    """A classifier from a Python file.

    Parameters
    ----------
    text : str
        ``PATH/MODULE.py:NAME``: a module of torch, a function of images, or what returns one when called without
        arguments. ``preprocess`` (an image to what the model sees of it) and ``labels`` are taken from the same file,
        where it has them.
    weights : str or Path, optional
        A file with a state dict.

    Raises
    ------
    InputError
        If there is no such object, it fails, or the weights are not for it.
    """
    module, found = _found(text)
    model = _model_of(found, text)
    if weights is not None:
        if not isinstance(model, nn.Module):
            raise InputError(f"--weights needs an nn.Module, but {text} is a {type(model).__name__}; leave it out")
        load_weights(model, weights)
    path, preprocess = Path(str(module.__file__)), getattr(module, "preprocess", None)
    return Classifier(
        forward=model,
        preprocess=image_tensor if preprocess is None else _preprocessing(preprocess, path),
        preprocess_labels=(lambda labels: labels) if preprocess is None else None,
        labels=_labels_of(module, path),
        name=text,
    )


@dataclass(frozen=True)
class FromFile:
    """A function in a Python file, found where it is called: other processes get the file's name, not the function.

    Attributes
    ----------
    path : Path
        The file.
    name : str
        The function, or a class that makes it without arguments.
    """

    path: Path
    name: str

    @classmethod
    def from_text(cls, text: str) -> "FromFile":
        """The function that ``PATH/MODULE.py:NAME`` names; loaded now, so that a misspelt one is told at once.

        Raises
        ------
        InputError
            If there is no such function, or the file fails.
        """
        path, _, name = text.rpartition(":")
        named = cls(Path(path).resolve(), name)
        _loaded(named)
        return named

    @property
    def identity(self) -> str:
        """What tells it from another function of the same name: its code, and what it uses of files beside its own."""
        found = _loaded(self)
        plain = inspect.isroutine(found) or isinstance(found, partial)
        try:
            told = fingerprint(found) if plain else fingerprint(type(found), type(found).__call__, vars(found))
        except (InputError, TypeError, AttributeError, ValueError):
            told = fingerprint(self.path)
        return f"{self.path}:{self.name} {told}"

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        return _loaded(self)(*arguments)


_LOADED: dict[FromFile, Callable[..., Any]] = {}


def _loaded(named: FromFile) -> Callable[..., Any]:
    if named not in _LOADED:
        found = getattr(_import(named.path), named.name, None)
        if not callable(found):
            raise InputError(f"{named.path} has no function {named.name!r}")
        try:
            _LOADED[named] = found() if isinstance(found, type) else found
        except Exception as error:
            raise InputError(f"{named.name} of {named.path} failed, {_brief(error)}") from error
    return _LOADED[named]


def _found(text: str) -> tuple[ModuleType, Any]:
    """The module that a name says, and the object in it, which may be an attribute of another: ``NAME.PART``."""
    path, _, attribute = text.rpartition(":")
    module = _import(Path(path))
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            known = ", ".join(key for key, value in vars(module).items() if callable(value) and key[0] != "_")
            raise InputError(f"{path} has no {attribute!r}; it has {known or 'nothing that can be called'}")
        found = getattr(found, part)
    return module, found


def _import(path: Path) -> ModuleType:
    if not path.is_file():
        raise InputError(f"there is no file {path} to load from")
    module_name = f"focalogic_model_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} cannot be loaded as a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"{path} failed to load, {_brief(error)}") from error
    finally:
        sys.path.pop(0)
    return module


def _model_of(found: Any, name: str) -> Callable[[Tensor], Any]:
    """A module instance or a function of images as it is; what needs no argument is called for the model."""
    if isinstance(found, nn.Module):
        return found
    function: Callable[..., Any] = found
    if not callable(found):
        raise InputError(f"{name} is a {type(found).__name__}; expected a model, or a function that returns one")
    try:
        needed = [
            parameter
            for parameter in inspect.signature(found).parameters.values()
            if parameter.default is parameter.empty and parameter.kind not in (_STAR, _STARS)
        ]
    except (TypeError, ValueError):
        return function
    if needed:
        return _function_of_images(function, needed, name)
    try:
        made: Any = function()
    except Exception as error:
        raise InputError(f"{name} was called to make the model and failed, {_brief(error)}") from error
    if not callable(made):
        raise InputError(f"{name} was called to make the model but returned a {type(made).__name__}")
    model: Callable[[Tensor], Any] = made
    return model


def _function_of_images(
    function: Callable[..., Any], needed: list[inspect.Parameter], name: str
) -> Callable[[Tensor], Any]:
    """A function of images as it is, unless it turns out to be one that makes a model from something else."""
    told = ", ".join(parameter.name for parameter in needed)
    refusal = (
        f"{name} makes a model but needs {told}; give what needs no argument, such as a function that calls it, or the "
        "model itself"
    )
    plain = needed[0].annotation in (int, str, bool, float, "int", "str", "bool", "float")
    if plain or len(needed) > 1 or (isinstance(function, type) and issubclass(function, nn.Module)):
        raise InputError(refusal)
    if not inspect.isfunction(function):
        return function

    @wraps(function)
    def forward(images: Tensor, *further: Any) -> Any:
        answer = function(images, *further)
        if isinstance(answer, nn.Module):
            raise InputError(refusal)
        return answer

    return forward


_STAR, _STARS = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD


def _preprocessing(preprocess: Callable[[Image.Image], Any], path: Path) -> Callable[[Image.Image], Any]:
    def told(image: Image.Image) -> Any:
        try:
            return preprocess(image)
        except Exception as error:
            raise InputError(f"preprocess of {path} failed, {_brief(error)}") from error

    return told


def _labels_of(module: ModuleType, path: Path) -> Any:
    labels = getattr(module, "labels", None)
    try:
        return labels() if callable(labels) else labels
    except Exception as error:
        raise InputError(f"labels of {path} failed, {_brief(error)}") from error


def _brief(error: BaseException) -> str:
    """An exception in one line: its type and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
