"""Final states as terms: one Python integer per state, bit j set when column j is kept.

A *term* is the conjunction of its columns; a tuple of terms is their disjunction. Python's integers carry any
number of columns, and subset tests are one machine operation for up to 60 of them.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captum_focalogic.errors import InputError

Terms = tuple[int, ...]

_BLOCK = 1024


def as_states(states: ArrayLike) -> NDArray[np.bool_]:
    """States as a bool matrix (S, M), checked.

    Raises
    ------
    InputError
        If the array has not two dimensions, or holds anything but 0 and 1.
    """
    array = np.asarray(states)
    if array.ndim != 2:
        raise InputError(
            f"states have shape {array.shape}; expected two dimensions, one row per state and one column per "
            "region (an empty V is np.zeros((0, M), bool))"
        )
    if array.dtype != np.bool_:
        if array.size and not bool(np.isin(array, (0, 1)).all()):
            raise InputError(f"states of type {array.dtype} hold values other than 0 and 1; pass a bool array")
        array = array.astype(np.bool_)
    return array


def as_region_ids(region_ids: ArrayLike | None, columns: int) -> NDArray[np.int64]:
    """Region ids (M,) of the columns, 0..M-1 when None.

    Raises
    ------
    InputError
        If there is not one distinct integer per column.
    """
    if region_ids is None:
        return np.arange(columns, dtype=np.int64)
    ids = np.asarray(region_ids)
    if ids.shape != (columns,):
        raise InputError(f"region_ids have shape {ids.shape}; expected ({columns},), one id per column of the states")
    if ids.size and not np.issubdtype(ids.dtype, np.integer):
        raise InputError(f"region_ids have type {ids.dtype}; expected integers, the values of the feature mask")
    if len(np.unique(ids)) != columns:
        raise InputError("region_ids hold the same id twice; every column needs an id of its own")
    return ids.astype(np.int64)


def absorb(states: ArrayLike) -> NDArray[np.bool_]:
    """The states that contain no other state: the shortest disjunction with the same meaning.

    Parameters
    ----------
    states : (S, M) bool
        Region sets.

    Returns
    -------
    (R, M) bool
        The inclusion-minimal rows without repeats, by size, then by the regions they hold.
    """
    matrix = as_states(states)
    if matrix.shape[1] == 0:
        return matrix[:1]
    matrix = np.unique(matrix, axis=0)[::-1]
    matrix = matrix[np.argsort(matrix.sum(axis=1), kind="stable")]
    sizes = matrix.sum(axis=1)
    # Row i is within row j exactly when they share |i| columns: one matrix product instead of S^2 comparisons.
    counts = matrix.astype(np.float32)
    keep = np.ones(len(matrix), dtype=np.bool_)
    for start in range(0, len(matrix), _BLOCK):
        shared = counts[start : start + _BLOCK] @ counts.T
        contains = shared == sizes[None, :]
        keep[start : start + _BLOCK] = contains.sum(axis=1) == 1
    return np.ascontiguousarray(matrix[keep])


def to_terms(states: NDArray[np.bool_]) -> Terms:
    """One integer per row of a bool matrix (S, M)."""
    packed = np.packbits(states, axis=1, bitorder="little")
    return tuple(int.from_bytes(row.tobytes(), "little") for row in packed)


def to_states(terms: Iterable[int], columns: int) -> NDArray[np.bool_]:
    """The bool matrix (S, M) of terms: the inverse of :func:`to_terms`."""
    width = max(1, (columns + 7) // 8)
    raw = b"".join(term.to_bytes(width, "little") for term in terms)
    packed = np.frombuffer(raw, dtype=np.uint8).reshape(-1, width)
    return np.unpackbits(packed, axis=1, bitorder="little", count=columns).astype(np.bool_)


def absorb_terms(terms: Terms) -> Terms:
    """The terms that contain no other term, by size, then by their columns."""
    if not terms:
        return ()
    return to_terms(absorb(to_states(terms, max(1, union(terms).bit_length()))))


def columns_of(term: int) -> list[int]:
    """The columns of a term, ascending."""
    columns = []
    while term:
        lowest = term & -term
        columns.append(lowest.bit_length() - 1)
        term ^= lowest
    return columns


def union(terms: Iterable[int]) -> int:
    """The columns that any term holds."""
    result = 0
    for term in terms:
        result |= term
    return result


def intersection(terms: Iterable[int]) -> int:
    """The columns that every term holds; -1 (all columns) of no terms."""
    result = -1
    for term in terms:
        result &= term
    return result


def count_planes(terms: Iterable[int]) -> list[int]:
    """How many terms hold each column, bit by bit: bit j of plane k is bit k of column j's count.

    All columns are counted at once, one carry-save addition per term.
    """
    planes: list[int] = []
    for term in terms:
        carry = term
        for place, plane in enumerate(planes):
            planes[place] = plane ^ carry
            carry &= plane
            if not carry:
                break
        if carry:
            planes.append(carry)
    return planes


def most_shared(terms: Iterable[int]) -> int:
    """The column that most terms hold, the lowest on a tie."""
    best = -1
    for plane in reversed(count_planes(terms)):
        best = best & plane or best
    return (best & -best).bit_length() - 1


def shared_columns(terms: Iterable[int]) -> list[int]:
    """The columns that two or more terms hold, the most shared first, the lowest first on a tie."""
    planes = count_planes(terms)
    counts = {
        column: sum((plane >> column & 1) << place for place, plane in enumerate(planes))
        for column in columns_of(union(planes[1:]))
    }
    return sorted(counts, key=lambda column: (-counts[column], column))


def term_order(term: int) -> tuple[int, list[int]]:
    """Sort key of a term: its size, then its columns."""
    return term.bit_count(), columns_of(term)
