"""Brute force over all region sets: an oracle written without the package.

A truth table is a (2^M,) bool array; entry i is the verdict of the set of regions j whose bit j of i is set.
"""

from collections.abc import Iterable

import numpy as np


def index(states):
    """Entry of a truth table for each state (B, M)."""
    states = np.asarray(states, dtype=bool)
    return states @ (1 << np.arange(states.shape[1], dtype=np.int64))


def dnf_table(terms: Iterable[Iterable[int]], num_regions: int):
    """Truth table of "contains all regions of some term"."""
    entries = np.arange(1 << num_regions)
    table = np.zeros(len(entries), dtype=bool)
    for term in terms:
        mask = sum(1 << j for j in set(term))
        table |= (entries & mask) == mask
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
        valid = self.source(states) if callable(self.source) else self.source[index(states)]
        return valid if self.score is None else (valid, self.score[index(states)])


def bits(i: int):
    """The regions of entry i."""
    return [j for j in range(i.bit_length()) if i >> j & 1]


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
    entries = [int(i) for i in index(result.final_states)]
    assert len(set(entries)) == len(entries)
    return set(entries)
