"""Tokens in Redis, for all processes of an app."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote

from dialogkit._core.auth.tokens import Token
from dialogkit._core.call import OMIT, Omit
from dialogkit._core.errors import ConfigurationError, DialogkitError
from dialogkit._core.support.checks import is_duration, is_positive
from dialogkit._core.support.redis import RedisAccess, RedisClient, RedisOutage, Script

_GET: Final = "return redis.call('GET', KEYS[1])"
_PUT: Final = """
if ARGV[2] ~= 'any' then
  local kept = redis.call('GET', KEYS[1])
  if ARGV[2] == 'none' then
    if kept then return 0 end
  else
    local read, token = pcall(cjson.decode, kept or '')
    if not read or type(token) ~= 'table' then return 0 end
    local refresh = type(token.refresh_token) == 'string' and token.refresh_token or ''
    if token.access_token ~= ARGV[3] or refresh ~= ARGV[4] then return 0 end
  end
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""
_LOCK: Final = "return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0"
_PROLONG: Final = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0"
_UNLOCK: Final = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"

_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.25
"""Seconds between two looks at a lock that another process holds."""
_RELEASE: Final = 5.0
"""Seconds that giving a lock back may take; else it expires."""


class RedisTokenStore:
    """Keeps tokens in Redis, as JSON, for all processes of an app. Needs the extra `redis`, and asyncio.

    While one process renews a token, the others wait for its lock. The lock is prolonged for as long as the process
    lives; when it has died, the lock expires.

    Args:
        redis: A `redis.asyncio.Redis` or `RedisCluster`. It stays yours to close. Whoever can read it can read the
            tokens.
        prefix: What the names of all Redis keys begin with; one for each app.
        lock_expiry: Seconds after which the lock of a process that has died is free.

    Raises:
        ConfigurationError: An argument makes no sense.
    """

    def __init__(self, redis: RedisClient, *, prefix: str = "dialogkit:token:", lock_expiry: float = 15.0) -> None:
        if not (is_positive(lock_expiry) and is_duration(lock_expiry)):
            raise ConfigurationError(f"lock_expiry must be a positive number of seconds, not {lock_expiry!r}")
        self._access = RedisAccess("RedisTokenStore")
        scripts = [self._access.script(redis, each) for each in (_GET, _PUT, _LOCK, _PROLONG, _UNLOCK)]
        self._get, self._put, self._lock, self._prolong, self._unlock = scripts
        self._prefix = prefix
        self._expiry = lock_expiry
        self._releases: set[asyncio.Task[None]] = set()

    async def get(self, key: str, /) -> Token | None:
        """Return the token of an account, or `None` if there is none.

        Raises:
            ConfigurationError: What is kept there is no token, Redis refuses, or this is another event loop.
            DialogkitError: Redis cannot be asked.
        """
        kept = await self._ask(self._get, self._name(key))
        return None if kept is None else Token.from_json(kept)

    async def put(self, key: str, token: Token, /, *, expected: Token | Omit | None = OMIT) -> bool:
        """Keep a token; see `TokenStore.put`.

        Raises:
            DialogkitError: Redis cannot be asked.
        """
        condition: tuple[str, ...]
        if isinstance(expected, Omit):
            condition = ("any",)
        elif expected is None:
            condition = ("none",)
        else:
            condition = ("same", expected.access_token, expected.refresh_token or "")
        return bool(await self._ask(self._put, self._name(key), token.to_json(), *condition))

    @asynccontextmanager
    async def lock(self, key: str) -> AsyncGenerator[None]:
        """Wait for the right to renew the token of an account.

        Raises:
            DialogkitError: Redis cannot be asked.
        """
        name, owner = f"{self._name(key)}:lock", secrets.token_hex(16)
        held: asyncio.Task[None] | None = None
        try:
            await self._acquire(name, owner)
            held = asyncio.ensure_future(self._hold(name, owner))
            yield
        finally:
            if held is not None:
                held.cancel()
            # Also when it is not known whether it was acquired: what belongs to nobody would keep everyone waiting.
            release = asyncio.ensure_future(self._release(name, owner))
            self._releases.add(release)
            release.add_done_callback(self._releases.discard)
            await asyncio.shield(release)

    def __repr__(self) -> str:
        return f"<RedisTokenStore at {self._prefix!r}>"

    def _name(self, key: str) -> str:
        return self._prefix + quote(key, safe="", errors="surrogatepass")

    @property
    def _milliseconds(self) -> int:
        return max(1, round(self._expiry * 1000))

    async def _ask(self, script: Script, name: str, *arguments: str | int) -> Any:
        try:
            return await self._access.ask(script(keys=[name], args=arguments))
        except RedisOutage as exc:
            raise DialogkitError(f"the token store cannot ask Redis ({exc}): try again later") from None

    async def _acquire(self, name: str, owner: str) -> None:
        pause = _PAUSE
        while not await self._ask(self._lock, name, owner, self._milliseconds):
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - it spreads processes, no secrets
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _hold(self, name: str, owner: str) -> None:
        while True:
            await asyncio.sleep(self._expiry / 3)
            with contextlib.suppress(Exception):  # the next time, perhaps; else it expires
                await self._ask(self._prolong, name, owner, self._milliseconds)

    async def _release(self, name: str, owner: str) -> None:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._ask(self._unlock, name, owner), _RELEASE)
