"""Pictures: the image beside an explanation is the one the model saw, as far as it can be shown."""

import dataclasses

import numpy as np
import pytest
import torch

from captum_focalogic import FocaLogic, Focus
from captum_focalogic.errors import InputError
from captum_focalogic.pictures import image_bytes

MASK = torch.tensor([[0, 0, 1], [0, 2, 1]])[None, None]


def corner(x: torch.Tensor) -> torch.Tensor:
    """Class 1 where the upper left pixel is not black."""
    return torch.stack([torch.full((len(x),), 0.1), x[:, :, 0, 0].float().abs().sum(1)], dim=1)


def explain(x: torch.Tensor, mask: torch.Tensor = MASK, **how) -> Focus:
    return FocaLogic(corner, **how).explain(x, feature_mask=mask)[0]


def test_images_in_the_unit_interval_come_as_they_are() -> None:
    x = torch.arange(18).reshape(1, 3, 2, 3) / 17
    image = explain(x).image
    assert image is not None
    assert image.tolist() == np.rint(x[0].permute(1, 2, 0).numpy() * 255).astype(int).tolist()


def test_normalisation_is_undone_where_the_user_says_how() -> None:
    x = torch.rand(1, 3, 2, 3)
    image = explain(x * 4 - 2, to_image=lambda row: (row + 2) / 4).image
    assert image is not None
    assert np.abs(image - x[0].permute(1, 2, 0).numpy() * 255).max() <= 0.51


def test_other_ranges_are_stretched() -> None:
    image = image_bytes(torch.tensor([[[-3.0, 0.0, 3.0]]]))
    assert image is not None
    assert image[0, :, 0].tolist() == [0, 128, 255]


def test_clipped_where_the_users_own_function_exceeds_the_range() -> None:
    image = image_bytes(torch.tensor([[[-3.0, 0.5, 3.0]]]), stretched=False)
    assert image is not None
    assert image[0, :, 0].tolist() == [0, 128, 255]


def test_bytes_and_single_channels() -> None:
    image = image_bytes(torch.tensor([[[0, 7, 255]]], dtype=torch.uint8))
    assert image is not None
    assert image.tolist() == [[[0] * 3, [7] * 3, [255] * 3]]


@pytest.mark.parametrize("image", [torch.zeros(2, 4, 4), torch.zeros(4), torch.full((3, 2, 2), torch.inf)])
def test_what_is_no_image_is_not_shown(image: torch.Tensor) -> None:
    assert image_bytes(image) is None


def test_a_picture_of_another_size_is_left_out() -> None:
    assert explain(torch.rand(1, 3, 2, 3), to_image=lambda row: torch.zeros(3, 8, 8)).image is None


def test_without_a_label_map_there_is_no_image() -> None:
    focus = FocaLogic(lambda x: torch.stack([x[:, 0], x[:, 1]], 1)).explain(torch.tensor([[1.0, 2.0]]))[0]
    assert focus.image is None


def test_the_image_survives_json() -> None:
    focus = explain(torch.rand(1, 3, 2, 3))
    again = Focus.from_json(focus.to_json())
    assert np.array_equal(again.image, focus.image)
    assert again.image.dtype == np.uint8
    older = focus.to_dict()
    del older["image"]
    assert Focus.from_dict(older).image is None


@pytest.mark.parametrize("image", [np.zeros((2, 3), np.uint8), np.zeros((2, 3, 3)), np.zeros((3, 3, 3), np.uint8)])
def test_an_image_that_does_not_fit_is_refused(image: np.ndarray) -> None:
    focus = explain(torch.rand(1, 3, 2, 3))
    with pytest.raises(InputError, match="image"):
        dataclasses.replace(focus, image=image)
