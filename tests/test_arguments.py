"""Captum's arguments and keywords: what each example gets, what keywords turn into, and what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as hs
from torch import Tensor

from captum_focalogic import FocaLogic
from captum_focalogic.arguments import (
    MAX_SCALAR_REGIONS,
    CaptumKeywords,
    default_masks,
    format_baselines,
    format_inputs,
    format_masks,
    read_keywords,
    take_apart,
)
from captum_focalogic.errors import InputError

IMAGES = (torch.rand(2, 3, 4, 5),)


MODEL = (lambda images: images.sum((1, 2, 3)), lambda row: None)
"""A model that no segmenter here looks into, and what puts a row to it."""


class TestInputs:
    def test_one_tensor_is_a_tuple_of_one(self) -> None:
        tensor = torch.ones(2, 3)
        assert format_inputs(tensor) == (tensor,)
        assert format_inputs((tensor, tensor)) == (tensor, tensor)

    @pytest.mark.parametrize(
        "inputs",
        [
            None,
            (),
            [torch.ones(2)],
            np.ones((2, 3)),
            torch.tensor(1.0),
            (torch.ones(2), 3),
            torch.ones(0, 3),
            (torch.ones(2, 3), torch.ones(3, 3)),
            torch.tensor([[1.0, torch.nan]]),
            (torch.ones(1, 2), torch.full((1, 2), torch.nan, dtype=torch.float16)),
            (torch.ones(1, 2), torch.ones(1, 2, device="meta")),
            torch.ones(1, 2, dtype=torch.complex128),
            torch.full((1, 2), torch.nan, dtype=torch.complex64),
        ],
        ids=str,
    )
    def test_anything_else(self, inputs: object) -> None:
        with pytest.raises(InputError, match="input"):
            format_inputs(inputs)


class TestBaselines:
    def test_zero_by_default_in_each_dtype(self) -> None:
        given = format_baselines(None, (torch.ones(1, 2).half(), torch.ones(1, 2, dtype=torch.int32)))
        assert [(float(baseline), baseline.dtype) for baseline in given] == [(0.0, torch.float16), (0.0, torch.int32)]

    @pytest.mark.filterwarnings("error")
    def test_complex_ones_for_complex_inputs(self) -> None:
        (baseline,) = format_baselines(torch.tensor([[1 + 2j]]), (torch.ones(3, 2, dtype=torch.complex64),))
        assert baseline.tolist() == [[1 + 2j]]

    def test_numbers_keep_the_inputs_precision(self) -> None:
        (baseline,) = format_baselines(0.1, (torch.ones(1, 2, dtype=torch.float64),))
        assert float(baseline) == 0.1

    def test_tensors_take_the_inputs_dtype(self) -> None:
        (baseline,) = format_baselines(torch.full((1, 2), 0.1, dtype=torch.float64), (torch.ones(3, 2),))
        assert baseline.dtype == torch.float32

    @pytest.mark.parametrize(
        ("given", "dtype"), [(2, torch.int32), (0.5, torch.float32), (-1, torch.int64), (2.0, torch.int32)]
    )
    def test_whole_number_inputs_widen_only_for_what_they_cannot_hold(self, given: float, dtype: torch.dtype) -> None:
        tensor = torch.ones(1, 2, dtype=torch.uint8 if given == -1 else torch.int32)
        (baseline,) = format_baselines(given, (tensor,))
        assert float(baseline) == given
        assert baseline.dtype == dtype

    @pytest.mark.parametrize("shape", [(), (5,), (1, 5), (4, 1), (3, 4, 5), (1, 3, 4, 5), (2, 3, 4, 5), (2, 1, 1, 1)])
    def test_every_shape_that_broadcasts(self, shape: tuple[int, ...]) -> None:
        values = torch.rand(shape)
        baselines = format_baselines(values, IMAGES)
        masks = format_masks(torch.zeros(1, 1, 1, 1, dtype=torch.int64), IMAGES)
        for row, example in enumerate(take_apart(IMAGES, baselines, masks)):
            assert torch.equal(example.baselines[0].expand(3, 4, 5), values.expand(2, 3, 4, 5)[row])

    @pytest.mark.parametrize(
        "baselines",
        [
            "blur",
            (0, 0),
            (),
            torch.zeros(3),
            torch.zeros(3, 3, 4, 5),
            torch.zeros(1, 1, 3, 4, 5),
            torch.nan,
            [0],
            lambda x: x,
            torch.full((5,), torch.nan),
        ],
        ids=str,
    )
    def test_anything_else(self, baselines: object) -> None:
        with pytest.raises(InputError, match="baseline"):
            format_baselines(baselines, IMAGES)

    def test_a_named_baseline_that_was_not_called_gets_a_hint(self) -> None:
        with pytest.raises(InputError, match=r"blurred\(x\)"):
            format_baselines(torch.zeros_like, IMAGES)


class TestMasks:
    @pytest.mark.parametrize("shape", [(5,), (4, 5), (1, 4, 5), (3, 4, 5), (1, 1, 4, 5), (2, 1, 4, 5), (2, 3, 4, 5)])
    def test_every_shape_that_broadcasts(self, shape: tuple[int, ...]) -> None:
        mask = torch.randint(-3, 3, shape, generator=torch.Generator().manual_seed(0))
        examples = take_apart(IMAGES, format_baselines(None, IMAGES), format_masks(mask, IMAGES))
        for row, example in enumerate(examples):
            own = mask.expand(2, 3, 4, 5)[row]
            ids = torch.from_numpy(example.partition.region_ids)
            assert torch.equal(ids[example.partition.columns[0]].expand(3, 4, 5), own)
            assert ids.tolist() == own.unique().tolist()

    def test_examples_may_differ_in_their_number_of_regions(self) -> None:
        inputs = (torch.ones(2, 3),)
        examples = take_apart(inputs, format_baselines(None, inputs), (torch.tensor([[0, 0, 0], [4, 5, 6]]),))
        assert [example.partition.num_regions for example in examples] == [1, 3]

    def test_whole_floats_are_ids(self) -> None:
        (mask,) = format_masks(torch.tensor([0.0, -3.0]), (torch.ones(1, 2),))
        assert mask.dtype == torch.int64
        assert mask.tolist() == [0, -3]

    def test_arrays_are_taken_as_tensors_are(self) -> None:
        given = np.arange(20).reshape(4, 5)
        (mask,) = format_masks(given, IMAGES)
        assert mask.tolist() == given.tolist()

    @pytest.mark.parametrize(
        "mask",
        [
            None,
            3,
            [0, 1],
            np.full((4, 5), 0.5),
            torch.full((4, 5), 0.5),
            torch.full((4, 5), torch.inf),
            torch.full((4, 5), torch.nan),
            torch.zeros(4, 5, dtype=torch.complex64),
            torch.zeros(5, 4),
            torch.zeros(4, 4, 5),
            (torch.zeros(4, 5), torch.zeros(4, 5)),
        ],
        ids=str,
    )
    def test_anything_else(self, mask: object) -> None:
        with pytest.raises(InputError, match="mask"):
            format_masks(mask, IMAGES)


class TestRowsOfOneExample:
    def test_inputs_without_further_dimensions(self) -> None:
        inputs = (torch.tensor([1.0, 2.0]), torch.ones(2, 3))
        masks = format_masks((torch.tensor([0, 4]), torch.tensor([[4, 5, 6]])), inputs)
        first, second = take_apart(inputs, format_baselines((torch.tensor([8.0, 9.0]), 0), inputs), masks)
        assert first.partition.region_ids.tolist() == [0, 4, 5, 6]
        assert second.partition.region_ids.tolist() == [4, 5, 6]
        assert second.partition.areas.tolist() == pytest.approx([0.5, 0.25, 0.25])
        assert [float(first.baselines[0]), float(second.baselines[0])] == [8.0, 9.0]

    def test_rows_keep_their_layout(self) -> None:
        inputs = (torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),)
        masks = format_masks(torch.zeros(4, 5, dtype=torch.int64), inputs)
        for example in take_apart(inputs, format_baselines(None, inputs), masks):
            assert example.inputs[0].is_contiguous(memory_format=torch.channels_last)
            assert example.inputs[0].shape == (1, 3, 4, 5)


class Halves:
    """A segmenter that notes what it saw: left half ``first``, right half one more."""

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self.seen: list[Tensor] = []

    def __call__(self, image: Tensor) -> Tensor:
        self.seen.append(image)
        labels = torch.full(image.shape[1:], self.first)
        labels[:, image.shape[2] // 2 :] += 1
        return labels


class TestDefaultMasks:
    def test_images_are_segmented_one_by_one(self) -> None:
        segmenter = Halves()
        (mask,) = default_masks(IMAGES, segmenter, None, *MODEL)
        assert mask.shape == (2, 1, 4, 5)
        assert mask[1, 0, 0].tolist() == [0, 0, 1, 1, 1]
        assert len(segmenter.seen) == 2
        assert torch.equal(segmenter.seen[1], IMAGES[0][1])

    def test_grey_images_become_three_channels(self) -> None:
        segmenter = Halves()
        default_masks((torch.rand(1, 1, 4, 4),), segmenter, None, *MODEL)
        assert segmenter.seen[0].shape == (3, 4, 4)

    def test_half_precision_images_are_seen_as_float(self) -> None:
        segmenter = Halves()
        default_masks((torch.rand(1, 3, 4, 4).half(),), segmenter, None, *MODEL)
        assert segmenter.seen[0].dtype == torch.float32

    def test_other_ranges_are_stretched_with_a_warning(self) -> None:
        segmenter = Halves()
        with pytest.warns(UserWarning, match="to_image="):
            default_masks((torch.tensor([-1.0, 0.0, 3.0, 1.0]).expand(1, 3, 4, 4),), segmenter, None, *MODEL)
        assert segmenter.seen[0][0, 0].tolist() == [0.0, 0.25, 1.0, 0.5]

    def test_a_constant_image_of_another_range_has_no_nan(self) -> None:
        segmenter = Halves()
        with pytest.warns(UserWarning, match="to_image="):
            default_masks((torch.full((1, 3, 4, 4), 5.0),), segmenter, None, *MODEL)
        assert segmenter.seen[0].isfinite().all()

    def test_to_image_undoes_the_normalisation(self) -> None:
        segmenter = Halves()
        default_masks((torch.full((1, 3, 4, 4), -1.0),), segmenter, lambda row: (row + 1) / 2, *MODEL)
        assert (segmenter.seen[0] == 0).all()

    def test_what_to_image_overshoots_is_clipped_with_a_warning(self) -> None:
        segmenter = Halves()
        with pytest.warns(UserWarning, match="clipped"):
            default_masks((torch.full((1, 3, 4, 4), 1.0),), segmenter, lambda row: 2 * row, *MODEL)
        assert (segmenter.seen[0] == 1).all()

    def test_other_channels_need_help(self) -> None:
        with pytest.raises(InputError, match="to_image="):
            default_masks((torch.rand(1, 4, 4, 4),), Halves(), None, *MODEL)
        (mask,) = default_masks((torch.rand(1, 4, 4, 4),), Halves(), lambda row: row[:3], *MODEL)
        assert mask.shape == (1, 1, 4, 4)

    def test_a_segmenter_that_returns_something_else(self) -> None:
        with pytest.raises(InputError, match="label map"):
            default_masks(IMAGES, lambda image: torch.zeros(2, 2, dtype=torch.int64), None, *MODEL)

    def test_other_inputs_get_one_region_a_scalar(self) -> None:
        first, second = default_masks(
            (torch.rand(2, 3), torch.zeros(2, 2, 2, dtype=torch.int64)), Halves(), None, *MODEL
        )
        assert first.tolist() == [[0, 1, 2]]
        assert second.tolist() == [[[3, 4], [5, 6]]]

    @pytest.mark.parametrize("first", [-7, -2, -1, 0, 5])
    def test_tensors_share_no_region(self, first: int) -> None:
        masks = default_masks(
            (torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4), torch.rand(2, 3)), Halves(first), None, *MODEL
        )
        used = [set(mask.unique().tolist()) for mask in masks]
        assert [len(ids) for ids in used] == [2, 2, 3]
        assert len(set.union(*used)) == 7

    def test_too_many_scalars(self) -> None:
        inside = default_masks((torch.rand(1, MAX_SCALAR_REGIONS),), Halves(), None, *MODEL)
        assert inside[0].max() == MAX_SCALAR_REGIONS - 1
        with pytest.raises(InputError, match="feature_mask"):
            default_masks((torch.rand(1, MAX_SCALAR_REGIONS + 1),), Halves(), None, *MODEL)


def test_uint8_images_are_segmented_as_what_they_show() -> None:
    seen = []

    def segmenter(image: torch.Tensor) -> torch.Tensor:
        seen.append(image)
        return torch.zeros(image.shape[1:], dtype=torch.int64)

    default_masks((torch.full((1, 3, 4, 4), 51, dtype=torch.uint8),), segmenter, None, *MODEL)
    assert torch.equal(seen[0], torch.full((3, 4, 4), 51 / 255))


IMAGE = (torch.zeros(2, 3, 4, 6),)
PAIR = (torch.zeros(2, 4), torch.zeros(2, 1, 3))


def tiles(inputs: tuple[Tensor, ...], **keywords: object) -> tuple[Tensor, ...]:
    masks = read_keywords(keywords, inputs, None).masks
    assert masks is not None
    return masks


class TestBudgetOfKeywords:
    @pytest.mark.parametrize(
        ("n_samples", "own", "smaller"), [(None, None, None), (5, None, 5), (None, 7, 7), (5, 7, 5), (7, 5, 5)]
    )
    def test_the_smaller_bound(self, n_samples: int | None, own: int | None, smaller: int | None) -> None:
        assert CaptumKeywords(n_samples, True, None).budget(own) == smaller

    @pytest.mark.parametrize("n_samples", [0, -1, 2.0, True, "5", [5]])
    def test_impossible(self, n_samples: object) -> None:
        with pytest.raises(InputError, match="n_samples"):
            read_keywords({"n_samples": n_samples}, IMAGE, None)


def test_nothing_given() -> None:
    assert read_keywords({}, IMAGE, None) == CaptumKeywords(None, True, None)


@pytest.mark.parametrize("value", [0, 1, None, "yes"])
def test_return_input_shape_is_a_bool(value: object) -> None:
    with pytest.raises(InputError, match="return_input_shape"):
        read_keywords({"return_input_shape": value}, IMAGE, None)


def test_unknown_keywords_are_all_named() -> None:
    with pytest.raises(InputError, match="alpha, zeta"):
        read_keywords({"zeta": 1, "alpha": 2, "n_samples": 3}, IMAGE, None)


class TestTiles:
    def test_row_by_row(self) -> None:
        (mask,) = tiles(IMAGE, sliding_window_shapes=(3, 2, 3))
        assert mask[0].tolist() == [[0, 0, 0, 1, 1, 1]] * 2 + [[2, 2, 2, 3, 3, 3]] * 2
        assert torch.equal(mask, mask[:1].expand(3, 4, 6))

    def test_channels_apart(self) -> None:
        (mask,) = tiles(IMAGE, sliding_window_shapes=(1, 4, 6))
        assert mask[:, 0, 0].tolist() == [0, 1, 2]
        assert mask.unique().tolist() == [0, 1, 2]

    def test_the_last_tile_may_be_smaller(self) -> None:
        (mask,) = tiles((torch.zeros(1, 5),), sliding_window_shapes=(2,))
        assert mask.tolist() == [0, 0, 1, 1, 2]

    def test_tensors_share_no_tile(self) -> None:
        first, second = tiles(PAIR, sliding_window_shapes=((2,), (1, 2)))
        assert first.tolist() == [0, 0, 1, 1]
        assert second.tolist() == [[2, 2, 3]]

    @pytest.mark.parametrize("strides", [None, 3, (3, 3, 3), [3, 3, 3], ((3, 3, 3),), (7, 3, 3)])
    def test_strides_that_say_the_same(self, strides: object) -> None:
        inputs = (torch.zeros(1, 3, 6, 6),)
        expected = tiles(inputs, sliding_window_shapes=(3, 3, 3))[0]
        assert torch.equal(tiles(inputs, sliding_window_shapes=(3, 3, 3), strides=strides)[0], expected)
        assert torch.equal(tiles(inputs, sliding_window_shapes=((3, 3, 3),), strides=strides)[0], expected)

    @pytest.mark.parametrize("strides", [2, (3, 3, 2), (3, 3), 0, (3, 3, 0), 1.5, "333", (3, 3, 3.0), (True, 3, 3)])
    def test_strides_that_do_not(self, strides: object) -> None:
        with pytest.raises(InputError, match="stride"):
            tiles((torch.zeros(1, 3, 6, 6),), sliding_window_shapes=(3, 3, 3), strides=strides)

    @pytest.mark.parametrize(
        "window", [3, (3, 3), (3, 3, 7), (3, 3, 0), (3, 3, -1), (3, 3, 1.0), [3, 3, 3], (True, 3, 3)]
    )
    def test_impossible_windows(self, window: object) -> None:
        with pytest.raises(InputError, match="window"):
            tiles((torch.zeros(1, 3, 6, 6),), sliding_window_shapes=window)

    @pytest.mark.parametrize(
        ("windows", "strides"),
        [
            (((2,),), None),
            ((2,), None),
            (((2,), (1, 2), (1,)), None),
            (((2,), (1, 2)), (2,)),
            (((2,), (1, 2)), (2, 2, 2)),
        ],
    )
    def test_one_for_each_tensor(self, windows: object, strides: object) -> None:
        with pytest.raises(InputError, match="input tensor"):
            tiles(PAIR, sliding_window_shapes=windows, strides=strides)

    def test_not_with_a_feature_mask(self) -> None:
        with pytest.raises(InputError, match="feature_mask"):
            read_keywords({"sliding_window_shapes": (3, 2, 3)}, IMAGE, torch.zeros(4, 6))

    def test_strides_alone(self) -> None:
        with pytest.raises(InputError, match="strides"):
            read_keywords({"strides": 2}, IMAGE, None)

    @given(hs.lists(hs.tuples(hs.integers(1, 6), hs.integers(1, 6)), min_size=1, max_size=3))
    @settings(max_examples=40, deadline=None)
    def test_elements_share_a_tile_as_their_coordinates_say(self, sizes: list[tuple[int, int]]) -> None:
        shape, window = zip(*((max(pair), min(pair)) for pair in sizes), strict=True)
        (mask,) = tiles((torch.zeros(1, *shape),), sliding_window_shapes=window)
        named: dict[tuple[int, ...], int] = {}
        for place in torch.cartesian_prod(*map(torch.arange, shape)).reshape(-1, len(shape)).tolist():
            tile = tuple(at // size for at, size in zip(place, window, strict=True))
            assert named.setdefault(tile, int(mask[tuple(place)])) == int(mask[tuple(place)])
        assert sorted(named.values()) == list(range(len(named)))
        assert sorted(named, key=lambda tile: named[tile]) == sorted(named)


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        (method, wrong)
        for method in ("attribute", "explain")
        for wrong in (
            {"inputs": [1.0]},
            {"baselines": [0.0]},
            {"baselines": (0, 0)},
            {"baselines": torch.zeros(7)},
            {"baselines": {}},
            {"perturbations_per_eval": 0},
            {"perturbations_per_eval": 1.5},
            {"feature_mask": "x"},
            {"feature_mask": torch.zeros(7, dtype=torch.int64)},
        )
    ],
)
def test_what_captum_asserts_is_an_assertion_error_too(method, wrong):
    explainer = FocaLogic(lambda inputs: inputs)
    with pytest.raises(AssertionError) as caught:
        getattr(explainer, method)(**{"inputs": torch.ones(1, 3), "target": 0, **wrong})
    assert isinstance(caught.value, InputError)
