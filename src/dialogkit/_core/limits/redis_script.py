"""How `RedisRateLimiter` talks with Redis: one Lua script, and what its answers mean."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from dialogkit._core.limits.terms import Allowance, Key, RateLimit
from dialogkit._core.limits.window import Extent, extents_of
from dialogkit._core.support.redis import RedisAccess, RedisClient, RedisOutage

_SCRIPT: Final = "shared.lua"
_MICROSECONDS: Final = 1_000_000
_LATE: Final = 1.2
"""If the timeout ends later than that many timeouts, this process was busy with other things and read no answer."""
_LONGEST: Final = 1e9
"""Seconds; more would not fit Lua's numbers as microseconds."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The permit is there."""

    born: int
    """When the state in Redis was made: another one than before has lost what was."""


@dataclass(frozen=True, slots=True)
class Refused:
    """There is none at the moment. All numbers are seconds, and the least that they can be."""

    born: int
    wait: float
    pause: float
    first: float
    """What the wait would be if nobody stood before."""


@dataclass(frozen=True, slots=True)
class Unfamiliar:
    """The state in Redis is another one than this process knows."""

    born: int


@dataclass(frozen=True, slots=True)
class Extents:
    """The windows of some limits, as the script wants them."""

    windows: tuple[Extent, ...]
    ids: tuple[str, ...]
    text: str


def _row(extent: Extent) -> tuple[int, int, int, str, str]:
    per = _microseconds(extent.per)
    away = math.ceil(extent.away * _MICROSECONDS)
    return extent.limit, per, away, extent.name, f"{extent.limit}/{per} {extent.name}"


@lru_cache(maxsize=256)
def encoded(limits: tuple[RateLimit, ...]) -> Extents:
    """Return the windows of `limits`."""
    extents = tuple(dict.fromkeys(extent for limit in limits for extent in extents_of(limit)))
    rows = [_row(extent) for extent in extents]
    return Extents(extents, tuple(row[-1] for row in rows), json.dumps(rows))


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
        sent: Whether it was used; `False` when nobody knows whether it was given.
        allowances: See `Permit.settle`.
        retry_after: See `Permit.settle`.
    """

    __slots__ = ("_allowances", "_retry_after", "_sent", "_since", "id")

    def __init__(
        self,
        id: str,  # noqa: A002 - it is one
        allowances: Sequence[Allowance] = (),
        retry_after: float | None = None,
        *,
        sent: bool = True,
    ) -> None:
        self.id = id
        self._sent = sent
        self._allowances = allowances
        self._retry_after = retry_after
        self._since = time.monotonic()

    @property
    def is_news(self) -> bool:
        """Say whether those who wait should look again at once."""
        return not self._sent or self._retry_after is not None

    @property
    def age(self) -> float:
        """Seconds since it became known."""
        return time.monotonic() - self._since

    def row(self) -> tuple[object, ...]:
        """Return it as the script wants it."""
        if not self._sent:
            return (self.id, "released", 0, ())
        pause = 0
        if self._retry_after is not None:  # it may have taken its time to get here, as Redis was out
            pause = _microseconds(self._retry_after - self.age)
        told = [
            (
                each.limit,
                _microseconds(each.per),
                each.remaining,
                -1 if each.resets_in is None else _microseconds(each.resets_in),
                int(each.begins_anew),
            )
            for each in self._allowances
        ]
        return (self.id, "settled" if self._retry_after is None else "refused", pause, told)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens that a process has taken and Redis does not know. It is told once, however often that is tried.

    Args:
        id: By which Redis knows what it has been told.
        coming: Of each window when tokens come back, by `time.monotonic()`, and how many.
        flying: Of each permit in flight its windows.
    """

    id: str
    coming: tuple[tuple[Extent, tuple[tuple[float, int], ...]], ...]
    flying: tuple[tuple[str, Extents], ...]

    def rows(self) -> tuple[str, str]:
        """Return windows and permits as the script wants them."""
        now = time.monotonic()
        extents = dict.fromkeys(extent for _, each in self.flying for extent in each.windows)
        coming = {**dict.fromkeys(extents, ()), **dict(self.coming)}
        windows = [
            (*_row(extent), [(_microseconds(at - now), count) for at, count in clumps])
            for extent, clumps in coming.items()
        ]
        return json.dumps(windows), json.dumps([(id_, each.ids) for id_, each in self.flying])


Unanswered: TypeAlias = Callable[[], None]


class SharedState:
    """The state in Redis.

    Args:
        access: How Redis is asked.
        redis: The client.
        prefix: What the names of all keys begin with.
        timeout: Seconds for one command.
        lease: Seconds after which a permit that nobody settles ends by itself.

    Raises:
        ConfigurationError: `redis` is no asyncio client.
    """

    def __init__(self, access: RedisAccess, redis: RedisClient, *, prefix: str, timeout: float, lease: float) -> None:
        self._access = access
        self._script = access.script(redis, source())
        self._prefix = prefix
        self._timeout = timeout
        self._lease = _microseconds(lease)
        self._left_alone: set[asyncio.Future[Any]] = set()

    async def acquire(
        self, key: Key, extents: Extents, id_: str, *, ahead: int, born: int, holds: bool, unanswered: Unanswered
    ) -> Granted | Refused | Unfamiliar:
        """Ask for a permit, or with an empty id how long the wait would be.

        Args:
            key: The limiter's key.
            extents: The windows.
            id_: The permit's id.
            ahead: How many stand before who asks.
            born: When the state was made that this process knows; 0 if it knows none.
            holds: Whether this process has taken tokens that are not back, so that it has to tell another state.
            unanswered: Is called when nobody will ever know the answer, once it can do no more harm.

        Raises:
            RedisOutage: Redis cannot be asked.
            ConfigurationError: Redis will not have it.
        """
        arguments = ("acquire", extents.text, id_, self._lease, ahead, born, int(holds))
        how, now_born, *rest = await self._run(key, arguments, unanswered)
        if how == 1:
            return Granted(now_born)
        if how == 2:
            return Unfamiliar(now_born)
        return Refused(now_born, *(each / _MICROSECONDS for each in rest))

    async def report(self, key: Key, reports: Sequence[Report]) -> None:
        """Tell what became of permits; to tell it twice does no harm. Raises as `acquire` does."""
        await self._run(key, ("report", json.dumps([each.row() for each in reports])))

    async def tell(self, key: Key, tokens: Tokens, *, born: int) -> Granted | Unfamiliar:
        """Tell of tokens; to tell it twice does no harm. Raises as `acquire` does.

        Args:
            key: The limiter's key.
            tokens: Which.
            born: When the state was made that lacks them; 0 for whatever state there is.
        """
        how, now_born = await self._run(key, ("tell", tokens.id, born, *tokens.rows(), self._lease))
        return Granted(now_born) if how == 1 else Unfamiliar(now_born)

    async def show(self, key: Key, extents: Extents) -> tuple[float, list[tuple[int, int]]]:
        """Return for how many seconds nobody may go, and of each window its limit and what is free of it."""
        paused, *rest = await self._run(key, ("show", extents.text))
        return paused / _MICROSECONDS, list(zip(rest[::2], rest[1::2], strict=True))

    async def aclose(self) -> None:
        """Wait for the commands whose callers have gone."""
        while self._left_alone:
            await asyncio.wait(self._left_alone)

    async def _run(self, key: Key, arguments: Iterable[str | int], unanswered: Unanswered = lambda: None) -> list[int]:
        script = self._script(keys=[self._prefix + name_of(key)], args=tuple(arguments))
        command: asyncio.Future[list[int]] = asyncio.ensure_future(self._access.ask(script))
        began = time.monotonic()
        try:
            await asyncio.wait((command,), timeout=self._timeout)
            if not command.done() and time.monotonic() - began > _LATE * self._timeout:
                await asyncio.wait((command,), timeout=self._timeout)
            if command.done():
                return command.result()
        except asyncio.CancelledError:
            # Were it cancelled, too, the connection would be lost, and what is then said on another one might overtake
            # what was said on this.
            self._leave(command, self._timeout, unanswered)
            raise
        except RedisOutage:
            asyncio.get_running_loop().call_soon(unanswered)  # when it is known that Redis is out
            raise
        self._leave(command, 0, unanswered)
        raise RedisOutage(f"no answer within {self._timeout:g} s")

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


def _microseconds(seconds: float) -> int:
    return max(0, round(min(seconds, _LONGEST) * _MICROSECONDS))
