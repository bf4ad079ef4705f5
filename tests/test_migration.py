"""Keywords of the replaced methods: what they turn into."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as hs
from torch import Tensor

from captum_focalogic.errors import InputError
from captum_focalogic.migration import Migrated, read_keywords

IMAGE = (torch.zeros(2, 3, 4, 6),)
PAIR = (torch.zeros(2, 4), torch.zeros(2, 1, 3))


def tiles(inputs: tuple[Tensor, ...], **keywords: object) -> tuple[Tensor, ...]:
    masks = read_keywords(keywords, inputs, None).masks
    assert masks is not None
    return masks


class TestBudget:
    @pytest.mark.parametrize(
        ("n_samples", "own", "smaller"), [(None, None, None), (5, None, 5), (None, 7, 7), (5, 7, 5), (7, 5, 5)]
    )
    def test_the_smaller_bound(self, n_samples: int | None, own: int | None, smaller: int | None) -> None:
        assert Migrated(n_samples, True, None).budget(own) == smaller

    @pytest.mark.parametrize("n_samples", [0, -1, 2.0, True, "5", [5]])
    def test_impossible(self, n_samples: object) -> None:
        with pytest.raises(InputError, match="n_samples"):
            read_keywords({"n_samples": n_samples}, IMAGE, None)


def test_nothing_given() -> None:
    assert read_keywords({}, IMAGE, None) == Migrated(None, True, None)


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
