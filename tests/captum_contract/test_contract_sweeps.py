"""Sweeps over the models and arguments that Captum publishes for testing attribution methods.

Captum 0.9 installs the table that its own sweeps over targets, wrapped models and hooks are made from. Every entry that
is meant for FeatureAblation is put to FocaLogic here.
"""

import copy
from typing import Any

import pytest
import torch
from captum.attr import FeatureAblation, NoiseTunnel
from torch import Tensor, nn
from weighing import FEATURE_ABLATION, FOCALOGIC, Method, final_state_shares

from captum_focalogic import FocaLogic

captum_table = pytest.importorskip("captum.testing.attr.helpers.test_config", reason="this Captum has no table")
ENTRIES = [entry for entry in captum_table.config if FeatureAblation in entry["algorithms"]]
MANY_TARGETS = [entry for entry in ENTRIES if isinstance(entry["attribute_args"].get("target"), list | Tensor)]


class Near(FocaLogic):
    """Explains what keeps the target's score within 1 of what it is.

    The classes of the table's models are the same for all its inputs, and their baselines', so a criterion that looks
    at the class alone would find nothing to explain.
    """

    def __init__(self, forward_func: Any) -> None:
        super().__init__(forward_func, criterion="tolerance:1", weighting="frequency")


NEAR = Method(Near, final_state_shares)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(params=[NEAR, FEATURE_ABLATION], ids=lambda method: method.name)
def method(request: pytest.FixtureRequest) -> Method:
    """The attribution method under test."""
    return request.param


def named(entries: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("entry", entries, ids=[entry["name"] for entry in entries])


def arguments_of(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry's arguments, for this test alone; pictures of 10 x 10 pixels in quarters."""
    arguments = copy.deepcopy(entry["attribute_args"])
    inputs = arguments["inputs"]
    if isinstance(inputs, Tensor) and inputs.dim() == 4 and "feature_mask" not in arguments:
        half = torch.arange(inputs.shape[-1]) * 2 // inputs.shape[-1]
        arguments["feature_mask"] = (2 * half[:, None] + half)[None, None]
    return arguments


def attributor(method: Method, entry: dict[str, Any], model: nn.Module) -> Any:
    made = method(model)
    return NoiseTunnel(made) if entry.get("noise_tunnel") else made


def attribute(method: Method, entry: dict[str, Any], model: nn.Module, arguments: dict[str, Any]) -> tuple[Tensor, ...]:
    given = attributor(method, entry, model).attribute(**arguments)
    return given if isinstance(given, tuple) else (given,)


def row_of(value: Any, row: int, rows: int) -> Any:
    """What belongs to one example: a row of a tensor, also of each tensor in a tuple."""
    if isinstance(value, tuple):
        return tuple(row_of(part, row, rows) for part in value)
    return value[row : row + 1] if isinstance(value, Tensor) and value.dim() and len(value) == rows else value


def assert_same(given: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    assert len(given) == len(expected)
    for one, other in zip(given, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-4)


def test_the_table_is_not_empty() -> None:
    assert len(ENTRIES) > 10
    assert len(MANY_TARGETS) > 5


def test_the_table_has_decisions_to_explain() -> None:
    # Its targets are often not the prediction; zeros everywhere would compare equal whatever was done.
    explained = [attribute(NEAR, entry, entry["model"], arguments_of(entry)) for entry in MANY_TARGETS]
    assert sum(any(tensor.any() for tensor in given) for given in explained) > len(MANY_TARGETS) / 2


@named(ENTRIES)
def test_shapes_and_ranges(method: Method, entry: dict[str, Any]) -> None:
    arguments = arguments_of(entry)
    given = attribute(method, entry, entry["model"], arguments)
    inputs = arguments["inputs"] if isinstance(arguments["inputs"], tuple) else (arguments["inputs"],)
    assert [tensor.shape for tensor in given] == [tensor.shape for tensor in inputs]
    assert all(torch.isfinite(tensor).all() for tensor in given)
    if method is NEAR:
        assert all(((tensor >= 0) & (tensor <= 1)).all() for tensor in given)


@named(ENTRIES)
def test_the_default_criterion(entry: dict[str, Any]) -> None:
    given = attribute(FOCALOGIC, entry, entry["model"], arguments_of(entry))
    assert all(((tensor >= 0) & (tensor <= 1)).all() for tensor in given)


@named(ENTRIES)
def test_any_number_of_perturbations_per_call(method: Method, entry: dict[str, Any]) -> None:
    arguments = arguments_of(entry)
    one, several = (
        attribute(method, entry, entry["model"], arguments | {"perturbations_per_eval": per_eval})
        for per_eval in (1, 4)
    )
    assert_same(several, one)


@named(MANY_TARGETS)
@pytest.mark.parametrize("form", ["element", "slice"])
def test_each_example_alone(method: Method, entry: dict[str, Any], form: str) -> None:
    arguments = arguments_of(entry)
    together = attribute(method, entry, entry["model"], arguments)
    rows, target = len(together[0]), arguments["target"]
    for row in range(rows):
        alone = {name: row_of(value, row, rows) for name, value in arguments.items()}
        if len(target) == rows:
            alone["target"] = target[row] if form == "element" else target[row : row + 1]
        else:
            alone["target"] = target
        given = attribute(method, entry, entry["model"], alone)
        assert_same(given, tuple(tensor[row : row + 1] for tensor in together))


@named(ENTRIES)
def test_data_parallel(method: Method, entry: dict[str, Any]) -> None:
    expected = attribute(method, entry, entry["model"], arguments_of(entry))
    assert_same(attribute(method, entry, nn.DataParallel(entry["model"]), arguments_of(entry)), expected)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::torch.jit.TracerWarning")
@named([entry for entry in ENTRIES if "additional_forward_args" not in entry["attribute_args"]])
def test_traced_models(method: Method, entry: dict[str, Any]) -> None:
    arguments = arguments_of(entry)
    inputs = arguments["inputs"] if isinstance(arguments["inputs"], tuple) else (arguments["inputs"],)
    traced = torch.jit.trace(entry["model"], inputs)
    expected = attribute(method, entry, entry["model"], arguments)
    assert_same(attribute(method, entry, traced, arguments), expected)


@named(ENTRIES)
@pytest.mark.parametrize("fails", [False, True], ids=["success", "failure"])
def test_nothing_is_left_on_the_model(method: Method, entry: dict[str, Any], fails: bool) -> None:
    model, arguments = entry["model"], arguments_of(entry)
    modes = [module.training for module in model.modules()]
    if fails:
        with pytest.raises(AssertionError):
            attribute(method, entry, model, arguments | {"target": (9999,) * 20})
    else:
        attribute(method, entry, model, arguments)
    assert [module.training for module in model.modules()] == modes
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks


@named(ENTRIES)
def test_arguments_are_left_alone(method: Method, entry: dict[str, Any]) -> None:
    arguments = arguments_of(entry)
    before = copy.deepcopy(arguments)
    attribute(method, entry, entry["model"], arguments)
    assert arguments.keys() == before.keys()
    for name, value in before.items():
        torch.testing.assert_close(tensors_in(arguments[name]), tensors_in(value), rtol=0, atol=0)


def tensors_in(value: Any) -> list[Tensor]:
    parts = value if isinstance(value, tuple | list) else (value,)
    return [part for part in parts if isinstance(part, Tensor)]
