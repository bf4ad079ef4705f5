"""Where an explanation came from: what was asked, of whom, about what, and what the model said to the whole input."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from typing import Literal, get_args

Removal = Literal["fill", "tokens"]
"""How regions are dropped: replaced by the baseline, or left out by the model itself."""

REMOVALS: tuple[Removal, ...] = get_args(Removal)

MAX_TOP = 5
"""Classes of the whole input's answer that are kept."""

_PACKAGES = {"captum_focalogic": "captum-focalogic", "torch": "torch", "captum": "captum"}
_PACKAGES |= {"numpy": "numpy", "sympy": "sympy"}


@dataclass(frozen=True)
class Prediction:
    """What the model said to the whole input.

    Attributes
    ----------
    index : int
        The predicted class, or the label where the model gives labels.
    name : str or None
        What the class is called, where known.
    probability : float or None
        The class's probability, where the model gives one.
    top : tuple of (int, str or None, float)
        Up to five classes, the most probable first: index, name, probability. Empty where there are no probabilities.
    """

    index: int
    name: str | None = None
    probability: float | None = None
    top: tuple[tuple[int, str | None, float], ...] = ()


@dataclass(frozen=True)
class Provenance:
    """How an explanation was made, in plain types; None where it is not known.

    Everything here describes the question, and nothing of it is a model or an image: it is what a stored explanation
    needs so that it can be put to the model again, and so that another model, baseline or criterion is noticed.

    Attributes
    ----------
    criterion : str or None
        What "the prediction is unchanged" meant, such as ``"top1"`` or ``"probability:0.9"``.
    outputs : str or None
        What the model's numbers are: ``"logits"``, ``"probabilities"``, ``"labels"``, ``"number"`` and the like.
    outputs_rule : str or None
        How that was found where the caller did not say.
    baseline : str or None
        What dropped regions were replaced by, such as ``"mean"``.
    fill : str or None
        What they look like, where they are one number and have no name, such as ``"0, black"``.
    baseline_digest : str or None
        Fingerprint of the replacing values.
    removal : {"fill", "tokens"} or None
        How regions were dropped.
    preprocess : str or None
        How the image became what the model sees.
    model : str or None
        The model's name.
    model_digest : str or None
        Fingerprint of the model's weights, where it has any.
    inputs_digest : str or None
        Fingerprint of the input.
    seed : int or None
        Seed of everything random.
    versions : mapping of str to str
        Versions of this package and of those that the result rests on.
    """

    criterion: str | None = None
    outputs: str | None = None
    outputs_rule: str | None = None
    baseline: str | None = None
    fill: str | None = None
    baseline_digest: str | None = None
    removal: Removal | None = None
    preprocess: str | None = None
    model: str | None = None
    model_digest: str | None = None
    inputs_digest: str | None = None
    seed: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict, hash=False)


def versions() -> dict[str, str]:
    """Installed versions of this package and of those that a result rests on; what is not installed is left out."""
    return dict(_versions())


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    found = []
    for name, distribution in _PACKAGES.items():
        try:
            found.append((name, metadata.version(distribution)))
        except metadata.PackageNotFoundError:
            continue
    return tuple(found)
