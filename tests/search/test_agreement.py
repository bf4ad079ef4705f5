import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as hs

from captum_focalogic.search import Ascending, Exhaustive, enumerate_final_states
from captum_focalogic.search import states as st
from captum_focalogic.search.agreement import Agreement
from captum_focalogic.search.run import Run

SIZE = 6


def numbers(kept):
    return kept @ (1 << np.arange(SIZE))


def tables_of(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.random((2, 1 << SIZE)) < 0.6
    first[-1] = second[-1] = True
    return (first, second), rng.random((2, 1 << SIZE)).astype(np.float32)


def drive(agreement, tables, scores, rng):
    """Two models that take what they get in batches of any size, and answer in turn or late."""
    asked = [[], []]
    waiting = [[], []]
    faces = (agreement.first, agreement.second)
    idle = 0
    while not agreement.run.finished:
        side = int(rng.integers(2))
        if waiting[side] and rng.random() < 0.5:
            rows = waiting[side].pop(0)
            faces[side].tell(tables[side][rows], scores[side][rows])
            idle = 0
            continue
        packed = faces[side].wanted(int(rng.integers(1, 9)))
        idle = 0 if len(packed) else idle + 1
        assert idle < 1_000, "nothing is wanted and nothing is known"
        if len(packed):
            rows = numbers(st.unpack(packed, SIZE))
            asked[side] += rows.tolist()
            waiting[side].append(rows)
    return asked


@settings(max_examples=60, deadline=None)
@given(hs.integers(0, 10_000), hs.sampled_from([Exhaustive(), Ascending()]))
def test_it_finds_what_one_model_that_is_both_would(seed, strategy):
    (first, second), scores = tables_of(seed)
    agreement = Agreement(Run(strategy, SIZE))
    asked = drive(agreement, (first, second), scores, np.random.default_rng(seed))
    expected = enumerate_final_states(lambda kept: (first & second)[numbers(kept)], SIZE, strategy)
    assert np.array_equal(agreement.run.result().final_states, expected.final_states)
    assert agreement.asked == len(asked[0]) + len(asked[1])
    # The second is asked about no more than what the first accepts, and about nothing twice.
    assert sorted(asked[1]) == sorted(row for row in asked[0] if first[row])
    record = agreement.run.result().evaluated
    rows = numbers(record.states)
    assert np.array_equal(record.valid, (first & second)[rows])
    both = np.where(first[rows], scores.min(axis=0)[rows], scores[0][rows])
    assert np.array_equal(record.score, both)


@settings(max_examples=60, deadline=None)
@given(hs.integers(0, 10_000), hs.integers(0, 40))
def test_no_more_is_asked_than_it_may(seed, most):
    tables, scores = tables_of(seed)
    agreement = Agreement(Run(Exhaustive(), SIZE), most)
    asked = drive(agreement, tables, scores, np.random.default_rng(seed))
    assert len(asked[0]) + len(asked[1]) <= most
    certificate = agreement.run.result().certificate
    assert certificate.stopped in (None, "max_evaluations")


def test_either_face_stops_both():
    for face in ("first", "second"):
        agreement = Agreement(Run(Exhaustive(), SIZE))
        agreement.first.wanted()
        getattr(agreement, face).stop("interrupted")
        assert agreement.first.finished
        assert agreement.second.finished
        assert not len(agreement.first.wanted())
        assert not len(agreement.second.wanted())
