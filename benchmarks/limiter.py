"""What the limiter costs, and how much of the allowance it uses.

    python benchmarks/limiter.py

The cost is measured beside aiolimiter in the same run: an uncontended permit under two windows (two limiters of
aiolimiter, entered one after the other), taken and settled; and that of a call while 50, 5,000 and 50,000 wait.
Utilisation is simulated on a clock of its own against three kinds of servers, with round trips drawn at random; a
server that counts one request too many ends the run.
"""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import trio
import trio.testing

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.peers.limiters import cost, memory_of_a_key
from dialogkit import Allowance, MemoryRateLimiter, RateLimit

ROUNDS = 7
LIMITS = {
    "10 in 1 s and 60 in 60 s": (RateLimit(10, per=1), RateLimit(60, per=60)),
    "100 in 10 s": (RateLimit(100, per=10),),
    "300 in 60 s": (RateLimit(300, per=60),),
    "600 in 60 s": (RateLimit(600, per=60),),
}


def arrivals_of(limits: Sequence[RateLimit], seconds: float, round_trip: float) -> list[float]:
    """Return when requests arrive while there are always more of them waiting."""
    draw = random.Random(1)
    arrivals: list[float] = []

    async def request(limiter: MemoryRateLimiter) -> None:
        while trio.current_time() < seconds:
            permit = await limiter.acquire(("key",), limits, max_wait=None)
            await trio.sleep(draw.uniform(0, round_trip))
            arrivals.append(trio.current_time())
            await trio.sleep(draw.uniform(0, round_trip))
            permit.settle()

    async def main() -> None:
        limiter = MemoryRateLimiter(clock=trio.current_time)
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(request, limiter)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    first = min(arrivals)
    return sorted(each - first for each in arrivals)


def most_in_a_window(arrivals: Sequence[float], limit: RateLimit, model: str) -> int:
    """Return the most that a server counts at once."""
    if model == "sliding":
        most = begin = 0
        for end, arrival in enumerate(arrivals):
            while arrival - arrivals[begin] > limit.per:
                begin += 1
            most = max(most, end - begin + 1)
        return most
    if model == "fixed":
        phases = (limit.per * each / 20 for each in range(20))
        return max(max(Counter(int((each + phase) // limit.per) for each in arrivals).values()) for phase in phases)
    level, last, lowest = float(limit.limit), 0.0, float(limit.limit)
    for arrival in arrivals:
        level = min(float(limit.limit), level + (arrival - last) * limit.limit / limit.per) - 1
        last, lowest = arrival, min(lowest, level)
    return limit.limit if lowest > -1e-6 else limit.limit + 1


def utilisation(limits: Sequence[RateLimit], round_trip: float) -> float:
    """Return which share of the sustained allowance is used in ten of its longest windows."""
    slowest = min(limits, key=lambda limit: limit.limit / limit.per)
    arrivals = arrivals_of(limits, slowest.per * 12, round_trip)
    for limit in limits:
        for model in ("fixed", "sliding", "bucket"):
            if most_in_a_window(arrivals, limit, model) > limit.limit:
                sys.exit(f"a {model} server refuses requests under {limit}")
    # Were nothing wasted, the first request beyond ten allowances would come when ten windows are over.
    return slowest.per * 10 / arrivals[slowest.limit * 10]


async def cost_in_line(waiting: int, served: int = 2_000) -> tuple[float, float]:
    """Return CPU microseconds for a call while so many wait, and milliseconds of the longest step of the event loop.

    Each answer tells of the limits. The limiter's clock moves when somebody waits for it, so nothing is idle.
    """
    now, answered, longest = 0.0, 0, 0.0

    async def wait(_: object, seconds: float) -> None:
        nonlocal now
        now += seconds
        await asyncio.sleep(0)

    async def call() -> None:
        nonlocal answered
        while answered < served:
            permit = await limiter.acquire(("key",), (RateLimit(100, per=10),), max_wait=1e11)
            await asyncio.sleep(0)
            permit.settle((Allowance(100, 10.0, answered % 3), Allowance(200_000, 86_400.0, 100_000, 4e4, True)))
            answered += 1

    limiter = MemoryRateLimiter(clock=lambda: now, wait=wait, max_pause=1e12)
    tasks = [asyncio.create_task(call()) for _ in range(waiting)]
    while answered < served // 10:  # noqa: ASYNC110 - the event would be one of what is measured
        await asyncio.sleep(0)
    gc.collect()
    begun, used = answered, time.process_time()
    while answered < served:
        began = time.perf_counter()
        await asyncio.sleep(0)
        longest = max(longest, time.perf_counter() - began)
    used = time.process_time() - used
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return used / (served - begun) * 1e6, longest * 1e3


def main() -> None:
    costs = [(cost("dialogkit"), cost("aiolimiter")) for _ in range(ROUNDS)]
    mine, other = (statistics.median(each) for each in zip(*costs, strict=True))
    print(f"permit under two windows, taken and settled: {mine:.2f} µs CPU")
    print(f"aiolimiter, two limiters, which settle nothing: {other:.2f} µs; ratio {mine / other:.2f}")
    print(f"memory of a key: {memory_of_a_key():.0f} bytes")
    for waiting in (50, 5_000, 50_000):
        used, longest = min(asyncio.run(cost_in_line(waiting)) for _ in range(3))
        print(f"{waiting} wait, answers tell of the limits: {used:.0f} µs CPU a call, longest step {longest:.1f} ms")
    print("\nshare of the allowance used, refusals by fixed, sliding and bucket servers: 0")
    for name, limits in LIMITS.items():
        shares = ", ".join(
            f"{utilisation(limits, rtt):.1%} at 0 to {2 * rtt * 1000:g} ms" for rtt in (0.0005, 0.025, 0.1)
        )
        print(f"  {name}: {shares}")


if __name__ == "__main__":
    main()
