"""Compare segmenters on photographs: how well regions can say an object, and what they do to answers.

    PYTHONPATH=tests:tests/search python tests/benchmarks/segmenters.py masks PHOTOS MASKS DEEPLAB.tflite
    … segmenters.py regions PHOTOS MASKS OUT.csv [--networks efficientnet-lite0 PATH/mobilenet.py] [--photos judged]
    … segmenters.py answers PHOTOS MASKS OUT.csv [--networks …]
    … segmenters.py tables REGIONS.csv [ANSWERS.csv]

PHOTOS has the JPEG files named below, of https://github.com/EliSchwartz/imagenet-sample-images: those of every
sixteenth class (the 8th, the 24th, …) in which a semantic segmenter of Pascal VOC's classes finds an object of 5 to 85
percent of the image whose mask follows it, as judged by eye before anything was measured. The settings of
:class:`captum_focalogic.features.Features` were chosen on TUNED (masks with faults included) and are judged on JUDGED.
MASKS gets, or has, a ``.png`` by a photo's stem, as the networks see it. A network is a classifier's name, or a module
with ``load()`` and ``preprocess(image)``; ``answers`` needs two. Rows are written as they come and those that the file
has are skipped, so a run can be broken off.

- *IoU*: of the object with the union of regions that overlaps it best. *recall*: share of the object's border within 2
  pixels of a border of regions; *length*: share of pixels on a border of regions, since longer borders meet more.
- ``superpixels, colour`` joins the superpixels of ``features`` by colour alone: the rest is what the network adds.
- Answers: the smallest sets as ``explain_image`` finds them (mean colour, half of the probability, 12 regions), for at
  most 200 evaluations through ONNX Runtime, and 16 region sets of either kind for trust. ``features, other`` cuts by
  the other network's features: if regions of a network's own flatter it, they make its answers look better than those
  do.
- *size*: regions of the smallest sets; *area*, *precision*, *recall*: of the strongest, its share of the image, the
  share of it on the object, the share of the object in it. *soundness*, *coverage*, *second fill*: see
  ``docs/reliability.md``.
"""

import argparse
import csv
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations
from math import nan
from pathlib import Path

import numpy as np
import torch
from make_photo_tables import EfficientNetLite0, OnnxNetwork
from PIL import Image
from scipy.ndimage import distance_transform_edt
from skimage.segmentation import find_boundaries
from torch import nn
from weightings import interval, load, read

from captum_focalogic import MaskedModel
from captum_focalogic.adjacency import join_alike
from captum_focalogic.errors import FocaLogicWarning
from captum_focalogic.features import Features
from captum_focalogic.images import image_tensor, open_image, resize_image, resize_labels
from captum_focalogic.integrations.annotations import VOC_CLASSES
from captum_focalogic.integrations.tflite import TfliteRunner
from captum_focalogic.oracle import search
from captum_focalogic.search.strategies import strategy_for
from captum_focalogic.segmenters import Felzenszwalb, Grid, Quickshift, Slic, Watershed
from captum_focalogic.trust import draw_sample
from captum_focalogic.trust import measure as trusted

TUNED = (
    *("n01677366_common_iguana", "n02013706_limpkin", "n02101388_Brittany_spaniel", "n02113023_Pembroke"),
    *("n02443484_black-footed_ferret", "n02701002_ambulance", "n03623198_knee_pad", "n04136333_sarong"),
    *("n02133161_American_black_bear", "n02817516_bearskin", "n03208938_disk_brake", "n04005630_prison"),
    "n03690938_lotion",
)
JUDGED = (
    *("n01514668_cock", "n01817953_African_grey", "n01873310_platypus", "n02089973_English_foxhound"),
    *("n02093859_Kerry_blue_terrier", "n02106030_collie", "n02109525_Saint_Bernard", "n02120079_Arctic_fox"),
    *("n02317335_starfish", "n02488702_colobus", "n02536864_coho", "n02791124_barber_chair"),
    *("n03062245_cocktail_shaker", "n03916031_perfume", "n04069434_reflex_camera", "n04204347_shopping_cart"),
    *("n04366367_suspension_bridge", "n04483307_trimaran", "n04532106_vestment", "n04584207_wig"),
)

PEOPLE = (
    *("n02093859_Kerry_blue_terrier", "n02536864_coho", "n04204347_shopping_cart"),
    *("n04366367_suspension_bridge", "n04532106_vestment", "n04584207_wig"),
)
"""Whose mask is of people and not of what the photo is filed under: no precision and recall of answers."""

COUNTS = (12, 24)
BUDGET, SAMPLE = 200, 16
NEAR = 2
"""Pixels within which a border is found."""

Cut = Callable[[torch.Tensor], np.ndarray]
Known = set[tuple[str, ...]]
"""Rows of a photo that the file has: network, segmenter and, of regions, how many were asked."""

REGION_FIELDS = ("photo", "network", "segmenter", "asked", "regions", "iou", "recall", "length")
ANSWER_FIELDS = (
    *("photo", "network", "segmenter", "regions", "sets", "size", "area", "precision", "recall"),
    *("soundness", "coverage", "second_fill", "evaluations"),
)
MEASURED = ("size", "area", "precision", "recall", "soundness", "coverage", "second_fill")
TOLD = (*MEASURED, "evaluations")
OTHER = "features, other"
WAYS = ("slic", "features", OTHER)


def blind(count: int) -> dict[str, Cut]:
    """Segmenters that look at the image alone."""
    fine = Features(count)
    return {
        "grid": Grid(*{12: (3, 4), 24: (4, 6)}[count]),
        "slic": Slic(count),
        "quickshift": Quickshift(count),
        "watershed": Watershed(count),
        "felzenszwalb": Felzenszwalb(count),
        "superpixels, colour": lambda image: fine._cut(image, join_alike),
    }


def best_iou(label_map: np.ndarray, truth: np.ndarray) -> float:
    """IoU of the object with the best union of regions: those in which it has the largest share, up to some share."""
    regions = np.unique(label_map, return_inverse=True)[1].reshape(-1)
    sizes = np.bincount(regions)
    inside = np.bincount(regions, weights=truth.reshape(-1))
    order = np.argsort(-inside / sizes, kind="stable")
    return float((np.cumsum(inside[order]) / (truth.sum() + np.cumsum((sizes - inside)[order]))).max())


def border_recall(label_map: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Share of the object's border near one of the regions, and the share of the image that the latter take."""
    borders = find_boundaries(label_map, mode="thick")
    sought = find_boundaries(truth, mode="thick")
    near = distance_transform_edt(~borders) <= NEAR
    return float(near[sought].mean()), float(borders.mean())


def make_masks(photos: Path, masks: Path, segmenter: Path) -> None:
    """Write the mask of the largest Pascal object in each photo, as networks see it (the middle 224 x 224 of 256)."""
    runner = TfliteRunner(segmenter)
    masks.mkdir(parents=True, exist_ok=True)
    for name in (*TUNED, *JUDGED):
        seen = _middle(Image.open(photos / f"{name}.JPEG").convert("RGB"))
        found = runner(image_tensor(resize_image(open_image(seen), *runner.size))[None])[0]
        classes = resize_labels(found.argmax(axis=-1) if found.ndim == 3 else found, 224, 224)
        counts = np.bincount(classes.reshape(-1), minlength=len(VOC_CLASSES))
        largest = int(counts[1:].argmax()) + 1
        Image.fromarray(np.where(classes == largest, 255, 0).astype(np.uint8)).save(masks / f"{name}.png")


def _middle(image: Image.Image) -> Image.Image:
    scale = 256 / min(image.size)
    width, height = (max(224, round(side * scale)) for side in image.size)
    left, top = (width - 224) // 2, (height - 224) // 2
    return image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + 224, top + 224))


def measure_regions(
    image: torch.Tensor, truth: np.ndarray, networks: dict[str, nn.Module], known: Known
) -> Iterator[dict[str, object]]:
    """What the regions of each segmenter are worth, on one photo."""
    for count in COUNTS:
        cuts = {(name, "-"): cut for name, cut in blind(count).items()}
        cuts |= {("features", name): Features(count, model=network) for name, network in networks.items()}
        for (name, network), cut in cuts.items():
            if (network, name, str(count)) in known:
                continue
            label_map = np.asarray(cut(image))
            recall, length = border_recall(label_map, truth)
            yield {
                "network": network,
                "segmenter": name,
                "asked": count,
                "regions": len(np.unique(label_map)),
                "iou": best_iou(label_map, truth),
                "recall": recall,
                "length": length,
            }


@cache
def quick(name: str, network: nn.Module) -> OnnxNetwork:
    """The network as ONNX Runtime asks it; timm's lite0 has the same weights, and kernels that can be exported."""
    return OnnxNetwork(EfficientNetLite0() if name == "efficientnet-lite0" else network)


def measure_answers(
    image: torch.Tensor, truth: np.ndarray, networks: dict[str, nn.Module], known: Known, ways: tuple[str, ...]
) -> Iterator[dict[str, object]]:
    """What is answered by regions of several segmenters, on one photo."""
    for name, network in networks.items():
        (other,) = (found for found in networks if found != name)
        asked = quick(name, network)
        cuts = {"slic": Slic(12), "features": Features(12, model=network), OTHER: Features(12, model=networks[other])}
        for way in ways:
            if (name, way) not in known:
                label_map = np.asarray(cuts[way](image))
                yield {"network": name, "segmenter": way, **_answer_row(asked, image, label_map, truth)}


def _answer_row(
    network: OnnxNetwork, image: torch.Tensor, label_map: np.ndarray, truth: np.ndarray
) -> dict[str, object]:
    mask = torch.from_numpy(label_map)[None, None]
    models = {
        fill: MaskedModel(network, image[None], fill, feature_mask=mask, criterion="top1+0.5", perturbations_per_eval=8)
        for fill in ("mean", "black")
    }
    (result,) = search([models["mean"]], lambda count, most: strategy_for("auto", "smallest", count, most), BUDGET)
    if result.certificate.stopped == "interrupted":
        raise KeyboardInterrupt  # what it had by then is no answer to count
    focus = models["mean"].focus(result, "smallest")
    row = {"regions": focus.num_regions, "sets": len(focus.final_states), "evaluations": focus.evaluated.total}
    if not len(focus.final_states):
        return row | dict.fromkeys(MEASURED, nan)
    strongest = focus.final_states[focus.strongest[:1]]
    kept = np.isin(label_map, focus.region_ids[strongest[0]])
    sample = draw_sample(focus.final_states, SAMPLE)
    soundness, coverage, _ = trusted(sample, models["mean"].ask(sample.states).valid)
    return row | {
        "size": int(focus.final_states.sum(axis=1).min()),
        "area": kept.mean(),
        "precision": truth[kept].mean() if kept.any() else nan,
        "recall": kept[truth].mean(),
        "soundness": soundness.share,
        "coverage": coverage.share,
        "second_fill": float(models["black"].ask(strongest).valid[0]),
    }


def measure(
    mode: str,
    photos: Path,
    masks: Path,
    out: Path,
    names: list[str],
    which: tuple[str, ...],
    ways: tuple[str, ...] = (),
) -> None:
    """Write the rows of each photo."""
    fields = REGION_FIELDS if mode == "regions" else ANSWER_FIELDS
    rows = read(out) if out.exists() else []
    loaded = {name: (network, preprocess) for name, network, preprocess in map(load, names)}
    networks = {name: network.eval() for name, (network, _) in loaded.items()}
    preprocess = next(iter(loaded.values()))[1]
    with out.open("a", newline="") as file:
        writer = csv.DictWriter(file, fields)
        if not rows:
            writer.writeheader()
        for photo in which:
            keys = ("network", "segmenter", "asked")[: 3 if mode == "regions" else 2]
            known = {tuple(row[key] for key in keys) for row in rows if row["photo"] == photo}
            # Both networks see the same middle of the photo, so that all segmenters cut the same pixels.
            image = preprocess(Image.open(photos / f"{photo}.JPEG").convert("RGB"))
            image = (image * 255).round() / 255
            truth = np.asarray(Image.open(masks / f"{photo}.png")) > 0
            args = (image, truth, networks, known)
            for row in measure_regions(*args) if mode == "regions" else measure_answers(*args, ways):
                writer.writerow({"photo": photo, **row})
                file.flush()
            print(photo, flush=True)


def region_tables(rows: list[dict[str, str]]) -> str:
    """Means by segmenter, the gain over SLIC with its 95 % interval, and figures for each photo."""
    values: dict[str, dict[str, dict[str, dict[str, float]]]] = {
        field: defaultdict(lambda: defaultdict(dict)) for field in REGION_FIELDS[5:]
    }
    for row in rows:
        name = row["segmenter"] if row["network"] == "-" else f"features, {row['network']}"
        for field, found in values.items():
            found[name][row["asked"]][row["photo"]] = float(row[field])
    photos = sorted({row["photo"] for row in rows})
    lines = [f"{len(photos)} photos", ""]
    heads = [f"{field}, {count}" for count in COUNTS for field in ("IoU", "over SLIC", "recall", "length")]
    lines += [line(["segmenter", *heads]), line(["---"] * (1 + len(heads)))]
    for name in values["iou"]:
        cells = []
        for count in map(str, COUNTS):
            means = {field: np.mean(list(found[name][count].values())) for field, found in values.items()}
            over = [[values["iou"][name][count][photo] - values["iou"]["slic"][count][photo]] for photo in photos]
            cells += [f"{means['iou']:.3f}", interval(over), f"{means['recall']:.2f}", f"{means['length']:.2f}"]
        lines.append(line([name, *cells]))
    chosen = [name for name in values["iou"] if name in ("slic", "felzenszwalb") or name.startswith("features")]
    heads = [f"{name}, {count}" for count in COUNTS for name in chosen]
    lines += ["", line(["IoU", *heads]), line(["---"] * (1 + len(heads)))]
    for photo in photos:
        cells = [f"{values['iou'][name][str(count)][photo]:.2f}" for count in COUNTS for name in chosen]
        lines.append(line([photo.partition("_")[2].replace("_", " "), *cells]))
    return "\n".join(lines)


def answer_tables(rows: list[dict[str, str]]) -> str:
    """Means by network and segmenter, over the photos of which all were asked, and differences of segmenters."""
    by_cut: dict[str, dict[tuple[str, str], dict[str, float]]] = defaultdict(dict)
    for row in rows:
        found = {name: float(row[name]) for name in TOLD}
        if row["photo"] in PEOPLE:
            found |= {"precision": nan, "recall": nan}
        by_cut[row["segmenter"]][row["photo"], row["network"]] = found
    pairs = sorted(set.intersection(*(set(by_cut[way]) for way in WAYS)))
    photos = sorted({photo for photo, _ in pairs})
    lines = [line(["network", "segmenter", *TOLD]), line(["---"] * (2 + len(TOLD)))]
    for network in sorted({network for _, network in pairs}):
        for way in WAYS:
            found = [by_cut[way][pair] for pair in pairs if pair[1] == network]
            lines.append(line([network, way, *(f"{np.nanmean([each[name] for each in found]):.2f}" for name in TOLD)]))
    for one, other in combinations(WAYS, 2):
        cells = [
            interval(
                [
                    [by_cut[other][pair][name] - by_cut[one][pair][name] for pair in pairs if pair[0] == photo]
                    for photo in photos
                ]
            )
            for name in TOLD
        ]
        lines.append(line(["both", f"{other} less {one}", *cells]))
    return "\n".join([f"{len(photos)} photos", "", *lines])


def line(cells: list[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Make masks, measure, or print the tables of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["masks", "regions", "answers", "tables"])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--networks", nargs="+", default=["efficientnet-lite0"])
    parser.add_argument("--photos", choices=["tuned", "judged"], default="judged")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", FocaLogicWarning)
    if given.mode == "masks":
        make_masks(*given.paths)
    elif given.mode == "tables":
        print(region_tables(read(given.paths[0])))
        if len(given.paths) > 1:
            print("\n" + answer_tables(read(given.paths[1])))
    else:
        which = TUNED if given.photos == "tuned" else JUDGED
        if given.mode == "regions":
            measure(given.mode, *given.paths, given.networks, which, ())
        # What is asked of the most photos first.
        for ways in (("slic", "features"), (OTHER,)) if given.mode == "answers" else ():
            measure(given.mode, *given.paths, given.networks, which, ways)


if __name__ == "__main__":
    main()
