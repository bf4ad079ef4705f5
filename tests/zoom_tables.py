"""Tables of what ``benchmarks/zooms.py`` measured: how small a part of an image is enough, by method."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "search" / "data"
OURS = "FocaLogic, zoom"
FIELDS = ("photo", "network", "method", "evaluations", "cut", "area", "cut_precision", "precision")
HEADS = (
    "method",
    "evaluations (most)",
    "cut",
    "then shrunk",
    "holds",
    "on the object",
    "FocaLogic's is smaller, as small",
    "smaller by (95 %)",
)
RESAMPLES = 10_000

Pairs = dict[tuple[str, str], dict[str, float]]


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def measured(path: Path) -> dict[str, Pairs]:
    """Method -> (photo, network) -> what was measured, of pairs that all methods have."""
    found: dict[str, Pairs] = defaultdict(dict)
    for row in read(path):
        found[row["method"]][row["photo"], row["network"]] = {name: float(row[name]) for name in FIELDS[3:]}
    shared = set.intersection(*(set(pairs) for pairs in found.values()))
    return {name: {pair: pairs[pair] for pair in sorted(shared)} for name, pairs in found.items()}


def share_least(found: dict[str, Pairs], name: str) -> tuple[float, float]:
    """Shares of pairs on which FocaLogic's area is smaller than a method's, and as small."""
    own, other = (np.array([row["area"] for row in found[each].values()]) for each in (OURS, name))
    return float((own < other).mean()), float((own == other).mean())


def table(path: Path) -> str:
    """Medians by method; on how many pairs FocaLogic's area is smaller, and by how much on average."""
    found = measured(path)
    pairs = sorted(found[OURS])
    photos = sorted({photo for photo, _ in pairs})
    lines = [_line(HEADS), _line(["---"] * len(HEADS))]
    for name, rows in found.items():
        column = {field: np.array([rows[pair][field] for pair in pairs]) for field in FIELDS[3:]}
        larger = [[rows[pair]["area"] - found[OURS][pair]["area"] for pair in pairs if pair[0] == p] for p in photos]
        lines.append(
            _line(
                [
                    name,
                    f"{np.median(column['evaluations']):.0f} ({column['evaluations'].max():.0f})",
                    *(f"{100 * np.median(column[field]):.1f} %" for field in ("cut", "area")),
                    f"{(column['area'] < 1).mean():.2f}",
                    _mean(column["precision"]),
                    "" if name == OURS else ", ".join(f"{share:.2f}" for share in share_least(found, name)),
                    "" if name == OURS else interval(larger),
                ]
            )
        )
    return "\n".join(lines)


def interval(larger: list[list[float]]) -> str:
    """Mean and 95 % interval of differences in area, photos being drawn with all their networks (bootstrap)."""
    means = 100 * np.array([np.mean(values) for values in larger])
    drawn = means[np.random.default_rng(0).integers(len(means), size=(RESAMPLES, len(means)))].mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{means.mean():+.1f} % ({low:+.1f} to {high:+.1f})"


def _mean(values: np.ndarray) -> str:
    known = values[np.isfinite(values)]
    return f"{known.mean():.2f} ({len(known)})" if len(known) else "-"


def _line(cells: "list[str] | tuple[str, ...]") -> str:
    return f"| {' | '.join(cells)} |"
