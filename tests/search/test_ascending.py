"""Ascending against brute force: exact on any model, and honest wherever it is stopped."""

from itertools import combinations
from math import comb

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs
from oracles import search_table

from captum_focalogic.errors import InputError
from captum_focalogic.search import Ascending, enumerate_final_states
from captum_focalogic.search import states as st
from captum_focalogic.search.ascending import uncovered


def search(table, strategy=None, **budget):
    return search_table(table, strategy or Ascending(), **budget)


@given(oracles.tables(8))
@settings(max_examples=150, deadline=None)
def test_minimal_states_exactly(table):
    result, _ = search(table)
    assert oracles.states_of(result) == oracles.minimal(table)
    certificate = result.certificate
    assert (certificate.reading, certificate.complete, certificate.irreducible) == ("minimal", "yes", True)


@given(oracles.tables(8))
@settings(max_examples=150, deadline=None)
def test_smallest_states_exactly(table):
    result, asked = search(table, Ascending(stop="smallest"))
    assert oracles.states_of(result) == oracles.smallest(table)
    assert (result.certificate.reading, result.certificate.complete) == ("smallest", "yes")
    everything, asked_by_all = search(table)
    assert asked.seen <= asked_by_all.seen
    assert everything.certificate.evaluations >= result.certificate.evaluations


@given(oracles.tables(8))
@settings(max_examples=100, deadline=None)
def test_asks_the_whole_and_every_uncovered_set_once(table):
    result, asked = search(table)
    minimal = oracles.minimal(table)
    wanted = {len(table) - 1}
    if table[-1]:
        wanted |= {i for i in range(len(table)) if not any(v & ~i == 0 and v != i for v in minimal)}
    assert result.certificate.evaluations == len(asked.seen) == len(wanted)


@given(oracles.tables(6), hs.sampled_from([None, "smallest"]))
@settings(max_examples=60, deadline=None)
def test_every_budget_claims_only_what_was_checked(table, stop):
    exact = oracles.smallest(table) if stop else oracles.minimal(table)
    for budget in range(1, len(table) + 1):
        result, asked = search(table, Ascending(stop=stop), max_evaluations=budget)
        certificate = result.certificate
        assert len(asked.seen) == certificate.evaluations <= budget
        found = oracles.states_of(result)
        assert found <= exact
        if certificate.complete == "yes":
            assert found == exact
        if certificate.complete_up_to is not None:
            assert {v for v in exact if v.bit_count() <= certificate.complete_up_to} <= found
        assert (certificate.stopped == "max_evaluations") == (certificate.complete == "no")


@given(oracles.tables(7), hs.integers(0, 8))
@settings(max_examples=100, deadline=None)
def test_max_size(table, max_size):
    result, _ = search(table, Ascending(max_size=max_size))
    exact = oracles.minimal(table)
    assert oracles.states_of(result) == {v for v in exact if v.bit_count() <= max_size}
    if result.certificate.complete == "no":
        assert result.certificate.complete_up_to == max_size
    else:
        assert oracles.states_of(result) == exact


@pytest.mark.parametrize("num_regions", [1, 5, 9, 70])
def test_uncovered_sets_are_those_of_itertools(num_regions):
    rng = np.random.default_rng(num_regions)
    size_limit = 3 if num_regions > 9 else num_regions
    for size in range(size_limit + 1):
        found = rng.random((4, num_regions)) < 2 / num_regions
        terms = [set(np.flatnonzero(row)) for row in found]
        chunks = list(uncovered(st.pack(found), size, num_regions, chunk=50))
        assert all(len(chunk) == 50 for chunk in chunks[:-1])
        got = [tuple(np.flatnonzero(row)) for chunk in chunks for row in st.unpack(chunk, num_regions)]
        wanted = [c for c in combinations(range(num_regions), size) if not any(t <= set(c) for t in terms)]
        assert sorted(got) == wanted


def test_four_of_sixty_regions_in_chunks():
    sizes = [len(chunk) for chunk in uncovered(st.empty(60), 4, 60)]
    assert sum(sizes) == comb(60, 4) == 487_635
    assert max(sizes) <= 1 << 16


def test_thirty_regions_within_the_default_budget():
    # Sizes 0 to 3 of 30 regions are 1 + 30 + 435 + 4,060 sets, and the whole image.
    terms = [(0, 7, 29), (3, 4), (11, 12, 13)]
    result = enumerate_final_states(oracles.dnf_predicate(terms), 30, Ascending(), max_evaluations=5_000)
    assert [tuple(np.flatnonzero(v)) for v in result.final_states] == [(3, 4), (0, 7, 29), (11, 12, 13)]
    assert result.certificate.complete_up_to == 3
    assert result.certificate.complete == "no"
    smallest = enumerate_final_states(oracles.dnf_predicate(terms), 30, Ascending(stop="smallest"))
    assert smallest.certificate.evaluations == 1 + 1 + 30 + comb(30, 2)
    assert smallest.certificate.complete == "yes"


def test_each_size_is_one_batch():
    result = enumerate_final_states(oracles.dnf_predicate([range(6)]), 12, Ascending())
    # The whole; sizes 0 to 11. Sets without one of the regions 0..5 remain up to size 11.
    assert result.certificate.batches == 13


def test_invalid_whole_and_valid_nothing():
    never = enumerate_final_states(lambda s: np.zeros(len(s), dtype=bool), 5, Ascending())
    assert never.final_states.shape == (0, 5)
    assert (never.certificate.evaluations, never.certificate.complete) == (1, "yes")
    always = enumerate_final_states(lambda s: np.ones(len(s), dtype=bool), 5, Ascending())
    assert always.final_states.tolist() == [[False] * 5]
    assert always.certificate.evaluations == 2


@pytest.mark.parametrize("arguments", [{"max_size": -1}, {"max_size": 1.5}, {"max_size": True}, {"stop": "first"}])
def test_bad_arguments(arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        Ascending(**arguments)
