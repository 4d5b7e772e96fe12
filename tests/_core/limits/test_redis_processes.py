"""`RedisRateLimiter` in several processes, and what they do to a server."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dialogkit._core.errors import RateLimitWaitError
from dialogkit._core.limits.redis import RedisRateLimiter
from dialogkit._core.limits.terms import RateLimit
from tests._core.limits.redis_worker import KEY
from tests._core.limits.test_server_models import Bucket, FixedWindow, Server, SlidingWindow
from tests.support.redis_server import RedisServer, at_most

ROOT = Path(__file__).resolve().parents[3]
PROCESSES, TASKS = 4, 20
LIMIT = RateLimit(50, per=0.5)
SECONDS = 3.0
ROUNDS = 3


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer.started() as server:
        yield server


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    with at_most(120):
        yield


@asynccontextmanager
async def worker(*arguments: object) -> AsyncGenerator[asyncio.subprocess.Process, None]:
    command = [sys.executable, "-W", "error", "-m", "tests._core.limits.redis_worker"]
    process = await asyncio.create_subprocess_exec(
        *command, *map(str, arguments), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


class Counter:
    """A server that remembers when requests came, and answers after up to 10 ms."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.arrivals: list[float] = []
        self._waiting = PROCESSES * TASKS
        self._all_there = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._waiting -= 1
        if not self._waiting:
            self._all_there.set()
        await self._all_there.wait()
        jitter = random.Random(self._waiting)
        writer.write(b"+")
        while await reader.read(1):
            now = asyncio.get_running_loop().time()
            self.arrivals.append(now)
            await asyncio.sleep(jitter.uniform(0, 0.01))
            writer.write(b"+" if now - self.arrivals[0] < SECONDS else b"-")
        writer.close()

    async def run(self, redis: RedisServer) -> list[float]:
        """Return when the requests of all processes came, from the first one on."""
        listener = await asyncio.start_unix_server(self.serve, str(self.socket), backlog=200)
        try:
            arguments = ("saturate", redis.socket, LIMIT.limit, LIMIT.per, self.socket, TASKS)
            workers = [worker(*arguments) for _ in range(PROCESSES)]
            processes = [await each.__aenter__() for each in workers]
            codes = await asyncio.gather(*(process.wait() for process in processes))
            for each in workers:
                await each.__aexit__(None, None, None)
            assert codes == [0] * PROCESSES
        finally:
            listener.close()
        return [arrival - self.arrivals[0] for arrival in self.arrivals]


def used(arrivals: Sequence[float]) -> float:
    """Return which share of the allowance was used, in whole windows from the first arrival on."""
    windows = int(arrivals[-1] // LIMIT.per)
    return sum(arrival < windows * LIMIT.per for arrival in arrivals) / (windows * LIMIT.limit)


async def test_four_processes_use_the_allowance_and_no_more(server: RedisServer, tmp_path: Path) -> None:
    """What is used depends on how busy the machine is, so there is a second chance; what is refused does not."""
    shares: list[float] = []
    for number in range(ROUNDS):
        arrivals = await Counter(tmp_path / f"{number}").run(server)
        servers: list[Server] = [SlidingWindow(LIMIT), Bucket(LIMIT)]
        servers += [FixedWindow(LIMIT, phase * LIMIT.per / 50) for phase in range(50)]
        assert not [type(each).__name__ for each in servers if each.overrun(arrivals)]
        shares.append(used(arrivals))
        print(f"{PROCESSES} processes, {len(arrivals)} requests, none refused: {shares[-1]:.1%} used")  # noqa: T201
        if shares[-1] >= 0.9:
            break
    assert max(shares) >= 0.9


async def test_the_permits_of_a_killed_process_come_back(server: RedisServer) -> None:
    limits = (RateLimit(5, per=0.2),)
    redis: Any = server.client()
    limiter = RedisRateLimiter(redis, timeout=60)
    await redis.flushall()
    async with worker("hold", server.socket, 5, 0.2, 1.0) as process:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"5\n"
        process.kill()
        await process.wait()
    with pytest.raises(RateLimitWaitError):
        await limiter.acquire(KEY, limits, max_wait=0)
    permits = [await limiter.acquire(KEY, limits, max_wait=None) for _ in range(5)]
    with pytest.raises(RateLimitWaitError):
        await limiter.acquire(KEY, limits, max_wait=0)
    for permit in permits:
        permit.settle()
    await limiter.aclose()
    await redis.aclose()
