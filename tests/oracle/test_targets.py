"""Targets as Captum writes them, against indexing by hand."""

import pytest
import torch
from torch import Tensor

from captum_focalogic.errors import InputError, ModelOutputError, TargetError
from captum_focalogic.oracle.targets import resolve_targets

CLASSES = torch.tensor([[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
MAPS = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
BOTH = torch.arange(2)


class TestClasses:
    @pytest.mark.parametrize(
        ("target", "expected"),
        [
            (None, [1, 0]),
            (2, [2, 2]),
            (-1, [2, 2]),
            ((2,), [2, 2]),
            (torch.tensor(1), [1, 1]),
            (torch.tensor([1]), [1, 1]),
            (torch.tensor([2, 0]), [2, 0]),
            (torch.tensor([2, -3], dtype=torch.int32), [2, 0]),
            ([2, 1], [2, 1]),
            ([(2,), (1,)], [2, 1]),
        ],
        ids=str,
    )
    def test_of_two_dimensional_outputs(self, target: object, expected: list[int]) -> None:
        targets = resolve_targets(target, CLASSES)
        assert targets.classes.tolist() == expected
        assert [targets.of(row) for row in range(2)] == expected
        assert torch.equal(targets.scores(CLASSES, BOTH), CLASSES)

    @pytest.mark.parametrize(
        "target",
        [
            3,
            -4,
            (0, 1),
            (),
            1.0,
            "1",
            True,
            [1],
            [1, 2, 3],
            [1, None],
            [True, False],
            torch.tensor([0.0, 1.0]),
            torch.tensor([True, False]),
            torch.tensor([[0], [1]]),
            torch.tensor([0, 1, 2]),
            torch.tensor([0, 3]),
            {1},
        ],
        ids=str,
    )
    def test_that_fit_nothing(self, target: object) -> None:
        with pytest.raises(TargetError) as caught:
            resolve_targets(target, CLASSES)
        assert isinstance(caught.value, AssertionError)
        assert isinstance(caught.value, InputError)
        assert isinstance(caught.value, ValueError)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.int64, torch.uint8, torch.bool])
    def test_the_prediction_in_any_dtype(self, dtype: torch.dtype) -> None:
        outputs = torch.tensor([[0, 1, 1], [1, 0, 0]]).to(dtype)
        targets = resolve_targets(None, outputs)
        assert targets.classes.tolist() == [1, 0]
        assert targets.scores(outputs, BOTH).tolist() == [[0, 1, 1], [1, 0, 0]]

    def test_no_prediction_among_nan(self) -> None:
        with pytest.raises(ModelOutputError, match="NaN"):
            resolve_targets(None, torch.tensor([[0.0, torch.nan]]))


class TestPositions:
    @pytest.mark.parametrize(
        ("target", "places"),
        [
            ((1, 3, 4), [(1, 3, 4)] * 2),
            ((-1, -4, -1), [(2, 0, 4)] * 2),
            ([(0, 0, 0), (2, 3, 1)], [(0, 0, 0), (2, 3, 1)]),
        ],
        ids=str,
    )
    def test_class_first(self, target: object, places: list[tuple[int, int, int]]) -> None:
        targets = resolve_targets(target, MAPS)
        assert [targets.of(row) for row in range(2)] == places
        # Rows of a batch belong to examples in any order, and each looks where its example looks.
        outputs = torch.rand(5, 3, 4, 5, generator=torch.Generator().manual_seed(0))
        index = torch.tensor([1, 0, 0, 1, 1])
        expected = [outputs[row, :, places[own][1], places[own][2]].tolist() for row, own in enumerate(index.tolist())]
        assert targets.scores(outputs, index).tolist() == expected
        assert targets.classes.tolist() == [place[0] for place in places]

    @pytest.mark.parametrize(
        "target",
        [
            None,
            1,
            (1,),
            (1, 2),
            (1, 2, 3, 0),
            (3, 0, 0),
            (0, 4, 0),
            [(1, 2, 3)],
            [1, 2],
            [(1, 2, 3), 1],
            torch.tensor([1, 2]),
            torch.tensor([[1, 2, 3], [0, 0, 0]]),
            (1, 2.0, 3),
        ],
        ids=str,
    )
    def test_that_fit_nothing(self, target: object) -> None:
        with pytest.raises(TargetError):
            resolve_targets(target, MAPS)

    @pytest.mark.parametrize("target", [1, (1,), (1, 0, 0), [(1, 0, 0), (1,)], [(1,), (1,)]], ids=str)
    def test_dimensions_of_size_one_are_no_position(self, target: object) -> None:
        outputs = CLASSES[:, :, None, None]
        targets = resolve_targets(target, outputs)
        assert targets.of(0) == 1
        assert torch.equal(targets.scores(outputs, BOTH), CLASSES)

    def test_the_prediction_where_there_is_one_position(self) -> None:
        assert resolve_targets(None, CLASSES[:, :, None]).classes.tolist() == [1, 0]


class TestOneNumber:
    @pytest.mark.parametrize("outputs", [torch.tensor([1.0, 2.0]), torch.tensor([[1.0], [2.0]])])
    def test_needs_no_target(self, outputs: Tensor) -> None:
        targets = resolve_targets(None, outputs)
        assert [targets.of(row) for row in range(2)] == [None, None]
        assert targets.scores(outputs, BOTH).tolist() == [[1.0], [2.0]]

    @pytest.mark.parametrize("target", [0, (0,), -1, torch.tensor([0, 0]), [0, 0]], ids=str)
    def test_a_column_may_be_named(self, target: object) -> None:
        assert resolve_targets(target, torch.tensor([[1.0], [2.0]])).of(0) is None

    @pytest.mark.parametrize("target", [1, (0, 0), [0], [0, 1], "x"], ids=str)
    def test_there_is_no_other_column(self, target: object) -> None:
        with pytest.raises(TargetError):
            resolve_targets(target, torch.tensor([[1.0], [2.0]]))

    @pytest.mark.parametrize("target", [0, (0,), torch.tensor([0, 0])], ids=str)
    def test_a_single_dimension_has_nothing_to_name(self, target: object) -> None:
        with pytest.raises(TargetError, match="no class"):
            resolve_targets(target, torch.tensor([1.0, 2.0]))
