"""What sends the requests of a client that was given no `http_client`.

Under trio that is httpx, with connections of ours. Under asyncio it is aiohttp, past httpx, which is only asked which
way an origin's requests go: straight, or through a proxy that the environment names. A proxy that aiohttp does not know
well, and a mock that has been put in the place of what is passed by, get their requests through httpx.
"""

from __future__ import annotations

from collections.abc import Coroutine
from types import FunctionType
from typing import Any, Final

import httpcore
import httpx

from dialogkit._core.http.bounded import BoundedEngine
from dialogkit._core.http.certificates import tls_context
from dialogkit._core.http.over_aiohttp import AiohttpTransport
from dialogkit._core.http.over_httpx import HttpxTransport, OwnClient
from dialogkit._core.http.transport import Answer, Engine, Origin, Request

_MOST_ORIGINS: Final = 1000  # links and redirects may name any number of them


class OwnTransport:
    """Sends requests under asyncio.

    Raises:
        ConfigurationError: The environment names a proxy that cannot be used.
    """

    __slots__ = ("_by_origin", "_by_way", "_client", "_through_httpx")

    def __init__(self) -> None:
        self._client = OwnClient(_Way)
        self._through_httpx = BoundedEngine(HttpxTransport(self._client))
        self._by_way: dict[_Way, Engine] = {}
        self._by_origin: dict[str, Engine] = {}

    def send(self, request: Request, timeout: float) -> Coroutine[Any, Any, Answer]:
        """Send `request`; the answer's body is not read yet."""
        if _is_mocked():
            return self._through_httpx.send(request, timeout)
        origin = request.origin
        engine = self._by_origin.get(origin.text) or self._engine_for(origin)
        return engine.send(request, timeout)

    def abandon(self) -> bool:
        """Drop all connections of a client that nobody has closed, and return whether there were any."""
        engines = [engine for engine in self._by_way.values() if isinstance(engine, AiohttpTransport)]
        return sum(engine.abandon() for engine in engines) > 0

    async def aclose(self) -> None:
        """Close all connections."""
        for engine in self._by_way.values():
            await engine.aclose()
        await self._client.aclose()

    def _engine_for(self, origin: Origin) -> Engine:
        way = self._client.transport_for(origin)
        assert isinstance(way, _Way), "httpx has been given nothing else"  # noqa: S101 - no input leads here
        engine = self._by_way.get(way)
        if engine is None:
            engine = AiohttpTransport(way.proxy) if _suits_aiohttp(way.proxy) else self._through_httpx
            self._by_way[way] = engine
        if len(self._by_origin) >= _MOST_ORIGINS:
            self._by_origin.clear()
        self._by_origin[origin.text] = engine
        return engine


class _Way(httpx.AsyncBaseTransport):
    """A way to some origins. What comes here has come through httpx, and goes over connections of httpx's.

    Args:
        proxy: Where it leads through.
    """

    def __init__(self, proxy: httpx.Proxy | None) -> None:
        self.proxy = proxy
        # What aiohttp carries wants none of them, and their certificates take a while to read.
        self._transport = None if _suits_aiohttp(proxy) else self._open()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._transport is None:
            self._transport = self._open()
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()

    def _open(self) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(verify=tls_context(), proxy=self.proxy)


def _suits_aiohttp(proxy: httpx.Proxy | None) -> bool:
    return proxy is None or proxy.url.scheme == "http"


def _is_mocked() -> bool:
    """Say whether somebody has put something in the place of what is passed by, as mocks and instrumentations do.

    It is asked each time, and the functions themselves are looked at: one that was remembered from an import may have
    been a mock's, and what is defined elsewhere, or is no plain function, is a replacement whoever made it.
    """
    return not (
        _is_own(httpx.AsyncClient.send, "httpx")
        and _is_own(httpx.AsyncClient._transport_for_url, "httpx")  # noqa: SLF001 - respx, using="httpx"
        and _is_own(httpx.AsyncHTTPTransport.handle_async_request, "httpx")  # pytest-httpx, vcrpy
        and _is_own(httpcore.AsyncConnectionPool.handle_async_request, "httpcore")  # respx
        and _is_own(httpcore.AsyncHTTPConnection.handle_async_request, "httpcore")
    )


def _is_own(function: object, package: str) -> bool:
    return type(function) is FunctionType and function.__globals__.get("__name__", "").partition(".")[0] == package
