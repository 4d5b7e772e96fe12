"""One limiter in several event loops and threads."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest
import trio

from dialogkit._core.limits.memory import MemoryRateLimiter
from dialogkit._core.limits.terms import Key, RateLimit
from tests.support.redis_server import at_most

KEY: Key = ("Toy", "credential", "loc_1")
LIMIT = RateLimit(20, per=0.1)
RUNNERS: list[Callable[[Callable[[], Coroutine[Any, Any, None]]], object]] = [
    lambda main: asyncio.run(main()),
    trio.run,
]


async def send(limiter: MemoryRateLimiter, sent: list[float], latency: float = 0.0) -> None:
    permit = await limiter.acquire(KEY, (LIMIT,), max_wait=None)
    sent.append(time.monotonic())
    await anyio.sleep(latency)
    permit.settle()


def in_threads(*mains: Callable[[], object]) -> None:
    threads = [threading.Thread(target=main) for main in mains]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def most_at_once(sent: list[float], limit: RateLimit) -> int:
    """Return how many were sent within one window, at the most."""
    ordered = sorted(sent)
    return max(sum(first <= each < first + limit.per for each in ordered[n:]) for n, first in enumerate(ordered))


def test_threads_with_loops_of_their_own_share_a_limit() -> None:
    """Of asyncio and of trio; some of those who wait are cancelled."""
    limiter, sent = MemoryRateLimiter(), list[float]()

    def work(number: int) -> None:
        chance = random.Random(number)

        async def main() -> None:
            async with anyio.create_task_group() as tasks:
                for _ in range(25):
                    tasks.start_soon(send, limiter, sent, chance.uniform(0, 0.01))
                    with anyio.move_on_after(chance.uniform(0, 0.02)):
                        await send(limiter, sent)

        RUNNERS[number % 2](main)

    with at_most(60):
        in_threads(*(lambda number=number: work(number) for number in range(4)))
    assert 100 <= len(sent) <= 200
    assert most_at_once(sent, LIMIT) <= LIMIT.limit
    assert [state.waiting for state in limiter.snapshot()] in ([0], [])


def test_a_permit_may_be_settled_in_any_thread() -> None:
    limiter = MemoryRateLimiter()
    one = (RateLimit(1, per=0.01),)

    async def main() -> None:
        permit = await limiter.acquire(KEY, one, max_wait=None)
        waiting = asyncio.create_task(limiter.acquire(KEY, one, max_wait=None))
        await anyio.wait_all_tasks_blocked()
        await asyncio.to_thread(permit.settle, (), 0.02)
        await waiting

    with at_most(60):
        asyncio.run(main())


async def left_waiting(limiter: MemoryRateLimiter, tasks: list[asyncio.Task[None]]) -> None:
    tasks += [asyncio.create_task(send(limiter, [])) for _ in range(LIMIT.limit + 10)]
    await anyio.wait_all_tasks_blocked()


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_ended_with_waiters_leaves_the_others_alone(closed: bool) -> None:
    limiter, tasks, sent = MemoryRateLimiter(), list[asyncio.Task[None]](), list[float]()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(left_waiting(limiter, tasks))
    if closed:
        loop.close()

    async def main() -> None:
        await asyncio.gather(*(send(limiter, sent) for _ in range(30)))

    with at_most(60):
        asyncio.run(main())
    assert len(sent) == 30
    if not closed:  # it goes on where it stood
        with at_most(60):
            loop.run_until_complete(asyncio.gather(*tasks))
        loop.close()
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def test_who_came_first_in_another_loop_goes_first_if_that_loop_is_not_busy() -> None:
    limiter, order = MemoryRateLimiter(), list[str]()
    one = (RateLimit(1, per=0.05),)
    joined = threading.Event()

    async def early() -> None:
        waiting = asyncio.create_task(limiter.acquire(KEY, one, max_wait=None))
        await anyio.wait_all_tasks_blocked()
        joined.set()
        permit = await waiting
        order.append("early")
        permit.settle()

    async def late() -> None:
        joined.wait()
        (await limiter.acquire(KEY, one, max_wait=None)).settle()
        order.append("late")

    asyncio.run(send_one(limiter, one))
    with at_most(60):
        in_threads(lambda: asyncio.run(early()), lambda: asyncio.run(late()))
    assert order == ["early", "late"]


async def send_one(limiter: MemoryRateLimiter, limits: tuple[RateLimit, ...]) -> None:
    (await limiter.acquire(KEY, limits, max_wait=None)).settle()
