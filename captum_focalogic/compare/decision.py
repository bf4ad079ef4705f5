"""What all methods get: one model, one image, one target, one partition and one baseline."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from captum_focalogic.arguments import ToImage
from captum_focalogic.arrays import Bools, Floats
from captum_focalogic.compare.layers import ReshapeTransform
from captum_focalogic.criteria import Criterion, Outputs
from captum_focalogic.errors import InputError, SkippedError
from captum_focalogic.masked_model import MaskedModel, RowsPerCall
from captum_focalogic.oracle import References
from captum_focalogic.oracle.forward import as_rows
from captum_focalogic.oracle.references import check_form
from captum_focalogic.oracle.removal import remover
from captum_focalogic.provenance import Removal

_ROWS = 16


@dataclass(frozen=True, eq=False)
class Decision:
    """One decision, put to every method in the same way.

    Attributes
    ----------
    model : callable
        Images (N, C, H, W) to class scores (N, K).
    image, baseline : (1, C, H, W) Tensor
        What is explained, and what stands in for what is taken away.
    label_map : (H, W) int64
        Region of every pixel.
    target : int
        The class.
    reference : (1, K) Tensor
        The model's scores for the whole image.
    criterion : Criterion
        When the prediction counts as unchanged.
    outputs : {"auto", "logits", "probabilities"}
        What the scores are.
    removal : {"fill", "tokens"}
        How regions are taken away: filled with the baseline, or left out by the model.
    seed : int
        For methods that draw at random.
    budget : int or None
        Evaluations each method may spend; None leaves each its own.
    perturbations_per_eval : int or "auto"
        Most images in one call of the model; "auto" leaves each method its own.
    layer : nn.Module or None
        Where GradCAM looks; found automatically if None.
    reshape_transform : callable or None
        What that layer puts out to maps (N, D, h, w); found out from the model if None.
    to_image : callable or None
        Makes an image of the model's input.
    """

    model: Callable[[Tensor], Any]
    image: Tensor
    baseline: Tensor
    label_map: NDArray[np.int64]
    target: int
    reference: Tensor
    criterion: Criterion
    outputs: Outputs = "auto"
    removal: Removal = "fill"
    seed: int = 0
    budget: int | None = None
    perturbations_per_eval: RowsPerCall = "auto"
    layer: nn.Module | None = None
    reshape_transform: ReshapeTransform | None = None
    to_image: ToImage | None = None

    @cached_property
    def region_ids(self) -> NDArray[np.int64]:
        """(M,) ascending."""
        return np.unique(self.label_map)

    @property
    def num_regions(self) -> int:
        """M."""
        return len(self.region_ids)

    @property
    def rows(self) -> int:
        """Images in one call of the model, of methods that do not choose it themselves."""
        return _ROWS if self.perturbations_per_eval == "auto" else self.perturbations_per_eval

    @cached_property
    def columns(self) -> NDArray[np.int64]:
        """Column of the region of every pixel, (H, W)."""
        return np.searchsorted(self.region_ids, self.label_map)

    @cached_property
    def areas(self) -> Floats:
        """Share of the image in each region, (M,)."""
        return np.bincount(self.columns.reshape(-1)) / self.columns.size

    @cached_property
    def mask(self) -> Tensor:
        """Columns as a feature mask, (1, 1, H, W)."""
        return torch.from_numpy(self.columns)[None, None].to(self.image.device)

    def region_means(self, heat_map: Floats) -> Floats:
        """Mean of a heat map (H, W) in each region, (M,)."""
        sums = np.bincount(self.columns.reshape(-1), weights=heat_map.reshape(-1))
        return np.asarray(sums / np.bincount(self.columns.reshape(-1)), dtype=np.float64)

    def spread(self, scores: Floats) -> Floats:
        """A score for each region as a heat map, (H, W)."""
        return np.asarray(scores, dtype=np.float64)[self.columns]

    @cached_property
    def masked(self) -> MaskedModel:
        """The model as it is asked about these regions."""
        return MaskedModel(
            self.model,
            self.image,
            self.baseline,
            self.target,
            feature_mask=self.mask,
            criterion=self.criterion,
            outputs=self.outputs,
            removal=self.removal,
            perturbations_per_eval=self.perturbations_per_eval,
        )

    @torch.no_grad()
    def scores_left(self, states: Tensor) -> Tensor:
        """The model's scores (B, K) with only some regions left, (B, M) and none of them remembered.

        Raises
        ------
        SkippedError
            If the model has no answer to one of them.
        """
        asked = remover(self.removal, self.model)
        images = self.image.expand(len(states), *self.image.shape[1:])
        scores = as_rows(asked.forward_masked(images, (states != 0)[:, self.mask[0, 0]]), len(states))  # type: ignore[attr-defined]
        if bool(scores.isnan().any()):
            raise SkippedError("it asks what the model says with every region left out, which this model does not say")
        return scores

    @cached_property
    def references(self) -> References:
        """What the model says on the whole image, for verdicts on images that are not made of regions."""
        return References(self.reference, self.target, self.criterion, self.outputs)

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The target's probability and the verdict for images (B, C, H, W): two tensors (B,)."""
        scores = class_scores(self.model, images)
        references = self.references.on(scores.device)
        index = torch.zeros(len(images), dtype=torch.int64, device=scores.device)
        probability = references.probability(scores, index)
        return probability, references.judge(self.criterion, references.read(scores, index), index)[0]

    def ask(self, states: Bools) -> tuple[Floats, Bools]:
        """The target's probability and the verdict with only some regions left.

        Parameters
        ----------
        states : (B, M) bool
            Regions that are kept.

        Returns
        -------
        (B,) float64 and (B,) bool
        """
        answers = self.masked.ask(np.asarray(states, dtype=np.bool_))
        return answers.probability.astype(np.float64), answers.valid


class Counter:
    """How many rows a model was asked about."""

    rows: int = 0
    inside: bool = False
    """Whether a model that leaves regions out is at work: what it calls itself is counted with it."""


@contextmanager
def counted(model: Callable[[Tensor], Any], reference: Tensor) -> Iterator[tuple[Callable[[Tensor], Any], Counter]]:
    """A model whose evaluations are counted; a module is hooked, so that methods that need one get it.

    Its answers have to keep the form of the reference, (1, K).
    """
    counter = Counter()
    leaves_out = getattr(model, "forward_masked", None)

    def count(images: Tensor, outputs: Any) -> None:
        if not counter.inside:
            counter.rows += len(images)
        if isinstance(outputs, Tensor):
            check_form(outputs, reference)

    def forward_masked(images: Tensor, kept: Tensor) -> Any:
        counter.rows += len(images)
        counter.inside = True
        try:
            return leaves_out(images, kept)  # type: ignore[misc]
        finally:
            counter.inside = False

    if isinstance(model, nn.Module):
        handle = model.register_forward_hook(lambda _, inputs, outputs: count(inputs[0], outputs))
        with ExitStack() as undone:
            undone.callback(handle.remove)
            if leaves_out is not None:
                undone.enter_context(_instead(model, "forward_masked", forward_masked))
            yield model, counter
        return

    def forward(images: Tensor) -> Any:
        outputs = model(images)
        count(images, outputs)
        return outputs

    if leaves_out is not None:
        vars(forward).update(forward_masked=forward_masked)
        if hasattr(model, "patches"):
            vars(forward).update(patches=model.patches)
    yield forward, counter


@contextmanager
def _instead(thing: Any, name: str, value: Any) -> Iterator[None]:
    """Another attribute for a while."""
    own = vars(thing).get(name)
    vars(thing)[name] = value
    try:
        yield
    finally:
        if own is None:
            del vars(thing)[name]
        else:
            vars(thing)[name] = own


@torch.no_grad()
def class_scores(model: Callable[[Tensor], Any], images: Tensor) -> Tensor:
    """What a model answers, (N, K).

    Raises
    ------
    InputError
        If that is anything but scores of several classes.
    """
    scores = model(images)
    if not isinstance(scores, Tensor) or scores.dim() != 2 or scores.shape[1] < 2 or not scores.is_floating_point():
        given = f"{tuple(scores.shape)} of {scores.dtype}" if isinstance(scores, Tensor) else type(scores).__name__
        raise InputError(
            f"methods are compared on class scores, floats of shape (N, K) with K > 1; the model gave {given}"
        )
    return scores
