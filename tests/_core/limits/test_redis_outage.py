"""What `RedisRateLimiter` does while Redis does not answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import pytest
from redis import exceptions

from dialogkit._core.errors import RateLimitWaitError
from dialogkit._core.limits.redis import OnOutage, RedisRateLimiter
from dialogkit._core.limits.redis_script import Report, name_of
from dialogkit._core.limits.terms import Key, Permit, RateLimit
from tests.support.redis_server import RedisServer, at_most, until

KEY: Key = ("Toy", "credential", "loc_1")
TWO = (RateLimit(2, per=60),)
NAME = f"dialogkit:rate-limit:{name_of(KEY)}"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer.started() as server:
        yield server


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Any]:
    client: Any = server.client()
    yield client
    server.go_on()
    await client.aclose()


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    with at_most(60):
        yield


@pytest.fixture(autouse=True)
def _surroundings(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.INFO, "dialogkit")
    # Those who wait look again only when they are told to.
    monkeypatch.setattr("dialogkit._core.limits.redis._LOOK_AGAIN", 3600)


async def take(limiter: RedisRateLimiter, max_wait: float | None = 0) -> Permit:
    return await limiter.acquire(KEY, TWO, max_wait=max_wait)


def standing(limiter: RedisRateLimiter) -> list[Any]:
    return [waiter for state in limiter._keys.values() for line in state.lines.values() for waiter in line]


def news(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records]


@pytest.mark.parametrize(("on_outage", "failed"), [("local", 3), ("fail", 4), ("open", 0)])
async def test_it_goes_on_while_redis_is_out_and_recovers(
    server: RedisServer, redis: Any, caplog: pytest.LogCaptureFixture, on_outage: OnOutage, failed: int
) -> None:
    limiter = RedisRateLimiter(redis, on_outage=on_outage, timeout=0.3, retry_every=60)
    before = await take(limiter)  # which counts all the same when Redis has lost it
    server.stop()
    results = await asyncio.gather(*(take(limiter) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(result, RateLimitWaitError) for result in results) == failed
    assert news(caplog) == ["WARNING"]
    before.settle()

    server.start()
    limiter._health._next_trial = 0
    permits = [result for result in results if not isinstance(result, BaseException)]
    if on_outage != "local":
        permits.append(await take(limiter, 30))
    with pytest.raises(RateLimitWaitError):
        await take(limiter)
    await limiter.aclose()
    assert news(caplog) == ["WARNING", "INFO"]
    assert await redis.hlen(NAME) == 2  # the other one in flight
    with pytest.raises(RateLimitWaitError):
        await RedisRateLimiter(redis, timeout=60).acquire(KEY, TWO, max_wait=0)
    for permit in permits:
        permit.settle()
    await limiter.aclose()
    assert await redis.hlen(NAME) == 1


class Switch:
    """A client that can be switched off."""

    def __init__(self, redis: Any) -> None:
        self.redis = redis
        self.off = False
        self.script: Any = None

    def register_script(self, script: str) -> Switch:
        self.script = self.redis.register_script(script)
        return self

    async def __call__(self, keys: Sequence[str], args: Iterable[str | int]) -> Any:
        if self.off:
            raise exceptions.ConnectionError("switched off")
        return await self.script(keys=keys, args=args)


async def test_what_became_of_permits_is_told_afterwards(redis: Any, caplog: pytest.LogCaptureFixture) -> None:
    switch = Switch(redis)
    limiter = RedisRateLimiter(switch, timeout=60, retry_every=60, on_outage="open")
    permits = [await take(limiter) for _ in range(2)]
    switch.off = True
    permits[0].settle((), 30.0)
    await limiter.aclose()
    permits[1].settle()
    assert news(caplog) == ["WARNING"]
    switch.off = False
    limiter._health._next_trial = 0
    with pytest.raises(RateLimitWaitError):
        await take(limiter)
    await limiter.aclose()
    assert await redis.hkeys(NAME) == [b"state"]
    assert limiter._keys == {}
    with pytest.raises(RateLimitWaitError) as caught:
        await limiter.acquire(KEY, (RateLimit(5, per=1),), max_wait=0)
    assert 1 < caught.value.wait <= 30
    assert news(caplog) == ["WARNING", "INFO"]


def test_a_pause_that_is_told_late_is_as_much_shorter() -> None:
    report = Report("id", (), 30.0)
    report._since -= 10
    assert 19_000_000 < cast("int", report.row()[2]) <= 20_000_000
    report._since -= 30
    assert report.row()[2] == 0


async def test_a_permit_given_to_one_who_no_longer_waited_is_given_back(server: RedisServer, redis: Any) -> None:
    limiter = RedisRateLimiter(redis, timeout=0.2, retry_every=60, on_outage="open")
    (await take(limiter)).settle()
    await limiter.aclose()
    server.freeze()
    await take(limiter)  # Redis will give this one when it goes on
    server.go_on()
    limiter._health._next_trial = 0
    permit = await take(limiter, None)
    assert limiter._health.reason is None
    permit.settle()
    await limiter.aclose()
    assert await redis.hkeys(NAME) == [b"state"]


async def test_a_process_that_was_busy_itself_does_not_blame_redis(
    server: RedisServer, redis: Any, caplog: pytest.LogCaptureFixture
) -> None:
    limiter = RedisRateLimiter(redis, timeout=0.5)

    def busy() -> None:
        server.go_on()
        time.sleep(0.7)

    server.freeze()
    asyncio.get_running_loop().call_later(0.05, busy)
    (await take(limiter)).settle()
    await limiter.aclose()
    assert news(caplog) == []


class Gate:
    """A client that fails, or waits for a gate to open and fails then."""

    def __init__(self) -> None:
        self.calls = 0
        self.closed: asyncio.Event | None = None

    def register_script(self, script: str) -> Gate:
        return self

    def was_asked(self, times: int) -> bool:
        return self.calls == times

    async def __call__(self, keys: Sequence[str], args: Iterable[str | int]) -> Any:
        self.calls += 1
        if self.closed is not None:
            await self.closed.wait()
        raise exceptions.ConnectionError("no route to host")


async def test_one_call_tries_again_and_the_others_do_not_wait_for_it(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    limiter = RedisRateLimiter(gate, timeout=60, retry_every=60, on_outage="open")
    await take(limiter)
    gate.closed = asyncio.Event()
    limiter._health._next_trial = 0
    trial = asyncio.create_task(take(limiter))
    await until(partial(gate.was_asked, 2))
    for _ in range(10):
        await take(limiter)
    assert not trial.done()
    gate.closed.set()
    await trial
    assert gate.calls == 2
    assert news(caplog) == ["WARNING"]
    await limiter.aclose()


async def test_all_who_stand_in_line_go_on_when_redis_goes_out(server: RedisServer, redis: Any) -> None:
    limiter = RedisRateLimiter(redis, timeout=0.2, retry_every=60, on_outage="open")
    permits = [await take(limiter) for _ in range(2)]
    tasks = [asyncio.create_task(take(limiter, None)) for _ in range(5)]
    # The head sleeps, too.
    await until(lambda: sum(waiter._turn is not None for waiter in standing(limiter)) == 5)
    server.stop()
    permits[0].settle()
    await asyncio.gather(*tasks)
    server.start()
    await limiter.aclose()


async def test_a_cancelled_trial_is_not_the_last_one() -> None:
    gate = Gate()
    limiter = RedisRateLimiter(gate, timeout=60, retry_every=60, on_outage="open")
    await take(limiter)
    gate.closed = asyncio.Event()
    for _ in range(2):
        limiter._health._next_trial = 0
        before = gate.calls
        trial = asyncio.create_task(take(limiter))
        await until(partial(gate.was_asked, before + 1))
        trial.cancel()
        await asyncio.gather(trial, return_exceptions=True)
    gate.closed.set()
    await limiter.aclose()


async def test_tokens_that_were_taken_meanwhile_are_told(redis: Any) -> None:
    """In flight or on their way back; then another process has none left."""
    switch = Switch(redis)
    limits = (RateLimit(5, per=60),)
    limiter = RedisRateLimiter(switch, timeout=60, retry_every=60)
    switch.off = True
    settled, flying = [await limiter.acquire(KEY, limits, max_wait=0) for _ in range(2)]
    settled.settle()
    switch.off = False
    limiter._health._next_trial = 0
    last = await limiter.acquire(KEY, limits, max_wait=0)
    await limiter.aclose()
    other = RedisRateLimiter(redis, timeout=60)
    permits = [await other.acquire(KEY, limits, max_wait=0) for _ in range(2)]
    with pytest.raises(RateLimitWaitError):
        await other.acquire(KEY, limits, max_wait=0)
    for permit in (flying, last, *permits):
        permit.settle()
    for each in (limiter, other):
        await each.aclose()
    assert await redis.hkeys(NAME) == [b"state"]
    assert limiter._keys == {}


class Forgetful(Switch):
    """A client whose next answer is lost, after Redis has done what was asked."""

    lose = False

    async def __call__(self, keys: Sequence[str], args: Iterable[str | int]) -> Any:
        answer = await super().__call__(keys, args)
        if self.lose:
            self.lose = False
            raise exceptions.ConnectionError("lost")
        return answer


async def test_what_was_told_before_the_answer_was_lost_is_not_counted_twice(redis: Any) -> None:
    switch = Forgetful(redis)
    limits = (RateLimit(5, per=60),)
    limiter = RedisRateLimiter(switch, timeout=60, retry_every=60)
    switch.off = True
    (await limiter.acquire(KEY, limits, max_wait=0)).settle()
    switch.off, switch.lose = False, True
    limiter._health._next_trial = 0
    permits = [await limiter.acquire(KEY, limits, max_wait=0)]  # told, but without an answer
    limiter._health._next_trial = 0
    permits.append(await limiter.acquire(KEY, limits, max_wait=0))
    await limiter.aclose()
    other = RedisRateLimiter(redis, timeout=60)
    permits += [await other.acquire(KEY, limits, max_wait=0) for _ in range(2)]
    with pytest.raises(RateLimitWaitError):
        await other.acquire(KEY, limits, max_wait=0)
    for permit in permits:
        permit.settle()
    for each in (limiter, other):
        await each.aclose()


async def test_one_process_never_exceeds_a_limit_whatever_redis_does(server: RedisServer, redis: Any) -> None:
    """It goes, comes back empty, forgets everything, and is silent; the clock of the test is the server's."""
    limit = RateLimit(10, per=0.5)
    limiter = RedisRateLimiter(redis, timeout=0.1, retry_every=0.05, lease=3)
    sent: list[float] = []
    loop = asyncio.get_running_loop()
    is_over = False

    async def send() -> None:
        while not is_over:
            permit = await limiter.acquire(KEY, (limit,), max_wait=None)
            sent.append(loop.time())
            await asyncio.sleep(0.002)
            permit.settle()

    tasks = [asyncio.create_task(send()) for _ in range(6)]
    for change in (server.stop, server.start, server.freeze, server.go_on):
        count = len(sent) + 13
        await until(partial(at_least, sent, count))
        change()
    for _ in range(2):
        await until(partial(at_least, sent, len(sent) + 7))
        await redis.flushall()
    await until(partial(at_least, sent, len(sent) + 15))
    is_over = True
    await asyncio.gather(*tasks)
    await limiter.aclose()
    assert max(sum(first <= each < first + limit.per for each in sent) for first in sent) <= limit.limit


def at_least(sent: list[float], count: int) -> bool:
    return len(sent) >= count


async def test_a_long_outage_piles_nothing_up() -> None:
    gate = Gate()
    limiter = RedisRateLimiter(gate, timeout=60, retry_every=60, on_outage="open", lease=1e-9)
    for _ in range(100):
        limiter._health._next_trial = 0
        await take(limiter)
    assert gate.calls == 100
    assert [len(state.reports) for state in limiter._keys.values()] == [1]
    await limiter.aclose()
