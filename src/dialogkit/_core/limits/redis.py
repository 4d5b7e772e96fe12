"""The rate limiter that several processes share, through Redis.

Theory of operation
    The state and all arithmetic live in Redis: one Lua script (`shared.lua`) that takes a token of every window or
    none, on Redis's own clock, so that the clocks of the processes do not matter. A token in flight belongs to a permit
    with a lease; what becomes of permits is reported in the background, many at once when there are many. In each
    process its own callers stand in line, so that only the head of a line asks Redis.

    Redis may go, come back as it was, or come back empty. So a process also counts its own requests in windows in
    memory, and takes a token there before it asks Redis for one. Hence these invariants:

    1.  One process never exceeds a limit, whatever Redis does (unless it is told to send without a limit then).
    2.  All processes together never exceed it while Redis is there and remembers.
    3.  Tokens that a process took while Redis was out are told as soon as it is back, before the process takes another.
    4.  A state in Redis that is new has lost what was: the script compares when it was made with what the process
        knows, gives no permit before the process has told of all its tokens, and none to anybody for a little more
        than a second, in which all speak that have someone in line. What is lacking then are the tokens of processes
        that hold some and want none; by so many the limit may be exceeded, at most.

    What is told is told under an id, by which Redis knows it if the first answer was lost.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Literal, TypeAlias, get_args

from dialogkit._core.errors import ConfigurationError, RateLimitWaitError
from dialogkit._core.limits.memory import MemoryPermit, MemoryRateLimiter, too_long_a_wait, why_too_long
from dialogkit._core.limits.queues import Queue
from dialogkit._core.limits.redis_script import (
    Extents,
    Granted,
    Refused,
    Report,
    SharedState,
    Tokens,
    Unfamiliar,
    encoded,
)
from dialogkit._core.limits.terms import Allowance, Key, KeyState, Permit, RateLimit, WindowState
from dialogkit._core.limits.window import Extent, Window
from dialogkit._core.support.callbacks import logger
from dialogkit._core.support.checks import is_duration, is_positive
from dialogkit._core.support.redis import RedisAccess, RedisClient, RedisOutage

OnOutage: TypeAlias = Literal["local", "fail", "open"]
_CONSEQUENCES: Final = {
    "local": "this process keeps below the limits by itself",
    "fail": "calls fail",
    "open": "calls are sent without a limit",
}
_LOOK_AGAIN: Final = 1.0
"""Seconds after which a head of a line asks anew: what the wait was for may have gone before, as when a process has
given a permit back unused."""
_MOST_REPORTED: Final = 100
"""Reports in one call, so that no call keeps Redis busy for long."""


class _Waiter:
    """Someone in a line."""

    __slots__ = ("_turn", "give_up", "is_trial", "place", "wants_to_know")

    def __init__(self, give_up: float | None, *, is_trial: bool) -> None:
        self.give_up = give_up
        self.place = 0
        self.is_trial = is_trial
        """Whether this one tries if Redis is back."""
        self.wants_to_know = give_up is not None
        """Whether to ask how long the wait is, though it is not this one's turn."""
        self._turn: asyncio.Future[None] | None = None

    def left(self) -> float | None:
        """Return how many seconds the call has left."""
        return None if self.give_up is None else max(0.0, self.give_up - asyncio.get_running_loop().time())

    def wake(self) -> None:
        """End `sleep`."""
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    async def sleep(self, seconds: float | None) -> None:
        """Wait until woken, or for so many seconds."""
        loop = asyncio.get_running_loop()
        self._turn = loop.create_future()
        alarm = None if seconds is None else loop.call_later(seconds, self.wake)
        try:
            await self._turn
        finally:
            self._turn = None
            if alarm is not None:
                alarm.cancel()


class _Key:
    """What this process has to do with one key."""

    __slots__ = ("batch", "flying", "key", "lines", "reporter", "reports", "telling", "untold", "untold_flying")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.lines: dict[tuple[RateLimit, ...], Queue[_Waiter]] = {}
        self.reports: list[Report] = []
        self.reporter: asyncio.Task[None] | None = None
        self.flying: dict[str, Extents] = {}
        """Permits in flight that Redis knows."""
        self.untold_flying: dict[str, Extents] = {}
        """Permits in flight that it does not, as it was out."""
        self.untold: dict[Extent, Window] = {}
        """All tokens that it does not know, in flight or on their way back."""
        self.batch: tuple[Tokens, int] | None = None
        """What is being told, and to the state that was born when: it is told again until Redis has answered."""
        self.telling = asyncio.Lock()

    def take_untold(self, id_: str, extents: Extents) -> None:
        """Note a permit that Redis does not know."""
        self.untold_flying[id_] = extents
        for extent in extents.windows:
            if extent not in self.untold:
                self.untold[extent] = Window(extent)
            self.untold[extent].take()

    def settle_untold(self, id_: str, now: float) -> bool:
        """Note that such a permit is settled; return `False` if it is none."""
        extents = self.untold_flying.pop(id_, None)
        for extent in () if extents is None else extents.windows:
            self.untold[extent].settle(now)
        return extents is not None

    def tell_untold(self) -> Tokens:
        """Return what Redis does not know, which is regarded as known from now on."""
        coming = tuple((extent, window.returning()) for extent, window in self.untold.items())
        tokens = Tokens(_new_id(), coming, tuple(self.untold_flying.items()))
        self._all_told()
        return tokens

    def tell_all(self, coming: Sequence[tuple[Extent, tuple[tuple[float, int], ...]]]) -> Tokens:
        """Return all that this process holds, for a Redis that knows nothing of it."""
        self._all_told()
        return Tokens(_new_id(), tuple(coming), tuple(self.flying.items()))

    def _all_told(self) -> None:
        self.flying |= self.untold_flying
        self.untold_flying.clear()
        self.untold.clear()

    def is_idle(self, now: float) -> bool:
        busy = self.lines or self.reports or self.reporter or self.batch or self.flying
        return not busy and all(window.is_idle(now) for window in self.untold.values())


class _RedisPermit:
    __slots__ = ("_id", "_inner", "_limiter", "_state")

    def __init__(self, limiter: RedisRateLimiter, state: _Key, id_: str, inner: MemoryPermit) -> None:
        self._limiter: RedisRateLimiter | None = limiter
        self._state = state
        self._id = id_
        self._inner = inner

    def settle(self, allowances: Sequence[Allowance] = (), retry_after: float | None = None) -> None:
        limiter, self._limiter = self._limiter, None
        if limiter is not None:
            limiter._settle(self._state, self._id, self._inner, allowances, retry_after)  # noqa: SLF001 - its other half

    def __del__(self) -> None:
        # Whoever was cancelled in the very moment in which the permit was handed over cannot settle it.
        self.settle()


class _FreePermit:
    """The right to send without a limit."""

    __slots__ = ()

    def settle(self, allowances: Sequence[Allowance] = (), retry_after: float | None = None) -> None:
        pass


class _Health:
    """Whether Redis answers."""

    def __init__(self, on_outage: OnOutage, retry_every: float) -> None:
        self._on_outage = on_outage
        self._retry_every = retry_every
        self._since = 0.0
        self._next_trial = 0.0
        self.reason: str | None = None
        """Why Redis cannot be asked; `None` while it can."""

    def may_try(self) -> bool:
        """Say whether it is time for one call to try again; the next one will be told `False`."""
        now = asyncio.get_running_loop().time()
        if self.reason is None or now < self._next_trial:
            return False
        self._next_trial = now + self._retry_every
        return True

    def is_out(self, outage: RedisOutage) -> None:
        """Take note that Redis did not answer."""
        now = asyncio.get_running_loop().time()
        self._next_trial = now + self._retry_every
        if self.reason is None:
            self._since = now
            logger.warning(
                "The rate limiter cannot ask Redis (%s): until it can, %s", outage, _CONSEQUENCES[self._on_outage]
            )
        self.reason = str(outage)

    def is_back(self) -> bool:
        """Take note that Redis answered, and say whether it did not before."""
        if self.reason is None:
            return False
        seconds = asyncio.get_running_loop().time() - self._since
        logger.info("The rate limiter can ask Redis again, after %.1f s", seconds)
        self.reason = None
        return True


class RedisRateLimiter:
    """Keeps the requests of all processes that share a Redis below their limits. Needs the extra `redis`, and asyncio.

    Limits are counted as `MemoryRateLimiter` counts them, and for all processes together: clients with the same
    credential (and location) share its limits, wherever they run, if the prefix is the same. Who waits in one process
    is served first come, first served; between processes, whoever asks first when a token is there. Platforms' answers
    narrow the limits for all; of a window of another length than any limit's, such as the day, it is kept that nothing
    is left of it, until it begins anew.

    A permit takes one call to Redis, and one more in the background once its answer has come. The state of a key is one
    Redis key of a few kilobytes, which goes by itself when it is no longer needed.

    While Redis does not answer, `on_outage` decides. `"local"`: each process keeps below the limits by itself, so that
    several may exceed them together. `"fail"`: calls fail with `RateLimitWaitError`. `"open"`: calls are sent without a
    limit. This is logged when it begins and when it ends. One process never exceeds a limit, whether Redis goes, comes
    back as it was, or comes back empty; when it is back, each process tells it of the requests that it does not know,
    before it sends another.

    Args:
        redis: A `redis.asyncio.Redis` or `RedisCluster`. It stays yours to close.
        limits: What to keep below, in place of what the client asks for.
        prefix: What the names of all Redis keys begin with.
        on_outage: What to do while Redis does not answer.
        timeout: Seconds for one command, with whatever retries the Redis client makes; Redis is out if it takes longer.
        retry_every: Seconds after which one call tries if Redis is back.
        max_pause: Seconds; see `MemoryRateLimiter`.
        lease: Seconds after which a permit counts as settled by itself, since its process must have died. No attempt
            may take longer.

    Raises:
        ConfigurationError: An argument makes no sense, or the package redis is missing.
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        limits: Sequence[RateLimit] | None = None,
        prefix: str = "dialogkit:rate-limit:",
        on_outage: OnOutage = "local",
        timeout: float = 1.0,
        retry_every: float = 5.0,
        max_pause: float = 90.0,
        lease: float = 300.0,
    ) -> None:
        for name, value in (("timeout", timeout), ("retry_every", retry_every), ("lease", lease)):
            if not (is_positive(value) and is_duration(value)):
                raise ConfigurationError(f"{name} must be a positive number of seconds, not {value!r}")
        if on_outage not in get_args(OnOutage):
            raise ConfigurationError(f"on_outage must be local, fail or open, not {on_outage!r}")
        self._access = RedisAccess("RedisRateLimiter")
        self._local = MemoryRateLimiter(limits=limits, max_pause=max_pause)  # checks max_pause
        self._redis = SharedState(self._access, redis, prefix=prefix, timeout=timeout, lease=lease)
        self._lease = lease
        self._limits = None if limits is None else tuple(limits)
        self._on_outage = on_outage
        self._max_pause = max_pause
        self._health = _Health(on_outage, retry_every)
        self._keys: dict[Key, _Key] = {}

    async def acquire(self, key: Key, limits: Sequence[RateLimit], /, *, max_wait: float | None) -> Permit:
        """Wait for a permit under all `limits` at once; see `RateLimiter.acquire`.

        Raises:
            RateLimitWaitError: The wait is known to be longer, or Redis is out and `on_outage` is `"fail"`.
            ConfigurationError: Redis refuses the credentials or the script, or this is another event loop.
        """
        now = self._access.own_loop().time()
        limits = self._limits or tuple(limits)
        waiter = _Waiter(None if max_wait is None else now + max_wait, is_trial=self._health.may_try())
        while True:
            if self._health.reason is None or waiter.is_trial:
                try:
                    return await self._stand_in_line(key, limits, waiter)
                except RedisOutage:
                    waiter.is_trial = False
            permit = await self._without_redis(key, limits, waiter)
            if permit is not None:
                return permit

    async def snapshot(self) -> tuple[KeyState, ...]:
        """Return how each key stands that this process used lately, to show it or to measure it.

        What is free is counted for all processes, who waits is counted in this one. While Redis is out, all is as this
        process knows it.

        Raises:
            ConfigurationError: Redis refuses, or this is another event loop.
        """
        self._access.own_loop()
        return tuple([await self._shown(local) for local in self._local.snapshot()])

    async def aclose(self) -> None:
        """Wait until Redis has been told of all permits, for the timeout at most. The Redis client stays open."""
        for state in list(self._keys.values()):
            self._start_reporter(state)
        while reporters := [state.reporter for state in self._keys.values() if state.reporter is not None]:
            await asyncio.wait(reporters)
        await self._redis.aclose()

    async def _shown(self, local: KeyState) -> KeyState:
        state = self._keys.get(local.key)
        standing = 0 if state is None else sum(map(len, state.lines.values()))
        extents = encoded(self._local.state_of(local.key).limits())
        try:
            paused, counts = await self._redis.show(local.key, extents)
        except RedisOutage:
            return replace(local, waiting=local.waiting + standing)
        windows = [
            WindowState(limit=limit, per=extent.per, name=extent.name, free=free)
            for extent, (limit, free) in zip(extents.windows, counts, strict=True)
        ]
        return KeyState(key=local.key, waiting=local.waiting + standing, paused_for=paused, windows=tuple(windows))

    def _state(self, key: Key) -> _Key:
        state = self._keys.get(key)
        if state is None:
            state = self._keys[key] = _Key(key)
        return state

    async def _without_redis(self, key: Key, limits: tuple[RateLimit, ...], waiter: _Waiter) -> Permit | None:
        """Do what is to be done while Redis is out; return `None` if it is back meanwhile."""
        if self._on_outage == "open":
            return _FreePermit()
        if self._on_outage == "fail":
            message = f"the rate limiter cannot ask Redis ({self._health.reason}), and its on_outage is 'fail'"
            raise RateLimitWaitError(message, operation="", wait=0.0)
        inner = await self._local.acquire(key, limits, max_wait=waiter.left())
        if self._health.reason is None:
            inner.give_back()
            return None
        state, id_ = self._state(key), _new_id()
        state.take_untold(id_, encoded(limits))
        return _RedisPermit(self, state, id_, inner)

    async def _stand_in_line(self, key: Key, limits: tuple[RateLimit, ...], waiter: _Waiter) -> Permit:
        state = self._state(key)
        line = state.lines.setdefault(limits, Queue())
        line.join(waiter)
        is_hopeless = False
        try:
            return await self._take_turn(state, line, limits, waiter)
        except RateLimitWaitError:
            is_hopeless = True
            raise
        finally:
            line.leave(waiter)
            if line:
                line.head.wake()
                if is_hopeless:
                    self._wake_the_hopeless(line, math.inf)
            else:
                del state.lines[limits]
                self._forget_if_idle(state)

    async def _take_turn(
        self, state: _Key, line: Queue[_Waiter], limits: tuple[RateLimit, ...], waiter: _Waiter
    ) -> Permit:
        while True:
            is_head = line.head is waiter
            if is_head or waiter.wants_to_know:
                waiter.wants_to_know = False
                ahead = line.ahead_of(waiter)
                found = await (
                    self._try(state, limits, waiter) if is_head else self._look(state, limits, waiter, ahead)
                )
                if not isinstance(found, Refused):
                    return found
                wait = self._checked(found, waiter.left())
                if is_head:
                    self._wake_the_hopeless(line, wait)
                    await waiter.sleep(min(wait, _LOOK_AGAIN))
                    continue
            if line.head is not waiter:
                await waiter.sleep(None)

    async def _try(self, state: _Key, limits: tuple[RateLimit, ...], waiter: _Waiter) -> Permit | Refused:
        """Take a token of this process, then one of Redis."""
        self._check_health(waiter)
        inner = self._local.take(state.key, limits)
        if not isinstance(inner, MemoryPermit):
            if waiter.is_trial:
                await self._ask(state, limits, waiter)  # which finds out if Redis is back
            return Refused(0, inner, 0.0, inner)
        id_ = _new_id()
        try:
            answer = await self._ask(state, limits, waiter, id_=id_)
        except BaseException:
            inner.give_back()
            raise
        if isinstance(answer, Refused):
            inner.give_back()
            return answer
        state.flying[id_] = encoded(limits)
        return _RedisPermit(self, state, id_, inner)

    async def _look(self, state: _Key, limits: tuple[RateLimit, ...], waiter: _Waiter, ahead: int) -> Refused:
        """Ask how long the wait is."""
        answer = await self._ask(state, limits, waiter, ahead=ahead)
        return answer if isinstance(answer, Refused) else Refused(answer.born, 0.0, 0.0, 0.0)

    async def _ask(
        self, state: _Key, limits: tuple[RateLimit, ...], waiter: _Waiter, *, id_: str = "", ahead: int = 0
    ) -> Granted | Refused:
        self._check_health(waiter)
        unanswered: Callable[[], None] = lambda: self._report(state, Report(id_, sent=False))  # noqa: E731
        known = self._local.state_of(state.key)
        try:
            await self._tell(state, waiter)
            while True:
                answer = await self._redis.acquire(
                    state.key,
                    encoded(limits),
                    id_,
                    ahead=ahead,
                    born=known.born,
                    holds=bool(state.flying) or known.is_returning(),
                    unanswered=unanswered,
                )
                if not isinstance(answer, Unfamiliar):
                    break
                await self._tell(state, waiter, new=answer.born)
        except RedisOutage as exc:
            self._is_out(exc)
            raise
        known.born = answer.born
        self._is_back()
        return answer

    def _check_health(self, waiter: _Waiter | None) -> None:
        """Raise if Redis has gone out since this one stands in line, unless it is the one who tries."""
        if self._health.reason is not None and not (waiter is not None and waiter.is_trial):
            raise RedisOutage(self._health.reason)

    async def _tell(self, state: _Key, waiter: _Waiter | None = None, *, new: int | None = None) -> None:
        """Tell Redis of the tokens that it does not know: all of them, if its state is a new one."""
        async with state.telling:
            self._check_health(waiter)
            known = self._local.state_of(state.key)
            if new is not None and new != known.born:
                state.batch = state.tell_all(known.returning()), new
            while state.batch is not None or state.untold:
                tokens, born = state.batch = state.batch or (state.tell_untold(), known.born)
                answer = await self._redis.tell(state.key, tokens, born=born)
                state.batch = None
                if isinstance(answer, Unfamiliar):
                    state.batch = state.tell_all(known.returning()), answer.born
                else:
                    known.born = answer.born

    def _checked(self, answer: Refused, max_wait: float | None) -> float:
        """Return seconds to wait, or less; raise if it is too long."""
        wait = max(answer.wait, answer.pause)
        why = why_too_long(wait, answer.pause, lambda: answer.first, max_wait=max_wait, max_pause=self._max_pause)
        if why and wait > 0:
            raise too_long_a_wait(wait, why)
        return wait

    def _wake_the_hopeless(self, line: Queue[_Waiter], least: float) -> None:
        """Make those ask how long the wait is for whom it is the first to be too long, if it may be."""
        for waiter in line.likely_hopeless():
            left = waiter.left()
            if waiter is not line.head and left is not None and left < least:
                waiter.wants_to_know = True
                waiter.wake()

    def _is_out(self, outage: RedisOutage) -> None:
        self._health.is_out(outage)
        for state in self._keys.values():
            for line in state.lines.values():
                line.head.wake()  # and when it has left, the next one

    def _is_back(self) -> None:
        if self._health.is_back():
            for state in list(self._keys.values()):
                self._start_reporter(state)
                self._forget_if_idle(state)

    def _settle(
        self,
        state: _Key,
        id_: str,
        inner: MemoryPermit,
        allowances: Sequence[Allowance],
        retry_after: float | None,
    ) -> None:
        """Note in this process that a permit is settled, and tell Redis what it should know of that."""
        state.flying.pop(id_, None)
        is_untold = state.settle_untold(id_, time.monotonic())
        # What the answer tells of others' use is told to Redis, which knows the other processes; else it is kept here.
        inner.settle(allowances if is_untold else (), retry_after)
        if not is_untold or retry_after is not None:
            self._report(state, Report(id_, allowances, retry_after))

    def _report(self, state: _Key, report: Report) -> None:
        """Tell Redis, soon, what has become of a permit."""
        if not report.id or not self._access.is_own_loop():
            return  # a permit was lost when all is over: its lease ends it
        state = self._keys.setdefault(state.key, state)
        while state.reports and state.reports[0].age > self._lease:  # it has ended that permit
            del state.reports[0]
        state.reports.append(report)
        if self._health.reason is None:
            self._start_reporter(state)

    def _start_reporter(self, state: _Key) -> None:
        if (state.reports or state.untold or state.batch) and state.reporter is None:
            state.reporter = asyncio.get_running_loop().create_task(self._report_all(state))

    async def _report_all(self, state: _Key) -> None:
        try:
            await self._tell(state)
            while state.reports:
                told, state.reports = state.reports[:_MOST_REPORTED], state.reports[_MOST_REPORTED:]
                try:
                    await self._redis.report(state.key, told)
                except RedisOutage:
                    state.reports = told + state.reports  # for when Redis is back
                    raise
                self._is_back()
                if any(report.is_news for report in told):
                    for line in state.lines.values():
                        line.head.wake()
        except RedisOutage as exc:
            self._is_out(exc)
        except ConfigurationError as exc:
            state.reports.clear()
            logger.error("The rate limiter could not report to Redis: %s", exc)
        finally:
            state.reporter = None
            self._forget_if_idle(state)

    def _forget_if_idle(self, state: _Key) -> None:
        if state.is_idle(time.monotonic()) and self._keys.get(state.key) is state:
            del self._keys[state.key]


def _new_id() -> str:
    return secrets.token_urlsafe(9)
