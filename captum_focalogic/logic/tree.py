"""Monotone formulas as trees, built and walked without recursion so that depth is no limit."""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple, TypeAlias

from captum_focalogic.logic.terms import Terms, columns_of, union

Operator = Literal["&", "|"]


class Node(NamedTuple):
    """A conjunction or disjunction of at least two subtrees, none of which has the same operator."""

    operator: Operator
    parts: tuple["Tree", ...]
    literals: int
    lowest: int


Tree: TypeAlias = Node | int
"""A column, or a node over subtrees."""


class Plan(NamedTuple):
    """How to take a disjunction of terms apart: parts still to be worked out, joined by one operator."""

    operator: Operator
    parts: tuple["Plan | Node | Terms", ...]


class _Join(NamedTuple):
    operator: Operator
    arity: int


def literals(tree: Tree) -> int:
    """The number of leaves."""
    return 1 if isinstance(tree, int) else tree.literals


def _order(tree: Tree) -> tuple[int, int]:
    return (1, tree) if isinstance(tree, int) else (tree.literals, tree.lowest)


def join(operator: Operator, parts: Iterable[Tree]) -> Tree:
    """Subtrees under one operator: nested nodes of the same operator are merged, small parts come first."""
    flat: list[Tree] = []
    for part in parts:
        if isinstance(part, Node) and part.operator == operator:
            flat.extend(part.parts)
        else:
            flat.append(part)
    if len(flat) == 1:
        return flat[0]
    flat.sort(key=_order)
    lowest = min(part if isinstance(part, int) else part.lowest for part in flat)
    return Node(operator, tuple(flat), sum(map(literals, flat)), lowest)


def disjunction(terms: Terms) -> Tree:
    """The terms as they stand, joined by OR."""
    return join("|", (join("&", columns_of(term)) for term in terms))


def grow(terms: Terms, step: Callable[[Terms], Plan | Node]) -> Tree:
    """Build a tree by taking disjunctions apart until nothing is shared.

    Parameters
    ----------
    terms : Terms
        At least one term, none empty, none within another.
    step : callable
        One rule: from terms that share some column to a :class:`Plan` or to a finished node.
    """
    done: list[Tree] = []
    todo: list[Plan | Node | Terms | _Join] = [terms]
    while todo:
        item = todo.pop()
        if isinstance(item, _Join):
            parts = done[-item.arity :]
            del done[-item.arity :]
            done.append(join(item.operator, parts))
        elif isinstance(item, Plan):
            todo.append(_Join(item.operator, len(item.parts)))
            todo.extend(item.parts)
        elif isinstance(item, Node):
            done.append(item)
        elif sum(term.bit_count() for term in item) == union(item).bit_count():
            done.append(disjunction(item))
        else:
            todo.append(step(item))
    return done[0]


def post_order(tree: Tree) -> Iterator[Tree]:
    """Every subtree, parts before the node that joins them."""
    stack: list[tuple[Tree, bool]] = [(tree, False)]
    while stack:
        item, seen = stack.pop()
        if seen or isinstance(item, int):
            yield item
        else:
            stack.append((item, True))
            stack.extend((part, False) for part in reversed(item.parts))


def swap(tree: Tree) -> Tree:
    """The dual: AND and OR exchanged."""
    done: list[Tree] = []
    for item in post_order(tree):
        if isinstance(item, int):
            done.append(item)
        else:
            parts = done[-len(item.parts) :]
            del done[-len(item.parts) :]
            done.append(join("|" if item.operator == "&" else "&", parts))
    return done[0]
