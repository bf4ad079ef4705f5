"""Exhaustive descent against brute force, as a bitmap and as lists of states."""

from unittest import mock

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from captum_focalogic.errors import InputError
from captum_focalogic.search import Exhaustive, enumerate_final_states, exhaustive


@hs.composite
def representations(draw):
    """Small chunks too, so that levels are cut; 0 regions as bitmap means lists always."""
    regions, chunk = draw(hs.sampled_from([(24, 1 << 16), (24, 3), (0, 1 << 16), (0, 3)]))
    return mock.patch.multiple(exhaustive, BITMAP_REGIONS=regions, CHUNK=chunk)


@given(oracles.tables(9), representations())
@settings(max_examples=200, deadline=None)
def test_final_states_exactly(table, representation):
    asked = oracles.Asked(table)
    num_regions = (len(table) - 1).bit_length()
    with representation:
        result = enumerate_final_states(asked, num_regions, Exhaustive())
    assert oracles.states_of(result) == oracles.irreducible(table)
    certificate = result.certificate
    assert (certificate.complete, certificate.irreducible, certificate.reached) == ("yes", True, True)
    assert certificate.evaluations == len(asked.seen)
    entries = [int(i) for i in oracles.entries(result.evaluated.states)]
    assert certificate.violations == oracles.violations(entries, table)


@given(oracles.tables(6), representations())
@settings(max_examples=80, deadline=None)
def test_every_budget_keeps_all_states_whose_children_are_judged(table, representation):
    num_regions = (len(table) - 1).bit_length()
    exact = oracles.irreducible(table)
    for budget in range(1, 40):
        asked = oracles.Asked(table)
        with representation:
            result = enumerate_final_states(asked, num_regions, Exhaustive(), max_evaluations=budget)
        assert result.certificate.evaluations == len(asked.seen) <= budget
        known = {int(i) for i in oracles.entries(result.evaluated.states)}
        certain = {v for v in exact & known if all(v & ~(1 << j) in known for j in oracles.bits(v))}
        assert oracles.states_of(result) == certain
        assert (result.certificate.complete == "yes") == (result.certificate.stopped is None)
        if result.certificate.complete == "yes":
            assert certain == exact


@pytest.mark.parametrize("num_regions", [63, 64, 65, 128, 130])
def test_more_regions_than_a_word_has_bits(num_regions):
    spare = [0, 31, num_regions // 2, num_regions - 2, num_regions - 1]
    term = sorted(set(range(num_regions)) - set(spare))
    other = sorted(set(range(num_regions)) - {2, 5})
    result = enumerate_final_states(oracles.dnf_predicate([term, other]), num_regions, Exhaustive())
    assert {tuple(np.flatnonzero(v)) for v in result.final_states} == {tuple(term), tuple(other)}
    assert result.certificate.complete == "yes"


@pytest.mark.parametrize("num_regions", [12, 30])
def test_a_frontier_that_does_not_fit_ends_the_search(num_regions):
    # One final state turns up early; the other lies under levels that grow too large.
    terms = [range(1, num_regions), [0]]
    predicate = oracles.dnf_predicate(terms)
    result = enumerate_final_states(predicate, num_regions, Exhaustive(max_frontier=500))
    assert (result.certificate.stopped, result.certificate.complete) == ("memory", "no")
    assert result.certificate.evaluations <= 4 * 500
    assert [tuple(np.flatnonzero(v)) for v in result.final_states] == [tuple(range(1, num_regions))]


def test_neighbouring_violations_of_a_large_search():
    rng = np.random.default_rng(5)
    table = oracles.dnf_table([[0], [1, 2], [3, 4]], 15) ^ (rng.random(1 << 15) < 0.01)
    table[-1] = True
    result = enumerate_final_states(oracles.Asked(table), 15, Exhaustive())
    asked = {int(i) for i in oracles.entries(result.evaluated.states)}
    assert len(asked) > exhaustive.FEW
    pairs = {(i & ~(1 << j), i) for i in asked if not table[i] for j in oracles.bits(i)}
    pairs = {(v, w) for v, w in pairs if v in asked and table[v]}
    assert result.certificate.violations == len(pairs)
    assert {tuple(map(int, oracles.entries(pair))) for pair in result.violations} == pairs


@pytest.mark.parametrize("size", [0, 1.5, True])
def test_bad_arguments(size):
    with pytest.raises(InputError, match="max_frontier"):
        Exhaustive(max_frontier=size)
