"""Model servers, each counting as some platform might, against simulated traffic."""

from __future__ import annotations

import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from dialogkit._core.limits.memory import MemoryRateLimiter
from dialogkit._core.limits.terms import RateLimit

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
        permit = await limiter.acquire(("key",), limits, max_wait=None)
        await trio.sleep(there)
        arrivals.append(trio.current_time())
        await trio.sleep(back)
        permit.settle()

    async with trio.open_nursery() as nursery:
        for number, start in enumerate(starts):
            nursery.start_soon(request, start, *latencies[number % len(latencies)])
    return arrivals


def simulate(run: Callable[[MemoryRateLimiter], Awaitable[list[float]]]) -> list[float]:
    """Run on a clock of its own, on which nothing takes time but sleeping."""
    clock = trio.testing.MockClock(autojump_threshold=0)

    async def main() -> list[float]:
        return await run(MemoryRateLimiter(clock=trio.current_time, max_pause=1e6))

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


@pytest.mark.parametrize("limit", [RateLimit(33, per=1), RateLimit(100, per=10), RateLimit(400, per=10)])
def test_many_tokens_come_back_in_time_though_they_are_remembered_together(limit: RateLimit) -> None:
    jitter = random.Random(limit.limit)
    latencies = [(jitter.uniform(0, limit.per / 100), jitter.uniform(0, limit.per / 100)) for _ in range(97)]
    windows = 20
    wanted = limit.limit * windows
    arrivals = simulate(lambda limiter: traffic(limiter, [limit], [0.0] * int(wanted * 1.1), latencies))
    servers: list[Server] = [SlidingWindow(limit), Bucket(limit)]
    servers += [FixedWindow(limit, phase * limit.per / 7) for phase in range(7)]
    assert not [server for server in servers if server.overrun(arrivals)]
    assert len([each for each in arrivals if each < windows * limit.per]) >= 0.95 * wanted


@settings(max_examples=15, deadline=None)
@given(
    limit=st.builds(RateLimit, st.integers(33, 120), per=st.sampled_from([1.0, 10.0])),
    gaps=st.lists(st.floats(0, 0.2, allow_subnormal=False), min_size=50, max_size=300),
    latencies=st.lists(st.tuples(delays, delays), min_size=1, max_size=20),
    phase=st.floats(0, 10),
)
def test_tokens_remembered_together_never_come_back_too_early(
    limit: RateLimit, gaps: list[float], latencies: list[tuple[float, float]], phase: float
) -> None:
    starts = list(itertools.accumulate(gaps))
    arrivals = simulate(lambda limiter: traffic(limiter, [limit], starts, latencies))
    servers: list[Server] = [FixedWindow(limit, phase), SlidingWindow(limit), Bucket(limit)]
    assert not [server for server in servers if server.overrun(arrivals)]
