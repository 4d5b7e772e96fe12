from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import httpx
import pytest

from dialogkit._core.auth.bearer import AuthContext, BearerAuth
from dialogkit._core.call import Call, CallOptions
from dialogkit._core.errors import DeadlineExceededError, InvalidArgumentError, RateLimitWaitError
from dialogkit._core.limits.terms import RateLimit
from dialogkit._core.sending.encoding import Encoded
from dialogkit._core.sending.exchange import Exchange
from dialogkit._core.sending.sender import Sender
from tests._core.answers import Platform, client_of, hang, ok
from tests._core.toy import KEY, ToyOptions, toy


async def test_a_deadline_covers_the_answer() -> None:
    client = toy(Platform(ok())).with_options(
        http_client=httpx.AsyncClient(transport=httpx.MockTransport(hang)), deadline=0.01
    )
    with pytest.raises(DeadlineExceededError, match="It may have taken effect") as caught:
        await client.things.create(name="a")
    assert (caught.value.sent, caught.value.attempts, caught.value.operation) == (True, 1, "create_thing")
    with pytest.raises(DeadlineExceededError) as caught:
        await client.things.get("t1", options=CallOptions(deadline=0.005))
    assert "0.005 s" in str(caught.value)
    assert "taken effect" not in str(caught.value)


async def test_a_deadline_that_a_pause_would_pass_ends_the_call_at_once() -> None:
    client, slept = client_of(Platform(httpx.Response(503, headers={"Retry-After": "30"})), deadline=5)
    with pytest.raises(DeadlineExceededError, match=r"The last one ended with: .*503") as caught:
        await client.things.get("t1")
    assert (slept, caught.value.attempts, caught.value.sent) == ([], 1, True)


async def test_a_deadline_covers_authentication() -> None:
    class Slow(BearerAuth):
        async def headers(self, context: AuthContext, /) -> Mapping[str, str]:
            await anyio.sleep_forever()
            return {}

    client = toy(Platform(ok())).with_options(auth=Slow(KEY), deadline=0.01)
    with pytest.raises(DeadlineExceededError) as caught:
        await client.things.get("t1")
    assert (caught.value.sent, caught.value.attempts) == (False, 0)


async def test_a_limiter_that_would_pass_the_deadline_fails_at_once() -> None:
    client = toy(Platform(ok()), rate_limit=RateLimit(1, per=60), deadline=5)
    await client.things.get("t1")
    with pytest.raises(RateLimitWaitError, match=r"get_thing: .* wait 60\S* s, longer than the 5 s"):
        await client.things.get("t1")


async def test_a_timeout_of_the_users_own_is_not_the_deadline() -> None:
    class Failing(BearerAuth):
        async def headers(self, context: AuthContext, /) -> Mapping[str, str]:
            raise TimeoutError("the vault")

    with pytest.raises(TimeoutError, match="the vault"):
        await toy(Platform(ok())).with_options(auth=Failing(KEY), deadline=5).things.get("t1")


@pytest.mark.parametrize(
    "options", [CallOptions(timeout=0), CallOptions(deadline=-1), CallOptions(timeout=float("nan"))]
)
async def test_senseless_times_are_refused(options: CallOptions) -> None:
    platform = Platform(ok())
    with pytest.raises(InvalidArgumentError, match="positive number of seconds"):
        await toy(platform).things.get("t1", options=options)
    assert platform.requests == []


@pytest.mark.parametrize(
    ("own", "view", "call", "expected"),
    [
        ({}, {}, None, (60.0, None)),
        ({"timeout": 9, "deadline": 90}, {}, None, (9, 90)),
        ({"timeout": 9, "deadline": 90}, {"deadline": 50}, None, (9, 50)),
        ({"timeout": 9, "deadline": 90}, {"timeout": 5}, CallOptions(deadline=20), (5, 20)),
        ({"deadline": 90}, {"deadline": None}, CallOptions(timeout=2), (2, None)),
    ],
)
async def test_the_call_wins_over_the_view_and_the_view_over_the_client(
    own: ToyOptions, view: ToyOptions, call: CallOptions | None, expected: tuple[float, float | None]
) -> None:
    seen: list[tuple[float, float | None]] = []

    class Watching(Sender):
        def _exchange(self, call: Call[Any], encoded: Encoded) -> Exchange:
            exchange = super()._exchange(call, encoded)
            seen.append((exchange.timeout, exchange.deadline))
            return exchange

    client = toy(Platform(ok()), **own).with_options(**view)
    client._sender = Watching(client._settings, client._connection)
    await client.things.get("t1", options=call)
    assert seen == [expected]


async def test_a_timeout_is_for_each_attempt_and_a_deadline_for_all() -> None:
    timeouts: list[float] = []

    def handler(request: httpx.Request) -> httpx.Response:
        timeouts.append(request.extensions["timeout"]["read"])
        return httpx.Response(503) if len(timeouts) < 3 else ok()

    await toy(handler, timeout=7, deadline=100).things.get("t1")
    assert timeouts == [7, 7, 7]
