"""A client at saturation against a platform with real limits."""

from __future__ import annotations

from collections import Counter

import anyio

from dialogkit import HoopAI, MemoryRateLimiter, RateLimitEvent
from dialogkit.testing import Sandbox
from tests.support.backends import on_every_backend

CALLS = 65  # the Agency tier allows 20 a second


@on_every_backend
async def test_no_call_is_refused_however_many_there_are() -> None:
    held_back: list[RateLimitEvent] = []
    async with Sandbox(tier="agency") as sandbox:
        async with (
            HoopAI(
                sandbox.api_key,
                base_url=sandbox.url,
                location_id=sandbox.location_id,
                tier="agency",
                on_rate_limit=held_back.append,
            ) as hoop,
            anyio.create_task_group() as tasks,
        ):
            for _ in range(CALLS):
                tasks.start_soon(hoop.conversations.get, "conversation_1")
        assert Counter(request.status for request in sandbox.requests) == {200: CALLS}
    assert {event.reason for event in held_back} == {"waited"}
    assert len(held_back) >= CALLS - 20


async def test_two_clients_with_one_limiter_are_one_to_the_platform() -> None:
    limiter = MemoryRateLimiter()
    async with Sandbox(tier="standard") as sandbox:
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(ten_calls, sandbox, limiter)
        assert Counter(request.status for request in sandbox.requests) == {200: 20}


async def ten_calls(sandbox: Sandbox, limiter: MemoryRateLimiter) -> None:
    async with (
        HoopAI(sandbox.api_key, base_url=sandbox.url, location_id=sandbox.location_id, rate_limit=limiter) as hoop,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(10):
            tasks.start_soon(hoop.conversations.get, "conversation_1")
