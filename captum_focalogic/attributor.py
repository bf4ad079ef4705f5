"""Captum's interface: FocaLogic as a perturbation-based attribution method."""

import time
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, cast

import numpy as np
import torch
from captum._utils.progress import NullProgress, progress
from captum.attr import PerturbationAttribution
from captum.log import log_usage
from torch import Tensor

from captum_focalogic import arguments
from captum_focalogic.classifier import labels_from
from captum_focalogic.criteria import Criterion, OutputCriterion, Outputs, as_criterion
from captum_focalogic.errors import InputError, SearchInterrupt
from captum_focalogic.focus import Focus, warn_of_emptiness
from captum_focalogic.levels import with_shared
from captum_focalogic.masked_model import MaskedModel
from captum_focalogic.names import listed_labels
from captum_focalogic.oracle import AutoBatching, batching_for, search
from captum_focalogic.preprocess import Normalisation
from captum_focalogic.provenance import Removal
from captum_focalogic.search import Reading, Strategy
from captum_focalogic.search.strategies import check_reading, strategy_for
from captum_focalogic.segmenters import Segmenter, as_segmenter
from captum_focalogic.weightings import WEIGHTS, Weighting
from captum_focalogic.zoom import check_levels, coarse_budget, was_interrupted, zoom_in


class FocaLogic(PerturbationAttribution):  # type: ignore[misc]
    """Explain decisions as Boolean logic over regions, in the place of any Captum perturbation method.

    The input is cut into regions, and the model is asked whether its prediction survives when only some of them are
    left. The surviving region sets of which nothing more can go, the *final states*, are the explanation (Zhao, Chen,
    Xu: FocaLogic, section 3): by default those of the fewest regions.

    Parameters
    ----------
    forward_func : callable
        A module or any function of the input tensors (then the additional arguments) that returns one row an input:
        class scores (N, C) or (N, C, ...), one number (N,) or (N, 1), or labels (integer or boolean dtype).
    segmenter : str, callable, label map or masks
        Cuts inputs that come without a ``feature_mask``: a name, such as "slic:12" or "grid:3x3", or image -> label
        map, (3, H, W) float tensor in [0, 1] -> (H, W) integers, or masks
        (:func:`~captum_focalogic.regions.label_map_of`).
    search : str or Strategy
        "auto" follows the reading: anytime for smallest states; ascending for minimal ones; exhaustive while all 2^M
        states fit the budget, else chains, for irreducible ones. Or "anytime", "exhaustive", "beam:5", "ascending",
        "chains", "hitting-sets", or a strategy object of :mod:`captum_focalogic.search`.
    reading : {"smallest", "minimal", "irreducible"}
        What "final" means: reached by deletions that keep the prediction, with none left that does (the paper's);
        without any valid proper subset; of least cardinality.
    criterion : str, Criterion or callable
        What "the prediction is unchanged" means: "top1", "topk:5", "probability:0.9", "margin:1.5", "label",
        "threshold:0.5", "tolerance:0.1", an object of :mod:`captum_focalogic.criteria`, or a function
        ``(outputs (B, ...), reference_outputs (B, ...)) -> valid (B,)`` or ``(valid, score)``.
    weighting : {"auto", "graded", "frequency", "shapley", "banzhaf", "responsibility"}
        What :meth:`attribute` returns for a region: its share of the target's probability by all answers of the search
        (graded, which is "auto"; see :func:`captum_focalogic.weightings.graded`), the share of the final states that
        keep it, its Shapley or Banzhaf value in the formula, or a lower bound of its degree of responsibility
        (:func:`captum_focalogic.weightings.responsibility`).
    max_evaluations : int or None
        Most states the model is asked about for one example; a search that meets it ends with what it has.
    time_limit : float or None
        Seconds after which searches end with what they have; for all examples of a call together. The first examples
        are served first, so that those are complete and later ones may have nothing.
    outputs : {"auto", "logits", "probabilities"}
        What the model's numbers are; "auto" reads it off the outputs for the whole input, says so where these alone
        cannot tell, and stops with an error when a later answer contradicts it.
    removal : {"fill", "tokens"}
        How dropped regions are taken away: filled with the baselines, or left out by the model itself, in regions of
        whole patches (see :class:`~captum_focalogic.masked_model.MaskedModel`).
    mean, std : float or sequence of float, optional
        What the inputs are normalised by, each channel, such as ``weights.transforms().mean`` and ``.std``. It is
        undone for the segmenter, for the image that is shown, and for baselines by name, so that "black" is black. The
        number 0 stays what it is in Captum, the model's own zero: of normalised images the mean colour that was
        subtracted, a grey.
    labels : sequence or mapping of str, or str, optional
        Names of the classes, or the name of such a list, "imagenet": targets may then be given by name, and what comes
        out names classes.
    to_image : callable, optional
        Undoes another normalisation for the segmenter and the image that is shown: (C, H, W) -> (3, H, W) in [0, 1].

    Examples
    --------
    >>> import torch
    >>> from captum_focalogic import FocaLogic
    >>> model = lambda x: torch.stack([x.sum(1) * 0 + 1.5, x[:, 0] + x[:, 1] * x[:, 2]], dim=1)
    >>> explainer = FocaLogic(model, weighting="frequency")
    >>> explainer.attribute(torch.tensor([[1.0, 1.0, 1.0]]), target=1)
    tensor([[1., 1., 1.]])
    >>> explainer.explain(torch.tensor([[1.0, 1.0, 1.0]]))[0].expression
    I0 & I1 & I2
    """

    def __init__(
        self,
        forward_func: Callable[..., Any],
        *,
        segmenter: str | Segmenter = "slic:12",
        search: str | Strategy = "auto",
        reading: Reading = "smallest",
        criterion: str | Criterion | OutputCriterion = "top1",
        weighting: Weighting = "auto",
        max_evaluations: int | None = 5_000,
        time_limit: float | None = None,
        outputs: Outputs = "auto",
        removal: Removal = "fill",
        mean: Any = None,
        std: Any = None,
        labels: Sequence[str] | Mapping[Any, str] | str | None = None,
        to_image: arguments.ToImage | None = None,
    ) -> None:
        super().__init__(forward_func)
        if not callable(forward_func):
            raise InputError(f"forward_func must be a module or a function; got {type(forward_func).__name__}")
        if weighting not in WEIGHTS:
            raise InputError(f"weighting must be one of {', '.join(WEIGHTS)}; got {weighting!r}")
        if isinstance(criterion, type) or not (isinstance(criterion, str | Criterion) or callable(criterion)):
            raise InputError(f"criterion must be a name, a criterion object or a function; got {criterion!r}")
        if isinstance(search, type) or not (isinstance(search, str) or hasattr(search, "search")):
            raise InputError(f"search must be a name or a strategy object such as Exhaustive(); got {search!r}")
        arguments.check_bound("max_evaluations", max_evaluations, Integral)
        arguments.check_bound("time_limit", time_limit, Real)
        check_reading(search, reading)
        self.labels = listed_labels(labels_from(labels))
        self.segmenter = as_segmenter(segmenter)
        self.search = search
        self.reading = reading
        self.criterion = as_criterion(criterion, self.labels)
        self.weighting = weighting
        self.max_evaluations = max_evaluations
        self.time_limit = time_limit
        self.outputs = outputs
        self.removal = removal
        self.mean, self.std = mean, std
        self.to_image = to_image
        arguments.image_maker(to_image, Normalisation.stated(mean, std))
        self._measured: dict[Any, AutoBatching] = {}

    @log_usage(part_of_slo=True)  # type: ignore[untyped-decorator]
    @torch.no_grad()
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        feature_mask: Any = None,
        perturbations_per_eval: int | Literal["auto"] = 1,
        show_progress: bool = False,
        **kwargs: Any,
    ) -> Tensor | tuple[Tensor, ...]:
        """The weight of every input element in the decision.

        Parameters
        ----------
        inputs : Tensor or tuple of Tensor
            (N, ...) each, N examples.
        baselines : None, number, str, Tensor, or a tuple of these
            What dropped regions are replaced by; 0 by default, which is black in images in [0, 1] and a grey, the
            normalisation's mean colour, in normalised ones. Or a name, such as "mean" or "blur".
        target : None, int, str, tuple, Tensor, list of int, of str or of tuple
            The class to explain, as in Captum, or by its name where there are ``labels``; each example's own prediction
            by default. For outputs (N, C, ...), tuples (class, position ...).
        additional_forward_args : object
            Further arguments of the forward function; tensors with N rows are matched to the examples.
        feature_mask : Tensor or array, or tuple of these, optional
            Integer region ids that broadcast to the inputs; without it, images are segmented and other inputs get one
            region a scalar. Of images, masks too, as Segment Anything and others give them
            (:func:`~captum_focalogic.regions.label_map_of`).
        perturbations_per_eval : int or "auto"
            No call of the forward function gets more than this times N rows; "auto" measures what is fastest.
        show_progress : bool
            Show a progress bar on standard error.
        **kwargs
            What the methods this one replaces take: ``n_samples`` (bounds the evaluations), ``return_input_shape``,
            ``sliding_window_shapes`` and ``strides`` (tiles as regions). And ``zoom``, as for :meth:`explain`: the
            weights are then those of the finest level's regions.

        Returns
        -------
        Tensor or tuple of Tensor
            Shaped like the inputs, in their floating-point dtype (float32 for other inputs): the weight of the
            element's region. Graded weights of all regions sum to the probability that the whole input has and the
            baseline lacks; with the weighting "frequency" they lie between 0 and 1. Zeros where there is no final
            state, which a warning tells.
            With ``return_input_shape=False`` one tensor (N, regions), columns in ascending order of region ids.

        Raises
        ------
        InputError
            If an argument does not fit. What the forward function raises passes through.
        SearchInterrupt
            After a keyboard interrupt, which numbers from half a search would hide; it holds what :meth:`explain` would
            return of it.
        """
        rows = arguments.format_inputs(inputs)
        keywords = arguments.read_keywords(kwargs, rows, feature_mask)
        models, focuses = self._explain(
            rows,
            baselines,
            target,
            additional_forward_args,
            feature_mask,
            keywords,
            perturbations_per_eval,
            show_progress,
        )
        self._raise_interrupt(models, focuses)
        warn_of_emptiness(focuses)
        weights = [WEIGHTS[self.weighting](focus.zoomed) for focus in focuses]
        if not keywords.return_input_shape:
            return _by_region(weights, models, rows[0])
        spread = tuple(_spread(models, weights, position) for position in range(len(rows)))
        return spread if isinstance(inputs, tuple) else spread[0]

    @torch.no_grad()
    def explain(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: Any = None,
        feature_mask: Any = None,
        perturbations_per_eval: int | Literal["auto"] = "auto",
        show_progress: bool = False,
        **kwargs: Any,
    ) -> list[Focus]:
        """The final states themselves, one :class:`~captum_focalogic.focus.Focus` an example.

        Takes the arguments of :meth:`attribute`. ``zoom``, a number of levels, cuts the regions of the strongest sets
        into parts and looks for sets of these (:mod:`captum_focalogic.zoom`): see :attr:`Focus.zoom` and
        :attr:`Focus.zoomed`.

        Raises
        ------
        SearchInterrupt
            After a keyboard interrupt; what the searches found until then is its ``found``, and their certificates say
            so.
        """
        rows = arguments.format_inputs(inputs)
        keywords = arguments.read_keywords(kwargs, rows, feature_mask)
        models, focuses = self._explain(
            rows,
            baselines,
            target,
            additional_forward_args,
            feature_mask,
            keywords,
            perturbations_per_eval,
            show_progress,
        )
        self._raise_interrupt(models, focuses)
        warn_of_emptiness(focuses)
        return self._with_images(models, focuses)

    def _with_images(self, models: list[MaskedModel], focuses: list[Focus]) -> list[Focus]:
        return [
            with_shared(model.with_image(focus, self.to_image)) for focus, model in zip(focuses, models, strict=True)
        ]

    def _raise_interrupt(self, models: list[MaskedModel], focuses: list[Focus]) -> None:
        """Raise the interrupt that ended a search, with what was found."""
        if any(focus.certificate.stopped == "interrupted" or was_interrupted(focus) for focus in focuses):
            raise SearchInterrupt(self._with_images(models, focuses))

    def attribute_future(self, *_args: Any, **_kwargs: Any) -> None:
        """Not offered: every batch depends on the answers to earlier ones.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(
            "FocaLogic has no attribute_future: each batch depends on the answers to earlier ones"
        )

    def has_convergence_delta(self) -> bool:
        """False: final states have no completeness axiom to measure a delta against."""
        return False

    @classmethod
    def get_name(cls) -> str:
        """The method's name, as Captum shows it."""
        return str(super().get_name()).replace("Foca Logic", "FocaLogic")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _register_with_dataloader_attribution(cls)

    def _explain(
        self,
        rows: tuple[Tensor, ...],
        baselines: Any,
        target: Any,
        additional_forward_args: Any,
        feature_mask: Any,
        keywords: arguments.CaptumKeywords,
        perturbations_per_eval: Any,
        show_progress: bool,
    ) -> "tuple[list[MaskedModel], list[Focus]]":
        """Put the arguments to the model: the examples as they were asked, and their explanations."""
        batching = batching_for(perturbations_per_eval, self.forward_func, rows, self._measured)
        budget = keywords.budget(self.max_evaluations)
        check_levels(keywords.zoom)
        deadline = None if self.time_limit is None else time.monotonic() + self.time_limit
        shown = progress(desc=f"{self.get_name()} attribution") if show_progress else NullProgress()
        with shown as bar:
            models = MaskedModel.batch(
                self.forward_func,
                rows,
                baselines,
                target,
                additional_forward_args,
                feature_mask if keywords.masks is None else keywords.masks,
                self.criterion,
                self.outputs,
                removal=self.removal,
                segmenter=self.segmenter,
                to_image=self.to_image,
                mean=self.mean,
                std=self.std,
                labels=self.labels,
                batching=batching,
            )
            results = search(
                models,
                lambda num_regions, most: strategy_for(self.search, self.reading, num_regions, most),
                coarse_budget(budget) if keywords.zoom else budget,
                self.time_limit,
                bar.update,
            )
            focuses = [model.focus(result, self.reading) for model, result in zip(models, results, strict=True)]
            if keywords.zoom and all(result.certificate.stopped != "interrupted" for result in results):
                focuses, models = zoom_in(
                    models,
                    focuses,
                    keywords.zoom,
                    [budget] * len(models),
                    to_image=self.to_image,
                    deadline=deadline,
                    on_judged=bar.update,
                )
            if getattr(bar, "total", 0) is None:
                bar.total = bar.n
        return models, focuses


def _spread(models: list[MaskedModel], weights: list[Any], position: int) -> Tensor:
    """Region weights on the elements of one input tensor, (N, ...)."""
    spread = []
    for model, weight in zip(models, weights, strict=True):
        row = model.example.inputs[position]
        dtype = row.dtype if row.is_floating_point() else torch.float32
        values = torch.from_numpy(weight).to(device=row.device, dtype=dtype)
        spread.append(values[model.partition.columns[position]].expand(row.shape[1:]))
    return torch.stack(spread)


def _by_region(weights: list[Any], models: list[MaskedModel], like: Tensor) -> Tensor:
    """Region weights as they are, (N, number of distinct region ids); 0 for a region that won no patch."""
    region_ids = np.unique(np.concatenate([ids for model in models for ids in (model.region_ids, model.lost_ids)]))
    table = np.zeros((len(models), len(region_ids)))
    for row, (weight, model) in enumerate(zip(weights, models, strict=True)):
        table[row, np.searchsorted(region_ids, model.region_ids)] = weight
    dtype = like.dtype if like.is_floating_point() else torch.float32
    return torch.from_numpy(table).to(device=like.device, dtype=dtype)


def _register_with_dataloader_attribution(method: type) -> None:
    """Let Captum's DataLoaderAttribution accept this method: it looks up exact types in a fixed set."""
    from captum.attr._core import dataloader_attr

    supported = getattr(dataloader_attr, "SUPPORTED_METHODS", None)
    if isinstance(supported, set):
        cast(set[type], supported).add(method)


_register_with_dataloader_attribution(FocaLogic)
