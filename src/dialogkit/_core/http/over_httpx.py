"""Requests that go through an `AsyncClient` of httpx, or of httpx2: a given one, a mock, or a proxy of the environment.

The two libraries have the same names and no class in common, so a client is served with the module that it is of.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from functools import cache, lru_cache
from types import ModuleType
from typing import Any, Final, cast
from urllib.parse import urlencode

import httpx

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.http import failure
from dialogkit._core.http.bodies import Decoder
from dialogkit._core.http.failure import TransportFailure, Truth, package_of
from dialogkit._core.http.proxies import environment_rules, made_for_each
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
        try:
            sent = self._written(request, timeout)
            response = await self._client.send(sent, stream=True, auth=None, follow_redirects=False)
        except library.HTTPStatusError as exc:  # by a hook of the client's that calls `raise_for_status`
            return HttpxAnswer(exc.response, library)
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

    def _written(self, request: Request, timeout: float) -> httpx.Request:
        written: httpx.Request = self._library.Request(
            request.method,
            request.url,
            headers=_raw(request.headers),
            content=request.content,
            extensions={"timeout": limits_of(timeout)},
        )
        return written

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
        from dialogkit._core.http.connections import truth_of  # noqa: PLC0415

        return truth_of(suspect)
    if package_of(exc) == "h11" and type(exc).__name__ == "LocalProtocolError":  # httpx lets it pass
        return failure.NO_VALID_REQUEST
    found = (truth for name, truth in _BY_NAME.items() if isinstance(exc, getattr(library, name)))
    timed_out = isinstance(exc, (asyncio.TimeoutError, TimeoutError))
    return next(found, failure.NO_ANSWER_IN_TIME if timed_out else failure.BROKEN)


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]


class GivenTransport(HttpxTransport):
    """Sends requests through a client that a user has made, with what the user has told it.

    Its headers, parameters and cookies go along, where the call's own do not say otherwise; its event hooks run, its
    pool, proxies and certificates are used. They are meant for the platform, and stay away from links elsewhere.

    Args:
        client: An `AsyncClient`; it is not closed here.
        library: The module that it is of.

    Raises:
        ConfigurationError: The client has what would contradict the call's own: a base URL, `auth`, or an
            `Authorization` header.
    """

    __slots__ = ("own_timeout",)

    def __init__(self, client: httpx.AsyncClient, library: ModuleType) -> None:
        super().__init__(client, library)
        _check_given(client)
        limit = client.timeout
        self.own_timeout = None if limit == library.Timeout(5.0) else math.inf if limit.read is None else limit.read
        """Seconds that the user has told it to wait for an answer; `None` if its timeout is httpx's own."""

    def _written(self, request: Request, timeout: float) -> httpx.Request:
        if request.elsewhere:
            return super()._written(request, timeout)
        client, library = self._client, self._library
        limits = client.timeout.as_dict() if timeout == self.own_timeout else limits_of(timeout)
        written: httpx.Request = library.Request(
            request.method,
            _with_parameters(request.url, client.params),
            headers=_raw({**request.headers, **self._own_headers(request.headers)}),
            cookies=client.cookies if client.cookies.jar else None,
            content=request.content,
            extensions={"timeout": limits},
        )
        return written

    def _own_headers(self, ours: Mapping[str, str]) -> dict[str, str]:
        """Return the headers that the user has given the client; who asks is told in addition to us."""
        plain = _plain_headers(self._library)
        own = {name: value for name, value in self._client.headers.items() if plain.get(name) != value}
        more = {name: value for name, value in own.items() if name not in ours}
        if "user-agent" in own and "user-agent" in ours:
            more["user-agent"] = f"{own['user-agent']} {ours['user-agent']}"
        return more


def _check_given(client: httpx.AsyncClient) -> None:
    """Refuse what would contradict the call's own."""
    if str(client.base_url):
        raise ConfigurationError(
            "http_client has a base URL, which no call would use: give base_url= to this client instead."
        )
    if client.auth is not None:
        raise ConfigurationError(
            "http_client has auth, which would take the place of this client's credential: give api_key= or auth= to "
            "this client instead."
        )
    if "authorization" in client.headers:
        raise ConfigurationError(
            "http_client has an Authorization header, which this client makes of its own credential: give api_key= or "
            "auth= to this client instead."
        )


@cache
def _plain_headers(library: Any) -> Mapping[str, str]:
    """Return the headers of a client that nobody has given any."""
    return dict(library.AsyncClient(transport=library.AsyncBaseTransport()).headers)


def _with_parameters(url: str, more: httpx.QueryParams) -> str:
    """Return `url` with the parameters that it does not have itself; what it has stays as it is written."""
    if not more:
        return url
    parsed = httpx.URL(url)
    added = urlencode([(name, value) for name, value in more.multi_items() if name not in parsed.params])
    query = "&".join(part for part in (parsed.query.decode("ascii"), added) if part)
    return str(parsed.copy_with(query=query.encode("ascii"))) if added else url


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
                async for piece in cast("AsyncIterable[bytes]", self._response.stream):
                    yield piece
                _give_up_if_dirty(self._response)
                await self._response.aclose()
        except Exception as exc:
            told = failure_from(exc, self._library, answered=True)
            if told is None:
                raise
        if told is not None:
            raise told

    def _decoder(self) -> Decoder | None:
        # The body that a mock has in memory was decompressed by httpx when it was made.
        return None if self._response.is_stream_consumed else super()._decoder()


_WAY_TO_CONNECTION: Final = ("_stream", "_httpcore_stream", "_stream", "_connection")


def _give_up_if_dirty(response: httpx.Response) -> None:
    """Keep httpcore from using a connection again that has more on it than its answer: it would be the next one's."""
    found: Any = response.stream
    for name in _WAY_TO_CONNECTION:
        found = getattr(found, name, None)
    state = getattr(found, "_h11_state", None)
    if state is not None and state.trailing_data[0]:
        state.send_failed()


class OwnClient(httpx.AsyncClient):
    """An `httpx.AsyncClient` without cookies, and with the environment's proxies.

    Args:
        make: Makes the transport for direct connections (`None`), or for a proxy.

    Raises:
        ConfigurationError: The environment names a proxy that cannot be used.
    """

    def __init__(self, make: Callable[[httpx.Proxy | None], httpx.AsyncBaseTransport]) -> None:
        self._ways = _ByEnvironment(make)
        # The client would read more from the environment than proxies, so it reads nothing.
        super().__init__(transport=self._ways, trust_env=False)

    @property
    def cookies(self) -> httpx.Cookies:
        return _NO_COOKIES

    @cookies.setter
    def cookies(self, cookies: object) -> None:
        pass

    def transport_for(self, origin: Origin) -> httpx.AsyncBaseTransport:
        """Return what requests to `origin` go through."""
        return self._ways.way_to(origin)


class _ByEnvironment(httpx.AsyncBaseTransport):
    """Sends each request the way that the environment wants it to go."""

    def __init__(self, make: Callable[[httpx.Proxy | None], httpx.AsyncBaseTransport]) -> None:
        self._rules = environment_rules()
        self._straight = make(None)
        self._through = made_for_each(self._rules, make)

    def way_to(self, origin: Origin) -> httpx.AsyncBaseTransport:
        kind = self._rules.kind_for(origin)
        return self._straight if kind is None else self._through[kind]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self.way_to(Origin(request.url)).handle_async_request(request)

    async def aclose(self) -> None:
        for each in (self._straight, *self._through.values()):
            await each.aclose()


class _NoCookies(httpx.Cookies):
    """Takes no cookie from an answer: a client serves many accounts, and no session may leak between them."""

    def extract_cookies(self, response: httpx.Response) -> None:
        pass


_NO_COOKIES: Final = _NoCookies()


def origin_and_target(url: httpx.URL) -> tuple[Origin, str]:
    """Return where a URL leads, and what the request line says there."""
    return Origin(url), url.raw_path.decode("ascii")


@lru_cache(maxsize=64)
def limits_of(timeout: float) -> Mapping[str, float | None]:
    """Return a timeout as httpx has it: for each step, `None` for no limit."""
    limit = None if timeout == math.inf else timeout
    return {"connect": limit, "read": limit, "write": limit, "pool": limit}
