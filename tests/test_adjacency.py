"""Joining regions that touch: as by definition, and as scikit-learn does it where every region weighs the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs
from oracles import joined_alike

from captum_focalogic.adjacency import join_alike, join_similar


@settings(max_examples=100, deadline=None)
@given(hs.integers(0, 2**32 - 1), hs.integers(1, 30), hs.integers(1, 12), hs.booleans())
def test_joining_is_as_by_definition(seed, values, count, flat):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, values, size=rng.integers(1, 16, size=2))
    # Few colours make many ties, whose order must be that of the definition.
    colours = rng.integers(0, 2, (*labels.shape, 3)) if flat else rng.random((*labels.shape, 3))
    pixels = colours.astype(np.float32)
    joined = join_alike(labels, pixels, count)
    np.testing.assert_array_equal(joined, joined_alike(labels, pixels, count))


@settings(max_examples=60, deadline=None)
@given(hs.integers(0, 2**32 - 1), hs.integers(1, 30), hs.integers(1, 12))
def test_features_that_are_colours_join_as_colours_do(seed, values, count):
    from skimage.color import rgb2lab

    rng = np.random.default_rng(seed)
    labels = rng.integers(0, values, size=rng.integers(1, 16, size=2))
    colours = rng.random((values, 3)).astype(np.float32)
    by_region = rgb2lab(colours[None])[0].astype(np.float64)[np.unique(labels)]
    joined = join_similar(labels, by_region, count)
    np.testing.assert_array_equal(joined, joined_alike(labels, colours[labels], count))


@pytest.mark.parametrize("count", [1, 2, 5, 11, 24, 40])
def test_regions_of_one_size_join_as_scikit_learn_does_it(count):
    cluster = pytest.importorskip("sklearn.cluster", reason="scikit-learn is the reference")
    image = pytest.importorskip("sklearn.feature_extraction.image")
    features = np.random.default_rng(3).random((24, 7))
    labels = np.kron(np.arange(24).reshape(4, 6), np.ones((3, 2), dtype=np.int64))
    ward = cluster.AgglomerativeClustering(min(count, 24), connectivity=image.grid_to_graph(4, 6), linkage="ward")
    joined = join_similar(labels, features, count)[::3, ::2].reshape(-1)
    expected = ward.fit_predict(features)
    assert len(np.unique(joined)) == min(count, 24)
    assert len(set(zip(joined.tolist(), expected.tolist(), strict=True))) == min(count, 24)
