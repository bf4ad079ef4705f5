"""Shapes and annotation files."""

import json
import tracemalloc

import numpy as np
import pytest
import skimage.draw
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from captum_focalogic.errors import FocaLogicWarning, InputError
from captum_focalogic.ground_truth import read_mask
from captum_focalogic.integrations.annotations import (
    CocoAnnotations,
    Shapes,
    decode_rle,
    draw_box,
    draw_polygons,
    read_voc,
    read_voc_masks,
)

VOC = """<annotation><size><width>8</width><height>5</height><depth>3</depth></size>
<object><name>n02124075</name><bndbox><xmin>2</xmin><ymin>1</ymin><xmax>4</xmax><ymax>5</ymax></bndbox></object>
<object><name>dog</name><bndbox><xmin>8</xmin><ymin>5</ymin><xmax>8</xmax><ymax>5</ymax></bndbox></object>
</annotation>"""


def encode_rle(mask):
    """Run lengths of a mask (H, W), as a list of counts."""
    pixels = np.asarray(mask, dtype=np.bool_)
    flat = pixels.T.reshape(-1)
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], ends, [flat.size]])).tolist() if flat.size else []
    if flat.size and flat[0]:
        counts = [0, *counts]
    return {"size": list(pixels.shape), "counts": counts}


@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_run_lengths_come_back(mask):
    rle = encode_rle(mask)
    assert sum(rle["counts"]) == mask.size
    assert np.array_equal(decode_rle(rle), mask)


def test_run_lengths_go_down_the_columns_from_absent_pixels():
    assert decode_rle({"size": [2, 3], "counts": [1, 2, 3]}).tolist() == [[False, True, False], [True, False, False]]
    assert encode_rle(np.array([[True, False], [True, True]]))["counts"] == [0, 2, 1, 1]


def test_compressed_run_lengths_by_hand():
    # Of the runs 6, 1, 40, 13, 3, 1, those up to 15 are one group, 48 + n. 40 = 8 + 32 * 1 is two, the first of which
    # says so by 32 more. From the fourth on, differences to the run two before: 13 - 1 = 12; 3 - 40 = -37, which is
    # 27 - 2 * 32: 27, and then -2, which is 30 in five bits; 1 - 13 = -12, which is 20 in five bits.
    text = bytes([48 + 6, 48 + 1, 48 + 8 + 32, 48 + 1, 48 + 12, 48 + 27 + 32, 48 + 30, 48 + 20]).decode()
    assert text == "61X1<kND"
    expected = encode_runs([6, 1, 40, 13, 3, 1], (8, 8))
    assert np.array_equal(decode_rle({"size": [8, 8], "counts": text}), expected)
    assert np.array_equal(decode_rle({"size": [8, 8], "counts": text.encode()}), expected)


def encode_runs(runs, size):
    flat = [position % 2 == 1 for position, run in enumerate(runs) for _ in range(run)]
    return np.array(flat).reshape(size[::-1]).T


def test_compressed_run_lengths_are_those_of_pycocotools():
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    rng = np.random.default_rng(0)
    for _ in range(50):
        mask = np.kron(rng.random(rng.integers(1, 12, 2)) < rng.random(), np.ones(rng.integers(1, 15, 2))) > 0
        assert np.array_equal(decode_rle(coco.encode(np.asfortranarray(mask.astype(np.uint8)))), mask)


@pytest.mark.parametrize(
    ("rle", "message"),
    [
        ({"size": [2, 2], "counts": [1, 2]}, "fill 2x2 pixels; they sum to 3"),
        ({"size": [2, 2], "counts": [5, -1]}, "at least 0"),
        ({"counts": [4]}, "need size"),
        ({"size": [2, 2], "counts": "R"}, "cut short"),
        ({"size": [2, 2], "counts": "é"}, "character"),
    ],
)
def test_run_lengths_that_make_no_sense_are_refused(rle, message):
    with pytest.raises(InputError, match=message):
        decode_rle(rle)


def test_polygons_hold_the_pixels_whose_centres_they_hold():
    assert np.array_equal(draw_polygons([[1, 1, 4, 1, 4, 3, 1, 3]], (4, 6)), draw_box((1, 1, 4, 3), (4, 6)))
    triangle = draw_polygons([[0, 0, 8, 0, 0, 8]], (8, 8))
    rows, columns = np.mgrid[:8, :8] + 0.5
    inside, on_edge = rows + columns < 8, rows + columns == 8
    assert np.array_equal(triangle[~on_edge], inside[~on_edge])
    both = draw_polygons([[0, 0, 2, 0, 2, 2, 0, 2], [4, 4, 6, 4, 6, 6, 4, 6]], (8, 8))
    assert both.sum() == 8
    with pytest.raises(InputError, match="at least three points"):
        draw_polygons([[1, 2, 3, 4]], (4, 4))


def test_boxes_are_cut_at_the_border():
    assert draw_box((-3, 1, 2, 99), (4, 5)).nonzero()[0].tolist() == [1, 1, 2, 2, 3, 3]
    assert not draw_box((7, 7, 9, 9), (4, 5)).any()


def test_pascal_voc_and_imagenet_boxes(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(VOC)
    truth = read_voc(path, {"n02124075": "Egyptian cat"})
    assert truth.labels == ("Egyptian cat", "dog")
    expected = np.zeros((2, 5, 8), dtype=bool)
    expected[0, 0:5, 1:4] = expected[1, 4, 7] = True
    assert np.array_equal(truth.masks, expected)
    for damage in ("<annotation>", VOC.replace("xmin", "x"), VOC.replace(">8<", ">eight<")):
        path.write_text(damage)
        with pytest.raises(InputError, match="no Pascal VOC annotation"):
            read_voc(path)
    with pytest.raises(InputError, match="no Pascal VOC annotation"):
        read_voc(tmp_path / "none.xml")


def test_pascal_voc_masks(tmp_path):
    kinds = np.array([[0, 8, 8], [255, 8, 12]], dtype=np.uint8)
    things = np.array([[0, 1, 2], [255, 1, 3]], dtype=np.uint8)
    for name, values in (("kinds", kinds), ("things", things)):
        picture = Image.fromarray(values, mode="P")
        picture.putpalette(bytes(range(256)) * 3)
        picture.save(tmp_path / f"{name}.png")
    by_class = read_voc_masks(tmp_path / "kinds.png")
    assert by_class.labels == ("cat", "dog")
    assert np.array_equal(by_class.masks, [kinds == 8, kinds == 12])
    assert np.array_equal(by_class.void, kinds == 255)
    by_object = read_voc_masks(tmp_path / "kinds.png", tmp_path / "things.png")
    assert by_object.labels == ("cat", "cat", "dog")
    assert np.array_equal(by_object.masks, [things == 1, things == 2, things == 3])
    with pytest.raises(InputError, match="class index 8, but there are 3 names"):
        read_voc_masks(tmp_path / "kinds.png", names=["a", "b", "c"])


def test_masks_of_pictures(tmp_path):
    mask = np.zeros((6, 7), dtype=np.uint8)
    mask[1:3, 1:3] = mask[4:6, 5:7] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path / "m.png", "cat").masks, [mask > 0])
    assert len(read_mask(tmp_path / "m.png", "cat", instances=True)) == 2


def test_coco_annotations(tmp_path):
    mask = np.zeros((4, 5), dtype=bool)
    mask[1:3, 2:4] = True
    content = {
        "images": [
            {"id": 7, "file_name": "train/a.jpg", "height": 4, "width": 5},
            {"id": 9, "file_name": "b.jpg", "height": 2, "width": 2},
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "segmentation": encode_rle(mask)},
            {"id": 2, "image_id": 7, "category_id": 1, "segmentation": [[0, 0, 2, 0, 2, 4, 0, 4]]},
            {"id": 3, "image_id": 7, "category_id": 1, "bbox": [3, 0, 2, 1]},
        ],
    }
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(content))
    coco = CocoAnnotations(path)
    truth = coco.truth("a.jpg")
    assert truth.labels == ("dog", "cat", "cat")
    assert np.array_equal(truth.masks[0], mask)
    assert np.array_equal(truth.masks[1], draw_box((0, 0, 2, 4), (4, 5)))
    assert np.array_equal(truth.masks[2], draw_box((3, 0, 5, 1), (4, 5)))
    assert coco.truth(7).labels == truth.labels
    assert coco.truth(9).size == (2, 2)
    assert len(coco.truth(9)) == 0
    with pytest.raises(InputError, match=r"no image 'c\.jpg'; it has 2 others"):
        coco.truth("c.jpg")
    content["annotations"][0]["segmentation"]["size"] = [5, 4]
    path.write_text(json.dumps(content))
    with pytest.warns(FocaLogicWarning, match=r"coco\.json: 1 of 3 .* annotations\[0\]: .* 4x5 pixels .* is of 5x4"):
        assert CocoAnnotations(path).truth(7).labels == ("cat", "cat")
    content["annotations"][1:] = []
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"coco\.json: annotations\[0\]: segmentation: run lengths are of 4x5 pixels"):
        CocoAnnotations(path).truth(7)
    for damage in ("[]", "{", '{"images": []}'):
        path.write_text(damage)
        with pytest.raises(InputError, match="no COCO annotation file"):
            CocoAnnotations(path)


IMAGE = torch.zeros(3, 4, 6)


BOX = [1, 0, 5, 0, 5, 4, 1, 4]


SMALL = np.zeros((4, 6), dtype=bool)


SMALL[1, 2] = True


EXPECTED = np.array([[0, 1, 1, 1, 1, 0]] * 4)


EXPECTED[1, 2] = 2


def test_small_shapes_lie_on_large_ones():
    assert np.array_equal(Shapes([encode_rle(SMALL), BOX])(IMAGE), EXPECTED)


def test_several_polygons_are_one_region():
    labels = Shapes([[[0, 0, 2, 0, 2, 4, 0, 4], [4, 0, 6, 0, 6, 4, 4, 4]]])(IMAGE)
    assert np.array_equal(labels, np.array([[1, 1, 0, 0, 1, 1]] * 4))


@pytest.mark.parametrize("wrap", [list, lambda shapes: {"annotations": [{"segmentation": shape} for shape in shapes]}])
def test_shapes_come_from_a_file(tmp_path, wrap):
    path = tmp_path / "shapes.json"
    path.write_text(json.dumps(wrap([encode_rle(SMALL), BOX])))
    assert np.array_equal(Shapes(path)(IMAGE), EXPECTED)


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"6x4 pixels but the image is of 6x5"):
        Shapes([encode_rle(SMALL)])(torch.zeros(3, 5, 6))
    with pytest.raises(InputError, match="at least three points"):
        Shapes([[1, 2, 3]])(IMAGE)
    with pytest.raises(InputError, match="no shapes"):
        Shapes([])
    path = tmp_path / "shapes.json"
    for content in ("{", "3", "[1, 2]", "{}"):
        path.write_text(content)
        with pytest.raises(InputError, match=r"shapes\.json (cannot be read|must hold)"):
            Shapes(path)


def test_images_of_one_name_in_two_folders_are_two(tmp_path):
    images = [
        {"id": number, "file_name": f"{folder}/a.jpg", "height": 2, "width": 2}
        for number, folder in enumerate(("train2017", "val2017"))
    ]
    objects = [
        {"image_id": number, "category_id": 1, "bbox": [0, 0, 1, 1 + number], "iscrowd": 0} for number in range(2)
    ]
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({"images": images, "categories": [], "annotations": objects}))
    coco = CocoAnnotations(path)
    assert coco.truth("val2017/a.jpg").masks.sum() == coco.truth("/data/val2017/a.jpg").masks.sum() == 2
    assert coco.truth("train2017/a.jpg").masks.sum() == 1
    with pytest.raises(InputError, match=r"has no image 'test2017/a\.jpg'"):
        coco.truth("test2017/a.jpg")
    with pytest.raises(InputError, match=r"2 images 'a\.jpg': 'train2017/a\.jpg', 'val2017/a\.jpg'; add the folder"):
        coco.truth("a.jpg")


def test_a_crowd_is_no_object_and_counts_nowhere(tmp_path):
    crowd = {"size": [2, 3], "counts": [0, 4, 2]}
    objects = [
        {"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "iscrowd": 0},
        {"image_id": 1, "category_id": 1, "segmentation": crowd, "iscrowd": 1},
    ]
    image = {"id": 1, "file_name": "a.jpg", "height": 2, "width": 3}
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({"images": [image], "categories": [{"id": 1, "name": "cat"}], "annotations": objects}))
    truth = CocoAnnotations(path).truth(1)
    assert truth.labels == ("cat",)
    assert truth.union.tolist() == [[True, False, False], [False, False, False]]
    assert truth.void.tolist() == [[False, True, False], [True, True, False]]


def test_no_memory_is_taken_on_the_word_of_a_few_bytes(tmp_path):
    huge = VOC.replace(">8<", ">11000<").replace(">5<", ">11000<").replace("</annotation>", "")
    item = huge[huge.index("<object>") : huge.index("</object>") + 9]
    path = tmp_path / "a.xml"
    path.write_text(huge + 3 * item + "</annotation>")
    rle = {"size": [40_000, 40_000], "counts": [0, 1_600_000_000]}
    tracemalloc.start()
    with pytest.raises(InputError, match=r"a\.xml.* 5 mask\(s\) of 11000x11000 pixels"):
        read_voc(path)
    with pytest.raises(InputError, match="40000x40000 pixels is announced"):
        decode_rle(rle)
    with pytest.raises(InputError, match="40000x40000 pixels is announced"):
        Shapes([rle])(IMAGE)
    with pytest.raises(InputError, match="more than 60 bits"):
        decode_rle({"size": [2, 2], "counts": "o" * 1_000_000})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize("seed", range(20))
def test_polygons_are_those_of_scikit_image(seed):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-5, 25, (int(rng.integers(3, 40)), 2))
    expected = np.zeros((17, 21), dtype=bool)
    expected[skimage.draw.polygon(corners[:, 1] - 0.5, corners[:, 0] - 0.5, expected.shape)] = True
    assert np.array_equal(draw_polygons([corners.ravel().tolist()], expected.shape), expected)


def test_a_polygon_of_very_many_points_is_drawn_by_its_edges_and_not_point_by_pixel():
    turns = np.linspace(0, 2 * np.pi, 200_000, endpoint=False)
    circle = np.stack([320 + 200 * np.cos(turns), 240 + 200 * np.sin(turns)], axis=1)
    mask = draw_polygons([circle.ravel().tolist()], (480, 640))
    rows, columns = np.mgrid[:480, :640] + 0.5
    away = np.hypot(rows - 240, columns - 320) - 200
    assert np.array_equal(mask[abs(away) > 1e-3], (away < 0)[abs(away) > 1e-3])
