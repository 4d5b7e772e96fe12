"""A process that measures one thing at a time, so that its CPU time is that of whoever it runs.

Jobs come as lines of JSON, and so do their results. What the contestants print goes nowhere, but is printed.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any, Final

from benchmarks.peers import limiters
from benchmarks.peers.contestants import CONTESTANTS, SCENARIOS, Dialogkit, Proof

PAGE: Final = 100
"""Rows per page where many are iterated over."""
TENTHS: Final = 10

Call = Callable[[], Awaitable[Proof]]
Result = dict[str, Any]


async def run_for(call: Call, expected: Proof, concurrent: int, seconds: float) -> int:
    """Call for so many seconds, but at least once for each of those who call at once; return how often."""
    made = 0
    until = time.perf_counter() + seconds

    async def work() -> None:
        nonlocal made
        while True:
            proof = await call()
            if proof != expected:
                raise ValueError(f"the answer should have been {expected}, not {proof}")
            made += 1
            if time.perf_counter() >= until:
                return

    tasks = [asyncio.ensure_future(work()) for _ in range(concurrent)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return made


async def measured(call: Call, expected: Proof, concurrent: int, seconds: float) -> Result:
    """Warm up, then return what calls cost and how many there are in a second."""
    await run_for(call, expected, concurrent, seconds / 4)
    wall, cpu = time.perf_counter(), time.process_time()
    made = await run_for(call, expected, concurrent, seconds)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu": cpu / made * 1e6, "rate": made / wall}


async def calls(url: str, name: str, scenario: str, concurrent: int, seconds: float) -> Result:
    """Measure one scenario, with a client of its own."""
    client = CONTESTANTS[name].open(url)
    try:
        expected = SCENARIOS[scenario][1]
        limit = 30 + 20 * seconds
        return await asyncio.wait_for(measured(getattr(client, scenario), expected, concurrent, seconds), limit)
    finally:
        await client.aclose()


async def locations(url: str, known: int, concurrent: int, seconds: float) -> Result:
    """Measure calls of one client that are spread over so many locations, all of which it knows already."""
    client = Dialogkit(url)
    names = cycle([f"location_{number}" for number in range(known)])

    async def call() -> Proof:
        return len((await client.hoop.conversations.search(limit=1, location_id=next(names))).items)

    try:
        for _ in range(known):
            await call()
        return await measured(call, 1, concurrent, seconds)
    finally:
        await client.aclose()


async def memory_of_items(url: str, count: int) -> Result:
    """Iterate over so many rows; return the memory after each tenth."""
    client = Dialogkit(url)
    used: list[float] = []
    seen = 0
    try:
        async for _ in client.hoop.conversations.search(limit=PAGE):
            seen += 1
            if seen % (count // TENTHS) == 0:
                used.append(resident())
            if seen == count:
                break
    finally:
        await client.aclose()
    if seen != count:
        raise ValueError(f"there were {seen} rows, not {count}")
    return {"memory": used}


async def memory_of_calls(url: str, count: int) -> Result:
    """Make so many calls, 50 at once; return the memory after each tenth."""
    client = Dialogkit(url)
    used: list[float] = []
    left = 0

    async def work() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await client.single()

    try:
        for _ in range(TENTHS):
            left = count // TENTHS
            await asyncio.gather(*(work() for _ in range(50)))
            used.append(resident())
    finally:
        await client.aclose()
    return {"memory": used}


def resident() -> float:
    """Return this process's resident memory in MiB; where nothing tells it, the most it ever was."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def permits(name: str, count: int) -> Result:
    """Measure a limiter."""
    return {"cpu": limiters.cost(name, count)}


def key(count: int) -> Result:
    """Measure what a key of the limiter takes."""
    return {"bytes": limiters.memory_of_a_key(count)}


JOBS: Final[dict[str, Callable[..., Any]]] = {
    job.__name__: job for job in (calls, locations, memory_of_items, memory_of_calls, permits, key)
}


def do(job: dict[str, Any]) -> Result:
    """Do a job; whatever goes wrong is a result, too."""
    try:
        result = JOBS[job.pop("job")](**job)
        return asyncio.run(result) if asyncio.iscoroutine(result) else result
    except Exception as error:  # noqa: BLE001 - peers may raise anything
        lines = str(error).strip().splitlines()
        return {"failed": f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__}


@contextmanager
def quiet() -> Generator[int]:
    """Send what is printed nowhere, and give the descriptor where it would have gone."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield kept
    finally:
        os.dup2(kept, 1)


def main() -> None:
    with quiet() as out:
        for line in sys.stdin:
            os.write(out, json.dumps(do(json.loads(line))).encode() + b"\n")


if __name__ == "__main__":
    main()
