"""The two sizes of every experiment: what is drawn and trained here, and what a user's ImageNet folder allows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from captum_focalogic.ground_truth import GroundTruthSource
from captum_focalogic.search.run import check_whole
from captum_focalogic.segmenters import Segmenter
from captum_focalogic.study import Item, Model, ModelFactory, StudySettings
from captum_focalogic.study.settings import setting_text


@dataclass(frozen=True)
class Embedded:
    """Scenes that the package draws, and small networks trained on them: minutes on two cores.

    Attributes
    ----------
    images : int
        Scenes to explain.
    seed : int
        Of the networks' start and of every other random choice. The scenes explained are always the same ones.
    scenes : int
        Scenes that a network is trained on.
    epochs : int
        Passes over them.

    Raises
    ------
    InputError
        If a number is below 1, or the seed below 0.
    """

    images: int = 100
    seed: int = 0
    scenes: int = 6_000
    epochs: int = 12

    def __post_init__(self) -> None:
        _check(self, "images", "scenes", "epochs")


class Finder(Protocol):
    """Makes things of their command line names, when they are needed."""

    def items(self, data: str, model: Model | None, limit: int | None) -> list[Item]:
        """Images; classes are the model's."""
        ...

    def model(self, name: str, weights: str | None) -> Model:
        """A model."""
        ...

    def segmenter(self, name: str) -> Segmenter | None:
        """What cuts images."""
        ...

    def truth(self, name: str, model: Model) -> GroundTruthSource | bool:
        """What says where the object is; some ask for the names of the model's classes."""
        ...


@dataclass(frozen=True)
class ImageNet:
    """A user's pictures and pretrained models; everything by its command line name, so that a dry run loads nothing.

    Attributes
    ----------
    finder : Finder
        Makes things of their names.
    data : str
        The pictures, as ``focalogic study`` takes them.
    images : int
        How many of them to explain, spread over the data.
    models : sequence of str
        Models; the experiment's own choice if there is none.
    weights : str, optional
        For the models, such as "random"; pretrained ones by default.
    segmenter : str
        What cuts the pictures.
    truth : str
        What says where the object is.
    generated : Path, optional
        Folder of generated pictures with known biases.
    seed : int
        Of every random choice.
    epochs : int
        Passes over the pictures, where a model is trained.
    device : str
        Where models run.
    """

    finder: Finder
    data: str
    images: int = 200
    models: Sequence[str] = ()
    weights: str | None = None
    segmenter: str = "sam:vit_h"
    truth: str = "own"
    generated: Path | None = None
    seed: int = 0
    epochs: int = 50
    device: str = "cpu"

    def __post_init__(self) -> None:
        _check(self, "images", "epochs")

    def find_model(self, name: str) -> Model:
        """A model by name, with the weights that were asked for; random ones are those of the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return self.finder.model(name, self.weights)

    def plan(self, name: str, model: Model, **how: Any) -> StudySettings:
        """How the pictures are explained; ``how`` are fields of the plan that differ from the usual."""
        usual: dict[str, Any] = {
            "segmenter": self.finder.segmenter(self.segmenter),
            "truth": self.finder.truth(self.truth, model),
            "device": self.device,
        }
        return StudySettings(ModelFactory(lambda: model, f"{name}, {setting_text(model.forward)}"), **{**usual, **how})

    def find_items(self, model: Model | None = None) -> list[Item]:
        """The pictures to explain; their classes are numbered as the model's where it knows their names."""
        return self.finder.items(self.data, model, self.images)


Config = Embedded | ImageNet
"""How large an experiment is."""


def size_of(config: Config) -> str:
    """The name of a size."""
    return "embedded" if isinstance(config, Embedded) else "imagenet"


def _check(config: Config, *names: str) -> None:
    for name in names:
        check_whole(name, getattr(config, name), 1)
    check_whole("seed", config.seed, 0)
