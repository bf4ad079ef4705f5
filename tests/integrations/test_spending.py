"""Caps on calls and cost, with numbers worked out by hand."""

import math

import pytest

from captum_focalogic.errors import BudgetError, InputError
from captum_focalogic.integrations.spending import Budget, count_of


@pytest.mark.parametrize(
    ("tokens", "count"),
    [(0, 0), (7, 7), (7.2, 8), (-1, None), (True, None), ("7", None), (None, None), (math.nan, None), (1e30, None)],
)
def test_what_is_a_number_of_tokens(tokens, count):
    assert count_of(tokens) == count


def test_each_call_in_flight_is_counted_at_the_dearest_price():
    budget = Budget(max_cost=0.01, prices=(2.0, 50.0))
    budget.start()
    assert budget.must_wait
    budget.finish((1000, 10))  # 0.002 + 0.0005
    assert budget.usage.cost == pytest.approx(0.0025)
    for _ in range(3):
        budget.start()
    with pytest.raises(BudgetError, match="may exceed max_cost"):
        budget.start()
    for _ in range(3):
        budget.finish(None)
    assert budget.usage.calls == 4
    budget.start()


@pytest.mark.parametrize("prices", [(1.0,), (-1.0, 1.0), (math.nan, 1.0), (1.0, math.inf)])
def test_prices_are_two_numbers(prices):
    with pytest.raises(InputError, match="prices must be two numbers"):
        Budget(prices=prices)
