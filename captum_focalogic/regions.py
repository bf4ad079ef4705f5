"""Partitions of an input into regions: from feature masks, label maps and overlapping masks."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_focalogic import names
from captum_focalogic.arrays import Labels
from captum_focalogic.errors import InputError

MIN_AREA = 1e-3
"""Share of the image below which a region is merged away (paper section 3.6)."""


@dataclass(frozen=True)
class Partition:
    """The regions of one example.

    Attributes
    ----------
    region_ids : (M,) int64
        Feature mask values, ascending; position j in it is column j of every state.
    areas : (M,) float64
        Share of the example's elements in each region; sums to 1.
    columns : tuple of Tensor
        For each input tensor, the column of every element: int64, broadcastable to one example of that tensor.
    """

    region_ids: NDArray[np.int64]
    areas: NDArray[np.float64]
    columns: tuple[Tensor, ...]

    @property
    def num_regions(self) -> int:
        """M."""
        return len(self.region_ids)


def partition_from_masks(masks: Sequence[Tensor], shapes: Sequence[torch.Size]) -> Partition:
    """The regions of one example from its feature masks.

    Parameters
    ----------
    masks : sequence of Tensor
        One integer mask for each input tensor, broadcastable to one example of it. Equal values are one region, also
        across tensors.
    shapes : sequence of torch.Size
        Shape of one example of each input tensor, without the batch dimension.

    Raises
    ------
    InputError
        If the masks hold no element.
    """
    region_ids, inverse = torch.unique(torch.cat([mask.reshape(-1) for mask in masks]), return_inverse=True)
    if not len(region_ids):
        raise InputError("the feature mask holds no element, so there are no regions to explain with")
    counts = torch.zeros(len(region_ids), dtype=torch.float64, device="cpu")
    columns: list[Tensor] = []
    for mask, shape, flat in zip(masks, shapes, inverse.split([mask.numel() for mask in masks]), strict=True):
        columns.append(flat.reshape(mask.shape))
        repeats = shape.numel() / max(1, mask.numel())
        counts += repeats * torch.bincount(flat, minlength=len(region_ids)).cpu().double()
    areas = (counts / counts.sum()).numpy()
    return Partition(region_ids.cpu().numpy().astype(np.int64), areas, tuple(columns))


def snap_to_patches(mask: Tensor, patches: Tensor) -> Tensor:
    """Regions that are made of whole patches: each patch goes to the region that has most of its pixels.

    Parameters
    ----------
    mask : (..., H, W) integer Tensor
        Region id of every pixel.
    patches : (H, W) int64 Tensor
        Patch of every pixel, 0, 1, ...

    Returns
    -------
    (..., H, W) Tensor
        Of two regions with equally many pixels the lower id wins. A region that wins no patch is not in it.
    """
    size, patches = patches.shape, patches.to(mask.device).reshape(-1)
    region_ids, columns = torch.unique(mask.expand(*mask.shape[:-2], *size), return_inverse=True)
    number, cells = len(region_ids), int(patches.max()) + 1
    snapped = [
        torch.bincount(patches * number + row, minlength=cells * number).reshape(cells, number).argmax(1)[patches]
        for row in columns.reshape(-1, patches.numel())
    ]
    found: Tensor = region_ids[torch.stack(snapped)].reshape(columns.shape)
    return found


def as_label_map(labels: Any, size: tuple[int, int]) -> Labels:
    """Check what a segmenter returned.

    Parameters
    ----------
    labels : (H, W) integer array or Tensor, or masks as for :func:`label_map_of`
        Region id of every pixel.
    size : tuple of int
        The image's height and width.

    Raises
    ------
    InputError
        If it is not an integer array of that size.
    """
    values = label_map_of(labels)
    if values.shape != size:
        given = ". A segmenter is given the image as (3, H, W)" if values.shape == (3, size[0]) else ""
        raise InputError(f"a label map must have the image's size {size}; got {values.shape}{given}")
    if values.dtype != np.bool_ and not np.issubdtype(values.dtype, np.integer):
        raise InputError(f"a label map must hold integer region ids; got {values.dtype}. Convert it: .astype(int)")
    return values.astype(np.int64)


def label_map_of(given: Any) -> NDArray[Any]:
    """A label map as it is, or made of masks as other packages give them (:func:`labels_from_masks`).

    Parameters
    ----------
    given : object
        A label map, (H, W); a stack of Boolean masks, (K, H, W), or a list of these; what Segment Anything's automatic
        generator gives, a list of records with ``segmentation``; a mask generation pipeline's record with ``masks``; or
        an object with masks in ``mask``, as ``supervision.Detections`` has. Arrays may be tensors.

    Raises
    ------
    InputError
        If there is no mask in it, or masks differ in size.
    """
    values = _masks_in(given)
    if isinstance(values, list):
        shapes = sorted({np.shape(mask) for mask in values})
        if len(shapes) != 1 or len(shapes[0]) != 2:
            raise InputError(f"masks of one image must have one size, (H, W) each; got {shapes or 'no mask at all'}")
        values = np.stack(values).astype(np.bool_)
    values = _array(values)
    return labels_from_masks(values) if values.dtype == np.bool_ and values.ndim == 3 else values


def are_masks(given: Any) -> bool:
    """Whether something is masks, and no label map: for arguments that take either."""
    found = _masks_in(given) if given is not None and not isinstance(given, tuple) else None
    return isinstance(found, list) or (
        found is not None and np.ndim(found) == 3 and len(found) > 1 and str(found.dtype).endswith("bool")
    )


def _masks_in(given: Any) -> Any:
    """A list of masks, or whatever else was given."""
    if isinstance(given, Mapping) and "masks" in given:
        given = given["masks"]
    elif not isinstance(given, np.ndarray | Tensor) and hasattr(given, "mask"):
        if given.mask is None:
            raise InputError(f"this {type(given).__name__} has boxes and no masks; give what a segmenter found")
        given = given.mask
    if not isinstance(given, list):
        return given
    if any(isinstance(part, Mapping) for part in given):
        return [_segmentation(record) for record in given]
    return [_array(part) for part in given] if all(_is_mask(part) for part in given) else np.asarray(given)


def _is_mask(part: Any) -> bool:
    return isinstance(part, np.ndarray | Tensor) and str(part.dtype).endswith("bool")


def _segmentation(record: Any) -> NDArray[Any]:
    if not isinstance(record, Mapping) or "segmentation" not in record:
        told = ", ".join(map(str, record)) if isinstance(record, Mapping) else type(record).__name__
        raise InputError(f"a mask's record needs its segmentation, as Segment Anything gives it; this one has {told}")
    mask = record["segmentation"]
    if isinstance(mask, Mapping):
        return np.asarray(names.import_object("captum_focalogic.integrations.annotations:decode_rle")(mask))
    return _array(mask)


def _array(values: Any) -> NDArray[Any]:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def labels_from_masks(masks: NDArray[np.bool_], min_area: float = MIN_AREA) -> Labels:
    """A partition from overlapping masks with holes between them, as Segment Anything gives.

    Smaller masks lie on top of larger ones, so that a part is not swallowed by its whole; of equal ones the later lies
    on top. What no mask covers is one extra region, and so is what is left of masks below ``min_area`` (paper section
    3.6).

    Parameters
    ----------
    masks : (K, H, W) bool
        The masks; K may be 0.
    min_area : float
        Share of the image below which a region joins the extra one.

    Returns
    -------
    (H, W) int64
        1 … K' for the masks that are left, largest first; 0 for the extra region, if there is one.

    Raises
    ------
    InputError
        If ``masks`` is not three-dimensional.
    """
    masks = np.asarray(masks)
    if masks.ndim != 3:
        raise InputError(f"masks must be a (K, H, W) array, one mask a row; got shape {masks.shape}")
    _check_share(min_area)
    masks = masks.astype(np.bool_)
    painted = np.zeros(masks.shape[1:], dtype=np.int64)
    order = np.argsort(-masks.sum(axis=(1, 2)), kind="stable")
    for name, index in enumerate(order, start=1):
        painted[masks[index]] = name
    sizes = np.bincount(painted.reshape(-1), minlength=len(masks) + 1)
    kept = np.flatnonzero(sizes >= max(1.0, min_area * painted.size))
    kept = kept[kept != 0]
    renamed = np.zeros(len(masks) + 1, dtype=np.int64)
    renamed[kept] = np.arange(1, len(kept) + 1)
    return np.asarray(renamed[painted], dtype=np.int64)


def merge_small(labels: Labels, min_area: float = MIN_AREA) -> Labels:
    """Merge every region below a share of the image into the neighbour it shares the longest border with.

    Parameters
    ----------
    labels : (H, W) integer
        Region id of every pixel.
    min_area : float
        Share of the image, 0 to 1.

    Returns
    -------
    (H, W) int64
        The ids that are left keep their pixels and their values.
    """
    labels = np.array(labels, dtype=np.int64)
    _check_share(min_area)
    region_ids, columns, counts = np.unique(labels, return_inverse=True, return_counts=True)
    regions, sizes, least = columns.reshape(labels.shape), counts.tolist(), min_area * labels.size
    # Only small regions ever move, so only their pixels are kept at hand.
    waiting = [(size, region) for region, size in enumerate(sizes) if size < least]
    pixels = _pixels_of(regions, [region for _, region in waiting])
    left = len(region_ids)
    heapq.heapify(waiting)
    while waiting and left > 1:
        size, region = heapq.heappop(waiting)
        if size != sizes[region]:
            continue
        own = np.concatenate(pixels.pop(region))
        neighbours, borders = np.unique(_ring(regions, own, region), return_counts=True)
        neighbour = int(neighbours[np.argmax(borders)])
        regions.reshape(-1)[own] = neighbour
        sizes[neighbour] += size
        sizes[region] = 0
        left -= 1
        if neighbour in pixels:
            pixels[neighbour].append(own)
            if sizes[neighbour] < least:
                heapq.heappush(waiting, (sizes[neighbour], neighbour))
    return np.asarray(region_ids[regions], dtype=np.int64)


def _pixels_of(regions: NDArray[np.intp], chosen: list[int]) -> dict[int, list[NDArray[np.intp]]]:
    """Positions of the pixels of some regions, in a flat image."""
    if not chosen:
        return {}
    flat = regions.reshape(-1)
    positions = np.flatnonzero(np.isin(flat, chosen))
    order = np.argsort(flat[positions], kind="stable")
    bounds = np.searchsorted(flat[positions][order], chosen, side="right")
    return {region: [part] for region, part in zip(chosen, np.split(positions[order], bounds[:-1]), strict=True)}


def _ring(regions: NDArray[np.intp], pixels: NDArray[np.intp], region: int) -> NDArray[np.intp]:
    """Regions of the pixels around a region, each pixel once."""
    height, width = regions.shape
    flat = regions.reshape(-1)
    rows, columns = np.divmod(pixels, width)
    around = [
        pixels[rows > 0] - width,
        pixels[rows < height - 1] + width,
        pixels[columns > 0] - 1,
        pixels[columns < width - 1] + 1,
    ]
    touched = np.unique(np.concatenate(around))
    found: NDArray[np.intp] = flat[touched]
    return np.asarray(found[found != region])


def _check_share(min_area: float) -> None:
    if not 0 <= min_area < 1:
        raise InputError(f"min_area is a share of the image, at least 0 and below 1; got {min_area}")
