"""What the forward function is called with, and what its answers are taken for."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from captum_focalogic.errors import AggregateOutputError, InputError, ModelOutputError
from captum_focalogic.oracle.forward import BatchPadding, Forward, as_rows, is_out_of_memory

INDEX = torch.tensor([2, 0, 0, 1, 2])
BATCH = (torch.arange(5.0)[:, None],)


class Recorder:
    """Answers with the rows' first element, and remembers its arguments."""

    def __call__(self, *args: object) -> Tensor:
        self.args = args
        assert isinstance(args[0], Tensor)
        return args[0][:, :1]


def arguments(*additional: object, num_examples: int = 3) -> tuple[object, ...]:
    model = Recorder()
    Forward(model, additional, num_examples)(BATCH, INDEX)
    return model.args[1:]


class TestAdditionalArguments:
    def test_rows_follow_their_examples(self) -> None:
        (given,) = arguments(torch.tensor([[10], [11], [12]]))
        assert isinstance(given, Tensor)
        assert given.tolist() == [[12], [10], [10], [11], [12]]

    def test_a_single_row_is_repeated(self) -> None:
        (given,) = arguments(torch.tensor([[7, 8]]))
        assert isinstance(given, Tensor)
        assert given.tolist() == [[7, 8]] * 5

    def test_a_single_row_of_a_single_example_is_repeated(self) -> None:
        model = Recorder()
        Forward(model, (torch.tensor([[7, 8]]),), 1)(BATCH, torch.zeros(5, dtype=torch.int64))
        assert isinstance(model.args[1], Tensor)
        assert model.args[1].tolist() == [[7, 8]] * 5

    @pytest.mark.parametrize("other", [None, 3, "name", [1, 2, 3], np.arange(3), torch.tensor(2.0), torch.ones(4, 2)])
    def test_everything_else_is_passed_as_it_is(self, other: object) -> None:
        assert arguments(other)[0] is other

    def test_inputs_come_first_and_in_order(self) -> None:
        model = Recorder()
        second = torch.zeros(5, 2)
        Forward(model, ("a", "b"), 3)((BATCH[0], second), INDEX)
        assert [id(arg) for arg in model.args[:2]] == [id(BATCH[0]), id(second)]
        assert model.args[2:] == ("a", "b")


class TestAnswers:
    @pytest.mark.parametrize(
        ("answer", "shape"),
        [
            (torch.zeros(5), (5,)),
            (torch.zeros(5, 1), (5, 1)),
            (torch.zeros(5, 3, 2, 2), (5, 3, 2, 2)),
            (np.zeros((5, 3)), (5, 3)),
            (torch.zeros(5, dtype=torch.int64), (5,)),
            (torch.zeros(5, dtype=torch.bool), (5,)),
        ],
    )
    def test_one_row_an_input(self, answer: object, shape: tuple[int, ...]) -> None:
        assert as_rows(answer, 5).shape == shape

    @pytest.mark.parametrize(
        "answer", [2.5, 3, True, np.float32(2.0), torch.tensor(1.0), torch.ones(1), torch.ones(1, 1)]
    )
    def test_one_number_for_one_input(self, answer: object) -> None:
        rows = as_rows(answer, 1)
        assert len(rows) == 1
        assert rows.numel() == 1
        assert rows.item() == (answer.item() if isinstance(answer, Tensor) else answer)

    @pytest.mark.parametrize("answer", [2.5, torch.tensor(1.0), torch.ones(1), torch.ones(1, 1), np.ones(())])
    def test_one_number_for_several_inputs(self, answer: object) -> None:
        with pytest.raises(AggregateOutputError, match="one value for 5 inputs"):
            as_rows(answer, 5)

    @pytest.mark.parametrize(("shape", "rows"), [((4, 3), 5), ((10,), 5), ((1, 3), 5), ((2, 3), 1), ((0, 3), 1)])
    def test_another_number_of_rows(self, shape: tuple[int, ...], rows: int) -> None:
        with pytest.raises(ModelOutputError, match=f"{rows} input"):
            as_rows(torch.zeros(shape), rows)

    @pytest.mark.parametrize("answer", [None, "cat", [torch.ones(5)], (torch.ones(5),), {"logits": torch.ones(5)}])
    def test_no_tensor(self, answer: object) -> None:
        with pytest.raises(ModelOutputError, match="must return a tensor"):
            as_rows(answer, 5)

    def test_complex_numbers(self) -> None:
        with pytest.raises(ModelOutputError, match="real"):
            as_rows(torch.zeros(5, dtype=torch.complex64), 5)

    @pytest.mark.parametrize(
        "answer",
        [
            torch.ones(5, 2).to_sparse(),
            torch.ones(5, 2, device="meta"),
            torch.quantize_per_tensor(torch.ones(5, 2), 0.1, 0, torch.qint8),
        ],
        ids=["sparse", "meta", "quantised"],
    )
    def test_no_plain_numbers(self, answer: torch.Tensor) -> None:
        with pytest.raises(ModelOutputError, match="dense tensor of numbers"):
            as_rows(answer, 5)

    def test_a_future(self) -> None:
        with pytest.raises(ModelOutputError, match="Future"):
            as_rows(torch.futures.Future(), 5)


class TestErrors:
    def test_the_models_own_exception_passes_through_with_a_note(self) -> None:
        class Mine(Exception):
            pass

        raised = Mine("no")

        def model(x: Tensor) -> Tensor:
            raise raised

        with pytest.raises(Mine) as caught:
            Forward(model, (), 3)(BATCH, INDEX)
        assert caught.value is raised
        assert caught.value.args == ("no",)
        (note,) = caught.value.__notes__
        assert "forward function" in note
        assert "float32 tensor of (5, 1)" in note

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
    def test_what_ends_the_program_is_left_alone(self, kind: type[BaseException]) -> None:
        def model(x: Tensor) -> Tensor:
            raise kind

        with pytest.raises(kind) as caught:
            Forward(model, (), 3)(BATCH, INDEX)
        assert not hasattr(caught.value, "__notes__")


class TestOutOfMemory:
    @pytest.mark.parametrize(
        "error",
        [
            torch.cuda.OutOfMemoryError("CUDA out of memory"),
            MemoryError(),
            RuntimeError("MPS backend out of memory (MPS allocated: 6.73 GB)"),
            RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory"),
        ],
        ids=str,
    )
    def test_is(self, error: Exception) -> None:
        assert is_out_of_memory(error)

    @pytest.mark.parametrize(
        "error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("out of memory")], ids=str
    )
    def test_is_not(self, error: Exception) -> None:
        assert not is_out_of_memory(error)

    def test_torchs_own_message(self) -> None:
        with pytest.raises(RuntimeError) as caught:
            torch.empty(2**60)
        assert is_out_of_memory(caught.value)


class TestBatchPadding:
    @given(asked=st.integers(1, 12), rows=st.integers(1, 5))
    def test_the_model_gets_its_size_and_each_row_its_own_answer(self, asked: int, rows: int) -> None:
        seen: list[int] = []

        def model(inputs: Tensor, weights: Tensor, shared: Tensor, power: int) -> Tensor:
            seen.append(len(inputs))
            return (inputs * weights + shared) ** power

        inputs, weights = torch.rand(asked, 3), torch.rand(asked, 1)
        given_args = (inputs, weights, torch.tensor(2.0), 2)
        padded = BatchPadding(model, rows)(*given_args)
        assert seen == [rows] * -(-asked // rows)
        assert torch.equal(padded, model(*given_args))

    def test_other_answers_than_tensors(self) -> None:
        class Output:
            def __init__(self, logits: Tensor) -> None:
                self.logits = logits

        assert BatchPadding(lambda x: Output(x[:, :2]), 2)(torch.arange(9.0).reshape(3, 3)).tolist() == [
            [0, 1],
            [3, 4],
            [6, 7],
        ]
        with pytest.raises(AggregateOutputError, match=r"shape \(3,\) for 2 input"):
            BatchPadding(lambda x: torch.ones(3), 2)(torch.ones(1, 3))

    @pytest.mark.parametrize("rows", [0, -1, 2.0, "4", None])
    def test_sizes_that_are_none(self, rows: object) -> None:
        with pytest.raises(InputError, match="rows must be the batch size that the model takes, 1 or more; got"):
            BatchPadding(torch.nn.Identity(), rows)  # type: ignore[arg-type]
