"""Partitions: columns and areas by counting, merging rules on hand-drawn maps."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as hs
from oracles import merged_small

from captum_focalogic.errors import InputError
from captum_focalogic.regions import (
    are_masks,
    as_label_map,
    labels_from_masks,
    merge_small,
    partition_from_masks,
    snap_to_patches,
)


def letters(*rows: str) -> np.ndarray:
    """A label map from rows of characters."""
    return np.array([[ord(character) for character in row] for row in rows])


class TestPartitionFromMasks:
    def test_ids_columns_and_areas(self) -> None:
        mask = torch.tensor([[7, 7, -3], [0, 7, -3]])
        partition = partition_from_masks([mask], [torch.Size([2, 3])])
        assert partition.region_ids.tolist() == [-3, 0, 7]
        assert partition.region_ids.dtype == np.int64
        assert partition.columns[0].tolist() == [[2, 2, 0], [1, 2, 0]]
        assert partition.areas.tolist() == pytest.approx([2 / 6, 1 / 6, 3 / 6])
        assert partition.areas.dtype == np.float64
        assert partition.num_regions == 3

    def test_a_broadcast_mask_counts_every_element_it_covers(self) -> None:
        # (1, 1, 3) over (2, 4, 3): each of the three values stands for 8 elements.
        partition = partition_from_masks([torch.tensor([[[5, 5, 9]]])], [torch.Size([2, 4, 3])])
        assert partition.areas.tolist() == pytest.approx([16 / 24, 8 / 24])

    def test_tensors_of_different_sizes_weigh_by_their_elements(self) -> None:
        # Region 1: 1 of 2 values of a mask over 2 x 2 (2 elements) and all of 6; region 4: 2 elements.
        partition = partition_from_masks(
            [torch.tensor([[1, 4]]), torch.tensor([1])], [torch.Size([2, 2]), torch.Size([6])]
        )
        assert partition.region_ids.tolist() == [1, 4]
        assert partition.areas.tolist() == pytest.approx([8 / 10, 2 / 10])
        assert [columns.tolist() for columns in partition.columns] == [[[0, 1]], [0]]

    def test_a_single_number_covers_a_whole_tensor(self) -> None:
        partition = partition_from_masks([torch.tensor(3), torch.tensor(8)], [torch.Size([]), torch.Size([3])])
        assert partition.areas.tolist() == pytest.approx([0.25, 0.75])

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.bool])
    def test_masks_of_any_integer_type(self, dtype: torch.dtype) -> None:
        partition = partition_from_masks([torch.tensor([0, 1, 1]).to(dtype)], [torch.Size([3])])
        assert partition.region_ids.tolist() == [0, 1]

    def test_extreme_ids(self) -> None:
        ids = [-(2**63), 2**63 - 1]
        assert partition_from_masks([torch.tensor(ids)], [torch.Size([2])]).region_ids.tolist() == ids

    def test_no_element(self) -> None:
        with pytest.raises(InputError, match="no element"):
            partition_from_masks([torch.zeros(0, dtype=torch.int64)], [torch.Size([0])])

    @given(hs.integers(0, 2**32 - 1))
    @settings(max_examples=30, deadline=None)
    def test_areas_are_the_shares_of_the_expanded_masks(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        masks, shapes, values = [], [], []
        for _ in range(rng.integers(1, 4)):
            shape = tuple(rng.integers(1, 5, size=rng.integers(1, 4)))
            own = tuple(int(size) if rng.random() < 0.6 else 1 for size in shape)[rng.integers(0, len(shape)) :]
            mask = torch.from_numpy(rng.integers(-2, 3, size=own))
            masks.append(mask)
            shapes.append(torch.Size(shape))
            values += mask.expand(shape).reshape(-1).tolist()
        partition = partition_from_masks(masks, shapes)
        assert partition.region_ids.tolist() == sorted(set(values))
        shares = [values.count(region) / len(values) for region in sorted(set(values))]
        assert partition.areas.tolist() == pytest.approx(shares)
        for mask, columns in zip(masks, partition.columns, strict=True):
            assert torch.equal(torch.from_numpy(partition.region_ids)[columns], mask)


class TestAsLabelMap:
    @pytest.mark.parametrize(
        "labels", [np.ones((2, 3), np.uint8), torch.ones(2, 3, dtype=torch.int16), [[1, 1, 1], [1, 1, 1]]]
    )
    def test_integers_of_any_kind(self, labels: object) -> None:
        checked = as_label_map(labels, (2, 3))
        assert checked.dtype == np.int64
        assert checked.tolist() == [[1, 1, 1], [1, 1, 1]]

    def test_booleans_are_two_regions(self) -> None:
        assert as_label_map(np.array([[True, False]]), (1, 2)).tolist() == [[1, 0]]

    @pytest.mark.parametrize(
        ("labels", "message"),
        [(np.ones((3, 2), int), "size"), (np.ones((2, 3)), "integer"), (torch.ones(1, 2, 3, dtype=int), "size")],
    )
    def test_anything_else(self, labels: object, message: str) -> None:
        with pytest.raises(InputError, match=message):
            as_label_map(labels, (2, 3))


class TestLabelsFromMasks:
    def test_parts_lie_on_wholes_and_the_rest_is_one_region(self) -> None:
        part = np.zeros((4, 6), bool)
        part[1:3, 1:3] = True
        whole = np.zeros((4, 6), bool)
        whole[:, :4] = True
        expected = [[1, 1, 1, 1, 0, 0], [1, 2, 2, 1, 0, 0], [1, 2, 2, 1, 0, 0], [1, 1, 1, 1, 0, 0]]
        assert labels_from_masks(np.stack([part, whole])).tolist() == expected
        assert labels_from_masks(np.stack([whole, part])).tolist() == expected

    def test_of_equal_masks_the_later_wins(self) -> None:
        left, right = np.zeros((2, 1, 4), bool)
        left[0, :3] = right[0, 1:] = True
        assert labels_from_masks(np.stack([left, right])).tolist() == [[1, 2, 2, 2]]

    def test_what_is_left_of_a_small_mask_joins_the_extra_region(self) -> None:
        masks = np.zeros((3, 1, 20), bool)
        masks[0, 0, :10] = True
        masks[1, 0, 1:10] = True  # leaves one pixel of the first
        masks[2, 0, 12:14] = True
        labels = labels_from_masks(masks, min_area=0.06)
        assert labels.tolist() == [[0] + [1] * 9 + [0, 0, 2, 2] + [0] * 6]

    def test_the_bound_itself_is_enough(self) -> None:
        masks = np.zeros((1, 1, 20), bool)
        masks[0, 0, 0] = True
        assert labels_from_masks(masks, min_area=0.05).max() == 1
        assert labels_from_masks(masks, min_area=0.051).max() == 0

    def test_masks_hidden_entirely_leave_no_gap_in_the_names(self) -> None:
        masks = np.zeros((3, 2, 2), bool)
        masks[0, 0] = masks[1, 0] = True
        masks[2] = True
        assert labels_from_masks(masks, min_area=0.0).tolist() == [[2, 2], [1, 1]]

    def test_no_masks(self) -> None:
        assert labels_from_masks(np.zeros((0, 2, 3), bool)).tolist() == [[0, 0, 0], [0, 0, 0]]

    def test_masks_as_numbers(self) -> None:
        assert labels_from_masks(np.array([[[0, 255]]], np.uint8)).tolist() == [[0, 1]]

    @pytest.mark.parametrize("shape", [(4,), (4, 4), (1, 1, 4, 4)])
    def test_wrong_shape(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(InputError, match="K, H, W"):
            labels_from_masks(np.zeros(shape, bool))

    @pytest.mark.parametrize("min_area", [-0.1, 1.0, float("nan")])
    def test_impossible_share(self, min_area: float) -> None:
        with pytest.raises(InputError, match="min_area"):
            labels_from_masks(np.zeros((1, 2, 2), bool), min_area)


class TestMergeSmall:
    def test_a_small_region_joins_its_longest_border(self) -> None:
        labels = letters("aabb", "axxb", "axxb", "aabb", "cccc")
        labels[1, 1] = ord("a")
        # Of the seven pixels that touch the three of x, a has 3 and b has 4.
        merged = merge_small(labels, 0.2)
        assert merged.tolist() == letters("aabb", "aabb", "abbb", "aabb", "cccc").tolist()

    def test_smallest_first_and_again_until_all_are_large_enough(self) -> None:
        # y joins x (its only neighbour); x with y has 4 of 16 pixels and stays.
        labels = letters("aaaaaaaaaaaaxxxy")
        assert merge_small(labels, 0.2).tolist() == letters("aaaaaaaaaaaaxxxx").tolist()
        assert merge_small(labels, 0.3).tolist() == letters("aaaaaaaaaaaaaaaa").tolist()

    def test_large_regions_keep_pixels_and_ids(self) -> None:
        labels = np.array([[-5, -5, 900, 900]])
        assert merge_small(labels, 0.4).tolist() == labels.tolist()

    def test_the_argument_is_left_alone(self) -> None:
        labels = letters("aaab")
        before = labels.copy()
        merge_small(labels, 0.5)
        assert np.array_equal(labels, before)

    def test_one_region_stays_whatever_its_share(self) -> None:
        assert merge_small(np.zeros((2, 2), int), 0.999).tolist() == [[0, 0], [0, 0]]

    @pytest.mark.parametrize("min_area", [-1e-9, 1.0])
    def test_impossible_share(self, min_area: float) -> None:
        with pytest.raises(InputError, match="min_area"):
            merge_small(np.zeros((2, 2), int), min_area)

    @given(hs.integers(0, 2**32 - 1), hs.sampled_from([0.0, 0.02, 0.1, 0.3]))
    @settings(max_examples=30, deadline=None)
    def test_what_is_left_is_large_enough_and_was_there_before(self, seed: int, min_area: float) -> None:
        rng = np.random.default_rng(seed)
        labels = rng.integers(-3, 6, size=rng.integers(1, 9, size=2))
        merged = merge_small(labels, min_area)
        regions, sizes = np.unique(merged, return_counts=True)
        assert set(regions) <= set(np.unique(labels))
        assert len(regions) == 1 or sizes.min() >= min_area * labels.size
        large = [
            r for r, size in zip(*np.unique(labels, return_counts=True), strict=True) if size >= min_area * labels.size
        ]
        for region in large:
            assert (merged[labels == region] == region).all()

    @given(hs.integers(0, 2**32 - 1), hs.sampled_from([0.0, 0.005, 0.02, 0.1, 0.3, 0.9]), hs.integers(1, 60))
    @settings(max_examples=200, deadline=None)
    def test_as_by_definition(self, seed: int, min_area: float, values: int) -> None:
        rng = np.random.default_rng(seed)
        labels = rng.integers(-3, values, size=rng.integers(1, 20, size=2)) * int(rng.choice([1, 10**15]))
        labels = labels.repeat(rng.integers(1, 4), axis=0).repeat(rng.integers(1, 4), axis=1)
        merged = merge_small(labels, min_area)
        assert merged.dtype == np.int64
        assert np.array_equal(merged, merged_small(labels, min_area))


class TestSnapToPatches:
    PATCHES = torch.arange(4)[:, None] // 2 * 3 + torch.arange(6) // 2

    def test_the_region_with_most_pixels_wins_and_the_lower_id_where_two_have_as_many(self) -> None:
        mask = torch.tensor([[7, 7, 5, 9, -2, -2], [7, 3, 5, 9, -2, 3], [1, 1, 2, 2, 8, 8], [2, 2, 2, 2, 8, 6]])
        snapped = snap_to_patches(mask, self.PATCHES)
        expected = torch.tensor([[7, 5, -2], [1, 2, 8]]).repeat_interleave(2, 0).repeat_interleave(2, 1)
        assert torch.equal(snapped, expected)
        assert torch.equal(snap_to_patches(snapped, self.PATCHES), snapped)

    @given(hs.integers(0, 2**32 - 1))
    def test_by_counting(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        masks = rng.integers(-3, 4, (2, 1, 4, 6))
        snapped = snap_to_patches(torch.from_numpy(masks), self.PATCHES).numpy()
        for mask, found in zip(masks[:, 0], snapped[:, 0], strict=True):
            for patch in range(6):
                there = self.PATCHES.numpy() == patch
                values, counts = np.unique(mask[there], return_counts=True)
                assert set(found[there].tolist()) == {values[counts.argmax()]}

    def test_a_mask_that_broadcasts(self) -> None:
        columns = torch.tensor([[1, 1, 2, 2, 2, 3]])
        assert snap_to_patches(columns, self.PATCHES).tolist() == [[1, 1, 2, 2, 2, 2]] * 4


def the_masks() -> np.ndarray:
    masks = np.zeros((3, 4, 6), dtype=np.bool_)
    masks[0, :, :4], masks[1, :2, :2], masks[2, 3, 5] = True, True, True
    return masks


class Detections:
    """Has masks where supervision.Detections has them."""

    def __init__(self, mask: np.ndarray | None) -> None:
        self.xyxy, self.mask, self.confidence = np.zeros((3, 4)), mask, np.ones(3)


RECORDS = [{"segmentation": mask, "area": int(mask.sum()), "bbox": [0, 0, 1, 1]} for mask in the_masks()]
RUNS = {"size": [4, 6], "counts": [0, 16, 8]}


@pytest.mark.parametrize(
    "given",
    [
        the_masks(),
        torch.from_numpy(the_masks()),
        list(the_masks()),
        [torch.from_numpy(mask) for mask in the_masks()],
        RECORDS,
        [{"segmentation": torch.from_numpy(mask)} for mask in the_masks()],
        [{"segmentation": RUNS}, *RECORDS[1:]],
        Detections(the_masks()),
        {"masks": list(the_masks()), "scores": [0.9, 0.8, 0.7]},
    ],
    ids=lambda given: type(given).__name__,
)
def test_masks_of_other_packages_are_a_label_map(given: object) -> None:
    """What Segment Anything, supervision, pipelines of transformers and NumPy give is painted as masks are."""
    assert are_masks(given)
    expected = labels_from_masks(the_masks())
    assert np.array_equal(as_label_map(given, (4, 6)), expected)
    assert sorted(np.unique(expected)) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "no mask at all"),
        (Detections(None), "Detections has boxes and no masks"),
        ([{"bbox": [0, 0, 1, 1]}], "needs its segmentation.*this one has bbox"),
        ([*RECORDS, 3], "needs its segmentation.*this one has int"),
        ([np.ones((2, 2), bool), np.ones((2, 3), bool)], r"one size.*\(2, 2\), \(2, 3\)"),
    ],
)
def test_what_holds_no_masks_is_told(given: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_label_map(given, (4, 6))


def test_masks_are_told_from_label_maps() -> None:
    for other in (
        np.ones((4, 6), int),
        torch.ones(1, 1, 4, 6, dtype=torch.bool),
        np.ones((4, 6), bool),
        None,
        "slic:12",
    ):
        assert not are_masks(other)
    assert as_label_map([[1, 2], [1, 1]], (2, 2)).tolist() == [[1, 2], [1, 1]]
    masked = np.ma.masked_array(np.ones((2, 2), int), mask=[[True, False], [False, False]])
    assert as_label_map(masked, (2, 2)).tolist() == [[1, 1], [1, 1]]
