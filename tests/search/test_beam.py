"""Beam against a plain-Python beam, and the paper's promise that every result is irreducible."""

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from captum_focalogic.errors import InputError
from captum_focalogic.search import Beam, enumerate_final_states


def plain_beam(table, score, areas, width, scope):
    """The paper's loop over Python integers."""
    num_regions = (len(table) - 1).bit_length()
    whole = len(table) - 1
    level, final = ([whole] if table[whole] else []), set()
    while level:
        kept = set()
        for state in level:
            children = [(j, state & ~(1 << j)) for j in oracles.bits(state)]
            valid = [(-score[c], -areas[j], j, c) for j, c in children if table[c]]
            if not valid:
                final.add(state)
            kept |= {c for *_, c in (sorted(valid)[:width] if scope == "state" else valid)}
        level = sorted(kept)
        if scope == "level":

            def rank(state):
                area = round(sum(areas[j] for j in oracles.bits(state)), 9)
                return -score[state], area, [state >> j & 1 for j in range(num_regions)]

            level = sorted(level, key=rank)[:width]
    return final


@hs.composite
def scored(draw):
    table = draw(oracles.tables(7))
    rng = np.random.default_rng(draw(hs.integers(0, 2**32 - 1)))
    num_regions = (len(table) - 1).bit_length()
    levels = draw(hs.sampled_from([1, 3, 1000]))
    score = (rng.integers(0, levels, len(table)) / levels).astype(np.float32)
    areas = rng.integers(1, 4, num_regions).astype(float)
    return table, score, areas / areas.sum()


@given(scored(), hs.integers(1, 6), hs.sampled_from(["state", "level"]))
@settings(max_examples=200, deadline=None)
def test_the_plain_loop_agrees(problem, width, scope):
    table, score, areas = problem
    asked = oracles.Asked(table, score)
    result = enumerate_final_states(asked, len(areas), Beam(width, scope=scope), areas=areas)
    found = oracles.states_of(result)
    assert found == plain_beam(table, score, areas, width, scope)
    exact = oracles.irreducible(table)
    assert found <= exact
    if result.certificate.complete == "yes":
        assert found == exact
    if table[-1]:
        assert found
    if scope == "level":
        assert result.certificate.evaluations <= 1 + len(areas) + width * len(areas) ** 2


@given(oracles.tables(7))
@settings(max_examples=60, deadline=None)
def test_a_beam_that_never_prunes_is_exhaustive(table):
    num_regions = (len(table) - 1).bit_length()
    result = enumerate_final_states(oracles.Asked(table), num_regions, Beam(num_regions))
    assert result.certificate.complete == "yes"
    assert oracles.states_of(result) == oracles.irreducible(table)


@given(oracles.tables(6), hs.sampled_from(["state", "level"]))
@settings(max_examples=40, deadline=None)
def test_every_budget_gives_irreducible_states(table, scope):
    num_regions = (len(table) - 1).bit_length()
    exact = oracles.irreducible(table)
    for budget in range(1, 30):
        asked = oracles.Asked(table)
        result = enumerate_final_states(asked, num_regions, Beam(2, scope=scope), max_evaluations=budget)
        assert len(asked.seen) == result.certificate.evaluations <= budget
        assert oracles.states_of(result) <= exact
        for state in result.final_states:
            for j in np.flatnonzero(state):
                child = state.copy()
                child[j] = False
                assert child.astype(np.uint8).tobytes() in asked.seen
        if result.certificate.complete == "yes":
            assert oracles.states_of(result) == exact


def test_pruned_children_do_not_make_a_state_final():
    # {0}, {1}, {2} all suffice. One child a state is kept: the whole, then two, then one.
    result = enumerate_final_states(oracles.dnf_predicate([[0], [1], [2]]), 3, Beam(1))
    assert result.final_states.tolist() == [[False, False, True]]
    assert result.certificate.complete == "no"


def test_ties_drop_the_larger_area_then_the_lower_id():
    predicate = oracles.dnf_predicate([[0], [1], [2]])
    by_area = enumerate_final_states(predicate, 3, Beam(1), areas=np.array([0.2, 0.3, 0.5]))
    assert by_area.final_states.tolist() == [[True, False, False]]

    def confident(states):
        return predicate(states), states[:, 1].astype(float)

    by_score = enumerate_final_states(confident, 3, Beam(1), areas=np.array([0.2, 0.3, 0.5]))
    assert by_score.final_states.tolist() == [[False, True, False]]


def test_more_than_one_word():
    terms = [range(0, 100, 9), (3, 65, 129)]
    result = enumerate_final_states(oracles.dnf_predicate(terms), 130, Beam(2, scope="level"))
    assert oracles.dnf_predicate(terms)(result.final_states).all()
    assert {tuple(np.flatnonzero(v)) for v in result.final_states} <= {tuple(t) for t in terms}
    assert len(result.final_states)


@pytest.mark.parametrize("arguments", [{"width": 0}, {"width": 2.0}, {"width": True}, {"scope": "global"}])
def test_bad_arguments(arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        Beam(**arguments)
