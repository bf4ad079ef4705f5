"""The model, the picture and its regions, ready to be asked about."""

import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from captum_focalogic.baselines import baseline_from_text
from captum_focalogic.cli.failing import CommandError, brief
from captum_focalogic.cli.models import Labels, NamedModel, find_device, find_model
from captum_focalogic.cli.subject import Subject, find_subject
from captum_focalogic.criteria import parse as parse_criterion
from captum_focalogic.errors import ModelOutputError
from captum_focalogic.oracle.forward import as_rows

T = TypeVar("T")


class ModelFailed(CommandError):
    """The model raised an exception."""


@dataclass(frozen=True)
class Setting:
    """Everything that the model is asked with.

    Attributes
    ----------
    model : NamedModel
        On the device.
    subject : Subject
        The picture.
    label_map : (H, W) int64
        Region of every pixel.
    inputs, baselines : (1, 3, H, W) Tensor
        On the device.
    feature_mask : (1, 1, H, W) int64 Tensor
        The label map, on the device.
    device : torch.device
        Where the model runs.
    """

    model: NamedModel
    subject: Subject
    label_map: Labels
    inputs: Tensor
    baselines: Tensor
    feature_mask: Tensor
    device: torch.device

    def ask(self, work: Callable[[Callable[[Tensor], Any]], Any]) -> Any:
        """Do some work with the model, telling its own exceptions from everybody else's.

        Raises
        ------
        ModelFailed
            If the model raised an exception.
        """
        raised: list[Exception] = []

        def forward(images: Tensor) -> Any:
            try:
                return self.model.forward(images)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:
                raised.append(error)
                raise

        try:
            return work(forward)
        except Exception as error:
            if any(error is own for own in raised):
                raise ModelFailed(f"the model {self.model.name} raised {brief(error)}") from error
            raise

    def ask_module(self, module: nn.Module, work: Callable[[nn.Module], T]) -> T:
        """As :meth:`ask`, for work that needs the module itself, such as its gradients."""
        try:
            return work(module)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
            if any(frame.f_locals.get("self") is module for frame in frames):
                raise ModelFailed(f"the model {self.model.name} raised {brief(error)}") from error
            raise


def prepare(
    *,
    picture: Path | None,
    model: str,
    weights: str | None,
    regions: Callable[[Subject, NamedModel], Labels],
    baseline: str,
    criterion: str,
    device: str,
    seed: int,
) -> Setting:
    """Find everything that options name; the cheap ones first, so that a misspelt one is told at once.

    Parameters
    ----------
    picture, model, weights, baseline, criterion, device, seed
        Options of the commands.
    regions : callable
        The label map for a picture and the model that sees it.

    Raises
    ------
    FocaLogicError
        If something named does not exist or does not fit.
    """
    make_baseline = baseline_from_text(baseline)
    parse_criterion(criterion)
    place = find_device(device)
    # A face of one's own may be a small part of the picture; that of the example fills it.
    named = find_model(model, weights, smallest_face=0.2 if picture else 0.4).on(place)
    subject = find_subject(picture, named, seed)
    label_map = regions(subject, named)
    inputs = subject.image[None].to(place)
    feature_mask = torch.from_numpy(label_map)[None, None].to(place)
    return Setting(named, subject, label_map, inputs, make_baseline(inputs, feature_mask), feature_mask, place)


def read_batch(text: str) -> int | Literal["auto"]:
    """The option --batch.

    Raises
    ------
    CommandError
        If it is neither ``auto`` nor a positive whole number.
    """
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise CommandError(f"--batch must be auto or a number of images, at least 1; got {text!r}")
    return int(text)


def predict(setting: Setting, forward: Callable[[Tensor], Any]) -> Tensor:
    """The model's answer on the whole picture, without the batch dimension.

    Raises
    ------
    ModelOutputError
        If it is no tensor with one row for the picture.
    """
    with torch.no_grad():
        outputs = forward(setting.inputs)
    if isinstance(outputs, Tensor) and outputs.dim() == 0:
        raise ModelOutputError(
            f"the model {setting.model.name} answered a batch of one picture with a single number; it must answer with "
            "one row a picture, shape (N, classes), or one number a picture, shape (N,)"
        )
    return as_rows(outputs, 1)[0].detach().cpu()


def describe(setting: Setting, answer: Tensor) -> str:
    """A prediction in words."""
    if answer.dim() > 1 or answer.numel() == 0:
        return f"an output of shape {tuple(answer.shape)}"
    if answer.numel() == 1:
        value = answer.reshape(()).item()
        if not answer.is_floating_point():
            return _class_text(setting, int(value))
        return f"{value:.4g} ({'positive' if value > 0 else 'not positive'})"
    best = int(answer.argmax())
    return f"{_class_text(setting, best)}, probability {_probability(answer, best):.3f}"


def _class_text(setting: Setting, target: int) -> str:
    label = setting.model.label_of(target)
    return f"class {target}" if label is None else f"{label} (class {target})"


def class_text(setting: Setting, target: Any) -> str:
    """A class by its name and number."""
    return _class_text(setting, target) if isinstance(target, int) else f"class {target}"


def _probability(scores: Tensor, target: int) -> float:
    values = scores.double()
    already = bool((values >= 0).all()) and math.isclose(float(values.sum()), 1, abs_tol=1e-3)
    return float((values if already else values.softmax(dim=0))[target])
