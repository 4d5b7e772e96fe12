"""The rate limiter for one process.

Why tokens come back late
    A platform counts a request when it arrives, which is some time after the client let it go and before the client
    has its answer. Were a token to come back one window after the request was let go, a request that travelled slowly
    and one that travelled fast could arrive within one window of the platform's clock, and the platform would count
    one too many. So a token comes back one window after its request was *settled*: by then it had surely arrived.
    Take any two requests that used the same token one after the other: the second is let go, and so arrives, at least
    a window after the first was answered, and so had arrived. With `limit` tokens there are thus never more than
    `limit` arrivals in any window, wherever it begins: not in a fixed window of unknown phase, nor in a sliding one,
    nor does a bucket that refills evenly run dry. The price is one round trip for each window, and the whole
    allowance remains available at once after a quiet time.

How waiting works
    Waiters of one key stand in a queue, and only its head watches the clock. A token is taken in the same step in
    which its waiter is found to be at the head and its time to have come, with no `await` in between, so that a
    cancelled waiter has never taken one.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Final

import anyio

from dialogkit._core.errors import RateLimitWaitError
from dialogkit._core.sending.rate_limit import Permit, RateLimit

_CLOCK_SKEW: Final = 5e-4
"""Two clocks may run this much apart (clocks that are being set are slewed by at most as much)."""
_CLOCK_GRAIN: Final = 1e-3
_ROUNDING: Final = 1e-6
"""Times closer than this are the same; far less than the grain, so nothing is let through too early."""
_SWEEP_EVERY: Final = 30.0


class _Window:
    """The tokens of one window: each is free, in flight, or on its way back."""

    __slots__ = ("in_flight", "limit", "per", "returns")

    def __init__(self, limit: int, per: float) -> None:
        self.limit = limit
        self.per = per * (1 + _CLOCK_SKEW) + _CLOCK_GRAIN
        self.in_flight = 0
        self.returns: list[float] = []  # when tokens come back, in order; lists, since an empty deque takes 760 bytes

    def wait(self, now: float, ahead: int) -> float | None:
        """Return seconds until a token is free for whoever has `ahead` others before him; `None` if nobody knows.

        With others ahead it is the least that the wait can be.
        """
        returns = self.returns
        if returns and returns[0] <= now + _ROUNDING:
            del returns[: bisect_right(returns, now + _ROUNDING)]
        free = self.limit - self.in_flight - len(returns)
        if ahead < free:
            return 0.0
        rounds, place = divmod(ahead, self.limit)
        place -= free
        if place < 0:
            return rounds * self.per
        if place < len(returns):
            return returns[place] - now + rounds * self.per
        return (rounds + 1) * self.per if ahead else None

    def settle(self, now: float) -> None:
        self.in_flight -= 1
        self.returns.append(now + self.per)

    def idle(self, now: float) -> bool:
        return not self.in_flight and not (self.returns and self.returns[-1] > now)


class _Key:
    """What is known of one key."""

    __slots__ = ("by_limit", "limits", "paused_until", "queue", "windows")

    def __init__(self) -> None:
        self.by_limit: dict[RateLimit, tuple[_Window, ...]] = {}
        self.limits: tuple[RateLimit, ...] | None = None
        self.windows: tuple[_Window, ...] = ()
        self.paused_until = float("-inf")
        self.queue: deque[anyio.Event] | None = None

    def windows_of(self, limits: Sequence[RateLimit]) -> tuple[_Window, ...]:
        """Return the windows of all `limits`; the same limit is the same windows, whoever asks."""
        if limits is self.limits:
            return self.windows
        for limit in limits:
            if limit not in self.by_limit:
                self.by_limit[limit] = tuple(_Window(*window) for window in limit.windows())
        self.windows = tuple(window for limit in dict.fromkeys(limits) for window in self.by_limit[limit])
        self.limits = limits if isinstance(limits, tuple) else None
        return self.windows

    def idle(self, now: float) -> bool:
        return (
            not self.queue
            and self.paused_until <= now
            and all(window.idle(now) for windows in self.by_limit.values() for window in windows)
        )


class _MemoryPermit:
    __slots__ = ("_clock", "_key", "_windows")

    def __init__(self, key: _Key, windows: tuple[_Window, ...], clock: Callable[[], float]) -> None:
        self._key: _Key | None = key
        self._windows = windows
        self._clock = clock

    def settle(self, headers: Mapping[str, str] | None, retry_after: float | None) -> None:  # noqa: ARG002 - see Permit
        key, self._key = self._key, None
        if key is None:
            return
        now = self._clock()
        for window in self._windows:
            window.settle(now)
        if retry_after is not None:
            key.paused_until = max(key.paused_until, now + retry_after)
        if key.queue:
            key.queue[0].set()

    def __del__(self) -> None:
        # Whoever was cancelled in the very moment in which the permit was handed over cannot settle it.
        self.settle(None, None)


class MemoryRateLimiter:
    """Keeps the requests of one process below their limits.

    Args:
        max_pause: Seconds. While the platform asks to wait longer than this, calls fail at once with
            `RateLimitWaitError` rather than to hang.
        clock: Seconds on a clock that never goes back.
        sleep: Waits for so many seconds on the same clock.
    """

    def __init__(
        self,
        *,
        max_pause: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = anyio.sleep,
    ) -> None:
        self._max_pause = max_pause
        self._clock = clock
        self._sleep = sleep
        self._keys: dict[Hashable, _Key] = {}
        self._next_sweep = float("-inf")

    async def acquire(self, key: Hashable, limits: Sequence[RateLimit], /, *, max_wait: float | None) -> Permit:
        """Wait for a permit under all `limits` at once; see `RateLimiter.acquire`."""
        now = self._clock()
        if now >= self._next_sweep:
            self._sweep(now)
        state = self._keys.get(key)
        if state is None:
            state = self._keys[key] = _Key()
        windows = state.windows_of(limits)
        if state.queue or self._wait(state, windows, now, 0, max_wait) != 0:
            await self._stand_in_line(state, windows, max_wait)
        for window in windows:
            window.in_flight += 1
        return _MemoryPermit(state, windows, self._clock)

    async def _stand_in_line(self, state: _Key, windows: tuple[_Window, ...], max_wait: float | None) -> None:
        """Return when this waiter is at the head and its time has come; the next `await` may change that."""
        if state.queue is None:
            state.queue = deque()
        queue = state.queue
        now = self._clock()
        self._wait(state, windows, now, len(queue), max_wait)
        give_up = None if max_wait is None else now + max_wait
        turn = anyio.Event()
        queue.append(turn)
        try:
            while queue[0] is not turn:
                await turn.wait()
            while True:
                now = self._clock()
                wait = self._wait(state, windows, now, 0, None if give_up is None else max(0.0, give_up - now))
                if wait == 0:
                    return
                if wait is None:
                    turn = queue[0] = anyio.Event()
                    await turn.wait()
                else:
                    await self._sleep(wait)
        finally:
            head = queue[0] is turn
            queue.remove(turn)
            if head and queue:
                queue[0].set()

    def _wait(
        self, state: _Key, windows: tuple[_Window, ...], now: float, ahead: int, max_wait: float | None
    ) -> float | None:
        """Return seconds to wait with `ahead` others before, `None` if nobody knows; raise if it is too long."""
        pause = state.paused_until - now
        if pause > self._max_pause:
            raise _too_long(pause, "the platform asked to pause that long")
        longest: float | None = pause if pause > _ROUNDING else 0.0
        for window in windows:
            wait = window.wait(now, ahead)
            longest = None if wait is None or longest is None else max(longest, wait)
        if max_wait is not None and longest is not None and longest > max_wait:
            raise _too_long(longest, f"longer than the {max_wait:.3g} s that the call has left")
        return longest

    def _sweep(self, now: float) -> None:
        """Forget the keys that would be the same if they were made anew."""
        self._next_sweep = now + _SWEEP_EVERY
        for key in [key for key, state in self._keys.items() if state.idle(now)]:
            del self._keys[key]


def _too_long(wait: float, why: str) -> RateLimitWaitError:
    return RateLimitWaitError(f"the rate limiter would have to wait {wait:.3g} s, {why}", operation="", wait=wait)
