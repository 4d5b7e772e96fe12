from __future__ import annotations

import asyncio
import logging
import pickle
import traceback
from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
import trio
from typing_extensions import Unpack

from dialogkit._core.auth.bearer import AuthContext
from dialogkit._core.call import Call, CallOptions, RetrySafety
from dialogkit._core.errors import (
    AmbiguousOutcomeError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    DialogkitError,
    RateLimitError,
    RateLimitWaitError,
    ResponseValidationError,
    ServerError,
)
from dialogkit._core.files.uploads import Upload
from dialogkit._core.limits.terms import RateLimit
from dialogkit._core.response import response_info
from dialogkit._core.sending.retry import RetryPolicy
from tests._core.answers import (
    Answer,
    BrokenBody,
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
from tests._core.toy import CREATE_THING, KEY, UPLOAD_THING, ToyOptions, toy


async def repeated(platform: Platform, safety: RetrySafety, **options: Unpack[ToyOptions]) -> None:
    client, _ = client_of(platform, **options)
    await client.request("POST", "/x", json={}, retry=safety)


PASSING = [408, 425, 429, 500, 502, 503, 504, 507, *range(520, 525), 529, 530, 598]
LASTING = [400, 401, 403, 404, 409, 413, 415, 422, 501, 505, 511]


@pytest.mark.parametrize("safety", ["safe", "idempotent"])
@pytest.mark.parametrize("trouble", [*PASSING, connect_error, connect_timeout, read_timeout, dropped, broken_body])
async def test_what_can_be_repeated_is(safety: RetrySafety, trouble: int | Answer) -> None:
    answer = httpx.Response(trouble) if isinstance(trouble, int) else trouble
    platform = Platform(answer, answer, ok())
    await repeated(platform, safety)
    assert len(platform.requests) == 3


@pytest.mark.parametrize("safety", ["safe", "idempotent", "never-after-sent"])
@pytest.mark.parametrize("status", LASTING)
async def test_lasting_refusals_are_not_repeated(safety: RetrySafety, status: int) -> None:
    platform = Platform(httpx.Response(status), ok())
    with pytest.raises(APIStatusError) as caught:
        await repeated(platform, safety)
    assert (caught.value.status, caught.value.attempts, len(platform.requests)) == (status, 1, 1)


@pytest.mark.parametrize("trouble", [httpx.Response(429), connect_error, connect_timeout])
async def test_what_was_certainly_not_processed_is_repeated(trouble: Answer) -> None:
    platform = Platform(trouble, ok())
    await repeated(platform, "never-after-sent")
    assert len(platform.requests) == 2


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "0"}])
@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504, 520, 529])
async def test_an_unclear_refusal_is_not_repeated(status: int, headers: Mapping[str, str]) -> None:
    platform = Platform(httpx.Response(status, headers=headers), ok())
    with pytest.raises(APIStatusError) as caught:
        await repeated(platform, "never-after-sent")
    assert isinstance(caught.value, ServerError) == (status >= 500)
    assert len(platform.requests) == 1


@pytest.mark.parametrize("no_answer", [read_timeout, dropped, broken_body])
async def test_no_answer_after_sending_is_ambiguous_and_sent_once(no_answer: Answer) -> None:
    platform = Platform(no_answer, ok())
    with pytest.raises(AmbiguousOutcomeError, match="may or may not have taken effect") as caught:
        await repeated(platform, "never-after-sent")
    assert (caught.value.sent, caught.value.attempts, len(platform.requests)) == (True, 1, 1)


@pytest.mark.parametrize(
    ("no_answer", "error", "sent"),
    [
        (connect_error, APIConnectionError, False),
        (connect_timeout, APITimeoutError, False),
        (read_timeout, APITimeoutError, True),
        (dropped, APIConnectionError, True),
    ],
)
async def test_the_last_failure_is_raised(no_answer: Answer, error: type[APIConnectionError], sent: bool) -> None:
    client, slept = client_of(Platform(no_answer), retry=RetryPolicy(max_attempts=4, random=lambda: 1.0))
    with pytest.raises(error) as caught:
        await client.things.get("t1")
    assert type(caught.value) is error
    assert (caught.value.sent, caught.value.attempts, caught.value.operation) == (sent, 4, "get_thing")
    assert slept == [0.5, 1.0, 2.0]


async def test_retry_none_never_repeats() -> None:
    platform = Platform(httpx.Response(500))
    with pytest.raises(ServerError):
        await client_of(platform, retry=None)[0].things.get("t1")
    assert len(platform.requests) == 1


async def test_retry_after_is_obeyed() -> None:
    platform = Platform(httpx.Response(503, headers={"Retry-After": "7"}), ok())
    client, slept = client_of(platform)
    await client.things.get("t1")
    assert slept == [7.0]


async def test_a_retry_after_that_is_too_long_is_raised() -> None:
    platform = Platform(httpx.Response(429, headers={"Retry-After": "3600"}), ok())
    client, slept = client_of(platform)
    with pytest.raises(RateLimitError) as caught:
        await client.things.get("t1")
    assert (caught.value.retry_after, slept, len(platform.requests)) == (3600.0, [], 1)
    with pytest.raises(RateLimitWaitError, match=r"get_thing: .*the platform asked") as waited:
        await client.things.get("t1")
    assert waited.value.operation == "get_thing"
    assert len(platform.requests) == 1


async def test_a_429_without_retry_after_waits_by_default() -> None:
    client, slept = client_of(Platform(httpx.Response(429), ok()), retry=RetryPolicy(), rate_limit=None)
    await client.things.get("t1")
    assert slept == [5.0]


class Rotating:
    """A credential that has a second token."""

    identity = "rotating"

    def __init__(self, *, better: bool = True) -> None:
        self.tokens = ["old-token-0123", "new-token-0123"]
        self.better = better
        self.refused: list[AuthContext] = []

    async def headers(self, context: AuthContext, /) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.tokens[0]}"}

    async def rejected(self, context: AuthContext, /) -> bool:
        self.refused.append(context)
        del self.tokens[:-1]
        return self.better


@pytest.mark.parametrize("safety", ["safe", "never-after-sent"])
async def test_a_refused_credential_has_one_more_chance(safety: RetrySafety) -> None:
    platform = Platform(httpx.Response(401), ok())
    auth = Rotating()
    client = toy(platform, retry=None).with_options(auth=auth)
    await client.request("POST", "/x", json={}, retry=safety)
    assert [each.headers["authorization"] for each in platform.requests] == [
        "Bearer old-token-0123",
        "Bearer new-token-0123",
    ]
    assert auth.refused[0].headers == {"Authorization": "Bearer old-token-0123"}
    assert auth.refused[0].location_id == "loc_1"
    assert "old-token" not in repr(auth.refused[0])


@pytest.mark.parametrize("better", [True, False])
async def test_a_second_refusal_is_final(better: bool) -> None:
    auth = Rotating(better=better)
    platform = Platform(httpx.Response(401))
    with pytest.raises(AuthenticationError):
        await toy(platform).with_options(auth=auth).things.get("t1")
    assert len(auth.refused) == 1
    assert len(platform.requests) == 1 + better


async def test_a_started_stream_is_never_sent_again() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"data"

    class Unread(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused", request=request)

    refusing = httpx.MockTransport(lambda request: httpx.Response(500))  # reads the body first
    for transport, attempts in ((Unread(), 3), (refusing, 1)):
        client = toy(Platform(ok())).with_options(http_client=httpx.AsyncClient(transport=transport))
        upload = Upload.from_stream(chunks(), filename="a.txt")
        with pytest.raises(DialogkitError) as caught:
            await client.call(Call(UPLOAD_THING, body={"thing_id": "t1", "files": [upload]}))
        assert getattr(caught.value, "attempts", None) == attempts


async def test_a_request_is_made_anew_for_each_attempt() -> None:
    platform = Platform(httpx.Response(500), ok())
    await client_of(platform)[0].call(
        Call(UPLOAD_THING, body={"thing_id": "t1", "files": [Upload.from_bytes(b"x", filename="a.txt")]})
    )
    first, second = platform.requests
    assert first is not second
    assert first.content == second.content
    assert int(first.headers["content-length"]) == len(first.content)


async def test_a_cancelled_call_gives_its_token_back() -> None:
    client = toy(Platform(ok()), rate_limit=RateLimit(1, per=0.01)).with_options(
        http_client=httpx.AsyncClient(transport=httpx.MockTransport(hang))
    )
    for _ in range(3):
        task = asyncio.create_task(client.things.get("t1"))
        await asyncio.sleep(0.03)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_strictness_of_one_call() -> None:
    client = toy(Platform(httpx.Response(200, json={"id": 5}, headers={"x-request-id": "r1"})))
    with pytest.raises(ResponseValidationError) as caught:
        await client.things.get("t1", options=CallOptions(strict=True))
    assert caught.value.request_id == "r1"


async def test_the_trace_id_of_a_body_is_the_request_id() -> None:
    client = toy(Platform(httpx.Response(200, json={"id": "t1", "traceId": "trace-1"})))
    assert response_info(await client.things.get("t1")).request_id == "trace-1"


async def test_the_body_of_a_refusal_may_break_off() -> None:
    def half(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, stream=BrokenBody())

    with pytest.raises(BadRequestError) as caught:
        await toy(Platform(half)).things.get("t1")
    assert caught.value.body is None


async def test_a_stream_is_repeated_until_it_begins() -> None:
    platform = Platform(httpx.Response(503), httpx.Response(200, content=b"png", headers={"Content-Type": "image/png"}))
    client, _ = client_of(platform)
    async with client.things.picture("t1").stream() as stream:
        assert (stream.info.attempts, await stream.read()) == (2, b"png")
    assert platform.requests[0].headers["accept-encoding"] == "identity"


async def test_no_trace_of_the_credential_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = httpx.Response(400, json={"message": f"bad key {KEY}", KEY: [KEY]}, headers={"X-Echo": f"Bearer {KEY}"})
    for answer in (echo, httpx.Response(500, text=f"oops {KEY}"), read_timeout, connect_error, broken_body):
        with pytest.raises(DialogkitError) as caught:
            await toy(Platform(answer)).things.create(name="a", note="private words")
        error = caught.value
        frames = traceback.TracebackException.from_exception(error, capture_locals=True).format()
        for text in (str(error), repr(vars(error)), "".join(frames), caplog.text):
            assert KEY not in text
        assert KEY.encode() not in pickle.dumps(error)
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert "private words" not in caplog.text


async def test_an_echoed_secret_of_the_body_is_blotted_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dialogkit.bodies")
    secret = "token-of-somebody-else"
    client, _ = client_of(Platform(lambda request: httpx.Response(422, json={"message": f"bad {secret}"})))
    with pytest.raises(DialogkitError) as caught:
        await client.request("POST", "/agents", json={"access_token": secret, "webhook": {"secret": "hush-hush-hush"}})
    assert "bad ***" in str(caught.value)
    for shown in (str(caught.value), repr(vars(caught.value)), caplog.text):
        assert secret not in shown
        assert "hush-hush" not in shown


async def test_debug_logs_tell_what_happened(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dialogkit")
    client, _ = client_of(Platform(httpx.Response(503), ok()))
    await client.things.get("secret-id")
    lines = [each.getMessage() for each in caplog.records]
    assert [line.partition(" (")[0] for line in lines] == [
        "get_thing: GET /things/{thing_id}: 503",
        "get_thing: GET /things/{thing_id}: attempt 1 failed, the next one follows in 0 s: the platform answered 503",
        "get_thing: GET /things/{thing_id}: 200",
    ]
    assert "(attempt 2, " in lines[2]


async def test_errors_have_no_context() -> None:
    for answer in (httpx.Response(404), read_timeout, connect_error):
        with pytest.raises(DialogkitError) as caught:
            await toy(Platform(answer)).things.get("t1")
        assert caught.value.__context__ is None


async def test_the_limiter_is_keyed_by_credential_and_location() -> None:
    client = toy(Platform(httpx.Response(200, json={"things": []})), rate_limit=RateLimit(1, per=3600), deadline=5)
    await client.things.list()
    await client.things.list(location_id="loc_2")
    await client.with_options(location_id="loc_3").things.list()
    with pytest.raises(RateLimitWaitError):
        await client.with_options(location_id="loc_2").things.list()


async def test_a_location_in_the_body_counts() -> None:
    client = toy(Platform(ok()), rate_limit=RateLimit(1, per=3600), deadline=5)
    await client.things.get("t1")
    await client.call(Call(CREATE_THING, body={"name": "a", "location_id": "loc_9"}))
    with pytest.raises(RateLimitWaitError):
        await client.call(Call(CREATE_THING, body={"name": "a", "location_id": "loc_9"}))


def test_it_works_under_trio() -> None:
    async def main() -> str:
        async with toy(Platform(httpx.Response(503), ok()), deadline=5) as client:
            return (await client.things.get("t1")).id

    assert trio.run(main) == "t1"


async def test_an_echo_in_an_answer_of_success_is_blotted_out_of_the_error() -> None:
    client = toy(Platform(httpx.Response(200, text=f"<html>debug {KEY} {KEY.upper()} \xff")))
    with pytest.raises(ResponseValidationError) as caught:
        await client.things.get("t1")
    assert caught.value.body == "<html>debug *** *** \xff".encode()
