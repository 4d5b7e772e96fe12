from __future__ import annotations

import asyncio
import gc
import gzip
import tracemalloc
import warnings
import zlib
from collections.abc import AsyncIterator, Callable, Iterator

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest
import respx

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.http.pool import Connection, TransportFailure
from dialogkit._core.http.transport import Request
from tests.support.backends import BACKENDS, on_every_backend
from tests.support.messages import PATIENCE, fetch, once, request_of
from tests.support.servers import Behaviour, Exchange, Server, answer, echo, raw, then_stall


def get(url: str) -> Request:
    return request_of("GET", url)


# The wire.


@on_every_backend
async def test_a_request_goes_out_as_it_is() -> None:
    headers = {
        "Authorization": "Bearer t",
        "Version": "2021-04-15",
        "X-Name": "Zoë".encode().decode("latin-1"),
        "Host": "api.test",
    }
    with Server() as server:
        response = await once(request_of("POST", server.url, headers=headers, content=b"{}"))
        (received,) = server.requests
    assert response.status == 200
    assert (received.method, received.body) == ("POST", b"{}")
    assert {name.lower(): value.encode("latin-1").decode() for name, value in received.headers} == {
        "authorization": "Bearer t",
        "version": "2021-04-15",
        "x-name": "Zoë",
        "host": "api.test",
        "content-length": "2",
    }


@on_every_backend
async def test_a_bare_request_has_no_headers_of_the_library() -> None:
    with Server() as server:
        await once(get(server.url))
        await once(request_of("POST", server.url))
    assert [sorted(name.lower() for name, _ in request.headers) for request in server.requests] == [
        ["host"],
        ["content-length", "host"],
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/a/",
        "/a//b",
        "//a",
        "/a%2Fb",
        "/a%2fb/%C3%A4",
        "/a%20b+c",
        "/a;b=1/c:d@e!$&'()*,",
        "/a?",
        "/a?b=1&b=2&c=",
        "/a?b=%2F%26+&c=x/y?z",
        "/a%3Fb?c",
        "/%25",
    ],
)
@on_every_backend
async def test_raw_paths_stay_raw(path: str) -> None:
    with Server() as server:
        request = get(server.url.rstrip("/") + path)
        await once(request)
    assert server.requests[0].target == request.target == path


@on_every_backend
async def test_connections_are_kept_alive() -> None:
    connection = Connection()
    with Server(answer(b"x" * 100_000)) as server:
        for method in ("GET", "POST", "HEAD", "DELETE"):
            response = await fetch(connection, request_of(method, server.url))
            assert len(response.content) == (0 if method == "HEAD" else 100_000)
        await connection.aclose()
        assert server.connections == 1


@on_every_backend
async def test_a_kept_connection_that_has_closed_is_not_used() -> None:
    connection = Connection()
    with Server(answer(b"one", close=True), answer(b"two")) as server:
        assert (await fetch(connection, get(server.url))).content == b"one"
        await server.until(lambda: server.open_connections == 0)
        await anyio.lowlevel.checkpoint()
        assert (await fetch(connection, get(server.url))).content == b"two"
        await connection.aclose()


@pytest.mark.parametrize(("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
@on_every_backend
async def test_compressed_answers(coding: str, compress: Callable[[bytes], bytes]) -> None:
    with Server(answer(compress(b"hello" * 999), headers=[("content-encoding", coding)])) as server:
        assert (await once(get(server.url))).content == b"hello" * 999


@on_every_backend
async def test_an_answer_without_a_length() -> None:
    with Server(raw(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")) as server:
        assert (await once(get(server.url))).content == b"until the end"


@on_every_backend
async def test_no_cookie_is_ever_sent_back() -> None:
    connection = Connection()
    with Server(answer(headers=[("set-cookie", "session=abc; Path=/"), ("set-cookie", "b=2")])) as server:
        response = await fetch(connection, get(server.url))
        await fetch(connection, get(server.url))
        await connection.aclose()
    cookies = [value for name, value in response.answer.raw_headers if name.lower() == b"set-cookie"]
    assert cookies == [b"session=abc; Path=/", b"b=2"]
    assert [request.header("cookie") for request in server.requests] == [None, None]


# Bodies.


async def pieces(count: int, size: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number % 251]) * size


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 1_000_000])
@on_every_backend
async def test_bodies_in_memory(size: int) -> None:
    with Server(echo) as server:
        response = await once(request_of("POST", server.url, content=b"x" * size))
        (received,) = server.requests
    assert response.content == b"x" * size
    assert (received.header("content-length"), received.header("transfer-encoding")) == (str(size), None)


@pytest.mark.parametrize("length", [None, 500_000])
@on_every_backend
async def test_streamed_bodies(length: int | None) -> None:
    headers = {} if length is None else {"Content-Length": str(length)}
    with Server(echo) as server:
        response = await once(request_of("PUT", server.url, headers=headers, content=pieces(5, 100_000)))
        (received,) = server.requests
    assert response.content == b"".join([piece async for piece in pieces(5, 100_000)])
    assert received.header("content-length") == (None if length is None else str(length))
    assert received.header("transfer-encoding") == ("chunked" if length is None else None)


@pytest.mark.parametrize("length", [499_999, 500_001])
@on_every_backend
async def test_a_body_of_another_length_than_announced(length: int) -> None:
    with Server() as server:
        headers = {"Content-Length": str(length)}
        request = request_of("POST", server.url, headers=headers, content=pieces(5, 100_000))
        with pytest.raises(Exception, match="the request is no valid HTTP"):
            await once(request)


@on_every_backend
async def test_an_error_of_the_bodys_source_comes_through() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise FileNotFoundError(2, "the file is gone")

    connection = Connection()
    with Server() as server:
        with pytest.raises(FileNotFoundError, match="the file is gone"):
            await connection.send(request_of("POST", server.url, content=broken()), timeout=PATIENCE)
        await server.until(lambda: server.open_connections == 0)
        await connection.aclose()


async def test_an_answer_before_the_body_was_sent() -> None:
    async def refuse(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        while await reader.read(65_536):
            pass

    connection = Connection()
    with Server(accept=refuse) as server:
        request = request_of("POST", server.url, content=pieces(10**9, 100_000))
        response = await connection.send(request, timeout=PATIENCE)
        assert response.status == 413
        assert await connection.read(response) == b"no"
        await server.until(lambda: server.open_connections == 0)
        await connection.aclose()


@pytest.fixture
def memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("memory")
@on_every_backend
async def test_streams_are_not_buffered() -> None:
    size, count = 1_000_000, 40

    async def big(exchange: Exchange) -> bool:
        for _ in range(count):
            await exchange.write(b"%x\r\n%s\r\n" % (size, bytes(size)))
        await exchange.write(b"0\r\n\r\n")
        return True

    async def swallow(exchange: Exchange) -> bool:
        await exchange.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        return await big(exchange)

    connection = Connection()
    with Server(swallow, keep_bodies=False) as server:
        await fetch(connection, request_of("POST", server.url, content=b"warm"))
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        request = request_of("POST", server.url, content=pieces(count, size))
        response = await connection.send(request, timeout=PATIENCE)
        received = 0
        async for chunk in response.chunks():
            received += len(chunk)
        await connection.aclose()
    assert received == size * count
    assert tracemalloc.get_traced_memory()[1] - before < 10 * size


# Event loops and closing.


@on_every_backend
async def test_a_closed_connection_says_so() -> None:
    connection = Connection()
    with Server() as server:
        await fetch(connection, get(server.url))
        await connection.aclose()
        await connection.aclose()
        assert connection.closed
        await server.until(lambda: server.open_connections == 0)
        with pytest.raises(ConfigurationError, match="This client is closed: create a new one"):
            await connection.send(get(server.url), timeout=1)


@on_every_backend
async def test_closing_breaks_what_is_under_way() -> None:
    connection = Connection()
    with Server(then_stall()) as server:

        async def close() -> None:
            await server.until(lambda: bool(server.requests))
            await connection.aclose()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(close)
            with pytest.raises(TransportFailure) as caught:
                await connection.send(get(server.url), timeout=PATIENCE)
            assert caught.value.sent


@on_every_backend
async def test_closing_what_was_never_opened() -> None:
    connection = Connection()
    await connection.aclose()
    with pytest.raises(ConfigurationError, match="is closed"):
        await connection.send(get("http://127.0.0.1/"), timeout=1)


async def test_a_given_client_is_not_closed_and_its_closing_is_noticed() -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(204)))
    connection = Connection(client)
    await fetch(connection, get("http://test/"))
    await connection.aclose()
    assert not client.is_closed
    other = Connection(client)
    await client.aclose()
    with pytest.raises(ConfigurationError, match="is closed"):
        await other.send(get("http://test/"), timeout=1)


def test_a_sync_client_is_refused() -> None:
    with httpx.Client() as client, pytest.raises(ConfigurationError, match=r"takes an httpx.AsyncClient, not Client"):
        Connection(client)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.fixture
def litter() -> Iterator[None]:
    """Lets an event loop leave open sockets behind when it ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.mark.usefixtures("litter")
@pytest.mark.parametrize("second", BACKENDS)
@pytest.mark.parametrize("first", BACKENDS)
def test_another_event_loop(first: str, second: str) -> None:
    connection = Connection()

    async def use(url: str) -> None:
        await fetch(connection, get(url))

    async def misuse(url: str) -> None:
        with pytest.raises(ConfigurationError, match="one client per event loop"):
            await connection.send(get(url), timeout=1)
        await connection.aclose()
        with pytest.raises(ConfigurationError, match="is closed"):
            await connection.send(get(url), timeout=1)

    with Server() as server:
        anyio.run(use, server.url, backend=first)
        anyio.run(misuse, server.url, backend=second)
        assert len(server.requests) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_closing_from_another_living_loop(backend: str) -> None:
    connection = Connection()

    async def main() -> None:
        def close_elsewhere(other: str) -> None:
            with pytest.raises(ConfigurationError, match="close it there"):
                anyio.run(connection.aclose, backend=other)

        with Server() as server:
            await fetch(connection, get(server.url))
            for other in BACKENDS:
                await anyio.to_thread.run_sync(close_elsewhere, other)
            await fetch(connection, get(server.url))
            await connection.aclose()

    anyio.run(main, backend=backend)


def test_no_event_loop_at_all() -> None:
    send = Connection().send(get("http://127.0.0.1/"), timeout=1)
    with pytest.raises(ConfigurationError, match="asyncio and trio"):
        send.send(None)


# Test doubles of users.


def redirect(url: str) -> Behaviour:
    return answer(b"elsewhere", status=302, headers=[("location", url)])


async def test_a_mock_transport() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"path": request.url.path, "timeout": request.extensions["timeout"]["read"]})

    connection = Connection(httpx.AsyncClient(transport=httpx.MockTransport(handle)))
    response = await connection.send(get("http://test/a"), timeout=7)
    assert await connection.read(response) == b'{"path":"/a","timeout":7}'


@on_every_backend
async def test_respx_over_the_own_pool() -> None:
    with respx.mock(using="httpx") as router:
        router.get("http://test/a").respond(201, text="mocked")
        response = await once(get("http://test/a"))
    assert (response.status, response.content) == (201, b"mocked")


async def test_the_own_pool_passes_httpx_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client costs more than all the rest, so only what needs it goes through it."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(httpx, "Request", refuse)
    monkeypatch.setattr(httpx, "Response", refuse)
    with Server(redirect("/there"), answer(b"hello")) as server:
        response = await once(get(server.url))
    assert (response.status, response.content) == (200, b"hello")


async def test_requests_that_a_mock_lets_pass_use_the_own_pool() -> None:
    with Server(answer(b"real")) as server, respx.mock(using="httpx", assert_all_called=False) as router:
        router.route(host="127.0.0.1").pass_through()
        response = await once(request_of("POST", server.url, content=b"x" * 100_000))
    assert (response.status, response.content) == (200, b"real")
    assert len(server.requests[0].body) == 100_000
