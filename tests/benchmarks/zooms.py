"""Zoom beside other methods at equal evaluations: how small a part of a photograph is enough, under two removals.

    export PYTHONPATH=.:tests
    python tests/benchmarks/zooms.py measure PHOTOS OUT.csv [--networks efficientnet-lite0 PATH/mobilenet.py]
                                             [--truth MASKS] [--onnx FOLDER] [--skip 8] [--seconds 480]
    python tests/benchmarks/zooms.py scenes OUT.csv [--count 20]
    python tests/benchmarks/zooms.py tables OUT.csv

PHOTOS is a folder of ``.jpg`` or ``.JPEG`` files, MASKS has a ``.png`` by a photo's stem where the object is known, as
the networks see it. A network is a classifier's name, or a module with ``load()`` and ``preprocess(image)``; FOLDER has
a ``.onnx`` of the same by its name, which then answers in its place, several times as fast, where no gradient is asked
for. The first photos by name (``--skip``) are left out: the search was tuned on them.

FocaLogic cuts every photo by SLIC into 12 regions and zooms in (mean colour, half of the probability, eight levels, at
most 300 evaluations).
Every other method gets as many evaluations: half of them for its map (IntegratedGradients its usual 50 steps), the rest
to cut the map at the least area that is enough under both removals (by bisection), and to shrink that area by the step
that FocaLogic takes itself, level by level, within the same budget. LIME and KernelShap give scores of the same 12
regions, the others of pixels. An area counts only where it is enough under mean colour and under black; where there is
none it is 1.

- *area*: share of the photo that is enough in the end; *cut*: before the shrinking.
- *precision*: share of that area on the object, whether it holds or not; *precision of the cut* likewise.

Rows are written as they come; pairs of photo and network that the file has are skipped, and after so many seconds no
further pair is begun, so that it can be run in pieces.
"""

import argparse
import csv
import time
from collections.abc import Iterator
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from weightings import Remembering, load
from zoom_tables import FIELDS, OURS, read, table

from captum_focalogic.compare.comparison import OTHERS
from captum_focalogic.compare.decision import Decision, counted
from captum_focalogic.criteria import Top1Ratio
from captum_focalogic.demo.scenes import draw_scene
from captum_focalogic.focus import Focus
from captum_focalogic.integrations.demo import load_classifier as demo
from captum_focalogic.masked_model import MaskedModel
from captum_focalogic.oracle import search
from captum_focalogic.search import Anytime
from captum_focalogic.segmenters import Slic
from captum_focalogic.zoom import coarse_budget, zoom_in

REGIONS, LEVELS, BUDGET = 12, 8, 300
METHODS = ("LIME", "KernelShap", "RISE", "GradCAM", "IntegratedGradients")
COARSE = "FocaLogic, regions"
MAP_BUDGETS = {"IntegratedGradients": 51}
"""Most evaluations of a map, where half of all is more than its method takes: 50 steps, and the baseline."""

STEPS = 9
"""Of the bisection over the share of pixels that is kept: to a 512th of the photo."""


class Twin(nn.Module):
    """A network whose answers ONNX Runtime gives; gradients, and what hooks want to see, are the network's own."""

    def __init__(self, network: nn.Module, path: Path) -> None:
        super().__init__()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.network = network
        self._session = onnxruntime.InferenceSession(str(path), options)
        self._name = self._session.get_inputs()[0].name

    def forward(self, images: Tensor) -> Tensor:
        if images.requires_grad:
            return self.network(images)
        return torch.from_numpy(self._session.run(None, {self._name: images.contiguous().numpy()})[0])

    def check(self, image: Tensor) -> None:
        """Raise ValueError unless both say the same of an image, to a thousandth."""
        apart = float((self(image) - self.network(image)).detach().abs().max())
        if apart > 1e-3:
            raise ValueError(f"the .onnx file is another network: its answers differ by {apart:.2g}")


def precision(kept: np.ndarray | None, truth: np.ndarray | None) -> float:
    """Share of what is kept that lies on the object."""
    if kept is None or truth is None or truth.shape != kept.shape or not kept.any():
        return nan
    return float(truth[kept].mean())


def pixels_of(focus: Focus, state: np.ndarray) -> np.ndarray:
    """The pixels of some regions, (H, W) bool."""
    return np.isin(focus.label_map, focus.region_ids[state])


def ours(decision: Decision) -> tuple[np.ndarray | None, np.ndarray | None, int]:
    """Pixels of the coarse set that holds, else of the strongest; of the zoomed one; and the evaluations of all."""
    masked = masked_model(decision, decision.label_map)
    (result,) = search([masked], lambda _, most: Anytime(), coarse_budget(BUDGET))
    (focus,), _ = zoom_in([masked], [masked.focus(result, "smallest")], LEVELS, [BUDGET])
    if focus.zoom is None:
        return None, None, focus.evaluated.total
    holding = [row for row, holds in zip(focus.strongest, focus.zoom.coarse_holds, strict=False) if holds]
    coarse = pixels_of(focus, focus.final_states[[*holding, focus.strongest[0]][0]])
    if focus.zoom.answer is None:
        return coarse, coarse, focus.zoom.evaluations
    fine = focus.zoomed
    return coarse, pixels_of(fine, fine.final_states[fine.strongest[0]]), focus.zoom.evaluations


def masked_model(decision: Decision, label_map: np.ndarray) -> MaskedModel:
    """The decision's model, asked about a partition."""
    return MaskedModel(
        decision.model,
        decision.image,
        decision.baseline,
        decision.target,
        feature_mask=torch.from_numpy(np.ascontiguousarray(label_map))[None, None],
        criterion=decision.criterion,
        outputs=decision.outputs,
        perturbations_per_eval=8,
    )


def least_cut(decision: Decision, heat_map: np.ndarray) -> tuple[np.ndarray | None, int]:
    """The least highest part of a map that is enough under both removals, by bisection, and the evaluations."""
    values = np.unique(heat_map)
    if len(values) <= 2 * REGIONS:
        cuts = [heat_map >= value for value in values[::-1]]
    else:
        order = np.argsort(-heat_map.ravel(), kind="stable")
        rank = np.empty(order.size, dtype=np.int64)
        rank[order] = np.arange(order.size)
        rank = rank.reshape(heat_map.shape)
        cuts = [rank < order.size * (1 + step) / (1 << STEPS) for step in range(1 << STEPS)]
    asked, low, high = 0, -1, len(cuts) - 1
    while high - low > 1:
        middle = (low + high) // 2
        kept = torch.from_numpy(cuts[middle])
        enough = True
        for fill in (decision.baseline, torch.zeros_like(decision.image)):
            asked += 1
            enough = enough and bool(decision.probabilities(torch.where(kept, decision.image, fill))[1][0])
            if not enough:
                break
        low, high = (low, middle) if enough else (middle, high)
    return (cuts[high] if not cuts[high].all() else None), asked


def shrunk(decision: Decision, cut: np.ndarray, whole_regions: bool, budget: int) -> tuple[np.ndarray, int]:
    """What is left of a cut by FocaLogic's own step, within a budget."""
    # A cut of regions keeps these, so that it is cut in as many parts as FocaLogic's sets are.
    masked = masked_model(decision, np.where(cut, 1 + decision.label_map * whole_regions, 0))
    (result,) = search([masked], lambda _, most: Anytime(), 2)
    focus = masked.focus(result, "smallest")
    state = np.array([masked.region_ids > 0])
    certificate = replace(
        focus.certificate, num_states=1, unfinished=1, irreducible=False, least=int(state.sum()), complete="no"
    )
    start = replace(focus, final_states=state, unfinished=np.array([True]), certificate=certificate)
    (focus,), _ = zoom_in([masked], [start], LEVELS, [max(4, budget)])
    if focus.zoom is None or focus.zoom.answer is None:
        return cut, 0 if focus.zoom is None else focus.zoom.evaluations
    fine = focus.zoomed
    return pixels_of(fine, fine.final_states[fine.strongest[0]]), focus.zoom.evaluations


def holds(decision: Decision, kept: np.ndarray) -> bool:
    """Whether pixels are enough under both removals."""
    mask = torch.from_numpy(kept)
    fills = (decision.baseline, torch.zeros_like(decision.image))
    return all(bool(decision.probabilities(torch.where(mask, decision.image, fill))[1][0]) for fill in fills)


def rows_of(
    model: nn.Module, image: Tensor, label_map: np.ndarray, truth: np.ndarray | None, network: nn.Module | None = None
) -> Iterator[dict]:
    """What is measured of each method on one photo; nothing where a fill alone is enough.

    Methods that look inside are given the ``network`` itself, if there is one.
    """
    scores = model(image)
    baseline = image.mean(dim=(2, 3), keepdim=True).expand_as(image)
    decision = Decision(
        model, image, baseline, label_map, int(scores.argmax()), scores, Top1Ratio(), "logits", perturbations_per_eval=8
    )
    fills = torch.cat([baseline, torch.zeros_like(image)])
    if bool(decision.probabilities(fills)[1].any()):
        # What is left where nothing is needed is no evidence: there is nothing to compare.
        return
    coarse, fine, asked = ours(decision)
    yield row(COARSE, asked, coarse, coarse, decision, truth)
    yield row(OURS, asked, coarse, fine, decision, truth)
    for name in METHODS:
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        inside = network if network is not None and OTHERS[name].gradients else decision.model
        with counted(inside, decision.reference) as (watched, counter):
            budget = min(asked // 2, MAP_BUDGETS.get(name, asked))
            found = OTHERS[name].run(replace(decision, model=watched, budget=budget))
        spent = counter.rows
        heat_map = decision.spread(found.scores) if found.over_regions else found.heat_map
        cut, cutting = least_cut(decision, heat_map)
        left = asked - spent - cutting
        kept, shrinking = (None, 0) if cut is None else shrunk(decision, cut, found.over_regions, left)
        yield row(name, spent + cutting + shrinking, cut, kept, decision, truth)


def row(
    name: str,
    asked: int,
    cut: np.ndarray | None,
    kept: np.ndarray | None,
    decision: Decision,
    truth: np.ndarray | None,
) -> dict:
    """A row of the table."""
    return {
        "method": name,
        "evaluations": asked,
        "cut": float(cut.mean()) if cut is not None and holds(decision, cut) else 1.0,
        "area": float(kept.mean()) if kept is not None and holds(decision, kept) else 1.0,
        "cut_precision": precision(cut, truth),
        "precision": precision(kept, truth),
    }


def measure(
    photos: Path, out: Path, networks: list[str], truths: Path | None, onnx: Path | None, skip: int, seconds: float
) -> None:
    """Write a row for each photo, network and method."""
    end = time.monotonic() + seconds
    paths = sorted([*photos.glob("*.jpg"), *photos.glob("*.JPEG")])[skip:]
    # In an order that has all kinds early, whenever it ends.
    paths = [paths[place] for place in np.random.default_rng(0).permutation(len(paths))]
    loaded = [load(name) for name in networks]
    with writing(out) as (writer, known):
        for path in paths:
            for name, network, preprocess in loaded:
                if (path.stem, name) in known:
                    continue
                if time.monotonic() > end:
                    return
                mask = None if truths is None else truths / f"{path.stem}.png"
                truth = np.asarray(Image.open(mask)) > 0 if mask is not None and mask.exists() else None
                image = preprocess(Image.open(path).convert("RGB"))[None]
                answering = network
                if onnx is not None:
                    answering = Twin(network, onnx / f"{name}.onnx").eval()
                    answering.check(image)
                found = rows_of(Remembering(answering).eval(), image, Slic(REGIONS)(image[0]), truth, network)
                writer({"photo": path.stem, "network": name}, found)


def scenes(out: Path, count: int) -> None:
    """The same for embedded scenes, whose objects are known."""
    classifier = demo("")
    with writing(out) as (writer, known):
        # Of the class "other" nothing in the scene is the reason.
        for seed in range(count):
            if (f"scene {seed}", "demo") in known:
                continue
            scene = draw_scene(seed, label=1 + seed % 2)
            image = torch.from_numpy(np.array(scene.image))
            image = image if image.shape[0] == 3 else image.permute(2, 0, 1).float() / 255
            # What decides is on its objects; which of them do, the rule says.
            truth = np.isin(scene.labels, [item.region for item in scene.objects])
            model = Remembering(classifier.forward).eval()
            writer({"photo": f"scene {seed}", "network": "demo"}, rows_of(model, image[None], scene.labels, truth))


class writing:
    """A file of rows that is added to, and the pairs that it has."""

    def __init__(self, out: Path) -> None:
        self._out = out

    def __enter__(self):
        known = {(row["photo"], row["network"]) for row in read(self._out)} if self._out.exists() else set()
        self._file = self._out.open("a", newline="")
        writer = csv.DictWriter(self._file, FIELDS)
        if not known:
            writer.writeheader()

        def write(pair: dict[str, str], rows: Iterator[dict]) -> None:
            found = list(rows)
            writer.writerows({**pair, **each} for each in found)
            self._file.flush()
            print(*pair.values(), *(f"{each['method']} {each['area']:.3f}" for each in found), sep="; ", flush=True)

        return write, known

    def __exit__(self, *_: object) -> None:
        self._file.close()


def main() -> None:
    """Measure, or print the table of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure")
    measuring.add_argument("photos", type=Path)
    measuring.add_argument("out", type=Path)
    measuring.add_argument("--networks", nargs="+", default=["efficientnet-lite0", "efficientnet-lite1"])
    measuring.add_argument("--truth", type=Path)
    measuring.add_argument("--onnx", type=Path)
    measuring.add_argument("--skip", type=int, default=0)
    measuring.add_argument("--seconds", type=float, default=480)
    drawn = commands.add_parser("scenes")
    drawn.add_argument("out", type=Path)
    drawn.add_argument("--count", type=int, default=20)
    printing = commands.add_parser("tables")
    printing.add_argument("out", type=Path)
    args = parser.parse_args()
    if args.command == "measure":
        torch.set_num_threads(1)
        measure(args.photos, args.out, args.networks, args.truth, args.onnx, args.skip, args.seconds)
    elif args.command == "scenes":
        scenes(args.out, args.count)
    else:
        print(table(args.out))


if __name__ == "__main__":
    main()
