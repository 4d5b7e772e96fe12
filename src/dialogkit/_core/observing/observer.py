"""What an observer is, and what it is told of an attempt.

Hooks, the log and OpenTelemetry are observers, and users may add their own (`HoopAI(observers=[...])`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from dialogkit._core.call import Operation
from dialogkit._core.events import RateLimitEvent, RetryEvent
from dialogkit._core.http.transport import Answer, Request
from dialogkit._core.observing.credentials import secrets_of
from dialogkit._core.support.printing import blotted, printable

_UNSEEN: Final = frozenset({"set-cookie", "set-cookie2"})
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class AttemptInfo:
    """One attempt of a call, as observers see it: each of them is given the same object from its beginning to its end.

    Nothing that it shows has a credential, a query or a body in it.
    """

    __slots__ = (
        "_answer",
        "_operation",
        "_request",
        "attempt",
        "elapsed",
        "location_id",
        "notes",
        "platform",
        "request_id",
        "status",
    )

    def __init__(
        self, platform: str, operation: Operation[Any], request: Request, *, attempt: int, location_id: str | None
    ) -> None:
        self._operation = operation
        self._request = request
        self._answer: Answer | None = None
        self.platform = platform
        """As users write it, for example `HoopAI`."""
        self.attempt = attempt
        """Which attempt of the call this is; 1 is the first."""
        self.location_id = location_id
        """The location that the call concerns, where the platform has locations."""
        self.status: int | None = None
        """The status of the answer, once its status line and headers have come."""
        self.request_id: str | None = None
        """The platform's id of the request, if the answer's headers tell one."""
        self.elapsed = 0.0
        """Seconds from its beginning to what is being told."""
        self.notes: dict[object, Any] = {}
        """For an observer's own notes on the attempt, under itself as the key: `attempt.notes[self] = span`."""

    @property
    def operation(self) -> str:
        """The operation's name, as users write it: `messages.send`."""
        return self._operation.id

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self._operation.method

    @property
    def path(self) -> str:
        """The path's template, for example `/conversations/{conversation_id}`."""
        return self._operation.path

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers, names in lower case, cookies left out; none before it has come."""
        if self._answer is None:
            return _NOTHING
        secrets, headers = secrets_of(self._request), self._answer.headers
        return {name: blotted(headers[name], secrets) for name in headers if name not in _UNSEEN}

    def facts(self) -> dict[str, Any]:
        """Return what every event says, under the names of its fields."""
        return {
            "platform": self.platform,
            "operation": self._operation.id,
            "method": self._operation.method,
            "path": self._operation.path,
            "location_id": self.location_id,
            "attempt": self.attempt,
        }

    def __repr__(self) -> str:
        return f"<AttemptInfo of {self.operation}, attempt {self.attempt}>"


class Observer:
    """Whoever looks on at the calls of a client. Subclass it, and override what you want to be told of.

    ::

        class InFlight(Observer):
            def on_request(self, attempt: AttemptInfo) -> None:
                gauge.inc(1, {"operation": attempt.operation})

            def on_response(self, attempt: AttemptInfo) -> None:
                gauge.dec(1, {"operation": attempt.operation})

            def on_failure(self, attempt: AttemptInfo, reason: str, *, timed_out: bool) -> None:
                if attempt.status is None:
                    gauge.dec(1, {"operation": attempt.operation})

        hoop = HoopAI(observers=[InFlight()])

    `on_request` and then `on_response` or `on_failure` are told of each attempt; `on_failure` also after `on_response`,
    when the body of an answer breaks off. Observers are told of an attempt's beginning in their order, and of what
    follows in the reverse order, as blocks are nested. What they raise is logged once, and the call goes on; only
    `StopCall` from `on_request` passes through, and then nothing is sent. One observer may look on at several clients
    and at calls that overlap; what belongs to an attempt goes into its `notes`.

    What is said to be awaited may be an `async` method, and holds the call up as long as it runs.
    """

    def is_watching(self) -> bool:
        """Say whether it wants to be told of attempts at the moment; asked before each. It does unless overridden."""
        return True

    def on_request(self, attempt: AttemptInfo) -> object:
        """Hear that an attempt is about to be sent; its turn at the limiter has come. Awaited."""

    def on_response(self, attempt: AttemptInfo) -> object:
        """Hear that the platform answered, with success or without: the body is not there yet. Awaited."""

    def on_body(self, attempt: AttemptInfo, content: bytes) -> object:
        """Hear that the answer's body was read into memory. It is what people write to each other. Not awaited."""

    def on_failure(self, attempt: AttemptInfo, reason: str, *, timed_out: bool) -> object:
        """Hear that no answer came, that its body broke off, or that nobody waits any more. Not awaited.

        Args:
            attempt: Its `status` is `None` if no answer came.
            reason: What happened, as a clause; `abandoned` if nobody waits any more.
            timed_out: Whether it took too long.
        """

    def on_retry(self, event: RetryEvent) -> object:
        """Hear that an attempt failed and the call will be sent again after a pause. Awaited."""

    def on_rate_limit(self, event: RateLimitEvent) -> object:
        """Hear that the client's limiter made a call wait, or that the platform answered 429. Awaited."""


ABANDONED: Final = "abandoned"
"""The reason of a failure where nobody waits any more."""


def note_answer(attempt: AttemptInfo, answer: Answer, request_id: str | None) -> None:
    """Note that the answer's status and headers have come."""
    attempt._answer = answer  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - of this very module
    attempt.status = answer.status
    if request_id is not None:  # a stranger's words, and such as are written to logs
        attempt.request_id = printable(blotted(request_id, secrets_of(request_of(attempt))))


def request_of(attempt: AttemptInfo) -> Request:
    """Return what is sent, credential and all: for observers that know what must not be shown."""
    return attempt._request  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as above


def operation_of(attempt: AttemptInfo) -> Operation[Any]:
    """Return what is called."""
    return attempt._operation  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as above
