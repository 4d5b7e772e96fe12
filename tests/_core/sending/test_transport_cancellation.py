"""A call that is cancelled, wherever it stands, costs the pool nothing."""

from __future__ import annotations

import math
import random

import anyio
import httpx
import pytest

from dialogkit._core.sending.transport import Connection
from tests.support.backends import on_every_backend
from tests.support.servers import Exchange, Server, answer

CALLS = 500


async def hesitate(exchange: Exchange) -> bool:
    """Answer in two parts, each after some turns of the event loop."""
    random_ = random.Random(len(exchange.server.requests))
    for part in (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha", b"lf"):
        await anyio.sleep(random_.random() / 200)
        await exchange.write(part)
    return True


@pytest.mark.parametrize("seed", [1, 2])
@on_every_backend
async def test_a_storm_of_cancellations(seed: int) -> None:
    random_ = random.Random(seed)
    connection = Connection()
    answered = 0

    async def call(url: str, patience: float) -> None:
        nonlocal answered
        content = b"x" * random_.choice([0, 10, 200_000])
        with anyio.move_on_after(patience):
            response = await connection.send(httpx.Request("POST", url, content=content), timeout=20)
            assert await connection.read(response) == b"half"
            answered += 1

    with Server(hesitate) as server:
        for _ in range(CALLS // 50):
            async with anyio.create_task_group() as tasks:
                for _ in range(50):
                    tasks.start_soon(call, server.url, random_.choice([random_.random() / 20] * 9 + [math.inf]))
        assert 0 < answered < CALLS

        kept = await kept_connections(connection)
        await server.until(lambda: server.open_connections <= kept)
        server.behaviours = (answer(b"still here"),)
        for _ in range(3):
            response = await connection.send(httpx.Request("GET", server.url), timeout=20)
            assert await connection.read(response) == b"still here"
        await connection.aclose()
        await server.until(lambda: server.open_connections == 0)


async def kept_connections(connection: Connection) -> int:
    """Return how many connections the pool holds, after checking that each of them can be used."""
    transport = getattr(connection._client, "_transport")  # noqa: B009
    session = getattr(transport, "_session", None)
    if session is not None:
        assert not session.connector._acquired
        return sum(map(len, session.connector._conns.values()))
    pool = transport._transport._pool
    assert not pool._requests
    assert all(each.is_idle() for each in pool.connections), pool.connections
    return len(pool.connections)
