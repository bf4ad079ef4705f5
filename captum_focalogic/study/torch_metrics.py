"""Precision, recall and divergence of focuses as torchmetrics: averaged over a data set and over processes."""

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from captum_focalogic.errors import InputError, MissingExtraError
from captum_focalogic.focus import Focus
from captum_focalogic.metrics import focus_divergence, focus_precision, focus_recall

try:
    from torchmetrics import Metric
except ImportError as error:
    raise MissingExtraError("torchmetrics", "study") from error


class _FocusMean(Metric):
    """Mean of a measure over the images for which it is defined; sums travel between processes."""

    is_differentiable = False
    higher_is_better: bool | None = True
    full_state_update = False
    total: Tensor
    count: Tensor
    undefined: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("undefined", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def _take(self, values: Sequence[float]) -> None:
        measured = torch.tensor(list(values), dtype=torch.float64, device=self.total.device)
        defined = ~measured.isnan()
        self.total += measured[defined].sum()
        self.count += defined.sum()
        self.undefined += (~defined).sum()

    def compute(self) -> Tensor:
        """The mean over all images with a defined value, float64; NaN without any."""
        return self.total / self.count


class FocusPrecision(_FocusMean):
    """Share of a focus that lies on the object, averaged over images (paper section 3.4).

    Attributes
    ----------
    count, undefined : Tensor
        Images in the mean, and those left out because the measure is not defined for them (the empty state).

    Examples
    --------
    >>> metric = FocusPrecision()
    >>> metric.update(explainer.explain(images), truths)  # doctest: +SKIP
    >>> metric.compute()  # doctest: +SKIP
    """

    def update(self, focus: Focus | Sequence[Focus], truth: ArrayLike | Sequence[ArrayLike]) -> None:
        """Take one image, or several.

        Parameters
        ----------
        focus : Focus, or sequence of Focus
            The explanations.
        truth : (M,) bool, or sequence of them
            For each, which regions are the object.

        Raises
        ------
        InputError
            If there are not as many truths as focuses, or one does not fit its regions.
        """
        self._take([focus_precision(each.final_states, regions, each.areas) for each, regions in _pairs(focus, truth)])


class FocusRecall(_FocusMean):
    """Share of the object that a focus covers, averaged over images (paper section 3.4).

    Attributes
    ----------
    count, undefined : Tensor
        Images in the mean, and those left out because no region is the object.
    """

    def update(self, focus: Focus | Sequence[Focus], truth: ArrayLike | Sequence[ArrayLike]) -> None:
        """Take one image, or several; parameters as :meth:`FocusPrecision.update`."""
        self._take([focus_recall(each.final_states, regions, each.areas) for each, regions in _pairs(focus, truth)])


class FocusDivergence(_FocusMean):
    """How much the final states of an image differ, averaged over images (paper section 3.4).

    Attributes
    ----------
    count, undefined : Tensor
        Images in the mean, and those without a final state.
    """

    higher_is_better = None

    def update(self, focus: Focus | Sequence[Focus]) -> None:
        """Take one image, or several."""
        focuses = [focus] if isinstance(focus, Focus) else focus
        self._take([focus_divergence(each.final_states, each.areas) for each in focuses])


def _pairs(focus: Focus | Sequence[Focus], truth: ArrayLike | Sequence[ArrayLike]) -> list[tuple[Focus, Any]]:
    if isinstance(focus, Focus):
        return [(focus, truth)]
    truths: Any = truth
    if len(focus) != len(truths):
        raise InputError(f"there are {len(focus)} focuses but {len(truths)} truths; give one for each")
    return list(zip(focus, truths, strict=True))
