"""Calls and the limiter: what they are counted by, and what their answers teach it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest

from dialogkit._core.auth.bearer import AuthContext
from dialogkit._core.call import Call, Operation
from dialogkit._core.errors import RateLimitError
from dialogkit._core.limits.headers import HeaderReader, RateLimitHeaders
from dialogkit._core.limits.terms import Allowance, Key, RateLimit
from dialogkit._core.response import APIResponse
from dialogkit._core.sending.retry import RetryPolicy
from tests._core.answers import Answer, Platform, client_of, connect_error, ok
from tests._core.toy import Toy

MINUTE = RateLimitHeaders(limit="x-limit", remaining="x-remaining", per=60, resets_at="x-reset")
READER = HeaderReader((MINUTE,))
DATE = "Sun, 10 May 2026 12:00:00 GMT"
NOW = 1_778_414_400
TOLD = {"x-limit": "10", "x-remaining": "4"}


class Books:
    """A limiter that lets everything through and writes down what it is told."""

    def __init__(self) -> None:
        self.asked: list[tuple[Key, tuple[RateLimit, ...]]] = []
        self.told: list[tuple[tuple[Allowance, ...], float | None]] = []

    async def acquire(self, key: Key, limits: Sequence[RateLimit], /, *, max_wait: float | None) -> Books:
        self.asked.append((key, tuple(limits)))
        return self

    def settle(self, allowances: Sequence[Allowance] = (), retry_after: float | None = None) -> None:
        self.told.append((tuple(allowances), retry_after))


def counting(*answers: Answer, headers: HeaderReader = READER, **changes: Any) -> tuple[Toy, Books]:
    books = Books()
    retry = RetryPolicy(base_delay=0, default_retry_after=5)
    client, _ = client_of(Platform(*answers), rate_limit=books, retry=retry)
    platform = replace(client._settings.platform, rate_limit_headers=headers)
    client._sender._settings = replace(client._settings, platform=platform, **changes)
    return client, books


async def test_each_attempt_is_counted_by_platform_credential_and_location() -> None:
    client, books = counting(httpx.Response(503), httpx.Response(200, json={"things": []}))
    await client.things.list(location_id="loc_7")
    assert [key for key, _ in books.asked] == [("Toy", client._settings.auth.identity, "loc_7")] * 2


async def test_every_attempt_is_settled_however_it_ends() -> None:
    client, books = counting(connect_error, httpx.Response(500), ok())
    await client.things.get("t1")
    assert books.told == [((), None)] * 3


async def test_what_answers_tell_reaches_the_limiter() -> None:
    client, books = counting(httpx.Response(200, json={"id": "t1"}, headers=TOLD))
    await client.things.get("t1")
    assert books.told == [((Allowance(limit=10, per=60, remaining=4),), None)]


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"x-limit": "10", "x-remaining": "0", "x-reset": str(NOW + 20), "date": DATE}, 20.0),
        ({"retry-after": "3", "x-limit": "10", "x-remaining": "0", "x-reset": str(NOW + 20), "date": DATE}, 3.0),
        ({"x-limit": "10", "x-remaining": "1", "x-reset": str(NOW + 20), "date": DATE}, 5.0),
        ({}, 5.0),
    ],
)
async def test_a_refusal_pauses_everybody(headers: dict[str, str], pause: float) -> None:
    client, books = counting(httpx.Response(429, headers=headers))
    with pytest.raises(RateLimitError):
        await client.things.get("t1")
    assert {paused for _, paused in books.told} == {pause}


BURST = RateLimitHeaders(limit="x-max", remaining="x-left", per_milliseconds="x-ms")
DAY = RateLimitHeaders(limit="x-day", remaining="x-day-left", per=86_400, begins_anew_in_milliseconds="x-day-ms")
SPENT = {"x-day": "1000", "x-day-left": "0", "x-day-ms": "81283000", "x-max": "100", "x-left": "99", "x-ms": "10000"}


async def test_when_the_day_is_spent_a_call_fails_at_once_with_the_wait(caplog: pytest.LogCaptureFixture) -> None:
    client, books = counting(httpx.Response(429, headers=SPENT), headers=HeaderReader((BURST, DAY)))
    with pytest.raises(RateLimitError, match="Wait 81283 s") as caught:
        await client.things.get("t1")
    assert caught.value.retry_after == 81_283
    assert caught.value.attempts == 1
    spent = Allowance(1000, 86_400, 0, 81_283, begins_anew=True)
    assert books.told == [((Allowance(100, 10, 99), spent), 81_283)]
    assert not caplog.records


async def test_a_burst_that_is_refused_waits_the_interval_of_its_limit() -> None:
    headers = {"x-max": "100", "x-left": "0", "x-ms": "10"}
    client, books = counting(httpx.Response(429, headers=headers), ok(), headers=HeaderReader((BURST,)))
    await client.things.get("t1")
    assert [pause for _, pause in books.told] == [0.01, None]


async def test_what_makes_no_sense_is_said_once_by_a_client_and_its_views(caplog: pytest.LogCaptureFixture) -> None:
    client, _ = counting(httpx.Response(429, headers={"retry-after": "1735689600"}), headers=HeaderReader((BURST,)))
    assert client.with_options(timeout=1)._settings.doubts is client._settings.doubts
    for _ in range(2):
        with pytest.raises(RateLimitError) as caught:
            await client.things.get("t1")
        assert caught.value.retry_after is None
    assert ["retry-after" in record.getMessage() for record in caplog.records] == [True]


class Agency:
    """Sends calls about any location with the credential of a company."""

    identity = "agency"

    async def headers(self, context: AuthContext, /) -> dict[str, str]:
        return {"Authorization": "Bearer agency"}

    async def rejected(self, context: AuthContext, /) -> bool:
        return False

    def account(self, context: AuthContext, /) -> str:
        return "company_1"


async def test_a_call_is_counted_by_the_account_that_it_is_sent_as() -> None:
    client, books = counting(ok(), auth=Agency())
    await client.things.list(location_id="loc_7")
    await client.things.get("t1")
    assert [key for key, _ in books.asked] == [("Toy", "agency", "company_1")] * 2


async def test_other_failures_pause_nobody() -> None:
    client, books = counting(httpx.Response(503, headers={"retry-after": "7"}), ok())
    await client.things.get("t1")
    assert [paused for _, paused in books.told] == [None, None]


async def test_some_operations_are_counted_by_limits_of_their_own_besides() -> None:
    own = RateLimit(5, per=3600, name="things")
    client, books = counting(ok(), operation_limits={"get_thing": (own,)})
    await client.things.get("t1")
    await client.things.create(name="a")
    general = client._settings.limits
    assert [limits for _, limits in books.asked] == [(*general, own), general]


async def test_without_a_credential_only_an_operations_own_limits_count() -> None:
    client, books = counting(ok(), operation_limits={"token": (RateLimit(5, per=60, name="token"),)})
    for name in ("token", "other"):
        operation = Operation[APIResponse](
            id=name, method="POST", path="/token", retry="never-after-sent", answer="raw", authenticated=False
        )
        await client.call(Call(operation))
    assert books.asked == [(("Toy", "", ""), (RateLimit(5, per=60, name="token"),))]


@pytest.mark.parametrize(("retry_after", "pauses"), [("3000", []), ("20", [20.0])])
async def test_what_refuses_one_operation_for_long_does_not_hold_up_the_others(
    retry_after: str, pauses: list[float]
) -> None:
    own = {"get_thing": (RateLimit(60, per=3600, name="things"),)}
    client, books = counting(httpx.Response(429, headers={"retry-after": retry_after}), operation_limits=own)
    with pytest.raises(RateLimitError):
        await client.things.get("t1")
    assert [pause for _, pause in books.told if pause is not None][:1] == pauses
    books.told.clear()
    with pytest.raises(RateLimitError):  # this one has no limits of its own, so all are meant
        await client.things.create(name="a")
    assert {pause for _, pause in books.told} == {float(retry_after)}
