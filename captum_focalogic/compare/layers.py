"""Where GradCAM looks: a layer whose output still says where things are, and how that output is laid out.

Layouts are read off known kinds of modules and the grids that the model was seen to make of this very image, never off
what numbers happen to be squares. What remains unknown is refused: ``reshape_transform=`` says it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from captum_focalogic.errors import InputError

ReshapeTransform = Callable[[Tensor], Tensor]
"""What a layer puts out to maps (N, D, h, w), as pytorch-grad-cam takes it."""

_BLOCK_NORMS = 3
"""Layer norms over tokens after the last convolution from which a model is taken for a transformer."""
_LOPSIDED = 2
"""Ratio of the strides of rows and columns from which an output (N, a, b, D) is no grid of the image."""

_CHANNELS_FIRST = (
    *(nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.SyncBatchNorm, nn.InstanceNorm2d, nn.GroupNorm),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Upsample, nn.PixelShuffle),
)
_SINGLE_TOKENS = ("cls_token", "class_token", "class_embedding", "dist_token", "distillation_token")
_SEVERAL_TOKENS = ("reg_token", "register_tokens")


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


@dataclass(frozen=True)
class _Call:
    """A module that has run, and the shape of what it gave."""

    module: nn.Module
    shape: tuple[int, ...]


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
    convolutions, norms, norms_since = _places(_executed(model, image))
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
    calls = _executed(model, image)
    last = max((place for place, call in enumerate(calls) if call.module is module), default=None)
    if last is None:
        raise InputError(
            f"the layer {type(module).__name__} is not executed or gives no tensor, so GradCAM cannot look at it"
        )
    shape = calls[last].shape
    axis = _feature_axis(module, shape, calls) if shape[0] == len(image) else None
    if axis == 1 and len(shape) == 4:
        return CamLayer(module)
    if axis == 3 and _is_grid(shape[1:3], image):
        return CamLayer(module, channels_first)
    if axis == 2 and len(shape) == 3:
        grids = _token_grids(model, shape[1], calls[:last], image)
        if len(grids) == 1:
            return CamLayer(module, partial(to_maps, grid=grids.pop()))
    raise InputError(
        f"how {type(module).__name__} lays out what it gives, {shape} for an image of {image.shape[3]}x"
        f"{image.shape[2]}, is not known; pass reshape_transform=, a function of it to maps (N, channels, rows, "
        "columns) (--reshape-transform PATH/MODULE.py:NAME), or name another layer"
    )


def channels_first(output: Tensor) -> Tensor:
    """(N, h, w, D) as maps (N, D, h, w)."""
    return output.permute(0, 3, 1, 2)


def to_maps(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Tokens (N, T, D) as maps (N, D, h, w), without what stands before their patches (class and register tokens)."""
    height, width = grid
    patches = tokens[:, tokens.shape[1] - height * width :]
    return patches.transpose(1, 2).reshape(len(tokens), tokens.shape[2], height, width)


def _checked(reshape_transform: ReshapeTransform, output: Tensor) -> Tensor:
    maps: Any = reshape_transform(output)
    if not isinstance(maps, Tensor) or maps.dim() != 4 or len(maps) != len(output):
        given = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise InputError(
            f"reshape_transform must make maps ({len(output)}, channels, rows, columns) of what the layer gives, "
            f"{tuple(output.shape)}; it gave {given}"
        )
    return maps


def _feature_axis(module: nn.Module, shape: tuple[int, ...], calls: Sequence[_Call]) -> int | None:
    """The axis of the features: said by the module's kind, else by what has run within it, else by all that has run.

    Only what gave this very shape speaks, and all that does must agree. Of a cube nobody but the module itself speaks,
    since its axes could have been exchanged on the way out.
    """
    own = _axis_of(module, shape)
    if own is not None or len(set(shape[1:])) == 1:
        return own
    inside = set(module.modules())
    for speakers in ([call for call in calls if call.module in inside], calls):
        said = {_axis_of(call.module, shape) for call in speakers if call.shape == shape} - {None}
        if said:
            return said.pop() if len(said) == 1 else None
    return None


def _axis_of(module: nn.Module, shape: tuple[int, ...]) -> int | None:
    """The axis of the features in what a module of a known kind gives."""
    if isinstance(module, _CHANNELS_FIRST):
        return 1
    if isinstance(module, nn.Linear) or type(module) is nn.LayerNorm:
        return len(shape) - 1
    if isinstance(module, nn.LayerNorm):
        # Others' subclasses normalise channels first as well: the axis that has their width.
        fits = [axis for axis in (1, len(shape) - 1) if shape[axis : axis + 1] == tuple(module.normalized_shape)]
        return fits[0] if len(fits) == 1 else None
    return None


def _is_grid(grid: Sequence[int], image: Tensor) -> bool:
    """Whether rows and columns can be those of the image."""
    strides = [whole / part for whole, part in zip(image.shape[2:], grid, strict=True)]
    return max(strides) < _LOPSIDED * min(strides)


def _token_grids(model: nn.Module, tokens: int, calls: Sequence[_Call], image: Tensor) -> set[tuple[int, int]]:
    """Grids whose patches a number of tokens can be: those that were seen on the image, else those the model names."""
    extra = {0, 1, _prefix(model)}
    merged = sum(type(call.module).__name__.endswith("PatchMerging") for call in calls)
    seen = {call.shape[2:] for call in calls if isinstance(call.module, nn.Conv2d) and len(call.shape) == 4}
    for grids in (seen, _named_grids(model, image)):
        halved = {(-(-height // 2**merged), -(-width // 2**merged)) for height, width in grids}
        fitting = {grid for grid in halved if grid[0] * grid[1] > 1 and tokens - grid[0] * grid[1] in extra}
        if fitting:
            return fitting
    return set()


def _prefix(model: nn.Module) -> int:
    """How many tokens the model puts before its patches, by the names that timm, torchvision and transformers use."""
    count = 0
    for name, parameter in model.named_parameters():
        last = name.rpartition(".")[2]
        count += last in _SINGLE_TOKENS
        count += parameter.shape[-2] if last in _SEVERAL_TOKENS and parameter.dim() > 1 else 0
    return count


def _named_grids(model: nn.Module, image: Tensor) -> set[tuple[int, int]]:
    """Grids by the patch size that a part of the model or its configuration names, and grids that it names itself."""
    found = set()
    for module in model.modules():
        for holder in (module, getattr(module, "config", None)):
            for height, width in _pairs(getattr(holder, "patch_size", None)):
                found.add((image.shape[2] // height, image.shape[3] // width))
    if not found:
        found = {pair for module in model.modules() for pair in _pairs(getattr(module, "grid_size", None))}
    return found


def _pairs(value: object) -> Iterator[tuple[int, int]]:
    """A size of rows and columns, where a value is one."""
    sides = (value, value) if isinstance(value, int) else value
    if (
        isinstance(sides, tuple | list)
        and len(sides) == 2
        and all(isinstance(side, int) and side > 0 for side in sides)
    ):
        yield sides[0], sides[1]


def _executed(model: nn.Module, image: Tensor) -> list[_Call]:
    """What runs when the model sees the image, in the order in which it ends."""
    calls: list[_Call] = []

    def hook(module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor) and output.dim() > 1:
            calls.append(_Call(module, tuple(output.shape)))

    handles = [part.register_forward_hook(hook) for part in model.modules()]
    try:
        with torch.no_grad():
            model(image)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _places(calls: Sequence[_Call]) -> tuple[list[nn.Module], list[nn.Module], int]:
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
