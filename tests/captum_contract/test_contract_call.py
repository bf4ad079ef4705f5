"""The call: names, order and meaning of the arguments that every perturbation method of Captum shares."""

import inspect
import pickle

import pytest
import torch
from captum.attr import Attribution, FeatureAblation, PerturbationAttribution
from torch import Tensor, nn
from weighing import FOCALOGIC, Method, Question, agree, by_shares, four_scalars, scalars

from captum_focalogic import FocaLogic
from captum_focalogic.errors import InputError

SHARED = ["inputs", "baselines", "target", "additional_forward_args", "feature_mask"]


class Counting(nn.Module):
    """Notes how many rows each forward call saw."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.rows: list[int] = []

    def forward(self, *inputs: Tensor) -> Tensor:
        self.rows.append(len(inputs[0]))
        return self.model(*inputs)


def test_is_a_perturbation_attribution(method: Method) -> None:
    attributor = method(four_scalars().model)
    assert isinstance(attributor, PerturbationAttribution)
    assert isinstance(attributor, Attribution)
    assert attributor.has_convergence_delta() is False
    assert attributor.multiplies_by_inputs is True


def test_forward_func_is_an_attribute_that_can_be_exchanged(method: Method) -> None:
    question = four_scalars()
    attributor = method(lambda x: torch.zeros(len(x), 2))
    attributor.forward_func = question.model
    agree(attributor.attribute(question.inputs[0], target=1), method.expected(question))


def test_positional_prefix(method: Method) -> None:
    parameters = list(inspect.signature(method.kind.attribute).parameters.values())[1:]
    assert [p.name for p in parameters[:7]] == [*SHARED, "perturbations_per_eval", "show_progress"]
    assert all(p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for p in parameters[:7])
    assert [p.default for p in parameters[1:7]] == [None, None, None, None, 1, False]
    assert parameters[7].kind is inspect.Parameter.VAR_KEYWORD


def test_wrapped_leads_past_the_usage_log(method: Method) -> None:
    question = four_scalars()
    attributor = method(question.model)
    unlogged = type(attributor).attribute.__wrapped__
    agree(unlogged(attributor, question.inputs[0], target=1), method.expected(question))


def test_all_arguments_by_position(method: Method) -> None:
    inputs = torch.tensor([[1.0, 1.0, 1.0, 1.0]])
    masks, baselines = torch.tensor([[0, 0, 1, 2]]), torch.tensor([[0.0, 0.0, 0.0, 1.0]])
    question = Question((torch.tensor([5.0, 3.0, 2.0, 1.0]),), 9.5, (inputs,), (masks,), (baselines,), (1,))
    given = method(lambda x, double: question.model(x) * double).attribute(
        inputs, baselines, 1, (torch.ones(1, 1),), masks, 2, False
    )
    agree(given, method.expected(question))


@pytest.mark.parametrize("per_eval", [1, 2, 3, 7, 100])
def test_any_number_of_perturbations_per_call(method: Method, per_eval: int) -> None:
    question = four_scalars(rows=3)
    given = method(question.model).attribute(question.inputs[0], target=1, perturbations_per_eval=per_eval)
    agree(given, method.expected(question))


@pytest.mark.parametrize("per_eval", [1, 2, 3, 7])
@pytest.mark.parametrize("rows", [1, 3])
def test_no_call_sees_more_rows_than_were_allowed(method: Method, per_eval: int, rows: int) -> None:
    question = four_scalars(rows)
    model = Counting(question.model)
    method(model).attribute(question.inputs[0], target=1, perturbations_per_eval=per_eval)
    assert 0 < max(model.rows) <= per_eval * rows


def test_batches_are_filled() -> None:
    question = four_scalars(rows=3)
    model = Counting(question.model)
    by_shares(model).attribute(question.inputs[0], target=1, perturbations_per_eval=4)
    assert max(model.rows) > 4


def test_auto_chooses_the_batch_size() -> None:
    question = four_scalars(rows=3)
    given = by_shares(question.model).attribute(question.inputs[0], target=1, perturbations_per_eval="auto")
    agree(given, FOCALOGIC.expected(question))


@pytest.mark.parametrize("per_eval", [0, -1, 1.5, "all"])
def test_impossible_perturbations_per_eval(per_eval: object) -> None:
    question = four_scalars()
    with pytest.raises(InputError, match="perturbations_per_eval"):
        FocaLogic(question.model).attribute(question.inputs[0], perturbations_per_eval=per_eval)


@pytest.mark.parametrize("per_eval", [1, 2, 3])
def test_progress_bar(method: Method, per_eval: int, capsys: pytest.CaptureFixture[str]) -> None:
    question = four_scalars()
    method(question.model).attribute(question.inputs[0], target=1, perturbations_per_eval=per_eval, show_progress=True)
    printed = capsys.readouterr()
    assert f"{method.kind.get_name()} attribution: 100%" in printed.err
    assert printed.out == ""


def test_no_progress_bar_unless_asked_for(method: Method, capsys: pytest.CaptureFixture[str]) -> None:
    question = four_scalars()
    method(question.model).attribute(question.inputs[0], target=1)
    assert capsys.readouterr().err == ""


def test_name() -> None:
    assert FocaLogic.get_name() == "FocaLogic"


def test_attribute_future_is_not_offered() -> None:
    with pytest.raises(NotImplementedError):
        FocaLogic(four_scalars().model).attribute_future(torch.ones(1, 4), target=1)
    with pytest.raises(NotImplementedError):
        FocaLogic(four_scalars().model).attribute_future()


def test_pickles_with_its_model(method: Method) -> None:
    question = four_scalars()
    attributor = pickle.loads(pickle.dumps(method(question.model)))
    agree(attributor.attribute(question.inputs[0], target=1), method.expected(question))


class TestArgumentsOfTheReplacedMethods:
    """Keyword arguments that Lime, KernelShap, ShapleyValueSampling and Occlusion take."""

    def test_n_samples_bounds_the_evaluations(self) -> None:
        question = four_scalars(rows=1)
        model = Counting(question.model)
        with pytest.warns(UserWarning, match="regions to spare"):
            given = by_shares(model).attribute(question.inputs[0], target=1, n_samples=3)
        assert sum(model.rows) == 3
        # Asked: the whole (11), without 0 (6), without 1 (8, enough); whether more can go is not known.
        assert given.tolist() == [[1, 0, 1, 1]]

    def test_n_samples_that_suffice_change_nothing(self) -> None:
        question = four_scalars()
        given = by_shares(question.model).attribute(question.inputs[0], target=1, n_samples=16)
        agree(given, FOCALOGIC.expected(question))

    @pytest.mark.parametrize("n_samples", [0, -5, 2.5, "many"])
    def test_impossible_n_samples(self, n_samples: object) -> None:
        with pytest.raises(InputError, match="n_samples"):
            FocaLogic(four_scalars().model).attribute(torch.ones(1, 4), n_samples=n_samples)

    def test_one_column_a_region_for_return_input_shape_false(self) -> None:
        inputs = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 2.0, 1.0]])
        mask = torch.tensor([[7, 7, -2, 3]])
        question = Question((torch.tensor([5.0, 3.0, 2.0, 1.0]),), 6.5, (inputs,), (mask.expand(2, 4),), target=(1, 1))
        expected = FOCALOGIC.expected(question)[0]
        given = by_shares(question.model).attribute(inputs, target=1, feature_mask=mask, return_input_shape=False)
        assert given.dtype == torch.float32
        # Columns in the order of the region ids: -2, 3, 7.
        agree(given, (expected[:, [2, 3, 0]],))

    def test_return_input_shape_false_is_one_tensor_for_a_tuple(self) -> None:
        question = _two_inputs()
        expected = FOCALOGIC.expected(question)
        given = by_shares(question.model).attribute(question.inputs, target=1, return_input_shape=False)
        assert isinstance(given, Tensor)
        agree(given, (torch.cat([tensor.flatten(1) for tensor in expected], dim=1),))

    def test_regions_a_row_lacks_are_zero_for_return_input_shape_false(self) -> None:
        inputs = torch.ones(2, 3)
        mask = torch.tensor([[0, 0, 1], [1, 2, 2]])
        given = by_shares(Question((torch.tensor([2.0, 2.0, 2.0]),), 1.0, (inputs,), (mask,)).model).attribute(
            inputs, target=1, feature_mask=mask, return_input_shape=False
        )
        agree(given, (torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]], dtype=torch.float64),))

    def test_return_input_shape_true_is_the_default(self) -> None:
        question = four_scalars()
        given = by_shares(question.model).attribute(question.inputs[0], target=1, return_input_shape=True)
        agree(given, FOCALOGIC.expected(question))

    @pytest.mark.parametrize("strides", [None, (1, 2, 2), (5, 2, 2)])
    def test_windows_that_tile_the_input_are_regions(self, strides: object) -> None:
        question = _image_of_tiles(4, 4)
        given = by_shares(question.model).attribute(
            question.inputs[0], target=1, sliding_window_shapes=(1, 2, 2), strides=strides
        )
        agree(given, FOCALOGIC.expected(question))

    def test_one_stride_for_all_dimensions(self) -> None:
        question = _image_of_tiles(4, 4)
        given = by_shares(question.model).attribute(
            question.inputs[0], target=1, sliding_window_shapes=(1, 2, 2), strides=2
        )
        agree(given, FOCALOGIC.expected(question))

    def test_windows_are_cut_off_at_the_border(self) -> None:
        question = _image_of_tiles(3, 5)
        given = by_shares(question.model).attribute(question.inputs[0], target=1, sliding_window_shapes=(1, 2, 2))
        agree(given, FOCALOGIC.expected(question))

    def test_windows_of_several_inputs(self) -> None:
        question = _two_inputs()
        masks = (torch.tensor([[0, 0]]), torch.tensor([[1, 1, 2]]))
        question = Question(question.weights, 6.5, question.inputs, masks, target=(1,))
        given = by_shares(question.model).attribute(
            question.inputs, target=1, sliding_window_shapes=((2,), (2,)), strides=(2, (2,))
        )
        agree(given, FOCALOGIC.expected(question))

    @pytest.mark.parametrize(
        "arguments",
        [
            {"sliding_window_shapes": (1, 2, 2), "strides": 1},
            {"sliding_window_shapes": (1, 2, 2), "strides": (1, 1, 2)},
            {"sliding_window_shapes": (1, 2, 2), "strides": 3},
            {"sliding_window_shapes": (1, 2)},
            {"sliding_window_shapes": (1, 2, 9)},
            {"sliding_window_shapes": (1, 0, 2)},
            {"sliding_window_shapes": (1, 2, 2), "feature_mask": torch.zeros(1, 1, 4, 4, dtype=torch.long)},
            {"strides": (1, 2, 2)},
        ],
        ids=str,
    )
    def test_windows_that_are_no_regions(self, arguments: dict[str, object]) -> None:
        question = _image_of_tiles(4, 4)
        with pytest.raises(InputError, match=r"sliding.window|strides"):
            FocaLogic(question.model).attribute(question.inputs[0], target=1, **arguments)

    @pytest.mark.parametrize("name", ["n_steps", "internal_batch_size", "features_mask"])
    def test_what_is_not_understood_is_named(self, name: str) -> None:
        with pytest.raises(InputError, match=name):
            FocaLogic(four_scalars().model).attribute(torch.ones(1, 4), **{name: 3})

    def test_feature_ablation_swallows_what_it_does_not_understand(self) -> None:
        question = four_scalars()
        FeatureAblation(question.model).attribute(question.inputs[0], target=1, features_mask=3)


def _two_inputs() -> Question:
    inputs = (torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 1.0, 2.0]]))
    weights = (torch.tensor([4.0, 1.0]), torch.tensor([1.0, 2.0, 2.0]))
    return Question(weights, 6.5, inputs, scalars(*inputs), target=(1,))


def _image_of_tiles(height: int, width: int) -> Question:
    """One row of 1 x height x width pixels in tiles of 2 x 2; each tile weighs more than the one before."""
    rows, columns = torch.arange(height) // 2, torch.arange(width) // 2
    mask = (rows[:, None] * (int(columns.max()) + 1) + columns[None, :])[None, None]
    inputs = torch.ones(1, 1, height, width)
    weights = (mask[0] + 1).float()
    return Question((weights,), 0.6 * float(weights.sum()), (inputs,), (mask,), target=(1,))
