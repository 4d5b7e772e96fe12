"""A failure says whether the request may have reached the server, whichever library sent it."""

from __future__ import annotations

import ssl
import traceback
from collections.abc import AsyncIterator, Callable
from functools import partial

import aiohttp
import anyio
import httpx
import httpx_aiohttp
import pytest
import respx

from dialogkit._core.http import over_aiohttp, pool
from dialogkit._core.http.bounded import BoundedEngine
from dialogkit._core.http.over_httpx import failure_from
from dialogkit._core.http.pool import Connection, TransportFailure
from dialogkit._core.http.transport import Request
from tests.support.backends import on_every_backend
from tests.support.messages import request_of
from tests.support.servers import Behaviour, Server, answer, deaf, drop, hang_up, raw, reset, then_stall

TOKEN = "pit-very-secret"
PATIENCE = 20.0
SHORT = 0.05


def own() -> Connection:
    return Connection()


def over_httpx() -> Connection:
    return Connection(httpx.AsyncClient())


def over_httpx_aiohttp() -> Connection:
    return Connection(httpx.AsyncClient(transport=httpx_aiohttp.AiohttpTransport()))


WAYS = [
    pytest.param(own, "asyncio", id="own-asyncio"),
    pytest.param(own, "trio", id="own-trio"),
    pytest.param(over_httpx, "asyncio", id="httpx-asyncio"),
    pytest.param(over_httpx, "trio", id="httpx-trio"),
    pytest.param(over_httpx_aiohttp, "asyncio", id="httpx-aiohttp"),
]
every_way = pytest.mark.parametrize(("connect", "backend"), WAYS)


def request(url: str, method: str = "POST", content: bytes | AsyncIterator[bytes] = b"{}") -> Request:
    return request_of(method, url, headers={"Authorization": f"Bearer {TOKEN}"}, content=content)


async def fail(connection: Connection, *requests: Request, seconds: float = PATIENCE) -> TransportFailure:
    """Send the requests, the last of which has to fail, in `send` or in `read`."""
    try:
        *before, last = requests
        for each in before:
            await connection.read(await connection.send(each, timeout=seconds))
        with pytest.raises(TransportFailure) as caught:
            await connection.read(await connection.send(last, timeout=seconds))
        return caught.value
    finally:
        await connection.aclose()
        if isinstance(connection._given, BoundedEngine):
            await connection._given.aclose()


def failure(
    connect: Callable[[], Connection], backend: str, *requests: Request, timeout: float = PATIENCE
) -> TransportFailure:
    async def main() -> TransportFailure:
        return await fail(connect(), *requests, seconds=timeout)

    return anyio.run(main, backend=backend)


@every_way
@pytest.mark.parametrize("behaviour", [drop, reset])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_drop_after_the_request_was_read(
    connect: Callable[[], Connection], backend: str, behaviour: Behaviour, method: str
) -> None:
    with Server(behaviour) as server:
        found = failure(connect, backend, request(server.url, method, b""))
        assert len(server.requests) == 1 or connect is over_httpx_aiohttp, "the request was repeated silently"
    assert (found.sent, found.timed_out) == (True, False)


@every_way
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_drop_on_a_reused_connection(connect: Callable[[], Connection], backend: str, method: str) -> None:
    with Server(answer(b"first"), drop, answer(b"repeated")) as server:
        if connect is over_httpx_aiohttp and method != "POST":
            pytest.skip("There aiohttp repeats the request by itself; the user's client is the user's choice.")
        found = failure(connect, backend, request(server.url), request(server.url, method, b""))
        assert (found.sent, found.timed_out) == (True, False)
        assert len(server.requests) == 2, "the request was repeated silently"
        assert server.connections == 1


@every_way
def test_refused(connect: Callable[[], Connection], backend: str) -> None:
    with Server() as server:
        url = server.url
    found = failure(connect, backend, request(url))
    assert (found.sent, found.timed_out) == (False, False)
    assert "no connection could be made (" in found.reason


@every_way
def test_unknown_host(connect: Callable[[], Connection], backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = failure(connect, backend, request("http://no-such-host.invalid/"))
    assert (found.sent, found.timed_out) == (False, False)


@every_way
def test_unsupported_scheme(connect: Callable[[], Connection], backend: str) -> None:
    found = failure(connect, backend, request("ftp://127.0.0.1/"))
    assert (found.sent, found.timed_out) == (False, False)


@every_way
def test_connect_timeout(connect: Callable[[], Connection], backend: str) -> None:
    # TLS is never answered, and to connect includes the handshake.
    with Server(accept=deaf) as server:
        found = failure(connect, backend, request(server.url.replace("http:", "https:")), timeout=SHORT)
    assert (found.sent, found.timed_out) == (False, True)


@every_way
def test_no_tls_handshake(connect: Callable[[], Connection], backend: str) -> None:
    with Server(accept=hang_up) as server:
        found = failure(connect, backend, request(server.url.replace("http:", "https:")))
    assert (found.sent, found.timed_out) == (False, False)


@every_way
@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\n"])
def test_read_timeout(connect: Callable[[], Connection], backend: str, start: bytes) -> None:
    with Server(then_stall(start)) as server:
        found = failure(connect, backend, request(server.url), timeout=SHORT)
    assert (found.sent, found.timed_out) == (True, True)


@every_way
def test_read_timeout_in_the_body(connect: Callable[[], Connection], backend: str) -> None:
    with Server(then_stall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")) as server:
        found = failure(connect, backend, request(server.url), timeout=SHORT)
    assert (found.sent, found.timed_out) == (True, True)


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"." * 300_000


@pytest.mark.parametrize(("connect", "backend"), WAYS[:3])  # httpx-aiohttp waits forever, httpx under trio litters
@pytest.mark.parametrize("content", [b"." * 30_000_000, None], ids=["bytes", "stream"])
def test_write_timeout(connect: Callable[[], Connection], backend: str, content: bytes | None) -> None:
    with Server(accept=deaf) as server:
        found = failure(connect, backend, request(server.url, content=content or endless()), timeout=SHORT)
    assert (found.sent, found.timed_out) == (True, True)


@pytest.mark.filterwarnings(
    "ignore:Async generator:ResourceWarning"
)  # httpx leaves its own open after a decoding error
@every_way
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", id="short"),
        pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", id="chunked"),
        pytest.param(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n", id="no-chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nhalf", id="no-gzip"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-le", id="half-a-head"),
        pytest.param(b"220 mail.example.com ESMTP\r\n\r\n", id="no-http"),
    ],
)
def test_broken_answer(connect: Callable[[], Connection], backend: str, data: bytes) -> None:
    with Server(raw(data)) as server:
        found = failure(connect, backend, request(server.url))
    assert (found.sent, found.timed_out) == (True, False)


@every_way
def test_untrusted_certificate(connect: Callable[[], Connection], backend: str, server_tls: ssl.SSLContext) -> None:
    with Server(tls=server_tls) as server:
        found = failure(connect, backend, request(server.url))
        assert server.requests == []
    assert (found.sent, found.timed_out) == (False, False)


@on_every_backend
async def test_waiting_for_a_connection_is_bounded() -> None:
    client = httpx.AsyncClient(limits=httpx.Limits(max_connections=1))
    connection = Connection(client)
    with Server(then_stall()) as server:
        async with client, anyio.create_task_group() as tasks:
            tasks.start_soon(partial(connection.send, request(server.url), timeout=PATIENCE))
            await server.until(lambda: bool(server.requests))
            with pytest.raises(TransportFailure) as caught:
                await connection.send(request(server.url), timeout=SHORT)
            assert (caught.value.sent, caught.value.timed_out) == (False, True)
            tasks.cancel_scope.cancel()


async def test_waiting_for_the_own_pool_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_aiohttp, "_MAX_CONNECTIONS", 1)
    connection = Connection()
    with Server(then_stall(b"HTTP/1.1 200 OK\r\n\r\n")) as server:
        response = await connection.send(request(server.url), timeout=PATIENCE)
        found = await fail(connection, request(server.url), seconds=SHORT)
        await response.aclose()
        assert len(server.requests) == 1
    assert (found.sent, found.timed_out) == (False, True)


@pytest.mark.parametrize(
    ("raised", "sent", "timed_out"),
    [
        (httpx.ConnectError("x"), False, False),
        (httpx.ConnectTimeout("x"), False, True),
        (httpx.PoolTimeout("x"), False, True),
        (httpx.ProxyError("x"), False, False),
        (httpx.UnsupportedProtocol("x"), False, False),
        (httpx.InvalidURL("x"), False, False),
        (httpx.ReadTimeout("x"), True, True),
        (httpx.WriteTimeout("x"), True, True),
        (httpx.TimeoutException("x"), True, True),
        (httpx.ReadError("x"), True, False),
        (httpx.WriteError("x"), True, False),
        (httpx.CloseError("x"), True, False),
        (httpx.RemoteProtocolError("x"), True, False),
        (httpx.LocalProtocolError("x"), True, False),
        (httpx.DecodingError("x"), True, False),
        (httpx.TooManyRedirects("x"), True, False),
        (ConnectionResetError(104, "Connection reset by peer"), True, False),
        (TimeoutError(), True, True),
        (aiohttp.ServerDisconnectedError(), True, False),
        (aiohttp.ConnectionTimeoutError(), False, True),
    ],
)
async def test_every_exception_of_a_given_client(raised: Exception, sent: bool, timed_out: bool) -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        raise raised

    found = await fail(Connection(httpx.AsyncClient(transport=httpx.MockTransport(handle))), request("http://test/"))
    assert (found.sent, found.timed_out) == (sent, timed_out)


async def test_respx_raises_into_the_own_pool() -> None:
    with respx.mock(using="httpx") as router:
        router.post("http://test/").mock(side_effect=httpx.ConnectError)
        found = await fail(Connection(), request("http://test/"))
    assert not found.sent


async def test_faults_of_the_program_stay_what_they_are() -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError

    connection = Connection(httpx.AsyncClient(transport=httpx.MockTransport(handle)))
    with pytest.raises(ZeroDivisionError):
        await connection.send(request("http://test/"), timeout=1)


def test_failure_while_the_answer_is_read_was_sent() -> None:
    found = failure_from(httpx.ConnectError("x"), answered=True)
    assert found is not None
    assert found.sent


def texts(error: BaseException) -> str:
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True, compact=False).format())


@every_way
@pytest.mark.parametrize(
    "behaviour",
    [drop, raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"), raw(b"nonsense\r\n\r\n")],
    ids=["send", "read", "nonsense"],
)
def test_no_secret_in_what_is_raised(connect: Callable[[], Connection], backend: str, behaviour: Behaviour) -> None:
    with Server(behaviour) as server:
        found = failure(connect, backend, request(f"{server.url}?key={TOKEN}"))
    shown = texts(found)
    assert pool.__file__ in shown
    assert "capture_locals" not in shown
    # The request line of the test's own frames shows the URL; what is of interest is everything beneath the call.
    inner = shown[shown.index(pool.__file__) :]
    assert f"Bearer {TOKEN}" not in shown
    assert TOKEN not in inner
    assert TOKEN not in found.reason
    assert found.__cause__ is None
    assert found.__context__ is None
