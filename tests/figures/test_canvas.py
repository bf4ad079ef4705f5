"""What figures are drawn on: images and regions of one size, lines as wide as the image asks for."""

import numpy as np
import pytest

from captum_focalogic.errors import InputError
from captum_focalogic.figures.canvas import Canvas, backdrop, widest, with_caption

LABELS = np.repeat(np.repeat([[-2, 0], [5, 9]], 10, axis=0), 10, axis=1)
GREY = np.full((3, 20, 20), 0.5)


def test_image_and_regions_are_enlarged_alike() -> None:
    canvas = Canvas(GREY, LABELS, 50)
    assert canvas.labels.shape == canvas.finish().size == (60, 60)
    assert canvas.covers(np.array([-2])).sum() == 900


def test_paint_stays_where_it_is_put() -> None:
    canvas = Canvas(GREY, LABELS, 20)
    canvas.tint(canvas.covers(np.array([9])), (255, 0, 0), 1)
    canvas.dim(canvas.covers(np.array([0])))
    pixels = np.asarray(canvas.finish())
    assert (pixels[10:, 10:] == (255, 0, 0)).all()
    assert (pixels[:10, :10] == 128).all()
    assert pixels[:10, 10:].max() < 64


def test_without_an_image_regions_are_told_apart() -> None:
    shown = backdrop(None, LABELS)
    assert len({shown.getpixel((x, y)) for x in (5, 15) for y in (5, 15)}) == 4
    assert backdrop(GREY, LABELS).getpixel((5, 5)) == (128, 128, 128)
    with pytest.raises(InputError, match="20 x 20 pixels but the regions were cut from 10 x 20"):
        backdrop(GREY, LABELS[:10])


def test_long_captions_are_broken() -> None:
    image = backdrop(None, LABELS).resize((200, 200))
    assert with_caption(image, "word " * 60).height > with_caption(image, "word").height > image.height


def test_an_area_is_widest_where_its_border_is_farthest() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        mask = np.zeros((9, 12), dtype=np.bool_)
        rows, columns = np.sort(rng.integers(0, (10, 13), (2, 2)), axis=0).T
        mask[slice(*rows), slice(*columns)] = rng.random((np.ptp(rows), np.ptp(columns))) < 0.8
        # Every pixel outside, those around the image included.
        outside = np.argwhere(~np.pad(mask, 1)) - 1
        far = [min((np.hypot(*(outside - pixel).T)).tolist()) for pixel in np.argwhere(mask)]
        x, y, depth = widest(mask)
        if far:
            assert mask[y, x]
            assert depth == pytest.approx(max(far))
            assert min(np.hypot(*(outside - (y, x)).T)) == pytest.approx(max(far))
        else:
            assert depth == 0
