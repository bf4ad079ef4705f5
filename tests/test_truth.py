"""Ground truth and the regions that match it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from captum_focalogic.errors import InputError
from captum_focalogic.truth import Match, Truth, join, match_regions, truth_from_mask


def masks_of(*rows):
    return np.array([[[character == "#" for character in line] for line in row.split()] for row in rows])


LABELS = np.array([[5, 5, 5, -1], [5, 5, 8, -1]])


def test_regions_match_by_mask_and_lost_masks_are_named():
    # Region -1 is the second object; the first one is three quarters of region 5 and one of region 8.
    truth = Truth(masks_of("##.. ##..", "...# ...#", "..#. ...."), ("cat", "dog", "tail"))
    match = match_regions(LABELS, truth)
    assert match.by_mask.tolist() == [[False, True, False], [True, False, False], [False, False, False]]
    assert match.regions.tolist() == [True, True, False]
    assert match.unmatched == (2,)
    assert str(match) == "2 of 3 regions match by iou >= 0.7; matched by no region: tail (mask 3)"
    strict = match_regions(LABELS, truth, threshold=0.81)
    assert strict.regions.tolist() == [True, False, False]
    assert strict.unmatched == (0, 2)


def test_the_union_and_coverage_find_what_instances_lose():
    truth = Truth(masks_of("#... #...", ".##. .#.."), ("cat", "cat"))
    assert match_regions(LABELS, truth).regions.tolist() == [False, False, False]
    union = match_regions(LABELS, truth, union=True)
    assert union.regions.tolist() == [False, True, False]
    assert union.labels == ("cat",)
    assert union.unmatched == ()
    assert match_regions(LABELS, truth, "coverage").regions.tolist() == [False, True, False]
    assert match_regions(LABELS, truth, "coverage", 0.61).regions.tolist() == [False, False, False]
    assert match_regions(LABELS, truth, "coverage", 0.61, union=True).regions.tolist() == [False, True, False]


@given(
    arrays(np.int64, (4, 5), elements=st.integers(-2, 3)),
    arrays(np.bool_, (3, 4, 5)),
    st.sampled_from(["iou", "coverage"]),
    st.floats(0.05, 1),
    st.booleans(),
)
def test_matches_are_those_of_the_definition(labels, masks, rule, threshold, union):
    match = match_regions(labels, Truth(masks, ("a", "b", "a")), rule, threshold, union=union)
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
        match = match_regions(LABELS, Truth(np.zeros((0, 2, 4), dtype=bool), ()), union=union)
        assert match.regions.tolist() == [False] * 3
        assert match.unmatched == ()


def test_parts_become_instances():
    mask = masks_of("##.# #..# ..#.")[0]
    assert len(truth_from_mask(mask, "cat")) == 1
    parts = truth_from_mask(mask, "cat", instances=True)
    # Pixels that touch at a corner belong together.
    assert [part.tolist() for part in parts.masks] == masks_of("##.. #... ....", "...# ...# ..#.").tolist()
    assert parts.labels == ("cat", "cat")
    assert len(truth_from_mask(np.zeros((2, 3)), "cat", instances=True)) == 0


def test_labels_choose_masks():
    truth = Truth(np.eye(3, dtype=bool)[:, None], ("Cat", "dog", "cat "))
    assert truth.of("CAT").masks.tolist() == [truth.masks[0].tolist(), truth.masks[2].tolist()]
    assert len(truth.of("cow")) == 0
    assert truth.union.tolist() == [[True] * 3]
    both = join([truth.of("dog"), truth.of("cat")])
    assert both.labels == ("dog", "Cat", "cat ")


def test_masks_are_resized_by_nearest_pixel():
    truth = Truth(masks_of("#. .#"), ("cat",))
    assert truth.resized((4, 4)).masks.tolist() == masks_of("##.. ##.. ..## ..##").tolist()
    assert truth.resized((4, 4)).resized((2, 2)).masks.tolist() == truth.masks.tolist()


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="one label each"):
        Truth(np.zeros((2, 3, 3), dtype=bool), ("cat",))
    with pytest.raises(InputError, match="must be Boolean"):
        Truth(np.zeros((1, 3, 3)), ("cat",))
    truth = Truth(np.zeros((1, 3, 3), dtype=bool), ("cat",))
    with pytest.raises(InputError, match=r"label map is \(2, 4\) but the ground truth is \(3, 3\)"):
        match_regions(LABELS, truth)
    with pytest.raises(InputError, match="rule must be one of iou, coverage"):
        match_regions(np.zeros((3, 3), dtype=int), truth, "dice")
    with pytest.raises(InputError, match="one size"):
        join([truth, Truth(np.zeros((1, 2, 2), dtype=bool), ("dog",))])
    with pytest.raises(InputError, match=r"a mask must be \(H, W\)"):
        truth_from_mask(np.zeros((1, 2, 2)), "cat")
    assert isinstance(match_regions(np.zeros((3, 3), dtype=int), truth), Match)
