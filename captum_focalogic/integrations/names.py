"""Models by their command line names, those of other packages among them.

A package adds names by entry points, in its ``pyproject.toml``::

    [project.entry-points."captum_focalogic.models"]
    mine = "my_package:load"          # focalogic explain IMAGE --model mine:ANYTHING

A model's entry is a function ``(text, weights) -> NamedClassifier``: the text after the colon, and what ``--weights``
said, or None.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol

from PIL import Image
from torch import Tensor

from captum_focalogic.errors import InputError

MODELS = "captum_focalogic.models"


class NamedClassifier(Protocol):
    """What a model's entry gives; :class:`captum_focalogic.integrations.torchvision.Classifier` is one.

    Attributes
    ----------
    model : callable
        Images (N, 3, H, W) in [0, 1] to answers with one row an image.
    labels : sequence of str or None
        Class names, where known.
    crop : callable
        A picture to the part and size of it that the model sees; with ``nearest=True`` a label map.
    """

    @property
    def model(self) -> Callable[[Tensor], Any]:
        """See the class."""
        ...

    @property
    def labels(self) -> Sequence[str] | None:
        """See the class."""
        ...

    @property
    def crop(self) -> Callable[..., Image.Image]:
        """See the class."""
        ...


def model_names() -> list[str]:
    """Names of models that :func:`find_classifier` knows, those of other packages included."""
    from captum_focalogic.integrations.named_models import BUILT_IN

    return sorted({*BUILT_IN, *(entry.name for entry in entry_points(group=MODELS))})


def find_classifier(name: str, text: str, weights: str | Path | None = None) -> NamedClassifier | None:
    """A model by its name, or None if there is no such name.

    Parameters
    ----------
    name : str
        What stands before the colon, such as "timm".
    text : str
        What stands after it.
    weights : str or Path, optional
        A file with a state dict, or "random".

    Raises
    ------
    InputError
        If the text or the weights are of no use to that model, or another package's entry fails.
    """
    from captum_focalogic.integrations.named_models import BUILT_IN

    if name in BUILT_IN:
        return BUILT_IN[name](text, weights)
    entry = _entry(MODELS, name)
    if entry is None:
        return None
    found = _load(entry)(text, weights)
    missing = [part for part in ("model", "labels", "crop") if not hasattr(found, part)]
    if missing:
        raise InputError(f"the model {name!r} of {_package(entry)} gives no {', '.join(missing)}; see NamedClassifier")
    classifier: NamedClassifier = found
    return classifier


def _entry(group: str, name: str) -> EntryPoint | None:
    found = list(entry_points(group=group, name=name))
    packages = sorted({_package(entry) for entry in found})
    if len(packages) > 1:
        raise InputError(f"several packages register the name {name!r}: {', '.join(packages)}; uninstall all but one")
    return found[0] if found else None


def _load(entry: EntryPoint) -> Callable[..., Any]:
    try:
        loaded: Callable[..., Any] = entry.load()
    except Exception as error:
        raise InputError(
            f"{entry.name!r} of {_package(entry)} cannot be imported ({type(error).__name__}: {error}); reinstall it"
        ) from error
    return loaded


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value
