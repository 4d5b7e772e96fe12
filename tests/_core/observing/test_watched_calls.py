"""Hooks, seen from a client: which calls of them a call makes, and what it costs when they misbehave."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from dialogkit import AttemptInfo, Observer, RateLimitEvent, RequestEvent, ResponseEvent, RetryEvent, RetryPolicy
from dialogkit._core.errors import ConfigurationError, NotFoundError, StopCall
from dialogkit._core.limits.terms import RateLimit
from tests._core.answers import Platform, broken_body, client_of, dropped, ok
from tests._core.toy import KEY, Toy, toy

Seen = list[Any]


def watched(*answers: Any, **options: Any) -> tuple[Toy, Seen]:
    seen: Seen = []
    hooks: dict[str, Any] = dict.fromkeys(("on_request", "on_response", "on_retry", "on_rate_limit"), seen.append)
    # On a machine that is busy with something else, each turn at a limiter is a wait worth telling.
    given: dict[str, Any] = {**hooks, "rate_limit": None, **options}
    client, _ = client_of(Platform(*answers), **given)
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


# ----------------------------------------------------------------------------------------------- observers of one's own


class Journal(Observer):
    """Writes down what it is told, and of which attempt."""

    def __init__(self, name: str = "", lines: list[str] | None = None) -> None:
        self.name = name
        self.lines = [] if lines is None else lines

    def on_request(self, attempt: AttemptInfo) -> None:
        attempt.notes[self] = f"{attempt.operation} {attempt.attempt}"
        self.lines.append(f"{self.name}request {attempt.notes[self]} {attempt.status}")

    async def on_response(self, attempt: AttemptInfo) -> None:
        await asyncio.sleep(0)
        self.lines.append(f"{self.name}response {attempt.notes[self]} {attempt.status} {attempt.request_id}")

    def on_failure(self, attempt: AttemptInfo, reason: str, *, timed_out: bool) -> None:
        self.lines.append(f"{self.name}failure {attempt.notes[self]} {attempt.status} {timed_out}")

    async def on_retry(self, event: RetryEvent) -> None:
        self.lines.append(f"{self.name}retry {event.operation} {event.attempt}")

    def on_rate_limit(self, event: RateLimitEvent) -> None:
        self.lines.append(f"{self.name}{event.reason}")


async def test_an_observer_is_told_of_an_attempt_from_its_beginning_to_its_end() -> None:
    journal = Journal()
    refused = httpx.Response(503, headers={"x-request-id": "req_1"})
    client, _ = client_of(Platform(refused, dropped, broken_body, httpx.Response(429), ok()), observers=[journal])
    client = client.with_options(retry=RetryPolicy(max_attempts=5, base_delay=0), rate_limit=None)
    await client.things.get("t1")
    assert journal.lines == [
        "request get_thing 1 None", "response get_thing 1 503 req_1", "retry get_thing 1",
        "request get_thing 2 None", "failure get_thing 2 None False", "retry get_thing 2",
        "request get_thing 3 None", "response get_thing 3 200 None", "failure get_thing 3 200 False",
        "retry get_thing 3",
        "request get_thing 4 None", "response get_thing 4 429 None", "refused", "retry get_thing 4",
        "request get_thing 5 None", "response get_thing 5 200 None",
    ]  # fmt: skip


async def test_observers_and_hooks_are_nested_as_blocks_are() -> None:
    lines = list[str]()
    client, _ = client_of(
        Platform(ok()),
        rate_limit=None,
        observers=[Journal("a ", lines), Journal("b ", lines)],
        on_request=lambda event: lines.append("hook request"),
        on_response=lambda event: lines.append("hook response"),
    )
    await client.things.get("t1")
    assert [" ".join(line.split()[:2]) for line in lines] == [
        "hook request", "a request", "b request", "b response", "a response", "hook response",
    ]  # fmt: skip


async def test_an_observer_sees_no_credential_query_or_body() -> None:
    seen = list[AttemptInfo]()

    class Curious(Observer):
        def on_response(self, attempt: AttemptInfo) -> None:
            seen.append(attempt)

    echo = httpx.Response(200, json={"id": "t1"}, headers={"X-Echo": KEY, "X-Request-Id": KEY, "Set-Cookie": "s=1"})
    client, _ = client_of(Platform(echo), observers=[Curious()])
    await client.things.get("t1")
    (attempt,) = seen
    assert attempt.headers["x-echo"] == attempt.request_id == "***"
    public = {name: getattr(attempt, name) for name in dir(attempt) if not name.startswith("_") and name != "facts"}
    assert {"platform", "operation", "method", "path", "location_id", "elapsed", "notes"} <= public.keys()
    for private in (KEY, "s=1"):
        assert private not in f"{public} {attempt!r} {attempt.facts()}"


async def test_an_observer_that_fails_breaks_nothing_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Observer):
        def is_watching(self) -> bool:
            if self.blind:
                raise RuntimeError("its own fault")
            return True

        def __init__(self, *, blind: bool) -> None:
            self.blind = blind

        def on_request(self, attempt: AttemptInfo) -> None:
            raise RuntimeError("its own fault")

        async def on_response(self, attempt: AttemptInfo) -> None:
            raise RuntimeError("its own fault")

        def on_body(self, attempt: AttemptInfo, content: bytes) -> None:
            raise RuntimeError("its own fault")

    client, _ = client_of(Platform(ok(), ok()), observers=[Broken(blind=True), Broken(blind=False)])
    for _ in range(2):
        assert (await client.things.get("t1")).id == "t1"
    assert sorted(each.getMessage() for each in caplog.records if each.levelno == logging.ERROR) == [
        f"Broken.{moment} failed; the call goes on without it"
        for moment in ("is_watching", "on_body", "on_request", "on_response")
    ]


@pytest.mark.parametrize("as_hook", [True, False])
async def test_what_stops_a_call_passes_through_and_nothing_is_sent(as_hook: bool) -> None:
    journal, platform = Journal(), Platform(ok())

    class Outbox(Observer):
        async def on_request(self, attempt: AttemptInfo) -> None:
            raise StopCall("the journal cannot be written")

    def stop(event: RequestEvent) -> None:
        raise StopCall("the journal cannot be written")

    options: dict[str, Any] = {"on_request": stop} if as_hook else {"observers": [journal, Outbox()]}
    client, _ = client_of(platform, rate_limit=None, **options)
    with pytest.raises(StopCall, match="cannot be written"):
        await client.things.get("t1")
    assert not platform.requests
    if not as_hook:
        assert journal.lines == ["request get_thing 1 None", "failure get_thing 1 None False"]


async def test_an_observer_that_does_not_watch_costs_no_attempt() -> None:
    class Asleep(Journal):
        def is_watching(self) -> bool:
            return False

    journal = Asleep()
    options: dict[str, Any] = {"observers": [journal], "retry": RetryPolicy(base_delay=0), "rate_limit": None}
    client, _ = client_of(Platform(httpx.Response(503), ok()), **options)
    await client.things.get("t1")
    assert journal.lines == ["retry get_thing 1"], "what befalls a call is told all the same"


async def test_views_have_observers_of_their_own() -> None:
    first, second = Journal(), Journal()
    client, seen = watched(ok(), observers=[first])
    await client.with_options(observers=[second]).things.get("t1")
    await client.with_options(on_request=None).things.get("t1")
    assert (len(first.lines), len(second.lines)) == (2, 2)
    assert story(seen) == [("Request", 1), ("Response", 1), ("Response", 1)], "hooks stay"


@pytest.mark.parametrize("observers", [[print], Journal(), [Journal], None])
async def test_observers_have_to_be_observers(observers: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"observers takes a list .* dialogkit.Observer"):
        toy(Platform(ok()), observers=observers)


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
