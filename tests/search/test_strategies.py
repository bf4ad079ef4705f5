"""What every strategy owes whoever drives it, whatever the model answers."""

import contextlib
import time
from collections import deque
from pkgutil import resolve_name
from unittest import mock

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from captum_focalogic.errors import InputError, SearchInterrupt
from captum_focalogic.search import (
    Anytime,
    Ascending,
    Beam,
    Chains,
    Exhaustive,
    Frugal,
    HittingSets,
    Run,
    auto_strategy,
    enumerate_final_states,
)
from captum_focalogic.search import states as st
from captum_focalogic.search.record import Record

STRATEGIES = [
    Exhaustive(),
    Beam(2),
    Beam(3, scope="level"),
    Ascending(),
    Ascending(stop="smallest"),
    Ascending(max_size=2),
    Chains(max_unseen=0.2),
    HittingSets(),
    Frugal(),
    Anytime(),
]
every_strategy = pytest.mark.parametrize("strategy", STRATEGIES, ids=repr)


def scores(states):
    """A score for each state without a table, the same in every process."""
    return np.sin(states @ np.arange(1, states.shape[1] + 1)).astype(np.float32)


def hashed(states):
    """A predicate without structure for any number of regions; the whole image is valid."""
    weights = np.random.default_rng(9).integers(0, 1 << 30, states.shape[1])
    return (states @ weights % 97 < 60) | states.all(axis=1), scores(states)


def assert_honest(result, valid):
    """Final states are valid, and all their single deletions were asked and are not; ``valid``: state to verdict.

    Only Anytime may have a state that is unfinished.
    """
    if "Anytime" not in result.certificate.strategy:
        assert not result.unfinished.any()
    for state, unfinished in zip(result.final_states.astype(np.uint8), result.unfinished, strict=True):
        assert valid[state.tobytes()]
        if unfinished:
            continue
        for j in np.flatnonzero(state):
            child = state.copy()
            child[j] = 0
            assert valid[child.tobytes()] is False
    assert result.certificate.evaluations == len(valid)
    assert result.certificate.irreducible == (not result.unfinished.any())


class Remembers:
    """Answers by another predicate, remembering verdicts; asking twice is an error."""

    def __init__(self, predicate):
        self.predicate = predicate
        self.valid: dict[bytes, bool] = {}

    def __call__(self, states):
        answer = self.predicate(states)
        valid = answer[0] if isinstance(answer, tuple) else answer
        for state, verdict in zip(states.astype(np.uint8), valid, strict=True):
            assert state.tobytes() not in self.valid
            self.valid[state.tobytes()] = bool(verdict)
        return answer


@every_strategy
@given(num_regions=hs.integers(1, 130), budget=hs.integers(1, 400))
@settings(max_examples=15, deadline=None)
def test_any_number_of_regions_under_any_budget(strategy, num_regions, budget):
    predicate = Remembers(hashed)
    result = enumerate_final_states(predicate, num_regions, strategy, max_evaluations=budget)
    assert len(predicate.valid) <= budget
    assert result.final_states.shape[1] == num_regions
    assert_honest(result, predicate.valid)


@every_strategy
@given(table=oracles.tables(7), data=hs.data())
@settings(max_examples=25, deadline=None)
def test_chunks_outstanding_change_nothing(strategy, table, data):
    """Handing out batches of any sizes, several at a time, gives what one state after another gives."""
    num_regions = (len(table) - 1).bit_length()
    budget = data.draw(hs.one_of(hs.none(), hs.integers(1, 60)))
    rng = np.random.default_rng(data.draw(hs.integers(0, 1000)))
    results = []
    for in_flight, largest in ((1, 1), (5, 9), (2, None)):
        run = Run(strategy, num_regions, max_evaluations=budget)
        flying: deque = deque()
        while not run.finished:
            if len(flying) < in_flight:
                batch = run.wanted(None if largest is None else int(rng.integers(1, largest + 1)))
                if len(batch):
                    flying.append(st.unpack(batch, num_regions))
                    continue
            if flying:
                states = flying.popleft()
                run.tell(table[oracles.entries(states)], scores(states))
        results.append(run.result())
    first, *others = results
    for other in others:
        assert (other.final_states == first.final_states).all()
        assert (other.evaluated.packed == first.evaluated.packed).all()
        ignoring_batches = {**other.certificate.to_dict(), "batches": first.certificate.batches}
        assert ignoring_batches == first.certificate.to_dict()


@every_strategy
@given(table=oracles.tables(7), last=hs.integers(1, 12))
@settings(max_examples=20, deadline=None)
def test_an_interrupted_model_leaves_an_honest_result(strategy, table, last):
    num_regions = (len(table) - 1).bit_length()
    predicate = Remembers(lambda states: table[oracles.entries(states)])
    calls = 0

    def interrupted(states):
        nonlocal calls
        calls += 1
        if calls > last:
            raise KeyboardInterrupt
        return predicate(states)

    try:
        result = enumerate_final_states(interrupted, num_regions, strategy)
        assert result.certificate.stopped is None
    except SearchInterrupt as interrupt:
        result = interrupt.found
        assert calls > last
    assert (result.certificate.stopped == "interrupted") == (calls > last)
    assert_honest(result, predicate.valid)
    if calls > last:
        assert result.certificate.complete in ("no", "bound")


def drive(run, predicate):
    """Answer a run until it is finished."""
    while not run.finished:
        batch = run.wanted()
        if len(batch):
            run.tell(predicate(st.unpack(batch, run.num_regions)))


@every_strategy
@pytest.mark.parametrize("after", [1, 2, 4])
def test_an_interrupt_between_two_requests_keeps_what_was_found(strategy, after):
    predicate = Remembers(oracles.dnf_predicate([[0, 1], [2, 3], [4], [1, 5]]))
    real, calls = Record.find, 0

    def interrupted(*arguments):
        nonlocal calls
        calls += 1
        if calls > after:
            raise KeyboardInterrupt
        return real(*arguments)

    run = Run(strategy, 6)
    with mock.patch.object(Record, "find", interrupted), contextlib.suppress(KeyboardInterrupt):
        drive(run, predicate)
    run.stop("interrupted")
    assert run.result().certificate.stopped == ("interrupted" if calls > after else None)
    assert_honest(run.result(), predicate.valid)


INSIDE = [
    (Anytime(), "captum_focalogic.search.anytime._Portfolio._note"),
    (Exhaustive(), "captum_focalogic.search.bitmap.children"),
    (Beam(2), "captum_focalogic.search.beam.st.children"),
    (Ascending(), "captum_focalogic.search.ascending._grow"),
    (Chains(), "captum_focalogic.search.chains._pick"),
    (HittingSets(), "captum_focalogic.search.hitting_sets.RegionMap.seeds"),
    (Frugal(), "captum_focalogic.search.hitting_sets.RegionMap.decide_above"),
]


@pytest.mark.parametrize(("strategy", "inside"), INSIDE, ids=lambda value: repr(value).rsplit(".", 1)[-1])
@pytest.mark.parametrize("after", [1, 2, 3])
def test_an_interrupt_inside_the_search_keeps_what_was_found(strategy, inside, after):
    predicate = Remembers(oracles.dnf_predicate([[0, 1], [2, 3], [4], [1, 5]]))
    real, calls = resolve_name(inside), 0

    def interrupted(*arguments, **keywords):
        nonlocal calls
        calls += 1
        if calls > after:
            raise KeyboardInterrupt
        return real(*arguments, **keywords)

    run = Run(strategy, 6)
    with mock.patch(inside, interrupted), pytest.raises(KeyboardInterrupt):
        drive(run, predicate)
    assert run.finished
    result = run.result()
    assert result.certificate.stopped == "interrupted"
    assert_honest(result, predicate.valid)


@every_strategy
def test_a_time_limit_stops_any_search(strategy):
    predicate = Remembers(hashed)

    def slow(states):
        time.sleep(0.002)
        return predicate(states)

    began = time.monotonic()
    result = enumerate_final_states(slow, 60, strategy, time_limit=0.15)
    assert time.monotonic() - began < 15
    assert_honest(result, predicate.valid)
    assert result.certificate.stopped in ("time_limit", None)
    if result.certificate.stopped is None:
        assert result.certificate.evaluations > 1


@every_strategy
@given(seed=hs.integers(0, 2**32 - 1), num_regions=hs.integers(1, 8), share=hs.sampled_from([0.1, 0.5, 0.9]))
@settings(max_examples=25, deadline=None)
def test_a_lying_model_neither_crashes_nor_hangs_a_search(strategy, seed, num_regions, share):
    rng = np.random.default_rng(seed)
    predicate = Remembers(lambda states: rng.random(len(states)) < share)
    result = enumerate_final_states(predicate, num_regions, strategy)
    assert result.certificate.evaluations <= 1 << num_regions
    assert_honest(result, predicate.valid)


@every_strategy
@given(table=oracles.tables(6))
@settings(max_examples=15, deadline=None)
def test_a_known_start_is_not_asked_again(strategy, table):
    num_regions = (len(table) - 1).bit_length()
    predicate = Remembers(lambda states: table[oracles.entries(states)])
    run = Run(strategy, num_regions, start=(bool(table[-1]), 0.5))
    drive(run, predicate)
    assert np.ones(num_regions, dtype=np.uint8).tobytes() not in predicate.valid
    plain = enumerate_final_states(lambda states: table[oracles.entries(states)], num_regions, strategy)
    assert (run.result().final_states == plain.final_states).all()
    assert run.result().certificate.evaluations == plain.certificate.evaluations


@every_strategy
def test_certificates_survive_json_and_say_what_they_claim(strategy):
    result = enumerate_final_states(oracles.dnf_predicate([[0, 1], [2]]), 5, strategy)
    certificate = result.certificate
    assert type(certificate).from_dict(certificate.to_dict()) == certificate
    said = str(certificate)
    assert repr(strategy) in said
    assert f"{certificate.evaluations:,} evaluations" in said
    assert ("Reached: each" in said) == certificate.reached
    assert eval(repr(strategy)) == strategy


def test_auto_follows_the_reading():
    assert auto_strategy("irreducible", 12, 5_000) == Exhaustive()
    assert auto_strategy("irreducible", 13, 5_000) == Chains()
    assert auto_strategy("irreducible", 12, 4_095) == Chains()
    assert auto_strategy("irreducible", 20) == Exhaustive()
    assert auto_strategy("irreducible", 21) == Chains()
    assert auto_strategy("irreducible", 4, 100, frugal=True) == Frugal()
    for num_regions in (4, 40):
        for budget in (None, 100):
            assert auto_strategy("minimal", num_regions, budget) == Ascending()
            assert auto_strategy("smallest", num_regions, budget) == Anytime()
            for reading in ("irreducible", "minimal", "smallest"):
                assert auto_strategy(reading, num_regions, budget).reading == reading
                assert auto_strategy(reading, num_regions, budget, frugal=True).reading == reading
    with pytest.raises(InputError, match="reading"):
        auto_strategy("least", 5)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda s: np.ones(len(s) + 1, dtype=bool), "booleans"),
        (lambda s: np.full(len(s), 0.3), "booleans"),
        (lambda s: (np.ones(len(s), dtype=bool), np.ones(len(s) + 1)), "scores"),
    ],
)
def test_answers_that_are_not_verdicts(answer, message):
    with pytest.raises(InputError, match=message):
        enumerate_final_states(answer, 4, Exhaustive())


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_regions": 0},
        {"areas": np.ones(3)},
        {"areas": -np.ones(4)},
        {"max_evaluations": 0},
        {"time_limit": 0},
    ],
)
def test_bad_arguments(arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        enumerate_final_states(lambda s: s.all(axis=1), **{"num_regions": 4, "strategy": Exhaustive(), **arguments})


def test_what_the_predicate_raises_passes_through():
    def broken(states):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        enumerate_final_states(broken, 4, Exhaustive())
