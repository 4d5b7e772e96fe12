"""A user's Redis: one way to send Lua, one policy for errors, one event loop.

Whatever is kept in Redis asks it through a `RedisAccess`. Of an error there are two kinds. What passes by itself (the
connection, a timeout, a failover, a full memory, a busy server) is a `RedisOutage`: whoever asked decides what that
means for calls or deliveries. All else (a wrong password, a right that is missing, a key of another kind) will be the
same the next time, and is a `ConfigurationError`.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar, cast

from dialogkit._core.errors import ConfigurationError

T = TypeVar("T")

_PASSING: Final = re.compile(r"\b(LOADING|READONLY|OOM|BUSY|MISCONF|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS)\b")
"""Redis's words for what passes by itself; before Redis 7, errors in scripts have them in the middle of a sentence."""
_LONGEST_REASON: Final = 200


class Script(Protocol):
    """Runs in Redis, in one step."""

    def __call__(self, keys: Sequence[str], args: Iterable[str | int]) -> Awaitable[Any]:
        """Run it with the names of its keys and its arguments, and return what it returns."""
        ...


class RedisClient(Protocol):
    """What is needed of `redis.asyncio.Redis`; `redis.asyncio.RedisCluster` has it, too."""

    def register_script(self, script: str) -> Script:
        """Return a callable that runs the Lua script, and sends it again when Redis has forgotten it."""
        ...


class RedisOutage(Exception):  # noqa: N818 - not an error but news
    """Redis cannot be asked at the moment; `str()` says why."""


class RedisAccess:
    """What one object of ours does with a user's Redis client, which belongs to one event loop.

    Args:
        user: The object's class, for messages.

    Raises:
        ConfigurationError: The package redis is missing.
    """

    __slots__ = ("_errors", "_loop", "_outages", "_refusals", "_user")

    def __init__(self, user: str) -> None:
        try:
            from redis import exceptions  # noqa: PLC0415 - an extra, which not everyone has
        except ImportError:
            raise ConfigurationError(
                f"{user} needs the package redis: install dialogkit[redis], as with pip install 'dialogkit[redis]'"
            ) from None
        self._user = user
        self._loop: asyncio.AbstractEventLoop | None = None
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
            TimeoutError,
            OSError,
        )
        self._errors = exceptions.RedisError

    def script(self, redis: RedisClient, source: str) -> Script:
        """Return a script that `redis` runs.

        Raises:
            ConfigurationError: `redis` is no asyncio client.
        """
        register = getattr(redis, "register_script", None)
        script: object = register(source) if callable(register) else None
        # The other client of the same package has the method, too, and its scripts would hold up the event loop.
        if not inspect.iscoroutinefunction(getattr(type(script), "__call__", None)):  # noqa: B004 - not whether
            raise ConfigurationError(
                f"{self._user} takes a redis.asyncio.Redis or RedisCluster, not {type(redis).__name__}"
            )
        return cast("Script", script)

    def own_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop that the client belongs to, which is the one where it was first asked.

        Raises:
            ConfigurationError: The present one is another, or none of asyncio's.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigurationError(f"{self._user} works under asyncio only") from None
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise ConfigurationError(
                f"this {self._user} belongs to another event loop, as its Redis client does: make one for each"
            )
        return loop

    def is_own_loop(self) -> bool:
        """Say whether the present event loop is the one that the client belongs to."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    async def ask(self, command: Awaitable[T]) -> T:
        """Return the answer to a command.

        Raises:
            RedisOutage: There is none at the moment.
            ConfigurationError: There will be none, or this is another event loop.
        """
        try:
            self.own_loop()
        except ConfigurationError:
            if inspect.iscoroutine(command):
                command.close()
            raise
        try:
            return await command
        except self._refusals as exc:
            raise ConfigurationError(f"Redis refuses the {self._user}: {reason(exc)}") from None
        except self._outages as exc:
            raise RedisOutage(reason(exc)) from None
        except self._errors as exc:
            if _PASSING.search(str(exc)):
                raise RedisOutage(reason(exc)) from None
            raise ConfigurationError(f"the {self._user} cannot work with this Redis: {reason(exc)}") from exc


def reason(error: BaseException) -> str:
    """Return what an error says, in one line and not too long."""
    text = " ".join(str(error).split())[:_LONGEST_REASON]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
