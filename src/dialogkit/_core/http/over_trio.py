"""The way out under trio: httpx's own transport, cancelled only where that is safe.

A cancellation between two steps of httpcore's bookkeeping (it takes locks there, which are checkpoints) leaves a
connection in its pool that nobody uses and nobody closes. So the bookkeeping is shielded, and a cancellation takes
effect where httpcore waits for the network, or for the request's body: there it cleans up.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from typing import Any, Final, cast

import httpx
import trio

from dialogkit._core.http.certificates import tls_context

# No limit: a request that queues for a connection would have to wait inside the shield. Connections idle for less than
# the five seconds after which common servers close them, so that a request seldom meets one that is just being closed.
_LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=4.0)
_PIECE: Final = 64 * 1024  # bytes
_WAITING: Final = frozenset(
    f"{step}.started"
    for step in (
        "connect_tcp",
        "start_tls",
        "setup_socks5_connection",
        "send_request_headers",
        "send_request_body",
        "receive_response_headers",
    )
)


class TrioTransport(httpx.AsyncBaseTransport):
    """Sends requests by HTTP/1.1 under trio.

    Args:
        proxy: Where all requests go through.
    """

    def __init__(self, proxy: httpx.Proxy | None = None) -> None:
        self._transport = httpx.AsyncHTTPTransport(verify=tls_context(), proxy=proxy, limits=_LIMITS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request`; the answer's body is not read yet."""
        stream, extensions = request.stream, request.extensions
        body, bookkeeping = _Pieces(cast("AsyncIterable[bytes]", stream)), _Bookkeeping()
        request.stream, request.extensions = body, {**extensions, "trace": bookkeeping.trace}
        try:
            with bookkeeping.shield:
                try:
                    return await self._transport.handle_async_request(request)
                finally:
                    await body.aclose()
            raise AssertionError("Nothing cancels this scope.")
        finally:
            request.stream, request.extensions = stream, extensions

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()


class _Bookkeeping:
    """Shields a request from cancellation, except while httpcore says that it waits."""

    def __init__(self) -> None:
        self.shield = trio.CancelScope(shield=True)
        self._opened: Any = None  # httpcore's stream, whose package is not ours to import

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take httpcore's report of a step that begins or ends."""
        step = event.partition(".")[2]
        self.shield.shield = step not in _WAITING
        if step == "connect_tcp.complete":
            self._opened = info["return_value"]
        elif step == "start_tls.failed" and self._opened is not None:
            await self._opened.aclose()  # httpcore forgets that when it is cancelled


class _Pieces(httpx.AsyncByteStream):
    """A request body in pieces, each of which the network must take within the write timeout."""

    def __init__(self, stream: AsyncIterable[bytes]) -> None:
        self._chunks = stream.__aiter__()
        self._chunk = b""
        self._start = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while self._start >= len(self._chunk):
            self._chunk, self._start = await self._chunks.__anext__(), 0
        piece = self._chunk[self._start : self._start + _PIECE]
        self._start += _PIECE
        return piece

    async def aclose(self) -> None:
        """End the source of the body, which may not have been read to its end; trio leaves that to us."""
        chunks: object = self._chunks
        if isinstance(chunks, AsyncGenerator):
            await cast("AsyncGenerator[bytes, None]", chunks).aclose()
