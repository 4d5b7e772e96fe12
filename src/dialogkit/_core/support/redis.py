"""Lua scripts in a user's Redis."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Protocol, cast

from dialogkit._core.errors import ConfigurationError


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


def registered(user: str, redis: RedisClient, source: str) -> Script:
    """Return a script that `redis` runs.

    Args:
        user: Who needs it, for the message.
        redis: The client.
        source: The script, in Lua.

    Raises:
        ConfigurationError: `redis` is no asyncio client.
    """
    register = getattr(redis, "register_script", None)
    script: object = register(source) if callable(register) else None
    # The other client of the same package has the method, too, and its scripts would hold up the event loop.
    if not inspect.iscoroutinefunction(getattr(type(script), "__call__", None)):  # noqa: B004 - not whether
        raise ConfigurationError(f"{user} takes a redis.asyncio.Redis or RedisCluster, not {type(redis).__name__}")
    return cast("Script", script)
