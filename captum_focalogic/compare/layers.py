"""Where GradCAM looks: the last layer whose output still says where things are."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from captum_focalogic.errors import InputError

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
        Tokens to maps: what the layer puts out to (N, D, h, w). None for a convolution, whose output is that already.
    """

    module: nn.Module
    reshape: Callable[[Tensor], Tensor] | None = None


def find_layer(model: nn.Module, image: Tensor, target: int) -> CamLayer:
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

    Raises
    ------
    InputError
        If there is no such layer.
    """
    convolutions, norms, norms_since = _executed(model, image)
    if convolutions and norms_since < _BLOCK_NORMS:
        return CamLayer(convolutions[-1])
    for module in reversed(norms):
        if _depends_on_places(model, module, image, target):
            return CamLayer(module, to_maps)
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


def layout_of(model: nn.Module, module: nn.Module, image: Tensor) -> CamLayer:
    """A layer that the user named, with its layout found out by asking the model."""
    shapes: list[torch.Size] = []
    handle = module.register_forward_hook(lambda _, __, out: shapes.append(out.shape))
    try:
        with torch.no_grad():
            model(image)
    finally:
        handle.remove()
    if not shapes:
        raise InputError(f"the layer {type(module).__name__} is not executed, so GradCAM cannot look at it")
    return CamLayer(module, None if len(shapes[-1]) == 4 and isinstance(module, nn.Conv2d | nn.Sequential) else to_maps)


def to_maps(tokens: Tensor) -> Tensor:
    """What a layer puts out as maps (N, D, h, w).

    Tokens (N, T, D) lose what stands before their patches (class and register tokens: T is the next smaller square and
    a few more); (N, h, w, D) becomes channels first.
    """
    if tokens.dim() == 4:
        return tokens.permute(0, 3, 1, 2)
    side = math.isqrt(tokens.shape[1])
    patches = tokens[:, tokens.shape[1] - side * side :]
    return patches.transpose(1, 2).reshape(len(tokens), tokens.shape[2], side, side)


def _executed(model: nn.Module, image: Tensor) -> tuple[list[nn.Module], list[nn.Module], int]:
    """Convolutions and token norms in the order they run, and how many such norms follow the last convolution."""
    convolutions: list[nn.Module] = []
    norms: list[nn.Module] = []
    since = 0

    def hook(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal since
        if isinstance(module, nn.Conv2d) and output.dim() == 4 and min(output.shape[2:]) > 1:
            convolutions.append(module)
            since = 0
        elif isinstance(module, nn.LayerNorm) and output.dim() in (3, 4) and output.shape[1] > 1:
            norms.append(module)
            since += 1

    handles = [
        part.register_forward_hook(hook) for part in model.modules() if isinstance(part, nn.Conv2d | nn.LayerNorm)
    ]
    try:
        with torch.no_grad():
            model(image)
    finally:
        for handle in handles:
            handle.remove()
    return convolutions, norms, since


def _depends_on_places(model: nn.Module, module: nn.Module, image: Tensor, target: int) -> bool:
    kept: list[Tensor] = []

    def hook(_: nn.Module, __: object, output: Tensor) -> Tensor:
        output = output if output.requires_grad else output.detach().requires_grad_()
        kept.append(output)
        return output

    handle = module.register_forward_hook(hook)
    try:
        with torch.enable_grad():
            score = model(image)[0, target]
            (gradient,) = torch.autograd.grad(score, kept[-1], allow_unused=True)
    finally:
        handle.remove()
    return gradient is not None and bool((to_maps(gradient).abs().sum(dim=1) > 0).all())
