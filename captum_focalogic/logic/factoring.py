"""Short formulas for monotone functions.

Three rules, from minimal terms to a tree:

- the paper's (Algorithm 1 of FocaLogic, repaired): split on the most shared region until no region is shared by two
  states. The printed algorithm stops as soon as *all* states share nothing and then leaves 8 literals in the paper's
  own example, where equation (2) has 6;
- division: take out independent parts, else divide by the kernel that saves most literals (Brayton and McMullen, "The
  decomposition and factorization of Boolean expressions", ISCAS 1982);
- the same on the dual function, AND and OR exchanged, which is shorter for functions such as
  ``(I1 | I2) & (I1 | I3) & (I2 | I4)``.

:func:`factor` returns the shortest of them.

Parts are independent when they share no region. A function is *read-once* when some formula names every region exactly
once. Golumbic, Mintz and Rotics ("Factoring and recognition of read-once functions using cographs and normality and the
readability of functions associated with partial k-trees", Discrete Applied Mathematics 154, 2006) recognise it from the
co-occurrence graph of the minimal terms: where the graph falls apart the function is an OR of its parts, where its
complement falls apart and the terms are the product of their projections it is an AND of them; if one of both holds all
the way down, the function is read-once.

Trees are built and walked without recursion, so that depth is no limit.
"""

from collections.abc import Callable, Iterable, Iterator
from math import prod
from typing import Literal, NamedTuple, TypeAlias

from captum_focalogic.logic.terms import Terms, columns_of, intersection, most_shared, shared_columns, term_order, union

Operator = Literal["&", "|"]


class Node(NamedTuple):
    """A conjunction or disjunction of at least two subtrees, none of which has the same operator."""

    operator: Operator
    parts: tuple["Tree", ...]
    literals: int
    lowest: int


Tree: TypeAlias = Node | int
"""A column, or a node over subtrees."""


class Factors(NamedTuple):
    """How to take a disjunction of terms apart: parts still to be worked out, joined by one operator."""

    operator: Operator
    parts: tuple["Factors | Node | Terms", ...]


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


def grow(terms: Terms, step: Callable[[Terms], Factors | Node]) -> Tree:
    """Build a tree by taking disjunctions apart until nothing is shared.

    Parameters
    ----------
    terms : Terms
        At least one term, none empty, none within another.
    step : callable
        One rule: from terms that share some column to a :class:`Factors` or to a finished node.
    """
    done: list[Tree] = []
    todo: list[Factors | Node | Terms | _Join] = [terms]
    while todo:
        item = todo.pop()
        if isinstance(item, _Join):
            parts = done[-item.arity :]
            del done[-item.arity :]
            done.append(join(item.operator, parts))
        elif isinstance(item, Factors):
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


def decompose(terms: Terms) -> Factors | None:
    """Factors minimal terms into independent parts, or None where they hang together both ways."""
    parts = components(terms)
    if len(parts) > 1:
        return Factors("|", tuple(tuple(term for term in terms if term & part) for part in parts))
    factors = conjuncts(terms)
    return Factors("&", tuple(factors)) if len(factors) > 1 else None


_CANDIDATES = 12
_CANDIDATES_LARGE = 5
_LARGE = 128
_PAIR_TERMS = 40
_DUAL_TERMS = 200


def quotient(terms: Terms, divisor: int) -> Terms:
    """The terms that hold the divisor, without it."""
    return tuple(term ^ divisor for term in terms if term & divisor == divisor)


def cube_free(terms: Terms) -> Terms:
    """The terms without the columns common to all of them."""
    common = intersection(terms)
    return tuple(term ^ common for term in terms)


def _split(divisor: Terms, quotients: Terms, terms: Terms) -> Factors:
    product = {left | right for left in divisor for right in quotients}
    rest = tuple(term for term in terms if term not in product)
    split = Factors("&", (divisor, quotients))
    return Factors("|", (split, rest)) if rest else split


def split_paper(terms: Terms) -> Factors:
    """One step of the paper's rule: the most shared region, the terms that hold it, and the others."""
    column = 1 << most_shared(terms)
    return _split((column,), quotient(terms, column), terms)


def weak_quotient(terms: Terms, known: frozenset[int], divisor: Terms) -> Terms:
    """The terms q with d | q among the terms for every d of the divisor, disjoint from it."""
    first = max(divisor, key=int.bit_count)
    return tuple(q for q in quotient(terms, first) if all(not d & q and (d | q) in known for d in divisor))


def _weight(terms: Terms) -> int:
    return sum(term.bit_count() for term in terms)


def _saving(divisor: Terms, quotients: Terms) -> int:
    """Literals that writing the product of two factors saves over writing out its terms."""
    written = len(quotients) * _weight(divisor) + len(divisor) * _weight(quotients)
    return written - _weight(divisor) - _weight(quotients)


def _divisors(terms: Terms) -> Iterable[int]:
    """Conjunctions worth dividing by: the most shared columns, and what pairs of terms have in common."""
    count = _CANDIDATES if len(terms) <= _LARGE else _CANDIDATES_LARGE
    yield from (1 << column for column in shared_columns(terms)[:count])
    head = terms[:_PAIR_TERMS]
    pairs = {a & b for i, a in enumerate(head) for b in head[:i]}
    wide = sorted((pair for pair in pairs if pair.bit_count() > 1), key=lambda t: (-t.bit_count(), columns_of(t)))
    yield from wide[:count]


def _kernels(terms: Terms) -> Iterable[Terms]:
    """Kernels of the terms, each down to one in which nothing is shared."""
    for divisor in _divisors(terms):
        kernel = cube_free(quotient(terms, divisor))
        while len(kernel) > 1:
            yield kernel
            if sum(term.bit_count() for term in kernel) == union(kernel).bit_count():
                break
            kernel = cube_free(quotient(kernel, 1 << most_shared(kernel)))


def split_kernel(terms: Terms) -> Factors:
    """One step of division: the product of a kernel and its quotient that saves most literals, and the rest."""
    known = frozenset(terms)
    best: tuple[int, Terms, Terms] | None = None
    tried: set[Terms] = set()
    for kernel in _kernels(terms):
        if kernel in tried:
            continue
        tried.add(kernel)
        quotients = weak_quotient(terms, known, kernel)
        wider = weak_quotient(terms, known, quotients)
        saving = _saving(wider, quotients)
        if best is None or saving > best[0]:
            best = saving, wider, quotients
    if best is None:
        return split_paper(terms)
    return _split(best[1], best[2], terms)


def _step_kernel(terms: Terms) -> Factors:
    return decompose(terms) or split_kernel(terms)


def _step_literal(terms: Terms) -> Factors:
    return decompose(terms) or split_paper(terms)


_STEPS = (_step_kernel, _step_literal)


def dual_terms(terms: Terms, limit: int) -> Terms | None:
    """The minimal sets that meet every term (the terms of the dual function), or None beyond the limit.

    Berge's multiplication, one term after the other.
    """
    hitting: list[int] = [0]
    for term in sorted(terms, key=term_order):
        kept = [known for known in hitting if known & term]
        grown = list(kept)
        for known in hitting:
            if not known & term:
                for column in columns_of(term):
                    bit = 1 << column
                    larger = known | bit
                    if not any(other & bit and other & larger == other for other in kept):
                        grown.append(larger)
            if len(grown) > limit:
                return None
        hitting = grown
    return tuple(sorted(hitting, key=term_order))


def _factor_block(terms: Terms) -> Node:
    """The shortest tree of terms that no independent parts make up."""
    found = [grow(terms, step) for step in _STEPS]
    dual = dual_terms(terms, _DUAL_TERMS)
    if dual is not None:
        found += [swap(grow(dual, step)) for step in _STEPS]
    return min((tree for tree in found if isinstance(tree, Node)), key=literals)


def factor(terms: Terms) -> Tree:
    """A short tree: every column exactly once for read-once functions, never longer than the paper's rule.

    Parameters
    ----------
    terms : Terms
        At least one term, none empty, none within another.
    """
    divided = grow(terms, lambda part: decompose(part) or _factor_block(part))
    return min((divided, factor_paper(terms)), key=literals)


def factor_paper(terms: Terms) -> Tree:
    """The tree of the paper's rule on minimal terms; ties between regions go to the lowest column."""
    return grow(terms, split_paper)


def read_once(terms: Terms) -> Tree | None:
    """The tree that names every column exactly once, or None if the function has none.

    Parameters
    ----------
    terms : Terms
        At least one term, none empty, none within another.
    """
    tree = grow(terms, _step_literal)
    return tree if literals(tree) == union(terms).bit_count() else None
