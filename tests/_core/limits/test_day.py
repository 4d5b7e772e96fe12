"""A day that begins anew by the platform's own midnight, which its answers tell."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from dialogkit._core.errors import RateLimitWaitError
from dialogkit._core.limits.memory import MemoryRateLimiter
from dialogkit._core.limits.terms import Allowance, Key, RateLimit

KEY: Key = ("Toy", "credential", "loc_1")


class DailyServer:
    """Counts by days of its own, from nothing at each midnight; when a day is spent, it refuses."""

    def __init__(self, limit: int, day: float, phase: float) -> None:
        self.limit = limit
        self.day = day
        self.phase = phase
        self.today = 0
        self.date = -1
        self.days: dict[int, int] = {}
        self.refused = 0

    def hear(self, now: float) -> tuple[Allowance, float | None]:
        date = math.floor((now + self.phase) / self.day)
        if date != self.date:
            self.date, self.today = date, 0
        resets_in = (date + 1) * self.day - self.phase - now
        admitted = self.today < self.limit
        self.today += admitted
        self.refused += not admitted
        self.days[date] = self.today
        told = Allowance(self.limit, self.day, self.limit - self.today, resets_in, begins_anew=True)
        return told, None if admitted else resets_in


async def send(
    limiter: MemoryRateLimiter, server: DailyServer, limits: Sequence[RateLimit], there: float, back: float
) -> None:
    permit = await limiter.acquire(KEY, limits, max_wait=None)
    await trio.sleep(there)
    told, refused = server.hear(trio.current_time())
    await trio.sleep(back)
    permit.settle((told,), refused)


def run(
    server: DailyServer, limits: Sequence[RateLimit], starts: Sequence[float], ways: Sequence[tuple[float, float]]
) -> float:
    """Send one request for each start (seconds to wait before), and return when all were answered."""

    async def one(limiter: MemoryRateLimiter, start: float, there: float, back: float) -> None:
        await trio.sleep(start)
        await send(limiter, server, limits, there, back)

    async def main() -> float:
        began = trio.current_time()
        limiter = MemoryRateLimiter(clock=trio.current_time, max_pause=1e9)
        async with trio.open_nursery() as nursery:
            for number, start in enumerate(starts):
                nursery.start_soon(one, limiter, start, *ways[number % len(ways)])
        return trio.current_time() - began

    ended = trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert isinstance(ended, float)
    return ended


ways = st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3)), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    limit=st.integers(1, 8),
    day=st.sampled_from([7.0, 20.0]),
    phase=st.floats(0, 20),
    starts=st.lists(st.floats(0, 60, allow_subnormal=False), min_size=1, max_size=40),
    ways=ways,
)
def test_who_knows_the_day_is_never_refused(
    limit: int, day: float, phase: float, starts: list[float], ways: list[tuple[float, float]]
) -> None:
    server = DailyServer(limit, day, phase)
    run(server, (RateLimit(limit, per=day),), starts, ways)
    assert server.refused == 0


@settings(max_examples=30, deadline=None)
@given(limit=st.integers(2, 20), phase=st.floats(0, 86_000), late=st.floats(0, 0.9))
def test_each_day_s_allowance_is_there_from_its_beginning(limit: int, phase: float, late: float) -> None:
    """However late in a day its allowance was used; a sliding window would lend that time to the next day."""
    day = 86_400.0
    server = DailyServer(limit, day, phase)
    first = (math.ceil(phase / day) * day - phase) or day  # the first midnight
    start = first + late * day
    ended = run(server, (RateLimit(limit, per=day),), [start] * (2 * limit), [(0.05, 0.05)])
    assert server.refused == 0
    assert ended <= first + day + 1
    assert sorted(server.days.values()) == [limit, limit]


@settings(max_examples=30, deadline=None)
@given(limit=st.integers(1, 8), phase=st.floats(0, 20), ways=ways)
def test_a_day_that_only_answers_tell_of_is_kept_to(limit: int, phase: float, ways: list[tuple[float, float]]) -> None:
    """Only those are refused that were let go before the first answer had told of it."""
    server = DailyServer(limit, 20.0, phase)
    run(server, (RateLimit(2, per=1),), [0.0] * 30, ways)
    unknowing = 2 * math.ceil(max(there + back for there, back in ways) + 1)
    assert server.refused <= unknowing


class Clock:
    def __init__(self) -> None:
        self.now = 5_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("limits", [(RateLimit(10, per=1),), (RateLimit(200_000, per=86_400),)])
async def test_a_spent_day_fails_calls_at_once_until_it_ends_and_no_longer(limits: tuple[RateLimit, ...]) -> None:
    clock = Clock()
    limiter = MemoryRateLimiter(clock=clock)
    told = Allowance(200_000, 86_400.0, 0, 81_283.0, begins_anew=True)
    (await limiter.acquire(KEY, limits, max_wait=None)).settle((told,), 81_283.0)
    for passed in (0.0, 1_000.0, 80_000.0):
        clock.now = 5_000.0 + passed
        with pytest.raises(RateLimitWaitError) as caught:
            await limiter.acquire(KEY, limits, max_wait=None)
        assert caught.value.wait == pytest.approx(81_283.0 - passed)
    clock.now = 5_000.0 + 81_283.0
    (await limiter.acquire(KEY, limits, max_wait=None)).settle()
    await limiter.acquire(KEY, limits, max_wait=0)


async def test_the_end_of_a_day_is_remembered_though_nobody_calls() -> None:
    clock = Clock()
    limiter = MemoryRateLimiter(clock=clock)
    limits = (RateLimit(10, per=1),)
    told = Allowance(200_000, 86_400.0, 0, 40_000.0, begins_anew=True)
    (await limiter.acquire(KEY, limits, max_wait=None)).settle((told,))
    clock.now += 39_000
    await limiter.acquire(("other",), limits, max_wait=0)  # which sweeps
    with pytest.raises(RateLimitWaitError):
        await limiter.acquire(KEY, limits, max_wait=0)


async def test_a_day_of_which_enough_is_left_keeps_no_idle_key_alive() -> None:
    clock = Clock()
    limiter = MemoryRateLimiter(clock=clock)
    limits = (RateLimit(10, per=1),)
    told = Allowance(200_000, 86_400.0, 150_000, 40_000.0, begins_anew=True)
    (await limiter.acquire(KEY, limits, max_wait=None)).settle((told,))
    clock.now += 100
    await limiter.acquire(("other",), limits, max_wait=0)
    assert set(limiter._keys) == {("other",)}
