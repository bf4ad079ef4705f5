"""Definitions written anew, by brute force, for tests to compare with."""

from collections.abc import Iterable
from itertools import combinations, pairwise

import numpy as np
from hypothesis import strategies as st
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
    from scipy import ndimage

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
    from skimage.color import rgb2lab

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


# Truth tables: (2^M,) booleans; entry i is the verdict of the set of the columns j whose bit j of i is set.


def entries(states):
    """Entry of a truth table for each state (B, M)."""
    states = np.asarray(states, dtype=bool)
    return states @ (1 << np.arange(states.shape[1], dtype=np.int64))


def dnf_table(terms: Iterable[Iterable[int]], num_regions: int):
    """Truth table of "contains all regions of some term"."""
    every = np.arange(1 << num_regions)
    table = np.zeros(len(every), dtype=bool)
    for term in terms:
        mask = sum(1 << j for j in set(term))
        table |= (every & mask) == mask
    return table


def dnf_predicate(terms):
    """The same for any number of regions, as a predicate over states (B, M)."""
    terms = [sorted(set(term)) for term in terms]

    def predicate(states):
        valid = np.zeros(len(states), dtype=bool)
        for term in terms:
            valid |= states[:, term].all(axis=1)
        return valid

    return predicate


class Asked:
    """A predicate that reads a truth table, or another predicate, and counts; asking a state twice is an error."""

    def __init__(self, source, score=None):
        self.source, self.score = source, score
        self.seen: set[bytes] = set()
        self.order: list[bytes] = []
        self.calls = 0

    def __call__(self, states):
        self.calls += 1
        for state in np.asarray(states, dtype=np.uint8):
            key = state.tobytes()
            if key in self.seen:
                raise AssertionError(f"asked twice: {state}")
            self.seen.add(key)
            self.order.append(key)
        valid = self.source(states) if callable(self.source) else self.source[entries(states)]
        return valid if self.score is None else (valid, self.score[entries(states)])


def search_table(table, strategy, score=None, **budget):
    """What a strategy finds of a truth table, and the predicate that it asked."""
    from captum_focalogic.search import enumerate_final_states

    asked = Asked(table, score)
    return enumerate_final_states(asked, (len(table) - 1).bit_length(), strategy, **budget), asked


def bits(i: int):
    """The regions of entry i."""
    return [j for j in range(i.bit_length()) if i >> j & 1]


class Watched:
    """A predicate that notes after how many states an irreducible one was known, and when the best set got smaller.

    ``least`` has pairs (states asked so far, regions of the best valid set), ``first`` one such pair, or None.
    """

    def __init__(self, source):
        self.source = source
        self.valid: dict[int, bool] = {}
        self.first: tuple[int, int] | None = None
        self.least: list[tuple[int, int]] = []

    def __call__(self, states):
        answers = self.source(states)
        for entry, valid in zip(map(int, entries(states)), answers[0], strict=True):
            self.valid[entry] = bool(valid)
            if self.first is None:
                around = [entry, *(entry | 1 << j for j in range(states.shape[1]))]
                self.first = next(((len(self.valid), i.bit_count()) for i in around if self._irreducible(i)), None)
            if valid and (not self.least or entry.bit_count() < self.least[-1][1]):
                self.least.append((len(self.valid), entry.bit_count()))
        return answers

    def _irreducible(self, entry):
        return self.valid.get(entry, False) and all(self.valid.get(entry & ~(1 << j)) is False for j in bits(entry))


def irreducible(table) -> set[int]:
    """Entries reached from the last one by valid single deletions that have no valid child."""
    whole = len(table) - 1
    if not table[whole]:
        return set()
    reached, todo, final = {whole}, [whole], set()
    while todo:
        state = todo.pop()
        valid = [state & ~(1 << j) for j in bits(state) if table[state & ~(1 << j)]]
        if not valid:
            final.add(state)
        for child in valid:
            if child not in reached:
                reached.add(child)
                todo.append(child)
    return final


def locally_irreducible(table) -> set[int]:
    """Valid entries without a valid child, reached or not."""
    return {int(i) for i in np.flatnonzero(table) if not any(table[i & ~(1 << j)] for j in bits(int(i)))}


def minimal(table) -> set[int]:
    """Valid entries without any valid proper subset; none if the last entry is not valid."""
    if not table[-1]:
        return set()
    found: list[int] = []
    for i in sorted((int(i) for i in np.flatnonzero(table)), key=int.bit_count):
        if not any(v & ~i == 0 for v in found):
            found.append(i)
    return set(found)


def smallest(table) -> set[int]:
    """Valid entries of least cardinality; none if the last entry is not valid."""
    if not table[-1]:
        return set()
    valid = [int(i) for i in np.flatnonzero(table)]
    least = min(i.bit_count() for i in valid)
    return {i for i in valid if i.bit_count() == least}


def violations(asked, table) -> int:
    """Pairs of asked entries, a valid one inside an invalid one."""
    valid = [i for i in asked if table[i]]
    invalid = [i for i in asked if not table[i]]
    return sum(1 for v in valid for w in invalid if v & ~w == 0)


def maximal_invalid(table) -> set[int]:
    """Invalid entries whose every proper superset is valid (on a monotone table)."""
    num_regions = (len(table) - 1).bit_length()
    everything = (1 << num_regions) - 1
    return {
        int(i)
        for i in np.flatnonzero(~table)
        if all(table[i | 1 << j] for j in range(num_regions) if not i >> j & 1) or i == everything
    }


def states_of(result) -> set[int]:
    """A result's final states as entries."""
    found = [int(i) for i in entries(result.final_states)]
    assert len(set(found)) == len(found)
    return set(found)


def region_sets(found: Iterable[int], regions: Iterable[int]) -> set[frozenset[int]]:
    """Entries as sets of region ids; column j is the region of rank j."""
    regions = sorted(regions)
    return {frozenset(regions[j] for j in bits(int(i))) for i in found}


def all_sets(regions: Iterable[int]) -> list[frozenset[int]]:
    """Every set of regions, by size."""
    regions = sorted(regions)
    return [frozenset(chosen) for size in range(len(regions) + 1) for chosen in combinations(regions, size)]


def is_canonical(states: np.ndarray) -> bool:
    """Smallest first, then in lexicographic order of the columns that are kept."""
    keys = [(sum(state), [j for j, keep in enumerate(state) if keep]) for state in states.tolist()]
    return all(first < second for first, second in pairwise(keys))


def truth_table(model, x, mask, baseline, target: int | None = None) -> np.ndarray:
    """Which region sets a model puts into the class of the whole example (or into ``target``), asked one at a time.

    ``x`` and ``mask`` are without batch dimension; column j is the region of rank j; what is dropped is replaced.
    """
    import torch

    regions = mask.unique().tolist()
    table = np.zeros(1 << len(regions), dtype=bool)
    with torch.no_grad():
        if target is None:
            target = int(model(x[None]).argmax())
        for i in range(len(table)):
            shown = baseline.expand_as(x).clone()
            for j in bits(i):
                inside = (mask == regions[j]).expand_as(x)
                shown[inside] = x[inside]
            table[i] = int(model(shown[None]).argmax()) == target
    return table


# Truth tables that hypothesis draws.


@st.composite
def monotone_tables(draw, max_regions=8):
    """Truth tables of random monotone DNFs, the empty term included."""
    num_regions = draw(st.integers(1, max_regions))
    term = st.frozensets(st.integers(0, num_regions - 1), max_size=num_regions)
    return dnf_table(draw(st.lists(term, max_size=6)), num_regions)


@st.composite
def arbitrary_tables(draw, max_regions=7):
    """Truth tables without any structure, sparse and dense ones, mostly with a valid whole."""
    num_regions = draw(st.integers(1, max_regions))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    table = rng.random(1 << num_regions) < draw(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]))
    table[-1] = draw(st.integers(0, 9)) > 0
    return table


@st.composite
def noisy_tables(draw, max_regions=7):
    """Monotone tables with some verdicts flipped, as real networks have them."""
    table = draw(monotone_tables(max_regions)).copy()
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    table ^= rng.random(len(table)) < draw(st.sampled_from([0.02, 0.1]))
    table[-1] = True
    return table


def tables(max_regions=7):
    """Any of these."""
    return st.one_of(monotone_tables(max_regions), arbitrary_tables(max_regions), noisy_tables(max_regions))


# Names of regions that hypothesis draws.

NASTY_NAMES = [
    "and",
    "true",
    "x",
    "car wheel",
    'a"b',
    "a'b",
    "a\\b",
    "ü|",
    "-x",
    "%41",
    "#",
    ".i",
    "1",
    "I_m0",
    "I01",
    "e|&amp;<b>",
]
PRINTABLE = st.text(min_size=1, max_size=20).filter(lambda s: s.isprintable() and s.strip() == s)
