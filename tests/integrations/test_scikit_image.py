"""Segmenters of scikit-image beyond SLIC."""

import numpy as np
import pytest
import torch

from captum_focalogic import FocaLogic
from captum_focalogic.errors import InputError
from captum_focalogic.integrations.scikit_image import Felzenszwalb, Quickshift, Watershed

KINDS = [Felzenszwalb, Quickshift, Watershed]


@pytest.fixture(scope="module")
def image():
    """Three flat stripes with some noise."""
    stripes = np.repeat([[0.9, 0.1, 0.1], [0.1, 0.8, 0.2], [0.2, 0.2, 0.9]], 20, axis=0).T[:, None, :]
    noise = np.random.default_rng(0).normal(0, 0.02, (3, 50, 60))
    return torch.from_numpy((stripes + noise).clip(0, 1).astype(np.float32))


@pytest.mark.parametrize("kind", KINDS)
def test_stripes_are_found(kind, image):
    labels = kind(n_segments=3)(image)
    assert labels.shape == (50, 60)
    assert sorted(np.unique(labels)) == [1, 2, 3]
    for left in (0, 20, 40):
        stripe = labels[:, left : left + 20]
        assert np.bincount(stripe.reshape(-1)).max() / stripe.size > 0.85


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_regions_is_bounded_and_repeatable(kind, image):
    every = kind(n_segments=None, min_area=0.0)(image)
    assert len(np.unique(kind(n_segments=2)(image))) == 2
    assert len(np.unique(every)) >= 3
    assert np.array_equal(kind()(image), kind()(image))
    sizes = np.unique(kind(n_segments=None, min_area=0.02)(image), return_counts=True)[1]
    assert sizes.min() >= 0.02 * 3000


@pytest.mark.filterwarnings("ignore:example.s. 0. the baseline alone")
def test_a_segmenter_serves_the_explainer(image):
    model = lambda x: torch.stack([x[:, 0].mean((1, 2)), x[:, 2].mean((1, 2)) + 0.01], dim=1)  # noqa: E731
    focus = FocaLogic(model, segmenter=Watershed(n_segments=3)).explain(image[None])[0]
    assert focus.num_regions == 3
    assert len(focus.final_states)


def test_bad_parameters_are_refused():
    with pytest.raises(InputError, match="n_segments"):
        Felzenszwalb(0)
    with pytest.raises(InputError, match="min_area"):
        Quickshift(min_area=1.0)
