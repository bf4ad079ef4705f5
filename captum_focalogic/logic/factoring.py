"""Short formulas for monotone functions.

Three rules, from minimal terms to a tree:

- the paper's (Algorithm 1 of FocaLogic, repaired): split on the most shared region until no region is shared by two
  states. The printed algorithm stops as soon as *all* states share nothing and then leaves 8 literals in the paper's
  own example, where equation (2) has 6;
- division: take out independent parts (:mod:`.readonce`), else divide by the kernel that saves most literals
  (Brayton and McMullen, "The decomposition and factorization of Boolean expressions", ISCAS 1982);
- the same on the dual function, AND and OR exchanged, which is shorter for functions such as
  ``(I1 | I2) & (I1 | I3) & (I2 | I4)``.

:func:`factor` returns the shortest of them.
"""

from collections.abc import Iterable

from captum_focalogic.logic.readonce import decompose
from captum_focalogic.logic.terms import Terms, columns_of, intersection, most_shared, shared_columns, term_order, union
from captum_focalogic.logic.tree import Node, Plan, Tree, grow, literals, swap

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


def _plan(divisor: Terms, quotients: Terms, terms: Terms) -> Plan:
    product = {left | right for left in divisor for right in quotients}
    rest = tuple(term for term in terms if term not in product)
    split = Plan("&", (divisor, quotients))
    return Plan("|", (split, rest)) if rest else split


def split_paper(terms: Terms) -> Plan:
    """One step of the paper's rule: the most shared region, the terms that hold it, and the others."""
    column = 1 << most_shared(terms)
    return _plan((column,), quotient(terms, column), terms)


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


def split_kernel(terms: Terms) -> Plan:
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
    return _plan(best[1], best[2], terms)


def _step_kernel(terms: Terms) -> Plan:
    return decompose(terms) or split_kernel(terms)


def _step_literal(terms: Terms) -> Plan:
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
