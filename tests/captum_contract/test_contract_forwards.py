"""Forward functions: modules and anything callable, whatever they return."""

import functools
from typing import Any, ClassVar

import pytest
import torch
from captum._utils.common import _construct_future_forward
from torch import Tensor, nn
from weighing import FOCALOGIC, Method, agree, by_shares, four_scalars

from captum_focalogic import FocaLogic
from captum_focalogic.errors import ModelOutputError


class Bound:
    """Something callable that is no function."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def __call__(self, x: Tensor) -> Tensor:
        return self.model(x)

    def method(self, x: Tensor) -> Tensor:
        return self.model(x)


class Linear(nn.Module):
    """The question's model in a form that can be scripted."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([[0.0, 0.0, 0.0, 0.0], [5.0, 3.0, 2.0, 1.0]]))
            self.linear.bias.copy_(torch.tensor([6.5, 0.0]))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


FORWARDS = {
    "module": Linear,
    "function": lambda: lambda x: Linear()(x * 1),
    "function of any arguments": lambda: lambda *args: Linear()(args[0]),
    "partial": lambda: functools.partial(lambda model, x: model(x), Linear()),
    "callable object": lambda: Bound(Linear()),
    "bound method": lambda: Bound(Linear()).method,
    "script": lambda: torch.jit.script(Linear()),
    "trace": lambda: torch.jit.trace(Linear(), torch.ones(2, 4)),
    "data parallel": lambda: nn.DataParallel(Linear()),
    "sequential": lambda: nn.Sequential(Linear(), nn.Identity()),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", FORWARDS)
@pytest.mark.parametrize("per_eval", [1, 3])
def test_anything_callable(method: Method, kind: str, per_eval: int) -> None:
    question = four_scalars()
    given = method(FORWARDS[kind]()).attribute(question.inputs[0], target=1, perturbations_per_eval=per_eval)
    agree(given, method.expected(question), tolerance=1e-5)


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(ValueError, match="forward_func"):
        FocaLogic("resnet18")


def total(x: Tensor) -> Tensor:
    """What the question's sum exceeds the threshold by."""
    return four_scalars().model.total(x) - 6.5


OUTPUTS = {
    "(N,)": (total, None),
    "(N, 1)": (lambda x: total(x)[:, None], None),
    "(N, 1) with its target": (lambda x: total(x)[:, None], 0),
    "(N, 1, 1)": (lambda x: total(x)[:, None, None], None),
    "(N, 2)": (four_scalars().model, 1),
    "(N, 2) in half precision": (lambda x: four_scalars().model(x).half(), 1),
    "(N, 2) in double precision": (lambda x: four_scalars().model(x).double(), 1),
    "(N, 2, 2, 2)": (lambda x: four_scalars().model(x)[:, :, None, None].expand(-1, 2, 2, 2), (1, 0, 1)),
}


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("per_eval", [1, 2])
def test_scores(method: Method, kind: str, per_eval: int) -> None:
    forward, target = OUTPUTS[kind]
    question = four_scalars()
    given = method(forward).attribute(question.inputs[0], target=target, perturbations_per_eval=per_eval)
    agree(given, method.expected(question))


WHOLE_NUMBERS = {
    "integer (N,)": (lambda x: (total(x) > 0).long() + 3, None),
    "integer (N, 1)": (lambda x: (total(x) > 0).int()[:, None], None),
    "boolean (N,)": (lambda x: total(x) > 0, None),
    "boolean (N, 1)": (lambda x: (total(x) > 0)[:, None], None),
    "whole numbers (N, 2)": (lambda x: (2 * four_scalars().model(x)).long(), 1),
    "one-hot (N, 2)": (lambda x: torch.stack([total(x) <= 0, total(x) > 0], dim=1).long(), 1),
    "boolean (N, 2)": (lambda x: torch.stack([total(x) <= 0, total(x) > 0], dim=1), 1),
}


@pytest.mark.parametrize("kind", WHOLE_NUMBERS)
def test_whole_numbers_and_booleans(kind: str) -> None:
    forward, target = WHOLE_NUMBERS[kind]
    question = four_scalars()
    given = by_shares(forward).attribute(question.inputs[0], target=target, perturbations_per_eval=2)
    agree(given, FOCALOGIC.expected(question))


def test_a_negative_number_is_the_other_decision() -> None:
    # Not above zero: what keeps it there are the regions that weigh against.
    given = by_shares(lambda x: x @ torch.tensor([5.0, -3.0, -4.0])).attribute(
        torch.tensor([[1.0, 1.0, 1.0]]), baselines=torch.tensor([[1.0, 0.0, 0.0]])
    )
    # 5 - 3 - 4 = -2. Region 0 replaced by itself changes nothing; without 1 or 2 the sum is above zero.
    assert given.tolist() == [[0.0, 1.0, 1.0]]


class TestOneValueForTheWholeBatch:
    """Fine for one example; for more there is no telling whose decision it is."""

    AGGREGATES: ClassVar = {
        "float": lambda x: total(x).sum().item(),
        "int": lambda x: int(total(x).sum().item() > 0) * 2 - 1,
        "bool": lambda x: bool(total(x).sum().item() > 0),
        "0-d": lambda x: total(x).sum(),
        "(1,)": lambda x: total(x).sum().reshape(1),
        "(1, 1)": lambda x: total(x).sum().reshape(1, 1),
    }

    @pytest.mark.parametrize("kind", AGGREGATES)
    def test_of_one_example(self, kind: str) -> None:
        question = four_scalars(rows=1)
        given = by_shares(self.AGGREGATES[kind]).attribute(question.inputs[0])
        agree(given, FOCALOGIC.expected(question))

    @pytest.mark.parametrize("kind", ["float", "0-d", "(1,)"])
    def test_of_one_example_as_in_captum(self, method: Method, kind: str) -> None:
        question = four_scalars(rows=1)
        agree(method(self.AGGREGATES[kind]).attribute(question.inputs[0]), method.expected(question))

    def test_of_one_example_with_auto_batches(self) -> None:
        question = four_scalars(rows=1)
        explainer = by_shares(self.AGGREGATES["float"])
        agree(explainer.attribute(question.inputs[0], perturbations_per_eval="auto"), FOCALOGIC.expected(question))
        assert explainer.explain(question.inputs[0])[0].region_sets() == [{0, 1}, {0, 2}]

    @pytest.mark.parametrize("kind", ["float", "0-d", "(1,)"])
    @pytest.mark.parametrize("rows", [1, 2])
    def test_of_several_perturbations(self, method: Method, kind: str, rows: int) -> None:
        with pytest.raises(AssertionError):
            method(self.AGGREGATES[kind]).attribute(four_scalars(rows).inputs[0], perturbations_per_eval=2)

    @pytest.mark.differs("Captum attributes to the aggregate, with one row for the whole batch")
    @pytest.mark.parametrize("kind", ["float", "int", "0-d", "(1,)"])
    @pytest.mark.parametrize("per_eval", [1])
    def test_of_several_examples(self, method: Method, kind: str, per_eval: int) -> None:
        with pytest.raises(AssertionError) as raised:
            method(self.AGGREGATES[kind]).attribute(four_scalars().inputs[0], perturbations_per_eval=per_eval)
        assert isinstance(raised.value, ValueError)

    @pytest.mark.parametrize("shape", [(1, 5), (3, 2), (1, 5, 3, 2), (0, 2)], ids=str)
    def test_outputs_without_a_row_an_input(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ModelOutputError):
            FocaLogic(lambda x: torch.ones(shape)).attribute(four_scalars().inputs[0])

    @pytest.mark.parametrize("output", [None, "cat", (torch.ones(1, 2),), {"logits": torch.ones(1, 2)}, [0.5]], ids=str)
    def test_outputs_that_are_no_tensor(self, method: Method, output: Any) -> None:
        with pytest.raises((AssertionError, AttributeError)):
            method(lambda x: output).attribute(four_scalars(rows=1).inputs[0], target=1)

    @pytest.mark.parametrize("output", [None, "cat", (torch.ones(1, 2),), {"logits": torch.ones(1, 2)}, [0.5]], ids=str)
    def test_outputs_that_are_no_tensor_are_explained(self, output: Any) -> None:
        with pytest.raises(ModelOutputError, match=type(output).__name__):
            FocaLogic(lambda x: output).attribute(four_scalars(rows=1).inputs[0], target=1)

    def test_nan_for_the_whole_input(self) -> None:
        with pytest.raises(ModelOutputError, match="NaN"):
            FocaLogic(lambda x: torch.full((len(x), 2), torch.nan)).attribute(four_scalars().inputs[0], target=1)

    def test_nan_for_masked_inputs_counts_as_lost(self) -> None:
        question = four_scalars(rows=1)

        def forward(x: Tensor) -> Tensor:
            scores = question.model(x)
            return torch.where(x[:, 1:2] == 0, torch.nan, scores)

        with pytest.warns(UserWarning, match="NaN") as warned:
            given = by_shares(forward).attribute(question.inputs[0], target=1)
        assert len(warned) == 1
        assert given.tolist() == [[1.0, 1.0, 0.0, 0.0]]


class TestFutures:
    """A search needs each answer before it knows the next question."""

    def test_futures_are_refused(self, method: Method) -> None:
        question = four_scalars()
        with pytest.raises(AssertionError):
            method(_construct_future_forward(question.model)).attribute(question.inputs[0], target=1)

    def test_the_error_says_what_to_do(self) -> None:
        question = four_scalars()
        with pytest.raises(ModelOutputError, match="Future"):
            FocaLogic(_construct_future_forward(question.model)).attribute(question.inputs[0], target=1)


class TestErrorsOfTheModel:
    """They are the user's own, and pass through."""

    def failing(self, after: int) -> Any:
        calls = [0]
        error = LookupError("no such row")

        def forward(x: Tensor) -> Tensor:
            calls[0] += 1
            if calls[0] > after:
                raise error
            return four_scalars().model(x)

        return forward, error

    @pytest.mark.parametrize("after", [0, 1, 3])
    def test_the_same_exception(self, method: Method, after: int) -> None:
        forward, error = self.failing(after)
        with pytest.raises(LookupError, match="no such row") as raised:
            method(forward).attribute(four_scalars().inputs[0], target=1)
        assert raised.value is error

    def test_an_interrupt_from_the_keyboard(self, method: Method) -> None:
        calls = []

        def forward(x: Tensor) -> Tensor:
            calls.append(len(x))
            if len(calls) == 3:
                raise KeyboardInterrupt
            return four_scalars().model(x)

        with pytest.raises(KeyboardInterrupt):
            method(forward).attribute(four_scalars().inputs[0], target=1)
        assert len(calls) == 3

    @pytest.mark.parametrize("after", [0, 3])
    def test_with_a_note(self, after: int) -> None:
        forward, error = self.failing(after)
        with pytest.raises(LookupError):
            FocaLogic(forward).attribute(four_scalars().inputs[0], target=1)
        assert len(error.__notes__) == 1
        assert "float32" in error.__notes__[0]
        assert "4)" in error.__notes__[0]
