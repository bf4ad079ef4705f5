"""What a formula cannot do without: the smallest region sets whose removal defeats every final state."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pysat.examples.hitman import Hitman

from captum_focalogic.errors import InputError, TruncatedWarning, warn
from captum_focalogic.logic.terms import absorb, as_states

LIMIT = 10_000


def necessary_states(states: ArrayLike, limit: int | None = LIMIT) -> NDArray[np.bool_]:
    """The minimal hitting sets of the final states, the contrastive explanations.

    A region set hits a state when they share a region. Dropping all regions of a hitting set leaves no final state
    whole, so T(V) fails; no proper subset of it does that. Read the other way round, the regions of a hitting set are
    jointly necessary. (Reiter, "A theory of diagnosis from first principles", 1987; Ignatiev, Narodytska, Asher and
    Marques-Silva, "From contrastive to abductive explanations and back again", 2020.) On a model that is not
    monotone this speaks of T(V) and has to be asked of the model again.

    Parameters
    ----------
    states : (S, M) bool
        Final states.
    limit : int or None
        Most sets to return; there can be exponentially many. None returns all.

    Returns
    -------
    (K, M) bool
        The hitting sets, smallest first, then by the regions they hold; none contains another. Without states the
        empty set alone (nothing needs to be removed); with the empty state among them none (nothing defeats it).
        Finding the smallest is NP-hard: a hundred states over 60 regions take moments, 500 unrelated ones may not
        come to an end, whatever the limit.

    Warns
    -----
    TruncatedWarning
        If there are more than ``limit``: those returned are then the smallest ones, and the list is incomplete.

    Raises
    ------
    InputError
        If the states are no 0/1 matrix, or the limit is below 1.
    """
    matrix = absorb(as_states(states))
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}; expected at least 1, or None for all hitting sets")
    if not len(matrix):
        return np.zeros((1, matrix.shape[1]), dtype=np.bool_)
    if not matrix[0].any():
        return np.zeros((0, matrix.shape[1]), dtype=np.bool_)
    found = _enumerate(matrix, limit)
    hitting = np.zeros((len(found), matrix.shape[1]), dtype=np.bool_)
    for row, columns in enumerate(found):
        hitting[row, columns] = True
    return absorb(hitting)


def _enumerate(matrix: NDArray[np.bool_], limit: int | None) -> list[list[int]]:
    found: list[list[int]] = []
    # PySAT numbers the columns in the order it meets them, and gives its answers from the smallest to the largest.
    with Hitman(bootstrap_with=[np.flatnonzero(row).tolist() for row in matrix], htype="sorted") as hitman:
        for columns in hitman.enumerate():
            if limit is not None and len(found) == limit:
                warn(
                    f"more than {limit} minimal hitting sets: only the {limit} smallest are returned "
                    "(raise limit, or pass limit=None for all)",
                    TruncatedWarning,
                )
                break
            found.append(columns)
    return found
