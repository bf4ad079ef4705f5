"""Segmentation by the classifier's own features: superpixels that its layers find alike are joined.

No segmentation model is needed: while the image passes through the network once, the last output at each scale says,
place by place, what the network made of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from captum_focalogic.adjacency import join_similar
from captum_focalogic.arrays import Floats, Labels
from captum_focalogic.classifier import evaluating
from captum_focalogic.errors import InputError
from captum_focalogic.layouts import Call, axis_of, executed, layout_at
from captum_focalogic.segmenters import MAX_SEGMENTS, ForwardPass, Pixels, Slic, Superpixels, WhiteBox

_PLACE = 0.5
"""Weight of where a superpixel lies, beside 1 for its colour and 1 for each layer: chosen on 13 photographs."""
_FINEST = 128
"""Places a side from which maps are pooled: superpixels are no smaller."""
_FLAT = 1e-5
"""Spread, as a share of the values, that is rounding."""

_INSTEAD = "Else use another segmenter, such as segmenter='slic:12'"


@dataclass(frozen=True)
class Features(Superpixels, WhiteBox):
    """Superpixels joined by what the explained network makes of them.

    The image passes through the network once, in evaluation mode. Of each scale (places of 1, 2, 4, 8, … pixels) the
    last output is taken whose layout can be told: maps of convolutional networks, tokens of transformers. Its principal
    components, averaged over each superpixel, describe the superpixels, beside Lab colour and place, all with the same
    spread (place half of it). Then the two neighbours whose joining adds least variance are joined, over and over
    (Ward 1963), until the number asked is left. The network is left as it was.

    Regions cut from a network's own features may flatter the network: borders lie where it sees them. Compare networks
    on regions of another segmenter.

    Parameters
    ----------
    n_segments : int, default 12
        Regions wanted; with None all superpixels are kept.
    min_area, working_size
        As :class:`~captum_focalogic.segmenters.Superpixels`.
    superpixels : int, default 160
        Superpixels (SLIC) that are joined; as many as regions where these are more.
    components : int, default 16
        Most principal components of each layer.
    model : nn.Module, optional
        The network to look into, where what is explained is a function that calls it, or where there is nothing else
        that says so; by default the explained model itself.

    Raises
    ------
    InputError
        If a parameter is out of range; when called, if there is no network to look into, or none of its layers says
        where things are.

    Examples
    --------
    >>> FocaLogic(resnet, segmenter="features:12").explain(images)  # doctest: +SKIP
    >>> FocaLogic(lambda x: resnet(x)[:, :5], segmenter=Features(12, model=resnet)).explain(images)  # doctest: +SKIP
    """

    superpixels: int = 160
    components: int = 16
    model: nn.Module | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("superpixels", 1, MAX_SEGMENTS)
        self._check("components", 1, 1024)
        if self.model is not None and not isinstance(self.model, nn.Module):
            raise InputError(f"model must be the nn.Module to look into; got {self.model!r}")

    def __call__(self, image: Tensor) -> Labels:
        """Cut an image (3, H, W) that ``model`` takes as it is."""
        return self.cut(image, None if self.model is None else ForwardPass.of(self.model, image))

    def cut(self, image: Tensor, forward_pass: ForwardPass | None) -> Labels:
        """Cut an image (3, H, W) in [0, 1] into regions, (H, W)."""
        if forward_pass is None:
            raise InputError(
                "segmenter='features' looks into the model, and none is known here; name one (focalogic ... --model "
                f"NAME), or say which it is: captum_focalogic.features.Features(12, model=module). {_INSTEAD}"
            )
        network = _network(forward_pass.forward_func) if self.model is None else self.model

        def join(labels: Labels, pixels: Pixels, count: int) -> Labels:
            if len(np.unique(labels)) <= count:
                return labels
            maps = layer_maps(network, forward_pass)
            return join_similar(labels, self._described(labels, pixels, maps), count)

        return self._cut(image, join)

    @property
    def _asked(self) -> int:
        return self.n_segments or 0

    def _segments(self, pixels: Pixels) -> Labels:
        # A blur of one pixel in 224 leaves the borders of small things where they are.
        sigma = min(pixels.shape[:2]) / 224
        return Slic(max(self.superpixels, self._asked), self.min_area, self.working_size, sigma=sigma)._segments(pixels)

    def _described(self, labels: Labels, pixels: Pixels, maps: Sequence[Floats]) -> Floats:
        """What is known of each superpixel, (M, D)."""
        from skimage.color import rgb2lab

        average = _averaging(labels)
        lab = rgb2lab(pixels).reshape(-1, 3).astype(np.float64)
        place = np.indices(labels.shape).reshape(2, -1).T / max(labels.shape)
        described = [_spread(average @ lab, 100.0), _PLACE * _spread(average @ place, 1.0)]
        for features in maps:
            rows, columns, width = features.shape
            places = features.reshape(-1, width)
            onto = average @ sparse.kron(_enlarging(rows, labels.shape[0]), _enlarging(columns, labels.shape[1]))
            described.append(
                _spread(onto @ _principal(places, self.components), float(np.sqrt((places**2).sum(1).mean())))
            )
        return np.concatenate(described, axis=1)


def layer_maps(network: nn.Module, forward_pass: ForwardPass) -> list[Floats]:
    """The last outputs of a network at each scale, (h, w, D), from fine to coarse.

    Parameters
    ----------
    network : nn.Module
        Whose layers are asked; left as it was.
    forward_pass : ForwardPass
        What runs it.

    Raises
    ------
    InputError
        If no layer's output says where things are, or one is not finite.
    """
    held: dict[tuple[tuple[int, ...], int | None], tuple[int, Tensor]] = {}

    def hold(place: int, call: Call, output: Tensor) -> None:
        if output.is_floating_point():
            held[call.shape, axis_of(call.module, call.shape)] = (place, output)

    with evaluating(network):
        calls = executed(network, forward_pass.run, hold)
    by_scale: dict[int, Floats] = {}
    for place, output in sorted(held.values(), key=lambda one: -one[0]):
        layout = layout_at(network, calls, place, forward_pass.inputs)
        if layout is None or np.prod(layout.grid) < 2:
            continue
        scale = _scale(layout.grid, forward_pass.inputs)
        if scale not in by_scale:
            by_scale[scale] = _pooled(layout.maps(output), type(calls[place].module).__name__)
    if not by_scale:
        raise InputError(
            f"segmenter='features' found no layer in {type(network).__name__} whose output says where in the image it "
            "is: no convolution and no tokens in a known grid ran in it. Where a function calls the network, say which "
            f"it is: captum_focalogic.features.Features(12, model=module). {_INSTEAD}"
        )
    return [by_scale[scale] for scale in sorted(by_scale)]


def _network(forward_func: Callable[..., Any]) -> nn.Module:
    """The module that a forward function is, or is a method of."""
    while isinstance(forward_func, partial):
        forward_func = forward_func.func
    owner = getattr(forward_func, "__self__", forward_func)
    if isinstance(owner, nn.Module):
        return owner
    name = getattr(forward_func, "__name__", type(forward_func).__name__)
    raise InputError(
        f"segmenter='features' looks into the model, and {name!r} does not show what it calls. Pass the module itself, "
        "as in nn.Sequential(normalise, model); or segmenter=captum_focalogic.features.Features(12, model=module), "
        f"with the module that it calls. {_INSTEAD}"
    )


def _scale(grid: tuple[int, int], image: Tensor) -> int:
    """Octave of the pixels that a place is wide, 0 for one pixel."""
    return round(float(np.log2(image.shape[2] / grid[0] * image.shape[3] / grid[1])) / 2)


def _pooled(maps: Tensor, layer: str) -> Floats:
    """Maps (1, D, h, w) as (h, w, D) on the CPU, pooled where they are finer than any superpixel."""
    size = [min(side, _FINEST) for side in maps.shape[2:]]
    maps = maps.detach().float()
    if tuple(size) != tuple(maps.shape[2:]):
        maps = torch.nn.functional.interpolate(maps, size=size, mode="area")
    values = maps[0].permute(1, 2, 0).cpu().double().numpy()
    if not np.isfinite(values).all():
        raise InputError(
            f"segmenter='features': the model's {layer} gives values that are not finite, which says nothing about "
            f"where things are. {_INSTEAD}"
        )
    return np.asarray(values)


def _averaging(labels: Labels) -> Any:
    """What makes means of each region, by ascending id, of values of the pixels, (M, H·W)."""
    regions = np.unique(labels, return_inverse=True)[1].reshape(-1)
    sizes = np.bincount(regions)
    return sparse.csr_array((1 / sizes[regions], (regions, np.arange(labels.size))), shape=(len(sizes), labels.size))


def _enlarging(places: int, pixels: int) -> Any:
    """What makes values of the pixels of those of the places along one side, linearly, (pixels, places)."""
    where = ((np.arange(pixels) + 0.5) * places / pixels - 0.5).clip(0, places - 1)
    low = where.astype(np.int64)
    high = np.minimum(low + 1, places - 1)
    rows = np.tile(np.arange(pixels), 2)
    shares = np.concatenate([1 - (where - low), where - low])
    return sparse.csr_array((shares, (rows, np.concatenate([low, high]))), shape=(pixels, places))


def _principal(values: NDArray[np.float64], components: int) -> Floats:
    """Coordinates of rows along the axes in which they differ most."""
    centred = values - values.mean(axis=0)
    if centred.shape[1] <= components:
        return np.asarray(centred)
    if len(centred) < centred.shape[1]:
        strengths, axes = np.linalg.eigh(centred @ centred.T)
        return np.asarray(axes[:, -components:] * np.sqrt(strengths[-components:].clip(min=0)))
    _, axes = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ axes[:, -components:])


def _spread(values: Floats, magnitude: float) -> Floats:
    """Values around their mean with a spread of 1; zero where they differ by rounding only."""
    centred = values - values.mean(axis=0)
    spread = float(np.sqrt((centred**2).sum(axis=1).mean()))
    return np.asarray(centred / spread if spread > _FLAT * magnitude else np.zeros_like(centred))
