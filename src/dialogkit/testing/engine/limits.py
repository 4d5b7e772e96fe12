"""Rate limits: sliding windows and a day, held together, for each key.

A window slides: it looks back from now. The day does not: it begins with the first request of a key and lasts 24 hours,
and the next one begins with the first request after it.
"""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

DAY: Final = 86_400
"""Seconds that a day lasts."""


@dataclass(frozen=True)
class Window:
    """At most `limit` requests within any `seconds`."""

    limit: int
    seconds: float


@dataclass(frozen=True)
class Usage:
    """How far a key has used its limits up, for the headers of an answer."""

    window: Window
    """The shortest of its limits."""
    used: int
    """How many requests count towards that one."""
    today: int
    """How many were let in since the day began."""
    day_ends_in: float
    """Seconds until the day begins anew."""
    clears_at: float
    """When nothing counts towards the window any more, in epoch seconds."""
    wait: int | None = None
    """Whole seconds to wait, when the request is refused."""
    for_burst: bool = False
    """Whether it is refused for the shortest limit."""
    for_day: bool = False
    """Whether it is refused for the day's."""


HeaderStyle: TypeAlias = Callable[[Usage], Mapping[str, str]]
"""How a platform tells of its limits."""


def retry_after(usage: Usage) -> Mapping[str, str]:
    """Tell a refused request how long to wait."""
    return {} if usage.wait is None else {"Retry-After": str(usage.wait)}


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
    day_began: float = -math.inf
    today: int = 0


class Limits:
    """Counts requests, by a clock that only goes forward. A refused request does not count.

    Args:
        windows: The limits that hold together; the shortest is the burst window that the headers describe.
        monotonic: The clock, in seconds.
        style: Makes the headers.
        clock: The clock that dates in headers are by, in epoch seconds.
        day: How many requests a day has; None for any number.

    """

    def __init__(
        self,
        windows: tuple[Window, ...],
        monotonic: Callable[[], float],
        style: HeaderStyle = retry_after,
        clock: Callable[[], float] = time.time,
        *,
        day: int | None = None,
    ) -> None:
        self._windows = windows
        self._burst = min(windows, key=lambda window: window.seconds)
        self._longest = max(window.seconds for window in windows)
        self._monotonic = monotonic
        self._style = style
        self._clock = clock
        self._day = math.inf if day is None else day
        self._histories: dict[Hashable, _History] = {}

    def admit(self, key: Hashable, besides: Limits | None = None) -> Verdict:
        """Let one request of `key` in, or say how long it must wait.

        Args:
            key: Whose request it is.
            besides: Further limits that it counts towards, if all let it in. The headers do not tell of them.

        """
        now = self._monotonic()
        counting = [self] if besides is None else [self, besides]
        wait = max(each.wait(key, now) for each in counting)
        if wait > 0:
            seconds = max(1, math.ceil(wait))
            return Verdict(self._style(self._usage(key, now, seconds, wait)), retry_after=seconds)
        for each in counting:
            each.count(key, now)
        return Verdict(self._style(self._usage(key, now)))

    def look(self, key: Hashable) -> Mapping[str, str]:
        """Return what the headers say of `key`, without counting anything."""
        now = self._monotonic()
        self.wait(key, now)
        return self._style(self._usage(key, now))

    def spend_day(self, key: Hashable) -> None:
        """Let `key` have used its day up."""
        self.wait(key, self._monotonic())
        self._histories[key].today = sys.maxsize

    def wait(self, key: Hashable, now: float) -> float:
        """Return how many seconds a request of `key` must wait; 0 or less for none."""
        history = self._histories.setdefault(key, _History())
        while history.admitted and history.admitted[0] <= now - self._longest:
            history.admitted.popleft()
        if now - history.day_began >= DAY:
            history.day_began, history.today = now, 0
        return max(self._day_wait(history, now), *(self._wait(history, window, now) for window in self._windows))

    def count(self, key: Hashable, now: float) -> None:
        """Count a request of `key`, after `wait`."""
        history = self._histories[key]
        history.admitted.append(now)
        history.today += 1

    def _wait(self, history: _History, window: Window, now: float) -> float:
        if len(history.admitted) < window.limit:
            return 0.0
        return history.admitted[-window.limit] + window.seconds - now

    def _day_wait(self, history: _History, now: float) -> float:
        return 0.0 if history.today < self._day else history.day_began + DAY - now

    def _usage(self, key: Hashable, now: float, seconds: int | None = None, wait: float = 0.0) -> Usage:
        burst, history = self._burst, self._histories[key]
        used = sum(1 for moment in history.admitted if moment > now - burst.seconds)
        clears_in = history.admitted[-1] + burst.seconds - now if used else 0.0
        return Usage(
            window=burst,
            used=used,
            today=history.today,
            day_ends_in=history.day_began + DAY - now,
            clears_at=self._clock() + clears_in,
            wait=seconds,
            for_burst=seconds is not None and self._wait(history, burst, now) >= wait,
            for_day=seconds is not None and self._day_wait(history, now) >= wait,
        )
