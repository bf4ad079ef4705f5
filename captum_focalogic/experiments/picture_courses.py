"""Trainings on a folder of pictures that are followed over their epochs: ImageNet, and one super-category of it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from captum_focalogic.errors import InputError
from captum_focalogic.experiments.arms import Trial
from captum_focalogic.experiments.configuration import ImageNet
from captum_focalogic.experiments.courses import BROAD, CHANCE, RIGHT, SPECIALISED, Course, checkpoints
from captum_focalogic.experiments.finetuning import FineTuning, Pictures, fit_pictures, seeded, with_new_head
from captum_focalogic.experiments.workshop import Workshop
from captum_focalogic.integrations.torchvision import RANDOM
from captum_focalogic.study import Item, Model
from captum_focalogic.study.settings import setting_text

MODEL = "torchvision:resnet50"
"""What is trained if no model is asked for."""

DOGS = range(151, 269)
"""ImageNet's breeds of dogs, from Chihuahua to Mexican hairless: the classes of the specialised model."""

HELD_OUT = 4
"""Every fourth picture of a class is not trained on."""

MOST_TESTED = 5_000
"""Held-out pictures that tell a checkpoint's accuracy, at most."""


@dataclass(frozen=True, eq=False)
class Shares:
    """Pictures that are trained on, and those that are not.

    Attributes
    ----------
    trained, held_out : list of Item
        With classes numbered as the data has them.
    """

    trained: list[Item]
    held_out: list[Item]

    def of(self, classes: Sequence[int]) -> "Shares":
        """The pictures of some classes, which are numbered in this order from 0 on."""
        number = {label: place for place, label in enumerate(classes)}
        return Shares(*(_renumbered(items, number) for items in (self.trained, self.held_out)))


def picture_courses(config: ImageNet) -> list[Course]:
    """Pictures of every class against pictures of dogs; both are asked about dogs.

    Raises
    ------
    InputError
        If more than one model is asked for.
    """
    if len(config.models) > 1:
        raise InputError(f"training follows one model, but {len(config.models)} are given: {', '.join(config.models)}")
    name = config.models[0] if config.models else MODEL
    start = "from a random start" if config.weights == RANDOM else "from pretrained weights and a new last layer"
    told = {
        BROAD: f"pictures of every class in {config.data}, {name} {start}",
        SPECIALISED: f"pictures of dogs in {config.data} (classes {DOGS[0]} to {DOGS[-1]}), {name} {start}",
    }
    return [Course(course, what, partial(_trial, config, name, course)) for course, what in told.items()]


def divide(items: Sequence[Item]) -> Shares:
    """Hold every fourth picture of a class out; which ones depends on the data alone.

    Raises
    ------
    InputError
        If the class of a picture is not known.
    """
    unknown = [item.id for item in items if item.label is None]
    if unknown:
        raise InputError(f"training needs to know every picture's class; that of {unknown[0]} is not known")
    seen: dict[int | None, int] = defaultdict(int)
    shares = Shares([], [])
    for item in items:
        seen[item.label] += 1
        (shares.trained if seen[item.label] % HELD_OUT else shares.held_out).append(item)
    return shares


def _renumbered(items: Sequence[Item], number: Mapping[int, int]) -> list[Item]:
    return [
        replace(item, label=number[label]) for item in items if (label := item.label) in number and label is not None
    ]


@dataclass(frozen=True, eq=False)
class Stages:
    """A training that is kept checkpoint by checkpoint, so that one that was broken off goes on from the last.

    The optimiser's moments start anew after each checkpoint: what goes on must not differ from what was never broken
    off, and to keep them would take twice the room of the weights.

    Attributes
    ----------
    workshop : Workshop
    name : str
        Of the training.
    start : nn.Module
        What is trained, as it is before; it is changed.
    pictures : Pictures
    how : FineTuning
    identity : str
        All that the weights depend on.
    """

    workshop: Workshop
    name: str
    start: nn.Module
    pictures: Pictures
    how: FineTuning
    identity: str

    def after(self, epoch: int) -> dict[str, Tensor]:
        """Weights of a checkpoint."""
        before = max((other for other in checkpoints(self.how.epochs) if other < epoch), default=0)

        def make() -> dict[str, Tensor]:
            if before:
                self.start.load_state_dict(self.after(before))
            with seeded(self.how.seed + before):
                passes = range(before, epoch)
                fit_pictures(self.start, self.pictures, self.how, self.name, self.workshop.show_progress, passes)
            return self.start.state_dict()

        return self.workshop.tensors(f"{self.name}, epoch {epoch}", self.identity, make)


def _trial(config: ImageNet, name: str, course: str, workshop: Workshop, epoch: int) -> Trial:
    pretrained = config.find_model(name)
    shares = divide(config.finder.items(config.data, pretrained, None))
    known = sorted({item.label for item in shares.trained if item.label is not None})
    dogs = [label for label in known if label in DOGS]
    if len(dogs) < 2:
        raise InputError(
            f"the specialised model tells dogs apart, ImageNet's classes {DOGS[0]} to {DOGS[-1]}, of which "
            f"{config.data} has {len(dogs)}; give a folder of ImageNet, or name its folders by class number"
        )
    classes = known if course == BROAD else dogs
    own = shares.of(classes)
    asked = [item for item in own.held_out if item.label is not None and classes[item.label] in DOGS]
    if not asked:
        raise InputError(f"no class of dogs in {config.data} has {HELD_OUT} pictures, so that none could be held out")
    module = _trained(config, workshop, pretrained, course, own.trained, len(classes), epoch)
    names = [pretrained.name_of(label) or str(label) for label in classes]
    model = Model(module, f"{course}, epoch {epoch}", pretrained.see, pretrained.see_labels, names)
    facts = {RIGHT: _accuracy(config, workshop, model, own.held_out), CHANCE: 1 / len(classes)}
    return Trial(config.plan(model.name, model), _spread(asked, config.images), facts)


def _trained(
    config: ImageNet,
    workshop: Workshop,
    pretrained: Model,
    course: str,
    items: Sequence[Item],
    classes: int,
    epoch: int,
) -> nn.Module:
    how = FineTuning(config.epochs, seed=config.seed, device=config.device)
    if config.weights == RANDOM:
        how = replace(how, learning_rate=how.head_learning_rate)
    with seeded(how.seed):
        module = with_new_head(pretrained, classes)
    identity = f"{setting_text(module)} {setting_text(how)} {[(item.id, item.label) for item in items]}"
    stages = Stages(workshop, course, module, Pictures(items, pretrained), how, identity)
    module.load_state_dict(stages.after(epoch))
    return module.cpu().eval()


def _spread(items: Sequence[Item], count: int) -> list[Item]:
    """So many of them, evenly over all."""
    if count >= len(items):
        return list(items)
    return [items[place * len(items) // count] for place in range(count)]


def _accuracy(config: ImageNet, workshop: Workshop, model: Model, held_out: Sequence[Item]) -> float:
    """Share of right answers."""
    items = _spread(held_out, MOST_TESTED)

    def make() -> dict[str, Tensor]:
        on, right = model.on(config.device), 0
        with torch.inference_mode():
            for images, labels in DataLoader(Pictures(items, model), 32):
                right += int((on.forward(images.to(config.device)).argmax(dim=1).cpu() == labels).sum())
        return {RIGHT: torch.tensor(right / len(items), dtype=torch.float64)}

    identity = f"{setting_text(model.forward)} {[item.id for item in items]}"
    return float(workshop.tensors(f"{model.name}, accuracy", identity, make)[RIGHT])
