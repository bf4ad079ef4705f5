"""Where GradCAM looks: a layer whose output still says where things are, and how that output is laid out.

Layouts are read off what ran (:mod:`captum_focalogic.layouts`). What remains unknown is refused: ``reshape_transform=``
says it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from captum_focalogic.errors import InputError
from captum_focalogic.layouts import Call, executed, layout_at

ReshapeTransform = Callable[[Tensor], Tensor]
"""What a layer puts out to maps (N, D, h, w), as pytorch-grad-cam takes it."""

_BLOCK_NORMS = 3
"""Layer norms over tokens after the last convolution from which a model is taken for a transformer."""


@dataclass(frozen=True)
class CamLayer:
    """A layer and how its output is laid out.

    Attributes
    ----------
    module : nn.Module
        The layer.
    reshape : callable or None
        What the layer puts out to maps (N, D, h, w). None where it is that already.
    """

    module: nn.Module
    reshape: ReshapeTransform | None = None


def find_layer(
    model: nn.Module, image: Tensor, target: int, reshape_transform: ReshapeTransform | None = None
) -> CamLayer:
    """The layer for GradCAM.

    A convolutional network: the last convolution that is executed and whose output has more than one place. A vision
    transformer: the last layer norm over tokens on whose patches the target depends (the norms after the last
    attention see the class token only, so their patches have no gradient).

    Parameters
    ----------
    model : nn.Module
        The model.
    image : (1, C, H, W) Tensor
        What is explained.
    target : int
        The class.
    reshape_transform : callable, optional
        How tokens become maps; found out by default.

    Raises
    ------
    InputError
        If there is no such layer, or the layout of its tokens is not known.
    """
    convolutions, norms, norms_since = _places(executed(model, partial(model, image)))
    if convolutions and norms_since < _BLOCK_NORMS:
        return CamLayer(convolutions[-1])
    for module in reversed(norms):
        layer = layout_of(model, module, image, reshape_transform)
        if _depends_on_places(model, layer, image, target):
            return layer
    if convolutions:
        return CamLayer(convolutions[-1])
    raise InputError("no convolution and no layer norm over tokens was found; name the layer for GradCAM")


def layer_by_name(model: nn.Module, name: str) -> nn.Module:
    """A layer by its dotted name, such as ``features.18``.

    Raises
    ------
    InputError
        If there is none.
    """
    try:
        return model.get_submodule(name)
    except AttributeError as error:
        near = [known for known, _ in model.named_modules() if known.startswith(name.partition(".")[0])][:6]
        raise InputError(f"the model has no layer {name!r}; it has {', '.join(near) or 'others'}") from error


def layout_of(
    model: nn.Module, module: nn.Module, image: Tensor, reshape_transform: ReshapeTransform | None = None
) -> CamLayer:
    """A layer with its layout: as ``reshape_transform`` says, else as the model shows on the image.

    Raises
    ------
    InputError
        If the layer is not executed, or nothing says how its output is laid out.
    """
    if reshape_transform is not None:
        return CamLayer(module, partial(_checked, reshape_transform))
    calls = executed(model, partial(model, image))
    last = max((place for place, call in enumerate(calls) if call.module is module), default=None)
    if last is None:
        raise InputError(
            f"the layer {type(module).__name__} is not executed or gives no tensor, so GradCAM cannot look at it"
        )
    layout = layout_at(model, calls, last, image)
    if layout is not None:
        return CamLayer(module, layout.to_maps)
    raise InputError(
        f"how {type(module).__name__} lays out what it gives, {calls[last].shape} for an image of {image.shape[3]}x"
        f"{image.shape[2]}, is not known; pass reshape_transform=, a function of it to maps (N, channels, rows, "
        "columns) (--reshape-transform PATH/MODULE.py:NAME), or name another layer"
    )


def _checked(reshape_transform: ReshapeTransform, output: Tensor) -> Tensor:
    maps: Any = reshape_transform(output)
    if not isinstance(maps, Tensor) or maps.dim() != 4 or len(maps) != len(output):
        given = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise InputError(
            f"reshape_transform must make maps ({len(output)}, channels, rows, columns) of what the layer gives, "
            f"{tuple(output.shape)}; it gave {given}"
        )
    return maps


def _places(calls: Sequence[Call]) -> tuple[list[nn.Module], list[nn.Module], int]:
    """Convolutions and token norms in the order they run, and how many such norms follow the last convolution."""
    convolutions: list[nn.Module] = []
    norms: list[nn.Module] = []
    since = 0
    for call in calls:
        if isinstance(call.module, nn.Conv2d) and len(call.shape) == 4 and min(call.shape[2:]) > 1:
            convolutions.append(call.module)
            since = 0
        elif isinstance(call.module, nn.LayerNorm) and len(call.shape) in (3, 4) and call.shape[1] > 1:
            norms.append(call.module)
            since += 1
    return convolutions, norms, since


def _depends_on_places(model: nn.Module, layer: CamLayer, image: Tensor, target: int) -> bool:
    kept: list[Tensor] = []

    def hook(_: nn.Module, __: object, output: Tensor) -> Tensor:
        output = output if output.requires_grad else output.detach().requires_grad_()
        kept.append(output)
        return output

    handle = layer.module.register_forward_hook(hook)
    try:
        with torch.enable_grad():
            score = model(image)[0, target]
            (gradient,) = torch.autograd.grad(score, kept[-1], allow_unused=True)
    finally:
        handle.remove()
    if gradient is None:
        return False
    maps = gradient if layer.reshape is None else layer.reshape(gradient)
    return bool((maps.abs().sum(dim=1) > 0).all())
