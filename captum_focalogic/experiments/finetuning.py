"""Fine-tuning of a pretrained model on a folder of pictures, one subfolder for each class."""

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.functional import hflip
from tqdm import tqdm

from captum_focalogic.errors import InputError
from captum_focalogic.experiments.workshop import Workshop
from captum_focalogic.study import Item, Model, image_folder
from captum_focalogic.study.settings import setting_text


@dataclass(frozen=True)
class FineTuning:
    """How a model is fine-tuned.

    Attributes
    ----------
    epochs : int
        Passes over the pictures.
    batch : int
        Pictures in a step; what is left over at the end of a pass waits for the next one.
    learning_rate : float
        Of the pretrained layers (AdamW, falling to 0 along a half cosine).
    head_learning_rate : float
        Of the new last layer.
    seed : int
        Of the new layer, the order of the pictures and which are mirrored.
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
    """Names of the classes that a folder has pictures of, in alphabetical order."""
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir()))


def fine_tuned(workshop: Workshop, name: str, pretrained: Model, folder: Path, how: FineTuning) -> Model:
    """A copy of a model with a new last layer, trained on the pictures of a folder; kept in the workshop.

    Parameters
    ----------
    workshop : Workshop
    name : str
        Of the new model.
    pretrained : Model
        A module whose last linear layer gives the classes.
    folder : Path
        Pictures, a subfolder for each class.
    how : FineTuning

    Returns
    -------
    Model
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
            fit_pictures(module, Pictures(items, pretrained), how, f"{name}, fine-tuning", workshop.show_progress)
        return module.state_dict()

    module.load_state_dict(workshop.tensors(name, identity, make))
    return Model(module.eval(), name, pretrained.see, pretrained.see_labels, classes)


def with_new_head(pretrained: Model, classes: int) -> nn.Module:
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
    seen = pretrained.see(Image.new("RGB", (256, 256)))[None]
    with torch.no_grad():
        scores = module.eval()(seen)
    if not isinstance(scores, Tensor) or scores.shape != (1, classes):
        raise InputError(
            f"the last linear layer of {pretrained.name}, {linear[-1]}, does not give its classes, so that it cannot "
            "be fine-tuned here; choose another model, such as torchvision:resnet50"
        )
    return module


class Pictures(Dataset[tuple[Tensor, int]]):
    """Pictures as a model sees them, with their class."""

    def __init__(self, items: Sequence[Item], model: Model) -> None:
        self._items, self._model = items, model

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        item = self._items[place]
        image = item.read().image
        return (image if isinstance(image, Tensor) else self._model.see(image)), cast(int, item.label)


def fit_pictures(
    module: nn.Module,
    pictures: Pictures,
    how: FineTuning,
    what: str,
    show_progress: bool,
    epochs: range | None = None,
) -> None:
    """Train a module on pictures.

    Parameters
    ----------
    module : nn.Module
        Changed in place; on the CPU afterwards, and in training mode.
    pictures : Pictures
    how : FineTuning
    what : str
        What the bar says.
    show_progress : bool
        Show a bar.
    epochs : range, optional
        Which of the passes to make, counted from 0, for a training in several stages; all by default.
    """
    passes = range(how.epochs) if epochs is None else epochs
    generator = torch.Generator().manual_seed(how.seed + passes.start)
    batch = min(how.batch, len(pictures))
    # A last batch of one picture would have no variance to normalise by.
    loader = DataLoader(pictures, batch, shuffle=True, drop_last=True, generator=generator)
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
    for _ in tqdm(passes, desc=what, unit="epoch", disable=not show_progress):
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
