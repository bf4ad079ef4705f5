"""Baselines against closed forms, plain loops and scipy's filter."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as hs
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from captum_focalogic.baselines import (
    baseline_from_text,
    black,
    blurred,
    constant,
    fill_words,
    mean_colour,
    region_mean,
    white,
)
from captum_focalogic.errors import InputError
from captum_focalogic.preprocess import Normalisation

IMAGES = torch.rand(2, 3, 12, 16, generator=torch.Generator().manual_seed(0))
IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = Normalisation(0.5, 0.5)
LEFT_RIGHT = torch.arange(16).ge(8).long().expand(12, 16)


def test_mean_colour_is_each_images_own():
    expected = torch.stack(
        [torch.stack([torch.full((12, 16), float(plane.mean())) for plane in image]) for image in IMAGES]
    )
    torch.testing.assert_close(mean_colour(IMAGES), expected)


@pytest.mark.parametrize("sigma", [0.7, 2.0, 11.0])
def test_blur_equals_scipys(sigma):
    expected = ndimage.gaussian_filter(
        IMAGES.double().numpy(), sigma, axes=(2, 3), mode="nearest", radius=int(np.ceil(3 * sigma))
    )
    torch.testing.assert_close(blurred(IMAGES.double(), sigma), torch.from_numpy(expected))


def test_blur_follows_the_size_of_the_image_by_default():
    torch.testing.assert_close(blurred(IMAGES), blurred(IMAGES, 1.2))


def test_blur_keeps_a_flat_image():
    flat = torch.full((1, 3, 9, 9), 0.3)
    torch.testing.assert_close(blurred(flat, 4.0), flat)


def test_white_and_black_go_through_the_models_normalisation():
    def normalise(images):
        return (images - 0.4) / 0.2

    torch.testing.assert_close(white(IMAGES), torch.ones_like(IMAGES))
    torch.testing.assert_close(black(IMAGES), torch.zeros_like(IMAGES))
    torch.testing.assert_close(white(IMAGES, normalise), torch.full_like(IMAGES, 3.0))
    torch.testing.assert_close(black(IMAGES, from_image=normalise), torch.full_like(IMAGES, -2.0))


def test_a_normalisation_that_changes_the_shape_is_refused():
    with pytest.raises(InputError, match="keep the shape"):
        white(IMAGES, lambda images: images[:, :1])


@settings(max_examples=30)
@given(mask=hnp.arrays(np.int64, (4, 5), elements=hs.integers(-3, 3)), seed=hs.integers(0, 99))
def test_region_mean_equals_a_plain_loop(mask, seed):
    images = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(seed))
    expected = images.clone()
    for image in expected:
        for plane in image:
            for region in np.unique(mask):
                plane[torch.from_numpy(mask == region)] = plane[torch.from_numpy(mask == region)].mean()
    torch.testing.assert_close(region_mean(images, torch.from_numpy(mask)), expected)
    torch.testing.assert_close(region_mean(images, torch.from_numpy(mask)[None, None]), expected)


def test_region_mean_with_a_mask_for_each_image_and_channel():
    mask = torch.stack([torch.zeros(3, 12, 16).long(), LEFT_RIGHT.expand(3, 12, 16)])
    mask[1, 2] = 0
    means = region_mean(IMAGES, mask)
    torch.testing.assert_close(means[0], mean_colour(IMAGES)[0])
    torch.testing.assert_close(means[1, 0, 3, 2], IMAGES[1, 0, :, :8].mean())
    torch.testing.assert_close(means[1, 2], mean_colour(IMAGES)[1, 2])


def test_region_mean_needs_a_mask_that_fits():
    with pytest.raises(InputError, match="broadcastable"):
        region_mean(IMAGES, torch.zeros(5, 5, dtype=torch.long))


BASELINES = [mean_colour, blurred, white, black, lambda x: region_mean(x, LEFT_RIGHT)]


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_shape_and_dtype_are_kept(baseline, dtype):
    images = IMAGES.to(dtype)
    given = baseline(images)
    assert (given.shape, given.dtype, given.device) == (images.shape, dtype, images.device)
    torch.testing.assert_close(given.float(), baseline(images.float()), rtol=1e-2, atol=1e-2)


def test_bytes_are_rounded_and_have_no_shades():
    bytes_ = torch.tensor([[[[0, 255], [255, 255]]]], dtype=torch.uint8)
    assert mean_colour(bytes_).unique().tolist() == [191]
    with pytest.raises(InputError, match="floating point"):
        white(bytes_)


@pytest.mark.parametrize("baseline", BASELINES)
def test_only_batches_of_images(baseline):
    with pytest.raises(InputError, match=r"\(N, C, H, W\)"):
        baseline(torch.rand(3, 4))


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), float("inf"), 16.5, 1e6])
def test_a_blur_needs_a_width(sigma):
    with pytest.raises(InputError, match="sigma"):
        blurred(IMAGES, sigma)


def test_names_on_the_command_line():
    for text, expected in {
        "mean": mean_colour(IMAGES),
        "blur": blurred(IMAGES),
        "blur:3": blurred(IMAGES, 3),
        "white": white(IMAGES),
        "black": black(IMAGES),
        "0.5": constant(IMAGES, 0.5),
        "region-mean": region_mean(IMAGES, LEFT_RIGHT),
    }.items():
        torch.testing.assert_close(baseline_from_text(text)(IMAGES, LEFT_RIGHT), expected)
    for text, message in {
        "grey": "unknown baseline 'grey'.*choose mean, blur, blur:SIGMA, white, black, region-mean.*shade of grey",
        "": "choose mean, blur",
        "blur:": "choose blur, blur:SIGMA",
        "blur:wide": "choose blur, blur:SIGMA",
        "mean:3": "choose mean",
    }.items():
        with pytest.raises(InputError, match=message):
            baseline_from_text(text)
    with pytest.raises(InputError, match="between 0"):
        baseline_from_text("1.5")


def test_a_blur_wider_than_the_image_is_refused_at_once():
    with pytest.raises(InputError, match="at most the image's longer side, 16 pixels; got 1000000"):
        baseline_from_text("blur:1e6")(IMAGES, LEFT_RIGHT)
    assert baseline_from_text("blur:16")(IMAGES, LEFT_RIGHT).shape == IMAGES.shape


@pytest.mark.parametrize(
    ("number", "image", "to_image", "words"),
    [
        (0.0, torch.rand(3, 4, 4), None, "0, black"),
        (1.0, torch.rand(1, 4, 4), None, "1, white"),
        (0.5, torch.rand(3, 4, 4), None, "0.5, a grey"),
        (0.0, torch.rand(3, 4, 4) * 4 - 2, IMAGENET.undo, "0, which is a grey here, (0.49, 0.46, 0.41)"),
        (-1.0, torch.rand(3, 4, 4) * 2 - 1, HALF.undo, "-1, which is black here, (0.00, 0.00, 0.00)"),
        (
            0.0,
            torch.rand(3, 4, 4) * 4 - 3,
            None,
            "0, of inputs that are no images in [0, 1]; where a mean was subtracted it is that mean, a grey",
        ),
        (2.0, torch.rand(3, 4, 4), None, None),
        (0.0, torch.rand(5, 4, 4), None, None),
    ],
)
def test_a_number_is_named_for_what_it_looks_like(number, image, to_image, words) -> None:
    assert fill_words(torch.tensor(number), image, to_image) == words
    assert fill_words(torch.zeros(3, 4, 4), image, to_image) is None, "values of their own have no name"
