"""Calls leave nothing behind, however many there are."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
from collections.abc import AsyncIterator

import aiohttp
import httpx
import pytest

from dialogkit import HoopAI
from tests.performance.calls import PLENTY, Scenarios, repeat
from tests.performance.conftest import ROWS
from tests.support.servers import Server

CALLS = 1_000
NOISE = CALLS // 4
"""Blocks of memory. What the interpreter keeps for later comes and goes; a leak takes a block for each call or page."""


def blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


@pytest.fixture
async def calls(platform: Server) -> AsyncIterator[Scenarios]:
    async with (
        aiohttp.ClientSession() as session,
        HoopAI("key", base_url=platform.url, location_id="loc_abc123", rate_limit=PLENTY) as hoop,
    ):
        yield Scenarios(hoop, session, platform.url)


@pytest.mark.parametrize("kind", ["search", "get", "send", "refused", "view"])
async def test_calls_leave_no_memory_behind(kind: str, calls: Scenarios, platform: Server) -> None:
    await repeat(getattr(calls, kind), CALLS)
    platform.requests.clear()
    before = blocks()
    await repeat(getattr(calls, kind), CALLS)
    platform.requests.clear()
    assert blocks() - before < NOISE


@pytest.mark.parametrize("kind", ["search", "get", "send", "refused"])
async def test_calls_leave_nothing_to_the_garbage_collector(kind: str, calls: Scenarios) -> None:
    """Cycles are found by going through the whole heap, which an application may not want to wait for."""
    await repeat(getattr(calls, kind), 50)
    gc.collect()
    gc.disable()
    try:
        await repeat(getattr(calls, kind), 50)
        assert gc.collect() < 50
    finally:
        gc.enable()


async def test_a_long_walk_takes_no_more_memory_than_a_short_one() -> None:
    numbers = itertools.count()

    async def page(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)  # as on a network: the event loop gets its turn, in which it drops timers that are over
        # Long ids, as pydantic keeps the short texts that it has met, some thousand of them.
        rows = [
            {**row, "id": f"{(number := next(numbers)):064}", "lastMessageDate": 10**12 + number, "sort": [number]}
            for row in ROWS
        ]
        return httpx.Response(200, json={"conversations": rows, "total": 10**9})

    client = httpx.AsyncClient(transport=httpx.MockTransport(page))
    async with client, HoopAI("key", location_id="loc_abc123", rate_limit=PLENTY, http_client=client) as hoop:
        walk = aiter(hoop.conversations.search(limit=len(ROWS)))
        for _ in range(10_000):  # which fills the caches of the libraries
            await anext(walk)
        before = blocks()
        for _ in range(20_000):
            await anext(walk)
        assert blocks() - before < NOISE
