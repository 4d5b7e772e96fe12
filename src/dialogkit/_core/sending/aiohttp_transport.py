"""The way out under asyncio: httpx's requests and answers over aiohttp's connection pool.

aiohttp costs a fraction of the CPU of httpx's own pool and survives cancellations. What it would do on its own account
is switched off: cookies, redirects, decompression, headers of its own, and the silent repetition of a request whose
kept-alive connection dropped.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import AsyncIterable, AsyncIterator
from functools import lru_cache
from typing import Any, Final

import aiohttp
import anyio
import httpx
import yarl
from aiohttp.connector import Connection as _Connection
from multidict import CIMultiDict

_MAX_CONNECTIONS: Final = 1000
# Less than the five seconds after which common servers close an idle connection, so that a request seldom meets one
# that is just being closed: whether it was read could not be told.
_KEEPALIVE_SECONDS: Final = 4.0
_PIECE: Final = 64 * 1024  # bytes; as much as aiohttp's writer takes without waiting for the network
_AUTO_HEADERS: Final = ("Accept", "Accept-Encoding", "User-Agent")
_AIOHTTP_ERRORS: Final = (aiohttp.ClientError, OSError, asyncio.TimeoutError)


def asyncio_transport(proxy: httpx.Proxy | None = None) -> httpx.AsyncBaseTransport:
    """Return the transport for direct connections, or for `proxy`; aiohttp speaks only to plain HTTP proxies."""
    if proxy is None or proxy.url.scheme == "http":
        return AiohttpTransport(proxy)
    return httpx.AsyncHTTPTransport(proxy=proxy)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """Sends requests by HTTP/1.1 under asyncio. It opens nothing before its first request.

    Args:
        proxy: A plain HTTP proxy where all requests go through.
    """

    def __init__(self, proxy: httpx.Proxy | None = None) -> None:
        self._proxy = None if proxy is None else _with_credentials(proxy)
        self._session: aiohttp.ClientSession | None = None
        self._ssl: ssl.SSLContext | bool = True

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request`; the answer's body is not read yet."""
        session = self._session or self._open()
        url = request.url
        encrypted = url.scheme == "https"
        if encrypted and self._ssl is True:
            self._ssl = httpx.create_ssl_context()
        timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
        headers = _headers(request)
        content = request.stream
        body: _Body | None = None
        data: bytes | AsyncIterator[bytes] | None
        if isinstance(content, httpx.ByteStream) and len(request.content) <= _PIECE:
            data = request.content or None
        else:
            body = _Body(request, timeouts)
            data = body.pieces()
            headers.pop("Transfer-Encoding", None)  # aiohttp sets it
        options: dict[str, Any] = {
            "headers": headers,
            "data": data,
            "skip_auto_headers": _absent(headers, request.method),
            "allow_redirects": False,
            "timeout": _client_timeout(timeouts.get("connect"), timeouts.get("read")),
            "ssl": self._ssl if encrypted else True,
            "proxy": self._proxy,
        }
