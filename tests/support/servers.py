"""A raw HTTP/1.1 server on loopback that behaves as badly as it is told to.

    with Server(answer(b"hello"), drop) as server:      # the first request is answered, all others are dropped
        httpx.get(server.url)
        assert [request.target for request in server.requests] == ["/"]

It runs in a thread of its own, so that tests under asyncio, trio and neither can use it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias

import anyio.to_thread
from typing_extensions import Self

Headers: TypeAlias = "list[tuple[str, str]]"


@dataclass(frozen=True)
class ReceivedRequest:
    """One request as it stood on the wire."""

    method: str
    target: str
    headers: Headers
    body: bytes
    connection: int
    """The number of the connection it came on, from 1."""

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass
class Exchange:
    """What a behaviour can work with."""

    server: Server
    request: ReceivedRequest
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


Behaviour: TypeAlias = Callable[[Exchange], Awaitable[bool]]
"""Answers one request, and tells whether the connection stays open."""
Acceptance: TypeAlias = Callable[[int, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Serves one connection, of which it gets the number."""


def answer(body: bytes = b"", *, status: int = 200, headers: Headers | None = None, close: bool = False) -> Behaviour:
    """Answer completely; with `close` drop the connection afterwards, unannounced."""

    async def behave(exchange: Exchange) -> bool:
        lines = [f"{name}: {value}\r\n" for name, value in headers or []]
        head = f"HTTP/1.1 {status} Whatever\r\ncontent-length: {len(body)}\r\n{''.join(lines)}\r\n"
        await exchange.write(head.encode("latin-1") + (b"" if exchange.request.method == "HEAD" else body))
        return not close

    return behave


def raw(data: bytes) -> Behaviour:
    """Write these bytes and drop the connection."""

    async def behave(exchange: Exchange) -> bool:
        await exchange.write(data)
        return False

    return behave


def then_stall(data: bytes = b"") -> Behaviour:
    """Write these bytes and be silent until the client goes or the server closes."""

    async def behave(exchange: Exchange) -> bool:
        await exchange.write(data)
        await exchange.reader.read(1)
        return False

    return behave


def when_released(behaviour: Behaviour) -> Behaviour:
    """Behave so once `server.release()` was called."""

    async def behave(exchange: Exchange) -> bool:
        await exchange.server.released.wait()
        return await behaviour(exchange)

    return behave


async def deaf(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept connections and read nothing."""
    await asyncio.get_running_loop().create_future()


async def hang_up(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept connections and close them at once."""


async def drop(exchange: Exchange) -> bool:
    """Close the connection without an answer."""
    return False


async def reset(exchange: Exchange) -> bool:
    """Reset the connection without an answer."""
    exchange.writer.transport.abort()
    return False


async def echo(exchange: Exchange) -> bool:
    """Answer with the request's body."""
    return await answer(exchange.request.body)(exchange)


async def tunnel(exchange: Exchange) -> bool:
    """Be a proxy for a `CONNECT` request."""
    host, _, port = exchange.request.target.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await exchange.write(b"HTTP/1.1 200 Connected\r\n\r\n")
    try:
        there = asyncio.ensure_future(_pump(exchange.reader, writer))
        back = asyncio.ensure_future(_pump(reader, exchange.writer))
        await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
        there.cancel()
        back.cancel()
        await asyncio.gather(there, back, return_exceptions=True)
    finally:
        writer.close()
    return False


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


class Server:
    """Behaves as scripted: one behaviour per request, the last one for all that follow.

    Args:
        behaviours: What to do with each request.
        tls: Makes it an https server.
        accept: What to do with each connection, in place of reading requests from it.
        keep_bodies: Remember the bodies of requests.
    """

    def __init__(
        self,
        *behaviours: Behaviour,
        tls: ssl.SSLContext | None = None,
        accept: Acceptance | None = None,
        keep_bodies: bool = True,
    ) -> None:
        self.behaviours = behaviours or (answer(),)
        self.requests: list[ReceivedRequest] = []
        self.connections = 0  # accepted so far
        self.open_connections = 0
        self.port = 0
        self._tls = tls
        self._acceptance = accept or self._exchanges
        self._keep_bodies = keep_bodies
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/"

    def release(self) -> None:
        """Let the behaviours go on that wait for it."""
        self._loop.call_soon_threadsafe(self.released.set)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds, which is about this server."""
        await anyio.to_thread.run_sync(self._wait, condition)

    def _wait(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(condition)

    def __enter__(self) -> Self:
        started = self._started = threading.Event()
        self._thread.start()
        started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_ignore)
        self._stopping = asyncio.Event()
        self.released = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        listener = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls, backlog=1024)
        self.port = listener.sockets[0].getsockname()[1]
        self._started.set()
        await self._stopping.wait()
        await _turns()  # what is just being accepted becomes a task; a closed listener would break in the middle
        listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await _turns()  # what was just closed lets its socket go

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._connection(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.close())  # also when it was cancelled before it began

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._changed:
            self.connections += 1
            self.open_connections += 1
            number = self.connections
            self._changed.notify_all()
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await self._acceptance(number, reader, writer)
        finally:
            if self._tls:
                writer.transport.abort()
            else:
                writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
            with self._changed:
                self.open_connections -= 1
                self._changed.notify_all()

    async def _exchanges(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        alive = True
        while alive:
            request = await _read_request(number, reader, keep_body=self._keep_bodies)
            with self._changed:
                self.requests.append(request)
                behaviour = self.behaviours[min(len(self.requests), len(self.behaviours)) - 1]
                self._changed.notify_all()
            alive = await behaviour(Exchange(self, request, reader, writer))


async def _turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def _ignore(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Clients break TLS handshakes on purpose."""


async def _read_request(connection: int, reader: asyncio.StreamReader, *, keep_body: bool) -> ReceivedRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head[:-4].split("\r\n")
    method, target, _ = first.split(" ")
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    fields = {name.lower(): value for name, value in headers}
    if fields.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            chunk = await reader.readexactly(size + 2)
            body += chunk[:-2] if keep_body else b""
        await reader.readline()
    else:
        body = await reader.readexactly(int(fields.get("content-length", "0")))
    return ReceivedRequest(method, target, headers, body, connection)
