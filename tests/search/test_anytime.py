"""Anytime against brute force: honest wherever it is stopped, quick to a first set, and in the end exact."""

import contextlib

import numpy as np
import oracles
import photo_tables
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from captum_focalogic.errors import InputError, SearchInterrupt
from captum_focalogic.examination import shares_of
from captum_focalogic.search import Anytime, Ascending, Run, enumerate_final_states
from captum_focalogic.search import states as st

SCORES = ("true", "noisy", "constant", "inverted", "infinite", "none")


def scored(table, kind, seed=0):
    """A score for each entry: how much of the best valid set it holds, or something worse."""
    rng = np.random.default_rng(seed)
    sets = oracles.minimal(table) or {len(table) - 1}
    entries = np.arange(len(table))
    held = np.max([[(int(i) & v).bit_count() / max(1, v.bit_count()) for i in entries] for v in sets], axis=0)
    return {
        "true": held,
        "noisy": held + rng.normal(0, 0.3, len(table)),
        "constant": np.ones(len(table)),
        "inverted": -held,
        "infinite": np.where(rng.random(len(table)) < 0.3, np.inf, np.where(rng.random(len(table)) < 0.3, -np.inf, 0)),
        "none": np.full(len(table), np.nan),
    }[kind].astype(np.float32)


def search(table, kind="none", strategy=None, **budget):
    return oracles.search_table(table, strategy or Anytime(), scored(table, kind), **budget)


def entries_asked(result):
    return {int(i) for i in oracles.entries(result.evaluated.states)}


@given(oracles.tables(8), hs.sampled_from(SCORES), hs.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_smallest_states_exactly(table, kind, seed):
    result, asked = search(table, kind, Anytime(seed=seed))
    assert oracles.states_of(result) == oracles.smallest(table)
    certificate = result.certificate
    assert (certificate.reading, certificate.complete, certificate.irreducible) == ("smallest", "yes", True)
    assert certificate.smallest == ("all" if table[-1] else None)
    assert certificate.evaluations == len(asked.seen)
    assert certificate.stopped is None


def assert_honest(result, table):
    """Everything that the certificate says is so."""
    certificate, asked, found = result.certificate, entries_asked(result), oracles.states_of(result)
    assert bool(found) == bool(table[-1])
    assert certificate.num_states == len(found)
    unfinished = {int(i) for i in oracles.entries(result.final_states[result.unfinished])}
    assert certificate.unfinished == len(unfinished) <= 1
    assert certificate.irreducible == (not unfinished)
    for state in found:
        assert table[state]
        if state not in unfinished:
            assert state in oracles.locally_irreducible(table)
            assert all(state & ~(1 << j) in asked for j in oracles.bits(state))
    sizes = {state.bit_count() for state in found - unfinished}
    assert len(sizes) <= 1
    if unfinished and sizes:
        assert next(iter(unfinished)).bit_count() < min(sizes)
    if not table[-1]:
        return
    least = min(state.bit_count() for state in oracles.smallest(table))
    done = certificate.complete_up_to
    for entry in range(len(table)):
        if entry.bit_count() <= done and entry not in asked:
            assert any(table[v] and v & ~entry == 0 for v in asked)
    assert certificate.least == min(state.bit_count() for state in found)
    if certificate.smallest == "open":
        assert done < least <= certificate.least
        assert certificate.complete == "no"
    elif certificate.smallest == "size":
        assert found <= oracles.smallest(table)
        assert certificate.complete == "no"
    else:
        assert found == oracles.smallest(table)
        assert certificate.complete == "yes"


@given(oracles.tables(6), hs.sampled_from(SCORES))
@settings(max_examples=60, deadline=None)
def test_every_budget_claims_only_what_was_checked(table, kind):
    for budget in range(1, len(table) + 1):
        result, asked = search(table, kind, max_evaluations=budget)
        assert len(asked.seen) == result.certificate.evaluations <= budget
        assert_honest(result, table)
        assert (result.certificate.stopped == "max_evaluations") == (result.certificate.complete == "no")


@given(oracles.tables(6), hs.sampled_from(SCORES), hs.integers(1, 70))
@settings(max_examples=100, deadline=None)
def test_interrupted_at_any_point(table, kind, last):
    num_regions = (len(table) - 1).bit_length()
    score = scored(table, kind)
    run = Run(Anytime(), num_regions)
    for _ in range(last):
        if run.finished:
            break
        states = st.unpack(run.wanted(1), num_regions)
        run.tell(table[oracles.entries(states)], score[oracles.entries(states)])
        known = [v for v in entries_asked_by(run) if table[v]]
        assert (run.best is None) == (not known)
        if known:
            assert table[oracles.entries(run.best[None])[0]]
            assert run.best.sum() == min(v.bit_count() for v in known)
    run.stop("interrupted")
    assert_honest(run.result(), table)


def entries_asked_by(run):
    evaluated = run._record.evaluated()
    return [int(i) for i in oracles.entries(evaluated.states)]


@given(oracles.tables(7), hs.sampled_from(SCORES), hs.integers(1, 100))
@settings(max_examples=30, deadline=None)
def test_the_same_seed_asks_the_same(table, kind, budget):
    first, again = (search(table, kind, Anytime(seed=5), max_evaluations=budget)[1].order for _ in range(2))
    assert first == again


def test_stopped_before_the_whole_image_was_judged():
    run = Run(Anytime(), 4)
    run.stop("interrupted")
    result = run.result()
    assert not len(result.final_states)
    assert (result.certificate.complete, result.certificate.smallest) == ("no", None)


def test_one_evaluation_leaves_the_whole_image_unfinished():
    result = enumerate_final_states(oracles.dnf_predicate([[0, 1]]), 4, Anytime(), max_evaluations=1)
    assert result.final_states.tolist() == [[True] * 4]
    assert result.unfinished.tolist() == [True]
    certificate = result.certificate
    assert (certificate.smallest, certificate.complete_up_to, certificate.least) == ("open", -1, 4)
    assert "between 0 and 4 region(s)" in str(certificate)


SHAPES = [(1, 3, 3), (5, 2, 4), (8, 3, 8), (3, 12, 20), (1, 30, 30), (20, 4, 6)]
"""Number of terms, and their sizes, of random DNFs."""


def random_dnf(num_regions, shape, kind, rng):
    """A predicate with scores."""
    count, low, high = shape
    terms = np.zeros((count, num_regions))
    for term in terms:
        term[rng.choice(num_regions, rng.integers(low, high + 1), replace=False)] = 1
    sizes, weights = terms.sum(axis=1), rng.normal(size=num_regions)

    def predicate(states):
        held = (states @ terms.T / sizes).max(axis=1)
        score = {
            "true": held,
            "noisy": held + 0.2 * np.sin(1000 * (states @ weights)),
            "constant": np.ones(len(states)),
            "inverted": -held,
        }[kind]
        return held >= 1 - 1e-9, score

    return predicate


@pytest.mark.parametrize("kind", ["true", "noisy", "constant", "inverted"])
@pytest.mark.parametrize(("num_regions", "budget"), [(60, 2 * 60 + 60), (200, 2 * 200 + 60)])
def test_a_first_irreducible_set_of_many_regions(num_regions, budget, kind):
    rng = np.random.default_rng(num_regions)
    quick = []
    for shape in SHAPES:
        for _ in range(3):
            predicate = random_dnf(num_regions, shape, kind, rng)
            result = enumerate_final_states(predicate, num_regions, Anytime(), max_evaluations=budget)
            quick.append(not result.unfinished.all())
    assert np.mean(quick) >= 0.9


def test_helpful_scores_find_the_smallest_of_many_regions_where_all_sets_are_beyond_reach():
    rng = np.random.default_rng(3)
    right = []
    for shape in SHAPES:
        state = rng.bit_generator.state
        result = enumerate_final_states(random_dnf(60, shape, "true", rng), 60, Anytime(), max_evaluations=1_000)
        rng.bit_generator.state = state
        count, low, high = shape
        terms = [rng.choice(60, rng.integers(low, high + 1), replace=False) for _ in range(count)]
        right.append(result.certificate.least == min(map(len, terms)))
    assert np.mean(right) >= 0.8


def test_what_is_left_of_a_large_budget_goes_into_the_proof():
    predicate = oracles.dnf_predicate([(0, 7, 29), (11, 12, 13), (3, 4, 20, 21)])
    proved = enumerate_final_states(predicate, 30, Anytime(), max_evaluations=5_000)
    assert (proved.certificate.smallest, proved.certificate.complete) == ("all", "yes")
    assert [tuple(np.flatnonzero(v)) for v in proved.final_states] == [(0, 7, 29), (11, 12, 13)]
    ascending = enumerate_final_states(predicate, 30, Ascending(stop="smallest")).certificate.evaluations
    assert proved.certificate.evaluations <= ascending + 200
    sized = enumerate_final_states(predicate, 30, Anytime(), max_evaluations=800).certificate
    assert (sized.smallest, sized.complete_up_to, sized.least) == ("size", 2, 3)
    assert "further states of that size may be missing" in str(sized)


@pytest.mark.parametrize("kind", ["true", "noisy", "constant", "inverted"])
def test_little_is_asked_of_a_size_that_cannot_be_finished(kind):
    rng = np.random.default_rng(1)
    predicate = random_dnf(40, (1, 5, 5), kind, rng)
    spent = enumerate_final_states(predicate, 40, Anytime(), max_evaluations=700)
    left = enumerate_final_states(predicate, 40, Anytime(), max_evaluations=10_000)
    # All pairs are 780, all triples 9,880: neither budget reaches for the next size.
    for result, done in ((spent, 1), (left, 2)):
        certificate = result.certificate
        assert (certificate.complete_up_to, certificate.smallest, certificate.complete) == (done, "open", "no")
        assert certificate.stopped == "max_evaluations"
        assert "does not reach further" in str(certificate)
        assert certificate.least == 5
    assert spent.certificate.evaluations < 600
    assert left.certificate.evaluations < 3_000


def test_a_size_that_cannot_be_finished_is_asked_as_long_as_it_holds_valid_sets():
    # One of each of three groups is enough.
    groups = np.zeros((30, 3))
    groups[np.arange(14), np.repeat([0, 1, 2], (5, 5, 4))] = 1

    def predicate(states):
        met = (states @ groups > 0).mean(axis=1)
        return met == 1, met

    found = enumerate_final_states(predicate, 30, Anytime(), max_evaluations=2_000)
    assert (found.certificate.smallest, found.certificate.stopped) == ("size", "max_evaluations")
    assert 80 <= len(found.final_states) <= 5 * 5 * 4
    assert found.certificate.evaluations < 1_500


ANSWERS = photo_tables.load("photo_answers")
SEARCHES = photo_tables.searches()
COUNTS = photo_tables.counts()


def watch(name, strategy, labels_only=False):
    table, score, areas = ANSWERS[name]
    scores = np.full_like(score, np.nan) if labels_only else score
    watched = oracles.Watched(lambda states: (table[oracles.entries(states)], scores[oracles.entries(states)]))
    result = enumerate_final_states(watched, len(areas), strategy, areas=areas)
    return watched, result


def test_the_answers_are_of_enough_pairs():
    assert sum(len(areas) >= 8 for _, _, areas in ANSWERS.values()) >= 60
    assert sum(map(photo_tables.for_testing, ANSWERS)) >= 40
    assert sum(len(areas) == 12 for _, _, areas in ANSWERS.values()) >= 5
    for table, score, areas in ANSWERS.values():
        assert len(table) == len(score) == 1 << len(areas)
        assert areas.sum() == pytest.approx(1, abs=1e-5)
        assert table[-1]


@pytest.mark.parametrize("labels_only", [False, True])
def test_photos(labels_only):
    within, first = [], []
    for name in filter(photo_tables.for_testing, ANSWERS):
        table, _, areas = ANSWERS[name]
        watched, result = watch(name, Anytime(), labels_only)
        assert result.certificate.smallest == "all"
        assert oracles.states_of(result) == oracles.smallest(table)
        within.append(watched.least[-1][0] <= 250)
        first.append(watched.first[0] <= 2 * len(areas) + 60)
    assert np.mean(within) >= 0.95
    assert np.mean(first) >= 0.95


def again(name, budget):
    """A search that is put the questions of benchmarks/photos.py; one that was not asked there ends it."""
    states, valid, score, areas = SEARCHES[name]
    known = {int(entry): place for place, entry in enumerate(oracles.entries(states))}

    def answers(asked):
        try:
            places = [known[int(entry)] for entry in oracles.entries(asked)]
        except KeyError:
            raise KeyboardInterrupt from None
        return valid[places], score[places]

    watched = oracles.Watched(answers)
    with contextlib.suppress(SearchInterrupt):
        enumerate_final_states(watched, len(areas), Anytime(), areas=areas, max_evaluations=budget)
    return watched


def test_photos_of_twelve_regions():
    """The smallest size is known by proof; a change of the search may ask what is not stored: then count again."""
    rows = [row for row in COUNTS if row["wanted"] == row["regions"] == "12" and photo_tables.for_testing(row["photo"])]
    assert len(rows) >= 24
    assert {row["network"] for row in rows} == {"mobilenet", "lite0"}
    within = []
    for row in rows:
        watched = again(f"{row['photo']}@{row['network']}@12", shares_of(1_000, 12).search)
        within.append(any(size == int(row["least"]) for asked, size in watched.least if asked <= 250))
        assert watched.least[-1][1] >= int(row["least"])
    assert np.mean(within) >= 0.95


@pytest.mark.parametrize("testing", [True, False], ids=["test", "other"])
@pytest.mark.parametrize("wanted", [24, 40])
def test_first_sets_on_photos_of_more_regions(wanted, testing):
    """As above; the photographs that no setting was chosen on by themselves."""
    rows = [row for row in COUNTS if int(row["wanted"]) == wanted and photo_tables.for_testing(row["photo"]) == testing]
    assert len(rows) >= 7
    first, second = [], []
    for row in rows:
        regions = int(row["regions"])
        watched = again(f"{row['photo']}@{row['network']}@{wanted}", shares_of(1_000, regions).search)
        first.append(watched.first is not None and watched.first[0] <= 2 * regions + 60)
        second.append(watched.first is not None and watched.first[0] <= 4 * regions + 60)
    assert np.mean(first) >= 0.9
    assert all(second)


@pytest.mark.parametrize(("wanted", "fewest"), [(24, 18), (40, 7)])
def test_sizes_on_photos_of_more_regions(wanted, fewest):
    """Beside other strategies, on the photographs on which these were run or cannot have a smaller set."""
    rows = [row for row in COUNTS if int(row["wanted"]) == wanted and row["rivals"]]
    assert len(rows) >= fewest
    small = []
    for row in rows:
        share = shares_of(1_000, int(row["regions"])).search
        watched = again(f"{row['photo']}@{row['network']}@{wanted}", share)
        size = next(size for asked, size in reversed(watched.least) if asked <= 600)
        small.append(photo_tables.apart({**row, "early_size": size}) <= 0)
    assert np.mean(small) >= 0.9


@pytest.mark.parametrize("arguments", [{"width": 0}, {"width": 1.5}, {"seed": -1}, {"seed": True}])
def test_bad_arguments(arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        Anytime(**arguments)
