"""Weightings: graded weights against numbers worked out by hand, brute force, and what any Shapley value keeps."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as hs

from captum_focalogic import FocaLogic, Focus
from captum_focalogic.search import Anytime, enumerate_final_states
from captum_focalogic.search import states as st
from captum_focalogic.search.record import Evaluated
from captum_focalogic.weightings import (
    WEIGHTS,
    _halfway_along,
    _halfway_table,
    _shapley_of_orders,
    _shapley_of_table,
    graded,
    responsibility,
)


def shapley(table: dict[frozenset[int], float], num_regions: int) -> list[float]:
    """What each region adds on arrival, the mean over all orders."""
    weights = np.zeros(num_regions)
    orders = list(itertools.permutations(range(num_regions)))
    for order in orders:
        for place, region in enumerate(order):
            weights[region] += table[frozenset(order[: place + 1])] - table[frozenset(order[:place])]
    return (weights / len(orders)).tolist()


def all_sets(num_regions: int) -> list[frozenset[int]]:
    return [frozenset(j for j in range(num_regions) if entry >> j & 1) for entry in range(1 << num_regions)]


def halfway(known: dict[frozenset[int], float], num_regions: int) -> dict[frozenset[int], float]:
    """The definition: halfway between the highest answer within a set and the lowest around it."""
    taken = {}
    for kept in all_sets(num_regions):
        lower = max((p for asked, p in known.items() if asked <= kept), default=0.0)
        upper = min((p for asked, p in known.items() if asked >= kept), default=1.0)
        taken[kept] = known.get(kept, (lower + upper) / 2)
    return taken


@hs.composite
def answers(draw, most=5):
    """Regions, and the probability in some of the sets of them."""
    num_regions = draw(hs.integers(1, most))
    asked = draw(hs.lists(hs.sampled_from(all_sets(num_regions)), min_size=1, unique=True))
    return num_regions, {kept: draw(hs.integers(0, 64)) / 64 for kept in asked}


def arrays(known: dict[frozenset[int], float], num_regions: int) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array([[j in kept for j in range(num_regions)] for kept in known]),
        np.array(list(known.values())),
    )


def focus_of(probability, num_regions: int, most: int | None = None, *, told: bool = True) -> Focus:
    """A focus by the default search of a function from kept regions (B, M) to probabilities; valid from a half on."""
    result = enumerate_final_states(
        lambda kept: (probability(kept) >= 0.5, probability(kept)), num_regions, Anytime(), max_evaluations=most
    )
    areas = np.full(num_regions, 1 / num_regions)
    evaluated = result.evaluated
    object.__setattr__(evaluated, "probability", evaluated.score if told else None)
    return Focus(np.arange(num_regions), areas, result.final_states, result.certificate, evaluated)


class TestByHand:
    def test_one_set_that_was_not_asked(self) -> None:
        # {1} lies between 0.1 and 0.9 and is taken for 0.5.
        states = np.array([[True, True], [False, False], [True, False]])
        weights = _shapley_of_table(_halfway_table(states, np.array([0.9, 0.1, 0.6])))
        # Region 0 adds 0.5 to nothing and 0.4 to {1}; region 1 adds 0.4 to nothing and 0.3 to {0}.
        assert weights.tolist() == pytest.approx([0.45, 0.35])

    def test_only_the_whole_was_asked(self) -> None:
        # Everything else lies between 0 and 0.8.
        weights = _shapley_of_table(_halfway_table(np.array([[True, True]]), np.array([0.8])))
        assert weights.tolist() == pytest.approx([0.2, 0.2])

    def test_answers_that_contradict_monotonicity_stand(self) -> None:
        # Region 1 speaks against the class: 0.9 without it, 0.5 with it.
        states = np.array([[True, True], [True, False], [False, True], [False, False]])
        weights = _shapley_of_table(_halfway_table(states, np.array([0.5, 0.9, 0.1, 0.3])))
        assert weights.tolist() == pytest.approx([0.5, -0.3])


@given(answers())
@settings(deadline=None)
def test_the_table_is_as_defined(drawn) -> None:
    num_regions, known = drawn
    expected = halfway(known, num_regions)
    table = _halfway_table(*arrays(known, num_regions))
    assert table.tolist() == [expected[kept] for kept in all_sets(num_regions)]
    np.testing.assert_allclose(_shapley_of_table(table), shapley(expected, num_regions), atol=1e-12)


@given(answers(), hs.randoms(use_true_random=False))
@settings(deadline=None)
def test_along_any_order_it_is_the_same(drawn, random) -> None:
    num_regions, known = drawn
    expected = halfway(known, num_regions)
    order = list(range(num_regions))
    random.shuffle(order)
    along = _halfway_along(np.array(order), *arrays(known, num_regions))
    assert along.tolist() == [expected[frozenset(order[:count])] for count in range(num_regions + 1)]


@given(answers(4))
@settings(deadline=None, max_examples=10)
def test_drawn_orders_come_near(drawn) -> None:
    num_regions, known = drawn
    exact = shapley(halfway(known, num_regions), num_regions)
    # A mean of a thousand numbers between -1 and 1, in pairs.
    np.testing.assert_allclose(_shapley_of_orders(*arrays(known, num_regions)), exact, atol=0.15)


class TestOfAFocus:
    WEIGHTS = np.array([5.0, 3.0, 2.0, 1.0, 0.5])

    def probability(self, kept: np.ndarray) -> np.ndarray:
        return (kept @ self.WEIGHTS[: kept.shape[1]] / 16).astype(np.float32)

    def test_they_sum_to_what_the_whole_has_beyond_nothing(self) -> None:
        focus = focus_of(self.probability, 5)
        assert not focus.evaluated.states.any(axis=1).all()
        assert graded(focus).sum() == pytest.approx(11.5 / 16)

    def test_regions_in_no_final_state_are_told_apart(self) -> None:
        focus = focus_of(self.probability, 5)
        assert focus.region_sets() == [{0, 1}]
        assert np.argsort(-graded(focus)).tolist() == [0, 1, 2, 3, 4]

    def test_without_probabilities_verdicts_count(self) -> None:
        # Of all 8 sets, two of three regions are enough: each has its third.
        focus = focus_of(lambda kept: (kept.sum(axis=1) / 4).astype(np.float32), 3, told=False)
        assert graded(focus).tolist() == pytest.approx([1 / 3] * 3)

    def test_an_answer_that_is_no_number_counts_by_its_verdict(self) -> None:
        focus = focus_of(self.probability, 5)
        focus.evaluated.probability[:] = np.nan
        assert graded(focus).tolist() == graded(focus_of(self.probability, 5, told=False)).tolist()

    def test_no_final_state_no_weight(self) -> None:
        assert graded(focus_of(lambda kept: np.zeros(len(kept), np.float32), 3)).tolist() == [0, 0, 0]

    def test_many_regions(self) -> None:
        def probability(kept: np.ndarray) -> np.ndarray:
            return (0.1 + 0.5 * kept[:, 3] + 0.3 * kept[:, 17]).astype(np.float32)

        focus = focus_of(probability, 30, 400)
        weights = graded(focus)
        assert np.argsort(-weights)[:2].tolist() == [3, 17]
        assert weights.sum() == pytest.approx(0.8)
        assert weights.tolist() == graded(focus).tolist()


class TestAttribute:
    def model(self, x: torch.Tensor) -> torch.Tensor:
        total = x[:, 0] * 2 + x[:, 1] + x[:, 2] * 0.25
        return torch.stack([torch.full_like(total, 1.5), total], dim=1)

    def test_it_is_the_default_and_asks_nothing_more(self) -> None:
        x, asked = torch.ones(1, 3), []

        def counted(rows: torch.Tensor) -> torch.Tensor:
            asked.append(len(rows))
            return self.model(rows)

        (focus,) = FocaLogic(counted).explain(x)
        evaluations = sum(asked)
        asked.clear()
        weights = FocaLogic(counted).attribute(x)
        assert sum(asked) == evaluations
        np.testing.assert_allclose(weights[0], graded(focus), atol=1e-6)

    def test_with_all_sets_asked_it_is_the_shapley_value_of_the_probability(self) -> None:
        table = {
            kept: float(torch.softmax(self.model(torch.tensor([[float(j in kept) for j in range(3)]])), 1)[0, 1])
            for kept in all_sets(3)
        }
        # Every set but the empty one is enough, so a search of all deletions asks every set.
        explainer = FocaLogic(self.model, search="exhaustive", reading="irreducible", criterion="probability:0.24")
        weights = explainer.attribute(torch.ones(1, 3), target=1)
        np.testing.assert_allclose(weights[0], shapley(table, 3), atol=1e-6)

    def test_one_column_a_region_and_the_dtype_of_the_input(self) -> None:
        x = torch.ones(2, 3, dtype=torch.float64)
        weights = FocaLogic(self.model).attribute(x, return_input_shape=False)
        assert weights.dtype == torch.float64
        assert torch.equal(weights, FocaLogic(self.model).attribute(x))

    def test_another_target_than_the_prediction_weighs_nothing(self) -> None:
        with pytest.warns(UserWarning, match="whole input does not meet"):
            assert FocaLogic(self.model).attribute(torch.ones(1, 3), target=0).tolist() == [[0, 0, 0]]


def test_auto_is_graded() -> None:
    assert WEIGHTS["auto"] is WEIGHTS["graded"]


class TestResponsibility:
    """1 / (1 + the fewest regions whose loss makes the decision hang on this one): exact once all sets were asked."""

    @staticmethod
    def by_definition(valid: np.ndarray, num_regions: int) -> list[float]:
        weights = []
        for region in range(num_regions):
            others = [j for j in range(num_regions) if j != region]
            sizes = [
                size
                for size in range(num_regions)
                for dropped in itertools.combinations(others, size)
                if valid[sum(1 << j for j in range(num_regions) if j not in dropped)]
                and not valid[sum(1 << j for j in range(num_regions) if j not in (*dropped, region))]
            ]
            weights.append(1 / (1 + min(sizes)) if sizes and valid[-1] else 0.0)
        return weights

    @settings(max_examples=60, deadline=None)
    @given(hs.integers(1, 5), hs.integers(0, 10_000), hs.floats(0.2, 1.0))
    def test_never_above_and_exact_with_all_sets_asked(self, num_regions, seed, share) -> None:
        rng = np.random.default_rng(seed)
        valid = rng.random(1 << num_regions) < 0.6
        states = np.arange(1 << num_regions)[:, None] >> np.arange(num_regions) & 1 == 1
        exact = self.by_definition(valid, num_regions)
        assert responsibility(self.focus(states, valid)).tolist() == pytest.approx(exact)
        some = np.flatnonzero(rng.random(1 << num_regions) < share)
        assert (responsibility(self.focus(states[some], valid[some])) <= np.array(exact) + 1e-12).all()

    @staticmethod
    def focus(states: np.ndarray, valid: np.ndarray) -> Focus:
        num_regions = states.shape[1]
        found = enumerate_final_states(lambda kept: kept.all(axis=1), num_regions, Anytime())
        scores = np.full(len(states), np.nan, dtype=np.float32)
        asked = Evaluated(st.pack(states), valid, scores, num_regions, len(states))
        areas = np.full(num_regions, 1 / num_regions)
        return Focus(np.arange(num_regions), areas, found.final_states, found.certificate, asked)

    def test_either_of_two_is_half_responsible(self) -> None:
        image = torch.ones(1, 3)
        model = lambda x: torch.stack([x[:, 0] * 0 + 0.5, torch.maximum(x[:, 0], x[:, 1])], dim=1)  # noqa: E731
        explainer = FocaLogic(model, weighting="responsibility", search="exhaustive", reading="irreducible")
        assert explainer.attribute(image, target=1).tolist() == [[0.5, 0.5, 0.0]]
