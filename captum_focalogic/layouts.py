"""How layers lay out what they give: which axis holds features, and which places of the image the others are.

Layouts are read off known kinds of modules and the grids that the model was seen to make of this very image, never off
what numbers happen to be squares.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

ToMaps = Callable[[Tensor], Tensor]
"""What a layer gives to maps (N, D, h, w)."""

_LOPSIDED = 2
"""Ratio of the strides of rows and columns from which an output (N, a, b, D) is no grid of the image."""

_CHANNELS_FIRST = (
    *(nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.SyncBatchNorm, nn.InstanceNorm2d, nn.GroupNorm),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Upsample, nn.PixelShuffle),
)
_SINGLE_TOKENS = ("cls_token", "class_token", "class_embedding", "dist_token", "distillation_token")
_SEVERAL_TOKENS = ("reg_token", "register_tokens")


@dataclass(frozen=True)
class Call:
    """A module that has run, and the shape of what it gave."""

    module: nn.Module
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """How an output says where things are.

    Attributes
    ----------
    grid : tuple of int
        Rows and columns of its places.
    to_maps : callable or None
        The output to maps (N, D, h, w). None where it is that already.
    """

    grid: tuple[int, int]
    to_maps: ToMaps | None = None

    def maps(self, output: Tensor) -> Tensor:
        """The output as maps (N, D, h, w)."""
        return output if self.to_maps is None else self.to_maps(output)


def executed(
    model: nn.Module, run: Callable[[], object], on_output: Callable[[int, Call, Tensor], object] | None = None
) -> list[Call]:
    """What runs in a model, in this thread, in the order in which it ends.

    Parameters
    ----------
    model : nn.Module
        Whose parts are watched.
    run : callable
        Has the model run, without gradients.
    on_output : callable, optional
        Told of each call: its place in the list, the call and the tensor that it gave.
    """
    calls: list[Call] = []
    thread = threading.get_ident()

    def hook(module: nn.Module, _: object, output: object) -> None:
        if threading.get_ident() == thread and isinstance(output, Tensor) and output.dim() > 1:
            calls.append(Call(module, tuple(output.shape)))
            if on_output is not None:
                on_output(len(calls) - 1, calls[-1], output)

    handles = []
    try:
        handles += [part.register_forward_hook(hook) for part in model.modules()]
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return calls


def layout_at(model: nn.Module, calls: Sequence[Call], place: int, image: Tensor) -> Layout | None:
    """How one of the calls laid out what it gave, where that can be told.

    Parameters
    ----------
    model : nn.Module
        What ran.
    calls : sequence of Call
        All that ran on the image, as of :func:`executed`.
    place : int
        The call's place among them.
    image : (N, C, H, W) Tensor
        What it ran on.
    """
    module, shape = calls[place].module, calls[place].shape
    axis = _feature_axis(module, shape, calls) if shape[0] == len(image) else None
    if axis == 1 and len(shape) == 4:
        return Layout((shape[2], shape[3]))
    if axis == 3 and _is_grid(shape[1:3], image):
        return Layout((shape[1], shape[2]), channels_first)
    if axis == 2 and len(shape) == 3:
        grids = _token_grids(model, shape[1], calls[:place], image)
        if len(grids) == 1:
            (grid,) = grids
            return Layout(grid, partial(to_maps, grid=grid))
    return None


def channels_first(output: Tensor) -> Tensor:
    """(N, h, w, D) as maps (N, D, h, w)."""
    return output.permute(0, 3, 1, 2)


def to_maps(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Tokens (N, T, D) as maps (N, D, h, w), without what stands before their patches (class and register tokens)."""
    height, width = grid
    patches = tokens[:, tokens.shape[1] - height * width :]
    return patches.transpose(1, 2).reshape(len(tokens), tokens.shape[2], height, width)


def _feature_axis(module: nn.Module, shape: tuple[int, ...], calls: Sequence[Call]) -> int | None:
    """The axis of the features: said by the module's kind, else by what has run within it, else by all that has run.

    Only what gave this very shape speaks, and all that does must agree. Of a cube nobody but the module itself speaks,
    since its axes could have been exchanged on the way out.
    """
    own = axis_of(module, shape)
    if own is not None or len(set(shape[1:])) == 1:
        return own
    inside = set(module.modules())
    for speakers in ([call for call in calls if call.module in inside], calls):
        said = {axis_of(call.module, shape) for call in speakers if call.shape == shape} - {None}
        if said:
            return said.pop() if len(said) == 1 else None
    return None


def axis_of(module: nn.Module, shape: tuple[int, ...]) -> int | None:
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


def _token_grids(model: nn.Module, tokens: int, calls: Sequence[Call], image: Tensor) -> set[tuple[int, int]]:
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
