"""Additional forward arguments: matched to the examples they belong to, or passed on as they are."""

from typing import Any

import pytest
import torch
from torch import Tensor
from weighing import FOCALOGIC, Method, Question, agree, by_shares, four_scalars

from captum_focalogic import FocaLogic


class Recording:
    """A forward function that notes the additional arguments of every call."""

    def __init__(self, question: Question) -> None:
        self.model = question.model
        self.calls: list[tuple[int, tuple[Any, ...]]] = []

    def __call__(self, x: Tensor, *args: Any) -> Tensor:
        self.calls.append((len(x), args))
        return self.model(x)


@pytest.mark.parametrize("per_eval", [1, 2, 5])
def test_rows_are_matched_to_their_examples(method: Method, per_eval: int) -> None:
    # What an example lacks to be the question's comes as an argument: any mix-up changes the answer.
    question = four_scalars(rows=3)
    scale = torch.tensor([[1.0], [2.0], [4.0]])

    def forward(x: Tensor, scale: Tensor) -> Tensor:
        assert scale.shape == (len(x), 1)
        return question.model(x / scale)

    given = method(forward).attribute(
        question.inputs[0] * scale, target=1, additional_forward_args=scale, perturbations_per_eval=per_eval
    )
    agree(given, method.expected(question))


@pytest.mark.parametrize("per_eval", [1, 3])
def test_several_arguments_of_several_kinds(method: Method, per_eval: int) -> None:
    question = four_scalars()
    args = (torch.tensor([1.0, 2.0]), 2.0, None, torch.ones(2, 3, 1, dtype=torch.long))

    def forward(x: Tensor, rows: Tensor, two: float, nothing: None, cube: Tensor) -> Tensor:
        assert (two, nothing, len(rows), cube.shape[1:]) == (2.0, None, len(x), (3, 1))
        return question.model(x / rows[:, None] / two)

    given = method(forward).attribute(
        question.inputs[0] * torch.tensor([[2.0], [4.0]]),
        target=1,
        additional_forward_args=args,
        perturbations_per_eval=per_eval,
    )
    agree(given, method.expected(question))


@pytest.mark.parametrize(
    "argument",
    [5, "text", {"key": [1]}, [1, 2], [torch.ones(2)], object(), torch.tensor(3.0)],
    ids=["int", "str", "dict", "list", "list of tensors", "object", "0-d tensor"],
)
def test_other_objects_are_passed_on_as_they_are(method: Method, argument: object) -> None:
    question = four_scalars()
    forward = Recording(question)
    method(forward).attribute(question.inputs[0], target=1, additional_forward_args=argument, perturbations_per_eval=2)
    assert len(forward.calls) > 1
    assert all(len(args) == 1 and args[0] is argument for _, args in forward.calls)


def test_none_is_no_argument(method: Method) -> None:
    question = four_scalars()
    forward = Recording(question)
    method(forward).attribute(question.inputs[0], target=1, additional_forward_args=None)
    assert {args for _, args in forward.calls} == {()}


def test_none_in_a_tuple_is_one(method: Method) -> None:
    question = four_scalars()
    forward = Recording(question)
    method(forward).attribute(question.inputs[0], target=1, additional_forward_args=(None,))
    assert {args for _, args in forward.calls} == {(None,)}


def test_a_single_row_is_repeated_for_a_single_example(method: Method) -> None:
    question = four_scalars(rows=1)
    forward = Recording(question)
    method(forward).attribute(
        question.inputs[0], target=1, additional_forward_args=torch.ones(1, 2), perturbations_per_eval=3
    )
    assert all(args[0].shape == (rows, 2) for rows, args in forward.calls)


def test_a_single_row_is_repeated_for_many_examples() -> None:
    question = four_scalars(rows=3)
    forward = Recording(question)
    by_shares(forward).attribute(
        question.inputs[0], target=1, additional_forward_args=torch.full((1, 2), 7.0), perturbations_per_eval=2
    )
    assert all(torch.equal(args[0], torch.full((rows, 2), 7.0)) for rows, args in forward.calls)


def test_tensors_that_go_with_no_example_are_passed_on_as_they_are() -> None:
    # A table of embeddings, say. Captum repeats it with the rows, which nothing could look up in.
    question = four_scalars(rows=3)
    table = torch.arange(10.0).reshape(5, 2)
    forward = Recording(question)
    by_shares(forward).attribute(question.inputs[0], target=1, additional_forward_args=table, perturbations_per_eval=2)
    assert all(args[0] is table for _, args in forward.calls)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float64], ids=str)
def test_arguments_keep_their_dtype(method: Method, dtype: torch.dtype) -> None:
    question = four_scalars()
    forward = Recording(question)
    method(forward).attribute(
        question.inputs[0], target=1, additional_forward_args=torch.ones(2, 1, dtype=dtype), perturbations_per_eval=2
    )
    assert {args[0].dtype for _, args in forward.calls} == {dtype}


def test_arguments_are_not_written_to(method: Method) -> None:
    question = four_scalars()
    argument = torch.ones(2, 1)
    method(Recording(question)).attribute(question.inputs[0], target=1, additional_forward_args=argument)
    assert argument._version == 0


def test_tuple_inputs_come_before_the_arguments(method: Method) -> None:
    question = four_scalars()
    halves = (question.inputs[0][:, :2], question.inputs[0][:, 2:])

    def forward(first: Tensor, second: Tensor, label: str) -> Tensor:
        assert label == "label"
        return question.model(torch.cat([first, second], dim=1))

    given = method(forward).attribute(halves, target=1, additional_forward_args="label")
    agree(torch.cat(given, dim=1), method.expected(question))


def test_explain_takes_the_same_arguments() -> None:
    question = four_scalars()
    scale = torch.tensor([[1.0], [2.0]])
    focuses = FocaLogic(lambda x, scale: question.model(x / scale)).explain(
        question.inputs[0] * scale, target=1, additional_forward_args=scale
    )
    assert [focus.region_sets() for focus in focuses] == [[{0, 1}, {0, 2}], [{0, 2}]]
    agree(torch.stack([torch.from_numpy(focus.frequencies) for focus in focuses]), FOCALOGIC.expected(question))
