"""A request and its answer, as the pieces of one attempt pass them on.

httpx's own classes parse, copy and wrap more than a call of an SDK needs: they are made where a request really goes
through httpx, and nowhere else.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, ItemsView, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from dialogkit._core.support.lazy import LazyModule

if TYPE_CHECKING:
    import httpx
else:
    httpx = LazyModule("httpx")

RawHeaders: TypeAlias = Sequence[tuple[bytes, bytes]]

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
    """

    __slots__ = ("content", "headers", "method", "origin", "target")

    def __init__(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Mapping[str, str],
        content: bytes | AsyncIterable[bytes] | None = None,
    ) -> None:
        self.method = method
        self.origin = origin
        self.target = target
        self.headers = headers
        self.content = content

    @property
    def url(self) -> str:
        """The whole URL."""
        return self.origin.text + self.target

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.origin.text}>"


class Answer:
    """Status and headers of an answer; its body is read once, by `read` or by `chunks`.

    Args:
        status: The HTTP status.
        raw_headers: Names and values as they came.
    """

    __slots__ = ("_fields", "headers", "raw_headers", "status")

    def __init__(self, status: int, raw_headers: RawHeaders) -> None:
        self.status = status
        self.raw_headers = raw_headers
        self.headers = Headers(raw_headers)
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

    async def read(self) -> bytes:
        """Return the whole body, decompressed, and give the connection back."""
        raise NotImplementedError

    def chunks(self) -> AsyncIterator[bytes]:
        """Return the body in pieces, decompressed."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Give the connection back, or drop it when bytes are still to come."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<Answer {self.status}>"


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
