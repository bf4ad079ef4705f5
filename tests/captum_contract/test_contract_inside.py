"""Inside and with the rest of Captum: NoiseTunnel, metrics, input wrappers, data loaders, layers, pictures."""

import copy
import warnings
from typing import Any

import matplotlib as mpl
import pytest
import torch
from captum._utils.common import _format_output, _format_tensor_into_tuples, _run_forward
from captum._utils.gradient import _forward_layer_eval
from captum.attr import (
    DataLoaderAttribution,
    FeatureAblation,
    LayerAttribution,
    LayerFeatureAblation,
    NoiseTunnel,
    PerturbationAttribution,
    visualization,
)
from captum.attr._core.dataloader_attr import InputRole
from captum.attr._utils.input_layer_wrapper import ModelInputWrapper
from captum.metrics import infidelity, infidelity_perturb_func_decorator, sensitivity_max
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from weighing import FEATURE_ABLATION, FOCALOGIC, Method, Question, agree, by_shares, exceeds, four_scalars

from captum_focalogic import FocaLogic
from captum_focalogic.errors import InputError


class TestNoiseTunnel:
    """It repeats every argument, calls ``__wrapped__`` and averages."""

    @pytest.mark.parametrize("nt_type", ["smoothgrad", "smoothgrad_sq", "vargrad"])
    def test_without_noise(self, method: Method, nt_type: str) -> None:
        question = four_scalars()
        given = NoiseTunnel(method(question.model)).attribute(
            question.inputs[0], nt_type=nt_type, nt_samples=3, stdevs=0.0, target=1
        )
        expected = method.expected(question)[0]
        agree(given, ({"smoothgrad": expected, "smoothgrad_sq": expected**2, "vargrad": expected * 0}[nt_type],))

    def test_every_argument_is_repeated_with_its_row(self, method: Method) -> None:
        plain = four_scalars(rows=3)
        mask = torch.tensor([[0, 0, 1, 2], [0, 1, 1, 2], [3, 2, 1, 0]])
        baselines = torch.tensor([[0.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.0], [0.5, 0.0, 0.0, 0.0]])
        question = Question(plain.weights, 7.5, plain.inputs, (mask,), (baselines,), (1, 1, 1))
        scale = torch.tensor([[1.0], [2.0], [4.0]])
        given = NoiseTunnel(method(lambda x, scale: question.model(x / scale))).attribute(
            plain.inputs[0] * scale,
            nt_samples=4,
            nt_samples_batch_size=2,
            stdevs=0.0,
            baselines=baselines * scale,
            target=[1, 1, 1],
            additional_forward_args=scale,
            feature_mask=mask,
            perturbations_per_eval=2,
        )
        agree(given, method.expected(question))

    def test_tuples(self, method: Method) -> None:
        question = four_scalars()
        halves = (question.inputs[0][:, :2], question.inputs[0][:, 2:])
        given = NoiseTunnel(method(lambda a, b: question.model(torch.cat([a, b], dim=1)))).attribute(
            halves, nt_samples=2, stdevs=(0.0, 0.0), baselines=(0, torch.zeros(1, 2)), target=1
        )
        assert isinstance(given, tuple)
        agree(torch.cat(given, dim=1), method.expected(question))

    def test_with_noise(self) -> None:
        # Sums stray from 9.9 and 7.9 by about 1e-3, far from the threshold: the noise changes nothing.
        question = four_scalars()
        torch.manual_seed(0)
        given = NoiseTunnel(by_shares(question.model)).attribute(
            question.inputs[0][:1], nt_samples=5, stdevs=1e-4, target=1
        )
        agree(given, (FOCALOGIC.expected(question)[0][:1],))

    def test_convergence_delta_is_not_offered(self, method: Method) -> None:
        question = four_scalars()
        tunnel = NoiseTunnel(method(question.model))
        assert tunnel.has_convergence_delta() is False
        assert isinstance(tunnel.attribute(question.inputs[0], target=1, stdevs=0.0), Tensor)


class TestMetrics:
    """Captum's measures of an explanation call ``attribute`` in their own ways."""

    def test_sensitivity_without_perturbation_is_zero(self, method: Method) -> None:
        question = four_scalars()
        attributor = method(question.model)
        given = sensitivity_max(
            attributor.attribute,
            question.inputs[0],
            perturb_func=lambda x: x,
            n_perturb_samples=3,
            target=1,
            baselines=torch.zeros(1, 4),
            feature_mask=torch.tensor([[0, 0, 1, 2]]),
        )
        assert given.tolist() == [0.0, 0.0]

    def test_sensitivity_of_a_perturbation_that_matters(self) -> None:
        # Doubling region 1's input makes 5 + 6 + 2 + 1; above 6.5 are then {0, 1}, {0, 2}, {1, 2} and {1, 3}, so the
        # shares go from (1, 1/2, 1/2, 0) to (1/2, 3/4, 1/2, 1/4): a distance of sqrt(3/8) to a length of sqrt(3/2).
        question = four_scalars(rows=1)
        given = sensitivity_max(
            by_shares(question.model).attribute,
            question.inputs[0],
            perturb_func=lambda x: x * torch.tensor([1.0, 2.0, 1.0, 1.0]),
            n_perturb_samples=2,
            target=1,
        )
        torch.testing.assert_close(given, torch.tensor([0.5]))

    def test_sensitivity_with_its_own_perturbation(self, method: Method) -> None:
        question = four_scalars()
        given = sensitivity_max(method(question.model).attribute, question.inputs[0], target=torch.tensor([1, 1]))
        assert given.shape == (2,)
        assert torch.isfinite(given).all()

    def test_sensitivity_of_tuples(self, method: Method) -> None:
        question = four_scalars()
        halves = (question.inputs[0][:, :2], question.inputs[0][:, 2:])
        given = sensitivity_max(
            method(lambda a, b: question.model(torch.cat([a, b], dim=1))).attribute,
            halves,
            perturb_func=lambda tensors: tensors,
            target=1,
            baselines=(0, 0),
        )
        assert given.tolist() == [0.0, 0.0]

    def test_infidelity(self, method: Method) -> None:
        # Removing everything changes the score by all of it: (sum of attributions x input - change) squared.
        question = four_scalars()
        attributions = method(question.model).attribute(question.inputs[0], target=1)
        given = infidelity(
            question.model, lambda x: (x, torch.zeros_like(x)), question.inputs[0], attributions, target=1
        )
        explained = (method.expected(question)[0] * question.inputs[0]).sum(1)
        torch.testing.assert_close(given.double(), (explained - question.model.total(question.inputs[0])).square())

    def test_infidelity_with_captums_decorator(self, method: Method) -> None:
        question = four_scalars()
        attributor = method(question.model)

        @infidelity_perturb_func_decorator(attributor.multiplies_by_inputs)
        def perturb(x: Tensor) -> Tensor:
            return x * 0.5

        given = infidelity(
            question.model, perturb, question.inputs, attributor.attribute(question.inputs, target=1), target=1
        )
        assert given.shape == (2,)
        assert torch.isfinite(given).all()


class TwoInputs(nn.Module):
    """Weighs two named inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.model = four_scalars().model

    def forward(self, first: Tensor, second: Tensor, scale: float = 1.0) -> Tensor:
        return self.model(torch.cat([first, second], dim=1) * scale)


class TestInputWrapper:
    """A model whose inputs pass through identity layers."""

    def test_model_input_wrapper(self, method: Method) -> None:
        question = four_scalars()
        halves = (question.inputs[0][:, :2], question.inputs[0][:, 2:])
        given = method(ModelInputWrapper(TwoInputs())).attribute(halves, target=1, perturbations_per_eval=3)
        agree(torch.cat(given, dim=1), method.expected(question))

    def test_its_layers_can_be_explained(self) -> None:
        question = four_scalars()
        model = ModelInputWrapper(TwoInputs())
        halves = (question.inputs[0][:, :2], question.inputs[0][:, 2:])
        given = LayerFocaLogic(model, model.input_maps["first"]).attribute(halves, target=1)
        for row in range(2):
            second = halves[1][row : row + 1]
            alone = by_shares(lambda first, second=second: model(first, second.expand(len(first), 2)))
            assert torch.equal(given[row : row + 1], alone.attribute(halves[0][row : row + 1], target=1))


class LayerFocaLogic(LayerAttribution, PerturbationAttribution):
    """Final states over the units of a layer, in the manner of Captum's LayerFeatureAblation."""

    def __init__(self, forward_func: Any, layer: nn.Module) -> None:
        LayerAttribution.__init__(self, forward_func, layer)
        PerturbationAttribution.__init__(self, forward_func)

    def attribute(
        self, inputs: Any, layer_baselines: Any = None, target: Any = None, layer_mask: Any = None, per_eval: int = 1
    ) -> Any:
        def replaced(*args: Any) -> Tensor:
            length = args[-1]
            handle = self.layer.register_forward_hook(lambda *_: args[0])
            try:
                return _run_forward(self.forward_func, args[length:-1])
            finally:
                handle.remove()

        inputs = _format_tensor_into_tuples(inputs)
        units = _forward_layer_eval(self.forward_func, inputs, self.layer)
        inner = by_shares(replaced)
        given = inner.attribute.__wrapped__(
            inner,
            units,
            baselines=layer_baselines,
            target=target,
            additional_forward_args=(*inputs, len(units)),
            feature_mask=layer_mask,
            perturbations_per_eval=per_eval,
        )
        return _format_output(len(given) > 1, given)


class TestSubclasses:
    """FocaLogic can be built upon as Captum builds upon its own methods."""

    @pytest.mark.parametrize("per_eval", [1, 3])
    def test_layers(self, per_eval: int) -> None:
        question = four_scalars()
        model = nn.Sequential(nn.Identity(), question.model)
        given = LayerFocaLogic(model, model[0]).attribute(question.inputs[0], target=1, per_eval=per_eval)
        agree(given, FOCALOGIC.expected(question))
        assert not model[0]._forward_hooks

    def test_layers_as_captum_does_it(self) -> None:
        question = four_scalars()
        model = nn.Sequential(nn.Identity(), question.model)
        given = LayerFeatureAblation(model, model[0]).attribute(question.inputs[0], target=1)
        agree(given, FEATURE_ABLATION.expected(question))

    def test_captums_layer_method_with_focalogic_inside(self) -> None:
        # It selects the target itself, so FocaLogic sees one number: the sum's sign.
        question = four_scalars()

        class Inside(LayerFeatureAblation):
            attributor = staticmethod(by_shares)

        model = nn.Sequential(nn.Identity(), nn.Linear(4, 1, bias=True))
        with torch.no_grad():
            model[1].weight.copy_(torch.tensor([[5.0, 3.0, 2.0, 1.0]]))
            model[1].bias.fill_(-6.5)
        given = Inside(model, model[0]).attribute(question.inputs[0], target=0, perturbations_per_eval=2)
        agree(given, FOCALOGIC.expected(question))

    @pytest.mark.parametrize("wrapped", [False, True])
    def test_an_attribute_of_its_own(self, method: Method, wrapped: bool) -> None:
        kind = method.kind

        class Halved(kind):  # type: ignore[misc,valid-type]
            def attribute(self, inputs: Any, **arguments: Any) -> Any:
                if wrapped:
                    return super().attribute.__wrapped__(self, inputs, **arguments) / 2
                return super().attribute(inputs, **arguments) / 2

        question = four_scalars()
        given = Halved(question.model, **method.settings).attribute(question.inputs[0], target=1)
        agree(given * 2, method.expected(question))

    def test_a_subclass_has_a_name_of_its_own(self) -> None:
        class GridFocaLogic(FocaLogic):
            pass

        assert GridFocaLogic.get_name() == "Grid FocaLogic"

    def test_a_copy_with_another_forward_function(self, method: Method) -> None:
        question = four_scalars()
        original = method(lambda x: torch.zeros(len(x), 2))
        exchanged = copy.copy(original)
        exchanged.forward_func = question.model
        agree(exchanged.attribute(question.inputs[0], target=1), method.expected(question))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert not original.attribute(question.inputs[0], target=1).any()


class TestDataLoader:
    """A whole data set's metric as the decision to explain."""

    FIRST = torch.tensor([[1.0, 0.0], [2.0, 1.0], [3.0, 0.0], [0.0, 1.0], [4.0, 0.0]])
    SECOND = torch.tensor([[[1.0, 0.0]], [[0.0, 0.0]], [[0.0, 1.0]], [[1.0, 0.0]], [[0.0, 0.0]]])
    LABELS = torch.tensor([1, 1, 1, 0, 1])

    def loader(self, *more: Tensor) -> DataLoader[Any]:
        return DataLoader(TensorDataset(self.FIRST, self.SECOND, *more), batch_size=2)

    @staticmethod
    def forward(first: Tensor, second: Tensor) -> Tensor:
        return first.flatten(1).sum(1) + second.flatten(1).sum(1)

    @staticmethod
    def total(accumulated: Tensor | None, output: Tensor, _inputs: Any) -> Tensor:
        return output.sum() if accumulated is None else accumulated + output.sum()

    @pytest.mark.parametrize("per_pass", [1, 3, 20])
    def test_a_metric_of_one_number(self, method: Method, per_pass: int) -> None:
        # Column sums over the set: 10 and 2 in the first input, 2 and 1 in the second; 15 in all, above zero if more
        # than 11.5 is left: {0, 1} (12), {0, 2} (12); without column 0 there are 5, and 0 with 3 gives 11.
        given = DataLoaderAttribution(method(self.forward)).attribute(
            self.loader(),
            reduce=self.total,
            to_metric=lambda total: total - 11.5,
            perturbations_per_pass=per_pass,
        )
        assert isinstance(given, tuple)
        expected = {
            "FocaLogic": (torch.tensor([[1.0, 0.5]]), torch.tensor([[[0.5, 0.0]]])),
            "FeatureAblation": (torch.tensor([[10.0, 2.0]]), torch.tensor([[[2.0, 1.0]]])),
        }[method.name]
        agree(given, tuple(tensor.double() for tensor in expected))

    def test_one_column_a_feature(self, method: Method) -> None:
        given = DataLoaderAttribution(method(self.forward)).attribute(
            self.loader(), reduce=self.total, to_metric=lambda total: total - 11.5, return_input_shape=False
        )
        expected = {"FocaLogic": [[1.0, 0.5, 0.5, 0.0]], "FeatureAblation": [[10.0, 2.0, 2.0, 1.0]]}[method.name]
        agree(given, (torch.tensor(expected, dtype=torch.float64),))

    def test_masks_baselines_and_roles(self, method: Method) -> None:
        # Regions: 0 the first input's column 0, 1 everything else; a baseline of 1 for the second input. Accuracy of
        # "sum above 0.5" against the labels, which are not attributed to.
        def accuracy(counts: Tensor | None, output: Tensor, inputs: Any) -> Tensor:
            right = torch.stack([((output > 0.5).long() == inputs[2]).sum(), torch.tensor(len(output))])
            return right if counts is None else counts + right

        explainer = method(self.forward)
        # An accuracy less a bound is no probability, though it lies between 0 and 1.
        explainer.outputs = "logits"
        given = DataLoaderAttribution(explainer).attribute(
            self.loader(self.LABELS),
            input_roles=(InputRole.need_attr, InputRole.need_attr, InputRole.no_forward),
            feature_mask=(torch.tensor([[0, 1]]), torch.tensor([[[1, 1]]])),
            baselines=(0, 0),
            reduce=accuracy,
            to_metric=lambda counts: counts[0] / counts[1] - 0.7,
        )
        # All: rows 0-2 and 4 are right (0.8). Without region 0: rows 0, 1, 2 right, 3 wrong, 4 wrong (0.6). Without
        # region 1: all right (1.0). With nothing: only row 3 (0.2). So {0} is the final state.
        expected = {
            "FocaLogic": (torch.tensor([[1.0, 0.0]]), torch.tensor([[[0.0, 0.0]]])),
            "FeatureAblation": (torch.tensor([[0.2, -0.2]]), torch.tensor([[[-0.2, -0.2]]])),
        }[method.name]
        agree(given, tuple(tensor.double() for tensor in expected))

    def test_a_subclass_is_accepted_too(self) -> None:
        class Mine(FocaLogic):
            pass

        given = DataLoaderAttribution(Mine(self.forward)).attribute(self.loader(), reduce=self.total)
        assert len(given) == 2

    def test_the_wrapped_instance_is_left_alone(self, method: Method) -> None:
        attributor = method(self.forward)
        DataLoaderAttribution(attributor).attribute(self.loader(), reduce=self.total)
        assert attributor.forward_func == self.forward

    def test_other_methods_are_still_refused(self) -> None:
        with pytest.raises(AssertionError, match="support"):
            DataLoaderAttribution(NoiseTunnel(FeatureAblation(self.forward)))


class TestPictures:
    """Captum's visualisations take the attributions as they come."""

    @pytest.fixture
    def attributions(self) -> Any:
        mpl.use("Agg")
        x = torch.zeros(1, 3, 8, 8)
        x[..., 4:] = 1.0
        mask = (torch.arange(8) // 4).expand(1, 1, 8, 8)
        model = exceeds(50.0, lambda x: x.sum((1, 2, 3)))
        given = by_shares(model).attribute(x, target=1, feature_mask=mask)
        assert given.unique().tolist() == [0.0, 1.0]
        return given[0].permute(1, 2, 0).numpy(), x[0].permute(1, 2, 0).numpy()

    @pytest.mark.parametrize("kind", ["heat_map", "blended_heat_map", "masked_image", "alpha_scaling"])
    def test_one(self, attributions: Any, kind: str) -> None:
        figure, axes = visualization.visualize_image_attr(*attributions, method=kind, sign="positive", use_pyplot=False)
        assert axes.images
        figure.clear()

    def test_several(self, attributions: Any) -> None:
        figure, axes = visualization.visualize_image_attr_multiple(
            *attributions,
            methods=["original_image", "heat_map", "blended_heat_map"],
            signs=["all", "positive", "absolute_value"],
            use_pyplot=False,
        )
        assert len(axes) == 3
        figure.clear()


def test_focalogic_is_no_layer_method() -> None:
    with pytest.raises((InputError, TypeError)):
        FocaLogic(four_scalars().model, nn.Identity())
