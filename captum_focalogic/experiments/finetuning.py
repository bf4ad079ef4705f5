"""Fine-tuning of a pretrained model on images of known class, checkpoint by checkpoint where it is followed."""

import copy
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.functional import hflip
from tqdm import tqdm

from captum_focalogic.classifier import Classifier
from captum_focalogic.errors import InputError
from captum_focalogic.experiments.framework import Workspace
from captum_focalogic.study import Item, image_folder
from captum_focalogic.study.settings import setting_text


@dataclass(frozen=True)
class FineTuning:
    """How a model is fine-tuned.

    Attributes
    ----------
    epochs : int
        Passes over the images.
    batch : int
        ItemDataset in a step; what is left over at the end of a pass waits for the next one.
    learning_rate : float
        Of the pretrained layers (AdamW, falling to 0 along a half cosine).
    head_learning_rate : float
        Of the new last layer.
    seed : int
        Of the new layer, the order of the images and which are mirrored.
    device : str
        Where it is done.
    """

    epochs: int = 50
    batch: int = 32
    learning_rate: float = 1e-4
    head_learning_rate: float = 1e-3
    seed: int = 0
    device: str = "cpu"


def class_folders(folder: Path) -> tuple[str, ...]:
    """Names of the classes that a folder has images of, in alphabetical order."""
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir()))


HELD_OUT = 4
"""Every fourth image of a class is not trained on."""


@dataclass(frozen=True, eq=False)
class Split:
    """ItemDataset that are trained on, and those that are not.

    Attributes
    ----------
    trained, held_out : list of Item
        With classes numbered as the data has them.
    """

    trained: list[Item]
    held_out: list[Item]

    def of(self, classes: Sequence[int]) -> "Split":
        """The images of some classes, which are numbered in this order from 0 on."""
        number = {label: place for place, label in enumerate(classes)}
        return Split(*(_renumbered(items, number) for items in (self.trained, self.held_out)))


def split_items(items: Sequence[Item]) -> Split:
    """Hold every fourth image of a class out; which ones depends on the data alone.

    Raises
    ------
    InputError
        If the class of an image is not known.
    """
    unknown = [item.id for item in items if item.label is None]
    if unknown:
        raise InputError(f"training needs to know every image's class; that of {unknown[0]} is not known")
    seen: dict[int | None, int] = defaultdict(int)
    split = Split([], [])
    for item in items:
        seen[item.label] += 1
        (split.trained if seen[item.label] % HELD_OUT else split.held_out).append(item)
    return split


def _renumbered(items: Sequence[Item], number: Mapping[int, int]) -> list[Item]:
    return [
        replace(item, label=number[label]) for item in items if (label := item.label) in number and label is not None
    ]


def fine_tuned(workspace: Workspace, name: str, pretrained: Classifier, folder: Path, how: FineTuning) -> Classifier:
    """A copy of a model with a new last layer, trained on the images of a folder; kept in the workspace.

    Parameters
    ----------
    workspace : Workspace
    name : str
        Of the new model.
    pretrained : Classifier
        A module whose last linear layer gives the classes.
    folder : Path
        ItemDataset, a subfolder for each class.
    how : FineTuning

    Returns
    -------
    Classifier
        Its classes are the subfolders in alphabetical order.

    Raises
    ------
    InputError
        If the folder holds fewer than two classes, or the model has no last layer that could be replaced.
    """
    classes = class_folders(folder)
    if len(classes) < 2:
        raise InputError(
            f"{folder} needs a subfolder for each class, at least two; it has {', '.join(classes) or 'none'}"
        )
    items = image_folder(folder, classes)
    with seeded(how.seed):
        module = with_new_head(pretrained, len(classes))
    files = [(item.id, (folder / item.id).stat().st_size) for item in items]
    identity = f"{setting_text(module)} {setting_text(how)} {files}"

    def make() -> dict[str, Tensor]:
        with seeded(how.seed):
            fit_images(module, ItemDataset(items, pretrained), how, f"{name}, fine-tuning", workspace.show_progress)
        return module.state_dict()

    module.load_state_dict(workspace.tensors(name, identity, make))
    return Classifier(module.eval(), pretrained.preprocess, pretrained.preprocess_labels, classes, name)


def with_new_head(pretrained: Classifier, classes: int) -> nn.Module:
    """A copy of a model's module whose last linear layer is a new one, for another number of classes.

    Raises
    ------
    InputError
        If the model is no module, has no linear layer, or gives something else than one score a class then.
    """
    if not isinstance(pretrained.forward, nn.Module):
        raise InputError(f"{pretrained.name} is no torch module, so that it cannot be fine-tuned; choose another model")
    module = copy.deepcopy(pretrained.forward).cpu().requires_grad_(True)
    linear = [path for path, layer in module.named_modules() if isinstance(layer, nn.Linear)]
    if not linear:
        raise InputError(f"{pretrained.name} has no linear layer to replace, so that it cannot be fine-tuned here")
    parent, _, attribute = linear[-1].rpartition(".")
    old = cast(nn.Linear, module.get_submodule(linear[-1]))
    setattr(module.get_submodule(parent), attribute, nn.Linear(old.in_features, classes))
    seen = pretrained.preprocess(Image.new("RGB", (256, 256)))[None]
    with torch.no_grad():
        scores = module.eval()(seen)
    if not isinstance(scores, Tensor) or scores.shape != (1, classes):
        raise InputError(
            f"the last linear layer of {pretrained.name}, {linear[-1]}, does not give its classes, so that it cannot "
            "be fine-tuned here; choose another model, such as torchvision:resnet50"
        )
    return module


class ItemDataset(Dataset[tuple[Tensor, int]]):
    """ItemDataset as a model sees them, with their class."""

    def __init__(self, items: Sequence[Item], model: Classifier) -> None:
        self._items, self._model = items, model

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        item = self._items[place]
        image = item.read().image
        return (image if isinstance(image, Tensor) else self._model.preprocess(image)), cast(int, item.label)


def fit_images(
    module: nn.Module,
    dataset: ItemDataset,
    how: FineTuning,
    what: str,
    show_progress: bool | str,
    epochs: range | None = None,
) -> None:
    """Train a module on images.

    Parameters
    ----------
    module : nn.Module
        Changed in place; on the CPU afterwards, and in training mode.
    dataset : ItemDataset
    how : FineTuning
    what : str
        What the bar says.
    show_progress : bool or str
        Show a bar; a text is what it begins with.
    epochs : range, optional
        Which of the passes to make, counted from 0, for a training in several stages; all by default.
    """
    passes = range(how.epochs) if epochs is None else epochs
    generator = torch.Generator().manual_seed(how.seed + passes.start)
    batch = min(how.batch, len(dataset))
    # A last batch of one image would have no variance to normalise by.
    loader = DataLoader(dataset, batch, shuffle=True, drop_last=True, generator=generator)
    module.to(how.device).train()
    head = [layer for layer in module.modules() if isinstance(layer, nn.Linear)][-1]
    new = set(head.parameters())
    body = [parameter for parameter in module.parameters() if parameter not in new]
    optimiser = torch.optim.AdamW(
        [{"params": body, "lr": how.learning_rate}, {"params": list(new), "lr": how.head_learning_rate}]
    )
    before, steps = passes.start * len(loader), how.epochs * len(loader)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: (1 + math.cos(math.pi * min(1.0, (before + step) / steps))) / 2
    )
    title = f"{show_progress}, {what}" if isinstance(show_progress, str) else what
    for _ in tqdm(passes, desc=title, unit="epoch", disable=not show_progress):
        for images, labels in loader:
            mirrored = torch.rand(len(images), generator=generator) < 0.5
            images[mirrored] = hflip(images[mirrored])
            loss = functional.cross_entropy(module(images.to(how.device)), labels.to(how.device))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    module.cpu()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """What torch draws follows from a seed; its state is put back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@dataclass(frozen=True, eq=False)
class CheckpointedTraining:
    """A training that is kept checkpoint by checkpoint, so that one that was broken off goes on from the last.

    The optimiser's moments start anew after each checkpoint: what goes on must not differ from what was never broken
    off, and to keep them would take twice the room of the weights.

    Attributes
    ----------
    workspace : Workspace
    name : str
        Of the training.
    start : nn.Module
        What is trained, as it is before; it is changed.
    dataset : ItemDataset
    how : FineTuning
    identity : str
        All that the weights depend on.
    checkpoints : sequence of int
        Epochs after which weights are kept, ascending.
    """

    workspace: Workspace
    name: str
    start: nn.Module
    dataset: ItemDataset
    how: FineTuning
    identity: str
    checkpoints: Sequence[int]

    def after(self, epoch: int) -> dict[str, Tensor]:
        """Weights of a checkpoint."""
        before = max((other for other in self.checkpoints if other < epoch), default=0)

        def make() -> dict[str, Tensor]:
            if before:
                self.start.load_state_dict(self.after(before))
            with seeded(self.how.seed + before):
                passes = range(before, epoch)
                fit_images(self.start, self.dataset, self.how, self.name, self.workspace.show_progress, passes)
            return self.start.state_dict()

        return self.workspace.tensors(f"{self.name}, epoch {epoch}", self.identity, make)
