"""Preprocessings as people have them: what they do to colours and places is found out and undone."""

import copy
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import transforms
from torchvision.models import ResNet18_Weights
from torchvision.transforms import v2

from captum_focalogic import explain_image
from captum_focalogic.classifier import Classifier, Normalised
from captum_focalogic.errors import FocaLogicWarning, InputError
from captum_focalogic.preprocess import Normalisation, Preprocess, one_channel

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PRESET = ResNet18_Weights.DEFAULT.transforms()
GEOMETRY = [transforms.Resize(40), transforms.CenterCrop(32), transforms.ToTensor()]


class AsImageProcessor:
    """Answers as an image processor of transformers does."""

    def __call__(self, image):
        return {"pixel_values": [(np.asarray(image.resize((8, 8)), np.float32).transpose(2, 0, 1) / 255 - 0.5) / 0.25]}


def a_photo(width=60, height=48, seed=0):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (height // 6, width // 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


NORMALISING = {
    "preset": (PRESET, MEAN, STD),
    "compose": (transforms.Compose([*GEOMETRY, transforms.Normalize(MEAN, STD)]), MEAN, STD),
    "v2": (
        v2.Compose([v2.ToImage(), v2.Resize(32), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]),
        MEAN,
        STD,
    ),
    "batch of one": (lambda image: PRESET(image)[None], MEAN, STD),
    "bytes": (
        lambda image: transforms.functional.pil_to_tensor(image.resize((8, 8))).float(),
        (0.0,) * 3,
        (1 / 255,) * 3,
    ),
    "signed": (lambda image: transforms.functional.to_tensor(image.resize((8, 8))) * 2 - 1, (0.5,) * 3, (0.5,) * 3),
    "processor": (AsImageProcessor(), (0.5,) * 3, (0.25,) * 3),
}


@pytest.mark.parametrize("name", NORMALISING)
def test_normalisation_is_found_out_and_undone(name):
    function, mean, std = NORMALISING[name]
    read = Preprocess(function)
    assert read.normalisation is not None
    assert read.normalisation.mean.tolist() == pytest.approx(mean, abs=1e-4)
    assert read.normalisation.std.tolist() == pytest.approx(std, abs=1e-4)
    seen = read(a_photo())
    assert 0 <= float(seen.min()) < float(seen.max()) <= 1
    given = read.given(a_photo())
    # Sharp resampling goes beyond [0, 1]; elsewhere the model gets back what the preprocessing gave.
    inside = (seen > 0) & (seen < 1)
    torch.testing.assert_close(read.normalisation.apply(seen)[inside], given[inside].float(), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    "function",
    [
        transforms.ToTensor(),
        lambda image: image.resize((5, 5)),
        lambda image: transforms.functional.to_tensor(image) ** 2,
        lambda _: torch.zeros(3, 4, 4),
    ],
)
def test_what_normalises_nothing_or_not_by_mean_and_deviation_is_left_alone(function):
    assert Preprocess(function).normalisation is None


def flipped(image):
    return Image.merge("RGB", image.split()[::-1])


ORDERED = {
    "bgr, normalised": (lambda image: PRESET(image)[[2, 1, 0]], (2, 1, 0), MEAN[::-1], STD[::-1]),
    "bgr, by the means of caffe": (
        lambda image: transforms.functional.pil_to_tensor(image).float()[[2, 1, 0]] - 128.0,
        (2, 1, 0), (128 / 255,) * 3, (1 / 255,) * 3,
    ),
    "bgr in [0, 1]": (lambda image: transforms.functional.to_tensor(image)[[2, 1, 0]], (2, 1, 0), (0.0,), (1.0,)),
    "bgr as an image": (flipped, (2, 1, 0), (0.0,), (1.0,)),
    "round about": (lambda image: transforms.functional.to_tensor(image)[[1, 2, 0]], (1, 2, 0), (0.0,), (1.0,)),
}  # fmt: skip


@pytest.mark.parametrize("name", ORDERED)
def test_channels_in_another_order_are_found_out_and_undone(name):
    function, order, mean, std = ORDERED[name]
    read, image = Preprocess(function), a_photo()
    assert read.normalisation.order == order
    assert read.normalisation.mean.tolist() == pytest.approx(mean, abs=1e-4)
    assert read.normalisation.std.tolist() == pytest.approx(std, abs=1e-4)
    rgb = Preprocess(transforms.ToTensor() if "normalised" not in name else PRESET)(image)
    torch.testing.assert_close(read(image), rgb, atol=1e-4, rtol=0)
    given = read.given(image)
    given = transforms.functional.to_tensor(given) if isinstance(given, Image.Image) else given
    inside = (rgb > 0) & (rgb < 1)
    back = read.normalisation.apply(read(image))
    torch.testing.assert_close(back[inside[list(order)]], given[inside[list(order)]].float(), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("stated", [{}, {"mean": MEAN, "std": STD}])
def test_a_network_of_blue_green_red_is_asked_so_and_its_picture_is_red_green_blue(stated):
    class Bluest(nn.Module):
        """Takes (blue, green, red); its classes are called by which is the most."""

        def forward(self, images):
            return images.mean((2, 3))

    def turned(image):
        seen = transforms.functional.to_tensor(image)[[2, 1, 0]]
        return seen if stated else transforms.functional.normalize(seen, MEAN, STD)

    red = Image.new("RGB", (12, 12), (255, 0, 0))
    answer = explain_image(
        Bluest().eval(), red, preprocess=turned, labels="blue,green,red", segmenter="grid:2x2", baseline="black",
        outputs="logits", **stated,
    )  # fmt: skip
    assert answer.prediction.name == "red"
    assert answer.focus.image[0, 0].tolist() == [255, 0, 0]


def test_an_image_made_grey_keeps_its_order():
    read = Preprocess(
        transforms.Compose([transforms.Grayscale(3), transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    )
    assert read.normalisation.order is None


def test_one_that_fails_on_a_plain_image_is_said_to():
    def faces_only(image):
        if not np.asarray(image).std():
            raise ValueError("no face")
        return image

    with pytest.warns(FocaLogicWarning, match=r"failed on a plain image \(ValueError: no face\)"):
        read = Preprocess(faces_only)
    assert read(a_photo()).shape == (3, 48, 60)
    with pytest.raises(InputError, match="a function of an image; got a str"):
        Preprocess("torchvision")


@pytest.mark.parametrize("size", [(60, 48), (48, 90), (400, 300), (33, 200)])
def test_label_maps_follow_the_crop_of_any_preprocessing(size):
    width, height = size
    label_map = np.arange(width * height, dtype=np.int64).reshape(height, width)
    found = Preprocess(transforms.Compose([*GEOMETRY, transforms.Normalize(MEAN, STD)])).labels(label_map)
    nearest = [transforms.Resize(40, transforms.InterpolationMode.NEAREST), transforms.CenterCrop(32)]
    expected = np.asarray(transforms.Compose(nearest)(Image.fromarray(label_map.astype(np.int32))))
    assert found.shape == expected.shape == (32, 32)
    # Half a pixel of what is seen, or one of the image where that is larger.
    most = max(1, min(size) / 40)
    assert np.abs(found // width - expected // width).max() <= most
    assert np.abs(found % width - expected % width).max() <= most


def test_label_maps_follow_a_flip_and_refuse_a_turn():
    label_map = np.arange(12, dtype=np.int64).reshape(3, 4)
    assert Preprocess(lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)).labels(label_map).tolist() == (
        label_map[:, ::-1].tolist()
    )
    assert Preprocess(lambda image: image).labels(label_map).tolist() == label_map.tolist()
    for otherwise in (lambda image: image.rotate(30), lambda _: torch.zeros(3, 8, 8)):
        with pytest.raises(InputError, match="more than resize, crop and flip"):
            Preprocess(otherwise).labels(np.zeros((40, 40), dtype=np.int64))


@pytest.mark.parametrize("side", [2, 7, 28, 255, 256, 600])
def test_label_maps_are_enlarged_with_small_images(side):
    label_map = np.arange(side * side, dtype=np.int64).reshape(side, side)
    found = Preprocess(lambda image: image.resize((side * 4, side * 4), Image.Resampling.BILINEAR)).labels(label_map)
    expected = label_map.repeat(4, 0).repeat(4, 1)
    assert np.abs(found // side - expected // side).max() <= 1
    assert (found == expected).mean() > (0.99 if side < 100 else 0.4)


def test_a_preprocess_can_be_pickled_and_copied():
    read = Preprocess(PRESET)
    for twin in (pickle.loads(pickle.dumps(read)), copy.deepcopy(read)):
        assert torch.equal(twin(a_photo()), read(a_photo()))


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        (0.5, None, "go together"),
        (None, (1, 1, 1), "go together"),
        ((0.5,) * 3, (0.5, 0, 0.5), "std positive ones"),
        ((0.5,) * 2, (0.5,) * 3, "a number for each channel"),
        ("imagenet", 1, "mean must be a number, or one for each channel"),
        (float("nan"), 1, "mean must be a number, or one for each channel"),
    ],
)
def test_what_is_no_normalisation_is_refused(mean, std, message):
    with pytest.raises(InputError, match=message):
        Normalisation.stated(mean, std)


def test_a_normalisation_is_for_images_of_its_channels():
    with pytest.raises(InputError, match=r"of 3 channel\(s\) are for images \(N, 3, H, W\).*got \(1, 4, 2, 2\)"):
        Normalisation(MEAN, STD).undo(torch.zeros(1, 4, 2, 2))
    assert Normalisation(0.5, 0.5).undo(torch.zeros(1, 4, 2, 2)).unique().tolist() == [0.5]
    assert Normalisation(np.array(MEAN), torch.tensor(STD)).like(Normalisation(MEAN, STD))


class Grey(nn.Module):
    """A network of grey images, whose classes are dark and light."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.ones_(self.body.weight)

    def forward(self, images):
        light = self.body(images).mean((1, 2, 3))
        return torch.stack([0.5 - light, light - 0.5], dim=1)


def test_grey_photographs_go_into_networks_of_one_channel_as_one():
    halves = np.zeros((8, 8, 3), dtype=np.uint8)
    halves[:, 2:] = 255
    cut = np.arange(8)[None].repeat(8, 0) // 2
    for image in (halves, halves[:, :, 0], Image.fromarray(halves[:, :, 0])):
        answer = explain_image(Grey().eval(), image, segmenter=cut, baseline="black", labels="dark,light")
        assert answer.prediction.name == "light"
        assert answer.focus.region_sets()[0] <= {1, 2, 3}
        assert answer.headline().mode == "RGB"
    normalised = transforms.Compose([transforms.Grayscale(), transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])
    classifier = Classifier(Grey().eval(), normalised)
    assert classifier.preprocess(Image.fromarray(halves)).shape == (1, 8, 8)
    assert isinstance(classifier.forward, Normalised)


def test_photographs_in_colour_are_refused_by_networks_of_one_channel():
    with pytest.raises(InputError, match=r"one channel, and this image has colours; .*image.convert\(\"L\"\)"):
        explain_image(Grey().eval(), a_photo())
    assert explain_image(Grey().eval(), a_photo(), preprocess=lambda image: image.convert("L")).focus.image is not None
    with pytest.raises(InputError, match="one channel"):
        one_channel(torch.tensor([0.0, 1.0, 0.0])[:, None, None])


def test_the_model_gets_what_its_own_preprocessing_gives(monkeypatch):
    given = []

    class Seeing(nn.Module):
        def forward(self, images):
            given.append(images.clone())
            return torch.stack([images.mean((1, 2, 3)), -images.mean((1, 2, 3))], dim=1)

    image = a_photo(300, 260)
    answer = explain_image(Seeing().eval(), image, preprocess=PRESET, segmenter="grid:2x2", max_evaluations=20)
    whole = next(batch[0] for batch in given if len(batch) == 1)
    torch.testing.assert_close(whole, PRESET(image), atol=5e-2, rtol=0)
    expected = np.asarray(PRESET(image) * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None])
    assert np.abs(answer.focus.image.transpose(2, 0, 1) / 255 - expected.clip(0, 1)).max() < 1e-2
    given.clear()
    stated = explain_image(Seeing().eval(), image, mean=MEAN, std=STD, segmenter="grid:2x2", max_evaluations=20)
    assert np.array_equal(stated.focus.image, np.asarray(image))
    assert float(given[0].min()) < 0


def test_a_classifier_that_brings_its_normalisation_takes_no_other():
    own = Classifier(Grey().eval(), transforms.Compose([transforms.Grayscale(), transforms.ToTensor()]))
    with pytest.raises(InputError, match=r"brings its normalisation along; leave mean= and std= out"):
        explain_image(own, a_photo(), mean=0.5, std=0.5)
    with pytest.raises(InputError, match=r"preprocess normalises by .*, but mean= and std= say"):
        explain_image(lambda images: images.mean((2, 3)), a_photo(), preprocess=PRESET, mean=0.5, std=0.5)
    brought = Classifier(Normalised(Grey().eval(), [0.5], [0.5]), transforms.ToTensor())
    assert isinstance(brought.forward.model, Grey)
