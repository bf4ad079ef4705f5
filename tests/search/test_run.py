"""The driver of a search: what it hands out and takes, and when it ends."""

import subprocess
import sys
import time

import numpy as np
import oracles
import pytest

from captum_focalogic.errors import InputError
from captum_focalogic.search import Ascending, Beam, Chains, Exhaustive, Frugal, Run
from captum_focalogic.search import states as st
from captum_focalogic.search.run import Outcome


def answer(run, batch):
    run.tell(oracles.dnf_predicate([[0], [1, 2]])(st.unpack(batch, run.num_regions)))


def test_nothing_is_handed_out_beyond_the_budget_even_while_answers_are_due():
    run = Run(Exhaustive(), 4, max_evaluations=4)
    answer(run, run.wanted())
    first, second = run.wanted(2), run.wanted(5)
    assert (len(first), len(second), len(run.wanted())) == (2, 1, 0)
    assert not run.finished
    answer(run, first)
    assert not run.finished
    answer(run, second)
    assert len(run.wanted()) == 0
    assert run.finished
    assert run.result().certificate.stopped == "max_evaluations"
    assert run.evaluations == 4


def test_a_time_limit_waits_for_answers_that_are_due_and_hands_out_no_more():
    run = Run(Exhaustive(), 4, time_limit=0.02)
    answer(run, run.wanted())
    due = run.wanted(2)
    time.sleep(0.03)
    assert len(run.wanted()) == 0
    assert not run.finished
    answer(run, due)
    assert len(run.wanted()) == 0
    assert run.finished
    assert run.result().certificate.stopped == "time_limit"
    assert run.evaluations == 3


def test_answers_after_a_stop_are_ignored():
    run = Run(Ascending(), 4)
    answer(run, run.wanted())
    due = run.wanted()
    run.stop("interrupted")
    answer(run, due)
    assert run.evaluations == 1
    assert run.result().certificate.stopped == "interrupted"


def test_there_is_no_result_before_the_end():
    with pytest.raises(RuntimeError, match="not ended"):
        Run(Exhaustive(), 4).result()


def test_one_result_however_often_it_is_asked_for():
    run = Run(Exhaustive(), 1, start=(False, 0.0))
    assert run.finished
    assert run.result() is run.result()


class Stubborn:
    """A strategy that breaks the rules."""

    reading = "irreducible"
    never_repeats = False

    def search(self, problem):
        while True:
            try:
                yield st.full(problem.num_regions)
                return Outcome(st.empty(problem.num_regions), irreducible=True, complete="no")
            except Exception:
                continue


def test_a_strategy_that_goes_on_after_the_stop_is_named():
    with pytest.raises(RuntimeError, match="Stubborn"):
        Run(Stubborn(), 4).stop("interrupted")


def test_the_order_of_final_states_is_by_size_then_by_column():
    run = Run(Exhaustive(), 4)
    predicate = oracles.dnf_predicate([[3], [1, 2], [0, 2], [0, 1]])
    while not run.finished:
        batch = run.wanted()
        if len(batch):
            run.tell(predicate(st.unpack(batch, 4)))
    assert run.result().final_states.astype(int).tolist() == [[0, 0, 0, 1], [1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0]]


def test_searching_loads_no_torch():
    code = (
        "import sys, numpy as np; from captum_focalogic.search import *\n"
        "for s in (Exhaustive(), Chains(), HittingSets(), Frugal(), Ascending(), Beam()):\n"
        "    enumerate_final_states(lambda v: v[:, 0], 5, s)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_scores_are_kept_with_the_verdicts():
    run = Run(Exhaustive(), 2, start=(True, 0.75))
    batch = run.wanted()
    assert st.unpack(batch, 2).tolist() == [[True, False], [False, True]]
    run.tell(np.array([False, False]), np.array([0.25, 0.5], dtype=np.float32))
    evaluated = run.result().evaluated
    assert evaluated.score.tolist() == [0.75, 0.25, 0.5]
    assert evaluated.states.tolist() == [[True, True], [True, False], [False, True]]


@pytest.mark.parametrize(
    ("strategy", "setting", "values"),
    [
        (Chains, "max_unseen", [0, 1, -0.1, float("nan"), "0.1", None]),
        (Frugal, "max_unseen", [0, 1, float("nan"), "0.1"]),
        (Chains, "seed", [-1, 0.5, None]),
        (Frugal, "seed", [-1, "1"]),
        (Chains, "width", [0, True]),
        (Beam, "width", [0, 2.5, True, "5"]),
        (Exhaustive, "max_frontier", [0, 1e6]),
        (Ascending, "max_size", [-1, 2.0, False]),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(strategy, setting, values):
    for value in values:
        with pytest.raises(InputError, match=setting) as raised:
            strategy(**{setting: value})
        assert repr(value) in str(raised.value)


def test_settings_as_numbers_of_numpy_are_taken():
    assert Beam(np.int64(3)).width == 3
    assert Chains(np.float32(0.5), seed=np.uint8(2)).seed == 2
    assert Ascending(max_size=np.int32(0)).max_size == 0
