"""Annotated data sets as ground truth, by name: which objects count, and what is told where classes do not fit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from captum_focalogic.classifier import Classifier
from captum_focalogic.errors import FocaLogicWarning, InputError
from captum_focalogic.integrations.annotated import CocoTruth, VocTruth
from captum_focalogic.names import find

CORNERS = "<xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax>"
BOX = "<object><name>{name}</name><bndbox>" + CORNERS + "</bndbox></object>"


def write_coco(path):
    images = [
        {"id": 1, "file_name": "a.jpg", "height": 4, "width": 6},
        {"id": 2, "file_name": "b.jpg", "height": 4, "width": 6},
    ]
    objects = [
        {"id": 1, "image_id": 1, "category_id": 7, "bbox": [0, 0, 2, 2]},
        {"id": 2, "image_id": 1, "category_id": 8, "bbox": [3, 0, 3, 4]},
    ]
    categories = [{"id": 7, "name": "cat"}, {"id": 8, "name": "dog"}]
    path.write_text(json.dumps({"images": images, "annotations": objects, "categories": categories}))
    return path


def write_box(path, *objects):
    path.parent.mkdir(parents=True, exist_ok=True)
    boxes = "".join(BOX.format(*corners, name=name) for name, corners in objects)
    path.write_text(f"<annotation><size><width>6</width><height>4</height></size>{boxes}</annotation>")


def test_coco_gives_the_objects_of_the_images_class(tmp_path):
    source = find("ground truth", f"coco:{write_coco(tmp_path / 'instances.json')}")
    assert source(None, "cat", "folder/a.jpg").union.sum() == 4
    assert source(None, "Dog", "a.jpg").union.sum() == 12
    assert source(None, "", "a.jpg").labels == ("cat", "dog")
    assert len(source(None, "cat", "b.jpg")) == 0
    assert source(None, "cat", "c.jpg") is None
    assert CocoTruth(source.path, {"tabby": "cat"})(None, "tabby", "a.jpg").union.sum() == 4


def test_a_class_that_is_no_category_is_told_with_those_there_are(tmp_path):
    source = CocoTruth.from_text(str(write_coco(tmp_path / "instances.json")))
    with pytest.raises(InputError, match=r"has no category 'tabby'; it has cat, dog.*CocoTruth\(PATH, \{'tabby'"):
        source(None, "tabby", "a.jpg")
    with pytest.raises(InputError, match=r"none\.json"):
        CocoTruth.from_text(str(tmp_path / "none.json"))


def test_voc_gives_masks_where_there_are_some_and_boxes_elsewhere(tmp_path):
    kinds = np.zeros((4, 6), dtype=np.uint8)
    kinds[:2, :3], kinds[3] = 8, 12
    (tmp_path / "SegmentationClass").mkdir()
    Image.fromarray(kinds).save(tmp_path / "SegmentationClass" / "1.png")
    write_box(tmp_path / "Annotations" / "1.xml", ("cat", (1, 1, 6, 4)))
    write_box(tmp_path / "Annotations" / "2.xml", ("cat", (1, 1, 2, 2)), ("dog", (3, 1, 6, 4)))
    source = find("ground truth", f"voc:{tmp_path}")
    assert source(None, "cat", "JPEGImages/1.jpg").union.sum() == 6
    assert source(None, "", "1.jpg").labels == ("cat", "dog")
    assert source(None, "dog", "x/2.jpg").union.sum() == 16
    assert VocTruth(tmp_path, {"tabby": "cat"})(None, "tabby", "2.jpg").union.sum() == 4
    assert source(None, "cat", "3.jpg") is None
    with pytest.raises(InputError, match="has no category 'tabby'; it has aeroplane"):
        source(None, "tabby", "1.jpg")


def test_imagenets_boxes_are_all_of_the_images_class(tmp_path):
    write_box(tmp_path / "n01440764" / "a.xml", ("n01440764", (1, 1, 3, 2)), ("n01440764", (4, 1, 6, 1)))
    source = VocTruth.from_text(str(tmp_path))
    assert source(None, "tench", "n01440764/a.JPEG").union.sum() == 9


def test_a_folder_without_annotations_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no annotations: expected SegmentationClass or Annotations"):
        VocTruth.from_text(str(tmp_path))
    with pytest.raises(InputError, match="there is no folder"):
        VocTruth.from_text(str(tmp_path / "none"))


@pytest.mark.parametrize("kind", ["coco", "voc"])
def test_images_of_one_bare_name_in_two_folders_are_refused(tmp_path, kind):
    pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")
    from captum_focalogic.study import image_folder, run_study

    for folder in ("cats", "dogs"):
        for name in ("a", "b"):
            (tmp_path / "images" / folder).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (6, 4)).save(tmp_path / "images" / folder / f"{name}.jpg")
    (tmp_path / "images" / "dogs" / "b.jpg").unlink()
    write_box(tmp_path / "Annotations" / "a.xml", ("cat", (1, 1, 2, 2)))
    write_box(tmp_path / "Annotations" / "b.xml", ("cat", (1, 1, 2, 2)))
    source = f"coco:{write_coco(tmp_path / 'instances.json')}" if kind == "coco" else f"voc:{tmp_path}"
    items = image_folder(tmp_path / "images")
    model = Classifier(lambda images: images.sum(dim=(2, 3)))
    with pytest.raises(InputError, match=r"'cats/a\.jpg' and 'dogs/a\.jpg' have the same ground truth, .*a\."):
        run_study(items, model, "grid:2x2", source, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    alone = run_study(
        image_folder(tmp_path / "images" / "cats"), model, "grid:2x2", find("ground truth", source), tmp_path / "one"
    )
    assert alone.column("truth_area")[0].is_valid


def coco_with(tmp_path: Path, **changes: Any) -> Path:
    """A file of two images, one of which has a cat."""
    content = {
        "images": [{"id": number, "file_name": f"{number}.jpg", "width": 10, "height": 8} for number in (1, 2)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5]}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content | changes))
    return tmp_path / "coco.json"


CAT = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5]}


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("categories", [{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}]),
        ("images", [{"id": 1, "file_name": name, "width": 10, "height": 8} for name in ("1.jpg", "2.jpg")]),
    ],
)
def test_two_things_under_one_id_are_refused(tmp_path: Path, name: str, entries: list[Any]) -> None:
    with pytest.raises(InputError, match=f"coco.json: .*two of the {name} have the id 1"):
        CocoTruth.from_text(str(coco_with(tmp_path, **{name: entries})))


@pytest.mark.parametrize(
    ("change", "what"),
    [({"image_id": "1"}, "image"), ({"image_id": 9}, "image"), ({"category_id": 9}, "category")],
    ids=str,
)
def test_annotations_of_nothing_are_told(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    with pytest.warns(FocaLogicWarning, match=f"1 of 2 annotations are of no {what} of the file"):
        CocoTruth.from_text(str(coco_with(tmp_path, annotations=[CAT, CAT | change])))


@pytest.mark.parametrize("box", [[0, 0, -5, 5], [0, 0, 5, 0], [50, 0, 5, 5], [-9, -9, 5, 5]], ids=str)
def test_an_object_without_a_pixel_is_none(tmp_path: Path, box: list[int]) -> None:
    """It would be met by no region, and every precision be 0."""
    source = CocoTruth.from_text(str(coco_with(tmp_path, annotations=[CAT, CAT | {"bbox": box}])))
    with pytest.warns(FocaLogicWarning, match="1 of 2 entries .* no pixel of the image"):
        truth = source(None, "cat", "1.jpg")
    assert truth is not None
    assert len(truth) == 1
    source = CocoTruth.from_text(str(coco_with(tmp_path, annotations=[CAT | {"bbox": box}])))
    with pytest.raises(InputError, match="no pixel of the image"):
        source(None, "cat", "1.jpg")


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    source = CocoTruth.from_text(str(coco_with(tmp_path)))
    assert len(source(None, "cat", "1.jpg")) == 1  # type: ignore[arg-type]
    coco_with(tmp_path, annotations=[])
    assert len(source(None, "cat", "1.jpg")) == 0  # type: ignore[arg-type]


def test_corners_of_voc_in_the_wrong_order_are_told(tmp_path: Path) -> None:
    corners = "<xmin>5</xmin><ymin>5</ymin><xmax>1</xmax><ymax>1</ymax>"
    size = "<size><width>10</width><height>8</height></size>"
    text = f"<annotation>{size}<object><name>cat</name><bndbox>{corners}</bndbox></object></annotation>"
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(InputError, match=r"a\.xml: .*object 1: it has no pixel of the image"):
        VocTruth.from_text(str(tmp_path))(None, "cat", "a.jpg")
