"""Regions from run lengths and polygons."""

import json

import numpy as np
import pytest
import torch

from captum_focalogic.errors import InputError
from captum_focalogic.integrations.rle import encode_rle
from captum_focalogic.integrations.shapes import Shapes

IMAGE = torch.zeros(3, 4, 6)
BOX = [1, 0, 5, 0, 5, 4, 1, 4]
SMALL = np.zeros((4, 6), dtype=bool)
SMALL[1, 2] = True
EXPECTED = np.array([[0, 1, 1, 1, 1, 0]] * 4)
EXPECTED[1, 2] = 2


def test_small_shapes_lie_on_large_ones():
    assert np.array_equal(Shapes([encode_rle(SMALL), BOX])(IMAGE), EXPECTED)


def test_several_polygons_are_one_region():
    labels = Shapes([[[0, 0, 2, 0, 2, 4, 0, 4], [4, 0, 6, 0, 6, 4, 4, 4]]])(IMAGE)
    assert np.array_equal(labels, np.array([[1, 1, 0, 0, 1, 1]] * 4))


@pytest.mark.parametrize("wrap", [list, lambda shapes: {"annotations": [{"segmentation": shape} for shape in shapes]}])
def test_shapes_come_from_a_file(tmp_path, wrap):
    path = tmp_path / "shapes.json"
    path.write_text(json.dumps(wrap([encode_rle(SMALL), BOX])))
    assert np.array_equal(Shapes(path)(IMAGE), EXPECTED)


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"\(4, 6\) pixels .* but the image is \(5, 6\)"):
        Shapes([encode_rle(SMALL)])(torch.zeros(3, 5, 6))
    with pytest.raises(InputError, match="at least three points"):
        Shapes([[1, 2, 3]])(IMAGE)
    with pytest.raises(InputError, match="no shapes"):
        Shapes([])
    path = tmp_path / "shapes.json"
    for content in ("{", "3", "[1, 2]", "{}"):
        path.write_text(content)
        with pytest.raises(InputError, match=r"shapes\.json (cannot be read|must hold)"):
            Shapes(path)
