"""Verdicts of real networks on all region sets of photographs (made by search/make_photo_tables.py)."""

import csv
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "search" / "data"
NETWORKS = {"mobilenet": "MobileNetV2", "lite0": "EfficientNet-Lite0"}
RIVALS = ("growth", "HittingSets", "Chains")


def load(file="photo_tables"):
    """Name -> (truth table (2^M,) bool, score (2^M,) float32, areas (M,)).

    ``photo_tables`` holds ten photographs, black baseline, top-1 unchanged; ``photo_answers`` pairs of a photograph and
    one of two networks, mean colour, top-1 unchanged with at least half of its probability.
    """
    with np.load(DATA / f"{file}.npz") as stored:
        names = sorted({key.split("/")[0] for key in stored.files})
        return {
            name: (
                np.unpackbits(stored[f"{name}/valid"], count=len(stored[f"{name}/score"])).astype(bool),
                stored[f"{name}/score"].astype(np.float32),
                stored[f"{name}/areas"].astype(np.float64),
            )
            for name in names
        }


def for_testing(name):
    """Whether no setting of a search may be chosen on this pair: those of odd ImageNet classes."""
    return int(name[1:9]) % 2 == 1


def searches():
    """Name -> (states (S, M) bool, verdicts (S,), scores (S,), areas (M,)): what the default search asked, and heard.

    Names are photo, network and number of regions asked for; verdicts as of ``photo_answers``.
    """
    with np.load(DATA / "photo_searches.npz") as stored:
        found = {}
        for name in sorted({key.split("/")[0] for key in stored.files}):
            areas, score = stored[f"{name}/areas"].astype(np.float64), stored[f"{name}/score"].astype(np.float32)
            states = np.unpackbits(stored[f"{name}/states"], axis=1, count=len(areas)).astype(bool)
            found[name] = states, np.unpackbits(stored[f"{name}/valid"], count=len(score)).astype(bool), score, areas
        return found


def counts():
    """What the default search took on photographs, one row a photo, network and number of regions."""
    with (DATA / "photo_counts.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def apart(row):
    """Regions that the default search's set of 600 evaluations has more than the best of its rivals."""
    return 0 if row["rivals"] == "proved" else int(row["early_size"]) - min(int(row[name]) for name in RIVALS)


def groups(rows):
    """Number of regions, network, rows of these two."""
    for wanted, network in sorted({(int(row["wanted"]), row["network"]) for row in rows}):
        yield wanted, network, [row for row in rows if (int(row["wanted"]), row["network"]) == (wanted, network)]


def count_tables():
    """First sets, all evaluations, and sizes beside rivals', in Markdown, as the documentation has them."""
    rows = counts()
    first = ["| asked for | network | photos | regions | evaluations: mean, median, most | size | 2M + 60 | 4M + 60 |"]
    first += ["|---|---|---|---|---|---|---|---|"]
    for wanted, network, group in groups(rows):
        asked, size, most = ([int(row[field]) for row in group] for field in ("first", "first_size", "regions"))
        within = [sum(a <= k * m + 60 for a, m in zip(asked, most, strict=True)) for k in (2, 4)]
        first.append(
            f"| {wanted} | {NETWORKS[network]} | {len(group)} | {min(most)} to {max(most)} | {_spread(asked)} "
            f"| {min(size)} to {max(size)} | {within[0]} | {within[1]} |"
        )
    spent = ["| asked for | network | photos | evaluations: mean, median, most | all | size | open |"]
    spent += ["|---|---|---|---|---|---|---|"]
    for wanted, network, group in groups(rows):
        known = [sum(row["smallest"] == status for row in group) for status in ("all", "size", "open")]
        took = _spread([int(row["evaluations"]) for row in group])
        spent.append(f"| {wanted} | {NETWORKS[network]} | {len(group)} | {took} | {' | '.join(map(str, known))} |")
    beside = ["| asked for | network | photos | proved smallest | smaller | as small | larger |"]
    beside += ["|---|---|---|---|---|---|---|"]
    for wanted, network, group in groups([row for row in rows if row["rivals"] and int(row["wanted"]) > 12]):
        more = [apart(row) for row in group if row["rivals"] == "run"]
        sizes = [sum(d < 0 for d in more), sum(d == 0 for d in more), sum(d > 0 for d in more)]
        proved = len(group) - len(more)
        beside.append(f"| {wanted} | {NETWORKS[network]} | {len(group)} | {proved} | {' | '.join(map(str, sizes))} |")
    return ["\n".join(lines) for lines in (first, spent, beside)]


def _spread(values):
    return f"{np.mean(values):.0f}, {np.median(values):.0f}, {max(values)}"
