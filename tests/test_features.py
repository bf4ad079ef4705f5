"""Segmentation by a network's own features: the right layers, a valid partition, and a network left as it was."""

import copy
import pickle
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as hs
from skimage import data
from torch import Tensor, nn

from captum_focalogic import FocaLogic, MaskedModel, explain_image
from captum_focalogic.compare import compare
from captum_focalogic.errors import InputError
from captum_focalogic.features import Features, layer_maps
from captum_focalogic.images import image_tensor
from captum_focalogic.segmenters import ForwardPass, cut, segmenter_from_text
from captum_focalogic.study import run_study
from captum_focalogic.study.items import Item, Sample
from captum_focalogic.study.settings import setting_text


class Tiny(nn.Module):
    """A convolutional network with places of 1, 2 and 4 pixels, and dropout and batch norm to tell its mode by."""

    def __init__(self, channels: int = 3, classes: int = 3) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.second = nn.Sequential(nn.Conv2d(8, 20, 3, stride=2, padding=1), nn.ReLU(), nn.Dropout(0.5))
        self.third = nn.Conv2d(20, 12, 3, stride=2, padding=1)
        self.head = nn.Linear(12, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.third(self.second(self.first(images))).mean((2, 3)))


class Drawn(nn.Module):
    """A network whose only layer gives a known map of the image: which of some patches a place lies in."""

    def __init__(self, drawn: Tensor) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, drawn.shape[0], 1)
        self.register_buffer("drawn", drawn[None])
        self.told = nn.AvgPool2d(1)

    def forward(self, images: Tensor) -> Tensor:
        return self.told(self.drawn).mean((2, 3)).expand(len(images), -1)


def tiny(seed: int = 0, channels: int = 3) -> Tiny:
    torch.manual_seed(seed)
    return Tiny(channels).eval()


def small_vit() -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.VisionTransformer(64, 8, 2, 2, 24, 48, num_classes=4).eval()


def photo(side: int = 64) -> Tensor:
    image = image_tensor(data.chelsea())[None]
    return nn.functional.interpolate(image, (side, side), mode="area")[0]


def is_partition(labels: np.ndarray, size: tuple[int, int], most: int) -> bool:
    ids = np.unique(labels)
    return (
        labels.shape == size
        and labels.dtype == np.int64
        and ids.tolist() == list(range(1, len(ids) + 1))
        and len(ids) <= most
    )


@settings(max_examples=40, deadline=None)
@given(
    seed=hs.integers(0, 2**32 - 1),
    height=hs.integers(4, 40),
    width=hs.integers(4, 40),
    count=hs.integers(1, 30),
    superpixels=hs.integers(1, 60),
    constant=hs.booleans(),
)
@pytest.mark.filterwarnings("ignore::captum_focalogic.errors.FocaLogicWarning")
def test_any_image_is_cut_into_a_partition(
    seed: int, height: int, width: int, count: int, superpixels: int, constant: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(3, height, width, generator=generator)
    image = image[:, :1, :1].expand(3, height, width).contiguous() if constant else image
    segmenter = Features(count, superpixels=superpixels, model=tiny(seed))
    labels = segmenter(image)
    assert is_partition(labels, (height, width), count)
    np.testing.assert_array_equal(segmenter(image), labels)


@pytest.mark.parametrize("count", [1, 2, 12, 24, 100])
@pytest.mark.filterwarnings("ignore:Features gives a single region")
def test_as_many_regions_as_asked(count: int) -> None:
    assert len(np.unique(Features(count, model=tiny())(photo(96)))) == count


def test_more_regions_than_superpixels_were_asked_for() -> None:
    assert len(np.unique(Features(50, superpixels=20, model=tiny())(photo(96)))) == 50


def test_none_keeps_all_superpixels() -> None:
    fine = Features(None, superpixels=40, model=tiny())(photo())
    assert len(np.unique(fine)) >= 40


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (2, 2), (3, 4)])
@pytest.mark.filterwarnings("ignore::captum_focalogic.errors.FocaLogicWarning")
def test_tiny_images(height: int, width: int) -> None:
    assert is_partition(Features(12, model=tiny())(torch.rand(3, height, width)), (height, width), 12)


def strips(known: bool) -> np.ndarray:
    """A chequered image of 8 x 8 blocks, cut in three; the network knows strips of 2, 5 and 1 blocks, or nothing."""
    rows, columns = torch.meshgrid(torch.arange(64) // 8, torch.arange(64) // 8, indexing="ij")
    image = (0.4 + 0.2 * ((rows + columns) % 2))[None].expand(3, -1, -1)
    strip = (columns >= 2).long() + (columns >= 7).long()
    drawn = nn.functional.one_hot(strip[::4, ::4] if known else torch.zeros(16, 16, dtype=torch.int64), 3)
    return Features(3, superpixels=64, model=Drawn(drawn.permute(2, 0, 1).float()))(image)


def test_regions_are_those_that_the_network_tells_apart() -> None:
    np.testing.assert_array_equal(strips(True)[0], np.repeat([1, 2, 3], [16, 40, 8]))
    assert (strips(True) == strips(True)[:1]).all()


def test_colour_and_place_alone_would_not_find_them() -> None:
    assert not (strips(False) == strips(True)).all()


def test_the_last_layer_of_each_scale_is_taken() -> None:
    model, image = tiny(), photo()
    maps = layer_maps(model, ForwardPass.of(model, image))
    assert [found.shape for found in maps] == [(64, 64, 8), (32, 32, 20), (16, 16, 12)]
    with torch.no_grad():
        first = model.first(image[None])
        second = model.second(first)
    torch.testing.assert_close(torch.from_numpy(maps[0]).float(), first[0].permute(1, 2, 0))
    torch.testing.assert_close(torch.from_numpy(maps[1]).float(), second[0].permute(1, 2, 0))
    torch.testing.assert_close(torch.from_numpy(maps[2]).float(), model.third(second)[0].detach().permute(1, 2, 0))


def test_tokens_are_laid_out_without_what_stands_before_them() -> None:
    model, image = small_vit(), photo()
    kept: list[Tensor] = []
    handle = model.encoder.ln.register_forward_hook(lambda _, __, output: kept.append(output.detach()))
    maps = layer_maps(model, ForwardPass.of(model, image))
    handle.remove()
    assert [found.shape for found in maps] == [(8, 8, 24)]
    torch.testing.assert_close(torch.from_numpy(maps[0]).float().reshape(64, 24), kept[0][0, 1:])


@pytest.mark.parametrize(
    "name",
    [
        "vit_tiny_patch16_224",
        "vit_base_patch16_reg4_gap_256",
        "swin_tiny_patch4_window7_224",
        "resnet10t",
        "convnext_atto",
    ],
)
def test_networks_of_timm(name: str) -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed")
    torch.manual_seed(0)
    sides = {"img_size": 64} if name.startswith("vit") else {"img_size": 224} if name.startswith("swin") else {}
    model = timm.create_model(name, pretrained=False, num_classes=3, **sides).eval()
    image = photo(224 if name.startswith("swin") else 64)
    maps = layer_maps(model, ForwardPass.of(model, image))
    sizes = [found.shape[0] for found in maps]
    assert sizes == {"v": [4], "s": [56, 28, 14, 7], "r": [32, 16, 8, 4, 2], "c": [16, 8, 4, 2]}[name[0]]
    assert is_partition(Features(6, superpixels=30, model=model)(image), tuple(image.shape[1:]), 6)


def test_networks_of_torchvision() -> None:
    torch.manual_seed(0)
    model = torchvision.models.mobilenet_v3_small(num_classes=3).eval()
    assert [found.shape[0] for found in layer_maps(model, ForwardPass.of(model, photo()))] == [32, 16, 8, 4, 2]


def state_of(model: nn.Module) -> tuple[object, ...]:
    hooks = [dict(part._forward_hooks) for part in model.modules()]
    modes = [part.training for part in model.modules()]
    weights = [
        (tensor.requires_grad, tensor.grad, tensor.clone()) for tensor in [*model.parameters(), *model.buffers()]
    ]
    return hooks, modes, weights, torch.is_grad_enabled()


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_is_left_as_it_was(fails: bool) -> None:
    model = Tiny()
    model.train()
    model.second.eval()
    before = state_of(model)
    if fails:
        with pytest.raises(RuntimeError, match="expected input"):
            Features(3, model=model).cut(
                photo(), ForwardPass(model, torch.rand(1, 5, 64, 64), partial(model, torch.rand(1, 5, 64, 64)))
            )
    else:
        torch.manual_seed(1)
        state = torch.get_rng_state()
        labels = Features(3, model=model)(photo())
        assert torch.equal(torch.get_rng_state(), state)
        np.testing.assert_array_equal(labels, Features(3, model=copy.deepcopy(model).eval())(photo()))
    after = state_of(model)
    assert after[0] == before[0]
    assert after[1] == before[1]
    assert after[3] == before[3]
    for one, other in zip(after[2], before[2], strict=True):
        assert one[:2] == other[:2]
        assert torch.equal(one[2], other[2])


def test_memory_format_changes_nothing() -> None:
    model, image = tiny(), photo(96)
    labels = Features(8, model=model)(image)
    last = copy.deepcopy(model).to(memory_format=torch.channels_last)
    inputs = image[None].to(memory_format=torch.channels_last)
    again = Features(8).cut(image, ForwardPass(last, inputs, partial(last, inputs)))
    np.testing.assert_array_equal(again, labels)


def test_what_runs_in_another_thread_is_not_looked_at() -> None:
    model, image = tiny(), photo()
    expected = layer_maps(model, ForwardPass.of(model, image))

    def run() -> None:
        model(image[None])
        other = threading.Thread(target=model, args=(torch.rand(1, 3, 64, 64),))
        other.start()
        other.join()

    for found, wanted in zip(layer_maps(model, ForwardPass(model, image[None], run)), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_large_images_are_cut_at_the_working_size() -> None:
    model = tiny()
    labels = Features(5, superpixels=30, working_size=32, model=model)(photo(96))
    assert is_partition(labels, (96, 96), 5)
    blocks = labels.reshape(32, 3, 32, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()


@pytest.mark.filterwarnings("ignore:.*the baseline alone keeps the prediction")
class TestThroughThePackage:
    def test_the_name_gives_the_segmenter(self) -> None:
        assert segmenter_from_text("features") == Features()
        assert segmenter_from_text("features:24") == Features(24)
        with pytest.raises(InputError, match="features:NUMBER"):
            segmenter_from_text("features:many")

    def test_the_explained_network_is_looked_into(self) -> None:
        model, image = tiny(), (photo() * 255).round() / 255
        labels = Features(6, model=model)(image)
        (focus,) = FocaLogic(model, segmenter="features:6", max_evaluations=100).explain(image[None])
        assert focus.region_ids.tolist() == np.unique(labels).tolist()
        np.testing.assert_allclose(focus.areas, np.bincount(labels.reshape(-1))[1:] / labels.size)
        answer = explain_image(model, image, segmenter="features:6", max_evaluations=100)
        np.testing.assert_array_equal(answer.focus.label_map, labels)

    def test_each_image_of_a_batch_is_cut_by_its_own_maps(self) -> None:
        model, images = tiny(), torch.stack([photo(), photo().flip(2)])
        models = MaskedModel.batch(model, images, segmenter="features:5")
        for image, masked in zip(images, models, strict=True):
            labels = Features(5, model=model)(image)
            np.testing.assert_allclose(masked.areas, np.bincount(labels.reshape(-1))[1:] / labels.size)

    def test_normalised_inputs_reach_the_network_as_they_are(self) -> None:
        model, image = tiny(), photo()
        labels = Features(6, model=nn.Sequential(_Normalise(), model))(image)
        masked = MaskedModel(model, (image[None] - 0.5) / 0.25, segmenter="features:6", mean=0.5, std=0.25)
        np.testing.assert_allclose(masked.areas, np.bincount(labels.reshape(-1))[1:] / labels.size)

    def test_additional_arguments_are_passed(self) -> None:
        class Scaled(Tiny):
            def forward(self, images: Tensor, scale: Tensor) -> Tensor:
                return super().forward(images * scale[:, None, None, None])

        torch.manual_seed(0)
        model, image = Scaled().eval(), photo()
        masked = MaskedModel.batch(
            model, torch.stack([image, image]), segmenter="features:6", additional_forward_args=torch.tensor([1.0, 0.2])
        )
        labels = Features(6, model=tiny())(image)
        np.testing.assert_allclose(masked[0].areas, np.bincount(labels.reshape(-1))[1:] / labels.size)

    def test_studies_and_comparisons_take_it(self, tmp_path: Path) -> None:
        model, image = tiny(), photo()
        item = Item("cat", lambda: Sample(image), label=0)
        rows = run_study(
            [item], model, segmenter=segmenter_from_text("features:5"), out=tmp_path, max_evaluations=40
        ).to_pylist()
        assert rows[0]["num_regions"] == 5
        found = compare(model, image, segmenter=Features(5), methods=["FocaLogic"], max_evaluations=40)
        assert len(np.unique(found.decision.label_map)) == 5

    def test_settings_tell_it_from_others(self) -> None:
        assert setting_text(Features(5)) == setting_text(pickle.loads(pickle.dumps(Features(5))))
        told = {
            setting_text(one)
            for one in (Features(5), Features(6), Features(5, model=tiny(0)), Features(5, model=tiny(1)))
        }
        assert len(told) == 4

    def test_a_function_must_say_which_network_it_calls(self) -> None:
        model, image = tiny(), photo()

        def doubled(images: Tensor) -> Tensor:
            return 2 * model(images)

        with pytest.raises(InputError, match=r"'doubled' does not show.*Features\(12, model=module\)"):
            FocaLogic(doubled, segmenter="features:6").explain(image[None])
        masked = MaskedModel(doubled, image[None], segmenter=Features(6, model=model))
        assert masked.num_regions == 6

    def test_methods_and_partial_functions_of_a_network_show_it(self) -> None:
        model, image = tiny(), photo()
        for function in (model.forward, partial(model.forward), partial(model)):
            assert MaskedModel(function, image[None], segmenter="features:6").num_regions == 6

    def test_grey_networks(self) -> None:
        masked = MaskedModel(tiny(channels=1), photo()[:1, None].transpose(0, 1), segmenter="features:6")
        assert masked.num_regions == 6

    def test_several_images_of_one_example_cannot_be_told_apart(self) -> None:
        class Two(Tiny):
            def forward(self, one: Tensor, other: Tensor) -> Tensor:
                return super().forward(one) + super().forward(other)

        with pytest.raises(InputError, match="2 images of one example"):
            MaskedModel(Two().eval(), (photo()[None], photo()[None]), segmenter="features:6")


class _Normalise(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return (images - 0.5) / 0.25


class TestRefused:
    def test_without_any_model(self) -> None:
        with pytest.raises(InputError, match="none is known here; name one"):
            cut(Features(4), photo())
        with pytest.raises(InputError, match="none is known here; name one"):
            Features(4)(photo())

    @pytest.mark.parametrize(
        "model",
        [nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 3)), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())],
    )
    def test_a_network_without_places(self, model: nn.Module) -> None:
        with pytest.raises(InputError, match="found no layer in Sequential whose output says where"):
            Features(4, model=model)(photo())

    def test_a_network_that_the_function_does_not_call(self) -> None:
        with pytest.raises(InputError, match="found no layer in Tiny"):
            MaskedModel(lambda images: images.mean((2, 3)), photo()[None], segmenter=Features(4, model=tiny()))

    def test_values_that_are_not_finite(self) -> None:
        model = tiny()
        with torch.no_grad():
            model.third.weight[0] = torch.nan
        with pytest.raises(InputError, match="Conv2d gives values that are not finite"):
            Features(4, model=model)(photo())

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"n_segments": 0}, "n_segments"),
            ({"superpixels": 0}, "superpixels"),
            ({"components": 0}, "components"),
            ({"model": len}, "nn.Module"),
        ],
    )
    def test_parameters_out_of_range(self, options: dict[str, object], message: str) -> None:
        with pytest.raises(InputError, match=message):
            Features(**options)  # type: ignore[arg-type]
