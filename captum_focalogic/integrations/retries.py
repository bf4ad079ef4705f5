"""When to ask an endpoint again, and how long to wait before that."""

import random
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from captum_focalogic.errors import InputError

_PASSING = (408, 409, 425, 429)
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


def wait_before_retry(openai: Any, error: Exception, retries: Retries, attempt: int) -> float | None:
    """Seconds to wait before asking again, or None if that is no use."""
    if attempt + 1 >= retries.attempts:
        return None
    if isinstance(error, openai.APIStatusError):
        if error.code in _NEVER or not (error.status_code in _PASSING or error.status_code >= 500):
            return None
        return retries.pause(attempt, retry_after(error.response.headers))
    passing = isinstance(error, openai.APIConnectionError | openai.APIResponseValidationError | ValueError)
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


def complaint(openai: Any, error: Exception, key_variable: str, *, structured: bool) -> str:
    """What went wrong, and what to do."""
    if isinstance(error, openai.APITimeoutError):
        return "it took too long; raise timeout=, or lower concurrency="
    if isinstance(error, openai.APIConnectionError):
        return "it cannot be reached; check base_url= and that the server runs"
    if not isinstance(error, openai.APIStatusError):
        return (
            f"its reply cannot be read ({type(error).__name__}); check that base_url= is an OpenAI-compatible endpoint"
        )
    if error.status_code in (401, 403):
        return f"status {error.status_code}, it does not accept the key in {key_variable}"
    body = error.body if isinstance(error.body, dict) else {}
    said = " ".join(str(body.get("message") or error.message).split())[:200]
    hints = {
        400: "if it takes no temperature or response_format, pass temperature=None or structured=False"
        if structured
        else "if it takes no temperature, pass temperature=None",
        404: "check the model's name and base_url=",
        429: "its limit was met; lower concurrency=, or wait",
    }
    hint = hints.get(error.status_code, "")
    return f"status {error.status_code}, {said}{f' ({hint})' if hint else ''}"
