"""From a request to its answer, and the truth about what went wrong on the way.

Theory of operation. A `Connection` is what a client and its views share: one transport, opened by the first request,
and from then on bound to the event loop (under trio: the run) of that request, because sockets are. Three states, and
no way back: unused, at home in one loop, closed. A transport that was given is used and never closed here.

- One request, one answer: the transports beneath repeat nothing and follow nothing. Redirects are followed here, of
  GET and HEAD only, and what might be a credential stays with the origin that it was meant for.
- Whatever goes wrong leaves as a `TransportFailure`, which says whether the request may have reached the server. The
  engines read the exceptions of their libraries; here the failure is freed of their frames, whose locals show headers.
- An answer is read to its end, which gives its socket back, or discarded, which drops it. A socket is used again only
  when its last answer is complete and nothing has come after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
import warnings
from types import ModuleType
from typing import Final, cast

import anyio
import httpx

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.http.bounded import Bounded, BoundedEngine
from dialogkit._core.http.failure import TransportFailure
from dialogkit._core.http.over_httpx import GivenTransport, HttpxTransport, OwnClient, origin_and_target
from dialogkit._core.http.transport import MAX_BYTES, Answer, AsyncClient, Engine, Request, Transport
from dialogkit._core.http.urls import next_hop
from dialogkit._core.support.background import call_in, loop_or_none

__all__ = ["Connection", "TransportFailure"]

MAX_REDIRECTS: Final = 5
# What may be told to another origin. Everything else might be a credential, or name the account.
_NEUTRAL_HEADERS: Final = frozenset({"accept", "accept-encoding", "connection", "range", "user-agent"})


class Connection:
    """Sends requests, over a connection pool of its own or over what it was given.

    Args:
        http_client: Sends the requests in place of an own pool: an `httpx.AsyncClient`, an `httpx2.AsyncClient` or a
            `Transport`. It is never closed here.
        owner: The client's class, for messages.

    Raises:
        ConfigurationError: `http_client` is none of these.
    """

    __slots__ = ("_given", "_home", "_own", "_owner", "_transport", "closed")

    def __init__(self, http_client: AsyncClient | Transport | None = None, *, owner: str = "dialogkit") -> None:
        self._owner = owner
        self._given = None if http_client is None else _transport_over(http_client)
        self._transport: Transport | None = None
        self._own: Engine | None = None
        self._home: object = None
        self.closed = False

    def __del__(self) -> None:
        own = getattr(self, "_own", None)  # there is none where the constructor has failed
        abandon = None if own is None or self.closed else getattr(own, "abandon", None)
        if abandon is not None and abandon():
            how = f"use `async with {self._owner}(...)`, or `await client.aclose()`"
            warnings.warn(f"a {self._owner} client was not closed: {how}", ResourceWarning, source=self, stacklevel=1)

    @property
    def own_timeout(self) -> float | None:
        """Seconds that a given client was told to wait for an answer, if it was told."""
        timeout: float | None = getattr(self._given, "own_timeout", None)
        return timeout

    async def send(self, request: Request, *, timeout: float) -> Answer:  # noqa: ASYNC109 - for each step
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
        transport = self._usable_transport()
        try:
            answer = await transport.send(request, timeout)
            if answer.status < 300 or not answer.redirects(request.method):
                return answer
            return await self._follow(transport, request, answer, timeout)
        except TransportFailure as exc:
            failure = exc
        raise _freed(failure)

    async def read(self, answer: Answer, limit: int = MAX_BYTES) -> bytes:
        """Return the whole body of `answer`, decompressed, and give its connection back.

        Of an answer that is no success it is the first MiB at most.

        Args:
            answer: What `send` returned.
            limit: How many bytes there may be.

        Raises:
            AnswerTooLarge: There are more.
            TransportFailure: The body broke off, stalled or could not be decompressed.
        """
        try:
            return await answer.read(limit)
        except TransportFailure as exc:
            failure = exc
            await self.discard(answer)
        except BaseException:
            await self.discard(answer)
            raise
        raise _freed(failure)

    async def discard(self, answer: Answer) -> None:
        """Give up the rest of `answer`, also while the caller is being cancelled."""
        # What goes wrong here is of no interest beside what has already gone wrong.
        with anyio.move_on_after(_CLOSING, shield=True), contextlib.suppress(TransportFailure):
            await answer.aclose()

    async def aclose(self) -> None:
        """Close the pool, if there is one; the connection cannot be used any more. Closing twice is fine.

        Raises:
            ConfigurationError: The pool belongs to another event loop that is still alive. Close it there.
        """
        if self.closed:
            return
        own = self._own
        if own is None:
            self.closed = True
            return
        here = loop_or_none()
        if here is not self._home and _is_alive(self._home):
            raise ConfigurationError(
                "This client belongs to another event loop that is still alive: close it there, with `aclose()` or at "
                "the end of its `async with`."
            )
        self.closed = True
        self._own = self._transport = None
        if here is self._home:
            await own.aclose()
        elif isinstance(self._home, asyncio.AbstractEventLoop) and isinstance(here, asyncio.AbstractEventLoop):
            # The loop has ended, and its sockets with it; what is left is to settle the libraries' books.
            with contextlib.suppress(RuntimeError):
                await own.aclose()

    def _usable_transport(self) -> Transport:
        """Return the transport for this event loop, opening it on first use."""
        here = loop_or_none()
        if here is self._home and self._transport is not None and not self.closed:
            return self._transport
        if self.closed:
            raise ConfigurationError(_CLOSED)
        if self._home is not None:
            raise ConfigurationError(
                "This client was first used in another event loop, and its connections live there. Use one client per "
                "event loop: create it in the function that `asyncio.run()` runs, or in your application's lifespan."
            )
        if here is None:
            raise ConfigurationError("This client works in asyncio and trio event loops, and none of them is running.")
        anyio.current_time()  # has anyio load what it needs here, before this process runs out of files
        if self._given is None:
            self._own = _open_engine(under_asyncio=isinstance(here, asyncio.AbstractEventLoop))
        self._transport = self._given or self._own
        assert self._transport is not None  # noqa: S101 - for type checkers
        self._home = here
        return self._transport

    async def _spent(self, answer: Answer) -> None:
        """Take no more of a redirect's body than what is cheaper to take than a new connection."""
        length = answer.fields.get(b"content-length", b"")
        if length.isdigit() and len(length) <= _CHEAP_DIGITS:
            await self.read(answer)
        else:
            await self.discard(answer)

    async def _follow(self, transport: Transport, request: Request, answer: Answer, seconds: float) -> Answer:
        for _ in range(MAX_REDIRECTS):
            if not answer.redirects(request.method):
                break
            following = _redirected(request, answer)
            await self._spent(answer)
            request = following
            answer = await transport.send(request, seconds)
        return answer


_CLOSED: Final = "This client is closed: create a new one."
_CHEAP_DIGITS: Final = 4  # of the length of a redirect's body
_CLOSING: Final = 5  # seconds that a peer may take to say goodbye when its answer is left early


def _freed(failure: TransportFailure) -> TransportFailure:
    """Return `failure` without the frames that it came through, and what was being handled there."""
    failure.__cause__ = failure.__context__ = None
    return failure.with_traceback(None)


def _redirected(request: Request, answer: Answer) -> Request:
    """Return the request that follows `answer`. It has no body: only GET and HEAD are followed."""
    url = next_hop(request.url, answer.headers["location"])
    origin, target = origin_and_target(url)
    headers = request.headers
    if origin.text != request.origin.text:
        headers = {name: value for name, value in headers.items() if name in _NEUTRAL_HEADERS}
    elsewhere = request.elsewhere or origin.text != request.origin.text
    return Request(request.method, origin, target, headers, elsewhere=elsewhere)


def _is_alive(home: object) -> bool:
    """Tell whether the event loop `home` can still run something."""
    return not home.is_closed() if isinstance(home, asyncio.AbstractEventLoop) else call_in(home, int)


def _open_engine(*, under_asyncio: bool) -> Engine:
    # Imported on first use, so that importing the package does not load a second HTTP stack.
    if under_asyncio:
        from dialogkit._core.http.own import OwnTransport  # noqa: PLC0415

        return cast("Engine", OwnTransport())
    from dialogkit._core.http.over_trio import TrioTransport  # noqa: PLC0415

    return BoundedEngine(HttpxTransport(OwnClient(TrioTransport)))


def _transport_over(given: object) -> Transport:
    """Return what a user passed as `http_client`, as a transport."""
    library = _library_of(given)
    if library is not None:
        return BoundedEngine(GivenTransport(cast("httpx.AsyncClient", given), library))
    if inspect.iscoroutinefunction(getattr(given, "send", None)):
        return Bounded(cast("Transport", given))
    raise ConfigurationError(
        f"http_client takes an httpx.AsyncClient, not {type(given).__name__}: this client is async only. An "
        "httpx2.AsyncClient or a dialogkit.transport.Transport, whose send() is an async function, will do, too."
    )


def _library_of(given: object) -> ModuleType | None:
    """Return httpx or httpx2, whichever `given` is an `AsyncClient` of; one that is not loaded has made no client."""
    for name in ("httpx", "httpx2"):
        library = sys.modules.get(name)
        if library is not None and isinstance(given, library.AsyncClient):
            return library
    return None
