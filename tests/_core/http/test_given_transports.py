"""What may be passed as `http_client`: clients of httpx and of httpx2, and transports of one's own."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from dialogkit._core.errors import (
    AmbiguousOutcomeError,
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    NotFoundError,
)
from dialogkit._core.http.pool import Connection
from dialogkit._core.response import response_info
from dialogkit.transport import Answer, Request, Transport, TransportFailure
from tests._core.toy import KEY, Toy
from tests.support.backends import on_every_backend
from tests.support.messages import fetch, request_of
from tests.support.servers import Server, answer, raw, then_stall

JSON = [(b"Content-Type", b"application/json"), (b"X-Request-Id", b"r1")]


class Canned:
    """Answers every request alike, and keeps them."""

    def __init__(self, answer: Answer | Exception) -> None:
        self.requests: list[Request] = []
        self.timeouts: list[float] = []
        self.answer = answer

    async def send(self, request: Request, timeout: float) -> Answer:
        self.requests.append(request)
        self.timeouts.append(timeout)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def toy(transport: Transport) -> Toy:
    return Toy(KEY, base_url="https://api.test", http_client=transport, retry=None, timeout=7)


# A transport of one's own.


@on_every_backend
async def test_a_transport_gets_each_request_and_its_answer_is_decoded() -> None:
    canned = Canned(Answer(200, JSON, b'{"id": "t1"}'))
    thing = await toy(canned).things.get("t1")
    (request,) = canned.requests
    assert (thing.id, response_info(thing).request_id) == ("t1", "r1")
    assert (request.method, request.origin.host) == ("GET", "api.test")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.target.startswith("/things/t1")
    assert canned.timeouts == [7]


@on_every_backend
async def test_a_transports_refusal_is_typed() -> None:
    with pytest.raises(NotFoundError, match="no such thing"):
        await toy(Canned(Answer(404, JSON, b'{"message": "no such thing"}'))).things.get("t1")


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (TransportFailure("nobody is there", sent=False), APIConnectionError),
        (TransportFailure("silence", sent=True, timed_out=True), AmbiguousOutcomeError),
        (TransportFailure("the line is busy", sent=False, timed_out=True), APITimeoutError),
    ],
)
async def test_a_transports_failure_decides_what_becomes_of_a_call(
    failure: TransportFailure, error: type[Exception]
) -> None:
    with pytest.raises(error, match=failure.reason) as caught:
        await toy(Canned(failure)).things.create(name="x")
    assert type(caught.value) is error


async def test_a_fault_of_a_transports_program_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        await toy(Canned(ZeroDivisionError())).things.get("t1")


@on_every_backend
async def test_a_body_in_pieces_is_decompressed_and_closed() -> None:
    closed = False

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal closed
        try:
            for byte in gzip.compress(b'{"id": "t1"}'):
                yield bytes([byte])
        finally:
            closed = True

    canned = Canned(Answer(200, [*JSON, (b"Content-Encoding", b"gzip")], pieces()))
    assert (await toy(canned).things.get("t1")).id == "t1"
    assert closed


async def test_redirects_are_followed_over_a_transport() -> None:
    class Redirecting(Canned):
        async def send(self, request: Request, timeout: float) -> Answer:
            await super().send(request, timeout)
            if request.elsewhere:
                return Answer(200, JSON, b'{"id": "t1"}')
            return Answer(302, [(b"Location", b"https://elsewhere.test/t1")])

    transport = Redirecting(Answer(200))
    assert (await toy(transport).things.get("t1")).id == "t1"
    assert [request.origin.host for request in transport.requests] == ["api.test", "elsewhere.test"]
    assert "authorization" not in transport.requests[1].headers


class SyncSend:
    def send(self, request: Request, timeout: float) -> Answer:
        raise AssertionError


NO_TRANSPORTS = [SyncSend(), object(), "https://api.test", httpx.MockTransport(lambda _: httpx.Response(200))]


@pytest.mark.parametrize("given", NO_TRANSPORTS)
def test_what_is_no_transport_is_refused(given: object) -> None:
    with pytest.raises(ConfigurationError, match=r"http_client takes an httpx.AsyncClient, not .* is async"):
        Connection(given)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# httpx2, which has the names of httpx and no class in common with it.


@pytest.fixture
def httpx2() -> Any:
    return pytest.importorskip("httpx2", reason="it wants Python 3.11")


@on_every_backend
async def test_a_client_of_httpx2(httpx2: Any) -> None:
    with Server(answer(gzip.compress(b"hello"), headers=[("content-encoding", "gzip")])) as server:
        async with httpx2.AsyncClient(headers={"X-Gateway": "abc"}) as client:
            whole = await fetch(Connection(client), request_of("POST", server.url, content=b"{}"))
    assert (whole.status, whole.content) == (200, b"hello")
    assert server.requests[0].body == b"{}"
    assert server.requests[0].header("x-gateway") == "abc", "what the client was told is kept"


async def test_a_mock_of_httpx2(httpx2: Any) -> None:
    def handle(request: Any) -> Any:
        return httpx2.Response(200, json={"id": request.url.path[-2:]})

    mock = httpx2.MockTransport(handle)
    toy = Toy(KEY, base_url="https://api.test", http_client=httpx2.AsyncClient(transport=mock))
    assert (await toy.things.get("t1")).id == "t1"


@pytest.mark.parametrize(
    ("name", "sent", "timed_out"),
    [
        ("ConnectError", False, False),
        ("ConnectTimeout", False, True),
        ("PoolTimeout", False, True),
        ("ProxyError", False, False),
        ("UnsupportedProtocol", False, False),
        ("ReadTimeout", True, True),
        ("WriteTimeout", True, True),
        ("ReadError", True, False),
        ("RemoteProtocolError", True, False),
        ("LocalProtocolError", True, False),
        ("DecodingError", True, False),
    ],
)
async def test_the_errors_of_httpx2(httpx2: Any, name: str, sent: bool, timed_out: bool) -> None:
    def handle(_: object) -> None:
        raise getattr(httpx2, name)("x")

    connection = Connection(httpx2.AsyncClient(transport=httpx2.MockTransport(handle)))
    with pytest.raises(TransportFailure) as caught:
        await connection.send(request_of("POST", "http://api.test/"), timeout=1)
    assert (caught.value.sent, caught.value.timed_out) == (sent, timed_out)


@pytest.mark.parametrize(
    ("start", "timed_out"), [(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", True), (None, False)]
)
async def test_a_server_that_fails_httpx2(httpx2: Any, start: bytes | None, timed_out: bool) -> None:
    behaviour = raw(b"nonsense\r\n\r\n") if start is None else then_stall(start)
    with Server(behaviour) as server:
        async with httpx2.AsyncClient() as client:
            with pytest.raises(TransportFailure) as caught:
                await fetch_within(Connection(client), request_of("POST", server.url), 0.05 if timed_out else 20)
    assert (caught.value.sent, caught.value.timed_out) == (True, timed_out)


async def fetch_within(connection: Connection, request: Request, seconds: float) -> bytes:
    return await connection.read(await connection.send(request, timeout=seconds))


async def test_a_closed_client_of_httpx2_is_noticed(httpx2: Any) -> None:
    client = httpx2.AsyncClient()
    connection = Connection(client)
    await client.aclose()
    with pytest.raises(ConfigurationError, match="is closed"):
        await connection.send(request_of("GET", "http://api.test/"), timeout=1)


def test_nothing_of_httpx2_is_imported_unless_a_client_of_it_is_given(httpx2: Any) -> None:
    program = (
        "import asyncio, sys, httpx, dialogkit\n"
        "from dialogkit.transport import Answer\n"
        "async def main():\n"
        "    mock = httpx.MockTransport(lambda _: httpx.Response(200, json={'id': 'b'}))\n"
        "    given = httpx.AsyncClient(transport=mock)\n"
        "    async with dialogkit.HoopAI('k', location_id='l', http_client=given) as hoop:\n"
        "        await hoop.request('GET', '/x')\n"
        "asyncio.run(main())\n"
        "print(sorted(name for name in sys.modules if name.partition('.')[0] in ('httpx2', 'httpcore2')))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["[]"]
