"""Targeted attacks by projected gradient descent (Madry et al. 2018, arXiv 1706.06083), as Captum carries them out."""

import warnings
from dataclasses import dataclass

from captum.robust import PGD
from torch import Tensor, nn
from torch.nn import functional

from captum_focalogic.errors import InputError


@dataclass(frozen=True)
class Attack:
    """How strong an attack is; the defaults are those usual on ImageNet.

    Attributes
    ----------
    radius : float
        Most that a pixel in [0, 1] may change (L-infinity).
    step : float
        Change of a pixel in one step.
    steps : int
        Number of steps.

    Raises
    ------
    InputError
        If one of them is not above 0.
    """

    radius: float = 8 / 255
    step: float = 2 / 255
    steps: int = 20

    def __post_init__(self) -> None:
        if not (self.radius > 0 and self.step > 0 and self.steps > 0):
            raise InputError(f"radius, step and steps must be above 0; got {self}")


def attacked(model: nn.Module, images: Tensor, targets: Tensor, attack: Attack | None = None) -> Tensor:
    """Images changed so that a model takes each for its target class, as far as the attack gets.

    Starts at the images themselves, so that it is deterministic, and returns the last step whether it succeeded or not.

    Parameters
    ----------
    model : nn.Module
        Images (N, C, H, W) in [0, 1] to logits (N, K); in evaluation mode.
    images : (N, C, H, W) Tensor
    targets : (N,) int64 Tensor
    attack : Attack, optional
        How strong it is.

    Returns
    -------
    (N, C, H, W) Tensor
        In [0, 1], no pixel further than the radius from its image.
    """
    how = attack or Attack()
    descent = PGD(model, _losses, lower_bound=0.0, upper_bound=1.0)
    # Captum stands still where a gradient is below 1e-6, which it is wherever a network is sure.
    descent.fgsm.zero_thresh = 0.0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Input Tensor 0 did not already require gradients")
        changed: Tensor = descent.perturb(images, how.radius, how.step, how.steps, targets, targeted=True)
    return changed.detach()


def _losses(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits, targets, reduction="none")
