"""The way out under asyncio: over aiohttp's connection pool.

aiohttp costs a fraction of the CPU of httpx's own pool and survives cancellations. What it would do on its own account
is switched off: cookies, redirects, decompression, headers of its own, and the silent repetition of a request whose
kept-alive connection dropped.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Final, cast

import aiohttp
import anyio
import httpx
import yarl
from aiohttp.connector import Connection as _Connection
from multidict import CIMultiDict

from dialogkit._core.http import failure
from dialogkit._core.http.bounded import ATTEMPT
from dialogkit._core.http.certificates import tls_context
from dialogkit._core.http.connections import (
    AIOHTTP_ERRORS,
    SIZES_OF_HEADERS,
    GuardedConnector,
    GuardedProtocol,
    broken_off,
    truth_of,
)
from dialogkit._core.http.failure import TransportFailure
from dialogkit._core.http.transport import MAX_BYTES, MAX_ERROR_BYTES, Answer, Request

_MAX_CONNECTIONS: Final = 1000
# Less than the five seconds after which common servers close an idle connection, so that a request seldom meets one
# that is just being closed: whether it was read could not be told.
_KEEPALIVE_SECONDS: Final = 4.0
_PIECE: Final = 64 * 1024  # bytes; as much as aiohttp's writer takes without waiting for the network
_AUTO_HEADERS: Final = ("accept", "accept-encoding", "user-agent")


class AiohttpTransport:
    """Sends requests by HTTP/1.1 under asyncio. It opens nothing before its first request.

    Args:
        proxy: A plain HTTP proxy where all requests go through; aiohttp knows no others well.
    """

    __slots__ = ("_proxy", "_session", "_tls")

    def __init__(self, proxy: httpx.Proxy | None = None) -> None:
        self._proxy = None if proxy is None else _with_credentials(proxy)
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | None = None

    async def send(self, request: Request, timeout: float) -> Answer:  # noqa: ASYNC109 - for each step
        """Send `request`; the answer's body is not read yet."""
        session = self._session or self._open()
        content = request.content
        body: _Body | None = None
        told: Exception
        try:
            # What fits into aiohttp's buffer cannot stall.
            if content is None or (isinstance(content, bytes) and len(content) <= _PIECE):
                return _Answer(await self._attempt(session, request, content or None, timeout))
            body = _Body(content, request.headers, timeout)
            with body.stall:
                return _Answer(await self._attempt(session, request, body, timeout))
            told = failure.NOT_TAKEN.told()
        except TransportFailure as exc:
            told = exc
        except ValueError:  # a header that cannot be written; aiohttp.InvalidURL is one, too
            told = failure.NO_VALID_REQUEST.told()
        except AIOHTTP_ERRORS as exc:
            told = truth_of(exc).told(exc)
        # What the source of the body has raised is the truth behind whatever aiohttp made of it.
        raise told if body is None or body.error is None else body.error

    def abandon(self) -> bool:
        """Drop all connections of a client that nobody has closed, and return whether there was a pool."""
        session, self._session = self._session, None
        if session is None or session.connector is None:
            return False
        connector = session.connector
        session.detach()  # else it and its connector would complain, each in words of its own
        closing = connector.close().__await__()
        with suppress(StopIteration, RuntimeError):
            next(closing)  # its first step drops the sockets; what it would wait for is only TLS's goodbye
        return True

    async def aclose(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _attempt(
        self,
        session: aiohttp.ClientSession,
        request: Request,
        content: bytes | _Body | None,
        timeout: float,
    ) -> Awaitable[aiohttp.ClientResponse]:
        origin = request.origin
        return session.request(
            request.method,
            # As a path that is not parsed, the target goes out verbatim, even a lone "?" at its end.
            _base(origin.text).with_path(request.target, encoded=True),
            headers=_as_aiohttp_writes_them(content.headers if isinstance(content, _Body) else request.headers),
            data=content.pieces() if isinstance(content, _Body) else content,
            skip_auto_headers=_absent(request.headers, content or request.method != "GET"),
            allow_redirects=False,
            timeout=_client_timeout(timeout),
            ssl=self._tls_context() if origin.scheme == "https" else True,
            proxy=self._proxy,
        )

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=GuardedConnector(limit=_most_connections(), keepalive_timeout=_KEEPALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            response_class=_Response,
            auto_decompress=False,
            **SIZES_OF_HEADERS,
        )
        return self._session

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = tls_context()
        return self._tls


class _Response(aiohttp.ClientResponse):
    """Marks the point from which on a request may have reached the server.

    What goes wrong while the answer is awaited leaves as a `TransportFailure`: it tells it from what goes wrong before,
    and aiohttp, which repeats idempotent requests after errors of its own, does not know it.
    """

    async def start(self, connection: _Connection) -> aiohttp.ClientResponse:
        told: TransportFailure
        protocol = connection.protocol
        if isinstance(protocol, GuardedProtocol):
            protocol.expect_answer()
        try:
            return await super().start(connection)
        except AIOHTTP_ERRORS as exc:
            _abort(connection)
            told = broken_off(exc, protocol)
        except BaseException:
            _abort(connection)
            raise
        raise told


class _Answer(Answer):
    """An answer that aiohttp reads."""

    __slots__ = ("_protocol", "_response")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        super().__init__(response.status, response.raw_headers)
        self._response = response
        connection = response.connection
        # None when the answer is all there already.
        self._protocol = None if connection is None else cast("GuardedProtocol", connection.protocol)

    async def read(self, limit: int = MAX_BYTES) -> bytes:
        """Return the whole body; see `Answer.read`."""
        fields, content = self.fields, self._response.content
        told: TransportFailure | None = None
        whole = None
        try:
            # aiohttp's parser holds an answer to the length that it announces.
            if b"content-encoding" not in fields and _length(fields) <= MAX_ERROR_BYTES <= limit:
                return await content.read()
            whole = self._collector(limit)
            while (piece := await content.readany()) and whole.add(piece):
                pass
            told = self._torn()
        except AIOHTTP_ERRORS as exc:
            told = broken_off(exc, self._protocol)
        finally:
            if not self._response.closed:
                await self.aclose()
        if told is not None or whole is None:
            raise told or failure.BROKEN.told()
        return whole.end()

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body; see `Answer.chunks`. It may take as long as it likes, as long as pieces keep coming."""
        if self._protocol is not None:
            self._protocol.may_take_all_time()
        return super().chunks()

    async def aclose(self) -> None:
        if not self._response.closed:
            _abort(self._response.connection)
            self._response.close()

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        content = self._response.content
        told: TransportFailure | None = None
        try:
            while piece := await content.readany():
                yield piece
        except AIOHTTP_ERRORS as exc:
            told = broken_off(exc, self._protocol)
        told = told or self._torn()
        if told is not None:
            raise told

    def _torn(self) -> TransportFailure | None:
        """Return what is wrong with the end of an answer that ends with its connection."""
        if self._protocol is None or not self._protocol.torn or _length(self.fields) != math.inf:
            return None
        return broken_off(None, self._protocol)


class _Body:
    """A request body that goes out in pieces, each of which the network must take within the write timeout."""

    __slots__ = ("_content", "_length", "_timeout", "error", "headers", "stall")

    def __init__(self, content: bytes | AsyncIterable[bytes], headers: Mapping[str, str], timeout: float) -> None:
        if isinstance(content, bytes) and "content-length" not in headers:
            headers = {**headers, "content-length": str(len(content))}
        length = headers.get("content-length")
        self.headers = headers
        self._content = content
        self._length = None if length is None else int(length)
        self._timeout = timeout
        self.stall = anyio.CancelScope()
        """Cancels what it encloses when the network does not take a piece in time."""
        self.error: Exception | None = None
        """What the source of the body raised."""

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body in pieces that are small enough to be waited for."""
        time = asyncio.get_running_loop().time
        end = time() + ATTEMPT * self._timeout
        count = 0
        try:
            async for chunk in _chunks(self._content):
                for start in range(0, len(chunk), _PIECE):
                    piece = chunk[start : start + _PIECE]
                    count += len(piece)
                    self._check(count, at_end=False)
                    self.stall.deadline = min(time() + self._timeout, end)
                    yield piece
                    self.stall.deadline = end
            self._check(count, at_end=True)
        except Exception as exc:
            self.error = exc
            raise
        # The rest is in aiohttp's buffer; once that is sent, the read timeout begins to run.
        self.stall.deadline = time() + 2 * self._timeout

    def _check(self, count: int, *, at_end: bool) -> None:
        if self._length is not None and (count > self._length or (at_end and count < self._length)):
            reason = (
                f"the request is no valid HTTP: its body does not have the {self._length} bytes that were announced"
            )
            raise TransportFailure(reason, sent=True)


async def _chunks(content: bytes | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    async for chunk in content:
        yield chunk


def _length(fields: Mapping[bytes, bytes]) -> float:
    """Return the length that an answer announces; `math.inf` for one that ends when it ends."""
    value = fields.get(b"content-length", b"")
    return int(value) if value.isdigit() and len(value) < 20 else math.inf


def _abort(connection: _Connection | None) -> None:
    """Drop a connection at once: to close it would wait for a stalled server to take the rest of the request."""
    transport = None if connection is None else connection.transport
    if transport is not None:
        transport.abort()


def _most_connections() -> int:
    """Return how many sockets the pool may open: half of what this process may still have as files, at most 1,000."""
    try:
        import resource  # noqa: PLC0415 - Windows has none
    except ImportError:
        return _MAX_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MAX_CONNECTIONS if files == resource.RLIM_INFINITY else max(min(_MAX_CONNECTIONS, files // 2), 1)


@lru_cache(maxsize=64)
def _client_timeout(timeout: float) -> aiohttp.ClientTimeout:
    limit = None if timeout == math.inf else timeout
    # `connect` bounds the wait for a free connection together with the making of a new one.
    return aiohttp.ClientTimeout(total=None, connect=limit, sock_read=limit)


@lru_cache(maxsize=1024)
def _base(origin: str) -> yarl.URL:
    return yarl.URL(origin, encoded=True)


def _as_aiohttp_writes_them(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return `headers` so that they go out in Latin-1: aiohttp encodes them as UTF-8."""
    if all(map(str.isascii, headers.values())):
        return headers
    return CIMultiDict([(name, value.encode("latin-1").decode()) for name, value in headers.items()])


def _absent(headers: Mapping[str, str], content: object) -> list[str] | None:
    """Return the headers that aiohttp would add on its own account."""
    absent = [name for name in _AUTO_HEADERS if name not in headers]
    if content and "content-type" not in headers:
        absent.append("content-type")
    return absent or None


def _with_credentials(proxy: httpx.Proxy) -> yarl.URL:
    url = yarl.URL(str(proxy.url))
    return url if proxy.auth is None else url.with_user(proxy.auth[0]).with_password(proxy.auth[1])
