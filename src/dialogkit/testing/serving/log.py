"""The log of what arrived, for tests to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import RLock
from typing import Final

_LENGTH: Final = 10_000


@dataclass(frozen=True)
class LoggedRequest:
    """One request and what became of it. Neither query, headers nor body are kept: they may hold secrets."""

    method: str
    path: str
    """As it was sent, percent-encoded, without the query."""
    operation_id: str | None
    """The operation in the OpenAPI document; None for a path or method that it lacks, and for the sandbox's own
    links to files."""
    status: int | None
    """None while there is no answer, and for good when the connection was dropped or the client left before."""
    fault: str | None = None
    """The class name of the injected fault that the request met, `Drop` for example."""


class Log:
    """The newest 10,000 requests. A request is there from the moment it arrives, and so can be counted at once.

    Args:
        lock: Guards it.
        on_end: Called with each request when it is known what became of it.

    """

    def __init__(self, lock: RLock, on_end: Callable[[LoggedRequest], None] | None) -> None:
        self._lock = lock
        self._on_end = on_end
        self._requests: dict[int, LoggedRequest] = {}
        self._arrived = 0

    def __iter__(self) -> Iterator[LoggedRequest]:
        with self._lock:
            return iter(tuple(self._requests.values()))

    def arrived(self, request: LoggedRequest) -> int:
        """Add a request, and return its number."""
        with self._lock:
            self._arrived += 1
            self._requests[self._arrived] = request
            if len(self._requests) > _LENGTH:
                del self._requests[next(iter(self._requests))]
            return self._arrived

    def ended(self, number: int, request: LoggedRequest) -> None:
        """Put what became of a request in its place, unless that was forgotten meanwhile."""
        with self._lock:
            if number in self._requests:
                self._requests[number] = request
        if self._on_end is not None:
            self._on_end(request)

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._requests.clear()
