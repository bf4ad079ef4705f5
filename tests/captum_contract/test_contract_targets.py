"""Targets: which class of which output is explained, in every form that Captum takes."""

import warnings
from typing import ClassVar

import pytest
import torch
from torch import Tensor
from weighing import FOCALOGIC, Method, Question, agree, by_shares, four_scalars, scalars

from captum_focalogic import FocaLogic


def mixed(target: tuple[int | None, ...]) -> Question:
    """Rows 0 and 2 are class 1; row 1 is class 0 with a baseline that is class 1 (8 > 6.5)."""
    inputs = torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0]])
    baselines = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    return Question((torch.tensor([5.0, 3.0, 2.0, 1.0]),), 6.5, (inputs,), scalars(inputs), (baselines,), target)


def ask(method: Method, question: Question, target: object) -> Tensor:
    return method(question.model).attribute(question.inputs[0], question.baselines[0], target)


@pytest.mark.parametrize(
    "target",
    [1, (1,), torch.tensor(1), torch.tensor([1]), [1, 1], torch.tensor([1, 1]), [(1,), (1,)]],
    ids=["int", "tuple", "0-d", "one element", "list", "one each", "list of tuples"],
)
def test_one_class_for_all(method: Method, target: object) -> None:
    question = four_scalars()
    agree(method(question.model).attribute(question.inputs[0], target=target), method.expected(question))


@pytest.mark.parametrize(
    "target",
    [[1, 0, 1], torch.tensor([1, 0, 1]), torch.tensor([1, 0, 1], dtype=torch.int64), [(1,), (0,), (1,)]],
    ids=["list", "tensor", "int64 tensor", "list of tuples"],
)
def test_a_class_for_each(method: Method, target: object) -> None:
    question = mixed((1, 0, 1))
    agree(ask(method, question, target), method.expected(question))


def test_none_is_each_rows_own_prediction() -> None:
    question = mixed((None, None, None))
    agree(ask(FOCALOGIC, question, None), FOCALOGIC.expected(question))


@pytest.mark.parametrize("target", [-1, (-1,), torch.tensor(-1)], ids=str)
def test_negative_classes_count_from_the_end(method: Method, target: object) -> None:
    # Of three classes, so that -1 is not 1 as well.
    question = four_scalars()

    def forward(x: Tensor) -> Tensor:
        return torch.cat([torch.zeros(len(x), 1), question.model(x)], dim=1)

    agree(method(forward).attribute(question.inputs[0], target=target), method.expected(question))


@pytest.mark.parametrize("per_eval", [1, 3])
@pytest.mark.parametrize("many", [False, True], ids=["one tuple", "list of tuples"])
def test_outputs_of_more_than_two_dimensions(method: Method, many: bool, per_eval: int) -> None:
    # Only the class at the target's position counts: elsewhere the classes are the other way round.
    question = four_scalars()

    def forward(x: Tensor) -> Tensor:
        scores = question.model(x)
        places = torch.stack([scores.flip(1)] * 6, dim=2).reshape(len(x), 2, 2, 3).clone()
        places[:, :, 1, 2] = scores
        return places

    target = [(1, 1, 2)] * 2 if many else (1, 1, 2)
    given = method(forward).attribute(question.inputs[0], target=target, perturbations_per_eval=per_eval)
    agree(given, method.expected(question))


def test_a_position_for_each() -> None:
    # At position 0 the scores are the model's, at position 1 the classes are exchanged.
    question = four_scalars()
    given = by_shares(lambda x: torch.stack([question.model(x), question.model(x).flip(1)], dim=2)).attribute(
        question.inputs[0], target=[(1, 0), (0, 1)]
    )
    agree(given, FOCALOGIC.expected(question))


@pytest.mark.parametrize("target", [None, 1, (1,), (1, 0, 0)], ids=str)
def test_dimensions_of_size_one_hold_no_position(target: object) -> None:
    question = four_scalars()
    given = by_shares(lambda x: question.model(x)[:, :, None, None]).attribute(question.inputs[0], target=target)
    agree(given, FOCALOGIC.expected(question))


@pytest.mark.parametrize("shape", [(), (1,)], ids=["(N,)", "(N, 1)"])
def test_one_number_needs_no_target(method: Method, shape: tuple[int, ...]) -> None:
    question = four_scalars()
    given = method(lambda x: (question.model.total(x) - 6.5).reshape(-1, *shape)).attribute(question.inputs[0])
    agree(given, method.expected(question))


@pytest.mark.parametrize("target", [0, (0,), [0, 0], torch.tensor([0])], ids=str)
def test_one_number_in_a_column_may_be_named(method: Method, target: object) -> None:
    question = four_scalars()
    given = method(lambda x: (question.model.total(x) - 6.5)[:, None]).attribute(question.inputs[0], target=target)
    agree(given, method.expected(question))


class TestTargetsThatAreNotThePrediction:
    """No final state, zeros, one warning, no exception: Captum's callers pass arbitrary targets."""

    @pytest.mark.parametrize("target", [0, [0, 0], torch.tensor([0, 0])], ids=str)
    def test_zeros(self, method: Method, target: object) -> None:
        question = four_scalars(target=(0, 0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = method(question.model).attribute(question.inputs[0], target=target)
        assert not given.any()
        agree(given, method.expected(question))

    def test_one_warning_for_all_rows(self) -> None:
        question = four_scalars(rows=4, target=(0, 0, 0, 0))
        with pytest.warns(UserWarning, match="not the prediction") as warned:
            by_shares(question.model).attribute(question.inputs[0], target=0)
        assert len(warned) == 1
        assert warned[0].filename == __file__

    def test_only_the_rows_concerned(self) -> None:
        question = mixed((1, 1, 1))
        with pytest.warns(UserWarning, match=r"\b1\b.*not the prediction") as warned:
            given = ask(FOCALOGIC, question, 1)
        assert len(warned) == 1
        agree(given, FOCALOGIC.expected(question))
        assert given[0].any()
        assert not given[1].any()

    def test_no_warning_otherwise(self) -> None:
        question = four_scalars()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            by_shares(question.model).attribute(question.inputs[0], target=1)


class TestTargetsThatFitNothing:
    """Captum raises AssertionError, people expect ValueError: FocaLogic's error is both."""

    FITTING_NOTHING: ClassVar = [
        pytest.param((1, 0), (2,), id="tuple too long"),
        pytest.param((9999,) * 20, (2,), id="much too long"),
        pytest.param([1], (2,), id="list too short"),
        pytest.param([1, 1, 1], (2,), id="list too long"),
        pytest.param(torch.tensor([1, 1, 1]), (2,), id="tensor too long"),
        pytest.param(torch.tensor([[1], [1]]), (2,), id="two-dimensional tensor"),
        pytest.param("cat", (2,), id="str"),
        pytest.param({"class": 1}, (2,), id="dict"),
        pytest.param(["cat", "dog"], (2,), id="list of str"),
        pytest.param(0, (), id="class of one number"),
        pytest.param([0, 0], (), id="classes of one number"),
        pytest.param((1, 0, 0, 0), (2, 2, 2), id="tuple too long for maps"),
        pytest.param([1, 1], (2, 2, 2), id="ints for maps"),
        pytest.param(torch.tensor([1, 1]), (2, 2, 2), id="tensor for maps"),
    ]

    FITTING_NOTHING_HERE: ClassVar = [
        pytest.param(2, (2,), id="out of range"),
        pytest.param(-3, (2,), id="out of range from the end"),
        pytest.param([1, 2], (2,), id="one out of range"),
        pytest.param(1, (1,), id="second class of one number"),
        pytest.param(torch.tensor([1.0, 1.0]), (2,), id="float tensor"),
        pytest.param(1.0, (2,), id="float"),
        pytest.param(1, (2, 2, 2), id="no position"),
        pytest.param(None, (2, 2, 2), id="nothing for maps"),
        pytest.param((1, 2, 0), (2, 2, 2), id="position out of range"),
        pytest.param((slice(None), 0, 0), (2, 2, 2), id="slice"),
        pytest.param([], (2,), id="empty list"),
        pytest.param((), (2,), id="empty tuple"),
    ]

    @pytest.mark.parametrize(("target", "shape"), FITTING_NOTHING)
    def test_as_in_captum(self, method: Method, target: object, shape: tuple[int, ...]) -> None:
        with pytest.raises(AssertionError):
            method(lambda x: torch.ones(len(x), *shape)).attribute(torch.ones(2, 3), target=target)

    @pytest.mark.parametrize(("target", "shape"), FITTING_NOTHING + FITTING_NOTHING_HERE)
    def test_both_kinds_of_error(self, target: object, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="target") as raised:
            FocaLogic(lambda x: torch.ones(len(x), *shape)).attribute(torch.ones(2, 3), target=target)
        assert isinstance(raised.value, AssertionError)
