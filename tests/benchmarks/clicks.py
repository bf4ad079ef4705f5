"""What somebody waits who clicks on a live page while searches run: a real network, asked over HTTP.

    export PYTHONPATH=.:tests
    python tests/benchmarks/clicks.py PHOTO [--network efficientnet-lite0] [--searches 2] [--clicks 200]

Opens a page, lets so many readers search at once (zoomed, and one of them with two models side by side if two are
named), and asks one of the cases about random region sets. Printed are medians, 95 % and the longest, in milliseconds:

- *answer*: from question to answer.
- *wait*: the same without the click's own forward pass; by the clock, and in CPU time of the process (all threads, own
  forward included), which other programs on the machine do not lengthen.
- *batch*: calls of models by searches.
- *begun*: calls of models by searches that began between a click's place in the queue and its own call; there is none.
"""

import argparse
import json
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from visitors import Visitor

from captum_focalogic.classifier import find_classifier
from captum_focalogic.live.cases import Choices, Desk, Picture
from captum_focalogic.live.server import open_page
from captum_focalogic.oracle import Turns


@dataclass
class Log:
    """Calls of models: (by a search, began, ended, rows); and when somebody who clicks stood in line."""

    calls: list[tuple[bool, float, float, int]] = field(default_factory=list)
    came: list[float] = field(default_factory=list)

    def around(self, forward: Any) -> Any:
        def logged(images: Tensor) -> Tensor:
            began = time.perf_counter()
            outputs = forward(images)
            search = threading.current_thread().name.startswith("search ")
            self.calls.append((search, began, time.perf_counter(), len(images)))
            return outputs

        return logged


class Queue(Turns):
    """Turns that tell when somebody urgent came."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    @contextmanager
    def _turn(self, stopped: threading.Event | None) -> Iterator[None]:
        if stopped is None:
            self._log.came.append(time.perf_counter())
        with super()._turn(stopped):
            yield


def measure(photo: Path, networks: Sequence[str], searches: int, clicks: int) -> dict[str, list[float]]:
    """Milliseconds by what they are of."""
    log = Log()
    models = {}
    for name in networks:
        found = find_classifier(name)
        models[name] = replace(found, forward=log.around(found.forward), name=name)
    desk = Desk(Choices(models, {"slic:24": "slic:24"}, ("mean",)))
    desk.turns = Queue(log)
    page = open_page(desk, Picture.of(photo, photo.name)).start()
    visitors = [Visitor(page).enter() for _ in range(searches)]
    found: dict[str, list[float]] = {"answer": [], "wait": [], "CPU": [], "batch": [], "begun": []}
    try:
        settings = {"reading": "irreducible", "max_evaluations": 100_000}
        for number, visitor in enumerate(visitors):
            beside = number == 0 and len(networks) > 1
            moved = visitor.post("/beside", {"model": networks[1]}) if beside else visitor.post("/again", settings)
            visitor.here = f"http://{visitor.host}{moved[1]['location']}"
        time.sleep(5)  # until batches have found their size
        generator = np.random.default_rng(0)
        for _ in range(clicks):
            question = {"states": [(generator.random(_regions(visitors[0])) < 0.5).tolist()]}
            start, place, cpu = time.perf_counter(), len(log.calls), time.process_time()
            status, _ = visitors[0].post("/ask", question)
            end, cpu = time.perf_counter(), time.process_time() - cpu
            assert status == 200
            since = log.calls[place:]
            own = [call for call in since if not call[0]]
            if not own:
                continue  # somebody's search had asked it
            spent = own[0][2] - own[0][1]
            found["answer"].append(1e3 * (end - start))
            found["wait"].append(1e3 * (end - start - spent))
            found["CPU"].append(1e3 * cpu)
            found["begun"].append(sum(call[0] and log.came[-1] <= call[1] < own[0][1] for call in since))
            time.sleep(0.1)
        found["batch"] = [1e3 * (end - began) for search, began, end, _ in log.calls if search]
        searching = json.loads(urllib.request.urlopen(f"{visitors[0].here}/events").readline()[6:])["state"]
        print(f"{len(found['wait'])} clicks; the search is then {searching}; rows of the last batch {log.calls[-1][3]}")
    finally:
        page.stop()
    return found


def _regions(visitor: Visitor) -> int:
    if not hasattr(visitor, "regions"):
        status, said = visitor.post("/ask", {"states": [[]]})
        assert status == 400
        visitor.regions = int(said["error"].split("a list of ")[1].split()[0])  # type: ignore[attr-defined]
    return visitor.regions  # type: ignore[attr-defined, no-any-return]


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("photo", type=Path)
    parser.add_argument("--network", action="append")
    parser.add_argument("--searches", type=int, default=2)
    parser.add_argument("--clicks", type=int, default=200)
    given = parser.parse_args()
    found = measure(given.photo, given.network or ["efficientnet-lite0"], given.searches, given.clicks)
    for name, values in found.items():
        middle, most, longest = np.percentile(values, [50, 95, 100])
        print(f"{name:8}{middle:9.1f}{most:9.1f}{longest:9.1f}")


if __name__ == "__main__":
    main()
