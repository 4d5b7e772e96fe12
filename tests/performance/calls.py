"""The calls whose cost is counted, as a program that callgrind runs: `python -m tests.performance.calls URL`.

It prints what it has run, as JSON: a name for each section between two calls of `os.getppid()`, and how many calls of
the SDK are in it. What the names stand for is in `run`.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import sys
from collections.abc import Awaitable, Callable
from functools import cache

import aiohttp
import anyio
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from dialogkit import HoopAI, MemoryRateLimiter, RateLimit, UnprocessableEntityError
from dialogkit._core.call import Operation
from dialogkit._core.codec.decoding import decode
from dialogkit._core.codec.models import Model
from dialogkit._core.observing.drift import DriftLog
from tests.support.callgrind import await_counting

CALLS = 40
"""How many are counted; with so many, one count is within 1 % of the next."""
WARM_UP = 30
"""After so many, pools are filled, models are built and the interpreter has specialised its bytecode."""
LOCATIONS = 5_000
PLENTY = (RateLimit(10_000_000, per=60), RateLimit(1_000_000, per=1))
HEADERS = {"Authorization": "Bearer key", "Version": "2021-07-28", "Accept": "application/json"}


class Row(BaseModel):
    """What somebody would write who has no SDK. Ours may not stand here: what it costs is to be seen."""

    model_config = ConfigDict(alias_generator=to_camel, extra="allow")

    id: str
    contact_id: str
    location_id: str
    last_message_body: str | None = None
    last_message_type: str | int | None = None
    type: str | None = None
    unread_count: int | None = None
    full_name: str | None = None
    contact_name: str | None = None
    email: str | None = None
    phone: str | None = None
    last_message_date: int | None = None
    last_manual_message_date: int | None = None
    date_added: int | None = None
    date_updated: int | None = None


class Rows(BaseModel):
    conversations: list[Row]
    total: int


class Scenarios:
    """Each is one call."""

    def __init__(self, hoop: HoopAI, session: aiohttp.ClientSession, url: str) -> None:
        self.hoop = hoop
        self.session = session
        self.url = url

    async def bare(self) -> None:
        url = f"{self.url}conversations/search?limit=20&locationId=loc_abc123"
        async with self.session.get(url, headers=HEADERS) as response:
            Rows.model_validate_json(await response.read())

    async def search(self) -> None:
        await self.hoop.conversations.search(limit=20)

    async def get(self) -> None:
        await self.hoop.conversations.get("conversation_1")

    async def view(self) -> None:
        await self.hoop.for_location("loc_other").conversations.get("conversation_1")

    async def send(self) -> None:
        await self.hoop.messages.send(type="SMS", contact_id="contact_1", message="Hello!")

    async def refused(self) -> None:
        try:
            await self.hoop.conversations.get("refused")
        except UnprocessableEntityError:
            return
        raise AssertionError("it was not refused")


class Section:
    """Counts what its block executes, as the cost of so many calls."""

    def __init__(self, name: str, calls: int) -> None:
        self.line = json.dumps({"name": name, "calls": calls}) + "\n"

    def __enter__(self) -> None:
        # A collection of the whole heap would come at random, and cost more than many calls.
        gc.collect()
        gc.freeze()
        os.getppid()

    def __exit__(self, *exception: object) -> None:
        os.getppid()
        sys.stdout.write(self.line)


async def repeat(call: Callable[[], Awaitable[None]], times: int) -> None:
    for _ in range(times):
        await call()


async def at_once(call: Callable[[], Awaitable[None]], times: int) -> None:
    await asyncio.gather(*(call() for _ in range(times)))


class Whole(Model):
    """A row of which much is promised."""

    id: str
    contact_id: str
    location_id: str
    last_message_type: str
    type: str
    unread_count: int
    full_name: str
    contact_name: str | None = None
    email: str | None = None
    phone: str | None = None
    last_message_date: int | None = None
    date_added: int | None = None
    date_updated: int | None = None
    tags: list[str] | None = None
    message_types: list[int] | None = None
    sort: list[int] | None = None


class Page(Model):
    conversations: list[Whole]


PAGE: Operation[Page] = Operation(id="page", method="GET", path="/", retry="safe", result=lambda: Page)
LOG = DriftLog()
WHOLE = {
    "id": "conversation_1",
    "contactId": "contact_1",
    "locationId": "loc_abc123",
    "lastMessageType": "TYPE_NO_SHOW",
    "type": "TYPE_PHONE",
    "unreadCount": 3,
    "fullName": "Ada Example",
    "contactName": "Ada Example",
    "email": "ada@example.com",
    "phone": "+15550100",
    "lastMessageDate": 1_760_000_000_000,
    "dateAdded": 1_750_000_000_000,
    "dateUpdated": 1_760_000_000_000,
    "tags": [],
    "messageTypes": [100],
    "sort": [1_760_000_000_000],
}


@cache
def body(kind: str, rows: int) -> bytes:
    """Return a page whose decoding is counted."""
    row = {name: value for name, value in WHOLE.items() if kind != "lacking" or name != "fullName"}
    return json.dumps({"conversations": [row | ({"fullName": 7} if kind == "mistyped" else {})] * rows}).encode()


def decoded(kind: str, rows: int) -> None:
    decode(PAGE, body(kind, rows), strict=False, on_drift=LOG, request_id=None)


def slow_limiter() -> MemoryRateLimiter:
    """Return a limiter with which nearly every call waits in line, on a clock of its own."""
    now = 0.0

    async def wait(event: anyio.Event, seconds: float) -> None:
        nonlocal now
        now += seconds
        await asyncio.sleep(0)

    limits = [RateLimit(10, per=1), RateLimit(60, per=60)]
    return MemoryRateLimiter(limits=limits, max_pause=1e9, clock=lambda: now, wait=wait)


async def crowded_limiter() -> MemoryRateLimiter:
    """Return a limiter that knows many locations, on a clock that gives it no time to forget them."""
    limiter = MemoryRateLimiter(limits=PLENTY, clock=map((1e-4).__mul__, itertools.count()).__next__)
    for number in range(LOCATIONS):
        (await limiter.acquire(("HoopAI", "key", f"loc_{number}"), PLENTY, max_wait=None)).settle()
    return limiter


async def run(url: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        HoopAI("key", base_url=url, location_id="loc_abc123", rate_limit=PLENTY) as hoop,
    ):
        one = Scenarios(hoop, session, url)
        in_line = Scenarios(hoop.with_options(rate_limit=slow_limiter()), session, url)
        elsewhere = Scenarios(hoop.with_options(rate_limit=await crowded_limiter()), session, url)
        kinds = (one.bare, one.search, one.get, one.view, one.send, one.refused)
        for call in (*kinds, elsewhere.get):
            await repeat(call, WARM_UP)
        await at_once(in_line.get, WARM_UP)
        await_counting()
        for call in kinds:
            await call()  # opens the connection again, should a slow machine have lost it
            with Section(call.__name__, CALLS):
                await repeat(call, CALLS)
        for kind, rows in (("whole", 20), ("lacking", 20), ("mistyped", 20), ("lacking", 2_000), ("mistyped", 2_000)):
            decoded(kind, rows)
            with Section(f"{rows} {kind}", rows):
                decoded(kind, rows)
        with Section(f"{LOCATIONS} locations", CALLS):
            await repeat(elsewhere.get, CALLS)
        for calls in (50, 500):
            with Section(f"{calls} in line", calls):
                await at_once(in_line.get, calls)
        for calls in (20, 200):
            # A client of its own, so that every call opens a connection, whatever idle ones a slow machine has lost.
            async with HoopAI("key", base_url=url, location_id="loc_abc123", rate_limit=PLENTY) as fresh:
                with Section(f"{calls} at once", calls):
                    await at_once(Scenarios(fresh, session, url).get, calls)


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
