"""Time, memory and evaluations of the searches, without a model.

Run with ``pytest tests/benchmarks/test_search.py -s``; every bar is asserted.
"""

import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = """
import sys, time
from pathlib import Path
import numpy as np
from captum_focalogic.search import Exhaustive, enumerate_final_states

num_regions, terms = int(sys.argv[1]), eval(sys.argv[2])

def predicate(states):
    valid = np.zeros(len(states), dtype=bool)
    for term in terms:
        valid |= states[:, term].all(axis=1)
    return valid

start = time.perf_counter()
result = enumerate_final_states(predicate, num_regions, Exhaustive())
took = time.perf_counter() - start
# Not getrusage: its peak includes the parent process that this one was forked from.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(took, int(peak.split()[1]) / 1024, result.certificate.evaluations, len(result.final_states))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize(("num_regions", "seconds", "mebibytes"), [(20, 1.0, 256), (24, 15.0, 1024)])
@pytest.mark.parametrize("kind", ["singles", "mixed"])
def test_exhaustive_visits_all_sets_in_time_and_memory(num_regions, seconds, mebibytes, kind):
    terms = [[j] for j in range(num_regions)] if kind == "singles" else [[0, 3], [1], [2, 5], [4], [0, num_regions - 1]]
    asked = [sys.executable, "-c", MEASURE, str(num_regions), repr(terms)]
    took, peak, evaluations, found = map(
        float, subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()
    )
    print(f"\n{num_regions} regions, {kind}: {evaluations:,.0f} sets in {took:.2f} s, {peak:.0f} MiB at the peak")
    assert evaluations == 2**num_regions
    assert found == len(terms)
    assert took <= seconds
    assert peak <= mebibytes
