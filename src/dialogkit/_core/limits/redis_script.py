"""How `RedisRateLimiter` talks with Redis: one Lua script, and what its answers mean."""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.limits.terms import Allowance, Key, RateLimit
from dialogkit._core.limits.window import extents_of
from dialogkit._core.support.redis import RedisClient, registered

_SCRIPT: Final = "shared.lua"
_MICROSECONDS: Final = 1_000_000
_MISSING: Final = "RedisRateLimiter needs the package redis: install dialogkit[redis]"
_PASSING: Final = re.compile(r"\b(LOADING|READONLY|OOM|BUSY|MISCONF|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS)\b")
"""Redis's words for what passes by itself; before Redis 7, errors in scripts have them in the middle of a sentence."""
_LATE: Final = 1.2
"""If the timeout ends later than that many timeouts, this process was busy with other things and read no answer."""
_LONGEST_REASON: Final = 200
_LONGEST: Final = 1e9
"""Seconds; more would not fit Lua's numbers as microseconds."""


class Outage(Exception):  # noqa: N818 - not an error but news
    """Redis cannot be asked at the moment; `str()` says why."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The permit is there."""

    number: int
    """When it was given, in microseconds of Redis's clock."""
    marks: tuple[int, ...]
    """What `learn` has to know of each window."""


@dataclass(frozen=True, slots=True)
class Refused:
    """There is none at the moment. All numbers are seconds, and the least that they can be."""

    wait: float
    pause: float
    first: float
    """What the wait would be if nobody stood before."""


@dataclass(frozen=True, slots=True)
class Extents:
    """The windows of some limits, as the script wants them."""

    ids: tuple[str, ...]
    text: str


@lru_cache(maxsize=256)
def encoded(limits: tuple[RateLimit, ...]) -> Extents:
    """Return the windows of `limits`."""
    extents = dict.fromkeys(extent for limit in limits for extent in extents_of(limit))
    rows = [(each.limit, _microseconds(each.per), math.ceil(each.away * _MICROSECONDS), each.name) for each in extents]
    ids = tuple(f"{limit}/{per} {name}" for limit, per, _, name in rows)
    return Extents(ids, json.dumps([(*row, number) for row, number in zip(rows, ids, strict=True)]))


def source() -> str:
    """Return the script."""
    return (files(__name__.rpartition(".")[0]) / _SCRIPT).read_text("utf-8")


def name_of(key: Key) -> str:
    """Return `key` as one text; no two keys have the same."""
    return ":".join(quote(part, safe="", errors="surrogatepass") for part in key)


class Report:
    """What became of a permit.

    Args:
        id: Of the permit.
        granted: What was told when it was given; `None` when nobody knows whether it was.
        extents: Its windows.
        allowances: See `Permit.settle`.
        retry_after: See `Permit.settle`.
    """

    __slots__ = ("_allowances", "_extents", "_granted", "_retry_after", "_since", "id")

    def __init__(
        self,
        id: str,  # noqa: A002 - it is one
        granted: Granted | None,
        extents: Extents,
        allowances: Sequence[Allowance] = (),
        retry_after: float | None = None,
    ) -> None:
        self.id = id
        self._granted = granted
        self._extents = extents
        self._allowances = allowances
        self._retry_after = retry_after
        self._since = time.monotonic()

    @property
    def is_news(self) -> bool:
        """Say whether those who wait should look again at once."""
        return self._granted is None or self._retry_after is not None

    @property
    def age(self) -> float:
        """Seconds since it became known."""
        return time.monotonic() - self._since

    def row(self) -> tuple[object, ...]:
        """Return it as the script wants it."""
        if self._granted is None:
            return (self.id, "released", 0, 0, {}, ())
        pause = 0
        if self._retry_after is not None:  # it may have taken its time to get here, as Redis was out
            pause = _microseconds(self._retry_after - self.age)
        told = [
            (
                each.limit,
                _microseconds(each.per),
                each.remaining,
                -1 if each.resets_in is None else _microseconds(each.resets_in),
            )
            for each in self._allowances
        ]
        marks = dict(zip(self._extents.ids, self._granted.marks, strict=True)) if told else {}
        how = "settled" if self._retry_after is None else "refused"
        return (self.id, how, pause, self._granted.number, marks, told)


Unanswered: TypeAlias = Callable[[], None]


class SharedState:
    """The state in Redis.

    Args:
        redis: The client.
        prefix: What the names of all keys begin with.
        timeout: Seconds for one command.
        lease: Seconds after which a permit that nobody settles ends by itself.

    Raises:
        ConfigurationError: The package redis is missing, or `redis` is no asyncio client.
    """

    def __init__(self, redis: RedisClient, *, prefix: str, timeout: float, lease: float) -> None:
        try:
            from redis import exceptions  # noqa: PLC0415 - an extra, which not everyone has
        except ImportError:
            raise ConfigurationError(_MISSING) from None
        self._script = registered("RedisRateLimiter", redis, source())
        self._prefix = prefix
        self._timeout = timeout
        self._lease = _microseconds(lease)
        self._left_alone: set[asyncio.Future[Any]] = set()
        self._refusals = (exceptions.AuthenticationError, exceptions.AuthorizationError, exceptions.NoPermissionError)
        self._outages = (
            exceptions.ConnectionError,
            exceptions.TimeoutError,
            exceptions.ReadOnlyError,
            exceptions.OutOfMemoryError,
            exceptions.ClusterError,
            exceptions.ClusterDownError,
            exceptions.MasterDownError,
            exceptions.TryAgainError,
            asyncio.TimeoutError,
            OSError,
        )
        self._errors = exceptions.RedisError

    async def acquire(
        self, key: Key, extents: Extents, id_: str, *, ahead: int, unanswered: Unanswered
    ) -> Granted | Refused:
        """Ask for a permit, or with an empty id how long the wait would be.

        Args:
            key: The limiter's key.
            extents: The windows.
            id_: The permit's id.
            ahead: How many stand before who asks.
            unanswered: Is called when nobody will ever know the answer, once it can do no more harm.

        Raises:
            Outage: Redis cannot be asked.
            ConfigurationError: Redis will not have it.
        """
        reply = await self._run(key, ("acquire", extents.text, id_, self._lease, ahead), unanswered)
        if reply[0] == 1:
            return Granted(reply[1], tuple(reply[2:]))
        return Refused(*(each / _MICROSECONDS for each in reply[1:]))

    async def report(self, key: Key, reports: Sequence[Report]) -> None:
        """Tell what became of permits; to tell it twice does no harm. Raises as `acquire` does."""
        await self._run(key, ("report", json.dumps([each.row() for each in reports])), _nothing)

    async def aclose(self) -> None:
        """Wait for the commands whose callers have gone."""
        while self._left_alone:
            await asyncio.wait(self._left_alone)

    async def _run(self, key: Key, arguments: tuple[str | int, ...], unanswered: Unanswered) -> list[int]:
        command = asyncio.ensure_future(self._script(keys=[self._prefix + name_of(key)], args=arguments))
        began = time.monotonic()
        try:
            await asyncio.wait((command,), timeout=self._timeout)
            if not command.done() and time.monotonic() - began > _LATE * self._timeout:
                await asyncio.wait((command,), timeout=self._timeout)
            if command.done():
                reply: list[int] = command.result()
                return reply
        except asyncio.CancelledError:
            # Were it cancelled, too, the connection would be lost, and what is then said on another one might overtake
            # what was said on this.
            self._leave(command, self._timeout, unanswered)
            raise
        except self._refusals as exc:
            raise ConfigurationError(f"Redis refuses the rate limiter: {_reason(exc)}") from None
        except self._outages as exc:
            asyncio.get_running_loop().call_soon(unanswered)  # when it is known that Redis is out
            raise Outage(_reason(exc)) from None
        except self._errors as exc:
            if not _PASSING.search(str(exc)):
                raise ConfigurationError(f"the rate limiter cannot work with this Redis: {_reason(exc)}") from exc
            raise Outage(_reason(exc)) from None
        self._leave(command, 0, unanswered)
        raise Outage(f"no answer within {self._timeout:g} s")

    def _leave(self, command: asyncio.Future[Any], seconds: float, unanswered: Unanswered) -> None:
        """Let a command end without its caller."""

        def ended(command: asyncio.Future[Any]) -> None:
            timer.cancel()
            self._left_alone.discard(command)
            if not command.cancelled():
                command.exception()  # looked at, so that asyncio does not complain
            unanswered()

        self._left_alone.add(command)
        timer = asyncio.get_running_loop().call_later(seconds, command.cancel)
        command.add_done_callback(ended)


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())[:_LONGEST_REASON]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _microseconds(seconds: float) -> int:
    return max(0, round(min(seconds, _LONGEST) * _MICROSECONDS))


def _nothing() -> None:
    pass
