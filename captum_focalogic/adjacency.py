"""Regions that touch, and joining them until few are left."""

import heapq
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from captum_focalogic.arrays import Floats, Labels


def join_alike(labels: Labels, pixels: NDArray[np.floating], count: int) -> Labels:
    """Join adjacent regions until ``count`` are left, always the pair that adds least colour variance (Ward 1963).

    Parameters
    ----------
    labels : (H, W) int
        Region id of every pixel.
    pixels : (H, W, 3) float
        The image, in [0, 1].
    count : int
        Regions wanted; where there are no more, nothing is joined.

    Returns
    -------
    (H, W) int64
        1 … M.
    """
    from skimage.color import rgb2lab

    regions = _numbered(labels)
    return _joined(regions, regions.reshape(-1), rgb2lab(pixels).reshape(-1, 3), np.ones(labels.size), count)


def join_similar(labels: Labels, features: Floats, count: int) -> Labels:
    """As :func:`join_alike`, by the features of the regions, each of which weighs as its area.

    Parameters
    ----------
    labels, count
        As :func:`join_alike`.
    features : (M, D) float
        Of the regions, in ascending order of their ids.
    """
    regions = _numbered(labels)
    sizes = np.bincount(regions.reshape(-1)).astype(np.float64)
    return _joined(regions, np.arange(len(sizes)), features, sizes, count)


def _numbered(labels: Labels) -> NDArray[np.intp]:
    """The labels as 0 … M - 1."""
    return np.asarray(np.unique(labels, return_inverse=True)[1].reshape(labels.shape))


def _joined(regions: NDArray[np.intp], owners: NDArray[np.intp], values: Floats, weights: Floats, count: int) -> Labels:
    found = int(regions.max()) + 1
    if found > count:
        graph = _RegionGraph(_borders(regions, found), owners, values, weights)
        for _ in range(found - count):
            graph.join_cheapest()
        regions = graph.names()[regions]
    return np.asarray(regions, dtype=np.int64) + 1


class _RegionGraph:
    """Regions, which of them touch, and what joining two would cost: joining two looks at these two only.

    A region is described by its parts, pixels or what was found together: each has an owner, values and a weight.
    """

    def __init__(self, pairs: list[tuple[int, int]], owners: NDArray[np.intp], values: Floats, weights: Floats) -> None:
        self._channels = np.ascontiguousarray(values.T * weights)
        self._sizes = np.bincount(owners, weights=weights)
        count = len(self._sizes)
        sums = np.stack([np.bincount(owners, weights=channel) for channel in self._channels], axis=1)
        self._means = sums / self._sizes[:, None]
        self._parts = np.split(np.argsort(owners, kind="stable"), np.cumsum(np.bincount(owners))[:-1])
        self._neighbours: list[set[int]] = [set() for _ in range(count)]
        self._into = np.arange(count)
        self._joins = [0] * count
        self._costs: list[tuple[float, int, int, int]] = []
        for one, other in pairs:
            self._neighbours[one].add(other)
            self._neighbours[other].add(one)
        self._offer(pairs)

    def join_cheapest(self) -> None:
        """Join the pair that adds least variance; of equal ones the first."""
        while True:
            _, one, other, joins = heapq.heappop(self._costs)
            # Costs worked out before one of the two was joined with a third are of no use.
            if joins == self._joins[one] + self._joins[other] and (self._into[[one, other]] == (one, other)).all():
                return self._join(one, other)

    def names(self) -> NDArray[np.intp]:
        """For each region at the start, the number of the region that it is part of now."""
        # A region is joined into one before it, which is settled by then.
        roots = self._into.copy()
        for region in range(len(roots)):
            roots[region] = roots[roots[region]]
        return np.asarray(np.unique(roots, return_inverse=True)[1])

    def _join(self, one: int, other: int) -> None:
        # Sums are taken over the parts in their order, so that they do not depend on the order of the joins.
        parts = np.sort(np.concatenate([self._parts[one], self._parts[other]]), kind="stable")
        self._parts[one], self._parts[other] = parts, parts[:0]
        self._sizes[one] += self._sizes[other]
        places = np.zeros(len(parts), dtype=np.intp)
        sums = [np.bincount(places, weights=channel[parts])[0] for channel in self._channels]
        self._means[one] = np.array(sums) / self._sizes[one]
        self._into[other] = one
        self._joins[one] += 1
        around = (self._neighbours[one] | self._neighbours[other]) - {one, other}
        for region in around:
            self._neighbours[region].discard(other)
            self._neighbours[region].add(one)
        self._neighbours[one], self._neighbours[other] = around, set()
        self._offer([(min(one, region), max(one, region)) for region in around])

    def _offer(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Work out what joining each pair costs."""
        listed = list(pairs)
        if not listed:
            return
        one, other = np.array(listed).T
        weight = self._sizes[one] * self._sizes[other] / (self._sizes[one] + self._sizes[other])
        costs = weight * ((self._means[one] - self._means[other]) ** 2).sum(axis=1)
        for cost, (low, high) in zip(costs.tolist(), listed, strict=True):
            heapq.heappush(self._costs, (cost, low, high, self._joins[low] + self._joins[high]))


def _borders(regions: NDArray[np.intp], count: int) -> list[tuple[int, int]]:
    """Pairs of adjacent regions, lower number first."""
    found = []
    for one, other in ((regions[1:], regions[:-1]), (regions[:, 1:], regions[:, :-1])):
        apart = one != other
        found.append(np.unique(np.minimum(one, other)[apart] * count + np.maximum(one, other)[apart]))
    low, high = np.divmod(np.unique(np.concatenate(found)), count)
    return list(zip(low.tolist(), high.tolist(), strict=True))
