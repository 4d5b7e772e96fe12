from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.sending.retry import ErrorStatuses, RetryPolicy, may_repeat_unanswered


def test_pauses_grow_up_to_the_longest() -> None:
    policy = RetryPolicy(max_attempts=10, random=lambda: 1.0)
    assert [policy.delay(attempts) for attempts in range(1, 11)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, None]


def test_a_policy_may_wait_for_as_long_as_a_platform_documents() -> None:
    policy = RetryPolicy(base_delay=30, random=lambda: 1.0)
    assert [policy.delay(attempts) for attempts in range(1, 4)] == [30, 30, None]


@given(st.integers(1, 2_000), st.floats(0, 1, exclude_max=True))
def test_jitter_is_full(attempts: int, drawn: float) -> None:
    delay = RetryPolicy(max_attempts=5_000, random=lambda: drawn).delay(attempts)
    assert delay == drawn * min(30.0, 0.5 * 2.0 ** min(attempts - 1, 64))


def test_what_the_platform_asks_for_is_the_least() -> None:
    policy = RetryPolicy(random=lambda: 1.0)
    assert policy.delay(1, retry_after=7) == 7
    assert policy.delay(1, retry_after=0.1) == 0.5
    assert policy.delay(1, retry_after=60) == 60
    assert policy.delay(1, retry_after=60.1) is None


@pytest.mark.parametrize(
    "options",
    [{"max_attempts": 0}, {"max_attempts": 1.5}, {"base_delay": -1}, {"max_delay": float("nan")}, {"base_delay": "1"}],
)
def test_senseless_policies_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="RetryPolicy"):
        RetryPolicy(**options)


def test_policies_are_values() -> None:
    assert RetryPolicy() == RetryPolicy(random=lambda: 0.0)
    assert "random" not in repr(RetryPolicy())


def test_what_may_be_repeated() -> None:
    may_repeat = ErrorStatuses().may_repeat
    assert may_repeat_unanswered("never-after-sent", sent=False)
    assert not may_repeat_unanswered("never-after-sent", sent=True)
    assert may_repeat_unanswered("idempotent", sent=True)
    assert may_repeat("never-after-sent", 429)
    assert not may_repeat("never-after-sent", 503)
    assert not may_repeat("never-after-sent", 500)
    assert not may_repeat("safe", 501)


@given(st.integers(400, 999))
def test_the_class_of_a_status_says_whether_it_passes(status: int) -> None:
    passes = status in {408, 425, 429} if status < 500 else status not in {501, 505, 511}
    assert ErrorStatuses().may_repeat("safe", status) == ErrorStatuses().may_repeat("idempotent", status) == passes
    assert ErrorStatuses().may_repeat("never-after-sent", status) == (status == 429)


def test_what_a_platform_documents_is_data() -> None:
    statuses = ErrorStatuses(passing=frozenset({423, 429}), unprocessed=frozenset({423, 429, 503}))
    assert statuses.may_repeat("safe", 423)
    assert not statuses.may_repeat("safe", 408)
    assert statuses.may_repeat("never-after-sent", 503)
    assert statuses.retry_cost(423, limited=True) == 1.0
    assert statuses.retry_cost(429, limited=True) == 0.0
