"""Hitting sets: exact and cheap on monotone predicates, never wrong on others."""

import numpy as np
import oracles
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as hs
from oracles import search_table

from captum_focalogic.errors import InputError
from captum_focalogic.search import HittingSets, enumerate_final_states
from captum_focalogic.search import states as st
from captum_focalogic.search.hitting_sets import RegionMap, shrink


def search(table, strategy=None, **budget):
    return search_table(table, strategy or HittingSets(), **budget)


def absorbed(terms):
    terms = {frozenset(map(int, term)) for term in terms}
    return {term for term in terms if not any(other < term for other in terms)}


@given(oracles.monotone_tables(9), hs.integers(0, 3), hs.sampled_from([1, 4, 64]))
@settings(max_examples=150, deadline=None)
@example(oracles.dnf_table([range(8)], 8), 0, 64)
@example(oracles.dnf_table([[0, 2, 4, 6], [1, 3, 5, 7]], 8), 0, 64)
@example(oracles.dnf_table([[]], 9), 0, 64)
def test_monotone_predicates_exactly_and_within_the_bound(table, seed, width):
    result, asked = search(table, HittingSets(seed=seed, width=width))
    final = oracles.irreducible(table)
    assert oracles.states_of(result) == final
    certificate = result.certificate
    assert certificate.complete == ("if monotone" if table[-1] else "yes")
    assert certificate.violations == 0
    num_regions = (len(table) - 1).bit_length()
    assert len(asked.seen) <= 2 * (len(oracles.maximal_invalid(table)) + len(final) * num_regions)


@given(hs.one_of(oracles.arbitrary_tables(8), oracles.noisy_tables(8)), hs.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_other_predicates_end_with_irreducible_states_and_every_contradiction(table, seed):
    result, _ = search(table, HittingSets(seed=seed))
    found = oracles.states_of(result)
    assert found <= oracles.locally_irreducible(table)
    assert bool(found) == bool(table[-1])
    entries = [int(i) for i in oracles.entries(result.evaluated.states)]
    for state in found:
        assert all(state & ~(1 << j) in entries for j in oracles.bits(state))
    count = oracles.violations(entries, table)
    assert result.certificate.violations == len(result.violations) == count
    pairs = {tuple(map(int, oracles.entries(pair))) for pair in result.violations}
    assert len(pairs) == count
    assert all(table[v] and not table[w] and v & ~w == 0 for v, w in pairs)
    if table[-1]:
        assert result.certificate.complete == ("no" if count else "if monotone")
        assert not result.certificate.reached


@given(oracles.tables(6))
@settings(max_examples=30, deadline=None)
def test_every_budget_gives_irreducible_states(table):
    locally = oracles.locally_irreducible(table)
    for budget in range(1, 40):
        result, asked = search(table, max_evaluations=budget)
        assert len(asked.seen) == result.certificate.evaluations <= budget
        assert oracles.states_of(result) <= locally
        known = {int(i) for i in oracles.entries(result.evaluated.states)}
        for state in oracles.states_of(result):
            assert state in known
            assert all(state & ~(1 << j) in known for j in oracles.bits(state))
        if result.certificate.stopped:
            assert result.certificate.complete == "no"


@pytest.mark.parametrize(
    ("num_regions", "num_terms", "sizes", "ceiling", "trials"), [(16, 6, (1, 4), 150, 60), (60, 8, (2, 4), 10_000, 6)]
)
def test_random_monotone_dnfs_stay_under_the_ceiling(num_regions, num_terms, sizes, ceiling, trials):
    rng = np.random.default_rng(11)
    asked = []
    for _ in range(trials):
        terms = [rng.choice(num_regions, rng.integers(sizes[0], sizes[1] + 1), replace=False) for _ in range(num_terms)]
        result = enumerate_final_states(oracles.dnf_predicate(terms), num_regions, HittingSets())
        assert {frozenset(np.flatnonzero(v).tolist()) for v in result.final_states} == absorbed(terms)
        asked.append(result.certificate.evaluations)
    assert np.mean(asked) <= ceiling


def test_more_than_one_word():
    terms = [(0, 63, 64), (1, 129), (70, 71, 72, 100)]
    result = enumerate_final_states(oracles.dnf_predicate(terms), 130, HittingSets())
    assert {tuple(np.flatnonzero(v).tolist()) for v in result.final_states} == set(terms)
    assert result.certificate.evaluations <= 2 * (3 * 2 * 4 + 3 * 130)


@given(oracles.tables(8), hs.integers(0, 2**32 - 1), hs.floats(0, 12))
@settings(max_examples=150, deadline=None)
def test_shrinking_ends_in_an_irreducible_subset(table, seed, expected):
    num_regions = (len(table) - 1).bit_length()
    rng = np.random.default_rng(seed)
    starts = np.flatnonzero(table)
    if not len(starts):
        return
    start = int(rng.choice(starts))
    job = shrink(np.array([[start]], dtype=np.uint64), num_regions, expected, rng.permutation)
    known = {start}
    try:
        wanted = next(job)
        while True:
            known |= set(wanted[:, 0].tolist())
            wanted = job.send(table[wanted[:, 0].astype(int)])
    except StopIteration as end:
        final = int(end.value[0, 0])
    assert final & ~start == 0
    assert table[final]
    assert final in known
    assert all(not table[final & ~(1 << j)] and final & ~(1 << j) in known for j in oracles.bits(final))


@given(hs.integers(1, 9), hs.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_seeds_are_distinct_maximal_undecided_sets(num_regions, seed):
    rng = np.random.default_rng(seed)
    whole = (1 << num_regions) - 1
    undecided = set(range(whole + 1))
    with RegionMap(num_regions) as chart:
        for _ in range(8):
            maximal = {u for u in undecided if not any(u | 1 << j in undecided - {u} for j in range(num_regions))}
            count = int(rng.integers(1, 6))
            seeds = chart.seeds(count)[:, 0].tolist()
            assert len(set(seeds)) == len(seeds) == min(count, len(maximal))
            assert set(seeds) <= maximal
            above = [s & int(rng.integers(0, whole + 1)) | 1 for s in seeds if rng.random() < 0.4]
            below = [s for s in seeds if rng.random() < 0.7]
            chart.decide_above(np.array(above, dtype=np.uint64)[:, None])
            chart.decide_below(np.array(below, dtype=np.uint64)[:, None])
            undecided = {u for u in undecided if not any(v & ~u == 0 for v in above)}
            undecided = {u for u in undecided if not any(u & ~w == 0 for w in below)}
        chart.decide_below(np.array([[whole]], dtype=np.uint64))
        assert len(chart.seeds(1)) == 0


@given(hs.integers(20, 70), hs.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_seeds_of_many_regions_are_maximal(num_regions, seed):
    rng = np.random.default_rng(seed)
    above = rng.random((20, num_regions)) < rng.uniform(0.1, 0.5)
    below = rng.random((20, num_regions)) < rng.uniform(0.5, 0.95)
    with RegionMap(num_regions) as chart:
        chart.decide_above(st.pack(above))
        chart.decide_below(st.pack(below))
        for _ in range(6):
            seeds = st.unpack(chart.seeds(20), num_regions)
            assert len(np.unique(seeds, axis=0)) == len(seeds)
            for state in seeds:
                grown = state | np.eye(num_regions, dtype=bool)[~state]
                assert not (above <= state).all(axis=1).any()
                assert not (state <= below).all(axis=1).any()
                assert (above[:, None] <= grown).all(axis=2).any(axis=0).all()
            valid = rng.random(len(seeds)) < 0.5
            above, below = np.concatenate([above, seeds[valid]]), np.concatenate([below, seeds[~valid]])
            chart.decide_above(st.pack(seeds[valid]))
            chart.decide_below(st.pack(seeds[~valid]))


def drive(job, predicate, num_regions):
    """What a shrinking job asks, and its result."""
    asked: set[bytes] = set()
    wanted = next(job)
    while True:
        states = st.unpack(wanted, num_regions)
        asked |= {state.tobytes() for state in states}
        try:
            wanted = job.send(predicate(states))
        except StopIteration as end:
            return asked, st.unpack(end.value, num_regions)[0]


@pytest.mark.parametrize(
    ("num_regions", "size", "ceiling"), [(60, 3, 23), (60, 40, 106), (30, 15, 48.5), (12, 11, 20.5)]
)
def test_shrinking_takes_few_questions(num_regions, size, ceiling):
    """About size * log2(M / size) for few regions, M for many, and one for each region of the result at the end."""
    counts = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        term = rng.choice(num_regions, size, replace=False)
        job = shrink(st.full(num_regions), num_regions, num_regions / 6, rng.permutation)
        asked, final = drive(job, oracles.dnf_predicate([term]), num_regions)
        assert set(np.flatnonzero(final)) == set(term)
        counts.append(len(asked))
    assert np.mean(counts) <= ceiling


@pytest.mark.parametrize("arguments", [{"width": 0}, {"width": 1.5}, {"seed": -1}, {"seed": True}])
def test_bad_arguments(arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        HittingSets(**arguments)
