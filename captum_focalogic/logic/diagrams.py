"""Monotone formulas as decision diagrams, for exact counting; any others are in :mod:`.binary_diagrams`.

Monotone functions, and that is what final states give, have a form of their own, over independent parts: where
regions are independent the function falls apart and counts multiply; where they are not, it is split on the most
shared region, and equal remainders are counted once. Region sets are counted by size: a polynomial whose coefficient
k is the number of sets with k regions. Polynomials are single Python integers, the coefficients written side by side
in `base` bits (Kronecker substitution), so that their product is one multiplication.
"""

from collections.abc import Iterable
from math import comb
from typing import Literal, NamedTuple

from captum_focalogic.errors import InputError
from captum_focalogic.logic.factoring import components, conjuncts, quotient
from captum_focalogic.logic.terms import Terms, columns_of, most_shared, term_order, union

NODE_LIMIT = 300_000


class DiagramNode(NamedTuple):
    """One function of the diagram.

    A ``term`` holds when all its columns are kept; ``or`` and ``and`` join parts over disjoint columns; a ``split``
    on a column is its first part where the column is kept and its second where it is not. Parts are places in the
    diagram, -1 for a function that never holds.
    """

    kind: Literal["term", "or", "and", "split"]
    columns: int
    parts: tuple[int, ...] = ()
    column: int = -1


def _minimal(reduced: Terms, others: Terms) -> Terms:
    """The union of two antichains, absorbed, in one fixed order."""
    kept = [term for term in others if not any(small & term == small for small in reduced)]
    return tuple(sorted((*reduced, *kept), key=term_order))


def _restrict(terms: Terms) -> tuple[int, list[Terms]]:
    """The most shared column with the function where it is kept and where it is not."""
    column = most_shared(terms)
    bit = 1 << column
    others = tuple(term for term in terms if not term & bit)
    return column, [_minimal(quotient(terms, bit), others), others]


class Diagram:
    """The diagram of minimal terms.

    Parameters
    ----------
    terms : Terms
        At least one term, none empty, none within another.
    limit : int
        Most nodes to make.

    Raises
    ------
    InputError
        If the function needs more nodes than the limit.
    """

    def __init__(self, terms: Terms, limit: int = NODE_LIMIT) -> None:
        self.nodes: list[DiagramNode] = []
        self._places: dict[Terms, int] = {(): -1}
        self._limit = limit
        self.root = self._build(tuple(sorted(terms, key=term_order)))
        self.columns = union(terms)
        self.base = self.columns.bit_count() + 1

    def _build(self, root: Terms) -> int:
        stack: list[tuple[Terms, tuple[DiagramNode, list[Terms]] | None]] = [(root, None)]
        while stack:
            terms, opened = stack.pop()
            if terms in self._places:
                continue
            if opened is None:
                node, parts = _open(terms)
                stack.append((terms, (node, parts)))
                stack.extend((part, None) for part in parts)
                continue
            node, parts = opened
            if len(self.nodes) >= self._limit:
                raise InputError(
                    f"the formula is too large to count exactly: more than {self._limit} distinct parts; "
                    "count a cut of it (Focus.smallest()), or use the frequency weighting"
                )
            self._places[terms] = len(self.nodes)
            self.nodes.append(node._replace(parts=tuple(self._places[part] for part in parts)))
        return self._places[root]

    def power(self, count: int) -> int:
        """All subsets of ``count`` free columns, by size."""
        return sum(comb(count, k) << (k * self.base) for k in range(count + 1))

    def coefficients(self, polynomial: int) -> list[int]:
        """The number of sets of each size 0..n in a polynomial."""
        mask = (1 << self.base) - 1
        return [(polynomial >> (k * self.base)) & mask for k in range(self.columns.bit_count() + 1)]

    def polynomials(self) -> list[int]:
        """For every node the sets of its own columns for which it holds, by size; last, 0 for place -1."""
        powers = [self.power(k) for k in range(self.columns.bit_count() + 1)]
        values = [0] * (len(self.nodes) + 1)
        for place, node in enumerate(self.nodes):
            match node.kind:
                case "term":
                    values[place] = 1 << (node.columns.bit_count() * self.base)
                case "and":
                    values[place] = _multiply(values[part] for part in node.parts)
                case "or":
                    missed = _multiply(powers[self._width(part)] - values[part] for part in node.parts)
                    values[place] = powers[node.columns.bit_count()] - missed
                case "split":
                    kept, dropped = (values[part] * powers[free] for part, free in self._free(node))
                    values[place] = (kept << self.base) + dropped
        return values

    def _width(self, place: int) -> int:
        return 0 if place < 0 else self.nodes[place].columns.bit_count()

    def _free(self, node: DiagramNode) -> list[tuple[int, int]]:
        """The two parts of a split with the number of columns each of them leaves free."""
        width = node.columns.bit_count() - 1
        return [(part, width - self._width(part)) for part in node.parts]

    def pivotal(self) -> dict[int, list[int]]:
        """For every column, in how many sets of each size 0..n-1 of the others adding it makes the function hold.

        One pass from the root: each node's polynomial of the contexts in which the whole follows the node
        (reverse-mode differentiation of the count).
        """
        count = self.columns.bit_count()
        powers = [self.power(k) for k in range(count + 1)]
        values = self.polynomials()
        context = [0] * (len(self.nodes) + 1)
        context[self.root] = 1
        turned = dict.fromkeys(columns_of(self.columns), 0)
        for place in range(len(self.nodes) - 1, -1, -1):
            node, outside = self.nodes[place], context[place]
            if node.kind == "term":
                for column in columns_of(node.columns):
                    turned[column] += outside << ((node.columns.bit_count() - 1) * self.base)
            elif node.kind == "split":
                (kept, kept_free), (dropped, dropped_free) = self._free(node)
                gained = values[kept] * powers[kept_free] - values[dropped] * powers[dropped_free]
                turned[node.column] += outside * gained
                context[kept] += outside * powers[kept_free] << self.base
                context[dropped] += outside * powers[dropped_free]
            else:
                own = [
                    values[part] if node.kind == "and" else powers[self._width(part)] - values[part]
                    for part in node.parts
                ]
                for part, others in zip(node.parts, _products_of_others(own), strict=True):
                    context[part] += outside * others
        return {column: self.coefficients(polynomial)[:count] for column, polynomial in turned.items()}


def _open(terms: Terms) -> tuple[DiagramNode, list[Terms]]:
    """What kind of node the terms make, and the parts it needs."""
    support = union(terms)
    if len(terms) == 1:
        return DiagramNode("term", support), []
    groups = components(terms)
    if len(groups) > 1:
        parts = [tuple(term for term in terms if term & group) for group in groups]
        return DiagramNode("or", support), parts
    factors = conjuncts(terms)
    if len(factors) > 1:
        return DiagramNode("and", support), [tuple(sorted(factor, key=term_order)) for factor in factors]
    column, halves = _restrict(terms)
    return DiagramNode("split", support, column=column), halves


def _multiply(values: Iterable[int]) -> int:
    product = 1
    for value in values:
        product *= value
    return product


def _products_of_others(values: list[int]) -> list[int]:
    """For every value the product of all others."""
    before, after = [1], [1]
    for value in values[:-1]:
        before.append(before[-1] * value)
    for value in reversed(values[1:]):
        after.append(after[-1] * value)
    return [left * right for left, right in zip(before, reversed(after), strict=True)]
