"""What goes wrong at an endpoint: whether to ask again, and what to say."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from captum_focalogic.errors import InputError

_PASSING = (408, 409, 425, 429)
_TIMED_OUT = (408, 504, 524)
"""Statuses after which an endpoint may have done its work all the same."""
_NEVER = ("insufficient_quota", "billing_hard_limit_reached")


@dataclass(frozen=True)
class Retries:
    """Exponential back-off.

    Attributes
    ----------
    attempts : int, default 6
        How often a request is sent at most.
    first : float, default 1
        Seconds before the second attempt; doubled for each further one.
    longest : float, default 60
        Most seconds between two attempts, whatever the endpoint asks for.
    jitter : float, default 0.25
        Share of the pause that chance takes off, so that many clients do not come back together.
    """

    attempts: int = 6
    first: float = 1.0
    longest: float = 60.0
    jitter: float = 0.25

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.first < 0 or self.longest < self.first or not 0 <= self.jitter <= 1:
            raise InputError(
                f"at least one attempt, and pauses with 0 <= first <= longest, 0 <= jitter <= 1; got {self}"
            )

    def pause(self, attempt: int, asked: float | None = None) -> float:
        """Seconds after a failed attempt (from 0), at least what the endpoint asked for."""
        own = self.first * 2.0**attempt * (1 - self.jitter * random.random())
        return float(min(self.longest, max(own, asked or 0.0)))


class TooLongError(ValueError):
    """A reply that is not read to its end."""


class NoAnswerError(ValueError):
    """A reply with status 200 that holds no answer, in the endpoint's words."""


def may_be_billed(openai: Any, error: Exception) -> bool:
    """Whether a request without an answer was sent, so that the endpoint may have done its work."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code in _TIMED_OUT
    if isinstance(error, openai.APIConnectionError):
        # What was never connected was never sent.
        return not type(error.__cause__).__name__.startswith(("Connect", "Pool", "UnsupportedProtocol"))
    return isinstance(error, TimeoutError)


def wait_before_retry(openai: Any, error: Exception, retries: Retries, attempt: int) -> float | None:
    """Seconds to wait before asking again, or None if that is no use."""
    if attempt + 1 >= retries.attempts:
        return None
    if isinstance(error, openai.APIStatusError):
        if error.code in _NEVER or not (error.status_code in _PASSING or error.status_code >= 500):
            return None
        return retries.pause(attempt, retry_after(error.response.headers))
    passing = isinstance(
        error, openai.APIConnectionError | openai.APIResponseValidationError | ValueError | TimeoutError
    )
    return retries.pause(attempt) if passing else None


def retry_after(headers: Any) -> float | None:
    """What the header Retry-After asks for, in seconds: a number, or a date."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def complaint(
    openai: Any, error: Exception, key_variable: str, hidden: Callable[[str], str], *, structured: bool
) -> str:
    """What went wrong, and what to do; ``hidden`` takes secrets out of the endpoint's words."""
    if isinstance(error, openai.APITimeoutError | TimeoutError):
        return "it took too long; raise timeout=, or lower concurrency="
    for given_up in (error, error.__cause__):
        # Some versions of the client raise what happens while it reads as it is, some as a lost connection.
        if isinstance(given_up, TooLongError):
            return f"its reply is not read: {given_up}; check that base_url= is an OpenAI-compatible endpoint"
    if isinstance(error, openai.APIConnectionError):
        return "it cannot be reached; check base_url= and that the server runs"
    if isinstance(error, NoAnswerError):
        return f"its reply holds no answer: {_short(hidden(str(error)))}"
    if not isinstance(error, openai.APIStatusError):
        return (
            f"its reply cannot be read ({type(error).__name__}); check that base_url= is an OpenAI-compatible endpoint"
        )
    if 300 <= error.status_code < 400:
        place = _short(hidden(str(error.response.headers.get("location", "elsewhere"))))
        return (
            f"status {error.status_code}, it points to {place}, which is not asked; if it is right, set base_url= to it"
        )
    if error.status_code in (401, 403):
        return f"status {error.status_code}, it does not accept the key in {key_variable}"
    body = error.body if isinstance(error.body, dict) else {}
    # Secrets go before anything is cut, which would leave their halves.
    said = _short(hidden(str(body.get("message") or error.message)))
    hints = {
        400: "if it takes no temperature or response_format, pass temperature=None or structured=False"
        if structured
        else "if it takes no temperature, pass temperature=None",
        404: "check the model's name and base_url=",
        429: "its limit was met; lower concurrency=, or wait",
    }
    hint = hints.get(error.status_code, "")
    return f"status {error.status_code}, {said}{f' ({hint})' if hint else ''}"


def _short(text: str) -> str:
    return " ".join(text.split())[:200]
