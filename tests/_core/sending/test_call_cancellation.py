"""Whole calls (limiter, retries, hooks, reading) that are cancelled at random cost the client nothing."""

from __future__ import annotations

import random

import anyio
import anyio.lowlevel
import trio

from dialogkit._core.errors import DialogkitError
from dialogkit._core.limits.memory import MemoryRateLimiter
from dialogkit._core.limits.terms import RateLimit
from dialogkit._core.sending.retry import RetryPolicy
from tests._core.toy import KEY, Toy
from tests.support.pools import kept_connections
from tests.support.servers import Exchange, Server, answer, drop

PATIENCE = 60.0
AT_ONCE = 100
LIMIT = RateLimit(400, per=0.1)
THING = b'{"id": "t1"}'
_PARTS = (b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n", THING[:5], THING[5:])


async def moody(exchange: Exchange) -> bool:
    """Answer at once, in parts, with a refusal or not at all."""
    draw = random.Random(len(exchange.server.requests)).random()
    if draw < 0.05:
        return await drop(exchange)
    if draw < 0.1:
        return await answer(b"", status=429, headers=[("retry-after", "0")])(exchange)
    if draw < 0.2:
        return await answer(b"", status=503)(exchange)
    if draw < 0.6:
        return await answer(THING)(exchange)
    for part in _PARTS:
        await anyio.sleep(draw / 200)
        await exchange.write(part)
    return True


async def storm(client: Toy, calls: int) -> dict[str, int]:
    """Make calls that give up after random times, and return how they ended."""
    random_ = random.Random(calls)
    ends: dict[str, int] = {}

    async def call(patience: float, deadline: float) -> None:
        end = "cancelled"
        with anyio.move_on_after(patience):
            try:
                await client.with_options(deadline=deadline).things.get("t1")
                end = "answered"
            except DialogkitError as error:
                end = type(error).__name__
        ends[end] = ends.get(end, 0) + 1

    for _ in range(calls // AT_ONCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(AT_ONCE):
                patience = random_.choice([random_.random() / 30] * 9 + [PATIENCE])
                tasks.start_soon(call, patience, random_.choice([random_.random() / 30, PATIENCE]))
    return ends


async def checkpoint(event: object) -> None:
    await anyio.lowlevel.checkpoint()


async def test_ten_thousand_random_cancellations() -> None:
    await survive(10_000)


def test_a_thousand_under_trio() -> None:
    trio.run(survive, 1_000)


async def survive(calls: int) -> None:
    limiter = MemoryRateLimiter(limits=[LIMIT])
    policy = RetryPolicy(base_delay=0.002, default_retry_after=0, quota=None)
    before = len(anyio.get_running_tasks())
    with Server(moody) as server:
        client = Toy(
            KEY,
            base_url=server.url[:-1],
            timeout=PATIENCE,
            rate_limit=limiter,
            retry=policy,
            on_request=checkpoint,
            on_response=checkpoint,
        )
        ends = await storm(client, calls)
        assert sum(ends.values()) == calls
        assert {"answered", "cancelled", "DeadlineExceededError"} <= ends.keys()
        assert calls / 2 < ends["cancelled"] + ends["DeadlineExceededError"]

        kept = kept_connections(client._connection)
        await server.until(lambda: server.open_connections <= kept)
        with anyio.fail_after(PATIENCE):
            while len(anyio.get_running_tasks()) > before:
                await anyio.lowlevel.checkpoint()
            key = ("Toy", client._settings.auth.identity, "")
            permits = [await limiter.acquire(key, (), max_wait=None) for _ in range(LIMIT.limit)]
        assert len(permits) == LIMIT.limit

        for permit in permits:
            permit.settle()
        server.behaviours = (answer(THING),)
        assert (await client.things.get("t1")).id == "t1"
        await client.aclose()
        await server.until(lambda: server.open_connections == 0)
