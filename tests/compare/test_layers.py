"""Where GradCAM looks: found by asking, not by name."""

import pytest
import torch
from tiny_models import Cells, Convolutional, Transformer

from captum_focalogic.compare.layers import find_layer, layer_by_name, layout_of, to_maps
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
    assert found.reshape is to_maps


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "convnext_tiny", "vit", "swin_t"])
def test_on_torchvisions_networks(name: str) -> None:
    import torchvision

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


def test_tokens_lose_what_stands_before_their_patches() -> None:
    tokens = torch.arange(2 * 11 * 3).reshape(2, 11, 3)
    maps = to_maps(tokens)
    assert maps.shape == (2, 3, 3, 3)
    assert torch.equal(maps[0, :, 0, 0], tokens[0, 2])
    assert torch.equal(maps[1, :, 2, 1], tokens[1, 9])
    assert torch.equal(to_maps(torch.arange(24).reshape(1, 2, 3, 4))[0, :, 1, 2], torch.tensor([20, 21, 22, 23]))
