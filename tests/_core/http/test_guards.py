"""A connection is used again only when nothing has come since its last answer, and never when that cannot be known.

The first part holds over each engine. The last one is the canary: it fails when a release of aiohttp no longer asks
what our guard leans on, and a guard that is not asked must cost connections, not answers.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
import sys
import time
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from aiohttp.client_proto import ResponseHandler

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.http import certificates, connections, over_aiohttp
from dialogkit._core.http.pool import Connection, TransportFailure
from tests.support.backends import on_every_backend
from tests.support.engines import backend_of, connected, every_engine
from tests.support.messages import PATIENCE, fetch, request_of
from tests.support.servers import Exchange, Server, answer, then_stall

FOREIGN = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nforeign"
STRAYS = {
    "a late duplicate": FOREIGN,
    "a 408": b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "half a head": b"HTTP/1.1 4",
    "a line break": b"\r\n",
    "an interim answer": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "nonsense": b"\0",
}


def own(number: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number


class Stray:
    """Answers each request with its number, and writes something more once that is asked for."""

    def __init__(self, stray: bytes) -> None:
        self.stray = stray
        self.count = 0
        self.written = 0

    async def __call__(self, exchange: Exchange) -> bool:
        self.count += 1
        await exchange.write(own(self.count))
        if self.count == 1:
            await exchange.server.released.wait()
            if not self.stray:
                return False
            await exchange.write(self.stray)
            self.written = 1
        return True


@every_engine
@pytest.mark.parametrize("stray", [*STRAYS.values(), b""], ids=[*STRAYS, "an end"])
@pytest.mark.parametrize("busy", [False, True], ids=["seen", "unseen"])
def test_what_comes_at_rest_is_nobodys_answer(engine: str, stray: bytes, busy: bool) -> None:
    """Unseen: the event loop had no turn between the stray bytes and the next request."""
    behave = Stray(stray)

    def arrived(server: Server) -> bool:
        return server.open_connections == 0 if not stray else behave.written == 1

    async def main() -> None:
        with Server(behave) as server:
            async with connected(engine) as connection:
                assert (await fetch(connection, request_of("POST", server.url))).content == b"1"
                server.release()
                if busy:
                    while not arrived(server):
                        time.sleep(0.001)  # noqa: ASYNC251 - nothing may run
                    time.sleep(0.01)  # noqa: ASYNC251 - from the server's socket to ours
                else:
                    while not arrived(server):  # noqa: ASYNC110 - it happens in the server's thread
                        await anyio.sleep(0.001)
                    await anyio.sleep(0.05)
                assert (await fetch(connection, request_of("POST", server.url))).content == b"2"
                assert server.connections == 2

    anyio.run(main, backend=backend_of(engine))


@every_engine
@pytest.mark.parametrize("stray", [FOREIGN, b"HTTP/1.1 4", b"\0", b"\r\n"], ids=["answer", "head", "nonsense", "line"])
def test_what_comes_right_behind_an_answer_is_nobodys(engine: str, stray: bytes) -> None:
    numbers = iter(range(1, 9))

    async def behave(exchange: Exchange) -> bool:
        await exchange.write(own(next(numbers)) + stray)
        return True

    async def main() -> None:
        with Server(behave) as server:
            async with connected(engine) as connection:
                for number in b"123":
                    found = await fetch(connection, request_of("POST", server.url))
                    assert found.content == bytes([number])

    anyio.run(main, backend=backend_of(engine))


async def test_a_connection_that_is_clean_is_used_again() -> None:
    with Server(answer(b"x")) as server:
        async with connected("aiohttp") as connection:
            for _ in range(5):
                await fetch(connection, request_of("POST", server.url))
        assert server.connections == 1


@pytest.mark.usefixtures("trusted")
async def test_a_clean_connection_is_used_again_over_tls(server_tls: ssl.SSLContext) -> None:
    with Server(answer(b"x"), tls=server_tls) as server:
        async with connected("aiohttp") as connection:
            for _ in range(5):
                await fetch(connection, request_of("POST", server.url))
        assert server.connections == 1


# Faults of this machine.


@on_every_backend
async def test_a_bundle_of_certificates_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/cacert.pem")
    connection = Connection()
    with pytest.raises(ConfigurationError, match=r"SSL_CERT_FILE names cannot be read .No such file.* Nothing was"):
        await connection.send(request_of("POST", "https://127.0.0.1:1/"), timeout=1)
    await connection.aclose()


def test_no_file_left_for_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(httpx, "create_ssl_context", full)
    with pytest.raises(TransportFailure, match="Too many open files") as caught:
        certificates.tls_context()
    assert not caught.value.sent


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.parametrize(("files", "most"), [(256, 128), (1024, 512), (1_000_000, 1000), (1, 1), (-1, 1000)])
def test_the_pool_knows_what_the_process_may_open(files: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource  # noqa: PLC0415 - Windows has none

    limit = resource.RLIM_INFINITY if files < 0 else files

    def getrlimit(which: int) -> tuple[int, int]:
        return limit, limit

    monkeypatch.setattr(resource, "getrlimit", getrlimit)
    assert over_aiohttp._most_connections() == most


async def test_a_host_that_cannot_be_was_not_asked() -> None:
    async with connected("aiohttp") as connection:
        with pytest.raises(TransportFailure) as caught:
            await connection.send(request_of("POST", "http://" + "a" * 64 + ".test/"), timeout=1)
    assert not caught.value.sent


@pytest.mark.parametrize("sent", [True, False])
async def test_closing_while_calls_run_says_whether_they_went_out(sent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over_aiohttp, "_MAX_CONNECTIONS", 1)
    connection = Connection()
    with Server(then_stall()) as server:
        send = connection.send(request_of("POST", server.url), timeout=PATIENCE)
        first = asyncio.ensure_future(send)
        await server.until(lambda: bool(server.requests))
        waiting = asyncio.ensure_future(connection.send(request_of("POST", server.url), timeout=PATIENCE))
        await anyio.lowlevel.checkpoint()
        await connection.aclose()
        found = await asyncio.gather(first, waiting, return_exceptions=True)
    failure = found[0 if sent else 1]
    assert isinstance(failure, TransportFailure)
    assert failure.sent is sent
    assert "the client was closed" in failure.reason


async def test_closing_does_not_complete_an_answer_without_length() -> None:
    connection = Connection()
    with Server(then_stall(b"HTTP/1.1 200 OK\r\n\r\nhalf")) as server:
        found = await connection.send(request_of("GET", server.url), timeout=PATIENCE)
        chunks = found.chunks()
        assert await anext(chunks) == b"half"
        await connection.aclose()
        with pytest.raises(TransportFailure, match="the client was closed"):
            await anext(chunks)


# The canary: what aiohttp must ask us.


async def test_aiohttp_makes_its_connections_by_our_factory() -> None:
    with Server(answer(b"x")) as server:
        async with connected("aiohttp") as connection:
            await fetch(connection, request_of("GET", server.url))
            own_transport: Any = connection._own
            (engine,) = own_transport._by_way.values()
            (kept,) = engine._session.connector._conns.values()
    assert [type(protocol) for protocol, _ in kept] == [connections.GuardedProtocol]


@pytest.mark.parametrize(
    "name", ["data_received", "set_response_params", "read", "connection_lost", "close", "start_timeout", "force_close"]
)
def test_aiohttp_has_what_the_guard_overrides(name: str) -> None:
    assert callable(getattr(ResponseHandler, name))


def test_aiohttp_keeps_its_parser_where_the_guard_looks() -> None:
    loop = asyncio.new_event_loop()
    try:
        protocol: Any = ResponseHandler(loop)
        protocol.set_response_params()
        assert callable(protocol._parser.feed_data)
    finally:
        loop.close()


async def test_without_the_guard_no_connection_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    original = connections.GuardedConnector.__init__

    def init(self: Any, **options: Any) -> None:
        original(self, **options)
        self._factory = lambda: ResponseHandler(self._loop)

    monkeypatch.setattr(connections.GuardedConnector, "__init__", init)
    with Server(answer(b"x")) as server:
        async with connected("aiohttp") as connection:
            for _ in range(3):
                assert (await fetch(connection, request_of("GET", server.url))).content == b"x"
        assert server.connections == 3
