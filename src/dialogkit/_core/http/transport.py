"""What carries requests to a server, and the words that it is told in: a request, and its answer.

A `Transport` sends one request and brings back one answer. It follows no redirect, repeats nothing and keeps no
cookies. What goes wrong leaves it as a `TransportFailure`, which says the one thing that decides about a repetition:
may the request have reached the server? Each engine is a transport; users may pass one of their own.

Requests and answers are data of our own: httpx's classes parse, copy and wrap more than a call of an SDK needs. They
are made where a request really goes through httpx, and nowhere else.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, ItemsView, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, cast

from dialogkit._core.http.bodies import Decoder, Whole, cut, decoder_of
from dialogkit._core.http.failure import NO_END_IN_TIME
from dialogkit._core.support.lazy import LazyModule

if TYPE_CHECKING:
    import anyio
    import httpx
else:
    anyio = LazyModule("anyio")
    httpx = LazyModule("httpx")

RawHeaders: TypeAlias = Sequence[tuple[bytes, bytes]]

MAX_BYTES: Final = 64 * 1024 * 1024
"""Bytes of an answer that are read into memory, unless something else is said."""
MAX_ERROR_BYTES: Final = 1024 * 1024

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_FOLLOWED_METHODS: Final = frozenset({"GET", "HEAD"})


class Origin:
    """A server: scheme, host and port.

    Args:
        url: Any URL there.
    """

    __slots__ = ("host", "port", "scheme", "text")

    def __init__(self, url: httpx.URL) -> None:
        self.scheme = url.scheme
        self.host = url.host
        self.port = url.port
        """`None` for the scheme's own."""
        self.text = f"{url.scheme}://{url.netloc.decode('ascii')}"

    def __repr__(self) -> str:
        return f"<Origin {self.text}>"


class Request:
    """What one attempt sends.

    Args:
        method: In upper case.
        origin: Where it goes.
        target: Path and query as they stand in the request line.
        headers: Under lower-case names; their values are Latin-1, as HTTP has it.
        content: The body, or where it is read from while it is sent.
        elsewhere: A link or an answer led here, so that what is meant for the platform only must not go along.
    """

    __slots__ = ("content", "elsewhere", "headers", "method", "origin", "target")

    def __init__(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Mapping[str, str],
        content: bytes | AsyncIterable[bytes] | None = None,
        *,
        elsewhere: bool = False,
    ) -> None:
        self.method = method
        self.origin = origin
        self.target = target
        self.headers = headers
        self.content = content
        self.elsewhere = elsewhere

    @property
    def url(self) -> str:
        """The whole URL."""
        return self.origin.text + self.target

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.origin.text}>"


class Answer:
    """Status, headers and body of an answer. The body is taken once, by `read` or by `chunks`.

    Args:
        status: The HTTP status.
        raw_headers: Names and values as they came.
        body: The body as it came, compressed if the headers say so; in memory, or in pieces that are still to come.
    """

    __slots__ = ("_body", "_fields", "headers", "raw_headers", "status", "until")

    def __init__(self, status: int, raw_headers: RawHeaders = (), body: bytes | AsyncIterator[bytes] = b"") -> None:
        self.status = status
        self.raw_headers = raw_headers
        self.headers = Headers(raw_headers)
        self.until: float | None = None
        """The event loop's time at which reading it whole ends."""
        self._body = body
        self._fields: dict[bytes, bytes] | None = None

    @property
    def is_success(self) -> bool:
        """Whether the status says so."""
        return 200 <= self.status < 300

    @property
    def fields(self) -> Mapping[bytes, bytes]:
        """The headers under lower-case names, the last of each: the cheap way to look into them."""
        if self._fields is None:
            self._fields = {name.lower(): value for name, value in self.raw_headers}
        return self._fields

    def redirects(self, method: str) -> bool:
        """Say whether a request by `method` should go on elsewhere."""
        return self.status in _REDIRECTS and method in _FOLLOWED_METHODS and b"location" in self.fields

    async def read(self, limit: int = MAX_BYTES) -> bytes:
        """Return the whole body, decompressed, and give the connection back.

        Of an answer that is no success it is the first MiB at most.

        Args:
            limit: How many bytes there may be.

        Raises:
            AnswerTooLarge: There are more.
            TransportFailure: The body broke off, stalled, or could not be decompressed.
        """
        if self.until is None:
            return await self._whole(limit)
        with anyio.CancelScope(deadline=self.until):
            return await self._whole(limit)
        raise NO_END_IN_TIME.told()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body, decompressed, in pieces of at most 1 MiB.

        Raises:
            TransportFailure: The body broke off, stalled, or could not be decompressed.
        """
        decoder = self._decoder()
        async with aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                for chunk in cut(piece) if decoder is None else decoder.pieces(piece):
                    yield chunk
        if decoder is not None:
            decoder.check_end()

    async def aclose(self) -> None:
        """Give the connection back, or drop it when bytes are still to come."""
        if isinstance(self._body, AsyncGenerator):
            await cast("AsyncGenerator[bytes, None]", self._body).aclose()

    async def _whole(self, limit: int) -> bytes:
        whole = self._collector(limit)
        async with aclosing(self._pieces()) as pieces:
            async for piece in pieces:
                if not whole.add(piece):
                    await self.aclose()
                    break
        return whole.end()

    def _collector(self, limit: int) -> Whole:
        return Whole(
            self._decoder(), limit if self.is_success else min(limit, MAX_ERROR_BYTES), cut=not self.is_success
        )

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as the network delivers it; engines have a way of their own."""
        if isinstance(self._body, bytes):
            yield self._body
            return
        async for piece in self._body:
            yield piece

    def _decoder(self) -> Decoder | None:
        if b"content-encoding" not in self.fields:
            return None
        return decoder_of(self.headers["content-encoding"])

    def __repr__(self) -> str:
        return f"<Answer {self.status}>"


class Transport(Protocol):
    """Carries requests to a server.

    Pass one as `http_client` to send calls your own way: over another HTTP library, from a recording, past a gateway.

        class Canned:
            async def send(self, request: Request, timeout: float) -> Answer:
                return Answer(200, [(b"content-type", b"application/json")], b'{"id": "bot_1"}')
    """

    async def send(self, request: Request, timeout: float) -> Answer:  # noqa: ASYNC109 - it is for each step
        """Send `request` once and return its answer as soon as the headers are there.

        Redirects are returned as they are. What the source of a request's body raises is let through.

        Args:
            request: What to send, and nothing beyond it but what HTTP demands.
            timeout: Seconds to get a connection, then for each write, then for each piece of the answer; `math.inf`
                for no limit.

        Raises:
            TransportFailure: No answer came. Nothing else is raised about the network.
        """
        ...


class AsyncClient(Protocol):
    """An `AsyncClient` of httpx or of httpx2, which have no class in common."""

    @property
    def is_closed(self) -> bool:
        """Whether its owner has closed it."""
        ...

    async def aclose(self) -> None:
        """Close it."""
        ...


class Engine(Transport, Protocol):
    """A transport of the house, which opens connections, so that it wants to be closed."""

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class Headers(Mapping[str, str]):
    """Headers of an answer, matched without regard to case. They are only looked into when somebody asks.

    Args:
        raw: Names and values as they came.
    """

    __slots__ = ("_found", "_raw")

    def __init__(self, raw: RawHeaders) -> None:
        self._raw = raw
        self._found: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        return self._all()[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def items(self) -> ItemsView[str, str]:
        """Return names, in lower case, and values; those of a repeated name are joined by commas."""
        return self._all().items()

    def __repr__(self) -> str:
        return f"<Headers {', '.join(self)}>"

    def _all(self) -> dict[str, str]:
        if self._found is None:
            found: dict[str, str] = {}
            for raw_name, raw_value in self._raw:
                name, value = _text(raw_name).lower(), _text(raw_value)
                found[name] = f"{found[name]}, {value}" if name in found else value
            self._found = found
        return self._found


def _text(raw: bytes) -> str:
    """Decode what is ASCII if the server keeps to the rules, UTF-8 if it is modern, and anything otherwise."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
