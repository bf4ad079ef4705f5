"""Verdicts of real networks on all region sets of photographs (made by search/make_photo_tables.py)."""

import csv
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "search" / "data"


def load(file="photo_tables"):
    """Name -> (truth table (2^M,) bool, score (2^M,) float32, areas (M,)).

    ``photo_tables`` holds ten photographs, black baseline, top-1 unchanged; ``photo_answers`` pairs of a photograph and
    one of two networks, mean colour, top-1 unchanged with at least half of its probability; ``photo_twelve`` more of
    these pairs, for testing alone, all of 12 regions (made by benchmarks/photos.py).
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
    if row["rivals"] == "proved":
        return 0
    return int(row["early_size"]) - min(int(row[name]) for name in ("growth", "HittingSets", "Chains"))
