"""Critical sets against brute force, and askers of any kind of states."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from captum_focalogic.errors import InputError
from captum_focalogic.logic import necessary_states
from captum_focalogic.search import states as st
from captum_focalogic.search.critical import MAX_SIZE, CriticalSearch, Inquiry, critical_sets, needed_sets


def ask(inquiry: Inquiry, table: np.ndarray, score: np.ndarray | None = None, size: int = 5) -> list[int]:
    """Answer from a truth table, in batches; which entries were asked."""
    asked: list[int] = []
    while not inquiry.finished:
        packed = inquiry.wanted(size)
        entries = packed[:, 0].astype(int)
        asked += entries.tolist()
        inquiry.tell(table[entries], None if score is None else score[entries].astype(np.float32))
    return asked


def brute_force(table: np.ndarray, num_regions: int, most: int) -> set[frozenset[int]]:
    """Sets of up to ``most`` regions without which the whole is not valid, while without any part of them it is."""
    full = (1 << num_regions) - 1

    def lost(dropped: tuple[int, ...]) -> bool:
        return not table[full & ~sum(1 << region for region in dropped)]

    return {
        frozenset(dropped)
        for size in range(1, most + 1)
        for dropped in combinations(range(num_regions), size)
        if lost(dropped) and not any(lost(part) for k in range(1, size) for part in combinations(dropped, k))
    }


def sets_of(found: CriticalSearch) -> list[frozenset[int]]:
    return [frozenset(np.flatnonzero(state).tolist()) for state in found.states]


@given(
    seed=hs.integers(0, 2**32 - 1),
    num_regions=hs.integers(1, 7),
    share=hs.floats(0.1, 0.95),
    budget=hs.one_of(hs.none(), hs.integers(0, 40)),
    size=hs.integers(1, 9),
)
@settings(max_examples=200, deadline=None)
def test_as_brute_force_on_any_predicate(
    seed: int, num_regions: int, share: float, budget: int | None, size: int
) -> None:
    rng = np.random.default_rng(seed)
    table = rng.random(1 << num_regions) < share
    table[-1] = True
    finals = np.array([[bool(i >> j & 1) for j in range(num_regions)] for i in np.flatnonzero(table)])
    room = None if budget is None else num_regions + budget
    inquiry = Inquiry(critical_sets(num_regions, lambda count: necessary_states(finals, None)[:count], room))
    asked = ask(inquiry, table, rng.random(1 << num_regions), size)
    found = inquiry.result
    assert found is not None
    assert len(asked) == len(set(asked))
    assert found.asked == len(asked)
    assert room is None or len(asked) <= room
    expected = brute_force(table, num_regions, MAX_SIZE)
    assert set(sets_of(found)) <= expected
    assert {one for one in expected if len(one) <= found.complete_up_to} <= set(sets_of(found))
    assert [len(one) for one in sets_of(found)] == sorted(len(one) for one in sets_of(found))
    if budget is None:
        assert found.complete_up_to == 2


def test_triples_come_from_the_hitting_sets() -> None:
    # Any one of the regions 0, 1, 2 is enough: only all three together are critical.
    table = np.array([bool(i & 0b0111) for i in range(16)])
    finals = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], dtype=bool)
    inquiry = Inquiry(critical_sets(4, lambda count: necessary_states(finals, count), 12))
    ask(inquiry, table)
    assert inquiry.result is not None
    assert sets_of(inquiry.result) == [frozenset({0, 1, 2})]


def test_a_budget_below_the_single_regions_is_refused() -> None:
    with pytest.raises(InputError, match="one evaluation a region"):
        Inquiry(critical_sets(5, None, 4))


def test_needed_is_what_no_valid_state_does_without() -> None:
    critical = np.array([[1, 0, 0], [0, 1, 1]], dtype=bool)
    valid = st.pack(np.array([[1, 1, 0], [1, 0, 0]], dtype=bool))
    assert needed_sets(critical, valid).tolist() == [True, False]
    assert needed_sets(critical, st.empty(3)).tolist() == [False, False]
    assert needed_sets(critical[:0], valid).tolist() == []


class TestInquiry:
    def test_states_are_handed_out_once_and_verdicts_come_in_the_order_asked(self) -> None:
        states = st.pack(np.array([[1, 0], [0, 1], [1, 0]], dtype=bool))

        def questions():
            first = yield states
            second = yield states[:0]
            return first.valid.tolist(), first.score.tolist(), len(second.valid)

        inquiry = Inquiry(questions())
        asked = ask(inquiry, np.array([False, True, False, False]), np.array([0.0, 0.5, 0.25, 0.0]), 1)
        assert sorted(asked) == [1, 2]
        assert inquiry.result == ([True, False, True], [0.5, 0.25, 0.5], 0)

    def test_what_is_stopped_has_no_result(self) -> None:
        inquiry = Inquiry(critical_sets(3))
        inquiry.wanted(2)
        inquiry.stop("interrupted")
        assert inquiry.finished
        assert inquiry.result is None
        assert inquiry.stopped == "interrupted"
        assert not len(inquiry.wanted())
