"""What a sandbox can be told to do wrong: `sandbox.inject(faults.Drop(), on="send_message", times=1)`.

    Latency           the answer comes late
    Drop              the connection is closed without an answer
    HalfBody          the connection is closed in the middle of the answer's body
    SlowBody          the answer's body trickles
    Status            an error status in place of the answer
    RateLimited       429
    HtmlPage          a page for browsers in place of the answer
    WrongContentType  the answer is labelled as something else than it is
    Drift             the answer's JSON differs from what the document promises

Where a fault has `after`, that decides whether the request has an effect: without it the request comes to nothing, with
it the platform does what it was asked for, and only its answer is lost. Under `RateLimited` a request never has an
effect; under the faults that merely spoil the answer it always has.

`Drop` and `HalfBody` need the sandbox's own server: called through `Sandbox.app`, they raise `SandboxError`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Final, TypeAlias

from dialogkit.testing.document import is_array, is_object

__all__ = [
    "Drift",
    "Drop",
    "Fault",
    "HalfBody",
    "HtmlPage",
    "Latency",
    "RateLimited",
    "SlowBody",
    "Status",
    "WrongContentType",
]

RetryAfter: TypeAlias = "float | str | None"
"""Seconds, the header's text as it is (a date, for example), or None for no such header."""


@dataclass(frozen=True)
class Latency:
    """The answer comes late. When the client does not wait for it, it gets none.

    Args:
        seconds: How late.
        after: Handle the request first and wait then; else a client that gives up meanwhile has caused nothing.

    Raises:
        ValueError: `seconds` is no positive number.
    """

    seconds: float
    _: KW_ONLY
    after: bool = False

    def __post_init__(self) -> None:
        _check_seconds(self.seconds)


@dataclass(frozen=True)
class Drop:
    """The connection is closed without an answer. A client that is still sending then sees a reset in any case.

    Args:
        after: Handle the request first; else the connection is closed before the request's body is read.
        reset: Reset the connection (RST) rather than close it (FIN).
    """

    _: KW_ONLY
    after: bool = False
    reset: bool = False


@dataclass(frozen=True)
class HalfBody:
    """The answer promises its whole body, brings half of it, and the connection is closed.

    An answer without a body arrives whole, before the connection is closed.
    """

    after: ClassVar[bool] = True


@dataclass(frozen=True)
class SlowBody:
    """The answer's body comes in pieces, with a pause before each.

    Args:
        seconds: How long the whole body takes.
        chunks: How many pieces there are, from 1 up; a short body has fewer.

    Raises:
        ValueError: `seconds` is no positive number, or `chunks` no positive whole one.
    """

    seconds: float
    chunks: int = 10
    after: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_seconds(self.seconds)
        if not _is_whole(self.chunks) or self.chunks < 1:
            raise ValueError(f"chunks must be a whole number from 1 up, not {self.chunks!r}.")


@dataclass(frozen=True)
class Status:
    """An error status in place of the answer, with a body as the platform's errors have it.

    Args:
        status: From 400 to 599.
        retry_after: Seconds for the header `Retry-After`, or its text as it is; None leaves it out.
        after: Handle the request first.

    Raises:
        ValueError: The status is no error, or `retry_after` can be no header.
    """

    status: int
    _: KW_ONLY
    retry_after: RetryAfter = None
    after: bool = False

    def __post_init__(self) -> None:
        if not _is_whole(self.status) or not 400 <= self.status <= 599:
            raise ValueError(f"status must be an error from 400 to 599, not {self.status!r}.")
        _check_retry_after(self.retry_after)


@dataclass(frozen=True)
class RateLimited:
    """The request is turned away with 429, as though the limits were used up.

    Args:
        retry_after: Seconds for the header `Retry-After`, or its text as it is; None leaves it out.

    Raises:
        ValueError: `retry_after` can be no header.
    """

    retry_after: RetryAfter = 1
    status: ClassVar[int] = 429
    after: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_retry_after(self.retry_after)


@dataclass(frozen=True)
class HtmlPage:
    """A page for browsers in place of the answer, as proxies and login walls send it.

    Args:
        status: 200, or an error from 400 to 599.
        after: Handle the request first.

    Raises:
        ValueError: The status is another one.
    """

    status: int = 200
    _: KW_ONLY
    after: bool = False

    def __post_init__(self) -> None:
        if not _is_whole(self.status) or not (self.status == 200 or 400 <= self.status <= 599):
            raise ValueError(f"status must be 200 or an error from 400 to 599, not {self.status!r}.")


@dataclass(frozen=True)
class WrongContentType:
    """The answer is labelled as something else than it is; its body stays.

    Args:
        media_type: What the header `Content-Type` says.

    Raises:
        ValueError: It can be no header.
    """

    media_type: str = "text/plain"
    after: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_header("media_type", self.media_type)


@dataclass(frozen=True)
class Drift:
    """The answer's JSON is changed after the sandbox has checked it. An answer that is not JSON stays as it is.

    Args:
        mutate: Gets the decoded body and returns what to send in place of it, in the sandbox's thread. Without it,
            every object gets a field that no document knows, and every number becomes a string.
    """

    mutate: Callable[[Any], Any] | None = None
    after: ClassVar[bool] = True

    def changed(self, body: Any) -> Any:
        """Return what a decoded body becomes."""
        return _drifted(body) if self.mutate is None else self.mutate(body)


Fault: TypeAlias = Latency | Drop | HalfBody | SlowBody | Status | RateLimited | HtmlPage | WrongContentType | Drift
"""Everything that can be injected."""

_UNKNOWN_FIELD: Final = "driftedField"


def _drifted(value: Any) -> Any:
    if is_object(value):
        return {**{name: _drifted(each) for name, each in value.items()}, _UNKNOWN_FIELD: "drifted"}
    if is_array(value):
        return [_drifted(each) for each in value]
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_seconds(value: float) -> None:
    if not _is_number(value) or not 0 < value < math.inf:
        raise ValueError(f"seconds must be a positive number, not {value!r}.")


def _check_retry_after(value: RetryAfter) -> None:
    if isinstance(value, str):
        _check_header("retry_after", value)
    elif value is not None and (not _is_number(value) or not 0 <= value < math.inf):
        raise ValueError(
            f"retry_after must be a number of seconds from 0 up, the header's text or None, not {value!r}."
        )


def _check_header(name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip() or not (value.isascii() and value.isprintable()):
        raise ValueError(f"{name} must be printable ASCII text, not {value!r}.")
