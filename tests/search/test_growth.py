"""Sets grown from the empty one: what is found is valid, can spare nothing, and was counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from captum_focalogic.search.critical import Inquiry
from captum_focalogic.search.growth import MOST, GrownSets, grown_sets


def grow(table: np.ndarray, score: np.ndarray, num_regions: int, most: int | None = None) -> tuple[GrownSets, int]:
    """Answer from a truth table, in batches; the result, and how many entries were asked."""
    inquiry: Inquiry[GrownSets] = Inquiry(grown_sets(num_regions, most))
    asked: set[int] = set()
    while not inquiry.finished:
        entries = inquiry.wanted(5)[:, 0].astype(int)
        asked |= set(entries.tolist())
        inquiry.tell(table[entries], score[entries].astype(np.float32))
    assert inquiry.result is not None
    return inquiry.result, len(asked)


def entries_of(states: np.ndarray) -> list[int]:
    return [int(sum(1 << int(region) for region in np.flatnonzero(state))) for state in states]


@settings(deadline=None, max_examples=150)
@given(data=hs.data(), num_regions=hs.integers(1, 5))
def test_found_sets_are_valid_and_can_spare_nothing(data, num_regions) -> None:
    size = 1 << num_regions
    table = np.array(data.draw(hs.lists(hs.booleans(), min_size=size, max_size=size)))
    table[-1] = False
    score = np.array(data.draw(hs.lists(hs.sampled_from([0.1, 0.5, np.nan]), min_size=size, max_size=size)))
    most = data.draw(hs.sampled_from([None, 3, 12]))
    found, asked = grow(table, score, num_regions, most)
    assert found.asked == asked <= (size if most is None else most)
    assert len(found) <= MOST
    sizes = found.states.sum(axis=1).tolist()
    assert sizes == sorted(sizes)
    for entry, irreducible in zip(entries_of(found.states), found.irreducible, strict=True):
        assert table[entry]
        parts = [entry & ~(1 << region) for region in range(num_regions) if entry >> region & 1]
        assert not irreducible or not table[parts].any()
    if most is None:
        assert found.irreducible.all()
        # Five regions have no more than ten sets of a size, so that none is left behind.
        assert bool(len(found)) == bool(table.any())


def test_scores_lead_the_way_where_there_are_many_regions() -> None:
    num_regions, wanted = 16, 0b1000_0100_0010_0000
    entries = np.arange(1 << num_regions)
    table = (entries & wanted) == wanted
    table[-1] = False
    score = np.array([bin(entry & wanted).count("1") for entry in range(1 << num_regions)]) / 4
    found, asked = grow(table, score, num_regions)
    assert entries_of(found.states) == [wanted]
    assert asked < 400


@pytest.mark.parametrize("most", [0, 1])
def test_without_room_nothing_is_claimed(most) -> None:
    found, asked = grow(np.array([False, True, False, False]), np.zeros(4), 2, most)
    assert (len(found), asked, found.asked) == (0, most, most)


def test_the_empty_set_is_asked_first() -> None:
    found, asked = grow(np.array([True, True, True, False]), np.zeros(4), 2)
    assert (found.states.tolist(), found.irreducible.tolist(), asked) == ([[False, False]], [True], 1)
