"""Time, memory and evaluations of the searches, on formulas and on saved answers of a network.

Run with ``pytest tests/benchmarks/test_search.py -s``; every bar is asserted.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import oracles
import photo_tables
import pytest

from captum_focalogic.search import (
    Anytime,
    Ascending,
    Beam,
    Chains,
    Exhaustive,
    Frugal,
    HittingSets,
    enumerate_final_states,
)

MEASURE = """
import sys, time
from pathlib import Path
import numpy as np
from captum_focalogic.search import Exhaustive, enumerate_final_states

num_regions, terms, max_frontier = int(sys.argv[1]), eval(sys.argv[2]), int(sys.argv[3])

def predicate(states):
    valid = np.zeros(len(states), dtype=bool)
    for term in terms:
        valid |= states[:, term].all(axis=1)
    return valid

start = time.perf_counter()
result = enumerate_final_states(predicate, num_regions, Exhaustive(max_frontier))
took = time.perf_counter() - start
# Not getrusage: its peak includes the parent process that this one was forked from.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(took, int(peak.split()[1]) / 1024, result.certificate.evaluations, len(result.final_states),
      result.certificate.stopped)
"""


def measure(num_regions, terms, max_frontier=1 << 23):
    """Seconds, MiB at the peak, evaluations, final states and reason to stop of one search, in a process of its own."""
    command = [sys.executable, "-c", MEASURE, str(num_regions), repr(terms), str(max_frontier)]
    *numbers, stopped = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return (*map(float, numbers), stopped)


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")


@needs_proc
@pytest.mark.parametrize(("num_regions", "seconds", "mebibytes"), [(20, 1.0, 256), (24, 15.0, 1024)])
@pytest.mark.parametrize("kind", ["singles", "mixed"])
def test_exhaustive_visits_all_sets_in_time_and_memory(num_regions, seconds, mebibytes, kind):
    terms = [[j] for j in range(num_regions)] if kind == "singles" else [[0, 3], [1], [2, 5], [4], [0, num_regions - 1]]
    took, peak, evaluations, found, _ = measure(num_regions, terms)
    print(f"\n{num_regions} regions, {kind}: {evaluations:,.0f} sets in {took:.2f} s, {peak:.0f} MiB at the peak")
    assert evaluations == 2**num_regions
    assert found == len(terms)
    assert took <= seconds
    assert peak <= mebibytes


@needs_proc
@pytest.mark.parametrize(("num_regions", "words"), [(28, 1), (70, 2)])
def test_memory_follows_the_largest_frontier_allowed(num_regions, words):
    max_frontier = 1 << 20
    took, peak, evaluations, found, stopped = measure(num_regions, [[j] for j in range(num_regions)], max_frontier)
    print(f"\n{num_regions} regions: {evaluations:,.0f} sets in {took:.2f} s, {peak:.0f} MiB at the peak")
    assert (found, stopped) == (0, "memory")
    assert peak <= 120 + 100 * words * max_frontier / 2**20


PHOTOS = photo_tables.load()

BRUTE_FORCE = {"irreducible": oracles.irreducible, "minimal": oracles.minimal, "smallest": oracles.smallest}

ON_PHOTOS = [
    # Strategy, most evaluations on all photos together, fewest final states found.
    (Exhaustive(), 25_000, 213),
    (Beam(5), 18_500, 180),
    (Beam(2), 3_300, 40),
    (Beam(5, scope="level"), 2_500, 23),
    (Beam(20, scope="level"), 6_500, 58),
    (Chains(), 16_000, 180),
    (HittingSets(), 1_100, 65),
    (Frugal(), 12_000, 160),
    (Ascending(), 8_500, 161),
    (Ascending(stop="smallest"), 900, 34),
    (Anytime(), 1_100, 34),
]


def search_photo(name, strategy, **budget):
    table, score, areas = PHOTOS[name]
    result = enumerate_final_states(oracles.Asked(table, score), len(areas), strategy, areas=areas, **budget)
    return result.certificate, oracles.states_of(result)


def test_evaluations_and_final_states_on_photos():
    print(f"\n{'strategy':45} {'reading':12} {'evaluations':>11} {'batches':>8} {'found':>10}")
    for strategy, ceiling, floor in ON_PHOTOS:
        certificates, found = zip(*(search_photo(name, strategy) for name in PHOTOS), strict=True)
        exact = [BRUTE_FORCE[strategy.reading](table) for table, _, _ in PHOTOS.values()]
        evaluations = sum(certificate.evaluations for certificate in certificates)
        batches = sum(certificate.batches for certificate in certificates)
        right = sum(len(states & wanted) for states, wanted in zip(found, exact, strict=True))
        of = f"{right}/{sum(map(len, exact))}"
        print(f"{strategy!r:45} {strategy.reading:12} {evaluations:11,} {batches:8,} {of:>10}")
        assert evaluations <= ceiling
        assert right >= floor


def test_final_states_bought_by_small_budgets():
    budgets = (15, 30, 60, 120, 250, 500, 1_000)
    print(f"\n{'strategy':45} " + " ".join(f"{budget:>6,}" for budget in budgets))
    bought = {}
    for strategy, *_ in ON_PHOTOS:
        bought[strategy] = [
            sum(
                len(search_photo(name, strategy, max_evaluations=budget)[1] & BRUTE_FORCE[strategy.reading](table))
                for name, (table, _, _) in PHOTOS.items()
            )
            for budget in budgets
        ]
        print(f"{strategy!r:45} " + " ".join(f"{count:6}" for count in bought[strategy]))
    for strategy, counts in bought.items():
        if strategy.reading == "irreducible":
            assert all(ours >= theirs for ours, theirs in zip(bought[Frugal()][:6], counts, strict=False))


def test_the_readings_agree_on_photos():
    print(f"\n{'photo':14} regions  sets valid  additions that invalidate  irreducible  minimal  smallest")
    formulas = smallest = 0
    for name, (table, _, areas) in PHOTOS.items():
        final = oracles.irreducible(table)
        valid = [int(i) for i in np.flatnonzero(table)]
        added = [table[i | 1 << j] for i in valid for j in range(len(areas)) if not i >> j & 1]
        readings = [len(reading(table)) for reading in BRUTE_FORCE.values()]
        counts = "".join(f"{count:11}" for count in readings)
        print(f"{name:14} {len(areas):7} {table.mean():11.1%} {1 - np.mean(added):26.1%} {counts}")
        absorbed = {v for v in final if not any(other != v and other & ~v == 0 for other in final)}
        formulas += absorbed == oracles.minimal(table)
        least = min(v.bit_count() for v in final)
        smallest += {v for v in final if v.bit_count() == least} == oracles.smallest(table)
    print(f"irreducible, absorbed = minimal: {formulas}/{len(PHOTOS)}; last round = smallest: {smallest}/{len(PHOTOS)}")
    assert formulas >= 9
    assert smallest == len(PHOTOS)


@pytest.mark.parametrize(
    ("strategy", "ceiling"),
    [(Ascending(max_size=3), 4_527), (Ascending(stop="smallest"), 467), (Chains(), 6_000), (HittingSets(), 250)],
    ids=repr,
)
def test_thirty_regions(strategy, ceiling):
    rng = np.random.default_rng(0)
    evaluations = []
    for _ in range(5):
        terms = [rng.choice(30, rng.integers(2, 4), replace=False) for _ in range(5)]
        result = enumerate_final_states(oracles.dnf_predicate(terms), 30, strategy)
        evaluations.append(result.certificate.evaluations)
    print(f"\n{strategy!r}: {np.mean(evaluations):,.0f} evaluations on average, {max(evaluations):,} at most")
    assert max(evaluations) <= ceiling
