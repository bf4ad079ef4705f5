"""Who waits for whom while models are asked: clicks for one batch of a search at most, whoever searches what."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from torch import Tensor
from visitors import NAMES, lower, picture, quarters

from captum_focalogic.classifier import Classifier
from captum_focalogic.live import cases
from captum_focalogic.live.cases import LONGEST_BATCH, Choices, Desk, Picture, Reader
from captum_focalogic.oracle import Turns


@dataclass(frozen=True)
class Call:
    """One call of a model: who made it, when it began, and how many rows it had."""

    search: bool
    began: float
    rows: int


@dataclass(eq=False)
class Watched:
    """A model that takes its time, and tells of its calls."""

    answers: Any
    calls: list[Call]
    overhead: float
    each: float
    inside: list[int]

    def __call__(self, images: Tensor) -> Tensor:
        # What the page is opened with is no search, and neither is a click.
        search = threading.current_thread().name.startswith("search ")
        self.calls.append(Call(search, time.perf_counter(), len(images)))
        self.inside.append(len(self.inside))
        assert len(self.inside) == 1
        time.sleep(self.overhead + self.each * len(images))
        self.inside.pop()
        return self.answers(images)


class Queue(Turns):
    """Turns that tell when somebody urgent came."""

    def __init__(self, came: list[float]) -> None:
        super().__init__()
        self.came = came

    @contextmanager
    def _turn(self, stopped: threading.Event | None) -> Iterator[None]:
        if stopped is None:
            self.came.append(time.perf_counter())
        with super()._turn(stopped):
            yield


def wait_for(calls: list[Call], number: int) -> None:
    until = time.monotonic() + 60
    while sum(call.search for call in calls) < number and time.monotonic() < until:
        time.sleep(0.002)


def test_a_stop_that_comes_between_two_searches_is_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(Choices({"quarters": Classifier(quarters, labels=NAMES)}, {"grid:2x2": "grid:2x2"}, ("black",)))
    case = desk.open(Picture.of(picture(), "scene.png"), desk.choices.settings({}))

    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cases, "explain_sessions", stopped)
    case.start()
    case.wait()
    assert case.state == "stopped"
    assert case.answer.focus.evaluated.total == 1


@pytest.mark.parametrize(("overhead", "each"), [(0.002, 0.004), (0.03, 0.03), (0.0, 0.2)])
@pytest.mark.parametrize("zoom", [0, 2])
def test_a_click_waits_for_no_batch_that_begins_after_it(overhead: float, each: float, zoom: int) -> None:
    """Two people search with both models side by side, and one of them clicks."""
    calls: list[Call] = []
    came: list[float] = []
    inside: list[int] = []
    models = {
        name: Classifier(Watched(answers, calls, overhead, each, inside), labels=NAMES)
        for name, answers in (("quarters", quarters), ("lower", lower))
    }
    desk = Desk(Choices(models, {"grid:4x4": "grid:4x4"}, ("black",)))
    desk.turns = Queue(came)
    readers = [Reader(), Reader()]
    photo, clicks, begun = Picture.of(picture(), "scene.png"), 12, 0
    chosen = desk.choices.settings({"reading": "irreducible", "max_evaluations": 50_000, "zoom": zoom})
    try:
        opened = [desk.set_beside(desk.open(photo, chosen), "lower") for _ in readers]
        for reader, case in zip(readers, opened, strict=True):
            reader.add(case)
        wait_for(calls, 12)
        generator = np.random.default_rng(0)
        for number in range(clicks):
            # Each model in turn; the searches of both, and of the other reader, go on.
            case = opened[0] if number % 2 else opened[0].beside
            known, called = len(case.model.memory), len(calls)
            while len(case.model.memory) == known:  # until it is something that nobody asked yet
                case.ask([[bool(kept) for kept in generator.random(16) < 0.5]])
            later = [call for call in calls[called:] if call.began >= came[-1]]
            begun += next(place for place, call in enumerate(later) if not call.search)
            wait_for(calls, sum(call.search for call in calls) + 1)
        # A batch may begin while who clicks is on the way to the queue.
        assert begun <= 1
        assert sum(call.search for call in calls) > 12 + clicks
        assert all(call.rows == 1 or overhead + each * call.rows <= LONGEST_BATCH for call in calls if call.search)
        assert len({call.search for call in calls}) == 2
    finally:
        for reader in readers:
            reader.close()
