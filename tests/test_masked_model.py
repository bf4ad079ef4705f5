"""One question about several examples: references, criteria, and what a focus is told."""

import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from captum_focalogic.criteria import Criterion, OutputCriterion, Threshold, Top1, TopK
from captum_focalogic.errors import InputError, ModelOutputError
from captum_focalogic.focus import Focus
from captum_focalogic.masked_model import MaskedModel
from captum_focalogic.oracle import AutoBatching, Batching, FixedBatching, Memory, search
from captum_focalogic.search import Exhaustive
from captum_focalogic.search.strategies import strategy_for


def question(
    model: Callable[..., Any],
    inputs: Tensor,
    mask: Tensor,
    criterion: Criterion | OutputCriterion | None = None,
    **more: Any,
) -> dict[str, Any]:
    settings: dict[str, Any] = {"target": None, "search": "auto", "reading": "irreducible"}
    given = {"forward_func": model, "inputs": inputs, "feature_mask": mask, "criterion": criterion or Top1()}
    return settings | given | more


def explain_all(asked: dict[str, Any], batching: Batching, on_judged: Callable[[int], object]) -> list[Focus]:
    named, reading = asked["search"], asked["reading"]
    given = {name: value for name, value in asked.items() if name not in ("search", "reading")}
    models = MaskedModel.batch(**given, batching=batching)
    results = search(models, lambda count, most: strategy_for(named, reading, count, most), on_judged=on_judged)
    return [model.focus(result, reading) for model, result in zip(models, results, strict=True)]


def explain(asked: dict[str, Any], batching: Batching | None = None) -> list[Focus]:
    return explain_all(asked, batching or FixedBatching(1000), lambda count: None)


def above(threshold: float) -> Callable[[Tensor], Tensor]:
    """Class 1 where the sum is above a threshold."""

    def model(x: Tensor) -> Tensor:
        total = x.flatten(1).sum(1)
        return torch.stack([torch.full_like(total, threshold), total], 1)

    return model


ONES, EACH = torch.ones(3, 4), torch.arange(4)[None]


class TestReferences:
    @pytest.mark.parametrize("size", [1, 2, 3, 50])
    def test_are_asked_in_batches_too(self, size: int) -> None:
        rows: list[list[float]] = []

        def model(x: Tensor) -> Tensor:
            rows.append(x.sum(1).tolist())
            return above(1.5)(x)

        inputs = torch.tensor([[1.0, 1, 1, 1], [2, 1, 1, 1], [3, 1, 1, 1], [4, 1, 1, 1], [5, 1, 1, 1]])
        explain(question(model, inputs, EACH), FixedBatching(size))
        assert max(map(len, rows)) <= size
        whole = [total for row in rows[: -(-5 // size)] for total in row]
        assert whole == [4, 5, 6, 7, 8]

    @pytest.mark.parametrize("batching", [FixedBatching(1000), AutoBatching(on_cpu=False, layouts=False)])
    @pytest.mark.parametrize("most", [1, 2])
    def test_that_do_not_fit_at_once(self, batching: Batching, most: int) -> None:
        calls: list[int] = []

        def model(x: Tensor) -> Tensor:
            calls.append(len(x))
            if len(x) > most:
                raise torch.cuda.OutOfMemoryError
            return above(1.5)(x)

        expected = [focus.region_sets() for focus in explain(question(above(1.5), ONES, EACH))]
        given = [focus.region_sets() for focus in explain(question(model, ONES, EACH), batching)]
        assert given == expected
        assert len(expected[0]) == 6
        assert sum(size > most for size in calls) <= 4

    def test_that_fit_in_no_batch(self) -> None:
        def model(x: Tensor) -> Tensor:
            raise torch.cuda.OutOfMemoryError

        with pytest.raises(torch.cuda.OutOfMemoryError):
            explain(question(model, ONES, EACH))

    def test_other_errors_are_not_tried_again(self) -> None:
        calls: list[int] = []

        def model(x: Tensor) -> Tensor:
            calls.append(len(x))
            raise RuntimeError("shapes do not match")

        with pytest.raises(RuntimeError, match="shapes"):
            explain(question(model, ONES, EACH))
        assert calls == [3]

    def test_nan_has_no_answer(self) -> None:
        with pytest.raises(ModelOutputError, match="NaN"):
            explain(question(lambda x: above(1.5)(x) * torch.nan, ONES, EACH))
        with pytest.raises(ModelOutputError, match="NaN"):
            explain(question(lambda x: x.sum(1) * torch.nan, ONES, EACH, Threshold(0.5)))


class TestNanOnTheWay:
    def test_counts_as_not_valid_and_is_told_once(self) -> None:
        def model(x: Tensor) -> Tensor:
            scores = above(1.5)(x)
            scores[x[:, 0] == 0] = torch.nan
            return scores

        with pytest.warns(UserWarning, match="NaN for (?P<count>[0-9]+) masked") as caught:
            (focus,) = explain(question(model, ONES[:1], EACH))
        assert len(caught) == 1
        # Region 0 is needed for an answer at all, and one more for the sum.
        assert focus.region_sets() == [{0, 1}, {0, 2}, {0, 3}]
        # Asked without region 0: {1,2,3}, then pairs of valid triples, then singles of valid pairs.
        without = sum(not state[0] for state in focus.evaluated.states)
        assert f"NaN for {without} masked" in str(caught[0].message)

    @pytest.mark.parametrize("classes", [1, 2])
    def test_is_neither_the_highest_class_nor_below_a_threshold(self, classes: int) -> None:
        def model(x: Tensor) -> Tensor:
            own = torch.where(x[:, 0] == 0, torch.nan, -1.0)
            return own if classes == 1 else torch.stack([torch.full_like(own, -2.0), own], 1)

        with pytest.warns(UserWarning, match="NaN for 1 masked"):
            (focus,) = explain(question(model, torch.ones(1, 1), torch.zeros(1, 1)))
        assert focus.region_sets() == [{0}]

    def test_where_nobody_looks_it_does_not_matter(self) -> None:
        def model(x: Tensor) -> Tensor:
            return torch.stack([above(1.5)(x), torch.full((len(x), 2), torch.nan)], 2)

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            (focus,) = explain(question(model, ONES[:1], EACH, target=(1, 0)))
        assert len(focus.region_sets()) == 6


class TestCriterionFunctions:
    def test_see_outputs_as_they_are_beside_their_own_reference(self) -> None:
        def model(x: Tensor) -> Tensor:
            return torch.stack([x, 10 * x], 1)  # (B, 2, 4): nothing that classes could be read from

        def criterion(outputs: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
            assert outputs.shape == reference.shape == (len(outputs), 2, 4)
            assert torch.equal(reference[:, 1], 10 * reference[:, 0])
            kept = outputs[:, 0].sum(1)
            return kept >= reference[:, 0].sum(1) / 2, kept

        inputs = torch.tensor([[1.0, 1, 1, 1], [5, 2, 2, 1]])
        first, second = explain(question(model, inputs, EACH, criterion))
        assert first.region_sets() == [{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}]
        assert second.region_sets() == [{0}, {1, 2, 3}]
        assert second.target is None
        assert second.evaluated.score[0] == 10

    def test_may_leave_the_score_out(self) -> None:
        (focus,) = explain(question(lambda x: x, ONES[:1], EACH, lambda outputs, _: outputs[:, 2] > 0))
        assert focus.region_sets() == [{2}]
        assert np.isnan(focus.evaluated.score).all()

    def test_look_where_they_like_so_a_target_makes_no_sense(self) -> None:
        with pytest.raises(InputError, match="leave target out"):
            explain(question(lambda x: x, ONES, EACH, lambda outputs, _: outputs[:, 2] > 0, target=1))

    @pytest.mark.parametrize(
        "answer",
        [
            lambda outputs: True,
            lambda outputs: outputs > 0,
            lambda outputs: outputs[:, 0],
            lambda outputs: (outputs > 0).any(),
            lambda outputs: (outputs[:, 0] > 0).numpy(),
            lambda outputs: None,
            lambda outputs: (outputs[:, 0] > 0, outputs),
            lambda outputs: (outputs[:, 0] > 0, 0.5),
            lambda outputs: (None, outputs[:, 0]),
            lambda outputs: (outputs[:, 0] > 0,),
            lambda outputs: (outputs[:, 0] > 0, outputs[:, 0], outputs[:, 0]),
        ],
    )
    def test_that_answer_something_else(self, answer: Callable[[Tensor], Any]) -> None:
        with pytest.raises(InputError, match="criterion function must return"):
            explain(question(lambda x: x, ONES, EACH, lambda outputs, _: answer(outputs)))


class TestFocusOfAnExample:
    def test_targets(self) -> None:
        inputs = torch.tensor([[1.0, 1, 1, 1], [0, 0, 0, 1]])
        assert [focus.target for focus in explain(question(above(1.5), inputs, EACH))] == [1, 0]
        assert [focus.target for focus in explain(question(above(1.5), inputs, EACH, target=[0, -1]))] == [0, 1]
        assert [focus.target for focus in explain(question(lambda x: x.sum(1), inputs, EACH))] == [None, None]

    def test_columns_follow_each_examples_ids(self) -> None:
        mask = torch.tensor([[5, 5, -2, 9], [0, 1, 1, 1], [3, 3, 3, 3]])
        focuses = explain(question(above(2.5), ONES, mask))
        assert [focus.region_ids.tolist() for focus in focuses] == [[-2, 5, 9], [0, 1], [3]]
        assert [focus.areas.tolist() for focus in focuses] == [[0.25, 0.5, 0.25], [0.25, 0.75], [1.0]]
        assert [focus.region_sets() for focus in focuses] == [[{-2, 5}, {5, 9}], [{1}], [{3}]]

    def test_the_whole_example_counts_as_an_evaluation(self) -> None:
        told: list[int] = []
        (focus,) = explain_all(question(above(1.5), ONES[:1], EACH), FixedBatching(7), told.append)
        assert focus.evaluated.states[0].all()
        assert focus.certificate.evaluations == len(focus.evaluated) == sum(told) == 16 - 1

    def test_scores_are_the_targets_probability(self) -> None:
        (focus,) = explain(question(above(1.5), ONES[:1], EACH, TopK(1)))
        kept = focus.evaluated.states.sum(1)
        assert focus.evaluated.score == pytest.approx(1 / (1 + np.exp(1.5 - kept)), rel=1e-5)

    @pytest.mark.parametrize("reading", ["irreducible", "minimal", "smallest"])
    @pytest.mark.parametrize("search", ["auto", "exhaustive"])
    def test_the_reading_is_the_one_asked_for(self, reading: str, search: str) -> None:
        inputs = torch.tensor([[3.0, 1, 1, 1]])
        (focus,) = explain(question(above(2.5), inputs, EACH, reading=reading, search=search))
        assert focus.reading == reading
        assert focus.region_sets() == ([{0}] if reading == "smallest" else [{0}, {1, 2, 3}])


class TestLabelMap:
    IMAGE = torch.ones(2, 3, 2, 3)

    def of(self, inputs: Tensor, mask: Tensor) -> list[Any]:
        return [
            None if f.label_map is None else f.label_map.tolist() for f in explain(question(above(0.5), inputs, mask))
        ]

    @pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3), (1, 1, 2, 3), (3, 2, 3), (2, 3, 2, 3)])
    def test_channels_that_share_their_regions(self, shape: tuple[int, ...]) -> None:
        assert self.of(self.IMAGE, torch.tensor([[4, 4, 7], [-1, 4, 7]]).expand(shape)) == [[[4, 4, 7], [-1, 4, 7]]] * 2

    def test_one_for_each_example(self) -> None:
        mask = torch.tensor([[[[1, 1, 1], [2, 2, 2]]], [[[3, 4, 4], [3, 4, 4]]]])
        assert self.of(self.IMAGE, mask) == [[[1, 1, 1], [2, 2, 2]], [[3, 4, 4], [3, 4, 4]]]

    def test_broadcast_pixels(self) -> None:
        assert self.of(self.IMAGE, torch.tensor([1, 2, 2])) == [[[1, 2, 2], [1, 2, 2]]] * 2
        assert self.of(self.IMAGE, torch.tensor([[1], [2]])) == [[[1, 1, 1], [2, 2, 2]]] * 2

    def test_none_where_channels_have_regions_of_their_own(self) -> None:
        assert self.of(self.IMAGE, torch.arange(3)[:, None, None]) == [None, None]

    def test_none_without_an_image(self) -> None:
        assert self.of(torch.ones(1, 3), torch.arange(3)) == [None]


class Counted:
    """A model of four numbers that counts the states it was asked about, and forgets none."""

    def __init__(self, threshold: float = 2.5, seconds: float = 0.0) -> None:
        self.threshold, self.seconds = threshold, seconds
        self.asked: list[tuple[float, ...]] = []
        self.lock = threading.Lock()

    def __call__(self, x: Tensor) -> Tensor:
        with self.lock:
            self.asked += [tuple(row) for row in x.tolist()]
        time.sleep(self.seconds)
        return torch.stack([torch.full((len(x),), self.threshold), x.sum(1)], 1)


EVERY = np.array([[bool(i >> j & 1) for j in range(4)] for i in range(16)])


class TestAsking:
    def test_answers_are_those_of_the_model(self) -> None:
        masked = MaskedModel(Counted(), ONES[:1], feature_mask=EACH)
        answers = masked.ask(EVERY)
        kept = EVERY.sum(1)
        assert answers.valid.tolist() == (kept > 2.5).tolist()
        assert answers.predicted is not None
        assert answers.predicted.tolist() == (kept > 2.5).astype(int).tolist()
        assert answers.probability == pytest.approx(1 / (1 + np.exp(2.5 - kept)), rel=1e-5)
        assert answers.top[:, 0].tolist() == answers.predicted.tolist()
        assert answers.top_probability.sum(1) == pytest.approx(1)

    def test_each_state_is_asked_once_whoever_asks(self) -> None:
        model = Counted()
        masked = MaskedModel(model, ONES[:1], feature_mask=EACH)
        masked.ask(np.concatenate([EVERY[3:9], EVERY[3:5]]))
        masked.ask(EVERY)
        search([masked], lambda count, most: Exhaustive())
        view = masked.under("probability:0.9")
        assert view.ask(EVERY).valid.tolist() == (EVERY.sum(1) > 3).tolist()
        assert view.under("over:0").ask(EVERY).valid.tolist() == (EVERY.sum(1) > 3).tolist()
        assert len(model.asked) == len(set(model.asked)) == 16 == len(masked.memory)

    def test_past_the_memory(self) -> None:
        model = Counted()
        masked = MaskedModel(model, ONES[:1], feature_mask=EACH)
        masked.ask(EVERY)
        assert masked.forgetful().ask(EVERY[:3]).valid.tolist() == [False] * 3
        assert len(model.asked) == 16 + 3

    def test_other_baselines_share_the_reference(self) -> None:
        model = Counted()
        masked = MaskedModel(model, ONES[:1], feature_mask=EACH)
        half = masked.filled(0.5)
        assert len(model.asked) == 1
        assert half.ask(EVERY).valid.tolist() == (EVERY.sum(1) + 0.5 * (~EVERY).sum(1) > 2.5).tolist()
        assert half.target == masked.target == 1

    def test_a_batch_asks_references_in_shared_calls(self) -> None:
        calls: list[int] = []

        def model(x: Tensor) -> Tensor:
            calls.append(len(x))
            return above(2.5)(x)

        models = MaskedModel.batch(model, torch.ones(5, 4), feature_mask=EACH, batching=FixedBatching(8))
        assert calls == [5]
        assert [masked.target for masked in models] == [1] * 5

    @pytest.mark.parametrize(
        "states", [np.ones(4, dtype=bool), np.ones((2, 3), dtype=bool), np.ones((2, 4)), [[True] * 4, [True] * 3]]
    )
    def test_what_are_no_states(self, states: Any) -> None:
        masked = MaskedModel(Counted(), ONES[:1], feature_mask=EACH)
        with pytest.raises((InputError, ValueError)):
            masked.ask(states)

    def test_no_states_have_no_answers(self) -> None:
        masked = MaskedModel(Counted(), ONES[:1], feature_mask=EACH)
        assert len(masked.ask(EVERY[:0])) == 0

    def test_several_examples_are_refused(self) -> None:
        with pytest.raises(InputError, match=r"MaskedModel\.batch"):
            MaskedModel(Counted(), ONES, feature_mask=EACH)

    def test_an_interrupt_passes_through(self) -> None:
        def model(x: Tensor) -> Tensor:
            if not x.all():
                raise KeyboardInterrupt
            return above(2.5)(x)

        masked = MaskedModel(model, ONES[:1], feature_mask=EACH)
        with pytest.raises(KeyboardInterrupt):
            masked.ask(EVERY)

    def test_what_failed_can_be_asked_again(self) -> None:
        fails = [True]

        def model(x: Tensor) -> Tensor:
            if fails and not x.all():
                fails.pop()
                raise ZeroDivisionError
            return above(2.5)(x)

        masked = MaskedModel(model, ONES[:1], feature_mask=EACH)
        with pytest.raises(ZeroDivisionError):
            masked.ask(EVERY)
        assert masked.ask(EVERY).valid.tolist() == (EVERY.sum(1) > 2.5).tolist()

    def test_outputs_that_the_model_writes_to_again_are_copied(self) -> None:
        held = torch.empty(64, 2)

        def model(x: Tensor) -> Tensor:
            held[: len(x)] = above(2.5)(x)
            return held[: len(x)]

        masked = MaskedModel(model, ONES[:1], feature_mask=EACH, perturbations_per_eval=4)
        masked.ask(EVERY)
        assert masked.under("margin:0.2").ask(EVERY).valid.tolist() == (EVERY.sum(1) > 2.6).tolist()

    def test_the_answer_may_not_change_its_form(self) -> None:
        def model(x: Tensor) -> Tensor:
            scores = above(2.5)(x)
            return scores if bool(x.all()) else scores.long()

        masked = MaskedModel(model, ONES[:1], feature_mask=EACH)
        with pytest.raises(ModelOutputError, match="changed its form"):
            masked.ask(EVERY)

    @pytest.mark.parametrize("room", [0, 40])
    def test_without_room_for_outputs_class_and_probability_are_kept(self, room: int) -> None:
        model = Counted()
        masked = MaskedModel(model, ONES[:1], feature_mask=EACH, perturbations_per_eval=3)
        masked.memory = Memory(4, room)
        answers, expected = masked.ask(EVERY), MaskedModel(Counted(), ONES[:1], feature_mask=EACH).ask(EVERY)
        asked = len(model.asked)
        for again in (answers, masked.ask(EVERY)):
            assert np.array_equal(again.predicted, expected.predicted)
            assert np.array_equal(again.valid, expected.valid)
            assert again.probability == pytest.approx(expected.probability)
            assert np.array_equal(again.top, expected.top)
        assert len(model.asked) == asked
        # Another criterion needs the outputs, so what is not remembered is asked again, and rightly judged.
        assert masked.under("probability:0.9").ask(EVERY).valid.tolist() == (EVERY.sum(1) > 3).tolist()

    def test_two_threads_ask_each_state_once(self) -> None:
        model = Counted(seconds=0.002)
        masked = MaskedModel(model, ONES[:1], feature_mask=EACH, perturbations_per_eval=2)
        found: list[Any] = []
        orders = [np.random.default_rng(seed).permutation(16) for seed in range(4)]

        def ask(order: Any) -> None:
            found.append((order, masked.ask(EVERY[order]).valid))

        threads = [threading.Thread(target=ask, args=(order,)) for order in orders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        assert len(found) == 4
        for order, valid in found:
            assert valid.tolist() == (EVERY[order].sum(1) > 2.5).tolist()
        assert len(model.asked) == len(set(model.asked)) == 16


class LeavesOut(torch.nn.Module):
    """Counts the pixels that are there; a model that leaves the others out needs no fill for them."""

    def forward(self, images: Tensor) -> Tensor:
        return self.forward_masked(images, torch.ones_like(images[:, 0], dtype=torch.bool))

    def forward_masked(self, images: Tensor, kept: Tensor) -> Tensor:
        assert kept.dtype == torch.bool
        assert kept.shape == (len(images), *images.shape[2:])
        there = (images[:, 0] * kept).flatten(1).sum(1)
        return torch.stack([torch.full_like(there, 2.5), there], 1)


class TestRemovalByTheModel:
    MASK = torch.arange(4).reshape(1, 1, 2, 2)

    def test_the_model_is_told_what_is_there(self) -> None:
        image = torch.ones(1, 3, 2, 2)
        masked = MaskedModel(LeavesOut(), image, 9.0, feature_mask=self.MASK, removal="tokens")
        assert masked.ask(EVERY).valid.tolist() == (EVERY.sum(1) > 2.5).tolist()
        assert MaskedModel(LeavesOut(), image, 9.0, feature_mask=self.MASK).ask(EVERY).valid.all()

    def test_a_model_that_cannot_is_refused(self) -> None:
        with pytest.raises(InputError, match="forward_masked"):
            MaskedModel(above(2.5), torch.ones(1, 3, 2, 2), feature_mask=self.MASK, removal="tokens")
        with pytest.raises(InputError, match="one image"):
            MaskedModel(LeavesOut(), torch.ones(1, 4), feature_mask=EACH, removal="tokens")
        with pytest.raises(InputError, match="removal must be one of"):
            MaskedModel(LeavesOut(), torch.ones(1, 3, 2, 2), feature_mask=self.MASK, removal="inpaint")  # type: ignore[arg-type]


class TestWhatTheNumbersAre:
    def test_one_sigmoid_is_said_and_decided_in_the_middle(self) -> None:
        with pytest.warns(UserWarning, match="probability, decided at 0.5"):
            masked = MaskedModel(lambda x: torch.sigmoid(x.sum(1) - 2.5), ONES[:1], feature_mask=EACH)
        assert masked.ask(EVERY).valid.tolist() == (EVERY.sum(1) > 2.5).tolist()
        assert masked.prediction is not None
        assert masked.prediction.probability == pytest.approx(1 / (1 + np.exp(-1.5)), rel=1e-5)

    def test_a_later_answer_that_contradicts_it_is_an_error(self) -> None:
        with pytest.warns(UserWarning, match="decided at 0.5"):
            masked = MaskedModel(lambda x: x.sum(1) - 3.5, ONES[:1], feature_mask=EACH)
        with pytest.raises(ModelOutputError, match="outputs='logits'"):
            masked.ask(EVERY)
        told = MaskedModel(lambda x: x.sum(1) - 3.5, ONES[:1], feature_mask=EACH, outputs="logits")
        assert told.ask(EVERY).valid.sum() == 1

    def test_a_saturated_sigmoid_is_told_from_a_score(self) -> None:
        masked = MaskedModel(lambda x: torch.sigmoid(100 * (x.sum(1) - 3.5)), ONES[:1], feature_mask=EACH)
        states = EVERY[EVERY.sum(1) >= 3]
        with pytest.raises(ModelOutputError, match="cannot be told"):
            masked.ask(states)

    def test_several_labels_at_once_are_said(self) -> None:
        with pytest.warns(UserWarning, match="threshold:0.5"):
            masked = MaskedModel(lambda x: torch.sigmoid(x[:, :3]), ONES[:1], feature_mask=EACH, target=0)
        assert masked.whole.probability.tolist() == pytest.approx([1 / (1 + np.exp(-1))])

    def test_one_number_shows_and_decides_alike_in_half_precision(self) -> None:
        def model(x: Tensor) -> Tensor:
            return torch.stack([x.sum(1), 4 - x.sum(1)], 1).add(0.01).softmax(1).bfloat16()

        masked = MaskedModel(model, ONES[:1], feature_mask=EACH, criterion="probability:0.9")
        answers = masked.ask(EVERY)
        assert answers.valid.tolist() == (answers.probability >= 0.9 * masked.whole.probability[0]).tolist()


def test_what_is_asked_is_told_by_content() -> None:
    one, other = torch.nn.Linear(4, 2), torch.nn.Linear(4, 2)
    first, same, another = (MaskedModel(model, ONES[:1], feature_mask=EACH).provenance for model in (one, one, other))
    assert first == same
    assert first.model_digest != another.model_digest
    assert first.inputs_digest == another.inputs_digest
    assert MaskedModel(one, ONES[:1], 0.5, feature_mask=EACH).provenance.baseline_digest != first.baseline_digest
    with torch.no_grad():
        one.weight += 1
    assert MaskedModel(one, ONES[:1], feature_mask=EACH).provenance.model_digest != first.model_digest
    assert first.criterion == "top1"
    assert first.removal == "fill"


def test_baselines_and_segmenters_by_name() -> None:
    image = torch.rand(1, 3, 6, 6)
    named = MaskedModel(lambda x: x.mean((2, 3)), image, "mean", segmenter="grid:2x2", outputs="logits")
    assert named.num_regions == 4
    dropped = named.ask(np.zeros((1, 4), dtype=bool)).probability
    assert dropped == pytest.approx(image.mean((2, 3)).softmax(1).amax(1).numpy(), rel=1e-5)


def test_a_model_in_training_mode_is_said_before_it_is_asked() -> None:
    asked: list[int] = []
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.5), torch.nn.Linear(3, 2))
    model.register_forward_hook(lambda *_: asked.append(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match=r"1 \(Dropout\); call model\.eval"):
            MaskedModel(model, ONES[:1], feature_mask=EACH)
        assert not asked
        MaskedModel(model.eval(), ONES[:1], feature_mask=EACH, outputs="logits")
        MaskedModel(torch.nn.Linear(4, 2).train(), ONES[:1], feature_mask=EACH, outputs="logits")


def test_other_fills_of_normalised_inputs_are_shades_of_the_image():
    image = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    mask = torch.arange(4).reshape(1, 1, 4, 1)
    masked = MaskedModel(lambda x: x.mean((2, 3)), (image - 0.5) / 0.25, feature_mask=mask, mean=0.5, std=0.25)
    white = masked.filled("white")
    assert white.example.baselines[0].unique().tolist() == [2.0]
    assert masked.example.baselines[0].unique().tolist() == [0.0]


def test_classes_may_be_named():
    masked = MaskedModel(
        lambda x: 9 * x.mean((2, 3)),
        torch.rand(1, 3, 4, 4),
        target="green",
        feature_mask=np.arange(4).reshape(1, 1, 4, 1),
        labels={0: "red", 1: "green", 2: "blue"},
    )
    assert masked.target == 1
    assert masked.under("over:blue").criterion.other == 2
    assert masked.prediction.name == ["red", "green", "blue"][masked.prediction.index]
