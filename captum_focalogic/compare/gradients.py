"""Methods that look inside: GradCAM and Integrated Gradients."""

from collections.abc import Callable
from functools import wraps

import numpy as np
import torch
from torch import Tensor, nn

from captum_focalogic.compare.case import Case, Floats
from captum_focalogic.compare.layers import find_layer, layout_of
from captum_focalogic.compare.method import Answer, Method, from_pixels
from captum_focalogic.errors import MissingExtraError, SkippedError

_STEPS = 50
_ROWS = 16


def _needs_gradients(run: Callable[[Case, nn.Module], Answer]) -> Callable[[Case], Answer]:
    @wraps(run)
    def checked(case: Case) -> Answer:
        if not isinstance(case.model, nn.Module):
            raise SkippedError("the model is a black box, and this method needs its gradients")
        with torch.enable_grad():
            score = case.model(case.image.detach().clone().requires_grad_())
            if not score.requires_grad:
                raise SkippedError("the model's output has no gradient, which this method needs")
            return run(case, case.model)

    return checked


@_needs_gradients
def _grad_cam(case: Case, model: nn.Module) -> Answer:
    """Selvaraju et al. 2017, by Captum for convolutions and by pytorch-grad-cam for tokens."""
    layer = (
        find_layer(model, case.image, case.target) if case.layer is None else layout_of(model, case.layer, case.image)
    )
    if layer.reshape is not None:
        return from_pixels(case, _cam_over_tokens(case, model, layer.module, layer.reshape), "over tokens")
    from captum.attr import LayerAttribution, LayerGradCam

    with _own_gradients(model):
        cam = LayerGradCam(model, layer.module).attribute(
            case.image.detach().clone().requires_grad_(), target=case.target, relu_attributions=True
        )
    heat = LayerAttribution.interpolate(cam, tuple(case.image.shape[2:]), interpolate_mode="bilinear")
    return from_pixels(case, heat[0, 0].detach().cpu().numpy())


def _cam_over_tokens(case: Case, model: nn.Module, module: nn.Module, reshape: Callable[[Tensor], Tensor]) -> Floats:
    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError as error:
        raise MissingExtraError("grad-cam", "compare") from error
    training = model.training
    with _own_gradients(model), GradCAM(model=model, target_layers=[module], reshape_transform=reshape) as cam:
        heat = cam(case.image.detach().clone().requires_grad_(), targets=[ClassifierOutputTarget(case.target)])
    model.train(training)
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
def _integrated_gradients(case: Case, model: nn.Module) -> Answer:
    """Sundararajan et al. 2017, by Captum; absolute values, summed over channels."""
    from captum.attr import IntegratedGradients

    attributions = IntegratedGradients(model).attribute(
        case.image,
        baselines=case.baseline,
        target=case.target,
        n_steps=max(1, _STEPS if case.budget is None else case.budget - 1),
        internal_batch_size=_ROWS,
    )
    return from_pixels(case, attributions[0].abs().sum(dim=0).detach().cpu().numpy())


GRADIENT_METHODS = (
    Method("GradCAM", _grad_cam, gradients=True),
    Method("IntegratedGradients", _integrated_gradients, gradients=True),
)
