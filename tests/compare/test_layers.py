"""Where GradCAM looks: found by asking, not by name."""

import numpy as np
import pytest
import torch
import torchvision
from tiny_models import Cells, Convolutional, Transformer
from torch import Tensor, nn

from captum_focalogic.compare import compare
from captum_focalogic.compare.layers import find_layer, layer_by_name, layout_of
from captum_focalogic.errors import InputError

IMAGE = torch.rand(1, 3, 16, 16)


def test_the_last_convolution_with_more_than_one_place() -> None:
    model = Convolutional()
    found = find_layer(model, IMAGE, 1)
    assert found.module is model.last
    assert found.reshape is None


def test_the_last_norm_whose_patches_matter() -> None:
    torch.manual_seed(0)
    model = Transformer()
    found = find_layer(model, IMAGE, 1)
    assert found.module is model.blocks[-1].norm1
    assert found.reshape is not None
    assert found.reshape(torch.rand(1, 17, 8)).shape == (1, 8, 4, 4)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "convnext_tiny", "vit", "swin_t"])
def test_on_torchvisions_networks(name: str) -> None:
    torch.manual_seed(0)
    if name == "vit":
        model = torchvision.models.VisionTransformer(64, 16, 2, 2, 16, 32).eval()
        # It starts with a head of zeros, through which nothing depends on anything.
        torch.nn.init.normal_(model.heads.head.weight)
    else:
        model = torchvision.models.get_model(name, weights=None).eval()
    found = find_layer(model, torch.rand(1, 3, 64, 64), 3)
    names = {module: path for path, module in model.named_modules()}
    expected = {
        "resnet18": "layer4.1.conv2",
        "mobilenet_v2": "features.18.0",
        "convnext_tiny": "features.7.2.block.0",
        "vit": "encoder.layers.encoder_layer_1.ln_1",
        "swin_t": "norm",
    }
    assert names[found.module] == expected[name]


def test_without_a_place_to_look_it_says_so() -> None:
    with pytest.raises(InputError, match="name the layer"):
        find_layer(Cells(), IMAGE[:, :, :4, :4], 1)


def test_by_name() -> None:
    model = Convolutional()
    assert layer_by_name(model, "first") is model.first
    with pytest.raises(InputError, match="no layer 'second'"):
        layer_by_name(model, "second")
    with pytest.raises(InputError, match="not executed"):
        layout_of(model, model.unused, IMAGE)


def _output(model: nn.Module, module: nn.Module, image: Tensor) -> Tensor:
    kept: list[Tensor] = []
    handle = module.register_forward_hook(lambda _, __, output: kept.append(output.detach()))
    with torch.no_grad():
        model(image)
    handle.remove()
    return kept[-1]


def _maps(model: nn.Module, name: str, image: Tensor) -> Tensor:
    """What a layer gives for an image, as GradCAM takes it."""
    module = layer_by_name(model, name)
    layer, output = layout_of(model, module, image), _output(model, module, image)
    return output if layer.reshape is None else layer.reshape(output)


WIDE, TALL = torch.rand(1, 3, 64, 96), torch.rand(1, 3, 96, 64)


@pytest.mark.parametrize("image", [WIDE, TALL, torch.rand(1, 3, 64, 64)])
def test_every_layer_of_a_residual_network_is_channels_first(image: Tensor) -> None:
    model = torchvision.models.resnet18(weights=None).eval()
    for name in ("layer4", "layer4.1", "layer4.1.bn2", "layer4.1.relu", "layer4.1.conv2", "layer1.0", "maxpool"):
        module = layer_by_name(model, name)
        assert layout_of(model, module, image).reshape is None, name
    heat = [
        compare(model, image, ["GradCAM"], feature_mask=_halves(image), layer=name)["GradCAM"].attribution.heat_map
        for name in ("layer4", "layer4.1")
    ]
    assert np.array_equal(*heat)


def _halves(image: Tensor) -> Tensor:
    return (torch.arange(image.shape[3]) < image.shape[3] // 2).long().expand(image.shape[2:])


@pytest.mark.parametrize("image", [WIDE, TALL])
@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("convnext_tiny", ["features.7", "features.7.2", "features.5.0.block.0", "features.6.0"]),
        ("mobilenet_v2", ["features", "features.18", "features.17.conv"]),
        ("densenet121", ["features", "features.denseblock4", "features.norm5"]),
    ],
)
def test_convolutional_networks_and_their_blocks(name: str, layers: list[str], image: Tensor) -> None:
    model = torchvision.models.get_model(name, weights=None).eval()
    for layer in layers:
        assert layout_of(model, layer_by_name(model, layer), image).reshape is None, layer


@pytest.mark.parametrize("image", [WIDE, TALL])
def test_channels_last_within_convnext_and_swin(image: Tensor) -> None:
    height, width = image.shape[2] // 32, image.shape[3] // 32
    convnext = torchvision.models.convnext_tiny(weights=None).eval()
    for name in ("features.7.2.block.1", "features.7.2.block.2", "features.7.2.block.5"):
        assert _maps(convnext, name, image).shape == (1, 768, height, width), name
    swin = torchvision.models.swin_t(weights=None).eval()
    for name in ("features", "features.7", "features.7.1", "features.7.1.norm1", "norm"):
        maps = _maps(swin, name, image)
        assert maps.shape == (1, 768, height, width), name
        assert torch.equal(maps[0, :, 0, 1], _output(swin, layer_by_name(swin, name), image)[0, 0, 1])


@pytest.mark.parametrize("image", [torch.rand(1, 3, 16, 36), torch.rand(1, 3, 36, 16), torch.rand(1, 3, 8, 72)])
def test_a_grid_of_tokens_is_that_of_the_image(image: Tensor) -> None:
    # 36 patches in all: a square number that is no square grid.
    torch.manual_seed(0)
    model = Transformer().eval()
    height, width = image.shape[2] // 4, image.shape[3] // 4
    for name in ("blocks.0", "blocks.1.norm1", "blocks.1.mlp", "norm"):
        maps, tokens = _maps(model, name, image), _output(model, layer_by_name(model, name), image)
        assert maps.shape == (1, 8, height, width), name
        assert torch.equal(maps[0, :, 1, 2], tokens[0, 1 + width + 2])


@pytest.mark.parametrize(
    ("made", "layers"),
    [
        ({}, ["blocks.1", "blocks.1.norm1", "blocks"]),
        ({"reg_tokens": 4}, ["blocks.1", "blocks.1.norm1"]),
        ({"class_token": False, "global_pool": "avg"}, ["blocks.1", "norm"]),
    ],
)
def test_vision_transformers_of_timm(made: dict, layers: list[str]) -> None:
    timm = pytest.importorskip("timm")
    model = timm.models.VisionTransformer(
        img_size=(16, 36), patch_size=4, embed_dim=12, depth=2, num_heads=2, num_classes=3, **made
    ).eval()
    image = torch.rand(1, 3, 16, 36)
    for name in layers:
        maps, tokens = _maps(model, name, image), _output(model, layer_by_name(model, name), image)
        assert maps.shape == (1, 12, 4, 9), name
        assert torch.equal(maps[0, :, 1, 2], tokens[0, model.num_prefix_tokens + 9 + 2])


def test_swin_and_convnext_of_timm() -> None:
    timm = pytest.importorskip("timm")
    swin = timm.models.SwinTransformer(
        img_size=(64, 96), embed_dim=12, depths=(1, 1), num_heads=(1, 2), window_size=2, num_classes=3
    ).eval()
    for name in ("layers.1", "layers.1.blocks.0", "norm"):
        assert _maps(swin, name, WIDE).shape == (1, 24, 8, 12), name
    convnext = timm.models.ConvNeXt(depths=(1, 1, 1, 1), dims=(4, 8, 12, 16), num_classes=3).eval()
    for name in ("stages", "stages.3", "stages.3.blocks.0"):
        assert _maps(convnext, name, WIDE).shape == (1, 16, 2, 3), name
    assert _maps(convnext, "stages.3.blocks.0.mlp", WIDE).shape == (1, 16, 2, 3)


@pytest.mark.parametrize("kind", ["ViT", "DeiT", "Dinov2WithRegisters"])
def test_vision_transformers_of_transformers(kind: str) -> None:
    tf = pytest.importorskip("transformers")
    config = getattr(tf, f"{kind}Config")(
        image_size=(16, 36), patch_size=4, hidden_size=12, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16, num_labels=3,
    )  # fmt: skip
    network = getattr(tf, f"{kind}ForImageClassification")(config).eval()

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: Tensor) -> Tensor:
            return self.network(pixel_values=images).logits

    model, image = Logits(), torch.rand(1, 3, 16, 36)
    names = {type(module).__name__: name for name, module in model.named_modules() if isinstance(module, nn.LayerNorm)}
    maps = _maps(model, names["LayerNorm"], image)
    tokens = _output(model, layer_by_name(model, names["LayerNorm"]), image)
    assert maps.shape == (1, 12, 4, 9)
    assert torch.equal(maps[0, :, 1, 2], tokens[0, tokens.shape[1] - 36 + 9 + 2])


class Scrambled(nn.Module):
    """Gives (N, a, b, c) by no module of a known kind."""

    def __init__(self, order: tuple[int, ...]) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 4, stride=4)
        self.mystery = Exchange(order)

    def forward(self, images: Tensor) -> Tensor:
        return self.mystery(self.first(images)).flatten(1)[:, :3]


class Exchange(nn.Module):
    def __init__(self, order: tuple[int, ...]) -> None:
        super().__init__()
        self.order = order

    def forward(self, maps: Tensor) -> Tensor:
        return maps.permute(self.order)


@pytest.mark.parametrize(
    ("order", "image"),
    [
        ((0, 2, 3, 1), torch.rand(1, 3, 16, 24)),
        # A cube says nothing of its axes, whatever convolution gave such a one before.
        ((0, 2, 3, 1), torch.rand(1, 3, 32, 32)),
        # Nor does a batch that is not in front.
        ((1, 0, 2, 3), torch.rand(1, 3, 16, 24)),
    ],
)
def test_what_is_not_known_is_refused_and_reshape_transform_says_it(order: tuple[int, ...], image: Tensor) -> None:
    model = Scrambled(order).eval()
    with pytest.raises(InputError, match=r"reshape_transform=.*--reshape-transform"):
        layout_of(model, model.mystery, image)
    layer = layout_of(model, model.mystery, image, lambda maps: maps.permute(*np.argsort(order).tolist()))
    assert layer.reshape is not None
    given = model.mystery(model.first(image))
    if order[0] == 0:
        assert torch.equal(layer.reshape(given), model.first(image))


def test_tokens_that_fit_no_grid_of_the_image_are_refused() -> None:
    class Fewer(Transformer):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.Linear(8, 8)

        def forward(self, images: Tensor) -> Tensor:
            tokens = self.patches(images).flatten(2).transpose(1, 2)
            return self.head(self.pool(tokens[:, :9]).mean(dim=1))

    model = Fewer().eval()
    with pytest.raises(InputError, match="reshape_transform"):
        layout_of(model, model.pool, IMAGE)


def test_reshape_transform_through_compare() -> None:
    pytest.importorskip("pytorch_grad_cam")
    torch.manual_seed(3)
    model, image = Transformer().eval(), torch.rand(1, 3, 16, 36)
    asked: list[tuple[int, ...]] = []

    def reshape(tokens: Tensor) -> Tensor:
        asked.append(tuple(tokens.shape))
        return tokens[:, 1:].transpose(1, 2).reshape(len(tokens), -1, 4, 9)

    how = {"feature_mask": _halves(image), "layer": "blocks.1.norm1", "target": 1}
    own, told = (compare(model, image, ["GradCAM"], reshape_transform=given, **how) for given in (None, reshape))
    assert asked
    assert np.array_equal(own["GradCAM"].attribution.heat_map, told["GradCAM"].attribution.heat_map)
    with pytest.raises(InputError, match=r"must make maps \(1, channels, rows, columns\)"):
        compare(model, image, ["GradCAM"], reshape_transform=lambda tokens: tokens, **how)
