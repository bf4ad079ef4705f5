"""Tests of captum_focalogic.images."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from captum_focalogic import images
from captum_focalogic.errors import FileError, FocaLogicWarning, InputError
from captum_focalogic.images import (
    CentreCrop,
    Shrink,
    Stretch,
    check_size,
    decode_image,
    fit_labels,
    image_bytes,
    image_tensor,
    open_image,
    resize_labels,
    write_image,
)

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
CAT = np.asarray(Image.fromarray(data.chelsea()).resize((60, 40)).convert("L"))
TOP32 = 2**31 - 1


def tiff(path: Path, values: np.ndarray, bits: int, sample_format: int = 1, photometric: int = 1, big=False) -> Path:
    """A TIFF as other programs write it."""
    order, mark = (">", b"MM\x00\x2a") if big else ("<", b"II\x2a\x00")
    body = values.astype(values.dtype.newbyteorder(order)).tobytes()
    height, width = values.shape
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, len(body)),
        (339, 3, sample_format),
    ]
    directory = struct.pack(order + "H", len(entries))
    for tag, kind, value in entries:
        directory += struct.pack(order + "HHI", tag, kind, 1)
        directory += struct.pack(order + ("HH" if kind == 3 else "I"), *((value, 0) if kind == 3 else (value,)))
    path.write_bytes(mark + struct.pack(order + "I", 8 + len(body)) + body + directory + b"\x00" * 4)
    return path


def grey(image: Image.Image) -> np.ndarray:
    assert image.mode == "RGB"
    pixels = np.asarray(image)
    assert np.array_equal(pixels[..., 0], pixels[..., 1])
    assert np.array_equal(pixels[..., 0], pixels[..., 2])
    return pixels[..., 0]


def saved(path: Path, image: Image.Image, **how) -> Path:
    image.save(path, **how)
    return path


def pgm(path: Path, values: np.ndarray) -> Path:
    """A portable grey map, which older versions of Pillow read and do not write."""
    height, width = values.shape
    path.write_bytes(f"P5\n{width} {height}\n65535\n".encode() + values.astype(">u2").tobytes())
    return path


DEPTHS = {
    "8 bit PNG": lambda path, values: saved(path.with_suffix(".png"), Image.fromarray(values)),
    "8 bit TIFF": lambda path, values: saved(path.with_suffix(".tif"), Image.fromarray(values)),
    "16 bit PNG": lambda path, values: saved(path.with_suffix(".png"), Image.fromarray(values.astype(np.uint16) * 257)),
    "16 bit PGM": lambda path, values: pgm(path.with_suffix(".pgm"), values.astype(np.uint16) * 257),
    "16 bit TIFF": lambda path, values: saved(
        path.with_suffix(".tif"), Image.fromarray(values.astype(np.uint16) * 257)
    ),
    "16 bit TIFF, big-endian": lambda path, values: tiff(path, values.astype(np.uint16) * 257, 16, big=True),
    "16 bit TIFF, signed": lambda path, values: tiff(
        path, np.rint(values / 255 * (2**15 - 1)).astype(np.int16), 16, sample_format=2
    ),
    "16 bit TIFF, 0 is white": lambda path, values: tiff(path, (255 - values).astype(np.uint16) * 257, 16, 1, 0),
    "32 bit TIFF": lambda path, values: saved(
        path.with_suffix(".tif"), Image.fromarray(np.rint(values / 255 * TOP32).astype(np.int32))
    ),
    "32 bit TIFF, unsigned": lambda path, values: tiff(path, values.astype(np.uint32) * (2**24 + 2**16 + 257), 32),
    "float TIFF": lambda path, values: saved(
        path.with_suffix(".tif"), Image.fromarray((values / 255).astype(np.float32))
    ),
}


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("values", [RAMP, CAT], ids=["ramp", "cat"])
def test_an_image_stays_the_same_in_every_bit_depth(tmp_path, depth, values):
    path = DEPTHS[depth](tmp_path / "image", values)
    assert np.array_equal(grey(open_image(path)), values)
    assert np.array_equal(grey(open_image(str(path))), values)
    assert np.array_equal(grey(open_image(path.read_bytes())), values)
    with path.open("rb") as file:
        assert np.array_equal(grey(open_image(file)), values)
    with Image.open(path) as opened:
        assert np.array_equal(grey(open_image(opened)), values)


def test_sixteen_bits_are_not_stretched_to_what_they_hold(tmp_path):
    dark = saved(tmp_path / "dark.png", Image.fromarray(np.array([[0, 257, 1285]], dtype=np.uint16)))
    assert grey(open_image(dark)).tolist() == [[0, 1, 5]]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV"])
def test_modes_of_eight_bits(tmp_path, mode):
    values = np.where(RAMP > 127, 255, 0).astype(np.uint8)
    image = Image.fromarray(values).convert("RGB" if mode in ("YCbCr", "HSV") else "L").convert(mode)
    assert np.array_equal(grey(open_image(image)), values)


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_deep_images_in_memory(dtype):
    mode = {"<u2": "I;16", ">u2": "I;16B"}[dtype]
    stored = (RAMP.astype(np.uint16) * 257).astype(dtype)
    image = Image.frombytes(mode, (16, 16), stored.tobytes())
    assert np.array_equal(grey(open_image(image)), RAMP)


REFUSED = {
    "floats of bytes": Image.fromarray(RAMP.astype(np.float32)),
    "not finite": Image.fromarray(np.full((2, 2), np.nan, dtype=np.float32)),
    "bytes in 32 bits": Image.fromarray(RAMP.astype(np.int32)),
    "16 bits in 32": Image.fromarray(RAMP.astype(np.int32) * 257),
    "negative": Image.fromarray(RAMP.astype(np.int32) * 2**23 - 5),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_told_is_refused(tmp_path, kind):
    path = saved(tmp_path / "unclear.tif", REFUSED[kind])
    with pytest.raises(InputError, match=r"unclear\.tif holds .*(save|replace|scale)"):
        open_image(path)
    with pytest.raises(InputError, match="the image holds"):
        open_image(REFUSED[kind])


def test_black_is_black_in_any_depth():
    assert not grey(open_image(Image.fromarray(np.zeros((2, 2), dtype=np.int32)))).any()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L with one transparent shade"])
def test_transparent_pixels_are_laid_on_white_and_said(tmp_path, mode):
    path = tmp_path / "clear.png"
    if mode == "P":
        image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8)).convert("P")
        image.putpalette([0, 0, 0, 10, 10, 10])
        image.save(path, transparency=0)
    elif mode.startswith("L with"):
        Image.fromarray(np.array([[0, 10]], dtype=np.uint8)).save(path, transparency=0)
    else:
        image = Image.new(mode, (2, 1), (10, 0) if mode == "LA" else (10, 10, 10, 0))
        image.putpixel((1, 0), (10, 255) if mode == "LA" else (10, 10, 10, 255))
        image.save(path)
    with pytest.warns(FocaLogicWarning, match=r"clear\.png has transparent pixels; they are laid on white") as warned:
        opened = open_image(path)
    assert grey(opened).tolist() == [[255, 10]]
    assert [warning.filename for warning in warned] == [__file__]


def test_half_transparent_pixels_are_mixed_with_white():
    with pytest.warns(FocaLogicWarning, match="transparent"):
        assert open_image(Image.new("RGBA", (1, 1), (255, 0, 0, 128))).getpixel((0, 0)) == (255, 127, 127)


def test_sixteen_bits_with_one_transparent_shade(tmp_path):
    values = np.array([[0, 257, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    octets = (tmp_path / "deep.png").read_bytes()
    chunk = b"tRNS" + struct.pack(">H", 257)
    at = octets.index(b"IDAT") - 4
    (tmp_path / "deep.png").write_bytes(
        octets[:at] + struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk)) + octets[at:]
    )
    with pytest.warns(FocaLogicWarning, match="transparent"):
        assert grey(open_image(tmp_path / "deep.png")).tolist() == [[0, 255, 255]]


def test_opaque_alpha_is_no_news(recwarn):
    assert np.array_equal(grey(open_image(Image.fromarray(RAMP).convert("RGBA"))), RAMP)
    assert not recwarn.list


@pytest.mark.parametrize("ending", ["gif", "tif", "webp", "png"])
def test_the_first_of_several_frames_and_said(tmp_path, ending):
    frames = [Image.new("RGB", (4, 4), (shade,) * 3) for shade in (200, 100, 0)]
    how = {"lossless": True} if ending == "webp" else {}
    path = tmp_path / f"film.{ending}"
    frames[0].save(path, save_all=True, append_images=frames[1:], **how)
    with pytest.warns(FocaLogicWarning, match=r"has 3 frames; the first is used"):
        assert grey(open_image(path)).tolist() == [[200] * 4] * 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.zeros((20, 30), dtype=np.uint8)
    pixels[:10, :15] = 255
    path = saved(tmp_path / "turned.png", Image.fromarray(pixels), exif=exif)
    opened = grey(open_image(path))
    turns = [
        pixels,
        pixels[:, ::-1],
        pixels[::-1, ::-1],
        pixels[::-1],
        pixels.T,
        pixels.T[:, ::-1],
        pixels.T[::-1, ::-1],
        pixels.T[::-1],
    ]
    assert np.array_equal(opened, turns[orientation - 1])
    assert np.array_equal(np.asarray(decode_image(path)), opened), "masks and label maps are turned as their images"
    with Image.open(path) as given:
        assert np.array_equal(grey(open_image(given)), opened)
        assert np.array_equal(grey(open_image(open_image(given))), opened), "not twice"


def test_stored_values_stay_what_they_are(tmp_path):
    coloured = Image.fromarray(RAMP % 3).convert("P")
    palette = saved(tmp_path / "palette.png", coloured)
    assert np.array_equal(np.asarray(decode_image(palette)), np.asarray(coloured))
    wide = saved(tmp_path / "wide.png", Image.fromarray(RAMP.astype(np.uint16) * 200))
    assert np.array_equal(np.asarray(decode_image(wide)), RAMP.astype(np.uint16) * 200)


@pytest.fixture
def broken(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(data.chelsea()).save(stream, "JPEG")
    (tmp_path / "truncated.jpg").write_bytes(stream.getvalue()[:3000])
    stream = io.BytesIO()
    Image.fromarray(data.chelsea()).save(stream, "PNG")
    (tmp_path / "truncated.png").write_bytes(stream.getvalue()[:3000])
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("truncated.jpg", r"truncated\.jpg cannot be read: .*truncated"),
        ("truncated.png", r"truncated\.png cannot be read"),
        ("text.png", r"text\.png is no image that can be read; expected PNG"),
        ("empty.png", r"empty\.png is no image that can be read"),
        ("folder.png", r"folder\.png cannot be read: Is a directory"),
        ("missing.png", r"missing\.png cannot be read: there is no such file"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(broken, name, message):
    for read in (open_image, decode_image, image_tensor):
        with pytest.raises(InputError, match=message) as raised:
            read(broken / name)
        assert "\n" not in str(raised.value)


def test_what_is_decoded_is_called_by_its_name(broken):
    with pytest.raises(InputError, match=r"the label map .*text\.png cannot be read: it is no image"):
        decode_image(broken / "text.png", "label map")
    with pytest.raises(InputError, match=r"the mask .*missing\.png cannot be read"):
        decode_image(broken / "missing.png", "mask")


def test_announced_sizes_are_bounded(tmp_path, monkeypatch):
    path = saved(tmp_path / "large.png", Image.new("L", (300, 300)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(InputError, match=r"large\.png cannot be read, it is too large"):
        open_image(path)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damage_anywhere_is_an_error_of_input():
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RAMP).save(stream, "TIFF", exif=exif, compression="tiff_deflate")
    rng = np.random.default_rng(0)
    whole = np.frombuffer(stream.getvalue(), dtype=np.uint8)
    refused = 0
    for _ in range(300):
        octets = whole.copy()
        octets[rng.integers(0, len(octets), 3)] = rng.integers(0, 256, 3)
        try:
            open_image(octets.tobytes())
        except InputError:
            refused += 1
    assert refused > 20


COLOURS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "source",
    [
        COLOURS,
        COLOURS.transpose(2, 0, 1),
        COLOURS.astype(np.uint16) * 257,
        COLOURS / 255,
        (COLOURS / 255).transpose(2, 0, 1),
        torch.from_numpy(COLOURS),
        torch.from_numpy(COLOURS / 255).permute(2, 0, 1),
        torch.from_numpy(COLOURS / 255).permute(2, 0, 1).half(),
        torch.from_numpy(COLOURS / 255).permute(2, 0, 1).requires_grad_(),
        np.dstack([COLOURS, np.full((5, 7), 255, dtype=np.uint8)]),
        Image.fromarray(COLOURS),
    ],
    ids=lambda source: f"{type(source).__name__} {getattr(source, 'dtype', '')} {getattr(source, 'shape', '')}",
)
def test_arrays_tensors_and_images_are_the_same_image(source):
    assert np.array_equal(np.asarray(open_image(source)), COLOURS)
    assert torch.allclose(image_tensor(source), torch.from_numpy(COLOURS / 255).permute(2, 0, 1).float(), atol=1e-3)
    assert image_tensor(source).dtype == torch.float32


@pytest.mark.parametrize("source", [RAMP, RAMP / 255, torch.from_numpy(RAMP), RAMP.astype(np.uint16) * 257])
def test_one_channel_is_grey(source):
    assert np.array_equal(grey(open_image(source)), RAMP)
    assert np.array_equal(grey(open_image(source[None])), RAMP)
    assert image_tensor(source).shape == (3, 16, 16)


def test_where_two_layouts_fit_integers_have_their_channels_last_and_floats_first():
    values = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    assert np.array_equal(np.asarray(open_image(values)), values)
    assert np.array_equal(np.asarray(open_image(values / 255)), values.transpose(1, 2, 0))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((2, 3, 4, 5)), r"an image must be .*got \(2, 3, 4, 5\) of float64"),
        (np.zeros((2, 8, 8)), "an image must be"),
        (np.zeros((0, 3, 3), dtype=np.uint8), "an image must be"),
        (np.array(["a"]), "an image must be"),
        (None, "an image must be"),
        (COLOURS.astype(float), r"floating-point values in \[.*scale them to \[0, 1\]"),
        (np.full((3, 2, 2), np.inf), "not finite"),
        (COLOURS.astype(np.int64), "cannot be told"),
        (-COLOURS.astype(np.int16), "whole numbers from -"),
    ],
)
def test_arrays_that_are_no_image(source, message):
    for read in (open_image, image_tensor):
        with pytest.raises(InputError, match=message):
            read(source)


def test_floats_keep_their_precision_as_tensors():
    values = torch.rand(3, 4, 5)
    assert torch.equal(image_tensor(values), values)
    assert torch.equal(image_tensor(values.double()), values)
    over = image_tensor(torch.tensor([[[1.0005, -0.0005]]]))
    assert over.tolist() == [[[1.0, 0.0]]] * 3, "resizing leaves values a little beyond the range"


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


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (10, 9), (224, 224), (1000, 31)])
@pytest.mark.parametrize("shape", [(224, 224), (96, 128)])
def test_crops_have_the_size_whatever_the_image(size, shape):
    image = Image.new("RGB", size, (10, 20, 30))
    for share in (0.875, 1.0):
        cropped = CentreCrop(*shape, share)(image)
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

    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8))
    theirs = functional.center_crop(functional.resize(image, 256), 224)
    ours = CentreCrop(224, 224)(image)
    assert np.abs(np.asarray(ours).astype(int) - np.asarray(theirs).astype(int)).mean() < 3


@pytest.mark.parametrize("ids", [(-5, 0, 7), (-(2**63), 2**40, 2**63 - 1)], ids=["small", "64 bits"])
def test_ids_of_any_size_survive_a_resize(ids):
    labels = np.repeat(np.array(ids, dtype=np.int64), 20)[None].repeat(30, axis=0)
    assert np.array_equal(resize_labels(labels, 10, 3), [list(ids)] * 10)
    assert np.array_equal(resize_labels(resize_labels(labels, 90, 180), 30, 60), labels)
    assert np.array_equal(fit_labels(labels, Shrink(60)), labels)
    assert resize_labels(labels, 3, 3).dtype == np.int64


def test_the_whole_image_whatever_its_size():
    image = Image.new("RGB", (40, 20))
    assert Stretch(7, 9)(image).size == (9, 7)
    assert Shrink(10)(image).size == (10, 5)
    assert Shrink(40)(image) is image
    assert Shrink(1)(Image.new("RGB", (1, 400))).size == (1, 1)


def test_bad_sizes_are_refused():
    with pytest.raises(InputError, match="at least 1x1"):
        CentreCrop(0, 5)
    with pytest.raises(InputError, match="at least 1 pixel"):
        Shrink(0)
    check_size((3, 4), None, "a model")
    check_size((3, 4), (3, 4), "a model")
    with pytest.raises(InputError, match=r"takes images of 5x6 pixels .*; these have 4x3\. Crop or resize"):
        check_size((3, 4), (6, 5), "a model")


def test_images_are_written_whole_or_not_at_all(tmp_path):
    image = Image.fromarray(COLOURS)
    assert np.array_equal(np.asarray(open_image(write_image(tmp_path / "new.png", image))), COLOURS)
    with pytest.raises(InputError, match=r"new\.xyz cannot be written as an image"):
        write_image(tmp_path / "new.xyz", image)
    with pytest.raises(FileError, match=r"new\.png cannot be written: No such file"):
        write_image(tmp_path / "none" / "new.png", image)
    with pytest.raises(FileError, match=r"new\.jpg cannot be written"):
        write_image(tmp_path / "new.jpg", Image.fromarray(COLOURS.astype(np.float32)[..., 0]))
    assert [path.name for path in tmp_path.iterdir()] == ["new.png"]


@pytest.mark.parametrize(
    ("mode", "form", "how"),
    [
        ("L", "PNG", {}),
        ("L", "TIFF", {"compression": "tiff_adobe_deflate"}),
        ("L", "WEBP", {"quality": 1}),
        ("P", "GIF", {}),
    ],
)
def test_few_bytes_do_not_become_much_memory(
    mode: str, form: str, how: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, ratio = 1 << 10, images.RATIO
    content = io.BytesIO()
    Image.new(mode, (300, 300)).save(content, form, **how)
    path = tmp_path / "bomb"
    path.write_bytes(content.getvalue())
    assert open_image(path).size == (300, 300)
    monkeypatch.setattr(images, "FREE", small)
    assert small + ratio * len(content.getvalue()) < 300 * 300
    for source in (path, content.getvalue(), io.BytesIO(content.getvalue())):
        with pytest.raises(InputError, match=r"300x300 pixels are more than its .* bytes can honestly hold"):
            open_image(source)
    noise = np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    assert open_image(tmp_path / "noise.png").size == (300, 300)


def test_a_photograph_of_a_hundred_megapixels_has_room_and_a_blank_one_has_not() -> None:
    assert images.FREE + images.RATIO * 10_000_000 >= 10_000 * 10_000 * 3
    sink = io.BytesIO()
    Image.new("L", (12_000, 12_000)).save(sink, "PNG")
    with pytest.raises(InputError, match="12000x12000 pixels are more than its"):
        open_image(sink.getvalue())
