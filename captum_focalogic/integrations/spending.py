"""What an endpoint's answers cost, and caps that hold before each call."""

import math
from dataclasses import dataclass
from typing import Any

from captum_focalogic.errors import BudgetError, InputError


@dataclass
class Usage:
    """What was spent.

    Attributes
    ----------
    calls : int
        Requests sent, repeated ones included.
    cached : int
        Answers that came from the cache.
    prompt_tokens, completion_tokens : int
        As the endpoint reports them.
    cost : float
        In the currency of the prices; 0 without prices.
    lost : int
        Requests of which nobody knows whether they were billed, as no answer came in time. Each is counted in ``cost``
        like the dearest one that was answered.
    """

    calls: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    lost: int = 0


class Budget:
    """Caps that hold before each call.

    What a call costs is known only afterwards. So each call in flight is counted at the price of the dearest so far,
    and the first one goes alone; the cap on cost can be exceeded by no more than one call is dearer than those before.

    Parameters
    ----------
    max_calls : int, optional
        Most requests.
    max_cost : float, optional
        Most money; needs prices.
    prices : (float, float), optional
        Of a million prompt tokens and of a million completion tokens.

    Raises
    ------
    InputError
        If a cap is not positive, or there is a cap on cost without prices.
    """

    def __init__(
        self, max_calls: int | None = None, max_cost: float | None = None, prices: tuple[float, float] | None = None
    ) -> None:
        for name, cap, kind in (("max_calls", max_calls, int), ("max_cost", max_cost, int | float)):
            if cap is not None and (isinstance(cap, bool) or not isinstance(cap, kind) or not cap > 0):
                whole = " and whole" if kind is int else ""
                raise InputError(f"{name} must be positive{whole}, or None for no cap; got {cap!r}")
        if max_cost is not None and prices is None:
            raise InputError("max_cost needs prices=(of a million prompt tokens, of a million completion tokens)")
        if prices is not None and not _are_prices(prices):
            raise InputError(f"prices must be two numbers, none negative; got {prices!r}")
        self.max_calls = max_calls
        self.max_cost = max_cost
        self.prices = prices
        self.usage = Usage()
        self._dearest: float | None = None
        self._in_flight = 0

    @property
    def must_wait(self) -> bool:
        """Whether the cost of a first call has to be known before a second one may go."""
        return self.max_cost is not None and self._dearest is None and self._in_flight > 0

    def start(self) -> None:
        """A request is about to be sent.

        Raises
        ------
        BudgetError
            If it may not be.
        """
        usage = self.usage
        if self.max_calls is not None and usage.calls >= self.max_calls:
            raise BudgetError(
                f"{usage.calls} calls were made, the most that max_calls allows; answers so far are in the cache, so "
                "run again with a larger cap to go on from here"
            )
        expected = (self._dearest or 0.0) * (self._in_flight + 1)
        if self.max_cost is not None and usage.cost + expected > self.max_cost:
            raise BudgetError(
                f"{usage.cost:.4g} was spent{self._counting_lost()}, and a further call may exceed "
                f"max_cost={self.max_cost:g}; answers so far are in the cache, so run again with a larger cap to go on "
                "from here"
            )
        usage.calls += 1
        self._in_flight += 1

    def _counting_lost(self) -> str:
        lost = self.usage.lost
        return f", counting {lost} that got no answer in time like the dearest" if lost else ""

    def lose(self) -> None:
        """No answer came to a request that was sent: it may have been billed all the same.

        Raises
        ------
        BudgetError
            If there is a cap on cost and no answer yet to say what a request may cost.
        """
        self._in_flight -= 1
        self.usage.lost += 1
        if self._dearest is None and self.max_cost is not None:
            raise BudgetError(
                "no answer came in time to the first request, which may have been billed, and what one costs is not "
                "known yet, so max_cost cannot hold; raise timeout=, or use max_calls in place of max_cost"
            )
        self.usage.cost += self._dearest or 0.0

    def finish(self, tokens: tuple[Any, Any] | None) -> None:
        """A request has been answered, with so many prompt and completion tokens, or was refused or lost (None).

        The numbers are the endpoint's: what is no count of tokens (negative, NaN, a text) is none.

        Raises
        ------
        InputError
            If there is a cap on cost but the endpoint does not say what was used.
        """
        self._in_flight -= 1
        if tokens is None:
            return
        prompt, completion = map(count_of, tokens)
        # No image is read for no tokens: such a claim would let any number of calls pass under the cap.
        if self.max_cost is not None and (not prompt or completion is None):
            raise InputError(
                "this endpoint does not report its use of tokens, or not in numbers, so max_cost cannot hold; use "
                "max_calls"
            )
        self.usage.prompt_tokens += prompt or 0
        self.usage.completion_tokens += completion or 0
        if self.prices is not None:
            cost = ((prompt or 0) * self.prices[0] + (completion or 0) * self.prices[1]) / 1e6
            self.usage.cost += cost
            self._dearest = max(self._dearest or 0.0, cost)


def _are_prices(prices: Any) -> bool:
    numbers = isinstance(prices, tuple | list) and len(prices) == 2
    return numbers and all(isinstance(price, int | float) and 0 <= price < math.inf for price in prices)


def count_of(tokens: Any) -> int | None:
    """A number of tokens, or None where that is none."""
    if isinstance(tokens, bool) or not isinstance(tokens, int | float) or not 0 <= tokens < 2**53:
        return None
    return math.ceil(tokens)
