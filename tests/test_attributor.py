"""FocaLogic beyond Captum's interface: explanations against brute force, weightings, budgets, warnings, interrupts."""

import itertools
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as hs
from oracles import region_sets, truth_table
from torch import Tensor, nn

from captum_focalogic import FocaLogic, Focus, explain_image
from captum_focalogic.compare import compare
from captum_focalogic.errors import InputError, ModelOutputError, SearchInterrupt
from captum_focalogic.preprocess import Normalisation
from captum_focalogic.search import Ascending, Beam, Exhaustive
from captum_focalogic.segmenters import Grid
from captum_focalogic.summary import removal_text
from captum_focalogic.verify import verify

READINGS = {"irreducible": oracles.irreducible, "minimal": oracles.minimal, "smallest": oracles.smallest}

quiet = pytest.mark.filterwarnings("ignore:example:UserWarning")
"""Random networks need not like the baseline less than the input."""


pytestmark = pytest.mark.usefixtures("one_thread")


def weighing(weights: list[float], threshold: float) -> Callable[[Tensor], Tensor]:
    """Class 1 where the weighted sum is above the threshold."""

    def model(x: Tensor) -> Tensor:
        total = (x * torch.tensor(weights)).sum(1)
        return torch.stack([torch.full_like(total, threshold), total], 1)

    return model


FOUR = torch.ones(1, 4)


class Counting:
    """A forward function that notes the rows of each call, and may fail in one."""

    def __init__(self, model: Callable[..., Tensor], fails_at: int = 0, error: type[BaseException] = Exception) -> None:
        self.model, self.fails_at, self.error = model, fails_at, error
        self.rows: list[int] = []
        self.shown: list[bytes] = []

    def __call__(self, x: Tensor, *more: Tensor) -> Tensor:
        self.rows.append(len(x))
        if len(self.rows) == self.fails_at:
            raise self.error
        self.shown += [row.numpy().tobytes() for row in x]
        return self.model(x, *more)


# Small random networks, in float64 so that no decision hangs on the order of a sum.


def network(kind: str, generator: torch.Generator) -> tuple[nn.Module, tuple[int, ...]]:
    if kind == "mlp":
        model: nn.Module = nn.Sequential(nn.Linear(9, 16), nn.Tanh(), nn.Linear(16, 3))
        shape: tuple[int, ...] = (9,)
    else:
        model = nn.Sequential(
            nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 3), nn.ReLU(), nn.Flatten()
        )
        model.append(nn.Linear(4 * 2 * 2, 3))
        shape = (2, 8, 8)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / parameter[0].numel() ** 0.5 * 1.5)
    return model.double().eval(), shape


def balance(model: nn.Module, x: Tensor, baseline: Tensor) -> None:
    """Shift the scores so that the baseline is not in the class of the input: else nothing is worth keeping."""
    with torch.no_grad():
        model[-1].bias -= (model(x) + model(baseline)).mean(0) / 2


def random_mask(shape: tuple[int, ...], num_regions: int, generator: torch.Generator) -> Tensor:
    """Region ids with gaps, some negative, per pixel; every region somewhere."""
    pixels = shape[1:] if len(shape) == 3 else shape
    ids = torch.randperm(40, generator=generator)[:num_regions] - 12
    flat = torch.randint(0, num_regions, (int(np.prod(pixels)),), generator=generator)
    flat[torch.randperm(len(flat), generator=generator)[:num_regions]] = torch.arange(num_regions)
    return ids[flat].reshape(pixels)


@quiet
@pytest.mark.parametrize("kind", ["mlp", "convnet"])
@given(seed=hs.integers(0, 2**31 - 1), per_eval=hs.sampled_from([1, 3, 64, "auto"]), given_target=hs.booleans())
@settings(max_examples=25, deadline=None)
def test_every_reading_equals_brute_force(kind: str, seed: int, per_eval: int | str, given_target: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    model, shape = network(kind, generator)
    count = int(torch.randint(1, 4, (), generator=generator))
    x = torch.randn(count, *shape, generator=generator, dtype=torch.float64)
    baseline = torch.randn(count, *shape, generator=generator, dtype=torch.float64) * 0.3
    balance(model, x, baseline)
    sizes = torch.randint(1, 7, (count,), generator=generator).tolist()
    masks = torch.stack([random_mask(shape, size, generator) for size in sizes])
    target = int(torch.randint(0, 3, (), generator=generator)) if given_target else None
    valid = [truth_table(model, *example, target) for example in zip(x, masks, baseline, strict=True)]
    feature_mask = masks[:, None] if kind == "convnet" else masks
    for reading, expected in READINGS.items():
        searches = ["auto", "exhaustive"] if reading == "irreducible" else ["auto"]
        for search in searches:
            focuses = FocaLogic(model, search=search, reading=reading, max_evaluations=None).explain(
                x, baseline, target, feature_mask=feature_mask, perturbations_per_eval=per_eval
            )
            for focus, own, mask in zip(focuses, valid, masks, strict=True):
                found = [frozenset(region_set) for region_set in focus.region_sets()]
                assert len(set(found)) == len(found)
                assert set(found) == region_sets(expected(own), mask.unique().tolist())
                assert focus.reading == reading
                assert focus.certificate.complete == "yes"
                assert focus.certificate.irreducible
                regions, counts = mask.unique(return_counts=True)
                assert focus.region_ids.tolist() == regions.tolist()
                assert focus.areas == pytest.approx((counts / mask.numel()).numpy())


@quiet
@given(seed=hs.integers(0, 2**31 - 1))
@settings(max_examples=8, deadline=None)
def test_batch_size_and_company_change_nothing(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    model, shape = network("convnet", generator)
    x = torch.randn(3, *shape, generator=generator, dtype=torch.float64)
    balance(model, x, torch.zeros_like(x))
    masks = torch.stack([random_mask(shape, 5, generator) for _ in range(3)])[:, None]
    explainer = FocaLogic(model)
    one_by_one = [
        explainer.explain(x[i : i + 1], feature_mask=masks[i : i + 1], perturbations_per_eval=1)[0] for i in range(3)
    ]
    together = [explainer.explain(x, feature_mask=masks, perturbations_per_eval=size) for size in (1, 7, "auto")]
    backwards = explainer.explain(x.flip(0), feature_mask=masks.flip(0), perturbations_per_eval=2)[::-1]
    for focuses in (*together, backwards):
        for focus, alone in zip(focuses, one_by_one, strict=True):
            assert np.array_equal(focus.final_states, alone.final_states)
            assert np.array_equal(focus.evaluated.packed, alone.evaluated.packed)
            assert np.array_equal(focus.evaluated.valid, alone.evaluated.valid)
            assert focus.evaluated.score == pytest.approx(alone.evaluated.score, rel=1e-5)


@quiet
def test_cheap_searches_find_irreducible_states() -> None:
    for seed in itertools.count():
        generator = torch.Generator().manual_seed(seed)
        model, shape = network("convnet", generator)
        x = torch.randn(1, *shape, generator=generator, dtype=torch.float64)
        balance(model, x, torch.zeros_like(x))
        mask = random_mask(shape, 7, generator)
        valid = truth_table(model, x[0], mask, torch.zeros((), dtype=torch.float64))
        expected = region_sets(oracles.irreducible(valid), mask.unique().tolist())
        if len(expected) > 4:
            break
    for search in ("beam", "beam:1", "beam:50", Beam(2, scope="level"), "chains"):
        (focus,) = FocaLogic(model, search=search).explain(x, feature_mask=mask)
        found = set(map(frozenset, focus.region_sets()))
        assert found
        assert found <= expected
        assert focus.certificate.irreducible
        assert found == expected or focus.certificate.complete in ("no", "bound")


def test_no_state_is_shown_twice() -> None:
    model = Counting(weighing([5, 3, 2, 1], 6.5))
    for search in ("exhaustive", "ascending", "beam", "chains"):
        model.shown.clear()
        (focus,) = FocaLogic(model, search=search, reading="minimal").explain(FOUR)
        assert len(set(model.shown)) == len(model.shown) == focus.certificate.evaluations
        assert focus.region_sets() == [{0, 1}, {0, 2}]


class TestMobileNet:
    """A real network on a real photo, where both are at hand."""

    HOME = Path(__file__).parents[2] / "shared"

    @pytest.fixture
    def photo(self, monkeypatch: pytest.MonkeyPatch) -> tuple[nn.Module, Tensor]:
        if not (self.HOME / "models" / "mobilenet_v2.safetensors").exists():
            pytest.skip("needs ../shared/models and ../shared/photos")
        from PIL import Image

        monkeypatch.syspath_prepend(str(self.HOME / "models"))
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        import mobilenet

        image = Image.open(self.HOME / "photos" / "bird.jpg").convert("RGB")
        return mobilenet.load(), mobilenet.preprocess(image)

    # The net takes any size, and half of it is four times as fast.
    @pytest.mark.parametrize(("rows", "columns"), [(2, 3), (7, 1)])
    def test_grid_regions_equal_brute_force(self, photo: tuple[nn.Module, Tensor], rows: int, columns: int) -> None:
        model, x = photo
        x = nn.functional.avg_pool2d(x, 2)
        side = torch.arange(x.shape[1])
        mask = (side * rows // len(side))[:, None] * columns + side * columns // len(side)
        baseline = x.mean((1, 2), keepdim=True)
        valid = truth_table(model, x, mask, baseline)
        regions = range(rows * columns)
        assert 1 < valid.sum() < 2 ** len(regions)
        (focus,) = FocaLogic(model, reading="irreducible").explain(x[None], baseline, feature_mask=mask)
        assert set(map(frozenset, focus.region_sets())) == region_sets(oracles.irreducible(valid), regions)
        for state, ok in zip(focus.evaluated.states, focus.evaluated.valid, strict=True):
            assert ok == valid[oracles.entries(state[None])[0]]
        (focus,) = FocaLogic(model, reading="minimal").explain(x[None], baseline, feature_mask=mask)
        assert set(map(frozenset, focus.region_sets())) == region_sets(oracles.minimal(valid), regions)
        assert set(map(frozenset, focus.smallest().region_sets())) == region_sets(oracles.smallest(valid), regions)


# Weightings.


def shapley(states: list[set[int]], num_regions: int) -> list[float]:
    """How often each region is the one that completes a state, over all orders of arrival."""
    turns = [0] * num_regions
    orders = list(itertools.permutations(range(num_regions)))
    for order in orders:
        for arrived in range(num_regions + 1):
            if any(state <= set(order[:arrived]) for state in states):
                if arrived:
                    turns[order[arrived - 1]] += 1
                break
    return [count / len(orders) for count in turns]


def banzhaf(states: list[set[int]], num_regions: int) -> list[float]:
    """How often each region makes the difference, over all sets of the others."""

    def holds(kept: frozenset[int]) -> bool:
        return any(state <= kept for state in states)

    values = []
    for region in range(num_regions):
        others = oracles.all_sets(set(range(num_regions)) - {region})
        values.append(sum(holds(kept | {region}) - holds(kept) for kept in others) / len(others))
    return values


class TestWeighting:
    @pytest.mark.parametrize(
        ("weighting", "expected"),
        [
            ("frequency", [1, 0.5, 0.5, 0]),
            ("shapley", shapley([{0, 1}, {0, 2}], 4)),
            ("banzhaf", banzhaf([{0, 1}, {0, 2}], 4)),
        ],
    )
    def test_of_regions(self, weighting: str, expected: list[float]) -> None:
        explainer = FocaLogic(weighing([5, 3, 2, 1], 6.5), weighting=weighting)
        assert explainer.attribute(FOUR).tolist()[0] == pytest.approx(expected)

    def test_hand_worked(self) -> None:
        assert shapley([{0, 1}, {0, 2}], 4) == pytest.approx([4 / 6, 1 / 6, 1 / 6, 0])
        assert banzhaf([{0, 1}, {0, 2}], 4) == pytest.approx([3 / 4, 1 / 4, 1 / 4, 0])

    @pytest.mark.parametrize("weighting", ["auto", "graded", "frequency", "shapley", "banzhaf"])
    @pytest.mark.parametrize("weights", [[0.0, 0, 0, 0], [-1, -1, -1, -1]])
    def test_nothing_weighs_nothing(self, weighting: str, weights: list[float]) -> None:
        # Class 0 without any region at all (the baseline alone), and class 1, which is never predicted.
        explainer = FocaLogic(weighing(weights, 0.5), weighting=weighting)
        for target in (0, 1):
            with pytest.warns(UserWarning, match="example"):
                assert explainer.attribute(FOUR, target=target).tolist() == [[0, 0, 0, 0]]

    def test_on_the_elements_of_each_region(self) -> None:
        mask = torch.tensor([[[8, 8], [2, -1]]])
        model = lambda x: weighing([3, 3, 2, 1], 6.5)(x.flatten(1))  # noqa: E731
        given = FocaLogic(model, weighting="frequency").attribute(torch.ones(1, 2, 2), feature_mask=mask)
        # 6 + 2 and 6 + 1 are above 6.5: {8, 2} and {8, -1}.
        assert given.tolist() == [[[1, 1], [0.5, 0.5]]]

    @pytest.mark.parametrize("weighting", ["area", "", None, "Frequency"])
    def test_unknown(self, weighting: object) -> None:
        with pytest.raises(InputError, match="weighting"):
            FocaLogic(weighing([1], 0), weighting=weighting)


# Settings.


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("search", "exhaustively"),
        ("search", "beam:x"),
        ("search", "beam:0"),
        ("search", "beam:-3"),
        ("search", Exhaustive),
        ("search", 5),
        ("search", None),
        ("reading", "maximal"),
        ("reading", None),
        ("criterion", "top2"),
        ("criterion", 0.9),
        ("criterion", type(None)),
        ("max_evaluations", 0),
        ("max_evaluations", -1),
        ("max_evaluations", 2.5),
        ("max_evaluations", True),
        ("max_evaluations", "5"),
        ("time_limit", 0),
        ("time_limit", -0.1),
        ("time_limit", float("nan")),
        ("time_limit", "1s"),
        ("forward_func", "resnet18"),
        ("forward_func", None),
    ],
    ids=str,
)
def test_impossible_settings(setting: str, value: object) -> None:
    with pytest.raises(InputError):
        FocaLogic(**{"forward_func": weighing([1], 0), setting: value})


@pytest.mark.parametrize(
    ("search", "reading"),
    [("ascending", "irreducible"), (Ascending(), "irreducible"), (Ascending(stop="smallest"), "minimal")],
)
def test_searches_that_cannot_give_a_reading(search: Any, reading: str) -> None:
    with pytest.raises(InputError, match="cannot be had"):
        FocaLogic(weighing([1], 0), search=search, reading=reading)


def test_numbers_of_numpy_are_numbers() -> None:
    FocaLogic(weighing([1], 0), max_evaluations=np.int64(5), time_limit=np.float32(1.5))


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        ("top1", [{0, 1}, {0, 2}]),
        ("topk:2", [set()]),
        # The whole input has logits 6.5 and 11: p(1) = 0.98901, of which 0.9 needs a sum above 8.59.
        ("probability:0.9", [{0, 1, 2}, {0, 1, 3}]),
        ("margin:3.0", [{0, 1, 2}]),
        ("threshold:8.5", [{0, 1, 2}, {0, 1, 3}]),
        ("tolerance:1.0", [{0, 1, 2}]),
        (lambda outputs, reference: outputs[:, 1] > reference[:, 1] - 1.5, [{0, 1, 2}]),
    ],
)
def test_criteria_decide_what_is_final(criterion: Any, expected: list[set[int]]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "example")
        (focus,) = FocaLogic(weighing([5, 3, 2, 1], 6.5), criterion=criterion).explain(FOUR)
    assert focus.region_sets() == expected


# Budgets.


class TestBudgets:
    WEIGHTS = (5.0, 3, 2, 1, 1, 1, 1, 1)

    def explainer(self, model: Any = None, **more: Any) -> FocaLogic:
        return FocaLogic(model or weighing(list(self.WEIGHTS), 7.5), **more)

    @quiet
    @pytest.mark.parametrize("most", [1, 2, 9, 40])
    @pytest.mark.parametrize("search", ["exhaustive", "ascending", "beam:3", "chains"])
    def test_evaluations_of_each_example(self, most: int, search: str) -> None:
        model = Counting(weighing(list(self.WEIGHTS), 7.5))
        focuses = self.explainer(model, search=search, reading="minimal", max_evaluations=most).explain(
            torch.ones(3, 8)
        )
        assert sum(model.rows) <= 3 * most
        everything = self.explainer(search="ascending", reading="minimal").explain(torch.ones(1, 8))[0]
        for focus in focuses:
            assert focus.certificate.evaluations <= most
            assert focus.certificate.stopped == "max_evaluations"
            assert focus.certificate.complete in ("no", "bound")
            assert len(focus.evaluated) == focus.certificate.evaluations
            if search == "ascending":
                assert set(map(frozenset, focus.region_sets())) <= set(map(frozenset, everything.region_sets()))

    @quiet
    def test_the_smaller_of_both_bounds(self) -> None:
        for own, n_samples in ((10, 30), (30, 10), (None, 10)):
            (focus,) = self.explainer(max_evaluations=own).explain(torch.ones(1, 8), n_samples=n_samples)
            assert focus.certificate.evaluations == 10

    def test_automatic_search_follows_the_budget(self) -> None:
        strategies = [
            self.explainer(reading="irreducible", max_evaluations=most)
            .explain(torch.ones(1, 8))[0]
            .certificate.strategy
            for most in (256, 255)
        ]
        assert strategies[0].startswith("Exhaustive")
        assert strategies[1].startswith("Chains")

    def test_the_smallest_states_are_found_by_the_anytime_search(self) -> None:
        certificate = self.explainer().explain(torch.ones(1, 8))[0].certificate
        assert (certificate.reading, certificate.smallest) == ("smallest", "all")
        assert certificate.strategy.startswith("Anytime")

    @quiet
    def test_time_is_for_all_examples_together(self) -> None:
        import time

        def slow(x: Tensor) -> Tensor:
            time.sleep(0.005)
            return weighing(list(self.WEIGHTS), 3.5)(x)

        start = time.monotonic()
        focuses = self.explainer(slow, reading="irreducible", time_limit=0.1).explain(
            torch.ones(4, 8), perturbations_per_eval=1
        )
        assert time.monotonic() - start < 1
        assert {focus.certificate.stopped for focus in focuses} == {"time_limit"}

    def test_sliding_windows_and_masks_as_in_attribute(self) -> None:
        (focus,) = self.explainer().explain(torch.ones(1, 8), sliding_window_shapes=(2,))
        assert focus.region_sets() == [{0}]
        assert focus.num_regions == 4


# Warnings.


class TestWarnings:
    def test_none_where_all_is_well(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            FocaLogic(weighing([5, 3, 2, 1], 6.5)).explain(FOUR)

    def test_each_reason_once_with_its_examples(self) -> None:
        x = torch.tensor([[2.0, 2], [0, 0], [0, 0], [1, 1], [0, 1]])
        with pytest.warns(UserWarning, match="example") as caught:
            focuses = FocaLogic(weighing([1, 1], 1.5)).explain(x, target=[1, 1, 0, 0, 0])
        said = sorted(str(warning.message) for warning in caught)
        assert len(said) == 2
        assert said[0].startswith("example(s) 1, 3: the whole input does not meet the criterion")
        assert said[1].startswith("example(s) 2, 4: the baseline alone keeps the prediction")
        assert [focus.region_sets() for focus in focuses] == [[{0}, {1}], [], [set()], [], [set()]]
        assert [str(focus.expression) for focus in focuses] == ["I0 | I1", "False", "True", "False", "True"]

    def test_a_single_region(self) -> None:
        x, mask = torch.ones(2, 2), torch.tensor([[0, 1], [5, 5]])
        with pytest.warns(UserWarning, match=r"example\(s\) 1: there is a single region") as caught:
            focuses = FocaLogic(weighing([1, 1], 1.5)).explain(x, feature_mask=mask)
        assert len(caught) == 1
        assert [focus.region_sets() for focus in focuses] == [[{0, 1}], [{5}]]

    def test_many_examples_are_not_all_listed(self) -> None:
        with pytest.warns(UserWarning, match=r"0, 1, 2, 3, 4, 5, 6, 7, 8, 9, \.\.\.:"):
            FocaLogic(weighing([1, 1], 1.5)).explain(torch.zeros(30, 2))

    def test_a_search_that_ended_too_soon(self) -> None:
        with pytest.warns(UserWarning, match="max_evaluations="):
            (focus,) = FocaLogic(weighing([5, 3, 2, 1], 6.5), reading="irreducible", max_evaluations=2).explain(FOUR)
        assert focus.region_sets() == []
        assert focus.certificate.complete == "no"

    def test_a_search_that_ended_with_regions_to_spare(self) -> None:
        with pytest.warns(UserWarning, match="regions to spare.*max_evaluations="):
            (focus,) = FocaLogic(weighing([5, 3, 2, 1], 6.5), max_evaluations=2).explain(FOUR)
        assert focus.region_sets() == [{0, 1, 2, 3}]
        assert focus.unfinished.tolist() == [True]

    def test_point_at_the_caller(self) -> None:
        with pytest.warns(UserWarning, match="example") as caught:
            FocaLogic(weighing([1, 1], 1.5)).explain(torch.zeros(1, 2))
        assert caught[0].filename == __file__


# What goes wrong on the way.


class TestInterrupts:
    @quiet
    @pytest.mark.parametrize("call", [2, 3, 5, 9])
    def test_explain_raises_with_what_is_known(self, call: int) -> None:
        exact = weighing([5, 3, 2, 1], 6.5)
        model = Counting(exact, call, KeyboardInterrupt)
        with pytest.raises(SearchInterrupt) as interrupt:
            FocaLogic(model, search="ascending", reading="minimal").explain(FOUR.expand(2, 4), perturbations_per_eval=1)
        focuses = interrupt.value.found
        assert len(model.rows) == call
        assert any(focus.certificate.stopped == "interrupted" for focus in focuses)
        for focus in focuses:
            assert {frozenset(state) for state in focus.region_sets()} <= {frozenset({0, 1}), frozenset({0, 2})}
            if focus.certificate.stopped:
                assert focus.certificate.complete == "no"
            for state, ok in zip(focus.evaluated.states, focus.evaluated.valid, strict=True):
                scores = exact(torch.from_numpy(state)[None].float())[0]
                assert ok == bool(scores[1] > scores[0])

    @quiet
    @pytest.mark.parametrize("call", [1, 2, 5])
    def test_attribute_raises(self, call: int) -> None:
        model = Counting(weighing([5, 3, 2, 1], 6.5), call, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            FocaLogic(model).attribute(FOUR)
        assert len(model.rows) == call

    def test_before_anything_is_known(self) -> None:
        model = Counting(weighing([5, 3, 2, 1], 6.5), 1, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            FocaLogic(model).explain(FOUR)

    def test_the_explainer_can_be_used_again(self) -> None:
        model = Counting(weighing([5, 3, 2, 1], 6.5), 4, KeyboardInterrupt)
        explainer = FocaLogic(model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(SearchInterrupt):
                explainer.explain(FOUR)
        assert explainer.explain(FOUR)[0].region_sets() == [{0, 1}, {0, 2}]


class Mine(Exception):
    pass


@pytest.mark.parametrize("call", [1, 2, 6])
@pytest.mark.parametrize("method", ["attribute", "explain"])
def test_the_models_exceptions_pass_through_with_a_note(method: str, call: int) -> None:
    model = Counting(weighing([5, 3, 2, 1], 6.5), call, Mine)
    with pytest.raises(Mine) as caught:
        getattr(FocaLogic(model), method)(FOUR)
    assert any("forward function" in note and "float32" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("per_eval", [1, 4, "auto"])
@pytest.mark.parametrize("most", [1, 2, 3])
def test_little_memory_changes_nothing(per_eval: int | str, most: int) -> None:
    exact = weighing([5, 3, 2, 1], 6.5)

    def model(x: Tensor) -> Tensor:
        if len(x) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return exact(x)

    x = torch.tensor([[1.0, 1, 1, 1], [2, 1, 1, 1], [1, 2, 1, 1]])
    expected = FocaLogic(exact).explain(x)
    given = FocaLogic(model).explain(x, perturbations_per_eval=per_eval)
    for focus, wanted in zip(given, expected, strict=True):
        assert np.array_equal(focus.final_states, wanted.final_states)
        assert focus.certificate.evaluations == wanted.certificate.evaluations


def test_functions_of_a_whole_batch_are_asked_row_by_row() -> None:
    total = lambda x: x.sum() - 1.5  # noqa: E731
    expected = [{frozenset(pair) for pair in itertools.combinations(range(4), 2)}]
    assert [set(map(frozenset, f.region_sets())) for f in FocaLogic(total).explain(FOUR)] == expected
    assert [set(map(frozenset, f.region_sets())) for f in FocaLogic(total).explain(FOUR.expand(2, 4))] == 2 * expected
    assert FocaLogic(total, weighting="frequency").attribute(FOUR).tolist() == [[0.5, 0.5, 0.5, 0.5]]
    with pytest.raises(ModelOutputError, match="perturbations_per_eval=1"):
        FocaLogic(total).attribute(FOUR, perturbations_per_eval=3)
    with pytest.raises(ModelOutputError, match="one value for 2 inputs"):
        FocaLogic(total).attribute(FOUR.expand(2, 4))


# The model is left as it was.


def test_layouts_are_tried_on_inputs_only() -> None:
    generator = torch.Generator().manual_seed(2)
    model, shape = network("convnet", generator)
    model.train()
    seen: set[tuple[bool, bool]] = set()

    def forward(x: Tensor) -> Tensor:
        seen.add((x.is_contiguous(), x.is_contiguous(memory_format=torch.channels_last)))
        assert not torch.is_grad_enabled()
        return model(x)

    x = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    before = x.clone()
    mask = random_mask(shape, 8, generator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        FocaLogic(forward).explain(x, feature_mask=mask)
    assert seen == {(True, False), (False, True)}
    assert model.training
    assert all(parameter.is_contiguous() and parameter.grad is None for parameter in model.parameters())
    assert torch.equal(x, before)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("scope", [torch.inference_mode, lambda: torch.device("meta")], ids=["inference", "device"])
def test_modes_of_torch_around_the_call(scope: Callable[[], Any]) -> None:
    # The default device is where torch puts new tensors; the inputs say where the work is done.
    exact = lambda x: torch.stack([x.sum(1) * 0 + 2.5, x[:, 0] * 2 + x[:, 1] + x[:, 2]], 1)  # noqa: E731
    x, whole = torch.ones(2, 3), torch.ones(1, 3, dtype=torch.int64)
    with scope():
        assert FocaLogic(exact, weighting="frequency").attribute(x).tolist() == [[1, 0.5, 0.5]] * 2
        assert FocaLogic(exact).explain(x, 0.0, target=[1, 1])[1].region_sets() == [{0, 1}, {0, 2}]
        assert FocaLogic(exact, reading="minimal").explain(whole, 0.5)[0].region_sets() == [{0}, {1, 2}]
        assert FocaLogic(lambda x: exact(x).argmax(1)).explain(x)[0].region_sets() == [{0, 1}, {0, 2}]
        assert FocaLogic(lambda x: float(x[0, 0]) - 0.5, outputs="logits").explain(x[:1])[0].region_sets() == [{0}]
        explainer = FocaLogic(exact, weighting="frequency")
        windows = explainer.attribute(x, sliding_window_shapes=(2,), return_input_shape=False)
        assert windows.tolist() == [[1, 0]] * 2


def test_what_was_measured_serves_the_next_call() -> None:
    model = Counting(weighing([1.0] * 13, 3.5))
    explainer = FocaLogic(model, reading="irreducible", max_evaluations=None)
    explainer.explain(torch.ones(1, 13))
    (batching,) = explainer._measured.values()
    assert not batching.measuring
    chosen, measured_rows = batching.size, set(model.rows)
    model.rows.clear()
    explainer.explain(torch.ones(1, 13))
    # Level after level, every batch but the last of a level is full.
    assert sum(rows != chosen for rows in model.rows) <= 13
    assert max(model.rows) == chosen
    assert chosen in measured_rows


def test_segmenters_see_the_image_and_the_focus_keeps_the_labels() -> None:
    seen: list[Tensor] = []

    def halves(image: Tensor) -> Tensor:
        seen.append(image)
        labels = torch.full((4, 4), 3)
        labels[:, 2:] = 11
        return labels

    def model(x: Tensor) -> Tensor:
        right = x[:, :, :, 2:].sum((1, 2, 3))
        return torch.stack([torch.zeros_like(right), right], 1)

    x = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0)) + 0.1
    (focus,) = FocaLogic(model, segmenter=halves, to_image=lambda row: row - 0.1).explain(x)
    assert torch.allclose(seen[0], x[0] - 0.1)
    assert focus.region_sets() == [{11}]
    assert focus.label_map is not None
    assert focus.label_map.tolist() == [[3, 3, 11, 11]] * 4
    assert str(focus.expression) == "I11"


CORNERS = torch.tensor([[0, 0, 1], [0, 2, 1]])[None, None]


def corner(x: torch.Tensor) -> torch.Tensor:
    """Class 1 where the upper left pixel is not black."""
    return torch.stack([torch.full((len(x),), 0.1), x[:, :, 0, 0].float().abs().sum(1)], dim=1)


def explain_corner(x: torch.Tensor, mask: torch.Tensor = CORNERS, **how) -> Focus:
    return FocaLogic(corner, **how).explain(x, feature_mask=mask)[0]


class TestImageBesideAnExplanation:
    """It is the one the model saw, as far as it can be shown."""

    def test_images_in_the_unit_interval_come_as_they_are(self) -> None:
        x = torch.arange(18).reshape(1, 3, 2, 3) / 17
        image = explain_corner(x).image
        assert image is not None
        assert image.tolist() == np.rint(x[0].permute(1, 2, 0).numpy() * 255).astype(int).tolist()

    def test_normalisation_is_undone_where_the_user_says_how(self) -> None:
        x = torch.rand(1, 3, 2, 3)
        image = explain_corner(x * 4 - 2, to_image=lambda row: (row + 2) / 4).image
        assert image is not None
        assert np.abs(image - x[0].permute(1, 2, 0).numpy() * 255).max() <= 0.51

    def test_an_image_of_another_size_is_left_out(self) -> None:
        assert explain_corner(torch.rand(1, 3, 2, 3), to_image=lambda row: torch.zeros(3, 8, 8)).image is None

    def test_without_a_label_map_there_is_no_image(self) -> None:
        focus = FocaLogic(lambda x: torch.stack([x[:, 0], x[:, 1]], 1)).explain(torch.tensor([[1.0, 2.0]]))[0]
        assert focus.image is None

    def test_the_image_survives_json(self) -> None:
        focus = explain_corner(torch.rand(1, 3, 2, 3))
        again = Focus.from_json(focus.to_json())
        assert np.array_equal(again.image, focus.image)
        assert again.image.dtype == np.uint8
        older = {**focus.to_dict(), "format": "captum-focalogic/focus/1", "label_map": None}
        del older["image"]
        assert Focus.from_dict(older).image is None

    @pytest.mark.parametrize("image", [np.zeros((2, 3), np.uint8), np.zeros((2, 3, 3)), np.zeros((3, 3, 3), np.uint8)])
    def test_an_image_that_does_not_fit_is_refused(self, image: np.ndarray) -> None:
        focus = explain_corner(torch.rand(1, 3, 2, 3))
        with pytest.raises(InputError, match="image"):
            replace(focus, image=image)


class Fickle(torch.nn.Module):
    """Answers in one form for as many calls as it is told, then in another."""

    def __init__(self, change: str, calls: int) -> None:
        super().__init__()
        self.change, self.calls = change, calls

    def forward(self, images: Tensor) -> Tensor:
        self.calls -= 1
        light = images.mean((2, 3))
        if self.calls >= 0:
            return light
        return {"shape": light[:, :2], "dtype": light.double(), "integers": light.long(), "number": light[:, :1]}[
            self.change
        ]


FORMS = ["shape", "dtype", "integers", "number"]


@pytest.mark.parametrize("change", FORMS)
@pytest.mark.parametrize("entry", ["explain", "attribute", "explain_image", "verify", "compare", "KernelShap"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_answer_that_changes_its_form_is_refused_wherever_it_comes(change: str, entry: str) -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 3, 8, 8)
    mask = (torch.arange(8)[:, None] // 4 * 2 + torch.arange(8) // 4)[None]
    steady, fickle = Fickle(change, 10_000), Fickle(change, 1)
    (focus,) = FocaLogic(steady).explain(image, feature_mask=mask)
    asks: dict[str, Callable[[], Any]] = {
        "explain": lambda: FocaLogic(fickle).explain(image, feature_mask=mask),
        "attribute": lambda: FocaLogic(fickle).attribute(
            image, target=int(image.mean((2, 3)).argmax()), feature_mask=mask
        ),
        "explain_image": lambda: explain_image(fickle, image[0], segmenter="grid:2x2"),
        "verify": lambda: verify(focus, fickle, image, feature_mask=mask),
        "compare": lambda: compare(fickle, image, ["FocaLogic"], feature_mask=mask),
        "KernelShap": lambda: compare(fickle, image, ["KernelShap"], feature_mask=mask),
    }
    with pytest.raises(ModelOutputError, match="changed its form"):
        asks[entry]()


@pytest.mark.parametrize("change", FORMS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_study_makes_error_rows_of_answers_that_change_their_form(change: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow (the study extra)")
    from studies import GRID, patch_items

    from captum_focalogic.study import run_study

    rows = run_study(patch_items(2), Fickle(change, 2), GRID, truth=False, out=tmp_path / "study").to_pylist()
    assert rows
    assert all("changed its form" in row["error"] for row in rows)


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_normalised_inputs_are_explained_as_the_images_that_they_are():
    """Regions, image and named baselines are those of the image, whatever it was normalised by."""
    image = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]

    def plain(images):
        parts = [9 * images[:, 0, :6].mean((1, 2)), 8 * images[:, 1, 3:].mean((1, 2)), 7 * images[:, 2].mean((1, 2))]
        return torch.stack(parts, 1) - torch.tensor([0.0, -0.3, -0.7])

    cut = Grid(2, 3)
    for baseline in ("black", "white", "0.3", "mean", "blur:2", "region-mean"):
        expected = FocaLogic(plain, segmenter=cut).explain(image, baseline)
        found = FocaLogic(lambda x: plain(x * std + mean), segmenter=cut, mean=MEAN, std=STD).explain(
            (image - mean) / std, baseline
        )
        for one, other in zip(expected, found, strict=True):
            assert one.region_sets() == other.region_sets()
            assert np.array_equal(one.image, other.image)
            assert one.scores == pytest.approx(other.scores, abs=1e-4)


def test_zero_is_the_models_own_zero_which_is_grey_in_normalised_inputs():
    seen = []

    def model(x):
        seen.append(x.clone())
        return x.mean((2, 3))

    normalised = torch.full((1, 3, 4, 4), 2.0)
    FocaLogic(model, segmenter=Grid(2, 2), mean=MEAN, std=STD).explain(normalised)
    assert {value for batch in seen for value in batch.unique().tolist()} == {0.0, 2.0}


def test_shades_of_normalised_inputs_whose_normalisation_is_not_known_are_refused():
    normalised = torch.randn(1, 3, 4, 4)
    mask = torch.arange(4).reshape(1, 1, 4, 1)
    for shade in ("black", "white", "0.5"):
        with pytest.raises(InputError, match="Say what they are normalised by, mean= and std="):
            FocaLogic(lambda x: x.mean((2, 3))).explain(normalised, shade, feature_mask=mask)
    with pytest.raises(InputError, match="mean= and std= go together"):
        FocaLogic(lambda x: x, mean=MEAN)
    with pytest.raises(InputError, match="both say how an input becomes an image"):
        FocaLogic(lambda x: x, mean=MEAN, std=STD, to_image=lambda row: row)


def the_quarters(x):
    """Classes are quarters of the image, the lightest wins."""
    return 9 * torch.stack([x[..., :4, :4], x[..., :4, 4:], x[..., 4:, :4], x[..., 4:, 4:]], 1).mean((2, 3, 4))


QUARTERS = ["north west", "north east", "south west", "south east"]


def test_masks_of_other_packages_are_regions():
    """Masks as Segment Anything gives them, as a stack, and as a label map say the same, wherever regions are said."""
    x = torch.zeros(1, 3, 8, 8)
    x[..., 4:, 4:] = 1.0
    masks = np.zeros((2, 8, 8), dtype=np.bool_)
    masks[0, 4:, 4:], masks[1, :4, :4] = True, True
    records = [{"segmentation": mask, "area": int(mask.sum())} for mask in masks]
    label_map = masks[0] * 1 + masks[1] * 2
    for regions in (records, masks, torch.from_numpy(masks), label_map, torch.from_numpy(label_map)):
        by_mask = FocaLogic(the_quarters).explain(x, feature_mask=regions)[0]
        by_segmenter = FocaLogic(the_quarters, segmenter=regions).explain(x)[0]
        assert by_mask.region_sets() == by_segmenter.region_sets() == [frozenset({1})]
        assert by_mask.region_ids.tolist() == [0, 1, 2]
    generated = FocaLogic(the_quarters, segmenter=lambda image: records).explain(x)[0]
    assert generated.region_sets() == [frozenset({1})]
    answer = explain_image(the_quarters, x[0], segmenter=records)
    assert answer.focus.region_sets() == [frozenset({1})]


def test_classes_are_given_and_told_by_name():
    x = torch.zeros(2, 3, 8, 8)
    x[0, :, :4, :4], x[1, :, 4:, 4:] = 1.0, 1.0
    explainer = FocaLogic(the_quarters, segmenter="grid:2x2", labels=QUARTERS, criterion="over:south west")
    first, second = explainer.explain(x, target=["north west", "South East"])
    assert (first.target, first.target_name, first.prediction.name) == (0, "north west", "north west")
    assert (second.target, second.target_name) == (3, "south east")
    assert second.prediction.top[0][1] == "south east"
    weights = FocaLogic(the_quarters, segmenter="grid:2x2", labels=QUARTERS).attribute(x[:1], target="north west")
    assert torch.equal(weights, FocaLogic(the_quarters, segmenter="grid:2x2").attribute(x[:1], target=0))
    with pytest.raises(InputError, match="no class is called 'north'; did you mean"):
        explainer.explain(x, target="north")
    with pytest.raises(InputError, match="the names of the classes are not known; pass labels="):
        FocaLogic(the_quarters, segmenter="grid:2x2").explain(x, target="north west")


def test_one_image_without_its_batch_dimension_is_told_so():
    image = torch.rand(3, 40, 40)
    with pytest.raises(InputError, match=r"If \(3, 40, 40\) is one image, .* pass inputs\[None\], \(1, 3, 40, 40\)"):
        FocaLogic(the_quarters).attribute(image)
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(1), nn.Linear(2 * 38 * 38, 2))
    with pytest.raises(RuntimeError) as caught:
        FocaLogic(network.eval()).attribute(image, feature_mask=torch.ones(40, 40, dtype=torch.long))
    assert any("pass inputs[None]" in note for note in caught.value.__notes__)
    assert explain_image(the_quarters, torch.rand(1, 3, 8, 8), segmenter="grid:2x2").focus.num_regions == 4


def test_a_zero_in_normalised_inputs_is_named_for_the_grey_that_it_is() -> None:
    image, mean, std = torch.rand(1, 3, 8, 8), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    inputs = Normalisation(mean, std).apply(image)
    model, how = (lambda x: 9 * x[:, :, :4].mean((2, 3))), {"segmenter": "grid:2x2", "outputs": "logits"}
    told = FocaLogic(model, mean=mean, std=std, **how).explain(inputs)[0]
    assert told.provenance.fill == "0, which is a grey here, (0.49, 0.46, 0.41)"
    assert FocaLogic(model, **how).explain(image)[0].provenance.fill == "0, black"
    named = FocaLogic(model, mean=mean, std=std, **how).explain(inputs, baselines="black")[0]
    assert (named.provenance.baseline, named.provenance.fill) == ("black", None)
    assert "filled: 0, which is a grey here" in removal_text(told)
