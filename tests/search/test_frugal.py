"""Frugal: hitting sets while the model looks monotone, random orders after that."""

import numpy as np
import oracles
import photo_tables
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs
from oracles import search_table

from captum_focalogic.errors import InputError
from captum_focalogic.search import Chains, Exhaustive, Frugal, HittingSets, enumerate_final_states


def search(table, strategy=None, **budget):
    return search_table(table, strategy or Frugal(), **budget)


@given(oracles.monotone_tables(8))
@settings(max_examples=60, deadline=None)
def test_a_monotone_predicate_costs_what_hitting_sets_cost(table):
    result, asked = search(table)
    assert oracles.states_of(result) == oracles.irreducible(table)
    assert result.certificate.complete == ("if monotone" if table[-1] else "yes")
    assert asked.order == search(table, HittingSets(width=1))[1].order


@given(hs.one_of(oracles.arbitrary_tables(7), oracles.noisy_tables(7)))
@settings(max_examples=60, deadline=None)
def test_a_contradiction_leads_to_random_orders(table):
    result, asked = search(table)
    found = oracles.states_of(result)
    assert found <= oracles.locally_irreducible(table)
    assert oracles.states_of(search(table, HittingSets(width=1))[0]) <= found
    asked_first = search(table, HittingSets(width=1))[1].order
    assert asked.order[: len(asked_first)] == asked_first
    if result.certificate.complete == "bound":
        assert result.certificate.unseen_bound <= 0.05
        assert result.certificate.violations


@pytest.mark.parametrize("budget", [15, 30, 60, 120, 250, 500])
def test_a_small_budget_buys_more_states_than_with_any_other_strategy(budget):
    def bought(strategy):
        found = 0
        for table, score, areas in photo_tables.load().values():
            asked = oracles.Asked(table, score)
            result = enumerate_final_states(asked, len(areas), strategy, areas=areas, max_evaluations=budget)
            found += len(oracles.states_of(result) & oracles.irreducible(table))
        return found

    frugal = bought(Frugal())
    assert frugal >= 8
    for other in (Exhaustive(), Chains(), HittingSets()):
        assert frugal >= bought(other)


def test_one_state_is_asked_at_a_time_while_hitting_sets_lead():
    terms = [(0, 1), (2, 3, 4), (5,)]
    result = enumerate_final_states(oracles.dnf_predicate(terms), 12, Frugal())
    assert {tuple(np.flatnonzero(v).tolist()) for v in result.final_states} == set(terms)
    # All are single questions but the three checks of every single deletion.
    asked, batches = result.certificate.evaluations, result.certificate.batches
    assert asked - batches <= sum(len(term) - 1 for term in terms)


@pytest.mark.parametrize("arguments", [{"max_unseen": 0}, {"seed": -1}])
def test_bad_arguments(arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        Frugal(**arguments)
