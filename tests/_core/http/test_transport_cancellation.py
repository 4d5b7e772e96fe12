"""A call that is cancelled, wherever it stands, costs the pool nothing."""

from __future__ import annotations

import asyncio
import math
import random
import ssl
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import anyio
import pytest
import trio

from dialogkit._core.http.pool import Connection
from tests.support.backends import on_every_backend
from tests.support.messages import request_of
from tests.support.pools import kept_connections
from tests.support.servers import Behaviour, Exchange, Server, answer, deaf, then_stall

CALLS = 500
PATIENCE = 20.0
BIG = b"." * 30_000_000


async def hesitate(exchange: Exchange) -> bool:
    """Answer in two parts, each after a moment."""
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
            response = await connection.send(request_of("POST", url, content=content), timeout=PATIENCE)
            assert await connection.read(response) == b"half"
            answered += 1

    with Server(hesitate) as server:
        for _ in range(CALLS // 50):
            async with anyio.create_task_group() as tasks:
                for _ in range(50):
                    patience = random_.choice([random_.random() / 20] * 9 + [math.inf])
                    tasks.start_soon(call, server.url, patience)
        assert 0 < answered < CALLS

        kept = kept_connections(connection)
        await server.until(lambda: server.open_connections <= kept)
        server.behaviours = (answer(b"still here"),)
        for _ in range(3):
            response = await connection.send(request_of("GET", server.url), timeout=PATIENCE)
            assert await connection.read(response) == b"still here"
        await connection.aclose()
        await server.until(lambda: server.open_connections == 0)


@pytest.mark.parametrize(
    ("scheme", "behaviour"),
    [("https", None), ("http", None), ("http", then_stall()), ("http", then_stall(b"HTTP/1.1 200 OK\r\n\r\nha"))],
    ids=["connecting", "writing", "waiting", "reading"],
)
@on_every_backend
async def test_cancellation_is_prompt(scheme: str, behaviour: Behaviour | None) -> None:
    connection = Connection()
    with Server(behaviour or answer(), accept=None if behaviour else deaf) as server, anyio.CancelScope() as scope:

        async def cancel() -> None:
            await server.until(lambda: bool(server.requests if behaviour else server.connections))
            scope.cancel()

        request = request_of("POST", f"{scheme}://127.0.0.1:{server.port}", content=b"" if behaviour else BIG)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel)
            await connection.read(await connection.send(request, timeout=math.inf))
    assert scope.cancelled_caught
    assert kept_connections(connection) == 0
    await connection.aclose()


class CancelledAt:
    """Runs `call` and cancels it just before its n-th step, when what it waited for has just come."""

    def __init__(self, step: int, call: Callable[[], Awaitable[object]]) -> None:
        self._step = step
        self._call = call
        self.finished = False

    async def under_asyncio(self) -> None:
        async def main() -> None:
            await self

        # A task of its own, which keeps a cancellation that comes at its very end to itself.
        await asyncio.wait([asyncio.ensure_future(main())])

    def __await__(self) -> Generator[Any, Any, None]:
        task = asyncio.current_task()
        assert task is not None
        steps = self._call().__await__()
        resume: Callable[[], Any] = steps.__next__
        count = 0
        while True:
            count += 1
            if count == self._step:
                task.cancel()
            try:
                awaited = resume()
            except StopIteration:
                self.finished = count < self._step
                return
            try:
                yield awaited
                resume = steps.__next__
            except BaseException as exc:  # noqa: BLE001 - handed on to whom it belongs
                resume = _throwing(steps, exc)

    async def under_trio(self) -> None:
        with trio.CancelScope() as scope:
            instrument = _Instrument(self._step, scope)
            trio.lowlevel.add_instrument(instrument)
            try:
                await self._call()
                self.finished = instrument.count < self._step
            finally:
                trio.lowlevel.remove_instrument(instrument)


def _throwing(steps: Generator[Any, Any, Any], exc: BaseException) -> Callable[[], Any]:
    return lambda: steps.throw(exc)


class _Instrument(trio.abc.Instrument):
    def __init__(self, step: int, scope: trio.CancelScope) -> None:
        self.count = 0
        self._step = step
        self._scope = scope
        self._task = trio.lowlevel.current_task()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self.count += 1
            if self.count == self._step:
                self._scope.cancel()


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelled_at_every_step(backend: str, encrypted: bool, warm: bool, server_tls: ssl.SSLContext) -> None:
    async def cancel_at(step: int, server: Server) -> bool:
        connection = Connection()

        async def call() -> bytes:
            request = request_of("POST", server.url, content=b"y" * 100_000)
            return await connection.read(await connection.send(request, timeout=PATIENCE))

        if warm:
            await call()
        cancelled = CancelledAt(step, call)
        await (cancelled.under_asyncio() if backend == "asyncio" else cancelled.under_trio())
        if connection._own is not None and (warm or step > 1):
            kept = kept_connections(connection)
            await server.until(lambda: server.open_connections <= kept)
        assert len(await call()) == 100_000
        await connection.aclose()
        return cancelled.finished

    async def main() -> None:
        with Server(answer(b"x" * 100_000), tls=server_tls if encrypted else None) as server:
            step = 1
            while not await cancel_at(step, server):
                step += 1
            assert step >= 3

    anyio.run(main, backend=backend)
