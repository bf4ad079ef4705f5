"""Does it matter how regions are removed? Black, mean colour, blur and left-out tokens, on scenes and on photographs.

    python tests/benchmarks/removals.py train WEIGHTS.pt [--taught whole|filled|both] [--steps 3000] [--seconds 400]
    python tests/benchmarks/removals.py scenes OUT.csv --weights WEIGHTS.pt ... [--count 60]
    python tests/benchmarks/removals.py photos PHOTOS OUT.csv --networks efficientnet-lite0 PATH/mobilenet.py
                                               [--masks MASKS] [--count 12]
    python tests/benchmarks/removals.py tables OUT.csv

``train`` makes a small vision transformer (timm's, patches of 8 pixels) for the embedded scenes; broken off, it goes on
from WEIGHTS.pt, and from WEIGHTS.scenes, which holds the drawn scenes. Beside the class of the image, each patch learns
which of the rules' objects it belongs to, without which it would take hours. *whole*: it sees whole scenes only, as
networks elsewhere do. *filled*: four of five scenes have lost regions to a fill (black, mean, blur, ...) and count as
what is left. *both*: half of these have lost them as tokens. The networks of ``scenes`` are asked about regions of
whole patches under every removal, so that all are asked the same question; only scenes that have an object and are
called right count.

PHOTOS is a folder of ``.jpg`` or ``.JPEG`` files, a network a classifier's name or a module with ``load()`` and
``preprocess(image)``, MASKS a folder with a ``.png`` by a photo's stem where the object is known, cut as the networks
see it, at any size. Rows are written as they come; what the file has is not asked again.

- *proved*: share of the images on which no set is smaller. *size*: regions of the smallest sets found.
- *precision*, *recall*: of these sets, by area, against the object.
- *rule*: the smallest sets found are exactly those of the scene's rule. *one*: one of them is one of the rule's.
- *sound*, *covers*: P(model | formula) and P(formula | model) on random region sets; *constant*: what "always" reaches.
- *holds with*: share of the smallest sets that keep the answer under another removal too.
"""

import argparse
import csv
import importlib.util
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import cos, pi
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from captum_focalogic import MaskedModel
from captum_focalogic.classifier import Classifier, find_classifier
from captum_focalogic.cli.allocator import keep_freed_memory
from captum_focalogic.demo.batches import SceneSet, occlude
from captum_focalogic.demo.rules import CLASS_NAMES, RULE_KINDS, RULES
from captum_focalogic.demo.scenes import draw_scene
from captum_focalogic.demo.train import FIRST_TRAINING_SEED
from captum_focalogic.focus import Focus
from captum_focalogic.ground_truth import as_ground_truth, match_regions
from captum_focalogic.integrations.vision_transformers import TokenRemoval
from captum_focalogic.metrics import focus_precision, focus_recall
from captum_focalogic.oracle import search
from captum_focalogic.regions import snap_to_patches
from captum_focalogic.search.strategies import strategy_for
from captum_focalogic.trust import draw_sample, measure

CRITERION = "top1+0.5"
FILLS = ("black", "mean", "blur")
MEASURES = ("size", "precision", "recall", "rule", "one", "sound", "covers", "constant")
REMOVALS = (*FILLS, "tokens")
FIELDS = (
    "image",
    "network",
    "removal",
    "regions",
    "evaluations",
    "smallest",
    *MEASURES,
    *(f"with {name}" for name in REMOVALS),
)
NAN = float("nan")
WIDTH = 48
"""Of the transformer."""


# --- a transformer whose rule is known


def transformer() -> nn.Module:
    """A vision transformer of 55 thousand weights for scenes of 96 pixels."""
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=96, patch_size=8, embed_dim=WIDTH, depth=2, num_heads=4, mlp_ratio=2, num_classes=len(CLASS_NAMES)
    )


class Taught(nn.Module):
    """The transformer with a second head that says of each patch which object it belongs to; 0 is none of a rule."""

    def __init__(self) -> None:
        super().__init__()
        self.vit = transformer()
        self.objects = nn.Linear(WIDTH, 1 + len(RULE_KINDS))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Class scores; the tokens behind them are kept for the other head."""
        self.tokens = self.vit.forward_features(images * 2 - 1)
        return self.vit.forward_head(self.tokens)


class Scored(nn.Module):
    """What is left of it once it is trained."""

    def __init__(self, vit: nn.Module) -> None:
        super().__init__()
        self.vit = vit

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Class scores of images in [0, 1]."""
        return self.vit(images * 2 - 1)


@dataclass(frozen=True)
class Lesson:
    """A step of training: images, their classes and those of their patches."""

    images: torch.Tensor
    kept: torch.Tensor | None
    classes: torch.Tensor
    patches: torch.Tensor


def lessons(scenes: SceneSet, taught: str, seed: int, size: int) -> Lesson:
    """The lesson of one step, the same for each seed."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(scenes), (size,), generator=generator)
    images, regions = scenes.images[rows].float() / 255, scenes.regions[rows].long()
    if torch.rand(1, generator=generator) < 0.5:
        images, regions = images.flip(3), regions.flip(2)
    state = torch.ones(size, scenes.kinds.shape[1], dtype=torch.bool)
    if taught != "whole":
        share = 0.2 + 0.75 * torch.rand(size, 1, generator=generator)
        whole = torch.rand(size, 1, generator=generator) < 0.2
        state = whole | (torch.rand(state.shape, generator=generator) < share)
    kinds = torch.from_numpy(np.where(state.numpy(), scenes.kinds[rows.numpy()], -1)) + 1
    classes = torch.from_numpy(scenes.labels_of(rows.numpy(), state.numpy()))
    patches = kinds.gather(1, regions[:, 4::8, 4::8].flatten(1) - 1)
    if taught == "both" and seed % 2:
        return Lesson(images, state.gather(1, regions.flatten(1) - 1).view(regions.shape), classes, patches)
    return Lesson(occlude(images, regions, state, generator), None, classes, patches)


def _loss(model: Taught, lesson: Lesson) -> torch.Tensor:
    if lesson.kept is None:
        scores = model(lesson.images)
        told = model.objects(model.tokens[:, 1:]).flatten(0, 1)
        dense = functional.cross_entropy(told, lesson.patches.flatten())
        return functional.cross_entropy(scores, lesson.classes) + dense
    scores = TokenRemoval(model, model.vit).forward_masked(lesson.images, lesson.kept)
    return functional.cross_entropy(scores, lesson.classes)


def train(out: Path, taught: str, steps: int, seconds: float, scenes: int, batch: int = 32, rate: float = 3e-3) -> None:
    """Train until all steps are made or the time is over; what was done is in the file."""
    start = time.monotonic()
    model = Taught()
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.02, betas=(0.9, 0.98))
    done = 0
    if out.exists():
        stored = torch.load(out, weights_only=True)
        model.load_state_dict(stored["model"])
        optimiser.load_state_dict(stored["optimiser"])
        done = stored["step"]
    drawn = _drawn(out.with_suffix(".scenes"), scenes)
    print(f"{time.monotonic() - start:.0f} s for {scenes} scenes; {done} steps are done", flush=True)
    losses: list[float] = []
    while done < steps and time.monotonic() - start < seconds:
        warmth = min(1.0, (done + 1) / 200) * 0.5 * (1 + cos(pi * done / steps))
        for group in optimiser.param_groups:
            group["lr"] = rate * warmth
        loss = _loss(model, lessons(drawn, taught, done, batch))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
        done += 1
        if done % 100 == 0:
            print(done, f"{np.mean(losses[-100:]):.3f} {time.monotonic() - start:.0f} s", flush=True)
    torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": done, "taught": taught}, out)
    print(f"{done} steps; right on {accuracy(Scored(model.vit).eval()):.3f} of 300 fresh scenes", flush=True)


def _drawn(path: Path, count: int) -> SceneSet:
    """Scenes in regions of whole patches, drawn once."""
    if path.exists():
        stored = torch.load(path, weights_only=True)
        return SceneSet(stored["images"], stored["regions"], stored["kinds"].numpy(), stored["labels"].numpy())
    drawn = SceneSet.from_scenes(draw_scene(seed) for seed in range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + count))
    drawn = replace(drawn, regions=_snapped(drawn.regions))
    kinds, labels = torch.from_numpy(drawn.kinds), torch.from_numpy(drawn.labels)
    torch.save({"images": drawn.images, "regions": drawn.regions, "kinds": kinds, "labels": labels}, path)
    return drawn


def _snapped(regions: torch.Tensor) -> torch.Tensor:
    patch = torch.arange(96) // 8
    patches = patch[:, None] * 12 + patch
    return torch.stack([snap_to_patches(each.long(), patches) for each in regions]).to(regions.dtype)


@torch.inference_mode()
def accuracy(model: nn.Module, count: int = 300) -> float:
    """Share of fresh scenes that are called right."""
    scenes = [draw_scene(seed) for seed in range(count)]
    said = torch.cat(
        [
            model(torch.from_numpy(np.stack([s.image for s in scenes[i : i + 50]]))).argmax(1)
            for i in range(0, count, 50)
        ]
    )
    return float(np.mean(said.numpy() == [scene.label for scene in scenes]))


# --- what is measured


@dataclass(frozen=True)
class Asked:
    """An image and whom to ask about it."""

    name: str
    network: str
    model: nn.Module
    image: torch.Tensor
    label_map: np.ndarray
    truth: np.ndarray | None = None
    rule: frozenset[frozenset[int]] | None = None


def rows_of(asked: Asked, removals: Sequence[str], budget: int, sample: int) -> Iterator[dict[str, Any]]:
    """What is measured under each removal."""
    models = {name: asked_by(asked, name) for name in removals}
    for name, model in models.items():
        (result,) = search([model], lambda count, most: strategy_for("auto", "smallest", count, most), budget)
        focus = model.focus(result, "smallest")
        drawn = draw_sample(focus.final_states, sample)
        sound, covers, constant = measure(drawn, model.ask(drawn.states).valid)
        across = {f"with {other}": float(each.ask(focus.final_states).valid.mean()) for other, each in models.items()}
        yield {
            "removal": name,
            "regions": focus.num_regions,
            "evaluations": result.certificate.evaluations,
            "smallest": result.certificate.smallest,
            "size": float(focus.final_states.sum(1).mean()),
            **_against_truth(asked, focus),
            **_against_rule(asked, focus),
            "sound": sound.share,
            "covers": covers.share,
            "constant": constant,
            **across,
        }


def asked_by(asked: Asked, removal: str) -> MaskedModel:
    """The model of one image under one removal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MaskedModel(
            asked.model,
            asked.image[None],
            None if removal == "tokens" else removal,
            feature_mask=asked.label_map[None, None],
            criterion=CRITERION,
            outputs="logits",
            removal="tokens" if removal == "tokens" else "fill",
            perturbations_per_eval=4,
        )


def _against_truth(asked: Asked, focus: Focus) -> dict[str, float]:
    if asked.truth is None:
        return {"precision": NAN, "recall": NAN}
    regions = match_regions(asked.label_map, as_ground_truth(asked.truth)).regions
    return {
        "precision": focus_precision(focus.final_states, regions, focus.areas),
        "recall": focus_recall(focus.final_states, regions, focus.areas),
    }


def _against_rule(asked: Asked, focus: Focus) -> dict[str, float]:
    if asked.rule is None:
        return {"rule": NAN, "one": NAN}
    found = {frozenset(focus.region_ids[state].tolist()) for state in focus.final_states}
    return {"rule": float(found == asked.rule), "one": float(bool(found & asked.rule))}


def write(
    out: Path, images: Iterator[Asked], removals: Sequence[str], budget: int, sample: int, seconds: float
) -> None:
    """Write the rows of each image that the file does not have, until the time is over."""
    start = time.monotonic()
    known = done(out)
    with out.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, restval=NAN)
        if not file.tell():
            writer.writeheader()
        for asked in images:
            if time.monotonic() - start > seconds:
                print("not done: start it again to go on", flush=True)
                return
            if (asked.name, asked.network) in known:
                continue
            rows = list(rows_of(asked, removals, budget, sample))
            writer.writerows({"image": asked.name, "network": asked.network, **row} for row in rows)
            file.flush()
            print(
                asked.name,
                asked.network,
                [row["size"] for row in rows],
                f"{time.monotonic() - start:.0f} s",
                flush=True,
            )


def scenes(weights: Sequence[Path], count: int) -> Iterator[Asked]:
    """Scenes that have an object and are called right, in regions of whole patches."""
    patch = torch.arange(96) // 8
    patches = patch[:, None] * 12 + patch
    for path in weights:
        stored, taught = torch.load(path, weights_only=True), Taught()
        taught.load_state_dict(stored["model"])
        model = Scored(taught.vit).eval().requires_grad_(False)
        for seed in range(count):
            scene = draw_scene(seed, label=1 + seed % (len(CLASS_NAMES) - 1))
            image = torch.from_numpy(scene.image)
            label_map = snap_to_patches(torch.from_numpy(scene.labels), patches).numpy()
            lost = {item.region for item in scene.objects} - set(np.unique(label_map).tolist())
            if lost or int(model(image[None]).argmax()) != scene.label:
                continue
            sets = [
                {item.region for item in scene.objects if item.kind in clause} for clause in RULES[scene.label].clauses
            ]
            rule = frozenset(frozenset((a, b)) for a in sets[0] for b in sets[1])
            yield Asked(
                f"scene {seed}", f"ViT, taught {stored['taught']}", model, image, label_map, scene.truth(), rule
            )


def photos(
    folder: Path, networks: Sequence[str], masks: Path | None, count: int, regions: int, known: set[tuple[str, str]]
) -> Iterator[Asked]:
    """Photographs, those first whose object is known, of SLIC; without those that are known."""
    from captum_focalogic.segmenters import Slic

    paths = sorted([*folder.glob("*.jpg"), *folder.glob("*.JPEG")])
    if masks is not None:
        paths.sort(key=lambda path: not (masks / f"{path.stem}.png").exists())
    for name, network, preprocess in map(load, networks):
        for path in paths[:count]:
            if (path.stem, name) in known:
                continue
            image = preprocess(Image.open(path).convert("RGB"))
            mask = None if masks is None else masks / f"{path.stem}.png"
            truth = None
            if mask is not None and mask.exists():
                size = (image.shape[2], image.shape[1])
                truth = np.asarray(Image.open(mask).convert("L").resize(size, Image.Resampling.NEAREST)) > 0
            yield Asked(path.stem, name, network, image, np.asarray(Slic(regions)(image)), truth)


class ChannelsLast(nn.Module):
    """A network in the layout in which convolutions take the least time on a processor."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """What the network says."""
        return self.network(images.contiguous(memory_format=torch.channels_last))


def load(name: str) -> tuple[str, Any, Callable[[Image.Image], torch.Tensor]]:
    """A network by name or by the path of a module: its name, itself, its preprocessing."""
    if not name.endswith(".py"):
        classifier: Classifier = find_classifier(name)
        return name, ChannelsLast(classifier.forward), classifier.preprocess
    spec = importlib.util.spec_from_file_location("network", name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Path(name).stem, ChannelsLast(module.load()), module.preprocess


def done(path: Path) -> set[tuple[str, str]]:
    """Images and networks of which a file has rows."""
    return {(row["image"], row["network"]) for row in read(path)} if path.exists() else set()


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a file, each once."""
    with path.open(newline="") as file:
        rows = {(row["image"], row["network"], row["removal"]): row for row in csv.DictReader(file)}
    return list(rows.values())


def tables(path: Path) -> str:
    """Means by network and removal, as Markdown."""
    groups: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in read(path):
        groups[row["network"], row["removal"]].append(row)
    across = [f"with {name}" for name in REMOVALS if any(name == removal for _, removal in groups)]
    shown = [
        name
        for name in (*MEASURES, *across)
        if any(np.isfinite(float(row[name])) for rows in groups.values() for row in rows)
    ]
    heads = ["network", "removal", "images", "evaluations", "proved", *shown]
    lines = [heads, ["---"] * len(heads)]
    for (network, removal), rows in groups.items():
        proved = np.mean([row["smallest"] != "open" for row in rows])
        asked = np.mean([float(row["evaluations"]) for row in rows])
        cells = [network, removal, str(len(rows)), f"{asked:.0f}", f"{proved:.2f}"]
        for name in shown:
            values = np.array([float(row[name]) for row in rows])
            cells.append(f"{np.nanmean(values):.2f}" if np.isfinite(values).any() else "-")
        lines.append(cells)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def differences(path: Path) -> str:
    """By how much black and blur differ from the mean colour, and fills from tokens, with 95 % intervals over images.

    Of several networks the mean is taken first, image by image.
    """
    rows: dict[str, dict[str, list[dict[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for row in read(path):
        rows[row["removal"]][row["image"]].append(row)
    rng, lines = np.random.default_rng(0), []
    base = "tokens" if "tokens" in rows else "mean"
    for removal in (name for name in rows if name != base):
        for name in MEASURES:
            pairs = [
                np.mean([float(row[name]) for row in rows[removal][image]])
                - np.mean([float(row[name]) for row in rows[base][image]])
                for image in rows[base]
            ]
            if np.isfinite(pairs).all():
                low, high = np.quantile(rng.choice(pairs, (10_000, len(pairs))).mean(1), [0.025, 0.975])
                lines.append(f"{name}: {removal} less {base} {np.mean(pairs):+.2f} ({low:+.2f} to {high:+.2f})")
    return "\n".join(lines)


def main() -> None:
    """Do what the first argument says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    work = parser.add_subparsers(dest="work", required=True)
    learn = work.add_parser("train")
    learn.add_argument("out", type=Path)
    learn.add_argument("--taught", choices=("whole", "filled", "both"), default="whole")
    learn.add_argument("--steps", type=int, default=2_000)
    learn.add_argument("--seconds", type=float, default=400)
    learn.add_argument("--scenes", type=int, default=2_000)
    drawn = work.add_parser("scenes")
    drawn.add_argument("out", type=Path)
    drawn.add_argument("--weights", type=Path, nargs="+", required=True)
    drawn.add_argument("--count", type=int, default=60)
    taken = work.add_parser("photos")
    taken.add_argument("photos", type=Path)
    taken.add_argument("out", type=Path)
    taken.add_argument("--networks", nargs="+", required=True)
    taken.add_argument("--masks", type=Path)
    taken.add_argument("--count", type=int, default=12)
    taken.add_argument("--regions", type=int, default=8)
    for part in (drawn, taken):
        part.add_argument("--budget", type=int, default=256)
        part.add_argument("--sample", type=int, default=60)
        part.add_argument("--seconds", type=float, default=450)
    work.add_parser("tables").add_argument("out", type=Path)
    options = parser.parse_args()
    keep_freed_memory()
    if options.work == "train":
        train(options.out, options.taught, options.steps, options.seconds, options.scenes)
    elif options.work == "scenes":
        write(
            options.out,
            scenes(options.weights, options.count),
            REMOVALS,
            options.budget,
            options.sample,
            options.seconds,
        )
    elif options.work == "photos":
        found = photos(
            options.photos, options.networks, options.masks, options.count, options.regions, done(options.out)
        )
        write(options.out, found, FILLS, options.budget, options.sample, options.seconds)
    else:
        print(tables(options.out), differences(options.out), sep="\n\n")


if __name__ == "__main__":
    main()
