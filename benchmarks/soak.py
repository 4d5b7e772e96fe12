"""Many calls for a long time against a platform that misbehaves: what is lost, what happens twice, what grows.

    python benchmarks/soak.py --minutes 10 --concurrent 200 --faults 0.05

The sandbox runs in a process of its own. A tenth of the calls send a message with a text of its own, so that it can be
counted afterwards which messages arrived how often, and whether every outcome that callers were told is the truth.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import multiprocessing.connection
import random
import resource
import time
from collections import Counter
from pathlib import Path
from typing import Any

from dialogkit import AmbiguousOutcomeError, DialogkitError, HoopAI, RateLimit, RetryPolicy, ServerError
from dialogkit.testing import Sandbox, faults

SLOW = 1.0
"""Seconds; the client's timeout is shorter."""
PREFIX = "soak-"
IN_DOUBT, SENT, NOT_SENT = range(3)
FAULTS: tuple[faults.Fault, ...] = (
    faults.Drop(),
    faults.Drop(after=True),
    faults.Drop(reset=True),
    faults.HalfBody(),
    faults.Latency(SLOW),
    faults.Latency(SLOW, after=True),
    faults.Status(500),
    faults.Status(503, retry_after=0),
    faults.Status(503, retry_after=0, after=True),
    faults.Status(502, after=True),
    faults.RateLimited(retry_after=0),
    faults.HtmlPage(502),
)


class Platform(Sandbox):
    """A sandbox that can tell what messages it has."""

    def arrived(self) -> Counter[int]:
        """Return the numbers of our messages that are there, and how often each is."""
        texts = (str(row.get("body")) for row in self._app.state.table("messages", "", "").find())
        return Counter(int(text.removeprefix(PREFIX)) for text in texts if text.startswith(PREFIX))


def serve(pipe: multiprocessing.connection.Connection, share: float) -> None:
    """Run the platform until told to stop."""
    handled: Counter[int | None] = Counter()
    with Platform(tier=None, on_request=lambda request: handled.update([request.status])) as sandbox:
        each = share / len(FAULTS)
        # Each is drawn only for requests that the faults before it have spared.
        injected = [
            sandbox.inject(fault, on="*", rate=each / (1 - each * number), seed=number)
            for number, fault in enumerate(FAULTS)
        ]
        pipe.send((sandbox.url, sandbox.api_key, sandbox.location_id))
        pipe.recv()
        pipe.send((sum(handled.values()), sum(each.hits for each in injected), sandbox.arrived()))


def memory() -> float:
    """Return this process's resident memory in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


class Soak:
    """The callers' side, and what they were told."""

    def __init__(self, hoop: HoopAI, until: float) -> None:
        self.hoop = hoop
        self.until = until
        self.begun = 0
        self.ended: Counter[str] = Counter()
        self.messages = bytearray()  # what the sender of each was told, by its number: one byte, not to grow ourselves

    async def work(self, seed: int) -> None:
        draw = random.Random(seed)
        while time.monotonic() < self.until:
            self.begun += 1
            self.ended[await self.call(draw)] += 1

    async def call(self, draw: random.Random) -> str:
        kind, number = draw.random(), None
        try:
            if kind < 0.1:
                number = len(self.messages)
                self.messages.append(IN_DOUBT)
                await self.hoop.messages.send(type="SMS", contact_id="contact_abc123", message=f"{PREFIX}{number}")
                self.messages[number] = SENT
            elif kind < 0.3:
                await self.hoop.bots.update("bot_1", name="Soaked")
            elif kind < 0.6:
                await self.hoop.conversations.search(limit=1)
            else:
                await self.hoop.conversations.get("conversation_1")
        except DialogkitError as error:
            # A 5xx may come before or after the message has gone out.
            doubtful = isinstance(error, AmbiguousOutcomeError | ServerError)
            if number is not None and not doubtful:
                self.messages[number] = NOT_SENT
            return type(error).__name__
        return "answered"


async def run(where: tuple[str, str, str], minutes: float, concurrent: int) -> dict[str, Any]:
    url, key, location = where
    async with HoopAI(
        key,
        base_url=url,
        location_id=location,
        timeout=SLOW / 2,
        rate_limit=RateLimit(100_000, per=1),
        retry=RetryPolicy(base_delay=0.02),
    ) as hoop:
        await hoop.conversations.search(limit=1)
        soak = Soak(hoop, time.monotonic() + minutes * 60)
        tasks = [asyncio.ensure_future(soak.work(seed)) for seed in range(concurrent)]
        grown: list[float] = []
        for _ in range(10):
            grown.append(round(memory(), 1))
            await asyncio.sleep(minutes * 6)
        grown.append(round(memory(), 1))
        await asyncio.gather(*tasks)
        running = len(asyncio.all_tasks()) - 1
    return {"soak": soak, "memory": grown, "tasks": running}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--concurrent", type=int, default=200)
    parser.add_argument("--faults", type=float, default=0.05, help="share of the requests that meet one")
    options = parser.parse_args()
    here, there = multiprocessing.Pipe()
    platform = multiprocessing.get_context("spawn").Process(target=serve, args=(there, options.faults))
    platform.start()
    try:
        result = asyncio.run(run(here.recv(), options.minutes, options.concurrent))
        here.send("stop")
        requests, hits, arrived = here.recv()
    finally:
        platform.join(30)
        platform.kill()
    print(json.dumps(report(result, options.minutes, requests, hits, arrived), indent=2))


def report(result: dict[str, Any], minutes: float, requests: int, hits: int, arrived: Counter[int]) -> dict[str, Any]:
    """Compare what callers were told with what is there."""
    soak: Soak = result["soak"]
    told = {
        end: [number for number, each in enumerate(soak.messages) if each == end] for end in (IN_DOUBT, SENT, NOT_SENT)
    }
    return {
        "calls": soak.begun,
        "calls a second": round(soak.begun / minutes / 60),
        "outcomes": dict(soak.ended),
        "calls without an outcome": soak.begun - soak.ended.total(),
        "requests": requests,
        "faults met": hits,
        "messages": {"sent": len(told[SENT]), "in doubt": len(told[IN_DOUBT]), "not sent": len(told[NOT_SENT])},
        "messages in doubt that are there": sum(number in arrived for number in told[IN_DOUBT]),
        "lost: told sent, not there": sum(number not in arrived for number in told[SENT]),
        "told not sent, there": sum(number in arrived for number in told[NOT_SENT]),
        "duplicated: there more than once": sum(count > 1 for count in arrived.values()),
        "client memory in MiB, each tenth of the time": result["memory"],
        "tasks left": result["tasks"],
    }


if __name__ == "__main__":
    main()
