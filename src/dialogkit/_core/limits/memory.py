"""The rate limiter for one process. Why it keeps below every server's limits is told in `.window`.

Theory of operation
    A limiter has keys, a key has one `Window` for each limit, and a line for each set of limits, so that whoever waits
    for a message's token does not hold up those who only read. A line has a FIFO queue for each event loop that waits
    in it. (Classes of priority would be further queues of a line.) These invariants hold:

    1.  Only the head of a queue watches the clock, in its own event loop; all others sleep until they are the head.
    2.  A token is taken in the same step in which its waiter is found to be at the head and its time to have come, with
        no `await` in between, so that a cancelled waiter has never taken one.
    3.  When several heads could go, the one who came first does. A head in an event loop that does not run is passed
        over, and one in a loop that is busy with other things is waited for, but not for long.
    4.  A settled request never makes anybody's wait shorter than its head knows, since tokens come back later, not at
        once. So heads are woken only when someone leaves, when an answer tells of more, or when a pause changes; and
        what an answer costs does not depend on how many wait.
    5.  Whose wait is known to be too long fails at once. When an answer tells of less, those are looked at who are the
        first to be hopeless: the heads, who gives up first, and who came last. Whoever fails has the next ones looked
        at, one step of the event loop each, so that thousands that fail together do not hold it up.

Pauses
    A platform that refuses a request for its rate pauses the key: for as long as it asks, and 15 minutes at most. If it
    has asked for longer, the pause ends as a circuit breaker does, half-open: one call probes, and all others wait for
    its answer.

Threads
    All of it stands under one lock, which is never held across an `await`. Waiters are woken in their own event
    loops. A permit that was lost (whoever was cancelled in the very moment in which it was handed over cannot settle
    it) is found by the garbage collector, which may come at any moment, so it is only noted then, and settled by the
    next step.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from threading import RLock
from typing import TYPE_CHECKING, Final

from dialogkit._core.errors import ConfigurationError, RateLimitWaitError
from dialogkit._core.limits.queues import Queue
from dialogkit._core.limits.terms import (
    LONGEST_PAUSE,
    LONGEST_WINDOW,
    Allowance,
    Key,
    KeyState,
    RateLimit,
    WindowState,
)
from dialogkit._core.limits.window import Extent, Outlook, Window, extents_of
from dialogkit._core.support.checks import is_positive
from dialogkit._core.support.lazy import LazyModule

if TYPE_CHECKING:
    import anyio

    from dialogkit._core.support import background
else:
    anyio = LazyModule("anyio")  # only who has to wait needs it
    background = LazyModule("dialogkit._core.support.background")

_ROUNDING: Final = 1e-6
_SWEEP_EVERY: Final = 30.0
_SWEPT_AT_ONCE: Final = 2_000
_MOST_LEARNED: Final = 4
"""Windows of one key that are known only from answers; a platform does not have more."""
_LOOK_AGAIN: Final = 60.0
"""Seconds after which a head looks again in any case: what an answer told may have been forgotten by then."""
_COURTESY: Final = 0.1
"""Seconds for which a head lets one of another event loop go first that came earlier."""
_PROBING: Final = 0.1
"""Seconds that the answer to a probe takes at the least, as far as anybody knows."""


class _Waiter:
    """Someone who waits."""

    __slots__ = ("give_up", "is_patient", "is_woken", "place", "ticket", "turn")

    def __init__(self, ticket: int, give_up: float | None) -> None:
        self.ticket = ticket
        self.give_up = give_up
        self.place = 0
        self.turn = anyio.Event()
        self.is_woken = False
        self.is_patient = True
        """Whether this one would let another event loop's head go first."""


class _Line:
    """Those who wait under the same limits."""

    __slots__ = ("limits", "queues", "windows")

    def __init__(self, limits: tuple[RateLimit, ...], windows: tuple[Window, ...]) -> None:
        self.limits = limits
        self.windows = windows
        self.queues: dict[object, Queue[_Waiter]] = {}
        """By event loop; none is empty."""

    def wait(self, now: float, ahead: int) -> float:
        """Return seconds until every window has a token, or later; see `Window.wait`."""
        longest = 0.0
        for window in self.windows:
            wait = window.wait(now, ahead)
            if wait > longest:  # noqa: PLR1730 - on every call's way, where `max` would cost more than the window
                longest = wait
        return longest

    @property
    def length(self) -> int:
        """How many wait."""
        return sum(map(len, self.queues.values())) if self.queues else 0

    def leave(self, home: object, waiter: _Waiter) -> None:
        """Let a waiter go; the queue may be gone already, as its loop has ended."""
        queue = self.queues.get(home)
        if queue is not None:
            queue.leave(waiter)
            if not queue:
                del self.queues[home]


class _Key:
    """What is known of one key."""

    __slots__ = ("born", "learned", "lines", "must_probe", "next_number", "paused_until", "probe")

    def __init__(self) -> None:
        self.born = 0
        """Which state in Redis knows its tokens, see `.redis`."""
        self.lines: tuple[_Line, ...] = ()
        self.learned: tuple[Window, ...] = ()
        self.paused_until = float("-inf")
        self.must_probe = False
        """Whether the pause was cut, and one call has to go first when it is over."""
        self.probe: int | None = None
        """The number of the permit of the one that does; the permit itself could not be lost then."""
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
            if line.queues:
                return True
        return False

    def holds_up(self, now: float) -> bool:
        """Say whether whoever comes now has to stand in line, for another reason than tokens."""
        return self.paused_until - now > _ROUNDING or self.probe is not None or self.someone_waits()

    def pause(self, now: float) -> float:
        """Return for how many seconds nobody may go, as the platform asked."""
        left = self.paused_until - now
        if self.probe is not None and left < _PROBING:
            return _PROBING
        return left if left > _ROUNDING else 0.0

    def pause_for(self, seconds: float, now: float) -> None:
        """Let nobody go for as long as the platform asked, within reason."""
        self.paused_until = max(self.paused_until, now + min(seconds, LONGEST_PAUSE))
        self.must_probe |= seconds > LONGEST_PAUSE

    def permit(self, limiter: MemoryRateLimiter, line: _Line, now: float) -> MemoryPermit:
        """Let a request go."""
        permit = MemoryPermit(limiter, self, line.windows, now)
        if self.must_probe:
            self.must_probe, self.probe = False, permit.number
        return permit

    def rival(self, waiter: _Waiter, here: object, now: float) -> tuple[object, _Waiter] | None:
        """Return who came earlier, could go now, and has an event loop that runs."""
        for line in self.lines:
            for home, queue in line.queues.items():
                head = queue.head
                could_go = head.ticket < waiter.ticket and line.wait(now, 0) == 0
                if could_go and (home is here or background.still_runs(home)):
                    return home, head
        return None

    def wake_heads(self) -> None:
        """Make the head of each queue look again; drop the queues whose loops have ended."""
        here = _here()
        for line in self.lines:
            for home, queue in tuple(line.queues.items()):
                if not _wake(home, queue.head, here):
                    del line.queues[home]

    def learn(self, permit: MemoryPermit, allowances: Sequence[Allowance], now: float) -> set[Outlook]:
        """Narrow the windows that an answer told of, and watch those that were not known."""
        outlooks: set[Outlook] = set()
        for told in allowances:
            window = self._general(told.per) or self._learn_of(told.per, now)
            if window is not None:
                mark = permit.mark_of(window)
                outlooks.add(window.learn(told, now, number=permit.number, mark=mark, let_go=permit.let_go))
        return outlooks

    def _general(self, per: float) -> Window | None:
        """Return the window of so many seconds by which all requests are counted."""
        for line in self.lines:
            for window in line.windows:
                if window.extent.per == per and not window.extent.name:
                    return window
        return None

    def _learn_of(self, per: float, now: float) -> Window | None:
        """Watch a window of which only answers tell."""
        kept = [window for window in self.learned if not window.is_idle(now)]
        if per > LONGEST_WINDOW or len(kept) >= _MOST_LEARNED:
            return None
        window = Window.learned(per)
        for line in self.lines:
            line.windows = (*(each for each in line.windows if not each.is_learned), *kept, window)
        self.learned = (*kept, window)
        return window

    def shown(self, key: Key, now: float) -> KeyState:
        windows = dict.fromkeys(self.windows())
        return KeyState(
            key=key,
            waiting=sum(line.length for line in self.lines),
            paused_for=max(0.0, self.paused_until - now),
            windows=tuple(
                WindowState(limit=each.limit, per=each.extent.per, name=each.extent.name, free=each.free(now))
                for each in windows
            ),
        )

    def limits(self) -> tuple[RateLimit, ...]:
        """Return all limits that requests stand under."""
        return tuple(dict.fromkeys(limit for line in self.lines for limit in line.limits))

    def returning(self) -> tuple[tuple[Extent, tuple[tuple[float, int], ...]], ...]:
        """Return of each window that a limit is about when tokens come back, and how many."""
        windows = [window for window in dict.fromkeys(self.windows()) if not window.is_learned]
        return tuple((window.extent, coming) for window in windows if (coming := window.returning()))

    def is_returning(self) -> bool:
        """Say whether any token is on its way back."""
        return any(window.is_returning for window in self.windows())

    def is_idle(self, now: float) -> bool:
        remembered = self.paused_until + LONGEST_PAUSE if self.must_probe else self.paused_until
        return not self.someone_waits() and remembered <= now and all(window.is_idle(now) for window in self.windows())


class MemoryPermit:
    """The right to send one request now."""

    __slots__ = ("_limiter", "_marks", "key", "let_go", "number", "windows")

    def __init__(self, limiter: MemoryRateLimiter, key: _Key, windows: tuple[Window, ...], now: float) -> None:
        self._limiter = limiter
        self.key: _Key | None = key
        """`None` when it is settled."""
        self.windows = windows
        self._marks = tuple([window.mark() for window in windows])
        self.number = key.next_number
        self.let_go = now
        key.next_number += 1
        for window in windows:
            window.take()

    def mark_of(self, window: Window) -> int:
        """Return the window's mark when the permit was given."""
        return self._marks[self.windows.index(window)] if window in self.windows else 0

    def settle(self, allowances: Sequence[Allowance] = (), retry_after: float | None = None) -> None:
        self._limiter._settle(self, allowances, retry_after)  # noqa: SLF001 - its other half

    def give_back(self) -> None:
        """Say that nothing was sent."""
        self._limiter._give_back(self)  # noqa: SLF001 - its other half

    def __del__(self) -> None:
        if self.key is not None:
            self._limiter._lose(self)  # noqa: SLF001 - its other half


def _here() -> object:
    """Return the present event loop, if there is one."""
    try:
        return background.current_loop()
    except Exception:  # noqa: BLE001 - there is none, and no trio either
        return None


def _wake(home: object, waiter: _Waiter, here: object) -> bool:
    """Let a waiter look, in its own event loop; return `False` if that has ended."""
    if home is here:
        waiter.turn.set()
    elif not waiter.is_woken:
        waiter.is_woken = True  # a loop that stands still need not hear it again
        return background.call_in(home, waiter.turn.set)
    return True


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
    """Keeps the requests of one process below their limits, in any number of event loops and threads.

    Clients that are given the same limiter share it: those with the same credential (and account) share its limits.

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
        self._lock = RLock()  # what the garbage collector ends in the middle of a step may be a waiter, who leaves then
        self._keys: dict[Key, _Key] = {}
        self._lost: deque[tuple[MemoryPermit, float]] = deque()
        self._next_sweep = float("-inf")
        self._to_sweep: list[Key] = []

    async def acquire(self, key: Key, limits: Sequence[RateLimit], /, *, max_wait: float | None) -> MemoryPermit:
        """Wait for a permit under all `limits` at once; see `RateLimiter.acquire`."""
        with self._lock:
            now = self._now()
            state, line = self._place(key, limits)
            if not state.holds_up(now) and line.wait(now, 0) == 0:
                return state.permit(self, line, now)
            self._wait(state, line, now, line.length, max_wait)
            home, waiter = (
                background.current_loop(),
                _Waiter(state.next_number, None if max_wait is None else now + max_wait),
            )
            state.next_number += 1
            line.queues.setdefault(home, Queue()).join(waiter)
        return await self._stand_in_line(state, line, home, waiter)

    def snapshot(self) -> tuple[KeyState, ...]:
        """Return how each key stands that was in use lately, to show it or to measure it."""
        with self._lock:
            now = self._now()
            return tuple(state.shown(key, now) for key, state in self._keys.items())

    def take(self, key: Key, limits: Sequence[RateLimit]) -> MemoryPermit | float:
        """Return a permit if there is a token, whoever waits for it; else the seconds until there may be one.

        Pauses are another's business here.
        """
        with self._lock:
            now = self._now()
            state, line = self._place(key, limits)
            wait = line.wait(now, 0)
            return state.permit(self, line, now) if wait == 0 else wait

    def state_of(self, key: Key) -> _Key:
        """Return what is known of a key."""
        with self._lock:
            return self._keys.setdefault(key, _Key())

    def _place(self, key: Key, limits: Sequence[RateLimit]) -> tuple[_Key, _Line]:
        state = self._keys.get(key)
        if state is None:
            state = self._keys[key] = _Key()
        return state, state.line(limits if self._limits is None else self._limits)

    async def _stand_in_line(self, state: _Key, line: _Line, home: object, waiter: _Waiter) -> MemoryPermit:
        """Return when this waiter is at the head and its time has come."""
        is_hopeless = False
        try:
            while True:
                with self._lock:
                    found = self._look(state, line, home, waiter)
                if isinstance(found, MemoryPermit):
                    return found
                if found == math.inf:
                    await waiter.turn.wait()
                else:
                    await self._wait_for(waiter.turn, found)
        except RateLimitWaitError:
            is_hopeless = True
            raise
        finally:
            with self._lock:
                line.leave(home, waiter)
                state.wake_heads()
                if is_hopeless:
                    self._wake_the_hopeless(state, self._clock())

    def _look(self, state: _Key, line: _Line, home: object, waiter: _Waiter) -> MemoryPermit | float:
        """Take a permit if it is this waiter's turn, else return seconds to sleep, infinity for until it is woken."""
        waiter.is_woken = False
        if waiter.turn.is_set():
            waiter.turn = anyio.Event()
        now = self._now()
        ahead = line.queues[home].ahead_of(waiter)
        wait = self._wait(state, line, now, ahead, _left(waiter, now))
        if ahead:
            return math.inf
        if wait > 0:
            return min(wait, _LOOK_AGAIN)
        rival = state.rival(waiter, home, now)
        if rival is None or not (rival[0] is home or waiter.is_patient):
            return state.permit(self, line, now)
        _wake(*rival, home)
        if rival[0] is home:
            return math.inf
        waiter.is_patient = False
        return _COURTESY

    def _wait(self, state: _Key, line: _Line, now: float, ahead: int, max_wait: float | None) -> float:
        """Return seconds to wait with `ahead` others before, or less; raise if it is too long."""
        wait = line.wait(now, ahead)
        pause = state.pause(now)
        if pause > wait:  # noqa: PLR1730 - as above
            wait = pause
        if wait > 0 and (why := self._too_long(line, now, wait, pause, max_wait)):
            raise too_long_a_wait(wait, why)
        return wait

    def _too_long(self, line: _Line, now: float, wait: float, pause: float, max_wait: float | None) -> str | None:
        """Say why a wait is too long, if it is."""
        return why_too_long(wait, pause, lambda: line.wait(now, 0), max_wait=max_wait, max_pause=self._max_pause)

    def _settle(self, permit: MemoryPermit, allowances: Sequence[Allowance], retry_after: float | None) -> None:
        with self._lock:
            now = self._now()
            state = self._return(permit, now, refused=retry_after is not None)
            if state is None:
                return
            if not allowances and retry_after is None and state.probe is None:
                return  # nobody's wait is shorter for it
            outlooks = state.learn(permit, allowances, now)
            if retry_after is not None:
                state.pause_for(retry_after, now)
            was_probe = state.probe == permit.number
            if was_probe:
                state.probe = None
            if state.someone_waits() and (was_probe or retry_after is not None or outlooks - {Outlook.SAME}):
                state.wake_heads()
                if retry_after is not None or Outlook.WORSE in outlooks:
                    self._wake_the_hopeless(state, now)

    def _return(self, permit: MemoryPermit, now: float, *, refused: bool = False) -> _Key | None:
        """Send a permit's tokens on their way back; return its key the first time."""
        state, permit.key = permit.key, None
        if state is not None:
            for window in permit.windows:
                window.settle(now, refused=refused)
        return state

    def _give_back(self, permit: MemoryPermit) -> None:
        with self._lock:
            state, permit.key = permit.key, None
            if state is None:
                return
            for window in permit.windows:
                window.give_back()
            if state.probe == permit.number:
                state.probe, state.must_probe = None, True
            state.wake_heads()

    def _lose(self, permit: MemoryPermit) -> None:
        """Note that nobody can settle a permit; this may be in the middle of any step."""
        self._lost.append((permit, self._clock()))

    def _now(self) -> float:
        """Return the time, with all done that was to be done until then."""
        now = self._clock()
        if self._lost:
            self._settle_lost()
        if now >= self._next_sweep or self._to_sweep:
            self._sweep(now)
        return now

    def _settle_lost(self) -> None:
        while self._lost:
            permit, lost_at = self._lost.popleft()
            state = self._return(permit, lost_at)
            if state is not None and state.probe == permit.number:
                state.probe = None

    def _wake_the_hopeless(self, state: _Key, now: float) -> None:
        """Make those look again whose wait is the first to be too long, if it is."""
        pause, here = state.pause(now), _here()
        for line in state.lines:
            for home, queue in line.queues.items():
                for waiter in queue.likely_hopeless():
                    wait = max(line.wait(now, queue.ahead_of(waiter)), pause)
                    if self._too_long(line, now, wait, pause, _left(waiter, now)):
                        _wake(home, waiter, here)

    def _sweep(self, now: float) -> None:
        """Forget the keys that would be the same if they were made anew, some at a time."""
        if now >= self._next_sweep:
            self._next_sweep = now + _SWEEP_EVERY
            self._to_sweep = list(self._keys)
        for key in self._to_sweep[-_SWEPT_AT_ONCE:]:
            state = self._keys.get(key)
            if state is None:
                continue
            if state.is_idle(now):
                del self._keys[key]
            elif state.someone_waits():
                state.wake_heads()  # if their loops still run
        del self._to_sweep[-_SWEPT_AT_ONCE:]


def _left(waiter: _Waiter, now: float) -> float | None:
    return None if waiter.give_up is None else max(0.0, waiter.give_up - now)


def _rounded(seconds: float) -> str:
    return f"{round(seconds, 2):g}"
