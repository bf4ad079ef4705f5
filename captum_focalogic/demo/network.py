"""The embedded model: a small convolutional network for the classes of the embedded scenes."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from captum_focalogic.demo.rules import CLASS_NAMES

WEIGHTS = Path(__file__).with_name("weights.safetensors")


class SceneNetwork(nn.Module):
    """Convolutions down to a coarse map, the maximum over places, and two linear layers.

    The maximum makes what is seen in one place independent of what is missing elsewhere, which suits both the task
    (is there such an object anywhere?) and images of which regions have been taken away.

    Parameters
    ----------
    classes : int
        Number of classes.
    """

    def __init__(self, classes: int = len(CLASS_NAMES)) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_block(3, 16, kernel=5, stride=2),
            *_block(16, 32, stride=2),
            *_block(32, 48),
            *_block(48, 64, stride=2),
            *_block(64, 64),
        )
        self.head = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Class scores of images.

        Parameters
        ----------
        images : Tensor, shape (N, 3, H, W)
            RGB in [0, 1]; the network scales them itself. It was trained at 96 x 96.

        Returns
        -------
        Tensor, shape (N, classes)
            Logits.
        """
        maps: torch.Tensor = self.features(images * 2.0 - 1.0)
        logits: torch.Tensor = self.head(maps.amax(dim=(2, 3)))
        return logits


def _block(width_in: int, width_out: int, kernel: int = 3, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(width_in, width_out, kernel, stride, kernel // 2, bias=False)
    return convolution, nn.BatchNorm2d(width_out), nn.ReLU()


def load_model(weights: Path = WEIGHTS) -> SceneNetwork:
    """The embedded model in evaluation mode, on the CPU.

    Parameters
    ----------
    weights : Path, optional
        A safetensors file of a `SceneNetwork`; the weights that come with the package if not given.

    Returns
    -------
    SceneNetwork
        Its outputs are logits over `captum_focalogic.demo.rules.CLASS_NAMES`.
    """
    model = SceneNetwork()
    model.load_state_dict(load_file(weights))
    return model.eval()
