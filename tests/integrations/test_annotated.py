"""Annotated data sets as ground truth, by name: which objects count, and what is told where classes do not fit."""

import json

import numpy as np
import pytest
from PIL import Image

from captum_focalogic.classifier import Classifier
from captum_focalogic.errors import InputError
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
