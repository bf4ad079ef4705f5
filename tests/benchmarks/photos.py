"""Count what the default search asks of real networks about photographs, beside other strategies.

    PYTHONPATH=tests:tests/search python tests/benchmarks/photos.py measure PHOTOS MODELS MEMORY --regions 12 24 40
    PYTHONPATH=tests:tests/search python tests/benchmarks/photos.py measure PHOTOS MODELS MEMORY --regions 24 --rivals
    PYTHONPATH=tests:tests/search python tests/benchmarks/photos.py keep MEMORY
    PYTHONPATH=tests:tests/search python tests/benchmarks/photos.py tables

PHOTOS, MODELS, regions and verdicts are as for ``make_photo_tables.py --mean``. The search has what ``explain_image``
leaves it of 1,000 evaluations. With ``--rivals``, ``Chains``, ``HittingSets`` and a beam of ten that grows from the
empty set have 1,500 each, unless what the search found within 600 is proved to be the smallest size; each ends once it
has a smaller set than that, and the beam where it cannot have one.

Of up to 12 regions the smallest size is proved at any price.

MEMORY is a folder with a file for each photograph, network and number of regions, in which all answers are kept: the
strategies share them, so that each set is evaluated once, and what was broken off goes on from there. ``measure`` ends
by itself after ``--seconds``. ``keep`` counts anew from these answers, without photographs or networks, and writes
``photo_counts.csv`` and ``photo_searches.npz`` (the answers to what the search asked) into the tests' data; ``tables``
prints the tables of ``docs/search.md`` and ``docs/scale.md``.
"""

import argparse
import csv
import sys
import time
from collections.abc import Callable
from pathlib import Path

import make_photo_tables
import numpy as np
import oracles
import photo_tables
import torch
from PIL import Image

from captum_focalogic.errors import SearchInterrupt
from captum_focalogic.examination import shares_of
from captum_focalogic.search import Anytime, Ascending, Chains, HittingSets, enumerate_final_states

Answers = tuple[np.ndarray, np.ndarray]

BUDGET = 1_000
"""Evaluations of ``explain_image``, of which the search has a share."""

EARLY = 600
"""Evaluations after which the size found is held against other strategies'."""

RIVALS = 1_500
"""Evaluations of each of these."""

WIDTH = 10

PROVED = 12
"""Up to so many regions, the smallest size is always proved, whatever that takes."""


class OutOfTime(Exception):
    """The time of this piece is over."""


class Unknown(Exception):
    """A set that no answer is kept of, with no network to ask."""


class Memory:
    """The answers of one network about one photograph in one number of regions."""

    def __init__(self, path: Path, areas: np.ndarray | None = None, ask: Callable | None = None) -> None:
        self.path, self.ask, self.known = path, ask, {}
        if path.exists():
            with np.load(path) as stored:
                self.areas = stored["areas"].astype(np.float64)
                packed = stored["states"]
                rows = zip(map(bytes, packed), stored["valid"], stored["score"], strict=True)
                self.known = {row: (bool(valid), score) for row, valid, score in rows}
        else:
            self.areas = areas

    def __call__(self, states: np.ndarray) -> Answers:
        packed = list(map(bytes, np.packbits(states, axis=1)))
        new = [row for row, key in enumerate(packed) if key not in self.known]
        if new:
            if self.ask is None:
                raise Unknown(self.path.stem)
            for part in range(0, len(new), make_photo_tables.BATCH):
                rows = new[part : part + make_photo_tables.BATCH]
                valid, score = self.ask(states[rows])
                self.known |= {packed[row]: (bool(v), s) for row, v, s in zip(rows, valid, score, strict=True)}
        valid, score = zip(*(self.known[key] for key in packed), strict=True)
        return np.array(valid), np.array(score, dtype=np.float16)

    def save(self) -> None:
        """Write what is known; the file is replaced at once."""
        states = np.array([list(key) for key in self.known], dtype=np.uint8)
        valid, score = (np.array(values) for values in zip(*self.known.values(), strict=True))
        partial = self.path.with_suffix(".part.npz")
        np.savez_compressed(partial, areas=self.areas, states=states, valid=valid, score=score.astype(np.float16))
        partial.replace(self.path)


def grow(predicate: Callable, num_regions: int, most: int) -> None:
    """From the empty set, a region at a time, the ten sets of the highest score kept, until one is valid."""
    level, asked = np.zeros((1, num_regions), dtype=bool), 0
    for _ in range(most):
        grown = level[:, None] | np.eye(num_regions, dtype=bool)
        grown = np.unique(grown[grown.sum(axis=2) > level.sum(axis=1)[:, None]], axis=0)[: RIVALS - asked]
        if not len(grown):
            return
        valid, score = predicate(grown)
        asked += len(grown)
        if valid.any():
            return
        level = grown[np.argsort(-score.astype(np.float32), kind="stable")[:WIDTH]]


def early_size(watched: oracles.Watched) -> int:
    """The smallest size within the first 600 evaluations."""
    return next(size for asked, size in reversed(watched.least) if asked <= EARLY)


def rival(name: str, memory: Memory, size: int) -> tuple[int, int]:
    """The smallest size that a strategy finds, and after how many evaluations; it ends below ``size``."""
    watched = oracles.Watched(memory)

    def predicate(states: np.ndarray) -> Answers:
        if watched.least and watched.least[-1][1] < size:
            raise KeyboardInterrupt
        return watched(states)

    num_regions = len(memory.areas)
    strategies = {"HittingSets": HittingSets(), "Chains": Chains()}
    try:
        if name == "growth":
            grow(predicate, num_regions, size - 1)
        else:
            enumerate_final_states(predicate, num_regions, strategies[name], areas=memory.areas, max_evaluations=RIVALS)
    except (SearchInterrupt, KeyboardInterrupt):
        pass
    return watched.least[-1][::-1] if watched.least else (num_regions, len(watched.valid))


def search(memory: Memory) -> tuple[dict[str, object], oracles.Watched]:
    """What the default search takes, and finds."""
    watched = oracles.Watched(memory)
    share = shares_of(BUDGET, len(memory.areas)).search
    run = enumerate_final_states(watched, len(memory.areas), Anytime(), areas=memory.areas, max_evaluations=share)
    found = run.certificate
    first, size = watched.first or ("", "")
    row = {"regions": len(memory.areas), "first": first, "first_size": size, "early_size": early_size(watched)}
    row |= {"best": watched.least[-1][0], "best_size": watched.least[-1][1], "evaluations": found.evaluations}
    row |= {"smallest": found.smallest, "lower": found.complete_up_to + 1}
    if found.smallest != "open":
        row["least"] = row["best_size"]
    elif len(memory.areas) <= PROVED:
        proof = enumerate_final_states(memory, len(memory.areas), Ascending(stop="smallest"))
        row["least"] = int(proof.final_states[0].sum())
    return row, watched


def needless(row: dict[str, object]) -> bool:
    """Whether no strategy can have a smaller set than was found within 600 evaluations."""
    return row["smallest"] != "open" and row["best_size"] == row["early_size"]


def rivals(memory: Memory, row: dict[str, object]) -> dict[str, object]:
    """Their sizes, or the proved one."""
    if needless(row):
        return {"rivals": "proved"}
    sizes = {name: rival(name, memory, row["early_size"])[0] for name in photo_tables.RIVALS}
    return {"rivals": "run", **sizes}


FIELDS = ["photo", "network", "wanted", "regions", "first", "first_size", "early_size", "best", "best_size"]
FIELDS += ["evaluations", "smallest", "lower", "least", "rivals", *photo_tables.RIVALS]


def cut(path: Path, image: torch.Tensor, wanted: int) -> np.ndarray:
    """The regions of an image, from a file if they were cut before."""
    if not path.exists():
        np.save(path, make_photo_tables.segment(image.permute(1, 2, 0).numpy(), wanted).astype(np.uint8))
    return np.load(path).astype(np.int64)


def measure(args: argparse.Namespace) -> None:
    """Ask the networks whatever is not known yet, for as long as allowed."""
    end = time.monotonic() + args.seconds
    if args.cut:
        own = make_photo_tables.EfficientNetLite0.preprocess
        nets = {"mobilenet": (None, make_photo_tables.module_of(args.models).preprocess), "lite0": (None, own)}
    else:
        nets = make_photo_tables.networks(args.models, both="lite0" in args.networks, quick=args.quick)
    args.memory.mkdir(parents=True, exist_ok=True)
    photos = sorted([*args.photos.glob("*.jpg"), *args.photos.glob("*.JPEG")])[:: args.every]
    if args.testing:
        photos = [path for path in photos if photo_tables.for_testing(path.stem)]
    last = "rivals" if args.rivals else "search"
    for path, name, wanted in [(p, n, r) for p in photos for n in args.networks for r in args.regions]:
        done = args.memory / f"{path.stem}@{name}@{wanted}.{last}"
        if done.exists():
            continue
        net, preprocess = nets[name]
        image = preprocess(Image.open(path))
        labels = cut(args.memory / f"{path.stem}@{name}@{wanted}.npy", image, wanted)
        if net is None or (args.exact and labels.max() + 1 != wanted):
            continue
        fill, areas = image.mean((1, 2))[:, None, None], np.bincount(labels.ravel()) / labels.size

        def ask(states: np.ndarray, net=net, image=image, labels=labels, fill=fill) -> Answers:
            if time.monotonic() > end:
                raise OutOfTime
            return make_photo_tables.answer(net, image, labels, torch.from_numpy(states), fill, make_photo_tables.HELD)

        memory = Memory(args.memory / f"{path.stem}@{name}@{wanted}.npz", areas, ask)
        try:
            row, _ = search(memory)
            done.with_suffix(".search").touch()
            print(path.stem, name, row, flush=True)
            if args.rivals:
                print(rivals(memory, row), len(memory.known), flush=True)
                done.touch()
        except OutOfTime:
            sys.exit("time is over: the same command goes on from here")
        finally:
            if memory.known:
                memory.save()


def keep(args: argparse.Namespace) -> None:
    """Count from the answers of the memory, and store the counts and what the tests ask again."""
    rows, searches = [], {}
    for done in sorted(args.memory.glob("*.search")):
        photo, network, wanted = done.stem.split("@")
        memory = Memory(done.with_suffix(".npz"))
        try:
            row, watched = search(memory)
            if needless(row) or done.with_suffix(".rivals").exists():
                row |= rivals(memory, row)
        except Unknown:
            print(f"{done.stem} asks something else since it was measured: measure again")
            done.unlink()
            continue
        searches[done.stem] = _asked(memory, watched)
        rows.append({"photo": photo, "network": network, "wanted": int(wanted), **row})
    rows.sort(key=lambda row: (row["wanted"], row["network"], row["photo"]))
    with (photo_tables.DATA / "photo_counts.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    photo_tables.store_searches(searches)


def _asked(memory: Memory, watched: oracles.Watched) -> tuple[np.ndarray, ...]:
    """What a search asked, and heard."""
    entries = np.array(list(watched.valid), dtype=np.uint64)
    places = np.arange(len(memory.areas), dtype=np.uint64)
    states = ((entries[:, None] >> places) & np.uint64(1)).astype(bool)
    return states, *memory(states), memory.areas


def main() -> None:
    """Measure, keep, or print."""
    parser = argparse.ArgumentParser(description="Count what the default search asks about photographs.")
    parts = parser.add_subparsers(dest="part", required=True)
    asking = parts.add_parser("measure")
    asking.add_argument("photos", type=Path)
    asking.add_argument("models", type=Path)
    asking.add_argument("memory", type=Path)
    asking.add_argument("--regions", type=int, nargs="+", default=[12, 24, 40])
    asking.add_argument("--networks", nargs="+", default=["mobilenet", "lite0"])
    asking.add_argument("--every", type=int, default=1, help="take every so manieth photograph")
    asking.add_argument("--testing", action="store_true", help="photographs that no setting was chosen on")
    asking.add_argument("--exact", action="store_true", help="those that have exactly as many regions as asked for")
    asking.add_argument("--rivals", action="store_true", help="run other strategies, too")
    asking.add_argument("--cut", action="store_true", help="only cut the photographs, ask nothing")
    asking.add_argument("--quick", action="store_true", help="ask through ONNX Runtime")
    asking.add_argument("--seconds", type=float, default=float("inf"))
    parts.add_parser("keep").add_argument("memory", type=Path)
    parts.add_parser("tables")
    args = parser.parse_args()
    if args.part == "measure":
        measure(args)
    elif args.part == "keep":
        keep(args)
    else:
        print("\n\n".join(photo_tables.count_tables()))


if __name__ == "__main__":
    main()
