"""What the model says on masked inputs, held against what it said on the whole."""

import warnings

import pytest
import torch

from captum_focalogic.criteria import Top1, parse
from captum_focalogic.errors import FocaLogicWarning, InputError, ModelOutputError
from captum_focalogic.oracle.references import References

WHOLE = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 1.0]])
ROWS = torch.tensor([0, 0, 1])
MASKED = torch.tensor([[1.0, 0.5, 0.0], [-1.0, 0.5, 0.0], [0.0, 3.0, 3.5]])


def test_each_row_is_judged_by_its_own_example() -> None:
    references = References(WHOLE, None, Top1())
    assert len(references) == 2
    scores = references.read(MASKED, ROWS)
    valid, _ = references.judge(Top1(), scores, ROWS)
    assert valid.tolist() == [True, False, False]
    assert references.predicted(scores).tolist() == [0, 1, 2]  # type: ignore[union-attr]
    expected = [MASKED[row].softmax(0)[target] for row, target in enumerate([0, 0, 1])]
    assert references.probability(scores, ROWS).tolist() == pytest.approx([float(value) for value in expected])


def test_another_criterion_judges_the_same_scores() -> None:
    references = References(WHOLE, [0, 2], Top1())
    scores = references.read(MASKED, ROWS)
    assert references.judge(Top1(), scores, ROWS)[0].tolist() == [True, False, True]
    assert references.judge(parse("topk:2"), scores, ROWS)[0].tolist() == [True, False, True]


def test_nan_is_not_valid_and_told_once() -> None:
    references = References(WHOLE, None, Top1())
    broken = MASKED.clone()
    broken[0, 2] = torch.nan
    assert references.judge(Top1(), references.read(broken, ROWS), ROWS)[0].tolist() == [False, False, False]
    with pytest.warns(FocaLogicWarning, match="NaN for 1 masked input"):
        references.warn_of_nan()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        references.warn_of_nan()
    with pytest.raises(ModelOutputError, match="whole input holds NaN"):
        References(broken, None, Top1())


@pytest.mark.parametrize("other", [torch.zeros(3, 2), torch.zeros(3, 3, dtype=torch.float64), torch.zeros(3, 3, 1)])
def test_answers_keep_their_form(other: torch.Tensor) -> None:
    with pytest.raises(ModelOutputError, match=r"changed its form: torch.float32 of shape \(N, 3\)"):
        References(WHOLE, None, Top1()).read(other, ROWS)


def test_a_function_looks_at_the_outputs_by_itself() -> None:
    def closer(outputs: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        return (outputs - reference).abs().amax(1) <= 1

    references = References(WHOLE, None, closer)
    scores = references.read(MASKED, ROWS)
    valid, score = references.judge(closer, scores, ROWS)
    assert valid.tolist() == [True, False, False]
    assert score.isnan().all()
    assert references.predicted(scores) is None
    assert references.probability(scores, ROWS).isnan().all()
    with pytest.raises(InputError, match="leave target out"):
        References(WHOLE, [0, 1], closer)
    with pytest.raises(InputError, match="outputs that were asked for with one"):
        references.judge(Top1(), scores, ROWS)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (torch.ones(3), "must return booleans"),
        (torch.ones(2, dtype=torch.bool), r"validity as a tensor of shape \(3,\); got \(2,\)"),
        ((torch.ones(3, dtype=torch.bool), [1, 2, 3]), r"scores as a tensor of shape \(3,\); got list"),
        ((1, 2, 3), "one tensor or a pair; got 3"),
    ],
)
def test_functions_that_answer_something_else(answer: object, message: str) -> None:
    references = References(WHOLE, None, lambda outputs, reference: answer)  # type: ignore[arg-type,return-value]
    with pytest.raises(InputError, match=message):
        references.judge(lambda outputs, reference: answer, MASKED, ROWS)  # type: ignore[arg-type,return-value]


def test_numbers_that_looked_like_probabilities_and_are_none() -> None:
    whole = torch.tensor([[0.9, 0.05, 0.05]])
    criterion = parse("probability:0.5")
    references = References(whole, None, criterion)
    rows = torch.zeros(1, dtype=torch.int64)
    with pytest.raises(ModelOutputError, match=r"look like probabilities.*outputs='logits'"):
        references.judge(criterion, torch.tensor([[3.0, -1.0, 0.0]]), rows)
    said = References(whole, None, criterion, "logits")
    assert said.judge(criterion, torch.tensor([[3.0, -1.0, 0.0]]), rows)[0].tolist() == [True]
