"""Violations of monotonicity against all pairs."""

from unittest import mock

import lattice
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as hs

from captum_focalogic.search import states as st
from captum_focalogic.search import violations
from captum_focalogic.search.record import Evaluated


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
    with mock.patch.object(violations, "BLOCK", block):
        result = violations.find_violations(seen)
    assert found_pairs(result) == pairs_of(seen)
    assert result.total == len(result.states) == len(pairs_of(seen))


@given(evaluated())
@settings(max_examples=150, deadline=None)
def test_neighbours_where_pairs_are_too_many(seen):
    with mock.patch.object(violations, "MAX_COMPARED", -1):
        result = violations.find_violations(seen)
        assert found_pairs(result) == pairs_of(seen, apart=1)
        assert result.total == len(result.states)
        with mock.patch.object(violations, "MAX_LOOKED_UP", -1):
            assert violations.find_violations(seen).total == 0


@given(evaluated(), hs.sampled_from([-1, 1 << 20]))
@settings(max_examples=60, deadline=None)
def test_a_long_list_is_cut_but_counted(seen, compared):
    with mock.patch.multiple(violations, MAX_LISTED=2, MAX_COMPARED=compared):
        result = violations.find_violations(seen)
    every = pairs_of(seen, apart=1 if compared < 0 else None)
    assert result.total == len(every)
    assert len(result.states) == min(2, len(every))
    assert found_pairs(result) <= every


def test_the_oracle_counts_alike():
    table = np.array([True, False, False, True, False, False, False, False])
    seen = Evaluated(np.arange(8, dtype=np.uint64)[:, None], table, np.zeros(8, dtype=np.float32), 3, 8)
    # The empty set is in six invalid sets, {0, 1} in the whole.
    assert violations.find_violations(seen).total == lattice.violations(range(8), table) == 7
