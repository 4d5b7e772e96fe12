"""Pauses that a platform asks for: how long they are believed, and how they end."""

from __future__ import annotations

import asyncio
import gc
import math

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogkit._core.errors import RateLimitWaitError
from dialogkit._core.limits.memory import MemoryRateLimiter
from dialogkit._core.limits.terms import LONGEST_PAUSE, Allowance, Key, Permit, RateLimit

KEY: Key = ("Toy", "credential", "loc_1")
FIVE = (RateLimit(5, per=1),)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> MemoryRateLimiter:
    return MemoryRateLimiter(clock=clock)


async def take(limiter: MemoryRateLimiter) -> Permit:
    return await limiter.acquire(KEY, FIVE, max_wait=0)


async def is_held(limiter: MemoryRateLimiter) -> bool:
    try:
        (await take(limiter)).settle()
    except RateLimitWaitError:
        return True
    return False


@given(asked=st.floats(0, 1e300))
def test_no_pause_is_longer_than_a_quarter_of_an_hour(asked: float) -> None:
    clock = Clock()
    limiter = MemoryRateLimiter(clock=clock)

    async def main() -> None:
        (await take(limiter)).settle((), asked)
        (state,) = limiter.snapshot()
        assert state.paused_for == pytest.approx(min(asked, LONGEST_PAUSE))
        clock.now += LONGEST_PAUSE + 1
        (await take(limiter)).settle()

    asyncio.run(main())


async def test_when_a_pause_was_cut_one_call_probes_and_the_others_wait_for_its_answer(
    limiter: MemoryRateLimiter, clock: Clock
) -> None:
    (await take(limiter)).settle((), 86_400.0)
    clock.now += LONGEST_PAUSE
    probe = await take(limiter)
    assert await is_held(limiter)
    probe.settle()
    assert not await is_held(limiter)


async def test_a_probe_that_is_refused_pauses_anew(limiter: MemoryRateLimiter, clock: Clock) -> None:
    (await take(limiter)).settle((), math.inf)
    for _ in range(3):
        clock.now += LONGEST_PAUSE
        (await take(limiter)).settle((), math.inf)
        with pytest.raises(RateLimitWaitError) as caught:
            await take(limiter)
        assert caught.value.wait == pytest.approx(LONGEST_PAUSE)


async def test_a_lost_probe_is_not_waited_for(limiter: MemoryRateLimiter, clock: Clock) -> None:
    (await take(limiter)).settle((), 5_000.0)
    clock.now += LONGEST_PAUSE
    probe = await take(limiter)
    assert await is_held(limiter)
    del probe
    gc.collect()
    assert not await is_held(limiter)


async def test_after_a_pause_that_was_not_cut_all_may_go(limiter: MemoryRateLimiter, clock: Clock) -> None:
    (await take(limiter)).settle((), 30.0)
    clock.now += 31
    permits = [await take(limiter) for _ in range(5)]
    assert len(permits) == 5


async def test_who_waits_for_a_probe_goes_as_soon_as_it_is_answered() -> None:
    clock = Clock()
    limiter = MemoryRateLimiter(clock=clock, max_pause=1e9)
    (await take(limiter)).settle((), 5_000.0)
    clock.now += LONGEST_PAUSE
    probe = await take(limiter)
    waiting = [asyncio.create_task(limiter.acquire(KEY, FIVE, max_wait=None)) for _ in range(3)]
    await anyio.wait_all_tasks_blocked()
    probe.settle()
    with anyio.fail_after(10):
        await asyncio.gather(*waiting)


async def test_all_who_wait_fail_when_the_pause_is_too_long_however_many() -> None:
    limiter = MemoryRateLimiter()
    first = [await take(limiter) for _ in range(5)]
    waiting = [asyncio.create_task(limiter.acquire(KEY, FIVE, max_wait=None)) for _ in range(2_000)]
    await anyio.wait_all_tasks_blocked()
    first[0].settle((), 600.0)
    with anyio.fail_after(30):
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(result) for result in results} == {RateLimitWaitError}


async def test_who_comes_last_learns_that_a_smaller_limit_makes_the_wait_too_long() -> None:
    limiter = MemoryRateLimiter(max_pause=1e9)
    limits = (RateLimit(100, per=10),)
    first = [await limiter.acquire(KEY, limits, max_wait=None) for _ in range(100)]
    waiting = [asyncio.create_task(limiter.acquire(KEY, limits, max_wait=60.0)) for _ in range(300)]
    await anyio.wait_all_tasks_blocked()
    first[0].settle((Allowance(10, 10.0, remaining=0),))  # so that 60 s are enough for some 60
    with anyio.fail_after(30):
        results = await asyncio.gather(*waiting[100:], return_exceptions=True)
    assert {type(result) for result in results} == {RateLimitWaitError}
    assert not any(task.done() for task in waiting[:40])
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_an_odd_answer_is_forgotten_after_a_quarter_of_an_hour(limiter: MemoryRateLimiter, clock: Clock) -> None:
    long = await take(limiter)  # so that the key is not forgotten altogether
    (await take(limiter)).settle((Allowance(1, 86_400.0, remaining=0),))
    clock.now += 61
    (await take(limiter)).settle()
    with pytest.raises(RateLimitWaitError):
        await take(limiter)  # the one of its day is used
    clock.now += LONGEST_PAUSE
    for _ in range(4):
        (await take(limiter)).settle()
    long.settle()


async def test_a_window_longer_than_a_day_is_nothing_that_a_platform_has(limiter: MemoryRateLimiter) -> None:
    (await take(limiter)).settle((Allowance(1, 3_456_000.0, remaining=0),))
    assert not await is_held(limiter)
