"""The way out under trio: httpx's own transport, cancelled only where that is safe.

A cancellation between two steps of httpcore's bookkeeping (it takes locks there, which are checkpoints) leaves a
connection in its pool that nobody uses and nobody closes. So the bookkeeping is shielded, and a cancellation takes
effect where httpcore waits for the network, or for the request's body: there it cleans up.
"""

from __future__ import annotations

from typing import Any, Final

import httpx
import trio

# No limit: a request that queues for a connection would have to wait inside the shield. Connections idle for less than
# the five seconds after which common servers close them, so that a request seldom meets one that is just being closed.
_LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=4.0)
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
        self._transport = httpx.AsyncHTTPTransport(proxy=proxy, limits=_LIMITS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request`; the answer's body is not read yet."""
        with trio.CancelScope(shield=True) as bookkeeping:

            async def trace(event: str, _: dict[str, Any]) -> None:
                bookkeeping.shield = event.partition(".")[2] not in _WAITING

            request.extensions = {**request.extensions, "trace": trace}
            return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()
