"""Rate limits: sliding windows, held together, for each credential and location."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

Tier: TypeAlias = Literal["standard", "agency"]
"""The platform's account tiers with published limits."""


@dataclass(frozen=True)
class Window:
    """At most `limit` requests within any `seconds`."""

    limit: int
    seconds: float


TIERS: Final[Mapping[Tier, tuple[Window, ...]]] = {
    "standard": (Window(60, 60), Window(10, 1)),
    "agency": (Window(120, 60), Window(20, 1)),
}
DAILY: Final = Window(200_000, 86_400)


@dataclass(frozen=True)
class Verdict:
    """Whether a request is let in, and what the answer's headers say of the limits."""

    headers: Mapping[str, str]
    retry_after: int | None = None
    """Whole seconds to wait; None when the request is let in."""


@dataclass
class _History:
    """When requests were let in. The longest window decides how far back it goes."""

    admitted: deque[float] = field(default_factory=deque[float])
    day: int = 0
    today: int = 0


class Limits:
    """Counts requests, by a clock that only goes forward. A refused request does not count.

    Args:
        windows: The limits that hold together; the shortest is the burst window that the headers describe.
        monotonic: The clock, in seconds.

    """

    def __init__(self, windows: tuple[Window, ...], monotonic: Callable[[], float]) -> None:
        self._windows = windows
        self._burst = min(windows, key=lambda window: window.seconds)
        self._longest = max(window.seconds for window in windows)
        self._monotonic = monotonic
        self._histories: dict[Hashable, _History] = {}

    def admit(self, key: Hashable) -> Verdict:
        """Let one request of `key` in, or say how long it must wait."""
        now = self._monotonic()
        history = self._histories.setdefault(key, _History())
        while history.admitted and history.admitted[0] <= now - self._longest:
            history.admitted.popleft()
        if (day := int(now // DAILY.seconds)) != history.day:
            history.day, history.today = day, 0
        wait = max(self._wait(history, window, now) for window in self._windows)
        if wait <= 0:
            history.admitted.append(now)
            history.today += 1
            return Verdict(self._headers(history, now))
        seconds = max(1, math.ceil(wait))
        return Verdict({**self._headers(history, now), "Retry-After": str(seconds)}, retry_after=seconds)

    def _wait(self, history: _History, window: Window, now: float) -> float:
        if len(history.admitted) < window.limit:
            return 0.0
        return history.admitted[-window.limit] + window.seconds - now

    def _headers(self, history: _History, now: float) -> dict[str, str]:
        burst = self._burst
        used = sum(1 for moment in history.admitted if moment > now - burst.seconds)
        return {
            "X-RateLimit-Limit-Daily": str(DAILY.limit),
            "X-RateLimit-Daily-Remaining": str(max(0, DAILY.limit - history.today)),
            "X-RateLimit-Interval-Milliseconds": str(round(burst.seconds * 1000)),
            "X-RateLimit-Max": str(burst.limit),
            "X-RateLimit-Remaining": str(max(0, burst.limit - used)),
        }
