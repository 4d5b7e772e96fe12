"""What holds a Redis client: one event loop, one policy for errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import trio
from redis import exceptions

from dialogkit import (
    ConfigurationError,
    DialogkitError,
    RateLimit,
    RedisDedupeStore,
    RedisRateLimiter,
    RedisTokenStore,
)
from dialogkit._core.support.redis import RedisAccess, RedisOutage
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer.started() as server:
        yield server


async def limit(redis: Any) -> Callable[[], Coroutine[Any, Any, Any]]:
    limiter = RedisRateLimiter(redis)

    async def acquire() -> None:
        (await limiter.acquire(("key",), (RateLimit(5, per=1),), max_wait=None)).settle()
        await limiter.aclose()

    return acquire


async def tokens(redis: Any) -> Callable[[], Coroutine[Any, Any, Any]]:
    store = RedisTokenStore(redis)
    return lambda: store.get("loc_1")


async def deliveries(redis: Any) -> Callable[[], Coroutine[Any, Any, Any]]:
    store = RedisDedupeStore(redis)
    return lambda: store.claim("delivery")


@pytest.mark.parametrize("make", [limit, tokens, deliveries])
def test_it_belongs_to_one_event_loop_and_says_so_in_another(
    server: RedisServer, make: Callable[[Any], Coroutine[Any, Any, Callable[[], Coroutine[Any, Any, Any]]]]
) -> None:
    async def first() -> Callable[[], Coroutine[Any, Any, Any]]:
        client: Any = server.client()
        ask = await make(client)
        await ask()
        await client.aclose()
        return ask

    ask = asyncio.run(first())
    with pytest.raises(ConfigurationError, match="belongs to another event loop"):
        asyncio.run(ask())


def test_it_works_under_asyncio_only() -> None:
    async def main() -> None:
        RedisAccess("Anything").own_loop()

    with pytest.raises(ConfigurationError, match="Anything works under asyncio only"):
        trio.run(main)


async def failing(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.ConnectionError("refused"), RedisOutage),
        (exceptions.TimeoutError(), RedisOutage),
        (TimeoutError(), RedisOutage),
        (exceptions.ResponseError("LOADING Redis is loading"), RedisOutage),
        (exceptions.AuthenticationError("WRONGPASS"), ConfigurationError),
        (exceptions.NoPermissionError("NOPERM"), ConfigurationError),
        (exceptions.ResponseError("WRONGTYPE"), ConfigurationError),
        (exceptions.DataError("what is that"), ConfigurationError),
    ],
    ids=repr,
)
async def test_what_passes_by_itself_is_an_outage_and_the_rest_is_not(error: Exception, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=type(error).__name__):
        await RedisAccess("Anything").ask(failing(error))


async def test_a_token_store_says_that_redis_cannot_be_asked() -> None:
    with RedisServer.started() as server:
        client: Any = server.client()
        store = RedisTokenStore(client)
        assert await store.get("loc_1") is None
        server.stop()
        with pytest.raises(DialogkitError, match="the token store cannot ask Redis"):
            await store.get("loc_1")
        await client.aclose()
