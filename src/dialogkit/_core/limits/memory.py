"""The rate limiter for one process. Why it keeps below every server's limits is told in `.window`.

How waiting works
    Requests of one key that stand under the same limits form a line, and only the head of a line watches the clock. A
    token is taken in the same step in which its waiter is found to be at the head and its time to have come, with no
    `await` in between, so that a cancelled waiter has never taken one. Where some operations have limits of their own,
    there is a line for each set of limits, so that whoever waits for a message's token does not hold up those who only
    read; when two heads could go, the one who came first does.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from dialogkit._core.errors import ConfigurationError, RateLimitWaitError
from dialogkit._core.limits.terms import Allowance, Key, KeyState, Permit, RateLimit, WindowState
from dialogkit._core.limits.window import Window, extents_of
from dialogkit._core.support.checks import is_positive
from dialogkit._core.support.lazy import LazyModule

if TYPE_CHECKING:
    import anyio
else:
    anyio = LazyModule("anyio")  # only who has to wait needs it

_ROUNDING: Final = 1e-6
_SWEEP_EVERY: Final = 30.0
_MOST_LEARNED: Final = 4
"""Windows of one key that are known only from answers; a platform does not have more."""


class _Waiter:
    """Someone in a line."""

    __slots__ = ("give_up", "ticket", "turn")

    def __init__(self, ticket: int, give_up: float | None) -> None:
        self.ticket = ticket
        self.give_up = give_up
        self.turn = anyio.Event()


class _Line:
    """Those who wait under the same limits, first come, first served."""

    __slots__ = ("limits", "waiters", "windows")

    def __init__(self, limits: tuple[RateLimit, ...], windows: tuple[Window, ...]) -> None:
        self.limits = limits
        self.windows = windows
        self.waiters: list[_Waiter] = []

    def wait(self, now: float, ahead: int) -> float:
        """Return seconds until every window has a token, or later; see `Window.wait`."""
        longest = 0.0
        for window in self.windows:
            wait = window.wait(now, ahead)
            if wait > longest:  # noqa: PLR1730 - on every call's way, where `max` would cost more than the window
                longest = wait
        return longest


class _Key:
    """What is known of one key."""

    __slots__ = ("learned", "lines", "next_number", "paused_until")

    def __init__(self) -> None:
        self.lines: tuple[_Line, ...] = ()
        self.learned: tuple[Window, ...] = ()
        self.paused_until = float("-inf")
        self.next_number = 0

    def line(self, limits: Sequence[RateLimit]) -> _Line:
        """Return the line of those limits; the same limit is the same windows in every line."""
        for line in self.lines:
            if line.limits is limits:
                return line
        limits = tuple(limits)
        for line in self.lines:
            if line.limits == limits:
                return line
        known = {window.extent: window for window in self.windows()}
        extents = dict.fromkeys(extent for limit in limits for extent in extents_of(limit))
        windows = [known.get(extent) or Window(extent) for extent in extents]
        line = _Line(limits, (*windows, *self.learned))
        self.lines += (line,)
        return line

    def windows(self) -> Iterator[Window]:
        """Yield every window, some more than once."""
        for line in self.lines:
            yield from line.windows

    def someone_waits(self) -> bool:
        """Say whether any line is not empty."""
        for line in self.lines:  # noqa: SIM110 - on every call's way, where a generator would cost more than all else
            if line.waiters:
                return True
        return False

    def goes_first(self, waiter: _Waiter, now: float) -> bool:
        """Say whether no head of another line came earlier and could go now."""
        heads = ((line, line.waiters[0]) for line in self.lines if line.waiters)
        return not any(head.ticket < waiter.ticket and line.wait(now, 0) == 0 for line, head in heads)

    def wake_heads(self) -> None:
        """Make the head of each line look again."""
        for line in self.lines:
            if line.waiters:
                line.waiters[0].turn.set()

    def learn(self, permit: _MemoryPermit, allowances: Sequence[Allowance], now: float) -> None:
        """Narrow the windows that an answer told of, and watch those that were not known."""
        for told in allowances:
            window = self._general(told.per)
            if window is None and len(self.learned) < _MOST_LEARNED:
                window = Window.learned(told.per)
                self.learned += (window,)
                for line in self.lines:
                    line.windows += (window,)
            if window is not None:
                window.learn(told, now, number=permit.number, mark=permit.mark_of(window))

    def _general(self, per: float) -> Window | None:
        """Return the window of so many seconds by which all requests are counted."""
        for line in self.lines:
            for window in line.windows:
                if window.extent.per == per and not window.extent.name:
                    return window
        return None

    def shown(self, key: Key, now: float) -> KeyState:
        windows = dict.fromkeys(self.windows())
        return KeyState(
            key=key,
            waiting=sum(len(line.waiters) for line in self.lines),
            paused_for=max(0.0, self.paused_until - now),
            windows=tuple(
                WindowState(limit=each.limit, per=each.extent.per, name=each.extent.name, free=each.free(now))
                for each in windows
            ),
        )

    def is_idle(self, now: float) -> bool:
        return (
            not self.someone_waits()
            and self.paused_until <= now
            and all(window.is_idle(now) for window in self.windows())
        )


class _MemoryPermit:
    __slots__ = ("_key", "_limiter", "_marks", "_windows", "number")

    def __init__(self, limiter: MemoryRateLimiter, key: _Key, windows: tuple[Window, ...]) -> None:
        self._limiter = limiter
        self._key: _Key | None = key
        self._windows = windows
        self._marks = tuple([window.mark() for window in windows])
        self.number = key.next_number
        key.next_number += 1
        for window in windows:
            window.take()

    def mark_of(self, window: Window) -> int:
        """Return the window's mark when the permit was given."""
        return self._marks[self._windows.index(window)] if window in self._windows else 0

    def settle(self, allowances: Sequence[Allowance] = (), retry_after: float | None = None) -> None:
        key, self._key = self._key, None
        if key is not None:
            self._limiter._settle(self, key, self._windows, allowances, retry_after)  # noqa: SLF001 - its other half

    def __del__(self) -> None:
        # Whoever was cancelled in the very moment in which the permit was handed over cannot settle it.
        self.settle()


async def _wait_for(event: anyio.Event, seconds: float) -> None:
    with anyio.move_on_after(seconds):
        await event.wait()


def why_too_long(
    wait: float, pause: float, first: Callable[[], float], *, max_wait: float | None, max_pause: float
) -> str | None:
    """Say why a wait is too long, if it is.

    Args:
        wait: Seconds, all things considered.
        pause: Seconds for which the platform asked.
        first: Returns the seconds for whoever is at the head of the line.
        max_wait: What the call has left, in seconds.
        max_pause: See `MemoryRateLimiter`.
    """
    if max_wait is not None and wait > max_wait:
        return f"longer than the {_rounded(max_wait)} s that the call has left"
    if pause > max_pause:
        return f"as the platform asked, and its max_pause is {_rounded(max_pause)} s"
    if wait > max_pause and first() > max_pause:
        return f"until the allowance is there again, and its max_pause is {_rounded(max_pause)} s"
    return None


def too_long_a_wait(wait: float, why: str) -> RateLimitWaitError:
    """Return the error that says so."""
    return RateLimitWaitError(f"the rate limiter would have to wait {_rounded(wait)} s, {why}", operation="", wait=wait)


class MemoryRateLimiter:
    """Keeps the requests of one process below their limits.

    Clients that are given the same limiter share it: those with the same credential (and location) share its limits.

    Args:
        limits: What to keep below, in place of what the client asks for.
        max_pause: Seconds. While nothing of a key can be sent for longer than this (the platform asked to wait, or the
            tokens of a long window are used up), its calls fail at once with `RateLimitWaitError` rather than to hang.
        clock: Seconds on a clock that never goes back.
        wait: Returns when an event is set, or so many seconds have passed on the same clock.

    Raises:
        ConfigurationError: `max_pause` is no positive number.
    """

    def __init__(
        self,
        *,
        limits: Sequence[RateLimit] | None = None,
        max_pause: float = 90.0,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[anyio.Event, float], Awaitable[object]] = _wait_for,
    ) -> None:
        if not is_positive(max_pause):
            raise ConfigurationError(f"max_pause must be a positive number of seconds, not {max_pause!r}")
        self._limits = None if limits is None else tuple(limits)
        self._max_pause = max_pause
        self._clock = clock
        self._wait_for = wait
        self._keys: dict[Key, _Key] = {}
        self._next_sweep = float("-inf")

    async def acquire(self, key: Key, limits: Sequence[RateLimit], /, *, max_wait: float | None) -> Permit:
        """Wait for a permit under all `limits` at once; see `RateLimiter.acquire`."""
        now = self._clock()
        if now >= self._next_sweep:
            self._sweep(now)
        state = self._keys.get(key)
        if state is None:
            state = self._keys[key] = _Key()
        line = state.line(limits if self._limits is None else self._limits)
        if state.someone_waits() or self._wait(state, line, now, 0, max_wait) != 0:
            await self._stand_in_line(state, line, max_wait)
        return _MemoryPermit(self, state, line.windows)

    def snapshot(self) -> tuple[KeyState, ...]:
        """Return how each key stands that was in use lately, to show it or to measure it."""
        now = self._clock()
        return tuple(state.shown(key, now) for key, state in self._keys.items())

    async def _stand_in_line(self, state: _Key, line: _Line, max_wait: float | None) -> None:
        """Return when this waiter is at the head and its time has come; the next `await` may change that."""
        now = self._clock()
        ahead = len(line.waiters)
        waiter = _Waiter(state.next_number, None if max_wait is None else now + max_wait)
        state.next_number += 1
        line.waiters.append(waiter)
        try:
            while True:
                wait = self._wait(state, line, now, ahead, _left(waiter, now))
                if ahead == 0 and wait == 0 and state.goes_first(waiter, now):
                    return
                waiter.turn = anyio.Event()
                if ahead == 0 and wait > 0:
                    await self._wait_for(waiter.turn, wait)
                else:
                    await waiter.turn.wait()
                now = self._clock()
                ahead = line.waiters.index(waiter)
        finally:
            line.waiters.remove(waiter)
            state.wake_heads()

    def _wait(self, state: _Key, line: _Line, now: float, ahead: int, max_wait: float | None) -> float:
        """Return seconds to wait with `ahead` others before, or less; raise if it is too long."""
        wait = line.wait(now, ahead)
        pause = state.paused_until - now
        if pause > _ROUNDING and pause > wait:
            wait = pause
        if wait > 0 and (why := self._too_long(line, now, wait, pause, max_wait)):
            raise too_long_a_wait(wait, why)
        return wait

    def _too_long(self, line: _Line, now: float, wait: float, pause: float, max_wait: float | None) -> str | None:
        """Say why a wait is too long, if it is."""
        return why_too_long(wait, pause, lambda: line.wait(now, 0), max_wait=max_wait, max_pause=self._max_pause)

    def _settle(
        self,
        permit: _MemoryPermit,
        key: _Key,
        windows: tuple[Window, ...],
        allowances: Sequence[Allowance],
        retry_after: float | None,
    ) -> None:
        now = self._clock()
        for window in windows:
            window.settle(now, refused=retry_after is not None)
        if allowances:
            key.learn(permit, allowances, now)
        if retry_after is not None:
            key.paused_until = max(key.paused_until, now + retry_after)
        if key.someone_waits():
            key.wake_heads()
            if allowances or retry_after is not None:
                self._wake_the_hopeless(key, now)

    def _wake_the_hopeless(self, key: _Key, now: float) -> None:
        """Make those look again whose wait is now known to be too long."""
        pause = key.paused_until - now
        for line in key.lines:
            for ahead, waiter in enumerate(line.waiters):
                wait = max(line.wait(now, ahead), pause)
                if self._too_long(line, now, wait, pause, _left(waiter, now)):
                    waiter.turn.set()

    def _sweep(self, now: float) -> None:
        """Forget the keys that would be the same if they were made anew."""
        self._next_sweep = now + _SWEEP_EVERY
        for key in [key for key, state in self._keys.items() if state.is_idle(now)]:
            del self._keys[key]


def _left(waiter: _Waiter, now: float) -> float | None:
    return None if waiter.give_up is None else max(0.0, waiter.give_up - now)


def _rounded(seconds: float) -> str:
    return f"{round(seconds, 2):g}"
