"""Small classifiers of scenes, one for each family of architectures: torchvision's, made a hundred times smaller."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn
from torchvision.models import DenseNet, VisionTransformer
from torchvision.models.resnet import BasicBlock

from captum_focalogic.demo.network import SceneNetwork
from captum_focalogic.demo.rules import CLASS_NAMES
from captum_focalogic.integrations.torchvision import Normalised

SIDE = 64
"""Side of the scenes that these networks are made for, in pixels."""

_CLASSES = len(CLASS_NAMES)
_HALF = [0.5, 0.5, 0.5]


@dataclass(frozen=True, eq=False)
class Architecture:
    """A network that is not trained yet, and how fast it learns.

    Attributes
    ----------
    make : callable
        Makes the network: images (N, 3, SIDE, SIDE) in [0, 1] to logits.
    learning_rate : float
        Peak of the one-cycle schedule.
    what : str
        The architecture, in a few words.
    """

    make: Callable[[], nn.Module]
    learning_rate: float
    what: str


def small_resnet(classes: int = _CLASSES) -> nn.Module:
    """Four residual blocks behind a stem, the mean over places, and a linear layer (He et al. 2016)."""
    stem = (nn.Conv2d(3, 16, 5, 2, 2, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    blocks = (_residual(16, 24, 2), _residual(24, 48, 2), _residual(48, 48, 1), _residual(48, 96, 2))
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, classes))
    return Normalised(nn.Sequential(*stem, *blocks, *head), _HALF, _HALF)


def _residual(width_in: int, width_out: int, stride: int) -> nn.Module:
    shortcut = nn.Sequential(nn.Conv2d(width_in, width_out, 1, stride, bias=False), nn.BatchNorm2d(width_out))
    changes = stride != 1 or width_in != width_out
    block: nn.Module = BasicBlock(width_in, width_out, stride, shortcut if changes else None)
    return block


def small_densenet(classes: int = _CLASSES) -> nn.Module:
    """Three blocks in which every layer sees all layers before it (Huang et al. 2017)."""
    return Normalised(DenseNet(12, (2, 2, 2), 24, 2, num_classes=classes), _HALF, _HALF)


def small_vit(classes: int = _CLASSES) -> nn.Module:
    """Three layers of attention over 8 x 8 patches of 8 x 8 pixels (Dosovitskiy et al. 2021)."""
    network = VisionTransformer(SIDE, SIDE // 8, 3, 4, 64, 128, num_classes=classes)
    return Normalised(network, _HALF, _HALF)


ARCHITECTURES: Mapping[str, Architecture] = {
    "scene network": Architecture(SceneNetwork, 6e-3, "five convolutions and the maximum over places"),
    "small ResNet": Architecture(small_resnet, 6e-3, "four residual blocks and the mean over places"),
    "small DenseNet": Architecture(small_densenet, 6e-3, "three dense blocks and the mean over places"),
    "small ViT": Architecture(small_vit, 1e-3, "three layers of attention over 64 patches"),
}
"""Classifiers that are trained on labels."""
