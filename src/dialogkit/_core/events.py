"""What hooks are told: one object for each thing that happens on the way of a call.

No event carries a credential, a query or a body. The `error` of a `RetryEvent` is the one that would be raised, had
there been no further attempt: it may quote the platform's words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from dialogkit._core.errors import DialogkitError


@dataclass(frozen=True, kw_only=True)
class RequestEvent:
    """An attempt of a call is about to be sent; its turn at the limiter has come."""

    platform: str
    """As users write it, for example `HoopAI`."""
    operation: str
    """The operation's name, as users write it: `messages.send`."""
    method: str
    path: str
    """The path's template, for example `/conversations/{conversation_id}`."""
    location_id: str | None
    """The location that the call concerns, where the platform has locations."""
    attempt: int
    """Which attempt of the call this is; 1 is the first."""


@dataclass(frozen=True, kw_only=True)
class ResponseEvent(RequestEvent):
    """The platform answered an attempt, with success or without: status and headers are there, the body is not yet."""

    status: int
    request_id: str | None
    """The platform's id of the request, if the headers tell one."""
    headers: Mapping[str, str] = field(repr=False)
    """Response headers, names in lower case, cookies left out."""
    elapsed: float
    """Seconds that this attempt took until now."""


@dataclass(frozen=True, kw_only=True)
class RetryEvent(RequestEvent):
    """An attempt failed, and the call will be sent again."""

    error: DialogkitError
    """What the attempt ended with."""
    delay: float
    """Seconds until the next attempt."""


@dataclass(frozen=True, kw_only=True)
class RateLimitEvent(RequestEvent):
    """A rate limit held a call back."""

    reason: Literal["waited", "refused"]
    """`waited`: the client's own limiter made this attempt wait. `refused`: the platform answered it with 429."""
    seconds: float | None
    """`waited`: how long, told when it is over. `refused`: how long the platform asks to wait, if it says so."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One place where an answer differs from the document."""

    operation: str
    location: str
    """Where in the answer, for example `conversations[3].email`."""
    message: str
    """What is wrong there, for example `Field required`."""


RequestHook: TypeAlias = Callable[[RequestEvent], object]
"""Called before each attempt. If it returns an awaitable, that is awaited."""
ResponseHook: TypeAlias = Callable[[ResponseEvent], object]
"""Called after each answer. If it returns an awaitable, that is awaited."""
RetryHook: TypeAlias = Callable[[RetryEvent], object]
"""Called before each pause between two attempts. If it returns an awaitable, that is awaited."""
RateLimitHook: TypeAlias = Callable[[RateLimitEvent], object]
"""Called when a rate limit held a call back. If it returns an awaitable, that is awaited."""
DriftHandler: TypeAlias = Callable[[Drift], object]
"""Called for each place where an answer differs from the document; never awaited."""
