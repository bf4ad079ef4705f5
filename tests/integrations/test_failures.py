"""Whether an endpoint is asked again, and when."""

import time

import pytest

from captum_focalogic.errors import InputError
from captum_focalogic.integrations.failures import Retries, retry_after


def test_pauses_double_up_to_the_longest():
    retries = Retries(first=1, longest=10, jitter=0)
    assert [retries.pause(attempt) for attempt in range(5)] == [1, 2, 4, 8, 10]
    assert retries.pause(0, asked=7.5) == 7.5
    assert retries.pause(0, asked=999) == 10
    jittered = [Retries(first=1, jitter=0.5).pause(0) for _ in range(50)]
    assert all(0.5 <= pause <= 1 for pause in jittered)
    assert len(set(jittered)) > 1


def test_retry_after_may_be_a_date():
    assert retry_after({}) is None
    assert retry_after({"retry-after": "3.5"}) == 3.5
    assert retry_after({"retry-after": "soon"}) is None
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    assert 27 < retry_after({"retry-after": date}) <= 30


def test_one_attempt_at_least():
    with pytest.raises(InputError, match="at least one attempt"):
        Retries(attempts=0)
