"""What answers tell of the limits."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import anyio
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from dialogkit._core.errors import RateLimitWaitError
from dialogkit._core.limits.memory import MemoryRateLimiter
from dialogkit._core.limits.terms import Allowance, Key, Permit, RateLimit

KEY: Key = ("Toy", "credential", "loc_1")
TEN = (RateLimit(10, per=10),)


class Telling:
    """A server that says in each answer how many requests are left."""

    def __init__(self, limit: int, per: float, *, sliding: bool, phase: float = 0.0) -> None:
        self.limit = limit
        self.per = per
        self.sliding = sliding
        self.phase = phase
        self.taken: deque[float] = deque()
        self.refused = 0
        self.let_in = True

    def left(self) -> int:
        now = trio.current_time()
        start = now - self.per if self.sliding else math.floor((now + self.phase) / self.per) * self.per - self.phase
        while self.taken and (self.taken[0] <= start if self.sliding else self.taken[0] < start):
            self.taken.popleft()
        return self.limit - len(self.taken)

    def count(self) -> Allowance:
        if self.left() > 0:
            self.taken.append(trio.current_time())
            self.let_in = True
        else:
            self.refused += 1
            self.let_in = False
        return Allowance(self.limit, self.per, max(self.left(), 0))


def on_virtual_time(main: Callable[[], Awaitable[None]]) -> None:
    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def virtual_limiter() -> MemoryRateLimiter:
    return MemoryRateLimiter(clock=trio.current_time)


async def send(limiter: MemoryRateLimiter, server: Telling, there: float, back: float, *, listen: bool = True) -> None:
    permit = await limiter.acquire(KEY, (RateLimit(server.limit, per=server.per),), max_wait=None)
    await trio.sleep(there)
    told, wait = server.count(), None if server.let_in else 1.0
    await trio.sleep(back)
    permit.settle((told,) if listen else (), wait)


class Made(NamedTuple):
    limit: int
    per: float
    sliding: bool
    phase: float


delays = st.floats(0, 3, allow_subnormal=False)


@settings(max_examples=60, deadline=None)
@given(
    made=st.builds(Made, st.integers(1, 8), st.sampled_from([0.5, 1.0, 4.0]), st.booleans(), st.floats(0, 4)),
    starts=st.lists(st.floats(0, 20, allow_subnormal=False), min_size=1, max_size=40),
    latencies=st.lists(st.tuples(delays, delays), min_size=1, max_size=6),
)
def test_who_is_alone_blames_nobody_and_is_never_refused(
    made: Made, starts: list[float], latencies: list[tuple[float, float]]
) -> None:
    server = Telling(made.limit, made.per, sliding=made.sliding, phase=made.phase)
    blamed: list[int] = []

    async def one(limiter: MemoryRateLimiter, start: float, there: float, back: float) -> None:
        await trio.sleep(start)
        await send(limiter, server, there, back)
        told = limiter._keys[KEY].lines[0].windows[0]._told
        assert told is not None
        blamed.append(told.others)

    async def main() -> None:
        limiter = virtual_limiter()
        async with trio.open_nursery() as nursery:
            for number, start in enumerate(starts):
                nursery.start_soon(one, limiter, start, *latencies[number % len(latencies)])

    on_virtual_time(main)
    assert blamed == [0] * len(starts)
    assert server.refused == 0


@pytest.mark.parametrize("sliding", [True, False])
def test_who_shares_an_allowance_makes_room_for_the_others(sliding: bool) -> None:
    refusals: dict[bool, int] = {}
    sent: dict[bool, int] = {}

    async def others(server: Telling, until: float) -> None:
        while trio.current_time() < until:
            await trio.sleep(1 / 3)
            if server.left() > 0:  # the other client behaves well
                server.count()

    async def ours(server: Telling, limiter: MemoryRateLimiter, until: float, listen: bool, number: int) -> None:
        await trio.sleep(number / 9)
        while trio.current_time() < until:
            await send(limiter, server, 0.01, 0.01, listen=listen)
            sent[listen] += 1
            await trio.sleep(0.5)

    for listen in (True, False):
        server = Telling(10, 1.0, sliding=sliding)
        sent[listen] = 0

        async def main(server: Telling = server, listen: bool = listen) -> None:
            limiter, until = virtual_limiter(), trio.current_time() + 60
            async with trio.open_nursery() as nursery:
                nursery.start_soon(others, server, until)
                for number in range(7):
                    nursery.start_soon(ours, server, limiter, until, listen, number)

        on_virtual_time(main)
        refusals[listen] = server.refused
    assert refusals[False] > 50
    assert refusals[True] < 0.7 * refusals[False]
    assert sent[True] - refusals[True] >= 0.9 * (sent[False] - refusals[False])


async def take(limiter: MemoryRateLimiter, max_wait: float | None = 0) -> Permit:
    return await limiter.acquire(KEY, TEN, max_wait=max_wait)


async def takes(limiter: MemoryRateLimiter, count: int) -> Sequence[Permit]:
    return [await take(limiter) for _ in range(count)]


class Clock:
    def __init__(self) -> None:
        self.now = 5_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> MemoryRateLimiter:
    return MemoryRateLimiter(clock=clock)


async def test_a_smaller_remainder_narrows(limiter: MemoryRateLimiter) -> None:
    (await take(limiter)).settle((Allowance(10, 10, remaining=3),))
    await takes(limiter, 3)
    with pytest.raises(RateLimitWaitError) as caught:
        await take(limiter)
    assert caught.value.wait == pytest.approx(10, abs=0.1)


async def test_a_larger_remainder_does_not_widen(limiter: MemoryRateLimiter) -> None:
    (await take(limiter)).settle((Allowance(1000, 10, remaining=999),))
    await takes(limiter, 9)
    with pytest.raises(RateLimitWaitError):
        await take(limiter)


async def test_a_smaller_limit_narrows_until_told_otherwise(limiter: MemoryRateLimiter, clock: Clock) -> None:
    (await take(limiter)).settle((Allowance(4, 10, remaining=3),))
    clock.now += 11
    permits = await takes(limiter, 4)
    with pytest.raises(RateLimitWaitError):
        await take(limiter, max_wait=1)
    permits[3].settle((Allowance(10, 10, remaining=6),))
    await takes(limiter, 6)


async def test_the_others_tokens_come_back_when_the_platform_says(limiter: MemoryRateLimiter, clock: Clock) -> None:
    (await take(limiter)).settle((Allowance(10, 10, remaining=0, resets_in=2.5),))
    with pytest.raises(RateLimitWaitError) as caught:
        await take(limiter)
    assert caught.value.wait == pytest.approx(2.5)
    clock.now += 2.5
    await takes(limiter, 9)


async def test_an_old_answer_does_not_overwrite_newer_knowledge(limiter: MemoryRateLimiter) -> None:
    old, new = await takes(limiter, 2)
    new.settle((Allowance(10, 10, remaining=8),))
    old.settle((Allowance(10, 10, remaining=0),))
    await takes(limiter, 8)


async def test_newer_knowledge_overwrites_what_an_old_answer_told(limiter: MemoryRateLimiter) -> None:
    old, new = await takes(limiter, 2)
    old.settle((Allowance(10, 10, remaining=0),))
    with pytest.raises(RateLimitWaitError):
        await take(limiter)
    new.settle((Allowance(10, 10, remaining=8),))
    await takes(limiter, 8)


async def test_a_slow_answer_blames_nobody_for_what_has_come_back_meanwhile(
    limiter: MemoryRateLimiter, clock: Clock
) -> None:
    permits = await takes(limiter, 10)
    for permit in permits[:9]:
        permit.settle()
    clock.now += 10.5
    permits[9].settle((Allowance(10, 10, remaining=0),))
    await takes(limiter, 9)


async def test_a_window_that_only_the_platform_knows_is_kept_to(limiter: MemoryRateLimiter, clock: Clock) -> None:
    (await take(limiter)).settle((Allowance(3, 2.0, remaining=2),))
    for permit in await takes(limiter, 2):
        permit.settle()
    with pytest.raises(RateLimitWaitError) as caught:
        await take(limiter)
    assert caught.value.wait == pytest.approx(2.0, abs=0.1)
    clock.now += 4.1  # until then, the first request counts as somebody else's
    await takes(limiter, 3)


async def test_a_remainder_of_a_long_window_is_asked_again_after_a_minute(
    limiter: MemoryRateLimiter, clock: Clock
) -> None:
    (await take(limiter)).settle((Allowance(200_000, 86_400.0, remaining=0),))
    with pytest.raises(RateLimitWaitError) as caught:
        await take(limiter)
    assert caught.value.wait == pytest.approx(60, abs=0.1)
    clock.now += 60
    await take(limiter)


async def test_windows_that_nobody_can_know_do_not_pile_up(limiter: MemoryRateLimiter, clock: Clock) -> None:
    for number in range(100):
        (await take(limiter)).settle((Allowance(10, 100.0 + number, remaining=9),))
        clock.now += 11
    assert len(limiter._keys[KEY].learned) <= 4


async def test_a_limit_with_a_name_is_not_what_the_headers_tell_of(limiter: MemoryRateLimiter) -> None:
    messages = RateLimit(10, per=10, name="messages")
    (await limiter.acquire(KEY, (messages,), max_wait=0)).settle((Allowance(10, 10, remaining=0),))
    with pytest.raises(RateLimitWaitError):
        await take(limiter)
    assert limiter._keys[KEY].lines[0].windows[0].limit == 10


async def test_what_narrows_fails_those_at_once_who_cannot_wait_that_long() -> None:
    limiter = MemoryRateLimiter()
    limits = (RateLimit(1, per=0.05),)
    first = await limiter.acquire(KEY, limits, max_wait=None)
    waiting = [asyncio.create_task(limiter.acquire(KEY, limits, max_wait=left)) for left in (5.0, None, 7.0)]
    await anyio.wait_all_tasks_blocked()
    first.settle((), 20.0)
    with anyio.fail_after(10):
        for task in (waiting[0], waiting[2]):
            with pytest.raises(RateLimitWaitError, match="20 s, longer than the"):
                await task
    assert not waiting[1].done()
    waiting[1].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
