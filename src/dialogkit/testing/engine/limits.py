"""Rate limits: sliding windows, held together, for each key."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

_DAY: Final = 86_400


@dataclass(frozen=True)
class Window:
    """At most `limit` requests within any `seconds`."""

    limit: int
    seconds: float


@dataclass(frozen=True)
class Usage:
    """How far a key has used its limits up, for the headers of answers."""

    window: Window
    """The shortest of its limits."""
    used: int
    """How many requests count towards that one."""
    today: int
    """How many were let in since midnight."""
    clears_at: float
    """When nothing counts towards the window any more, in epoch seconds."""


HeaderStyle: TypeAlias = Callable[[Usage], Mapping[str, str]]
"""How a platform tells of its limits."""


def no_headers(_: Usage) -> Mapping[str, str]:
    """Tell nothing."""
    return {}


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
        style: Makes the headers.
        clock: The clock that dates in headers are by, in epoch seconds.

    """

    def __init__(
        self,
        windows: tuple[Window, ...],
        monotonic: Callable[[], float],
        style: HeaderStyle = no_headers,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._windows = windows
        self._burst = min(windows, key=lambda window: window.seconds)
        self._longest = max(window.seconds for window in windows)
        self._monotonic = monotonic
        self._style = style
        self._clock = clock
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
        if wait <= 0:
            for each in counting:
                each.count(key, now)
            return Verdict(self._headers(key, now))
        seconds = max(1, math.ceil(wait))
        return Verdict({**self._headers(key, now), "Retry-After": str(seconds)}, retry_after=seconds)

    def wait(self, key: Hashable, now: float) -> float:
        """Return how many seconds a request of `key` must wait; 0 or less for none."""
        history = self._histories.setdefault(key, _History())
        while history.admitted and history.admitted[0] <= now - self._longest:
            history.admitted.popleft()
        if (day := int(now // _DAY)) != history.day:
            history.day, history.today = day, 0
        return max(self._wait(history, window, now) for window in self._windows)

    def count(self, key: Hashable, now: float) -> None:
        """Count a request of `key`, after `wait`."""
        history = self._histories[key]
        history.admitted.append(now)
        history.today += 1

    def _wait(self, history: _History, window: Window, now: float) -> float:
        if len(history.admitted) < window.limit:
            return 0.0
        return history.admitted[-window.limit] + window.seconds - now

    def _headers(self, key: Hashable, now: float) -> Mapping[str, str]:
        burst, history = self._burst, self._histories[key]
        used = sum(1 for moment in history.admitted if moment > now - burst.seconds)
        clears_in = history.admitted[-1] + burst.seconds - now if used else 0.0
        return self._style(Usage(burst, used, history.today, self._clock() + clears_in))
