"""A platform that answers as it is told, or does not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import anyio
import httpx
from typing_extensions import Unpack

from dialogkit._core.sending.sender import Sender
from tests._core.toy import Toy, ToyOptions, toy

Answer = httpx.Response | Callable[[httpx.Request], httpx.Response]
OK = {"id": "t1"}


def connect_error(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def connect_timeout(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectTimeout("slow", request=request)


def read_timeout(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("silent", request=request)


def dropped(request: httpx.Request) -> httpx.Response:
    raise httpx.RemoteProtocolError("gone", request=request)


class BrokenBody(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"id"'
        raise httpx.ReadError("broken")


def broken_body(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, stream=BrokenBody())


class Platform:
    """Answers in turn, the last answer for ever, and remembers the requests."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = answers
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return answer(request)


def ok() -> httpx.Response:
    return httpx.Response(200, json=OK)


def client_of(platform: Platform, **options: Unpack[ToyOptions]) -> tuple[Toy, list[float]]:
    """Make a client that does not really sleep between attempts, and the list of its would-be sleeps."""
    client = toy(platform, **options)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    client._sender = Sender(client._settings, client._connection, sleep=sleep)
    return client, slept


async def hang(request: httpx.Request) -> httpx.Response:
    await anyio.sleep_forever()
    raise AssertionError
