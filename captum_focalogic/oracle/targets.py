"""Captum's targets: which class of which output is explained."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from captum_focalogic.errors import ModelOutputError, TargetError


@dataclass(frozen=True)
class Targets:
    """The class of each example, and where in the output it stands.

    Attributes
    ----------
    classes : (N,) int64 Tensor
        Class index; 0 for models with one number an input.
    positions : (N, D - 2) int64 Tensor or None
        For outputs (N, C, ...) of more than two dimensions, the position behind the class dimension.
    named : bool
        False for models with one number an input, which have no classes.
    """

    classes: Tensor
    positions: Tensor | None
    named: bool

    def scores(self, outputs: Tensor, index: Tensor) -> Tensor:
        """Class scores at each row's position, (B, C)."""
        outputs = _countable(outputs)
        if outputs.dim() == 1:
            return outputs[:, None]
        if self.positions is None:
            return outputs.flatten(1) if outputs.dim() > 2 else outputs
        rows = torch.arange(len(outputs), device=outputs.device)
        places = self.positions[index].to(outputs.device)
        return outputs.movedim(1, -1)[(rows, *places.unbind(1))]

    def on(self, device: torch.device) -> "Targets":
        """The same on another device."""
        positions = None if self.positions is None else self.positions.to(device)
        return Targets(self.classes.to(device), positions, self.named)

    def of(self, example: int) -> int | tuple[int, ...] | None:
        """The target of one example as Captum writes it."""
        if not self.named:
            return None
        label = int(self.classes[example])
        return label if self.positions is None else (label, *self.positions[example].tolist())


def resolve_targets(target: Any, outputs: Tensor) -> Targets:
    """Find the class to explain for each example.

    Parameters
    ----------
    target : None, int, tuple of int, Tensor, list of int or list of tuple
        As in Captum; None is each example's own prediction.
    outputs : (N, ...) Tensor
        The model's outputs for the whole inputs.

    Raises
    ------
    TargetError
        If the target does not fit the outputs.
    """
    count, shape = len(outputs), tuple(outputs.shape[1:])
    if outputs.dim() == 1 or (outputs.dim() == 2 and shape == (1,)):
        _check_single(target, outputs)
        return Targets(torch.zeros(count, dtype=torch.int64, device=outputs.device), None, named=False)
    flat = outputs.dim() == 2 or all(size == 1 for size in shape[1:])
    if target is None:
        if not flat:
            raise TargetError(
                f"outputs of shape {tuple(outputs.shape)} need a target that says where to look: a tuple of "
                f"{len(shape)} indices (class first), or a list of {count} such tuples"
            )
        scores = outputs.flatten(1)
        if scores.isnan().any():
            raise ModelOutputError(
                "the model's output for the whole input holds NaN, so there is no prediction to explain"
            )
        return Targets(_countable(scores).argmax(dim=1), None, named=True)
    tuples = [_indices(entry, shape, flat=flat) for entry in _entries(target, count, outputs)]
    classes = torch.tensor([entry[0] for entry in tuples], device=outputs.device)
    if flat:
        return Targets(classes, None, named=True)
    positions = torch.tensor([entry[1:] for entry in tuples], device=outputs.device)
    return Targets(classes, positions, named=True)


def _countable(outputs: Tensor) -> Tensor:
    """Booleans as 0 and 1, because torch has no largest boolean."""
    return outputs.to(torch.uint8) if outputs.dtype == torch.bool else outputs


def _check_single(target: Any, outputs: Tensor) -> None:
    """One number an input has no classes to choose from; Captum accepts index 0 where there is a second dimension."""
    if target is None:
        return
    if outputs.dim() == 2:
        for entry in _entries(target, len(outputs), outputs):
            _indices(entry, (1,), flat=True)
        return
    raise TargetError(
        f"the model returns one number an input (shape {tuple(outputs.shape)}), so there is no class to select; "
        f"pass target=None instead of {target!r}"
    )


def _entries(target: Any, count: int, outputs: Tensor) -> list[Any]:
    """One int or tuple for each example."""
    if isinstance(target, Tensor):
        if target.is_floating_point() or target.is_complex() or target.dtype == torch.bool:
            raise TargetError(f"a target tensor must hold integers; got {target.dtype}")
        if target.numel() == 1:
            return [int(target.item())] * count
        if target.dim() != 1 or len(target) != count:
            raise TargetError(
                f"a target tensor must have 1 element or one for each of the {count} example(s); "
                f"got shape {tuple(target.shape)}"
            )
        _check_two_dimensional(target, outputs)
        return list(target.tolist())
    if isinstance(target, list):
        if len(target) != count:
            raise TargetError(f"a list of targets must have one for each of the {count} example(s); got {len(target)}")
        if any(isinstance(entry, int) for entry in target):
            _check_two_dimensional(target, outputs)
        return target
    return [target] * count


def _check_two_dimensional(target: Any, outputs: Tensor) -> None:
    if outputs.dim() != 2:
        raise TargetError(
            f"one integer an example needs outputs of shape (N, classes); got {tuple(outputs.shape)} for target "
            f"{target!r}. Use a list of tuples"
        )


def _indices(entry: Any, shape: tuple[int, ...], *, flat: bool) -> tuple[int, ...]:
    """One example's target as non-negative indices, class first."""
    indices = entry if isinstance(entry, tuple) else (entry,)
    if not indices or any(isinstance(i, bool) or not isinstance(i, int) for i in indices):
        raise TargetError(f"a target must be an int or a tuple of ints; got {entry!r}")
    expected = (1, len(shape)) if flat else (len(shape),)
    if len(indices) not in expected:
        raise TargetError(
            f"target {entry!r} has {len(indices)} index(es), but one example's output has shape {shape}: "
            f"expected {len(shape)}, class first"
        )
    resolved = []
    for index, size in zip(indices, shape, strict=False):
        if not -size <= index < size:
            raise TargetError(f"target {entry!r} is out of range for an output of shape {shape} an example")
        resolved.append(index % size)
    return tuple(resolved)
