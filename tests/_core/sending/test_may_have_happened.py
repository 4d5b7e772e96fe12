"""Whatever a call ends with says whether it may have had its effect."""

from __future__ import annotations

import asyncio
import pickle
import sys
from collections.abc import Awaitable, Callable

import httpx
import pytest

from dialogkit._core.auth.bearer import AuthContext
from dialogkit._core.call import Call, CallOptions, RetrySafety
from dialogkit._core.errors import (
    ConfigurationError,
    DeadlineExceededError,
    DialogkitError,
    RateLimitWaitError,
    ResponseValidationError,
    ServerError,
    StopCall,
    TokenError,
)
from dialogkit._core.events import RequestEvent, RetryEvent
from dialogkit._core.limits.terms import RateLimit
from dialogkit._core.sending.retry import RetryPolicy
from tests._core.answers import (
    Answer,
    Platform,
    broken_body,
    client_of,
    connect_error,
    connect_timeout,
    dropped,
    hang,
    ok,
    read_timeout,
)
from tests._core.toy import GET_THING, KEY, Toy, toy

ONCE = RetryPolicy(max_attempts=1)


async def ended(platform: Platform, safety: RetrySafety = "never-after-sent", **options: object) -> DialogkitError:
    client, _ = client_of(platform, **options)  # type: ignore[arg-type]
    with pytest.raises(DialogkitError) as caught:
        await client.request("POST", "/x", json={}, retry=safety)
    return caught.value


CERTAINLY_NOT = [400, 401, 403, 404, 409, 413, 415, 418, 422, 425, 429]
PERHAPS = [301, 303, 408, 500, 501, 502, 503, 504, 507, 520, 529]


@pytest.mark.parametrize("safety", ["safe", "idempotent", "never-after-sent"])
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        *((httpx.Response(status), False) for status in CERTAINLY_NOT),
        *((httpx.Response(status), True) for status in PERHAPS),
        (httpx.Response(503, headers={"Retry-After": "0"}), True),
        (connect_error, False),
        (connect_timeout, False),
        (read_timeout, True),
        (dropped, True),
        (broken_body, True),
    ],
)
async def test_one_attempt(answer: Answer, expected: bool, safety: RetrySafety) -> None:
    error = await ended(Platform(answer), safety, retry=ONCE)
    assert error.may_have_happened is expected
    assert pickle.loads(pickle.dumps(error)).may_have_happened is expected


@pytest.mark.parametrize("last", [connect_error, httpx.Response(404), httpx.Response(429)])
@pytest.mark.parametrize("first", [read_timeout, httpx.Response(500)])
async def test_what_an_earlier_attempt_left_open_stays_open(first: Answer, last: Answer) -> None:
    error = await ended(Platform(first, last), "idempotent", retry=RetryPolicy(max_attempts=2))
    assert error.may_have_happened


@pytest.mark.parametrize("last", [connect_error, httpx.Response(404), httpx.Response(429)])
@pytest.mark.parametrize("first", [connect_error, httpx.Response(429)])
async def test_attempts_that_came_to_nothing_are_nothing_together(first: Answer, last: Answer) -> None:
    error = await ended(Platform(first, last), retry=RetryPolicy(max_attempts=2))
    assert not error.may_have_happened


async def test_an_attempt_that_was_not_sent_says_so_of_itself_only() -> None:
    error = await ended(Platform(read_timeout, connect_error), "idempotent", retry=RetryPolicy(max_attempts=2))
    assert "This attempt was not sent, an earlier one was." in str(error)
    assert "Nothing was sent." in str(await ended(Platform(connect_error), "idempotent"))


async def test_an_answer_that_cannot_be_read_was_one_of_success() -> None:
    client = toy(Platform(httpx.Response(200, text="<html>")))
    with pytest.raises(ResponseValidationError) as caught:
        await client.things.create(name="a")
    assert caught.value.may_have_happened


class Refusing:
    """Has a token for the first attempt, and none for the next."""

    identity = "refusing"

    def __init__(self) -> None:
        self.tokens = ["token-of-a-test"]

    async def headers(self, context: AuthContext, /) -> dict[str, str]:
        if not self.tokens:
            raise TokenError("no token", operation=context.operation)
        return {"Authorization": f"Bearer {self.tokens.pop()}"}

    async def rejected(self, context: AuthContext, /) -> bool:
        return True


@pytest.mark.parametrize(("first", "expected"), [(500, True), (401, False)])
async def test_no_token_for_the_next_attempt(first: int, expected: bool) -> None:
    client = toy(Platform(httpx.Response(first)), retry=RetryPolicy(base_delay=0)).with_options(auth=Refusing())
    with pytest.raises(TokenError) as caught:
        await client.things.get("t1")
    assert caught.value.may_have_happened is expected


async def test_no_permit_for_the_next_attempt() -> None:
    client, _ = client_of(
        Platform(httpx.Response(500)), rate_limit=RateLimit(1, per=3600), deadline=60, retry=RetryPolicy(base_delay=0)
    )
    with pytest.raises(RateLimitWaitError) as caught:
        await client.things.get("t1")
    assert caught.value.may_have_happened
    with pytest.raises(RateLimitWaitError) as caught:
        await client.things.get("t1")
    assert not caught.value.may_have_happened


def hanging() -> Toy:
    return toy(Platform(ok())).with_options(http_client=httpx.AsyncClient(transport=httpx.MockTransport(hang)))


async def test_a_deadline() -> None:
    with pytest.raises(DeadlineExceededError) as caught:
        await hanging().things.get("t1", options=CallOptions(deadline=0.01))
    assert caught.value.may_have_happened
    refused = Platform(httpx.Response(429, headers={"Retry-After": "30"}))
    error = await ended(refused, deadline=5, rate_limit=None)
    assert isinstance(error, DeadlineExceededError)
    assert (error.sent, error.may_have_happened) == (True, False)
    assert "may have taken effect" not in str(error)


async def cancelled(run: Callable[[], Awaitable[object]]) -> BaseException:
    """Run until it hangs, cancel it, and return what it ended with."""

    async def main() -> object:
        return await run()

    task = asyncio.ensure_future(main())
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value


def notes(exc: BaseException) -> str:
    if sys.version_info < (3, 11) and exc.__context__ is not None:  # whoever awaits a task gets another exception there
        exc = exc.__context__
    return "".join(getattr(exc, "__notes__", ()))


async def test_a_cancelled_call_says_it_in_a_note() -> None:
    client = hanging()
    exc = await cancelled(lambda: client.things.get("t1"))
    assert notes(exc) == "get_thing: GET /things/{thing_id} was cancelled. It may have taken effect."


async def test_a_call_that_is_cancelled_before_it_is_sent_has_had_no_effect() -> None:
    class Waiting(Refusing):
        async def headers(self, context: AuthContext, /) -> dict[str, str]:
            await asyncio.sleep(60)
            raise AssertionError

    client = toy(Platform(ok())).with_options(auth=Waiting())
    assert "It has had no effect." in notes(await cancelled(lambda: client.things.get("t1")))
    refused, _ = client_of(Platform(httpx.Response(429)), rate_limit=None, retry=RetryPolicy())
    refused._sender._sleep = asyncio.sleep
    assert "It has had no effect." in notes(await cancelled(lambda: refused.things.get("t1")))


def credentials_in_frames(exc: BaseException | None) -> list[str]:
    """Return where the credential shows in what `exc` and all that led to it keep, as tools that report errors look."""
    found: list[str] = []
    while exc is not None:
        trace = exc.__traceback__
        while trace is not None:
            frame = trace.tb_frame
            shown = [name for name, value in list(frame.f_locals.items()) if KEY in repr(value)]
            found += [f"{frame.f_code.co_filename}:{trace.tb_lineno} {name}" for name in shown]
            trace = trace.tb_next
        exc = exc.__cause__ or exc.__context__
    return found


class Revealing(httpx.AsyncBaseTransport):
    """An engine with the headers among its variables."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.failure = failure

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        # This frame is the test's own, and stays: it may not show the credential itself.
        if self.failure is not None:
            raise self.failure
        await asyncio.sleep(60)
        raise AssertionError


async def test_a_cancellation_keeps_no_credential() -> None:
    client = toy(Platform(ok())).with_options(http_client=httpx.AsyncClient(transport=Revealing()))
    with pytest.raises(asyncio.TimeoutError) as caught:
        await asyncio.wait_for(client.things.get("t1"), 0.01)
    cause = caught.value.__cause__ or caught.value.__context__
    assert isinstance(cause, asyncio.CancelledError)
    assert notes(cause)
    assert credentials_in_frames(caught.value) == []


async def test_an_answer_that_echoes_the_credential_and_cannot_be_read_keeps_none() -> None:
    client = toy(Platform(httpx.Response(200, text=f"<html>debug: {KEY}")))
    with pytest.raises(ResponseValidationError) as caught:
        await client.things.get("t1")
    assert credentials_in_frames(caught.value) == []
    assert KEY.encode() not in caught.value.body


async def test_what_a_transport_should_not_raise_keeps_no_credential_either() -> None:
    failure = ZeroDivisionError("oops")
    client = toy(Platform(ok())).with_options(http_client=httpx.AsyncClient(transport=Revealing(failure)))
    with pytest.raises(ZeroDivisionError) as caught:
        await client.things.get("t1")
    assert credentials_in_frames(caught.value) == []
    names: list[str] = []
    trace = caught.value.__traceback__
    while trace is not None:
        names.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert names[-1] == "handle_async_request"  # what is left still leads to the fault


async def test_a_hook_stops_a_call() -> None:
    class OutboxDown(StopCall):
        pass

    async def journal(event: RequestEvent) -> None:
        raise OutboxDown("The outbox cannot be written.")

    platform = Platform(ok())
    client, _ = client_of(platform, on_request=journal)
    with pytest.raises(OutboxDown, match="cannot be written") as caught:
        await client.things.create(name="a")
    assert not caught.value.may_have_happened
    assert platform.requests == []


async def test_a_hook_that_stops_the_next_attempt_does_not_undo_the_first() -> None:
    def journal(event: RequestEvent) -> None:
        if event.attempt == 2:
            raise StopCall

    platform = Platform(httpx.Response(500))
    client, _ = client_of(platform, on_request=journal)
    with pytest.raises(StopCall) as caught:
        await client.things.get("t1")
    assert caught.value.may_have_happened
    assert len(platform.requests) == 1


async def test_only_a_hook_before_an_attempt_can_stop_it() -> None:
    def stop(event: object) -> None:
        raise StopCall

    client, _ = client_of(Platform(httpx.Response(500), ok()), on_response=stop, on_retry=stop, on_rate_limit=stop)
    assert (await client.things.get("t1")).id == "t1"


@pytest.mark.parametrize(("status", "expected"), [(500, True), (429, False)])
async def test_a_client_that_is_closed_between_two_attempts(status: int, expected: bool) -> None:
    async def close(event: RetryEvent) -> None:
        await client.aclose()

    client, _ = client_of(Platform(httpx.Response(status)), on_retry=close)
    effect = "It may have taken effect" if expected else "It has had no effect"
    with pytest.raises(ConfigurationError, match=f"get_thing: this client was closed while .* {effect}") as caught:
        await client.call(Call(GET_THING, path={"thing_id": "t1"}))
    assert caught.value.may_have_happened is expected


def test_what_is_made_by_hand_says_it_too() -> None:
    assert ServerError("down", operation="get_thing", status=500).may_have_happened
    assert not DialogkitError("no").may_have_happened
