"""Every strategy on what a real network answered, against brute force."""

import oracles
import photo_tables
import pytest

from captum_focalogic.search import Ascending, Beam, Chains, Exhaustive, Frugal, HittingSets, enumerate_final_states

TABLES = photo_tables.load()


def search(name, strategy):
    table, score, areas = TABLES[name]
    return enumerate_final_states(oracles.Asked(table, score), len(areas), strategy, areas=areas)


def test_the_tables_are_of_ten_photos():
    assert len(TABLES) == 10
    for table, score, areas in TABLES.values():
        assert len(table) == len(score) == 1 << len(areas)
        assert len(areas) <= 12
        assert areas.sum() == pytest.approx(1)
        assert table[-1]
        assert 0 < table.mean() < 1
        # A valid set has the largest of 1,000 probabilities.
        assert score[table].min() > 1e-3


@pytest.mark.parametrize("name", TABLES)
def test_exhaustive(name):
    table, score, _ = TABLES[name]
    result = search(name, Exhaustive())
    assert oracles.states_of(result) == oracles.irreducible(table)
    assert (result.evaluated.score == score[oracles.entries(result.evaluated.states)]).all()


@pytest.mark.parametrize("name", TABLES)
def test_ascending(name):
    table = TABLES[name][0]
    assert oracles.states_of(search(name, Ascending())) == oracles.minimal(table)
    assert oracles.states_of(search(name, Ascending(stop="smallest"))) == oracles.smallest(table)


@pytest.mark.parametrize("strategy", [Beam(5), Beam(2), Beam(5, scope="level"), Chains()], ids=repr)
@pytest.mark.parametrize("name", TABLES)
def test_beams_and_chains_find_irreducible_states(name, strategy):
    table = TABLES[name][0]
    exact = oracles.irreducible(table)
    result = search(name, strategy)
    found = oracles.states_of(result)
    assert found
    assert found <= exact
    assert result.certificate.reached
    if result.certificate.complete == "yes":
        assert found == exact


@pytest.mark.parametrize("strategy", [HittingSets(), Frugal()], ids=repr)
@pytest.mark.parametrize("name", TABLES)
def test_hitting_sets_find_irreducible_states_and_say_when_they_may_miss_some(name, strategy):
    table = TABLES[name][0]
    result = search(name, strategy)
    found = oracles.states_of(result)
    assert found
    assert found <= oracles.locally_irreducible(table)
    if found != oracles.irreducible(table):
        assert result.certificate.complete in ("no", "if monotone", "bound")


def test_the_smallest_states_cost_a_fraction_of_the_descent():
    descent = sum(search(name, Exhaustive()).certificate.evaluations for name in TABLES)
    smallest = sum(search(name, Ascending(stop="smallest")).certificate.evaluations for name in TABLES)
    minimal = sum(search(name, Ascending()).certificate.evaluations for name in TABLES)
    assert 4 * smallest <= descent
    assert minimal <= descent
