"""Draws comparison.png and prints the tables of ../comparison.md, its weightings aside.

    python docs/images/make_comparison.py picture
    python docs/images/make_comparison.py scenes FOLDER
    python docs/images/make_comparison.py photos FOLDER LIST.csv PATH/mobilenet.py:load

The picture needs the extra imagenet. FOLDER keeps what is done, so that a run can be broken off and goes on. LIST.csv
names photographs and masks of their objects (columns ``image`` and ``mask``). The page's text is written by hand: read
it again after a run.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from skimage import data

from captum_focalogic.classifier import find_classifier
from captum_focalogic.compare import (
    METHODS,
    Comparison,
    characteristics,
    compare,
    figure,
    focalogic_method,
    save_figure,
    summarise,
)
from captum_focalogic.demo.network import load_model
from captum_focalogic.demo.rules import RULES
from captum_focalogic.demo.scenes import draw_scene
from captum_focalogic.experiments.baselines import ComparedImage, ComparisonSettings, compare_all
from captum_focalogic.experiments.framework import Workspace
from captum_focalogic.experiments.scenes import scene_items, scene_plan
from captum_focalogic.images import open_image
from captum_focalogic.segmenters import Slic
from captum_focalogic.study import ModelFactory, StudySettings
from captum_focalogic.study.data import listed
from captum_focalogic.tables import Table

PICTURE = Path(__file__).with_name("comparison.png")
SHOWN = ("FocaLogic", "GradCAM", "LIME", "KernelShap", "RISE")
PHOTOS = {"a cup of coffee": data.coffee, "a cat": data.chelsea}
SCENES = 25
OWN = 10
"""Scenes on which every method has its own budget, which is up to 1,000 evaluations."""

CLASSES = tuple(RULES)
USUAL = {"reading": "smallest", "criterion": "top1+0.5", "baseline": "mean"}
"""The settings of ``focalogic compare`` and ``explain_image``."""


def picture() -> None:
    """Two scenes whose reason is known, two photographs, on equal budgets."""
    rows = []
    for seed in (0, 8):
        scene = draw_scene(seed, CLASSES[seed % len(CLASSES)])
        image, regions = torch.from_numpy(scene.image), torch.from_numpy(scene.labels)
        how = {"feature_mask": regions, "outputs": "logits", "title": f"scene {seed}"}
        rows.append(compare(load_model(), image, SHOWN, equal_budget=True, **how))
    classifier = find_classifier("efficientnet-lite0")
    for title, load in PHOTOS.items():
        image = classifier.preprocess(open_image(load()))
        rows.append(compare(classifier.forward, image, SHOWN, equal_budget=True, title=title))
    save_figure(figure(rows), PICTURE, dpi=90)
    for row in rows:
        print(f"{row.title}: {row.equal_budget} evaluations each")
        print(_table(row))


def scenes(folder: Path) -> None:
    """All methods on scenes, with as many evaluations as FocaLogic, and on some of them each with its own."""
    plan = scene_plan(load_model(), "demo", **USUAL)
    rules = [draw_scene(seed, CLASSES[seed % len(CLASSES)]).rule for seed in range(SCENES)]
    images = [ComparedImage(*pair) for pair in zip(scene_items(SCENES, classes=CLASSES), rules, strict=True)]
    irreducible = focalogic_method(reading="irreducible", max_evaluations=5_000, name="FocaLogic, irreducible")
    for name, count, settings in (
        ("equal budget", SCENES, ComparisonSettings(methods=METHODS, equal_budget=True, seeds=2)),
        ("own budget", OWN, ComparisonSettings(methods=(METHODS[0], irreducible, *METHODS[1:]))),
    ):
        series = compare_all(Workspace(folder), f"scenes, {name}", plan, images[:count], settings)
        _print(f"scenes, {name}", series.comparisons)


def photos(folder: Path, photographs: Path, model: str) -> None:
    """All methods on photographs, with as many evaluations as FocaLogic."""
    classifier = find_classifier(f"{model}")
    made = ModelFactory(lambda: classifier, model.rpartition("/")[2])
    plan = StudySettings(made, segmenter=Slic(12), **USUAL)
    images = [ComparedImage(item) for item in listed(photographs)]
    settings = ComparisonSettings(methods=METHODS, equal_budget=True)
    series = compare_all(Workspace(folder), "photos, equal budget", plan, images, settings)
    _print("photos, equal budget", series.comparisons)
    for name, why in series.failed.items():
        print(f"{name} failed: {why}")


def _print(title: str, comparisons: Sequence[Comparison]) -> None:
    budgets = [found.equal_budget for found in comparisons if found.equal_budget is not None]
    if budgets:
        print(f"{title}: {min(budgets)} to {max(budgets)} evaluations, {sum(budgets) / len(budgets):.0f} on average")
    print(f"{_table(comparisons)}\n\n{characteristics(comparisons).markdown()}\n", flush=True)


def _table(comparisons: Comparison | Sequence[Comparison]) -> str:
    """Measures without seconds, which are those of whatever machine this runs on."""
    table: Table = summarise(comparisons)
    kept = [place for place, name in enumerate(table.columns) if name != "seconds"]
    rows = tuple(tuple(row[place] for place in kept) for row in table.rows)
    return replace(table, columns=tuple(table.columns[place] for place in kept), rows=rows).markdown()


def main() -> None:
    """Do what was asked for."""
    parser = argparse.ArgumentParser(description="Compare methods for the documentation.")
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("picture")
    parts.add_parser("scenes").add_argument("folder", type=Path)
    asked = parts.add_parser("photos")
    asked.add_argument("folder", type=Path)
    asked.add_argument("photographs", type=Path)
    asked.add_argument("model")
    args = parser.parse_args()
    if args.part == "picture":
        picture()
    elif args.part == "scenes":
        scenes(args.folder)
    else:
        photos(args.folder, args.photographs, args.model)


if __name__ == "__main__":
    main()
