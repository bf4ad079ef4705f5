"""State: everything that is not the answer is left as it was."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from weighing import Method, agree, by_shares, exceeds, four_scalars

from captum_focalogic import FocaLogic


class Network(nn.Module):
    """Layers with every kind of state: parameters, gradients, statistics, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.5)
        self.linear = nn.Linear(4, 2)
        self.seen: list[tuple[bool, bool]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append((self.training, torch.is_grad_enabled()))
        return self.linear(self.drop(self.norm(x)))


class Broken(nn.Module):
    """Fails on its third call."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Identity()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == 3:
            raise RuntimeError("third call")
        return self.inner(torch.stack([x.sum(1), -x.sum(1)], dim=1))


def run(method: Method, model: nn.Module, **arguments: object) -> Tensor:
    return method(model).attribute(four_scalars().inputs[0], target=0, **arguments)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_the_models_mode(method: Method, training: bool) -> None:
    model = Network().train(training)
    model.drop.train(not training)
    model.norm.eval()  # in train mode it refuses batches of one row
    modes = [module.training for module in model.modules()]
    run(method, model)
    assert [module.training for module in model.modules()] == modes
    assert {seen for seen, _ in model.seen} == {training}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_parameters_and_statistics_of_a_model_in_eval_mode(method: Method) -> None:
    model = Network().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run(method, model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_gradients(method: Method) -> None:
    model = Network().eval()
    model(torch.ones(2, 4)).sum().backward()
    before = [parameter.grad.clone() for parameter in model.parameters()]
    run(method, model)
    assert all(torch.equal(old, new.grad) for old, new in zip(before, model.parameters(), strict=True))
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_graph_is_recorded(method: Method) -> None:
    model = Network().eval()
    inputs = four_scalars().inputs[0].clone().requires_grad_()
    given = method(model).attribute(inputs, target=0)
    assert not given.requires_grad
    assert given.grad_fn is None
    assert not any(grad for _, grad in model.seen)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_graph_is_recorded_past_the_usage_log(method: Method) -> None:
    model = Network().eval()
    attributor = method(model)
    given = type(attributor).attribute.__wrapped__(attributor, four_scalars().inputs[0], target=0)
    assert not given.requires_grad
    assert not any(grad for _, grad in model.seen)


@pytest.mark.parametrize("enabled", [True, False])
def test_the_callers_grad_mode(method: Method, enabled: bool) -> None:
    with torch.set_grad_enabled(enabled):
        method(four_scalars().model).attribute(four_scalars().inputs[0], target=1)
        assert torch.is_grad_enabled() is enabled
        with pytest.raises(RuntimeError, match="third call"):
            run(method, Broken())
        assert torch.is_grad_enabled() is enabled


def test_a_model_may_use_gradients_itself(method: Method) -> None:
    question = four_scalars()

    def forward(x: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(leaf.pow(2).sum() / 2, leaf)
        return question.model(slope)

    agree(method(forward).attribute(question.inputs[0], target=1), method.expected(question))


def test_under_inference_mode(method: Method) -> None:
    question = four_scalars()
    with torch.inference_mode():
        given = method(question.model).attribute(question.inputs[0].clone(), target=1, perturbations_per_eval=2)
        assert torch.is_inference_mode_enabled()
    agree(given, method.expected(question))


def test_under_no_grad(method: Method) -> None:
    question = four_scalars()
    with torch.no_grad():
        given = method(question.model).attribute(question.inputs[0], target=1)
    agree(given, method.expected(question))


def test_inputs_made_under_inference_mode(method: Method) -> None:
    question = four_scalars()
    with torch.inference_mode():
        inputs = question.inputs[0] + 0
    agree(method(question.model).attribute(inputs, target=1), method.expected(question))


@contextmanager
def random_states_kept() -> Iterator[None]:
    def states() -> tuple[object, ...]:
        name, keys, position, *_ = np.random.get_state()  # noqa: NPY002
        return random.getstate(), name, keys.tolist(), position, torch.get_rng_state().tolist()

    before = states()
    yield
    assert states() == before


@pytest.mark.parametrize("kind", ["attribute", "explain"])
@pytest.mark.parametrize("per_eval", [1, 3, "auto"])
def test_random_number_generators(kind: str, per_eval: object) -> None:
    question = four_scalars()
    explainer = FocaLogic(question.model)
    with random_states_kept():
        getattr(explainer, kind)(question.inputs[0], target=1, perturbations_per_eval=per_eval)


def test_random_number_generators_of_a_sampling_search() -> None:
    inputs = torch.ones(1, 16)
    model = exceeds(7.5, lambda x: x.sum(1))
    with random_states_kept():
        by_shares(model, search="chains", max_evaluations=300).attribute(inputs, target=1)


def test_random_number_generators_of_a_segmenting_call() -> None:
    x = torch.linspace(0, 1, 3 * 16 * 16).reshape(1, 3, 16, 16)
    model = exceeds(100.0, lambda x: x.sum((1, 2, 3)))
    with random_states_kept():
        by_shares(model).attribute(x, target=1, n_samples=100)


@pytest.mark.parametrize("build", [Network, Broken], ids=["success", "failure"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_hooks(method: Method, build: Callable[[], nn.Module]) -> None:
    model = build().eval()
    called = []
    handle = model.register_forward_hook(lambda *_: called.append(1))
    before = hooks(model)
    if build is Broken:
        with pytest.raises(RuntimeError, match="third call"):
            run(method, model)
    else:
        run(method, model)
    assert hooks(model) == before
    assert called
    handle.remove()
    assert not any(hooks(model))


def hooks(model: nn.Module) -> list[int]:
    return [
        len(registered)
        for module in model.modules()
        for registered in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
    ]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_models_memory_format() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 2)).eval()
    strides = [parameter.stride() for parameter in model.parameters()]
    by_shares(model).attribute(torch.rand(1, 3, 8, 8), perturbations_per_eval="auto", n_samples=100)
    assert [parameter.stride() for parameter in model.parameters()] == strides


def test_the_attributor_keeps_no_examples() -> None:
    # Two calls in turn, on different shapes, do not see each other.
    question = four_scalars()
    explainer = FocaLogic(lambda x: question.model(x[:, :4]))
    first = explainer.attribute(question.inputs[0], target=1)
    explainer.attribute(torch.cat([question.inputs[0], question.inputs[0]], dim=1), target=1)
    assert torch.equal(explainer.attribute(question.inputs[0], target=1), first)
