"""Feature masks: equal values are one region, whatever the values, the shape or the tensor they stand in."""

import pytest
import torch
from torch import Tensor
from weighing import FOCALOGIC, Method, Question, agree, by_shares, exceeds, four_scalars

from captum_focalogic import FocaLogic
from captum_focalogic.errors import InputError


def image(mask: Tensor, rows: int = 2, channels: int = 2) -> Question:
    """Images of channels x 2 x 3 pixels; pixel weights 1 to 6 the same in each channel, row r holds r + 1."""
    inputs = torch.stack([torch.full((channels, 2, 3), float(row + 1)) for row in range(rows)])
    weights = torch.arange(1.0, 7.0).reshape(1, 2, 3).expand(channels, 2, 3).contiguous()
    full = mask.expand(rows, channels, 2, 3)
    return Question((weights,), 0.7 * 21 * channels, (inputs,), (full,), target=(1,) * rows)


STRIPES = torch.tensor([[0, 0, 1], [2, 2, 1]])


@pytest.mark.parametrize(
    "mask",
    [
        STRIPES,
        STRIPES[None],
        STRIPES[None, None],
        STRIPES.expand(1, 2, 2, 3),
        STRIPES.expand(2, 1, 2, 3),
        STRIPES.expand(2, 2, 2, 3),
        STRIPES.expand(2, 2, 2, 3).contiguous(),
        torch.stack([STRIPES, STRIPES + 3])[None],
        torch.tensor([[4, 5, 6]]),
    ],
    ids=["H W", "1 H W", "1 1 H W", "1 C H W", "N 1 H W", "N C H W", "N C H W copied", "1 C H W by channel", "1 W"],
)
def test_masks_broadcast_to_the_inputs(method: Method, mask: Tensor) -> None:
    question = image(mask)
    given = method(question.model).attribute(question.inputs[0], target=1, feature_mask=mask)
    agree(given, method.expected(question))


def test_a_mask_for_each_example(method: Method) -> None:
    mask = torch.stack([STRIPES, STRIPES.flip(1)])[:, None]
    question = image(mask)
    given = method(question.model).attribute(question.inputs[0], target=1, feature_mask=mask)
    agree(given, method.expected(question))


def test_examples_may_have_different_numbers_of_regions() -> None:
    mask = torch.stack([STRIPES, torch.zeros_like(STRIPES), torch.arange(6).reshape(2, 3)])[:, None]
    question = image(mask, rows=3)
    given = by_shares(question.model).attribute(question.inputs[0], target=1, feature_mask=mask)
    agree(given, FOCALOGIC.expected(question))


@pytest.mark.parametrize(
    "values",
    [[0, 1, 2], [5, 100, 7], [-3, 0, 9], [-1, -2, -3], [2, 1, 0], [10**12, -(10**12), 0]],
    ids=str,
)
def test_any_values_with_any_gaps(method: Method, values: list[int]) -> None:
    mask = torch.tensor(values)[STRIPES][None, None]
    question = image(mask)
    given = method(question.model).attribute(question.inputs[0], target=1, feature_mask=mask)
    agree(given, method.expected(question))


def test_the_values_are_the_region_ids() -> None:
    mask = torch.tensor([5, -100, 7])[STRIPES][None, None]
    question = image(mask)
    focus = FocaLogic(question.model).explain(question.inputs[0], target=1, feature_mask=mask)[0]
    assert focus.region_ids.tolist() == [-100, 5, 7]


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.uint8], ids=str)
def test_whole_number_dtypes(method: Method, dtype: torch.dtype) -> None:
    question = image(STRIPES)
    given = method(question.model).attribute(question.inputs[0], target=1, feature_mask=STRIPES[None, None].to(dtype))
    agree(given, method.expected(question))


def test_float_masks_of_whole_numbers(method: Method) -> None:
    question = image(STRIPES)
    given = method(question.model).attribute(question.inputs[0], target=1, feature_mask=STRIPES[None, None].float())
    agree(given, method.expected(question))


def test_boolean_masks_are_two_regions(method: Method) -> None:
    mask = STRIPES[None, None] == 1
    question = image(mask.long())
    given = method(question.model).attribute(question.inputs[0], target=1, feature_mask=mask)
    agree(given, method.expected(question))


@pytest.mark.parametrize("scattered", ["transposed", "sliced", "expanded"])
def test_masks_that_are_not_contiguous(method: Method, scattered: str) -> None:
    mask = {
        "transposed": STRIPES.t().contiguous().t(),
        "sliced": STRIPES.repeat_interleave(2, dim=1)[:, ::2],
        "expanded": torch.tensor([[0, 1, 1]]).expand(2, 3),
    }[scattered]
    question = image(mask)
    given = method(question.model).attribute(question.inputs[0], target=1, feature_mask=mask[None, None])
    agree(given, method.expected(question))


def two_tensors(masks: tuple[Tensor, Tensor]) -> Question:
    inputs = (torch.tensor([[1.0, 1.0], [2.0, 1.0]]), torch.tensor([[1.0, 1.0, 2.0], [0.0, 1.0, 1.0]]))
    weights = (torch.tensor([4.0, 1.0]), torch.tensor([1.0, 2.0, 2.0]))
    full = tuple(mask.expand_as(tensor) for mask, tensor in zip(masks, inputs, strict=True))
    return Question(weights, 6.5, inputs, full, target=(1, 1))


def test_ids_are_global_across_tensors(method: Method) -> None:
    masks = (torch.tensor([[0, 1]]), torch.tensor([[1, 2, 0]]))
    question = two_tensors(masks)
    given = method(question.model).attribute(question.inputs, target=1, feature_mask=masks)
    agree(given, method.expected(question))


def test_default_ids_go_on_from_tensor_to_tensor() -> None:
    question = two_tensors((torch.tensor([[0, 1]]), torch.tensor([[2, 3, 4]])))
    focus = FocaLogic(question.model).explain(question.inputs, target=1)[0]
    assert focus.region_ids.tolist() == [0, 1, 2, 3, 4]
    agree(by_shares(question.model).attribute(question.inputs, target=1), FOCALOGIC.expected(question))


def test_a_plain_mask_for_a_tuple_of_one(method: Method) -> None:
    # sensitivity_max passes inputs on in a tuple, and the rest as it is.
    question = image(STRIPES)
    given = method(question.model).attribute(question.inputs, target=1, feature_mask=STRIPES)
    assert isinstance(given, tuple)
    agree(given, method.expected(question))


def test_a_tuple_of_one_mask_for_a_plain_input(method: Method) -> None:
    question = image(STRIPES)
    given = method(question.model).attribute(question.inputs[0], target=1, feature_mask=(STRIPES,))
    assert isinstance(given, Tensor)
    agree(given, method.expected(question))


@pytest.mark.differs("Captum ignores the masks that are too many (its issue 1922)")
def test_more_masks_than_inputs_are_refused(method: Method) -> None:
    question = four_scalars()
    masks = (torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 0, 1, 1]]))
    with pytest.raises((ValueError, AssertionError), match="mask"):
        method(question.model).attribute(question.inputs[0], target=1, feature_mask=masks)


@pytest.mark.differs("Captum's error is an IndexError from within (its issue 1922)")
def test_fewer_masks_than_inputs_are_refused(method: Method) -> None:
    question = two_tensors((torch.tensor([[0, 1]]), torch.tensor([[2, 3, 4]])))
    with pytest.raises((ValueError, AssertionError), match="mask"):
        method(question.model).attribute(question.inputs, target=1, feature_mask=(torch.tensor([[0, 1]]),))


@pytest.mark.parametrize(
    "mask",
    [
        torch.zeros(1, 5, dtype=torch.long),
        torch.zeros(3, 4, dtype=torch.long),
        torch.zeros(1, 1, 4, dtype=torch.long),
        torch.tensor([[0.0, 0.5, 1.0, 1.0]]),
        torch.tensor([[0.0, torch.nan, 1.0, 1.0]]),
        torch.tensor([[0.0, torch.inf, 1.0, 1.0]]),
        [[0, 0, 1, 1]],
        "superpixels",
        7,
    ],
    ids=["size", "rows", "dimensions", "fraction", "NaN", "infinity", "list", "str", "int"],
)
def test_masks_that_cannot_be_used(mask: object) -> None:
    question = four_scalars()
    with pytest.raises(InputError, match="mask"):
        FocaLogic(question.model).attribute(question.inputs[0], target=1, feature_mask=mask)


def test_a_mask_of_one_region(method: Method) -> None:
    question = image(torch.zeros(1, 1, 2, 3, dtype=torch.long))
    given = method(question.model).attribute(question.inputs[0], target=1, feature_mask=torch.zeros(1, 1, 1, 1).long())
    agree(given, method.expected(question))


def test_images_without_a_mask_are_segmented() -> None:
    # Two halves that any segmentation tells apart; the class is decided in the bright one.
    x = torch.zeros(1, 3, 16, 16)
    x[..., 8:] = 1.0
    given = by_shares(exceeds(50.0, lambda images: images[:, 0, :, 8:].sum((1, 2)))).attribute(
        x, target=1, perturbations_per_eval="auto"
    )
    assert given.shape == x.shape
    assert 0 < given.max() <= 1
    assert len(given.unique()) < 20
    assert torch.equal(given[:, 0], given[:, 1])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [1.0, 400.0, -3.0])
@pytest.mark.filterwarnings("ignore:the input is not in:UserWarning")
def test_images_of_any_range_are_segmented(channels: int, scale: float) -> None:
    # Captum's users pass normalised images, and NoiseTunnel noisy ones.
    x = torch.linspace(0, 1, channels * 144).reshape(1, channels, 12, 12) * scale
    threshold = 0.5 * float(x.abs().sum())
    given = by_shares(exceeds(threshold, lambda images: images.abs().sum((1, 2, 3)))).attribute(
        x, target=1, perturbations_per_eval="auto"
    )
    assert given.shape == x.shape
    assert given.any()


@pytest.mark.parametrize("channels", [2, 5])
def test_what_is_no_picture_is_refused_with_advice(channels: int) -> None:
    with pytest.raises(InputError, match="feature_mask"):
        FocaLogic(lambda x: torch.ones(len(x), 2)).attribute(torch.ones(1, channels, 8, 8), target=0)


def test_too_many_scalars_are_refused_with_advice() -> None:
    with pytest.raises(InputError, match="feature_mask"):
        FocaLogic(lambda x: torch.stack([x.sum(1) * 0, x.sum(1)], dim=1)).attribute(torch.ones(1, 10**6), target=1)
