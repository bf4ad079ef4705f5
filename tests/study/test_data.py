"""Data sets by name: what is found, in which order, and with which class, mask and regions."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder

pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")

from studies import GRID, SIDE, save_images

from captum_focalogic.demo.scenes import draw_scene
from captum_focalogic.errors import InputError
from captum_focalogic.study import data_from_text, hugging_face, image_folder
from captum_focalogic.study.data import listed


def test_scenes_bring_their_regions_truth_and_class() -> None:
    items = data_from_text("scenes:12")
    assert [item.id for item in items] == [f"scene-{seed}" for seed in range(12)]
    labels = set()
    for seed, item in enumerate(items):
        scene, sample = draw_scene(seed), item.read()
        assert torch.equal(torch.as_tensor(sample.image), torch.from_numpy(scene.image))
        assert np.array_equal(sample.label_map, scene.labels)  # type: ignore[arg-type]
        assert sample.label == scene.label
        labels.add(scene.label)
        if scene.label == 0:
            assert sample.truth is None
        else:
            assert np.array_equal(sample.truth, scene.truth())  # type: ignore[arg-type]
    assert 0 in labels


def test_folders_are_read_as_torchvision_reads_them(tmp_path: Path) -> None:
    save_images(tmp_path, 7, ("zebra", "ant", "bee"))
    items, theirs = image_folder(tmp_path), ImageFolder(str(tmp_path))
    assert [(str(tmp_path / item.id), item.label) for item in items] == theirs.samples
    for item, (their_image, _) in zip(items, theirs, strict=True):
        assert np.array_equal(np.asarray(item.read().image), np.asarray(their_image))


@pytest.mark.parametrize(
    ("classes", "names", "expected"),
    [
        (("b", "a"), None, {"a": 0, "b": 1}),
        (("b", "a"), ["b", "c", "a"], {"a": 2, "b": 0}),
        (("10", "9", "2"), None, {"2": 2, "9": 9, "10": 10}),
        (("crane", "x"), ["crane", "x", "crane"], {"crane": 0, "x": 1}),
    ],
)
def test_classes_by_name_by_number_or_in_order(
    tmp_path: Path, classes: tuple[str, ...], names: list[str] | None, expected: dict[str, int]
) -> None:
    save_images(tmp_path, 2 * len(classes), classes)
    assert {item.id.split("/")[0]: item.label for item in image_folder(tmp_path, names)} == expected


def test_what_is_hidden_is_nobodys_class(tmp_path: Path) -> None:
    save_images(tmp_path, 6, ("ant", "bee", ".ipynb_checkpoints"))
    save_images(tmp_path, 1, ("__MACOSX",))
    (tmp_path / "ant" / "._000.png").write_bytes(b"of another system")
    items = image_folder(tmp_path)
    assert [(item.id, item.label) for item in items] == [
        ("ant/000.png", 0),
        ("ant/003.png", 0),
        ("bee/001.png", 1),
        ("bee/004.png", 1),
    ]
    assert {item.numbering for item in items} == {"alphabetical order, as torchvision's ImageFolder"}


def test_linked_folders_are_classes_and_circles_end(tmp_path: Path) -> None:
    save_images(tmp_path / "elsewhere", 2, ("bee",))
    save_images(tmp_path / "data", 2, ("ant", "cow"))
    (tmp_path / "data" / "bee").symlink_to(tmp_path / "elsewhere" / "bee")
    (tmp_path / "data" / "ant" / "again").symlink_to(tmp_path / "data")
    assert [(item.id, item.label) for item in image_folder(tmp_path / "data")] == [
        ("ant/000.png", 0),
        ("bee/000.png", 1),
        ("bee/001.png", 1),
        ("cow/001.png", 2),
    ]


def test_folders_without_images_count_as_for_torchvision(tmp_path: Path) -> None:
    save_images(tmp_path, 2, ("ant", "cow"))
    (tmp_path / "bee").mkdir()
    theirs = ImageFolder(str(tmp_path), allow_empty=True)
    assert [item.label for item in image_folder(tmp_path)] == [label for _, label in theirs.samples] == [0, 2]
    assert [item.label for item in image_folder(tmp_path, ["cow", "ant"])] == [1, 0]


def test_parts_of_a_data_set_are_not_its_classes(tmp_path: Path) -> None:
    for part in ("train", "val"):
        save_images(tmp_path / part, 2)
    for names in (None, ["ant", "bee"]):
        with pytest.raises(InputError, match=r"parts of a data set, not classes.*PART being train, val"):
            data_from_text(str(tmp_path), names)
    assert len(data_from_text(str(tmp_path / "val"))) == 2
    save_images(tmp_path / "vehicles", 2, ("train",))
    assert [item.label for item in image_folder(tmp_path / "vehicles", ["bus", "train"])] == [1, 1]


def test_classes_that_the_model_does_not_have_are_refused(tmp_path: Path) -> None:
    names = ["tabby", "Egyptian cat", "tiger cat"]
    save_images(tmp_path / "known", 2, ("Egyptian_cat", "tabby"))
    items = image_folder(tmp_path / "known", names)
    assert {item.id.split("/")[0]: item.label for item in items} == {"Egyptian_cat": 1, "tabby": 0}
    assert {item.numbering for item in items} == {"the model's classes of these names"}
    save_images(tmp_path / "strange", 3, ("tabby", "Egyptian_cat", "tigercat"))
    with pytest.raises(InputError, match=r"1 of 3 classes.*'tigercat' \(nearest: 'tiger cat'"):
        data_from_text(str(tmp_path / "strange"), names)
    (tmp_path / "list.csv").write_text("path,label\nknown/tabby/001.png,tabby\nknown/tabby/001.png,dog\n")
    with pytest.raises(InputError, match="1 of 2 classes of the data are none of the model's: 'dog'"):
        data_from_text(str(tmp_path / "list.csv"), names)
    (tmp_path / "far.csv").write_text("path,label\nknown/tabby/001.png,3\n")
    with pytest.raises(InputError, match="3 classes, 0 to 2, but the data has class 3"):
        data_from_text(str(tmp_path / "far.csv"), names)


def test_images_in_one_folder_have_no_class(tmp_path: Path) -> None:
    save_images(tmp_path, 3, (".",))
    assert [(item.id, item.label) for item in image_folder(tmp_path)] == [(f"00{n}.png", None) for n in range(3)]
    save_images(tmp_path, 1, ("ant",))
    with pytest.raises(InputError, match="both in subfolders, one for each class, and outside"):
        image_folder(tmp_path)


def test_a_limit_takes_images_from_everywhere(tmp_path: Path) -> None:
    save_images(tmp_path, 10)
    whole = [item.id for item in data_from_text(str(tmp_path))]
    assert [item.id for item in data_from_text(str(tmp_path), limit=3)] == [whole[0], whole[3], whole[6]]
    assert [item.id for item in data_from_text(str(tmp_path), limit=99)] == whole


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_lists_name_images_labels_masks_and_regions(tmp_path: Path, kind: str) -> None:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    paths = save_images(tmp_path / "images", 3, (".",))
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
    mask[:5] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    np.save(tmp_path / "regions.npy", GRID(torch.zeros(3, SIDE, SIDE)))
    table = pa.table(
        {
            "image": [f"images/{path.name}" for path in paths],
            "label": ["bee", "ant", "bee"],
            "mask": ["mask.png", None, None],
            "regions": [None, "regions.npy", None],
            "id": ["a", "b", "c"],
        }
    )
    file = tmp_path / f"list.{kind}"
    (pyarrow.csv.write_csv if kind == "csv" else pyarrow.parquet.write_table)(table, file)
    items = data_from_text(str(file), ["bee", "wasp", "ant"])
    assert [(item.id, item.label) for item in items] == [("a", 0), ("b", 2), ("c", 0)]
    first, second, third = (item.read() for item in items)
    assert np.array_equal(first.truth.union, mask > 0)  # type: ignore[arg-type]
    assert second.truth is first.label_map is third.label_map is None
    assert len(np.unique(second.label_map)) == 6  # type: ignore[arg-type]


def test_lists_with_numbers_for_classes(tmp_path: Path) -> None:
    save_images(tmp_path, 2, (".",))
    (tmp_path / "list.csv").write_text("path,label\n000.png,7\n001.png,\n")
    assert [(item.id, item.label) for item in data_from_text(str(tmp_path / "list.csv"))] == [
        ("000.png", 7),
        ("001.png", None),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scenes:0", "at least 1"),
        ("scenes:many", "at least 1"),
        ("nowhere", "there is no data 'nowhere'; expected scenes:NUMBER"),
        ("{}/empty", "there is no image in"),
        ("{}/bad.csv", "needs a column image"),
        ("{}/torn.parquet", "cannot be read"),
    ],
)
def test_data_that_cannot_be_had(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.csv").write_text("file,label\na.png,0\n")
    (tmp_path / "torn.parquet").write_text("PAR1")
    with pytest.raises(InputError, match=message):
        data_from_text(text.format(tmp_path))


def test_folders_of_hugging_face_datasets(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="needs datasets (the datasets extra)")
    paths = save_images(tmp_path / "images", 4, (".",))
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["x", "y"]), "mask": datasets.Image()}
    )
    mask = Image.fromarray(np.eye(SIDE, dtype=np.uint8) * 255)
    columns: dict[str, Any] = {
        "image": [str(path) for path in paths],
        "label": [0, 1, 1, -1],
        "mask": [mask] * 4,
    }
    dataset = datasets.Dataset.from_dict(columns, features=features)
    dataset.save_to_disk(str(tmp_path / "saved"))
    items = data_from_text(str(tmp_path / "saved"))
    assert [(item.id, item.label) for item in items] == [("0", 0), ("1", 1), ("2", 1), ("3", None)]
    assert [item.label for item in hugging_face(tmp_path / "saved", ["y", "z", "x"])] == [2, 0, 0, None]
    sample = items[2].read()
    assert np.array_equal(np.asarray(sample.image), np.asarray(Image.open(paths[2])))
    assert np.array_equal(sample.truth.union, np.eye(SIDE) > 0)  # type: ignore[arg-type]
    datasets.DatasetDict({"train": dataset, "test": dataset}).save_to_disk(str(tmp_path / "splits"))
    with pytest.raises(InputError, match=r"several splits; name one of them.*test, train"):
        data_from_text(str(tmp_path / "splits"))
    assert len(data_from_text(str(tmp_path / "splits" / "test"))) == 4


def test_a_parquet_file_of_the_hub_brings_its_images_and_names(tmp_path):
    datasets = pytest.importorskip("datasets", reason="Hugging Face datasets is not installed")
    shades = [10, 200, 90]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["dog", "cat"])})
    images = [Image.fromarray(np.full((2, 3, 3), shade, np.uint8)) for shade in shades]
    rows = datasets.Dataset.from_dict({"image": images, "label": [0, 1, -1]}, features=features)
    path = tmp_path / "train.parquet"
    rows.to_parquet(str(path), batch_size=2)
    items = listed(path, ["cat", "dog"])
    assert [item.id for item in items] == ["row 0", "row 1", "row 2"]
    assert [item.label for item in items] == [1, 0, None]
    items = [pickle.loads(pickle.dumps(item)) for item in reversed(items)]
    assert [np.asarray(item.read().image)[0, 0, 0] for item in items] == shades[::-1]


def test_what_a_list_says_wrongly_is_refused_by_file_row_and_column(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("image,label\na.png,0.5\n")
    with pytest.raises(InputError, match=r"list\.csv: label: .* must hold class numbers or names; got 0\.5"):
        listed(path)
    path.write_text("Image, Label \na.png,1.0\nb.png,0\n")
    assert [(item.id, item.label) for item in listed(path)] == [("a.png", 1), ("b.png", 0)]
    path.write_text("image,Label,label\na.png,1,0\n")
    with pytest.raises(InputError, match=r"list\.csv: two columns are called label"):
        listed(path)
    path.write_text("image,label\na.png,1.0\nb.png,\n")
    assert [item.label for item in listed(path)] == [1, None]
    with pytest.raises(InputError, match=r"list\.csv: row 2: the image .*b\.png cannot be read"):
        listed(path)[1].read()
    path.write_text("image\n0001\n5\n")
    assert [item.id for item in listed(path)] == ["0001", "5"]
    path.write_text("image,mask\na.png,\n,\n")
    with pytest.raises(InputError, match=r"list\.csv: the column image must name files; row 2 is empty"):
        listed(path)
    path.write_bytes("image,label\na.png,Löwe\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"list\.csv is no text in UTF-8 \(byte 19\), in line 2"):
        listed(path)
    path.write_bytes(b"\xef\xbb\xbfimage,label\na.png,1\n")
    assert [(item.id, item.label) for item in listed(path)] == [("a.png", 1)]


def write_mask(path: Path) -> None:
    pixels = np.zeros((SIDE, SIDE), dtype=np.uint8)
    pixels[: SIDE // 2] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("ending", ["_mask", "-mask", ".mask"])
def test_masks_beside_images_are_their_truth_and_no_images(tmp_path: Path, ending: str) -> None:
    first, _, third = save_images(tmp_path, 3)
    write_mask(first.with_name(f"{first.stem}{ending}.png"))
    write_mask(third.with_name(f"{third.stem}{ending}.tif"))
    items = {item.id: item for item in image_folder(tmp_path)}
    assert sorted(items) == ["ant/000.png", "ant/002.png", "bee/001.png"]
    assert items["ant/000.png"].read().truth.union.sum() == SIDE * SIDE // 2
    assert items["ant/002.png"].read().truth is not None
    assert items["bee/001.png"].read().truth is None
    assert len(items["ant/000.png"].files) == 2
    assert [item.label for item in items.values()] == [0, 0, 1]


def test_a_folder_of_images_and_one_of_masks_are_one_data_set(tmp_path: Path) -> None:
    save_images(tmp_path / "images", 2)
    write_mask(tmp_path / "masks" / "ant" / "000.png")
    items = {item.id: item for item in image_folder(tmp_path)}
    assert sorted(items) == ["ant/000.png", "bee/001.png"]
    assert items["ant/000.png"].read().truth.union.sum() == SIDE * SIDE // 2
    assert items["bee/001.png"].read().truth is None


def test_images_whose_names_speak_of_masks_stay_images(tmp_path: Path) -> None:
    """Where there is no image that a mask could be of, it is an image."""
    for path in save_images(tmp_path, 2):
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    assert [item.id for item in image_folder(tmp_path)] == ["ant/000_mask.png", "bee/001_mask.png"]
    (tmp_path / "classes").mkdir()
    for name in ("images", "masks"):
        save_images(tmp_path / "classes" / name, 1, (".",))
        (tmp_path / "classes" / name / "000.png").rename(tmp_path / "classes" / name / f"{name}.png")
    assert [item.label for item in image_folder(tmp_path / "classes")] == [0, 1]
