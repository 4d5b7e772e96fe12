from __future__ import annotations

import asyncio
import gzip
import threading
import timeit
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterator

import anyio
import httpx
import pytest
import respx
import trio

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.sending.transport import Connection
from tests.support.backends import BACKENDS, on_every_backend
from tests.support.servers import Behaviour, Exchange, Server, answer, drop, echo, raw, then_stall, when_released

PATIENCE = 20.0


async def fetch(connection: Connection, request: httpx.Request) -> httpx.Response:
    response = await connection.send(request, timeout=PATIENCE)
    await connection.read(response)
    return response


async def once(request: httpx.Request) -> httpx.Response:
    connection = Connection()
    try:
        return await fetch(connection, request)
    finally:
        await connection.aclose()


def get(url: str) -> httpx.Request:
    return httpx.Request("GET", url)


def redirect(url: str, status: int = 302) -> Behaviour:
    return answer(b"elsewhere", status=status, headers=[("location", url)])


# The wire.


@on_every_backend
async def test_a_request_goes_out_as_it_is() -> None:
    headers = {"Authorization": "Bearer t", "Version": "2021-04-15", "X-Name": "Zoë".encode(), "Host": "api.test"}
    with Server() as server:
        response = await once(httpx.Request("POST", server.url, headers=headers, content=b"{}"))
        (received,) = server.requests
    assert (response.status_code, response.reason_phrase, response.http_version) == (200, "Whatever", "HTTP/1.1")
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
        await once(httpx.Request("POST", server.url))
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
    assert server.requests[0].target == request.url.raw_path.decode() == path


@on_every_backend
async def test_connections_are_kept_alive() -> None:
    connection = Connection()
    with Server(answer(b"x" * 100_000)) as server:
        for method in ("GET", "POST", "HEAD", "DELETE"):
            response = await fetch(connection, httpx.Request(method, server.url))
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
def test_compressed_answers(coding: str, compress: object) -> None:
    assert callable(compress)

    async def main() -> None:
        with Server(answer(compress(b"hello" * 999), headers=[("content-encoding", coding)])) as server:
            assert (await once(get(server.url))).content == b"hello" * 999

    for backend in BACKENDS:
        anyio.run(main, backend=backend)


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
    assert response.headers.get_list("set-cookie") == ["session=abc; Path=/", "b=2"]
    assert [request.header("cookie") for request in server.requests] == [None, None]


# Bodies.


async def pieces(count: int, size: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number % 251]) * size


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 1_000_000])
@on_every_backend
async def test_bodies_in_memory(size: int) -> None:
    with Server(echo) as server:
        response = await once(httpx.Request("POST", server.url, content=b"x" * size))
    assert response.content == b"x" * size


@pytest.mark.parametrize("length", [None, 500_000])
@on_every_backend
async def test_streamed_bodies(length: int | None) -> None:
    headers = {} if length is None else {"Content-Length": str(length)}
    with Server(echo) as server:
        response = await once(httpx.Request("PUT", server.url, headers=headers, content=pieces(5, 100_000)))
        (received,) = server.requests
    assert response.content == b"".join([piece async for piece in pieces(5, 100_000)])
    assert received.header("content-length") == (None if length is None else str(length))
    assert received.header("transfer-encoding") == ("chunked" if length is None else None)


@pytest.mark.parametrize("length", [499_999, 500_001])
@on_every_backend
async def test_a_body_of_another_length_than_announced(length: int) -> None:
    request = httpx.Request(
        "POST", "http://test/", headers={"Content-Length": str(length)}, content=pieces(5, 100_000)
    )
    with Server() as server:
        request.url = httpx.URL(server.url)
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
            await connection.send(httpx.Request("POST", server.url, content=broken()), timeout=PATIENCE)
        await server.until(lambda: server.open_connections == 0)
        await connection.aclose()


@on_every_backend
async def test_an_answer_before_the_body_was_sent() -> None:
    async def early(exchange: Exchange) -> bool:
        raise AssertionError

    connection = Connection()
    with Server(early, greeting=b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno") as server:
        request = httpx.Request("POST", server.url, content=pieces(10**9, 100_000))
        response = await connection.send(request, timeout=PATIENCE)
        assert response.status_code == 413
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
        await fetch(connection, httpx.Request("POST", server.url, content=b"warm"))
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        request = httpx.Request("POST", server.url, content=pieces(count, size))
        response = await connection.send(request, timeout=PATIENCE)
        received = 0
        async for chunk in response.aiter_bytes():
            received += len(chunk)
        await connection.aclose()
    assert received == size * count
    assert tracemalloc.get_traced_memory()[1] - before < 10 * size
