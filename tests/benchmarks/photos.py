"""Count what the default search asks of real networks about photographs, beside other strategies.

    PYTHONPATH=tests:tests/search python tests/benchmarks/photos.py measure PHOTOS MODELS MEMORY --regions 12 24 40
    PYTHONPATH=tests:tests/search python tests/benchmarks/photos.py measure PHOTOS MODELS MEMORY --regions 24 --rivals
    PYTHONPATH=tests:tests/search python tests/benchmarks/photos.py keep MEMORY
    PYTHONPATH=tests:tests/search python tests/benchmarks/photos.py tables

PHOTOS, MODELS, regions and verdicts are as for ``make_photo_tables.py --mean``. The search has what ``explain_image``
leaves it of 1,000 evaluations. With ``--rivals``, ``Chains``, ``HittingSets`` and a beam of ten that grows from the
empty set have 1,500 each, unless what the search found within 600 is proved to be the smallest size; each ends once it
has a smaller set than that, and the beam where it cannot have one.

MEMORY is a folder with a file for each photograph, network and number of regions, in which all answers are kept: the
strategies share them, so that each set is evaluated once, and what was broken off goes on from there. ``measure`` ends
by itself after ``--seconds``. ``keep`` counts anew from these answers, without photographs or networks, and writes
``photo_counts.csv``, ``photo_searches.npz`` (the answers to what the search asked where rivals ran, too) and
``photo_twelve.npz`` (all answers, where ``measure --tables`` asked every set of 12 regions) into the tests' data;
``tables`` prints the tables of ``docs/search.md`` and ``docs/scale.md``.
"""

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import make_photo_tables
import numpy as np
import oracles
import photo_tables
import torch
from PIL import Image

from captum_focalogic.errors import SearchInterrupt
from captum_focalogic.examination import shares_of
from captum_focalogic.search import Anytime, Chains, HittingSets, enumerate_final_states

Answers = tuple[np.ndarray, np.ndarray]

BUDGET = 1_000
"""Evaluations of ``explain_image``, of which the search has a share."""

EARLY = 600
"""Evaluations after which the size found is held against other strategies'."""

RIVALS = 1_500
"""Evaluations of each of these."""

WIDTH = 10

TABLED = 12
"""Regions of photographs whose every set may be asked."""

STRATEGIES = ("growth", "HittingSets", "Chains")


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
    return row, watched


def needless(row: dict[str, object]) -> bool:
    """Whether no strategy can have a smaller set than was found within 600 evaluations."""
    return row["smallest"] != "open" and row["best_size"] == row["early_size"]


def rivals(memory: Memory, row: dict[str, object]) -> dict[str, object]:
    """Their sizes, or the proved one."""
    if needless(row):
        return {"rivals": "proved"}
    sizes = {name: rival(name, memory, row["early_size"])[0] for name in STRATEGIES}
    return {"rivals": "run", **sizes}


FIELDS = ["photo", "network", "wanted", "regions", "first", "first_size", "early_size", "best", "best_size"]
FIELDS += ["evaluations", "smallest", "lower", "rivals", *STRATEGIES]


def measure(args: argparse.Namespace) -> None:
    """Ask the networks whatever is not known yet, for as long as allowed."""
    end = time.monotonic() + args.seconds
    nets = make_photo_tables.networks(args.models, both="lite0" in args.networks, quick=args.quick)
    args.memory.mkdir(parents=True, exist_ok=True)
    photos = sorted([*args.photos.glob("*.jpg"), *args.photos.glob("*.JPEG")])[:: args.every]
    last = "table" if args.tables else "rivals" if args.rivals else "search"
    for path, name, wanted in [(p, n, r) for p in photos for n in args.networks for r in args.regions]:
        done = args.memory / f"{path.stem}@{name}@{wanted}.{last}"
        if done.exists():
            continue
        net, preprocess = nets[name]
        image = preprocess(Image.open(path))
        labels = make_photo_tables.segment(image.permute(1, 2, 0).numpy(), wanted)
        if args.tables and (labels.max() + 1 != TABLED or not photo_tables.for_testing(path.stem)):
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
            if args.tables:
                memory(make_photo_tables.every_set(TABLED).bool().numpy())
                done.touch()
        except OutOfTime:
            sys.exit("time is over: the same command goes on from here")
        finally:
            if memory.known:
                memory.save()


def keep(args: argparse.Namespace) -> None:
    """Count from the answers of the memory, and store the counts and what the tests ask again."""
    rows, searches, tables = [], {}, {}
    for done in sorted(args.memory.glob("*.search")):
        photo, network, wanted = done.stem.split("@")
        memory = Memory(done.with_suffix(".npz"))
        row, watched = search(memory)
        if done.with_suffix(".rivals").exists():
            row |= rivals(memory, row)
            searches |= _stored(done.stem, memory, asked(watched, len(memory.areas)), states=True)
        if done.with_suffix(".table").exists():
            every = make_photo_tables.every_set(TABLED).bool().numpy()
            tables |= _stored(f"{photo}@{network}", memory, every)
        rows.append({"photo": photo, "network": network, "wanted": int(wanted), **row})
    rows.sort(key=lambda row: (row["wanted"], row["network"], row["photo"]))
    with (photo_tables.DATA / "photo_counts.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    np.savez_compressed(photo_tables.DATA / "photo_searches.npz", **searches)
    np.savez_compressed(photo_tables.DATA / "photo_twelve.npz", **tables)


def asked(watched: oracles.Watched, num_regions: int) -> np.ndarray:
    """The states that a search asked about, (S, M) bool."""
    entries = np.array(list(watched.valid), dtype=np.uint64)
    return ((entries[:, None] >> np.arange(num_regions, dtype=np.uint64)) & np.uint64(1)).astype(bool)


def _stored(name: str, memory: Memory, kept: np.ndarray, *, states: bool = False) -> dict[str, np.ndarray]:
    valid, score = memory(kept)
    found = {"valid": np.packbits(valid), "score": score, "areas": memory.areas.astype(np.float32)}
    if states:
        found["states"] = np.packbits(kept, axis=1)
    return {f"{name}/{part}": values for part, values in found.items()}


def groups(rows: list[dict[str, str]]) -> Iterator[tuple[int, str, list[dict[str, str]]]]:
    """Rows by number of regions and network."""
    for wanted, network in sorted({(int(row["wanted"]), row["network"]) for row in rows}):
        yield wanted, network, [row for row in rows if (int(row["wanted"]), row["network"]) == (wanted, network)]


def tables() -> str:
    """What was counted, in Markdown."""
    rows = photo_tables.counts()
    lines = [
        "| asked for | network | photos | regions | first set: mean, median, most | size | within 2M + 60 | 4M + 60 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for wanted, network, group in groups(rows):
        first, size, most = ([int(row[field]) for row in group] for field in ("first", "first_size", "regions"))
        within = [sum(f <= k * m + 60 for f, m in zip(first, most, strict=True)) for k in (2, 4)]
        lines.append(
            f"| {wanted} | {network} | {len(group)} | {min(most)} to {max(most)} | {np.mean(first):.0f}, "
            f"{np.median(first):.0f}, {max(first)} | {min(size)} to {max(size)} | {within[0]} | {within[1]} |"
        )
    lines += ["", "| asked for | network | photos | evaluations: mean, median, most | all | size | open |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for wanted, network, group in groups(rows):
        spent = [int(row["evaluations"]) for row in group]
        known = [sum(row["smallest"] == status for row in group) for status in ("all", "size", "open")]
        lines.append(
            f"| {wanted} | {network} | {len(group)} | {np.mean(spent):.0f}, {np.median(spent):.0f}, {max(spent)} "
            f"| {' | '.join(map(str, known))} |"
        )
    lines += ["", "| asked for | network | photos | proved by 600 | smaller | as small | larger |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for wanted, network, group in groups([row for row in rows if row["rivals"]]):
        apart = [photo_tables.apart(row) for row in group]
        lines.append(
            f"| {wanted} | {network} | {len(group)} | {sum(row['rivals'] == 'proved' for row in group)} "
            f"| {sum(d < 0 for d in apart)} | {sum(d == 0 for d in apart)} | {sum(d > 0 for d in apart)} |"
        )
    return "\n".join(lines)


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
    asking.add_argument("--rivals", action="store_true", help="run other strategies, too")
    asking.add_argument("--tables", action="store_true", help="ask every set of photographs for testing in 12 regions")
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
        print(tables())


if __name__ == "__main__":
    main()
