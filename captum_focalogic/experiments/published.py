"""What the paper published, as far as it is a number (Zhao, Chen, Xu: FocaLogic, arXiv 2601.12049)."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A published number, or the range of several.

    Attributes
    ----------
    low, high : float
        Bounds of the range; equal for one number.
    where : str
        Table or section.
    """

    low: float
    high: float
    where: str

    def __str__(self) -> str:
        return f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"


ARCHITECTURES: Mapping[str, Published] = {
    "precision": Published(0.61, 0.72, "Table 3"),
    "recall": Published(0.56, 0.67, "Table 3"),
    "divergence": Published(0.04, 0.08, "Table 3"),
}
"""Over the architectures on ImageNet, by measure."""

REGIONS_SAVED = Published(0.2, 0.4, "section 3.6")
"""Share of the regions that coarser segmentation and merging save."""

MATCHING_IOU = Published(0.7, 0.7, "section 3.4")
"""From which intersection over union on a region counts as the object."""

EPOCHS = Published(50, 50, "figures 6 and 7")
"""Epochs over which training is followed."""
