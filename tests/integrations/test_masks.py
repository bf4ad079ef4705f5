"""Masks kept on disk, and what they are told apart by."""

import numpy as np
import pytest

from captum_focalogic.integrations.masks import MaskCache, default_folder


@pytest.mark.parametrize("shape", [(0, 4, 5), (1, 1, 1), (3, 7, 11), (9, 8, 8)])
def test_masks_come_back_as_they_went(tmp_path, shape):
    masks = np.random.default_rng(0).random(shape) < 0.5
    cache = MaskCache(tmp_path / "deep" / "folder")
    assert cache.get("key") is None
    cache.put("key", masks)
    found = cache.get("key")
    assert found.dtype == np.bool_
    assert found.shape == shape
    assert np.array_equal(found, masks)
    assert [path.name for path in cache.folder.iterdir()] == ["key.npz"]


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_damaged_masks_count_as_absent_with_a_warning(tmp_path, damage):
    cache = MaskCache(tmp_path)
    cache.put("key", np.ones((2, 30, 30), dtype=np.bool_))
    path = tmp_path / "key.npz"
    path.write_bytes(path.read_bytes()[:-40] if damage is None else damage)
    with pytest.warns(UserWarning, match="damaged"):
        assert cache.get("key") is None


def test_the_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("FOCALOGIC_CACHE", str(tmp_path))
    assert default_folder() == tmp_path / "masks"
    monkeypatch.delenv("FOCALOGIC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "captum_focalogic" / "masks"
