"""Requests that go through an `AsyncClient` of httpx, or of httpx2: a given one, a mock, or a proxy of the environment.

The two libraries have the same names and no class in common, so a client is served with the module that it is of.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from functools import lru_cache
from types import ModuleType
from typing import Any, Final, cast

import httpx

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.http import failure
from dialogkit._core.http.bodies import Decoder
from dialogkit._core.http.failure import TransportFailure, Truth, package_of
from dialogkit._core.http.proxies import proxy_mounts
from dialogkit._core.http.transport import Answer, Origin, Request

# Of the classes of a library, the first match counts. What is not listed may have been sent.
_BY_NAME: Final = {
    "ConnectError": failure.NO_CONNECTION,
    "ConnectTimeout": failure.NO_CONNECTION_IN_TIME,
    "PoolTimeout": failure.NO_FREE_CONNECTION,
    "ProxyError": failure.NO_PROXY,
    "UnsupportedProtocol": failure.NO_HTTP_URL,
    "InvalidURL": failure.NO_URL,
    "WriteTimeout": failure.NOT_TAKEN,
    "DecodingError": failure.NOT_DECODED,
    "LocalProtocolError": failure.NO_VALID_REQUEST,
    "TimeoutException": failure.NO_ANSWER_IN_TIME,
}
# Plain `OSError` is not among them: a request body that is read from a file may raise it, and means something else.
_LEAKED: Final = (ConnectionError, ssl.SSLError, TimeoutError, asyncio.TimeoutError)
_LEAKING_PACKAGES: Final = frozenset({"aiohttp", "anyio", "h11", "h2", "httpcore", "httpcore2", "trio"})


class HttpxTransport:
    """Sends requests through a client. It follows no redirect, whatever the client would do.

    Args:
        client: An `AsyncClient`; it is not closed here.
        library: The module that it is of.
    """

    __slots__ = ("_client", "_library")

    def __init__(self, client: httpx.AsyncClient, library: ModuleType = httpx) -> None:
        self._client = client
        self._library: Any = library

    async def send(self, request: Request, timeout: float) -> Answer:
        """Send `request`; the answer's body is not read yet."""
        library = self._library
        # A client's own `auth` is for the origin that it was meant for.
        auth = None if request.redirected else library.USE_CLIENT_DEFAULT
        try:
            sent = _written(request, timeout, library)
            response = await self._client.send(sent, stream=True, auth=auth, follow_redirects=False)
        except Exception as exc:
            told = self._told(exc)
            if told is None:
                raise
        else:
            return HttpxAnswer(response, library)
        # Raised here and not above, where it would carry the libraries' frames along, whose locals show the headers.
        raise told

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()

    def _told(self, exc: Exception) -> TransportFailure | ConfigurationError | None:
        if isinstance(exc, RuntimeError) and self._client.is_closed:  # a given client that its owner has closed
            return ConfigurationError("This client is closed: create a new one.")
        return failure_from(exc, self._library)


def failure_from(exc: Exception, library: ModuleType = httpx, *, answered: bool = False) -> TransportFailure | None:
    """Return what `exc` means, `None` if it is a fault of the caller's or of a program, and not about the network.

    Args:
        exc: What a client raised for a request, or while its answer was read.
        library: The module that the client is of.
        answered: The answer had begun.
    """
    if isinstance(exc, TransportFailure):
        return exc
    own = (library.HTTPError, library.InvalidURL)
    if not isinstance(exc, (*own, *_LEAKED)) and package_of(exc) not in _LEAKING_PACKAGES:
        return None
    return _truth(exc, library).told(exc, answered=answered)


def _truth(exc: Exception, library: ModuleType) -> Truth:
    suspect = exc.__cause__ if isinstance(exc, (library.ConnectError, library.TimeoutException)) else exc
    if isinstance(suspect, Exception) and package_of(suspect) == "aiohttp":
        # Its module is not loaded by mere httpx.
        from dialogkit._core.http.over_aiohttp import truth_of  # noqa: PLC0415

        return truth_of(suspect)
    if package_of(exc) == "h11" and type(exc).__name__ == "LocalProtocolError":  # httpx lets it pass
        return failure.NO_VALID_REQUEST
    found = (truth for name, truth in _BY_NAME.items() if isinstance(exc, getattr(library, name)))
    timed_out = isinstance(exc, (asyncio.TimeoutError, TimeoutError))
    return next(found, failure.NO_ANSWER_IN_TIME if timed_out else failure.BROKEN)


def _written(request: Request, timeout: float, library: ModuleType) -> httpx.Request:
    written: httpx.Request = library.Request(
        request.method,
        request.url,
        headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in request.headers.items()],
        content=request.content,
        extensions={"timeout": limits_of(timeout)},
    )
    return written


class HttpxAnswer(Answer):
    """An answer that came through httpx."""

    __slots__ = ("_library", "_response")

    def __init__(self, response: httpx.Response, library: ModuleType = httpx) -> None:
        super().__init__(response.status_code, response.headers.raw)
        self._response = response
        self._library = library

    async def aclose(self) -> None:
        """Give the connection back, or drop it when bytes are still to come."""
        try:
            await self._response.aclose()
        except Exception as exc:
            if failure_from(exc, self._library) is None:
                raise

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        told: TransportFailure | None = None
        try:
            if self._response.is_stream_consumed:
                yield self._response.content
            else:
                async with aclosing(cast("AsyncGenerator[bytes, None]", self._response.aiter_raw())) as pieces:
                    async for piece in pieces:
                        yield piece
        except Exception as exc:
            told = failure_from(exc, self._library, answered=True)
            if told is None:
                raise
        if told is not None:
            raise told

    def _decoder(self) -> Decoder | None:
        # The body that a mock has in memory was decompressed by httpx when it was made.
        return None if self._response.is_stream_consumed else super()._decoder()


class OwnClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` without cookies, and with the environment's proxies.

    Args:
        make: Makes the transport for direct connections (`None`), or for a proxy.

    Raises:
        ConfigurationError: The environment names a proxy that cannot be used.
    """

    def __init__(self, make: Callable[[httpx.Proxy | None], httpx.AsyncBaseTransport]) -> None:
        # The client would read more from the environment than proxies, so it reads nothing, and proxies are mounted.
        super().__init__(transport=make(None), mounts=proxy_mounts(make), trust_env=False)

    @property
    def cookies(self) -> httpx.Cookies:
        return _NO_COOKIES

    @cookies.setter
    def cookies(self, cookies: object) -> None:
        pass

    def transport_for(self, origin: Origin) -> httpx.AsyncBaseTransport:
        """Return what requests to `origin` go through, by the method that mocks replace."""
        return self._transport_for_url(_url(origin.text))


class _NoCookies(httpx.Cookies):
    """Takes no cookie from an answer: a client serves many accounts, and no session may leak between them."""

    def extract_cookies(self, response: httpx.Response) -> None:
        pass


_NO_COOKIES: Final = _NoCookies()


def origin_and_target(url: httpx.URL) -> tuple[Origin, str]:
    """Return where a URL leads, and what the request line says there."""
    return Origin(url), url.raw_path.decode("ascii")


@lru_cache(maxsize=1024)
def _url(text: str) -> httpx.URL:
    return httpx.URL(text)


@lru_cache(maxsize=64)
def limits_of(timeout: float) -> Mapping[str, float | None]:
    """Return a timeout as httpx has it: for each step, `None` for no limit."""
    limit = None if timeout == math.inf else timeout
    return {"connect": limit, "read": limit, "write": limit, "pool": limit}
