"""Crops of pictures."""

import numpy as np
import pytest
from PIL import Image

from captum_focalogic.errors import InputError
from captum_focalogic.integrations.pictures import CentreCrop, same_size


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (10, 9), (224, 224), (1000, 31)])
@pytest.mark.parametrize("shape", [(224, 224), (96, 128)])
def test_crops_have_the_size_whatever_the_picture(size, shape):
    picture = Image.new("RGB", size, (10, 20, 30))
    for share in (0.875, 1.0):
        cropped = CentreCrop(*shape, share)(picture)
        assert cropped.size == (shape[1], shape[0])
        assert np.array_equal(np.unique(np.asarray(cropped).reshape(-1, 3), axis=0), [[10, 20, 30]])


def test_the_centre_is_kept_and_labels_stay_whole():
    labels = np.zeros((100, 200), dtype=np.int32)
    labels[:, 100:] = 70_000
    cropped = np.asarray(CentreCrop(50, 50, 1.0)(Image.fromarray(labels), nearest=True))
    assert set(np.unique(cropped)) == {0, 70_000}
    assert np.all(cropped[:, :25] == 0)
    assert np.all(cropped[:, 25:] == 70_000)


def test_the_usual_crop_is_that_of_torchvision():
    from torchvision.transforms import functional

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8))
    theirs = functional.center_crop(functional.resize(picture, 256), 224)
    ours = CentreCrop(224, 224)(picture)
    assert np.abs(np.asarray(ours).astype(int) - np.asarray(theirs).astype(int)).mean() < 3


def test_bad_sizes_are_refused():
    with pytest.raises(InputError, match="at least 1x1"):
        CentreCrop(0, 5)
    same_size((3, 4), None, "a model")
    same_size((3, 4), (3, 4), "a model")
    with pytest.raises(InputError, match=r"takes images of 5x6 pixels .*; these have 4x3\. Crop or resize"):
        same_size((3, 4), (6, 5), "a model")
