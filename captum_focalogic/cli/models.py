"""Models by name: what is asked, which part of a picture it sees, and what its classes are called."""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from captum_focalogic.cli.errors import CommandError, brief

MODEL_CHOICES = "demo, torchvision:NAME, PATH/MODULE.py:NAME or cascade:face"

Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NamedModel:
    """A model and what belongs to it.

    Attributes
    ----------
    name : str
        As given on the command line.
    forward : callable
        Images (N, 3, H, W) in [0, 1] to whatever the model answers.
    see : callable
        A picture to the image (3, H, W) in [0, 1] that the model sees of it.
    see_labels : callable or None
        A label map of the picture's size to one of the seen image's size; None where that is not known.
    labels : sequence of str or None
        Class names.
    """

    name: str
    forward: Callable[[Tensor], Any]
    see: Callable[[Image.Image], Tensor]
    see_labels: Callable[[Labels], Labels] | None
    labels: Sequence[str] | None = None

    def on(self, device: torch.device) -> "NamedModel":
        """The same model on a device, in evaluation mode."""
        if isinstance(self.forward, nn.Module):
            return replace(self, forward=self.forward.to(device).eval().requires_grad_(False))
        return self

    def label_of(self, target: int) -> str | None:
        """What a class is called."""
        return self.labels[target] if self.labels is not None and 0 <= target < len(self.labels) else None


def find_model(name: str, weights: str | None = None, smallest_face: float = 0.2) -> NamedModel:
    """A model by its command line name.

    Parameters
    ----------
    name : str
        See :data:`MODEL_CHOICES`.
    weights : str, optional
        A file with a state dict, safetensors or torch; ``random`` with torchvision's.
    smallest_face : float
        For the cascade: width of the smallest face looked for, as a share of the picture.

    Raises
    ------
    CommandError
        If there is no such model, or its module fails.
    InputError
        If its weights cannot be had.
    """
    kind, _, rest = name.partition(":")
    if name == "demo":
        return _demo(weights)
    if kind == "torchvision" and rest:
        return _torchvision(name, rest, weights)
    if name == "cascade:face":
        return _cascade(weights, smallest_face)
    path, colon, attribute = name.rpartition(":")
    if colon and path.endswith(".py") and attribute:
        return _from_module(name, Path(path), attribute, weights)
    return _named(name, kind, rest, weights)


def _named(name: str, kind: str, rest: str, weights: str | None) -> NamedModel:
    from captum_focalogic.integrations.names import find_classifier, model_names

    classifier = find_classifier(kind, rest, weights) if rest else None
    if classifier is None:
        further = ", ".join(f"{known}:…" for known in model_names())
        raise CommandError(f"unknown model {name!r}; choose {MODEL_CHOICES}; or {further}")
    return _with_crop(name, classifier.model, classifier.crop, classifier.labels or None)


def find_device(text: str) -> torch.device:
    """``auto`` (a GPU if there is one), or a device of torch by name.

    Raises
    ------
    CommandError
        If there is no such device here.
    """
    if text == "auto":
        text = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(text)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise CommandError(f"there is no device {text!r} here that torch can use; try cpu or auto") from error
    return device


def picture_tensor(picture: Image.Image) -> Tensor:
    """A picture as an image (3, H, W) in [0, 1]."""
    pixels = np.array(picture.convert("RGB"), dtype=np.uint8)
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 255


def _demo(weights: str | None) -> NamedModel:
    from captum_focalogic.demo.network import load_model
    from captum_focalogic.demo.rules import CLASS_NAMES
    from captum_focalogic.demo.scenes import SceneConfig

    model = load_model()
    if weights is not None:
        from captum_focalogic.integrations.weights import load_weights

        load_weights(model, weights)
    side = SceneConfig().size
    return _with_crop("demo", model, lambda picture, nearest=False: _square(picture, side, nearest), CLASS_NAMES)


def _torchvision(name: str, architecture: str, weights: str | None) -> NamedModel:
    from captum_focalogic.integrations.torchvision import load_classifier

    classifier = load_classifier(architecture, weights)
    return _with_crop(name, classifier.model, classifier.crop, classifier.labels or None)


def _cascade(weights: str | None, smallest: float) -> NamedModel:
    from captum_focalogic.integrations.cascade import LABELS, FaceCascade

    if weights is not None:
        raise CommandError("--weights has no meaning for cascade:face, which is no neural network; leave it out")
    return _with_crop("cascade:face", FaceCascade(smallest), _fit, LABELS)


_LARGEST_SIDE = 240


def _with_crop(
    name: str, forward: Callable[[Tensor], Any], crop: Callable[..., Image.Image], labels: Sequence[str] | None
) -> NamedModel:
    """A model whose crop takes pictures, and with ``nearest=True`` label maps."""
    return NamedModel(
        name=name,
        forward=forward,
        see=lambda picture: picture_tensor(crop(picture.convert("RGB"))),
        see_labels=lambda label_map: _crop_labels(label_map, crop),
        labels=labels,
    )


def _crop_labels(label_map: Labels, crop: Callable[..., Image.Image]) -> Labels:
    # Pictures hold 32 bits a pixel, ids may need more: the positions of the ids travel in their place.
    region_ids, positions = np.unique(label_map, return_inverse=True)
    picture = Image.fromarray(positions.reshape(label_map.shape).astype(np.int32))
    return np.asarray(region_ids[np.asarray(crop(picture, nearest=True))], dtype=np.int64)


def _square(picture: Image.Image, side: int, nearest: bool) -> Image.Image:
    """The largest centred square, resized."""
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    square = picture.crop((left, top, left + edge, top + edge))
    return square.resize((side, side), Image.Resampling.NEAREST if nearest else Image.Resampling.LANCZOS)


def _fit(picture: Image.Image, nearest: bool = False) -> Image.Image:
    """No larger than the detector can scan in a few milliseconds."""
    scale = _LARGEST_SIDE / max(picture.size)
    if scale >= 1:
        return picture
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.NEAREST if nearest else Image.Resampling.LANCZOS)


def _from_module(name: str, path: Path, attribute: str, weights: str | None) -> NamedModel:
    module = _import(path)
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            known = ", ".join(key for key, value in vars(module).items() if callable(value) and key[0] != "_")
            raise CommandError(f"{path} has no {attribute!r}; it has {known or 'nothing that can be called'}")
        found = getattr(found, part)
    model = _model_of(found, name)
    if weights is not None:
        if not isinstance(model, nn.Module):
            raise CommandError(f"--weights needs an nn.Module, but {name} is a {type(model).__name__}; leave it out")
        from captum_focalogic.integrations.weights import load_weights

        load_weights(model, weights)
    preprocess = getattr(module, "preprocess", None)
    return NamedModel(
        name=name,
        forward=model,
        see=picture_tensor if preprocess is None else _preprocessing(preprocess, path),
        see_labels=(lambda labels: labels) if preprocess is None else None,
        labels=_labels_of(module, path),
    )


def _import(path: Path) -> ModuleType:
    if not path.is_file():
        raise CommandError(f"there is no file {path} to load a model from")
    module_name = f"focalogic_model_{path.stem}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise CommandError(f"{path} cannot be loaded as a Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise CommandError(f"{path} failed to load, {brief(error)}") from error
    finally:
        sys.path.pop(0)
    return module


def _model_of(found: Any, name: str) -> Callable[[Tensor], Any]:
    """A module instance or a function of images as it is; what needs no argument is called for the model."""
    if isinstance(found, nn.Module):
        return found
    function: Callable[..., Any] = found
    if not callable(found):
        raise CommandError(f"{name} is a {type(found).__name__}; expected a model, or a function that returns one")
    try:
        needed = [
            parameter
            for parameter in inspect.signature(found).parameters.values()
            if parameter.default is parameter.empty and parameter.kind not in (_STAR, _STARS)
        ]
    except (TypeError, ValueError):
        return function
    if needed:
        return function
    try:
        made: Any = function()
    except Exception as error:
        raise CommandError(f"{name} was called to make the model and failed, {brief(error)}") from error
    if not callable(made):
        raise CommandError(f"{name} was called to make the model but returned a {type(made).__name__}")
    model: Callable[[Tensor], Any] = made
    return model


_STAR, _STARS = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD


def _preprocessing(preprocess: Callable[[Image.Image], Any], path: Path) -> Callable[[Image.Image], Tensor]:
    def see(picture: Image.Image) -> Tensor:
        try:
            image = preprocess(picture)
        except Exception as error:
            raise CommandError(f"preprocess of {path} failed, {brief(error)}") from error
        if isinstance(image, Image.Image):
            return picture_tensor(image)
        if not isinstance(image, Tensor) or image.dim() != 3 or image.shape[0] != 3:
            given = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
            raise CommandError(f"preprocess of {path} must return a picture or a (3, H, W) tensor; got {given}")
        low, high = float(image.min()), float(image.max())
        if not (low >= 0 and high <= 1):
            raise CommandError(
                f"preprocess of {path} must return an image in [0, 1], this one lies in [{low:.3g}, {high:.3g}]; "
                "move the normalisation into the model"
            )
        return image.detach().float().cpu()

    return see


def _labels_of(module: ModuleType, path: Path) -> Sequence[str] | None:
    labels = getattr(module, "labels", None)
    try:
        listed = labels() if callable(labels) else labels
        return None if listed is None else [str(label) for label in listed]
    except Exception as error:
        raise CommandError(f"labels of {path} failed, {brief(error)}") from error


@dataclass(frozen=True)
class FromModule:
    """A function in a Python file, found where it is called: Ray's workers get the file's name, not the function.

    Attributes
    ----------
    path : Path
        The file.
    name : str
        The function, or a class or function without arguments that makes it.
    """

    path: Path
    name: str

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        return _loaded(self)(*arguments)


def function_from_file(text: str) -> FromModule | None:
    """A function in a file, if that is what the name means; loaded now, so that a misspelt one is told at once."""
    path, colon, name = text.rpartition(":")
    if not colon or not path.endswith(".py"):
        return None
    named = FromModule(Path(path).resolve(), name)
    _loaded(named)
    return named


_LOADED: dict[FromModule, Callable[..., Any]] = {}


def _loaded(named: FromModule) -> Callable[..., Any]:
    if named not in _LOADED:
        found = getattr(_import(named.path), named.name, None)
        if not callable(found):
            raise CommandError(f"{named.path} has no function {named.name!r}")
        try:
            _LOADED[named] = found() if isinstance(found, type) else found
        except Exception as error:
            raise CommandError(f"{named.name} of {named.path} failed, {brief(error)}") from error
    return _LOADED[named]
