"""Figures: which pixels are red, white, dim or as they were, at known places of small images."""

import numpy as np
import pytest
from PIL import Image

from captum_focalogic.errors import InputError
from captum_focalogic.figures.overlays import (
    COLOUR_BLIND,
    PAPER,
    contact_sheet,
    overlay,
    regions_image,
    tile,
)
from captum_focalogic.images import open_image

LABELS = np.repeat(np.repeat([[-2, 0], [5, 9]], 20, axis=0), 20, axis=1)
IDS = np.array([-2, 0, 5, 9])
STATES = np.array([[1, 1, 0, 0], [1, 0, 1, 0]], dtype=bool)
GREY = np.full((3, 40, 40), 0.5)
MIDDLE = {-2: (10, 10), 0: (30, 10), 5: (10, 30), 9: (30, 30)}


def colour_in(image, region, size=40):
    """Colour in the middle of a region, places given for an image 40 pixels wide."""
    x, y = (round(place * image.width / size) for place in MIDDLE[region])
    return image.getpixel((x, y))


def test_overlay_is_red_where_shared_white_where_some_and_dim_elsewhere():
    image = overlay(GREY, LABELS, IDS, STATES, legend=False)
    red, green, blue = colour_in(image, -2)
    assert red > 150
    assert green == blue
    assert green < 90
    assert colour_in(image, 0) == colour_in(image, 5)
    assert min(colour_in(image, 0)) > 180
    assert max(colour_in(image, 9)) < 70


def test_regions_of_more_final_states_are_whiter():
    states = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 1, 1]], dtype=bool)
    image = overlay(GREY, LABELS, IDS, states, legend=False)
    shades = [min(colour_in(image, region)) for region in (-2, 0, 9)]
    assert shades == sorted(shades, reverse=True)
    assert len(set(shades)) == 3
    assert colour_in(image, 0) == colour_in(image, 5)


def test_overlay_with_other_colours():
    image = overlay(GREY, LABELS, IDS, STATES, palette=COLOUR_BLIND, legend=False)
    red, green, blue = colour_in(image, 0)
    assert red > blue
    assert green > blue
    square = np.asarray(image)[40:280, 40:280].reshape(-1, 3)
    assert len(np.unique(square, axis=0)) == 2, "plain and striped"
    assert (square[:, 2] > square[:, 0]).all()


@pytest.mark.parametrize("states", [np.zeros((0, 4), dtype=bool), np.zeros((1, 4), dtype=bool)])
def test_without_a_region_everything_is_dim(states):
    image = overlay(GREY, LABELS, IDS, states, legend=False)
    assert {colour_in(image, region) for region in MIDDLE} == {colour_in(image, 9)}
    assert max(colour_in(image, 9)) < 70


def test_a_single_final_state_is_shared_by_all():
    image = overlay(GREY, LABELS, IDS, STATES[:1], legend=False)
    assert colour_in(image, -2) == colour_in(image, 0)
    assert colour_in(image, 0)[0] > 150


def test_tile_keeps_the_kept_regions_as_they_are():
    pixels = np.random.default_rng(0).integers(60, 200, (40, 40, 3), dtype=np.uint8)
    image = tile(pixels, LABELS, IDS, STATES, 1, side=40)
    inner = np.s_[25:38, 3:17]
    np.testing.assert_array_equal(np.asarray(image)[inner], pixels[inner])
    assert np.asarray(image)[3:17, 25:38].max() < 0.5 * 200
    frame = np.asarray(image)[0:20, 19]
    assert (frame == PAPER.shared).all(axis=1).any(), "the shared region has a red frame"


def test_captions_and_legends_stand_below():
    plain = tile(GREY, LABELS, IDS, STATES, 0)
    captioned = tile(GREY, LABELS, IDS, STATES, 0, caption="I_m2 & I0")
    long = tile(GREY, LABELS, IDS, STATES, 0, caption=" & ".join(f"I{n}" for n in range(60)))
    assert plain.height < captioned.height < long.height
    assert plain.tobytes() == captioned.crop((0, 0, *plain.size)).tobytes()
    below = np.asarray(captioned)[plain.height :]
    assert below.min() < 60
    assert np.mean(below == 255) > 0.8
    bare, explained = (overlay(GREY, LABELS, IDS, STATES, legend=legend) for legend in (False, True))
    assert bare.tobytes() == explained.crop((0, 0, *bare.size)).tobytes()
    assert explained.height > bare.height


def test_ids_are_printed_inside_their_regions():
    image = overlay(GREY, LABELS, IDS, STATES, legend=False)
    numbered = overlay(GREY, LABELS, IDS, STATES, legend=False, show_ids=True)
    changed = np.any(np.asarray(image) != np.asarray(numbered), axis=2)
    for x, y in MIDDLE.values():
        assert changed[16 * y - 40 : 16 * y + 40, 16 * x - 60 : 16 * x + 60].any()
    assert not changed[300:340].any()


def test_small_images_are_enlarged_by_whole_numbers_and_large_ones_left():
    assert overlay(GREY, LABELS, IDS, STATES, legend=False, side=100).size == (120, 120)
    assert overlay(GREY, LABELS, IDS, STATES, legend=False, side=30).size == (40, 40)
    wide = np.zeros((10, 700, 3), dtype=np.uint8)
    assert regions_image(wide, np.ones((10, 700), dtype=int)).size == (700, 10)


def test_segmentation_tints_each_region_and_draws_the_borders():
    image = regions_image(GREY, LABELS, names={9: "last"})
    assert len({image.getpixel((16 * x - 100, 16 * y - 100)) for x, y in MIDDLE.values()}) == 4
    assert min(image.getpixel((100, 320))) > 200
    unnamed = regions_image(GREY, LABELS)
    changed = np.argwhere(np.any(np.asarray(image) != np.asarray(unnamed), axis=2))
    assert changed.min() > 320


def test_contact_sheet_places_images_row_by_row():
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    images = [Image.new("RGB", (20, 10 * (1 + number)), colour) for number, colour in enumerate(colours)]
    page = contact_sheet(images, columns=2, width=40, gap=4)
    assert page.size == (4 + 2 * 44, 4 + 44 + 64)
    assert page.getpixel((5, 5)) == colours[0]
    assert page.getpixel((49, 5)) == colours[1]
    assert page.getpixel((5, 50)) == colours[2]
    assert page.getpixel((49, 50)) == page.getpixel((0, 0)) == (255, 255, 255)
    assert contact_sheet(images * 3, width=10, gap=0).width == 30
    with pytest.raises(InputError, match="at least one image"):
        contact_sheet([])
    with pytest.raises(InputError, match="columns"):
        contact_sheet(images, columns=0)


def test_floats_and_bytes_give_the_same_image():
    pixels = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    floats = (pixels / 255).transpose(2, 0, 1)
    np.testing.assert_array_equal(open_image(floats), pixels)
    assert overlay(floats, LABELS, IDS, STATES).tobytes() == overlay(pixels, LABELS, IDS, STATES).tobytes()
    np.testing.assert_array_equal(np.asarray(open_image(floats[:1]))[..., 2], pixels[..., 0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: overlay(GREY[:, :30], LABELS, IDS, STATES), "label map must hold"),
        (lambda: overlay(GREY, LABELS.astype(float), IDS, STATES), "label map must hold"),
        (lambda: overlay(GREY[:2], LABELS, IDS, STATES), "an image must be"),
        (lambda: overlay(GREY * np.nan, LABELS, IDS, STATES), "not finite"),
        (lambda: overlay(GREY, LABELS, IDS[:3], STATES), "same M"),
        (lambda: tile(GREY, LABELS, IDS, STATES, 2), "no final state 2"),
        (lambda: regions_image(GREY, LABELS, side=0), "side"),
    ],
)
def test_what_does_not_fit_is_said(call, message):
    with pytest.raises(InputError, match=message):
        call()
