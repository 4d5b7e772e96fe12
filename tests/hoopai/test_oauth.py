"""OAuth 2.0 against the sandbox, over HTTP: one process, several, and one that dies."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import dialogkit
from dialogkit import (
    FileTokenStore,
    HoopAI,
    MemoryTokenStore,
    OAuth2,
    PermissionDeniedError,
    ReauthorizationRequiredError,
    RedisTokenStore,
    Token,
    TokenStore,
)
from dialogkit._core.auth import keeper
from dialogkit.testing import Sandbox
from tests.support.backends import on_every_backend
from tests.support.redis_server import RedisServer

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 4
CALLS = 10


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    with Sandbox(tier=None, validate_responses=True, clock=clock) as server:
        yield server


def auth_of(sandbox: Sandbox, store: TokenStore, **options: object) -> OAuth2:
    return OAuth2(sandbox.client_id, sandbox.client_secret, store=store, **options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def client_of(sandbox: Sandbox, auth: OAuth2) -> HoopAI:
    return HoopAI(auth=auth, base_url=sandbox.url, location_id=sandbox.location_id, rate_limit=None, strict=True)


def token_requests(sandbox: Sandbox) -> list[int | None]:
    return [each.status for each in sandbox.requests if each.path == "/oauth/token"]


def test_it_is_public() -> None:
    assert dialogkit.OAuth2 is dialogkit.hoopai.OAuth2
    request = OAuth2("client-1", "secret").authorization_request(redirect_uri="https://app.example/cb", scope="a")
    assert request.url.startswith("https://marketplace.leadconnectorhq.com/v2/oauth/chooselocation?response_type=code&")


@on_every_backend
async def test_from_the_code_to_the_next_token(sandbox: Sandbox, clock: Clock) -> None:
    store = MemoryTokenStore()
    auth = auth_of(sandbox, store, clock=clock)
    async with client_of(sandbox, auth) as hoop:
        request = auth.authorization_request(redirect_uri="https://app.example/cb", scope=["conversations.readonly"])
        first = await auth.exchange(
            hoop,
            code=sandbox.authorize(),
            redirect_uri="https://app.example/cb",
            code_verifier=request.code_verifier,
        )
        assert (first.location_id, first.company_id) == (sandbox.location_id, sandbox.company_id)
        assert first.expires_at == clock.now + 86_399
        assert "conversations.write" in (first.scope or "").split()
        await hoop.bots.list()
        assert token_requests(sandbox) == [200]
        clock.now += 90_000
        await hoop.bots.list()
        second = await store.get(sandbox.location_id)
        assert second is not None
        assert second.refresh_token != first.refresh_token
        assert token_requests(sandbox) == [200, 200]
        assert 401 not in {each.status for each in sandbox.requests}


@on_every_backend
async def test_an_agency_and_its_locations(sandbox: Sandbox, clock: Clock) -> None:
    sandbox.add_location("loc_other")
    store = MemoryTokenStore()
    auth = auth_of(sandbox, store, clock=clock, company_id=sandbox.company_id, user_type="Company")
    async with client_of(sandbox, auth) as hoop:
        await auth.exchange(hoop, code=sandbox.authorize(user_type="Company"))
        installed = [
            place.id async for place in hoop.oauth.installed_locations(company_id=sandbox.company_id, app_id="app_1")
        ]
        assert installed == [sandbox.location_id, "loc_other"]
        for location in installed:
            await hoop.for_location(location).bots.list()
            derived = await store.get(location)
            assert derived is not None
            assert derived.location_id == location
            assert derived.refresh_token, "undocumented, but it comes"
        clock.now += 90_000
        for location in installed:
            await hoop.for_location(location).bots.list()
    assert token_requests(sandbox) == [200, 200, 200], "the company's code, then each location's own refresh token"
    assert sum(each.path == "/oauth/locationToken" for each in sandbox.requests) == 2
    assert {each.status for each in sandbox.requests} == {200}


async def test_the_sandbox_refuses_the_token_of_another_location(sandbox: Sandbox, clock: Clock) -> None:
    """Else the tests of isolation would prove nothing."""
    sandbox.add_location("loc_other")
    auth = auth_of(sandbox, MemoryTokenStore(), clock=clock)
    async with client_of(sandbox, auth) as hoop:
        token = await auth.exchange(hoop, code=sandbox.authorize())
        stolen = MemoryTokenStore({"loc_other": replace(token, location_id=None)})
        other = hoop.with_options(auth=auth_of(sandbox, stolen, clock=clock), location_id="loc_other")
        with pytest.raises(PermissionDeniedError):
            await other.conversations.search()
        await hoop.conversations.search()


async def test_the_platforms_limit_of_the_token_endpoint_is_kept(clock: Clock) -> None:
    with Sandbox(clock=clock) as sandbox:
        auth = auth_of(sandbox, MemoryTokenStore(), clock=clock, refresh_timeout=0.5)
        async with HoopAI(auth=auth, base_url=sandbox.url, location_id=sandbox.location_id) as hoop:
            for _ in range(5):
                await auth.exchange(hoop, code=sandbox.authorize())
            with pytest.raises(dialogkit.TokenError, match="wait"):
                await auth.exchange(hoop, code=sandbox.authorize())
        assert token_requests(sandbox) == [200] * 5


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer.started() as server:
        yield server


async def expired_token(sandbox: Sandbox) -> Token:
    auth = auth_of(sandbox, MemoryTokenStore())
    async with client_of(sandbox, auth) as hoop:
        token = await auth.exchange(hoop, code=sandbox.authorize())
    return replace(token, expires_at=0.0)


@asynccontextmanager
async def workers(
    sandbox: Sandbox, kind: str, place: str, count: int
) -> AsyncGenerator[list[asyncio.subprocess.Process]]:
    """Start processes that wait for a word on their standard input."""
    command = (sys.executable, "-m", "tests.hoopai.oauth_worker", sandbox.url, sandbox.client_secret, kind, place)
    pipe = subprocess.PIPE
    started = [await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, cwd=ROOT) for _ in range(count)]
    try:
        for each in started:
            assert each.stdout is not None
            assert await each.stdout.readline() == b"ready\n"
        yield started
    finally:
        for each in started:
            if each.returncode is None:
                each.kill()
            await each.communicate()


async def work(processes: list[asyncio.subprocess.Process]) -> list[int]:
    """Let all of them work at once, and return how they ended."""
    for each in processes:
        assert each.stdin is not None
        each.stdin.write(b"go\n")
    return list(await asyncio.gather(*(each.wait() for each in processes)))


@pytest.mark.parametrize("kind", ["redis", "file"])
async def test_four_processes_that_share_a_store_make_one_refresh(
    kind: str, sandbox: Sandbox, redis_server: RedisServer, tmp_path: Path
) -> None:
    old = await expired_token(sandbox)
    place = redis_server.socket if kind == "redis" else str(tmp_path / "tokens.json")
    async with redis_server.client() as redis:
        store = RedisTokenStore(redis) if kind == "redis" else FileTokenStore(place)
        await store.put(sandbox.location_id, old)
        async with workers(sandbox, kind, place, PROCESSES) as processes:
            assert await work(processes) == [0] * PROCESSES
        new = await store.get(sandbox.location_id)
    assert token_requests(sandbox) == [200, 200]  # the exchange of the code, and one refresh
    calls = [each.status for each in sandbox.requests if each.path == "/conversations/bots"]
    assert calls == [200] * (PROCESSES * CALLS)
    assert new is not None
    assert new.refresh_token != old.refresh_token


async def test_a_crash_between_refresh_and_store(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeper, "_LOOKS", (0.0,))
    place = tmp_path / "tokens.json"
    store = FileTokenStore(place)
    await store.put(sandbox.location_id, await expired_token(sandbox))
    before = place.read_bytes()
    async with workers(sandbox, "crash", str(place), 1) as processes:
        assert await work(processes) == [9]
    assert place.read_bytes() == before
    assert token_requests(sandbox) == [200, 200]
    auth = auth_of(sandbox, store)
    async with client_of(sandbox, auth) as hoop:
        for _ in range(3):
            with pytest.raises(ReauthorizationRequiredError, match="'loc_sandbox' must be authorised again"):
                await hoop.bots.list()
        assert token_requests(sandbox) == [200, 200, 400]
        await auth.exchange(hoop, code=sandbox.authorize())
        await hoop.bots.list()
    assert [record.levelno for record in caplog.records if record.name == "dialogkit"] == [logging.WARNING]
