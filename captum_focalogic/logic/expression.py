"""From final states to a formula."""

from collections.abc import Sequence
from typing import Literal, get_args

from numpy.typing import ArrayLike
from sympy import And, Or, false, true
from sympy.logic.boolalg import Boolean

from captum_focalogic.errors import InputError
from captum_focalogic.logic.factoring import Tree, disjunction, factor, factor_paper, post_order
from captum_focalogic.logic.symbols import symbol
from captum_focalogic.logic.terms import Terms, absorb, as_region_ids, as_states, to_terms

Style = Literal["factored", "paper", "dnf"]
_RULES = {"factored": factor, "paper": factor_paper, "dnf": disjunction}


def to_expression(states: ArrayLike, region_ids: ArrayLike | None = None, style: Style = "factored") -> Boolean:
    """T(V): the formula that is true exactly for the region sets that contain some state (section 3.3).

    Parameters
    ----------
    states : (S, M) bool
        Region sets, one per row; they may repeat and contain one another.
    region_ids : (M,) int, optional
        The region of each column; 0..M-1 when left out.
    style : {"factored", "paper", "dnf"}
        ``"factored"`` is the shortest: every region exactly once wherever that is possible, and never more literals
        than ``"paper"``. ``"paper"`` is the paper's Algorithm 1, repaired so that its example (1) gives equation
        (2): it splits on the most shared region (the lowest column on a tie) until no region is shared by two
        states. ``"dnf"`` is the plain OR of ANDs. All three start from the states that contain no other state.

    Returns
    -------
    sympy.logic.boolalg.Boolean
        Over the symbols of :func:`~captum_focalogic.logic.symbol`; ``false`` without states, ``true`` if the empty
        set is among them. The same states give the same expression, in whatever order they come.

    Raises
    ------
    InputError
        If the states are no 0/1 matrix, the ids do not fit the columns, or the style is unknown.
    """
    matrix = as_states(states)
    ids = as_region_ids(region_ids, matrix.shape[1])
    if style not in _RULES:
        raise InputError(f"style is {style!r}; expected one of {', '.join(map(repr, get_args(Style)))}")
    terms = to_terms(absorb(matrix))
    constant = _constant(terms)
    if constant is not None:
        return constant
    return from_tree(_RULES[style](terms), [symbol(number) for number in ids])


def _constant(terms: Terms) -> Boolean | None:
    if not terms:
        return false
    return true if terms[0] == 0 else None


def from_terms(terms: Terms, leaves: Sequence[Boolean]) -> Boolean:
    """Minimal terms as a factored expression, leaf j in the place of column j."""
    constant = _constant(terms)
    return from_tree(factor(terms), leaves) if constant is None else constant


def from_tree(tree: Tree, leaves: Sequence[Boolean], dual: bool = False) -> Boolean:
    """A tree as a sympy expression, leaf j in the place of column j; the dual exchanges AND and OR."""
    conjunction = "|" if dual else "&"
    done: list[Boolean] = []
    for item in post_order(tree):
        if isinstance(item, int):
            done.append(leaves[item])
        else:
            parts = done[-len(item.parts) :]
            del done[-len(item.parts) :]
            done.append((And if item.operator == conjunction else Or)(*parts))
    return done[0]
