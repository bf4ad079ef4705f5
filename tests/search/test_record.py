"""The memory of a search against a dict, and violations of monotonicity against all pairs."""

from unittest import mock

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from captum_focalogic.search import record
from captum_focalogic.search import states as st
from captum_focalogic.search.record import Evaluated, Record, find_violations


@given(hs.sampled_from([1, 5, 64, 65, 130]), hs.integers(0, 2**32 - 1), hs.lists(hs.integers(0, 40), max_size=12))
@settings(max_examples=80, deadline=None)
def test_finds_what_was_added(num_regions, seed, sizes):
    rng = np.random.default_rng(seed)
    memory, known = Record(num_regions), {}
    for size in sizes:
        states = np.unique(rng.random((size, num_regions)) < rng.choice([0.02, 0.5]), axis=0)
        states = states[[state.tobytes() not in known for state in states]] if len(states) else states
        valid = rng.random(len(states)) < 0.5
        score = rng.random(len(states)).astype(np.float32) if rng.random() < 0.5 else None
        memory.add(st.pack(states), valid, score)
        for i, state in enumerate(states):
            known[state.tobytes()] = (valid[i], np.float32(np.nan) if score is None else score[i])
    assert memory.total == len(known)
    asked = [np.frombuffer(key, dtype=bool) for key in known]
    strangers = rng.random((20, num_regions)) < 0.5
    states = np.array([*asked, *strangers])
    rows = memory.find(st.pack(states))
    for state, row in zip(states, rows, strict=True):
        if state.tobytes() not in known:
            assert row == -1
            continue
        valid, score = known[state.tobytes()]
        assert memory.valid(np.array([row]))[0] == valid
        assert np.array_equal(memory.score(np.array([row]))[0], score, equal_nan=True)
    evaluated = memory.evaluated()
    assert [state.tobytes() for state in evaluated.states] == list(known)
    assert not evaluated.truncated


def test_a_limit_keeps_the_first_and_counts_all():
    memory = Record(10, limit=3)
    memory.add(st.pack(np.eye(10, dtype=bool)[:2]), np.array([True, False]), None, index=False)
    memory.add(st.pack(np.eye(10, dtype=bool)[2:]), np.ones(8, dtype=bool), np.ones(8, dtype=np.float32), index=False)
    evaluated = memory.evaluated()
    assert (len(evaluated), evaluated.total, evaluated.truncated) == (3, 10, True)
    assert (evaluated.states == np.eye(10, dtype=bool)[:3]).all()
    assert evaluated.valid.tolist() == [True, False, True]
    assert np.isnan(evaluated.score[:2]).all()
    assert evaluated.score[2] == pytest.approx(1)


def test_many_small_batches_stay_quick_to_search():
    memory = Record(30)
    for i in range(1_000):
        memory.add(np.array([[i]], dtype=np.uint64), np.ones(1, dtype=bool), None)
    assert len(memory._runs) <= 10
    assert memory.find(np.arange(1_000, dtype=np.uint64)[:, None]).tolist() == list(range(1_000))


@hs.composite
def evaluated(draw):
    num_regions = draw(hs.sampled_from([3, 6, 66]))
    rng = np.random.default_rng(draw(hs.integers(0, 2**32 - 1)))
    # Only six regions vary, so that sets often contain one another.
    states = np.zeros((draw(hs.integers(0, 60)), num_regions), dtype=bool)
    varied = np.unique(rng.integers(0, num_regions, 6))
    states[:, varied] = rng.random((len(states), len(varied))) < 0.5
    packed = st.unique(st.pack(states))
    valid = rng.random(len(packed)) < 0.5
    return Evaluated(packed, valid, np.zeros(len(packed), dtype=np.float32), num_regions, len(packed))


def pairs_of(seen, apart=None):
    sets = [frozenset(np.flatnonzero(state).tolist()) for state in seen.states]
    return {
        (v, w)
        for v, ok in zip(sets, seen.valid, strict=True)
        for w, fine in zip(sets, seen.valid, strict=True)
        if ok and not fine and v < w and (apart is None or len(w - v) == apart)
    }


def found_pairs(result):
    return {tuple(frozenset(np.flatnonzero(s).tolist()) for s in pair) for pair in result.states}


@given(evaluated(), hs.sampled_from([1, 16, 1 << 20]))
@settings(max_examples=150, deadline=None)
def test_all_pairs(seen, block):
    with mock.patch.object(record, "BLOCK", block):
        result = find_violations(seen)
    assert found_pairs(result) == pairs_of(seen)
    assert result.total == len(result.states) == len(pairs_of(seen))


@given(evaluated())
@settings(max_examples=150, deadline=None)
def test_neighbours_where_pairs_are_too_many(seen):
    with mock.patch.object(record, "MAX_COMPARED", -1):
        result = find_violations(seen)
        assert found_pairs(result) == pairs_of(seen, apart=1)
        assert result.total == len(result.states)
        with mock.patch.object(record, "MAX_LOOKED_UP", -1):
            assert find_violations(seen).total == 0


@given(evaluated(), hs.sampled_from([-1, 1 << 20]))
@settings(max_examples=60, deadline=None)
def test_a_long_list_is_cut_but_counted(seen, compared):
    with mock.patch.multiple(record, MAX_LISTED=2, MAX_COMPARED=compared):
        result = find_violations(seen)
    every = pairs_of(seen, apart=1 if compared < 0 else None)
    assert result.total == len(every)
    assert len(result.states) == min(2, len(every))
    assert found_pairs(result) <= every


def test_the_oracle_counts_alike():
    table = np.array([True, False, False, True, False, False, False, False])
    seen = Evaluated(np.arange(8, dtype=np.uint64)[:, None], table, np.zeros(8, dtype=np.float32), 3, 8)
    # The empty set is in six invalid sets, {0, 1} in the whole.
    assert find_violations(seen).total == oracles.violations(range(8), table) == 7
