"""Inputs and baselines: tensors and tuples of them, any dtype, any number of dimensions, any batch size."""

import numpy as np
import pytest
import torch
from torch import Tensor
from weighing import FOCALOGIC, Method, Question, agree, by_shares, exceeds, four_scalars, scalars

from captum_focalogic import FocaLogic
from captum_focalogic.errors import InputError

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))]
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def two_inputs() -> Question:
    """A 1-D and a 2-D input a row; scalars 4, 1 | 1, 2, 4 (weighted), class 1 above 6.5."""
    inputs = (
        torch.tensor([[1.0, 1.0], [2.0, 0.0], [1.0, 1.0]]),
        torch.tensor([[[1.0, 1.0, 2.0]], [[1.0, 1.0, 0.0]], [[3.0, 0.0, 1.0]]]),
    )
    weights = (torch.tensor([4.0, 1.0]), torch.tensor([[1.0, 2.0, 2.0]]))
    return Question(weights, 6.5, inputs, scalars(*inputs), target=(1, 1, 1))


def test_tensor_in_tensor_out(method: Method) -> None:
    question = four_scalars()
    given = method(question.model).attribute(question.inputs[0], target=1)
    assert isinstance(given, Tensor)
    agree(given, method.expected(question))


def test_tuple_in_tuple_out(method: Method) -> None:
    question = two_inputs()
    given = method(question.model).attribute(question.inputs, target=1)
    assert isinstance(given, tuple)
    agree(given, method.expected(question))


def test_tuple_of_one_in_tuple_of_one_out(method: Method) -> None:
    question = four_scalars()
    given = method(question.model).attribute(question.inputs, target=1)
    assert isinstance(given, tuple)
    agree(given, method.expected(question))


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_any_batch_size(method: Method, rows: int) -> None:
    question = four_scalars(rows)
    agree(method(question.model).attribute(question.inputs[0], target=1), method.expected(question))


@pytest.mark.parametrize("shape", [(), (4,), (2, 2), (1, 2, 2), (1, 1, 2, 2)], ids=lambda s: f"{len(s) + 1}-D")
def test_any_number_of_dimensions(method: Method, shape: tuple[int, ...]) -> None:
    size = int(np.prod(shape))
    inputs = torch.stack([torch.ones(shape), torch.full(shape, 2.0)])
    weights = torch.tensor([5.0, 3.0, 2.0, 1.0])[:size].reshape(shape)
    # 4-D inputs are images: regions come from a mask, not one per scalar.
    mask = torch.arange(size).reshape(1, *shape)
    question = Question((weights,), 4.5, (inputs,), (mask.expand_as(inputs),), target=(1, 1))
    given = method(question.model).attribute(inputs, target=1, feature_mask=mask)
    agree(given, method.expected(question))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("device", DEVICES)
def test_floating_point_inputs(method: Method, dtype: torch.dtype, device: str) -> None:
    question = four_scalars()
    inputs = question.inputs[0].to(device, dtype)
    given = method(question.model).attribute(inputs, target=1)
    assert given.dtype == dtype
    assert given.device == inputs.device
    agree(given, method.expected(question), tolerance=1e-2)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.bool], ids=str)
@pytest.mark.parametrize("device", DEVICES)
def test_whole_number_inputs(method: Method, dtype: torch.dtype, device: str) -> None:
    inputs = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 1.0]]).to(device, dtype)
    question = Question((torch.tensor([5.0, 3.0, 2.0, 1.0]),), 6.5, (inputs.cpu(),), scalars(inputs), target=(1, 1))
    given = method(question.model).attribute(inputs, target=1)
    assert given.dtype == torch.float32
    agree(given, method.expected(question))


def test_inputs_of_different_dtypes(method: Method) -> None:
    question = two_inputs()
    inputs = (question.inputs[0].double(), question.inputs[1].long())
    given = method(lambda a, b: question.model(a.float(), b)).attribute(inputs, target=1)
    agree(given, method.expected(question))


def test_attributions_have_the_dtypes_of_their_inputs() -> None:
    question = two_inputs()
    inputs = (question.inputs[0].double(), question.inputs[1].long())
    given = by_shares(lambda a, b: question.model(a.float(), b)).attribute(inputs, target=1)
    assert [tensor.dtype for tensor in given] == [torch.float64, torch.float32]


@pytest.mark.parametrize("scattered", ["transposed", "expanded", "sliced"])
def test_inputs_that_are_not_contiguous(method: Method, scattered: str) -> None:
    base = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 2.0, 1.0]])
    inputs = {
        "transposed": base.t().contiguous().t(),
        "expanded": base[:1].expand(2, 4),
        "sliced": base.repeat_interleave(2, dim=1)[:, ::2],
    }[scattered]
    question = Question((torch.tensor([5.0, 3.0, 2.0, 1.0]),), 6.5, (inputs,), scalars(inputs), target=(1, 1))
    agree(method(question.model).attribute(inputs, target=1), method.expected(question))


def test_inputs_that_require_gradients(method: Method) -> None:
    question = four_scalars()
    inputs = question.inputs[0].clone().requires_grad_()
    given = method(question.model).attribute(inputs, target=1)
    assert not given.requires_grad
    assert inputs.grad is None
    agree(given, method.expected(question))


def test_one_empty_tensor_of_a_tuple(method: Method) -> None:
    question = four_scalars()
    given = method(lambda x, _nothing: question.model(x)).attribute((question.inputs[0], torch.ones(2, 0)), target=1)
    agree(given, (*method.expected(question), torch.ones(2, 0, dtype=torch.float64)))


def test_infinite_inputs_stay_inside_their_region() -> None:
    # Multiplying by a mask would make NaN of the dropped infinity.
    inputs = torch.tensor([[torch.inf, 2.0, 1.0]])
    model = exceeds(2.5, lambda x: x[:, 1] + x[:, 2])
    assert by_shares(model).attribute(inputs, target=1).tolist() == [[0.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    "inputs",
    [
        None,
        "image.png",
        [[1.0, 2.0]],
        [torch.ones(1, 2)],
        np.ones((1, 2)),
        (),
        torch.ones(0, 4),
        torch.tensor(1.0),
        (torch.ones(2, 4), torch.ones(3, 4)),
        (torch.ones(2, 4), None),
        torch.tensor([[1.0, torch.nan, 1.0, 1.0]]),
        (torch.ones(1, 4), torch.tensor([[torch.nan]])),
    ],
    ids=[
        "None",
        "str",
        "list",
        "list of tensors",
        "array",
        "empty tuple",
        "no rows",
        "no dimensions",
        "unequal rows",
        "tuple with None",
        "NaN",
        "NaN in a tuple",
    ],
)
def test_inputs_that_cannot_be_used(inputs: object) -> None:
    with pytest.raises(InputError):
        FocaLogic(lambda *x: torch.zeros(len(x[0]), 2)).attribute(inputs, target=0)


class TestBaselines:
    """What dropped regions are replaced by."""

    def question(self, baselines: Tensor) -> Question:
        plain = four_scalars()
        return Question(
            plain.weights, 8.5, plain.inputs, plain.masks, (baselines.expand(2, 4).to(torch.float64),), (1, 1)
        )

    @pytest.mark.filterwarnings("ignore:example.*baseline alone:UserWarning")
    @pytest.mark.parametrize("baseline", [0, 0.25, -1, True], ids=repr)
    def test_numbers(self, method: Method, baseline: float) -> None:
        question = self.question(torch.tensor(float(baseline)))
        given = method(question.model).attribute(question.inputs[0], baselines=baseline, target=1)
        agree(given, method.expected(question))

    @pytest.mark.parametrize("rows", [1, 2])
    def test_tensors(self, method: Method, rows: int) -> None:
        baselines = torch.tensor([[0.0, 0.5, 0.0, 2.0], [0.5, 0.0, 0.0, 0.0]])[:rows]
        question = self.question(baselines)
        given = method(question.model).attribute(question.inputs[0], baselines=baselines, target=1)
        agree(given, method.expected(question))

    def test_a_tuple_of_one_for_a_plain_input(self, method: Method) -> None:
        # NoiseTunnel passes baselines on in a tuple, whatever it was given.
        baselines = torch.tensor([[0.0, 0.5, 0.0, 2.0]])
        question = self.question(baselines)
        given = method(question.model).attribute(question.inputs[0], baselines=(baselines,), target=1)
        agree(given, method.expected(question))

    def test_a_plain_baseline_for_a_tuple_of_one(self, method: Method) -> None:
        # sensitivity_max passes inputs on in a tuple, and the rest as it is.
        baselines = torch.tensor([[0.0, 0.5, 0.0, 2.0]])
        question = self.question(baselines)
        given = method(question.model).attribute(question.inputs, baselines=baselines, target=1)
        assert isinstance(given, tuple)
        agree(given, method.expected(question))

    def test_numbers_and_tensors_in_a_tuple(self, method: Method) -> None:
        plain = two_inputs()
        second = torch.tensor([[[0.5, 0.0, 1.0]]])
        full = (torch.full((3, 2), 0.5), second.expand(3, 1, 3))
        question = Question(plain.weights, 6.5, plain.inputs, plain.masks, full, (1, 1, 1))
        given = method(question.model).attribute(plain.inputs, baselines=(0.5, second), target=1)
        agree(given, method.expected(question))

    def test_a_fraction_for_whole_number_inputs(self, method: Method) -> None:
        # The masked inputs hold 0.5, not the 0 it would be cut down to.
        inputs = torch.tensor([[1, 1, 1, 1]])
        question = Question(
            (torch.tensor([5.0, 3.0, 2.0, 1.0]),), 8.2, (inputs,), scalars(inputs), (torch.full((1, 4), 0.5),), (1,)
        )
        given = method(question.model).attribute(inputs, baselines=0.5, target=1)
        agree(given, method.expected(question))

    def test_infinite_baselines_stay_inside_their_region(self) -> None:
        model = exceeds(2.5, lambda x: x[:, 1] + x[:, 2])
        baselines = torch.tensor([[torch.inf, 0.0, 0.0]])
        assert by_shares(model).attribute(torch.tensor([[1.0, 2.0, 1.0]]), baselines, 1).tolist() == [[0.0, 1.0, 1.0]]

    def test_a_baseline_that_explains_nothing_is_warned_of(self) -> None:
        inputs = torch.tensor([[1.0, 1.0]])
        with pytest.warns(UserWarning, match="baseline") as warned:
            given = by_shares(lambda x: torch.tensor([[0.0, 1.0]]).expand(len(x), 2)).attribute(inputs, target=1)
        assert len(warned) == 1
        assert given.tolist() == [[0.0, 0.0]]

    @pytest.mark.parametrize(
        "baselines",
        [
            "blur",
            [0.0],
            torch.zeros_like,
            (0, 0),
            torch.zeros(3, 4),
            torch.zeros(2, 5),
            torch.full((1, 4), torch.nan),
            torch.nan,
        ],
        ids=["str", "list", "callable", "two for one", "other rows", "other size", "NaN tensor", "NaN"],
    )
    def test_baselines_that_cannot_be_used(self, baselines: object) -> None:
        question = four_scalars()
        with pytest.raises(InputError, match="baseline"):
            FocaLogic(question.model).attribute(question.inputs[0], baselines=baselines, target=1)


def test_inputs_and_baselines_are_never_written_to(method: Method) -> None:
    question = four_scalars()
    inputs, baselines, mask = question.inputs[0].clone(), torch.full((2, 4), 0.25), torch.tensor([[0, 0, 1, 2]])
    before = [tensor.clone() for tensor in (inputs, baselines, mask)]
    versions = [tensor._version for tensor in (inputs, baselines, mask)]
    method(question.model).attribute(inputs, baselines, 1, feature_mask=mask)
    assert [tensor._version for tensor in (inputs, baselines, mask)] == versions
    assert all(torch.equal(a, b) for a, b in zip(before, (inputs, baselines, mask), strict=True))


def test_the_answer_is_not_a_view_of_anything(method: Method) -> None:
    question = four_scalars()
    inputs = question.inputs[0].clone()
    attributor = method(question.model)
    first = attributor.attribute(inputs, target=1)
    first.fill_(-1)
    agree(attributor.attribute(inputs, target=1), method.expected(question))
    agree(inputs, tuple(tensor.double() for tensor in question.inputs))


def test_one_result_an_example() -> None:
    question = four_scalars(rows=3)
    explainer = FOCALOGIC(question.model)
    together = explainer.attribute(question.inputs[0], target=1)
    alone = [explainer.attribute(question.inputs[0][row : row + 1], target=1) for row in range(3)]
    assert torch.equal(together, torch.cat(alone))
