"""Definitions written anew, by brute force, for tests to compare with."""

from collections.abc import Iterable

import numpy as np
from hypothesis import strategies as st
from scipy import ndimage
from skimage.color import rgb2lab
from sympy import ITE, And, Equivalent, Implies, Not, Or, Symbol, Xor, false, true
from sympy.logic.boolalg import Boolean


def matrix(sets: Iterable[Iterable[int]], columns: int) -> np.ndarray:
    sets = [list(s) for s in sets]
    states = np.zeros((len(sets), columns), dtype=bool)
    for row, chosen in enumerate(sets):
        states[row, chosen] = True
    return states


def all_assignments(columns: int) -> np.ndarray:
    return ((np.arange(2**columns)[:, None] >> np.arange(columns)) & 1).astype(bool)


def contains_some(assignments: np.ndarray, states: np.ndarray) -> np.ndarray:
    """The definition of T(V): a region set satisfies it when it contains some state."""
    result = np.zeros(len(assignments), dtype=bool)
    for state in states:
        result |= assignments[:, state].all(axis=1)
    return result


def evaluate(expression: Boolean, assignments: np.ndarray, ids: Iterable[int]) -> np.ndarray:
    names = {f"I{i}" if i >= 0 else f"I_m{-i}": column for column, i in enumerate(ids)}
    if expression in (true, false):
        return np.full(len(assignments), expression == true)
    if expression.is_Symbol:
        return assignments[:, names[expression.name]]
    parts = [evaluate(part, assignments, ids) for part in expression.args]
    if isinstance(expression, And):
        return np.logical_and.reduce(parts)
    if isinstance(expression, Or):
        return np.logical_or.reduce(parts)
    if isinstance(expression, Xor):
        return np.logical_xor.reduce(parts)
    if isinstance(expression, Not):
        return ~parts[0]
    if isinstance(expression, Implies):
        return ~parts[0] | parts[1]
    if isinstance(expression, Equivalent):
        return np.logical_and.reduce(parts) | ~np.logical_or.reduce(parts)
    if isinstance(expression, ITE):
        return np.where(parts[0], parts[1], parts[2])
    raise TypeError(expression.func)


def count_literals(expression: Boolean) -> int:
    return 1 if expression.is_Symbol else sum(count_literals(part) for part in expression.args)


def region_symbol(i: int) -> Symbol:
    return Symbol(f"I{i}" if i >= 0 else f"I_m{-i}")


def expressions(columns: int = 6, leaves: int = 14) -> st.SearchStrategy[Boolean]:
    """Any Boolean expression over I0..I<columns - 1>, every operator and the constants among them."""
    leaf = st.one_of(st.integers(0, columns - 1).map(region_symbol), st.sampled_from([true, false]))

    def extend(inner: st.SearchStrategy[Boolean]) -> st.SearchStrategy[Boolean]:
        return st.one_of(
            st.tuples(st.sampled_from([And, Or, Xor, Equivalent]), st.lists(inner, min_size=2, max_size=4)).map(
                lambda drawn: drawn[0](*drawn[1])
            ),
            inner.map(Not),
            st.tuples(inner, inner).map(lambda drawn: Implies(*drawn)),
            st.tuples(inner, inner, inner).map(lambda drawn: ITE(*drawn)),
        )

    return st.recursive(leaf, extend, max_leaves=leaves)


def merged_small(labels: np.ndarray, min_area: float) -> np.ndarray:
    """The definition of ``merge_small``: the smallest region joins its longest border, over and over."""
    labels = np.array(labels, dtype=np.int64)
    while True:
        region_ids, sizes = np.unique(labels, return_counts=True)
        smallest = int(np.argmin(sizes))
        if len(region_ids) == 1 or sizes[smallest] >= min_area * labels.size:
            return labels
        region = labels == region_ids[smallest]
        ring = ndimage.binary_dilation(region) & ~region
        neighbours, borders = np.unique(labels[ring], return_counts=True)
        labels[region] = neighbours[np.argmax(borders)]


def joined_alike(labels: np.ndarray, pixels: np.ndarray, count: int) -> np.ndarray:
    """The definition of ``join_alike``: the pair of neighbours that adds least variance is joined, over and over."""
    colours = rgb2lab(pixels).reshape(-1, 3)
    regions = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
    while (left := len(np.unique(regions))) > count:
        sizes = np.bincount(regions.reshape(-1))
        sums = np.stack([np.bincount(regions.reshape(-1), weights=channel) for channel in colours.T], axis=1)
        means = sums / sizes[:, None]
        touching = np.zeros((left, left), dtype=np.bool_)
        touching[regions[1:], regions[:-1]] = True
        touching[regions[:, 1:], regions[:, :-1]] = True
        one, other = np.nonzero(np.triu(touching | touching.T, k=1))
        weight = sizes[one] * sizes[other] / (sizes[one] + sizes[other])
        cheapest = int(np.argmin(weight * ((means[one] - means[other]) ** 2).sum(axis=1)))
        regions[regions == other[cheapest]] = one[cheapest]
        regions = np.unique(regions, return_inverse=True)[1].reshape(labels.shape)
    return regions.astype(np.int64) + 1
