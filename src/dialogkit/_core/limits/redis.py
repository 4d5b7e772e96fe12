"""The rate limiter that several processes share, through Redis.

The state and all arithmetic live in Redis: one Lua script (`shared.lua`) that takes a token of every window or none, on
Redis's own clock, so that the clocks of the processes do not matter. Here is what a process adds: its own callers stand
in line, so that only the head of a line asks Redis, and what has become of permits is reported in the background, many
at once when there are many.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias, get_args

from dialogkit._core.errors import ConfigurationError, RateLimitWaitError
from dialogkit._core.limits.memory import MemoryRateLimiter, too_long_a_wait, why_too_long
from dialogkit._core.limits.redis_script import (
    Extents,
    Granted,
    Outage,
    Refused,
    Report,
    SharedState,
    encoded,
)
from dialogkit._core.limits.terms import Allowance, Key, Permit, RateLimit
from dialogkit._core.support.callbacks import logger
from dialogkit._core.support.checks import is_duration, is_positive
from dialogkit._core.support.redis import RedisClient

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

    __slots__ = ("_turn", "give_up", "is_trial", "wants_to_know")

    def __init__(self, give_up: float | None, *, is_trial: bool) -> None:
        self.give_up = give_up
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

    __slots__ = ("key", "lines", "reporter", "reports")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.lines: dict[tuple[RateLimit, ...], list[_Waiter]] = {}
        self.reports: list[Report] = []
        self.reporter: asyncio.Task[None] | None = None

    def is_idle(self) -> bool:
        return not self.lines and not self.reports and self.reporter is None


class _RedisPermit:
    __slots__ = ("_extents", "_granted", "_id", "_limiter", "_state")

    def __init__(self, limiter: RedisRateLimiter, state: _Key, id_: str, granted: Granted, extents: Extents) -> None:
        self._limiter: RedisRateLimiter | None = limiter
        self._state = state
        self._id = id_
        self._granted = granted
        self._extents = extents

    def settle(self, allowances: Sequence[Allowance] = (), retry_after: float | None = None) -> None:
        limiter, self._limiter = self._limiter, None
        if limiter is not None:
            report = Report(self._id, self._granted, self._extents, tuple(allowances), retry_after)
            limiter._report(self._state, report)  # noqa: SLF001 - its other half

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

    def is_out(self, outage: Outage) -> None:
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
    narrow the limits for all; what they tell of a window of another length than any limit's is ignored.

    A permit takes one call to Redis, and one more in the background once its answer has come. The state of a key is one
    Redis key of a few kilobytes, which goes by itself when it is no longer needed.

    While Redis does not answer, `on_outage` decides. `"local"`: each process keeps below the limits by itself, so that
    several may exceed them together. `"fail"`: calls fail with `RateLimitWaitError`. `"open"`: calls are sent without a
    limit. This is logged when it begins and when it ends.

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
        self._local = MemoryRateLimiter(limits=limits, max_pause=max_pause)  # checks max_pause
        self._redis = SharedState(redis, prefix=prefix, timeout=timeout, lease=lease)
        self._lease = lease
        self._limits = None if limits is None else tuple(limits)
        self._on_outage = on_outage
        self._max_pause = max_pause
        self._health = _Health(on_outage, retry_every)
        self._keys: dict[Key, _Key] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def acquire(self, key: Key, limits: Sequence[RateLimit], /, *, max_wait: float | None) -> Permit:
        """Wait for a permit under all `limits` at once; see `RateLimiter.acquire`.

        Raises:
            RateLimitWaitError: The wait is known to be longer, or Redis is out and `on_outage` is `"fail"`.
            ConfigurationError: Redis refuses the credentials or the script, or this is another event loop.
        """
        now = self._own_loop().time()
        is_trial = self._health.may_try()
        waiter = _Waiter(None if max_wait is None else now + max_wait, is_trial=is_trial)
        if self._health.reason is None or is_trial:
            try:
                return await self._stand_in_line(key, self._limits or tuple(limits), waiter)
            except Outage:
                pass
        if self._on_outage == "open":
            return _FreePermit()
        if self._on_outage == "fail":
            message = f"the rate limiter cannot ask Redis ({self._health.reason}), and its on_outage is 'fail'"
            raise RateLimitWaitError(message, operation="", wait=0.0)
        return await self._local.acquire(key, limits, max_wait=waiter.left())

    async def aclose(self) -> None:
        """Wait until Redis has been told of all permits, for the timeout at most. The Redis client stays open."""
        for state in list(self._keys.values()):
            self._start_reporter(state)
        while reporters := [state.reporter for state in self._keys.values() if state.reporter is not None]:
            await asyncio.wait(reporters)
        await self._redis.aclose()

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigurationError("RedisRateLimiter works under asyncio only") from None
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise ConfigurationError("this RedisRateLimiter belongs to another event loop: make one for each")
        return loop

    async def _stand_in_line(self, key: Key, limits: tuple[RateLimit, ...], waiter: _Waiter) -> Permit:
        state = self._keys.get(key)
        if state is None:
            state = self._keys[key] = _Key(key)
        line = state.lines.setdefault(limits, [])
        line.append(waiter)
        try:
            return await self._take_turn(state, line, encoded(limits), waiter)
        finally:
            line.remove(waiter)
            if line:
                line[0].wake()
            else:
                del state.lines[limits]
                self._forget_if_idle(state)

    async def _take_turn(self, state: _Key, line: list[_Waiter], extents: Extents, waiter: _Waiter) -> Permit:
        while True:
            is_head = line[0] is waiter
            if is_head or waiter.wants_to_know:
                waiter.wants_to_know = False
                id_ = secrets.token_urlsafe(9) if is_head else ""
                answer = await self._ask(state, extents, id_, waiter, line.index(waiter))
                if isinstance(answer, Granted):
                    return _RedisPermit(self, state, id_, answer, extents)
                wait = self._checked(answer, waiter.left())
                if is_head:
                    self._wake_the_hopeless(line, wait)
                    await waiter.sleep(min(wait, _LOOK_AGAIN))
                    continue
            if line[0] is not waiter:
                await waiter.sleep(None)

    async def _ask(self, state: _Key, extents: Extents, id_: str, waiter: _Waiter, ahead: int) -> Granted | Refused:
        if self._health.reason is not None and not waiter.is_trial:
            raise Outage(self._health.reason)  # since this one stands in line
        unanswered: Callable[[], None] = lambda: self._report(state, Report(id_, None, extents))  # noqa: E731
        try:
            answer = await self._redis.acquire(state.key, extents, id_, ahead=ahead, unanswered=unanswered)
        except Outage as exc:
            self._is_out(exc)
            raise
        self._is_back()
        return answer

    def _checked(self, answer: Refused, max_wait: float | None) -> float:
        """Return seconds to wait, or less; raise if it is too long."""
        wait = max(answer.wait, answer.pause)
        why = why_too_long(wait, answer.pause, lambda: answer.first, max_wait=max_wait, max_pause=self._max_pause)
        if why and wait > 0:
            raise too_long_a_wait(wait, why)
        return wait

    def _wake_the_hopeless(self, line: list[_Waiter], least: float) -> None:
        """Make those ask how long the wait is for whom it is now known to be too long."""
        for waiter in line[1:]:
            left = waiter.left()
            if left is not None and left < least:
                waiter.wants_to_know = True
                waiter.wake()

    def _is_out(self, outage: Outage) -> None:
        self._health.is_out(outage)
        for state in self._keys.values():
            for line in state.lines.values():
                line[0].wake()  # and when it has left, the next one

    def _is_back(self) -> None:
        if self._health.is_back():
            for state in list(self._keys.values()):
                self._start_reporter(state)

    def _report(self, state: _Key, report: Report) -> None:
        """Tell Redis, soon, what has become of a permit."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # a permit was lost when all is over: its lease ends it
        if loop is self._loop and report.id:
            state = self._keys.setdefault(state.key, state)
            while state.reports and state.reports[0].age > self._lease:  # it has ended that permit
                del state.reports[0]
            state.reports.append(report)
            if self._health.reason is None:
                self._start_reporter(state)

    def _start_reporter(self, state: _Key) -> None:
        if state.reports and state.reporter is None:
            state.reporter = asyncio.get_running_loop().create_task(self._tell(state))

    async def _tell(self, state: _Key) -> None:
        try:
            while state.reports:
                told, state.reports = state.reports[:_MOST_REPORTED], state.reports[_MOST_REPORTED:]
                try:
                    await self._redis.report(state.key, told)
                except Outage as exc:
                    state.reports = told + state.reports  # for when Redis is back
                    self._is_out(exc)
                    return
                self._is_back()
                if any(report.is_news for report in told):
                    for line in state.lines.values():
                        line[0].wake()
        except ConfigurationError as exc:
            state.reports.clear()
            logger.error("The rate limiter could not report to Redis: %s", exc)
        finally:
            state.reporter = None
            self._forget_if_idle(state)

    def _forget_if_idle(self, state: _Key) -> None:
        if state.is_idle():
            self._keys.pop(state.key, None)
