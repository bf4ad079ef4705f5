"""Taking a monotone function apart into parts that share no region.

A function is *read-once* when some formula names every region exactly once. Golumbic, Mintz and Rotics
("Factoring and recognition of read-once functions using cographs and normality and the readability of functions
associated with partial k-trees", Discrete Applied Mathematics 154, 2006) recognise it from the co-occurrence graph
of the minimal terms: where the graph falls apart the function is an OR of its parts, where its complement falls
apart and the terms are the product of their projections it is an AND of them; if one of both holds all the way down,
the function is read-once.
"""

from math import prod

from captum_focalogic.logic.terms import Terms, columns_of, intersection, union
from captum_focalogic.logic.tree import Plan

_MERGE_LIMIT = 16


def components(terms: Terms) -> list[int]:
    """The connected parts of the co-occurrence graph, as column masks by lowest column."""
    parts: list[int] = []
    for term in terms:
        apart = [part for part in parts if not part & term]
        parts = [*apart, union([term, *(part for part in parts if part & term)])]
    return sorted(parts, key=lambda part: part & -part)


def neighbours(terms: Terms) -> dict[int, int]:
    """For every column the columns that share a term with it (itself among them), as a mask."""
    result: dict[int, int] = {}
    for term in terms:
        for column in columns_of(term):
            result[column] = result.get(column, 0) | term
    return result


def co_components(terms: Terms) -> list[int]:
    """The connected parts of the complement of the co-occurrence graph, as column masks by lowest column."""
    adjacent = neighbours(terms)
    left = union(terms)
    parts = []
    while left:
        part = frontier = left & -left
        left ^= part
        while frontier:
            column = (frontier & -frontier).bit_length() - 1
            frontier &= frontier - 1
            reached = left & ~adjacent[column]
            part |= reached
            frontier |= reached
            left ^= reached
        parts.append(part)
    return parts


def project(terms: Terms, mask: int) -> Terms:
    """The distinct terms left when only the columns of the mask are kept."""
    return tuple(dict.fromkeys(term & mask for term in terms))


def _dependent(terms: Terms, first: int, second: int) -> bool:
    sizes = [len(project(terms, mask)) for mask in (first, second, first | second)]
    return sizes[0] * sizes[1] != sizes[2]


def _merge_dependent(terms: Terms, parts: list[int]) -> list[int]:
    """Join the parts whose projections are not independent of each other, pair by pair."""
    merged: list[int] = []
    for part in parts:
        group = part
        while dependent := [other for other in merged if _dependent(terms, group, other)]:
            merged = [other for other in merged if other not in dependent]
            group |= union(dependent)
        merged.append(group)
    return sorted(merged, key=lambda mask: mask & -mask)


def conjuncts(terms: Terms) -> list[Terms]:
    """Factors over disjoint columns whose product is the function; one factor (the terms) where there are no more.

    Parameters
    ----------
    terms : Terms
        Minimal terms.
    """
    common = intersection(terms)
    if common and len(terms) > 1:
        return [(common,), tuple(term ^ common for term in terms)]
    parts = co_components(terms)
    for candidate in (parts, _merge_dependent(terms, parts) if len(parts) <= _MERGE_LIMIT else parts):
        if len(candidate) > 1:
            factors = [project(terms, part) for part in candidate]
            if prod(map(len, factors)) == len(terms):
                return factors
    return [terms]


def decompose(terms: Terms) -> Plan | None:
    """Split minimal terms into independent parts, or None where they hang together both ways."""
    parts = components(terms)
    if len(parts) > 1:
        return Plan("|", tuple(tuple(term for term in terms if term & part) for part in parts))
    factors = conjuncts(terms)
    return Plan("&", tuple(factors)) if len(factors) > 1 else None
