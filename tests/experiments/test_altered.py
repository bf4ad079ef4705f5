"""Images that are explained in an altered form."""

import json
import pickle

import numpy as np
import pytest
import torch

from captum_focalogic.experiments.altered import altered, as_seen, seen_items
from captum_focalogic.experiments.workshop import Workshop
from captum_focalogic.segmenters import Grid
from captum_focalogic.study import Item, Model, ModelFactory, Sample, StudySettings


class Counting:
    """Cuts into a grid, and counts how often it is asked."""

    identity = "counting"

    def __init__(self):
        self.asked = 0

    def __call__(self, image):
        self.asked += 1
        return Grid(2, 2)(image)


class Read:
    def __init__(self, number, side):
        self.number, self.side = number, side

    def __call__(self):
        if self.number == 1:
            raise OSError("torn")
        image = torch.full((3, self.side, self.side), self.number / 10)
        truth = None if self.number == 2 else np.eye(self.side, dtype=np.bool_)
        return Sample(image, truth=truth, label=self.number + 100 if self.number else None)


@pytest.fixture
def items():
    return [Item(f"i{number}", Read(number, 8 if number % 2 else 6)) for number in range(5)]


def plan(segmenter):
    model = Model(lambda images: images.mean(dim=(2, 3)), "mean")
    return StudySettings(ModelFactory(lambda: model, "mean"), segmenter)


def test_images_are_seen_once_with_regions_and_truth(tmp_path, items):
    cutting = Counting()
    workshop = Workshop(tmp_path)
    first = seen_items(workshop, "seen", plan(cutting), items)
    again = seen_items(workshop, "seen", plan(cutting), items)
    assert cutting.asked == 4  # one picture is torn, and the second time nothing is cut
    for seen in (first, again):
        assert [each.id for each in seen] == ["i0", "i2", "i3", "i4"]
        assert [each.label for each in seen] == [None, 102, 103, 104]
        assert [tuple(each.image.shape) for each in seen] == [(3, 6, 6), (3, 6, 6), (3, 8, 8), (3, 6, 6)]
        assert [each.truth is None for each in seen] == [False, True, False, False]
        assert torch.equal(seen[2].truth, torch.eye(8, dtype=torch.bool))
        assert np.array_equal(seen[2].regions.numpy(), Grid(2, 2)(torch.zeros(3, 8, 8)))


def test_alteration_keeps_everything_but_the_image(tmp_path, items):
    workshop = Workshop(tmp_path)
    how = plan(Grid(2, 2))
    seen = seen_items(workshop, "seen", how, items)
    batches = []

    def alter(model, images, places):
        batches.append((tuple(images.shape), list(places)))
        return {"images": 1 - images, "place": torch.tensor(places)}

    images, told = altered(workshop, "negative", "1 - x", how, seen, alter)
    # images of one size share a batch
    assert sorted(batches) == [((1, 3, 8, 8), [2]), ((3, 3, 6, 6), [0, 1, 3])]
    assert [int(each["place"]) for each in told] == [0, 1, 2, 3]
    for before, after in zip(seen, images, strict=True):
        assert torch.equal(after.image, 1 - before.image)
        assert (after.id, after.label) == (before.id, before.label)
        assert torch.equal(after.regions, before.regions)
    altered(workshop, "negative", "1 - x", how, seen, alter)
    assert len(batches) == 2
    altered(workshop, "negative", "something else", how, seen, alter)
    assert len(batches) == 4


def test_altered_images_are_items_that_workers_can_be_sent(tmp_path, items):
    how = plan(Grid(2, 2))
    (first, *_) = seen_items(Workshop(tmp_path), "seen", how, items)
    item = pickle.loads(pickle.dumps(first.item()))
    sample = item.read()
    assert torch.equal(sample.image, first.image)
    assert np.array_equal(sample.label_map, first.regions.numpy())
    assert np.array_equal(sample.truth, first.truth.numpy())
    bare = as_seen(how)
    assert bare.segmenter is None
    assert bare.truth is True
    assert json.dumps(bare.settings([item]))
