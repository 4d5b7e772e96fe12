"""One `OAuth2` in several threads, each with an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx
import pytest

from dialogkit import Token, TokenError
from dialogkit._core.support.background import CancelledWorkError, Detached, Signal
from tests._core.auth.authority import Authority, ToyOAuth2, WatchedStore, auth_of, call, client_of

HERE = "loc_1"
PATIENCE = 30


class SlowAuthority(Authority):
    """Answers the token endpoint when it is told to, from whatever thread."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_by: list[int] = []
        self.may_answer = threading.Event()
        self.was_reached = threading.Event()

    async def _token(self, request: httpx.Request) -> httpx.Response:
        self.asked_by.append(threading.get_ident())
        self.was_reached.set()
        await anyio.to_thread.run_sync(self.may_answer.wait, PATIENCE)
        return await super()._token(request)


def own_loop(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        with anyio.fail_after(PATIENCE):
            await work()

    asyncio.run(bounded())


def test_one_renewal_serves_all_loops() -> None:
    authority = SlowAuthority()
    store = WatchedStore({HERE: authority.issue(HERE, life=-1)})
    auth = auth_of(authority, store)
    ready = threading.Barrier(9)

    async def calls() -> None:
        client = client_of(authority, auth)
        ready.wait(PATIENCE)
        await call(client, 5)

    with ThreadPoolExecutor(8) as threads:
        running = [threads.submit(own_loop, calls) for _ in range(8)]
        ready.wait(PATIENCE)
        assert authority.was_reached.wait(PATIENCE)
        authority.may_answer.set()
        for each in running:
            each.result(PATIENCE)
    assert authority.refreshes == 1
    assert len(authority.served) == 40


def test_a_loop_that_ends_with_its_renewal_leaves_the_others_alone() -> None:
    authority = SlowAuthority()
    store = WatchedStore({HERE: authority.issue(HERE, life=-1)})
    auth = auth_of(authority, store)

    async def begins_and_leaves() -> None:
        waiting = asyncio.ensure_future(call(client_of(authority, auth)))
        await anyio.to_thread.run_sync(authority.was_reached.wait, PATIENCE)
        waiting.cancel()

    own_loop(begins_and_leaves)  # cancels what runs in it, the renewal, too
    authority.may_answer.set()
    own_loop(lambda: call(client_of(authority, auth)))
    assert len(authority.served) == 1


def test_a_loop_that_is_stopped_with_work_in_it_is_not_waited_for() -> None:
    stopped = asyncio.new_event_loop()
    found: list[Detached[None]] = []

    async def begin() -> None:
        found.append(Detached(anyio.sleep_forever))

    stopped.run_until_complete(begin())

    async def wait() -> None:
        assert not found[0].is_under_way
        with pytest.raises(CancelledWorkError):
            await found[0].result()

    try:
        own_loop(wait)
    finally:
        for task in asyncio.all_tasks(stopped):
            task.cancel()
        stopped.run_until_complete(asyncio.sleep(0))
        stopped.close()


def test_a_signal_wakes_waiters_of_every_loop_and_survives_those_that_have_gone() -> None:
    signal = Signal()
    waiting = threading.Barrier(4)

    async def wait() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(signal.wait)
            await anyio.lowlevel.checkpoint()
            waiting.wait(PATIENCE)

    async def leave() -> None:
        with anyio.move_on_after(0):
            await signal.wait()

    own_loop(leave)
    with ThreadPoolExecutor(3) as threads:
        running = [threads.submit(own_loop, wait), threads.submit(own_loop, wait)]
        running.append(threads.submit(lambda: anyio.run(wait, backend="trio")))
        waiting.wait(PATIENCE)
        signal.set()
        for each in running:
            each.result(PATIENCE)
    own_loop(signal.wait)
    assert not signal._waiting


async def test_accounts_of_strangers_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dialogkit._core.auth.oauth._MOST_KEEPERS", 50)
    authority = Authority()
    auth = auth_of(authority, WatchedStore({HERE: authority.issue(HERE)}))
    client = client_of(authority, auth)
    for number in range(200):
        with pytest.raises(TokenError):
            await client.things.list(location_id=f"loc_of_a_stranger_{number}")
        await client.things.list()
    assert len(auth._keepers) <= 50
    assert len(authority.served) == 200


async def test_a_token_that_is_not_stored_yet_is_never_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dialogkit._core.auth.oauth._MOST_KEEPERS", 5)
    authority = Authority()
    store = WatchedStore({HERE: authority.issue(HERE, life=-1)})
    auth = auth_of(authority, store)
    client = client_of(authority, auth)
    store.failing = {"put"}
    await client.things.list()
    for number in range(20):
        with pytest.raises(TokenError):
            await client.things.list(location_id=f"loc_of_a_stranger_{number}")
    await client.things.list()
    assert authority.refreshes == 1


class Jumps:
    """A system clock that is set, beside one that is not."""

    def __init__(self, authority: Authority) -> None:
        self.steady = 0.0
        outer = self

        class Auth(ToyOAuth2):
            _steady = staticmethod(lambda: outer.steady)

        store = WatchedStore({HERE: authority.issue(HERE, life=-1)})
        self.auth = Auth("client-1", "client-secret-0123456789", store=store, clock=authority.clock)


async def test_a_clock_that_is_set_back_keeps_no_refused_token() -> None:
    authority = Authority()
    jumps = Jumps(authority)
    client = client_of(authority, jumps.auth)
    await client.things.list()
    authority.clock.now -= 2 * 86_400
    token = await jumps.auth._terms.store.get(HERE)
    assert isinstance(token, Token)
    authority.revoke(token)
    await client.things.list()
    assert authority.refreshes == 2


async def test_a_clock_that_is_set_back_prolongs_no_pause() -> None:
    authority = Authority()
    jumps = Jumps(authority)
    client = client_of(authority, jumps.auth)
    authority.behaviours = [httpx.Response(503)]
    for _ in range(2):
        with pytest.raises(TokenError):
            await client.things.list()
    assert authority.refreshes == 1, "the second call is told without a request"
    authority.clock.now -= 0.5
    jumps.steady += 1
    await client.things.list()
    assert authority.refreshes == 2
