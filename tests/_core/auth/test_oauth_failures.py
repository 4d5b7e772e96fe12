"""OAuth 2.0 when things go wrong: the endpoint, the store, other processes, and callers who leave."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
import trio.testing

from dialogkit import AuthContext, DeadlineExceededError, ReauthorizationRequiredError, Token, TokenError
from dialogkit._core.auth import keeper
from tests._core.answers import broken_body, connect_error, dropped, read_timeout
from tests._core.auth.authority import (
    CLIENT_SECRET,
    LIFE,
    Authority,
    Behaviour,
    ToyOAuth2,
    WatchedStore,
    auth_of,
    call,
    client_of,
)
from tests._core.toy import Toy
from tests.support.backends import on_every_backend

HERE = "loc_1"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_LOOKS", (0.0, 0.0))


class Setting:
    """A location with a token, and a client that needs it."""

    def __init__(self, *, life: float = -1, **options: Any) -> None:
        self.authority = Authority()
        self.old = self.authority.issue(HERE, life=life)
        self.store = WatchedStore({HERE: self.old})
        self.auth: ToyOAuth2 = auth_of(self.authority, self.store, **options)
        self.client: Toy = client_of(self.authority, self.auth)

    def pass_time(self, seconds: float) -> None:
        self.authority.clock.now += seconds

    async def failure(self) -> TokenError:
        with pytest.raises(TokenError) as caught:
            await self.client.things.list()
        return caught.value

    @property
    def kept(self) -> Token:
        return self.store._tokens[HERE]


NONSENSE: dict[str, Behaviour] = {
    "500": httpx.Response(500, json={"message": "boom"}),
    "503": httpx.Response(503, text="down"),
    "a page": httpx.Response(200, html="<html><title>Log in</title></html>"),
    "nothing": httpx.Response(200),
    "a list": httpx.Response(200, json=["access_token"]),
    "no token": httpx.Response(200, json={"refresh_token": "refresh-1234567", "expires_in": 5}),
    "a number": httpx.Response(200, json={"access_token": 5}),
    "two lines": httpx.Response(200, json={"access_token": "a\r\nX-Admin: yes"}),
    "an empty token": httpx.Response(200, json={"access_token": ""}),
    "broken JSON": httpx.Response(200, content=b'{"access_token": "a'),
    "deep JSON": httpx.Response(200, content=b"[" * 100_000),
    "not UTF-8": httpx.Response(200, content=b'{"access_token": "\xff"}'),
    "a refusal with 200": httpx.Response(200, json={"error": "temporarily_unavailable"}),
    "a redirect": httpx.Response(302, headers={"location": "https://evil.example/"}),
    "invalid client": httpx.Response(401, json={"error": "invalid_client"}),
    "not found": httpx.Response(404),
    "another account": httpx.Response(200, json={"access_token": "access-of-other", "locationId": "loc_2"}),
    "no answer": read_timeout,
    "no connection": connect_error,
    "a dropped connection": dropped,
    "half an answer": broken_body,
}


@pytest.mark.parametrize("name", NONSENSE)
@on_every_backend
async def test_an_endpoint_that_fails(name: str) -> None:
    setting = Setting()
    setting.authority.behaviours = [NONSENSE[name], NONSENSE[name], NONSENSE[name]]
    error = await setting.failure()
    assert str(error).startswith("list_things: there is no access token for the location 'loc_1': ")
    assert "This attempt was not sent." in str(error)
    assert (error.operation, error.location_id, error.company_id) == ("list_things", HERE, None)
    assert not isinstance(error, ReauthorizationRequiredError)
    assert pickle.loads(pickle.dumps(error)).__dict__ == error.__dict__
    assert "secret" not in repr(error.__dict__).replace("client_secret", "")
    assert error.__cause__ is error.__context__ is None
    assert setting.authority.served == []
    assert len(setting.authority.forms) == (3 if name == "no connection" else 1)  # the only thing that can be repeated
    assert setting.kept is setting.old
    setting.authority.behaviours.clear()
    setting.pass_time(1.1)
    await call(setting.client)
    assert setting.authority.served == [(HERE, HERE)]


@on_every_backend
async def test_a_dead_endpoint_is_not_stormed() -> None:
    setting = Setting()
    setting.authority.behaviours = [httpx.Response(500)] * 20
    for seconds in (1, 2, 4, 8, 16, 30, 30):
        before = len(setting.authority.forms)
        assert [(await setting.failure()).status for _ in range(5)] == [500] * 5
        assert len(setting.authority.forms) == before + 1
        setting.pass_time(seconds - 0.1)
        assert (await setting.failure()).retry_after == pytest.approx(0.1, abs=0.01)
        assert len(setting.authority.forms) == before + 1
        setting.pass_time(0.2)
    setting.authority.behaviours.clear()
    await call(setting.client)


@on_every_backend
async def test_a_failure_is_everyones_who_waited() -> None:
    setting = Setting()
    setting.authority.behaviours = [httpx.Response(500)] * 2
    errors: list[TokenError] = []

    async def fail() -> None:
        errors.append(await setting.failure())

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(fail)
    assert len({id(error) for error in errors}) == 20
    assert len(setting.authority.forms) == 1


@on_every_backend
async def test_an_endpoint_may_ask_for_patience() -> None:
    setting = Setting()
    setting.authority.behaviours = [httpx.Response(500, headers={"retry-after": "45"})]
    assert (await setting.failure()).retry_after == 45
    setting.pass_time(44)
    await setting.failure()
    assert len(setting.authority.forms) == 1
    setting.pass_time(2)
    await call(setting.client)


@on_every_backend
async def test_a_failure_ahead_of_time_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting(life=200)
    setting.authority.behaviours = [httpx.Response(500, json={"message": "boom"})]
    for _ in range(5):
        await call(setting.client, 5)
        await setting.auth.drain()
    assert len(setting.authority.served) == 25
    assert len(setting.authority.forms) == 1
    assert "the location 'loc_1', which is still good, could not be renewed" in caplog.text
    setting.pass_time(2)
    await call(setting.client)
    await setting.auth.drain()
    assert setting.authority.refreshes == 2


@on_every_backend
async def test_a_spent_refresh_token_has_to_be_authorised_again(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting()
    setting.authority.grants.clear()
    for _ in range(3):
        error = await setting.failure()
        assert isinstance(error, ReauthorizationRequiredError)
        assert str(error).startswith("list_things: the location 'loc_1' must be authorised again: ")
        assert "authorization_request()" in str(error)
        setting.pass_time(60)
    assert len(setting.authority.forms) == 1
    assert "secret" not in caplog.text.replace("client_secret", "")
    setting.authority.grants["code"] = HERE
    await setting.auth.exchange(setting.client, code="code")
    await call(setting.client)
    assert setting.authority.served == [(HERE, HERE)]


@on_every_backend
async def test_another_process_may_authorise_again() -> None:
    setting = Setting()
    setting.authority.grants.clear()
    await setting.failure()
    setting.store.steal(HERE, setting.authority.issue(HERE))
    setting.pass_time(2)
    await call(setting.client)
    assert len(setting.authority.forms) == 1


@on_every_backend
async def test_a_location_that_nobody_has_authorised() -> None:
    setting = Setting()
    with pytest.raises(
        ReauthorizationRequiredError, match="'loc_2' must be authorised again: the token store has none"
    ):
        await setting.client.things.list(location_id="loc_2")
    assert setting.authority.forms == []


@on_every_backend
async def test_an_agency_that_has_to_be_authorised_again() -> None:
    setting = Setting(company_id="company_1")
    with pytest.raises(
        ReauthorizationRequiredError, match=r"'loc_2' must be authorised again: .* 'company_1' could not"
    ):
        await setting.client.things.list(location_id="loc_2")
    assert setting.authority.forms == []


@on_every_backend
async def test_a_refresh_that_another_process_has_won_is_read_back() -> None:
    setting = Setting()

    def spent(request: httpx.Request) -> httpx.Response:
        setting.store.steal(HERE, setting.authority.issue(HERE))
        return httpx.Response(400, json={"error": "invalid_grant"})

    setting.authority.behaviours = [spent]
    await call(setting.client, 10)
    assert len(setting.authority.served) == 10
    assert len(setting.authority.forms) == 1
    assert setting.store.puts == []


@on_every_backend
async def test_the_winner_may_take_a_moment_to_store(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting()
    new = setting.authority.issue(HERE)
    looks: list[float] = []
    sleep = anyio.sleep

    async def look(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            setting.store.steal(HERE, new)
        await sleep(0)

    monkeypatch.setattr(keeper, "_LOOKS", (0.0, 0.1, 0.4, 1.5))
    monkeypatch.setattr(anyio, "sleep", look)
    setting.authority.behaviours = [httpx.Response(400, json={"error": "invalid_grant"})]
    await call(setting.client)
    assert looks == [0.0, 0.1, 0.4]


@on_every_backend
async def test_what_the_winner_has_stored_may_be_old_again() -> None:
    setting = Setting()

    def spent(request: httpx.Request) -> httpx.Response:
        setting.store.steal(HERE, setting.authority.issue(HERE, life=-1))
        return httpx.Response(401, json={"message": "Invalid grant: it was used"})

    setting.authority.behaviours = [spent]
    await call(setting.client, 5)
    assert setting.authority.refreshes == 2
    assert setting.kept.access_token in setting.authority.valid


@on_every_backend
async def test_two_processes_that_renew_at_once_end_up_with_the_same_token() -> None:
    setting = Setting()
    winner = setting.authority.issue(HERE)

    async def put_before() -> None:
        setting.store.before_put = None
        setting.store.steal(HERE, winner)

    setting.store.before_put = put_before
    await call(setting.client)
    assert setting.kept is winner
    assert await setting.auth.headers(_context(setting)) == {"Authorization": f"Bearer {winner.access_token}"}


def _context(setting: Setting) -> Any:
    return AuthContext(operation="list_things", location_id=HERE, client=setting.client._sender)


@on_every_backend
async def test_a_store_that_cannot_keep_the_new_token(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting()
    setting.store.failing = {"put"}
    await call(setting.client, 10)
    assert len(setting.authority.served) == 10
    assert setting.kept is setting.old
    assert "could not be stored (OSError). It is kept in memory" in caplog.text
    setting.pass_time(1.1)
    await call(setting.client)
    await anyio.wait_all_tasks_blocked()
    assert setting.kept is setting.old
    setting.store.failing = set()
    setting.pass_time(1.1)
    await call(setting.client, 10)
    await anyio.wait_all_tasks_blocked()
    assert setting.kept.refresh_token in setting.authority.grants
    assert setting.authority.refreshes == 1
    assert "secret" not in caplog.text.replace("client_secret", "")


@on_every_backend
async def test_a_token_that_is_in_memory_only_is_renewed_all_the_same() -> None:
    setting = Setting()
    setting.store.failing = {"put"}
    await call(setting.client)
    setting.pass_time(LIFE + 1)
    setting.store.failing = set()
    await call(setting.client)
    assert setting.authority.refreshes == 2
    assert setting.kept.refresh_token in setting.authority.grants


@on_every_backend
async def test_closing_stores_what_is_in_memory_only() -> None:
    setting = Setting()
    setting.store.failing = {"put"}
    async with setting.client as client:
        await call(client)
        setting.store.failing = set()
    assert setting.kept.refresh_token in setting.authority.grants


@on_every_backend
async def test_a_store_that_cannot_be_read() -> None:
    setting = Setting()
    setting.store.failing = {"get"}
    error = await setting.failure()
    assert "the token store failed with OSError" in str(error)
    assert isinstance(error.__cause__, OSError)
    assert setting.authority.forms == []
    setting.store.failing = set()
    setting.pass_time(2)
    await call(setting.client)
    setting.store.failing = {"get", "put"}
    await call(setting.client)
    assert len(setting.authority.served) == 2


@on_every_backend
async def test_a_store_that_mixes_up_accounts() -> None:
    setting = Setting()
    setting.store.steal(HERE, setting.authority.issue("loc_2"))
    assert "another account's token" in str(await setting.failure())
    assert setting.authority.served == []


@on_every_backend
async def test_a_user_who_authorises_again_meanwhile_wins() -> None:
    setting = Setting()
    setting.authority.gate = anyio.Event()
    granted: list[Token] = []
    async with anyio.create_task_group() as group:
        group.start_soon(call, setting.client)
        await setting.authority.was_asked()
        gate, setting.authority.gate = setting.authority.gate, None
        setting.authority.grants["code"] = HERE
        granted.append(await setting.auth.exchange(setting.client, code="code"))
        gate.set()
    assert setting.kept is granted[0]
    await call(setting.client)
    assert len(setting.store.puts) == 1


async def leave(setting: Setting, done: anyio.Event) -> None:
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(call, setting.client, 5)
            await setting.authority.was_asked()
            scope.cancel()
    done.set()


@on_every_backend
async def test_callers_who_leave_do_not_lose_the_token() -> None:
    setting = Setting()
    gate = setting.authority.gate = anyio.Event()
    await leave(setting, anyio.Event())
    assert setting.authority.grants.keys() & {setting.old.refresh_token} == set()  # it is spent
    gate.set()
    await setting.auth.drain()
    assert setting.kept.refresh_token in setting.authority.grants
    await call(setting.client, 5)
    assert setting.authority.refreshes == 1


@on_every_backend
async def test_a_deadline_does_not_lose_the_token() -> None:
    setting = Setting()
    gate = setting.authority.gate = anyio.Event()
    hasty = setting.client.with_options(deadline=0.01, timeout=0.01)
    with pytest.raises(DeadlineExceededError):
        await hasty.things.list()
    gate.set()
    await setting.auth.drain()
    assert setting.kept.refresh_token in setting.authority.grants
    await call(setting.client)
    assert setting.authority.refreshes == 1


@on_every_backend
async def test_closing_waits_for_the_token() -> None:
    setting = Setting(life=200)
    gate = setting.authority.gate = anyio.Event()

    async def open_and_close() -> None:
        async with setting.client as client:
            await call(client.with_options(strict=True))

    async with anyio.create_task_group() as group:
        group.start_soon(open_and_close)
        await setting.authority.was_asked()
        await anyio.wait_all_tasks_blocked()
        assert not setting.client._connection.closed
        gate.set()
    assert setting.client._connection.closed
    assert setting.kept.refresh_token in setting.authority.grants


@on_every_backend
async def test_leaving_an_exchange_does_not_lose_the_token() -> None:
    setting = Setting()
    gate = setting.authority.gate = anyio.Event()
    setting.authority.grants["code"] = "loc_2"
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: setting.auth.exchange(setting.client, code="code"))
            await setting.authority.was_asked()
            scope.cancel()
    gate.set()
    while "loc_2" not in setting.store._tokens:
        await anyio.lowlevel.checkpoint()
    await call(setting.client, location_id="loc_2")
    assert setting.authority.served == [("loc_2", "loc_2")]


def test_an_endpoint_that_never_answers() -> None:
    async def check() -> None:
        setting = Setting()
        setting.authority.gate = anyio.Event()
        began = trio.current_time()
        error = await setting.failure()
        assert trio.current_time() - began == pytest.approx(120)
        assert "120 s" in str(error)

    trio.run(check, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_store_that_never_answers_keeps_the_token() -> None:
    async def check() -> None:
        setting = Setting()
        setting.store.before_put = trio.sleep_forever
        began = trio.current_time()
        await call(setting.client, 5)
        assert trio.current_time() - began == pytest.approx(10)
        assert len(setting.authority.served) == 5
        setting.store.before_put = None
        await setting.auth.drain()
        assert setting.kept.refresh_token in setting.authority.grants

    trio.run(check, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_token_outlives_the_event_loop_that_is_being_closed() -> None:
    setting = Setting(life=200)

    async def check() -> None:
        setting.authority.asked = anyio.Event()
        await call(setting.client)
        await setting.authority.was_asked()

    trio.run(check)
    assert setting.kept.refresh_token in setting.authority.grants


def test_one_object_serves_one_event_loop_after_the_other() -> None:
    setting = Setting(life=200)
    for backend in ("asyncio", "trio", "asyncio"):

        async def check() -> None:
            await call(client_of(setting.authority, setting.auth), 3)
            await setting.auth.drain()
            setting.pass_time(LIFE - 100)

        setting.authority.asked = anyio.Event()
        anyio.run(check, backend=backend)
    assert len(setting.authority.served) == 9
    assert setting.authority.refused == 0
    assert setting.authority.refreshes == 3


async def test_wrong_credentials_are_named(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    setting = Setting()
    wrong = ToyOAuth2("client-1", "wrong" + CLIENT_SECRET, store=setting.store, clock=setting.authority.clock)
    with pytest.raises(TokenError, match=r"answered 401.*Check client_id, client_secret") as caught:
        await client_of(setting.authority, wrong).things.list()
    assert (caught.value.status, caught.value.code) == (401, "invalid_client")
    assert CLIENT_SECRET not in caplog.text
