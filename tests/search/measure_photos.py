"""Count what the default search asks of real networks about photographs, and add the counts to a file.

    PYTHONPATH=tests python tests/search/measure_photos.py PHOTOS MODELS COUNTS.csv --regions 12 24 40
    PYTHONPATH=tests python tests/search/measure_photos.py PHOTOS MODELS FIRST.csv --regions 24 40 --first

PHOTOS, MODELS, regions and verdicts are as for ``make_photo_tables.py --mean``; the search has what ``explain_image``
leaves it of ``--max-evaluations``, or ends, with ``--first``, once it knows an irreducible set. A line is a photo, a
network and a number of regions: evaluations until the first irreducible set and its size, until the smallest set that
was found and its size, all evaluations, and what is known of the smallest size at the end. Lines that the file has are
not counted again. At the end, all lines are summed up.
"""

import argparse
import csv
from collections.abc import Iterable
from pathlib import Path

import make_photo_tables
import numpy as np
import oracles
import torch
from PIL import Image

from captum_focalogic.errors import SearchInterrupt
from captum_focalogic.examination import shares_of
from captum_focalogic.search import Anytime, enumerate_final_states

IDENTITY = ["photo", "network", "wanted", "regions"]
FIELDS = [*IDENTITY, "first", "first_size", "best", "best_size", "evaluations", "smallest", "lower"]


def count(net: torch.nn.Module, image: torch.Tensor, labels: np.ndarray, budget: int, first: bool) -> dict[str, object]:
    """What one search took."""
    fill = image.mean((1, 2))[:, None, None]
    areas = np.bincount(labels.ravel()) / labels.size

    def answers(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return make_photo_tables.answer(net, image, labels, torch.from_numpy(states), fill, make_photo_tables.HELD)

    watched = oracles.Watched(answers)

    def predicate(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if first and watched.first:
            raise KeyboardInterrupt
        return watched(states)

    share = shares_of(budget, len(areas)).search
    try:
        found = enumerate_final_states(predicate, len(areas), Anytime(), areas=areas, max_evaluations=share).certificate
    except SearchInterrupt as interrupt:
        found = interrupt.found.certificate
    known = watched.first or ("", "")
    row = {"regions": len(areas), "first": known[0], "first_size": known[1], "evaluations": found.evaluations}
    if not first:
        row |= {"best": watched.least[-1][0], "best_size": watched.least[-1][1]}
        row |= {"smallest": found.smallest, "lower": (found.complete_up_to or 0) + 1}
    return row


def summary(rows: Iterable[dict[str, str]]) -> str:
    """A Markdown table, one line a network and a number of regions."""
    groups: dict[tuple[int, str], list[dict[str, str]]] = {}
    for row in rows:
        groups.setdefault((int(row["wanted"]), row["network"]), []).append(row)
    lines = [
        "| regions | network | photos | first irreducible set | its size | within 2M + 60 | within 4M + 60 |"
        " evaluations | smallest size: all, size, open |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (_, network), group in sorted(groups.items()):
        most = np.array([int(row["regions"]) for row in group])
        first = np.array([float(row["first"] or np.inf) for row in group])
        size = np.array([int(row["first_size"] or 0) for row in group])
        spent = np.array([int(row["evaluations"]) for row in group])
        known = [sum(row["smallest"] == status for row in group) for status in ("all", "size", "open")]
        lines.append(
            f"| {most.min()} to {most.max()} | {network} | {len(group)} "
            f"| mean {first.mean():.0f}, median {np.median(first):.0f}, most {first.max():.0f} "
            f"| {size.min()} to {size.max()} | {(first <= 2 * most + 60).sum()} | {(first <= 4 * most + 60).sum()} "
            f"| mean {spent.mean():.0f}, median {np.median(spent):.0f}, most {spent.max()} "
            f"| {', '.join(map(str, known))} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Count, store, sum up."""
    parser = argparse.ArgumentParser(description="Count what the default search asks about photographs.")
    parser.add_argument("photos", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("counts", type=Path)
    parser.add_argument("--regions", type=int, nargs="+", default=[12, 24, 40])
    parser.add_argument("--networks", nargs="+", default=["mobilenet", "lite0"])
    parser.add_argument("--max-evaluations", type=int, default=1_000)
    parser.add_argument("--first", action="store_true", help="end once an irreducible set is known")
    args = parser.parse_args()
    done = list(csv.DictReader(args.counts.open())) if args.counts.exists() else []
    keys = {(row["photo"], row["network"], int(row["wanted"])) for row in done}
    nets = make_photo_tables.networks(args.models, both=True)
    with args.counts.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if not done:
            writer.writeheader()
        for path in sorted([*args.photos.glob("*.jpg"), *args.photos.glob("*.JPEG")]):
            for name, wanted in [(n, r) for n in args.networks for r in args.regions]:
                if (path.stem, name, wanted) in keys:
                    continue
                net, preprocess = nets[name]
                image = preprocess(Image.open(path))
                labels = make_photo_tables.segment(image.permute(1, 2, 0).numpy(), wanted)
                counted = count(net, image, labels, args.max_evaluations, args.first)
                writer.writerow({"photo": path.stem, "network": name, "wanted": wanted, **counted})
                file.flush()
    print(summary(csv.DictReader(args.counts.open())))


if __name__ == "__main__":
    main()
