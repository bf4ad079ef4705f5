"""Comparing methods on one image: the same question to each, and the same measures of every attribution."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sympy.logic.boolalg import Boolean
from torch import Tensor, nn

from captum_focalogic import arguments, names
from captum_focalogic.answer import MAX_EVALUATIONS
from captum_focalogic.attributor import FocaLogic
from captum_focalogic.classifier import labels_from
from captum_focalogic.compare.decision import Decision, class_scores, counted
from captum_focalogic.compare.gradients import GRADIENT_METHODS
from captum_focalogic.compare.interactions import INTERACTION_METHODS
from captum_focalogic.compare.layers import ReshapeTransform, layer_by_name
from captum_focalogic.compare.measures import Measures, chosen_regions, jaccard, measure
from captum_focalogic.compare.method import Attribution, Method
from captum_focalogic.compare.perturbations import PERTURBATION_METHODS
from captum_focalogic.criteria import Criterion, Outputs
from captum_focalogic.criteria import parse as parse_criterion
from captum_focalogic.errors import InputError, MissingExtraError, SkippedError
from captum_focalogic.focus import Focus
from captum_focalogic.ground_truth import GroundTruth
from captum_focalogic.images import image_bytes
from captum_focalogic.masked_model import RowsPerCall
from captum_focalogic.oracle.removal import PROOF_ROWS, remover, warn_of_lost, whole_patches
from captum_focalogic.preprocess import Normalisation
from captum_focalogic.provenance import Removal
from captum_focalogic.search import Reading, Strategy
from captum_focalogic.segmenters import Segmenter, Slic, as_segmenter
from captum_focalogic.session import BASELINE, CRITERION
from captum_focalogic.weightings import graded

FOCALOGIC = "FocaLogic"
_USUAL_AREA = 0.25
"""Share of the image that heat maps are judged on where there is no focus to set it."""


def _elsewhere(reason: str) -> Callable[[Decision], Attribution]:
    def run(_: Decision) -> Attribution:
        raise SkippedError(reason)

    return run


OTHERS: dict[str, Method] = {
    method.name: method
    for method in (
        *GRADIENT_METHODS,
        *PERTURBATION_METHODS,
        *INTERACTION_METHODS,
        Method("SAG", _elsewhere("structured attention graphs come in no Python package that could be installed")),
        Method("ReX", _elsewhere("rex-xai needs NumPy 1.26.4 exactly and this package NumPy 2; run it on its own")),
    )
}
"""Methods to set beside FocaLogic, by name."""

METHODS: tuple[str, ...] = (FOCALOGIC, *OTHERS)


@dataclass(frozen=True, eq=False)
class MethodResult:
    """One method's attribution and what it is worth.

    Attributes
    ----------
    method : Method
    attribution : Attribution
    chosen : (M,) bool
        The regions that the measures are about.
    measures : Measures
    """

    method: Method
    attribution: Attribution
    chosen: NDArray[np.bool_]
    measures: Measures

    @property
    def name(self) -> str:
        """The method's name."""
        return self.method.name


@dataclass(frozen=True, eq=False)
class Comparison:
    """Methods side by side on one image.

    Attributes
    ----------
    title : str
        What the image is called.
    decision : Decision
        The question.
    image : (H, W, 3) uint8
        The image, to be shown.
    results : tuple of MethodResult
        In the order asked for.
    skipped : dict of str to str
        Methods that could not be used, and why.
    equal_budget : int or None
        Evaluations that each method was allowed, if that was set.
    """

    title: str
    decision: Decision
    image: NDArray[np.uint8]
    results: tuple[MethodResult, ...]
    skipped: dict[str, str]
    equal_budget: int | None = None

    @property
    def focus(self) -> Focus | None:
        """FocaLogic's explanation, if it was among the methods."""
        return next((result.attribution.focus for result in self.results if result.attribution.focus is not None), None)

    def __getitem__(self, name: str) -> MethodResult:
        """A method's result by name."""
        for result in self.results:
            if result.name == name:
                return result
        raise KeyError(f"{name!r}: {self.skipped.get(name, 'not among the methods that were compared')}")


def compare(
    model: Callable[[Tensor], Any],
    image: Tensor,
    methods: Sequence[str | Method] | None = None,
    *,
    target: int | str | None = None,
    labels: Sequence[str] | Mapping[Any, str] | str | None = None,
    feature_mask: Any = None,
    segmenter: Any = None,
    removal: Removal = "fill",
    baselines: Tensor | float | str | None = BASELINE,
    criterion: str | Criterion = CRITERION,
    outputs: Outputs = "auto",
    search: str | Strategy = "auto",
    reading: Reading = "smallest",
    max_evaluations: int | None = MAX_EVALUATIONS,
    perturbations_per_eval: RowsPerCall = "auto",
    equal_budget: bool | int = False,
    layer: nn.Module | str | None = None,
    reshape_transform: ReshapeTransform | None = None,
    truth: NDArray[np.bool_] | Tensor | GroundTruth | None = None,
    rule: Boolean | None = None,
    seed: int = 0,
    seeds: int = 1,
    to_image: arguments.ToImage | None = None,
    mean: Any = None,
    std: Any = None,
    title: str = "",
) -> Comparison:
    """Set FocaLogic beside other methods: same model, image, target, regions and removal for all.

    Parameters
    ----------
    model : callable
        Images (N, C, H, W) to class scores (N, K). Methods that need gradients are skipped where it is no
        ``nn.Module``, or has none.
    image : (C, H, W) or (1, C, H, W) Tensor
        What is explained.
    methods : sequence of str or Method, optional
        Names of :data:`METHODS`, or methods of your own; all by default.
    target : int or str, optional
        The class, by its number or name; the predicted one by default.
    labels : sequence or mapping of str, or str, optional
        Names of the classes, or the name of such a list, "imagenet": the target and the criterion ("over:tabby") may
        then name classes.
    feature_mask : (H, W), (1, H, W) or (1, 1, H, W) integer Tensor or array, or masks, optional
        The regions; without it the ``segmenter`` cuts them (SLIC with 12 regions by default), given as for
        :class:`~captum_focalogic.attributor.FocaLogic`.
    removal : {"fill", "tokens"}
        How regions are taken away, as for :class:`~captum_focalogic.FocaLogic`, in every measure and by every method
        over regions. Methods over pixels fill with the baseline all the same, and their notes say so.
    baselines : Tensor, number or str, optional
        What stands in for what is taken away; by default the image's mean colour. None is 0.
    criterion, outputs, search, reading, max_evaluations
        As for :func:`~captum_focalogic.answer.explain_image`, with the same defaults; the evaluations are the search's.
    perturbations_per_eval : int or "auto"
        Most images in one call of the model.
    equal_budget : bool or int
        Allow every method the same number of evaluations: this many, or as many as FocaLogic used.
    layer : nn.Module or str, optional
        Where GradCAM looks; found automatically by default.
    reshape_transform : callable, optional
        What that layer puts out to maps (N, D, h, w), as pytorch-grad-cam takes it. By default found out from known
        kinds of modules and the grids that the model makes of the image; where these do not tell, it is asked for.
    truth : (H, W) bool or GroundTruth, optional
        Where the object is; what is void in a ground truth counts nowhere.
    rule : sympy Boolean, optional
        The true reason, where it is known, over the regions' symbols.
    seed : int
        For methods that draw at random.
    seeds : int
        Run every method with so many seeds, and measure how stable its choice is.
    to_image : callable, optional
        Makes an image of the model's input, for showing and segmenting.
    mean, std : float or sequence of float, optional
        What the image is normalised by, as for :class:`~captum_focalogic.FocaLogic`: undone for showing, segmenting
        and named baselines.
    title : str
        What the image is called.

    Raises
    ------
    InputError
        If an argument does not fit. What the model raises passes through.
    """
    named = names.listed_labels(labels_from(labels))
    normalisation = Normalisation.stated(mean, std)
    to_image = arguments.image_maker(to_image, normalisation)
    decision = _case(
        model,
        image,
        arguments.targets_of(target, named),
        feature_mask,
        as_segmenter(Slic() if segmenter is None else segmenter),
        removal,
        baselines,
        parse_criterion(criterion, named) if isinstance(criterion, str) else criterion,
        outputs,
        layer,
        seed,
        to_image,
        normalisation,
    )
    decision = replace(decision, reshape_transform=reshape_transform, perturbations_per_eval=perturbations_per_eval)
    wanted = [_method(name, search, reading, max_evaluations) for name in (methods or METHODS)]
    if seeds < 1:
        raise InputError(f"seeds must be at least 1; got {seeds}")
    void = truth.void if isinstance(truth, GroundTruth) else None
    where = truth.union if isinstance(truth, GroundTruth) else truth
    mask = None if where is None else _truth(where, decision)
    decision = replace(decision, budget=_fixed_budget(equal_budget, wanted))
    results: dict[str, MethodResult] = {}
    skipped: dict[str, str] = {}
    area = _USUAL_AREA
    # FocaLogic goes first whatever the order: its focus and its evaluations set the size and the budget of the others.
    for method in sorted(wanted, key=lambda method: method.name != FOCALOGIC):
        try:
            result = _judge(decision, method, area, mask, void, rule, seeds)
        except (SkippedError, MissingExtraError) as error:
            skipped[method.name] = str(error)
            continue
        results[method.name] = result
        if method.name == FOCALOGIC:
            area = result.measures.area or _USUAL_AREA
            if equal_budget is True:
                decision = replace(decision, budget=result.measures.evaluations)
    shown = image_bytes(
        decision.image[0] if to_image is None else to_image(decision.image[0]), stretched=to_image is None
    )
    if shown is None:
        raise InputError("the image cannot be shown: it needs 1 or 3 channels; pass to_image= that makes one of it")
    return Comparison(
        title=title,
        decision=decision,
        image=shown,
        results=tuple(results[method.name] for method in wanted if method.name in results),
        skipped=skipped,
        equal_budget=decision.budget,
    )


def _fixed_budget(equal_budget: bool | int, wanted: Sequence[Method]) -> int | None:
    """What every method may spend, where that is known before FocaLogic has run."""
    if isinstance(equal_budget, bool):
        if equal_budget and FOCALOGIC not in [method.name for method in wanted]:
            raise InputError("equal_budget=True means as many evaluations as FocaLogic used; name a number without it")
        return None
    if equal_budget < 1:
        raise InputError(f"equal_budget must be at least 1; got {equal_budget}")
    return equal_budget


def _judge(
    decision: Decision,
    method: Method,
    area: float,
    truth: NDArray[np.bool_] | None,
    void: NDArray[np.bool_] | None,
    rule: Boolean | None,
    seeds: int,
) -> MethodResult:
    attribution, evaluations, seconds = _run(decision, method)
    chosen = chosen_regions(decision, attribution, area)
    measures = measure(
        decision, attribution, evaluations=evaluations, seconds=seconds, area=area, truth=truth, void=void, rule=rule
    )
    if seeds > 1:
        others = [_run(replace(decision, seed=decision.seed + extra), method)[0] for extra in range(1, seeds)]
        stability = np.mean([jaccard(chosen, chosen_regions(decision, other, area)) for other in others])
        measures = replace(measures, stability=float(stability))
    return MethodResult(method, attribution, chosen, measures)


def _run(decision: Decision, method: Method) -> tuple[Attribution, int, float]:
    """An attribution, the rows the model was asked about, and the seconds it took."""
    with (
        torch.random.fork_rng(devices=[]),
        counted(decision.model, decision.reference) as (model, counter),
        torch.no_grad(),
    ):
        torch.manual_seed(decision.seed)
        state = np.random.get_state()  # noqa: NPY002 (Captum's samplers read NumPy's global generator)
        np.random.seed(decision.seed)  # noqa: NPY002
        start = time.perf_counter()
        try:
            attribution = method.run(replace(decision, model=model))
        finally:
            np.random.set_state(state)  # noqa: NPY002
        return attribution, counter.rows, time.perf_counter() - start


def _method(name: str | Method, search: str | Strategy, reading: Reading, max_evaluations: int | None) -> Method:
    if isinstance(name, Method):
        return name
    if name == FOCALOGIC:
        return focalogic_method(search, reading, max_evaluations)
    if name not in OTHERS:
        found: Method = names.find("method", name, also=METHODS)
        return found
    return OTHERS[name]


def focalogic_method(
    search: str | Strategy = "auto",
    reading: Reading = "smallest",
    max_evaluations: int | None = MAX_EVALUATIONS,
    name: str = FOCALOGIC,
) -> Method:
    """FocaLogic as one of the methods; under another name, a second one with other settings beside the first."""

    def run(decision: Decision) -> Attribution:
        # What the proof asks comes out of the same budget.
        proof = PROOF_ROWS if decision.removal == "tokens" else 0
        explainer = FocaLogic(
            decision.model,
            search=search,
            reading=reading,
            criterion=decision.criterion,
            outputs=decision.outputs,
            removal=decision.removal,
            to_image=decision.to_image,
            max_evaluations=max_evaluations if decision.budget is None else max(1, decision.budget - proof),
        )
        (focus,) = explainer.explain(
            decision.image,
            baselines=decision.baseline,
            target=decision.target,
            feature_mask=torch.from_numpy(decision.label_map)[None, None].to(decision.image.device),
            perturbations_per_eval=decision.perturbations_per_eval,
        )
        scores = graded(focus)
        return Attribution(scores, decision.spread(scores), over_regions=True, focus=focus)

    return Method(name, run)


def _case(
    model: Callable[[Tensor], Any],
    image: Tensor,
    target: int | None,
    feature_mask: Any,
    segmenter: Segmenter,
    removal: Removal,
    baselines: Tensor | float | str | None,
    criterion: Criterion,
    outputs: Outputs,
    layer: nn.Module | str | None,
    seed: int,
    to_image: arguments.ToImage | None,
    normalisation: Normalisation | None,
) -> Decision:
    image = torch.as_tensor(image)
    image = image[None] if image.dim() == 3 else image
    rows = arguments.format_inputs(image)
    if image.dim() != 4 or len(image) != 1 or not image.is_floating_point():
        raise InputError(f"compare takes one image (C, H, W) of floats; got {tuple(image.shape)} of {image.dtype}")
    if feature_mask is None:
        (mask,) = arguments.default_masks(rows, segmenter, to_image, model, lambda _: model(image))
    else:
        (mask,) = arguments.format_masks(feature_mask, rows)
    label_map = mask.reshape(-1, *mask.shape[-2:]).cpu().numpy()
    label_map = np.broadcast_to(label_map, (len(label_map), *image.shape[2:])).astype(np.int64)
    if not (label_map == label_map[:1]).all():
        raise InputError("compare needs regions that all channels share; this feature_mask differs between channels")
    asked = remover(removal, model)
    regions, lost = whole_patches(label_map[0], asked) if removal == "tokens" else (label_map[0], label_map[0, :0, 0])
    warn_of_lost("the image", lost)
    if isinstance(layer, str):
        if not isinstance(model, nn.Module):
            raise InputError(f"layer {layer!r} names a layer of an nn.Module, but the model is none")
        layer = layer_by_name(model, layer)
    (baseline,) = arguments.format_baselines(baselines, rows, (mask,), normalisation)
    scores = class_scores(model, image)
    chosen = int(scores[0].argmax()) if target is None else target
    if not 0 <= chosen < scores.shape[1]:
        raise InputError(f"target {target} is no class of a model with {scores.shape[1]} classes")
    return Decision(
        model=model,
        image=image,
        baseline=baseline.expand_as(image).contiguous(),
        label_map=np.array(regions),
        target=chosen,
        reference=scores,
        criterion=criterion,
        outputs=outputs,
        removal=removal,
        seed=seed,
        layer=layer,
        to_image=to_image,
    )


def _truth(truth: NDArray[np.bool_] | Tensor, decision: Decision) -> NDArray[np.bool_]:
    mask = np.asarray(truth)
    if mask.shape != decision.label_map.shape or mask.dtype != np.bool_:
        raise InputError(f"truth must be a bool mask of {decision.label_map.shape}; got {mask.shape} of {mask.dtype}")
    return mask
