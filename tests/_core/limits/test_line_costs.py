"""What an answer costs does not depend on how many wait. Work is counted, not timed."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from dialogkit._core.limits.memory import MemoryRateLimiter
from dialogkit._core.limits.terms import Allowance, Key, RateLimit
from dialogkit._core.limits.window import Window

KEY: Key = ("Toy", "credential", "loc_1")
LIMITS = (RateLimit(100, per=10),)
WARM, SERVED = 100, 400


class Steps:
    """Counts how often a window is asked for a wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        wait = Window.wait

        def counting(window: Window, now: float, ahead: int) -> float:
            self.count += 1
            return wait(window, now, ahead)

        monkeypatch.setattr(Window, "wait", counting)


async def served(waiting: int, give_up: float | None, steps: Steps) -> float:
    """Return how many steps one of so many takes, each of whose answers tells something else."""
    now = 0.0

    async def wait(event: anyio.Event, seconds: float) -> None:
        nonlocal now
        now += seconds
        await asyncio.sleep(0)

    limiter = MemoryRateLimiter(max_pause=1e12, clock=lambda: now, wait=wait)
    answered = 0
    is_over = asyncio.Event()

    async def call() -> None:
        nonlocal answered
        while not is_over.is_set():
            permit = await limiter.acquire(KEY, LIMITS, max_wait=give_up)
            await asyncio.sleep(0)
            answered += 1
            if answered == WARM:
                steps.count = 0
            permit.settle((Allowance(100, 10.0, answered % 3), Allowance(200_000, 86_400.0, 100_000, 9e3, True)))
            if answered >= SERVED:
                is_over.set()

    tasks = [asyncio.create_task(call()) for _ in range(waiting)]
    await is_over.wait()
    count = steps.count / (answered - WARM)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return count


@pytest.mark.parametrize("give_up", [None, 1e11])
async def test_thousands_in_line_make_no_answer_dearer(give_up: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch)
    few, many = await served(150, give_up, steps), await served(5_000, give_up, steps)
    assert many <= 1.3 * few + 5


async def test_cancelling_thousands_looks_at_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = MemoryRateLimiter(clock=lambda: 1.0, max_pause=1e12)
    first = [await limiter.acquire(KEY, LIMITS, max_wait=None) for _ in range(100)]
    tasks = [asyncio.create_task(limiter.acquire(KEY, LIMITS, max_wait=1e11)) for _ in range(3_000)]
    await anyio.wait_all_tasks_blocked()
    steps = Steps(monkeypatch)
    for task in tasks[1:]:
        task.cancel()
    await asyncio.gather(*tasks[1:], return_exceptions=True)
    assert steps.count <= 2 * len(tasks)
    tasks[0].cancel()
    for permit in first:
        permit.settle()
    await asyncio.gather(*tasks, return_exceptions=True)
