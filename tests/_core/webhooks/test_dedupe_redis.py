"""The store that processes share, with a real Redis."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncGenerator, Generator
from typing import Any

import anyio
import pytest
from redis import Redis as SyncRedis
from redis.asyncio import Redis

from dialogkit import Claim, ConfigurationError, DialogkitError, RedisDedupeStore, handled_once
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="module")
def server() -> Generator[RedisServer, None, None]:
    with RedisServer.started() as started:
        yield started


@pytest.fixture
async def redis(server: RedisServer) -> AsyncGenerator[Redis]:
    client: Any = server.client()
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def other(server: RedisServer) -> AsyncGenerator[Redis]:
    """As another process has it, which wants its answers decoded."""
    client = Redis(unix_socket_path=server.socket, decode_responses=True)
    yield client
    await client.aclose()


async def test_what_one_process_claims_no_other_gets(redis: Redis, other: Redis) -> None:
    first, second = RedisDedupeStore(redis), RedisDedupeStore(other)
    assert await first.claim("a") is Claim.NEW
    assert await second.claim("a") is Claim.RUNNING
    assert await first.claim("a") is Claim.RUNNING
    await first.confirm("a")
    assert await second.claim("a") is await first.claim("a") is Claim.DONE
    assert await second.claim("b") is Claim.NEW
    await second.release("b")
    assert await first.claim("b") is Claim.NEW


async def test_times_are_redis_s(redis: Redis) -> None:
    store = RedisDedupeStore(redis, prefix="p:", lease=600, ttl=172_800)
    await store.claim("a")
    assert 599_000 < await redis.pttl("p:a") <= 600_000
    await store.confirm("a")
    assert 172_799_000 < await redis.pttl("p:a") <= 172_800_000
    await store.claim("b")
    await redis.delete("p:b")  # as when its lease is over
    assert await store.claim("b") is Claim.NEW


async def test_a_release_takes_nothing_from_others(redis: Redis, other: Redis) -> None:
    slow, quick = RedisDedupeStore(redis, prefix="p:"), RedisDedupeStore(other, prefix="p:")
    await slow.claim("a")
    await redis.delete("p:a")  # its lease is over
    assert await quick.claim("a") is Claim.NEW
    await slow.release("a")
    assert await slow.claim("a") is Claim.RUNNING
    await quick.confirm("a")
    await quick.release("a")
    await slow.release("a")
    assert await slow.claim("a") is Claim.DONE


async def test_a_release_takes_nothing_from_a_later_claim_of_the_same_process(redis: Redis) -> None:
    store = RedisDedupeStore(redis, prefix="p:")
    await store.claim("a")
    await redis.delete("p:a")  # its lease is over
    assert await store.claim("a") is Claim.NEW
    await store.release("a")  # by the first
    assert await store.claim("a") is Claim.RUNNING
    await store.release("a")
    assert await store.claim("a") is Claim.NEW


def test_a_store_belongs_to_one_event_loop(server: RedisServer) -> None:
    async def make() -> RedisDedupeStore:
        client = server.client()
        store = RedisDedupeStore(client)
        await store.claim("of another loop")
        await client.aclose()
        return store

    store = asyncio.run(make())
    for use in (store.claim, store.confirm, store.release):
        with pytest.raises(ConfigurationError, match="belongs to another event loop"):
            asyncio.run(use("of another loop"))
    with pytest.raises(ConfigurationError, match="asyncio only"):
        anyio.run(store.claim, "a", backend="trio")


async def test_a_claim_after_a_lost_answer_is_still_the_claimant_s(redis: Redis) -> None:
    class Repeats:
        """As redis does when the connection was lost after the command had arrived."""

        def __getattr__(self, name: str) -> Any:
            return getattr(redis, name)

        async def set(self, *args: Any, **kwargs: Any) -> Any:
            await redis.set(*args, **kwargs)
            return await redis.set(*args, **kwargs)

    repeats: Any = Repeats()
    store = RedisDedupeStore(repeats)
    assert await store.claim("a") is Claim.NEW
    await store.release("a")
    assert await store.claim("a") is Claim.NEW


async def test_a_claim_that_is_free_again_while_it_is_asked_for_is_asked_for_anew(redis: Redis) -> None:
    class Vanishes:
        def __getattr__(self, name: str) -> Any:
            return getattr(redis, name)

        async def get(self, name: str) -> Any:
            await redis.delete(name)
            return await redis.get(name)

    vanishes: Any = Vanishes()
    await redis.set("p:a", "somebody else")
    assert await RedisDedupeStore(vanishes, prefix="p:").claim("a") is Claim.NEW


async def test_of_many_at_once_one_handles(redis: Redis, other: Redis) -> None:
    stores = [RedisDedupeStore(redis), RedisDedupeStore(other), RedisDedupeStore(redis)]
    handled: list[tuple[int, int]] = []

    async def deliver(number: int, delivery: int) -> None:
        async with handled_once(stores[number % 3], f"d-{delivery}") as claim:
            if claim:
                handled.append((delivery, number))

    await asyncio.gather(*(deliver(number, delivery) for delivery in range(60) for number in range(9)))
    assert sorted(delivery for delivery, _ in handled) == list(range(60))


async def test_claims_that_nobody_ends_are_not_remembered_for_ever(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialogkit._core.webhooks.dedupe_redis._MOST_CLAIMS", 5)
    store = RedisDedupeStore(redis)
    for number in range(20):
        await store.claim(str(number))
    assert len(store._claims) == 5


async def test_while_redis_is_away_a_delivery_is_not_handled() -> None:
    with RedisServer.started() as server:
        client = server.client()
        store = RedisDedupeStore(client, timeout=0.1)
        assert await store.claim("a")
        server.stop()
        with pytest.raises(DialogkitError, match="answer the delivery with 503"):
            async with handled_once(store, "b"):
                pytest.fail("handled")
        server.start()
        assert await store.claim("b") is Claim.NEW
        await client.aclose()


async def test_a_silent_redis_holds_nothing_up() -> None:
    with RedisServer.started() as server:
        client = server.client()
        store = RedisDedupeStore(client, timeout=0.05)
        server.freeze()
        with pytest.raises(DialogkitError, match="TimeoutError"):
            await store.claim("a")
        server.go_on()
        await client.aclose()


@pytest.mark.parametrize(
    ("redis_", "options", "wrong"),
    [
        (None, {}, "redis takes"),
        ("redis://localhost", {}, "redis takes"),
        (SyncRedis(), {}, "takes a redis.asyncio.Redis"),
        (..., {"ttl": 0}, "ttl"),
        (..., {"lease": 0}, "lease"),
        (..., {"timeout": 0}, "timeout"),
    ],
)
async def test_options_that_make_no_sense_are_refused(
    redis: Redis, redis_: Any, options: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(ConfigurationError, match=wrong):
        RedisDedupeStore(redis if redis_ is ... else redis_, **options)


async def test_without_the_package_the_error_says_so(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".", maxsplit=1)[0] == "redis":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=r"pip install 'dialogkit\[redis\]'"):
        RedisDedupeStore(redis)


async def test_a_burst_delays_new_deliveries_and_not_what_was_handled(server: RedisServer) -> None:
    client = server.client()
    store = RedisDedupeStore(client, timeout=0.05)
    store._line = anyio.Semaphore(1)
    assert await store.claim("a")
    await store._line.acquire()  # somebody is long at it
    with pytest.raises(DialogkitError, match="TimeoutError"):
        await store.claim("b")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.confirm, "a")
        with pytest.raises(DialogkitError):
            await store.claim("c")  # which gives up after the confirmation would have
        store._line.release()
    assert await store.claim("a") is Claim.DONE
    await client.aclose()
