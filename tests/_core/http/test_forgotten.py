"""A client that nobody closes is told of once, by name, and leaves nothing open."""

from __future__ import annotations

import gc
import subprocess
import sys

import httpx
import pytest

from dialogkit._core.http.pool import Connection
from tests._core.toy import KEY, Toy
from tests.support.messages import request_of
from tests.support.servers import Server, answer

PROGRAM = """
import asyncio, sys
from tests._core.toy import KEY, Toy

async def main():
    toy = Toy(KEY, base_url=sys.argv[1], allow_insecure=True)
    print((await toy.things.get("t1")).id)

asyncio.run(main())
"""
JSON = [("content-type", "application/json")]


async def test_one_warning_names_the_client() -> None:
    with Server(answer(b"hello")) as server:
        connection = Connection(owner="HoopAI")
        await connection.read(await connection.send(request_of("GET", server.url), timeout=5))
        kept = [connection]
        del connection
        with pytest.warns(ResourceWarning) as told:
            kept.clear()
    assert [str(each.message) for each in told] == [
        "a HoopAI client was not closed: use `async with HoopAI(...)`, or `await client.aclose()`"
    ]


async def test_who_opened_nothing_or_closed_it_is_told_nothing() -> None:
    with Server(answer(b"hello")) as server:
        Connection()
        connection = Connection()
        await connection.read(await connection.send(request_of("GET", server.url), timeout=5))
        await connection.aclose()
        del connection
        gc.collect()


def test_a_program_that_forgets_says_nothing_by_default() -> None:
    with Server(answer(b'{"id": "t1"}', headers=JSON)) as server:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, server.url], capture_output=True, text=True, check=True, timeout=60
        )
    assert (done.stdout, done.stderr) == ("t1\n", "")


@pytest.mark.parametrize(
    ("told", "timeout"),
    [({}, 60.0), ({"timeout": 3}, 3.0), ({"timeout": httpx.Timeout(10, connect=2)}, 10.0), ({"timeout": None}, None)],
)
async def test_the_timeout_of_a_given_client_is_kept(told: dict[str, float], timeout: float | None) -> None:
    seen: list[dict[str, float | None]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"])
        return httpx.Response(200, json={"id": "t1"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle), **told) as given:  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        toy = Toy(KEY, base_url="https://api.test", http_client=given)
        await toy.things.get("t1")
        await toy.with_options(timeout=7).things.get("t1")
        await toy.with_options(location_id="loc_2").things.get("t1")
    assert [each["read"] for each in seen] == [timeout, 7, timeout]
    if isinstance(told.get("timeout"), httpx.Timeout):
        assert seen[0]["connect"] == 2
