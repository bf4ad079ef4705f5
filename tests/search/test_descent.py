import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from captum_focalogic.search import enumerate_final_states
from captum_focalogic.search import states as st
from captum_focalogic.search.descent import Descent
from captum_focalogic.search.run import Run

SIZE = 8
ALL = (np.arange(1 << SIZE)[:, None] >> np.arange(SIZE) & 1).astype(bool)
AREAS = np.linspace(1, 2, SIZE) / np.linspace(1, 2, SIZE).sum()


def table_of(seed, monotone):
    """A random predicate with the full set valid, and its scores."""
    rng = np.random.default_rng(seed)
    valid = rng.random(1 << SIZE) < 0.3
    if monotone:
        valid = np.array([bool((valid & (row >= ALL).all(axis=1)).any()) for row in ALL])
    valid[-1] = True
    return valid, rng.random(1 << SIZE).astype(np.float32)


def numbers(kept):
    return kept @ (1 << np.arange(SIZE))


def starts_of(valid, seed, count):
    rows = np.random.default_rng(seed + 1).permutation(np.flatnonzero(valid))[:count]
    return tuple(tuple(np.flatnonzero(ALL[row]).tolist()) for row in rows)


def inside(state, start):
    return set(np.flatnonzero(state).tolist()) <= set(start)


@settings(max_examples=150, deadline=None)
@given(hs.integers(0, 10_000), hs.booleans(), hs.integers(1, 3))
def test_every_end_is_irreducible_and_lies_within_a_start(seed, monotone, count):
    valid, score = table_of(seed, monotone)
    starts = starts_of(valid, seed, count)
    result = enumerate_final_states(
        lambda kept: (valid[numbers(kept)], score[numbers(kept)]), SIZE, Descent(starts), AREAS
    )
    assert result.certificate.irreducible
    assert result.certificate.complete == "no"
    assert not result.unfinished.any()
    for state in result.final_states:
        assert valid[numbers(state)]
        assert any(inside(state, start) for start in starts)
        for region in np.flatnonzero(state):
            fewer = state.copy()
            fewer[region] = False
            assert not valid[numbers(fewer)]
    for start in starts:
        assert any(inside(state, start) for state in result.final_states)


@settings(max_examples=100, deadline=None)
@given(hs.integers(0, 10_000), hs.booleans(), hs.integers(1, 3))
def test_whatever_ranking_is_given_ends_are_irreducible(seed, monotone, count):
    valid, score = table_of(seed, monotone)
    starts = starts_of(valid, seed, count)
    rng = np.random.default_rng(seed + 2)
    losses = tuple(tuple(rng.choice([-np.inf, 0.0, 0.5, 1.0], len(start)).tolist()) for start in starts)
    ask = lambda kept: (valid[numbers(kept)], score[numbers(kept)])  # noqa: E731
    result = enumerate_final_states(ask, SIZE, Descent(starts, losses), AREAS)
    assert not result.unfinished.any()
    for state in result.final_states:
        assert valid[numbers(state)]
        assert not any(valid[numbers(state) - (1 << region)] for region in np.flatnonzero(state))
    for start in starts:
        assert any(inside(state, start) for state in result.final_states)


def test_a_right_ranking_saves_most_questions():
    needed, many = [3, 17, 31], 40
    rule = lambda kept: kept[:, needed].all(axis=1)  # noqa: E731
    left = tuple(0.0 if region in needed else 1.0 for region in range(many))
    asked = []
    for losses in ((), (left,)):
        result = enumerate_final_states(rule, many, Descent((tuple(range(many)),), losses))
        assert [np.flatnonzero(state).tolist() for state in result.final_states] == [needed]
        asked.append(result.certificate.evaluations)
    assert asked[1] <= 12
    assert asked[0] <= many + 12


@settings(max_examples=100, deadline=None)
@given(hs.integers(0, 10_000), hs.booleans(), hs.integers(1, 3), hs.integers(1, 60))
def test_whenever_it_stops_what_it_has_is_valid_and_told_apart(seed, monotone, count, budget):
    valid, score = table_of(seed, monotone)
    starts = starts_of(valid, seed, count)
    result = enumerate_final_states(
        lambda kept: (valid[numbers(kept)], score[numbers(kept)]), SIZE, Descent(starts), AREAS, max_evaluations=budget
    )
    assert result.certificate.evaluations <= budget
    for state, unfinished in zip(result.final_states, result.unfinished, strict=True):
        assert valid[numbers(state)]
        assert any(inside(state, start) for start in starts)
        if not unfinished:
            assert not any(valid[numbers(state) - (1 << region)] for region in np.flatnonzero(state))
    assert result.certificate.irreducible == (not result.unfinished.any())


@pytest.mark.parametrize("needed", [(0,), (1, 6), (0, 3, 5, 7), tuple(range(SIZE))])
def test_a_conjunction_is_found_exactly(needed):
    result = enumerate_final_states(
        lambda kept: kept[:, list(needed)].all(axis=1), SIZE, Descent((tuple(range(SIZE)),)), AREAS
    )
    assert [np.flatnonzero(state).tolist() for state in result.final_states] == [list(needed)]


def test_alternatives_share_what_they_can():
    # Regions 0 to 3 are one whole, of which 0 or 1 is enough; it goes with 4 or with 5.
    rule = lambda kept: (kept[:, 0] | kept[:, 1]) & (kept[:, 4] | kept[:, 5])  # noqa: E731
    result = enumerate_final_states(rule, SIZE, Descent(((0, 1, 2, 3, 4), (0, 1, 2, 3, 5))), AREAS)
    first, second = (set(np.flatnonzero(state).tolist()) for state in result.final_states)
    assert first & second
    assert first ^ second == {4, 5}


def test_an_interrupt_leaves_what_was_found():
    run = Run(Descent((tuple(range(SIZE)),)), SIZE)
    valid, _ = table_of(3, True)
    for _ in range(3):
        packed = run.wanted()
        run.tell(valid[numbers(st.unpack(packed, SIZE))])
    run.stop("interrupted")
    result = run.result()
    assert result.certificate.stopped == "interrupted"
    assert result.unfinished.all()
    assert len(result.final_states) == 1
    assert valid[numbers(result.final_states[0])]
