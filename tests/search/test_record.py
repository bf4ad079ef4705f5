"""The memory of a search against a dict."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from captum_focalogic.search import states as st
from captum_focalogic.search.record import Record


@given(hs.sampled_from([1, 5, 64, 65, 130]), hs.integers(0, 2**32 - 1), hs.lists(hs.integers(0, 40), max_size=12))
@settings(max_examples=80, deadline=None)
def test_finds_what_was_added(num_regions, seed, sizes):
    rng = np.random.default_rng(seed)
    record, known = Record(num_regions), {}
    for size in sizes:
        states = np.unique(rng.random((size, num_regions)) < rng.choice([0.02, 0.5]), axis=0)
        states = states[[state.tobytes() not in known for state in states]] if len(states) else states
        valid = rng.random(len(states)) < 0.5
        score = rng.random(len(states)).astype(np.float32) if rng.random() < 0.5 else None
        record.add(st.pack(states), valid, score)
        for i, state in enumerate(states):
            known[state.tobytes()] = (valid[i], np.float32(np.nan) if score is None else score[i])
    assert record.total == len(known)
    asked = [np.frombuffer(key, dtype=bool) for key in known]
    strangers = rng.random((20, num_regions)) < 0.5
    states = np.array([*asked, *strangers])
    rows = record.find(st.pack(states))
    for state, row in zip(states, rows, strict=True):
        if state.tobytes() not in known:
            assert row == -1
            continue
        valid, score = known[state.tobytes()]
        assert record.valid(np.array([row]))[0] == valid
        assert np.array_equal(record.score(np.array([row]))[0], score, equal_nan=True)
    evaluated = record.evaluated()
    assert [state.tobytes() for state in evaluated.states] == list(known)
    assert not evaluated.truncated


def test_a_limit_keeps_the_first_and_counts_all():
    record = Record(10, limit=3)
    record.add(st.pack(np.eye(10, dtype=bool)[:2]), np.array([True, False]), None, index=False)
    record.add(st.pack(np.eye(10, dtype=bool)[2:]), np.ones(8, dtype=bool), np.ones(8, dtype=np.float32), index=False)
    evaluated = record.evaluated()
    assert (len(evaluated), evaluated.total, evaluated.truncated) == (3, 10, True)
    assert (evaluated.states == np.eye(10, dtype=bool)[:3]).all()
    assert evaluated.valid.tolist() == [True, False, True]
    assert np.isnan(evaluated.score[:2]).all()
    assert evaluated.score[2] == pytest.approx(1)


def test_many_small_batches_stay_quick_to_search():
    record = Record(30)
    for i in range(1_000):
        record.add(np.array([[i]], dtype=np.uint64), np.ones(1, dtype=bool), None)
    assert len(record._runs) <= 10
    assert record.find(np.arange(1_000, dtype=np.uint64)[:, None]).tolist() == list(range(1_000))
