"""The face cascade as a black box: what it sees, and which parts of a face it turns out to need."""

import itertools

import numpy as np
import pytest
import torch
from skimage import data

from captum_focalogic import FocaLogic
from captum_focalogic.errors import InputError
from captum_focalogic.integrations.cascade import LABELS, FaceCascade, example_image
from captum_focalogic.segmenters import Grid


@pytest.fixture(scope="module")
def face():
    return torch.from_numpy(example_image()).permute(2, 0, 1)[None].float() / 255


def test_it_tells_a_face_from_a_wall_and_a_cat(face):
    cat = torch.from_numpy(data.chelsea()[:160, 100:260].copy()).permute(2, 0, 1)[None].float() / 255
    answers = FaceCascade()(torch.cat([face, torch.full_like(face, 0.6), cat]))
    assert answers.dtype == torch.float32
    assert answers.tolist() == [[0, 1], [1, 0], [1, 0]]
    assert LABELS[1] == "a face"


def test_the_box_holds_the_eyes_and_the_mouth(face):
    for top, left, height, width in FaceCascade().faces(face[0].permute(1, 2, 0).numpy()):
        for y, x in ((65, 60), (65, 108), (108, 82)):
            assert top < y < top + height
            assert left < x < left + width


def test_it_needs_the_middle_of_the_face_and_a_plain_loop_agrees(face):
    """Rows of a 4x3 grid: hair, eyes and nose, mouth, collar; the face is in the middle column."""
    detector, mask = FaceCascade(), torch.from_numpy(Grid(4, 3)(face[0]))
    focus = FocaLogic(detector, reading="smallest").explain(face, feature_mask=mask[None, None])[0]
    smallest: list[set[int]] = []
    for size in range(4):
        for kept in itertools.combinations(range(1, 13), size):
            shown = torch.where(torch.isin(mask, torch.tensor(kept)), face, torch.zeros(()))
            if detector(shown)[0, 1] == 1:
                smallest.append(set(kept))
        if smallest:
            break
    assert [set(states) for states in focus.region_sets()] == smallest == [{5, 8}]
    assert str(focus.expression) == "I5 & I8"


def test_pictures_too_small_for_a_face_have_none():
    assert FaceCascade()(torch.rand(1, 3, 20, 40)).tolist() == [[1, 0]]


def test_what_does_not_fit_is_said():
    with pytest.raises(InputError, match=r"\(N, 3, H, W\)"):
        FaceCascade()(torch.rand(3, 40, 40))
    with pytest.raises(InputError, match="smallest"):
        FaceCascade(smallest=0)
    with pytest.raises(InputError, match="scale_factor"):
        FaceCascade(scale_factor=1.0)


def test_the_example_is_a_picture_of_its_own():
    picture = example_image()
    assert picture.shape == (160, 160, 3)
    assert picture.dtype == np.uint8
    picture[:] = 0
    assert example_image().any()
