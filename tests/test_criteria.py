"""Criteria against numbers worked out by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as hs
from torch import Tensor

from captum_focalogic.criteria import (
    Criterion,
    Margin,
    OutputKind,
    Over,
    ProbabilityRatio,
    SameLabel,
    Threshold,
    Tolerance,
    Top1,
    Top1Ratio,
    TopK,
    class_number,
    criterion_text,
    kinds_of,
    parse,
    target_probability,
)
from captum_focalogic.errors import InputError, TargetError

ALL = [Top1(), TopK(2), ProbabilityRatio(), Margin(0.5), SameLabel(), Threshold(0.5), Tolerance(0.1)]
FOR_ONE_NUMBER = [Top1(), SameLabel(), Threshold(0.5), Tolerance(0.1)]
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.uint8]


def judge(
    criterion: Criterion,
    scores: list[list[float]],
    reference: list[float],
    target: int,
    dtype: torch.dtype = torch.float32,
) -> tuple[list[bool], Tensor | None]:
    """Verdicts on several masked inputs of one whole input."""
    whole = torch.tensor([reference] * len(scores), dtype=dtype)
    valid, score = criterion.judge(torch.tensor(scores, dtype=dtype), whole, torch.full((len(scores),), target))
    assert valid.dtype == torch.bool
    assert valid.shape == (len(scores),)
    assert score is None or score.shape == (len(scores),)
    return valid.tolist(), score


class TestTop1:
    def test_the_highest_class_is_the_target(self) -> None:
        valid, score = judge(Top1(), [[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [3.0, 3.0, 0.0]], [5.0, 1.0, 0.0], 0)
        assert valid == [True, False, True]  # of equal classes the first counts, as in argmax
        e = math.e
        assert score is not None
        assert score.tolist() == pytest.approx(
            [e**2 / (e**2 + e + 1), e / (e**2 + e + 1), e**3 / (2 * e**3 + 1)], rel=1e-6
        )

    def test_probabilities_are_taken_as_they_are(self) -> None:
        # The masked rows need not sum to one: whether scores are probabilities is read off the whole input.
        _, score = judge(Top1(), [[0.2, 0.8], [0.3, 0.3]], [0.9, 0.1], 0)
        assert score is not None
        assert score.tolist() == pytest.approx([0.2, 0.3])

    @pytest.mark.parametrize("reference", [[1.0, 0.2], [1.1, -0.1], [2.0, 0.0]])
    def test_other_scores_are_logits(self, reference: list[float]) -> None:
        _, score = judge(Top1(), [[0.2, 0.8]], reference, 0)
        assert score is not None
        assert score.tolist() == pytest.approx([1 / (1 + math.exp(0.6))])

    def test_large_logits_do_not_overflow(self) -> None:
        valid, score = judge(Top1(), [[1000.0, 999.0]], [1000.0, 0.0], 0)
        assert valid == [True]
        assert score is not None
        assert score.tolist() == pytest.approx([1 / (1 + math.exp(-1))], rel=1e-4)

    def test_one_number_is_a_decision_by_its_sign(self) -> None:
        valid, score = judge(Top1(), [[0.1], [0.0], [-0.1]], [3.0], 0)
        assert valid == [True, False, False]
        assert score is not None
        assert score.tolist() == pytest.approx([0.1, 0.0, -0.1])
        valid, score = judge(Top1(), [[0.1], [0.0], [-0.1]], [-3.0], 0)
        assert valid == [False, True, True]
        assert score is not None
        assert score.tolist() == pytest.approx([-0.1, 0.0, 0.1])

    def test_one_whole_number_is_a_label(self) -> None:
        assert judge(Top1(), [[4], [3], [0]], [3], 0, torch.int64) == ([False, True, False], None)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_rounded_probabilities_are_still_probabilities(self, dtype: torch.dtype) -> None:
        # 0.7 + 0.2 + 0.1 is 1.0009... in float16 and 1.002 in bfloat16.
        generator = torch.Generator().manual_seed(0)
        for classes in (3, 10, 1000):
            exact = (3 * torch.randn(200, classes, generator=generator)).softmax(1)
            rounded = exact.to(dtype)
            _, score = Top1().judge(rounded, rounded, torch.zeros(200, dtype=torch.int64))
            assert score is not None
            assert torch.equal(score, rounded[:, 0].float())


class TestTopK:
    def test_ranks(self) -> None:
        rows = [[3.0, 2.0, 1.0, 0.0], [2.0, 3.0, 1.0, 0.0], [1.0, 3.0, 2.0, 0.0], [0.0, 1.0, 2.0, 3.0]]
        for k, expected in ((1, 1), (2, 2), (3, 3), (4, 4), (9, 4)):
            assert judge(TopK(k), rows, [1.0, 0.0, 0.0, 0.0], 0)[0] == [True] * expected + [False] * (4 - expected)

    def test_equal_scores_share_a_rank(self) -> None:
        assert judge(TopK(1), [[2.0, 2.0, 2.0]], [1.0, 0.0, 0.0], 2)[0] == [True]

    @given(hs.integers(0, 2**32 - 1), hs.integers(1, 6))
    @settings(max_examples=25, deadline=None)
    def test_as_torch_topk_without_ties(self, seed: int, k: int) -> None:
        scores = torch.rand(20, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        target = torch.arange(20) % 6
        expected = (scores.topk(k, dim=1).indices == target[:, None]).any(dim=1)
        assert torch.equal(TopK(k).judge(scores, scores, target)[0], expected)


class TestProbabilityRatio:
    def test_of_probabilities(self) -> None:
        rows = [[0.75, 0.25], [0.72, 0.28], [0.71, 0.29], [0.9, 0.1]]
        valid, score = judge(ProbabilityRatio(0.9), rows, [0.8, 0.2], 0, torch.float64)
        assert valid == [True, True, False, True]
        assert score is not None
        assert score.tolist() == pytest.approx([0.75, 0.72, 0.71, 0.9])

    def test_of_logits(self) -> None:
        # p = 1 / (1 + e^-d): 0.8808 for d = 2, of which 0.9 is 0.7927, reached at d = 1.3416.
        assert judge(ProbabilityRatio(0.9), [[1.35, 0.0], [1.33, 0.0]], [2.0, 0.0], 0)[0] == [True, False]

    def test_a_class_that_is_not_highest_may_keep_its_probability(self) -> None:
        assert judge(ProbabilityRatio(0.9), [[0.3, 0.7], [0.2, 0.8]], [0.25, 0.75], 0)[0] == [True, False]

    def test_the_whole_input_meets_the_strictest_ratio(self) -> None:
        row = [0.3, 1.7, -2.0]
        assert judge(ProbabilityRatio(1.0), [row], row, 1)[0] == [True]

    @pytest.mark.parametrize("ratio", [0.0, -1.0, 1.01, math.inf, math.nan])
    def test_impossible(self, ratio: float) -> None:
        with pytest.raises(InputError, match="ratio"):
            ProbabilityRatio(ratio)


class TestMargin:
    def test_distance_to_the_next_class(self) -> None:
        rows = [[3.0, 1.0, 1.5], [3.0, 1.6, 0.0], [1.0, 2.5, 0.0]]
        assert judge(Margin(1.5), rows, [9.0, 0.0, 0.0], 0)[0] == [True, False, False]
        assert judge(Margin(-1.5), rows, [9.0, 0.0, 0.0], 0)[0] == [True, True, True]

    @pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
    def test_of_votes(self, dtype: torch.dtype) -> None:
        assert judge(Margin(2), [[5, 3, 0], [5, 4, 0], [3, 5, 0]], [9, 0, 0], 0, dtype)[0] == [True, False, False]

    def test_half_precision_does_not_round_the_margin(self) -> None:
        # 0.1 and 0.0999755859375 are the same in float16, the difference here is the smaller one.
        valid, _ = judge(Margin(0.1), [[0.0999755859375, 0.0]], [1.0, 0.0], 0, torch.float16)
        assert valid == [False]


class TestSameLabel:
    def test_highest_class_of_the_whole_input(self) -> None:
        valid, score = judge(SameLabel(), [[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]], [0.2, 0.6, 0.2], 0)
        assert valid == [True, False]
        assert score is not None
        assert score.tolist() == pytest.approx([0.1, 0.5])

    @pytest.mark.parametrize("dtype", [torch.int64, torch.float32])
    def test_one_label(self, dtype: torch.dtype) -> None:
        assert judge(SameLabel(), [[7], [6]], [7], 0, dtype) == ([True, False], None)


class TestThreshold:
    def test_same_side(self) -> None:
        assert judge(Threshold(0.5), [[0.6], [0.5], [0.4]], [0.9], 0)[0] == [True, False, False]
        assert judge(Threshold(0.5), [[0.6], [0.5], [0.4]], [0.5], 0)[0] == [False, True, True]

    def test_score_grows_towards_the_side(self) -> None:
        _, above = judge(Threshold(0.5), [[0.6], [0.4]], [0.9], 0)
        _, below = judge(Threshold(0.5), [[0.6], [0.4]], [0.1], 0)
        assert above is not None
        assert below is not None
        assert above.tolist() == pytest.approx([0.6, 0.4])
        assert below.tolist() == pytest.approx([-0.6, -0.4])

    def test_the_targets_score_among_several(self) -> None:
        assert judge(Threshold(1.0), [[9.0, 2.0], [9.0, 0.5]], [0.0, 3.0], 1)[0] == [True, False]

    def test_small_unsigned_numbers_do_not_wrap(self) -> None:
        _, score = judge(Threshold(7.5), [[5], [200]], [3], 0, torch.uint8)
        assert score is not None
        assert score.tolist() == [-5.0, -200.0]


class TestTolerance:
    def test_distance(self) -> None:
        valid, score = judge(Tolerance(0.25), [[1.25], [0.75], [1.3], [0.7]], [1.0], 0)
        assert valid == [True, True, False, False]
        assert score is not None
        assert score.tolist() == pytest.approx([-0.25, -0.25, -0.3, -0.3])

    def test_small_unsigned_numbers_do_not_wrap(self) -> None:
        assert judge(Tolerance(2), [[9], [11], [7]], [10], 0, torch.uint8)[0] == [True, True, False]

    def test_large_whole_numbers_are_told_apart(self) -> None:
        assert judge(Tolerance(0), [[2**40], [2**40 + 1]], [2**40], 0, torch.int64)[0] == [True, False]

    @pytest.mark.parametrize("difference", [-0.1, math.nan])
    def test_impossible(self, difference: float) -> None:
        with pytest.raises(InputError, match="difference"):
            Tolerance(difference)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("criterion", ALL, ids=str)
def test_the_whole_input_meets_every_criterion_in_every_dtype(criterion: Criterion, dtype: torch.dtype) -> None:
    valid, _ = judge(criterion, [[1, 6, 2]], [1, 6, 2], 1, dtype)
    assert valid == [True]


@pytest.mark.parametrize("dtype", [*DTYPES, torch.bool], ids=str)
@pytest.mark.parametrize("criterion", FOR_ONE_NUMBER, ids=str)
def test_one_number_in_every_dtype(criterion: Criterion, dtype: torch.dtype) -> None:
    assert judge(criterion, [[1], [0]], [1], 0, dtype)[0] == [True, False]


@pytest.mark.parametrize("criterion", [TopK(1), ProbabilityRatio(), Margin(0.0)], ids=str)
def test_one_number_has_no_classes_to_compare(criterion: Criterion) -> None:
    with pytest.raises(TargetError, match="one number"):
        judge(criterion, [[1.0]], [1.0], 0)


@pytest.mark.parametrize("criterion", ALL, ids=str)
def test_rows_are_judged_each_by_its_own(criterion: Criterion) -> None:
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(30, 4, generator=generator)
    reference = torch.randn(30, 4, generator=generator)
    reference[::3] = reference[::3].softmax(1)
    target = torch.randint(0, 4, (30,), generator=generator)
    valid, score = criterion.judge(scores, reference, target)
    for row in range(30):
        one, own_score = criterion.judge(scores[row : row + 1], reference[row : row + 1], target[row : row + 1])
        assert one[0] == valid[row]
        assert score is not None
        assert own_score is not None
        assert own_score[0].item() == pytest.approx(score[row].item(), rel=1e-6)


@pytest.mark.parametrize("kind", [Margin, Threshold])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_bounds_are_finite(kind: type[Margin] | type[Threshold], value: float) -> None:
    with pytest.raises(InputError, match="finite"):
        kind(value)


@pytest.mark.parametrize("k", [0, -2])
def test_k_is_positive(k: int) -> None:
    with pytest.raises(InputError, match="k must"):
        TopK(k)


class TestParse:
    @pytest.mark.parametrize(
        ("text", "criterion"),
        [
            ("top1", Top1()),
            ("topk:5", TopK(5)),
            ("probability", ProbabilityRatio(0.9)),
            ("probability:0.5", ProbabilityRatio(0.5)),
            ("margin:-1.5", Margin(-1.5)),
            ("label", SameLabel()),
            ("threshold:1e-3", Threshold(0.001)),
            ("tolerance:0", Tolerance(0.0)),
        ],
    )
    def test_names(self, text: str, criterion: Criterion) -> None:
        assert parse(text) == criterion

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "Top1",
            "top2",
            "top1:",
            "top1:3",
            "label:x",
            "topk",
            "topk:",
            "topk:2.5",
            "topk:0",
            "margin",
            "margin:x",
            "margin:nan",
            "threshold:",
            "tolerance:-1",
            "probability:",
            "probability:0",
            "probability:2",
            ":",
            "topk:5:5",
        ],
    )
    def test_anything_else_is_named(self, text: str) -> None:
        with pytest.raises(InputError):
            parse(text)


class TestKinds:
    @pytest.mark.parametrize(
        ("reference", "kind"),
        [
            ([2.0, -1.0, 0.5], OutputKind.LOGITS),
            ([0.7, 0.2, 0.1], OutputKind.PROBABILITIES),
            ([1.0, 0.0, 0.0], OutputKind.PROBABILITIES),
            ([0.9, 0.8, 0.1], OutputKind.SIGMOIDS),
            ([1.0, 0.8, 0.1], OutputKind.LOGITS),
            ([3.0], OutputKind.SCORE),
            ([-0.5], OutputKind.SCORE),
            ([0.9], OutputKind.SIGMOIDS),
            ([1.0], OutputKind.SCORE),
            ([0.0], OutputKind.SCORE),
        ],
    )
    def test_are_read_off_the_whole_input(self, reference: list[float], kind: OutputKind) -> None:
        assert kinds_of(torch.tensor([reference])).tolist() == [kind]

    def test_whole_numbers_are_labels_or_votes(self) -> None:
        assert kinds_of(torch.tensor([[3]])).tolist() == [OutputKind.LABELS]
        assert kinds_of(torch.tensor([[3, 1]])).tolist() == [OutputKind.LOGITS]

    def test_what_the_user_says_counts(self) -> None:
        assert kinds_of(torch.tensor([[0.9]]), "logits").tolist() == [OutputKind.LOGITS]
        assert kinds_of(torch.tensor([[1.0]]), "probabilities").tolist() == [OutputKind.SIGMOIDS]
        assert kinds_of(torch.tensor([[1.0, 0.5]]), "probabilities").tolist() == [OutputKind.SIGMOIDS]
        with pytest.raises(InputError, match="outputs='logits'"):
            kinds_of(torch.tensor([[1.5, 0.5]]), "probabilities")
        with pytest.raises(InputError, match="outputs must be one of"):
            kinds_of(torch.tensor([[1.5, 0.5]]), "softmax")  # type: ignore[arg-type]


class TestTargetProbability:
    def of(self, scores: list[float], reference: list[float] | None = None, target: int = 0) -> float:
        whole = torch.tensor([reference or scores])
        given = target_probability(torch.tensor([scores]), torch.tensor([target]), kinds_of(whole), whole)
        return given.item()

    def test_sigmoids_are_their_own(self) -> None:
        assert self.of([0.9, 0.8, 0.1]) == pytest.approx(0.9)

    def test_an_infinite_logit_is_certain(self) -> None:
        assert self.of([math.inf, 3.0]) == 1.0
        assert self.of([math.inf, 3.0], target=1) == 0.0
        assert self.of([math.inf, math.inf, 0.0]) == 0.5
        assert self.of([-math.inf, 0.0]) == 0.0

    def test_one_sigmoid_has_two_sides(self) -> None:
        assert self.of([0.9]) == pytest.approx(0.9)
        assert self.of([0.2], reference=[0.1]) == pytest.approx(0.8)

    def test_one_score_has_none(self) -> None:
        assert math.isnan(self.of([2.0]))


class TestOneSigmoid:
    def test_is_decided_in_the_middle(self) -> None:
        valid, score = judge(Top1(), [[0.9], [0.51], [0.5], [0.002]], [0.97], 0)
        assert valid == [True, True, False, False]
        assert score is not None
        assert score.tolist() == pytest.approx([0.4, 0.01, 0.0, -0.498], abs=1e-6)

    def test_below_the_middle_the_other_side_is_explained(self) -> None:
        assert judge(Top1(), [[0.1], [0.6]], [0.03], 0)[0] == [True, False]
        assert judge(Top1Ratio(0.5), [[0.4], [0.6]], [0.03], 0)[0] == [True, False]


class TestTop1Ratio:
    def test_needs_both(self) -> None:
        rows = [[0.6, 0.4], [0.45, 0.3], [0.41, 0.3], [0.45, 0.5]]
        assert judge(Top1Ratio(0.5), rows, [0.9, 0.1], 0)[0] == [True, True, False, False]

    def test_is_written_with_a_plus(self) -> None:
        assert parse("top1+0.5") == Top1Ratio(0.5)
        for text in ("top1+", "top1+x"):
            with pytest.raises(InputError, match=r"top1\+SHARE"):
                parse(text)
        with pytest.raises(InputError, match="ratio"):
            parse("top1+2")

    def test_needs_a_probability(self) -> None:
        with pytest.raises(TargetError, match="one number"):
            judge(Top1Ratio(0.5), [[2.0]], [3.0], 0)


class TestOver:
    def test_half_of_the_lead(self) -> None:
        rows = [[4.0, 2.0, 9.0], [4.0, 2.1, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
        assert judge(Over(1), rows, [5.0, 1.0, 0.0], 0)[0] == [True, False, False, False]

    def test_without_a_lead_nothing_is_valid(self) -> None:
        assert judge(Over(1), [[1.0, 2.0], [3.0, 0.0]], [1.0, 2.0], 0)[0] == [False, False]

    def test_by_name(self) -> None:
        labels = ["tabby", "Tiger cat", "lynx", "lynx"]
        assert parse("over:tiger cat", labels) == Over(1)
        assert parse("over:3") == Over(3)
        for text, said in (("over:tabbi", "tabby"), ("over:lynx", "2 classes"), ("over:", "no class")):
            with pytest.raises(InputError, match=said):
                parse(text, labels)
        with pytest.raises(InputError, match="labels="):
            parse("over:tabby")
        assert class_number(-1) == -1

    def test_against_itself_or_nobody(self) -> None:
        for other, said in ((0, "another one"), (7, "none of")):
            with pytest.raises(TargetError, match=said):
                judge(Over(other), [[1.0, 0.0]], [1.0, 0.0], 0)


@pytest.mark.parametrize(
    "text", ["top1", "topk:5", "probability:0.9", "margin:1.5", "label", "threshold:0.5", "tolerance:0.1", "over:3"]
)
def test_texts_are_read_back(text: str) -> None:
    assert criterion_text(parse(text)) == text
    assert criterion_text(Top1Ratio(0.25)) == "top1+0.25"


def test_names_of_classes_come_by_key_and_what_has_no_order_is_refused() -> None:
    for labels in ({0: "a", 1: "b"}, {"1": "b", "0": "a"}, ["a", "b"], ("a", "b")):
        assert class_number("b", labels) == 1
        assert parse("over:b", labels).other == 1
    for labels in ({"a", "b"}, iter("ab"), "ab"):
        with pytest.raises(InputError, match="list of names"):
            class_number("b", labels)
