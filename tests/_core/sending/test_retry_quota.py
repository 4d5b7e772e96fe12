"""The retry quota: when a platform is down, retries stop multiplying the load."""

from __future__ import annotations

import asyncio
import logging

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogkit._core.errors import APIConnectionError, APITimeoutError, DialogkitError, NotFoundError, ServerError
from dialogkit._core.limits.terms import RateLimit
from dialogkit._core.sending.retry import RetryPolicy, RetryQuota
from tests._core.answers import Answer, Platform, client_of, connect_error, ok, read_timeout
from tests._core.toy import Toy

CALLS = 1_000


def policy(quota: int | None = 100, *, attempts: int = 3) -> RetryPolicy:
    return RetryPolicy(max_attempts=attempts, base_delay=0, default_retry_after=0, quota=quota)


async def many(client: Toy, calls: int = CALLS) -> list[BaseException]:
    results = await asyncio.gather(*(client.things.get("t1") for _ in range(calls)), return_exceptions=True)
    return [each for each in results if isinstance(each, BaseException)]


@pytest.mark.parametrize(
    ("answer", "error", "requests"),
    [
        (httpx.Response(503), ServerError, 1_100),
        (connect_error, APIConnectionError, 1_100),
        (read_timeout, APITimeoutError, 1_050),
    ],
)
async def test_a_dead_platform_gets_hardly_more_requests_than_there_are_calls(
    answer: Answer, error: type[DialogkitError], requests: int, caplog: pytest.LogCaptureFixture
) -> None:
    platform = Platform(answer)
    client, _ = client_of(platform, retry=policy(), rate_limit=None)
    errors = await many(client)
    assert len(errors) == CALLS
    assert {type(each) for each in errors} == {error}
    assert len(platform.requests) == requests <= 1.2 * CALLS
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert warnings == [
        "The retry quota of 100 is used up: failed calls are not repeated until the platform answers again"
    ]


async def test_without_a_quota_every_call_is_repeated() -> None:
    platform = Platform(httpx.Response(503))
    client, _ = client_of(platform, retry=policy(None), rate_limit=None)
    await many(client, 200)
    assert len(platform.requests) == 600


async def test_the_quota_fills_up_again_when_the_platform_is_back() -> None:
    platform = Platform(*[httpx.Response(503)] * 3, ok())
    client, _ = client_of(platform, retry=policy(2), rate_limit=None)
    with pytest.raises(ServerError):
        await client.things.get("t1")
    for _ in range(5):  # a fifth of a retry each
        await client.things.get("t1")
    platform.answers = (httpx.Response(503), ok())
    platform.requests.clear()
    assert (await client.things.get("t1")).id == "t1"


async def test_answers_that_are_no_failure_of_the_platform_cost_nothing() -> None:
    platform = Platform(*[httpx.Response(503), httpx.Response(404)] * 10)
    client, _ = client_of(platform, retry=policy(1), rate_limit=None)
    for _ in range(10):
        with pytest.raises(NotFoundError):
            await client.things.get("t1")
    assert len(platform.requests) == 20


@pytest.mark.parametrize(("limited", "requests"), [(True, 300), (False, 110)])
async def test_refusals_for_the_rate_cost_nothing_where_the_limiter_holds_everybody_back(
    limited: bool, requests: int
) -> None:
    platform = Platform(httpx.Response(429, headers={"retry-after": "0"}))
    client, _ = client_of(platform, retry=policy(10), rate_limit=RateLimit(10_000, per=1) if limited else None)
    await many(client, 100)
    assert len(platform.requests) == requests


async def test_views_share_the_quota_unless_theirs_is_another() -> None:
    platform = Platform(httpx.Response(503))
    client, _ = client_of(platform, retry=policy(2), rate_limit=None)
    assert client.with_options(timeout=1)._settings.quota is client._settings.quota
    assert client.with_options(retry=policy(2, attempts=5))._settings.quota is client._settings.quota
    assert client.with_options(retry=policy(3))._settings.quota is not client._settings.quota


@given(st.integers(1, 50), st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.0]), st.booleans()), max_size=200))
def test_no_more_is_given_than_there_is(capacity: int, story: list[tuple[float, bool]]) -> None:
    quota, left = RetryQuota(capacity), float(capacity)
    for cost, answered in story:
        if quota.take(cost):
            left -= cost
            assert left >= 0
            if answered:
                quota.answered(cost)
                left = min(capacity, left + (cost or 0.2))
