"""The ways to cut images, and how many regions each makes."""

import numpy as np
import pytest
import torch
from studies import SIDE, disc_items
from tiny_models import Brightest

from captum_focalogic.errors import InputError
from captum_focalogic.experiments import ImageNet
from captum_focalogic.experiments.photos import Photos
from captum_focalogic.experiments.published import REGIONS_SAVED
from captum_focalogic.experiments.segmentations import (
    Counts,
    count_regions,
    imagenet_segmentations,
    merging_steps,
    savings_table,
)
from captum_focalogic.regions import labels_from_masks
from captum_focalogic.segmenters import Grid
from captum_focalogic.study import Item, StudySettings
from captum_focalogic.study.settings import model_factory


def _config(**more) -> ImageNet:
    return ImageNet(data="nowhere", **more)


def test_segment_anything_is_set_as_in_the_paper() -> None:
    ways = imagenet_segmentations(_config())
    assert [(way.name, way.kind) for way in ways] == [
        ("sam vit_h", "reference"),
        ("sam vit_h, 9 points", "setting"),
        ("sam vit_h, 15 points", "setting"),
        ("slic 8", "segmenter"),
        ("slic 12", "segmenter"),
        ("slic 16", "segmenter"),
        ("grid 3x3", "stress"),
    ]
    assert next(iter(merging_steps("sam:vit_h"))) == "15 points a side"


def test_a_segmenter_with_a_number_is_given_fewer_and_more() -> None:
    ways = imagenet_segmentations(_config(segmenter="slic:12"))
    assert [(way.name, way.kind) for way in ways] == [
        ("slic 12", "reference"),
        ("slic 8", "setting"),
        ("slic 16", "setting"),
        ("grid 3x3", "stress"),
    ]
    assert all(way.against == "slic 12" for way in ways)
    assert ways[1].cut().n_segments == 8


def test_on_photographs_other_segmenters_cut_into_as_many_regions() -> None:
    ways = imagenet_segmentations(Photos(segmenter="slic:6"))
    assert [(way.name, way.kind) for way in ways] == [
        ("slic 6", "reference"),
        ("slic 4", "setting"),
        ("slic 8", "setting"),
        ("felzenszwalb 6", "segmenter"),
        ("watershed 6", "segmenter"),
        ("grid 3x3", "stress"),
    ]
    assert ways[3].cut().n_segments == 6


class _FourMasks:
    """Stands in for Segment Anything: always the same masks, one of them tiny."""

    def __init__(self, network, min_area, **options):
        self.min_area, self.options = min_area, options

    def __call__(self, image):
        masks = np.zeros((4, 100, 100), dtype=bool)
        masks[0, :60], masks[1, :30], masks[2, 90:], masks[3, :1, :3] = True, True, True, True
        return labels_from_masks(masks[: 4 if self.options["points_per_side"] == 15 else 3], self.min_area)


def test_merging_is_counted_before_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    import captum_focalogic.integrations.segment_anything as sam

    monkeypatch.setattr(sam, "SamSegmenter", _FourMasks)
    counted = {name: len(np.unique(cut()(None))) for name, cut in merging_steps("sam:vit_b").items()}
    # Three masks, a tiny one on top, and what no mask covers.
    assert counted == {"15 points a side": 5, "merged below 0.001": 4, "9 points": 4, "9 points, merged": 4}


@pytest.mark.parametrize("segmenter", [None, "grid:2x3"])
def test_without_masks_felzenszwalb_is_counted(segmenter) -> None:
    steps = merging_steps(segmenter)
    assert [cut().min_area for cut in steps.values()] == [0.0, 1e-3, 0.0, 1e-3]
    assert [cut().scale for cut in steps.values()] == [100.0, 100.0, 200.0, 200.0]
    assert all(cut().n_segments is None for cut in steps.values())


def _torn():
    raise OSError("torn")


def test_regions_are_counted_image_by_image():
    plan = StudySettings(model_factory(Brightest()), Grid(2, 2), False)
    items = [*disc_items(3), Item("torn", _torn)]
    counts = count_regions(plan, items, {"fine": lambda: Grid(4, 4), "by colour": lambda: _by_brightest_half})
    assert counts.failed == 1
    assert counts.steps["fine"].tolist() == [16, 16, 16]
    by_hand = [len(np.unique(_by_brightest_half(item.read().image))) for item in items[:3]]
    assert counts.steps["by colour"].tolist() == by_hand
    table = savings_table(counts, "", REGIONS_SAVED)
    assert [line[0] for line in table.rows] == ["fine", "by colour", "the paper, section 3.6"]
    assert table.rows[0][2:] == ("16.0", "-")
    assert table.rows[-1][-1] == "20% to 40%"


def _by_brightest_half(image: torch.Tensor) -> np.ndarray:
    assert image.shape == (3, SIDE, SIDE)
    return image.argmax(dim=0).numpy().astype(np.int64)


def test_nothing_to_count_is_an_error():
    with pytest.raises(InputError, match="none of 1 images"):
        count_regions(
            StudySettings(model_factory(Brightest()), Grid(2, 2), False), [Item("torn", _torn)], {"fine": Grid}
        )


def test_counts_keep_their_order():
    counts = Counts({"one": np.array([4, 4]), "two": np.array([2, 3])})
    assert savings_table(counts, "", REGIONS_SAVED).rows[1][3].startswith("0.375")
