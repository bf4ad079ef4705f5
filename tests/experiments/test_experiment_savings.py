"""Counting regions, shares saved, and measures that stay: on numbers worked out by hand."""

import numpy as np
import pytest
import torch
from experiment_rows import SIDE, Brightest, patch_items

from captum_focalogic.errors import InputError
from captum_focalogic.experiments.equivalence import moves, stays_under_all
from captum_focalogic.experiments.findings import Estimate
from captum_focalogic.experiments.published import REGIONS_SAVED
from captum_focalogic.experiments.savings import Counts, count_regions, saved, saves, savings_table
from captum_focalogic.segmenters import Grid
from captum_focalogic.study import Item, StudySettings
from captum_focalogic.study.settings import model_factory


def test_saved_is_the_mean_share_of_each_image():
    before, after = np.full(10, 8), np.array([4, 6] * 5)
    found = saved(before, after)
    assert found is not None
    assert found.value == pytest.approx((0.5 + 0.25) / 2)
    assert 0.25 < found.low < found.value < found.high < 0.5
    assert found.count == 10


def test_too_few_images_say_nothing_and_images_without_regions_are_left_out():
    assert saved(np.full(9, 8), np.full(9, 4)) is None
    found = saved(np.array([0] + [4] * 10), np.array([7] + [1] * 10))
    assert found == Estimate(0.75, 0.75, 0.75, 10)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.2, 0.4, "confirmed"), (0.19, 0.3, "not confirmed"), (0.3, 0.41, "not confirmed"), (0.5, 0.6, "not confirmed")],
)
def test_a_saving_is_confirmed_inside_the_published_range_only(low, high, verdict):
    assert saves("claim", Estimate((low + high) / 2, low, high, 20), REGIONS_SAVED).verdict == verdict


def test_no_saving_was_counted():
    assert saves("claim", None, REGIONS_SAVED).verdict == "not testable here"


def _torn():
    raise OSError("torn")


def test_regions_are_counted_image_by_image():
    plan = StudySettings(model_factory(Brightest()), Grid(2, 2), False)
    items = [*patch_items(3), Item("torn", _torn)]
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


SAME, MOVED, UNSURE = Estimate(0.01, -0.01, 0.03, 20), Estimate(0.2, 0.1, 0.3, 20), Estimate(0.0, -0.2, 0.2, 20)


def test_a_measure_that_stays_everywhere():
    found = stays_under_all("claim", "smallest", {"a": SAME, "b": SAME})
    assert (found.verdict, found.reading) == ("confirmed", "smallest")
    assert found.evidence == "stays under 2 of 2 (a, b)"


def test_one_condition_that_moves_it_or_leaves_it_open_is_named():
    moved = stays_under_all("claim", "", {"a": SAME, "b": MOVED})
    assert moved.verdict == "not confirmed"
    assert moved.evidence == "stays under 1 of 2 (a); b +0.200 [+0.100, +0.300]"
    assert stays_under_all("claim", "", {"b": UNSURE}).verdict == "not confirmed"


def test_conditions_that_cannot_be_tested_are_named():
    found = stays_under_all("claim", "", {"a": SAME, "b": None})
    assert found.verdict == "confirmed"
    assert "b: defined for fewer than 10 images" in found.evidence
    assert stays_under_all("claim", "", {"b": None}).verdict == "not testable here"
    assert stays_under_all("claim", "", {}).verdict == "not testable here"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.05, 0.3, "confirmed"),
        (-0.3, -0.05, "confirmed"),
        (0.04, 0.3, "not confirmed"),
        (-0.01, 0.01, "not confirmed"),
    ],
)
def test_a_measure_moves_if_all_of_the_interval_is_beyond_what_counts_as_none(low, high, verdict):
    assert moves("claim", "", Estimate((low + high) / 2, low, high, 20)).verdict == verdict


def test_a_change_that_is_not_defined_moves_nothing():
    assert moves("claim", "", None).verdict == "not testable here"
