"""Urgent callers go first, one call at a time, and what is stopped ends with what it has."""

import threading
import time

import numpy as np
import pytest
import torch
from torch import Tensor

from captum_focalogic.masked_model import MaskedModel
from captum_focalogic.oracle import search
from captum_focalogic.oracle.turns import Turns, my_turn
from captum_focalogic.search import Exhaustive

REGIONS = 10


class Slow:
    """Holds where half of the regions are kept; remembers who asked, and whether two ever asked together."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.inside, self.together = seconds, 0, False
        self.asked: list[tuple[str, int]] = []

    def __call__(self, inputs: Tensor) -> Tensor:
        self.inside += 1
        self.together |= self.inside > 1
        self.asked.append((threading.current_thread().name, len(inputs)))
        time.sleep(self.seconds)
        self.inside -= 1
        return torch.stack([inputs.sum(1), torch.full((len(inputs),), REGIONS / 2 - 0.5)], dim=1)


def masked(model: Slow) -> MaskedModel:
    return MaskedModel(
        model, torch.ones(1, REGIONS), feature_mask=torch.arange(REGIONS)[None], perturbations_per_eval=4
    )


def test_an_urgent_caller_waits_for_one_batch_of_a_search() -> None:
    model, turns = Slow(0.01), Turns()
    one = masked(model)
    threads = [threading.Thread(target=_search, args=(turns, one, threading.Event()), name="search")]
    threads[0].start()
    while len(model.asked) < 5:
        time.sleep(0.001)
    before = len(model.asked)
    state = np.ones((1, REGIONS), dtype=np.bool_)
    state[0, 1::2] = False  # five of ten, which an exhaustive search comes to late
    with turns.urgent():
        assert one.ask(state).valid.tolist() == [True]
    since = [name for name, _ in model.asked[before:]]
    assert "MainThread" in since[:3]
    threads[0].join()
    assert not model.together


def test_a_search_goes_on_when_nobody_urgent_waits_and_stops_with_what_it_has() -> None:
    model, turns, stopped = Slow(0.002), Turns(), threading.Event()
    one, found = masked(model), []
    thread = threading.Thread(target=lambda: found.append(_search(turns, one, stopped)))
    thread.start()
    while len(model.asked) < 20:
        time.sleep(0.001)
    stopped.set()
    thread.join(5)
    assert found[0].certificate.stopped == "interrupted"
    assert 20 <= found[0].evaluated.total < 2**REGIONS


def test_threads_take_turns_and_errors_give_the_turn_back() -> None:
    turns, order = Turns(), []
    started = threading.Barrier(5)

    def ask(urgent: bool) -> None:
        started.wait()
        for _ in range(20):
            with turns.urgent() if urgent else turns.patient(threading.Event()), my_turn():
                order.append(urgent)
                assert len(inside) == 0
                inside.append(urgent)
                inside.pop()

    inside: list[bool] = []
    threads = [threading.Thread(target=ask, args=(number % 2 == 0,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert len(order) == 100
    with pytest.raises(ZeroDivisionError), turns.urgent(), my_turn():
        raise ZeroDivisionError
    with turns.urgent(), my_turn():
        order.append(True)
    with my_turn():  # without turns, nobody waits
        order.append(True)
    assert len(order) == 102


def test_who_has_the_turn_may_take_it_again() -> None:
    with Turns().urgent(), my_turn() as shared, my_turn() as again:
        assert (shared, again) == (True, False)
    with my_turn() as alone:
        assert not alone


def _search(turns: Turns, one: MaskedModel, stopped: threading.Event) -> object:
    with turns.patient(stopped):
        (result,) = search([one], lambda regions, budget: Exhaustive())
    return result
