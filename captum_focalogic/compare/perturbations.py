"""Methods that take parts away and watch: Captum's over the same regions, pip's LIME, Occlusion and RISE."""

import contextlib
import io
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from captum_focalogic.arrays import Floats
from captum_focalogic.compare.decision import Decision
from captum_focalogic.compare.method import Attribution, Method, filled_note, from_pixels, from_regions
from captum_focalogic.errors import MissingExtraError

_LIME_SAMPLES = 1000
_SHAP_SAMPLES = 1000
_PERMUTATIONS = 25
_RISE_MASKS = 1000
_RISE_CELLS = 7
_WINDOW = 8
"""An occluding window's side is this part of the image's; it moves by half of itself."""


def _captum(name: str, decision: Decision, **how: Any) -> Floats:
    """Scores of a Captum method over the regions, (M,)."""
    from captum import attr

    if decision.removal == "tokens":
        # The regions themselves are the inputs, and the model leaves out those that are 0.
        every = decision.image.new_ones(1, decision.num_regions)
        attributions = getattr(attr, name)(decision.scores_left).attribute(every, target=decision.target, **how)
        return np.asarray(attributions[0].detach().double().cpu().numpy())
    method = getattr(attr, name)(decision.model)
    attributions = method.attribute(
        decision.image, baselines=decision.baseline, target=decision.target, feature_mask=decision.mask, **how
    )
    return decision.region_means(attributions[0].mean(dim=0).detach().double().cpu().numpy())


def _lime(decision: Decision) -> Attribution:
    """Ribeiro et al. 2016, Captum's."""
    samples = _LIME_SAMPLES if decision.budget is None else decision.budget
    return from_regions(decision, _captum("Lime", decision, n_samples=samples, perturbations_per_eval=decision.rows))


def _kernel_shap(decision: Decision) -> Attribution:
    """Lundberg and Lee 2017."""
    samples = _SHAP_SAMPLES if decision.budget is None else max(1, decision.budget - 2)
    return from_regions(
        decision, _captum("KernelShap", decision, n_samples=samples, perturbations_per_eval=decision.rows)
    )


def _shapley_sampling(decision: Decision) -> Attribution:
    """Strumbelj and Kononenko 2010."""
    permutations = _PERMUTATIONS if decision.budget is None else max(1, (decision.budget - 1) // decision.num_regions)
    return from_regions(
        decision,
        _captum("ShapleyValueSampling", decision, n_samples=permutations, perturbations_per_eval=decision.rows),
    )


def _feature_ablation(decision: Decision) -> Attribution:
    note = "" if decision.budget is None else f"asks {decision.num_regions + 1} times, whatever the budget"
    return from_regions(decision, _captum("FeatureAblation", decision, perturbations_per_eval=decision.rows), note)


def _occlusion(decision: Decision) -> Attribution:
    """Zeiler and Fergus 2014."""
    from captum.attr import Occlusion

    channels, height, width = decision.image.shape[1:]
    window = _window((height, width), decision.budget)
    stride = [max(1, side // 2) for side in window]
    attributions = Occlusion(decision.model).attribute(
        decision.image,
        baselines=decision.baseline,
        target=decision.target,
        sliding_window_shapes=(channels, *window),
        strides=(channels, *stride),
        perturbations_per_eval=decision.rows,
    )
    return from_pixels(decision, attributions[0].mean(dim=0).detach().double().cpu().numpy())


def _window(size: tuple[int, int], budget: int | None) -> tuple[int, int]:
    """The window's height and width: an eighth of the image's, or as much more as a budget asks for."""
    smallest = max(1, max(size) // _WINDOW)
    for edge in range(smallest, max(size) + 1):
        window = (min(edge, size[0]), min(edge, size[1]))
        count = math.prod(-(-(side - own) // max(1, own // 2)) + 1 for side, own in zip(size, window, strict=True))
        if budget is None or count < budget:
            break
    return window


def _rise(decision: Decision) -> Attribution:
    """Petsiuk, Das and Saenko 2018: soft random masks, weighted by the probability they leave."""
    generator = torch.Generator().manual_seed(decision.seed)
    masks = _RISE_MASKS if decision.budget is None else decision.budget
    height, width = decision.image.shape[2:]
    total, shown = (torch.zeros(height, width, dtype=torch.float64) for _ in range(2))
    for start in range(0, masks, decision.rows):
        soft = soft_masks(min(decision.rows, masks - start), (height, width), generator).to(decision.image)
        probability, _ = decision.probabilities(decision.image * soft + decision.baseline * (1 - soft))
        total += (probability[:, None, None] * soft[:, 0]).double().sum(dim=0).cpu()
        shown += soft[:, 0].double().sum(dim=0).cpu()
    # By how much each pixel was shown, rather than by how much it was bound to be: less noise from few masks.
    return from_pixels(decision, (total / shown.clamp(min=1e-9)).numpy())


def soft_masks(count: int, size: tuple[int, int], generator: torch.Generator, cells: int = _RISE_CELLS) -> Tensor:
    """Random masks, (count, 1, H, W) in [0, 1]: coarse grids of 0 and 1, enlarged smoothly and shifted at random."""
    height, width = size
    step = (-(-height // cells), -(-width // cells))
    coarse = (torch.rand(count, 1, cells + 1, cells + 1, generator=generator) < 0.5).float()
    fine = F.interpolate(coarse, size=((cells + 1) * step[0], (cells + 1) * step[1]), mode="bilinear")
    shifts = torch.stack([torch.randint(0, most, (count,), generator=generator) for most in step], dim=1).tolist()
    cut = [mask[:, y : y + height, x : x + width] for mask, (y, x) in zip(fine, shifts, strict=True)]
    return torch.stack(cut).clamp(0, 1)


def _lime_package(decision: Decision) -> Attribution:
    """LIME as users of the package ``lime`` run it, over the same regions."""
    try:
        from lime.lime_image import LimeImageExplainer
    except ImportError as error:
        raise MissingExtraError("lime", "compare") from error
    pixels, baseline = (
        tensor[0].permute(1, 2, 0).cpu().double().numpy() for tensor in (decision.image, decision.baseline)
    )
    flat = bool(np.allclose(baseline, baseline[0, 0]))
    hide = float(baseline[0, 0].mean()) if flat and np.allclose(baseline[0, 0], baseline[0, 0, 0]) else None
    if pixels.shape[2] == 1:
        pixels = pixels.repeat(3, axis=2)

    def classify(images: NDArray[np.floating]) -> NDArray[np.floating]:
        batch = (
            torch.from_numpy(np.asarray(images)).permute(0, 3, 1, 2)[:, : decision.image.shape[1]].to(decision.image)
        )
        probability, _ = decision.probabilities(batch)
        return torch.stack([1 - probability, probability], dim=1).cpu().numpy()

    # The package draws a progress bar that it gives no way to switch off.
    with contextlib.redirect_stderr(io.StringIO()):
        explanation = LimeImageExplainer(random_state=decision.seed).explain_instance(
            pixels,
            classify,
            labels=(1,),
            top_labels=None,
            hide_color=hide,
            num_features=decision.num_regions,
            num_samples=_LIME_SAMPLES if decision.budget is None else decision.budget,
            batch_size=decision.rows,
            segmentation_fn=lambda _: decision.columns,
            random_seed=decision.seed,
        )
    scores = np.zeros(decision.num_regions)
    for column, weight in explanation.local_exp[1]:
        scores[column] = weight
    note = "" if hide is not None else "fills with each region's mean colour, not the baseline"
    return from_regions(decision, scores, filled_note(decision, note))


PERTURBATION_METHODS = (
    Method("LIME", _lime, random=True),
    Method("LIME-package", _lime_package, random=True),
    Method("KernelShap", _kernel_shap, random=True),
    Method("ShapleyValueSampling", _shapley_sampling, random=True),
    Method("FeatureAblation", _feature_ablation),
    Method("Occlusion", _occlusion),
    Method("RISE", _rise, random=True),
)
