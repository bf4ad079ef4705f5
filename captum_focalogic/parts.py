"""Parts of regions: how a region is cut again, by colour and place within it, or along the patches of a transformer."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from captum_focalogic.arrays import Bools, Labels

_COMPACTNESS = 20.0
_SLIVER = 0.25
"""Parts below this share of the mean part go to what is nearest to them."""


@dataclass(frozen=True, eq=False)
class Refinement:
    """A partition some of whose regions were cut into parts.

    Attributes
    ----------
    label_map : (H, W) int64
        Region of every pixel: regions that were not cut keep their ids, parts have new ones.
    parents : mapping of int to int
        The region that each part is a part of.
    """

    label_map: Labels
    parents: Mapping[int, int]


def refine(
    label_map: Labels,
    counts: Mapping[int, int],
    pixels: NDArray[np.float32] | None,
    *,
    patches: Labels | None = None,
    first_id: int | None = None,
) -> Refinement:
    """Cut regions into parts.

    Parameters
    ----------
    label_map : (H, W) int64
        Region id of every pixel.
    counts : mapping of int to int
        How many parts each region that is to be cut should have, at most.
    pixels : (H, W, 3) float32 or None
        The image, in [0, 1]; parts follow its colours (SLIC within the region). Without it regions are halved along
        their longer side.
    patches : (H, W) int64, optional
        Patch of every pixel; parts are then made of whole patches.
    first_id : int, optional
        The lowest id that is free; the one after the highest by default. Ids below 0 are not given.

    Returns
    -------
    Refinement
        A region that cannot be cut, such as a single pixel or a single patch, stays as it is.
    """
    refined = np.array(label_map, dtype=np.int64)
    following = max(int(refined.max()) + 1, 0) if first_id is None else first_id
    parents: dict[int, int] = {}
    for region, count in sorted(counts.items()):
        mask = label_map == region
        labels = _patch_parts(mask, patches, count) if patches is not None else _pixel_parts(mask, pixels, count)
        names, parts = np.unique(labels, return_inverse=True)
        if len(names) < 2:
            continue
        refined[mask] = following + parts.reshape(-1)
        parents |= {following + part: region for part in range(len(names))}
        following += len(names)
    return Refinement(refined, parents)


def _pixel_parts(mask: Bools, pixels: NDArray[np.float32] | None, count: int) -> NDArray[np.int64]:
    """A label for each pixel of a region, (P,), of at most ``count``."""
    places = np.argwhere(mask)
    found = np.zeros(len(places), dtype=np.int64)
    if pixels is not None:
        (top, left), (bottom, right) = places.min(axis=0), places.max(axis=0) + 1
        found = _clusters(mask[top:bottom, left:right], pixels[top:bottom, left:right], count)
    # Where clusters come out as one or too many, place alone decides.
    return found if 1 < len(np.unique(found)) <= count else _halves(places.astype(np.float64), count)


def _clusters(mask: Bools, pixels: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """SLIC within a mask, slivers given to what is nearest."""
    from skimage.segmentation import slic

    if not mask.any() or mask.sum() < 4 * count:
        return np.zeros(int(mask.sum()), dtype=np.int64)
    sigma = max(mask.shape) / 80
    labels = slic(pixels, n_segments=count, compactness=_COMPACTNESS, sigma=sigma, mask=mask, start_label=1)
    labels = np.where(mask, labels, 0)
    sizes = np.bincount(labels[mask], minlength=count + 1)
    kept = np.flatnonzero(sizes >= _SLIVER * mask.sum() / count)
    kept = kept[kept > 0]
    if not len(kept):
        return np.zeros(int(mask.sum()), dtype=np.int64)
    loose = mask & ~np.isin(labels, kept)
    if loose.any():
        _, nearest = ndimage.distance_transform_edt(~np.isin(labels, kept), return_indices=True)
        labels = np.where(loose, labels[tuple(nearest)], labels)
    return np.asarray(labels[mask], dtype=np.int64)


def _patch_parts(mask: Bools, patches: Labels, count: int) -> NDArray[np.int64]:
    """A label for each pixel of a region: groups of whole patches."""
    own, place = np.unique(patches[mask], return_inverse=True)
    pixels = np.argwhere(mask)
    sizes = np.bincount(place, minlength=len(own))
    centres = np.stack([np.bincount(place, weights=axis) / sizes for axis in pixels.T.astype(np.float64)], axis=1)
    return _halves(centres, count)[place]


def _halves(places: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Points in groups of like number, by halving the largest group across its longer side until there are enough."""
    groups = np.zeros(len(places), dtype=np.int64)
    for following in range(1, min(count, len(places))):
        largest = np.flatnonzero(groups == np.bincount(groups).argmax())
        spread = np.ptp(places[largest], axis=0)
        along = places[largest][:, int(spread.argmax())]
        order = largest[np.argsort(along, kind="stable")]
        groups[order[len(order) // 2 :]] = following
    return groups
