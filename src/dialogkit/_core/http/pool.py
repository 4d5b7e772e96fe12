"""From a request to its answer over the network, and the truth about what went wrong on the way.

A `Connection` is the pool that a client and its views share. Whatever the libraries beneath raise leaves it as a
`TransportFailure`, which says the one thing that decides about a repetition: may the request have reached the server?
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable
from typing import Final, cast

import httpx

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.http.failure import TransportFailure, failure_from, is_transport_error
from dialogkit._core.http.over_httpx import OwnClient, origin_and_target, send
from dialogkit._core.http.transport import Answer, Request

__all__ = ["Connection", "TransportFailure", "failure_from"]

MAX_REDIRECTS: Final = 5
# What may be told to another origin. Everything else might be a credential, or name the account.
_NEUTRAL_HEADERS: Final = frozenset({"accept", "accept-encoding", "connection", "range", "user-agent"})


class Connection:
    """Sends requests, over a connection pool of its own or over a given `httpx.AsyncClient`.

    Nothing is opened before the first request. From then on the connection belongs to the event loop (under trio: the
    run) of that request, because sockets do.

    Args:
        http_client: Sends the requests in place of an own pool. It is never closed here.

    Raises:
        ConfigurationError: `http_client` is not an `httpx.AsyncClient`.
    """

    __slots__ = ("_client", "_given", "_home", "closed")

    def __init__(self, http_client: httpx.AsyncClient | None = None) -> None:
        if http_client is not None and not isinstance(http_client, httpx.AsyncClient):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"http_client takes an httpx.AsyncClient, not {type(http_client).__name__}: this client is async only."
            )
        self._given = http_client
        self._client: httpx.AsyncClient | None = None
        self._home: object = None
        self.closed = False

    async def send(self, request: Request, *, timeout: float) -> Answer:
        """Send `request` and return its answer once the headers are there; the body is not read yet.

        Redirects of GET and HEAD are followed, five at most; credentials do not follow to another origin. Any other
        redirect is returned as it is.

        Args:
            request: What to send.
            timeout: Seconds to get a connection, then for each write, then for each piece of the answer; `math.inf` for
                no limit.

        Raises:
            TransportFailure: No answer came.
            ConfigurationError: The connection is closed, or belongs to another event loop.
        """
        client = self._usable_client()
        try:
            answer = await _once(client, request, timeout)
            if answer.status < 300 or not answer.redirects(request.method):
                return answer
            return await self._follow(client, request, answer, timeout)
        except Exception as exc:
            if isinstance(exc, RuntimeError) and client.is_closed:  # a given client that its owner has closed
                raise ConfigurationError(_CLOSED) from None
            if not is_transport_error(exc):
                raise
            failure = failure_from(exc)
        # Raised here and not above, where it would carry the libraries' frames along, whose locals show the headers.
        raise failure

    async def read(self, answer: Answer) -> bytes:
        """Return the whole body of `answer`, decompressed, and give its connection back.

        Raises:
            TransportFailure: The body broke off, stalled or could not be decompressed.
        """
        try:
            return await answer.read()
        except BaseException as exc:
            await self.discard(answer)
            if not isinstance(exc, Exception) or not is_transport_error(exc):
                raise
            failure = failure_from(exc, answered=True)
        raise failure

    async def discard(self, answer: Answer) -> None:
        """Give up the rest of `answer`, also while the caller is being cancelled."""
        import anyio  # noqa: PLC0415 - only needed when something has gone wrong

        # What goes wrong here is of no interest beside what has already gone wrong.
        with anyio.move_on_after(_CLOSING, shield=True), contextlib.suppress(httpx.HTTPError):
            await answer.aclose()

    async def aclose(self) -> None:
        """Close the pool, if there is one; the connection cannot be used any more. Closing twice is fine.

        Raises:
            ConfigurationError: The pool belongs to another event loop that is still alive. Close it there.
        """
        if self.closed:
            return
        client = self._client
        if client is None or client is self._given:
            self.closed = True
            return
        here = _current_loop()
        if here is not self._home and _is_alive(self._home):
            raise ConfigurationError(
                "This client belongs to another event loop that is still alive: close it there, with `aclose()` or at "
                "the end of its `async with`."
            )
        self.closed = True
        self._client = None
        if here is self._home:
            await client.aclose()
        elif isinstance(self._home, asyncio.AbstractEventLoop) and isinstance(here, asyncio.AbstractEventLoop):
            # The loop has ended, and its sockets with it; what is left is to settle the libraries' books.
            with contextlib.suppress(RuntimeError):
                await client.aclose()

    def _usable_client(self) -> httpx.AsyncClient:
        """Return the client for this event loop, opening it on first use."""
        here = _current_loop()
        if here is self._home and self._client is not None and not self.closed:
            return self._client
        if self.closed:
            raise ConfigurationError(_CLOSED)
        if self._home is not None:
            raise ConfigurationError(
                "This client was first used in another event loop, and its connections live there. Use one client per "
                "event loop: create it in the function that `asyncio.run()` runs, or in your application's lifespan."
            )
        if here is None:
            raise ConfigurationError("This client works in asyncio and trio event loops, and none of them is running.")
        self._client = self._given or _open_client(under_asyncio=isinstance(here, asyncio.AbstractEventLoop))
        self._home = here
        return self._client

    async def _follow(self, client: httpx.AsyncClient, request: Request, answer: Answer, timeout: float) -> Answer:
        for _ in range(MAX_REDIRECTS):
            if not answer.redirects(request.method):
                break
            await self.read(answer)
            request = _redirected(request, answer)
            # A client's own `auth` is for the origin that it was meant for.
            answer = await _once(client, request, timeout, authenticated=False)
        return answer


_CLOSED: Final = "This client is closed: create a new one."
_CLOSING: Final = 5  # seconds that a peer may take to say goodbye when its answer is left early


def _once(
    client: httpx.AsyncClient, request: Request, timeout: float, *, authenticated: bool = True
) -> Awaitable[Answer]:
    if isinstance(client, OwnClient) and (direct := client.direct(request.origin)) is not None:
        return direct.send(request, timeout=timeout)
    return send(client, request, timeout=timeout, authenticated=authenticated)


def _redirected(request: Request, answer: Answer) -> Request:
    """Return the request that follows `answer`. It has no body: only GET and HEAD are followed."""
    try:
        url = httpx.URL(request.url).join(answer.headers["location"])
    except httpx.InvalidURL as exc:
        raise httpx.RemoteProtocolError("The answer leads to an invalid URL.") from exc
    origin, target = origin_and_target(url)
    headers = request.headers
    if origin.text != request.origin.text:
        headers = {name: value for name, value in headers.items() if name in _NEUTRAL_HEADERS}
    return Request(request.method, origin, target, headers)


def _current_loop() -> object:
    """Return the running asyncio loop, the token of the running trio loop, or `None`."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return _trio_token()


def _trio_token() -> object:
    if "trio" not in sys.modules:
        return None
    import trio  # noqa: PLC0415 - it is loaded

    try:
        return trio.lowlevel.current_trio_token()
    except RuntimeError:
        return None


def _is_alive(home: object) -> bool:
    """Tell whether the event loop `home` can still run something."""
    if isinstance(home, asyncio.AbstractEventLoop):
        return not home.is_closed()
    import trio  # noqa: PLC0415 - it is loaded

    try:
        cast("trio.lowlevel.TrioToken", home).run_sync_soon(int)
    except trio.RunFinishedError:
        return False
    return True


def _open_client(*, under_asyncio: bool) -> httpx.AsyncClient:
    # Imported on first use, so that importing the package does not load a second HTTP stack.
    if under_asyncio:
        from dialogkit._core.http.over_aiohttp import asyncio_transport  # noqa: PLC0415

        return OwnClient(asyncio_transport)
    from dialogkit._core.http.over_trio import TrioTransport  # noqa: PLC0415

    return OwnClient(TrioTransport)
