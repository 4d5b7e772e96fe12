from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import anyio
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from dialogkit._core.errors import ConfigurationError, RateLimitWaitError
from dialogkit._core.sending.rate_limit import Permit, RateLimit
from dialogkit._core.sending.rate_limit.memory import MemoryRateLimiter

STANDARD = (RateLimit(60, per=60), RateLimit(10, per=1))


class Server(Protocol):
    """Counts arrivals as some platform might."""

    def overrun(self, arrivals: Sequence[float]) -> bool: ...


class FixedWindow:
    def __init__(self, limit: RateLimit, phase: float) -> None:
        self.limit = limit
        self.phase = phase

    def overrun(self, arrivals: Sequence[float]) -> bool:
        counts: dict[int, int] = {}
        for arrival in arrivals:
            window = int((arrival + self.phase) // self.limit.per)
            counts[window] = counts.get(window, 0) + 1
        return max(counts.values(), default=0) > self.limit.limit


class SlidingWindow:
    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit

    def overrun(self, arrivals: Sequence[float]) -> bool:
        ordered = sorted(arrivals)
        limit = self.limit.limit
        return any(later - earlier <= self.limit.per for earlier, later in zip(ordered, ordered[limit:], strict=False))


class Bucket:
    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit

    def overrun(self, arrivals: Sequence[float]) -> bool:
        level, last = float(self.limit.limit), 0.0
        for arrival in sorted(arrivals):
            level = min(self.limit.limit, level + (arrival - last) * self.limit.limit / self.limit.per)
            last = arrival
            level -= 1
            if level < -1e-6:
                return True
        return False


async def traffic(
    limiter: MemoryRateLimiter,
    limits: Sequence[RateLimit],
    starts: Sequence[float],
    latencies: Sequence[tuple[float, float]],
) -> list[float]:
    """Send one request for each start (seconds to wait before), and return when each arrived."""
    arrivals: list[float] = []

    async def request(start: float, there: float, back: float) -> None:
        await trio.sleep(start)
        permit = await limiter.acquire("key", limits, max_wait=None)
        await trio.sleep(there)
        arrivals.append(trio.current_time())
        await trio.sleep(back)
        permit.settle(None, None)

    async with trio.open_nursery() as nursery:
        for number, start in enumerate(starts):
            nursery.start_soon(request, start, *latencies[number % len(latencies)])
    return arrivals


def simulate(run: Callable[[MemoryRateLimiter], Awaitable[list[float]]]) -> list[float]:
    """Run on a clock of its own, on which nothing takes time but sleeping."""
    clock = trio.testing.MockClock(autojump_threshold=0)

    async def main() -> list[float]:
        return await run(MemoryRateLimiter(clock=trio.current_time, sleep=trio.sleep))

    arrivals = trio.run(main, clock=clock)
    assert isinstance(arrivals, list)
    begin = min(arrivals)
    return [each - begin for each in arrivals]


limits = st.lists(
    st.builds(RateLimit, st.integers(1, 12), per=st.sampled_from([0.5, 1.0, 3.0, 10.0])), min_size=1, max_size=3
)
delays = st.floats(0, 2.5, allow_subnormal=False)


@settings(max_examples=60, deadline=None)
@given(
    limits=limits,
    starts=st.lists(st.floats(0, 30, allow_subnormal=False), min_size=1, max_size=60),
    latencies=st.lists(st.tuples(delays, delays), min_size=1, max_size=10),
    phase=st.floats(0, 10),
)
def test_no_server_sees_an_overrun(
    limits: list[RateLimit], starts: list[float], latencies: list[tuple[float, float]], phase: float
) -> None:
    arrivals = simulate(lambda limiter: traffic(limiter, limits, starts, latencies))
    assert len(arrivals) == len(starts)
    for limit in limits:
        servers: list[Server] = [FixedWindow(limit, phase), SlidingWindow(limit), Bucket(limit)]
        for server in servers:
            assert not server.overrun(arrivals), type(server).__name__


@settings(max_examples=40, deadline=None)
@given(
    limit=st.integers(1, 20),
    burst=st.integers(1, 40),
    latencies=st.lists(st.tuples(st.floats(0, 0.5), st.floats(0, 0.5)), min_size=1, max_size=5),
)
def test_a_burst_is_kept_to_and_the_sustained_rate_with_it(
    limit: int, burst: int, latencies: list[tuple[float, float]]
) -> None:
    rate = RateLimit(limit, per=1.0, burst=burst)
    arrivals = simulate(lambda limiter: traffic(limiter, [rate], [0.0] * 80, latencies))
    assert not SlidingWindow(RateLimit(burst, per=burst / limit * 0.999)).overrun(arrivals)
    if burst <= limit:
        assert not SlidingWindow(RateLimit(limit, per=1.0)).overrun(arrivals)


@pytest.mark.parametrize("latency", [0.0, 0.1, 0.4])
def test_saturation_uses_the_sustained_allowance(latency: float) -> None:
    arrivals = simulate(lambda limiter: traffic(limiter, STANDARD, [0.0] * 660, [(latency / 2, latency / 2)]))
    in_ten_minutes = [each for each in arrivals if each < 600]
    assert len(in_ten_minutes) >= 0.95 * 600


def test_a_quiet_time_allows_a_burst() -> None:
    starts = [0.0] * 10 + [100.0] * 10
    arrivals = simulate(lambda limiter: traffic(limiter, STANDARD, starts, [(0.0, 0.0)]))
    assert sorted(round(each, 6) for each in arrivals) == starts


class FakeTime:
    """A clock that stands still, and moves only when someone sleeps until it does."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await anyio.lowlevel.checkpoint()
        self.now += seconds


def limiter_with(time: FakeTime) -> MemoryRateLimiter:
    return MemoryRateLimiter(clock=time, sleep=time.sleep)


ONE = (RateLimit(1, per=10),)


async def take(limiter: MemoryRateLimiter, limits: Sequence[RateLimit] = ONE, max_wait: float | None = None) -> Permit:
    return await limiter.acquire("key", limits, max_wait=max_wait)


async def settled(limiter: MemoryRateLimiter, limits: Sequence[RateLimit] = ONE) -> None:
    (await take(limiter, limits)).settle(None, None)


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

    async def sleep(seconds: float) -> None:
        await alarm.wait()
        await time.sleep(seconds)

    limiter = MemoryRateLimiter(clock=time, sleep=sleep)
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
    for key in ("a", "b", ("c", None)):
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
    first.settle(None, None)
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(each, asyncio.CancelledError) for each in done] == [number == victim for number in range(3)]


async def test_a_waiter_cancelled_as_its_turn_comes_strands_nobody() -> None:
    limiter = limiter_with(FakeTime())
    first = await take(limiter)
    tasks = [asyncio.create_task(settled(limiter)) for _ in range(3)]
    await turns()
    first.settle(None, None)  # wakes the head, which is cancelled before it can run
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
    permit.settle(None, None)
    permit.settle(None, 50.0)
    await take(limiter)
    assert time.now < 1_011


async def test_a_pause_holds_for_every_waiter_of_the_key() -> None:
    time = FakeTime()
    limiter = limiter_with(time)
    limits = (RateLimit(5, per=1),)
    permit = await take(limiter, limits)
    permit.settle({}, 30.0)
    await limiter.acquire("other", limits, max_wait=0)
    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(settled, limiter, limits)
    assert time.now == pytest.approx(1_030.0)


async def test_a_later_and_shorter_pause_does_not_end_the_first() -> None:
    time = FakeTime()
    limiter = limiter_with(time)
    limits = (RateLimit(5, per=1),)
    permits = [await take(limiter, limits) for _ in range(2)]
    permits[0].settle({}, 30.0)
    permits[1].settle({}, 1.0)
    await take(limiter, limits)
    assert time.now == pytest.approx(1_030.0)


async def test_a_pause_that_is_too_long_fails_at_once() -> None:
    limiter = limiter_with(FakeTime())
    (await take(limiter, (RateLimit(5, per=1),))).settle({}, 3600.0)
    with pytest.raises(RateLimitWaitError, match=r"3.6e\+03 s, the platform asked") as caught:
        await take(limiter)
    assert caught.value.wait == pytest.approx(3600.0)


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
        (await limiter.acquire(number, STANDARD, max_wait=None)).settle(None, None)
    held = await limiter.acquire("held", STANDARD, max_wait=None)
    time.now += 100
    await settled(limiter)
    assert set(limiter._keys) == {"held", "key"}
    held.settle(None, None)


async def test_an_idle_key_is_small() -> None:
    limiter = limiter_with(FakeTime())
    await settled(limiter, STANDARD)
    state = limiter._keys["key"]
    windows = state.windows
    parts = [state, state.by_limit, windows, *state.by_limit.values(), *windows, *(each.returns for each in windows)]
    assert sum(map(sys.getsizeof, parts)) < 1024


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
