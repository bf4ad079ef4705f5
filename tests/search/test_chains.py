"""Chains: irreducible ends, and a bound that holds as often as it says."""

import contextlib
import math
from functools import cache

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs
from oracles import search_table
from scipy import stats

from captum_focalogic.errors import InputError
from captum_focalogic.search import Chains, enumerate_final_states
from captum_focalogic.search import states as st
from captum_focalogic.search.chains import _descend, upper_bound
from captum_focalogic.search.run import Verdicts


def search(table, strategy=None, **budget):
    return search_table(table, strategy or Chains(), **budget)


def end_probabilities_by_definition(table):
    """Probability of each end of a chain, {entry: probability}, by recursion over its states."""

    @cache
    def ends(state, tried):
        untried = [j for j in oracles.bits(state) if not tried >> j & 1]
        below = [state & ~(1 << j) for j in oracles.bits(state)]
        if untried:
            after = [
                ends(state & ~(1 << j), tried) if table[state & ~(1 << j)] else ends(state, tried | 1 << j)
                for j in untried
            ]
        else:
            after = [ends(child, 0) for child in below if table[child]]
        if not after:
            return {state: 1.0}
        mixed: dict[int, float] = {}
        for way in after:
            for end, probability in way.items():
                mixed[end] = mixed.get(end, 0.0) + probability / len(after)
        return mixed

    return ends(len(table) - 1, 0)


@cache
def stages(num_regions):
    """States of a chain in base 3, a digit for each region: 0 dropped, 1 not tried, 2 tried and kept.

    Returns the digits, the entry of the kept regions, and the states grouped so that chains only move forward.
    """
    digits = np.arange(3**num_regions)[:, None] // 3 ** np.arange(num_regions) % 3
    kept, untried = (digits > 0).sum(axis=1), (digits == 1).sum(axis=1)
    pairs = [(k, u) for k in range(num_regions, -1, -1) for u in range(k, -1, -1)]
    groups = [np.flatnonzero((kept == k) & (untried == u)) for k, u in pairs]
    return digits, (digits > 0) @ (1 << np.arange(num_regions)), groups


def end_probabilities(table):
    """The same for more regions: probability mass pushed through all states of a chain, group by group."""
    num_regions = (len(table) - 1).bit_length()
    digits, entry, groups = stages(num_regions)
    powers = 3 ** np.arange(num_regions)
    fresh = np.array([sum(3**j for j in oracles.bits(i)) for i in range(len(table))])
    mass = np.zeros(3**num_regions)
    mass[fresh[-1]] = 1
    for everyone in groups:
        group = everyone[mass[everyone] > 0]
        if not len(group):
            continue
        untried = digits[group] == 1
        if untried.any():
            row, column = np.nonzero(untried)
            state = group[row]
            step = np.where(table[entry[state] & ~(1 << column)], -powers[column], powers[column])
            np.add.at(mass, state + step, mass[state] / untried[0].sum())
            mass[group] = 0
        else:
            row, column = np.nonzero(digits[group] == 2)
            child = entry[group[row]] & ~(1 << column)
            row, child = row[table[child]], child[table[child]]
            count = np.bincount(row, minlength=len(group))
            np.add.at(mass, fresh[child], mass[group[row]] / count[row])
            mass[group[count > 0]] = 0
    ends = np.flatnonzero(mass)
    return dict(zip(entry[ends].tolist(), mass[ends].tolist(), strict=True))


@given(oracles.tables(6))
@settings(max_examples=30, deadline=None)
def test_the_two_ways_to_exact_probabilities_agree(table):
    table = table.copy()
    table[-1] = True
    assert end_probabilities(table) == pytest.approx(end_probabilities_by_definition(table))


@given(oracles.tables(7), hs.integers(0, 5), hs.sampled_from([1, 3, 128]))
@settings(max_examples=60, deadline=None)
def test_ends_are_irreducible_and_the_search_ends(table, seed, width):
    result, asked = search(table, Chains(seed=seed, width=width))
    found = oracles.states_of(result)
    assert found <= oracles.irreducible(table)
    assert bool(found) == bool(table[-1])
    certificate = result.certificate
    assert certificate.stopped is None
    assert (certificate.irreducible, certificate.reached) == (True, True)
    assert certificate.evaluations == len(asked.seen)
    if certificate.complete == "bound":
        assert certificate.unseen_bound <= 0.05
    else:
        assert certificate.complete == "yes"
        assert found == oracles.irreducible(table)


def test_the_bound_is_calibrated():
    """Over 500 random predicates the true unseen mass exceeds the bound in at most 5 % of the runs, and margin.

    With a bound that ignores misses it does in more than a quarter of these runs.
    """
    rng = np.random.default_rng(20)
    runs = wrong = 0
    for trial in range(540):
        num_regions = int(rng.integers(8, 10))
        if trial % 2:
            table = rng.random(1 << num_regions) < rng.uniform(0.6, 0.85)
        else:
            sizes = rng.integers(num_regions // 2 - 1, num_regions // 2 + 2, rng.integers(10, 60))
            table = oracles.dnf_table([rng.choice(num_regions, size, replace=False) for size in sizes], num_regions)
        table[-1] = True
        # Some searches run out of budget and report the best bound so far: that must hold too.
        budget = int(rng.integers(200, 400)) if trial % 3 == 0 else None
        strategy = Chains(max_unseen=(0.1, 0.3, 0.5)[trial // 2 % 3], seed=trial)
        result, _ = search(table, strategy, max_evaluations=budget)
        if result.certificate.complete == "bound":
            found = oracles.states_of(result)
            unseen = sum(p for end, p in end_probabilities(table).items() if end not in found)
            runs += 1
            wrong += unseen > result.certificate.unseen_bound
    assert runs >= 500
    assert wrong <= 0.05 * runs + 3 * math.sqrt(0.05 * 0.95 * runs)


@pytest.mark.parametrize(("seed", "density"), [(0, 0.8), (1, 0.7), (6, 0.5), (15, 0.5)])
def test_ends_come_as_often_as_their_definition_says(seed, density):
    table = np.random.default_rng(seed).random(1 << 7) < density
    table[-1] = True
    exact = end_probabilities(table)
    assert len(exact) > 1
    ended: list = []
    chains = _descend(7, 50_000, 4_000, np.random.default_rng(seed), ended)
    wanted = next(chains)
    with contextlib.suppress(StopIteration):
        while True:
            valid = table[oracles.entries(st.unpack(wanted, 7))]
            wanted = chains.send(Verdicts(valid, np.full(len(valid), np.nan, dtype=np.float32)))
    ends = oracles.entries(st.unpack(np.concatenate(ended), 7))
    assert len(ends) == 50_000
    observed = np.array([int((ends == end).sum()) for end in exact])
    assert observed.sum() == 50_000
    often = np.array(list(exact.values())) * 50_000
    rare = often < 5
    assert observed[rare].sum() < 5 * (1 + rare.sum())
    common = often[~rare] * observed[~rare].sum() / often[~rare].sum()
    assert stats.chisquare(observed[~rare], common).pvalue > 1e-5


@pytest.mark.parametrize(
    ("misses", "count", "error"), [(0, 69, 0.03), (3, 200, 0.01), (10, 40, 0.05), (199, 200, 0.05)]
)
def test_upper_bound_is_where_the_binomial_tail_equals_the_error(misses, count, error):
    bound = upper_bound(misses, count, error)
    tail = sum(math.comb(count, i) * bound**i * (1 - bound) ** (count - i) for i in range(misses + 1))
    assert tail == pytest.approx(error, rel=1e-6)
    assert upper_bound(count, count, error) == 1.0


@given(oracles.tables(6))
@settings(max_examples=30, deadline=None)
def test_every_budget_gives_irreducible_states(table):
    exact = oracles.irreducible(table)
    for budget in range(1, 40, 3):
        result, asked = search(table, Chains(max_unseen=0.3), max_evaluations=budget)
        assert len(asked.seen) <= budget
        assert oracles.states_of(result) <= exact
        known = {int(i) for i in oracles.entries(result.evaluated.states)}
        assert all(v & ~(1 << j) in known for v in oracles.states_of(result) for j in oracles.bits(v))
        assert (result.certificate.complete == "no") <= (result.certificate.stopped == "max_evaluations")


def test_the_seed_alone_decides():
    table = np.random.default_rng(1).random(1 << 9) < 0.7
    table[-1] = True
    once, asked = search(table, Chains(seed=7))
    again, asked_again = search(table, Chains(seed=7))
    assert asked.order == asked_again.order
    assert once.certificate == again.certificate
    _, other = search(table, Chains(seed=8))
    assert other.order != asked.order


def test_thirty_regions_within_the_default_budget():
    rng = np.random.default_rng(0)
    for _ in range(5):
        terms = [rng.choice(30, rng.integers(3, 8), replace=False) for _ in range(4)]
        predicate = oracles.dnf_predicate(terms)
        result = enumerate_final_states(predicate, 30, Chains(), max_evaluations=5_000)
        assert result.certificate.complete == "bound"
        assert result.certificate.unseen_bound <= 0.05
        assert result.certificate.stopped is None


def test_a_whole_image_without_valid_children_is_complete():
    result = enumerate_final_states(oracles.dnf_predicate([range(9)]), 9, Chains())
    assert result.final_states.tolist() == [[True] * 9]
    assert (result.certificate.complete, result.certificate.evaluations) == ("yes", 10)


@pytest.mark.parametrize(
    "arguments", [{"max_unseen": 0}, {"max_unseen": 1.0}, {"seed": -1}, {"width": 0}, {"seed": 0.5}]
)
def test_bad_arguments(arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        Chains(**arguments)
