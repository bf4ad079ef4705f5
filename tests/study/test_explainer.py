"""Images to rows: where the object is, in the size that the model sees, and what goes wrong becomes a row."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")

from studies import GRID, SIDE, patch_items, save_images
from tiny_models import Brightest

from captum_focalogic.classifier import Classifier
from captum_focalogic.errors import InputError
from captum_focalogic.ground_truth import GroundTruth, MaskFiles
from captum_focalogic.segmenters import Grid
from captum_focalogic.study import Item, Sample, image_folder, run_study
from captum_focalogic.study.explainer import Explainer, Prepared, fit_labels
from captum_focalogic.study.settings import StudySettings, model_factory


def test_masks_in_files_are_found_by_the_image_and_cropped_with_it(tmp_path: Path) -> None:
    save_images(tmp_path / "data", 3)
    masks = tmp_path / "masks" / "ant"
    masks.mkdir(parents=True)
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
    mask[: SIDE // 2, : SIDE // 2] = 1
    Image.fromarray(mask).save(masks / "000.png")
    np.save(masks / "002.npy", np.ones((3, 5), dtype=np.int64))

    def left(image: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.array(image, dtype=np.float32) / 255)[:, : SIDE // 2].permute(2, 0, 1)

    model = Classifier(Brightest(), left, lambda labels: labels[:, : SIDE // 2], name="left half")
    rows = run_study(
        image_folder(tmp_path / "data"), model, GRID, MaskFiles(tmp_path / "masks"), tmp_path / "run"
    ).to_pylist()
    by_id = {row["id"]: row for row in rows}
    assert by_id["ant/000.png"]["truth_regions"] == [1, 2, 3]
    assert by_id["ant/000.png"]["region_coverage"] == [1, 1, 1, 0, 0, 0]
    assert by_id["bee/001.png"]["truth_regions"] is None
    assert by_id["bee/001.png"]["irreducible_precision"] is None
    assert by_id["bee/001.png"]["irreducible_divergence"] is not None
    assert "the mask is 5x3 pixels (width x height), but the model sees 12x24" in by_id["ant/002.png"]["error"]


def test_a_mask_of_the_images_size_needs_to_know_the_crop(tmp_path: Path) -> None:
    save_images(tmp_path / "data", 1, (".",))
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.ones((SIDE, SIDE), dtype=np.uint8)).save(tmp_path / "masks" / "000.png")
    model = Classifier(Brightest(), lambda image: torch.zeros(3, 8, 8), name="mine")
    (row,) = run_study(
        image_folder(tmp_path / "data"), model, GRID, MaskFiles(tmp_path / "masks"), tmp_path / "run"
    ).to_pylist()
    assert "the model's preprocess does more than resize, crop and flip" in row["error"]


def test_truth_as_a_function_and_several_parts(tmp_path: Path) -> None:
    save_images(tmp_path / "data", 2, (".",))
    cells = GRID(torch.zeros(3, SIDE, SIDE))

    def corners(image: torch.Tensor, label: str, name: str) -> Any:
        return None if name == "001.png" else np.stack([cells == 1, cells == 6])

    rows = run_study(
        image_folder(tmp_path / "data"), Brightest(), GRID, corners, tmp_path / "run", match="iou"
    ).to_pylist()
    assert rows[0]["truth_regions"] == [1, 6]
    assert rows[0]["region_iou"] == [1, 0, 0, 0, 0, 1]
    assert rows[1]["truth_regions"] is None


def test_truth_that_is_found_by_the_name_of_the_class() -> None:
    asked = []

    def source(image: torch.Tensor, label: str, name: str) -> GroundTruth | None:
        if not label:
            return None
        asked.append((tuple(image.shape), label))
        masks = np.zeros((int(label != "moth"), 4, 6), dtype=bool)
        masks[:, :2] = True
        return GroundTruth(masks, (label,) * len(masks))

    model = Classifier(Brightest(), labels=["ant, pismire", "bee", "moth"])
    explainer = Explainer(StudySettings(model_factory(model), Grid(1, 2), source))
    items = [Item(str(label), lambda: Sample(torch.zeros(3, 4, 6)), label) for label in (0, 1, 2, None, 3, -1)]
    prepared = [explainer.prepare(index, item) for index, item in enumerate(items)]
    masks = [image.truth.masks if image.truth else None for image in prepared if isinstance(image, Prepared)]
    assert asked == [((3, 4, 6), "ant"), ((3, 4, 6), "bee"), ((3, 4, 6), "moth")]
    assert [None if mask is None else mask.sum() for mask in masks] == [12, 12, None, None, None, None]


def test_what_cannot_be_read_becomes_its_row() -> None:
    explainer = Explainer(StudySettings(model_factory(Brightest()), GRID))
    prepared = [explainer.prepare(index, item) for index, item in enumerate(patch_items(3, broken=(1,)))]
    assert [isinstance(image, Prepared) for image in prepared] == [True, False, True]
    rows = explainer.rows(prepared)
    assert [row["index"] for row in rows] == [0, 1, 2]
    assert rows[1]["error"] == "OSError: image 1 is torn"
    assert [row.get("error") for row in (rows[0], rows[2])] == [None, None]
    first = prepared[0]
    assert isinstance(first, Prepared)
    assert explainer.focus(first).formula == rows[0]["formula"]


def test_label_maps_are_taken_as_seen_or_cropped_with_the_image() -> None:
    whole, seen = Image.new("RGB", (6, 4)), torch.zeros(3, 4, 3)
    labels = np.arange(24).reshape(4, 6)
    model = Classifier(Brightest(), preprocess_labels=lambda given: given[:, :3], name="mine")
    assert fit_labels(labels[:, 3:], whole, seen, model).tolist() == labels[:, 3:].tolist()
    assert fit_labels(labels, whole, seen, model).tolist() == labels[:, :3].tolist()
    with pytest.raises(InputError, match=r"the label map is 5x4 pixels .* sees 3x4"):
        fit_labels(labels[:, 1:], whole, seen, model)
