"""`RedisRateLimiter` in one process, against a real Redis."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest
import redis as sync_redis
import trio
from redis import exceptions
from redis.asyncio import Redis

from dialogkit._core.errors import ConfigurationError, RateLimitWaitError
from dialogkit._core.limits.redis import RedisRateLimiter
from dialogkit._core.limits.redis_script import name_of
from dialogkit._core.limits.terms import Allowance, Key, Permit, RateLimit
from tests.support.redis_server import RedisServer, at_most, until

KEY: Key = ("Toy", "credential", "loc_1")
ONE = (RateLimit(1, per=10),)
SOON = (RateLimit(1, per=0.05),)
TEN = (RateLimit(10, per=60),)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer.started() as server:
        yield server


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    with at_most(60):
        yield


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make those who wait look again only when they are told to."""
    monkeypatch.setattr("dialogkit._core.limits.redis._LOOK_AGAIN", 3600)


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Any]:
    client: Any = server.client()
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def limiter(redis: Any) -> AsyncIterator[RedisRateLimiter]:
    limiter = RedisRateLimiter(redis, timeout=60)
    yield limiter
    await limiter.aclose()


async def take(limiter: RedisRateLimiter, limits: Sequence[RateLimit] = ONE, max_wait: float | None = None) -> Permit:
    return await limiter.acquire(KEY, limits, max_wait=max_wait)


async def settled(limiter: RedisRateLimiter, limits: Sequence[RateLimit] = ONE) -> None:
    (await take(limiter, limits)).settle()


async def free(redis: Any, limits: Sequence[RateLimit] = TEN) -> int:
    """Return how many tokens another process could take now, by taking them."""
    other = RedisRateLimiter(redis, timeout=60)
    permits: list[Permit] = []
    try:
        while True:
            permits.append(await take(other, limits, 0))
    except RateLimitWaitError:
        return len(permits)
    finally:
        for permit in permits:
            permit.settle()
        await other.aclose()


async def in_line(limiter: RedisRateLimiter, count: int) -> None:
    """Return when so many stand in line."""
    await until(lambda: count == sum(len(line) for state in limiter._keys.values() for line in state.lines.values()))


async def test_two_limiters_share_what_one_may_send(redis: Any, limiter: RedisRateLimiter) -> None:
    permits = [await take(limiter, TEN) for _ in range(6)]
    assert await free(redis) == 4
    for permit in permits:
        permit.settle()


async def test_who_waits_gets_the_token_when_it_is_back(limiter: RedisRateLimiter) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(3):
        await settled(limiter, SOON)
    assert loop.time() - began >= 0.1


async def test_first_come_first_served(limiter: RedisRateLimiter) -> None:
    order: list[int] = []

    async def wait(number: int) -> None:
        await settled(limiter, (RateLimit(3, per=0.02),))
        order.append(number)

    await asyncio.gather(*(wait(number) for number in range(20)))
    assert order == list(range(20))


async def test_who_waits_for_one_limit_does_not_hold_up_others(limiter: RedisRateLimiter) -> None:
    named = RateLimit(1, per=10, name="messages")
    await settled(limiter, (*TEN, named))
    waiting = asyncio.create_task(take(limiter, (*TEN, named)))
    await in_line(limiter, 1)
    await settled(limiter, TEN)
    await limiter.acquire(("other",), ONE, max_wait=0)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


@pytest.mark.parametrize("victim", [0, 1, 2])
async def test_a_cancelled_waiter_strands_nobody(limiter: RedisRateLimiter, victim: int) -> None:
    limits = (RateLimit(1, per=0.01),)
    first = await take(limiter, limits)
    tasks = [asyncio.create_task(settled(limiter, limits)) for _ in range(3)]
    await in_line(limiter, 3)
    tasks[victim].cancel()
    first.settle()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in done] == [number == victim for number in range(3)]


async def test_a_cancellation_storm_loses_no_token(redis: Any) -> None:
    limiter = RedisRateLimiter(redis, timeout=60)
    used = 0
    for turns in range(60):  # so that they are cancelled at every moment of the exchange with Redis
        tasks = [asyncio.create_task(take(limiter, (RateLimit(500, per=60),))) for _ in range(8)]
        for _ in range(turns % 20):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(result, asyncio.CancelledError):
                assert not isinstance(result, BaseException)
                result.settle()
                used += 1
    await limiter.aclose()
    assert limiter._keys == {}
    assert used >= 240
    assert await free(redis, (RateLimit(500, per=60),)) == 500 - used
    assert await redis.hkeys(f"dialogkit:rate-limit:{name_of(KEY)}") == [b"state"]


async def test_a_lost_permit_settles_itself(redis: Any, limiter: RedisRateLimiter) -> None:
    permit = await take(limiter, SOON)
    del permit
    gc.collect()
    await settled(limiter, SOON)


async def test_settling_twice_counts_once(limiter: RedisRateLimiter) -> None:
    permit = await take(limiter, SOON)
    permit.settle()
    permit.settle((), 50.0)
    await settled(limiter, SOON)


async def test_a_pause_holds_for_every_process(redis: Any, limiter: RedisRateLimiter) -> None:
    (await take(limiter, TEN)).settle((), 30.0)
    await limiter.aclose()
    assert await free(redis) == 0
    with pytest.raises(RateLimitWaitError, match=r"wait \S+ s, longer than the \S+ s that the call has left") as caught:
        await take(limiter, TEN, max_wait=5)
    assert 5 < caught.value.wait <= 30
    await limiter.acquire(("other",), TEN, max_wait=0)


@pytest.mark.usefixtures("patient")
async def test_a_pause_that_is_too_long_fails_all_who_wait(limiter: RedisRateLimiter) -> None:
    first = await take(limiter)
    tasks = [asyncio.create_task(take(limiter)) for _ in range(3)]
    await in_line(limiter, 3)
    first.settle((), 3600.0)
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(result, RateLimitWaitError)
        assert "as the platform asked, and its max_pause is 90 s" in str(result)


async def test_those_in_front_count_for_the_known_wait(limiter: RedisRateLimiter) -> None:
    await settled(limiter)
    tasks = [asyncio.create_task(take(limiter)) for _ in range(3)]
    await in_line(limiter, 3)
    with pytest.raises(RateLimitWaitError) as caught:
        await take(limiter, max_wait=35.0)
    assert caught.value.wait == pytest.approx(40.0, abs=1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.usefixtures("patient")
async def test_who_waits_in_vain_is_told_when_that_becomes_known(limiter: RedisRateLimiter) -> None:
    first = await take(limiter)
    head = asyncio.create_task(take(limiter))
    await in_line(limiter, 1)
    second = asyncio.create_task(take(limiter, max_wait=25))
    await in_line(limiter, 2)
    first.settle((), 60.0)
    with pytest.raises(RateLimitWaitError, match="that the call has left"):
        await second
    head.cancel()
    await asyncio.gather(head, return_exceptions=True)


async def test_a_wait_for_the_allowance_longer_than_max_pause_fails(redis: Any) -> None:
    limiter = RedisRateLimiter(redis, timeout=60, max_pause=5)
    await settled(limiter)
    with pytest.raises(RateLimitWaitError, match="until the allowance is there again, and its max_pause is 5 s"):
        await take(limiter)
    await limiter.aclose()


async def test_answers_narrow_what_all_may_send(redis: Any, limiter: RedisRateLimiter) -> None:
    (await take(limiter, TEN)).settle([Allowance(10, 60.0, remaining=3), Allowance(5, 7.0, remaining=0)])
    await limiter.aclose()
    assert await free(redis) == 3


async def test_own_limits_replace_the_clients(redis: Any) -> None:
    limiter = RedisRateLimiter(redis, limits=ONE, timeout=60)
    await settled(limiter, TEN)
    with pytest.raises(RateLimitWaitError):
        await take(limiter, TEN, 0)
    await limiter.aclose()


async def test_keys_and_prefixes_are_told_apart(redis: Any) -> None:
    odd = [("a", "b"), ("a:b",), ("a", "b", ""), ("{a}", "\udcff")]
    for prefix in ("one:", "two:"):
        limiter = RedisRateLimiter(redis, prefix=prefix, timeout=60)
        for key in odd:
            (await limiter.acquire(key, ONE, max_wait=0)).settle()
        await limiter.aclose()
    assert len(await redis.keys("one:*")) == len(await redis.keys("two:*")) == len(odd)


async def test_redis_may_forget_everything(redis: Any, limiter: RedisRateLimiter) -> None:
    permit = await take(limiter, TEN)
    await redis.flushall()
    await redis.script_flush()
    permit.settle([Allowance(10, 60.0, remaining=0)])
    await settled(limiter, TEN)
    await limiter.aclose()
    assert await free(redis) == 8  # this process remembers


async def test_all_processes_fail_at_once_while_the_day_is_spent(redis: Any, limiter: RedisRateLimiter) -> None:
    spent = Allowance(200_000, 86_400.0, 0, 40_000.0, begins_anew=True)
    (await take(limiter, TEN)).settle([spent], 40_000.0)
    await limiter.aclose()
    for each in (limiter, RedisRateLimiter(redis, timeout=60)):
        with pytest.raises(RateLimitWaitError) as caught:
            await take(each, TEN)
        assert caught.value.wait == pytest.approx(40_000, abs=10)


async def test_a_snapshot_counts_for_all_processes(redis: Any, limiter: RedisRateLimiter) -> None:
    other = RedisRateLimiter(redis, timeout=60)
    permits = [await take(each, TEN) for each in (limiter, limiter, other)]
    named = (RateLimit(1, per=10, name="messages"),)
    permits.append(await take(limiter, named))
    waiting = asyncio.create_task(take(limiter, named))
    await in_line(limiter, 1)
    permits[0].settle((), 30.0)
    await limiter.aclose()
    (state,) = await limiter.snapshot()
    assert (state.key, state.waiting) == (KEY, 1)
    assert 25 < state.paused_for <= 30
    assert {(each.limit, each.per, each.name, each.free) for each in state.windows} == {
        (10, 60, "", 7),
        (1, 10, "messages", 0),
    }
    waiting.cancel()
    for permit in permits:
        permit.settle()
    await other.aclose()


async def test_reports_travel_together(redis: Any, limiter: RedisRateLimiter) -> None:
    limits = (RateLimit(500, per=60),)
    permits = [await take(limiter, limits) for _ in range(150)]
    before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    for permit in permits:
        permit.settle()
    await limiter.aclose()
    assert (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] - before == 2


async def test_nothing_is_kept_of_idle_keys(redis: Any, limiter: RedisRateLimiter) -> None:
    for number in range(50):
        (await limiter.acquire((str(number),), SOON, max_wait=None)).settle()
    await limiter.aclose()
    assert limiter._keys == {}
    while await redis.dbsize():  # noqa: ASYNC110 - each key has at most 0.05 s to live
        await asyncio.sleep(0)


class Broken:
    """A client whose scripts fail."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def register_script(self, script: str) -> Broken:
        return self

    async def __call__(self, keys: Sequence[str], args: Iterable[str | int]) -> Any:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ConnectionError("Error 111 connecting to redis:6379."),
        exceptions.TimeoutError("Timeout reading from socket"),
        exceptions.BusyLoadingError("Redis is loading the dataset in memory"),
        exceptions.ReadOnlyError("You can't write against a read only replica."),
        exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        exceptions.ClusterDownError("CLUSTERDOWN The cluster is down"),
        exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"),
        exceptions.ResponseError("BUSY Redis is busy running a script."),
        exceptions.ResponseError("Error running script (call to f_0): @user_script:9: -READONLY You can't write"),
        ConnectionResetError(),
    ],
    ids=str,
)
async def test_what_passes_is_an_outage(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    limiter = RedisRateLimiter(Broken(error), on_outage="fail")
    with pytest.raises(RateLimitWaitError, match="cannot ask Redis") as caught:
        await take(limiter)
    assert type(error).__name__ in str(caught.value)
    assert caught.value.wait == 0
    with pytest.raises(RateLimitWaitError):
        await take(limiter)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    await limiter.aclose()


@pytest.mark.parametrize(
    "error",
    [
        exceptions.AuthenticationError("WRONGPASS invalid username-password pair or user is disabled."),
        exceptions.NoPermissionError("User worker has no permissions to run the 'evalsha' command"),
        exceptions.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
    ],
    ids=str,
)
async def test_what_does_not_pass_is_said(error: Exception) -> None:
    limiter = RedisRateLimiter(Broken(error))
    with pytest.raises(ConfigurationError, match=str(error)[:12]):
        await take(limiter)
    await limiter.aclose()


async def test_a_report_that_redis_refuses_is_dropped_and_said(
    redis: Any, limiter: RedisRateLimiter, caplog: pytest.LogCaptureFixture
) -> None:
    permit = await take(limiter)
    name = f"dialogkit:rate-limit:{name_of(KEY)}"
    await redis.delete(name)
    await redis.set(name, "somebody else's")
    permit.settle()
    await limiter.aclose()
    assert limiter._keys == {}
    assert ["could not report" in record.message for record in caplog.records] == [True]


async def test_no_password_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "dialogkit")
    client = Redis.from_url("redis://user:hunter2@127.0.0.1:1/0")  # pyright: ignore[reportUnknownMemberType]
    limiter = RedisRateLimiter(client, timeout=0.05)
    await settled(limiter)
    await limiter.aclose()
    await client.aclose()
    assert "this process keeps below the limits by itself" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "timeout must be a positive number of seconds, not 0"),
        ({"retry_every": float("inf")}, "retry_every"),
        ({"lease": -1}, "lease"),
        ({"max_pause": True}, "max_pause"),
        ({"on_outage": "panic"}, "on_outage must be local, fail or open, not 'panic'"),
    ],
)
async def test_senseless_options_are_refused(redis: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RedisRateLimiter(redis, **options)


@pytest.mark.parametrize("make", [sync_redis.Redis, object, lambda: "redis://127.0.0.1"])
def test_what_is_no_asyncio_client_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"takes a redis.asyncio.Redis or RedisCluster, not"):
        RedisRateLimiter(make())


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"install dialogkit\[redis\]"):
        RedisRateLimiter(Broken(ValueError()))


def test_it_belongs_to_one_event_loop() -> None:
    limiter = RedisRateLimiter(Broken(exceptions.ConnectionError()), on_outage="open")
    asyncio.run(settled(limiter))
    with pytest.raises(ConfigurationError, match="belongs to another event loop"):
        asyncio.run(settled(limiter))


def test_it_needs_asyncio() -> None:
    limiter = RedisRateLimiter(Broken(exceptions.ConnectionError()))
    with pytest.raises(ConfigurationError, match="under asyncio only"):
        trio.run(settled, limiter)
