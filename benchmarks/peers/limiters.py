"""What a permit under two windows costs in each limiter, and what memory a key takes."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, Final

from dialogkit import MemoryRateLimiter, RateLimit

PERMITS: Final = 20_000
KEYS: Final = 2_000
PLENTY: Final = (RateLimit(10_000_000, per=60), RateLimit(1_000_000, per=1))


async def dialogkit(permits: int) -> None:
    """Take permits and settle them."""
    limiter = MemoryRateLimiter()
    key = ("HoopAI", "credential", "location")
    for _ in range(permits):
        (await limiter.acquire(key, PLENTY, max_wait=None)).settle()


async def aiolimiter(permits: int) -> None:
    """Enter two limiters, one after the other; it settles nothing."""
    from aiolimiter import AsyncLimiter  # noqa: PLC0415 - only for the comparison

    minute, second = AsyncLimiter(10_000_000, 60), AsyncLimiter(1_000_000, 1)
    for _ in range(permits):
        async with minute, second:
            pass


async def pyrate_limiter(permits: int) -> None:
    """Take permits under two rates; it settles nothing."""
    pyrate: Any = import_module("pyrate_limiter")
    rates = [pyrate.Rate(1_000_000, pyrate.Duration.SECOND), pyrate.Rate(10_000_000, pyrate.Duration.MINUTE)]
    limiter = pyrate.Limiter(rates)
    for _ in range(permits):
        await limiter.try_acquire_async("location")


LIMITERS: Final[dict[str, Callable[[int], Awaitable[None]]]] = {
    "dialogkit": dialogkit,
    "aiolimiter": aiolimiter,
    "pyrate_limiter": pyrate_limiter,
}
"""By the name of the module that each needs."""


def cost(name: str, permits: int = PERMITS) -> float:
    """Return CPU microseconds for a permit."""

    async def run() -> float:
        await LIMITERS[name](1)  # which imports it
        began = time.process_time()
        await LIMITERS[name](permits)
        return (time.process_time() - began) / permits * 1e6

    return asyncio.run(run())


def memory_of_a_key(keys: int = KEYS) -> float:
    """Return bytes for a key of dialogkit's limiter that has just been used."""

    async def run() -> float:
        limiter = MemoryRateLimiter()
        names = [("HoopAI", "credential", f"location_{number}") for number in range(keys)]
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for name in names:
            (await limiter.acquire(name, PLENTY, max_wait=None)).settle()
        used = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        return used / keys

    return asyncio.run(run())
