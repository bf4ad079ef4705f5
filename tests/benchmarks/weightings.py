"""Compare weightings of the same answers with each other and with other methods, on photographs and real networks.

    python tests/benchmarks/weightings.py measure PHOTOS OUT.csv [--networks efficientnet-lite0 PATH/mobilenet.py]
                                                  [--truth MASKS] [--others KernelShap LIME ...]
    python tests/benchmarks/weightings.py stored OUT.csv
    python tests/benchmarks/weightings.py tables OUT.csv

PHOTOS is a folder of ``.jpg`` or ``.JPEG`` files. A network is a classifier's name, or a module with ``load()`` and
``preprocess(image)``. MASKS has a ``.png`` by a photo's stem where the object is known, as the networks see it; without
it there is no pointing game.

Every photo is cut by SLIC into 12 regions; dropped ones are black. FocaLogic asks at most 210 times (top1, the smallest
states, ``Anytime``), and every other method as often as FocaLogic did. KernelShap is asked a second time with all 210.
Stability is measured of FocaLogic's weightings and of KernelShap alone, which the rule is about.
Rows are written as they come, pairs of photo and network that the file has are skipped, so a run can be broken off.

``stored`` needs neither photo nor network: it asks the saved answers of two networks to every region set of 42 photos
(4 to 12 regions, mean colour, half of the probability kept; tests/search/data). KernelShap and LIME are Captum's there
too, over regions as features. It has no heat maps, so neither pointing nor partitions.

- *insertion*, *deletion*: area under the target's probability while regions come or go in the method's order.
- *pointing*: whether the highest value lies on the object.
- *seeds*: rank correlation (Spearman) of the regions' weights under two seeds.
- *partitions*: rank correlation of the heat maps, pixel by pixel, with those over neighbouring regions (SLIC with
  another compactness).
"""

import argparse
import csv
import hashlib
import importlib.util
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import photo_tables
import torch
from captum.attr import KernelShap, Lime
from PIL import Image
from scipy.stats import spearmanr
from torch import nn

from captum_focalogic import FocaLogic
from captum_focalogic.classifier import find_classifier
from captum_focalogic.compare.comparison import OTHERS
from captum_focalogic.compare.decision import Decision, counted
from captum_focalogic.compare.measures import curves, pointing_game
from captum_focalogic.criteria import Top1
from captum_focalogic.focus import Focus
from captum_focalogic.search import Anytime, enumerate_final_states
from captum_focalogic.search import states as st
from captum_focalogic.segmenters import Slic
from captum_focalogic.weightings import graded, known_values

BUDGET = 210
REGIONS = 12
NEIGHBOUR = Slic(REGIONS, compactness=30.0)
MEASURES = {"insertion": 1, "deletion": -1, "pointing": 1, "seeds": 1, "partitions": 1}
"""Measures, and whether high or low is good."""

FIELDS = ("photo", "network", "method", "evaluations", *MEASURES)
RESAMPLES = 10_000


def by_size(focus: Focus) -> np.ndarray:
    """The mean over sizes of: mean probability of the asked sets of that size with a region, less of those without it.

    Sizes at which one of the two kinds was not asked are left out. With all sets asked, Shapley values but for a factor
    and a constant.
    """
    states, values = focus.evaluated.states, known_values(focus)
    sizes, gains = states.sum(axis=1), [[] for _ in focus.region_ids]
    for size in np.unique(sizes):
        alike, worth = states[sizes == size], values[sizes == size]
        for column in np.flatnonzero(alike.any(axis=0) & ~alike.all(axis=0)):
            kept = alike[:, column]
            gains[column].append(worth[kept].mean() - worth[~kept].mean())
    return np.array([np.mean(gain) if gain else 0.0 for gain in gains])


def minimal_frequencies(focus: Focus) -> np.ndarray:
    """Share of the minimal ones of all asked valid sets (those that contain no other) that keep a region."""
    minimal = st.absorb(focus.evaluated.packed[focus.evaluated.valid])
    return st.unpack(minimal, focus.num_regions).mean(axis=0)


OWN: dict[str, Callable[[Focus], np.ndarray]] = {
    "graded, halfway": graded,
    "graded, by size": by_size,
    "frequency, minimal": minimal_frequencies,
    "frequency, smallest": lambda focus: focus.frequencies,
}
RIVAL = "KernelShap"
OTHER_RUNS = (RIVAL, f"{RIVAL}, {BUDGET}", "LIME", "RISE", "GradCAM")


class Remembering(nn.Module):
    """A network that computes each image's scores once; gradients go past the memory."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.known: dict[bytes, torch.Tensor] = {}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.requires_grad:
            return self.network(images)
        keys = [hashlib.blake2b(image.contiguous().numpy().tobytes(), digest_size=16).digest() for image in images]
        new = list({key: row for row, key in enumerate(keys) if key not in self.known}.values())
        for rows in torch.tensor(new, dtype=torch.int64).split(8):
            with torch.inference_mode():
                scores = self.network(images[rows].contiguous(memory_format=torch.channels_last))
            self.known |= {keys[row]: score.clone() for row, score in zip(rows.tolist(), scores, strict=True)}
        return torch.stack([self.known[key] for key in keys]).clone()


def load(name: str) -> tuple[str, nn.Module, Callable[[Image.Image], torch.Tensor]]:
    """A network by name or by the path of a module: its name, itself, its preprocessing."""
    if not name.endswith(".py"):
        classifier = find_classifier(name)
        return name, classifier.forward, classifier.preprocess
    spec = importlib.util.spec_from_file_location("network", name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Path(name).stem, module.load(), module.preprocess


def decide(model: nn.Module, image: torch.Tensor, label_map: np.ndarray) -> Decision:
    """The decision about a photo, (1, 3, H, W)."""
    scores = model(image)
    baseline = torch.zeros_like(image)
    return Decision(model, image, baseline, label_map, int(scores.argmax()), scores, Top1(), "logits")


def explained(decision: Decision, seed: int) -> Focus:
    """FocaLogic's focus; its evaluations, ``focus.evaluated.total``, are those the other methods get."""
    explainer = FocaLogic(
        decision.model, outputs="logits", reading="smallest", search=Anytime(seed=seed), max_evaluations=BUDGET
    )
    mask = torch.from_numpy(decision.label_map)[None, None]
    (focus,) = explainer.explain(decision.image, target=decision.target, feature_mask=mask, perturbations_per_eval=8)
    return focus


def answers(
    decision: Decision, seed: int, others: Sequence[str]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, int]]:
    """By method: weights of regions, heat map, evaluations."""
    focus = explained(decision, seed)
    weights = {name: weigh(focus) for name, weigh in OWN.items()}
    maps = {name: decision.spread(weight) for name, weight in weights.items()}
    asked = dict.fromkeys(weights, focus.evaluated.total)
    for name in others:
        method, _, budget = name.partition(", ")
        with counted(decision.model, decision.reference) as (model, counter):
            torch.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            given = replace(decision, model=model, seed=seed, budget=int(budget or focus.evaluated.total))
            found = OTHERS[method].run(given)
        weights[name], maps[name], asked[name] = found.scores, found.heat_map, counter.rows
    return weights, maps, asked


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's; 0 where one of the two ranks nothing."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(spearmanr(one.ravel(), other.ravel()).statistic)


def rows_of(
    model: nn.Module, image: torch.Tensor, truth: np.ndarray | None, others: Sequence[str]
) -> Iterator[dict[str, object]]:
    """What is measured of each method on one photo."""
    decision = decide(model, image, Slic(REGIONS)(image[0]))
    weights, maps, asked = answers(decision, 0, others)
    again, _, _ = answers(decision, 1, (RIVAL,))
    _, beside, _ = answers(decide(model, image, NEIGHBOUR(image[0])), 0, (RIVAL,))
    for name, weight in weights.items():
        insertion, deletion = curves(decision, np.argsort(-weight, kind="stable"))
        yield {
            "method": name,
            "evaluations": asked[name],
            "insertion": insertion,
            "deletion": deletion,
            "pointing": nan if truth is None else pointing_game(maps[name], truth),
            "seeds": correlation(weight, again[name]) if name in again else nan,
            "partitions": correlation(maps[name][::4, ::4], beside[name][::4, ::4]) if name in beside else nan,
        }


def measure(photos: Path, out: Path, networks: list[str], truths: Path | None, others: Sequence[str]) -> None:
    """Write a row for each photo, network and method."""
    loaded = [load(name) for name in networks]
    known = {(row["photo"], row["network"]) for row in read(out)} if out.exists() else set()
    with out.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if not known:
            writer.writeheader()
        for path in sorted([*photos.glob("*.jpg"), *photos.glob("*.JPEG")]):
            mask = None if truths is None else truths / f"{path.stem}.png"
            truth = np.asarray(Image.open(mask)) > 0 if mask is not None and mask.exists() else None
            for name, network, preprocess in loaded:
                if (path.stem, name) in known:
                    continue
                image = preprocess(Image.open(path).convert("RGB"))[None]
                rows = list(rows_of(Remembering(network).eval(), image, truth, others))
                writer.writerows({"photo": path.stem, "network": name, **row} for row in rows)
                file.flush()
                print(path.stem, name, rows[0]["evaluations"], flush=True)


def stored(out: Path) -> None:
    """Write the same rows for the saved answers."""
    with out.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        for pair, (valid, score, areas) in photo_tables.load("photo_answers").items():
            photo, _, network = pair.partition("@")
            probability = score.astype(np.float64)
            (weights, asked), (again, _) = (answers_of_table(valid, score, areas, seed) for seed in (0, 1))
            for name, weight in weights.items():
                insertion, deletion = curves_of_table(probability, areas, np.argsort(-weight, kind="stable"))
                row = {"insertion": insertion, "deletion": deletion, "pointing": nan, "partitions": nan}
                row |= {"method": name, "evaluations": asked[name], "seeds": correlation(weight, again[name])}
                writer.writerow({"photo": photo, "network": network, **row})


def answers_of_table(
    valid: np.ndarray, score: np.ndarray, areas: np.ndarray, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """By method: weights of regions, evaluations."""
    num_regions = len(areas)
    result = enumerate_final_states(
        lambda kept: (valid[numbers(kept)], score[numbers(kept)]),
        num_regions,
        Anytime(seed=seed),
        areas=areas,
        max_evaluations=BUDGET,
    )
    evaluated = replace(result.evaluated, probability=result.evaluated.score)
    focus = Focus(np.arange(num_regions), areas, result.final_states, result.certificate, evaluated)
    weights = {name: weigh(focus) for name, weigh in OWN.items()}
    asked = dict.fromkeys(weights, evaluated.total)
    ones = torch.ones(1, num_regions)
    forward = lambda kept: torch.from_numpy(score[numbers(kept.numpy() > 0)])  # noqa: E731
    for name, kind, budget in (
        (RIVAL, KernelShap, evaluated.total),
        (f"{RIVAL}, {BUDGET}", KernelShap, BUDGET),
        ("LIME", Lime, evaluated.total),
    ):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        # KernelShap asks about the whole and about nothing besides its samples.
        samples = budget - 2 if kind is KernelShap else budget
        found = kind(forward).attribute(ones, n_samples=max(1, samples), perturbations_per_eval=16)
        weights[name], asked[name] = found[0].double().numpy(), budget
    return weights, asked


def numbers(kept: np.ndarray) -> np.ndarray:
    """Rows of a table for states (B, M)."""
    return kept @ (1 << np.arange(kept.shape[1], dtype=np.int64))


def curves_of_table(probability: np.ndarray, areas: np.ndarray, order: np.ndarray) -> tuple[float, float]:
    """As :func:`captum_focalogic.compare.measures.curves`, from a table."""
    added = np.concatenate([[0], np.cumsum(1 << order)])
    share = np.concatenate([[0.0], np.cumsum(areas[order])])
    inserted, deleted = probability[added], probability[len(probability) - 1 - added]
    return float(np.trapezoid(inserted, share)), float(np.trapezoid(deleted, share))


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def tables(path: Path) -> str:
    """Means by method, and by method the difference from KernelShap with its 95 % interval, photos drawn anew."""
    measured: dict[str, dict[tuple[str, str], dict[str, float]]] = defaultdict(dict)
    for row in read(path):
        measured[row["method"]][row["photo"], row["network"]] = {
            name: float(row[name]) for name in ("evaluations", *MEASURES)
        }
    # What was not measured on all pairs has no mean beside the others.
    found = {name: rows for name, rows in measured.items() if rows.keys() == measured[RIVAL].keys()}
    heads = ["method", "evaluations", *MEASURES]
    lines = [_line(heads), _line(["---"] * len(heads))]
    for name, rows in found.items():
        values = {field: np.array([row[field] for row in rows.values()]) for field in ("evaluations", *MEASURES)}
        means = [f"{np.nanmean(values[field]):.3f}" if np.isfinite(values[field]).any() else "-" for field in MEASURES]
        lines.append(_line([name, f"{values['evaluations'].mean():.0f}", *means]))
    lines += ["", _line([f"better than {RIVAL} by", *MEASURES]), _line(["---"] * (1 + len(MEASURES)))]
    photos = sorted({photo for photo, _ in found[RIVAL]})
    for name, rows in found.items():
        if name == RIVAL:
            continue
        cells = []
        for field, sign in MEASURES.items():
            better = [
                [sign * (row[field] - found[RIVAL][pair][field]) for pair, row in rows.items() if pair[0] == photo]
                for photo in photos
            ]
            cells.append(interval(better))
        lines.append(_line([name, *cells]))
    return "\n".join([f"{len(photos)} photos, {len(found[RIVAL])} pairs of photo and network", "", *lines])


def interval(better: list[list[float]]) -> str:
    """Mean and 95 % interval of differences, photos being drawn with all their networks (bootstrap)."""
    means = np.array([np.nanmean(values) for values in better if np.isfinite(values).any()])
    if not len(means):
        return "-"
    drawn = means[np.random.default_rng(0).integers(len(means), size=(RESAMPLES, len(means)))].mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{means.mean():+.3f} ({low:+.3f} to {high:+.3f})"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure, or print the tables of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure")
    measuring.add_argument("photos", type=Path)
    measuring.add_argument("out", type=Path)
    measuring.add_argument("--networks", nargs="+", default=["efficientnet-lite0", "efficientnet-lite2"])
    measuring.add_argument("--truth", type=Path)
    measuring.add_argument("--others", nargs="+", default=list(OTHER_RUNS))
    saved = commands.add_parser("stored")
    saved.add_argument("out", type=Path)
    printing = commands.add_parser("tables")
    printing.add_argument("out", type=Path)
    args = parser.parse_args()
    if args.command == "measure":
        torch.set_num_threads(1)
        measure(args.photos, args.out, args.networks, args.truth, args.others)
    elif args.command == "stored":
        stored(args.out)
    else:
        print(tables(args.out))


if __name__ == "__main__":
    main()
