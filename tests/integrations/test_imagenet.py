"""The names of ImageNet's classes."""

import pytest

from captum_focalogic.integrations.imagenet import imagenet_labels


def test_they_are_those_of_the_published_weights():
    models = pytest.importorskip("torchvision.models")
    assert imagenet_labels() == models.get_model_weights("resnet50").DEFAULT.meta["categories"]


def test_each_has_a_name_of_its_own():
    labels = imagenet_labels()
    assert len(labels) == len(set(labels)) == 1_000
    assert all(label and label == label.strip() for label in labels)
