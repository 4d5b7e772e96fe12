from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Sequence

import anyio
import pytest
import trio

from dialogkit._core.errors import ConfigurationError, RateLimitWaitError
from dialogkit._core.limits.memory import MemoryRateLimiter
from dialogkit._core.limits.terms import Key, Permit, RateLimit

STANDARD = (RateLimit(60, per=60), RateLimit(10, per=1))
KEY: Key = ("Toy", "credential", "loc_1")


class FakeTime:
    """A clock that stands still, and moves only when someone sleeps until it does."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def wait(self, event: anyio.Event, seconds: float) -> None:
        self.slept.append(seconds)
        await anyio.lowlevel.checkpoint()
        if not event.is_set():
            self.now += seconds


def limiter_with(time: FakeTime) -> MemoryRateLimiter:
    return MemoryRateLimiter(clock=time, wait=time.wait)


ONE = (RateLimit(1, per=10),)


async def take(limiter: MemoryRateLimiter, limits: Sequence[RateLimit] = ONE, max_wait: float | None = None) -> Permit:
    return await limiter.acquire(KEY, limits, max_wait=max_wait)


async def settled(limiter: MemoryRateLimiter, limits: Sequence[RateLimit] = ONE) -> None:
    (await take(limiter, limits)).settle()


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_first_come_first_served() -> None:
    time = FakeTime()
    limiter = limiter_with(time)
    order: list[int] = []

    async def wait(number: int) -> None:
        await settled(limiter)
        order.append(number)

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(wait, number)
    assert order == list(range(20))
    assert 190 <= time.now - 1_000 < 190.2


async def test_a_newcomer_does_not_overtake_who_waits() -> None:
    time = FakeTime()
    alarm = asyncio.Event()

    async def wait_for(event: anyio.Event, seconds: float) -> None:
        await alarm.wait()
        await time.wait(event, seconds)

    limiter = MemoryRateLimiter(clock=time, wait=wait_for)
    await settled(limiter)
    order: list[str] = []

    async def wait(name: str) -> None:
        await settled(limiter)
        order.append(name)

    early = asyncio.create_task(wait("early"))
    await turns()
    time.now += 11  # the token is back, and the one who waits for it has not woken up yet
    late = asyncio.create_task(wait("late"))
    await turns()
    assert order == []
    alarm.set()
    await asyncio.gather(early, late)
    assert order == ["early", "late"]


async def test_different_keys_do_not_wait_for_each_other() -> None:
    limiter = limiter_with(FakeTime())
    for key in (("a",), ("b",), ("b", "c")):
        await limiter.acquire(key, ONE, max_wait=0)


@pytest.mark.parametrize("victim", [0, 1, 2])
async def test_a_cancelled_waiter_strands_nobody(victim: int) -> None:
    time = FakeTime()
    limiter = limiter_with(time)
    first = await take(limiter)
    tasks = [asyncio.create_task(settled(limiter)) for _ in range(3)]
    await turns()
    tasks[victim].cancel()
    await turns()
    first.settle()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in done] == [number == victim for number in range(3)]


async def test_a_waiter_cancelled_as_its_turn_comes_strands_nobody() -> None:
    limiter = limiter_with(FakeTime())
    first = await take(limiter)
    tasks = [asyncio.create_task(settled(limiter)) for _ in range(3)]
    await turns()
    first.settle()  # wakes the head, which is cancelled before it can run
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [task.cancelled() for task in tasks] == [True, False, False]


async def test_a_lost_permit_comes_back() -> None:
    time = FakeTime()
    limiter = limiter_with(time)

    async def lose() -> None:
        await take(limiter)
        await asyncio.sleep(3600)

    task = asyncio.create_task(lose())
    await turns()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    del task
    gc.collect()
    await settled(limiter)
    assert time.slept


async def test_a_cancellation_storm_loses_no_token() -> None:
    time = FakeTime()
    limiter = limiter_with(time)
    for _ in range(30):
        tasks = [asyncio.create_task(settled(limiter, STANDARD)) for _ in range(40)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    time.now += 120
    before = len(time.slept)
    for _ in range(10):
        await settled(limiter, STANDARD)
    assert len(time.slept) == before


async def test_settling_twice_counts_once() -> None:
    time = FakeTime()
    limiter = limiter_with(time)
    permit = await take(limiter)
    permit.settle()
    permit.settle((), 50.0)
    await take(limiter)
    assert time.now < 1_011


async def test_a_pause_holds_for_every_waiter_of_the_key() -> None:
    time = FakeTime()
    limiter = limiter_with(time)
    limits = (RateLimit(5, per=1),)
    permit = await take(limiter, limits)
    permit.settle((), 30.0)
    await limiter.acquire(("other",), limits, max_wait=0)
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(settled, limiter, limits)
    assert time.now == pytest.approx(1_030.0)


async def test_a_later_and_shorter_pause_does_not_end_the_first() -> None:
    time = FakeTime()
    limiter = limiter_with(time)
    limits = (RateLimit(5, per=1),)
    permits = [await take(limiter, limits) for _ in range(2)]
    permits[0].settle((), 30.0)
    permits[1].settle((), 1.0)
    await take(limiter, limits)
    assert time.now == pytest.approx(1_030.0)


async def test_a_pause_that_is_too_long_fails_at_once() -> None:
    limiter = limiter_with(FakeTime())
    (await take(limiter, (RateLimit(5, per=1),))).settle((), 600.0)
    with pytest.raises(RateLimitWaitError, match="would have to wait 600 s, as the platform asked") as caught:
        await take(limiter)
    assert caught.value.wait == pytest.approx(600.0)


async def test_a_known_wait_beyond_the_limit_fails_at_once() -> None:
    time = FakeTime()
    limiter = limiter_with(time)
    await settled(limiter)
    with pytest.raises(RateLimitWaitError) as caught:
        await take(limiter, max_wait=9.0)
    assert caught.value.wait == pytest.approx(10.0, abs=0.1)
    assert time.slept == []
    await take(limiter, max_wait=10.1)


async def test_those_in_front_count_for_the_known_wait() -> None:
    limiter = limiter_with(FakeTime())
    await settled(limiter)
    tasks = [asyncio.create_task(settled(limiter)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimitWaitError) as caught:
        await take(limiter, max_wait=35.0)
    assert caught.value.wait == pytest.approx(40.0, abs=0.1)
    await asyncio.gather(*tasks)


async def test_limits_are_taken_together_or_not_at_all() -> None:
    time = FakeTime()
    limiter = limiter_with(time)
    both = (RateLimit(1, per=100), RateLimit(5, per=1))
    await settled(limiter, both)
    with pytest.raises(RateLimitWaitError):
        await take(limiter, both, max_wait=1.0)
    for _ in range(4):  # the second limit has lost no token to the attempt
        await take(limiter, both[1:], max_wait=0)


async def test_idle_keys_are_forgotten() -> None:
    time = FakeTime()
    limiter = limiter_with(time)
    for number in range(1_000):
        (await limiter.acquire((str(number),), STANDARD, max_wait=None)).settle()
    held = await limiter.acquire(("held",), STANDARD, max_wait=None)
    time.now += 100
    await settled(limiter)
    assert set(limiter._keys) == {("held",), KEY}
    held.settle()


@pytest.mark.parametrize("spread", [0.0, 0.9999])
async def test_a_key_is_small_however_busy(spread: float) -> None:
    time = FakeTime()
    limiter = limiter_with(time)
    keys = [(str(number),) for number in range(100)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(60 if spread else 10):
            time.now += spread
            for key in keys:
                (await limiter.acquire(key, STANDARD, max_wait=None)).settle()
        assert tracemalloc.get_traced_memory()[0] - before < 1024 * len(keys)
    finally:
        tracemalloc.stop()


def test_it_works_under_trio() -> None:
    async def main() -> None:
        limiter = MemoryRateLimiter()
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(settled, limiter, (RateLimit(2, per=0.01),))

    trio.run(main)


@pytest.mark.parametrize(
    "arguments",
    [(0, 1), (1, 0), (-1, 1), (1, -1), (1.5, 1), (True, 1), (1, float("nan")), (1, float("inf")), (1, 1, 0)],
)
def test_senseless_limits_are_refused(arguments: tuple[int, float]) -> None:
    with pytest.raises(ConfigurationError, match="RateLimit"):
        RateLimit(*arguments)


def test_a_limit_is_a_value() -> None:
    assert RateLimit(60, per=60) == RateLimit(60, 60.0)
    assert len({RateLimit(1, 1), RateLimit(1, 1), RateLimit(1, 1, 1)}) == 2
    assert RateLimit(60, 60, burst=7).windows() == ((7, 7.0), (60, 60.0))
    assert RateLimit(60, 60, burst=10).windows() == ((10, 10.0),)
    assert RateLimit(600, 60, burst=1200).windows() == ((1200, 120.0),)


async def test_a_snapshot_shows_how_each_key_stands() -> None:
    limiter = MemoryRateLimiter(clock=lambda: 100.0)
    key, limits = ("Toy", "credential", ""), (RateLimit(1, per=1), RateLimit(10, per=60, name="messages"))
    permit = await limiter.acquire(key, limits, max_wait=None)
    waiting = asyncio.ensure_future(limiter.acquire(key, limits, max_wait=None))
    await asyncio.sleep(0)
    (state,) = limiter.snapshot()
    assert (state.key, state.waiting, state.paused_for) == (key, 1, 0)
    assert [(each.limit, each.per, each.name, each.free) for each in state.windows] == [
        (1, 1, "", 0),
        (10, 60, "messages", 9),
    ]
    permit.settle(retry_after=7)
    assert limiter.snapshot()[0].paused_for == 7
    waiting.cancel()
