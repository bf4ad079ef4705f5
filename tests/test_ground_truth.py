"""Ground truth and the regions that match it."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from captum_focalogic.errors import InputError
from captum_focalogic.ground_truth import (
    DEFAULT_MATCH,
    GroundTruth,
    MaskFiles,
    Match,
    MatchedRegions,
    ground_truth_from_mask,
    join,
    match_regions,
    read_mask,
)


def masks_of(*rows):
    return np.array([[[character == "#" for character in line] for line in row.split()] for row in rows])


LABELS = np.array([[5, 5, 5, -1], [5, 5, 8, -1]])


def test_regions_match_by_mask_and_lost_masks_are_named():
    # Region -1 is the second object; the first one is three quarters of region 5 and one of region 8.
    truth = GroundTruth(masks_of("##.. ##..", "...# ...#", "..#. ...."), ("cat", "dog", "tail"))
    match = match_regions(LABELS, truth, "iou")
    assert match.by_mask.tolist() == [[False, True, False], [True, False, False], [False, False, False]]
    assert match.regions.tolist() == [True, True, False]
    assert match.unmatched == (2,)
    assert str(match) == "2 of 3 regions match by iou >= 0.7; matched by no region: tail (mask 3)"
    strict = match_regions(LABELS, truth, "iou:0.81")
    assert strict.regions.tolist() == [True, False, False]
    assert strict.unmatched == (0, 2)


def test_the_union_and_coverage_find_what_instances_lose():
    truth = GroundTruth(masks_of("#... #...", ".##. .#.."), ("cat", "cat"))
    assert match_regions(LABELS, truth, "iou").regions.tolist() == [False, False, False]
    union = match_regions(LABELS, truth, "iou", union=True)
    assert union.regions.tolist() == [False, True, False]
    assert union.labels == ("cat",)
    assert union.unmatched == ()
    assert match_regions(LABELS, truth, "coverage", union=False).regions.tolist() == [False, True, False]
    assert match_regions(LABELS, truth, "coverage:0.61", union=False).regions.tolist() == [False, False, False]
    assert match_regions(LABELS, truth, "coverage:0.61", union=True).regions.tolist() == [False, True, False]


@given(
    arrays(np.int64, (4, 5), elements=st.integers(-2, 3)),
    arrays(np.bool_, (3, 4, 5)),
    st.sampled_from(["iou", "coverage"]),
    st.floats(0.05, 1),
    st.booleans(),
)
def test_matches_are_those_of_the_definition(labels, masks, rule, threshold, union):
    match = match_regions(labels, GroundTruth(masks, ("a", "b", "a")), Match(rule, threshold), union=union)
    asked = [masks.any(axis=0)] if union else list(masks)
    ids = sorted(set(labels.reshape(-1).tolist()))
    for row, mask in zip(match.by_mask, asked, strict=True):
        for found, region_id in zip(row, ids, strict=True):
            region = labels == region_id
            whole = (region | mask).sum() if rule == "iou" else region.sum()
            assert found == ((region & mask).sum() / whole >= threshold)
    assert match.regions.tolist() == [any(row[index] for row in match.by_mask) for index in range(len(ids))]


def test_no_masks_match_nothing():
    for union in (False, True):
        match = match_regions(LABELS, GroundTruth(np.zeros((0, 2, 4), dtype=bool), ()), union=union)
        assert match.regions.tolist() == [False] * 3
        assert match.unmatched == ()


def test_parts_become_instances():
    mask = masks_of("##.# #..# ..#.")[0]
    assert len(ground_truth_from_mask(mask, "cat")) == 1
    parts = ground_truth_from_mask(mask, "cat", instances=True)
    # Pixels that touch at a corner belong together.
    assert [part.tolist() for part in parts.masks] == masks_of("##.. #... ....", "...# ...# ..#.").tolist()
    assert parts.labels == ("cat", "cat")
    assert len(ground_truth_from_mask(np.zeros((2, 3)), "cat", instances=True)) == 0


def test_labels_choose_masks():
    truth = GroundTruth(np.eye(3, dtype=bool)[:, None], ("Cat", "dog", "cat "))
    assert truth.of("CAT").masks.tolist() == [truth.masks[0].tolist(), truth.masks[2].tolist()]
    assert len(truth.of("cow")) == 0
    assert truth.union.tolist() == [[True] * 3]
    both = join([truth.of("dog"), truth.of("cat")])
    assert both.labels == ("dog", "Cat", "cat ")


def test_masks_are_resized_by_nearest_pixel():
    truth = GroundTruth(masks_of("#. .#"), ("cat",))
    assert truth.resized((4, 4)).masks.tolist() == masks_of("##.. ##.. ..## ..##").tolist()
    assert truth.resized((4, 4)).resized((2, 2)).masks.tolist() == truth.masks.tolist()


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="one label each"):
        GroundTruth(np.zeros((2, 3, 3), dtype=bool), ("cat",))
    with pytest.raises(InputError, match="must be Boolean"):
        GroundTruth(np.zeros((1, 3, 3)), ("cat",))
    truth = GroundTruth(np.zeros((1, 3, 3), dtype=bool), ("cat",))
    with pytest.raises(InputError, match=r"label map is \(2, 4\) but the ground truth is \(3, 3\)"):
        match_regions(LABELS, truth)
    with pytest.raises(InputError, match="by 'coverage' or by 'iou'"):
        match_regions(np.zeros((3, 3), dtype=int), truth, "dice")
    with pytest.raises(InputError, match="one size"):
        join([truth, GroundTruth(np.zeros((1, 2, 2), dtype=bool), ("dog",))])
    with pytest.raises(InputError, match=r"a mask must be \(H, W\)"):
        ground_truth_from_mask(np.zeros((1, 2, 2)), "cat")
    assert isinstance(match_regions(np.zeros((3, 3), dtype=int), truth), MatchedRegions)


CELLS = np.array([[-3, -3, 7, 7], [-3, -3, 7, 7], [9, 9, 9, 9]])


def test_match_by_iou_is_inclusive_at_the_threshold():
    mask = np.zeros((3, 4), dtype=bool)
    mask[:2, 2:] = True
    mask[2, 0] = True
    # Region 7: 4 pixels shared of 5 in either. Region 9: 1 of 8. Region -3: none.
    assert match_regions(CELLS, mask, "iou:0.8").regions.tolist() == [False, True, False]
    assert match_regions(CELLS, mask, "iou:0.81").regions.tolist() == [False, False, False]


def test_match_by_iou_with_several_masks_takes_the_best_of_them():
    masks = np.stack([CELLS == -3, CELLS == 7])
    assert match_regions(CELLS, masks, "iou").regions.tolist() == [True, True, False]
    assert match_regions(CELLS, masks.any(axis=0), "iou").regions.tolist() == [False, False, False]


def test_match_by_coverage_keeps_the_parts_of_an_object():
    mask = CELLS != 9
    mask[2, :2] = True
    assert match_regions(CELLS, mask, "coverage").regions.tolist() == [True, True, True]
    assert match_regions(CELLS, mask, "coverage:0.51").regions.tolist() == [True, True, False]
    masks = np.stack([CELLS == -3, CELLS == 7])
    assert match_regions(CELLS, masks, "coverage").regions.tolist() == [True, True, False]


def test_an_empty_mask_matches_nothing():
    empty = np.zeros((3, 4), dtype=bool)
    assert not match_regions(CELLS, empty, "iou").regions.any()
    assert not match_regions(CELLS, empty, "coverage").regions.any()


@settings(max_examples=40)
@given(
    labels=arrays(np.int64, (4, 5), elements=st.integers(-2, 3)),
    mask=arrays(np.bool_, (4, 5)),
    threshold=st.sampled_from([0.25, 0.5, 0.625, 1.0]),
)
def test_matching_equals_set_arithmetic(labels, mask, threshold):
    pixels = set(zip(*np.nonzero(mask), strict=True))
    by_iou, by_coverage = [], []
    for region in sorted(set(labels.ravel().tolist())):
        own = set(zip(*np.nonzero(labels == region), strict=True))
        by_iou.append(Fraction(len(own & pixels), len(own | pixels)) >= threshold)
        by_coverage.append(Fraction(len(own & pixels), len(own)) >= threshold)
    assert match_regions(labels, mask, Match("iou", threshold)).regions.tolist() == by_iou
    assert match_regions(labels, mask, Match("coverage", threshold)).regions.tolist() == by_coverage


def test_matching_says_what_does_not_fit():
    with pytest.raises(InputError, match="height and width"):
        match_regions(CELLS, np.zeros((4, 3), dtype=bool), "iou")
    with pytest.raises(InputError, match="integers"):
        match_regions(CELLS.astype(float), CELLS == 7)
    with pytest.raises(InputError, match="mask must be Boolean"):
        match_regions(CELLS, CELLS)
    with pytest.raises(InputError, match="threshold"):
        match_regions(CELLS, CELLS == 7, "coverage:0")


def test_there_is_one_usual_match_and_it_says_itself():
    assert str(DEFAULT_MATCH) == "coverage:0.5"
    assert Match.from_text("iou") == Match("iou", 0.7)
    for text in ("iou:0.7", "coverage:0.5", "coverage:0.25"):
        assert str(Match.from_text(text)) == text
    for text in ("iou:", "iou:x", "iou:nan", "coverage:1.01", "dice:0.5", ""):
        with pytest.raises(InputError, match="by 'coverage' or by 'iou'"):
            Match.from_text(text)


def test_several_masks_are_one_object_for_coverage_and_several_for_iou():
    # each mask covers half of half of region 9: only together are they half of it
    masks = np.zeros((2, 3, 4), dtype=bool)
    masks[0, 2, 0] = masks[1, 2, 1] = True
    assert match_regions(CELLS, masks).regions.tolist() == [False, False, True]
    assert match_regions(CELLS, masks, "iou:0.5").regions.tolist() == [False, False, False]
    assert match_regions(CELLS, masks, "iou:0.5", union=True).regions.tolist() == [False, False, True]


def test_void_counts_nowhere():
    # Region -3: two of four pixels void, both others in the mask. Region 7: all void. Region 9: one pixel in the mask.
    void = np.zeros((3, 4), dtype=bool)
    void[0] = void[1, 2:] = True
    mask = np.zeros((3, 4), dtype=bool)
    mask[:2, :3] = mask[2, 0] = True
    found = match_regions(CELLS, GroundTruth(mask[None], ("cat",), void))
    assert found.coverage.tolist() == [1, 0, 0.25]
    assert found.iou.tolist() == [2 / 3, 0, 1 / 6]
    assert found.known.tolist() == [0.5, 0, 1]
    assert found.regions.tolist() == [True, False, False]
    assert match_regions(CELLS, mask).known.tolist() == [1, 1, 1]


@given(arrays(np.int64, (4, 5), elements=st.integers(0, 3)), arrays(np.bool_, (2, 4, 5)), arrays(np.bool_, (4, 5)))
def test_void_pixels_might_as_well_not_be_there(labels, masks, void):
    """Overlaps are those over the pixels that are left."""
    left = ~void
    found = match_regions(labels, GroundTruth(masks, ("a", "b"), void))
    for column, region_id in enumerate(np.unique(labels)):
        region = (labels == region_id) & left
        shares = [
            Fraction(int((region & mask & left).sum()), max(1, int((region | (mask & left)).sum()))) for mask in masks
        ]
        assert found.iou[column] == pytest.approx(float(max(shares)))
        covered = int((region & masks.any(axis=0)).sum())
        assert found.coverage[column] == pytest.approx(covered / max(1, int(region.sum())))
        assert found.known[column] == pytest.approx(region.sum() / (labels == region_id).sum())


def test_void_stays_with_the_masks():
    truth = GroundTruth(masks_of("#. #."), ("cat",), np.array([[True, False], [False, False]]))
    assert truth.union.tolist() == [[False, False], [True, False]]
    assert truth.of("dog").void is truth.void
    assert truth.resized((4, 4)).void.sum() == 4
    assert join([truth, GroundTruth(masks_of(".. .#"), ("dog",))]).void.tolist() == truth.void.tolist()
    with pytest.raises(InputError, match="void must be as large"):
        GroundTruth(masks_of("#. #."), ("cat",), np.zeros((1, 2), dtype=bool))


def voc_palette():
    """Pascal VOC's colours by its own description: three bits of the index at a time, for red, green and blue."""
    colours = []
    for index in range(256):
        colour, bits = [0, 0, 0], index
        for place in range(7, -1, -1):
            for channel in range(3):
                colour[channel] |= ((bits >> channel) & 1) << place
            bits >>= 3
        colours += colour
    assert colours[:6] == [0, 0, 0, 128, 0, 0]
    assert colours[-3:] == [224, 224, 192]
    return colours


def saved(path, values, palette=None, mode=None):
    image = Image.fromarray(np.array(values, dtype=np.uint8))
    if palette is not None:
        image = Image.fromarray(np.array(values, dtype=np.uint8), mode="P")
        image.putpalette(palette)
    (image if mode is None else image.convert(mode)).save(path)
    return path


def seen(path, **how):
    """Object and void of a mask file, as lists of numbers."""
    truth = read_mask(path, "cat", **how)
    void = None if truth.void is None else truth.void.astype(int).tolist()
    return truth.union.astype(int).tolist(), void


@pytest.mark.parametrize("values", [[[0, 1, 0]], [[0, 255, 0]], [[0, 100, 0]], [[0, 127, 0]]])
def test_any_pixel_that_is_not_0_is_the_object(tmp_path, values):
    expected = ([[0, 1, 0]], None)
    assert seen(saved(tmp_path / "m.png", values)) == expected
    assert seen(saved(tmp_path / "rgb.png", values, mode="RGB")) == expected
    np.save(tmp_path / "m.npy", np.array(values))
    assert seen(tmp_path / "m.npy") == expected
    assert seen(np.array(values)) == expected
    deep = Image.fromarray(np.array(values, dtype=np.uint16) * 256)
    assert seen(deep) == expected
    one = saved(tmp_path / "one.png", values).with_name("bits.png")
    Image.fromarray(np.array(values) > 0).save(one)
    assert seen(one) == expected


def test_a_class_mask_is_told_from_a_mask_of_0_and_255(tmp_path):
    classes, objects, soft = [[0, 8, 255]], [[0, 255, 255]], [[0, 8, 128, 255]]
    # class numbers beside the 255
    assert seen(saved(tmp_path / "raw.png", classes)) == ([[0, 1, 0]], [[0, 0, 1]])
    np.save(tmp_path / "raw.npy", np.array(classes))
    assert seen(tmp_path / "raw.npy") == ([[0, 1, 0]], [[0, 0, 1]])
    # 255 alone, and other greys
    assert seen(saved(tmp_path / "objects.png", objects)) == ([[0, 1, 1]], None)
    assert seen(saved(tmp_path / "soft.png", soft)) == ([[0, 1, 1, 1]], None)
    # Pascal VOC's palette, and another one
    voc = voc_palette()
    assert seen(saved(tmp_path / "voc.png", classes, voc)) == ([[0, 1, 0]], [[0, 0, 1]])
    assert seen(saved(tmp_path / "only.png", objects, voc)) == ([[0, 0, 0]], [[0, 1, 1]])
    grey = [value for value in range(256) for _ in range(3)]
    assert seen(saved(tmp_path / "grey.png", classes, grey)) == ([[0, 1, 1]], None)


def test_the_caller_may_say_what_the_values_mean(tmp_path):
    path = saved(tmp_path / "m.png", [[0, 8, 12, 255, 60]])
    assert seen(path) == ([[0, 1, 1, 1, 1]], None)
    assert seen(path, void=255) == ([[0, 1, 1, 0, 1]], [[0, 0, 0, 1, 0]])
    assert seen(path, value=8) == ([[0, 1, 0, 0, 0]], [[0, 0, 0, 1, 0]])
    assert seen(path, value=8, void=None) == ([[0, 1, 0, 0, 0]], None)
    assert seen(path, value=255) == ([[0, 0, 0, 1, 0]], None)
    assert seen(saved(tmp_path / "c.png", [[0, 8, 255]]), void=None) == ([[0, 1, 1]], None)
    assert read_mask(path, "cat", value=8).labels == ("cat",)


def test_what_is_no_mask_is_refused(tmp_path):
    colours = np.zeros((2, 2, 3), dtype=np.uint8)
    colours[0, 0] = 200, 0, 0
    Image.fromarray(colours).save(tmp_path / "colour.png")
    Image.fromarray(np.zeros((2, 2), dtype=np.uint8)).save(tmp_path / "m.jpg")
    clear = Image.new("RGBA", (2, 2), (255, 255, 255, 0))
    np.save(tmp_path / "part.npy", np.zeros((2, 2)))
    np.save(tmp_path / "deep.npy", np.zeros((2, 2, 1), dtype=int))
    (tmp_path / "torn.png").write_bytes(b"PNG")
    for source, message in (
        (tmp_path / "colour.png", "colour image"),
        (tmp_path / "m.jpg", "JPEG"),
        (clear, "transparent"),
        (tmp_path / "part.npy", "one integer a pixel"),
        (tmp_path / "deep.npy", "one integer a pixel"),
        (tmp_path / "torn.png", "cannot be read"),
        (tmp_path / "none.png", "cannot be read"),
    ):
        with pytest.raises(InputError, match=message):
            read_mask(source)


def test_masks_are_found_by_an_images_name(tmp_path):
    (tmp_path / "a").mkdir()
    saved(tmp_path / "a" / "b.png", [[0, 1]])
    source = MaskFiles(tmp_path)
    assert source(None, "cat", "a/b.jpg").labels == ("cat",)
    assert source(None, "", "a/c.jpg") is None
    with pytest.raises(InputError, match=r"has 2x1 pixels \(width x height\); expected 3x1"):
        source(None, "", "a/b.jpg").of_size((1, 3))
