"""Methods that look inside: GradCAM and Integrated Gradients."""

from collections.abc import Callable
from functools import wraps

import numpy as np
import torch
from torch import Tensor, nn

from captum_focalogic.arrays import Floats
from captum_focalogic.classifier import evaluating
from captum_focalogic.compare.decision import Decision
from captum_focalogic.compare.layers import CamLayer, find_layer, layout_of
from captum_focalogic.compare.method import Attribution, Method, from_pixels
from captum_focalogic.errors import InputError, MissingExtraError, SkippedError

_STEPS = 50


def _needs_gradients(run: Callable[[Decision, nn.Module], Attribution]) -> Callable[[Decision], Attribution]:
    @wraps(run)
    def checked(decision: Decision) -> Attribution:
        if not isinstance(decision.model, nn.Module):
            raise SkippedError("the model is a black box, and this method needs its gradients")
        with torch.enable_grad():
            score = decision.model(decision.image.detach().clone().requires_grad_())
            if not score.requires_grad:
                raise SkippedError("the model's output has no gradient, which this method needs")
            return run(decision, decision.model)

    return checked


@_needs_gradients
def _grad_cam(decision: Decision, model: nn.Module) -> Attribution:
    """Selvaraju et al. 2017, by Captum for convolutions and by pytorch-grad-cam for tokens."""
    layer = _layer(decision, model)
    if layer.reshape is not None:
        heat = _cam_over_maps(decision, model, layer.module, layer.reshape)
        return from_pixels(decision, heat, "what its layer gives, laid out as maps")
    from captum.attr import LayerAttribution, LayerGradCam

    with _own_gradients(model):
        cam = LayerGradCam(model, layer.module).attribute(
            decision.image.detach().clone().requires_grad_(), target=decision.target, relu_attributions=True
        )
    heat = LayerAttribution.interpolate(cam, tuple(decision.image.shape[2:]), interpolate_mode="bilinear")
    return from_pixels(decision, heat[0, 0].detach().cpu().numpy())


def _layer(decision: Decision, model: nn.Module) -> CamLayer:
    """The layer that was named, or one that is found; where none can be, the method is skipped."""
    if decision.layer is not None:
        return layout_of(model, decision.layer, decision.image, decision.reshape_transform)
    try:
        return find_layer(model, decision.image, decision.target, decision.reshape_transform)
    except InputError as error:
        raise SkippedError(str(error)) from error


def _cam_over_maps(
    decision: Decision, model: nn.Module, module: nn.Module, reshape: Callable[[Tensor], Tensor]
) -> Floats:
    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError as error:
        raise MissingExtraError("grad-cam", "compare") from error
    with (
        evaluating(model),
        _own_gradients(model),
        GradCAM(model=model, target_layers=[module], reshape_transform=reshape) as cam,
    ):
        heat = cam(decision.image.detach().clone().requires_grad_(), targets=[ClassifierOutputTarget(decision.target)])
    return np.asarray(heat[0], dtype=np.float64)


class _own_gradients:
    """Leaves no gradients in the model's parameters behind."""

    def __init__(self, model: nn.Module) -> None:
        self._kept = [(parameter, parameter.grad) for parameter in model.parameters()]

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        for parameter, gradient in self._kept:
            parameter.grad = gradient


@_needs_gradients
def _integrated_gradients(decision: Decision, model: nn.Module) -> Attribution:
    """Sundararajan et al. 2017, by Captum; absolute values, summed over channels."""
    from captum.attr import IntegratedGradients

    attributions = IntegratedGradients(model).attribute(
        decision.image,
        baselines=decision.baseline,
        target=decision.target,
        n_steps=max(1, _STEPS if decision.budget is None else decision.budget - 1),
        internal_batch_size=decision.rows,
    )
    return from_pixels(decision, attributions[0].abs().sum(dim=0).detach().cpu().numpy())


GRADIENT_METHODS = (
    Method("GradCAM", _grad_cam, gradients=True),
    Method("IntegratedGradients", _integrated_gradients, gradients=True),
)
