"""Hooks, seen from a client: which calls of them a call makes, and what it costs when they misbehave."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from dialogkit import RateLimitEvent, RequestEvent, ResponseEvent, RetryEvent
from dialogkit._core.errors import ConfigurationError, NotFoundError
from dialogkit._core.limits.terms import RateLimit
from tests._core.answers import Platform, broken_body, client_of, dropped, ok
from tests._core.toy import KEY, Toy, toy

Seen = list[Any]


def watched(*answers: Any, **options: Any) -> tuple[Toy, Seen]:
    seen: Seen = []
    hooks: dict[str, Any] = dict.fromkeys(("on_request", "on_response", "on_retry", "on_rate_limit"), seen.append)
    client, _ = client_of(Platform(*answers), **(hooks | options))
    return client, seen


def story(seen: Seen) -> list[tuple[str, int]]:
    return [(type(each).__name__.removesuffix("Event"), each.attempt) for each in seen]


async def test_a_call_that_succeeds_at_the_second_attempt() -> None:
    client, seen = watched(httpx.Response(503, headers={"x-request-id": "req_1"}), ok())
    await client.things.get("t1")
    assert story(seen) == [("Request", 1), ("Response", 1), ("Retry", 1), ("Request", 2), ("Response", 2)]
    request, response, retry = seen[:3]
    assert isinstance(request, RequestEvent)
    assert (request.platform, request.operation, request.path) == ("Toy", "get_thing", "/things/{thing_id}")
    assert isinstance(response, ResponseEvent)
    assert (response.status, response.request_id) == (503, "req_1")
    assert isinstance(retry, RetryEvent)
    assert retry.delay == 0
    assert "503" in str(retry.error)
    assert KEY not in repr(seen)


async def test_no_answer_is_no_response() -> None:
    client, seen = watched(dropped, broken_body, ok())
    await client.things.get("t1")
    assert story(seen) == [
        ("Request", 1), ("Retry", 1), ("Request", 2), ("Response", 2), ("Retry", 2), ("Request", 3), ("Response", 3),
    ]  # fmt: skip


async def test_a_refusal_for_the_rate_is_told() -> None:
    client, seen = watched(httpx.Response(429, headers={"retry-after": "0"}), httpx.Response(429), ok())
    await client.things.get("t1")
    told = [each for each in seen if isinstance(each, RateLimitEvent)]
    assert [(each.reason, each.seconds, each.attempt) for each in told] == [("refused", 0.0, 1), ("refused", None, 2)]


async def test_a_wait_at_the_limiter_is_told_when_it_is_over() -> None:
    client, seen = watched(ok(), rate_limit=RateLimit(1, per=0.05))
    await client.things.get("t1")
    assert "RateLimit" not in dict(story(seen))
    await client.things.get("t1")
    (waited,) = [each for each in seen if isinstance(each, RateLimitEvent)]
    assert (waited.reason, waited.attempt) == ("waited", 1)
    assert waited.seconds is not None
    assert waited.seconds > 0
    assert story(seen)[-3:] == [("RateLimit", 1), ("Request", 1), ("Response", 1)]


async def test_hooks_that_fail_break_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: object) -> None:
        raise RuntimeError("the hook's own fault")

    answers = (httpx.Response(429), httpx.Response(503), ok())
    client, _ = watched(*answers, on_request=fail, on_response=fail, on_retry=fail, on_rate_limit=fail)
    assert (await client.things.get("t1")).id == "t1"
    errors = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert len(errors) == 4
    assert "on_request failed; the call goes on without it" in errors


async def test_views_have_hooks_of_their_own() -> None:
    client, seen = watched(ok())
    own: Seen = []
    view = client.with_options(on_request=own.append)
    await view.things.get("t1")
    assert story(own) == [("Request", 1)]
    assert story(seen) == [("Response", 1)]
    await client.with_options(on_request=None).things.get("t1")
    assert story(seen) == [("Response", 1)] * 2


async def test_hooks_have_to_be_callable() -> None:
    wrong: Any = "print"
    with pytest.raises(ConfigurationError, match="on_retry takes a function"):
        toy(Platform(ok()), on_retry=wrong)


class _Body(httpx.AsyncByteStream):
    def __init__(self) -> None:
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"{}"

    async def aclose(self) -> None:
        self.closed = True


async def test_cancelled_in_a_hook_the_answer_is_let_go() -> None:
    body, reached = _Body(), asyncio.Event()

    async def hang(event: ResponseEvent) -> None:
        reached.set()
        await asyncio.Event().wait()

    client = toy(lambda _: httpx.Response(200, stream=body), on_response=hang, rate_limit=RateLimit(1, per=60))
    call = asyncio.ensure_future(client.things.get("t1"))
    await reached.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert body.closed


async def test_cancelled_in_a_hook_the_token_is_on_its_way_back() -> None:
    reached = asyncio.Event()

    async def hang(event: RequestEvent) -> None:
        reached.set()
        await asyncio.Event().wait()

    client = toy(Platform(ok()), on_request=hang, rate_limit=RateLimit(1, per=0.01))
    call = asyncio.ensure_future(client.things.get("t1"))
    await reached.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await client.with_options(on_request=None, deadline=30).things.get("t1")


async def test_bodies_are_logged_only_when_they_are_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dialogkit")
    client, _ = client_of(Platform(httpx.Response(404, json={"message": "private words"}), ok()))
    with pytest.raises(NotFoundError):
        await client.things.get("t1")
    assert "private words" not in "".join(each.getMessage() for each in caplog.records)
    caplog.set_level(logging.DEBUG, "dialogkit.bodies")
    await client.things.create(name="confided")
    text = "\n".join(each.getMessage() for each in caplog.records)
    assert "confided" in text
    assert '{"id":"t1"}' in text.replace(" ", "")
    assert KEY not in text
