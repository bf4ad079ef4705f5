"""Segmenters: every pixel in a region, the numbers asked, files, and warnings about partitions that explain little."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as hs
from oracles import joined_alike, merged_small
from PIL import Image
from scipy import ndimage
from skimage import data

from captum_focalogic import FocaLogic
from captum_focalogic.errors import InputError
from captum_focalogic.segmenters import (
    Felzenszwalb,
    Grid,
    LabelMapFile,
    Quickshift,
    Slic,
    Watershed,
    pixels_of,
    read_label_map,
    segmenter_from_text,
)


def image_of(pixels):
    return torch.from_numpy(np.asarray(pixels).copy()).permute(2, 0, 1).float() / 255


def photo(side=160):
    return image_of(Image.fromarray(data.chelsea()).resize((side, side)))


@settings(max_examples=30)
@given(rows=hs.integers(1, 6), columns=hs.integers(1, 6), height=hs.integers(6, 30), width=hs.integers(6, 30))
@pytest.mark.filterwarnings("ignore:the grid gives a single region")
def test_grid_cells_are_rectangles_of_equal_size(rows, columns, height, width):
    labels = Grid(rows, columns)(torch.rand(3, height, width))
    assert labels.shape == (height, width)
    assert labels.dtype == np.int64
    assert np.unique(labels).tolist() == list(range(1, rows * columns + 1))
    for cell in range(1, rows * columns + 1):
        down, across = np.nonzero(labels == cell)
        tall, wide = np.ptp(down) + 1, np.ptp(across) + 1
        assert len(down) == tall * wide
        assert tall in (height // rows, -(-height // rows))
        assert wide in (width // columns, -(-width // columns))


def test_grid_counts_row_by_row():
    expected = [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4]]
    assert Grid(2, 2)(torch.zeros(3, 3, 4)).tolist() == expected


def test_grid_larger_than_the_image():
    with pytest.raises(InputError, match="does not fit an image of 9x3 pixels"):
        Grid(4, 4)(torch.zeros(3, 3, 9))


@pytest.mark.parametrize("wanted", [2, 7, 12, 20])
def test_slic_gives_as_many_connected_regions_as_asked(wanted):
    labels = Slic(wanted)(photo())
    assert np.unique(labels).tolist() == list(range(1, wanted + 1))
    for region in range(1, wanted + 1):
        assert ndimage.label(labels == region)[1] == 1


def test_slic_follows_the_borders_of_objects():
    image = torch.full((3, 90, 90), 0.8)
    image[:, 20:60, 25:70] = torch.tensor([0.7, 0.1, 0.1])[:, None, None]
    labels = Slic(8, sigma=0)(image)
    inside = np.zeros((90, 90), dtype=bool)
    inside[20:60, 25:70] = True
    for region in np.unique(labels):
        share = inside[labels == region].mean()
        assert share < 0.03 or share > 0.97


def test_slic_is_deterministic_and_leaves_the_image_alone():
    image = photo()
    before = image.clone()
    np.testing.assert_array_equal(Slic()(image), Slic()(image))
    torch.testing.assert_close(image, before, rtol=0, atol=0)


def test_slic_takes_one_channel_half_precision_and_gradients():
    grey = photo().mean(dim=0, keepdim=True)
    expected = Slic(6)(grey.expand(3, -1, -1))
    np.testing.assert_array_equal(Slic(6)(grey.requires_grad_()), expected)
    assert len(np.unique(Slic(6)(photo().half()))) == 6


def test_slic_drops_regions_below_the_least_area():
    labels = Slic(30, min_area=0.03)(photo())
    assert np.bincount(labels.ravel())[1:].min() >= 0.03 * labels.size


def test_few_regions_warn():
    tiny = torch.rand(3, 2, 2)
    with pytest.warns(UserWarning, match="4 regions where 12 were asked"):
        Slic()(tiny)
    with pytest.warns(UserWarning, match="single region"):
        Slic(1)(photo(32))
    with pytest.warns(UserWarning, match="single region"):
        Grid(1, 1)(tiny)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.rand(2, 3, 20, 20), r"one image of shape \(3, H, W\)"),
        (torch.rand(4, 20, 20), r"one image of shape \(3, H, W\)"),
        (torch.rand(3, 0, 20), r"one image of shape \(3, H, W\)"),
        (torch.randn(3, 20, 20) * 2, "to_image="),
        (torch.full((3, 20, 20), torch.nan), "nan"),
    ],
)
def test_images_that_cannot_be_cut(image, message):
    with pytest.raises(InputError, match=message):
        Slic()(image)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Grid(0, 3),
        lambda: Slic(0),
        lambda: Slic(compactness=0),
        lambda: Slic(sigma=-1),
        lambda: Slic(min_area=1),
    ],
)
def test_parameters_out_of_range(make):
    with pytest.raises(InputError):
        make()


LABELS = np.array([[0, 0, 7], [200, 200, 7]])


@pytest.mark.parametrize("name", ["labels.png", "labels.npy", "labels.tif"])
def test_label_maps_from_files(tmp_path, name):
    path = tmp_path / name
    if name.endswith(".npy"):
        np.save(path, LABELS)
    else:
        Image.fromarray(LABELS.astype(np.uint8)).save(path)
    np.testing.assert_array_equal(LabelMapFile(path)(torch.rand(3, 2, 3)), LABELS)
    np.testing.assert_array_equal(segmenter_from_text(str(path))(torch.rand(3, 2, 3)), LABELS)


def test_label_maps_keep_ids_that_need_sixteen_bits_and_palette_indices(tmp_path):
    wide = LABELS.astype(np.uint16) * 300
    Image.fromarray(wide).save(tmp_path / "wide.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "wide.png"), LABELS * 300)
    coloured = Image.fromarray(LABELS.astype(np.uint8), mode="L").convert("P")
    coloured.putpalette([(37 * value) % 256 for value in range(768)])
    coloured.putdata(LABELS.ravel().tolist())
    coloured.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "palette.png"), LABELS)


def test_label_maps_that_are_none(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY\x01")
    np.save(tmp_path / "floats.npy", np.zeros((2, 3)))
    np.save(tmp_path / "empty.npy", np.zeros((0, 3), dtype=int))
    np.save(tmp_path / "objects.npy", np.array([[{}]]), allow_pickle=True)
    Image.new("RGB", (3, 2)).save(tmp_path / "colour.png")
    Image.fromarray(LABELS.astype(np.uint8)).save(tmp_path / "good.png")
    for name, message in {
        "missing.png": "cannot be read",
        "text.png": "cannot be read",
        "cut.npy": "cannot be read",
        "objects.npy": "cannot be read",
        "floats.npy": "float64",
        "empty.npy": "no pixels",
        "colour.png": "colour image",
    }.items():
        with pytest.raises(InputError, match=message):
            LabelMapFile(tmp_path / name)(torch.rand(3, 2, 3))
    with pytest.raises(InputError, match=r"3x2 pixels \(width x height\) but the image is 2x3"):
        LabelMapFile(tmp_path / "good.png")(torch.rand(3, 3, 2))


def test_names_on_the_command_line():
    assert segmenter_from_text("slic") == Slic()
    assert segmenter_from_text("slic:20") == Slic(20)
    assert segmenter_from_text("grid") == Grid()
    assert segmenter_from_text("grid:3") == Grid(3, 3)
    assert segmenter_from_text("grid:3x5") == Grid(3, 5)
    for text in ("superpixels", "slic:many", "slic:", "labels.jpg"):
        with pytest.raises(InputError, match="choose slic"):
            segmenter_from_text(text)
    for text in ("grid:", "grid:3x"):
        with pytest.raises(InputError, match="choose grid, grid:ROWSxCOLUMNS"):
            segmenter_from_text(text)
    with pytest.raises(InputError, match="at least 1"):
        segmenter_from_text("slic:0")


@pytest.mark.parametrize("side", [28, 64])
def test_slic_copes_with_noise(side):
    noise = torch.rand(3, side, side, generator=torch.Generator().manual_seed(side))
    assert len(np.unique(Slic()(noise))) == 12


KINDS = [Felzenszwalb, Quickshift, Watershed]


@pytest.fixture(scope="module")
def stripes():
    """Three flat stripes with some noise."""
    flat = np.repeat([[0.9, 0.1, 0.1], [0.1, 0.8, 0.2], [0.2, 0.2, 0.9]], 20, axis=0).T[:, None, :]
    noise = np.random.default_rng(0).normal(0, 0.02, (3, 50, 60))
    return torch.from_numpy((flat + noise).clip(0, 1).astype(np.float32))


@pytest.mark.parametrize("kind", KINDS)
def test_stripes_are_found(kind, stripes):
    labels = kind(n_segments=3)(stripes)
    assert labels.shape == (50, 60)
    assert sorted(np.unique(labels)) == [1, 2, 3]
    for left in (0, 20, 40):
        stripe = labels[:, left : left + 20]
        assert np.bincount(stripe.reshape(-1)).max() / stripe.size > 0.85


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_regions_is_bounded_and_repeatable(kind, stripes):
    every = kind(n_segments=None, min_area=0.0)(stripes)
    assert len(np.unique(kind(n_segments=2)(stripes))) == 2
    assert len(np.unique(every)) >= 3
    assert np.array_equal(kind()(stripes), kind()(stripes))
    sizes = np.unique(kind(n_segments=None, min_area=0.02)(stripes), return_counts=True)[1]
    assert sizes.min() >= 0.02 * 3000


@pytest.mark.filterwarnings("ignore:example.s. 0. the baseline alone")
def test_a_segmenter_serves_the_explainer(stripes):
    model = lambda x: torch.stack([x[:, 0].mean((1, 2)), x[:, 2].mean((1, 2)) + 0.01], dim=1)  # noqa: E731
    focus = FocaLogic(model, segmenter=Watershed(n_segments=3)).explain(stripes[None])[0]
    assert focus.num_regions == 3
    assert len(focus.final_states)


OUT_OF_RANGE = [
    (lambda: Felzenszwalb(0), "n_segments"),
    (lambda: Quickshift(min_area=1.0), "min_area"),
    (lambda: Slic(999_999_999), "at most 10,000"),
    (lambda: segmenter_from_text("slic:999999999"), "at most 10,000"),
    (lambda: segmenter_from_text("slic:" + "9" * 5000), "cannot be read"),
    (lambda: Slic(sigma=1e6), "sigma"),
    (lambda: Slic(sigma=float("nan")), "sigma"),
    (lambda: Slic(compactness=float("inf")), "compactness"),
    (lambda: Slic(working_size=0), "working_size"),
    (lambda: Felzenszwalb(sigma=1e9), "sigma"),
    (lambda: Felzenszwalb(scale=-1), "scale"),
    (lambda: Quickshift(kernel_size=1e6), "kernel_size"),
    (lambda: Quickshift(ratio=2), "ratio"),
    (lambda: Quickshift(max_dist=-1), "max_dist"),
    (lambda: Watershed(markers=10**9), "markers"),
    (lambda: Watershed(compactness=-1), "compactness"),
]


@pytest.mark.parametrize(("make", "message"), OUT_OF_RANGE)
def test_numbers_are_bounded_by_their_use(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize("kind", [Felzenszwalb, Quickshift, Watershed])
def test_images_up_to_the_working_size_are_cut_as_they_are(kind):
    image = photo(96)
    pixels = pixels_of(image)
    segments = merged_small(kind()._segments(pixels), 1e-3)
    np.testing.assert_array_equal(kind()(image), joined_alike(segments, pixels, 12))
    np.testing.assert_array_equal(kind(working_size=96)(image), kind()(image))


@pytest.mark.parametrize("kind", [Slic, Felzenszwalb, Quickshift, Watershed])
def test_larger_images_are_cut_at_the_working_size(kind):
    small = photo(64)
    large = small.repeat_interleave(3, dim=1).repeat_interleave(5, dim=2)
    labels = kind(5, working_size=64)(large)
    assert labels.shape == (192, 320)
    assert labels.dtype == np.int64
    assert np.unique(labels).tolist() == list(range(1, labels.max() + 1))
    assert 3 <= labels.max() <= 5
    borders = (labels[:, 1:] != labels[:, :-1]).sum() + (labels[1:] != labels[:-1]).sum()
    assert borders < 0.1 * labels.size, "regions stay in one piece"


def test_a_photograph_of_a_camera_is_cut_at_once():
    large = photo(512).repeat_interleave(6, dim=1).repeat_interleave(8, dim=2)
    labels = Slic()(large)
    assert labels.shape == (3072, 4096)
    assert np.unique(labels).tolist() == list(range(1, 13))
