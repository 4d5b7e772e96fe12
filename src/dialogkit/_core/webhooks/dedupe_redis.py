"""The dedupe store that several processes share, through Redis."""

from __future__ import annotations

import math
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import anyio

from dialogkit._core.errors import ConfigurationError, DialogkitError
from dialogkit._core.support.checks import is_positive
from dialogkit._core.support.redis import RedisAccess, RedisClient, RedisOutage
from dialogkit._core.webhooks.dedupe import DEFAULT_LEASE, DEFAULT_TTL, Claim, OpenClaims, check_times

T = TypeVar("T")

_DONE: Final = b"done"
_RELEASE: Final = 'if redis.call("GET", KEYS[1]) == ARGV[1] then return redis.call("DEL", KEYS[1]) end return 0'
"""A claim whose lease is over may be somebody else's by now, and is left alone."""
_ATTEMPTS: Final = 3
_MOST_AT_ONCE: Final = 32
"""Commands at once: a client's pool refuses more than its 100 connections, which a burst of deliveries would need."""
_MOST_CLAIMS: Final = 10_000


class RedisCommands(RedisClient, Protocol):
    """What is needed of `redis.asyncio.Redis`; `redis.asyncio.RedisCluster` has it, too."""

    def set(self, name: str, value: bytes, *, px: int | None = None, nx: bool = False) -> Awaitable[Any]:
        """Set a key, with `nx` only if there is none."""
        ...

    def get(self, name: str) -> Awaitable[Any]:
        """Return the value of a key."""
        ...


class RedisDedupeStore:
    """Remembers deliveries for all processes that share a Redis. Needs the extra `redis`, and asyncio.

    It belongs to the event loop that first uses it, as its Redis client does.

    A new delivery takes two calls to Redis, a repeated one two. While Redis does not answer, claims fail, so that the
    platform delivers again.

    Args:
        redis: A `redis.asyncio.Redis` or `RedisCluster`. It stays yours to close.
        ttl: Seconds for which a handled delivery is remembered; more than the three days for which platforms repeat.
        lease: Seconds after which a claim that was neither confirmed nor released is free again, as when its process
            has died; more than any handler takes.
        prefix: What the names of all Redis keys begin with.
        timeout: Seconds for one command, and for a new delivery's turn in a burst; platforms wait 5 for an answer.

    Raises:
        ConfigurationError: An argument makes no sense, or the package redis is missing.
    """

    def __init__(
        self,
        redis: RedisCommands,
        *,
        ttl: float = DEFAULT_TTL,
        lease: float = DEFAULT_LEASE,
        prefix: str = "dialogkit:webhook:",
        timeout: float = 2.0,
    ) -> None:
        check_times(ttl, lease)
        if not is_positive(timeout):
            raise ConfigurationError(f"timeout must be a positive number of seconds, not {timeout!r}")
        if not all(callable(getattr(redis, name, None)) for name in ("set", "get")):
            raise ConfigurationError(f"redis takes a redis.asyncio.Redis, not {type(redis).__name__}")
        self._redis = redis
        self._access = RedisAccess("RedisDedupeStore")
        self._free = self._access.script(redis, _RELEASE)
        self._ttl = math.ceil(ttl * 1_000)
        self._lease = math.ceil(lease * 1_000)
        self._prefix = prefix
        self._timeout = timeout
        self._line = anyio.Semaphore(_MOST_AT_ONCE)
        self._claims = OpenClaims[bytes](_MOST_CLAIMS)

    async def claim(self, key: str) -> Claim:
        """Take a delivery for the time of the lease, if nobody has it and it was not handled.

        Raises:
            DialogkitError: Redis does not answer.
            ConfigurationError: This is not the event loop that the store belongs to.
        """
        self._access.own_loop()
        mine = secrets.token_hex(16).encode()
        for _ in range(_ATTEMPTS):
            value: object = mine
            if not await self._ask(
                partial(self._redis.set, self._prefix + key, mine, px=self._lease, nx=True), new=True
            ):
                value = await self._ask(partial(self._redis.get, self._prefix + key))
            # What is refused may be mine all the same: redis repeats a command whose answer was lost.
            if value in (mine, mine.decode()):
                self._claims.begin(key, mine)
                return Claim.NEW
            if value is not None:
                return Claim.DONE if value in (_DONE, _DONE.decode()) else Claim.RUNNING
        return Claim.RUNNING  # others claim and release it all the time

    async def confirm(self, key: str) -> None:
        """Remember that a delivery was handled; another process may have claimed it.

        Raises:
            DialogkitError: Redis does not answer.
        """
        self._access.own_loop()
        self._claims.end(key)
        await self._ask(partial(self._redis.set, self._prefix + key, _DONE, px=self._ttl))

    async def release(self, key: str) -> None:
        """Give back a delivery that this store has claimed. What was handled, or claimed by others since, stays so.

        Raises:
            DialogkitError: Redis does not answer.
        """
        self._access.own_loop()
        mine = self._claims.end(key)
        if mine is not None:
            await self._ask(partial(self._free, keys=[self._prefix + key], args=[mine.decode()]))

    def __repr__(self) -> str:
        return f"<RedisDedupeStore under {self._prefix!r}>"

    async def _ask(self, command: Callable[[], Awaitable[T]], *, new: bool = False) -> T:
        # What is new can be refused, and comes again; what was handled has to be told, however long the line is.
        try:
            with anyio.fail_after(self._timeout if new else math.inf):
                async with self._line:
                    with anyio.fail_after(self._timeout):
                        return await self._access.ask(command())
        except (RedisOutage, TimeoutError) as exc:
            why = str(exc) or type(exc).__name__
            raise DialogkitError(
                f"the dedupe store cannot ask Redis ({why}): answer the delivery with 503, so that the platform "
                "repeats it"
            ) from exc
