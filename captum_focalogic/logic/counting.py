"""How many region sets satisfy a formula, and how much each region counts in it: exact, not sampled."""

from fractions import Fraction
from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import InputError
from captum_focalogic.logic.circuit import Circuit, as_boolean
from captum_focalogic.logic.diagrams import Diagram
from captum_focalogic.logic.terms import absorb, as_states, to_terms


def count_models(formula: Boolean | ArrayLike, num_regions: int | None = None) -> int:
    """The number of region sets for which a formula holds.

    Parameters
    ----------
    formula : sympy Boolean, or (S, M) bool
        An expression, or states, which stand for T(V): the sets that contain some state.
    num_regions : int, optional
        How many regions there are. When left out: M for states, the number of symbols for an expression.

    Returns
    -------
    int
        Between 0 and 2 ** num_regions.

    Raises
    ------
    InputError
        If there are fewer regions than the formula names, or the formula is too large to count exactly.
    """
    count, regions = _count(formula)
    if num_regions is None:
        return count
    if num_regions < regions:
        raise InputError(f"num_regions is {num_regions}, but the formula is about {regions} regions")
    return count << (int(num_regions) - regions)


def model_share(formula: Boolean | ArrayLike) -> float:
    """The share of all region sets for which a formula holds, in [0, 1]: :func:`count_models` over 2 ** M."""
    count, regions = _count(formula)
    return float(Fraction(count, 1 << regions))


def _count(formula: Boolean | ArrayLike) -> tuple[int, int]:
    """The number of models and the number of regions they are counted over."""
    if isinstance(formula, Boolean | bool):
        from captum_focalogic.logic.binary_diagrams import count_satisfying

        circuit = Circuit()
        wire = circuit.add(as_boolean(formula))
        names = list(circuit.regions)
        return count_satisfying(circuit, wire, names), len(names)
    matrix = as_states(formula)
    columns = matrix.shape[1]
    terms = to_terms(absorb(matrix))
    if not terms or terms[0] == 0:
        return (1 << columns if terms else 0), columns
    diagram = Diagram(terms)
    count = sum(diagram.coefficients(diagram.polynomials()[diagram.root]))
    return count << (columns - diagram.columns.bit_count()), columns


def shapley_values(states: ArrayLike) -> NDArray[np.float64]:
    """The Shapley value of every region in T(V): its average share in making the formula true.

    The game pays 1 to a set of regions that contains some state; regions arrive in random order, and a region's value
    is the probability that the formula turns true at its arrival (Shapley and Shubik, 1954).

    Parameters
    ----------
    states : (S, M) bool
        Final states.

    Returns
    -------
    (M,) float64
        Between 0 and 1, summing to 1; all 0 where the formula is constant (no states, or the empty one).
        Computed in exact rational arithmetic and rounded once.

    Raises
    ------
    InputError
        If the states are no 0/1 matrix, or the formula is too large to count exactly.
    """
    matrix = as_states(states)
    values = np.zeros(matrix.shape[1])
    pivots = _pivotal(matrix)
    players = len(pivots)
    orders = factorial(players)
    for column, sets in pivots.items():
        weighted = sum(number * factorial(k) * factorial(players - 1 - k) for k, number in enumerate(sets))
        values[column] = float(Fraction(weighted, orders))
    return values


def banzhaf_values(states: ArrayLike) -> NDArray[np.float64]:
    """The Banzhaf value of every region in T(V): the share of the sets of other regions it turns true when added.

    Parameters
    ----------
    states : (S, M) bool
        Final states.

    Returns
    -------
    (M,) float64
        Between 0 and 1; unlike Shapley values they do not sum to 1. All 0 where the formula is constant.

    Raises
    ------
    InputError
        If the states are no 0/1 matrix, or the formula is too large to count exactly.
    """
    matrix = as_states(states)
    values = np.zeros(matrix.shape[1])
    pivots = _pivotal(matrix)
    for column, sets in pivots.items():
        values[column] = float(Fraction(sum(sets), 1 << (len(pivots) - 1)))
    return values


def _pivotal(matrix: NDArray[np.bool_]) -> dict[int, list[int]]:
    terms = to_terms(absorb(matrix))
    if not terms or terms[0] == 0:
        return {}
    return Diagram(terms).pivotal()
