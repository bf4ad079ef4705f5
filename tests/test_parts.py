import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from captum_focalogic.parts import refine


def pieces(seed, size=24, regions=4):
    rng = np.random.default_rng(seed)
    seeds = rng.integers(0, size, (regions, 2))
    places = np.stack(np.mgrid[:size, :size], axis=-1)
    labels = 3 * np.linalg.norm(places[:, :, None] - seeds, axis=-1).argmin(axis=-1) - 2
    return labels.astype(np.int64), rng.random((size, size, 3), dtype=np.float32)


@settings(max_examples=40, deadline=None)
@given(hs.integers(0, 999), hs.integers(2, 6), hs.booleans())
def test_parts_lie_within_their_region_and_cover_it(seed, count, coloured):
    labels, pixels = pieces(seed)
    chosen = np.unique(labels)[::2].tolist()
    cut = refine(labels, dict.fromkeys(chosen, count), pixels if coloured else None)
    parts = set(cut.parents)
    assert not parts & set(np.unique(labels).tolist())
    for part, region in cut.parents.items():
        assert (labels[cut.label_map == part] == region).all()
        assert (cut.label_map == part).any()
    for region in np.unique(labels).tolist():
        own = np.unique(cut.label_map[labels == region])
        if region in chosen and (labels == region).sum() > 1:
            assert 2 <= len(own) <= count
            assert set(own.tolist()) <= parts
        else:
            assert own.tolist() == [region]


def test_new_ids_follow_the_given_one():
    labels = np.zeros((8, 8), dtype=np.int64)
    labels[:, 4:] = 7
    assert sorted(refine(labels, {7: 2}, None).parents) == [8, 9]
    assert sorted(refine(labels, {7: 2}, None, first_id=30).parents) == [30, 31]
    assert sorted(refine(labels - 20, {-20: 2}, None).parents) == [0, 1]


def test_a_single_pixel_is_not_cut():
    labels = np.zeros((4, 4), dtype=np.int64)
    labels[2, 2] = 1
    cut = refine(labels, {1: 4}, np.zeros((4, 4, 3), dtype=np.float32))
    assert not cut.parents
    assert np.array_equal(cut.label_map, labels)


@pytest.mark.parametrize("count", [2, 3, 4, 16])
def test_parts_of_a_transformer_are_whole_patches(count):
    patches = np.arange(16).reshape(4, 4).repeat(4, axis=0).repeat(4, axis=1)
    labels = np.where(patches % 4 < 2, 1, 2)
    cut = refine(labels, {1: count}, np.random.default_rng(0).random((16, 16, 3), dtype=np.float32), patches=patches)
    for patch in range(16):
        assert len(np.unique(cut.label_map[patches == patch])) == 1
    assert len(cut.parents) == min(count, 8)


def test_parts_follow_colours():
    pixels = np.zeros((32, 32, 3), dtype=np.float32)
    pixels[:, 20:] = 1.0
    cut = refine(np.zeros((32, 32), dtype=np.int64), {0: 2}, pixels)
    left, right = (
        np.bincount(cut.label_map[:, side].ravel(), minlength=3)[1:] for side in (slice(0, 20), slice(20, 32))
    )
    assert left.argmax() != right.argmax()
    assert left.max() / left.sum() > 0.9
    assert right.max() / right.sum() > 0.9
